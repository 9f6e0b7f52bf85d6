"""pymnistcnn: train convolutional networks on MNIST-like digits, fast, with kernels of its own.

>>> import pymnistcnn as pm
>>> train, test = pm.datasets.mnist()
"""

__version__ = "0.1.0"

REBUILD = "pip install --force-reinstall --no-deps ."

try:
    from . import _native
except ImportError as error:
    raise ImportError(
        f"pymnistcnn's compiled module is missing or does not load ({error}). In the checkout, run: {REBUILD}"
    ) from error
if _native.__version__ != __version__:
    raise ImportError(
        f"pymnistcnn {__version__} found the compiled module of version {_native.__version__}. "
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
