"""Pictures of any kind, opened: as greys."""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, TypeAlias

import numpy as np

from .._types import Array, StrPath

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["border_of", "errors_of", "greys_of", "name_of", "stretched"]

Picture: TypeAlias = "StrPath | bytes | IO[bytes] | Image.Image | Array"


def name_of(picture: Picture) -> str:
    """What errors call a picture."""
    return str(picture) if isinstance(picture, (str, os.PathLike)) else "the picture"


def greys_of(picture: Picture) -> np.ndarray:
    """Greys, float32 (h, w) from 0, black, to 255, of a path, bytes, a file object, a Pillow image, or an array:
    (h, w), (h, w, 1), (h, w, 3) or (h, w, 4) of uint8, of floats from 0 to 1, or of whole numbers.

    Transparent parts are the page: white where what is not transparent is dark, or else black. Of a picture with
    several frames, the first with something on it counts. Greys of more than 8 bits go from the least to the largest.

    FileNotFoundError if there is no such file; ValueError for anything else that cannot be read.
    """
    from PIL import Image  # here, so that importing the package does not wait for Pillow

    with errors_of(picture):
        if isinstance(picture, np.ndarray) or hasattr(picture, "__array_interface__") and not hasattr(picture, "mode"):
            return _of_array(np.asarray(picture))
        if isinstance(picture, Image.Image):
            return _of_image(picture)
        if isinstance(picture, (bytes, bytearray, memoryview)):
            picture = io.BytesIO(picture)
        with Image.open(picture) as opened:
            return _of_image(opened)


@contextmanager
def errors_of(picture: Picture) -> Iterator[None]:
    """Any failure but a missing file is a ValueError that names the picture."""
    from PIL import Image, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            # Pillow only warns of pictures up to twice its limit; nobody's digit needs that many pixels.
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            yield
    except FileNotFoundError:
        raise
    except Exception as error:  # damaged files make Pillow raise nearly anything, SyntaxError included
        reason = " ".join(str(error).split()) or type(error).__name__
        if isinstance(error, UnidentifiedImageError):  # which says what it was given, such as an open file
            reason = (
                "cannot identify its format, which may be PNG, JPEG, TIFF, GIF, BMP, WebP, ..., not HEIC, SVG or PDF"
            )
        raise ValueError(f"{name_of(picture)}: expected a picture that can be read: {reason}") from error


def _of_image(image):
    from PIL import ImageOps

    for frame in range(getattr(image, "n_frames", 1)):
        if frame:
            image.seek(frame)
        greys = _of_frame(ImageOps.exif_transpose(image))  # phones store sideways pictures with a note
        if np.ptp(greys) > 0:
            break
    return greys


def _of_frame(frame):
    if frame.mode.startswith("I") or frame.mode == "F":
        greys = np.array(frame, np.float64)
        if frame.mode.startswith("I") and "transparency" in frame.info:
            greys[greys == frame.info["transparency"]] = greys.max()
        return stretched(greys)
    if frame.getbands()[-1] in ("A", "a") or "transparency" in frame.info:
        rgba = np.asarray(frame.convert("RGBA"), np.float32)
        return _on_a_page(np.asarray(frame.convert("RGBA").convert("RGB").convert("L"), np.float32), rgba[..., 3] / 255)
    return np.asarray(frame.convert("RGB").convert("L"), np.float32)


def _of_array(array):
    if array.ndim == 3 and array.shape[-1] == 1:
        array = array[..., 0]
    if not (array.ndim == 2 or (array.ndim == 3 and array.shape[-1] in (3, 4))) or 0 in array.shape:
        raise ValueError(f"an array must have shape (h, w), (h, w, 3) or (h, w, 4), not {array.shape}")
    if array.dtype.kind not in "buif":
        raise ValueError(f"an array must hold numbers, not {array.dtype}")
    if array.dtype == np.uint8 or (array.dtype.kind in "ui" and array.min() >= 0 and array.max() <= 255):
        scale = 1
    elif array.dtype.kind in "fb" and array.min() >= 0 and array.max() <= 1:
        scale = 255
    else:
        return stretched(array if array.ndim == 2 else array[..., :3].mean(axis=-1))
    array = array.astype(np.float32) * scale
    if array.ndim == 2:
        return array
    grey = array[..., :3] @ np.array([0.299, 0.587, 0.114], np.float32)
    return grey if array.shape[-1] == 3 else _on_a_page(grey, array[..., 3] / 255)


def border_of(pixels: np.ndarray) -> np.ndarray:
    """The outermost pixels (n, ...) of (h, w, ...)."""
    return np.concatenate([pixels[0], pixels[-1], pixels[1:-1, 0], pixels[1:-1, -1]])


def stretched(greys: Array) -> Array:
    """Greys of unknown range, from 0 to 255."""
    if not np.isfinite(greys).all():
        raise ValueError("greys must be finite numbers")
    least, largest = float(greys.min()), float(greys.max())
    return ((greys - least) * (255 / max(largest - least, 1e-30))).astype(np.float32)


def _on_a_page(grey, alpha):
    """Greys that are transparent in places, on a page that they can be told from."""
    page = 0 if alpha.sum() and np.average(grey, weights=alpha) > 127 else 255
    return alpha * grey + (1 - alpha) * page
