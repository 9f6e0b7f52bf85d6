"""What a network must be for the data that it is to be trained on."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from .._types import DTypeLike
from ..datasets.traits import classes_in, input_shape_of, white_of
from ..recipes import Recipe


def fitting(recipe: Callable[..., Recipe], training: Any, test: Any, dtype: DTypeLike) -> Callable[..., Recipe]:
    """A recipe for such data: all that is left to say is the seed."""
    classes, white = classes_in(training, test), white_of(training)
    return partial(recipe, input_shape=input_shape_of(training), classes=classes, dtype=dtype, white=white)


def note(model: Any, training: Any) -> None:
    """Let a model, and its file, know what it is trained on."""
    model.classes = training.classes or list(map(str, range(model.output_shape[-1])))
    model.notes["data"] = {
        "name": training.name,
        "sha256": training.checksum(),
        **({"from_pictures": True} if training.from_pictures else {}),
    }
