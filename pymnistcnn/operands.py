"""What the ops of a plan work on, before it has memory.

    Parameter     where a weight lies in the model's flat vector, and its public face
    Tensor        a value between nodes; its Geometry has the border that its consumer wants
    PlannedOp     an op with what it refers to, and its shape

Fields of shapes are in the order of the structs in csrc/shapes.h; references are in the order of the records in
csrc/operations.c, which also know how large they are.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from . import _native
from ._native import FROM_Y, MONOTONE, ActivationKind, Arena, Constant, Op
from ._types import Array

# ---- parameters ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Parameter:
    """A weight, bias or buffer: `shape` is the public one; there are `elements` from `offset` on, padding included.
    A buffer (running statistics) is not `trained`: the forward pass moves it, no optimizer does."""

    layer: int
    name: str
    shape: tuple[int, ...]
    elements: int
    offset: int
    trained: bool = True

    def padded(self, flat: np.ndarray) -> np.ndarray:
        """All of the parameter's elements of a flat vector."""
        return flat[self.offset : self.offset + self.elements]

    def view(self, flat: np.ndarray) -> np.ndarray:
        """The parameter in its public shape: a view into the flat vector `flat`."""
        elements = self.padded(flat)
        return elements[: self.shape[0]] if self.shape else elements[0, ...]


class PlainWeight(Parameter):
    """In memory as in public."""

    def view(self, flat: Array) -> Array:
        return self.padded(flat)[: math.prod(self.shape)].reshape(self.shape)


class ConvWeight(Parameter):
    """Public (k, c/groups, kh, kw); in memory [k][kh][kw * c/groups, padded]."""

    def view(self, flat: Array) -> Array:
        k, c, kh, kw = self.shape
        return self.padded(flat).reshape(k, kh, -1)[:, :, : kw * c].reshape(k, kh, kw, c).transpose(0, 3, 1, 2)


class SmallLinearWeight(Parameter):
    """Public (out, in); in memory [out][in, padded]."""

    def view(self, flat: Array) -> Array:
        return self.padded(flat).reshape(self.shape[0], -1)[:, : self.shape[1]]


class LargeLinearWeight(Parameter):
    """Public (out, in); in memory [in][pmc_linear_pitch, out and padding]."""

    def view(self, flat: Array) -> Array:
        return self.padded(flat).reshape(self.shape[1], -1)[:, : self.shape[0]].T


# ---- what ops refer to --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Gradient:
    """A parameter's gradient, which lies where the parameter does, in a vector of its own."""

    parameter: Parameter


@dataclass(eq=False)
class ShardGradient:
    """A parameter's gradient, once a shard."""

    parameter: Parameter


@dataclass(frozen=True)
class WholeGradient:
    """The gradients of all parameters."""

    gradients: tuple[Gradient, ...]


class Buffer:
    """Memory for every sample in flight. Where it lies follows from who uses it; see placing.py."""

    arena: Arena = Arena.NOWHERE
    offset: int = 0


@dataclass(frozen=True)
class Packed:
    """What is derived from weights or statistics, in PACK; equal ones are one."""

    name: str
    layer: int


@dataclass(frozen=True)
class Row:
    """A row of batch norm's statistics, such as NORM_SCALE."""

    packed: Packed
    number: int


SCRATCH = object()  # a kernel's workspace on one thread; all kernels share one


class Geometry:
    """Height, width, channels and zero border (top, bottom, left, right); a flat vector is (1, 1, n)."""

    border: tuple[int, ...]
    c: int
    h: int
    w: int

    def __init__(self, h: int, w: int, c: int) -> None:
        self.h, self.w, self.c, self.border = h, w, c, (0, 0, 0, 0)

    @property
    def words(self) -> list[int]:
        return [self.h, self.w, self.c, *self.border]

    @property
    def elements(self) -> int:
        return self.h * self.w * self.c


class Tensor:
    """A value and its gradient, which ops in place share. `kept`: a backward pass needs the value again, so nobody
    may overwrite it."""

    geometry: Geometry
    gradient: Buffer
    kept: bool
    value: Buffer

    def __init__(self, geometry: Geometry, kept: bool = False, gradient: Buffer | None = None) -> None:
        self.geometry, self.kept = geometry, kept
        self.value = Buffer()
        self.gradient = gradient or Buffer()


class Activation(NamedTuple):
    """Which activation, and its numbers: see pmc_activation."""

    kind: ActivationKind = ActivationKind.IDENTITY
    alpha: float = 0.0
    threshold: float = 0.0

    @property
    def words(self) -> list[Any]:
        return [self.kind, real_word(self.alpha), real_word(self.threshold)]

    @property
    def from_y(self) -> bool:
        """Is the gradient computed from the output, or else from the input?"""
        return self.kind in FROM_Y

    def in_block(self, inference: bool) -> bool:
        """May a convolution block take it in?"""
        return self.kind in MONOTONE and (inference or self.from_y)

    @property
    def in_argmax(self) -> bool:
        """Does the block's argmax say all that the gradient needs to know?"""
        return self.kind in (ActivationKind.IDENTITY, ActivationKind.RELU)


@dataclass
class PlannedOp:
    kind: Op
    layer: int
    refs: list[Any]
    shape: list[Any] = field(default_factory=list)

    @property
    def record(self) -> Any:
        return _native.OPERATIONS[self.kind]

    @property
    def words(self) -> list[Any]:
        """The words of a pmc_op whose references have no place yet."""
        shape = [*self.shape, *[0] * (Constant.FIELDS - len(self.shape))]
        return [self.kind, self.layer, *[0] * (2 * Constant.REFS), *shape]

    @property
    def elements(self) -> list[int]:
        """How many numbers each of the references holds that there is one of, whatever their dtype."""
        sizes = dict(dtype=1, microbatch=1)
        return [int(whole) // 8 for _, whole in _native.extents([self.words], sizes)[0]]


def real_word(value: float) -> int:
    """A double as the 64 bits that a struct of int64 fields carries."""
    return int(np.float64(value).view(np.int64))
