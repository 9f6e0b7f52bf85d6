"""Which ink belongs to which digit: lines, frames and specks left out, pieces of broken strokes together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from .._types import Array, Shape

__all__ = ["digits_in"]

FRAME = 0.03  # of the picture's longer side: the thickest line along its border that is no stroke
PLAIN = 0.08  # of the picture's longer side: the smallest digit that outweighs what touches the border
FLAT = 3  # times as wide as high: a line
CUT = 0.2  # of the picture's side: the smallest digit that the border may touch
ACROSS = 0.95  # of the picture's side: what is longer, and touches the border, goes from side to side
FILLED = 0.5  # of the picture's other side: what is as wide is no edge, but a digit that was cut out closely
BOLD = 0.12  # of the box around such a digit: ink, at least
FAINT = 0.12  # ink beside a stroke that still counts
SPECK = 0.4  # of the largest part's longer side: smaller ones are no digits of their own, but may be a piece of one
NEAR = 0.15  # of the same: how far away a piece may be


@dataclass
class Part:
    """Pixels that hang together: rows and columns of the box around them, and how much ink there is."""

    top: int
    bottom: int
    left: int
    right: int
    ink: float
    labels: list[int]

    @property
    def side(self) -> int:
        return max(self.bottom - self.top, self.right - self.left)

    def touches(self, shape: Shape) -> bool:
        return self.top == 0 or self.left == 0 or self.bottom == shape[0] or self.right == shape[1]

    def gap(self, other: Part) -> tuple[int, int]:
        """Pixels between two boxes, vertically and horizontally; less than 0 where they overlap."""
        return (
            max(self.top, other.top) - min(self.bottom, other.bottom),
            max(self.left, other.left) - min(self.right, other.right),
        )

    def take(self, other: Part) -> None:
        self.top, self.bottom = min(self.top, other.top), max(self.bottom, other.bottom)
        self.left, self.right = min(self.left, other.left), max(self.right, other.right)
        self.ink += other.ink
        self.labels += other.labels


class Found(NamedTuple):
    """A digit: where the box around it begins, and the ink (h, w) in it."""

    top: int
    left: int
    ink: np.ndarray

    def is_inside(self, shape: Shape) -> bool:
        """Is there page on all sides of it?"""
        height, width = self.ink.shape
        return min(self.top, self.left, shape[0] - self.top - height, shape[1] - self.left - width) > 0

    def may_be_digit(self, shape: Shape) -> bool:
        """Not as flat as a line; and, at the border, no line or edge from side to side, and no corner of a shadow."""
        height, width = self.ink.shape
        less, more = sorted((height / shape[0], width / shape[1]))
        across = more > ACROSS and (less < FILLED or np.mean(self.ink > 0.5) < BOLD)
        return width < FLAT * height and (self.is_inside(shape) or (more > CUT and not across))


def digits_in(ink: Array) -> list[Found]:
    """The digits in a picture's ink (h, w), in reading order."""
    ink = without_frame(ink)
    labels, parts = parts_of(ink, strokes_in(ink))
    inside = [part for part in parts if not part.touches(ink.shape)]
    if any(part.side >= PLAIN * max(ink.shape) for part in inside):
        parts = inside
    found = []
    for part in in_reading_order(put_together(parts)):
        box = slice(part.top, part.bottom), slice(part.left, part.right)
        found.append(Found(part.top, part.left, np.where(np.isin(labels[box], part.labels), ink[box], 0)))
    return found


def without_frame(ink: Array) -> np.ndarray:
    """The ink, less thin lines that run along a whole side of the picture."""
    ink, most = ink.copy(), max(1, round(FRAME * max(ink.shape)))
    for turned in (ink, ink[::-1], ink.T, ink.T[::-1]):  # views: what is cleared here is cleared there
        full = (turned[: most + 1] > 0.5).mean(axis=1) > 0.8
        if full.any() and not full[-1]:
            last = int(np.flatnonzero(full)[-1])
            turned[: min(last + 2, most + 1)] = 0  # and its soft edge
    return ink


def strokes_in(ink: Array) -> np.ndarray:
    """Where (h, w) there are strokes: what is dark for this picture, and what is fainter right beside it."""
    seen = ink[ink > FAINT]
    if not len(seen):
        return np.zeros(ink.shape, bool)
    strokes = ink > np.clip(best_threshold(seen), 0.3, 0.8)
    return grown(strokes, max(1, round(max(ink.shape) / 40))) & (ink > FAINT)


def best_threshold(values: Array) -> float:
    """Between two kinds of values, where their variances within are least (Otsu, 1979)."""
    counts, edges = np.histogram(values, 64, (0, 1))
    middles = (edges[:-1] + edges[1:]) / 2
    below, sums = np.cumsum(counts), np.cumsum(counts * middles)
    above = below[-1] - below
    with np.errstate(divide="ignore", invalid="ignore"):
        between = below * above * (sums / below - (sums[-1] - sums) / above) ** 2
    return float(edges[1:][np.nanargmax(np.where(above > 0, between, np.nan))]) if (above * below).any() else 0.5


def grown(mask: Array, pixels: int) -> np.ndarray:
    """The mask and the pixels around it."""
    for _ in range(pixels):
        wider = mask.copy()
        wider[1:] |= mask[:-1]
        wider[:-1] |= mask[1:]
        mask = wider.copy()
        mask[:, 1:] |= wider[:, :-1]
        mask[:, :-1] |= wider[:, 1:]
    return mask


def parts_of(ink: Array, mask: Array) -> tuple[Array, list[Part]]:
    """A label (h, w) for every pixel of the mask, 0 elsewhere, and the parts, pixels touching at corners, too."""
    labels, joined, above = np.zeros(mask.shape, np.int32), [0], []
    edges = np.diff(np.pad(mask, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    begins, ends = np.nonzero(edges == 1), np.nonzero(edges == -1)
    rows = np.searchsorted(begins[0], np.arange(len(mask) + 1))

    def root(label):
        while joined[label] != label:
            joined[label] = joined[joined[label]]
            label = joined[label]
        return label

    for y in range(len(mask)):
        here = []
        for begin, end in zip(begins[1][rows[y] : rows[y + 1]], ends[1][rows[y] : rows[y + 1]], strict=True):
            over = {root(label) for first, last, label in above if first <= end and last >= begin}
            label = min(over, default=len(joined))
            if not over:
                joined.append(label)
            for other in over:
                joined[other] = label
            labels[y, begin:end] = label
            here.append((begin, end, label))
        above = here
    roots = np.array([root(label) for label in range(len(joined))])
    return (labels := roots[labels]), [part_of(ink, labels, label) for label in np.unique(roots[1:])]


def part_of(ink: Array, labels: Array, label: int) -> Part:
    mine = labels == label
    rows, columns = np.flatnonzero(mine.any(axis=1)), np.flatnonzero(mine.any(axis=0))
    return Part(rows[0], rows[-1] + 1, columns[0], columns[-1] + 1, float(ink[mine].sum()), [int(label)])


def put_together(parts: list[Part]) -> list[Part]:
    """Digits from parts: small ones go to what they are near, or are specks; what lies above each other is one."""
    if not parts:
        return []
    largest = max(part.side for part in parts)
    digits = [part for part in parts if part.side >= SPECK * largest]
    for part in parts:
        if part.side < SPECK * largest:
            nearest = min(digits, key=lambda digit: max(digit.gap(part)))
            if max(nearest.gap(part)) <= NEAR * largest and part.ink >= 0.02 * nearest.ink:
                nearest.take(part)
    digits.sort(key=lambda digit: -digit.ink)
    done: list[Part] = []
    for digit in digits:
        for other in done:
            down, across = other.gap(digit)
            narrower = min(digit.right - digit.left, other.right - other.left)
            if down <= NEAR * largest and -across >= 0.5 * narrower:
                other.take(digit)
                break
        else:
            done.append(digit)
    return done


def in_reading_order(digits: list[Part]) -> list[Part]:
    """Lines from top to bottom, in each from left to right."""
    lines: list[list[Part]] = []
    for digit in sorted(digits, key=lambda digit: digit.top + digit.bottom):
        middle = (digit.top + digit.bottom) / 2
        if lines and any(one.top <= middle <= one.bottom for one in lines[-1]):
            lines[-1].append(digit)
        else:
            lines.append([digit])
    return [digit for line in lines for digit in sorted(line, key=lambda digit: digit.left)]
