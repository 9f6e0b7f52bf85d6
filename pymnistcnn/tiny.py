"""Layers of networks of some hundred or thousand parameters, for microcontrollers: those of the recipes `tiny`.

Convolutions, with pools at first, and the mean of each channel. Batch norm is behind the activation and has no
parameters: the bias of the convolution before it and the weights of the one behind it can do what its own would do.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from ._types import Shape
from .checks import smallest_side
from .layers import Augmentation, BatchNorm2d, Conv2d, Flatten, GlobalAvgPool2d, Linear, MaxPool2d, ReLU, Rescaling
from .layers.base import Layer

Kernel = dict[str, Any]  # arguments of Conv2d

SAME: Kernel = dict(kernel_size=3, padding="same")
VALID: Kernel = dict(kernel_size=3)


def separable_network(input_shape: Shape, classes: int, white: int) -> list[Layer]:
    """A convolution with a pool behind it, two or more of large pictures, then four separable ones."""
    layers, side = pooled(smallest_side(input_shape, "tiny"), 14, (6, 6), VALID, VALID)
    layers = [Rescaling(1 / white), *(layers or block(Conv2d(6, **SAME)))]
    for channels, out_channels in pairwise((6, 6, 8, 10, 8)):
        layers += separable(channels, out_channels, VALID if side > 6 else SAME)
        side -= 2 * (side > 6)
    return layers + scores(classes)


def augmented_network(channels: tuple[int, int, int, int], input_shape: Shape, classes: int, white: int) -> list[Layer]:
    """On pictures that are moved, turned and scaled a little: convolutions with pools behind them, then two without."""
    first, second, third, last = channels
    side = smallest_side(input_shape, "tiny")
    layers = [Rescaling(1 / white), Augmentation(shift=1, rotation=8, scale=0.1)]
    layers += pooled(side, 7, (first, second), dict(kernel_size=5) if side >= 20 else SAME, SAME)[0]
    return [*layers, *block(Conv2d(third, **SAME)), *block(Conv2d(last, **VALID)), *scores(classes)]


def table_network(hidden: int, classes: int) -> list[Layer]:
    """For the columns of a table."""
    return [Linear(hidden), ReLU(), Linear(classes)]


def pooled(side: int, small: int, channels: tuple[int, int], first: Kernel, other: Kernel) -> tuple[list[Layer], int]:
    """Convolutions with a pool behind each, until pictures of this side are small, and the side that is left. All but
    the first of several have the other channels and kernel; one alone has the other channels."""
    kernels: list[Kernel] = []
    while side > small:
        kernels.append(other if kernels else first)
        side = (side if kernels[-1] is SAME else side + 1 - kernels[-1]["kernel_size"]) // 2
    widths = channels[:1] * (len(kernels) > 1) + channels[1:] * len(kernels)
    convolutions = (Conv2d(width, **kernel) for width, kernel in zip(widths, kernels, strict=False))
    return [layer for convolution in convolutions for layer in block(convolution, MaxPool2d(2))], side


def separable(channels: int, out_channels: int, kernel: Kernel) -> list[Layer]:
    """A filter of each channel, then a 1x1 convolution (Howard et al., 2017)."""
    return [Conv2d(channels, **kernel, groups=channels, bias=False), *block(Conv2d(out_channels, 1))]


def block(*layers: Layer) -> list[Layer]:
    return [*layers, ReLU(), BatchNorm2d(affine=False)]


def scores(classes: int) -> list[Layer]:
    return [GlobalAvgPool2d(), Flatten(), Linear(classes)]
