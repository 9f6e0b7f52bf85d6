"""What a network sees of a picture, to look at: in the terminal, and as files."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np

from .._types import Array
from ..datasets import atomic_write

if TYPE_CHECKING:
    from pathlib import Path

    from .samples import Sample


SHADES, MARGIN = " .:-=+*#%@", "    "


def drawn(image: Array, columns: int = 80) -> str:
    """An image (..., h, w) as text, two pixels a character, the lightest the darkest character; smaller where it is
    wider than so many columns."""
    greys = np.asarray(image, np.float32).reshape(-1, *image.shape[-2:]).mean(axis=0)
    room = max(columns - len(MARGIN), 1)
    if greys.shape[1] > room:
        greys = scaled(greys, room)
    rows = greys[: max(len(greys) // 2 * 2, 1)].reshape(-1, min(2, len(greys)), greys.shape[1]).mean(axis=1)
    shades = np.rint(rows * ((len(SHADES) - 1) / max(rows.max(), 1e-30))).astype(int)
    return "\n".join(MARGIN + "".join(SHADES[shade] for shade in row).rstrip() for row in shades)


def scaled(greys: Array, width: int) -> Array:
    """Greys (h, w) at another width, with their proportions."""
    from PIL import Image

    height = max(2, round(len(greys) * width / greys.shape[1]))
    return np.asarray(Image.fromarray(greys).resize((width, height), Image.Resampling.BOX))


def save_seen(folder: Path, samples: list[Sample]) -> None:
    """Save the images of samples as PNG files, by the names of theirs; with their place in front, where these are not
    all different."""
    from PIL import Image

    os.makedirs(folder, exist_ok=True)
    names = [sample.path.stem + (f"-{sample.number}" if sample.number else "") for sample in samples]
    if len(set(names)) < len(names):
        names = [f"{place}-{name}" for place, name in enumerate(names, 1)]
    for sample, name in zip(samples, names, strict=True):
        pixels = np.asarray(sample.image)
        pixels = pixels[0] if len(pixels) == 1 else pixels.transpose(1, 2, 0)
        with atomic_write(folder / f"{name}.png") as file:
            Image.fromarray(pixels.astype(np.uint8)).save(file, format="PNG")
