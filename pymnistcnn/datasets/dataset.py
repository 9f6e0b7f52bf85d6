"""Images with their labels, and the error of files that do not hold them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from .. import markup
from .._types import Array, ArrayLike
from ..checks import checked_seed, number, shown, yes_or_no

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


MOST_CLASSES = 1000  # of files: what has more is no label
SHOWN = 20  # of the first images, in a notebook
CHANNELS = (1, 3)  # of pictures, where an axis of this size is taken for theirs


@dataclass(frozen=True, eq=False)
class Dataset:
    """Images and their labels, in the same order; ValueError if they do not fit together.

    Parameters
    ----------
    images : ndarray, shape (n, h, w) or (n, c, h, w)
    labels : ndarray of integers, shape (n,)
    classes : names of the classes, by label, or None
    name : what the data set is called, for people
    from_pictures : were the images read from pictures, as light or dark as these are?

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
    >>> images, labels = data
    >>> images.shape, labels.shape
    ((5, 28, 28), (5,))
    """

    images: np.ndarray
    labels: np.ndarray
    classes: tuple[str, ...] | None = None
    name: str = ""
    from_pictures: bool = False

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
        if self.classes is not None:
            object.__setattr__(self, "classes", checked_classes(self.classes))
            if len(self) and not 0 <= self.labels.min() <= self.labels.max() < len(self.classes):
                got = f"{self.labels.min()} to {self.labels.max()}"
                raise ValueError(f"labels: expected 0 to {len(self.classes) - 1}, as there are classes, got {got}")

    @classmethod
    def from_arrays(
        cls, images: ArrayLike, labels: ArrayLike, classes: Sequence[str] | None = None, name: str = ""
    ) -> Self:
        """A Dataset of what others call images and labels.

        images : (n, h, w), (n, c, h, w), (n, h, w, c) of 1 or 3 channels, or flat squares (n, h * w)
        labels : (n,) or (n, 1), integers, floats that are whole, or names, which become the classes, in sorted
            order; or rows (n, classes) with one 1
        classes, name : as of a Dataset

        ValueError if they are none of these, or channels could be first or last.

        Examples
        --------
        >>> import numpy as np, pymnistcnn as pm
        >>> data = pm.Dataset.from_arrays(np.zeros((2, 8, 8, 3)), ["dog", "cat"])
        >>> data.images.shape, data.labels.tolist(), data.classes
        ((2, 3, 8, 8), [1, 0], ('cat', 'dog'))
        """
        labels = np.asarray(labels)
        if labels.dtype.kind in "UO" and classes is None and all(isinstance(label, str) for label in labels.flat):
            classes, labels = np.unique(labels.astype(str), return_inverse=True)
            classes, labels = classes.tolist(), labels.reshape(-1)
        return cls(channels_first(np.asarray(images)), whole_labels(labels), classes, name)

    def split(self, fraction: float, seed: int = 0, stratify: bool = True) -> tuple[Dataset, Dataset]:
        """Two Datasets: the rest, and a random `fraction` of the images, both in the order that they have here.

        fraction : from 0 to 1, both excluded, of the second
        seed : same seed, same parts
        stratify : take that fraction of each class

        ValueError if one of the two would be empty.

        Examples
        --------
        >>> import numpy as np, pymnistcnn as pm
        >>> data = pm.Dataset(np.zeros((10, 8, 8), np.uint8), np.arange(10) % 2)
        >>> train, test = data.split(0.2, seed=1)
        >>> len(train), sorted(test.labels.tolist())
        (8, [0, 1])
        """
        fraction = number("fraction", fraction, 0, 1, open_low=True, open_high=True)
        seed, taken = checked_seed(seed), round(fraction * len(self))
        if not 0 < taken < len(self):
            raise ValueError(f"fraction {fraction} of {len(self)} images leaves one of two parts empty")
        test = drawn(len(self), taken, seed, self.labels if yes_or_no("stratify", stratify) else None)
        return self[~test], self[test]

    def checksum(self) -> str:
        """sha256 of shape, type and values of the images and labels, in hexadecimal.

        Examples
        --------
        >>> import numpy as np, pymnistcnn as pm
        >>> pm.Dataset(np.zeros((1, 8, 8)), np.array([0])).checksum()[:8]
        'e4de908b'
        """
        digest = hashlib.sha256()
        for array in (self.images, self.labels):
            digest.update(f"{array.dtype.str} {array.shape} ".encode())
            digest.update(np.ascontiguousarray(array))
        return digest.hexdigest()

    def __len__(self) -> int:
        return len(self.labels)

    def __iter__(self) -> Iterator[Array]:
        """images and labels, as of a pair."""
        return iter((self.images, self.labels))

    def __getitem__(self, index: Any) -> Dataset:
        """The part of the data that a slice (a view), an integer array or a boolean mask (copies) selects."""
        if not isinstance(index, slice):
            index = np.asarray(index)
            if index.ndim != 1 or index.dtype.kind not in "iub":
                got = f"{index.dtype} of shape {index.shape}"
                raise TypeError(f"index: expected a slice, an integer array or a boolean mask, got {got}")
        return replace(self, images=self.images[index], labels=self.labels[index])

    def __repr__(self) -> str:
        size = "x".join(map(str, self.images.shape[1:]))
        labels = f"labels {self.labels.min()} to {self.labels.max()}" if len(self) else "no labels"
        return f"Dataset({len(self)} images of {size} {self.images.dtype}, {labels})"

    def _repr_html_(self) -> str:
        """In a notebook: how many there are, and the first of them."""
        size = " x ".join(map(str, self.images.shape[1:]))
        title = f"<b>{markup.escaped(self.name or 'Dataset')}</b>: {len(self):,} images of {size} {self.images.dtype}"
        labels = self.labels[:SHOWN].tolist()
        names = [markup.escaped(self.classes[label] if self.classes else str(label)) for label in labels]
        if not names or not markup.is_pictures(self.images):
            return f"<div>{title}</div>"
        pixels = markup.pixels_of(self.images[:SHOWN])
        shown = [markup.picture(one, f"label {label}") for one, label in zip(pixels, labels, strict=True)]
        return f"<div>{title}</div><div>{markup.figures(shown, names)}</div>"


def checked_classes(classes: Any) -> tuple[str, ...]:
    """Names, all different."""
    if isinstance(classes, str) or not hasattr(classes, "__iter__"):
        raise ValueError(f"classes must be a list of names, not {shown(classes)}")
    classes = tuple(classes)
    if not all(isinstance(name, str) for name in classes) or len(set(classes)) < len(classes):
        raise ValueError(f"classes must be names, all different, not {shown(classes)}")
    return tuple(map(str, classes))


def channels_first(images: Array) -> np.ndarray:
    """(n, h, w) or (n, c, h, w) of images in any of the forms of `Dataset.from_arrays`."""
    if images.ndim == 2:
        side = round(images.shape[1] ** 0.5)
        if side * side != images.shape[1] or not side:
            raise ValueError(f"images: expected rows of squares, such as 784 = 28 x 28, got {images.shape}")
        return images.reshape(-1, side, side)
    if images.ndim != 4:
        return images
    first, last = images.shape[1] in CHANNELS, images.shape[3] in CHANNELS
    if first and last:
        raise ValueError(f"images: are channels first or last in {images.shape}? Transpose to (n, c, h, w)")
    images = images.transpose(0, 3, 1, 2) if last else images
    return images[:, 0] if images.shape[1] == 1 else images


def whole_labels(labels: Array) -> np.ndarray:
    """Integers (n,) of labels in any of the forms of `Dataset.from_arrays`."""
    if labels.ndim == 2 and labels.shape[1] > 1:
        if not np.isin(labels, (0, 1)).all() or not (labels.sum(axis=1) == 1).all():
            raise ValueError(f"labels: expected one per image, or rows with one 1, got {labels.dtype} {labels.shape}")
        return labels.argmax(axis=1)
    labels = labels[:, 0] if labels.ndim == 2 and labels.shape[1] == 1 else labels
    if labels.dtype.kind == "f" and np.isfinite(labels).all() and (labels == np.rint(labels)).all():
        return labels.astype(np.int64)
    return labels


def drawn(samples: int, count: int, seed: int, labels: Array | None = None) -> np.ndarray:
    """Which of so many samples, bool (samples,), are among `count` that are drawn at random; with labels, of each class
    its share."""
    order = np.random.Generator(np.random.Philox(key=seed)).permutation(samples)
    if labels is not None:
        order = spread(labels, order)
    chosen = np.zeros(samples, bool)
    chosen[order[:count]] = True
    return chosen


def spread(labels: Array, order: Array) -> np.ndarray:
    """An order of all samples, each stretch of which has its share of every class."""
    order = order[np.argsort(labels[order], kind="stable")]
    _, starts, counts = np.unique(labels[order], return_index=True, return_counts=True)
    places = np.arange(len(order)) - np.repeat(starts, counts)
    return order[np.argsort((places + 0.5) / np.repeat(counts, counts), kind="stable")]
