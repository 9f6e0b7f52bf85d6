"""Varied pictures: those of a test set, changed in ten ways, each at three strengths, the same everywhere to the bit.

This is a set of our own, in the manner of MNIST-C (Mu and Gilmer, 2019) and not that set: kinds, strengths and code are
others, and so are the figures. MNIST-C itself is `--data mnist-c-fog` and the like.

All is whole numbers, and all that is random is raw words of Philox, a counter's, which are the same in each version of
NumPy and on each processor. Pictures are uint8 (n, h, w), ink is light, and what comes from outside is 0.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

import numpy as np

from .._types import Array

SEED = 2020
STRENGTHS = ("weak", "medium", "strong")
ONE = 1 << 16  # of numbers with a fixed point
GREY = 128
EVEN = np.uint64(0x00FF_00FF_00FF_00FF)  # bytes of a word


# ---- where each pixel comes from ----


def shifted(images: Array, words: Array, pixels: int) -> Array:
    """Along both axes by so many pixels, or along one, in one of eight directions."""
    steps = [(dx, dy) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if dx or dy]
    return mapped(images, words, [(ONE, 0, 0, ONE, dx * pixels * ONE, dy * pixels * ONE) for dx, dy in steps])


def turned(images: Array, words: Array, degrees: int) -> Array:
    """About the centre, either way."""
    cos, sin = fixed(math.cos(math.radians(degrees))), fixed(math.sin(math.radians(degrees)))
    return mapped(images, words, [(cos, -s, s, cos, 0, 0) for s in (-sin, sin)])


def scaled(images: Array, words: Array, percent: int) -> Array:
    """Larger or smaller by so much."""
    factors = [fixed(100 / (100 + p)) for p in (-percent, percent)]
    return mapped(images, words, [(f, 0, 0, f, 0, 0) for f in factors])


def sheared(images: Array, words: Array, percent: int) -> Array:
    """Rows moved by so many hundredths of their height above the centre, either way."""
    return mapped(images, words, [(ONE, fixed(p / 100), 0, ONE, 0, 0) for p in (-percent, percent)])


def fixed(number: float) -> int:
    """Rounded so far that it is the same with each C library."""
    return round(number * ONE)


def mapped(images: Array, words: Array, maps: list[tuple[int, ...]]) -> Array:
    """Each picture through one of the maps (a, b, c, d, e, f): see `through`."""
    made, which = np.empty_like(images), below(words[:, 0], len(maps))
    for number, one in enumerate(maps):
        made[which == number] = through(images[which == number], *one)
    return made


def through(images: Array, a: int, b: int, c: int, d: int, e: int, f: int) -> Array:
    """At (x, y), from the centre, is what was at (a x + b y + e, c x + d y + f): of four pixels, in proportion."""
    h, w = images.shape[1:]
    y, x = np.mgrid[:h, :w].astype(np.int64)
    x, y = 2 * x - (w - 1), 2 * y - (h - 1)  # halves of pixels, from the centre
    at_x = (a * x + b * y) // 2 + e + (w - 1) * ONE // 2
    at_y = (c * x + d * y) // 2 + f + (h - 1) * ONE // 2
    left, top = at_x // ONE, at_y // ONE
    right_share, low_share = (at_x - left * ONE) >> 8, (at_y - top * ONE) >> 8  # of 256
    total = np.full(images.shape, ONE // 2, np.int32)
    for dy, share_y in ((0, 256 - low_share), (1, low_share)):
        for dx, share_x in ((0, 256 - right_share), (1, right_share)):
            row, column = top + dy, left + dx
            inside = (row >= 0) & (row < h) & (column >= 0) & (column < w)
            share = (share_x * share_y * inside).astype(np.int32)
            total += images[:, row.clip(0, h - 1), column.clip(0, w - 1)] * share
    return (total // ONE).astype(np.uint8)


# ---- what becomes of its grey ----


def noised(images: Array, words: Array, greys: int) -> Array:
    """With noise of this standard deviation: sums of the eight bytes of a word, which are nearly normal."""
    words = words[:, 1:].reshape(images.shape)
    pairs = (words & EVEN) + (words >> np.uint64(8) & EVEN)
    total = (pairs * np.uint64(0x0001_0001_0001_0001) >> np.uint64(48)).astype(np.int32)
    return clipped(images + (total - 8 * 255 // 2) * greys // 209)


def thickened(images: Array, words: Array, side: int) -> Array:
    """Each pixel the lightest of a square of this side."""
    return extreme(images, np.maximum, side)


def thinned(images: Array, words: Array, percent: int) -> Array:
    """Each pixel so much of the way to the darkest of a square of three, and the lightest as light as it was."""
    start, end = (of.astype(np.int32) for of in (images, extreme(images, np.minimum, 3)))
    made = start * (100 - percent) + end * percent
    lightest, was = (of.max(axis=(1, 2), keepdims=True) for of in (made, start))
    return clipped(made * was // np.maximum(lightest, 1))


def blurred(images: Array, words: Array, times: int) -> Array:
    """Each pixel 1, 2, 1 quarters of itself and its neighbours, along both axes, so many times."""
    made = images.astype(np.int32)
    for _ in range(times):
        p = np.pad(made, ((0, 0), (1, 1), (1, 1)))
        p = p[:, :-2] + 2 * p[:, 1:-1] + p[:, 2:]
        made = (p[:, :, :-2] + 2 * p[:, :, 1:-1] + p[:, :, 2:] + 8) // 16
    return clipped(made)


def pale(images: Array, words: Array, percent: int) -> Array:
    """With so much of their contrast, about a middle grey."""
    return clipped(GREY + ((images.astype(np.int32) - GREY) * percent + 50) // 100)


def occluded(images: Array, words: Array, side: int) -> Array:
    """Under a dark square of this side, its centre anywhere in the middle half."""
    (h, w), made = images.shape[1:], images.copy()
    tops, lefts = (below(words[:, at], n // 2) + n // 4 - side // 2 for at, n in ((1, h), (2, w)))
    y, x = np.mgrid[:h, :w]
    under = (y >= tops[:, None, None]) & (y < tops[:, None, None] + side)
    made[under & (x >= lefts[:, None, None]) & (x < lefts[:, None, None] + side)] = 0
    return made


def extreme(images: Array, of_two: Callable[..., Array], side: int) -> Array:
    """The largest or smallest number of the square of this side around each pixel."""
    made = np.pad(images, ((0, 0), *[((side - 1) // 2, side // 2)] * 2))
    for axis, n in ((1, images.shape[1]), (2, images.shape[2])):
        made = functools.reduce(of_two, (made.take(range(at, at + n), axis) for at in range(side)))
    return made


def below(words: Array, n: int) -> Array:
    """Whole numbers from 0 to n, which is excluded."""
    return (words % np.uint64(n)).astype(np.int64)


def clipped(numbers: Array) -> Array:
    return numbers.clip(0, 255).astype(np.uint8)


# ---- all of them ----

KINDS: dict[str, tuple[Callable[..., Array], tuple[int, ...]]] = {
    "shifted": (shifted, (2, 4, 6)),
    "turned": (turned, (15, 30, 45)),
    "scaled": (scaled, (15, 25, 35)),
    "sheared": (sheared, (20, 40, 60)),
    "noised": (noised, (32, 64, 96)),
    "thickened": (thickened, (2, 3, 4)),
    "thinned": (thinned, (50, 75, 100)),
    "blurred": (blurred, (1, 3, 6)),
    "pale": (pale, (75, 50, 25)),
    "occluded": (occluded, (6, 9, 12)),
}


def varied(images: Array, kind: str, strength: str) -> Array:
    """Pictures uint8 (n, h, w) of a kind and a strength. What happens to one depends on its place and size alone, and
    is of the same direction in each strength.

    >>> varied(np.full((1, 8, 8), 200, np.uint8), "pale", "medium")[0, 0, :2].tolist()
    [164, 164]
    """
    if images.ndim != 3 or images.dtype != np.uint8:
        raise ValueError(f"varied pictures are of uint8 (n, h, w), not of {images.dtype} {images.shape}")
    change, numbers = KINDS[kind]
    size = 1 + images.shape[1] * images.shape[2] if change is noised else 3  # words a picture
    words = np.random.Philox(key=SEED + list(KINDS).index(kind)).random_raw(len(images) * size)
    return change(images, words.reshape(len(images), size), numbers[STRENGTHS.index(strength)])
