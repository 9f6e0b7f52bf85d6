"""MNIST, embedded or in a folder of its four files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from .._types import StrPath
from ..extras import needed
from .dataset import DataError, Dataset
from .idx import read_header, read_idx
from .known import DIGITS, TITLES

__all__ = [
    "mnist",
]

_EMBEDDED = Path(__file__).parents[1] / "data" / "mnist"


def mnist(directory: StrPath | None = None) -> tuple[Dataset, Dataset]:
    """Load MNIST, or other digits laid out the same way.

    Source: Yann LeCun, Corinna Cortes, Christopher J. C. Burges, The MNIST database of handwritten
    digits, CC BY-SA 3.0.

    directory : the folder with the four files ``{train,t10k}-{images-idx3,labels-idx1}-ubyte``, each spelled with a
        dash or a dot before ``idx``, raw or ``.gz``; the copy embedded in the package if not given

    Returns two Datasets, for training and testing: images uint8 (n, h, w), C-contiguous; labels uint8 (n,), 0 to 9.
    Embedded: 60000 and 10000 images of 28x28, 0 for the background and 255 for the ink. FileNotFoundError if a file
    is missing; DataError if one is damaged or the four do not fit together.

    Examples
    --------
    >>> import pymnistcnn as pm
    >>> train, test = pm.datasets.mnist()
    >>> train
    Dataset(60000 images of 28x28 uint8, labels 0 to 9)
    >>> test.labels[:5].tolist()
    [7, 2, 1, 0, 4]
    """
    directory = _EMBEDDED if directory is None else Path(directory)
    train, test = _load(directory, "train"), _load(directory, "t10k")
    size, test_size = train.images.shape[1:], test.images.shape[1:]
    if size != test_size:
        raise DataError(f"{directory}: expected t10k images of {size} like those of train, got {test_size}")
    if directory == _EMBEDDED:
        train, test = (replace(part, classes=DIGITS, name=TITLES["mnist"]) for part in (train, test))
    return train, test


def sklearn_digits() -> Dataset:
    """The 1,797 digits of 8x8 pixels, from 0 to 16, that scikit-learn has."""
    found = needed("sklearn.datasets", "sklearn").load_digits()
    return Dataset(found.images.astype(np.uint8), found.target, DIGITS, TITLES["sklearn-digits"])


def _load(directory: StrPath, part: str) -> Dataset:
    return _load_pair(
        _find(directory, f"{part}-images", "idx3-ubyte"), _find(directory, f"{part}-labels", "idx1-ubyte")
    )


def _load_pair(images_path: StrPath, labels_path: StrPath) -> Dataset:
    counts = []
    for path, rank in ((images_path, 3), (labels_path, 1)):  # nothing large is read before these fit together
        dtype, shape = read_header(path)
        if len(shape) != rank or dtype != np.uint8 or 0 in shape:
            raise DataError(f"{path}: expected uint8 of rank {rank}, not empty, got {dtype.name} of shape {shape}")
        counts.append(shape[0])
    if counts[0] != counts[1]:
        raise DataError(f"{labels_path}: expected {counts[0]} labels, one per image, got {counts[1]}")
    images, labels = read_idx(images_path), read_idx(labels_path)
    if labels.max() > 9:
        raise DataError(f"{labels_path}: expected labels 0 to 9, got {labels.max()}")
    return Dataset(images, labels)


def _find(directory: StrPath, stem: str, kind: str) -> Any:
    names = [f"{stem}{mark}{kind}{end}" for mark in "-." for end in ("", ".gz")]
    for name in names:
        if (directory / name).is_file():
            return directory / name
    raise FileNotFoundError(f"{directory}: none of {', '.join(names)} is there")
