"""A layer of one's own, in Python."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .._types import Array, Shape
from .base import Layer

__all__ = ["PythonLayer"]


@dataclass(eq=False, repr=False)
class PythonLayer(Layer):
    """Base class of layers that are written in Python: `forward` and `backward` on NumPy arrays.

    It stands in a model among other layers, or in a Residual, and is trained, saved and resumed with it. A training has
    Python in every step then, and says so with a SlowWarning. A dataclass's fields are saved with the
    model; `pm.load(path, own_layers=[Class])` makes the layer again.

    Override, besides these two, `output_shape` where the layer changes the shape of samples, and `initial_weights`
    where it has any. In `forward` and `backward` the weights are `self.parameters[name]`, and `backward` writes to
    `self.gradients[name]`, in which there are zeros; both are of the model's dtype, as are all arrays.

    Examples
    --------
    >>> import numpy as np, pymnistcnn as pm
    >>> class Scale(pm.PythonLayer):
    ...     def initial_weights(self, shape, rng):
    ...         return {"scale": np.ones(shape)}
    ...     def forward(self, x, training=True):
    ...         self.x = x
    ...         return x * self.parameters["scale"]
    ...     def backward(self, dy):
    ...         self.gradients["scale"][...] = (dy * self.x).sum(axis=0)
    ...         return dy * self.parameters["scale"]
    >>> model = pm.Sequential([pm.Linear(2), Scale()], input_shape=(3,))
    >>> model.forward(np.zeros((1, 3), np.float32)).shape
    (1, 2)
    >>> list(model.state_dict())
    ['0.weight', '0.bias', '1.scale']
    """

    in_python = True

    def forward(self, x: Array, training: bool = True) -> np.ndarray:
        """y (n, ...) for x (n, ...); `training` is False in evaluation."""
        raise NotImplementedError(f"{type(self).__name__} does not say what it computes: it needs `forward`")

    def backward(self, dy: Array) -> np.ndarray:
        """The gradient of the last forward's x, for that of its y; `gradients` get the weights'."""
        raise NotImplementedError(f"{type(self).__name__} does not say what its gradient is: it needs `backward`")

    def initial_weights(self, shape: Shape, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """The first weights by name, for samples of this shape; random ones are drawn from rng."""
        return {}

    def lower(self, builder: Any) -> None:
        self._shape = builder.shape
        weights = self.initial_weights(builder.shape, np.random.default_rng(0))
        builder.python(self.output_shape(builder.shape), {name: np.shape(w) for name, w in weights.items()})

    def initialize(self, name: str, rng: np.random.Generator, weight_shape: Shape) -> Array:
        return self.initial_weights(self._shape, rng)[name]
