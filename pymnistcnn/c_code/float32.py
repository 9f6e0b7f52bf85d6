"""The steps of a network as C code in float32: the order of additions is that of the kernels without FMA, so that the
outputs have the same bits."""

from __future__ import annotations

import numpy as np

from . import winograd
from .activations import activation_function
from .memory import Layout
from .steps import (
    CHAIN,
    PAD,
    Add,
    AveragePool,
    Elementwise,
    Flatten,
    LogSoftmax,
    MaxPool,
    Norm,
    Product,
    Softmax,
)
from .writing import hexadecimal


class Float32:
    """Writes the functions, arrays and calls of a network into a source."""

    ctype, bytes = "float", 4

    def __init__(self, network, source):
        self.network, self.source = network, source
        scratch = {step: patch_elements(step) for step in network.steps if isinstance(step, Product) and step.winograd}
        self.layout = Layout(network, scratch)
        self.at = self.layout.at

    def write(self):
        first, last = self.network.first, self.network.last
        scale, offset = (hexadecimal(np.float32(x)) for x in (self.network.scale, self.network.offset))
        self.source.call(self.source.need("float32/rescale"), self.at(first), "input", self.size("input_size", first),
                         scale, offset, comment="the input")  # fmt: skip
        for step in self.network.steps:
            WRITERS[type(step)](self, step)
        size = self.size("output_size", last)
        self.source.call(self.source.need("float32/channels_first"), "output", self.at(last), size)

    def size(self, name, value):
        return self.source.shape("size", name, h=value.h, w=value.w, c=value.c)[1:]

    # ---- steps ----

    def product(self, step):
        source, n = self.source, step.number
        bias = source.array(f"bias_{n}", step.bias)
        chain, dots = step.y.c - step.dots, step.dots
        shape = self.conv_shape(step)
        y, x = self.at(step.y), self.at(step.x)
        if step.winograd:
            if step.x.c > CHAIN:
                raise ValueError(f"{step.label}: {step.x.c:,} channels are more than C code is written for, {CHAIN:,}")
            points = source.array(f"weight_{n}", winograd.points_of(step.weight), f"at points: {step.weight.shape}")
            patch = self.at(step)
            source.call(source.need("float32/winograd"), shape, y, x, points, bias, patch, comment=step.label)
            return
        weight = source.array(f"weight_{n}", step.weight.transpose(0, 2, 3, 1))
        comment = step.label
        long = pieces_of(step) is not None
        for first, last, name in ((0, chain, "pieces" if long else "chain"), (chain, chain + dots, "dot")):
            if last > first:
                name = "dot_pieces" if name == "dot" and dot_pieces_of(step) is not None else name
                # each kind of sum has its own way of being cut
                how = shape if name != "dot_pieces" else self.conv_shape(step, dots=True)
                convolve, kind = source.need("float32/convolve"), source.need(f"float32/{name}")
                source.call(convolve, how, y, x, weight, bias, first, last, kind, comment=comment)
                comment = ""

    def conv_shape(self, step, dots=False):
        """Its own shape for channels that are dot products, where they are long."""
        cut = (dot_pieces_of if dots else pieces_of)(step)
        pieces = dict(zip(("piece_rows", "span", "piece"), cut, strict=True)) if cut else {}
        activation = activation_function(self.source, step.activation, step.number)
        if step.winograd or not dots:
            self.source.need("float32/conv_shape")
        return self.source.shape(
            "conv_shape", f"{'dots' if dots else 'conv'}_{step.number}", **{"in": size_of(step.x)},
            out=size_of(step.y), **window_of(step), activation=activation, **pieces,
        )  # fmt: skip

    def norm(self, step):
        names = [self.source.array(f"{name}_{step.number}", getattr(step, name)) for name in ("mean", "scale", "bias")]
        self.source.call(self.source.need("float32/norm"), self.at(step.y), self.at(step.x), *names, step.x.elements,
                         step.x.c, comment=step.label)  # fmt: skip

    def pool(self, step, name):
        self.source.need("float32/pool_shape")
        shape = pool_shape(self.source, step)
        self.source.call(self.source.need(f"float32/{name}"), shape, self.at(step.y), self.at(step.x),
                         comment=step.label)  # fmt: skip

    def elementwise(self, step):
        activation = activation_function(self.source, step.activation, step.number)
        self.source.call(self.source.need("float32/activate"), self.at(step.y), self.at(step.x), step.x.elements,
                         activation, comment=step.label)  # fmt: skip

    def add(self, step):
        self.source.call(self.source.need("float32/add"), self.at(step.y), self.at(step.x), self.at(step.other),
                         step.x.elements, comment=step.label)  # fmt: skip

    def flatten(self, step):
        if self.layout.place[step.y] is not self.layout.place[step.x]:
            size = self.size(f"size_{step.number}", step.x)
            self.source.call(self.source.need("float32/channels_first"), self.at(step.y), self.at(step.x), size,
                             comment=step.label)  # fmt: skip

    def scores(self, step, name):
        self.source.call(self.source.need(f"float32/{name}"), self.at(step.y), self.at(step.x), step.x.elements,
                         comment=step.label)  # fmt: skip


WRITERS = {
    Product: Float32.product,
    Norm: Float32.norm,
    MaxPool: lambda writer, step: writer.pool(step, "max_pool"),
    AveragePool: lambda writer, step: writer.pool(step, "average_pool"),
    Elementwise: Float32.elementwise,
    Add: Float32.add,
    Flatten: Float32.flatten,
    Softmax: lambda writer, step: writer.scores(step, "softmax"),
    LogSoftmax: lambda writer, step: writer.scores(step, "log_softmax"),
}


def patch_elements(step):
    """What winograd() needs to work in."""
    return (step.kernel[0] + 1) ** 2 * step.x.c


def size_of(value):
    return f"{{{value.h}, {value.w}, {value.c}}}"


def window_of(step):
    """The fields of a conv_shape between the sizes and the activation."""
    names = (
        "kh",
        "kw",
        "stride_h",
        "stride_w",
        "top",
        "left",
        "dilation_h",
        "dilation_w",
        "groups",
        "pool_h",
        "pool_w",
    )
    top, _, left, _ = step.padding
    values = (*step.kernel, *step.stride, top, left, *step.dilation, step.groups, *step.pool)
    return dict(zip(names, values, strict=True))


def pool_shape(source, step, **more):
    names = ("kh", "kw", "stride_h", "stride_w", "pad_h", "pad_w", "dilation_h", "dilation_w", "count_pad")
    window = dict(zip(names, step.window, strict=True))
    sizes = {"in": size_of(step.x), "out": size_of(step.y)}
    return source.shape("pool_shape", f"pool_{step.number}", **sizes, **window, **more)


# ---- how long sums are cut ----


def stretch_of(length) -> int:
    """As in csrc/kernels/vectors.h."""
    stretch = CHAIN // 4
    while stretch * stretch < length:
        stretch *= 2
    return length if length <= CHAIN else stretch


def pieces_of(step):
    """(rows, span, piece) of gemm.h's long sums, or None: rows of the filter at a time, or `piece` of the numbers of a
    row, in each `span` of them."""
    kh, kw = step.kernel
    c = step.x.c // step.groups
    row, stretch = kw * c, stretch_of(kh * kw * c)
    if stretch == kh * row or step.depthwise:
        return None
    if row <= stretch:
        return stretch // row, row, row
    if step.groups == 1 and step.dilation[1] == 1:
        return 1, row, stretch
    return (1, row, stretch // c * c) if c <= stretch else (1, c, stretch)


def dot_pieces_of(step):
    """The same of dots.h."""
    kh, kw = step.kernel
    length = kw * step.x.c
    row = -(-length // PAD)
    stretch = stretch_of(kh * row)
    return None if stretch == kh * row else (max(1, stretch // row), length, min(row, stretch) * PAD)
