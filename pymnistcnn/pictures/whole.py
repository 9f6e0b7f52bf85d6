"""Pictures as they are: light or dark, grey or in colour."""

from __future__ import annotations

import os
from contextlib import nullcontext
from typing import Any

import numpy as np

from .._types import Array
from .opening import border_of, errors_of, stretched

__all__ = ["SUFFIXES", "picture_size", "read_picture"]

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".pgm", ".ppm", ".pnm")
ORIENTATION = 0x0112  # of a picture, in its EXIF note


def read_picture(path: Any, size: tuple[int, int] | None = None, channels: int | None = None) -> Array:
    """A picture as light or dark as it is.

    path : of a file that Pillow reads, or of one in a zip archive, a zipfile.Path; or such a file, open
    size : (height, width) that it is scaled into, with its proportions, on the colour of its border; its own if not
        given
    channels : 1 or 3; 1 if not given and the picture is grey

    Returns uint8 (h, w) or (3, h, w). Errors as of `read_digit`.

    Examples
    --------
    >>> import tempfile, pymnistcnn as pm
    >>> from PIL import Image
    >>> with tempfile.NamedTemporaryFile(suffix=".png") as file:
    ...     Image.new("RGB", (200, 100), "red").save(file.name)
    ...     pm.pictures.read_picture(file.name, (32, 32))[:, 0, 0].tolist()
    [255, 0, 0]
    """
    from PIL import Image

    with errors_of(path):
        pixels = _pixels(path)
        if channels is not None and channels != (1 if pixels.ndim == 2 else 3):
            pixels = np.array(Image.fromarray(pixels).convert("L" if channels == 1 else "RGB"))
        if size is not None and pixels.shape[:2] != tuple(size):
            pixels = _fitted(pixels, np.array(size))
    return pixels if pixels.ndim == 2 else np.ascontiguousarray(pixels.transpose(2, 0, 1))


def picture_size(path: Any) -> tuple[int, int]:
    """(height, width) of a picture, which is not read for that."""
    from PIL import Image

    with errors_of(path), _opened(path) as file, Image.open(file) as picture:
        width, height = picture.size
        sideways = picture.getexif().get(ORIENTATION, 1) > 4
        return (width, height) if sideways else (height, width)


def _fitted(pixels, size):
    """Pixels (h, w) or (h, w, 3) scaled into a size, in its middle."""
    from PIL import Image

    now = np.array(pixels.shape[:2])
    box = np.maximum(np.rint(now * min(size / now)), 1).astype(int)
    small = np.asarray(Image.fromarray(pixels).resize(box[::-1].tolist(), Image.Resampling.BOX))
    fitted = np.empty((*size, *pixels.shape[2:]), np.uint8)
    fitted[...] = np.median(border_of(pixels), axis=0).astype(np.uint8)
    top, left = (size - box) // 2
    fitted[top : top + box[0], left : left + box[1]] = small
    return fitted


def _pixels(path):
    """The file as uint8: (h, w) if it is grey, else (h, w, 3)."""
    from PIL import Image, ImageOps

    with _opened(path) as file, Image.open(file) as picture:
        picture = ImageOps.exif_transpose(picture)  # phones store sideways pictures with a note
    if picture.mode.startswith("I") or picture.mode == "F":
        return np.rint(stretched(np.array(picture, np.float64))).astype(np.uint8)
    if picture.getbands()[-1] in ("A", "a") or "transparency" in picture.info:
        page = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(page, picture.convert("RGBA"))
    if picture.mode in ("1", "L"):
        return np.array(picture.convert("L"))
    colours = np.array(picture.convert("RGB"))
    grey = (colours == colours[..., :1]).all()
    return np.ascontiguousarray(colours[..., 0]) if grey else colours


def _opened(path):
    if hasattr(path, "read"):
        return nullcontext(path)
    return open(path, "rb") if isinstance(path, (str, bytes, os.PathLike)) else path.open("rb")
