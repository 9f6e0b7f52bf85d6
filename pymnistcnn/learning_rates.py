"""A search for the learning rate: one short training over rates that grow until it diverges."""

from __future__ import annotations

import copy
import math
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np

from ._types import Array, ArrayLike
from .callbacks import Callback
from .checks import number, whole
from .datasets import Dataset
from .extras import needed
from .losses import Loss, LossFunction
from .model import Sequential
from .optimizers import Optimizer
from .schedules import Schedule
from .training import Diverged

__all__ = [
    "LearningRates",
    "find_learning_rate",
]

SMOOTHING = 0.9  # share of the mean so far that each step keeps, to see a training diverge
TOO_MUCH = 4.0  # times the best of these means: it has
WINDOW = np.hanning(9)[1:-1]  # around a step, to see how the loss falls: a mean of those before would see it late
FEWEST = 5  # losses that a slope can be seen in


@dataclass(frozen=True)
class LearningRates:
    """What `find_learning_rate` gives: learning_rates and losses, (steps,) each; and the suggestion, the rate at which
    the smoothed loss falls fastest, or None where it falls nowhere.

    Examples
    --------
    >>> import numpy as np, pymnistcnn as pm
    >>> rates = np.logspace(-5, 0, 51)
    >>> round(pm.LearningRates(rates, 1 - 1 / (1 + (1e-3 / rates) ** 2)).suggestion, 6)
    0.001
    """

    learning_rates: np.ndarray
    losses: np.ndarray

    @property
    def smoothed(self) -> np.ndarray:
        """The losses (steps,), each as a mean of those around it."""
        if not len(self.losses):
            return self.losses
        weights, sums = (
            np.convolve(part, WINDOW)[len(WINDOW) // 2 :] for part in (np.ones_like(self.losses), self.losses)
        )
        return (sums / weights)[: len(self.losses)]

    @property
    def suggestion(self) -> float | None:
        if len(self.losses) < FEWEST:
            return None
        smoothed = self.smoothed
        slopes = np.gradient(smoothed, np.log(self.learning_rates))[: np.argmin(smoothed) + 1]
        steepest = int(np.argmin(slopes))
        return float(self.learning_rates[steepest]) if slopes[steepest] < 0 else None

    def plot(self, ax: Any = None) -> Any:
        """Losses over learning rates, with the suggestion; on matplotlib's Axes, new ones if not given, which are
        returned. MissingExtra without `pip install 'pymnistcnn[plots]'`."""
        if ax is None:
            ax = needed("matplotlib.pyplot", "plots").subplots()[1]
        ax.plot(self.learning_rates, self.losses, alpha=0.4)
        ax.plot(self.learning_rates, self.smoothed, color=ax.lines[-1].get_color())
        if self.suggestion is not None:
            ax.axvline(self.suggestion, linestyle="--", color="tab:orange", label=f"suggestion {self.suggestion:.2g}")
            ax.legend()
        ax.set(xscale="log", xlabel="learning rate", ylabel="training loss")
        if len(self.losses):
            ax.set_ylim(self._limits())
        return ax

    def _limits(self):
        """Of the losses before the training diverged, which would make all else look flat."""
        before = self.losses[: np.argmin(self.smoothed) + 1]
        margin = 0.1 * np.ptp(before) or 1.0
        return before.min() - margin, before.max() + 2 * margin


def find_learning_rate(
    model: Sequential,
    x: Dataset | tuple[ArrayLike, ArrayLike] | ArrayLike,
    y: ArrayLike | None = None,
    *,
    lowest: float = 1e-6,
    highest: float = 10.0,
    steps: int = 100,
    batch_size: int = 128,
    optimizer: Optimizer | None = None,
    loss: Loss | LossFunction | None = None,
    **how: Any,
) -> LearningRates:
    """Train for some steps at rates that grow exponentially, and see where the loss falls fastest (Smith, 2017).

    A copy of the model is trained, with copies of optimizer and loss, so that weights, buffers, the optimizer's state
    and all random numbers are as they were, to the bit.

    Parameters
    ----------
    model : Sequential, as it is at the beginning of a training
    x, y : training data, as in `Sequential.fit`
    lowest, highest : learning rates of the first and the last step, above 0
    steps : how many, each of a batch; fewer are done if the training diverges: if the smoothed loss is 4 times its
        best, or a weight is no finite number
    batch_size, optimizer, loss, how : as in `Sequential.fit`

    Returns LearningRates: `learning_rates`, `losses`, `suggestion` and `plot()`. ValueError for what `fit` refuses.

    Examples
    --------
    >>> import pymnistcnn as pm
    >>> train, test = pm.datasets.mnist()
    >>> model = pm.Sequential([pm.Rescaling(1 / 255), pm.Flatten(), pm.Linear(10)], input_shape=(1, 28, 28))
    >>> found = pm.find_learning_rate(model, train[:5000])
    >>> 1e-4 < found.suggestion < 1
    True
    """
    sweep = Sweep(number("lowest", lowest, 0, open_low=True), number("highest", highest, 0, 1e6, open_low=True),
                  whole("steps", steps, 2))  # fmt: skip
    if sweep.highest <= sweep.lowest:
        raise ValueError(f"highest must be above lowest, {lowest:g}, not {highest:g}")
    model, optimizer, loss = copy.deepcopy((model, optimizer, loss))
    recorder = Recorder(steps)
    with suppress(Diverged):
        model.fit(x, y, epochs=steps, batch_size=batch_size, optimizer=optimizer, loss=loss, schedule=sweep,
                  callbacks=[recorder], progress=False, **how)  # fmt: skip
    found = len(recorder.losses)
    return LearningRates(sweep.rates(0, steps, steps)[:found], np.array(recorder.losses))


@dataclass(frozen=True)
class Sweep(Schedule):
    """Rates that grow exponentially from the lowest to the highest over so many steps."""

    lowest: float
    highest: float
    steps: int

    def rates(self, first_step: int, count: int, total_steps: int) -> np.ndarray:
        share = np.minimum(np.arange(first_step, first_step + count) / (self.steps - 1), 1)
        return self.lowest * (self.highest / self.lowest) ** share


class Recorder(Callback):
    """The loss of every step, up to the last one or to where the training diverges."""

    every: int | None = 1
    steps: int
    losses: list[float]
    mean: float
    best: float
    before: Array

    def __init__(self, steps: int) -> None:
        self.steps, self.losses, self.mean, self.best = steps, [], 0.0, math.inf

    def on_epoch_begin(self, training: Any) -> None:
        self.before = training.totals.copy()

    def on_batches(self, training: Any) -> None:
        sum_of_losses, _, weight, *_ = training.totals - self.before
        self.before = training.totals.copy()
        loss = float(sum_of_losses / weight) if weight else math.nan
        self.losses += [loss] * math.isfinite(loss)
        self.mean = SMOOTHING * self.mean + (1 - SMOOTHING) * loss
        mean = self.mean / (1 - SMOOTHING ** len(self.losses)) if self.losses else math.nan
        self.best = min(self.best, mean)
        diverged = not mean <= self.best + (TOO_MUCH - 1) * abs(self.best)
        if diverged or len(self.losses) == self.steps:
            training.stop()
