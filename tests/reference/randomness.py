"""Random numbers, dropout, noise and random maps of pictures."""

import numpy as np

from .arrays import f64


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


def _uniform(words, least, most):
    return least + (most - least) * (words / 2.0**32)


def _spline(points, h, w):
    """(h, w) of a uniform cubic B-spline with the control points of a grid, of which each pixel sees 4x4."""
    cells = len(points) - 3

    def shares(size):
        matrix = np.zeros((size, len(points)))
        for i in range(size):
            cell, t = divmod((i + 0.5) * cells / size, 1)
            basis = (1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3
            matrix[i, int(cell) : int(cell) + 4] = np.array(basis) / 6
        return matrix

    return shares(h) @ points @ shares(w).T


def warp(
    x, picture, layer, seed, epoch, shift, rotation, scale, shear, elastic, sigma, cutout, fill, stretch, crop, grid
):
    """One picture (c, h, w) seen through its random map; angles in radians, crop (least, most)."""
    (x,) = f64(x)
    _, h, w = x.shape
    words = picture_words(range(3), picture, layer, seed, epoch).astype(np.float64)
    angle, lean = _symmetric(words[0, 0], rotation), np.tan(_symmetric(words[0, 1], shear))
    kept = _uniform(words[1, 3], *crop)
    zoom = kept / (1 + _symmetric(words[0, 2], scale)) / (1 + _symmetric(words[1, 1:3], stretch))
    down, across = _symmetric(words[0, 3], shift), _symmetric(words[1, 0], shift)
    v, u = np.mgrid[:h, :w] - np.array([(h - 1) / 2 + down, (w - 1) / 2 + across])[:, None, None]
    v, u = v * zoom[0], u * zoom[1]
    row = v * np.cos(angle) - u * np.sin(angle)
    column = u * np.cos(angle) + v * np.sin(angle) - lean * row
    off = _symmetric(words[2, 2:], (1 - kept) / 2) * (h, w)
    row, column = row + (h - 1) / 2 + off[0], column + (w - 1) / 2 + off[1]
    if elastic:
        size = (grid + 3, grid + 3) if grid else (h, w)
        count = size[0] * size[1]
        blocks = -(-count // 4)
        raw = picture_words(range(16, 16 + 2 * blocks), picture, layer, seed, epoch).reshape(2, -1)[:, :count]
        fields = _symmetric(raw.astype(np.float64), 1).reshape(2, *size)
        fields = [_spline(field, h, w) if grid else _blurred(field, sigma) for field in fields]
        row, column = row + elastic * fields[0], column + elastic * fields[1]
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


def _dilated(x):
    """(c, h, w): the largest of a cross of 3x3 pixels."""
    _, h, w = x.shape
    around = np.pad(x, ((0, 0), (1, 1), (1, 1)), constant_values=-np.inf)
    cross = ((1, 1), (0, 1), (2, 1), (1, 0), (1, 2))
    return np.max([around[:, i : i + h, j : j + w] for i, j in cross], axis=0)


def morphology(x, picture, layer, seed, epoch, dilation, erosion):
    """One picture (c, h, w), dilated or eroded."""
    (y,) = f64(x)
    amount = _uniform(picture_words([0], picture, layer, seed, epoch)[0, 0], -erosion, dilation)
    sign = -1 if amount < 0 else 1
    y = sign * y
    for _ in range(int(abs(amount))):
        y = _dilated(y)
    part = abs(amount) % 1
    return sign * ((1 - part) * y + part * _dilated(y))


def erased(shape, picture, layer, seed, epoch, p, area, ratio):
    """The rows and the columns of what is erased of a picture (c, h, w), as slices."""
    _, h, w = shape
    words = picture_words(range(11), picture, layer, seed, epoch).astype(np.float64)
    if words[0, 0] / 2**32 < p:
        for block in words[1:]:
            pixels, tall = _uniform(block[0], *area) * h * w, np.exp(_uniform(block[1], *np.log(ratio)))
            height, width = int(np.sqrt(pixels * tall) + 0.5), int(np.sqrt(pixels / tall) + 0.5)
            if height <= h and width <= w:
                top, left = int(block[2] * (h - height + 1) / 2**32), int(block[3] * (w - width + 1) / 2**32)
                return slice(top, top + height), slice(left, left + width)
    return slice(0), slice(0)


def random_erasing(x, picture, layer, seed, epoch, p, area, ratio, fill):
    """One picture (c, h, w); fill: (low, high), drawn in the order h, w, c."""
    y = f64(x)[0].copy()
    place = (slice(None), *erased(x.shape, picture, layer, seed, epoch, p, area, ratio))
    channels, height, width = y[place].shape
    words = picture_words(range(16, 16 + y.size), picture, layer, seed, epoch).ravel()[: y[place].size]
    y[place] = _uniform(words, *fill).reshape(height, width, channels).transpose(2, 0, 1)
    return y
