"""Optimizers: coefficients of a step, computed here; the update itself is in csrc/kernels/optimizer.h."""

from __future__ import annotations

import weakref
from dataclasses import dataclass, field

import numpy as np

from ._native import COEFFICIENTS, Constant
from .network import aligned_zeros

# the fields of pmc_coefficients, in its order
(RATE, MOMENTUM, NESTEROV, FIRST, BETA1, BETA2, EPSILON, CORRECTION1, CORRECTION2, WEIGHT_DECAY) = range(COEFFICIENTS)


def checked(name, value, low, high, *, open_end=False):
    """A real number in [low, high], or [low, high)."""
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        number = float("nan")
    if not (low <= number <= high) or (open_end and number == high) or not np.isfinite(number):
        raise ValueError(f"{name} must be a number from {low} to {high}{' (excluded)' * open_end}, not {value!r}")
    return number


@dataclass
class State:
    """What an optimizer remembers of a network: two flat vectors beside the weights, and the steps done."""

    moment1: np.ndarray
    moment2: np.ndarray
    steps: int = 0


class Optimizer:
    """`rate` unless a schedule says otherwise; the state belongs to one network and lasts over calls of `fit`."""

    kind: int

    def state_for(self, network) -> State:
        """The state for this network; an optimizer that is used on another one starts afresh."""
        if getattr(self, "_owner", lambda: None)() is not network:
            self._owner = weakref.ref(network)
            self._state = State(*(aligned_zeros(network.elements, network.dtype) for _ in range(2)))
        return self._state

    def coefficients(self, first_step: int, rates) -> np.ndarray:
        """Rows of pmc_coefficients (steps, 10) for the steps from `first_step` (0 is the first) on."""
        rows = np.zeros((len(rates), COEFFICIENTS))
        rows[:, RATE] = rates
        rows[:, WEIGHT_DECAY] = self.weight_decay
        return rows


@dataclass
class SGD(Optimizer):
    """Stochastic gradient descent, as PyTorch has it (Sutskever et al., 2013).

    Parameters
    ----------
    rate : learning rate
    momentum : share of the last step that is kept, from 0 to 1 (excluded)
    nesterov : look ahead along the momentum
    weight_decay : L2 penalty, added to the gradient

    Examples
    --------
    >>> import pymnistcnn as pm
    >>> pm.SGD(0.1, momentum=0.9)
    SGD(rate=0.1, momentum=0.9, nesterov=False, weight_decay=0.0)
    """

    rate: float = 0.01
    momentum: float = 0.0
    nesterov: bool = False
    weight_decay: float = 0.0
    kind: int = field(default=Constant.SGD, init=False, repr=False)

    def __post_init__(self):
        self.rate = checked("rate", self.rate, 0, 1e6)
        self.momentum = checked("momentum", self.momentum, 0, 1, open_end=True)
        self.weight_decay = checked("weight_decay", self.weight_decay, 0, 1e6)
        if self.nesterov and self.momentum == 0:
            raise ValueError("nesterov needs momentum above 0")

    def coefficients(self, first_step, rates):
        rows = super().coefficients(first_step, rates)
        rows[:, MOMENTUM], rows[:, NESTEROV] = self.momentum, self.nesterov
        rows[:, FIRST] = np.arange(first_step, first_step + len(rows)) == 0
        return rows


@dataclass
class Adam(Optimizer):
    """Adam (Kingma and Ba, 2015), as PyTorch has it.

    Parameters
    ----------
    rate : learning rate
    betas : decay of the mean and of the mean square of the gradient, each from 0 to 1 (excluded)
    epsilon : added to the root of the mean square
    weight_decay : L2 penalty, added to the gradient

    Examples
    --------
    >>> import pymnistcnn as pm
    >>> pm.Adam(3e-3)
    Adam(rate=0.003, betas=(0.9, 0.999), epsilon=1e-08, weight_decay=0.0)
    """

    rate: float = 1e-3
    betas: tuple[float, float] = (0.9, 0.999)
    epsilon: float = 1e-8
    weight_decay: float = 0.0
    kind: int = field(default=Constant.ADAM, init=False, repr=False)

    def __post_init__(self):
        self.rate = checked("rate", self.rate, 0, 1e6)
        if not isinstance(self.betas, (tuple, list)) or len(self.betas) != 2:
            raise ValueError(f"betas must be two numbers, not {self.betas!r}")
        self.betas = tuple(checked("a beta", beta, 0, 1, open_end=True) for beta in self.betas)
        self.epsilon = checked("epsilon", self.epsilon, 1e-300, 1)
        self.weight_decay = checked("weight_decay", self.weight_decay, 0, 1e6)

    def coefficients(self, first_step, rates):
        rows = super().coefficients(first_step, rates)
        t = np.arange(first_step, first_step + len(rows)) + 1.0
        rows[:, BETA1], rows[:, BETA2], rows[:, EPSILON] = *self.betas, self.epsilon
        rows[:, CORRECTION1], rows[:, CORRECTION2] = 1 - self.betas[0] ** t, 1 - self.betas[1] ** t
        return rows
