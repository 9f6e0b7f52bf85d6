"""A network in whole numbers (quantization.py) as C code."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from .activations import activation_function
from .float32 import pool_shape, size_of, window_of
from .memory import Layout
from .steps import Add, AveragePool, Elementwise, Flatten, LogSoftmax, MaxPool, Product, Softmax, Step
from .writing import hexadecimal

if TYPE_CHECKING:
    from .quantization import Whole
    from .writing import Source


class Int8:
    """Writes the functions, arrays and calls of a network in whole numbers into a source."""

    whole: Whole
    network: Any
    source: Source
    layout: Layout
    at: Callable[[Any], str]

    ctype: str = "uint8_t"
    bytes: int = 1

    def __init__(self, whole: Any, source: Source) -> None:
        self.whole, self.network, self.source = whole, whole.network, source
        first, last = self.network.first, self.network.last
        elsewhere = {first: "input"} if whole.bytes_in and (first.c == 1 or first.is_flat) else {}
        if whole.logits is not None:
            elsewhere[last] = "output"
        self.layout = Layout(self.network, elsewhere=elsewhere)
        self.at = self.layout.at

    def write(self) -> None:
        self.input()
        for step in self.network.steps:
            WRITERS[type(step)](self, step)
        last = self.network.last
        if self.whole.logits is None:
            scale = self.whole.scales[last]
            self.call("dequantize", "output", self.at(last), self.size("output_size", last), scale.zero,
                      hexadecimal(np.float32(scale.scale)))  # fmt: skip
        for step in self.whole.tail:
            self.in_float(step)

    def call(self, function: Any, *arguments: Any, comment: str = "") -> None:
        self.source.call(self.source.need(f"int8/{function}"), *arguments, comment=comment)

    def size(self, name: str, value: Any) -> Any:
        self.source.need("float32/sizes")
        return self.source.shape("size", name, h=value.h, w=value.w, c=value.c)[1:]

    def input(self) -> None:
        first = self.network.first
        if first in self.layout.elsewhere:
            return
        where = (self.at(first), "input", self.size("input_size", first))
        if self.whole.bytes_in:
            self.call("channels_last", *where, comment="the input")
        else:
            self.call("quantize", *where, *map(hexadecimal, self.whole.input_line), comment="the input")

    # ---- steps ----

    def product(self, step: Any) -> None:
        source, n, whole = self.source, step.number, self.whole.products[step]
        source.need("int8/conv_shape")
        zeros = dict(zero_in=self.zero(step.x), zero_out=self.zero(step.y) if whole.factor else 0)
        shape = source.shape("conv_shape", f"conv_{n}", **{"in": size_of(step.x)}, out=size_of(step.y),
                             **window_of(step), **zeros)  # fmt: skip
        arrays = [source.array(f"weight_{n}", whole.weight.transpose(0, 2, 3, 1)),
                  source.array(f"bias_{n}", whole.bias)]  # fmt: skip
        if whole.factor is None:
            arrays.append(source.array(f"scale_{n}", whole.scale))
        else:
            arrays.append(source.array(f"multiplier_{n}", whole.factor.multiplier))
            arrays.append(source.array(f"shift_{n}", whole.factor.shift))
        function = "convolve" if whole.factor else "logits"
        self.call(function, shape, self.at(step.y), self.at(step.x), *arrays, comment=step.label)

    def zero(self, value: Any) -> Any:
        return self.whole.scales[value].zero

    def pool(self, step: Any, name: str) -> None:
        self.source.need("int8/pool_shape")
        shape = pool_shape(self.source, step, zero=self.zero(step.x))
        self.call(name, shape, self.at(step.y), self.at(step.x), comment=step.label)

    def elementwise(self, step: Any) -> None:
        table = self.source.array(f"table_{step.number}", self.whole.table(step))
        self.call("look_up", self.at(step.y), self.at(step.x), step.x.elements, table, comment=step.label)

    def add(self, step: Any) -> None:
        times, shift = self.whole.add_factors(step)
        zeros = map(self.zero, (step.x, step.other, step.y))
        self.call("add", self.at(step.y), self.at(step.x), self.at(step.other), step.x.elements, *zeros, *times, shift,
                  comment=step.label)  # fmt: skip

    def flatten(self, step: Any) -> None:
        if self.layout.place[step.y] is not self.layout.place[step.x]:
            size = self.size(f"size_{step.number}", step.x)
            self.call("channels_first", self.at(step.y), self.at(step.x), size, comment=step.label)

    def in_float(self, step: Any) -> None:
        """Activations of the outputs, in place."""
        source, in_place = self.source, ("output", "output")
        if isinstance(step, Elementwise):
            activation = activation_function(source, step.activation, step.number)
            call = source.need("float32/activate"), *in_place, step.x.elements, activation
        else:
            size, name = self.size(f"size_{step.number}", step.x), SOFTMAXES[type(step)]
            call = source.need("float32/over_scores"), source.need(name), *in_place, size, step.axis
        source.call(*call, comment=step.label)


SOFTMAXES: dict[type[Step], str] = {Softmax: "float32/softmax", LogSoftmax: "float32/log_softmax"}


WRITERS: dict[type[Step], Callable[..., None]] = {
    Product: Int8.product,
    MaxPool: lambda writer, step: writer.pool(step, "max_pool"),
    AveragePool: lambda writer, step: writer.pool(step, "average_pool"),
    Elementwise: Int8.elementwise,
    Add: Int8.add,
    Flatten: Int8.flatten,
}
