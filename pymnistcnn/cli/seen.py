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


SHADES = " .:-=+*#%@"


def drawn(image: Array) -> str:
    """An image (..., h, w) as text, two pixels a character, the lightest the darkest character."""
    greys = np.asarray(image, float).reshape(-1, *image.shape[-2:]).mean(axis=0)
    rows = greys[: len(greys) // 2 * 2].reshape(-1, 2, greys.shape[1]).mean(axis=1)
    shades = np.rint(rows * ((len(SHADES) - 1) / max(rows.max(), 1e-30))).astype(int)
    return "\n".join("    " + "".join(SHADES[shade] for shade in row).rstrip() for row in shades)


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
