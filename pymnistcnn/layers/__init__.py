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

from .activations import ELU, LeakyReLU, LogSoftmax, ReLU, Sigmoid, Softmax, Softplus, Tanh
from .base import Layer
from .normalization import BatchNorm1d, BatchNorm2d
from .pooling import AvgPool2d, GlobalAvgPool2d, MaxPool2d
from .products import Conv2d, Linear
from .randomness import Augmentation, Dropout, GaussianNoise
from .shapes import Flatten, Rescaling

__all__ = [
    "Augmentation", "AvgPool2d", "BatchNorm1d", "BatchNorm2d", "Conv2d", "Dropout", "ELU", "Flatten",
    "GaussianNoise", "GlobalAvgPool2d", "Layer", "LeakyReLU", "Linear", "LogSoftmax", "MaxPool2d", "ReLU",
    "Rescaling", "Sigmoid", "Softmax", "Softplus", "Tanh",
]  # fmt: skip
