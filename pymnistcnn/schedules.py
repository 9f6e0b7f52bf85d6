"""Learning-rate schedules: the rate of every step of a run, computed from nothing but the step's number.

A schedule has one method, `rates(first_step, count, total_steps)`, so that any stretch of a run (an epoch,
what is left after a checkpoint) gets the rates it would have had in one go.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["Constant", "OneCycle"]


@dataclass(frozen=True)
class Constant:
    """The same rate at every step.

    Parameters
    ----------
    rate : float
        Positive and finite, else ValueError.

    Examples
    --------
    >>> import pymnistcnn as pm
    >>> pm.schedules.Constant(0.1).rates(0, 3, total_steps=10)
    array([0.1, 0.1, 0.1])
    """

    rate: float

    def __post_init__(self):
        rate = _number(self.rate)
        if not 0 <= rate < np.inf:
            raise ValueError(f"rate of Constant must be a finite number from 0 on, not {self.rate!r}")
        object.__setattr__(self, "rate", rate)

    def rates(self, first_step, count, total_steps):
        """Learning rates of steps `first_step` to `first_step + count - 1`: float64, shape (count,).

        Raises
        ------
        ValueError
            If these steps are not all among the run's 0 to `total_steps - 1`.
        """
        _check_steps(first_step, count, total_steps)
        return np.full(count, self.rate)


@dataclass(frozen=True)
class OneCycle:
    """Up to `max_rate` along half a cosine, then down to next to nothing along another.

    The rates of PyTorch's `OneCycleLR` with `anneal_strategy="cos"` and `three_phase=False`. The peak is at
    step `warm_up * total_steps - 1`, which may lie between two steps, or before step 0 in a run of very few
    steps; unless `warm_up` is 1 the last step, and so the only step of a run of one, has the lowest rate.
    Where PyTorch divides by zero (the peak is exactly at step 0), that step gets `max_rate`.

    Parameters
    ----------
    max_rate : float
        The highest rate.
    warm_up : float
        The share of the run, 0 to 1, that goes up.
    start_divisor, final_divisor : float
        The run starts from `max_rate / start_divisor` and ends at `max_rate / start_divisor / final_divisor`.

    Raises
    ------
    ValueError
        If `warm_up` is outside 0 to 1, or another parameter is not positive and finite.

    References
    ----------
    L. N. Smith and N. Topin, "Super-Convergence: Very Fast Training of Neural Networks Using Large Learning
    Rates", 2018, arXiv:1708.07120. The cosines are PyTorch's (and fast.ai's); the paper's cycle is linear.

    Examples
    --------
    >>> import pymnistcnn as pm
    >>> rates = pm.OneCycle(0.01).rates(0, 10, total_steps=10)
    >>> int(rates.argmax()), float(rates.max()), round(float(rates[0]), 6)
    (2, 0.01, 0.0004)
    """

    max_rate: float
    warm_up: float = 0.3
    start_divisor: float = 25.0
    final_divisor: float = 1e4

    def __post_init__(self):
        _keep_positive(self, "max_rate", "start_divisor", "final_divisor")
        warm_up = _number(self.warm_up)
        if not 0 <= warm_up <= 1:
            raise ValueError(f"warm_up of OneCycle must be a number from 0 to 1, not {self.warm_up!r}")
        object.__setattr__(self, "warm_up", warm_up)

    def rates(self, first_step, count, total_steps):
        """Learning rates of steps `first_step` to `first_step + count - 1`: float64, shape (count,).

        Raises
        ------
        ValueError
            If these steps are not all among the run's 0 to `total_steps - 1`.
        """
        _check_steps(first_step, count, total_steps)
        start = self.max_rate / self.start_divisor
        end = start / self.final_divisor
        peak, last = self.warm_up * total_steps - 1, total_steps - 1
        steps = np.arange(first_step, first_step + count)
        up, down = steps[steps <= peak], steps[steps > peak]
        # A peak of exactly 0 leaves a warm-up of one step and no length: that step is already the top.
        climbed = up / peak if peak else np.ones(len(up))
        return np.concatenate(
            [
                _half_cosine(start, self.max_rate, climbed),
                _half_cosine(self.max_rate, end, (down - peak) / (last - peak)),
            ]
        )


def _half_cosine(start, end, fraction):
    return end + (start - end) / 2 * (1 + np.cos(np.pi * fraction))


def _number(value):
    """The value as a plain float, NaN if it is no number."""
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return np.nan


def _keep_positive(schedule, *names):
    for name in names:
        value = getattr(schedule, name)
        number = _number(value)
        if not 0 < number < np.inf:
            raise ValueError(f"{name} of {type(schedule).__name__} must be a positive finite number, not {value!r}")
        object.__setattr__(schedule, name, number)


def _check_steps(first_step, count, total_steps):
    given = {"first_step": first_step, "count": count, "total_steps": total_steps}
    for name, value in given.items():
        if not isinstance(value, (int, np.integer)) or value < 0:
            raise ValueError(f"{name} must be an integer of at least 0, not {value!r}")
    if total_steps == 0 or first_step + count > total_steps:
        raise ValueError(
            f"{count} steps from step {first_step} on do not fit into a run of {total_steps} steps, first 0"
        )
