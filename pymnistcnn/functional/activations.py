"""Activations, element by element, and softmax."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .._types import Array, ArrayLike
from ..checks import whole
from ..layers import ELU, GELU, Hardswish, LeakyReLU, LogSoftmax, ReLU, Sigmoid, SiLU, Softmax, Softplus, Tanh
from ..network import dtype_for
from .single import backward, forward

__all__ = [
    "elu",
    "elu_backward",
    "gelu",
    "gelu_backward",
    "hardswish",
    "hardswish_backward",
    "leaky_relu",
    "leaky_relu_backward",
    "log_softmax",
    "log_softmax_backward",
    "relu",
    "relu_backward",
    "sigmoid",
    "sigmoid_backward",
    "silu",
    "silu_backward",
    "softmax",
    "softmax_backward",
    "softplus",
    "softplus_backward",
    "tanh",
    "tanh_backward",
]


def relu(x: ArrayLike, *, threads: int | None = None, isa: str | None = None) -> Array:
    """max(x, 0) of x of any shape; NaN is passed on. ValueError if x is not numeric.

    Examples
    --------
    >>> import numpy as np, pymnistcnn as pm
    >>> pm.functional.relu(np.array([-1.0, 2.0]))
    array([0., 2.])
    """
    return _forward(ReLU(), x, threads, isa)


def relu_backward(dy: ArrayLike, x: ArrayLike, *, threads: int | None = None, isa: str | None = None) -> Array:
    """dx of `relu`, for dy like x: 0 where x is not above 0. ValueError for other shapes.

    Examples
    --------
    >>> import numpy as np, pymnistcnn as pm
    >>> pm.functional.relu_backward([5, 5], np.array([-1.0, 2.0]))
    array([0., 5.])
    """
    return _backward(ReLU(), dy, x, threads, isa)


def leaky_relu(
    x: ArrayLike, negative_slope: float = 0.01, *, threads: int | None = None, isa: str | None = None
) -> Array:
    """x, or negative_slope * x below 0, of x of any shape. ValueError if x is not numeric, or the
    slope is negative.

    Examples
    --------
    >>> import numpy as np, pymnistcnn as pm
    >>> pm.functional.leaky_relu(np.array([-1.0, 2.0]), 0.5)
    array([-0.5,  2. ])
    """
    return _forward(LeakyReLU(negative_slope), x, threads, isa)


def leaky_relu_backward(
    dy: ArrayLike, x: ArrayLike, negative_slope: float = 0.01, *, threads: int | None = None, isa: str | None = None
) -> Array:
    """dx of `leaky_relu`, for dy like x. ValueError as from `leaky_relu`, and for other shapes.

    Examples
    --------
    >>> import numpy as np, pymnistcnn as pm
    >>> pm.functional.leaky_relu_backward([5, 5], np.array([-1.0, 2.0]), 0.5)
    array([2.5, 5. ])
    """
    return _backward(LeakyReLU(negative_slope), dy, x, threads, isa)


def elu(x: ArrayLike, alpha: float = 1.0, *, threads: int | None = None, isa: str | None = None) -> Array:
    """x, or alpha * (exp(x) - 1) below 0, of x of any shape. ValueError if x is not numeric, or
    alpha is negative.

    Examples
    --------
    >>> import numpy as np, pymnistcnn as pm
    >>> pm.functional.elu(np.array([-100.0, 2.0]))
    array([-1.,  2.])
    """
    return _forward(ELU(alpha), x, threads, isa)


def elu_backward(
    dy: ArrayLike, x: ArrayLike, alpha: float = 1.0, *, threads: int | None = None, isa: str | None = None
) -> Array:
    """dx of `elu`, for dy like x. ValueError as from `elu`, and for other shapes.

    Examples
    --------
    >>> import numpy as np, pymnistcnn as pm
    >>> pm.functional.elu_backward([5, 5], np.array([-1.0, 2.0]))
    array([1.83939721, 5.        ])
    """
    return _backward(ELU(alpha), dy, x, threads, isa)


def sigmoid(x: ArrayLike, *, threads: int | None = None, isa: str | None = None) -> Array:
    """1 / (1 + exp(-x)) of x of any shape. ValueError if x is not numeric.

    Examples
    --------
    >>> import numpy as np, pymnistcnn as pm
    >>> pm.functional.sigmoid(np.zeros(2))
    array([0.5, 0.5])
    """
    return _forward(Sigmoid(), x, threads, isa)


def sigmoid_backward(dy: ArrayLike, x: ArrayLike, *, threads: int | None = None, isa: str | None = None) -> Array:
    """dx of `sigmoid`, for dy like x. ValueError for other shapes.

    Examples
    --------
    >>> import numpy as np, pymnistcnn as pm
    >>> pm.functional.sigmoid_backward([4, 8], np.zeros(2))
    array([1., 2.])
    """
    return _backward(Sigmoid(), dy, x, threads, isa)


def softplus(
    x: ArrayLike, beta: float = 1.0, threshold: float = 20.0, *, threads: int | None = None, isa: str | None = None
) -> Array:
    """log(1 + exp(beta * x)) / beta of x of any shape; x itself where beta * x is above the threshold. ValueError
    if x is not numeric, or beta is not above 0.

    Examples
    --------
    >>> import numpy as np, pymnistcnn as pm
    >>> pm.functional.softplus(np.array([0.0, 30.0])).round(4)
    array([ 0.6931, 30.    ])
    """
    return _forward(Softplus(beta, threshold), x, threads, isa)


def softplus_backward(
    dy: ArrayLike,
    x: ArrayLike,
    beta: float = 1.0,
    threshold: float = 20.0,
    *,
    threads: int | None = None,
    isa: str | None = None,
) -> Array:
    """dx of `softplus`, for dy like x. ValueError as from `softplus`, and for other shapes.

    Examples
    --------
    >>> import numpy as np, pymnistcnn as pm
    >>> pm.functional.softplus_backward([4, 8], np.array([0.0, 30.0])).round(4)
    array([2., 8.])
    """
    return _backward(Softplus(beta, threshold), dy, x, threads, isa)


def gelu(x: ArrayLike, approximate: str = "none", *, threads: int | None = None, isa: str | None = None) -> Array:
    """x times the normal distribution's share below x, of x of any shape; approximate: "none" or "tanh". ValueError if
    x is not numeric, or for another approximation.

    Examples
    --------
    >>> import numpy as np, pymnistcnn as pm
    >>> pm.functional.gelu(np.array([-1.0, 1.0])).round(4)
    array([-0.1587,  0.8413])
    """
    return _forward(GELU(approximate), x, threads, isa)


def gelu_backward(
    dy: ArrayLike, x: ArrayLike, approximate: str = "none", *, threads: int | None = None, isa: str | None = None
) -> Array:
    """dx of `gelu`, for dy like x. ValueError as from `gelu`, and for other shapes.

    Examples
    --------
    >>> import numpy as np, pymnistcnn as pm
    >>> pm.functional.gelu_backward([4, 4], np.array([0.0, 30.0]))
    array([2., 4.])
    """
    return _backward(GELU(approximate), dy, x, threads, isa)


def silu(x: ArrayLike, *, threads: int | None = None, isa: str | None = None) -> Array:
    """x / (1 + exp(-x)) of x of any shape. ValueError if x is not numeric.

    Examples
    --------
    >>> import numpy as np, pymnistcnn as pm
    >>> pm.functional.silu(np.array([0.0, 1.0])).round(4)
    array([0.    , 0.7311])
    """
    return _forward(SiLU(), x, threads, isa)


def silu_backward(dy: ArrayLike, x: ArrayLike, *, threads: int | None = None, isa: str | None = None) -> Array:
    """dx of `silu`, for dy like x. ValueError for other shapes.

    Examples
    --------
    >>> import numpy as np, pymnistcnn as pm
    >>> pm.functional.silu_backward([4, 4], np.array([0.0, 50.0]))
    array([2., 4.])
    """
    return _backward(SiLU(), dy, x, threads, isa)


def hardswish(x: ArrayLike, *, threads: int | None = None, isa: str | None = None) -> Array:
    """x (x + 3) / 6 from -3 to 3, 0 below and x above, of x of any shape. ValueError if x is not numeric.

    Examples
    --------
    >>> import numpy as np, pymnistcnn as pm
    >>> pm.functional.hardswish(np.array([-4.0, 0.0, 3.0]))
    array([0., 0., 3.])
    """
    return _forward(Hardswish(), x, threads, isa)


def hardswish_backward(dy: ArrayLike, x: ArrayLike, *, threads: int | None = None, isa: str | None = None) -> Array:
    """dx of `hardswish`, for dy like x. ValueError for other shapes.

    Examples
    --------
    >>> import numpy as np, pymnistcnn as pm
    >>> pm.functional.hardswish_backward([4, 4], np.array([0.0, 3.0]))
    array([2., 4.])
    """
    return _backward(Hardswish(), dy, x, threads, isa)


def tanh(x: ArrayLike, *, threads: int | None = None, isa: str | None = None) -> Array:
    """tanh(x) of x of any shape. ValueError if x is not numeric.

    Examples
    --------
    >>> import numpy as np, pymnistcnn as pm
    >>> pm.functional.tanh(np.array([0.0, 30.0]))
    array([0., 1.])
    """
    return _forward(Tanh(), x, threads, isa)


def tanh_backward(dy: ArrayLike, x: ArrayLike, *, threads: int | None = None, isa: str | None = None) -> Array:
    """dx of `tanh`, for dy like x. ValueError for other shapes.

    Examples
    --------
    >>> import numpy as np, pymnistcnn as pm
    >>> pm.functional.tanh_backward([4, 8], np.array([0.0, 30.0]))
    array([4., 0.])
    """
    return _backward(Tanh(), dy, x, threads, isa)


def softmax(x: ArrayLike, dim: int = -1, *, threads: int | None = None, isa: str | None = None) -> Array:
    """Probabilities, along the axis `dim` of x of any shape, of what are scores there. ValueError if x
    is not numeric, or has no such axis.

    Examples
    --------
    >>> import numpy as np, pymnistcnn as pm
    >>> pm.functional.softmax(np.zeros((1, 2)))
    array([[0.5, 0.5]])
    """
    return _along(dim, lambda x: forward(Softmax(), x, threads=threads, isa=isa), x)


def softmax_backward(
    dy: ArrayLike, x: ArrayLike, dim: int = -1, *, threads: int | None = None, isa: str | None = None
) -> Array:
    """dx of `softmax`, for dy like x. ValueError as from `softmax`, and for other shapes.

    Examples
    --------
    >>> import numpy as np, pymnistcnn as pm
    >>> pm.functional.softmax_backward([[4, 0]], np.zeros((1, 2)))
    array([[ 1., -1.]])
    """
    return _along(dim, lambda dy, x: backward(Softmax(), dy, x, threads=threads, isa=isa), dy, x)


def log_softmax(x: ArrayLike, dim: int = -1, *, threads: int | None = None, isa: str | None = None) -> Array:
    """Logarithms of `softmax`, also where those are too small to be told from 0; x, dim and errors as there.

    Examples
    --------
    >>> import numpy as np, pymnistcnn as pm
    >>> pm.functional.log_softmax(np.array([[0.0, 1e4]]))
    array([[-10000.,      0.]])
    """
    return _along(dim, lambda x: forward(LogSoftmax(), x, threads=threads, isa=isa), x)


def log_softmax_backward(
    dy: ArrayLike, x: ArrayLike, dim: int = -1, *, threads: int | None = None, isa: str | None = None
) -> Array:
    """dx of `log_softmax`, for dy like x. ValueError as from `log_softmax`, and for other shapes.

    Examples
    --------
    >>> import numpy as np, pymnistcnn as pm
    >>> pm.functional.log_softmax_backward([[4, 0]], np.zeros((1, 2)))
    array([[ 2., -2.]])
    """
    return _along(dim, lambda dy, x: backward(LogSoftmax(), dy, x, threads=threads, isa=isa), dy, x)


def _forward(layer: Any, x: ArrayLike, threads: int | None, isa: str | None) -> Array:
    return forward(layer, x, threads=threads, isa=isa)


def _backward(layer: Any, dy: ArrayLike, x: ArrayLike, threads: int | None, isa: str | None) -> Array:
    return backward(layer, *_alike(dy, x), threads=threads, isa=isa)


def _alike(dy: ArrayLike, x: ArrayLike) -> tuple[Array, Array]:
    dy, x = np.asarray(dy), np.asarray(x)
    if dy.shape != x.shape:
        raise ValueError(f"dy must have the shape of x, {x.shape}, not {dy.shape}")
    return dy, x


def _along(dim: int, function: Callable[..., Any], *arrays: Any) -> Array:
    """What a function of rows gives for the rows of arrays along an axis; the last of the arrays is x."""
    arrays = _alike(*arrays) if len(arrays) == 2 else [np.asarray(*arrays)]
    ndim, shape = max(arrays[-1].ndim, 1), arrays[-1].shape  # a number has an axis, too
    dim = whole("dim", dim, -ndim, ndim - 1)
    if arrays[-1].size == 0:
        return np.empty(shape, dtype_for(arrays[-1]))
    moved = [np.moveaxis(np.atleast_1d(array), dim, -1) for array in arrays]
    y = function(*(array.reshape(-1, array.shape[-1]) for array in moved))
    return np.moveaxis(y.reshape(moved[0].shape), -1, dim).reshape(shape)
