"""Recipes for networks of some hundred or thousand parameters, for microcontrollers.

Convolutions, with pools at first, and the mean of each channel. Batch norm is behind ReLU and has no
parameters: the bias of the convolution before it and the weights of the one behind it can do what its own would do.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from ._types import DTypeLike, Shape
from .checks import checked_shape
from .layers import Augmentation, BatchNorm2d, Conv2d, Flatten, GlobalAvgPool2d, Linear, MaxPool2d, ReLU, Rescaling
from .layers.base import Layer
from .losses import CrossEntropyLoss
from .model import Sequential
from .optimizers import AdamW
from .recipe import SAME, Recipe, smallest_side
from .schedules import OneCycle

Kernel = dict[str, Any]  # arguments of Conv2d

VALID = dict(kernel_size=3)


def tiny(
    input_shape: Shape = (1, 28, 28), classes: int = 10, seed: int = 0, dtype: DTypeLike = "float32", white: int = 255
) -> Recipe:
    """A network of 696 parameters, for (1, 28, 28) and 10 classes.

    One convolution with a pool behind it, then four separable ones: a filter of each channel, then 1x1. It is too small
    to learn its pictures by heart, so they are not augmented.

    Parameters
    ----------
    input_shape : (channels, height, width) of uint8 pictures, at least 8x8; or (features,) of a table whose columns
        have mean 0 and deviation 1, for which there is one hidden layer
    classes : how many there are to tell apart
    seed, dtype : as in Sequential
    white : the value of a pixel that is full

    Examples
    --------
    >>> import pymnistcnn as pm
    >>> recipe = pm.recipes.tiny()
    >>> recipe.model.summary_rows()[-1][2]
    '696'
    >>> train, test = pm.datasets.mnist()
    >>> history = recipe.model.fit(train[:500], **recipe.arguments | {"epochs": 1}, progress=False)
    """
    if len(checked_shape(input_shape)) == 1:
        layers = table(8, classes)
    else:
        side = smallest_side(input_shape, "tiny")
        layers, side = pooled(side, 14, (6, 6), VALID, VALID)
        layers = [Rescaling(1 / white), *(layers or block(Conv2d(6, **SAME)))]
        for width, channels in pairwise((6, 6, 8, 10, 8)):
            layers += separable(width, channels, VALID if side > 6 else SAME)
            side -= 2 * (side > 6)
        layers += scores(classes)
    return Recipe(
        model=Sequential(layers, input_shape, seed, dtype),
        epochs=25,
        batch_size=128,
        optimizer=AdamW(betas=(0.9, 0.99), weight_decay=0),
        schedule=OneCycle(0.05),
    )


def tiny_4800(
    input_shape: Shape = (1, 28, 28), classes: int = 10, seed: int = 0, dtype: DTypeLike = "float32", white: int = 255
) -> Recipe:
    """A network of 4,675 parameters, for (1, 28, 28) and 10 classes. Pictures are moved, turned and scaled a little.

    Parameters and example: see `tiny`.
    """
    return augmented((8, 12, 14, 15), 16, 0.01, input_shape, classes, seed, dtype, white)


def tiny_8900(
    input_shape: Shape = (1, 28, 28), classes: int = 10, seed: int = 0, dtype: DTypeLike = "float32", white: int = 255
) -> Recipe:
    """A network of 8,637 parameters, for (1, 28, 28) and 10 classes. Pictures are moved, turned and scaled a little.

    Parameters and example: see `tiny`.
    """
    return augmented((10, 16, 20, 21), 32, 0.01, input_shape, classes, seed, dtype, white)


def augmented(channels: tuple[int, int, int, int], hidden: int, max_rate: float, input_shape: Shape, classes: int,
              seed: int, dtype: DTypeLike, white: int) -> Recipe:  # fmt: skip
    """What the two larger ones share."""
    if len(checked_shape(input_shape)) == 1:
        layers = table(hidden, classes)
    else:
        first, second, third, last = channels
        side = smallest_side(input_shape, "tiny")
        layers = [
            Rescaling(1 / white),
            Augmentation(shift=1, rotation=8, scale=0.1),
            *pooled(side, 7, (first, second), dict(kernel_size=5) if side >= 20 else SAME, SAME)[0],
            *block(Conv2d(third, **SAME)),
            *block(Conv2d(last, **VALID)),
            *scores(classes),
        ]
    return Recipe(
        model=Sequential(layers, input_shape, seed, dtype),
        epochs=30,
        batch_size=128,
        optimizer=AdamW(betas=(0.7, 0.9), weight_decay=0.05),
        schedule=OneCycle(max_rate),
        loss=CrossEntropyLoss(label_smoothing=0.05),
    )


def pooled(side: int, small: int, channels: tuple[int, int], first: Kernel, other: Kernel) -> tuple[list[Layer], int]:
    """Convolutions with a pool behind each, until pictures of this side are small, and the side that is left. The last
    has the other channels."""
    kernels: list[Kernel] = []
    while side > small:
        kernels.append(other if kernels else first)
        side = (side if kernels[-1] is SAME else side + 1 - kernels[-1]["kernel_size"]) // 2
    widths = channels[:1] * (len(kernels) > 1) + channels[1:] * len(kernels)
    convolutions = (Conv2d(width, **kernel) for width, kernel in zip(widths, kernels, strict=False))
    return [layer for convolution in convolutions for layer in block(convolution, MaxPool2d(2))], side


def separable(channels: int, out_channels: int, kernel: Kernel) -> list[Layer]:
    """A filter of each channel, then a 1x1 convolution."""
    return [Conv2d(channels, **kernel, groups=channels, bias=False), *block(Conv2d(out_channels, 1))]


def block(*layers: Layer) -> list[Layer]:
    return [*layers, ReLU(), BatchNorm2d(affine=False)]


def scores(classes: int) -> list[Layer]:
    return [GlobalAvgPool2d(), Flatten(), Linear(classes)]


def table(hidden: int, classes: int) -> list[Layer]:
    """For columns of a table."""
    return [Linear(hidden), ReLU(), Linear(classes)]
