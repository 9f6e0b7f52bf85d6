"""The steps of a network as C code in float32: the order of additions is that of the kernels without FMA, so that the
outputs have the same bits."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

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
    Step,
)
from .writing import hexadecimal

if TYPE_CHECKING:
    from .writing import Source


class Float32:
    """Writes the functions, arrays and calls of a network into a source."""

    network: Any
    source: Source
    layout: Layout
    at: Callable[[Any], str]

    ctype: str = "float"
    bytes: int = 4

    def __init__(self, network: Any, source: Source) -> None:
        self.network, self.source = network, source
        scratch = {step: patch_elements(step) for step in network.steps if isinstance(step, Product) and step.winograd}
        self.layout = Layout(network, scratch)
        self.at = self.layout.at

    def write(self) -> None:
        first, last = self.network.first, self.network.last
        scale, offset = (hexadecimal(np.float32(x)) for x in (self.network.scale, self.network.offset))
        self.source.call(self.source.need("float32/rescale"), self.at(first), "input", self.size("input_size", first),
                         scale, offset, comment="the input")  # fmt: skip
        for step in self.network.steps:
            WRITERS[type(step)](self, step)
        size = self.size("output_size", last)
        self.source.call(self.source.need("float32/channels_first"), "output", self.at(last), size)

    def size(self, name: str, value: Any) -> Any:
        return self.source.shape("size", name, h=value.h, w=value.w, c=value.c)[1:]

    # ---- steps ----

    def product(self, step: Any) -> Any:
        if step.winograd:
            return self.winograd(step)
        n, chained = step.number, step.y.c - step.dots
        weight, bias = step.weight.transpose(0, 2, 3, 1), step.bias
        arrays = self.source.array(f"weight_{n}", weight), self.source.array(f"bias_{n}", bias)
        self.channels(step, arrays, range(chained), "chain", pieces_of(step))
        self.channels(step, arrays, range(chained, step.y.c), "dot", dot_pieces_of(step))

    def channels(self, step: Any, arrays: Any, channels: Any, kind: Any, cut: Any) -> None:
        """Output channels whose sums are of one kind; cut: how they are, if they are long."""
        if not channels:
            return
        all_of_them = len(channels) == step.y.c
        comment = step.label if all_of_them else f"{step.label}: channels {channels.start} to {channels.stop - 1}"
        convolve, sum_ = (
            self.source.need("float32/convolve"),
            self.source.need(LONG[kind] if cut else f"float32/{kind}"),
        )
        shape = self.conv_shape(step, f"{kind}_{step.number}", cut)
        ends = channels.start, channels.stop
        self.source.call(convolve, shape, self.at(step.y), self.at(step.x), *arrays, *ends, sum_, comment=comment)

    def winograd(self, step: Any) -> None:
        if step.x.c > CHAIN:
            raise ValueError(f"{step.label}: {step.x.c:,} channels are more than C code is written for, {CHAIN:,}")
        n, points = step.number, winograd.points_of(step.weight)
        arrays = self.source.array(f"points_{n}", points), self.source.array(f"bias_{n}", step.bias)
        function, shape = self.source.need("float32/winograd"), self.conv_shape(step, f"conv_{n}")
        self.source.call(function, shape, self.at(step.y), self.at(step.x), *arrays, self.at(step), comment=step.label)

    def conv_shape(self, step: Any, name: str, cut: Any = None) -> Any:
        pieces = dict(zip(("piece_rows", "span", "piece"), cut, strict=True)) if cut else {}
        activation = activation_function(self.source, step.activation, step.number)
        sizes = {"in": size_of(step.x), "out": size_of(step.y)}
        window = window_of(step)
        return self.source.shape("conv_shape", name, **sizes, **window, activation=activation, **pieces)

    def norm(self, step: Any) -> None:
        names = [self.source.array(f"{name}_{step.number}", getattr(step, name)) for name in ("mean", "scale", "bias")]
        self.source.call(self.source.need("float32/norm"), self.at(step.y), self.at(step.x), *names, step.x.elements,
                         step.x.c, comment=step.label)  # fmt: skip

    def pool(self, step: Any, name: str) -> None:
        self.source.need("float32/pool_shape")
        shape = pool_shape(self.source, step)
        self.source.call(self.source.need(f"float32/{name}"), shape, self.at(step.y), self.at(step.x),
                         comment=step.label)  # fmt: skip

    def elementwise(self, step: Any) -> None:
        activation = activation_function(self.source, step.activation, step.number)
        self.source.call(self.source.need("float32/activate"), self.at(step.y), self.at(step.x), step.x.elements,
                         activation, comment=step.label)  # fmt: skip

    def add(self, step: Any) -> None:
        self.source.call(self.source.need("float32/add"), self.at(step.y), self.at(step.x), self.at(step.other),
                         step.x.elements, comment=step.label)  # fmt: skip

    def flatten(self, step: Any) -> None:
        if self.layout.place[step.y] is not self.layout.place[step.x]:
            size = self.size(f"size_{step.number}", step.x)
            self.source.call(self.source.need("float32/channels_first"), self.at(step.y), self.at(step.x), size,
                             comment=step.label)  # fmt: skip

    def scores(self, step: Any, name: str) -> None:
        over, function = self.source.need("float32/over_scores"), self.source.need(f"float32/{name}")
        size = self.size(f"size_{step.number}", step.x)
        self.source.call(over, function, self.at(step.y), self.at(step.x), size, step.axis, comment=step.label)


WRITERS: dict[type[Step], Callable[..., None]] = {
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


LONG = {"chain": "float32/pieces", "dot": "float32/dot_pieces"}  # sums that are cut


def patch_elements(step: Any) -> Any:
    """What winograd() needs to work in."""
    return (step.kernel[0] + 1) ** 2 * step.x.c


def size_of(value: Any) -> Any:
    return f"{{{value.h}, {value.w}, {value.c}}}"


def window_of(step: Any) -> Any:
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


def pool_shape(source: Source, step: Any, **more: Any) -> Any:
    names = (
        "kh",
        "kw",
        "stride_h",
        "stride_w",
        "top",
        "bottom",
        "left",
        "right",
        "dilation_h",
        "dilation_w",
        "count_pad",
    )
    window = dict(zip(names, step.window, strict=True))
    sizes = {"in": size_of(step.x), "out": size_of(step.y)}
    return source.shape("pool_shape", f"pool_{step.number}", **sizes, **window, **more)


# ---- how long sums are cut ----


def stretch_of(length: Any) -> int:
    """As in csrc/kernels/vectors.h."""
    stretch = CHAIN // 4
    while stretch * stretch < length:
        stretch *= 2
    return length if length <= CHAIN else stretch


def pieces_of(step: Any) -> Any:
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


def dot_pieces_of(step: Any) -> Any:
    """The same of dots.h."""
    kh, kw = step.kernel
    length = kw * step.x.c
    row = -(-length // PAD)
    stretch = stretch_of(kh * row)
    return None if stretch == kh * row else (max(1, stretch // row), length, min(row, stretch) * PAD)
