"""pymnistcnn: train convolutional networks on MNIST-like digits, fast, with kernels of its own.

>>> import pymnistcnn as pm
>>> train, test = pm.datasets.mnist()
"""

__version__ = "0.1.0"

REBUILD = "pip install -e ."

from . import _starting  # noqa: F401, I001 - before all that takes time

try:
    from ._native import __version__ as _native_version
except ImportError as _error:
    if "interpreter" in str(_error):
        raise ImportError(f"pymnistcnn is for the main interpreter of a process: {_error}") from _error
    raise ImportError(
        f"pymnistcnn's compiled module is missing or does not load ({_error}). "
        f"In the checkout, which hides an installed copy, run: {REBUILD}"
    ) from _error
if _native_version != __version__:
    raise ImportError(
        f"pymnistcnn {__version__} found the compiled module of version {_native_version}. "
        f"In the checkout, run: {REBUILD}"
    )

from . import (
    callbacks,
    checkpoints,
    datasets,
    functional,
    initializers,
    layers,
    losses,
    metrics,
    model,
    optimizers,
    pictures,
    progress,
    schedules,
    target,
    training,
)
from .callbacks import *
from .checkpoints import *
from .datasets import Dataset
from .layers.activations import *
from .layers.normalization import *
from .layers.pooling import *
from .layers.products import *
from .layers.randomness import *
from .layers.residual import *
from .layers.shapes import *
from .losses import *
from .metrics import *
from .model import *
from .optimizers import *
from .progress import *
from .schedules import *
from .target import *
from .training import *

__all__ = [
    "Dataset",
    "datasets",
    "functional",
    "initializers",
    "metrics",
    "pictures",
    "schedules",
]
__all__ += callbacks.__all__
__all__ += checkpoints.__all__
__all__ += layers.__all__
__all__ += losses.__all__
__all__ += metrics.__all__
__all__ += model.__all__
__all__ += optimizers.__all__
__all__ += progress.__all__
__all__ += schedules.__all__
__all__ += target.__all__
__all__ += training.__all__
__all__.remove("Layer")  # what layers are made from: pymnistcnn.layers.Layer
