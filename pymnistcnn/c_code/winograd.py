"""Filters at the points of Winograd's method, as csrc/kernels/winograd.h computes them."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._types import Array
from .steps import flushed

A, B = np.float32(1.5), np.float32(2.0 / 3)
AA, BB = np.float32(2.25), np.float32(4.0 / 9)
OVER_A = np.float32(1 / (2 * 2.25 * (2.25 - 4.0 / 9)))
OVER_B = np.float32(1 / (2 * 4.0 / 9 * (4.0 / 9 - 2.25)))


def points_of(weight: Array) -> np.ndarray:
    """(k, side * side, c) of filters (k, c, taps, taps)."""
    rows = np.stack(taps_to_points([weight[..., j] for j in range(weight.shape[3])]), -1)
    both = np.stack(taps_to_points([rows[:, :, i] for i in range(weight.shape[2])]), 2)
    k, c, side, _ = both.shape
    return flushed(both.reshape(k, c, side * side).transpose(0, 2, 1))


def taps_to_points(g: Any) -> Any:
    """The values of a polynomial at the points, from its 3 or 5 coefficients."""
    if len(g) == 3:
        even, odd = (g[0] + g[2]) * np.float32(0.5), g[1] * np.float32(0.5)
        return [g[0], even + odd, even - odd, g[2]]
    even_a, odd_a = (AA * (AA * g[4] + g[2]) + g[0]) * OVER_A, (AA * g[3] + g[1]) * np.float32(A * OVER_A)
    even_b, odd_b = (BB * (BB * g[4] + g[2]) + g[0]) * OVER_B, (BB * g[3] + g[1]) * np.float32(B * OVER_B)
    return [g[0], even_a + odd_a, even_a - odd_a, even_b + odd_b, even_b - odd_b, g[4]]
