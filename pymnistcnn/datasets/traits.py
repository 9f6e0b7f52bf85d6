"""What a recipe needs to know of data."""

from __future__ import annotations

from .dataset import Dataset


def input_shape_of(data: Dataset) -> tuple[int, ...]:
    """(channels, height, width) of a Dataset's images."""
    shape = data.images.shape[1:]
    return shape if len(shape) == 3 else (1, *shape)


def white_of(data: Dataset) -> float:
    """The value of a pixel that is full: 255, unless all are much darker, as in digits of 16 greys."""
    largest = float(data.images.max(initial=0))
    return largest if 0 < largest < 128 else 255


def classes_in(training: Dataset, test: Dataset) -> int:
    """How many classes there are to tell apart."""
    if training.classes is not None:
        return len(training.classes)
    return max(2, *(int(data.labels.max()) + 1 for data in (training, test) if len(data)))
