"""Layers of networks of some hundred or thousand parameters, for microcontrollers: those of the recipes `tiny`.

Convolutions, with pools at first, and the mean of each channel. Batch norm is behind the activation and has no
parameters: the bias of the convolution before it and the weights of the one behind it can do what its own would do.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from ._types import Shape
from .checks import smallest_side
from .layers import (
    Augmentation,
    BatchNorm2d,
    Conv2d,
    Flatten,
    GlobalAvgPool2d,
    LeakyReLU,
    Linear,
    MaxPool2d,
    ReLU,
    Rescaling,
)
from .layers.base import Layer

SAME: dict[str, Any] = dict(kernel_size=3, padding="same")
VALID: dict[str, Any] = dict(kernel_size=3)
CHANNELS = (7, 10, 10, 10, 8)  # of the first convolution, and of the separable ones
APART = (1, 2, 4, 2)  # how far the taps of the separable ones are from each other
LEAST = 4  # a side that they do not make smaller


def separable_network(input_shape: Shape, classes: int, white: int) -> list[Layer]:
    """A convolution with a pool behind it, two or more of large pictures, then four separable ones. Their filters have
    2x2 taps, which lie apart: these see as far as those of 3x3 and 5x5, for four parameters."""
    pooled, side = [], smallest_side(input_shape, "tiny")
    while side > 14:
        pooled += block(Conv2d(CHANNELS[0], **VALID), MaxPool2d(2), activation=LeakyReLU(0.1))
        side = (side - 2) // 2
    layers = [Rescaling(1 / white), *(pooled or block(Conv2d(CHANNELS[0], **SAME), activation=LeakyReLU(0.1)))]
    for (channels, out_channels), apart in zip(pairwise(CHANNELS), APART, strict=True):
        fits = side - apart >= LEAST
        layers += separable(channels, out_channels, apart, "valid" if fits else "same")
        side -= apart * fits
    return layers + scores(classes)


def augmented_network(channels: tuple[int, int, int, int], input_shape: Shape, classes: int, white: int) -> list[Layer]:
    """On pictures that are moved, turned and scaled a little: convolutions with pools behind them, then two without."""
    first, other, third, last = channels
    side = smallest_side(input_shape, "tiny")
    roomy = side >= 20
    side = (side - 4 * roomy) // 2
    layers = [Rescaling(1 / white), Augmentation(shift=1, rotation=8, scale=0.1)]
    layers += block(Conv2d(first, 5) if roomy else Conv2d(first, **SAME), MaxPool2d(2))
    while side > 7:
        layers += block(Conv2d(other, **SAME), MaxPool2d(2))
        side //= 2
    return [*layers, *block(Conv2d(third, **SAME)), *block(Conv2d(last, **VALID)), *scores(classes)]


def table_network(hidden: int, classes: int) -> list[Layer]:
    """Of the columns of a table."""
    return [Linear(hidden), ReLU(), Linear(classes)]


def separable(channels: int, out_channels: int, apart: int, padding: str) -> list[Layer]:
    """A filter of each channel, then a 1x1 convolution (Howard et al., 2017)."""
    filters = Conv2d(channels, 2, dilation=apart, padding=padding, groups=channels, bias=False)
    return [filters, *block(Conv2d(out_channels, 1), activation=LeakyReLU(0.1))]


def block(*layers: Layer, activation: Layer | None = None) -> list[Layer]:
    return [*layers, activation or ReLU(), BatchNorm2d(affine=False)]


def scores(classes: int) -> list[Layer]:
    return [GlobalAvgPool2d(), Flatten(), Linear(classes)]
