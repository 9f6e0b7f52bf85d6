"""Images with their labels, and the error of files that do not hold them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = [
    "DataError",
    "Dataset",
]


class DataError(ValueError):
    """A data file that is missing pieces or lies about itself.

    Examples
    --------
    >>> import tempfile, pymnistcnn as pm
    >>> with tempfile.NamedTemporaryFile() as file:
    ...     try:
    ...         pm.datasets.read_idx(file.name)
    ...     except pm.datasets.DataError:
    ...         print("not a file of digits")
    not a file of digits
    """


@dataclass(frozen=True, eq=False)
class Dataset:
    """Images and their labels, in the same order; ValueError if they do not fit together.

    Parameters
    ----------
    images : ndarray, shape (n, h, w) or (n, c, h, w)
    labels : ndarray of integers, shape (n,)

    Examples
    --------
    >>> import numpy as np, pymnistcnn as pm
    >>> data = pm.datasets.Dataset(np.zeros((5, 28, 28), np.uint8), np.array([3, 1, 4, 1, 5]))
    >>> len(data)
    5
    >>> data[:3]
    Dataset(3 images of 28x28 uint8, labels 1 to 4)
    >>> data[data.labels == 1]
    Dataset(2 images of 28x28 uint8, labels 1 to 1)
    """

    images: np.ndarray
    labels: np.ndarray

    def __post_init__(self) -> None:
        for name, value in (("images", self.images), ("labels", self.labels)):
            if not isinstance(value, np.ndarray):
                raise ValueError(f"{name}: expected a NumPy array, got {type(value).__name__}")
        if self.images.ndim not in (3, 4):
            raise ValueError(f"images: expected shape (n, h, w) or (n, c, h, w), got {self.images.shape}")
        if self.labels.ndim != 1:
            raise ValueError(f"labels: expected shape (n,), got {self.labels.shape}")
        if not np.issubdtype(self.labels.dtype, np.integer):
            raise ValueError(f"labels: expected an integer dtype, got {self.labels.dtype}")
        if len(self.images) != len(self.labels):
            raise ValueError(f"labels: expected {len(self.images)}, one per image, got {len(self.labels)}")

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: Any) -> Dataset:
        """The part of the data that a slice (a view), an integer array or a boolean mask (copies) selects."""
        if not isinstance(index, slice):
            index = np.asarray(index)
            if index.ndim != 1 or index.dtype.kind not in "iub":
                got = f"{index.dtype} of shape {index.shape}"
                raise TypeError(f"index: expected a slice, an integer array or a boolean mask, got {got}")
        return Dataset(self.images[index], self.labels[index])

    def __repr__(self) -> str:
        size = "x".join(map(str, self.images.shape[1:]))
        labels = f"labels {self.labels.min()} to {self.labels.max()}" if len(self) else "no labels"
        return f"Dataset({len(self)} images of {size} {self.images.dtype}, {labels})"
