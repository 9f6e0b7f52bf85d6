"""Warnings of data that do not fit a model, though their shapes do."""

from __future__ import annotations

import sys
import warnings
from typing import Any

import numpy as np

from ._types import Array
from .layers import Rescaling

__all__ = [
    "DataWarning",
]

_SMALL = 0.1  # a scale below this is for pixels from 0 to 255
_STANDARDISED = 5.0  # the most that numbers reach that were divided by 255, or by their deviation
_ENOUGH = 256  # samples, to know what numbers are like: looking at all would cost as much as predicting
_SEVERAL = 10  # samples, from which on it is odd that all have one label


class DataWarning(UserWarning):
    """Data that a model takes, but not those that it was made for; the message says what to do. Each is told once a
    model.

    Examples
    --------
    >>> import numpy as np, pymnistcnn as pm, warnings
    >>> model = pm.Sequential([pm.Rescaling(1 / 255), pm.Flatten(), pm.Linear(2)], input_shape=(1, 8, 8))
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     _ = model.predict(np.ones((5, 8, 8), np.float32))
    >>> [issubclass(warning.category, pm.DataWarning) for warning in caught]
    [True]
    """


def warn_of(model: Any, x: Array, name: str, labels: Array | None = None) -> None:
    """Tell what is odd about inputs, as the network takes them, and labels to train on."""
    if labels is None and x.dtype == np.uint8 and len(x) < _SEVERAL:
        return  # a few pictures, which may be dark: this is to cost nothing
    if vars(model).get("_told", ()) is not None:
        tell(model, scale_of(model, x[:_ENOUGH], name), scaled_twice(model), axes_of(model), classes_of(labels))


def tell(model: Any, *messages: str | None) -> None:
    """Warn, once a model, of what is odd about its data; None is nothing."""
    told = vars(model).setdefault("_told", set())
    for message in () if told is None else messages:
        if message and message not in told:
            told.add(message)
            warnings.warn(message, DataWarning, stacklevel=levels_to_the_caller())


def tell_nothing_of(model: Any) -> None:
    """Who uses this model scales data and checks labels, and has a contract about warnings."""
    vars(model)["_told"] = None


def levels_to_the_caller() -> int:
    """How far up, from the function that calls this, the code is that uses this package."""
    frame, levels = sys._getframe(1), 1
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith("pymnistcnn."):
        frame, levels = frame.f_back, levels + 1
    return levels


def is_for_pixels(layer: Any) -> bool:
    return isinstance(layer, Rescaling) and abs(layer.scale) <= _SMALL


def scaled_twice(model: Any) -> str | None:
    """As where a file has a Rescaling inside, and is read with another one."""
    first = model.layers[:2]
    if len(first) < 2 or not all(map(is_for_pixels, first)):
        return None
    return f"the network begins with {first[0]} and {first[1]}, each for pixels from 0 to 255: one of them is too many"


def scale_of(model: Any, x: Array, name: str) -> str | None:
    first = model.layers[0]
    if not is_for_pixels(first):
        return None
    most = 1 if x.dtype == np.uint8 else _STANDARDISED
    if not 0 < max(abs(float(x.min())), abs(float(x.max()))) <= most:
        return None
    return (
        f"{name} are from {x.min():g} to {x.max():g}, but the network begins with {first}, for pixels from 0 to 255: "
        "give the images as uint8, or multiply them by 255; or make a network without that layer"
    )


def axes_of(model: Any) -> str | None:
    shape = model.input_shape
    if len(shape) != 3 or shape[2] not in (1, 3) or min(shape[:2]) <= 4:
        return None
    height, width, channels = shape
    return (
        f"the network takes {height} channels of {width}x{channels} pixels: channels are first here; for pictures of "
        f"{height}x{width}, input_shape=({channels}, {height}, {width}) and images.transpose(0, 3, 1, 2)"
    )


def classes_of(labels: Array | None) -> str | None:
    if labels is None or len(labels) < _SEVERAL or labels.min() != labels.max():
        return None
    return f"all {len(labels):,} labels to train on are {labels[0]}: are they in the right column, or sorted and cut?"
