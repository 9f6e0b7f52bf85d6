"""Operations as functions of NumPy arrays, on the kernels of the layers: nothing is kept from call to call.

Names and defaults are PyTorch's. Each function has a partner `..._backward`, which takes dy, the gradient of what
the function gives, and then what the function takes (without what has no influence on gradients, such as biases),
and gives dx, or dx and the gradients of the weights. It computes the forward pass again.

x decides the dtype of all: float64 is computed in float64, everything else in float32. What has values that the
dtype cannot hold is refused, as is what is wrong otherwise, with a ValueError. `isa` and `threads` may be given to
any function; the bits of its result do not depend on the number of threads.

>>> import numpy as np, pymnistcnn as pm
>>> x, w = np.ones((1, 1, 3, 3), np.float32), np.ones((2, 1, 2, 2), np.float32)
>>> y = pm.functional.conv2d(x, w)
>>> dx, dw, db = pm.functional.conv2d_backward(np.ones_like(y), x, w)
>>> y.shape, dx.shape, dw.shape, db.shape
((1, 2, 2, 2), (1, 1, 3, 3), (2, 1, 2, 2), (2,))
"""

from . import activations, losses, normalization, pooling, products, randomness, updates
from .activations import *
from .losses import *
from .normalization import *
from .pooling import *
from .products import *
from .randomness import *
from .updates import *

__all__ = []
__all__ += activations.__all__
__all__ += losses.__all__
__all__ += normalization.__all__
__all__ += pooling.__all__
__all__ += products.__all__
__all__ += randomness.__all__
__all__ += updates.__all__
