"""Optimizers: coefficients of a step, computed here; the update itself is in csrc/kernels/optimizer.h."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ._native import COEFFICIENTS, OptimizerKind
from ._types import Array, DTypeLike
from .checks import check_fields, instance, number, shown
from .elementary import powers
from .network import aligned_zeros

__all__ = [
    "Adagrad",
    "Adam",
    "AdamW",
    "RMSprop",
    "SGD",
]

# the fields of pmc_coefficients, in its order
others: list[int]
RATE, SHRINK, WEIGHT_DECAY, MOMENTUM, NESTEROV, FIRST, BETA1, BETA2, EPSILON, *others = range(COEFFICIENTS)
CORRECTION1, CORRECTION2, INSIDE, CENTERED, CLIP_NORM, AVERAGE = others

SMALLEST = 1e-37  # what is not 0 in float32
IN_TRAINING = "_in_training"  # the attribute of what is in a training at the moment
OWN = (IN_TRAINING, "_owner", "_state", "_parameters")  # what a copy of an optimizer does not share


def checked_optimizer(optimizer: Optimizer) -> Optimizer:
    return instance("optimizer", optimizer, Optimizer, "an optimizer, such as pm.Adam()")


def checked_betas(betas: tuple[float, float]) -> tuple[float, float]:
    if not isinstance(betas, (tuple, list)) or len(betas) != 2:
        raise ValueError(f"betas must be two numbers, not {shown(betas)}")
    return tuple(number("a beta", beta, 0, 1, open_high=True) for beta in betas)


@dataclass
class State:
    """What an optimizer remembers of weights: arrays beside them (None where one is not needed), flat vectors if
    they are a network's, and the steps done."""

    moments: list[np.ndarray | None]
    steps: int = 0


class Optimizer:
    """`lr` unless a schedule says otherwise; the state belongs to one network and lasts over calls of `fit`."""

    kind: int

    def moments(self) -> tuple[bool, bool, bool]:
        """Which of the moments that the kernel can keep this optimizer needs."""
        raise NotImplementedError

    def new_state(self, elements: int, dtype: DTypeLike) -> State:
        """The state before the first step, for a flat vector of so many elements."""
        return State([aligned_zeros(elements, dtype) if needed else None for needed in self.moments()])

    def state_for(self, network: Any) -> State:
        """The state for this network; an optimizer that is used on another one starts afresh, but a copy goes on with
        the first network whose parameters are those of the state that was copied."""
        if getattr(self, "_owner", lambda: None)() is not network:
            state, copied = self.new_state(network.elements, network.dtype), vars(self).pop("_copied", None)
            parameters = [(str(network.dtype), p.layer, p.name, p.shape) for p in network.parameters]
            if copied is not None and copied[0] == parameters:
                state.steps = copied[1].steps
                for moment, values in zip(state.moments, copied[1].moments, strict=True):
                    if moment is not None:
                        moment[:] = values
            self._owner, self._state, self._parameters = weakref.ref(network), state, parameters
        return self._state

    def __getstate__(self) -> dict[str, Any]:
        fields = {name: value for name, value in vars(self).items() if name not in OWN}
        if "_state" in vars(self):
            fields["_copied"] = self._parameters, self._state
        return fields

    def coefficients(self, first_step: int, rates: Sequence[float] | Array) -> np.ndarray:
        """Rows of pmc_coefficients (steps, COEFFICIENTS) for the steps from `first_step` (0 is the first) on."""
        rows = np.zeros((len(rates), COEFFICIENTS))
        rows[:, RATE], rows[:, SHRINK] = rates, 1
        rows[:, WEIGHT_DECAY] = self.weight_decay
        return rows

    def rows(
        self,
        first_step: int,
        rates: Sequence[float] | Array,
        clip_norm: float | None = None,
        average: Array | None = None,
    ) -> np.ndarray:
        """The coefficients, with the norm that gradients are clipped to and the decays of the weights' average."""
        rows = self.coefficients(first_step, rates)
        rows[:, CLIP_NORM], rows[:, AVERAGE] = clip_norm or 0, 0 if average is None else average
        return rows


@dataclass
class SGD(Optimizer):
    """Stochastic gradient descent, as PyTorch has it (Sutskever et al., 2013).

    Parameters
    ----------
    lr : learning rate
    momentum : share of the last step that is kept, from 0 to 1 (excluded)
    nesterov : look ahead along the momentum
    weight_decay : L2 penalty, added to the gradient

    ValueError for numbers outside these ranges.

    Examples
    --------
    >>> import pymnistcnn as pm
    >>> pm.SGD(0.1, momentum=0.9)
    SGD(lr=0.1, momentum=0.9, nesterov=False, weight_decay=0.0)
    """

    lr: float = 0.01
    momentum: float = 0.0
    nesterov: bool = False
    weight_decay: float = 0.0
    kind: int = field(default=OptimizerKind.SGD, init=False, repr=False)

    def __post_init__(self) -> None:
        check_fields(self, number, "lr", "weight_decay", low=0, high=1e6)
        check_fields(self, number, "momentum", low=0, high=1, open_high=True)
        if self.nesterov and self.momentum == 0:
            raise ValueError("nesterov needs momentum above 0")

    def moments(self) -> tuple[bool, bool, bool]:
        return self.momentum > 0, False, False

    def coefficients(self, first_step: int, rates: Sequence[float] | Array) -> Array:
        rows = super().coefficients(first_step, rates)
        rows[:, MOMENTUM], rows[:, NESTEROV] = self.momentum, self.nesterov
        rows[:, FIRST] = np.arange(first_step, first_step + len(rows)) == 0
        return rows


@dataclass
class Adam(Optimizer):
    """Adam (Kingma and Ba, 2015), as PyTorch has it.

    Parameters
    ----------
    lr : learning rate
    betas : decay of the mean and of the mean square of the gradient, each from 0 to 1 (excluded)
    eps : added to the root of the mean square
    weight_decay : L2 penalty, added to the gradient

    ValueError for numbers outside these ranges.

    Examples
    --------
    >>> import pymnistcnn as pm
    >>> pm.Adam(3e-3)
    Adam(lr=0.003, betas=(0.9, 0.999), eps=1e-08, weight_decay=0.0)
    """

    lr: float = 1e-3
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    weight_decay: float = 0.0
    kind: int = field(default=OptimizerKind.ADAM, init=False, repr=False)

    def __post_init__(self) -> None:
        check_fields(self, number, "lr", "weight_decay", low=0, high=1e6)
        check_fields(self, number, "eps", low=SMALLEST, high=1)
        self.betas = checked_betas(self.betas)

    def moments(self) -> tuple[bool, bool, bool]:
        return True, True, False

    def coefficients(self, first_step: int, rates: Sequence[float] | Array) -> Array:
        rows = super().coefficients(first_step, rates)
        t = np.arange(first_step, first_step + len(rows)) + 1
        rows[:, BETA1], rows[:, BETA2], rows[:, EPSILON] = *self.betas, self.eps
        rows[:, CORRECTION1], rows[:, CORRECTION2] = (1 - powers(beta, t) for beta in self.betas)
        return rows


@dataclass
class AdamW(Adam):
    """Adam whose weight decay shrinks the weights themselves: lr * weight_decay of them a step (Loshchilov and
    Hutter, 2019), as PyTorch has it.

    Parameters and errors are Adam's.

    Examples
    --------
    >>> import pymnistcnn as pm
    >>> pm.AdamW(3e-3)
    AdamW(lr=0.003, betas=(0.9, 0.999), eps=1e-08, weight_decay=0.01)
    """

    weight_decay: float = 0.01

    def coefficients(self, first_step: int, rates: Sequence[float] | Array) -> Array:
        rows = super().coefficients(first_step, rates)
        rows[:, SHRINK], rows[:, WEIGHT_DECAY] = 1 - rows[:, RATE] * self.weight_decay, 0
        return rows


@dataclass
class RMSprop(Optimizer):
    """The gradient over the root of its mean square (Hinton, lecture 6e of his course, 2012), as PyTorch has it.

    Parameters
    ----------
    lr : learning rate
    alpha : decay of the mean square, from 0 to 1 (excluded)
    eps : added to the root of the mean square
    weight_decay : L2 penalty, added to the gradient
    momentum : share of the last step that is kept, from 0 to 1 (excluded)
    centered : subtract the square of the mean gradient from the mean square (Graves, 2013)
    eps_inside_sqrt : add eps before the root is taken: g / sqrt(v + eps), as Gorgonia and others do

    ValueError for numbers outside these ranges.

    Examples
    --------
    >>> import pymnistcnn as pm
    >>> pm.RMSprop(1e-3, alpha=0.9).momentum
    0.0
    """

    lr: float = 1e-2
    alpha: float = 0.99
    eps: float = 1e-8
    weight_decay: float = 0.0
    momentum: float = 0.0
    centered: bool = False
    eps_inside_sqrt: bool = False
    kind: int = field(default=OptimizerKind.RMSPROP, init=False, repr=False)

    def __post_init__(self) -> None:
        check_fields(self, number, "lr", "weight_decay", low=0, high=1e6)
        check_fields(self, number, "alpha", "momentum", low=0, high=1, open_high=True)
        check_fields(self, number, "eps", low=SMALLEST, high=1)

    def moments(self) -> tuple[bool, bool, bool]:
        return True, self.momentum > 0, bool(self.centered)

    def coefficients(self, first_step: int, rates: Sequence[float] | Array) -> Array:
        rows = super().coefficients(first_step, rates)
        rows[:, BETA2], rows[:, EPSILON], rows[:, INSIDE] = self.alpha, self.eps, self.eps_inside_sqrt
        rows[:, MOMENTUM], rows[:, CENTERED] = self.momentum, self.centered
        return rows


@dataclass
class Adagrad(Optimizer):
    """The gradient over the root of the sum of its squares (Duchi, Hazan and Singer, 2011), as PyTorch has it.

    Parameters
    ----------
    lr : learning rate
    lr_decay : step t (0 is the first) has the rate lr / (1 + t * lr_decay)
    weight_decay : L2 penalty, added to the gradient
    initial_accumulator_value : where the sums of squares start
    eps : added to the root

    ValueError for numbers that are negative or not finite.

    Examples
    --------
    >>> import pymnistcnn as pm
    >>> pm.Adagrad(0.05).lr_decay
    0.0
    """

    lr: float = 1e-2
    lr_decay: float = 0.0
    weight_decay: float = 0.0
    initial_accumulator_value: float = 0.0
    eps: float = 1e-10
    kind: int = field(default=OptimizerKind.ADAGRAD, init=False, repr=False)

    def __post_init__(self) -> None:
        check_fields(self, number, "lr", "lr_decay", "weight_decay", "initial_accumulator_value", low=0, high=1e6)
        check_fields(self, number, "eps", low=SMALLEST, high=1)

    def moments(self) -> tuple[bool, bool, bool]:
        return True, False, False

    def new_state(self, elements: int, dtype: DTypeLike) -> State:
        state = super().new_state(elements, dtype)
        state.moments[0][:] = self.initial_accumulator_value
        return state

    def coefficients(self, first_step: int, rates: Any) -> np.ndarray:
        rows = super().coefficients(first_step, rates)
        rows[:, RATE] /= 1 + np.arange(first_step, first_step + len(rows)) * self.lr_decay
        rows[:, EPSILON] = self.eps
        return rows
