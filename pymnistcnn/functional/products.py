"""Convolution, linear layer and matrix product."""

from __future__ import annotations

import numpy as np

from .._types import Array, ArrayLike
from ..initializers import Zeros
from ..layers import Conv2d, Linear
from .single import backward, forward

__all__ = [
    "conv2d",
    "conv2d_backward",
    "linear",
    "linear_backward",
    "matmul",
    "matmul_backward",
]


def conv2d(
    x: ArrayLike,
    w: ArrayLike,
    b: ArrayLike | None = None,
    stride: int | tuple[int, int] = 1,
    padding: int | tuple[int, ...] | str = 0,
    dilation: int | tuple[int, int] = 1,
    groups: int = 1,
    *,
    threads: int | None = None,
    isa: str | None = None,
) -> Array:
    """2-D convolution (cross-correlation): y (n, k, oh, ow), or (k, oh, ow) of a single picture.

    Parameters
    ----------
    x : (n, c, h, w) or (c, h, w)
    w : (k, c / groups, kh, kw)
    b : (k,), or None for no bias
    stride, dilation : a number or (vertical, horizontal)
    padding : zeros around x: a number, (vertical, horizontal), (top, bottom, left, right), "valid" (none) or "same"
        (stride 1: y is as large as x)
    groups : input and output channels are cut into so many groups that do not see each other

    ValueError if the kernel does not fit into the padded x, groups do not divide the channels, a number is
    negative, or shapes do not go together.

    Examples
    --------
    >>> import numpy as np, pymnistcnn as pm
    >>> x, w = np.ones((1, 1, 3, 3), np.float32), np.ones((1, 1, 3, 3), np.float32)
    >>> pm.functional.conv2d(x, w, padding=1)
    array([[[[4., 6., 4.],
             [6., 9., 6.],
             [4., 6., 4.]]]], dtype=float32)
    """
    layer = _conv(w, b is not None, stride, padding, dilation, groups)
    return forward(layer, x, {"w": w} if b is None else {"w": w, "b": b}, threads=threads, isa=isa)


def conv2d_backward(
    dy: ArrayLike,
    x: ArrayLike,
    w: ArrayLike,
    stride: int | tuple[int, int] = 1,
    padding: int | tuple[int, ...] | str = 0,
    dilation: int | tuple[int, int] = 1,
    groups: int = 1,
    *,
    threads: int | None = None,
    isa: str | None = None,
) -> tuple[Array, Array, Array]:
    """dx (n, c, h, w), dw (k, c / groups, kh, kw) and db (k,) of `conv2d`, for dy (n, k, oh, ow).

    ValueError as from `conv2d`, and if dy does not have the shape of y.

    Examples
    --------
    >>> import numpy as np, pymnistcnn as pm
    >>> x, w = np.ones((1, 1, 3, 3), np.float32), np.ones((1, 1, 3, 3), np.float32)
    >>> dx, dw, db = pm.functional.conv2d_backward(np.full((1, 1, 1, 1), 2), x, w)
    >>> dw.sum(), db
    (np.float32(18.0), array([2.], dtype=float32))
    """
    layer = _conv(w, True, stride, padding, dilation, groups)
    return backward(layer, dy, x, {"w": w, "b": np.zeros(len(w))}, threads=threads, isa=isa)


def _conv(
    w: ArrayLike,
    bias: bool,
    stride: int | tuple[int, int],
    padding: int | tuple[int, ...] | str,
    dilation: int | tuple[int, int],
    groups: int,
) -> Conv2d:
    if np.ndim(w) != 4:
        raise ValueError(f"w must have shape (k, c / groups, kh, kw), not {np.shape(w)}")
    k, _, *kernel = np.shape(w)
    return Conv2d(
        k, tuple(kernel), stride=stride, padding=padding, dilation=dilation, groups=groups, bias=bias,
        initializer=Zeros(),
    )  # fmt: skip


def linear(
    x: ArrayLike, w: ArrayLike, b: ArrayLike | None = None, *, threads: int | None = None, isa: str | None = None
) -> Array:
    """x w' + b, of x (..., in), w (out, in) and b (out,) or None: y (..., out). ValueError for other shapes.

    Examples
    --------
    >>> import numpy as np, pymnistcnn as pm
    >>> pm.functional.linear(np.ones((1, 2), np.float32), [[1, 2], [3, 4], [5, 6]], [0, 0, 1])
    array([[ 3.,  7., 12.]], dtype=float32)
    """
    return forward(_linear(w, b is not None), x, {"w": w} if b is None else {"w": w, "b": b}, threads=threads, isa=isa)


def linear_backward(
    dy: ArrayLike, x: ArrayLike, w: ArrayLike, *, threads: int | None = None, isa: str | None = None
) -> tuple[Array, Array, Array]:
    """dx (n, in), dw (out, in) and db (out,) of `linear`, for dy (n, out). ValueError for other shapes.

    Examples
    --------
    >>> import numpy as np, pymnistcnn as pm
    >>> dx, dw, db = pm.functional.linear_backward([[1, 0, 2]], np.ones((1, 2)), [[1, 2], [3, 4], [5, 6]])
    >>> dx, db
    (array([[11., 14.]]), array([1., 0., 2.]))
    """
    return backward(_linear(w, True), dy, x, {"w": w, "b": np.zeros(len(w))}, threads=threads, isa=isa)


def _linear(w: ArrayLike, bias: bool) -> Linear:
    if np.ndim(w) != 2:
        raise ValueError(f"w must have shape (out, in), not {np.shape(w)}")
    return Linear(len(w), bias=bias, initializer=Zeros())


def matmul(a: ArrayLike, b: ArrayLike, *, threads: int | None = None, isa: str | None = None) -> Array:
    """The product (n, m) of matrices a (n, k) and b (k, m), in the dtype that a decides. ValueError for other
    shapes.

    Examples
    --------
    >>> import numpy as np, pymnistcnn as pm
    >>> pm.functional.matmul(np.array([[1, 2]]), np.array([[3], [4]]))
    array([[11.]], dtype=float32)
    """
    a, b = _matrices(a, b)
    return forward(_linear(b.T, False), a, {"b'": b.T}, threads=threads, isa=isa)


def matmul_backward(
    dy: ArrayLike, a: ArrayLike, b: ArrayLike, *, threads: int | None = None, isa: str | None = None
) -> tuple[Array, Array]:
    """da (n, k) and db (k, m) of `matmul`, for dy (n, m). ValueError for other shapes.

    Examples
    --------
    >>> import numpy as np, pymnistcnn as pm
    >>> pm.functional.matmul_backward([[2]], np.array([[1, 2]]), np.array([[3], [4]]))[0]
    array([[6., 8.]], dtype=float32)
    """
    a, b = _matrices(a, b)
    da, db = backward(_linear(b.T, False), dy, a, {"b'": b.T}, threads=threads, isa=isa)
    return da, np.ascontiguousarray(db.T)


def _matrices(a: ArrayLike, b: ArrayLike) -> tuple[Array, Array]:
    a, b = np.asarray(a), np.asarray(b)
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[0]:
        raise ValueError(f"a and b must have shapes (n, k) and (k, m), not {a.shape} and {b.shape}")
    return a, b
