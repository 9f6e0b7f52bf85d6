"""Layers without weights that pictures begin and end with: rescaling and flattening."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from .._types import Shape
from ..checks import number
from .base import Layer

__all__ = [
    "Flatten",
    "Rescaling",
]


@dataclass(eq=False, repr=False)
class Rescaling(Layer):
    """y = x * scale + offset, saved with the model; must come first. Pixels 0-255 go through a table.

    Examples
    --------
    >>> import numpy as np, pymnistcnn as pm
    >>> pm.Rescaling(1 / 255).forward(np.array([[0, 255]], np.uint8))
    array([[0., 1.]], dtype=float32)
    """

    scale: float
    offset: float = 0.0
    in_pytorch = False

    def __post_init__(self) -> None:
        self.scale, self.offset = number("scale", self.scale), number("offset", self.offset)

    def lower(self, builder: Any) -> None:
        builder.rescale(self.scale, self.offset)


@dataclass(eq=False, repr=False)
class Flatten(Layer):
    """(c, h, w) to (c * h * w,), in that order.

    Examples
    --------
    >>> import numpy as np, pymnistcnn as pm
    >>> pm.Flatten().forward(np.zeros((2, 32, 3, 3), np.float32)).shape
    (2, 288)
    """

    def output_shape(self, shape: Shape) -> tuple[int, ...]:
        return (math.prod(shape),)

    def lower(self, builder: Any) -> None:
        builder.flatten()
