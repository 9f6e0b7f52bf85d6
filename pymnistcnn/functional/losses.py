"""Losses, of a batch or of each sample, and their gradients."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._types import Array, ArrayLike
from ..checks import checked_weights, number
from ..losses import CrossEntropyLoss, ExpectedProbabilityLoss, MSELoss, NLLLoss
from ..network import dtype_for
from ..target import target_of
from .single import network

__all__ = [
    "cross_entropy",
    "cross_entropy_backward",
    "expected_probability_loss",
    "expected_probability_loss_backward",
    "mse_loss",
    "mse_loss_backward",
    "nll_loss",
    "nll_loss_backward",
]


def cross_entropy(
    x: ArrayLike,
    target: Any,
    weight: ArrayLike | None = None,
    label_smoothing: float = 0.0,
    sample_weight: ArrayLike | None = None,
    reduction: str = "mean",
    ignore_index: int = -100,
    *,
    threads: int | None = None,
    isa: str | None = None,
) -> float | Any:
    """Cross-entropy between softmax of logits x (n, classes) and the target.

    Parameters
    ----------
    x : (n, classes); also (classes,), one sample, or (n, classes, d1, ...), with a target for each place
    target : labels (n,), whole numbers from 0 to classes - 1, or probabilities (n, classes)
    weight : (classes,), how much each class counts; with labels the mean is divided by the sum of their weights
    label_smoothing : share of every target, 0 to 1, that is spread over all classes
    sample_weight : (n,), how much each sample counts
    reduction : "mean" or "sum", a float, or "none", an array like the labels
    ignore_index : samples with this label do not count

    ValueError for other shapes, labels that are no class, and weights that are negative. The mean of nothing is NaN.

    Examples
    --------
    >>> import pymnistcnn as pm
    >>> round(pm.functional.cross_entropy([[0.0, 0.0]], [1]), 4)
    0.6931
    >>> pm.functional.cross_entropy([[0.0, 0.0], [1.0, 1.0]], [1, -100], reduction="none").round(4)
    array([0.6931, 0.    ])
    """
    loss = CrossEntropyLoss(weight, label_smoothing)
    return _Call(loss, x, target, sample_weight, reduction, ignore_index, threads, isa).value()


def cross_entropy_backward(
    dy: ArrayLike,
    x: ArrayLike,
    target: Any,
    weight: ArrayLike | None = None,
    label_smoothing: float = 0.0,
    sample_weight: ArrayLike | None = None,
    reduction: str = "mean",
    ignore_index: int = -100,
    *,
    threads: int | None = None,
    isa: str | None = None,
) -> Array:
    """dx, like x, of `cross_entropy`, for a number dy, or for an array like what is not reduced. ValueError as from
    `cross_entropy`.

    Examples
    --------
    >>> import pymnistcnn as pm
    >>> pm.functional.cross_entropy_backward(1, [[0.0, 0.0]], [1])
    array([[ 0.5, -0.5]])
    """
    loss = CrossEntropyLoss(weight, label_smoothing)
    return _Call(loss, x, target, sample_weight, reduction, ignore_index, threads, isa).gradient(dy)


def nll_loss(
    x: ArrayLike,
    target: Any,
    weight: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
    reduction: str = "mean",
    ignore_index: int = -100,
    *,
    threads: int | None = None,
    isa: str | None = None,
) -> float | Any:
    """Negative log-likelihood of labels (n,), from log-probabilities x (n, classes).

    Shapes, weight (classes,), sample_weight (n,), reduction and ignore_index as in `cross_entropy`; ValueError for
    other shapes, labels that are no class, and weights that are negative.

    Examples
    --------
    >>> import pymnistcnn as pm
    >>> pm.functional.nll_loss([[-0.5, -2.0]], [1])
    2.0
    """
    return _Call(NLLLoss(weight), x, target, sample_weight, reduction, ignore_index, threads, isa).value()


def nll_loss_backward(
    dy: ArrayLike,
    x: ArrayLike,
    target: Any,
    weight: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
    reduction: str = "mean",
    ignore_index: int = -100,
    *,
    threads: int | None = None,
    isa: str | None = None,
) -> Array:
    """dx, like x, of `nll_loss`, for a number dy, or for an array like what is not reduced. ValueError as from
    `nll_loss`.

    Examples
    --------
    >>> import pymnistcnn as pm
    >>> pm.functional.nll_loss_backward(1, [[-0.5, -2.0]], [1])
    array([[-0., -1.]])
    """
    return _Call(NLLLoss(weight), x, target, sample_weight, reduction, ignore_index, threads, isa).gradient(dy)


def mse_loss(
    x: ArrayLike,
    target: Any,
    sample_weight: ArrayLike | None = None,
    reduction: str = "mean",
    *,
    threads: int | None = None,
    isa: str | None = None,
) -> float | Any:
    """(x - target)**2, both of any one shape: their "mean" or "sum", as a float, or, with "none", an array like x;
    sample_weight (n,) says how much each x[i] counts. ValueError for different shapes, and for weights that are
    negative.

    Examples
    --------
    >>> import pymnistcnn as pm
    >>> pm.functional.mse_loss([[1.0, 2.0]], [[1.0, 4.0]])
    2.0
    """
    value = _squares(x, target, sample_weight, reduction, threads, isa).value()
    return value.reshape(np.shape(x)) if reduction == "none" else value


def mse_loss_backward(
    dy: ArrayLike,
    x: ArrayLike,
    target: Any,
    sample_weight: ArrayLike | None = None,
    reduction: str = "mean",
    *,
    threads: int | None = None,
    isa: str | None = None,
) -> Array:
    """dx, like x, of `mse_loss`, for a number dy, or for an array like what is not reduced. ValueError as from
    `mse_loss`.

    Examples
    --------
    >>> import pymnistcnn as pm
    >>> pm.functional.mse_loss_backward(1, [[1.0, 2.0]], [[1.0, 4.0]])
    array([[ 0., -2.]])
    """
    call = _squares(x, target, sample_weight, reduction, threads, isa)
    dy = np.broadcast_to(dy, np.shape(x)).reshape(-1) if reduction == "none" else dy
    return call.gradient(dy).reshape(np.shape(x))


def expected_probability_loss(
    x: ArrayLike,
    target: Any,
    sample_weight: ArrayLike | None = None,
    *,
    threads: int | None = None,
    isa: str | None = None,
) -> float:
    """The mean of -(x * target), for probabilities x (n, classes) and labels (n,) or numbers (n, classes), as a
    float; sample_weight (n,) says how much each sample counts. ValueError for other shapes, labels that are no
    class, and weights that are negative.

    Examples
    --------
    >>> import pymnistcnn as pm
    >>> pm.functional.expected_probability_loss([[0.25, 0.75]], [1])
    -0.375
    """
    return _Call(ExpectedProbabilityLoss(), x, target, sample_weight, "mean", None, threads, isa).value()


def expected_probability_loss_backward(
    dy: ArrayLike,
    x: ArrayLike,
    target: Any,
    sample_weight: ArrayLike | None = None,
    *,
    threads: int | None = None,
    isa: str | None = None,
) -> Array:
    """dx (n, classes) of `expected_probability_loss`, for a number dy. ValueError as from there.

    Examples
    --------
    >>> import pymnistcnn as pm
    >>> pm.functional.expected_probability_loss_backward(1, [[0.25, 0.75]], [1])
    array([[-0. , -0.5]])
    """
    return _Call(ExpectedProbabilityLoss(), x, target, sample_weight, "mean", None, threads, isa).gradient(dy)


class _Call:
    """One call of a loss: what counts of it, as (n, classes) rows, and how that goes back to the given shapes."""

    def __init__(
        self,
        loss: Any,
        x: ArrayLike,
        target: Any,
        sample_weight: ArrayLike,
        reduction: str,
        ignore_index: int,
        threads: int | None,
        isa: str | None,
    ) -> None:
        x, target = np.asarray(x), np.asarray(target)
        if x.ndim == 0:
            raise ValueError(f"x must have shape (n, classes), not {x.shape}")
        self.loss, self.how, self.reduction = loss, (target_of(isa), threads), _checked_reduction(reduction)
        self.shape, self.axis = x.shape, min(x.ndim - 1, 1)  # of the classes
        by_label = target.shape == x.shape[: self.axis] + x.shape[self.axis + 1 :]
        self.x = self._rows(x)
        self.target = target.reshape(-1) if by_label else self._rows(target) if target.shape == x.shape else target
        self.sample_weight = None if sample_weight is None else np.asarray(sample_weight)
        self.kept = np.ones(len(self.x), bool)
        if by_label and ignore_index is not None:
            self.kept = self.target != ignore_index
            if not self.kept.all():
                self.x, self.target = self.x[self.kept], self.target[self.kept]
                self.sample_weight = self.sample_weight if sample_weight is None else self.sample_weight[self.kept]

    def _rows(self, array: ArrayLike) -> Array:
        moved = np.moveaxis(array, self.axis, -1)
        return np.ascontiguousarray(moved).reshape(-1 if moved.size else 0, array.shape[self.axis])

    def _run(self, each: bool) -> tuple[Array, Array, Array] | tuple[float, Array]:
        with network([], self.x) as found:
            return found.loss_by_hand(self.loss, self.x, self.target, self.sample_weight, *self.how, each=each)

    def value(self) -> Array | float:
        """A float, or an array."""
        if self.reduction == "mean":
            return self._run(each=False)[0] if len(self.x) else float("nan")
        losses = self._run(each=True)[0] if len(self.x) else np.zeros(0)
        if self.reduction == "sum":
            return float(losses.sum())
        every = np.zeros(len(self.kept))
        every[self.kept] = losses
        return every.reshape(self.shape[: self.axis] + self.shape[self.axis + 1 :]).astype(dtype_for(self.x))

    def gradient(self, dy: int) -> Array:
        """Like x."""
        rows = np.zeros((len(self.kept), self.shape[self.axis]), dtype_for(self.x))
        if self.reduction == "none":
            dy = np.broadcast_to(np.asarray(dy, rows.dtype), self.shape[: self.axis] + self.shape[self.axis + 1 :])
            dy = dy.reshape(-1)[self.kept, None]
        else:
            dy = number("dy", dy)
        if len(self.x):
            rows[self.kept] = dy * self._run(each=self.reduction != "mean")[1]
        shape = self.shape[: self.axis] + self.shape[self.axis + 1 :] + (self.shape[self.axis],)
        return np.ascontiguousarray(np.moveaxis(rows.reshape(shape), -1, self.axis))


def _checked_reduction(reduction: str) -> str:
    if reduction not in ("mean", "sum", "none"):
        raise ValueError(f'reduction must be "mean", "sum" or "none", not {reduction!r}')
    return reduction


def _squares(
    x: ArrayLike, target: Any, sample_weight: ArrayLike, reduction: str, threads: int | None, isa: str | None
) -> _Call:
    """The call for mean squared errors of any shape: a row is a sample or, if all of them are asked for, a number."""
    x, target = np.asarray(x), np.asarray(target)
    if x.shape != target.shape:
        raise ValueError(f"target must have the shape of x, {x.shape}, not {target.shape}")
    samples = len(x) if x.ndim else 1
    each = x.size // samples if samples else 0  # numbers of a sample
    if sample_weight is not None:
        sample_weight = checked_weights("sample_weight", sample_weight, (samples,))
    if reduction != "mean":
        sample_weight, samples = None if sample_weight is None else np.repeat(sample_weight, each), x.size
    shape = (samples, -1) if x.size else (0, 1)
    x, target = x.reshape(shape), target.reshape(shape)
    return _Call(MSELoss(), x, target, sample_weight, reduction, None, threads, isa)
