"""The slow float64 NumPy twin of every kernel, for the tests to compare the native kernels with.

Plain code that is meant to be checked by reading it: every array is converted to float64 first, arrays are
NCHW and filters OIHW as in PyTorch, and a convolution or pooling is a Python loop over the positions of its
window. Nothing here is used by the package itself.
"""

import numpy as np


def _f64(*arrays):
    return [np.asarray(a, dtype=np.float64) for a in arrays]


def _out_size(size, kernel, stride, dilation=1):
    """Window positions along one (padded) axis, floor mode."""
    span = dilation * (kernel - 1) + 1
    if size < span:
        raise ValueError(f"a window of {span} does not fit into {size}")
    return (size - span) // stride + 1


def _tap(i, j, out_hw, stride, dilation=(1, 1)):
    """Index of the cells that window position (i, j) sees, over all outputs, in a (..., H, W) array."""
    top, left = i * dilation[0], j * dilation[1]
    return (
        ...,
        slice(top, top + stride[0] * (out_hw[0] - 1) + 1, stride[0]),
        slice(left, left + stride[1] * (out_hw[1] - 1) + 1, stride[1]),
    )


# Convolution


def _pad(x, padding):
    top, bottom, left, right = padding
    return np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)))


def conv2d(x, w, b=None, stride=(1, 1), padding=(0, 0, 0, 0), dilation=(1, 1), groups=1):
    """Cross-correlation; padding is (top, bottom, left, right), w is (k, c // groups, kh, kw)."""
    x, w = _f64(x, w)
    n, c = x.shape[:2]
    k, cg, kh, kw = w.shape
    if c != cg * groups or k % groups:
        raise ValueError(f"{c} channels and {k} filters of {cg} channels do not go with {groups} groups")
    xp = _pad(x, padding)
    oh = _out_size(xp.shape[2], kh, stride[0], dilation[0])
    ow = _out_size(xp.shape[3], kw, stride[1], dilation[1])
    wg = w.reshape(groups, k // groups, cg, kh, kw)
    y = np.zeros((n, groups, k // groups, oh * ow))
    for i in range(kh):
        for j in range(kw):
            cells = xp[_tap(i, j, (oh, ow), stride, dilation)].reshape(n, groups, cg, oh * ow)
            y += wg[..., i, j] @ cells
    y = y.reshape(n, k, oh, ow)
    if b is not None:
        y = y + np.asarray(b, dtype=np.float64)[:, None, None]
    return y


def conv2d_backward(dy, x, w, stride, padding, dilation, groups):
    """(dx, dw, db) of conv2d."""
    dy, x, w = _f64(dy, x, w)
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
            tap = _tap(i, j, (oh, ow), stride, dilation)
            cells = xp[tap].reshape(n, groups, cg, oh * ow)
            dwg[..., i, j] = (dyg @ cells.swapaxes(2, 3)).sum(axis=0)
            dxp[tap] += (wg[..., i, j].swapaxes(1, 2) @ dyg).reshape(n, c, oh, ow)
    top, _, left, _ = padding
    dx = dxp[:, :, top : top + h, left : left + width].copy()
    return dx, dwg.reshape(w.shape), dy.sum(axis=(0, 2, 3))


# Max pooling


def max_pool2d(x, kernel=(2, 2), stride=None, padding=(0, 0)):
    """(y, argmax), argmax being the flat index h * W + w into the unpadded plane; floor mode."""
    (x,) = _f64(x)
    stride = kernel if stride is None else stride
    (h, w), (kh, kw), (ph, pw) = x.shape[2:], kernel, padding
    if 2 * ph > kh or 2 * pw > kw:
        raise ValueError("padding of more than half the kernel")  # PyTorch's rule: no window is all padding
    oh, ow = _out_size(h + 2 * ph, kh, stride[0]), _out_size(w + 2 * pw, kw, stride[1])
    sides = ((ph, ph), (pw, pw))
    xp = np.pad(x, ((0, 0), (0, 0), *sides))
    where = np.pad(np.arange(h * w).reshape(h, w), sides, constant_values=-1)  # -1 marks padding
    best = np.full((*x.shape[:2], oh, ow), -np.inf)
    argmax = np.full(best.shape, -1)
    for i in range(kh):
        for j in range(kw):
            tap = _tap(i, j, (oh, ow), stride)
            value, index = xp[tap], where[tap]
            # argmax < 0: the first real cell is taken whatever its value, so -inf everywhere has an index.
            wins = (index >= 0) & ((value > best) | np.isnan(value) | (argmax < 0))
            best = np.where(wins, value, best)
            argmax = np.where(wins, index, argmax)
    return best, argmax


def max_pool2d_backward(dy, argmax, x_shape):
    """dx of max_pool2d: each dy goes to its winner; overlapping windows add up."""
    (dy,) = _f64(dy)
    n, c, h, w = x_shape
    dx = np.zeros((n, c, h * w))
    sample, channel = np.ogrid[:n, :c]
    np.add.at(dx, (sample[..., None], channel[..., None], argmax.reshape(n, c, -1)), dy.reshape(n, c, -1))
    return dx.reshape(x_shape)


# Activations


def relu(x):
    (x,) = _f64(x)
    return np.where(x <= 0, 0.0, x)  # NaN stays NaN


def relu_backward(dy, y):
    dy, y = _f64(dy, y)
    return np.where(y <= 0, 0.0, dy)  # dy passes where y is NaN


def tanh(x):
    (x,) = _f64(x)
    return np.tanh(x)


def tanh_backward(dy, y):
    dy, y = _f64(dy, y)
    return dy * (1 - y * y)


_ACTIVATIONS = {
    None: (lambda x: x, lambda dy, y: dy),
    "relu": (relu, relu_backward),
    "tanh": (tanh, tanh_backward),
}


# Convolution, activation and non-overlapping max-pool as one block


def conv_block(x, w, b, stride, padding, dilation, groups, activation, pool):
    """Convolution, then activation (None, "relu" or "tanh"), then max-pool; pool (1, 1) is none."""
    a = _ACTIVATIONS[activation][0](conv2d(x, w, b, stride, padding, dilation, groups))
    return max_pool2d(a, pool)[0]


def conv_block_backward(dy, x, w, b, stride, padding, dilation, groups, activation, pool):
    """(dx, dw, db) of conv_block."""
    forward, backward = _ACTIVATIONS[activation]
    a = forward(conv2d(x, w, b, stride, padding, dilation, groups))
    da = max_pool2d_backward(dy, max_pool2d(a, pool)[1], a.shape)
    return conv2d_backward(backward(da, a), x, w, stride, padding, dilation, groups)


# Linear layer and loss


def linear(x, w, b=None):
    """x (n, in), w (out, in)."""
    x, w = _f64(x, w)
    y = x @ w.T
    return y if b is None else y + np.asarray(b, dtype=np.float64)


def linear_backward(dy, x, w):
    """(dx, dw, db) of linear."""
    dy, x, w = _f64(dy, x, w)
    return dy @ w, dy.T @ x, dy.sum(axis=0)


def log_softmax(z):
    """Over the last axis."""
    (z,) = _f64(z)
    z = z - z.max(axis=-1, keepdims=True)
    return z - np.log(np.exp(z).sum(axis=-1, keepdims=True))


def softmax(z):
    """Over the last axis."""
    (z,) = _f64(z)
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def cross_entropy(z, labels):
    """Mean loss of the logits z (n, classes)."""
    return float(-log_softmax(z)[np.arange(len(labels)), labels].mean())


def cross_entropy_backward(z, labels):
    """Gradient of the mean loss with respect to z."""
    dz = softmax(z)
    dz[np.arange(len(labels)), labels] -= 1
    return dz / len(labels)


# Random numbers and dropout


def philox4x32(counter, key):
    """Philox4x32-10 (Salmon et al., SC11): counter (..., 4) and key (..., 2) uint32 -> (..., 4) uint32."""
    low, half = np.uint64(0xFFFFFFFF), np.uint64(32)
    c0, c1, c2, c3 = np.moveaxis(np.asarray(counter, dtype=np.uint32).astype(np.uint64), -1, 0)
    k0, k1 = np.moveaxis(np.asarray(key, dtype=np.uint32).astype(np.uint64), -1, 0)
    for _ in range(10):
        p0 = c0 * np.uint64(0xD2511F53)
        p1 = c2 * np.uint64(0xCD9E8D57)
        c0, c1, c2, c3 = (p1 >> half) ^ c1 ^ k0, p1 & low, (p0 >> half) ^ c3 ^ k1, p0 & low
        k0 = (k0 + np.uint64(0x9E3779B9)) & low
        k1 = (k1 + np.uint64(0xBB67AE85)) & low
    return np.stack(np.broadcast_arrays(c0, c1, c2, c3), axis=-1).astype(np.uint32)


def dropout_mask(n, size, p, seed, layer, epoch, first_position=0):
    """(n, size) bool, True = kept.

    Element e of the sample at position i has word e % 4 of the block with counter
    (e // 4, first_position + i, layer, epoch) and key (seed's low half, seed's high half).
    """
    blocks = -(-size // 4)
    counter = np.empty((n, blocks, 4), dtype=np.uint32)
    counter[..., 0] = np.arange(blocks)
    counter[..., 1] = np.arange(first_position, first_position + n)[:, None]
    counter[..., 2] = layer
    counter[..., 3] = epoch
    words = philox4x32(counter, [seed & 0xFFFFFFFF, seed >> 32]).reshape(n, blocks * 4)[:, :size]
    return words >= np.uint32(min(round(p * 2**32), 2**32 - 1))


# Optimizers (PyTorch's rules)


def sgd(p, g, state, lr, momentum=0, weight_decay=0, nesterov=False):
    """(p, state); state is the momentum buffer, None before the first step (and always without momentum)."""
    p, g = _f64(p, g)
    g = g + weight_decay * p
    if momentum:
        state = g if state is None else momentum * np.asarray(state, dtype=np.float64) + g
        g = g + momentum * state if nesterov else state
    return p - lr * g, state


def adam(p, g, m, v, t, lr, beta1=0.9, beta2=0.999, eps=1e-8, weight_decay=0):
    """(p, m, v) after step t (counted from 1); m and v start as zeros; weight decay is the L2 kind."""
    p, g, m, v = _f64(p, g, m, v)
    g = g + weight_decay * p
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g * g
    m_hat = m / (1 - beta1**t)
    v_hat = v / (1 - beta2**t)
    return p - lr * m_hat / (np.sqrt(v_hat) + eps), m, v
