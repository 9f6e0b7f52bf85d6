"""Learning-rate schedules: the rate of every step of a run, computed from nothing but the step's number.

A schedule has one method, `rates(first_step, count, total_steps)`, so that any stretch of a run (an epoch,
what is left after a checkpoint) gets the rates it would have had in one go.

>>> import pymnistcnn as pm
>>> pm.schedules.Step(1.0, every=2, factor=0.5).rates(0, 4, total_steps=10)
array([1. , 1. , 0.5, 0.5])
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ._types import Array
from .checks import check_fields, number, shown, whole
from .elementary import cosines, powers

__all__ = [
    "Constant",
    "Cosine",
    "Exponential",
    "OneCycle",
    "Step",
    "WarmUp",
]

INT64_MAX = 2**63 - 1
MOST_STEPS = 2**62


class Schedule:
    """What schedules share; one of a user's own needs no more than `rates`."""

    def rates(self, first_step: int, count: int, total_steps: int) -> Array:
        """Learning rates of steps `first_step` to `first_step + count - 1`: float64, shape (count,). ValueError if not
        all of them are among the run's 0 to `total_steps - 1`, or the run's last rate is too large for float64."""
        return self._rates(*_checked_steps(first_step, count, total_steps))

    def _rates(self, first_step: int, count: int, total_steps: int) -> Any:
        raise NotImplementedError


@dataclass(frozen=True)
class Constant(Schedule):
    """The same rate at every step, finite and from 0 on, else ValueError.

    Examples
    --------
    >>> import pymnistcnn as pm
    >>> pm.schedules.Constant(0.1).rates(0, 3, total_steps=10)
    array([0.1, 0.1, 0.1])
    """

    rate: float

    def __post_init__(self) -> None:
        check_fields(self, number, "rate", low=0)

    def _rates(self, first_step: int, count: int, total_steps: int) -> Array:
        return np.full(count, self.rate)


@dataclass(frozen=True)
class Cosine(Schedule):
    """Along half a cosine, from `max_rate` at step 0 down to `min_rate` at the last step.

    The rates of PyTorch's `CosineAnnealingLR` with `T_max = total_steps - 1`: those of "SGDR: Stochastic Gradient
    Descent with Warm Restarts" (Loshchilov and Hutter, 2017, arXiv:1608.03983), without restarts. A run of one step
    has `max_rate`.

    Parameters
    ----------
    max_rate : of the first step, positive and finite, else ValueError
    min_rate : of the last step, from 0 to `max_rate`, else ValueError

    Examples
    --------
    >>> import pymnistcnn as pm
    >>> pm.Cosine(0.1).rates(0, 3, total_steps=3)
    array([0.1 , 0.05, 0.  ])
    """

    max_rate: float
    min_rate: float = 0.0

    def __post_init__(self) -> None:
        check_fields(self, number, "max_rate", low=0, open_low=True)
        check_fields(self, number, "min_rate", low=0, high=self.max_rate)

    def _rates(self, first_step: int, count: int, total_steps: int) -> Array:
        # A run of one step has no length, and is at the start.
        fraction = np.arange(first_step, first_step + count) / max(total_steps - 1, 1)
        return _half_cosine(self.max_rate, self.min_rate, fraction)


@dataclass(frozen=True)
class Exponential(Schedule):
    """Times `factor` at every step: `rate * factor ** step`, as PyTorch's `ExponentialLR`.

    Parameters
    ----------
    rate : of the first step
    factor : below 1 the rate falls, in the end to 0; above 1 it rises, as when a good rate is looked for

    ValueError if one of them is not positive and finite.

    Examples
    --------
    >>> import pymnistcnn as pm
    >>> pm.Exponential(0.1, 0.5).rates(0, 3, total_steps=10)
    array([0.1  , 0.05 , 0.025])
    """

    rate: float
    factor: float

    def __post_init__(self) -> None:
        check_fields(self, number, "rate", "factor", low=0, open_low=True)

    def _rates(self, first_step: int, count: int, total_steps: int) -> Array:
        return _geometric(self, 1, first_step, count, total_steps)


@dataclass(frozen=True)
class OneCycle(Schedule):
    """Up to `max_rate` along half a cosine, then down to next to nothing along another.

    The rates of PyTorch's `OneCycleLR` with `anneal_strategy="cos"` and `three_phase=False`. The peak is at
    step `warm_up * total_steps - 1`, which may lie between two steps, or before step 0 in a run of very few
    steps; unless `warm_up` is 1 the last step, and so the only step of a run of one, has the lowest rate.
    Where PyTorch divides by zero (the peak is exactly at step 0), that step gets `max_rate`. The cosines are PyTorch's
    and fast.ai's; the cycle of "Super-Convergence" (Smith and Topin, 2018, arXiv:1708.07120) is linear.

    Parameters
    ----------
    max_rate : the highest rate
    warm_up : share of the run, from 0 to 1, that goes up
    start_divisor, final_divisor : the run starts from `max_rate / start_divisor` and ends at that rate over
        `final_divisor`

    ValueError if `warm_up` is outside 0 to 1, or another parameter is not positive and finite.

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

    def __post_init__(self) -> None:
        check_fields(self, number, "max_rate", "start_divisor", "final_divisor", low=0, open_low=True)
        check_fields(self, number, "warm_up", low=0, high=1)

    def _rates(self, first_step: int, count: int, total_steps: int) -> Array:
        start = self.max_rate / self.start_divisor
        end = start / self.final_divisor
        peak, last = self.warm_up * total_steps - 1, total_steps - 1
        steps = np.arange(first_step, first_step + count)
        up, down = steps[steps <= peak], steps[steps > peak]
        # A peak of exactly 0 leaves a warm-up of one step and no length: that step is already the top.
        climbed = up / peak if peak else np.ones(len(up))
        rising = _half_cosine(start, self.max_rate, climbed)
        return np.concatenate([rising, _half_cosine(self.max_rate, end, (down - peak) / (last - peak))])


@dataclass(frozen=True)
class Step(Schedule):
    """Times `factor` after every so many steps: `rate * factor ** (step // every)`, as PyTorch's `StepLR`.

    Parameters
    ----------
    rate : of the first steps
    every : how many steps have the same rate; steps are batches, not epochs
    factor : below 1 the rate falls, in the end to 0; above 1 it rises

    ValueError if `every` is not a whole number from 1 on, or another parameter is not positive and finite.

    Examples
    --------
    >>> import pymnistcnn as pm
    >>> pm.Step(1.0, every=2, factor=0.5).rates(0, 5, total_steps=10)
    array([1.  , 1.  , 0.5 , 0.5 , 0.25])
    """

    rate: float
    every: int
    factor: float = 0.1

    def __post_init__(self) -> None:
        check_fields(self, number, "rate", "factor", low=0, open_low=True)
        check_fields(self, whole, "every", high=INT64_MAX)

    def _rates(self, first_step: int, count: int, total_steps: int) -> Array:
        return _geometric(self, self.every, first_step, count, total_steps)


@dataclass(frozen=True)
class WarmUp(Schedule):
    """First up in a straight line over `steps` steps, then the schedule `then` over the rest of the run.

    Step `s` of the warm-up has `(s + 1) / steps` of the first rate of `then`, so that its last step has that rate.
    `then` runs from its own step 0 on, in a run of `total_steps - steps`. A run that is not longer than the
    warm-up only warms up, to the rate that `then` has in a run of one step. This is the gradual warmup of "Accurate,
    Large Minibatch SGD: Training ImageNet in 1 Hour" (Goyal et al., 2017, arXiv:1706.02677, section 2.2).

    Parameters
    ----------
    steps : how many steps go up; steps are batches, not epochs
    then : a schedule: anything with `rates(first_step, count, total_steps)`

    ValueError if `steps` is not a whole number from 1 on, or `then` not a schedule.

    Examples
    --------
    >>> import pymnistcnn as pm
    >>> pm.WarmUp(4, pm.Step(1.0, every=2)).rates(0, 8, total_steps=10)
    array([0.25, 0.5 , 0.75, 1.  , 1.  , 1.  , 0.1 , 0.1 ])
    """

    steps: int
    then: object

    def __post_init__(self) -> None:
        check_fields(self, whole, "steps", high=INT64_MAX)
        checked_schedule("then of WarmUp", self.then)

    def _rates(self, first_step: int, count: int, total_steps: int) -> Array:
        end, left = first_step + count, total_steps - self.steps
        first_rate = self.then.rates(0, 1, max(left, 1))[0]
        # The share comes first: its last is exactly 1.
        rising = np.arange(first_step + 1, min(end, self.steps) + 1) / self.steps * first_rate
        if end <= self.steps:
            return rising
        begin = max(first_step, self.steps)
        return np.concatenate([rising, self.then.rates(begin - self.steps, end - begin, left)])


def _half_cosine(start: float, end: float, fraction: Array) -> Array:
    return end + (start - end) / 2 * (1 + cosines(np.pi * fraction))


def _geometric(schedule: Schedule, every: int, first_step: int, count: int, total_steps: int) -> Array:
    """`rate * factor ** (step // every)`, if it is finite to the end of the run."""
    # The run's last step is computed along, so that a run which cannot end well does not begin.
    steps = np.append(np.arange(first_step, first_step + count), total_steps - 1)
    with np.errstate(over="ignore", under="ignore"):
        rates = schedule.rate * powers(schedule.factor, steps // every)
    if np.isinf(rates[-1]):
        raise ValueError(f"the rates of {schedule} become too large for float64 in a run of {total_steps} steps")
    return rates[:-1]


def checked_schedule(name: str, schedule: Schedule) -> Any:
    """An object, of a class of whatever kind, that has `rates`."""
    if isinstance(schedule, type) or not callable(getattr(schedule, "rates", None)):
        raise ValueError(f"{name} must be a schedule, such as pm.Constant(0.1), not {shown(schedule)}")
    return schedule


def _checked_steps(first_step: int, count: int, total_steps: int) -> tuple[int, ...]:
    """All three as plain ints, which cannot overflow."""
    given = {"first_step": first_step, "count": count, "total_steps": total_steps}
    first_step, count, total_steps = (whole(name, value, 0, MOST_STEPS) for name, value in given.items())
    if total_steps == 0 or first_step + count > total_steps:
        last = f"a run of {total_steps} steps, first 0"
        raise ValueError(f"{count} steps from step {first_step} on do not fit into {last}")
    return first_step, count, total_steps
