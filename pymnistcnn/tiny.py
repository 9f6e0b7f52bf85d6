"""Layers of networks of some hundred or thousand parameters, for microcontrollers: those of the recipes `tiny`.

A convolution with a pool, four separable convolutions, and the mean of each channel. Batch norm is behind the
activation and has no parameters: the bias of the convolution before it and the weights of the one behind it can do what
its own would do.
"""

from __future__ import annotations

from itertools import pairwise

from ._types import Shape
from .checks import smallest_side
from .layers import BatchNorm2d, Conv2d, Flatten, GlobalAvgPool2d, LeakyReLU, Linear, MaxPool2d, Rescaling
from .layers.base import Layer

POOLED = 14  # a side that needs no more pools
LEAST = 4  # a side that separable convolutions do not make smaller
APART = (1, 2, 4, 2)  # how far their taps are from each other


def picture_network(
    channels: tuple[int, ...], input_shape: Shape, classes: int, white: int, augmentation: tuple[Layer, ...] = ()
) -> list[Layer]:
    """Of pictures; large ones are convolved and pooled more than once. Channels are those of that convolution, and of
    the four separable ones."""
    pooled, side = [], smallest_side(input_shape, "tiny")
    while side > POOLED:
        pooled += block(Conv2d(channels[0], 3), MaxPool2d(2))
        side = (side - 2) // 2
    layers = [Rescaling(1 / white), *augmentation, *(pooled or block(Conv2d(channels[0], 3, padding="same")))]
    for (before, after), apart in zip(pairwise(channels), APART, strict=True):
        fits = side - apart >= LEAST
        layers += separable(before, after, apart, "valid" if fits else "same")
        side -= apart * fits
    return [*layers, GlobalAvgPool2d(), Flatten(), Linear(classes)]


def table_network(hidden: int, classes: int) -> list[Layer]:
    """Of the columns of a table."""
    return [Linear(hidden), LeakyReLU(0.1), Linear(classes)]


def separable(channels: int, out_channels: int, apart: int, padding: str) -> list[Layer]:
    """A filter of each channel, then a 1x1 convolution (Howard et al., 2017). The filter has 2x2 taps, which lie apart:
    it sees as far as one of 3x3 or 5x5, for four parameters."""
    filters = Conv2d(channels, 2, dilation=apart, padding=padding, groups=channels, bias=False)
    return [filters, *block(Conv2d(out_channels, 1))]


def block(*layers: Layer) -> list[Layer]:
    return [*layers, LeakyReLU(0.1), BatchNorm2d(affine=False)]
