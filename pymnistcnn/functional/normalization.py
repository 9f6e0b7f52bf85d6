"""Batch normalization."""

from __future__ import annotations

import numpy as np

from .._types import Array, ArrayLike
from ..checks import number, shown
from ..layers import BatchNorm1d, BatchNorm2d
from ..target import target_of
from .single import backward, holding, numbers

__all__ = [
    "batch_norm",
    "batch_norm_backward",
]


def batch_norm(
    x: ArrayLike,
    running_mean: Array | None,
    running_var: Array | None,
    weight: ArrayLike | None = None,
    bias: ArrayLike | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
    *,
    threads: int | None = None,
    isa: str | None = None,
) -> Array:
    """Batch norm of every channel of x (n, c) or (n, c, ...); y has its shape.

    Parameters
    ----------
    running_mean, running_var : arrays (c,) of float32 or float64, or None in training
    weight, bias : (c,), or None for 1 and 0
    training : normalize with the batch's mean and variance, and move the running ones, in place, towards them;
        else with the running ones
    momentum : how far they move, from 0 to 1
    eps : added to the variance

    ValueError for other shapes, numbers outside these ranges, and running arrays that cannot be written to.

    Examples
    --------
    >>> import numpy as np, pymnistcnn as pm
    >>> x, mean, var = np.array([[1.0], [3.0]]), np.zeros(1), np.ones(1)
    >>> pm.functional.batch_norm(x, mean, var, training=True).round(3)
    array([[-1.],
           [ 1.]])
    >>> mean, var
    (array([0.2]), array([1.1]))
    """
    x = numbers(x)
    weights = _weights(x, weight, bias)
    running = {"running_mean": running_mean, "running_var": running_var}
    for name, array in running.items():
        if array is None and not training:
            raise ValueError(f"{name} must be given outside of training")
        writable = isinstance(array, np.ndarray) and array.dtype.kind == "f" and array.flags.writeable
        if array is not None and training and not writable:
            raise ValueError(f"{name} must be an array of floats that training can write to, not {shown(array)}")
        weights[name] = np.full(_channels(x), float(name == "running_var")) if array is None else array
    pictures = _pictures(x)
    with holding(_norm(x, eps, number("momentum", momentum, 0, 1)), pictures, weights) as found:
        y = found.forward(pictures, bool(training), target_of(isa), threads).reshape(x.shape)
        moved = dict(zip(weights, found.views(found.param), strict=False))
        for name, array in running.items():
            if training and array is not None:
                array[...] = moved[name]
    return y


def batch_norm_backward(
    dy: ArrayLike,
    x: ArrayLike,
    weight: ArrayLike | None = None,
    eps: float = 1e-5,
    *,
    threads: int | None = None,
    isa: str | None = None,
) -> tuple[Array, Array, Array]:
    """dx like x, dweight (c,) and dbias (c,) of `batch_norm` in training, for dy like x.

    ValueError as from `batch_norm`, and if dy does not have the shape of x.

    Examples
    --------
    >>> import numpy as np, pymnistcnn as pm
    >>> x, dy = np.array([[1.0], [3.0]]), np.array([[0.0], [2.0]])
    >>> dx, dweight, dbias = pm.functional.batch_norm_backward(dy, x)
    >>> dweight.round(3), dbias
    (array([2.]), array([2.]))
    """
    x, dy = numbers(x), np.asarray(dy)
    if dy.shape != x.shape:
        raise ValueError(f"dy must have the shape of x, {x.shape}, not {dy.shape}")
    weights = _weights(x, weight, None)
    dx, *gradients = backward(_norm(x, eps, 0.0), _pictures(dy), _pictures(x), weights, threads=threads, isa=isa)
    return (dx.reshape(x.shape), *gradients)


def _channels(x: ArrayLike) -> int:
    return x.shape[1] if x.ndim > 1 else 1


def _pictures(x: ArrayLike) -> Array:
    """(n, c), or (n, c, h, w) with what there is behind the channels in h and w."""
    return x if x.ndim <= 2 else x.reshape(*x.shape[:2], -1, x.shape[-1])


def _norm(x: ArrayLike, eps: float, momentum: float) -> BatchNorm1d:
    return (BatchNorm1d if x.ndim == 2 else BatchNorm2d)(eps=eps, momentum=momentum)


def _weights(x: ArrayLike, weight: None, bias: None) -> dict[str, Array]:
    given = {"weight": weight, "bias": bias}
    return {name: np.full(_channels(x), float(name == "weight")) if a is None else a for name, a in given.items()}
