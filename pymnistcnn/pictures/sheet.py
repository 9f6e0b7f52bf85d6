"""The sheet of paper that a photograph shows, where there is more than that to be seen."""

from __future__ import annotations

import numpy as np

from .._types import Array
from .parts import best_threshold, grown, parts_of

__all__ = ["on_the_sheet"]

WIDE = 0.4  # of the picture's sides: a sheet's least share
FULL = 0.7  # of the box around it, and of all that is light: a sheet's least share
SHADOW = 0.4  # of the sheet's light: what is darker is no shadow on it
EDGE = 0.01  # of the longer side: how far into the sheet its edge may look dark


def on_the_sheet(greys: Array) -> np.ndarray:
    """The greys (h, w) of the part where a light sheet lies on something dark, which is made as light as the sheet; or
    the whole picture, where there is no such sheet."""
    least, largest = float(greys.min()), float(greys.max())
    if largest == least:
        return greys
    light = greys > least + best_threshold((greys - least) / (largest - least)) * (largest - least)
    labels, parts = parts_of(greys, light)
    sheet = max(parts, key=lambda part: part.ink)
    box = slice(sheet.top, sheet.bottom), slice(sheet.left, sheet.right)
    sides = [sheet.top == 0, sheet.left == 0, sheet.bottom == len(greys), sheet.right == len(greys[0])]
    inside = labels[box] == sheet.labels[0]
    wide = min(size / whole for size, whole in zip(inside.shape, greys.shape, strict=True)) >= WIDE
    dark = np.median(greys[~light]) < SHADOW * np.median(greys[light])
    if sum(sides) > 2 or not dark or not wide or min(inside.mean(), inside.sum() / light.sum()) < FULL:
        return greys
    labels, parts = parts_of(greys[box], ~inside)
    around = [label for part in parts if part.touches(inside.shape) for label in part.labels]
    outside = grown(np.isin(labels, around), max(1, round(EDGE * max(greys.shape))))
    return np.where(outside, np.median(greys[box][inside]), greys[box]).astype(np.float32)
