"""Checks of arguments. Each gives the value in the type that is computed with, or raises a ValueError that says what
was expected and what was given. Numbers may be Python's or NumPy's."""

from __future__ import annotations

import math
import os
import reprlib
from collections.abc import Callable
from numbers import Integral, Real
from typing import Any

import numpy as np

from ._types import Array, ArrayLike, DTypeLike, Shape, StrPath

DTYPES = ("float32", "float64")
INT_MAX = 2**31 - 1


class Shown(reprlib.Repr):
    """`repr` for messages: short, whatever it is given, and of an array what kind it is."""

    def __init__(self) -> None:
        super().__init__()
        self.maxstring = self.maxother = self.maxlong = 120  # characters

    def repr_ndarray(self, value: Any, level: int) -> Any:
        return f"an array of {value.dtype} {value.shape}" if value.ndim else self.repr_instance(value, level)


shown: Callable[[object], str] = Shown().repr


def names_in(names: Array | list[str]) -> str:
    """Some names or numbers in a message, the first few of them."""
    names = [str(name) if isinstance(name, (int, np.integer)) else shown(name) for name in names]
    return ", ".join(names[:5]) + f" and {len(names) - 5} more" * (len(names) > 5)


def whole(name: str, value: int, low: int = 1, high: int = INT_MAX) -> int:
    """A whole number from `low` to `high`."""
    if type(value) is int:  # asking an abstract class takes a part of what a prediction does
        given = value
    else:
        given = int(value) if isinstance(value, Integral) and not isinstance(value, bool) else low - 1
    if not low <= given <= high:
        most = f"2**{high.bit_length()} - 1" if high >= INT_MAX else high
        limits = f"from {low} on" if high >= INT_MAX and given < low else f"from {low} to {most}"
        raise ValueError(f"{name} must be a whole number {limits}, not {shown(value)}")
    return given


def pair(name: str, value: int | tuple[int, ...], low: int = 1) -> tuple[int, ...]:
    """A whole number, alone or in a tuple, or two: (vertical, horizontal)."""
    if isinstance(value, (tuple, list)):
        if len(value) not in (1, 2):
            raise ValueError(f"{name} must be a number or (vertical, horizontal), not {shown(value)}")
        return tuple(whole(name, v, low) for v in value) * (2 // len(value))
    return (whole(name, value, low),) * 2


def border(name: str, value: int | tuple[int, ...]) -> tuple[int, ...]:
    """Whole numbers from 0 on around a picture: one, (vertical, horizontal) or (top, bottom, left, right)."""
    if isinstance(value, (tuple, list)) and len(value) == 4:
        return tuple(whole(name, v, 0) for v in value)
    return pair(name, value, 0)


def sides_of(padding: tuple[int, ...]) -> tuple[int, ...]:
    """(top, bottom, left, right) of a border."""
    return padding if len(padding) == 4 else (padding[0],) * 2 + (padding[1],) * 2


def number(
    name: str,
    value: float,
    low: float = -math.inf,
    high: float = math.inf,
    *,
    open_low: bool = False,
    open_high: bool = False,
) -> float:
    """A finite number from `low` to `high`, one of which may be excluded."""
    try:
        given = float(value) if isinstance(value, Real) and not isinstance(value, bool) else math.nan
    except OverflowError:
        given = math.inf
    above, below = given > low or (given == low and not open_low), given < high or (given == high and not open_high)
    if above and below and math.isfinite(given):
        return given
    if high < math.inf:
        least, most = (f"{end:.15g}{' (excluded)' * is_open}" for end, is_open in ((low, open_low), (high, open_high)))
        expected = f"a number from {least} to {most}"
    elif low > -math.inf:
        expected = f"a finite number above {low:.15g}" if open_low else f"a finite number from {low:.15g} on"
    else:
        expected = "a finite number"
    raise ValueError(f"{name} must be {expected}, not {shown(value)}")


def range_of(name: str, value: Any, low: float = -math.inf, high: float = math.inf) -> tuple[float, float]:
    """A finite number, which is both ends, or (least, most)."""
    if not isinstance(value, (tuple, list)):
        return (number(name, value, low, high),) * 2
    if len(value) != 2:
        raise ValueError(f"{name} must be a number or (least, most), not {shown(value)}")
    least, most = (number(name, end, low, high) for end in value)
    if least > most:
        raise ValueError(f"{name} must be (least, most), in this order, not {shown(value)}")
    return least, most


def yes_or_no(name: str, value: bool) -> bool:
    if not isinstance(value, (bool, np.bool_)):
        raise ValueError(f"{name} must be True or False, not {shown(value)}")
    return bool(value)


def instance(name: str, value: Any, kind: tuple[type[Any], type[Any]] | type[Any], expected: str) -> Any:
    """An object of this class; `expected` says so, with an example."""
    if not isinstance(value, kind):
        raise ValueError(f"{name} must be {expected}, not {shown(value)}")
    return value


def check_fields(owner: Any, check: Callable[..., Any], *names: Any, **limits: Any) -> None:
    """Make fields of a dataclass, which may be frozen, what a check gives for them."""
    for name in names:
        checked = check(f"{name} of {type(owner).__name__}", getattr(owner, name), **limits)
        object.__setattr__(owner, name, checked)


def checked_path(name: str, path: StrPath) -> str:
    return os.fspath(instance(name, path, (str, os.PathLike), "the path of a file"))


def checked_seed(seed: int) -> int:
    return whole("seed", seed, 0, 2**64 - 1)


def checked_dtype(dtype: DTypeLike) -> np.dtype:
    try:
        name = None if dtype is None else np.dtype(dtype).name
    except (TypeError, ValueError):
        name = None
    if name not in DTYPES:
        raise ValueError(f"dtype must be float32 or float64, not {shown(dtype)}")
    return np.dtype(name)


def checked_shape(shape: Shape) -> tuple[int, ...]:
    """(c, h, w) or (n,) of positive whole numbers."""
    try:
        given = tuple(int(n) for n in shape)
        same = all(a == b for a, b in zip(given, shape, strict=True))
    except (TypeError, ValueError, OverflowError):
        given, same = (), False
    if not same or len(given) not in (1, 3) or min(given) < 1 or max(given) > INT_MAX:
        raise ValueError(f"input_shape must be (channels, height, width) or (features,), not {shown(shape)}")
    return given


def smallest_side(shape: Shape, recipe: str) -> int:
    """Of pictures (channels, height, width) for a recipe."""
    side = min(shape[1:])
    if side < 8:
        raise ValueError(f"{recipe} takes pictures of at least 8x8, or (features,), not {tuple(shape)}")
    return side


def checked_weights(name: str, weights: ArrayLike, shape: Shape) -> np.ndarray:
    """Numbers from 0 on, as float64 of this shape."""
    weights = np.asarray(weights)
    if weights.shape != shape or weights.dtype.kind not in "buif":
        raise ValueError(f"{name} must be numbers of shape {shape}, not {weights.dtype} of {weights.shape}")
    weights = np.ascontiguousarray(weights, np.float64)
    if not (weights >= 0).all() or not np.isfinite(weights).all():
        raise ValueError(f"{name} must be finite and not negative")
    return weights


def exact_cast(array: np.ndarray, dtype: DTypeLike, name: str) -> np.ndarray:
    """`array` as a C-contiguous, aligned, native array of `dtype`; ValueError where a value would not survive."""
    dtype = np.dtype(dtype)
    if array.dtype == dtype:
        fits = array.flags.c_contiguous and array.flags.aligned
        return array if fits else np.require(array, requirements=["C", "ALIGNED"])
    if array.dtype.kind not in "buif":
        raise ValueError(f"{name} must be numbers, not {array.dtype}")
    with np.errstate(over="ignore", invalid="ignore"):
        cast = np.asarray(array, dtype, order="C")
        if dtype.kind == "f" and array.dtype.kind == "f":  # rounding is fine, becoming infinite is not
            survived = np.array_equal(np.isfinite(cast), np.isfinite(array))
        else:
            survived = np.array_equal(cast.astype(array.dtype), array) and np.array_equal(cast < 0, array < 0)
    if not survived:
        raise ValueError(f"{name} of {array.dtype} hold values that {dtype.name} cannot")
    return cast
