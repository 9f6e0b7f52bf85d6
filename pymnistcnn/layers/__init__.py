"""Layers: fields, the shape they give, and how they lower themselves into a plan.

Shapes are PyTorch's, without the batch: (channels, height, width) or (features,). Every layer also works by
hand, on NumPy arrays with the batch first:

>>> import numpy as np, pymnistcnn as pm
>>> layer = pm.Linear(3)
>>> y = layer.forward(np.ones((2, 4), np.float32))
>>> dx = layer.backward(np.ones_like(y))
>>> dx.shape, layer.gradients["weight"].shape
((2, 4), (3, 4))
"""

from . import activations, base, normalization, pooling, products, python, randomness, residual, shapes
from .activations import *
from .base import *
from .normalization import *
from .pooling import *
from .products import *
from .python import *
from .randomness import *
from .residual import *
from .shapes import *

__all__ = []
__all__ += activations.__all__
__all__ += base.__all__
__all__ += normalization.__all__
__all__ += pooling.__all__
__all__ += products.__all__
__all__ += python.__all__
__all__ += randomness.__all__
__all__ += residual.__all__
__all__ += shapes.__all__
