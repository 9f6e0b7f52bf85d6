"""Recipes: networks with all that it takes to train them, one function each.

>>> import pymnistcnn as pm
>>> pm.recipes.fast().batch_size
128
"""

from __future__ import annotations

from ._types import DTypeLike, Shape
from .calibration import Calibrate
from .checks import checked_shape
from .layers import Augmentation, BatchNorm2d, Conv2d, Dropout, Flatten, Linear, MaxPool2d, ReLU, Rescaling
from .losses import CrossEntropyLoss
from .model import Sequential
from .optimizers import Adam, AdamW
from .recipe import SAME, Recipe, kernels
from .schedules import OneCycle
from .tiny import tiny, tiny_4800, tiny_8900


def fast(
    input_shape: Shape = (1, 28, 28), classes: int = 10, seed: int = 0, dtype: DTypeLike = "float32", white: int = 255
) -> Recipe:
    """Small convolution blocks, three for 28x28, one epoch, one-cycle Adam: about 99 % on MNIST in a second.

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
    >>> recipe = pm.recipes.fast()
    >>> train, test = pm.datasets.mnist()
    >>> history = recipe.model.fit(train[:1000], **recipe.arguments, progress=False)
    """
    if len(checked_shape(input_shape)) == 1:
        layers = [Linear(128), ReLU(), Linear(classes)]
    else:
        layers, (first, *others) = [Rescaling(1 / white)], kernels(input_shape, "fast")
        for channels, kernel in zip((16, 32, 64, 64), (first, *[SAME] * len(others)), strict=False):
            layers += [Conv2d(channels, **kernel), ReLU(), MaxPool2d(2)]
        layers += [Flatten(), Linear(classes)]
    return Recipe(
        model=Sequential(layers, input_shape, seed, dtype),
        epochs=1,
        batch_size=128,
        optimizer=Adam(betas=(0.7, 0.9)),
        schedule=OneCycle(0.01),
    )


def accurate(
    input_shape: Shape = (1, 28, 28), classes: int = 10, seed: int = 0, dtype: DTypeLike = "float32", white: int = 255
) -> Recipe:
    """Wider blocks with batch norm, on pictures that are moved, turned and scaled a little, with smoothed labels and
    one-cycle AdamW: about 99.6 % on MNIST in some twelve times the time of `fast`.

    Smoothed labels leave a network less sure than it is right. So, of pictures, it is calibrated at the end, on
    training pictures that are augmented anew: its probabilities can be trusted then; its answers stay the same.

    Batch norm is behind the pool, where there is a quarter of the numbers, and the convolutions' gradients stay
    sparse. The first and the last convolution have no padding: a margin of zeros is not worth its time.

    Parameters
    ----------
    input_shape : (channels, height, width) of uint8 pictures, at least 8x8; or (features,) of a table whose columns
        have mean 0 and deviation 1, for which there are two hidden layers with dropout
    classes : how many there are to tell apart
    seed, dtype : as in Sequential
    white : the value of a pixel that is full

    Examples
    --------
    >>> import pymnistcnn as pm
    >>> recipe = pm.recipes.accurate()
    >>> train, test = pm.datasets.mnist()
    >>> history = recipe.model.fit(train[:1000], **recipe.arguments, progress=False)
    """
    if len(checked_shape(input_shape)) == 1:
        layers = [Linear(256), ReLU(), Dropout(0.2), Linear(128), ReLU(), Dropout(0.2), Linear(classes)]
    else:
        layers = [Rescaling(1 / white), Augmentation(shift=1, rotation=8, scale=0.1)]
        for channels, kernel in zip((16, 48, 96, 96), kernels(input_shape, "accurate"), strict=False):
            layers += [Conv2d(channels, **kernel), MaxPool2d(2), BatchNorm2d(), ReLU()]
        layers += [Flatten(), Linear(classes)]
    return Recipe(
        model=Sequential(layers, input_shape, seed, dtype),
        epochs=6,
        batch_size=128,
        optimizer=AdamW(betas=(0.7, 0.9), weight_decay=0.05),
        schedule=OneCycle(0.007),
        loss=CrossEntropyLoss(label_smoothing=0.05),
        callbacks=[Calibrate()] if len(input_shape) == 3 else [],
    )


RECIPES = {  # what `pymnistcnn train` offers
    "fast": fast,
    "accurate": accurate,
    "tiny": tiny,
    "tiny-4800": tiny_4800,
    "tiny-8900": tiny_8900,
}
