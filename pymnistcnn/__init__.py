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

from . import datasets, initializers, metrics, pictures, schedules
from .callbacks import Callback, ProgressBar
from .datasets import Dataset
from .layers import Conv2d, Dropout, Flatten, Linear, MaxPool2d, ReLU, Rescaling, Softmax, Tanh
from .losses import CrossEntropyLoss
from .metrics import Accuracy, ConfusionMatrix, Metric, Precision, Recall, TopK
from .model import Evaluation, Sequential, load
from .optimizers import SGD, Adam
from .schedules import Constant, Cosine, Exponential, OneCycle, Step, WarmUp
from .training import History

__all__ = [
    "SGD", "Accuracy", "Adam", "Callback", "ConfusionMatrix", "Constant", "Conv2d", "Cosine", "CrossEntropyLoss",
    "Dataset", "Dropout", "Evaluation", "Exponential", "Flatten", "History", "Linear", "MaxPool2d", "Metric",
    "OneCycle", "Precision", "ProgressBar", "ReLU", "Recall", "Rescaling", "Sequential", "Softmax", "Step", "Tanh",
    "TopK", "WarmUp", "datasets", "initializers", "load", "metrics", "pictures", "schedules",
]  # fmt: skip
