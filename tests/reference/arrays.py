"""What the functions of several subjects share: float64, and the windows that go over pictures."""

import numpy as np


def f64(*arrays):
    return [np.asarray(a, dtype=np.float64) for a in arrays]


def out_size(size, kernel, stride, dilation=1):
    """Window positions along one (padded) axis, floor mode."""
    span = dilation * (kernel - 1) + 1
    if size < span:
        raise ValueError(f"a window of {span} does not fit into {size}")
    return (size - span) // stride + 1


def tap_at(i, j, out_hw, stride, dilation=(1, 1)):
    """Index of the cells that window position (i, j) sees, over all outputs, in a (..., H, W) array."""
    top, left = i * dilation[0], j * dilation[1]
    return (
        ...,
        slice(top, top + stride[0] * (out_hw[0] - 1) + 1, stride[0]),
        slice(left, left + stride[1] * (out_hw[1] - 1) + 1, stride[1]),
    )
