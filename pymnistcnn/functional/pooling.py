"""Pooling: the largest value or the mean of every window."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._types import Array, ArrayLike
from ..checks import exact_cast, whole
from ..layers import AvgPool2d, GlobalAvgPool2d, MaxPool2d
from ..network import dtype_for
from ..target import target_of
from .products import linear
from .single import backward, batch_of, forward, holding, numbers, shaped

__all__ = [
    "adaptive_avg_pool2d",
    "adaptive_avg_pool2d_backward",
    "avg_pool2d",
    "avg_pool2d_backward",
    "global_avg_pool2d",
    "global_avg_pool2d_backward",
    "max_pool2d",
    "max_pool2d_backward",
]


def max_pool2d(
    x: ArrayLike,
    kernel_size: int | tuple[int, int],
    stride: int | tuple[int, int] | None = None,
    padding: int | tuple[int, ...] = 0,
    dilation: int | tuple[int, int] = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
    *,
    threads: int | None = None,
    isa: str | None = None,
) -> Array | Any:
    """The largest value of every window of x (n, c, h, w) or (c, h, w): y (n, c, oh, ow). NaN is passed on.

    Parameters
    ----------
    kernel_size, stride, dilation : a number or (vertical, horizontal); stride is kernel_size if not given
    padding : a number, (vertical, horizontal) or (top, bottom, left, right), less than the window; padded positions
        never win, and a window of them alone gives -inf
    ceil_mode : windows may reach over the end, if they begin inside
    return_indices : give (y, indices), where each value of y was: row * w + column, int64 (n, c, oh, ow), and -1
        in a window of padding

    ValueError if no window fits into x, or for numbers outside these ranges.

    Examples
    --------
    >>> import numpy as np, pymnistcnn as pm
    >>> x = np.array([[[[1, 5], [3, 2]]]], np.float32)
    >>> pm.functional.max_pool2d(x, 2, return_indices=True)
    (array([[[[5.]]]], dtype=float32), array([[[[1]]]]))
    """
    layer = MaxPool2d(kernel_size, stride, padding, dilation, ceil_mode=ceil_mode)
    if not return_indices:
        return forward(layer, x, threads=threads, isa=isa)
    x = numbers(x)
    batch = batch_of(layer, x)
    with holding(layer, batch, ()) as found:
        target = target_of(isa)
        y = found.forward(batch, True, target, threads)
        return shaped(layer, x, y), shaped(layer, x, _indices(found, len(batch), target))


def _indices(network: Any, n: int, target: Any) -> Array:
    """The argmax of the last forward: the kernel's are offsets into pictures with the channels last."""
    (pool,) = network.by_hand.nodes
    out = pool.y.geometry
    offsets = np.frombuffer(network.plan(True, n, target).peek(pool.argmax.offset, 4 * n * out.elements), np.int32)
    indices = offsets.reshape(n, out.h, out.w, out.c) // out.c
    return np.ascontiguousarray(indices.transpose(0, 3, 1, 2), np.int64)


def max_pool2d_backward(
    dy: ArrayLike,
    x: ArrayLike,
    kernel_size: int | tuple[int, int],
    stride: int | tuple[int, int] | None = None,
    padding: int | tuple[int, ...] = 0,
    dilation: int | tuple[int, int] = 1,
    ceil_mode: bool = False,
    *,
    threads: int | None = None,
    isa: str | None = None,
) -> Array:
    """dx (n, c, h, w) of `max_pool2d`, for dy (n, c, oh, ow): each number goes where the largest value was.

    ValueError as from `max_pool2d`, and if dy does not have the shape of y.

    Examples
    --------
    >>> import numpy as np, pymnistcnn as pm
    >>> x = np.array([[[[1, 5], [3, 2]]]], np.float32)
    >>> pm.functional.max_pool2d_backward(np.full((1, 1, 1, 1), 7), x, 2)
    array([[[[0., 7.],
             [0., 0.]]]], dtype=float32)
    """
    layer = MaxPool2d(kernel_size, stride, padding, dilation, ceil_mode=ceil_mode)
    return backward(layer, dy, x, threads=threads, isa=isa)


def avg_pool2d(
    x: ArrayLike,
    kernel_size: int | tuple[int, int],
    stride: int | tuple[int, int] | None = None,
    padding: int | tuple[int, ...] = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
    *,
    threads: int | None = None,
    isa: str | None = None,
) -> Array:
    """The mean of every window of x (n, c, h, w): y (n, c, oh, ow).

    Parameters
    ----------
    kernel_size, stride : a number or (vertical, horizontal); stride is kernel_size if not given
    padding : zeros around x: a number, (vertical, horizontal) or (top, bottom, left, right), less than the window
    ceil_mode : windows may reach over the end, if they begin inside
    count_include_pad : whether the zeros of the padding count in the mean
    divisor_override : what the sum of a window is divided by, if not by how many there are in it

    ValueError if no window fits into x, or for numbers outside these ranges.

    Examples
    --------
    >>> import numpy as np, pymnistcnn as pm
    >>> pm.functional.avg_pool2d(np.array([[[[1, 5], [3, 2]]]], np.float32), 2)
    array([[[[2.75]]]], dtype=float32)
    """
    layer = AvgPool2d(kernel_size, stride, padding, ceil_mode, count_include_pad)
    return forward(layer, x, threads=threads, isa=isa) * _factor(layer, np.asarray(x), divisor_override)


def avg_pool2d_backward(
    dy: ArrayLike,
    x: ArrayLike,
    kernel_size: int | tuple[int, int],
    stride: int | tuple[int, int] | None = None,
    padding: int | tuple[int, ...] = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
    *,
    threads: int | None = None,
    isa: str | None = None,
) -> Array:
    """dx (n, c, h, w) of `avg_pool2d`, for dy (n, c, oh, ow): each number is spread over its window.

    ValueError as from `avg_pool2d`, and if dy does not have the shape of y.

    Examples
    --------
    >>> import numpy as np, pymnistcnn as pm
    >>> pm.functional.avg_pool2d_backward(np.full((1, 1, 1, 1), 8), np.zeros((1, 1, 2, 2), np.float32), 2)
    array([[[[2., 2.],
             [2., 2.]]]], dtype=float32)
    """
    layer = AvgPool2d(kernel_size, stride, padding, ceil_mode, count_include_pad)
    dy = np.asarray(dy) * _factor(layer, np.asarray(x), divisor_override)
    return backward(layer, dy, x, threads=threads, isa=isa)


def _factor(layer: AvgPool2d, x: ArrayLike, divisor: None) -> int:
    """How many numbers each window's mean is of, over the divisor that is wanted: (oh, ow); 1 if none is."""
    if divisor is None:
        return 1
    divisor, (_, *cells) = whole("divisor_override", divisor), layer.output_shape(x.shape[-3:])
    counts = []
    axes = zip(x.shape[-2:], cells, layer.kernel_size, layer._steps, layer._margins, strict=True)
    for n, cell, size, step, (before, behind) in axes:
        begin = np.arange(cell) * step - before
        end = np.minimum(begin + size, n + behind)
        counts.append(end - begin if layer.count_include_pad else np.minimum(end, n) - np.maximum(begin, 0))
    return (np.outer(*counts) / divisor).astype(dtype_for(x))


def adaptive_avg_pool2d(
    x: ArrayLike, output_size: int | tuple[int, int], *, threads: int | None = None, isa: str | None = None
) -> Array:
    """The means of x (n, c, h, w) over oh x ow windows that cover it: y (n, c, oh, ow), as PyTorch has it: window i
    of oh is of the rows from i * h / oh, rounded down, to (i + 1) * h / oh, rounded up. output_size: a number or
    (oh, ow), of which None stands for h or w. ValueError for other shapes.

    Examples
    --------
    >>> import numpy as np, pymnistcnn as pm
    >>> pm.functional.adaptive_avg_pool2d(np.array([[[[1, 5, 3]]]], np.float32), (1, 2))
    array([[[[3., 4.]]]], dtype=float32)
    """
    x = np.asarray(x)
    rows, columns = _adaptive(x, output_size)
    return _apart(x, rows, columns, threads, isa)


def adaptive_avg_pool2d_backward(
    dy: ArrayLike,
    x: ArrayLike,
    output_size: int | tuple[int, int],
    *,
    threads: int | None = None,
    isa: str | None = None,
) -> Array:
    """dx like x of `adaptive_avg_pool2d`, for dy like its y. ValueError for other shapes.

    Examples
    --------
    >>> import numpy as np, pymnistcnn as pm
    >>> x = np.zeros((1, 1, 1, 3), np.float32)
    >>> pm.functional.adaptive_avg_pool2d_backward(np.array([[[[2, 4]]]], np.float32), x, (1, 2))
    array([[[[1., 3., 2.]]]], dtype=float32)
    """
    dy, x = np.asarray(dy), np.asarray(x)
    rows, columns = _adaptive(x, output_size)
    expected = (*x.shape[:-2], len(rows), len(columns))
    if dy.shape != expected:
        raise ValueError(f"dy must have the shape of y, {expected}, not {dy.shape}")
    return _apart(exact_cast(dy, dtype_for(x), "dy"), rows.T, columns.T, threads, isa)


def _adaptive(x: ArrayLike, output_size: int | tuple[int, int]) -> list[Array]:
    """The matrices, (oh, h) and (ow, w), that take the means of rows and of columns."""
    if x.ndim not in (3, 4):
        raise ValueError(f"x must have shape (n, c, h, w) or (c, h, w), not {x.shape}")
    given = output_size if isinstance(output_size, (tuple, list)) else (output_size,)
    given = tuple(given) * (2 // len(given)) if len(given) in (1, 2) else (output_size,) * 2
    matrices = []
    for size, n in zip(given, x.shape[-2:], strict=True):
        size = n if size is None else whole("output_size", size)
        window, position = np.arange(size)[:, None], np.arange(n)
        inside = (position >= window * n // size) & (position < -(-(window + 1) * n // size))
        matrices.append((inside / inside.sum(axis=1, keepdims=True)).astype(dtype_for(x)))
    return matrices


def _apart(x: ArrayLike, rows: Array, columns: ArrayLike, threads: int | None, isa: str | None) -> Array:
    """rows x columns', of each picture."""
    how = dict(threads=threads, isa=isa)
    across = linear(x, columns, **how)
    return np.ascontiguousarray(np.swapaxes(linear(np.swapaxes(across, -1, -2), rows, **how), -1, -2))


def global_avg_pool2d(x: ArrayLike, *, threads: int | None = None, isa: str | None = None) -> Array:
    """The mean of every channel of x (n, c, h, w): y (n, c, 1, 1). ValueError for other shapes.

    Examples
    --------
    >>> import numpy as np, pymnistcnn as pm
    >>> pm.functional.global_avg_pool2d(np.array([[[[1, 5], [3, 2]]]], np.float32))
    array([[[[2.75]]]], dtype=float32)
    """
    return forward(GlobalAvgPool2d(), x, threads=threads, isa=isa)


def global_avg_pool2d_backward(
    dy: ArrayLike, x: ArrayLike, *, threads: int | None = None, isa: str | None = None
) -> Array:
    """dx (n, c, h, w) of `global_avg_pool2d`, for dy (n, c, 1, 1). ValueError for other shapes.

    Examples
    --------
    >>> import numpy as np, pymnistcnn as pm
    >>> pm.functional.global_avg_pool2d_backward(np.full((1, 1, 1, 1), 8), np.zeros((1, 1, 2, 2), np.float32))
    array([[[[2., 2.],
             [2., 2.]]]], dtype=float32)
    """
    return backward(GlobalAvgPool2d(), dy, x, threads=threads, isa=isa)
