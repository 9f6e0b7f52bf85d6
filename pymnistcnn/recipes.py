"""Recipes: networks with all that it takes to train them, one function each.

>>> import pymnistcnn as pm
>>> pm.recipes.fast().batch_size
128
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

from ._types import DTypeLike, Shape
from .averages import StochasticAverage
from .calibration import Calibrate
from .callbacks import Callback
from .checks import checked_shape, smallest_side
from .layers import Augmentation, BatchNorm2d, Conv2d, Dropout, Flatten, Linear, MaxPool2d, ReLU, Rescaling
from .layers.base import Layer
from .losses import CrossEntropyLoss, Loss
from .model import Sequential
from .optimizers import Adam, AdamW, Optimizer
from .schedules import OneCycle, Schedule
from .tiny import picture_network, table_network


@dataclass(frozen=True)
class Recipe:
    """A fresh model, and the arguments of `fit` that suit it.

    Examples
    --------
    >>> import pymnistcnn as pm
    >>> recipe = pm.recipes.fast(seed=1)
    >>> train, test = pm.datasets.mnist()
    >>> history = recipe.model.fit(train[:1000], **recipe.arguments, progress=False)
    """

    model: Sequential
    epochs: int
    batch_size: int
    optimizer: Optimizer
    schedule: Schedule
    loss: Loss = field(default_factory=CrossEntropyLoss)
    callbacks: list[Callback] = field(default_factory=list)
    average: float | StochasticAverage | None = None
    held_out: int = 0

    @property
    def arguments(self) -> dict[str, Any]:
        """All but the model, by the names that `fit` has for them."""
        return {one.name: getattr(self, one.name) for one in fields(self) if one.name != "model"}


def fast(
    input_shape: Shape = (1, 28, 28), classes: int = 10, seed: int = 0, dtype: DTypeLike = "float32", white: int = 255
) -> Recipe:
    """Two convolutions and a hidden layer for 28x28, one epoch, one-cycle Adam: about 99 % on MNIST in half a second.

    The first pool is of 3x3: what follows has 8x8 places, not 13x13, and that costs the accuracy nothing. Batch norm is
    behind the pools: see `accurate`.

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
        layers = [Rescaling(1 / white)]
        for channels, (kernel, pool) in zip((16, 48, 64, 64), coarse(input_shape), strict=False):
            layers += [Conv2d(channels, **kernel), MaxPool2d(pool), BatchNorm2d(), ReLU()]
        layers += [Flatten(), Linear(64), ReLU(), Linear(classes)]
    return Recipe(
        model=Sequential(layers, input_shape, seed, dtype),
        epochs=1,
        batch_size=128,
        optimizer=Adam(betas=(0.7, 0.9)),
        schedule=OneCycle(0.01, warm_up=0.2),
    )


def accurate(
    input_shape: Shape = (1, 28, 28), classes: int = 10, seed: int = 0, dtype: DTypeLike = "float32", white: int = 255
) -> Recipe:
    """Wider blocks with batch norm, on pictures that are moved, turned and scaled a little, with smoothed labels and
    one-cycle AdamW: about 99.6 % on MNIST in some twenty times the time of `fast`.

    Smoothed labels leave a network less sure than it is right. So, of pictures, it is calibrated at the end, on 2,000
    (a tenth at most) that it is not trained on: its probabilities can be trusted then; its answers stay the same.

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
    pictures = len(checked_shape(input_shape)) == 3
    if pictures:
        augmentation = Augmentation(shift=1, rotation=8, scale=0.1)
        layers = normed_blocks(CHANNELS, input_shape, classes, white, augmentation)
    else:
        layers = [Linear(256), ReLU(), Dropout(0.2), Linear(128), ReLU(), Dropout(0.2), Linear(classes)]
    return Recipe(
        model=Sequential(layers, input_shape, seed, dtype),
        epochs=5 if pictures else 6,
        batch_size=128,
        optimizer=AdamW(betas=(0.7, 0.9), weight_decay=0.05),
        schedule=OneCycle(0.008, warm_up=0.15) if pictures else LONGER,
        loss=CrossEntropyLoss(label_smoothing=0.05),
        callbacks=[Calibrate()] if pictures else [],
        held_out=HELD_OUT if pictures else 0,
    )


def best(
    input_shape: Shape = (1, 28, 28), classes: int = 10, seed: int = 0, dtype: DTypeLike = "float32", white: int = 255
) -> Recipe:
    """The network of `accurate` with twice the channels, 203,000 parameters, on pictures that are bent a little, too,
    for more epochs: seven times the time of `accurate`. Settings were chosen on a split of MNIST's training pictures.

    Parameters and calibration: see `accurate`. A table gets the network of `accurate`.

    Examples
    --------
    >>> import pymnistcnn as pm
    >>> recipe = pm.recipes.best()
    >>> train, test = pm.datasets.mnist()
    >>> history = recipe.model.fit(train[:1000], **recipe.arguments | {"epochs": 1}, progress=False)
    """
    recipe = replace(accurate(input_shape, classes, seed, dtype, white), epochs=10, schedule=LONGER)
    if len(input_shape) == 1:
        return recipe
    layers = normed_blocks([2 * count for count in CHANNELS], input_shape, classes, white, bent())
    return replace(recipe, model=Sequential(layers, input_shape, seed, dtype))


def small(
    input_shape: Shape = (1, 28, 28), classes: int = 10, seed: int = 0, dtype: DTypeLike = "float32", white: int = 255
) -> Recipe:
    """The network of `accurate`, 53,114 parameters for (1, 28, 28) and 10 classes, on the pictures of `best`, for 20
    epochs: about as good as `best` on MNIST, with a quarter of the parameters, in two thirds of the time.

    Parameters and calibration: see `accurate`. A table gets the network of `accurate`.

    Examples
    --------
    >>> import pymnistcnn as pm
    >>> recipe = pm.recipes.small()
    >>> train, test = pm.datasets.mnist()
    >>> history = recipe.model.fit(train[:1000], **recipe.arguments | {"epochs": 1}, progress=False)
    """
    recipe = replace(accurate(input_shape, classes, seed, dtype, white), epochs=20, schedule=LONGER)
    if len(input_shape) == 1:
        return recipe
    layers = normed_blocks(CHANNELS, input_shape, classes, white, bent())
    return replace(recipe, model=Sequential(layers, input_shape, seed, dtype))


def bent() -> Augmentation:
    """What `best` and `small` see of a picture."""
    return Augmentation(shift=1, rotation=10, scale=0.1, elastic=10)


def few(
    input_shape: Shape = (1, 28, 28), classes: int = 10, seed: int = 0, dtype: DTypeLike = "float32", white: int = 255
) -> Recipe:
    """The network of `accurate` for few pictures, such as 1,000: 100 epochs, in which they are moved, turned, scaled,
    sheared and bent further. More pictures take longer in proportion. Settings were chosen on a split, as in `best`.

    Parameters: see `accurate`. A table gets the network of `accurate`. Nothing is held out, and the probabilities are
    not calibrated.

    Examples
    --------
    >>> import pymnistcnn as pm
    >>> recipe = pm.recipes.few()
    >>> train, test = pm.datasets.mnist()
    >>> history = recipe.model.fit(train[:100], **recipe.arguments, progress=False)
    """
    recipe = accurate(input_shape, classes, seed, dtype, white)
    recipe = replace(recipe, epochs=100, batch_size=64, schedule=LONGER, callbacks=[], held_out=0)
    if len(input_shape) == 1:
        return recipe
    augmentation = Augmentation(shift=2, rotation=12, scale=0.15, shear=8, elastic=20)
    layers = normed_blocks(CHANNELS, input_shape, classes, white, augmentation)
    return replace(recipe, model=Sequential(layers, input_shape, seed, dtype))


def normed_blocks(
    channels: Sequence[int], input_shape: Shape, classes: int, white: int, augmentation: Augmentation
) -> list[Layer]:
    """Convolutions of these channels, each with a pool and batch norm behind it."""
    layers: list[Layer] = [Rescaling(1 / white), augmentation]
    for width, kernel in zip(channels, kernels(input_shape, "accurate"), strict=False):
        layers += [Conv2d(width, **kernel), MaxPool2d(2), BatchNorm2d(), ReLU()]
    return [*layers, Flatten(), Linear(classes)]


def tiny(
    input_shape: Shape = (1, 28, 28), classes: int = 10, seed: int = 0, dtype: DTypeLike = "float32", white: int = 255
) -> Recipe:
    """A network of 696 parameters, for (1, 28, 28) and 10 classes: one convolution, then four separable ones.

    So small a network sees its pictures as they are: they are not augmented.

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
        layers = table_network(8, classes)
    else:
        layers = picture_network((7, 10, 10, 10, 8), input_shape, classes, white)
    return Recipe(
        model=Sequential(layers, input_shape, seed, dtype),
        epochs=30,
        batch_size=128,
        optimizer=AdamW(betas=(0.9, 0.99), weight_decay=0),
        schedule=OneCycle(0.05),
    )


def tiny_4800(
    input_shape: Shape = (1, 28, 28), classes: int = 10, seed: int = 0, dtype: DTypeLike = "float32", white: int = 255
) -> Recipe:
    """A network of 4,610 parameters, for (1, 28, 28) and 10 classes, on pictures that are moved, turned and scaled.

    Parameters and example: see `tiny`.
    """
    return augmented((16, 28, 32, 32, 36), 14, input_shape, classes, seed, dtype, white)


def tiny_8900(
    input_shape: Shape = (1, 28, 28), classes: int = 10, seed: int = 0, dtype: DTypeLike = "float32", white: int = 255
) -> Recipe:
    """A network of 8,847 parameters, for (1, 28, 28) and 10 classes, on pictures that are moved, turned and scaled.

    Parameters and example: see `tiny`.
    """
    return augmented((24, 40, 44, 48, 51), 10, input_shape, classes, seed, dtype, white)


def augmented(
    channels: tuple[int, ...], epochs: int, input_shape: Shape, classes: int, seed: int, dtype: DTypeLike, white: int
) -> Recipe:
    """`tiny` with these channels, on pictures and with a loss like those of `accurate`."""
    if len(checked_shape(input_shape)) == 1:
        layers = table_network(channels[-1], classes)
    else:
        moves = Augmentation(shift=1, rotation=8, scale=0.1)
        layers = picture_network(channels, input_shape, classes, white, (moves,))
    return Recipe(
        model=Sequential(layers, input_shape, seed, dtype),
        epochs=epochs,
        batch_size=128,
        optimizer=AdamW(betas=(0.7, 0.9), weight_decay=0.05),
        schedule=OneCycle(0.02),
        loss=CrossEntropyLoss(label_smoothing=0.05),
    )


CHANNELS = (16, 48, 96, 96)  # of `accurate`
LONGER = OneCycle(0.007)  # of what is trained for longer than `accurate`
HELD_OUT = 2000  # of MNIST's 60,000; docs/own-code.md has what more and fewer come to
VALID, SAME = dict(kernel_size=3), dict(kernel_size=3, padding="same")
ROOMY = 20  # a side that can do without some padding


def coarse(input_shape: Shape) -> list[tuple[dict[str, Any], int]]:
    """Of the blocks of `fast`: the convolution's arguments, and the side of the pool. There are two to four, which
    leave 2x2 or 3x3 of a picture up to 103x103."""
    side = smallest_side(input_shape, "fast")
    roomy = side >= ROOMY
    blocks = [(VALID, 3), (VALID, 2)] if roomy else [(SAME, 2), (SAME, 2)]
    side = ((side - 2) // 3 - 2) // 2 if roomy else side // 4
    while side > 3 and len(blocks) < 4:
        blocks.append((SAME, 2))
        side //= 2
    return blocks


def kernels(input_shape: Shape, name: str) -> list[dict[str, Any]]:
    """Of the convolutions of blocks that each end in a pool of 2x2, four at most, which leave 2x2 or 3x3 of a picture
    up to 67x67. Pictures of 20x20 and more can do without padding at the first and the last."""
    side = smallest_side(input_shape, name)
    roomy = side >= ROOMY
    side -= 4 * roomy
    pools = min(4, side.bit_length() - 2)  # until a side is 2 or 3
    return [dict(kernel_size=5) if roomy else SAME, *[SAME] * (pools - 2), dict(kernel_size=3) if roomy else SAME]


@dataclass(frozen=True)
class Members:
    """A recipe for an ensemble: so many networks of one recipe, each with a seed of its own.

    Examples
    --------
    >>> import pymnistcnn as pm
    >>> pm.recipes.Members(pm.recipes.fast, 3).seeds(7)
    [21, 22, 23]
    """

    recipe: Callable[..., Recipe]
    count: int

    def seeds(self, seed: int) -> list[int]:
        """Those of the networks: no two ensembles share one, unless their seeds are close to 2**64."""
        return [(seed * self.count + number) % 2**64 for number in range(self.count)]


RECIPES = {  # what `pymnistcnn train` offers
    "fast": fast,
    "accurate": accurate,
    "best": best,
    "small": small,
    "few": few,
    "tiny": tiny,
    "tiny-4800": tiny_4800,
    "tiny-8900": tiny_8900,
}
ENSEMBLES = {"ensemble": Members(best, 5)}  # and that makes several networks
