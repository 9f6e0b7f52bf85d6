"""Convolution and linear layers; a convolution, an activation and a max-pool that does not overlap as one block."""

import numpy as np

from . import activations
from .arrays import f64, out_size, tap_at
from .pooling import max_pool2d, max_pool2d_backward


def _pad(x, padding):
    top, bottom, left, right = padding
    return np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)))


def conv2d(x, w, b=None, stride=(1, 1), padding=(0, 0, 0, 0), dilation=(1, 1), groups=1):
    """Cross-correlation; padding is (top, bottom, left, right), w is (k, c // groups, kh, kw)."""
    x, w = f64(x, w)
    n, c = x.shape[:2]
    k, cg, kh, kw = w.shape
    if c != cg * groups or k % groups:
        raise ValueError(f"{c} channels and {k} filters of {cg} channels do not go with {groups} groups")
    xp = _pad(x, padding)
    oh = out_size(xp.shape[2], kh, stride[0], dilation[0])
    ow = out_size(xp.shape[3], kw, stride[1], dilation[1])
    wg = w.reshape(groups, k // groups, cg, kh, kw)
    y = np.zeros((n, groups, k // groups, oh * ow))
    for i in range(kh):
        for j in range(kw):
            cells = xp[tap_at(i, j, (oh, ow), stride, dilation)].reshape(n, groups, cg, oh * ow)
            y += wg[..., i, j] @ cells
    y = y.reshape(n, k, oh, ow)
    if b is not None:
        y = y + np.asarray(b, dtype=np.float64)[:, None, None]
    return y


def conv2d_backward(dy, x, w, stride, padding, dilation, groups):
    """(dx, dw, db) of conv2d."""
    dy, x, w = f64(dy, x, w)
    n, c, h, width = x.shape
    k, cg, kh, kw = w.shape
    oh, ow = dy.shape[2:]
    xp = _pad(x, padding)
    dxp = np.zeros_like(xp)
    wg = w.reshape(groups, k // groups, cg, kh, kw)
    dwg = np.zeros_like(wg)
    dyg = dy.reshape(n, groups, k // groups, oh * ow)
    for i in range(kh):
        for j in range(kw):
            tap = tap_at(i, j, (oh, ow), stride, dilation)
            cells = xp[tap].reshape(n, groups, cg, oh * ow)
            dwg[..., i, j] = (dyg @ cells.swapaxes(2, 3)).sum(axis=0)
            dxp[tap] += (wg[..., i, j].swapaxes(1, 2) @ dyg).reshape(n, c, oh, ow)
    top, _, left, _ = padding
    dx = dxp[:, :, top : top + h, left : left + width].copy()
    return dx, dwg.reshape(w.shape), dy.sum(axis=(0, 2, 3))


def conv_block(x, w, b, stride, padding, dilation, groups, activation, pool):
    """Convolution, then activation (None or a function's name), then max-pool; pool (1, 1) is none."""
    activated = getattr(activations, activation or "identity")
    return max_pool2d(activated(conv2d(x, w, b, stride, padding, dilation, groups)), pool)[0]


def conv_block_backward(dy, x, w, b, stride, padding, dilation, groups, activation, pool):
    """(dx, dw, db) of conv_block."""
    activated, backward = (getattr(activations, (activation or "identity") + end) for end in ("", "_backward"))
    z = conv2d(x, w, b, stride, padding, dilation, groups)
    a = activated(z)
    da = max_pool2d_backward(dy, max_pool2d(a, pool)[1], a.shape)
    return conv2d_backward(backward(da, z), x, w, stride, padding, dilation, groups)


def linear(x, w, b=None):
    """x (n, in), w (out, in)."""
    x, w = f64(x, w)
    y = x @ w.T
    return y if b is None else y + np.asarray(b, dtype=np.float64)


def linear_backward(dy, x, w):
    """(dx, dw, db) of linear."""
    dy, x, w = f64(dy, x, w)
    return dy @ w, dy.T @ x, dy.sum(axis=0)
