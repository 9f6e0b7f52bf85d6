"""Many small pictures on one Axes: each has a place of width 1, row 0 is the uppermost."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from .._types import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SIZE = 0.92  # of a picture, in its place


def draw_tile(ax: Axes, pixels: Array, column: float, row: float, **how: Any) -> None:
    """One picture (h, w) or (h, w, 3), its upper left corner there, its longer side of SIZE."""
    height, width = (SIZE * n / max(pixels.shape[:2]) for n in pixels.shape[:2])
    extent = (column, column + width, row + height, row)
    ax.imshow(pixels, extent=extent, interpolation="nearest", **how)


def montage(tiles: Array, columns: int) -> np.ma.MaskedArray:
    """Pictures (n, h, w) or (n, h, w, 3) in rows of so many, as one, with nothing (masked) between them."""
    n, height, width = tiles.shape[:3]
    rows = -(-n // columns)
    gap = max(1, round((1 - SIZE) * max(height, width)))
    shape = (rows * (height + gap) - gap, columns * (width + gap) - gap, *tiles.shape[3:])
    whole = np.ma.array(np.zeros(shape), mask=True)  # what is masked is computed with, too
    for place, tile in enumerate(tiles):
        top, left = (height + gap) * (place // columns), (width + gap) * (place % columns)
        whole[top : top + height, left : left + width] = tile
    return whole


def columns_for(n: int) -> int:
    """How many pictures to put in a row, so that n of them are about twice as wide as high, and fill their rows."""
    least = math.ceil(math.sqrt(2 * n))
    return next((columns for columns in range(least, 2 * least) if n % columns == 0), least)


def fit(ax: Axes, columns: float, rows: float) -> None:
    """Show so many places."""
    ax.set_xlim(0, columns - (1 - SIZE))
    ax.set_ylim(rows, 0)
    ax.set_aspect("equal")
