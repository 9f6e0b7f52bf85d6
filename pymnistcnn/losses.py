"""Losses: what training makes small.

Every loss is a mean over the batch. Where samples or classes have weights it is the weighted mean: the sum of
weight x loss over the sum of weights.
"""

from __future__ import annotations

import copy
import inspect
import pickle
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias

import numpy as np

from ._native import Op
from ._types import Array, ArrayLike, Shape
from .checks import checked_weights, number, shown
from .layers import LogSoftmax, Softmax
from .network import Network, dtype_for
from .target import target_of

__all__ = [
    "CrossEntropyLoss",
    "ExpectedProbabilityLoss",
    "Loss",
    "MSELoss",
    "NLLLoss",
]


PICKLE_ALL = ("cloudpickle", "dill")  # modules that pickle functions without a name

LossFunction: TypeAlias = Callable[..., tuple[Any, Any]]  # of outputs and targets; the mean loss, and its gradient


class Loss:
    """A loss by hand: `forward` gives the mean over the batch, `backward` the gradient of the outputs.

    For one of your own, override these two, in NumPy; or give `fit` a function of outputs and targets that returns
    both. It gets outputs (n, ...) and what `fit` was given as targets; and sample_weight (n,), if it was given that. A
    training has Python in every step then, and says so with a SlowWarning.

    Examples
    --------
    >>> import numpy as np, pymnistcnn as pm
    >>> class Absolute(pm.Loss):
    ...     def forward(self, outputs, targets):
    ...         self.error = outputs - targets
    ...         return np.abs(self.error).mean()
    ...     def backward(self):
    ...         return np.sign(self.error) / self.error.size
    >>> model = pm.Sequential([pm.Linear(2)], input_shape=(3,))
    >>> round(model.evaluate([[0.0, 0.0, 0.0]], model.predict_outputs([[0.0, 0.0, 0.0]]) + 1, loss=Absolute()).loss, 4)
    1.0
    """

    kind: ClassVar[Op | None] = None  # what C computes; None: Python does
    takes_labels: ClassVar[bool] = True
    takes_values: ClassVar[bool] = True
    weight: Sequence[float] | Array | None = None
    label_smoothing: float = 0.0

    @property
    def in_python(self) -> bool:
        return self.kind is None

    @property
    def class_weight(self) -> np.ndarray | None:
        return None if self.weight is None else np.array(self.weight)

    def check(self, layers: Any, output_shape: Shape) -> None:
        """ValueError if a network that ends so cannot be trained with this loss."""
        if self.in_python:
            return  # it knows itself what it takes
        if len(output_shape) != 1:
            raise ValueError(
                f"{type(self).__name__} needs outputs (n, classes), but the network gives (n, {output_shape})"
            )
        if self.weight is not None and len(self.weight) != output_shape[0]:
            raise ValueError(f"weight must hold {output_shape[0]} numbers, one a class, not {len(self.weight)}")

    def check_sample_weight(self) -> None:
        """ValueError if it cannot be told how much each sample counts."""
        refuse_two_arguments(self, self.forward)

    def lower(self, builder: Any) -> None:
        builder.use_loss(self.kind, self.label_smoothing)

    def forward(
        self,
        outputs: ArrayLike,
        targets: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        threads: int | None = None,
        isa: str | None = None,
    ) -> float:
        """The mean loss of outputs (n, classes) for labels (n,) or values (n, classes), whichever this loss
        takes; sample_weight (n,) says how much each sample counts."""
        outputs = np.asarray(outputs)
        if outputs.ndim != 2:
            raise ValueError(f"outputs must have shape (n, classes), not {outputs.shape}")
        network = Network([], outputs.shape[1:], dtype_for(outputs))
        value, self._gradient = network.loss_by_hand(self, outputs, targets, sample_weight, target_of(isa), threads)
        return value

    def backward(self) -> np.ndarray:
        """The gradient of the last `forward`'s mean, in the shape of its outputs."""
        gradient = getattr(self, "_gradient", None)
        if gradient is None:
            raise RuntimeError("backward needs the state of a forward pass: forward was not called")
        return gradient


@dataclass(eq=True, repr=False)
class FunctionLoss(Loss):
    """A function of outputs and targets, and of sample weights if there are some, that returns the mean loss and the
    gradient of the outputs."""

    function: LossFunction

    def forward(self, outputs: ArrayLike, targets: ArrayLike, *sample_weight: Any) -> float:
        result = self.function(outputs, targets, *sample_weight)
        if not isinstance(result, (tuple, list)) or len(result) != 2:
            raise ValueError(f"{self} must return the mean loss and its gradient by the outputs, not {shown(result)}")
        value, self._gradient = result
        return value

    def check_sample_weight(self) -> None:
        refuse_two_arguments(self, self.function)

    def __repr__(self) -> str:
        return getattr(self.function, "__name__", repr(self.function))

    def __copy__(self) -> FunctionLoss:
        return FunctionLoss(self.function)

    def __deepcopy__(self, memo: dict[int, Any]) -> FunctionLoss:
        return FunctionLoss(copy.deepcopy(self.function, memo))

    def __reduce__(self) -> tuple[Any, ...]:
        """How it pickles. Where cloudpickle is in use, which takes any function, that says what it cannot take."""
        without_name = "<" in getattr(self.function, "__qualname__", "")
        if without_name and not any(name.endswith(PICKLE_ALL) for name in sys.modules):
            raise pickle.PicklingError(
                f"a model's loss, {self}, is a lambda or a function inside another, which pickle does not find: "
                "move it to the top of a module, or set model.loss = pm.CrossEntropyLoss()"
            )
        return FunctionLoss, (self.function,)


def refuse_two_arguments(loss: Loss, function: Callable[..., Any]) -> None:
    """ValueError for a function of outputs and targets that has no third argument, of the samples' weights. One with a
    default of its own is a setting."""
    try:
        arguments = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):  # of what is not written in Python, nothing is known
        return
    kinds = [argument.kind for argument in arguments]
    by_position = [a for a in arguments if a.kind in (a.POSITIONAL_ONLY, a.POSITIONAL_OR_KEYWORD)]
    third = by_position[2].default if len(by_position) > 2 else ...
    if (
        third is ...
        and inspect.Parameter.VAR_POSITIONAL not in kinds
        or third not in (..., None, inspect.Parameter.empty)
    ):
        raise ValueError(
            f"sample_weight is for a loss that takes it: {loss} takes (outputs, targets), and needs a third argument"
        )


def checked_class_weight(weight: Any) -> Any:
    """Class weights as a tuple, so that losses can be compared; or None."""
    if weight is None:
        return None
    weight = np.asarray(weight)
    return tuple(checked_weights("weight", weight, weight.shape if weight.ndim == 1 else (1,)).tolist())


@dataclass(eq=True)
class CrossEntropyLoss(Loss):
    """Cross-entropy between softmax of logits (n, classes) and class labels (n,) or probabilities (n, classes).

    The network ends in logits: softmax is part of the loss, where it cannot overflow.

    Parameters
    ----------
    weight : how much each class counts, (classes,) numbers from 0 on
    label_smoothing : share of every target, 0 to 1, that is spread over all classes (Szegedy et al., 2016)

    As in PyTorch: with labels the mean is divided by the sum of the labels' weights.

    Examples
    --------
    >>> import pymnistcnn as pm
    >>> loss = pm.CrossEntropyLoss()
    >>> round(loss.forward([[0.0, 0.0]], [1]), 4)
    0.6931
    >>> loss.backward()
    array([[ 0.5, -0.5]])
    """

    weight: Sequence[float] | Array | None = None
    label_smoothing: float = 0.0
    kind: ClassVar[Op] = Op.CROSS_ENTROPY

    def __post_init__(self) -> None:
        self.weight = checked_class_weight(self.weight)
        self.label_smoothing = number("label_smoothing", self.label_smoothing, 0, 1)

    def check(self, layers: Any, output_shape: Shape) -> None:
        super().check(layers, output_shape)
        if layers and isinstance(layers[-1], (Softmax, LogSoftmax)):
            raise ValueError(
                f"CrossEntropyLoss takes logits and applies softmax itself: a network that ends in {layers[-1]} "
                "would have it twice. Leave that layer out; predict_proba gives probabilities"
            )


@dataclass(eq=True)
class NLLLoss(Loss):
    """The negative log-likelihood of class labels (n,), from log-probabilities (n, classes), such as LogSoftmax
    gives. weight: how much each class counts, (classes,) numbers from 0 on; as in PyTorch.

    Examples
    --------
    >>> import pymnistcnn as pm
    >>> loss = pm.NLLLoss()
    >>> loss.forward([[-0.5, -2.0]], [1])
    2.0
    """

    weight: Sequence[float] | Array | None = None
    kind: ClassVar[Op] = Op.LIKELIHOOD
    takes_values = False

    def __post_init__(self) -> None:
        self.weight = checked_class_weight(self.weight)


@dataclass(eq=True)
class MSELoss(Loss):
    """The mean over all elements of (output - target)**2, for targets (n, outputs).

    Examples
    --------
    >>> import pymnistcnn as pm
    >>> pm.MSELoss().forward([[1.0, 2.0]], [[1.0, 4.0]])
    2.0
    """

    kind: ClassVar[Op] = Op.SQUARED_ERROR
    takes_labels = False


@dataclass(eq=True)
class ExpectedProbabilityLoss(Loss):
    """The mean over all elements of -(probability x target), for a network that ends in Softmax; targets are
    labels (n,) or numbers (n, classes). There is no logarithm: this is the cost of Gorgonia's convnet tutorial.

    Examples
    --------
    >>> import pymnistcnn as pm
    >>> pm.ExpectedProbabilityLoss().forward([[0.25, 0.75]], [1])
    -0.375
    """

    kind: ClassVar[Op] = Op.EXPECTED_PROBABILITY
