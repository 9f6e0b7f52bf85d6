"""HTML of tables and small pictures, for notebooks and reports. Whatever comes from a user is escaped here."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Sequence
from html import escape

import numpy as np

from ._types import Array

_NUMBER = ' style="text-align: right"'


def escaped(text: str) -> str:
    """Anybody's text, in one line, as text in HTML."""
    return escape("".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in text))


def table(head: Sequence[str], rows: Iterable[Sequence[str]], text_columns: int = 1) -> str:
    """A table of texts. After so many columns come numbers, which are aligned to the right."""

    def line(cells, tag):
        return "".join(
            f"<{tag}{'' if place < text_columns else _NUMBER}>{escaped(cell)}</{tag}>"
            for place, cell in enumerate(cells)
        )

    body = "".join(f"<tr>{line(row, 'td')}</tr>" for row in rows)
    return f"<table><thead><tr>{line(head, 'th')}</tr></thead><tbody>{body}</tbody></table>"


def png(pixels: Array) -> bytes:
    """A PNG file of uint8 (h, w) or (h, w, 3)."""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format="PNG", optimize=True)
    return file.getvalue()


def picture(pixels: Array, alt: str, side: int = 56) -> str:
    """An image element that has its picture inside; side: of the longer one, in CSS pixels."""
    height, width = (round(n * side / max(pixels.shape[:2])) for n in pixels.shape[:2])
    content = base64.b64encode(png(pixels)).decode()
    return (
        f'<img src="data:image/png;base64,{content}" alt="{escaped(alt)}" width="{width}" height="{height}" '
        'style="image-rendering: pixelated">'
    )


def is_pictures(images: Array) -> bool:
    """Can images (n, ...) be looked at: (n, h, w), or (n, c, h, w) of 1 or 3 channels?"""
    return images.ndim == 3 or (images.ndim == 4 and images.shape[1] in (1, 3))


def pixels_of(images: Array) -> Array:
    """uint8 (n, h, w) or (n, h, w, 3) of pictures (n, h, w) or (n, c, h, w) of any numbers: those of uint8 as they are,
    others from the smallest, black, to the largest, white."""
    if images.ndim == 4:
        images = images[:, 0] if images.shape[1] == 1 else images.transpose(0, 2, 3, 1)
    if images.dtype == np.uint8:
        return np.ascontiguousarray(images)
    images = np.nan_to_num(images.astype(np.float64), posinf=0, neginf=0)
    low, high = images.min(initial=0), images.max(initial=0)
    return np.rint((images - low) * (255 / max(high - low, 1e-300))).astype(np.uint8)


def figures(pictures: Iterable[str], captions: Iterable[str]) -> str:
    """Pictures side by side, each above its caption, which is HTML."""
    return "".join(
        '<figure style="display: inline-block; vertical-align: top; max-width: 120px; margin: 0 8px 8px 0; '
        'text-align: center; overflow-wrap: anywhere">'
        f'{picture}<figcaption style="font-size: smaller">{caption}</figcaption></figure>'
        for picture, caption in zip(pictures, captions, strict=True)
    )
