"""The steps of a network as C code in float32: the order of additions is that of the kernels without FMA, so that the
outputs have the same bits."""

from __future__ import annotations

import numpy as np

from . import winograd
from .activations import activation_function
from .memory import placed
from .steps import (
    CHAIN,
    PAD,
    PLAIN,
    Add,
    AveragePool,
    Elementwise,
    Flatten,
    LogSoftmax,
    MaxPool,
    Norm,
    Product,
    Softmax,
    flushed,
)
from .writing import hexadecimal

IN_PLACE = (Elementwise, Norm, Softmax, Add)


class Float32:
    """Writes the functions, arrays and calls of a network into a source."""

    ctype, alignment = "float", 4

    def __init__(self, network, source):
        self.network, self.source = network, source
        self.spans, self.alias = spans_of(network)
        self.offsets, self.elements = placed(self.spans)

    def at(self, value):
        offset = self.offsets[self.alias[value]]
        return f"memory + {offset}" if offset else "memory"

    @property
    def ram(self):
        return 4 * self.elements

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
        if self.alias[step.y] is not self.alias[step.x]:
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


def spans_of(network):
    """How long each value is needed, for memory.placed; and in which value's place each lies: its own, or that of one
    that is not needed any more, or, of what a Flatten need not move, the same."""
    alias, spans = {network.first: network.first}, {network.first: [network.first.elements, 0, 0]}
    for number, step in enumerate(network.steps, 1):
        for value in step.inputs:
            spans[alias[value]][2] = number
        free = [v for v in step.inputs if all(other is step for other in readers(network, alias, alias[v], step))]
        moved = isinstance(step, Flatten) and step.x.c > 1 and not step.x.is_flat
        if isinstance(step, Flatten) and not moved:
            alias[step.y] = alias[step.x]
        elif isinstance(step, IN_PLACE) and free:
            alias[step.y] = alias[free[0]]
        else:
            alias[step.y] = step.y
            spans[step.y] = [step.y.elements, number, number]
        if isinstance(step, Product) and step.winograd:
            alias[step] = step
            spans[step] = [(step.kernel[0] + 1) ** 2 * step.x.c, number, number]
    spans[alias[network.last]][2] = len(network.steps) + 1
    return spans, alias


def readers(network, alias, place, step):
    """The steps from this one on that read what lies in a place."""
    later = network.steps[network.steps.index(step) :]
    return [other for other in later if any(alias.get(value) is place for value in other.inputs)]


def size_of(value):
    return f"{{{value.h}, {value.w}, {value.c}}}"


def window_of(step):
    """The fields of a conv_shape between the sizes and the activation."""
    names = ("kh", "kw", "stride_h", "stride_w", "top", "left", "dilation_h", "dilation_w", "groups", "pool_h", "pool_w")
    top, _, left, _ = step.padding
    values = (*step.kernel, *step.stride, top, left, *step.dilation, step.groups, *step.pool)
    return dict(zip(names, values, strict=True))


def pool_shape(source, step):
    names = ("kh", "kw", "stride_h", "stride_w", "pad_h", "pad_w", "dilation_h", "dilation_w", "count_pad")
    window = dict(zip(names, step.window, strict=True))
    return source.shape("pool_shape", f"pool_{step.number}", **{"in": size_of(step.x)}, out=size_of(step.y), **window)


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
