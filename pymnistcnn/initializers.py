"""Initial weights: small recipes that turn a shape and a random generator into an array.

Shapes follow PyTorch's layout, (out, in) for a dense layer and (out, in/groups, kh, kw) for a convolution.
One output sums `fan_in = prod(shape[1:])` inputs; one input feeds `fan_out = shape[0] * prod(shape[2:])`.

>>> import pymnistcnn as pm
>>> pm.Linear(10, initializer=pm.initializers.HeNormal())
Linear(10, initializer=HeNormal())
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from ._types import Array, Shape
from .checks import check_fields, number, shown

__all__ = [
    "GlorotNormal",
    "GlorotUniform",
    "HeNormal",
    "HeUniform",
    "Initializer",
    "Normal",
    "PyTorchDefault",
    "Uniform",
    "Zeros",
]


class Initializer:
    """Base class: `initializer(shape, rng)` draws weights, `initializer.bias(weight_shape, rng)` biases.

    The initializers here are frozen dataclasses whose fields are positive finite floats, so that one can be
    rebuilt from its fields; anything else as a field is a ValueError. For one of your own, override
    `__call__`, and `__post_init__` if its fields may be something else.

    Examples
    --------
    >>> import numpy as np, pymnistcnn as pm
    >>> class Ones(pm.initializers.Initializer):
    ...     def __call__(self, shape, rng):
    ...         return np.ones(shape)
    >>> Ones()((1, 2), np.random.default_rng(0))
    array([[1., 1.]])
    """

    def __post_init__(self) -> None:
        check_fields(self, number, *(field.name for field in fields(self)), low=0, open_low=True)

    def __call__(self, shape: Shape, rng: np.random.Generator) -> Array:
        """Draw weights: float64 of `shape`, (out, in) or (out, in/groups, kh, kw). ValueError if the shape is not that
        of a weight, or `rng` not a numpy.random.Generator."""
        raise NotImplementedError(f"{type(self).__name__} does not say how to draw weights")

    def bias(self, weight_shape: Shape, rng: np.random.Generator) -> Array:
        """Draw the biases that go with a weight of `weight_shape`: float64, shape (out,), here zeros."""
        _fans(weight_shape)
        return np.zeros(weight_shape[0])


@dataclass(frozen=True)
class GlorotNormal(Initializer):
    """Normal, standard deviation `gain * sqrt(2 / (fan_in + fan_out))` (Glorot and Bengio 2010).

    Keeps the variance of both the activations and the gradients about the same from layer to layer.

    Examples
    --------
    >>> import numpy as np, pymnistcnn as pm
    >>> pm.initializers.GlorotNormal()((10, 3, 5, 5), np.random.default_rng(0)).shape
    (10, 3, 5, 5)
    """

    gain: float = 1.0

    def __call__(self, shape: Shape, rng: np.random.Generator) -> Array:
        return _normal(self.gain * np.sqrt(2 / sum(_fans(shape))), shape, rng)


@dataclass(frozen=True)
class GlorotUniform(Initializer):
    """Uniform within `+-gain * sqrt(6 / (fan_in + fan_out))` (Glorot and Bengio 2010).

    Examples
    --------
    >>> import numpy as np, pymnistcnn as pm
    >>> weight = pm.initializers.GlorotUniform()((2, 4), np.random.default_rng(0))
    >>> bool(abs(weight).max() <= 1)
    True
    """

    gain: float = 1.0

    def __call__(self, shape: Shape, rng: np.random.Generator) -> Array:
        return _uniform(self.gain * np.sqrt(6 / sum(_fans(shape))), shape, rng)


@dataclass(frozen=True)
class HeNormal(Initializer):
    """Normal, standard deviation `sqrt(2 / fan_in)`, for layers before a ReLU (He et al. 2015).

    Examples
    --------
    >>> import numpy as np, pymnistcnn as pm
    >>> pm.initializers.HeNormal()((3, 4), np.random.default_rng(0)).shape
    (3, 4)
    """

    def __call__(self, shape: Shape, rng: np.random.Generator) -> Array:
        return _normal(np.sqrt(2 / _fans(shape)[0]), shape, rng)


@dataclass(frozen=True)
class HeUniform(Initializer):
    """Uniform within `+-sqrt(6 / fan_in)`, for layers before a ReLU (He et al. 2015).

    Examples
    --------
    >>> import numpy as np, pymnistcnn as pm
    >>> weight = pm.initializers.HeUniform()((2, 6), np.random.default_rng(0))
    >>> bool(abs(weight).max() <= 1)
    True
    """

    def __call__(self, shape: Shape, rng: np.random.Generator) -> Array:
        return _uniform(np.sqrt(6 / _fans(shape)[0]), shape, rng)


@dataclass(frozen=True)
class Uniform(Initializer):
    """Uniform within `+-a`, whatever the shape.

    Examples
    --------
    >>> import numpy as np, pymnistcnn as pm
    >>> weight = pm.initializers.Uniform(0.1)((2, 6), np.random.default_rng(0))
    >>> bool(abs(weight).max() <= 0.1)
    True
    """

    a: float

    def __call__(self, shape: Shape, rng: np.random.Generator) -> Array:
        return _uniform(self.a, shape, rng)


@dataclass(frozen=True)
class Normal(Initializer):
    """Normal around 0 with standard deviation `std`, whatever the shape.

    Examples
    --------
    >>> import numpy as np, pymnistcnn as pm
    >>> pm.initializers.Normal(0.01)((3, 4), np.random.default_rng(0)).shape
    (3, 4)
    """

    std: float

    def __call__(self, shape: Shape, rng: np.random.Generator) -> Array:
        return _normal(self.std, shape, rng)


@dataclass(frozen=True)
class PyTorchDefault(Initializer):
    """Uniform within `+-1 / sqrt(fan_in)`, weights and biases alike: what PyTorch's layers start from.

    PyTorch writes it as `kaiming_uniform_(a=sqrt(5))` (`reset_parameters` of `torch.nn.Linear` and `Conv2d`).
    The distribution is the same, the random numbers are not. `bias(weight_shape, rng)` draws the biases,
    shape (out,), within the bound of the weight.

    Examples
    --------
    >>> import numpy as np, pymnistcnn as pm
    >>> rng = np.random.default_rng(0)
    >>> start = pm.initializers.PyTorchDefault()
    >>> start((8, 1, 3, 3), rng).shape, start.bias((8, 1, 3, 3), rng).shape
    ((8, 1, 3, 3), (8,))
    """

    def __call__(self, shape: Shape, rng: np.random.Generator) -> Array:
        return _uniform(_fans(shape)[0] ** -0.5, shape, rng)

    def bias(self, weight_shape: Shape, rng: np.random.Generator) -> Array:
        """Draw biases within `+-1 / sqrt(fan_in)` of the weight: float64, shape (out,)."""
        fan_in, _ = _fans(weight_shape)
        return _generator(rng).uniform(-(fan_in**-0.5), fan_in**-0.5, weight_shape[0])


@dataclass(frozen=True)
class Zeros(Initializer):
    """All zeros; draws nothing from the generator.

    Examples
    --------
    >>> import numpy as np, pymnistcnn as pm
    >>> pm.initializers.Zeros()((1, 3), np.random.default_rng(0))
    array([[0., 0., 0.]])
    """

    def __call__(self, shape: Shape, rng: np.random.Generator) -> Array:
        _fans(shape)
        return np.zeros(shape)


def _fans(shape: Shape) -> tuple[int, ...]:
    """(fan_in, fan_out) of a weight shape; ValueError if it is not one."""
    sizes = tuple(shape) if isinstance(shape, (tuple, list)) else ()
    if len(sizes) < 2 or not all(isinstance(n, (int, np.integer)) and n > 0 for n in sizes):
        raise ValueError(f"a weight has a shape of two or more positive integers, (out, in, ...), not {shown(shape)}")
    out, into, *window = map(int, sizes)
    area = int(np.prod(window))
    return into * area, out * area


def _generator(rng: np.random.Generator) -> np.random.Generator:
    if not isinstance(rng, np.random.Generator):
        raise ValueError(f"rng must be a numpy.random.Generator, as from default_rng(seed), not {shown(rng)}")
    return rng


def _normal(std: float, shape: Shape, rng: np.random.Generator) -> Array:
    _fans(shape)
    return _generator(rng).normal(0, std, shape)


def _uniform(bound: float, shape: Shape, rng: np.random.Generator) -> Array:
    _fans(shape)
    return _generator(rng).uniform(-bound, bound, shape)
