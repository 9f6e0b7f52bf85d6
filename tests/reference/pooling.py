"""Pooling of pictures (n, c, h, w)."""

import numpy as np

from .arrays import f64, tap_at


def _margins(padding):
    """(before, behind) along each axis, of (vertical, horizontal) or (top, bottom, left, right)."""
    return (padding[:2], padding[2:]) if len(padding) == 4 else [(p, p) for p in padding]


def _windows(hw, kernel, stride, padding, dilation=(1, 1), ceil_mode=False):
    """(oh, ow), and the padding before and after each axis that all windows fit into.

    In ceil mode a last window may reach past the padding, if it starts inside the picture or before it.
    """
    out, sides = [], []
    for size, k, s, (before, behind), d in zip(hw, kernel, stride, _margins(padding), dilation, strict=True):
        span = d * (k - 1) + 1
        if max(before, behind) >= span:
            raise ValueError("padding of a whole window")
        padded = before + size + behind
        windows = (padded - span + (s - 1) * ceil_mode) // s + 1
        if ceil_mode and (windows - 1) * s >= before + size:
            windows -= 1
        if windows < 1:
            raise ValueError(f"a window of {span} does not fit into {padded}")
        out.append(windows)
        sides.append((before, max(behind, (windows - 1) * s + span - size - before)))
    return tuple(out), tuple(sides)


def max_pool2d(x, kernel=(2, 2), stride=None, padding=(0, 0), dilation=(1, 1), ceil_mode=False):
    """(y, argmax), argmax being the flat index h * W + w into the unpadded plane, -1 in a window of padding."""
    (x,) = f64(x)
    stride = kernel if stride is None else stride
    h, w = x.shape[2:]
    out, sides = _windows((h, w), kernel, stride, padding, dilation, ceil_mode)
    xp = np.pad(x, ((0, 0), (0, 0), *sides))
    where = np.pad(np.arange(h * w).reshape(h, w), sides, constant_values=-1)  # -1 marks padding
    best = np.full((*x.shape[:2], *out), -np.inf)
    argmax = np.full(best.shape, -1)
    for i in range(kernel[0]):
        for j in range(kernel[1]):
            tap = tap_at(i, j, out, stride, dilation)
            value, index = xp[tap], where[tap]
            # argmax < 0: the first real cell is taken whatever its value, so -inf everywhere has an index.
            wins = (index >= 0) & ((value > best) | np.isnan(value) | (argmax < 0))
            best = np.where(wins, value, best)
            argmax = np.where(wins, index, argmax)
    return best, argmax


def max_pool2d_backward(dy, argmax, x_shape):
    """dx of max_pool2d: each dy goes to its winner; overlapping windows add up."""
    (dy,) = f64(dy)
    n, c, h, w = x_shape
    dx = np.zeros((n, c, h * w + 1))  # the last takes what windows of padding get
    sample, channel = np.ogrid[:n, :c]
    np.add.at(dx, (sample[..., None], channel[..., None], argmax.reshape(n, c, -1)), dy.reshape(n, c, -1))
    return dx[..., :-1].reshape(x_shape)


def _cells(hw, out, sides, kernel, stride, padding, count_include_pad):
    """How many cells each window of an average counts: what lies past the padding never does."""
    (_, bottom), (_, right) = sides
    (_, below), (_, beside) = _margins(padding)
    counted = np.pad(np.ones(hw), _margins(padding), constant_values=float(count_include_pad))
    counted = np.pad(counted, ((0, bottom - below), (0, right - beside)))
    return sum(counted[tap_at(i, j, out, stride)] for i in range(kernel[0]) for j in range(kernel[1]))


def avg_pool2d(x, kernel, stride=None, padding=(0, 0), ceil_mode=False, count_include_pad=True):
    """The mean of every window; padding counts as zeros or not at all."""
    (x,) = f64(x)
    stride = kernel if stride is None else stride
    out, sides = _windows(x.shape[2:], kernel, stride, padding, ceil_mode=ceil_mode)
    xp = np.pad(x, ((0, 0), (0, 0), *sides))
    total = sum(xp[tap_at(i, j, out, stride)] for i in range(kernel[0]) for j in range(kernel[1]))
    return total / _cells(x.shape[2:], out, sides, kernel, stride, padding, count_include_pad)


def avg_pool2d_backward(dy, x_shape, kernel, stride=None, padding=(0, 0), ceil_mode=False, count_include_pad=True):
    """dx of avg_pool2d."""
    (dy,) = f64(dy)
    stride = kernel if stride is None else stride
    h, w = x_shape[2:]
    out, sides = _windows((h, w), kernel, stride, padding, ceil_mode=ceil_mode)
    share = dy / _cells((h, w), out, sides, kernel, stride, padding, count_include_pad)
    dxp = np.pad(np.zeros(x_shape), ((0, 0), (0, 0), *sides))
    for i in range(kernel[0]):
        for j in range(kernel[1]):
            dxp[tap_at(i, j, out, stride)] += share
    (top, _), (left, _) = sides
    return dxp[:, :, top : top + h, left : left + w].copy()
