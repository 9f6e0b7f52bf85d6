"""Batch normalization of (n, c, h, w) or (n, features)."""

import numpy as np

from .arrays import f64


def _by_channel(values, x):
    """values (c,), to be combined with x."""
    return np.reshape(np.asarray(values, dtype=np.float64), (1, -1, *(1,) * (x.ndim - 2)))


def batch_norm_inference(x, mean, var, weight, bias, eps=1e-5):
    """With given statistics (c,)."""
    (x,) = f64(x)
    normal = (x - _by_channel(mean, x)) / np.sqrt(_by_channel(var, x) + eps)
    return normal * _by_channel(weight, x) + _by_channel(bias, x)


def batch_norm(x, weight, bias, eps=1e-5):
    """With the mean and the (biased) variance of the batch."""
    (x,) = f64(x)
    axes = (0, *range(2, x.ndim))
    return batch_norm_inference(x, x.mean(axis=axes), x.var(axis=axes), weight, bias, eps)


def batch_norm_backward(dy, x, weight, eps=1e-5):
    """(dx, dweight, dbias) of batch_norm."""
    dy, x = f64(dy, x)
    axes = (0, *range(2, x.ndim))
    deviation = np.sqrt(x.var(axis=axes, keepdims=True) + eps)
    normal = (x - x.mean(axis=axes, keepdims=True)) / deviation
    dweight, dbias = (dy * normal).sum(axis=axes), dy.sum(axis=axes)
    count = x.size // x.shape[1]
    centred = dy - (_by_channel(dbias, x) + normal * _by_channel(dweight, x)) / count
    return _by_channel(weight, x) / deviation * centred, dweight, dbias


def batch_norm_running(x, mean, var, batches, momentum=0.1):
    """The running (mean, var) after x, the batch that comes after `batches` others; momentum None: of all alike.

    The variance is the unbiased one, 0 of a single value.
    """
    x, mean, var = f64(x, mean, var)
    axes, count = (0, *range(2, x.ndim)), x.size // x.shape[1]
    share = 1 / (batches + 1) if momentum is None else momentum
    unbiased = x.var(axis=axes) * count / max(count - 1, 1)
    return (1 - share) * mean + share * x.mean(axis=axes), (1 - share) * var + share * unbiased
