"""What shape samples have: pictures of any layout, and tables."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .._types import Shape
from ..checks import checked_shape, shown

SIDES = range(8, 65)  # of the square pictures that rows of numbers are taken for
CHANNELS = (1, 3, 4)


def array_of(X: Any) -> Any:
    """X as it is if it has a shape, as a table with names has, or else an array of it."""
    return X if hasattr(X, "shape") else np.asarray(X)


def sample_shape(X: Any, image_shape: Shape | None) -> tuple[int, ...]:
    """(channels, height, width) or (features,) of the samples in X, as `image_shape` says or, if that is None, as X
    looks; ValueError where it may be mistaken."""
    given = tuple(X.shape[1:])
    if image_shape is None:
        return shape_found(given)
    try:
        shape = checked_shape(image_shape if len(image_shape) != 2 else (1, *image_shape))
    except (TypeError, ValueError):
        raise ValueError("image_shape must be (height, width), (channels, height, width), or (features,) for what is "
                         f"no picture, not {shown(image_shape)}") from None  # fmt: skip
    if math.prod(given) != math.prod(shape):
        raise ValueError(f"X has {math.prod(given)} numbers a sample, which is not image_shape {image_shape}")
    return shape


def shape_found(given: Shape) -> tuple[int, ...]:
    """What samples of this shape are, if nobody says."""
    if len(given) == 1:
        side = math.isqrt(given[0])
        return (1, side, side) if side in SIDES and side * side == given[0] else given
    if len(given) == 2:
        return (1, *given)
    first, last = given[0] in CHANNELS, given[-1] in CHANNELS
    if len(given) != 3 or first == last:
        raise ValueError(
            f"X of shape (n, {', '.join(map(str, given))}) may be pictures of (channels, height, width) or of (height, "
            "width, channels), or neither: give image_shape=(channels, height, width)"
        )
    return given if first else (given[-1], *given[:-1])


def as_rows(X: Any, shape: Shape) -> Any:
    """X, of any layout of samples of this shape, as (n, features), channels first; tables as they are."""
    if len(X.shape) <= 2:
        return X
    X = np.asarray(X)
    given, layouts = X.shape[1:], [shape, shape[1:]] if shape[0] == 1 else [shape]
    if len(shape) == 3 and given not in layouts and given == (*shape[1:], shape[0]):
        X = np.moveaxis(X, -1, 1)
    elif len(shape) == 3 and given not in layouts:
        raise ValueError(f"X must have shape (n, {', '.join(map(str, layouts[-1]))}) or {shape} in another layout, "
                         f"not {X.shape}")  # fmt: skip
    return X.reshape(len(X), math.prod(given))
