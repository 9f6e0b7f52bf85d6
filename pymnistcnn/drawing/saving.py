"""What was drawn, as files to train on: a folder for each class, as `pymnistcnn train --data` takes it."""

from __future__ import annotations

import hashlib
import io
import os
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from .._types import Array, StrPath
from ..datasets import atomic_write


def save(folder: StrPath, image: Array, name: str) -> Path:
    """Save a picture, uint8 (h, w) or (c, h, w), in the folder of its class. Its file's name says what is in it: a
    picture that is saved twice is there once."""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(image if image.ndim == 2 else np.moveaxis(image, 0, -1)).save(file, "PNG")
    place = Path(folder, name, f"{hashlib.sha256(file.getvalue()).hexdigest()[:16]}.png")
    os.makedirs(place.parent, exist_ok=True)
    with atomic_write(place) as out:
        out.write(file.getvalue())
    return place


def folder_names(classes: Sequence[str]) -> list[str]:
    """A folder's name for each class: the class's own, where it is fit for one."""
    names: list[str] = []
    for label, name in enumerate(classes):
        name = re.sub(r"[^\w +.,()-]", "_", name).strip(" .")[:80] or "class"
        names.append(name if name.lower() not in map(str.lower, names) else f"{name}-{label}")
    return names
