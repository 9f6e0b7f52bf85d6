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


# Pooling


def _windows(hw, kernel, stride, padding, dilation=(1, 1), ceil_mode=False):
    """(oh, ow), and the padding before and after each axis that all windows fit into.

    In ceil mode a last window may reach past the padding, if it starts inside the picture or before it.
    """
    out, sides = [], []
    for size, k, s, p, d in zip(hw, kernel, stride, padding, dilation, strict=True):
        if 2 * p > k:
            raise ValueError("padding of more than half the kernel")
        span = d * (k - 1) + 1
        windows = (size + 2 * p - span + (s - 1) * ceil_mode) // s + 1
        if ceil_mode and (windows - 1) * s >= size + p:
            windows -= 1
        if windows < 1:
            raise ValueError(f"a window of {span} does not fit into {size + 2 * p}")
        out.append(windows)
        sides.append((p, max(p, (windows - 1) * s + span - size - p)))
    return tuple(out), tuple(sides)


def max_pool2d(x, kernel=(2, 2), stride=None, padding=(0, 0), dilation=(1, 1), ceil_mode=False):
    """(y, argmax), argmax being the flat index h * W + w into the unpadded plane, -1 in a window of padding."""
    (x,) = _f64(x)
    stride = kernel if stride is None else stride
    h, w = x.shape[2:]
    out, sides = _windows((h, w), kernel, stride, padding, dilation, ceil_mode)
    xp = np.pad(x, ((0, 0), (0, 0), *sides))
    where = np.pad(np.arange(h * w).reshape(h, w), sides, constant_values=-1)  # -1 marks padding
    best = np.full((*x.shape[:2], *out), -np.inf)
    argmax = np.full(best.shape, -1)
    for i in range(kernel[0]):
        for j in range(kernel[1]):
            tap = _tap(i, j, out, stride, dilation)
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
    dx = np.zeros((n, c, h * w + 1))  # the last takes what windows of padding get
    sample, channel = np.ogrid[:n, :c]
    np.add.at(dx, (sample[..., None], channel[..., None], argmax.reshape(n, c, -1)), dy.reshape(n, c, -1))
    return dx[..., :-1].reshape(x_shape)


def _cells(hw, out, sides, kernel, stride, padding, count_include_pad):
    """How many cells each window of an average counts: what lies past the padding never does."""
    (top, bottom), (left, right) = sides
    counted = np.pad(np.ones(hw), [(p, p) for p in padding], constant_values=float(count_include_pad))
    counted = np.pad(counted, ((0, bottom - top), (0, right - left)))
    return sum(counted[_tap(i, j, out, stride)] for i in range(kernel[0]) for j in range(kernel[1]))


def avg_pool2d(x, kernel, stride=None, padding=(0, 0), ceil_mode=False, count_include_pad=True):
    """The mean of every window; padding counts as zeros or not at all."""
    (x,) = _f64(x)
    stride = kernel if stride is None else stride
    out, sides = _windows(x.shape[2:], kernel, stride, padding, ceil_mode=ceil_mode)
    xp = np.pad(x, ((0, 0), (0, 0), *sides))
    total = sum(xp[_tap(i, j, out, stride)] for i in range(kernel[0]) for j in range(kernel[1]))
    return total / _cells(x.shape[2:], out, sides, kernel, stride, padding, count_include_pad)


def avg_pool2d_backward(dy, x_shape, kernel, stride=None, padding=(0, 0), ceil_mode=False, count_include_pad=True):
    """dx of avg_pool2d."""
    (dy,) = _f64(dy)
    stride = kernel if stride is None else stride
    h, w = x_shape[2:]
    out, sides = _windows((h, w), kernel, stride, padding, ceil_mode=ceil_mode)
    share = dy / _cells((h, w), out, sides, kernel, stride, padding, count_include_pad)
    dxp = np.pad(np.zeros(x_shape), ((0, 0), (0, 0), *sides))
    for i in range(kernel[0]):
        for j in range(kernel[1]):
            dxp[_tap(i, j, out, stride)] += share
    (top, _), (left, _) = sides
    return dxp[:, :, top : top + h, left : left + w].copy()


# Batch normalization, of (n, c, h, w) or (n, features)


def _by_channel(values, x):
    """values (c,), to be combined with x."""
    return np.reshape(np.asarray(values, dtype=np.float64), (1, -1, *(1,) * (x.ndim - 2)))


def batch_norm_inference(x, mean, var, weight, bias, eps=1e-5):
    """With given statistics (c,)."""
    (x,) = _f64(x)
    normal = (x - _by_channel(mean, x)) / np.sqrt(_by_channel(var, x) + eps)
    return normal * _by_channel(weight, x) + _by_channel(bias, x)


def batch_norm(x, weight, bias, eps=1e-5):
    """With the mean and the (biased) variance of the batch."""
    (x,) = _f64(x)
    axes = (0, *range(2, x.ndim))
    return batch_norm_inference(x, x.mean(axis=axes), x.var(axis=axes), weight, bias, eps)


def batch_norm_backward(dy, x, weight, eps=1e-5):
    """(dx, dweight, dbias) of batch_norm."""
    dy, x = _f64(dy, x)
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
    x, mean, var = _f64(x, mean, var)
    axes, count = (0, *range(2, x.ndim)), x.size // x.shape[1]
    share = 1 / (batches + 1) if momentum is None else momentum
    unbiased = x.var(axis=axes) * count / max(count - 1, 1)
    return (1 - share) * mean + share * x.mean(axis=axes), (1 - share) * var + share * unbiased


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


def leaky_relu(x, negative_slope=0.01):
    (x,) = _f64(x)
    return np.where(x > 0, x, negative_slope * np.minimum(x, 0))


def leaky_relu_backward(dy, y, negative_slope=0.01):
    dy, y = _f64(dy, y)
    return np.where(y > 0, dy, negative_slope * dy)


def elu(x, alpha=1.0):
    (x,) = _f64(x)
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


def elu_backward(dy, y, alpha=1.0):
    dy, y = _f64(dy, y)
    return np.where(y > 0, dy, dy * (y + alpha))


def sigmoid(x):
    (x,) = _f64(x)
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, 1.0, e) / (1 + e)


def sigmoid_backward(dy, y):
    dy, y = _f64(dy, y)
    return dy * y * (1 - y)


def softplus(x, beta=1.0, threshold=20.0):
    """log(1 + exp(beta x)) / beta, and x itself where beta x is above the threshold."""
    (x,) = _f64(x)
    soft = np.log1p(np.exp(np.minimum(beta * x, threshold))) / beta
    return np.where(beta * x > threshold, x, soft)


def softplus_backward(dy, y, beta=1.0, threshold=20.0):
    dy, y = _f64(dy, y)
    return np.where(beta * y > threshold, dy, dy * -np.expm1(-beta * y))


_ACTIVATIONS = {
    None: (lambda x: x, lambda dy, y: dy),
    "relu": (relu, relu_backward),
    "tanh": (tanh, tanh_backward),
    "leaky_relu": (leaky_relu, leaky_relu_backward),
    "elu": (elu, elu_backward),
    "sigmoid": (sigmoid, sigmoid_backward),
    "softplus": (softplus, softplus_backward),
}


# Convolution, activation and non-overlapping max-pool as one block


def conv_block(x, w, b, stride, padding, dilation, groups, activation, pool):
    """Convolution, then activation (None or a function's name), then max-pool; pool (1, 1) is none."""
    a = _ACTIVATIONS[activation][0](conv2d(x, w, b, stride, padding, dilation, groups))
    return max_pool2d(a, pool)[0]


def conv_block_backward(dy, x, w, b, stride, padding, dilation, groups, activation, pool):
    """(dx, dw, db) of conv_block."""
    forward, backward = _ACTIVATIONS[activation]
    a = forward(conv2d(x, w, b, stride, padding, dilation, groups))
    da = max_pool2d_backward(dy, max_pool2d(a, pool)[1], a.shape)
    return conv2d_backward(backward(da, a), x, w, stride, padding, dilation, groups)


# Linear layer and softmax


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


def log_softmax_backward(dy, y):
    dy, y = _f64(dy, y)
    return dy - np.exp(y) * dy.sum(axis=-1, keepdims=True)


def softmax(z):
    """Over the last axis."""
    (z,) = _f64(z)
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def softmax_backward(dy, y):
    dy, y = _f64(dy, y)
    return y * (dy - (dy * y).sum(axis=-1, keepdims=True))


# Losses: of each sample, with what it counts in the mean and the gradient of its outputs


def mean_loss(losses, counts, gradients, sample_weight=None):
    """(value, gradient) of the mean that samples have their share in: sum of s * loss / sum of s * count."""
    s = np.ones(len(losses)) if sample_weight is None else np.asarray(sample_weight, dtype=np.float64)
    total = (s * counts).sum()
    share = (s / total).reshape(-1, *(1,) * (gradients.ndim - 1))
    return float((s * losses).sum() / total), share * gradients


def _one_hot(targets, classes):
    """(n, classes), and whether it came from labels (n,)."""
    targets = np.asarray(targets)
    return (np.eye(classes)[targets], True) if targets.ndim == 1 else (*_f64(targets), False)


def cross_entropy(z, targets, weight=None, label_smoothing=0.0):
    """(losses, counts, gradients) of logits z (n, classes) for labels (n,) or probabilities (n, classes)."""
    classes = np.shape(z)[1]
    targets, labels = _one_hot(targets, classes)
    weight = np.ones(classes) if weight is None else np.asarray(weight, dtype=np.float64)
    counts = targets @ weight if labels else np.ones(len(targets))
    q = weight * ((1 - label_smoothing) * targets + label_smoothing / classes)
    losses = -np.where(q == 0, 0, q * np.where(q == 0, 0, log_softmax(z))).sum(axis=1)
    return losses, counts, q.sum(axis=1, keepdims=True) * softmax(z) - q


def nll(y, labels, weight=None):
    """(losses, counts, gradients) of log-probabilities y (n, classes)."""
    (y,) = _f64(y)
    labels, _ = _one_hot(labels, y.shape[1])
    q = labels if weight is None else labels * np.asarray(weight, dtype=np.float64)
    return -np.where(q == 0, 0, q * np.where(q == 0, 0, y)).sum(axis=1), q.sum(axis=1), -q


def mse(y, targets):
    """(losses, counts, gradients): mean square of the differences, of every sample."""
    y, targets = _f64(y, targets)
    size = y[0].size
    losses = ((y - targets) ** 2).reshape(len(y), -1).mean(axis=1)
    return losses, np.ones(len(y)), 2 * (y - targets) / size


def expected_probability(p, targets):
    """(losses, counts, gradients) of probabilities p (n, classes) for labels (n,) or targets (n, classes)."""
    (p,) = _f64(p)
    targets, _ = _one_hot(targets, p.shape[1])
    return -(p * targets).mean(axis=1), np.ones(len(p)), -targets / p.shape[1]


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


def adamw(p, g, m, v, t, lr, beta1=0.9, beta2=0.999, eps=1e-8, weight_decay=0.01):
    """Like adam, but the weight decay is a step of its own."""
    (p,) = _f64(p)
    return adam(p * (1 - lr * weight_decay), g, m, v, t, lr, beta1, beta2, eps)


def rmsprop(p, g, state, lr, alpha=0.99, eps=1e-8, weight_decay=0, momentum=0, centered=False, eps_inside_sqrt=False):
    """(p, state); state is (mean square, mean, momentum buffer), zeros before the first step."""
    p, g, square, mean, step = _f64(p, g, *state)
    g = g + weight_decay * p
    square = alpha * square + (1 - alpha) * g * g
    mean = alpha * mean + (1 - alpha) * g
    spread = square - mean * mean if centered else square
    g = g / (np.sqrt(spread + eps) if eps_inside_sqrt else np.sqrt(spread) + eps)
    step = momentum * step + g
    return p - lr * step, (square, mean, step)


def adagrad(p, g, total, t, lr, lr_decay=0, weight_decay=0, eps=1e-10):
    """(p, total) after step t (counted from 1); total starts as initial_accumulator_value."""
    p, g, total = _f64(p, g, total)
    g = g + weight_decay * p
    total = total + g * g
    return p - lr / (1 + (t - 1) * lr_decay) * g / (np.sqrt(total) + eps), total


def clipped(gradients, max_norm):
    """All gradients of a network times what makes their common norm at most max_norm."""
    norm = np.sqrt(sum((np.asarray(g, dtype=np.float64) ** 2).sum() for g in gradients))
    return [min(1, max_norm / (norm + 1e-6)) * g for g in _f64(*gradients)]


# Noise and random maps of pictures


def picture_words(blocks, picture, layer, seed, epoch):
    """(len(blocks), 4) uint32: the random words of one picture."""
    counter = [(block, picture, layer, epoch) for block in blocks]
    return philox4x32(counter, [seed & 0xFFFFFFFF, seed >> 32])


def noise(size, picture, layer, seed, epoch):
    """(size,) normal numbers (Box and Muller): 32 of 8 blocks of words, cosines first, then sines."""
    chunks = -(-size // 32)
    words = picture_words(range(8 * chunks), picture, layer, seed, epoch).reshape(chunks, 2, 16)
    near, turn = ((words >> 8) + [[[1], [0]]]).swapaxes(0, 1) / 2.0**24
    radius, angle = np.sqrt(-2 * np.log(near)), 2 * np.pi * turn
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1).ravel()[:size]


def _symmetric(words, most):
    return (words / 2.0**31 - 1) * most


def _blurred(field, sigma):
    """Gaussian blur, zeros outside."""
    taps = np.arange(-(int(3 * sigma) + 1), int(3 * sigma) + 2)
    weights = np.exp(-(taps**2) / (2 * sigma**2))
    weights /= weights.sum()
    for axis in (0, 1):
        field = np.apply_along_axis(lambda line: np.convolve(line, weights)[len(taps) // 2 :][: len(line)], axis, field)
    return field


def warp(x, picture, layer, seed, epoch, shift, rotation, scale, shear, elastic, sigma, cutout, fill):
    """One picture (c, h, w) seen through its random map; angles in radians."""
    (x,) = _f64(x)
    _, h, w = x.shape
    words = picture_words(range(3), picture, layer, seed, epoch).astype(np.float64)
    angle, lean = _symmetric(words[0, 0], rotation), np.tan(_symmetric(words[0, 1], shear))
    zoom = 1 / (1 + _symmetric(words[0, 2], scale))
    down, across = _symmetric(words[0, 3], shift), _symmetric(words[1, 0], shift)
    v, u = np.mgrid[:h, :w] - np.array([(h - 1) / 2 + down, (w - 1) / 2 + across])[:, None, None]
    row = (v * np.cos(angle) - u * np.sin(angle)) * zoom
    column = (u * np.cos(angle) + v * np.sin(angle)) * zoom - lean * row
    row, column = row + (h - 1) / 2, column + (w - 1) / 2
    if elastic:
        blocks = -(-h * w // 4)
        raw = picture_words(range(16, 16 + 2 * blocks), picture, layer, seed, epoch).reshape(2, -1)[:, : h * w]
        fields = _symmetric(raw.astype(np.float64), 1).reshape(2, h, w)
        row, column = row + elastic * _blurred(fields[0], sigma), column + elastic * _blurred(fields[1], sigma)
    y = np.zeros_like(x)
    above, left = np.floor(row).astype(int), np.floor(column).astype(int)
    for i in (0, 1):
        for j in (0, 1):
            inside = (above + i >= 0) & (above + i < h) & (left + j >= 0) & (left + j < w)
            pixel = np.where(inside, x[:, (above + i) % h, (left + j) % w], fill)
            y += pixel * np.abs(1 - i - (row - above)) * np.abs(1 - j - (column - left))
    if cutout:
        top, first = (int(word) * size // 2**32 - cutout // 2 for word, size in zip(words[2, :2], (h, w), strict=True))
        y[:, max(top, 0) : max(top + cutout, 0), max(first, 0) : max(first + cutout, 0)] = fill
    return y
