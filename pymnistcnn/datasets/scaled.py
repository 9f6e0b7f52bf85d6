"""Digits as Gorgonia's examples take them."""

from __future__ import annotations

import numpy as np

from .._types import Array, DTypeLike, StrPath
from ..checks import checked_dtype, shown
from .dataset import DataError
from .reading import read

__all__ = [
    "load",
]


def load(typ: str, loc: StrPath | None = None, dtype: DTypeLike = "float64") -> tuple[Array, Array]:
    """Load one part of MNIST as Gorgonia's examples do: flat, scaled, and with a vector for every label.

    A pixel becomes pixel / 255 * 0.9 + 0.1, but a full one 0.999, so that no input is 0 or 1.

    typ : "train", "dev" (the same files) or "test"
    loc : where the data are, as in `read`
    dtype : "float32" or "float64"

    Returns inputs (n, 784), 0.1 for the background to 0.999 for the ink, and targets (n, 10), 0.9 for the label and
    0.1 elsewhere. ValueError if `typ` or `dtype` is none of these; other errors as from `read`.

    Examples
    --------
    >>> import pymnistcnn as pm
    >>> inputs, targets = pm.datasets.load("test")
    >>> inputs.shape, float(inputs.min()), float(inputs.max())
    ((10000, 784), 0.1, 0.999)
    >>> targets[0].tolist()
    [0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.9, 0.1, 0.1]
    """
    if typ not in ("train", "dev", "test"):
        raise ValueError(f'typ must be "train", "dev" or "test", not {shown(typ)}')
    dtype = checked_dtype(dtype)
    data = read(loc)[typ == "test"]
    if data.labels.max() > 9 or data.images.dtype != np.uint8:
        raise DataError(f"{loc}: expected digits of 10 classes, uint8, got {data}")
    scaled = np.arange(256) / 255 * 0.9 + 0.1
    scaled[255] = 0.999
    targets = np.where(data.labels[:, None] == np.arange(10), 0.9, 0.1)
    return scaled.astype(dtype)[data.images.reshape(len(data), -1)], targets.astype(dtype)
