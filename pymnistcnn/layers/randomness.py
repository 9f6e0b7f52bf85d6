"""What is random in training, and not there in evaluation: dropout, noise, augmentation of pictures."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from ..checks import number, range_of, whole
from .base import PICTURES, Layer

__all__ = [
    "Augmentation",
    "Dropout",
    "GaussianNoise",
    "Morphology",
    "RandomErasing",
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

    Each number is the most that may happen, in either direction; all are drawn uniformly. Of the picture, a crop is
    taken first; it is turned and leant, then scaled and stretched, then shifted.

    Parameters
    ----------
    shift : pixels, along each axis
    rotation, shear : degrees, up to 180 and 80
    scale : share of the size, below 1
    elastic : pixels times a smooth field of random displacements in [-1, 1]: by pixel, and blurred by a Gaussian of
        `elastic_sigma` pixels (Simard, Steinkraus and Platt, 2003); or on a coarse grid
    elastic_sigma : pixels; elastic 34 and sigma 4 displace a pixel by 1.3 along each axis (root mean square)
    cutout : side, in pixels, of a square that is covered, its centre anywhere (DeVries and Taylor, 2017)
    fill : what is outside and under the square; what Rescaling makes of a black pixel if not given
    stretch : share of the size, below 1, along each axis by itself, on top of `scale`
    crop : share of each side that a crop inside the picture keeps, or (least, most); it becomes as large as the
        picture was
    elastic_grid : cells a side, such as 4, of a grid of displacements with a uniform cubic B-spline between them
        (Rueckert et al., 1999); 0 for the blur. It takes a third of the time of the blur; elastic 5 displaces a pixel
        by 1.4 along each axis

    torchvision's ``RandomResizedCrop(28, scale=(0.5, 1), ratio=(3 / 4, 4 / 3))`` is about ``crop=(0.5**0.5, 1),
    stretch=0.14``: a share of the area is one of the side squared, and a ratio up to 4 / 3 comes from 1.14 by 0.86.
    A crop of 25x25 of 28x28, resized to 28, is ``crop=25 / 28``; and as evaluation takes the whole picture, digits are
    then smaller there.

    Examples
    --------
    >>> import numpy as np, pymnistcnn as pm
    >>> x = np.zeros((1, 1, 28, 28), np.float32)
    >>> x[..., 10:18, 10:18] = 1
    >>> y = pm.Augmentation(shift=2, rotation=10, scale=0.1).forward(x)
    >>> y.shape, bool((y != x).any())
    ((1, 1, 28, 28), True)
    >>> y = pm.Augmentation(crop=25 / 28, stretch=0.1, elastic=4, elastic_grid=4).forward(x)
    """

    shift: float = 0.0
    rotation: float = 0.0
    scale: float = 0.0
    shear: float = 0.0
    elastic: float = 0.0
    elastic_sigma: float = 4.0
    cutout: int = 0
    fill: float | None = None
    stretch: float = 0.0
    crop: float | tuple[float, float] = 1.0
    elastic_grid: int = 0
    needs = PICTURES
    in_pytorch = False

    def __post_init__(self) -> None:
        most = {"shift": 1e5, "rotation": 180, "scale": 0.99, "shear": 80, "elastic": 1e5, "elastic_sigma": 100,
                "stretch": 0.99}  # fmt: skip
        for name, high in most.items():
            setattr(self, name, number(name, getattr(self, name), 0.1 if name == "elastic_sigma" else 0, high))
        self.cutout = whole("cutout", self.cutout, 0)
        if self.fill is not None:
            self.fill = number("fill", self.fill)
        crop = range_of("crop", self.crop, 0.01, 1)
        self.crop = crop if isinstance(self.crop, (tuple, list)) else crop[0]
        self.elastic_grid = whole("elastic_grid", self.elastic_grid, 0, 256)

    def settings(self) -> dict[str, Any]:
        """What came later is only there where it does something: an older version reads the others' files."""
        later = {"stretch": 0.0, "crop": 1.0, "elastic_grid": 0}
        return {n: v for n, v in super().settings().items() if n not in later or v != later[n]}

    def lower(self, builder: Any) -> None:
        crop = range_of("crop", self.crop, 0, 1)
        numbers = (math.radians(self.rotation), self.shift, self.scale, self.stretch, math.radians(self.shear),
                   *crop, self.elastic, self.elastic_sigma)  # fmt: skip
        builder.warp(self.cutout, self.elastic_grid, numbers, self.fill)


@dataclass(eq=False, repr=False)
class Morphology(Layer):
    """In training, the strokes of each picture become thicker or thinner, by grey-level dilation or erosion; in
    evaluation nothing happens. By how much depends on seed, epoch, layer and the picture's index in the data set only,
    and is drawn uniformly between the two.

    A pixel becomes the largest (dilation) or the smallest (erosion) of a cross of 3x3 pixels around it, n times for n
    pixels (Serra, Image Analysis and Mathematical Morphology, 1982). Between two whole numbers of pixels the pictures
    of both are blended. Strokes are taken to be lighter than what is around them; of dark ones, dilation makes thinner.

    Parameters
    ----------
    dilation, erosion : pixels on each side of a stroke, at most, up to 100

    Examples
    --------
    >>> import numpy as np, pymnistcnn as pm
    >>> x = np.zeros((1, 1, 28, 28), np.float32)
    >>> x[..., 10:18, 10:18] = 1
    >>> float(x.sum()), round(float(pm.Morphology(dilation=1).forward(x).sum()), 1) > 64
    (64.0, True)
    """

    dilation: float = 0.0
    erosion: float = 0.0
    needs = PICTURES
    in_pytorch = False

    def __post_init__(self) -> None:
        self.dilation = number("dilation", self.dilation, 0, 100)
        self.erosion = number("erosion", self.erosion, 0, 100)

    def lower(self, builder: Any) -> None:
        builder.morphology(self.dilation, self.erosion)


@dataclass(eq=False, repr=False)
class RandomErasing(Layer):
    """In training, a rectangle of each picture is erased with probability p (Zhong et al., Random Erasing Data
    Augmentation, 2020); in evaluation nothing happens. It depends on seed, epoch, layer and the picture's index in the
    data set only.

    As in torchvision, sizes are drawn until the rectangle fits, ten times at most, and then its place. The defaults
    are torchvision's, where `area` is called scale, and `fill` value. Put it behind Rescaling.

    Parameters
    ----------
    p : probability
    area : (least, most) share of the picture's area, drawn uniformly
    ratio : (least, most) height by width, from 0.01 to 100; its logarithm is drawn uniformly
    fill : what the pixels become, or (low, high), between which each number is drawn; what Rescaling makes of a black
        pixel if not given

    Examples
    --------
    >>> import numpy as np, pymnistcnn as pm
    >>> y = pm.RandomErasing(p=1, area=(0.25, 0.25), ratio=(1, 1)).forward(np.ones((1, 1, 28, 28), np.float32))
    >>> int((y == 0).sum()) == 14 * 14
    True
    """

    p: float = 0.5
    area: tuple[float, float] = (0.02, 0.33)
    ratio: tuple[float, float] = (0.3, 3.3)
    fill: float | tuple[float, float] | None = None
    needs = PICTURES
    in_pytorch = False

    def __post_init__(self) -> None:
        self.p = number("p", self.p, 0, 1)
        self.area = range_of("area", self.area, 0, 1)
        self.ratio = range_of("ratio", self.ratio, 0.01, 100)
        if self.fill is not None:
            fill = range_of("fill", self.fill)
            self.fill = fill if isinstance(self.fill, (tuple, list)) else fill[0]

    def lower(self, builder: Any) -> None:
        ratio = (math.log(r) for r in self.ratio)
        builder.erase((self.p, *self.area, *ratio), None if self.fill is None else range_of("fill", self.fill))


AUGMENTING = (Augmentation, Morphology, RandomErasing)
RANDOM = (*AUGMENTING, Dropout, GaussianNoise)  # which do nothing when a network predicts
