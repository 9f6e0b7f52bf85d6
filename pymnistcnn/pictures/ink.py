"""How much ink is where: on white, grey, coloured, ruled or noisy paper, in even light or in shadows, on a screen.

Strokes are thin, and pages, tables, shadows and frames are not. What a page would be without its strokes is therefore
the closing of the picture (Serra, 1982): each pixel becomes the darkest grey that some square, wider than strokes and
around the pixel, has as its lightest. Edges of shadows and of sheets stay where they are; what is dark and touches the
border over such a width, as tables do, is page, too.
"""

from __future__ import annotations

import numpy as np

from .._types import Array

__all__ = ["ink_of"]

SQUARE = 0.3  # side of the square, of the picture's longer side
LEAST = 10  # greys between ink and page, at least
DARK = 25  # greys of a page, at least, for ink on it to be told
NOISE = 6  # standard deviations of the page's noise, at least
CLIPPED = 8  # greys of noise, at most, that are told by what is above the page's middle


def ink_of(greys: Array) -> np.ndarray | None:
    """Ink, float32 (h, w) from 0 to 1, of greys (h, w), dark on light or light on dark; None if there is none."""
    side = max(3, round(SQUARE * max(greys.shape)))
    pages = [_page(sign * greys, side) for sign in (-1, 1)]
    sign, page = min(zip((-1, 1), pages, strict=True), key=lambda pair: _steps(pair[1]))
    above = sign * greys - page
    if sign < 0:  # what paper reflects is a share of the light that falls on it, in shadows, too
        above *= 255 / np.maximum(-page, DARK)
    return _contrasted(above)


def _page(greys, side):
    """The page beneath strokes that are lighter."""
    return _running(np.maximum, _running(np.minimum, greys, side), side)


def _steps(page):
    """How uneven a page is. One that were light on dark where the ink is dark on light would have strokes in it, around
    what they enclose."""
    return np.abs(np.diff(page, axis=0)).sum() + np.abs(np.diff(page, axis=1)).sum()


def _running(extreme, values, side):
    """The extreme of the values in a square of this side around each pixel; beyond the border there are none."""
    nothing = np.inf if extreme is np.minimum else -np.inf
    for axis in (0, 1):
        before, behind = (side - 1) // 2, side // 2
        # the second of two passes must look the other way, for the square to come back to where it was
        widths = (before, behind) if extreme is np.minimum else (behind, before)
        padded = np.pad(values, [widths if a == axis else (0, 0) for a in (0, 1)], constant_values=nothing)
        width = 1
        while width < side:  # windows of twice the width, and in the end of the side
            step = min(width, side - width)
            lower = [slice(None)] * 2
            upper = [slice(None)] * 2
            lower[axis], upper[axis] = slice(0, padded.shape[axis] - step), slice(step, None)
            padded = extreme(padded[tuple(lower)], padded[tuple(upper)])
            width += step
        values = padded
    return values


def _contrasted(above):
    """From what the page's noise reaches, 0, to what is ink beyond doubt, 1; None if that is not apart."""
    low, page, middle, high = np.percentile(above, [2, 20, 50, 80]).tolist()  # of the page, whatever the ink's share
    noise = (page - low) / 1.21  # a standard deviation, were it normal
    page += 0.84 * noise
    # where the page's lowest greys are clipped, those above its middle show the noise; or they are ink
    apart = max(LEAST, NOISE * max(noise, min((high - middle) / 0.84, CLIPPED)))
    full = float(np.percentile(above, 99.7))
    if full - page < apart:  # a thin stroke on a large page
        full = float(np.percentile(above, 99.99))
    if full - page < apart:
        return None
    floor = page + 3 * noise
    return np.clip((above - floor) / (full - floor), 0, 1).astype(np.float32)
