"""Read a picture of a handwritten digit the way the MNIST digits were made.

MNIST's digits are light on dark, were scaled with antialiasing into a box of 20x20 pixels, and placed in a
field of 28x28 with their centre of mass in its middle (LeCun et al. 1998, yann.lecun.com/exdb/mnist). A
network trained on them reads a scan or a drawing much better once it has been treated the same.

>>> import tempfile, pymnistcnn as pm
>>> from PIL import Image
>>> with tempfile.NamedTemporaryFile(suffix=".png") as file:
...     Image.new("L", (200, 300), "white").save(file.name)
...     int(pm.pictures.read_digit(file.name).max())
0
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from ._types import Array, StrPath
from .checks import whole

__all__ = ["read_digit"]

# Of 255, how far from the page's own grey a pixel still counts as page: scans and JPEG files are never clean.
_FAINT = 24


def read_digit(path: StrPath, height: int = 28, width: int = 28) -> Array:
    """Read one digit from an image file, made light on dark and MNIST-like.

    A picture of exactly `height` x `width` keeps its pixels, inverted if it is dark on light. A larger one is
    inverted likewise, freed from the grey of its page, cropped to its ink, scaled into a box of 20/28 of the
    size (aspect kept), stretched to full contrast, and placed with the centre of mass in the middle, if it
    fits so. A picture without ink gives zeros. Transparent parts count as white; 16-bit greys become 8-bit.

    path : of a file that Pillow reads, with one digit on a page that is plainly lighter or darker than the digit
    height, width : the size that the network wants

    Returns uint8 (height, width). FileNotFoundError if there is no such file; ValueError if it is not a picture, is
    damaged, is too large to decode safely, or is smaller than `height` x `width` in either direction.

    Examples
    --------
    >>> import tempfile, pymnistcnn as pm
    >>> from PIL import Image, ImageDraw
    >>> page = Image.new("L", (200, 300), "white")
    >>> ImageDraw.Draw(page).line([(90, 50), (110, 250)], fill="black", width=20)
    >>> with tempfile.NamedTemporaryFile(suffix=".png") as file:
    ...     page.save(file.name)
    ...     digit = pm.pictures.read_digit(file.name)
    >>> digit.shape, digit.dtype, int(digit.max())
    ((28, 28), dtype('uint8'), 255)
    """
    height, width = whole("height", height), whole("width", width)
    grey = _read_grey(path)
    if grey.shape[0] < height or grey.shape[1] < width:
        raise ValueError(
            f"{path}: the picture is {grey.shape[0]}x{grey.shape[1]} pixels (height x width), "
            f"expected at least {height}x{width}"
        )
    if np.median(_border(grey)) > 127:
        grey = 255 - grey
    if grey.min() == grey.max():
        return np.zeros((height, width), np.uint8)
    return grey if grey.shape == (height, width) else _like_mnist(grey, height, width)


def _read_grey(path: StrPath) -> Array:
    """The file as greys, uint8 of shape (h, w); any failure but a missing file is a ValueError."""
    from PIL import Image, ImageOps  # here, so that importing the package does not wait for Pillow

    try:
        with warnings.catch_warnings():
            # Pillow only warns of pictures up to twice its limit; nobody's digit needs that many pixels.
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path) as picture:
                picture = ImageOps.exif_transpose(picture)  # phones store sideways pictures with a note
        if picture.mode.startswith("I"):
            return _from_16_bit(picture)
        if picture.mode == "F":
            raise ValueError("greys are floating-point numbers of unknown range")
        if picture.getbands()[-1] in ("A", "a") or "transparency" in picture.info:
            page = Image.new("RGBA", picture.size, "white")
            picture = Image.alpha_composite(page, picture.convert("RGBA"))
        return np.array(picture.convert("RGB").convert("L"))
    except FileNotFoundError:
        raise
    except Exception as error:  # damaged files make Pillow raise nearly anything, SyntaxError included
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(f"{path}: expected a picture that can be read: {reason}") from error


def _from_16_bit(picture: StrPath) -> Any:
    grey = np.array(picture, dtype=np.int64)
    if grey.min() < 0 or grey.max() > 65535:
        raise ValueError(f"greys from {grey.min()} to {grey.max()} do not fit into 16 bits")
    if "transparency" in picture.info:
        grey[grey == picture.info["transparency"]] = 65535
    return ((grey + 128) // 257).astype(np.uint8)  # 65535 / 257 = 255, rounded to nearest


def _border(grey: Array) -> Array:
    return np.concatenate([grey[0], grey[-1], grey[1:-1, 0], grey[1:-1, -1]])


def _like_mnist(grey: Array, height: int, width: int) -> Array:
    """Crop, scale and centre light ink on a dark page."""
    from PIL import Image

    digit = np.zeros((height, width), np.uint8)
    ink = grey - np.float32(np.median(_border(grey)))
    ink[ink <= _FAINT] = 0
    if not ink.any():
        return digit
    rows, columns = (np.flatnonzero(ink.any(axis)) for axis in (1, 0))
    ink = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]

    box = np.array([height, width]) * 20 / 28
    scaled = np.maximum(np.rint(np.array(ink.shape) * (box / ink.shape).min()), 1).astype(int)
    ink = np.asarray(Image.fromarray(ink).resize(scaled[::-1].tolist(), Image.Resampling.HAMMING))
    ink = np.rint(ink * (255 / ink.max())).astype(np.uint8)  # last, as scaling makes thin strokes pale

    top, left = (_offset(ink.sum(1 - axis), size) for axis, size in enumerate(digit.shape))
    digit[top : top + ink.shape[0], left : left + ink.shape[1]] = ink
    return digit


def _offset(profile: Array, size: int) -> int:
    """Where a profile of ink starts among `size` cells for its centre of mass to be in the middle cell.

    Every MNIST digit has its centre of mass within pixel 14 of 0 to 27, so the middle of an even size is the
    later of the two middle cells.
    """
    centre = np.average(np.arange(len(profile)), weights=profile)
    return int(np.clip(np.rint(size // 2 - centre), 0, size - len(profile)))
