"""A digit from a picture, as MNIST has it."""

from __future__ import annotations

import warnings

import numpy as np

from .._types import Array, Shape
from ..checks import whole, yes_or_no
from .ink import ink_of
from .opening import Picture, border_of, greys_of, name_of
from .parts import BOLD, FAINT, Found, digits_in
from .sheet import on_the_sheet

__all__ = ["read_digit", "read_digits"]

MNIST = 28, 28
LARGEST = 960  # pixels on a picture's longer side: of more, nothing is gained
WORKING = 320  # pixels on a picture's longer side, in which digits are looked for
DETAIL = 80  # pixels on a digit's longer side, at least, if the picture has them
INKED = 0.02  # of the border's pixels: how many are ink, at most, where a digit lies on a page
UNEVEN = 25  # standard deviation of greys, at least, of a picture that is all ink
CLEAR = 0.4  # of a picture's longer side: a digit that is as large, and has page around it, is what is meant
CLOSE = 0.85  # of a picture's longer side: a digit that is as large fills it
THIN = 0.03  # of the same: what is narrower is a line
SHARP = 0.5  # of such a digit's ink: beyond doubt, at least
BOX = 20 / 28  # of the size: what MNIST's digits are scaled into
STROKE = 1.7 / 28  # of the size: strokes that are thinner are made so wide


def read_digit(picture: Picture, height: int = 28, width: int = 28, *, as_is: bool = False) -> Array:
    """Read one digit from a picture, made light on dark and MNIST-like.

    The page may be grey or coloured, ruled, unevenly lit, and need not fill the picture; the digit may lie anywhere
    on it, and be dark on light or light on dark. The largest digit is read, with a warning where there are others.

    picture : a path, bytes or a file object of a file that Pillow reads; a Pillow image; or an array (h, w),
        (h, w, 3) or (h, w, 4), of uint8, of floats from 0 to 1, or of any whole numbers
    height, width : the size that the network wants
    as_is : of a picture that has this size, keep the pixels, only inverted if it is dark on light. A picture that has
        it is always kept so if the size is another than MNIST's, or if the digit lies as MNIST's do

    Returns uint8 (height, width). FileNotFoundError if there is no such file; ValueError if it is not a picture, is
    damaged, is too large to decode safely, or if there is no ink on it.

    Examples
    --------
    >>> import pymnistcnn as pm
    >>> from PIL import Image, ImageDraw
    >>> page = Image.new("L", (200, 300), "white")
    >>> ImageDraw.Draw(page).line([(90, 50), (110, 250)], fill="black", width=20)
    >>> digit = pm.pictures.read_digit(page)
    >>> digit.shape, digit.dtype, int(digit.max())
    ((28, 28), dtype('uint8'), 255)
    """
    height, width, as_is = whole("height", height), whole("width", width), yes_or_no("as_is", as_is)
    greys = greys_of(picture)
    if greys.shape == (height, width):
        kept = light_on_dark(greys)
        if as_is or kept.shape != MNIST or is_like_mnist(kept):
            return kept
    found = inks_in(greys, name_of(picture))
    if len(found) > 1:
        many = f"{len(found)} digits were found, and the largest is read: read_digits, or predict --all, reads them all"
        warnings.warn(f"{name_of(picture)}: {many}", stacklevel=2)
    return like_mnist(max(found, key=np.sum), height, width)


def read_digits(picture: Picture, height: int = 28, width: int = 28) -> Array:
    """Read all digits of a picture, in reading order: uint8 (n, height, width). All else is as in `read_digit`.

    Examples
    --------
    >>> import pymnistcnn as pm
    >>> from PIL import Image, ImageDraw
    >>> page = Image.new("L", (400, 300), "white")
    >>> for x in (90, 250):
    ...     ImageDraw.Draw(page).line([(x, 50), (x + 20, 250)], fill="black", width=20)
    >>> pm.pictures.read_digits(page).shape
    (2, 28, 28)
    """
    height, width = whole("height", height), whole("width", width)
    return np.stack([like_mnist(ink, height, width) for ink in inks_in(greys_of(picture), name_of(picture))])


def inks_in(greys: Array, name: str) -> list[np.ndarray]:
    """The ink (h, w) of each digit in a picture; ValueError if there is none."""
    greys = on_the_sheet(resized(greys, min(1, LARGEST / max(greys.shape))))
    found = found_in(greys)
    if len(found) == 1 and max(found[0].ink.shape) < DETAIL and max(greys.shape) > WORKING:
        found = found_in(around(greys, found[0])) or found  # a small digit on a large page is looked at from nearby
    if not found:
        raise ValueError(f"{name}: no ink found")
    return [digit.ink for digit in found]


def found_in(greys: Array) -> list[Found]:
    """The digits of a picture, in as many pixels as it takes to find them."""
    greys = resized(greys, WORKING / max(greys.shape))
    ink = ink_of(greys)
    found = [] if ink is None else digits_in(ink)
    clear = any(digit.is_inside(greys.shape) and max(digit.ink.shape) > CLEAR * WORKING for digit in found)
    inked = np.std(greys) > UNEVEN if ink is None else np.mean(border_of(ink) > 0.5) > INKED
    if inked and not clear:
        margin = WORKING // 5
        ink = ink_of(np.pad(greys, margin, constant_values=page_at_corners(greys)))
        wider = [] if ink is None else digits_in(ink)
        if len(wider) == 1 and was_cut_closely(wider[0], ink.shape):
            return [Found(wider[0].top - margin, wider[0].left - margin, wider[0].ink)]
    return [digit for digit in found if digit.may_be_digit(greys.shape)]


def was_cut_closely(digit: Found, shape: Shape) -> bool:
    """Does a digit fill the picture, around which a margin was put? Lines and falling light may do so, too, but lines
    are thin, and light has no edges."""
    large = max(digit.ink.shape) > CLOSE * WORKING and min(digit.ink.shape) > THIN * WORKING
    clear = np.mean(digit.ink[digit.ink > FAINT] > 0.5) > SHARP
    return digit.is_inside(shape) and large and clear and np.mean(digit.ink > 0.5) > BOLD


def page_at_corners(greys: Array) -> float:
    """The grey that most of the corners have, or, of two and two, the one that is more like the border."""
    low, _, _, high = corners = np.sort(greys[[0, 0, -1, -1], [0, -1, 0, -1]])
    alike = [corners[np.abs(corners - end) <= np.abs(corners - other)] for end, other in ((low, high), (high, low))]
    border = np.median(border_of(greys))
    return np.median(max(alike, key=lambda some: (len(some), -abs(np.median(some) - border))))


def around(greys: Array, digit: Found) -> Array:
    """The part of a picture around a digit, as far again as it is large."""
    scale, far = max(greys.shape) / WORKING, max(digit.ink.shape)
    first = [max(0, round((at - far) * scale)) for at in (digit.top, digit.left)]
    last = [round((at + size + far) * scale) for at, size in zip(digit[:2], digit.ink.shape, strict=True)]
    return greys[first[0] : last[0], first[1] : last[1]]


def resized(values: Array, scale: float) -> Array:
    """float32 (h, w), by a factor, antialiased."""
    from PIL import Image

    size = [max(1, round(side * scale)) for side in values.shape[::-1]]
    kind = Image.Resampling.HAMMING if scale < 1 else Image.Resampling.BICUBIC
    return np.asarray(Image.fromarray(np.ascontiguousarray(values, np.float32)).resize(size, kind))


def light_on_dark(greys: Array) -> Array:
    """uint8, inverted if the border is light."""
    return np.rint(255 - greys if np.median(border_of(greys)) > 127 else greys).astype(np.uint8)


def is_like_mnist(digit: Array) -> bool:
    """Is it black around, within a box of 20/28 of the size, and in the middle?"""
    rows, columns = (np.flatnonzero(digit.any(axis)) for axis in (1, 0))
    if not len(rows) or digit.max() < 128:
        return False
    extent, most = max(np.ptp(rows), np.ptp(columns)) + 1, BOX * max(digit.shape)
    centre = [np.average(np.arange(size), weights=digit.sum(1 - axis)) for axis, size in enumerate(digit.shape)]
    off = max(abs(at - size / 2) for at, size in zip(centre, digit.shape, strict=True))
    return 0.6 * most <= extent <= most + 1 and off <= 1.2


def like_mnist(ink: Array, height: int, width: int) -> np.ndarray:
    """Ink of one digit, scaled and placed as MNIST's are: uint8 (height, width)."""
    digit = np.zeros((height, width), np.uint8)
    ink = with_strokes(ink, max(ink.shape) / (BOX * max(height, width)) * STROKE * max(height, width))
    box = np.array([height, width]) * BOX
    small = np.clip(resized(ink, (box / ink.shape).min()), 0, None)[: round(box[0]), : round(box[1])]
    small = np.rint(small * (255 / small.max())).astype(np.uint8)  # last, as scaling makes thin strokes pale
    top, left = (_offset(small.sum(1 - axis, dtype=int), size) for axis, size in enumerate(digit.shape))
    digit[top : top + small.shape[0], left : left + small.shape[1]] = small
    return digit


def with_strokes(ink: Array, least: float) -> Array:
    """The ink, its strokes made at least so many pixels wide."""
    from PIL import Image, ImageFilter

    mask = ink > 0.5
    inner = mask[1:-1, 1:-1] & mask[:-2, 1:-1] & mask[2:, 1:-1] & mask[1:-1, :-2] & mask[1:-1, 2:]
    outline = mask.sum() - inner.sum()
    stroke = 2 * mask.sum() / max(1, outline)
    wider = round((least - stroke) / 2)
    if wider < 1:
        return ink
    ink = np.pad(ink, wider)
    image = Image.fromarray(np.rint(ink * 255).astype(np.uint8))
    for _ in range(wider):
        image = image.filter(ImageFilter.MaxFilter(3))
    return np.asarray(image, np.float32) / 255


def _offset(profile: Array, size: int) -> int:
    """Where a profile of ink starts among `size` cells for its centre of mass to be in the middle cell.

    Every MNIST digit has its centre of mass within pixel 14 of 0 to 27, so the middle of an even size is the
    later of the two middle cells.
    """
    centre = np.average(np.arange(len(profile)), weights=profile)
    return int(np.clip(np.rint(size // 2 - centre), 0, size - len(profile)))
