"""Metrics that are fed batches: `update` with each, then `get` what all of them together give.

Arguments are in scikit-learn's order: y_true, the labels, are integers (n,). y_pred are scores, logits or probabilities
(n, classes) of any real type, of which the largest is the prediction, the first of them if several are; or, but for
TopK, the predicted classes themselves (n,), integers.

>>> import pymnistcnn as pm
>>> accuracy = pm.metrics.Accuracy()
>>> accuracy.update([1, 1], [[0.1, 0.9], [0.8, 0.2]]).update([0, 1], [0, 1]).get()
0.75
"""

from __future__ import annotations

from typing import Any, Self

import numpy as np

from ._types import Array, ArrayLike
from .checks import whole

__all__ = [
    "Accuracy",
    "ConfusionMatrix",
    "Metric",
    "Precision",
    "Recall",
    "TopK",
]


class Metric:
    """Base class: `update(y_true, y_pred)` adds a batch, `get()` gives the value so far, `reset()` starts anew.

    For one of your own, override these three; `repr` shows what `get` gives.

    Examples
    --------
    >>> import numpy as np, pymnistcnn as pm
    >>> class Errors(pm.Metric):
    ...     def reset(self):
    ...         self.errors = 0
    ...     def update(self, y_true, y_pred):
    ...         self.errors += int((np.argmax(y_pred, axis=1) != y_true).sum())
    ...         return self
    ...     def get(self):
    ...         return self.errors
    >>> Errors().update([1, 1], [[0.1, 0.9], [0.8, 0.2]])
    Errors: 1
    """

    def __init__(self) -> None:
        self.reset()

    def update(self, y_true: ArrayLike, y_pred: ArrayLike) -> Self:
        """Add a batch, which may be empty; returns this metric.

        y_true : (n,) of integers, the labels
        y_pred : (n, classes) of real numbers, or (n,) of integers, the predicted classes

        ValueError if shapes, types or classes are not so. Nothing has been added then.
        """
        raise NotImplementedError(f"{type(self).__name__} does not say how to add a batch")

    def get(self) -> Any:
        """The value over all batches since the last `reset`."""
        raise NotImplementedError(f"{type(self).__name__} does not say what its value is")

    def reset(self) -> None:
        """Forget all batches."""
        raise NotImplementedError(f"{type(self).__name__} does not say how to start anew")

    def __repr__(self) -> str:
        text = _text(self.get())
        return self._title() + (":\n" if "\n" in text else ": ") + text

    def _title(self) -> str:
        return type(self).__name__


class _Share(Metric):
    """The share of samples that are right."""

    def reset(self) -> None:
        self._right = self._samples = 0

    def update(self, y_true: ArrayLike, y_pred: ArrayLike) -> Self:
        right = self._judge(y_true, y_pred)
        self._right += int(right.sum())
        self._samples += len(right)
        return self

    def get(self) -> float:
        """The share over all batches, 0 to 1; NaN before the first sample."""
        return self._right / self._samples if self._samples else float("nan")

    def _judge(self, y_true: ArrayLike, y_pred: ArrayLike) -> Any:
        """Whether each sample is right: bool (n,)."""
        raise NotImplementedError


class Accuracy(_Share):
    """The share of samples whose label is predicted, a float; NaN before the first sample.

    A sample with a NaN among its scores is wrong.

    Examples
    --------
    >>> import pymnistcnn as pm
    >>> accuracy = pm.Accuracy()
    >>> accuracy.update([1, 1], [[0.1, 0.9], [0.8, 0.2]])
    Accuracy: 0.5000
    >>> accuracy.update([0, 1], [0, 1]).get()
    0.75
    """

    def _judge(self, y_true: ArrayLike, y_pred: ArrayLike) -> Array:
        labels, outputs = _checked(y_true, y_pred)
        if outputs.ndim == 1:
            return outputs == labels
        # argmax takes a NaN for the largest
        return (outputs.argmax(axis=1) == labels) & ~np.isnan(outputs).any(axis=1)


class TopK(_Share):
    """The share of samples whose label is among the k largest scores, a float; NaN before the first sample.

    Of equal scores those of lower classes come first, so that `TopK(1)` is the accuracy. A sample with a NaN among
    its scores is wrong. Outputs must be scores (n, classes).

    k : a whole number from 1 on, else ValueError; with k classes or fewer, all labels are among them

    Examples
    --------
    >>> import pymnistcnn as pm
    >>> pm.TopK(2).update([1, 0], [[0.5, 0.3, 0.2], [0.1, 0.7, 0.2]])
    TopK(2): 0.5000
    """

    k: int

    def __init__(self, k: int = 5) -> None:
        self.k = whole("k of TopK", k)
        super().__init__()

    def _judge(self, y_true: ArrayLike, y_pred: ArrayLike) -> Array:
        labels, outputs = _checked(y_true, y_pred, predictions=False)
        score = np.take_along_axis(outputs, labels[:, None], axis=1)
        lower = np.arange(outputs.shape[1]) < labels[:, None]
        before = (outputs > score) | ((outputs == score) & lower)
        return (before.sum(axis=1) < self.k) & ~np.isnan(outputs).any(axis=1)

    def _title(self) -> str:
        return f"TopK({self.k})"


class _Counts(Metric):
    """What is computed from counts of (true class, predicted class)."""

    classes: int

    def __init__(self, classes: int) -> None:
        self.classes = whole(f"classes of {type(self).__name__}", classes)
        super().__init__()

    def reset(self) -> None:
        self._counts = np.zeros((self.classes, self.classes), np.int64)

    def update(self, y_true: ArrayLike, y_pred: ArrayLike) -> Self:
        labels, outputs = _checked(y_true, y_pred, self.classes)
        if outputs.ndim == 2:
            bad = np.isnan(outputs).any(axis=1)
            if bad.any():
                raise ValueError(f"y_pred must predict a class, but there is a NaN in those of sample {bad.argmax()}")
            outputs = outputs.argmax(axis=1)
        cells = np.bincount(labels * self.classes + outputs, minlength=self.classes**2)
        self._counts = self._counts + cells.reshape(self._counts.shape)
        return self


class ConfusionMatrix(_Counts):
    """How many samples of each true class (row) got each prediction (column): int64 (classes, classes).

    A NaN among the scores is a ValueError: it has no column.

    classes : how many there are, a whole number from 1 on, else ValueError

    Examples
    --------
    >>> import pymnistcnn as pm
    >>> pm.ConfusionMatrix(2).update([0, 0, 1, 1], [0, 1, 1, 1])
    ConfusionMatrix:
    [[1 1]
     [0 2]]
    """

    def get(self) -> np.ndarray:
        """int64 (classes, classes), a copy; zeros before the first sample."""
        return self._counts.copy()


class Precision(_Counts):
    """Of the samples that are predicted to be of a class, the share that are: float64 (classes,).

    A class that was never predicted has 0, as scikit-learn's `precision_score` has it with `average=None` and
    `zero_division=0`. A NaN among the scores is a ValueError.

    classes : how many there are, a whole number from 1 on, else ValueError

    Examples
    --------
    >>> import pymnistcnn as pm
    >>> pm.Precision(3).update([0, 0, 1, 1], [0, 1, 1, 1])
    Precision: [1.     0.6667 0.    ]
    """

    def get(self) -> np.ndarray:
        """float64 (classes,)."""
        return _ratio(self._counts.diagonal(), self._counts.sum(axis=0))


class Recall(_Counts):
    """Of the samples of a class, the share that are predicted to be: float64 (classes,).

    A class without samples has 0, as scikit-learn's `recall_score` has it with `average=None` and
    `zero_division=0`. A NaN among the scores is a ValueError.

    classes : how many there are, a whole number from 1 on, else ValueError

    Examples
    --------
    >>> import pymnistcnn as pm
    >>> pm.Recall(3).update([0, 0, 1, 1], [0, 1, 1, 1])
    Recall: [0.5 1.  0. ]
    """

    def get(self) -> np.ndarray:
        """float64 (classes,)."""
        return _ratio(self._counts.diagonal(), self._counts.sum(axis=1))


def _checked(
    y_true: ArrayLike, y_pred: ArrayLike, classes: int | None = None, predictions: bool = True
) -> tuple[Array, Array]:
    """The labels as int64 (n,); the outputs as float or integer (n, classes), or int64 (n,) if `predictions` may be
    given."""
    labels, outputs = np.asarray(y_true), np.asarray(y_pred)
    shapes = f"(n, {classes or 'classes'})" + " or (n,)" * predictions
    if labels.ndim == 2 and outputs.ndim == 1:
        raise ValueError(f"y_true must have shape (n,), not {labels.shape}: it comes first, and y_pred second")
    if outputs.ndim == 2:
        if outputs.shape[1] != (classes or outputs.shape[1]) or outputs.shape[1] == 0:
            raise ValueError(f"y_pred must have shape {shapes}, not {outputs.shape}")
        if outputs.dtype.kind not in "iuf":
            raise ValueError(f"y_pred must be real numbers, not {outputs.dtype}")
        classes = outputs.shape[1]
    elif outputs.ndim != 1 or not predictions:
        raise ValueError(f"y_pred must have shape {shapes}, not {outputs.shape}")
    if labels.shape != outputs.shape[:1]:
        raise ValueError(f"y_true must have shape {outputs.shape[:1]}, one for each of y_pred, not {labels.shape}")
    if outputs.ndim == 1:
        outputs = _classes("y_pred of shape (n,)", outputs, classes)
    return _classes("y_true", labels, classes), outputs


def _classes(name: str, array: ArrayLike, classes: int) -> Array:
    """Integers from 0 to classes - 1, or from 0 on, as int64."""
    if array.dtype.kind not in "iu":
        raise ValueError(f"{name} must be integers, the numbers of classes, not {array.dtype}")
    highest = np.iinfo(np.int64).max if classes is None else classes - 1
    bad = array[(array < 0) | (array > highest)]
    if len(bad):
        raise ValueError(f"{name} must be from 0 to {highest}, not {bad[0]}")
    return array.astype(np.int64, copy=False)


def _ratio(part: Array, whole: Array) -> Array:
    return np.divide(part, whole, out=np.zeros(len(whole)), where=whole > 0)


def _text(value: Array | float) -> str:
    if isinstance(value, np.ndarray):
        return np.array2string(value, precision=4)
    return f"{value:.4f}" if isinstance(value, float) else str(value)
