"""What a network computes when it predicts, as steps from value to value: what C code is written from.

The steps are the nodes of the plan that predicts (nodes.py), with their weights as the kernels see them: a batch norm
behind a convolution is folded into it, unless a pool is between; numbers too small for a normal float32 are zero. A
value is never changed: which ones may share memory is decided in memory.py.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import nodes, operands
from .._native import ActivationKind, Constant
from .._types import Array, Shape
from ..layers.randomness import RANDOM
from ..network import lowered

if TYPE_CHECKING:
    from ..plan import PlanBuilder


PAD = Constant.PAD
CHAIN = 2048  # of csrc/kernels/vectors.h, as are the rules below of csrc/shapes.h
WINOGRAD_CHANNELS = 80
SMALLEST = np.float32(2**-126)  # that is not subnormal
PLAIN = operands.Activation()
RELU = operands.Activation(ActivationKind.RELU)


@dataclass(eq=False)
class Value:
    """What lies between two steps, one sample of it, as [h][w][c]; a flat vector is (1, 1, n)."""

    h: int
    w: int
    c: int

    @property
    def elements(self) -> int:
        return self.h * self.w * self.c

    @property
    def is_flat(self) -> bool:
        return self.h == self.w == 1


@dataclass(eq=False)
class Step:
    """label: the layers that it is, for people; number: the first of them."""

    label: str
    number: int
    x: Value
    y: Value

    @property
    def inputs(self) -> list[Value]:
        return [self.x]


@dataclass(eq=False)
class Product(Step):
    """A convolution with an activation and a max-pool behind it, or a linear layer, which is one of a single pixel.
    weight (k, c / groups, kh, kw); padding (top, bottom, left, right); dots: so many of the last channels are sums over
    lanes (csrc/kernels/dots.h)."""

    weight: np.ndarray
    bias: np.ndarray
    stride: tuple[Any, ...] = (1, 1)
    padding: tuple[Any, ...] = (0, 0, 0, 0)
    dilation: tuple[Any, ...] = (1, 1)
    groups: int = 1
    pool: tuple[Any, ...] = (1, 1)
    activation: operands.Activation = PLAIN
    dots: int = 0

    @property
    def kernel(self) -> Shape:
        return self.weight.shape[2:]

    @property
    def depthwise(self) -> bool:
        return self.groups > 1 and self.groups == self.x.c == self.y.c

    @property
    def winograd(self) -> bool:
        """Is it computed by Winograd's method?"""
        dense = self.stride == self.dilation == (1, 1) and self.groups == 1 and self.pool == (2, 2)
        most = {(3, 3): self.x.c, (5, 5): WINOGRAD_CHANNELS}.get(tuple(self.kernel), 0)
        return dense and PAD <= self.x.c <= most


@dataclass(eq=False)
class Norm(Step):
    """(x - mean) * scale + bias, of each channel."""

    mean: np.ndarray
    scale: np.ndarray
    bias: np.ndarray


@dataclass(eq=False)
class Pool(Step):
    """window: kh, kw, stride_h, stride_w, top, bottom, left, right, dilation_h, dilation_w, does an average count the
    padding."""

    window: list[Any]


class MaxPool(Pool):
    pass


class AveragePool(Pool):
    pass


@dataclass(eq=False)
class Elementwise(Step):
    activation: operands.Activation


@dataclass(eq=False)
class Add(Step):
    other: Value
    activation: operands.Activation = PLAIN

    @property
    def inputs(self) -> list[Value]:
        return [self.x, self.other]


class Flatten(Step):
    """From [h][w][c] to the order c, h, w."""


@dataclass(eq=False)
class Softmax(Step):
    """axis: of (channels, height, width)."""

    axis: int


class LogSoftmax(Softmax):
    pass


@dataclass
class Steps:
    """A network: the first value is made of the caller's numbers (c, h, w) by scale and offset."""

    steps: list[Step]
    scale: float
    offset: float
    first: Value

    @property
    def last(self) -> Any:
        return self.steps[-1].y if self.steps else self.first


def steps_of(network: Any) -> Steps:
    """The steps of a network, in float32."""
    return Reader(network).read()


def flushed(numbers: Array) -> np.ndarray:
    """As float32, without subnormal numbers."""
    numbers = np.asarray(numbers, np.float32)
    return np.where(np.abs(numbers) < SMALLEST, np.float32(0), numbers)


class Reader:
    """Reads the nodes of a builder."""

    network: Any
    builder: PlanBuilder
    ends: dict[int, int]

    def __init__(self, network: Any) -> None:
        self.network, self.builder = network, lowered(network.layers, network.input_shape, inference=True)
        self.value_of: dict[operands.Tensor, Value] = {}
        numbers = sorted({node.layer for node in self.builder.nodes if not isinstance(node, (nodes.Fork, nodes.Add))})
        self.ends = dict(zip(numbers, [*numbers[1:], len(network.leaves)][: len(numbers)], strict=True))

    def read(self) -> Any:
        first = self.value(self.builder.input)
        steps = [step for node in self.builder.nodes for step in self.steps(node)]
        for step in steps:
            if any(not np.isfinite(a).all() for a in vars(step).values() if isinstance(a, np.ndarray)):
                raise ValueError(f"{step.label} cannot be written as C code: it has weights of NaN or infinity")
        return Steps(steps, self.builder.scale, self.builder.offset, first)

    def value(self, tensor: operands.Tensor) -> Any:
        if tensor not in self.value_of:
            g = tensor.geometry
            self.value_of[tensor] = Value(g.h, g.w, g.c)
        return self.value_of[tensor]

    def label(self, node: nodes.Node) -> Any:
        if isinstance(node, nodes.Add):
            return "Residual: + x"
        behind = self.ends[node.layer]
        leaves = self.network.leaves[node.layer : behind]
        return ", ".join(str(leaf) for leaf in leaves if not isinstance(leaf, RANDOM))

    def steps(self, node: nodes.Node) -> list[Step]:
        """Empty where there is nothing to compute; several of a convolution that took in a norm behind its pool."""
        if isinstance(node, nodes.Fork):
            return []
        x = self.value(node.x)
        if isinstance(node, nodes.Copy):
            self.value_of[node.y] = x
            return []
        skip = [self.value(node.skip)] if isinstance(node, nodes.Add) else []
        self.value_of.pop(node.y, None)  # what a node does in place makes a new value
        where = (self.label(node), node.layer, x, self.value(node.y))
        if isinstance(node, nodes.Conv):
            return self.conv(node, where)
        if type(node) not in READERS:
            raise ValueError(f"{where[0]} cannot be written as C code")
        return [READERS[type(node)](self, node, where, *skip)]

    def weights(self, parameters: Any) -> Any:
        """A weight, and a bias, or zeros."""
        arrays = [flushed(p.view(self.network.param)) for p in parameters]
        return (*arrays, np.zeros(len(arrays[0]), np.float32)) if len(arrays) == 1 else tuple(arrays)

    def conv(self, node: nodes.Conv, where: tuple[Any, ...]) -> list[Step]:
        """A product; with a norm behind its pool that, too, and what is behind the norm."""
        weight, bias = self.weights(node.parameters)
        if node.norm:
            _, scale, shift = self.folded(node.norm, bias)
            weight, bias = flushed(weight * scale[:, None, None, None]), shift
        _, kw = node.kernel
        label, number, x, y = where
        few = y.c % PAD
        dots = few if few <= 4 and node.groups == 1 and node.dilation[1] == 1 and kw * node.x.geometry.c >= 32 else 0
        product = Product(label, number, x, y, weight, bias, node.stride, node.x.geometry.border, node.dilation,
                          node.groups, node.pool, node.activation, dots)  # fmt: skip
        if not node.normed:
            return [product]
        pooled, normed = Value(y.h, y.w, y.c), Value(y.h, y.w, y.c)
        plain, layer = node.activation == PLAIN, node.normed.layer
        norm = Norm(label, layer, pooled, y if plain else normed, *self.folded(node.normed, None))
        behind = [] if plain else [Elementwise(label, layer, normed, y, node.activation)]
        return [replace(product, y=pooled, activation=PLAIN), norm, *behind]

    def linear(self, node: nodes.Node, where: tuple[Any, ...]) -> Any:
        weight, bias = self.weights(node.parameters)
        dots = where[3].c if isinstance(node, nodes.SmallLinear) else 0
        return Product(*where, weight[:, :, None, None], bias, dots=dots)

    def norm(self, node: nodes.Node, where: tuple[Any, ...]) -> Any:
        return Norm(*where, *self.folded(node, None))

    def folded(self, norm: Any, conv_bias: Any) -> Any:
        """mean, scale, and the bias; behind a convolution what it adds in the end (csrc/kernels/moments.h)."""
        mean, variance, *_ = (
            flushed(p.view(self.network.param))
            for p in self.network.parameters
            if p.layer == norm.layer and not p.trained
        )
        inverse = flushed(np.float32(1) / np.sqrt(variance + np.float32(norm.epsilon)))
        weight, bias = self.weights(norm.parameters) if norm.parameters else (None, np.zeros_like(mean))
        scale = inverse if weight is None else flushed(inverse * weight)
        if conv_bias is not None:
            bias = flushed(flushed((conv_bias - mean) * scale) + bias)
        return mean, scale, bias


READERS: dict[type[nodes.Node], Callable[..., Step]] = {
    nodes.SmallLinear: Reader.linear,
    nodes.LargeLinear: Reader.linear,
    nodes.SparseLinear: Reader.linear,
    nodes.FoldedNorm: Reader.norm,
    nodes.MaxPool: lambda reader, node, where: MaxPool(*where, node.window),
    nodes.AveragePool: lambda reader, node, where: AveragePool(*where, node.window),
    nodes.Elementwise: lambda reader, node, where: Elementwise(*where, node.activation),
    nodes.Add: lambda reader, node, where, skip: Add(*where, skip),
    nodes.Flatten: lambda reader, node, where: Flatten(*where),
    nodes.Softmax: lambda reader, node, where: Softmax(*where, node.axis),
    nodes.LogSoftmax: lambda reader, node, where: LogSoftmax(*where, node.axis),
}
