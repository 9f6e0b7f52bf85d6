"""Losses: the mean over a batch as a number, and its gradient."""

from __future__ import annotations

import numpy as np

from ..checks import number
from ..losses import CrossEntropyLoss, ExpectedProbabilityLoss, MSELoss, NLLLoss
from ..target import target_of
from .single import network, numbers, rows

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


def cross_entropy(x, target, weight=None, label_smoothing=0.0, sample_weight=None, *, threads=None, isa=None):
    """Mean cross-entropy between softmax of logits x (n, classes) and the target, as a float.

    Parameters
    ----------
    target : labels (n,), whole numbers from 0 to classes - 1, or probabilities (n, classes)
    weight : (classes,), how much each class counts; with labels the mean is divided by the sum of their weights
    label_smoothing : share of every target, 0 to 1, that is spread over all classes
    sample_weight : (n,), how much each sample counts

    ValueError for other shapes, labels that are no class, and weights that are negative.

    Examples
    --------
    >>> import pymnistcnn as pm
    >>> round(pm.functional.cross_entropy([[0.0, 0.0]], [1]), 4)
    0.6931
    """
    loss = CrossEntropyLoss(weight, label_smoothing)
    return _value_and_gradient(loss, x, target, sample_weight, threads, isa)[0]


def cross_entropy_backward(
    dy, x, target, weight=None, label_smoothing=0.0, sample_weight=None, *, threads=None, isa=None
):
    """dx (n, classes) of `cross_entropy`, for a number dy. ValueError as from `cross_entropy`.

    Examples
    --------
    >>> import pymnistcnn as pm
    >>> pm.functional.cross_entropy_backward(1, [[0.0, 0.0]], [1])
    array([[ 0.5, -0.5]])
    """
    loss = CrossEntropyLoss(weight, label_smoothing)
    return _scaled(dy, _value_and_gradient(loss, x, target, sample_weight, threads, isa))


def nll_loss(x, target, weight=None, sample_weight=None, *, threads=None, isa=None):
    """Mean negative log-likelihood of labels (n,), from log-probabilities x (n, classes), as a float.

    weight (classes,) and sample_weight (n,) as in `cross_entropy`; ValueError for other shapes, labels that are
    no class, and weights that are negative.

    Examples
    --------
    >>> import pymnistcnn as pm
    >>> pm.functional.nll_loss([[-0.5, -2.0]], [1])
    2.0
    """
    return _value_and_gradient(NLLLoss(weight), x, target, sample_weight, threads, isa)[0]


def nll_loss_backward(dy, x, target, weight=None, sample_weight=None, *, threads=None, isa=None):
    """dx (n, classes) of `nll_loss`, for a number dy. ValueError as from `nll_loss`.

    Examples
    --------
    >>> import pymnistcnn as pm
    >>> pm.functional.nll_loss_backward(1, [[-0.5, -2.0]], [1])
    array([[-0., -1.]])
    """
    return _scaled(dy, _value_and_gradient(NLLLoss(weight), x, target, sample_weight, threads, isa))


def mse_loss(x, target, sample_weight=None, *, threads=None, isa=None):
    """The mean of (x - target)**2, both of any one shape, as a float; sample_weight (n,) says how much each x[i]
    counts. ValueError for different shapes, and for weights that are negative.

    Examples
    --------
    >>> import pymnistcnn as pm
    >>> pm.functional.mse_loss([[1.0, 2.0]], [[1.0, 4.0]])
    2.0
    """
    x, target = _alike(x, target)
    return _value_and_gradient(MSELoss(), rows(x), rows(target), sample_weight, threads, isa)[0]


def mse_loss_backward(dy, x, target, sample_weight=None, *, threads=None, isa=None):
    """dx, like x, of `mse_loss`, for a number dy. ValueError as from `mse_loss`.

    Examples
    --------
    >>> import pymnistcnn as pm
    >>> pm.functional.mse_loss_backward(1, [[1.0, 2.0]], [[1.0, 4.0]])
    array([[ 0., -2.]])
    """
    x, target = _alike(x, target)
    gradient = _scaled(dy, _value_and_gradient(MSELoss(), rows(x), rows(target), sample_weight, threads, isa))
    return gradient.reshape(x.shape)


def expected_probability_loss(x, target, sample_weight=None, *, threads=None, isa=None):
    """The mean of -(x * target), for probabilities x (n, classes) and labels (n,) or numbers (n, classes), as a
    float; sample_weight (n,) says how much each sample counts. ValueError for other shapes, labels that are no
    class, and weights that are negative.

    Examples
    --------
    >>> import pymnistcnn as pm
    >>> pm.functional.expected_probability_loss([[0.25, 0.75]], [1])
    -0.375
    """
    return _value_and_gradient(ExpectedProbabilityLoss(), x, target, sample_weight, threads, isa)[0]


def expected_probability_loss_backward(dy, x, target, sample_weight=None, *, threads=None, isa=None):
    """dx (n, classes) of `expected_probability_loss`, for a number dy. ValueError as from there.

    Examples
    --------
    >>> import pymnistcnn as pm
    >>> pm.functional.expected_probability_loss_backward(1, [[0.25, 0.75]], [1])
    array([[-0. , -0.5]])
    """
    return _scaled(dy, _value_and_gradient(ExpectedProbabilityLoss(), x, target, sample_weight, threads, isa))


def _value_and_gradient(loss, x, target, sample_weight, threads, isa):
    x = numbers(x)
    with network([], x, loss) as found:
        return found.loss_by_hand(x, target, sample_weight, target_of(isa), threads)


def _scaled(dy, value_and_gradient):
    return number("dy", dy) * value_and_gradient[1]


def _alike(x, target):
    x, target = numbers(x), np.asarray(target)
    if x.shape != target.shape:
        raise ValueError(f"target must have the shape of x, {x.shape}, not {target.shape}")
    return x, target
