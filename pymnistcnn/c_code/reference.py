"""What steps compute of a batch, in float, by the public functions: arrays are (n, c, h, w), a vector is a picture of
one pixel."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .. import functional as F
from .._native import ActivationKind
from .._types import Array
from ..target import ISAS
from .steps import Add, AveragePool, Elementwise, Flatten, LogSoftmax, MaxPool, Product, Softmax, Step

PORTABLE = dict(isa=ISAS[0])  # so that calibration gives the same bits everywhere
ACTIVATIONS: dict[ActivationKind, Callable[..., Array]] = {
    ActivationKind.IDENTITY: lambda x, f, **how: x,
    ActivationKind.RELU: lambda x, f, **how: F.relu(x, **how),
    ActivationKind.TANH: lambda x, f, **how: F.tanh(x, **how),
    ActivationKind.LEAKY_RELU: lambda x, f, **how: F.leaky_relu(x, f.alpha, **how),
    ActivationKind.ELU: lambda x, f, **how: F.elu(x, f.alpha, **how),
    ActivationKind.SIGMOID: lambda x, f, **how: F.sigmoid(x, **how),
    ActivationKind.SOFTPLUS: lambda x, f, **how: F.softplus(x, f.alpha, f.threshold, **how),
    ActivationKind.GELU: lambda x, f, **how: F.gelu(x, **how),
    ActivationKind.GELU_TANH: lambda x, f, **how: F.gelu(x, "tanh", **how),
    ActivationKind.SILU: lambda x, f, **how: F.silu(x, **how),
    ActivationKind.HARDSWISH: lambda x, f, **how: F.hardswish(x, **how),
}


def activated(x: Array, activation: Any) -> Any:
    return ACTIVATIONS[activation.kind](x, activation, **PORTABLE)


def sums(step: Any, x: Array, weight: Array, bias: Array | None, **how: Any) -> Any:
    """A product's outputs behind its pool, before its activation."""
    y = F.conv2d(x, weight, bias, step.stride, step.padding, step.dilation, step.groups, **how)
    return y if step.pool == (1, 1) else F.max_pool2d(y, step.pool)


def parts(window: Any) -> tuple[Any, ...]:
    """Kernel, stride, (top, bottom, left, right), dilation, does an average count the padding."""
    return (*map(tuple, (window[:2], window[2:4], window[4:8], window[8:10])), window[10])


def max_pool(step: Any, x: Array) -> Any:
    kernel, stride, sides, dilation, _ = parts(step.window)
    window = kernel, stride, sides, dilation
    return fitting(step, lambda ceil_mode: F.max_pool2d(x, *window, ceil_mode))


def average_pool(step: Any, x: Array) -> Any:
    kernel, stride, sides, _, count_pad = parts(step.window)
    window = kernel, stride, sides
    return fitting(step, lambda ceil_mode: F.avg_pool2d(x, *window, ceil_mode, bool(count_pad)))


def fitting(step: Any, pool: Any) -> Any:
    """As many windows as the step says: with those that reach over the end, or without."""
    y = pool(True)
    return y if y.shape[2:] == (step.y.h, step.y.w) else pool(False)


def by_scores(function: Any) -> Any:
    return lambda step, x: function(x, step.axis + 1, **PORTABLE)


FUNCTIONS: dict[type[Step], Callable[..., Array]] = {
    Product: lambda step, x: activated(sums(step, x, step.weight, step.bias, **PORTABLE), step.activation),
    MaxPool: max_pool,
    AveragePool: average_pool,
    Elementwise: lambda step, x: activated(x, step.activation),
    Add: lambda step, x, other: activated(x + other, step.activation),
    Flatten: lambda step, x: np.ascontiguousarray(x.reshape(len(x), -1, 1, 1)),
    Softmax: by_scores(F.softmax),
    LogSoftmax: by_scores(F.log_softmax),
}


def computed(step: Any, *x: Array) -> Any:
    """The step's value, of those that it reads."""
    return FUNCTIONS[type(step)](step, *x)
