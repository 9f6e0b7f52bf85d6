"""Activations element by element, and the two that see all scores along an axis."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .._native import ActivationKind
from .._types import Shape
from ..checks import number, shown, whole
from .base import Layer

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


class OverScores(Layer):
    """What softmaxes share: the axis along which scores lie."""

    dim: int

    def __post_init__(self) -> None:
        self.dim = whole("dim", self.dim, -3, 3)
        if self.dim == 0:
            raise ValueError("dim must not be 0: samples stay apart")

    def _axis(self, shape: Shape) -> int:
        """Of a sample, from 0 on."""
        axis = self.dim - 1 if self.dim > 0 else self.dim + len(shape)
        if not 0 <= axis < len(shape):
            raise ValueError(f"{self} on {shape}: samples have no axis {self.dim}, counted with the batch")
        return axis

    def output_shape(self, shape: Shape) -> tuple[int, ...]:
        self._axis(shape)
        return super().output_shape(shape)


@dataclass(eq=False, repr=False)
class Softmax(OverScores):
    """Probabilities of scores: (classes,), or along an axis of (c, h, w). Not before CrossEntropyLoss, which takes
    logits.

    Parameters
    ----------
    dim : the axis, counted with the batch, as in PyTorch: of pictures, 1 are the channels (PyTorch's Softmax2d),
        2 the height and 3 the width; or from the last, -1, on

    Examples
    --------
    >>> import numpy as np, pymnistcnn as pm
    >>> pm.Softmax().forward(np.zeros((1, 2), np.float32))
    array([[0.5, 0.5]], dtype=float32)
    """

    dim: int = 1

    def lower(self, builder: Any) -> None:
        builder.softmax(self._axis(builder.shape))


@dataclass(eq=False, repr=False)
class LogSoftmax(OverScores):
    """Logarithms of the probabilities of scores, for NLLLoss; `dim` as in Softmax.

    Examples
    --------
    >>> import numpy as np, pymnistcnn as pm
    >>> pm.LogSoftmax().forward(np.zeros((1, 2), np.float32)).round(4)
    array([[-0.6931, -0.6931]], dtype=float32)
    """

    dim: int = 1

    def lower(self, builder: Any) -> None:
        builder.log_softmax(self._axis(builder.shape))
