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

from .activations import (
    elu,
    elu_backward,
    leaky_relu,
    leaky_relu_backward,
    log_softmax,
    log_softmax_backward,
    relu,
    relu_backward,
    sigmoid,
    sigmoid_backward,
    softmax,
    softmax_backward,
    softplus,
    softplus_backward,
    tanh,
    tanh_backward,
)
from .losses import (
    cross_entropy,
    cross_entropy_backward,
    expected_probability_loss,
    expected_probability_loss_backward,
    mse_loss,
    mse_loss_backward,
    nll_loss,
    nll_loss_backward,
)
from .normalization import batch_norm, batch_norm_backward
from .pooling import (
    avg_pool2d,
    avg_pool2d_backward,
    global_avg_pool2d,
    global_avg_pool2d_backward,
    max_pool2d,
    max_pool2d_backward,
)
from .products import conv2d, conv2d_backward, linear, linear_backward, matmul, matmul_backward
from .randomness import (
    augment,
    augment_backward,
    dropout,
    dropout_backward,
    gaussian_noise,
    gaussian_noise_backward,
)
from .updates import update

__all__ = [
    "augment", "augment_backward", "avg_pool2d", "avg_pool2d_backward", "batch_norm", "batch_norm_backward", "conv2d",
    "conv2d_backward", "cross_entropy", "cross_entropy_backward", "dropout", "dropout_backward", "elu",
    "elu_backward", "expected_probability_loss", "expected_probability_loss_backward", "gaussian_noise",
    "gaussian_noise_backward", "global_avg_pool2d", "global_avg_pool2d_backward", "leaky_relu",
    "leaky_relu_backward", "linear", "linear_backward", "log_softmax", "log_softmax_backward", "matmul",
    "matmul_backward", "max_pool2d", "max_pool2d_backward", "mse_loss", "mse_loss_backward", "nll_loss",
    "nll_loss_backward", "relu", "relu_backward", "sigmoid", "sigmoid_backward", "softmax", "softmax_backward",
    "softplus", "softplus_backward", "tanh", "tanh_backward", "update",
]  # fmt: skip
