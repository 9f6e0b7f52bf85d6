"""Activations element by element, and the two that see all of a sample's scores."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from .._native import ActivationKind
from ..checks import number, shown
from .base import Layer, Needs

__all__ = [
    "ELU",
    "GELU",
    "Hardswish",
    "LeakyReLU",
    "LogSoftmax",
    "ReLU",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Softplus",
    "Tanh",
]

SCORES = 1, "scores (classes,), not {}: put Flatten() before it"


@dataclass(eq=False, repr=False)
class ReLU(Layer):
    """max(x, 0), element by element; NaN is passed on.

    Examples
    --------
    >>> import numpy as np, pymnistcnn as pm
    >>> pm.ReLU().forward(np.array([[-1.0, 2.0]], np.float32))
    array([[0., 2.]], dtype=float32)
    """

    def lower(self, builder: Any) -> None:
        builder.activation(ActivationKind.RELU)


@dataclass(eq=False, repr=False)
class LeakyReLU(Layer):
    """x, or negative_slope * x below 0, element by element (Maas, Hannun and Ng, 2013).

    Examples
    --------
    >>> import numpy as np, pymnistcnn as pm
    >>> pm.LeakyReLU(0.5).forward(np.array([[-1.0, 2.0]], np.float32))
    array([[-0.5,  2. ]], dtype=float32)
    """

    negative_slope: float = 0.01

    def __post_init__(self) -> None:
        self.negative_slope = number("negative_slope", self.negative_slope, 0, 1e6)

    def lower(self, builder: Any) -> None:
        builder.activation(ActivationKind.LEAKY_RELU, self.negative_slope)


@dataclass(eq=False, repr=False)
class ELU(Layer):
    """x, or alpha * (exp(x) - 1) below 0, element by element (Clevert, Unterthiner and Hochreiter, 2016).

    Examples
    --------
    >>> import numpy as np, pymnistcnn as pm
    >>> pm.ELU().forward(np.array([[-100.0, 2.0]], np.float32))
    array([[-1.,  2.]], dtype=float32)
    """

    alpha: float = 1.0

    def __post_init__(self) -> None:
        self.alpha = number("alpha", self.alpha, 0, 1e6)

    def lower(self, builder: Any) -> None:
        builder.activation(ActivationKind.ELU, self.alpha)


@dataclass(eq=False, repr=False)
class Sigmoid(Layer):
    """1 / (1 + exp(-x)), element by element.

    Examples
    --------
    >>> import numpy as np, pymnistcnn as pm
    >>> pm.Sigmoid().forward(np.zeros((1, 2), np.float32))
    array([[0.5, 0.5]], dtype=float32)
    """

    def lower(self, builder: Any) -> None:
        builder.activation(ActivationKind.SIGMOID)


@dataclass(eq=False, repr=False)
class Softplus(Layer):
    """log(1 + exp(beta * x)) / beta, element by element; x itself where beta * x is above the threshold.

    Examples
    --------
    >>> import numpy as np, pymnistcnn as pm
    >>> pm.Softplus().forward(np.array([[0.0, 30.0]], np.float32)).round(4)
    array([[ 0.6931, 30.    ]], dtype=float32)
    """

    beta: float = 1.0
    threshold: float = 20.0

    def __post_init__(self) -> None:
        self.beta = number("beta", self.beta, 1e-6, 1e6)
        self.threshold = number("threshold", self.threshold, -1e6, 1e6)

    def lower(self, builder: Any) -> None:
        builder.activation(ActivationKind.SOFTPLUS, self.beta, self.threshold)


@dataclass(eq=False, repr=False)
class GELU(Layer):
    """x times the normal distribution's share below x, element by element (Hendrycks and Gimpel, 2016);
    approximate: "none", or "tanh", their approximation.

    Examples
    --------
    >>> import numpy as np, pymnistcnn as pm
    >>> pm.GELU().forward(np.array([[-1.0, 1.0]], np.float32)).round(4)
    array([[-0.1587,  0.8413]], dtype=float32)
    """

    approximate: str = "none"

    def __post_init__(self) -> None:
        if self.approximate not in ("none", "tanh"):
            raise ValueError(f'approximate must be "none" or "tanh", not {shown(self.approximate)}')

    def lower(self, builder: Any) -> None:
        builder.activation(ActivationKind.GELU_TANH if self.approximate == "tanh" else ActivationKind.GELU)


@dataclass(eq=False, repr=False)
class SiLU(Layer):
    """x / (1 + exp(-x)), element by element (Elfwing, Uchibe and Doya, 2018); also called swish.

    Examples
    --------
    >>> import numpy as np, pymnistcnn as pm
    >>> pm.SiLU().forward(np.array([[0.0, 1.0]], np.float32)).round(4)
    array([[0.    , 0.7311]], dtype=float32)
    """

    def lower(self, builder: Any) -> None:
        builder.activation(ActivationKind.SILU)


@dataclass(eq=False, repr=False)
class Hardswish(Layer):
    """x (x + 3) / 6 from -3 to 3, 0 below and x above, element by element (Howard et al., 2019).

    Examples
    --------
    >>> import numpy as np, pymnistcnn as pm
    >>> pm.Hardswish().forward(np.array([[-4.0, 0.0, 3.0]], np.float32))
    array([[0., 0., 3.]], dtype=float32)
    """

    def lower(self, builder: Any) -> None:
        builder.activation(ActivationKind.HARDSWISH)


@dataclass(eq=False, repr=False)
class Tanh(Layer):
    """tanh(x), element by element.

    Examples
    --------
    >>> import numpy as np, pymnistcnn as pm
    >>> pm.Tanh().forward(np.zeros((1, 2), np.float32))
    array([[0., 0.]], dtype=float32)
    """

    def lower(self, builder: Any) -> None:
        builder.activation(ActivationKind.TANH)


@dataclass(eq=False, repr=False)
class Softmax(Layer):
    """Probabilities of (classes,) scores. Not before CrossEntropyLoss, which takes logits.

    Examples
    --------
    >>> import numpy as np, pymnistcnn as pm
    >>> pm.Softmax().forward(np.zeros((1, 2), np.float32))
    array([[0.5, 0.5]], dtype=float32)
    """

    needs: ClassVar[Needs] = SCORES

    def lower(self, builder: Any) -> None:
        builder.softmax()


@dataclass(eq=False, repr=False)
class LogSoftmax(Layer):
    """Logarithms of the probabilities of (classes,) scores, for NLLLoss.

    Examples
    --------
    >>> import numpy as np, pymnistcnn as pm
    >>> pm.LogSoftmax().forward(np.zeros((1, 2), np.float32)).round(4)
    array([[-0.6931, -0.6931]], dtype=float32)
    """

    needs: ClassVar[Needs] = SCORES

    def lower(self, builder: Any) -> None:
        builder.log_softmax()
