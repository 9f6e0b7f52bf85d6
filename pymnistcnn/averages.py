"""Averages of the weights over the steps of a training: how much of the average stays at each of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ._types import Array
from .checks import check_fields, number

__all__ = ["StochasticAverage"]


@dataclass(frozen=True)
class StochasticAverage:
    """The plain mean of the weights after each step of a training's last part: stochastic weight averaging (Izmailov et
    al., 2018), with each step in place of each epoch. Until then the average is the weights themselves.

    It wants a rate that stays high enough for the weights to move around, such as that of Constant or of WarmUp: under
    a schedule that ends near 0 they hardly do, and there is little to average.

    Parameters
    ----------
    start : share of the steps that are done before the first one that counts, from 0 to 1 (excluded), else ValueError

    Examples
    --------
    >>> import pymnistcnn as pm
    >>> train, test = pm.datasets.mnist()
    >>> model = pm.Sequential([pm.Rescaling(1 / 255), pm.Flatten(), pm.Linear(10)], input_shape=(1, 28, 28))
    >>> history = model.fit(train[:2000], epochs=4, average=pm.StochasticAverage(0.5), progress=False)
    """

    start: float = 0.75

    def __post_init__(self) -> None:
        check_fields(self, number, "start", low=0, high=1, open_high=True)

    def decays(self, first_step: int, count: int, total_steps: float) -> Array:
        """How much of the average stays at steps `first_step` to `first_step + count - 1` of so many: n / (n + 1) where
        n have been counted."""
        counted = np.maximum(np.arange(first_step, first_step + count) - int(self.start * total_steps), 0)
        return counted / (counted + 1)


def checked_average(average: float | StochasticAverage | None) -> float | StochasticAverage | None:
    """What `fit` was asked for; ValueError for anything else."""
    if average is None or isinstance(average, StochasticAverage):
        return average
    return number("average", average, 0, 1, open_high=True)


def decays_of(average: float | StochasticAverage, first_step: int, count: int, total_steps: float) -> Array:
    """How much of the average stays at each of some steps."""
    if isinstance(average, StochasticAverage):
        return average.decays(first_step, count, total_steps)
    return np.full(count, average)
