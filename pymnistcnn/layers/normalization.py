"""Batch norm."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar

from .._types import Shape
from ..checks import number, yes_or_no
from .base import PICTURES, Layer, Needs

__all__ = [
    "BatchNorm1d",
    "BatchNorm2d",
]


class BatchNorm(Layer):
    """What BatchNorm1d and BatchNorm2d share."""

    affine: bool
    eps: float
    momentum: float

    def __post_init__(self) -> None:
        self.eps, self.affine = number("eps", self.eps, 1e-30, 1), yes_or_no("affine", self.affine)
        if self.momentum is not None:
            self.momentum = number("momentum", self.momentum, 0, 1)

    def initialize(self, name: str, rng: Any, weight_shape: Shape) -> int:
        return 1 if name in ("weight", "running_var") else 0

    def lower(self, builder: Any) -> None:
        self.output_shape(builder.shape)
        builder.batch_norm(self.eps, self.momentum, self.affine)


@dataclass(eq=False, repr=False)
class BatchNorm2d(BatchNorm):
    """Batch norm of every channel of (c, h, w) (Ioffe and Szegedy, 2015), as PyTorch has it: in training with
    the batch's mean and variance, else with running ones, which a convolution before it then takes in.

    Parameters
    ----------
    eps : added to the variance
    momentum : how far the running statistics move to the batch's at each step; None for the mean of all steps
    affine : whether there are a weight and a bias

    Parameters by name: weight (c,), bias (c,); buffers: running_mean (c,), running_var (c,),
    num_batches_tracked (). A channel with a single value in the batch gets its bias.

    Examples
    --------
    >>> import numpy as np, pymnistcnn as pm
    >>> x = np.array([1, 3], np.float32).reshape(2, 1, 1, 1)
    >>> pm.BatchNorm2d().forward(x).ravel().round(3)
    array([-1.,  1.], dtype=float32)
    """

    _: KW_ONLY
    eps: float = 1e-5
    momentum: float | None = 0.1
    affine: bool = True
    needs = PICTURES


@dataclass(eq=False, repr=False)
class BatchNorm1d(BatchNorm):
    """Batch norm of every feature of (n,): see BatchNorm2d.

    Examples
    --------
    >>> import numpy as np, pymnistcnn as pm
    >>> pm.BatchNorm1d().forward(np.array([[1], [3]], np.float32)).ravel().round(3)
    array([-1.,  1.], dtype=float32)
    """

    _: KW_ONLY
    eps: float = 1e-5
    momentum: float | None = 0.1
    affine: bool = True
    needs: ClassVar[Needs] = 1, "features (n,), not {}: pictures want BatchNorm2d"
