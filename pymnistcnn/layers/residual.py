"""A block whose input is added to its output."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .._types import Shape
from ..checks import instance
from ..network import lower_all, shapes_through
from .base import Layer
from .products import Conv2d, Linear

__all__ = ["Residual"]


@dataclass(eq=False, repr=False)
class Residual(Layer):
    """y = x + f(x), f being layers one after the other (He, Zhang, Ren and Sun, 2016). Where f changes the shape,
    y = projection(x) + f(x).

    Parameters
    ----------
    layers : list of Layer, each new
    projection : a layer from the shape of x to that of f(x). If not given, and the shapes differ, it is a 1x1
        convolution with a stride, or a linear layer, both without bias; ValueError if there is none that fits

    Parameters by name: those of `layers` as "layers.0.weight" and so on, as PyTorch names a module's Sequential
    `layers`, and "projection.weight".

    Examples
    --------
    >>> import numpy as np, pymnistcnn as pm
    >>> block = pm.Residual([pm.Conv2d(8, 3, padding=1), pm.BatchNorm2d(), pm.ReLU(), pm.Conv2d(8, 3, padding=1)])
    >>> block.forward(np.zeros((2, 8, 14, 14), np.float32)).shape
    (2, 8, 14, 14)
    >>> sorted(block.parameters)[:2]
    ['layers.0.bias', 'layers.0.weight']
    """

    layers: list[Layer]
    projection: Layer | None = None

    def __post_init__(self) -> None:
        self.layers = list(self.layers)
        for layer in self.layers:
            instance("layers", layer, Layer, "layers, such as pm.Linear(10)")
        if not self.layers:
            raise ValueError("a residual block needs at least one layer")
        if self.projection is not None:
            instance("projection", self.projection, Layer, "a layer, such as pm.Conv2d(16, 1, stride=2)")
        self._made = None  # the projection, if it was not given and there must be one

    @property
    def _projection(self) -> Any:
        return self.projection or self._made

    def output_shape(self, shape: Shape) -> tuple[int, ...]:
        after = shapes_through(self.layers, shape)[-1]
        made = None if self.projection is not None or after == shape else projection_between(shape, after)
        if repr(made) != repr(self._made):
            self._made = made
        if self._projection is not None and (there := self._projection.output_shape(shape)) != after:
            raise ValueError(f"a residual block's projection of {shape} gives {there}, its layers {after}")
        return after

    @property
    def in_python(self) -> bool:
        """Is a layer in Python inside?"""
        return any(leaf.in_python for _, leaf in self.leaves())

    def ways(self) -> tuple[list[Layer], list[Layer]]:
        return self.layers, [] if self._projection is None else [self._projection]

    def leaves(self) -> list[Any]:
        inside = [(f"layers.{name}", leaf) for name, leaf in named_leaves(self.layers)]
        if self._projection is not None:
            inside += [("projection" + f".{name}" * bool(name), leaf) for name, leaf in self._projection.leaves()]
        return inside

    def inside(self, shape: Shape) -> list[tuple[Layer, Shape]]:
        parts = list(zip(self.layers, shapes_through(self.layers, shape), strict=False))
        return parts + [(self._projection, shape)] * (self._projection is not None)

    def lower(self, builder: Any) -> None:
        self.output_shape(builder.shape)
        fork = builder.fork()
        builder.layer = lower_all(self.layers, builder, builder.layer)
        builder.join(fork, self._projection)

    def multiply_adds(self, shape: Shape) -> int:
        return sum(layer.multiply_adds(before) for layer, before in self.inside(shape))

    def work(self, shape: Shape) -> int:
        return sum(layer.work(before) for layer, before in self.inside(shape))


def named_leaves(layers: Any) -> list[tuple[str, Layer]]:
    """What layers one after the other hold, by PyTorch's names; layers that PyTorch has not do not count."""
    counts = np.cumsum([layer.in_pytorch for layer in layers], dtype=int) - 1
    parts = zip(counts, layers, strict=True)
    return [(f"{count}" + f".{name}" * bool(name), leaf) for count, layer in parts for name, leaf in layer.leaves()]


def projection_between(shape: Shape, after: bool) -> Layer:
    """The simplest layer from samples of one shape to those of another."""
    if len(shape) == len(after) == 1:
        return Linear(after[0], bias=False)
    if len(shape) == len(after) == 3:
        stride = tuple(-(-n // m) for n, m in zip(shape[1:], after[1:], strict=True))
        layer = Conv2d(after[0], 1, stride=stride, bias=False)
        if layer.output_shape(shape) == after:
            return layer
    raise ValueError(f"no projection leads from {shape} to {after}: give one, or use padding in the block")
