"""What is random in training, and not there in evaluation: dropout, noise, augmentation."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from ..checks import number, whole
from .base import PICTURES, Layer

__all__ = [
    "Augmentation",
    "Dropout",
    "GaussianNoise",
]


@dataclass(eq=False, repr=False)
class Dropout(Layer):
    """In training, each element becomes 0 with probability p and the others are divided by 1 - p (Hinton et
    al., 2012); in evaluation nothing happens. Masks depend on seed, epoch, position and layer only.

    Examples
    --------
    >>> import numpy as np, pymnistcnn as pm
    >>> y = pm.Dropout(0.5).forward(np.ones((1, 1000), np.float32))
    >>> sorted(set(y.ravel().tolist()))
    [0.0, 2.0]
    """

    p: float = 0.5

    def __post_init__(self) -> None:
        self.p = number("p", self.p, 0, 1, open_high=True)

    def lower(self, builder: Any) -> None:
        builder.dropout(self.p)


@dataclass(eq=False, repr=False)
class GaussianNoise(Layer):
    """In training, normal numbers with standard deviation `std` are added; in evaluation nothing happens. The
    noise of a picture depends on seed, epoch, layer and the picture's index in the data set only.

    Examples
    --------
    >>> import numpy as np, pymnistcnn as pm
    >>> y = pm.GaussianNoise(0.1).forward(np.ones((1, 1000), np.float32))
    >>> round(float(y.std()), 2), round(float(y.mean()), 1)
    (0.1, 1.0)
    """

    std: float
    in_pytorch = False

    def __post_init__(self) -> None:
        self.std = number("std", self.std, 0, 1e6)

    def lower(self, builder: Any) -> None:
        builder.noise(self.std)


@dataclass(eq=False, repr=False)
class Augmentation(Layer):
    """In training, each picture is seen through a random map; in evaluation nothing happens. The map depends
    on seed, epoch, layer and the picture's index in the data set only. Put it behind Rescaling.

    Each number is the most that may happen, in either direction; all are drawn uniformly.

    Parameters
    ----------
    shift : pixels, along each axis
    rotation, shear : degrees, up to 180 and 80
    scale : share of the size, below 1
    elastic : pixels times a field of random displacements in [-1, 1], blurred by a Gaussian of
        `elastic_sigma` pixels (Simard, Steinkraus and Platt, 2003)
    cutout : side, in pixels, of a square that is covered, its centre anywhere (DeVries and Taylor, 2017)
    fill : what is outside and under the square; what Rescaling makes of a black pixel if not given

    Examples
    --------
    >>> import numpy as np, pymnistcnn as pm
    >>> x = np.zeros((1, 1, 28, 28), np.float32)
    >>> x[..., 10:18, 10:18] = 1
    >>> y = pm.Augmentation(shift=2, rotation=10, scale=0.1).forward(x)
    >>> y.shape, bool((y != x).any())
    ((1, 1, 28, 28), True)
    """

    shift: float = 0.0
    rotation: float = 0.0
    scale: float = 0.0
    shear: float = 0.0
    elastic: float = 0.0
    elastic_sigma: float = 4.0
    cutout: int = 0
    fill: float | None = None
    needs = PICTURES
    in_pytorch = False

    def __post_init__(self) -> None:
        most = {"shift": 1e5, "rotation": 180, "scale": 0.99, "shear": 80, "elastic": 1e5, "elastic_sigma": 100}
        for name, high in most.items():
            setattr(self, name, number(name, getattr(self, name), 0.1 if name == "elastic_sigma" else 0, high))
        self.cutout = whole("cutout", self.cutout, 0)
        if self.fill is not None:
            self.fill = number("fill", self.fill)

    def lower(self, builder: Any) -> None:
        builder.warp(self.cutout, math.radians(self.rotation), self.shift, self.scale, math.radians(self.shear),
                     self.elastic, self.elastic_sigma, self.fill)  # fmt: skip
