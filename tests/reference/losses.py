"""Losses: of each sample, with what it counts in the mean and the gradient of its outputs."""

import numpy as np

from .activations import log_softmax, softmax
from .arrays import f64


def mean_loss(losses, counts, gradients, sample_weight=None):
    """(value, gradient) of the mean that samples have their share in: sum of s * loss / sum of s * count."""
    s = np.ones(len(losses)) if sample_weight is None else np.asarray(sample_weight, dtype=np.float64)
    total = (s * counts).sum()
    share = (s / total).reshape(-1, *(1,) * (gradients.ndim - 1))
    return float((s * losses).sum() / total), share * gradients


def _one_hot(targets, classes):
    """(n, classes), and whether it came from labels (n,)."""
    targets = np.asarray(targets)
    return (np.eye(classes)[targets], True) if targets.ndim == 1 else (*f64(targets), False)


def cross_entropy(z, targets, weight=None, label_smoothing=0.0):
    """(losses, counts, gradients) of logits z (n, classes) for labels (n,) or probabilities (n, classes)."""
    classes = np.shape(z)[1]
    targets, labels = _one_hot(targets, classes)
    weight = np.ones(classes) if weight is None else np.asarray(weight, dtype=np.float64)
    counts = targets @ weight if labels else np.ones(len(targets))
    q = weight * ((1 - label_smoothing) * targets + label_smoothing / classes)
    losses = -np.where(q == 0, 0, q * np.where(q == 0, 0, log_softmax(z))).sum(axis=1)
    return losses, counts, q.sum(axis=1, keepdims=True) * softmax(z) - q


def nll_loss(y, labels, weight=None):
    """(losses, counts, gradients) of log-probabilities y (n, classes)."""
    (y,) = f64(y)
    labels, _ = _one_hot(labels, y.shape[1])
    q = labels if weight is None else labels * np.asarray(weight, dtype=np.float64)
    return -np.where(q == 0, 0, q * np.where(q == 0, 0, y)).sum(axis=1), q.sum(axis=1), -q


def mse_loss(y, targets):
    """(losses, counts, gradients): mean square of the differences, of every sample."""
    y, targets = f64(y, targets)
    size = y[0].size
    losses = ((y - targets) ** 2).reshape(len(y), -1).mean(axis=1)
    return losses, np.ones(len(y)), 2 * (y - targets) / size


def expected_probability_loss(p, targets):
    """(losses, counts, gradients) of probabilities p (n, classes) for labels (n,) or targets (n, classes)."""
    (p,) = f64(p)
    targets, _ = _one_hot(targets, p.shape[1])
    return -(p * targets).mean(axis=1), np.ones(len(p)), -targets / p.shape[1]
