"""Powers and cosines on the way to weights, by the C library: NumPy's own have other bits on other processors."""

from __future__ import annotations

import math

import numpy as np

from ._types import Array, ArrayLike


def powers(bases: ArrayLike, exponents: ArrayLike) -> Array:
    """`base ** exponent` of each, as they broadcast: float64 (n,); where it is too large, infinity."""
    pairs = np.broadcast(np.asarray(bases, np.float64), np.asarray(exponents, np.float64))
    return np.array([_power(float(base), float(exponent)) for base, exponent in pairs], np.float64)


def cosines(angles: Array) -> Array:
    """The cosine of each angle, in radians: float64."""
    return np.array([math.cos(angle) for angle in angles.tolist()], np.float64)


def _power(base: float, exponent: float) -> float:
    try:
        return math.pow(base, exponent)
    except OverflowError:
        return math.inf
