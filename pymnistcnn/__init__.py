"""pymnistcnn: train convolutional networks on MNIST-like digits, fast, with kernels of its own.

>>> import pymnistcnn as pm
>>> train, test = pm.datasets.mnist()
"""

__version__ = "0.1.0"

REBUILD = "pip install -e ."

try:
    from ._native import __version__ as _native_version
except ImportError as error:
    raise ImportError(
        f"pymnistcnn's compiled module is missing or does not load ({error}). "
        f"In the checkout, which hides an installed copy, run: {REBUILD}"
    ) from error
if _native_version != __version__:
    raise ImportError(
        f"pymnistcnn {__version__} found the compiled module of version {_native_version}. "
        f"In the checkout, run: {REBUILD}"
    )

from . import datasets, initializers, pictures, schedules
from .callbacks import Callback, ProgressBar
from .datasets import Dataset
from .layers import Conv2d, Dropout, Flatten, Linear, MaxPool2d, ReLU, Rescaling, Softmax, Tanh
from .losses import CrossEntropyLoss
from .model import Evaluation, Sequential, load
from .optimizers import SGD, Adam
from .schedules import Constant, OneCycle
from .training import History

__all__ = [
    "SGD", "Adam", "Callback", "Constant", "Conv2d", "CrossEntropyLoss", "Dataset", "Dropout", "Evaluation",
    "Flatten", "History", "Linear", "MaxPool2d", "OneCycle", "ProgressBar", "ReLU", "Rescaling", "Sequential",
    "Softmax", "Tanh", "datasets", "initializers", "load", "pictures", "schedules",
]  # fmt: skip
