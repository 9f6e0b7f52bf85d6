"""What a recipe is, and what recipes for pictures share."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any

from ._types import Shape
from .callbacks import Callback
from .losses import CrossEntropyLoss, Loss
from .model import Sequential
from .optimizers import Optimizer
from .schedules import Schedule


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
    average: float | None = None

    @property
    def arguments(self) -> dict[str, Any]:
        """All but the model, by the names that `fit` has for them."""
        return {one.name: getattr(self, one.name) for one in fields(self) if one.name != "model"}


SAME = dict(kernel_size=3, padding="same")


def kernels(input_shape: Shape, name: str) -> list[dict[str, Any]]:
    """Of the convolutions of blocks that each end in a pool of 2x2, four at most, which leave 2x2 or 3x3 of a picture
    up to 67x67. Pictures of 20x20 and more can do without padding at the first and the last."""
    side = smallest_side(input_shape, name)
    roomy = side >= 20
    side -= 4 * roomy
    pools = min(4, side.bit_length() - 2)  # until a side is 2 or 3
    return [dict(kernel_size=5) if roomy else SAME, *[SAME] * (pools - 2), dict(kernel_size=3) if roomy else SAME]


def smallest_side(input_shape: Shape, name: str) -> int:
    """Of pictures (channels, height, width) for the recipe of this name."""
    side = min(input_shape[1:])
    if side < 8:
        raise ValueError(f"{name} takes pictures of at least 8x8, or (features,), not {tuple(input_shape)}")
    return side
