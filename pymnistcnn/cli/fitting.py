"""What a network must be for the data that it is to be trained on."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from .._types import DTypeLike
from ..recipes import Recipe


def fitting(recipe: Callable[..., Recipe], training: Any, test: Any, dtype: DTypeLike) -> Callable[..., Recipe]:
    """A recipe for such data: all that is left to say is the seed."""
    classes, white = classes_in(training, test), white_of(training)
    return partial(recipe, input_shape=input_shape_of(training), classes=classes, dtype=dtype, white=white)


def input_shape_of(data: Any) -> Any:
    """(channels, height, width) of a Dataset's images."""
    shape = data.images.shape[1:]
    return shape if len(shape) == 3 else (1, *shape)


def white_of(data: Any) -> Any:
    """The value of a pixel that is full: 255, unless all are much darker, as in digits of 16 greys."""
    largest = float(data.images.max(initial=0))
    return largest if 0 < largest < 128 else 255


def classes_in(training: Any, test: Any) -> int:
    """How many classes there are to tell apart."""
    if training.classes is not None:
        return len(training.classes)
    return max(2, *(int(data.labels.max()) + 1 for data in (training, test) if len(data)))


def note(model: Any, training: Any) -> None:
    """Let a model, and its file, know what it is trained on."""
    model.classes = training.classes or list(map(str, range(model.output_shape[-1])))
    model.notes["data"] = {
        "name": training.name,
        "sha256": training.checksum(),
        **({"from_pictures": True} if training.from_pictures else {}),
    }
