"""Pooling: the largest value or the mean of every window."""

from __future__ import annotations

import numpy as np

from ..layers import AvgPool2d, GlobalAvgPool2d, MaxPool2d
from ..target import target_of
from .single import backward, forward, holding, numbers

__all__ = [
    "avg_pool2d",
    "avg_pool2d_backward",
    "global_avg_pool2d",
    "global_avg_pool2d_backward",
    "max_pool2d",
    "max_pool2d_backward",
]


def max_pool2d(
    x, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False, *, threads=None, isa=None
):
    """The largest value of every window of x (n, c, h, w): y (n, c, oh, ow). NaN is passed on.

    Parameters
    ----------
    kernel_size, stride, dilation : a number or (vertical, horizontal); stride is kernel_size if not given
    padding : at most half of kernel_size; padded positions never win, and a window of them alone gives -inf
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
    layer = MaxPool2d(kernel_size, stride, padding, dilation, ceil_mode)
    if not return_indices:
        return forward(layer, x, threads=threads, isa=isa)
    x = numbers(x)
    with holding(layer, x, ()) as found:
        target = target_of(isa)
        return found.forward(x, True, target, threads), _indices(found, len(x), target)


def _indices(network, n, target):
    """The argmax of the last forward: the kernel's are offsets into pictures with the channels last."""
    (pool,) = network.by_hand.nodes
    out = pool.y.geometry
    offsets = np.frombuffer(network.plan(True, n, target).peek(pool.argmax.offset, 4 * n * out.elements), np.int32)
    indices = offsets.reshape(n, out.h, out.w, out.c) // out.c
    return np.ascontiguousarray(indices.transpose(0, 3, 1, 2), np.int64)


def max_pool2d_backward(
    dy, x, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, *, threads=None, isa=None
):
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
    layer = MaxPool2d(kernel_size, stride, padding, dilation, ceil_mode)
    return backward(layer, dy, x, threads=threads, isa=isa)


def avg_pool2d(
    x, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True, *, threads=None, isa=None
):
    """The mean of every window of x (n, c, h, w): y (n, c, oh, ow).

    Parameters
    ----------
    kernel_size, stride : a number or (vertical, horizontal); stride is kernel_size if not given
    padding : zeros around x, at most half of kernel_size
    ceil_mode : windows may reach over the end, if they begin inside
    count_include_pad : whether the zeros of the padding count in the mean

    ValueError if no window fits into x, or for numbers outside these ranges.

    Examples
    --------
    >>> import numpy as np, pymnistcnn as pm
    >>> pm.functional.avg_pool2d(np.array([[[[1, 5], [3, 2]]]], np.float32), 2)
    array([[[[2.75]]]], dtype=float32)
    """
    layer = AvgPool2d(kernel_size, stride, padding, ceil_mode, count_include_pad)
    return forward(layer, x, threads=threads, isa=isa)


def avg_pool2d_backward(
    dy, x, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True, *, threads=None, isa=None
):
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
    return backward(layer, dy, x, threads=threads, isa=isa)


def global_avg_pool2d(x, *, threads=None, isa=None):
    """The mean of every channel of x (n, c, h, w): y (n, c, 1, 1). ValueError for other shapes.

    Examples
    --------
    >>> import numpy as np, pymnistcnn as pm
    >>> pm.functional.global_avg_pool2d(np.array([[[[1, 5], [3, 2]]]], np.float32))
    array([[[[2.75]]]], dtype=float32)
    """
    return forward(GlobalAvgPool2d(), x, threads=threads, isa=isa)


def global_avg_pool2d_backward(dy, x, *, threads=None, isa=None):
    """dx (n, c, h, w) of `global_avg_pool2d`, for dy (n, c, 1, 1). ValueError for other shapes.

    Examples
    --------
    >>> import numpy as np, pymnistcnn as pm
    >>> pm.functional.global_avg_pool2d_backward(np.full((1, 1, 1, 1), 8), np.zeros((1, 1, 2, 2), np.float32))
    array([[[[2., 2.],
             [2., 2.]]]], dtype=float32)
    """
    return backward(GlobalAvgPool2d(), dy, x, threads=threads, isa=isa)
