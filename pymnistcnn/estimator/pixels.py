"""Pixels of any range as a recipe's Rescaling takes them."""

from __future__ import annotations

from typing import Self

import numpy as np

from .._types import Array
from ..mismatch import tell

SEVERAL = 10  # pictures that are all dark are no accident
HIGHEST = (1, 16, 255, 65535)  # of the ranges that pixels usually have


class Pixels:
    """`partial_fit` learns the range (low, high) of pixels from rows, those of weight 0 left out; `transform` makes
    0 to 255 of it."""

    smallest: float
    largest: float

    def __init__(self) -> None:
        self.smallest, self.largest = 0, 0

    @property
    def range_(self) -> tuple[float, float]:
        return range_of(self.smallest, self.largest)

    def partial_fit(self, rows: Array, sample_weight: Array | None = None) -> Self:
        seen = rows if sample_weight is None else rows[sample_weight > 0]
        if seen.size:
            self.smallest = min(self.smallest, float(seen.min()))
            self.largest = max(self.largest, float(seen.max()))
        return self

    def transform(self, rows: Array) -> np.ndarray:
        low, high = self.range_
        if high >= HIGHEST[1] and len(rows) >= SEVERAL and 0 < rows.max() <= HIGHEST[0]:
            found = f"from {rows.min():g} to {rows.max():g}"
            tell(self, f"X is {found}, but was from {low:g} to {high:g} in fit: scale it so")
        if (low, high) == (0, 255):
            return rows
        exact = rows.astype(np.float32) if rows.dtype == np.float16 else rows
        return (exact - float(low)) * (255 / (high - low))


def range_of(smallest: float, largest: float) -> tuple[float, float]:
    """From 0 to 1, 16, 255 or 65535 where the largest number is in the upper half of that and none is negative; else
    from the smallest, or 0, to the largest."""
    if smallest == 0:
        for high in HIGHEST:
            if high / 2 < largest <= high:
                return 0, high
    return smallest, largest if largest > smallest else smallest + 1
