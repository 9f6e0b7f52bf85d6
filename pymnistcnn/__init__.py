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

from . import datasets, functional, initializers, metrics, pictures, schedules
from .callbacks import BestCheckpoint, Callback, EarlyStopping, ReduceOnPlateau, Watcher
from .checkpoints import Checkpoint
from .datasets import Dataset
from .layers import (
    ELU,
    Augmentation,
    AvgPool2d,
    BatchNorm1d,
    BatchNorm2d,
    Conv2d,
    Dropout,
    Flatten,
    GaussianNoise,
    GlobalAvgPool2d,
    LeakyReLU,
    Linear,
    LogSoftmax,
    MaxPool2d,
    ReLU,
    Rescaling,
    Sigmoid,
    Softmax,
    Softplus,
    Tanh,
)
from .losses import CrossEntropyLoss, ExpectedProbabilityLoss, MSELoss, NLLLoss
from .metrics import Accuracy, ConfusionMatrix, Metric, Precision, Recall, TopK
from .model import Evaluation, Sequential, load
from .optimizers import SGD, Adagrad, Adam, AdamW, RMSprop
from .progress import CSVLog, JSONLog, ProgressBar, Speedometer
from .schedules import Constant, Cosine, Exponential, OneCycle, Step, WarmUp
from .target import devices
from .training import Diverged, History

__all__ = [
    "Accuracy", "Adagrad", "Adam", "AdamW", "Augmentation", "AvgPool2d", "BatchNorm1d", "BatchNorm2d",
    "BestCheckpoint", "CSVLog", "Callback", "Checkpoint", "ConfusionMatrix", "Constant", "Conv2d", "Cosine",
    "CrossEntropyLoss", "Dataset", "Diverged", "Dropout", "ELU", "EarlyStopping", "Evaluation",
    "ExpectedProbabilityLoss", "Exponential", "Flatten", "GaussianNoise", "GlobalAvgPool2d", "History", "JSONLog",
    "LeakyReLU", "Linear", "LogSoftmax", "MSELoss", "MaxPool2d", "Metric", "NLLLoss", "OneCycle", "Precision",
    "ProgressBar", "RMSprop", "ReLU", "Recall", "ReduceOnPlateau", "Rescaling", "SGD", "Sequential", "Sigmoid",
    "Softmax", "Softplus", "Speedometer", "Step", "Tanh", "TopK", "WarmUp", "Watcher", "devices", "load", "datasets",
    "functional", "initializers", "metrics", "pictures", "schedules",
]  # fmt: skip
