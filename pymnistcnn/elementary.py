"""Powers and cosines on the way to weights, by the C library: NumPy's own have other bits on other processors."""

from __future__ import annotations

import math

import numpy as np

from ._types import Array, ArrayLike


def powers(base: float, exponents: ArrayLike) -> Array:
    """`base ** exponent` of each: float64; where it is too large, infinity."""
    return np.array([_power(base, exponent) for exponent in np.asarray(exponents, np.float64).tolist()], np.float64)


def cosines(angles: Array) -> Array:
    """The cosine of each angle, in radians: float64."""
    return np.array([math.cos(angle) for angle in angles.tolist()], np.float64)


def _power(base: float, exponent: float) -> float:
    try:
        return math.pow(base, exponent)
    except OverflowError:
        return math.inf
