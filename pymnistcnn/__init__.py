"""pymnistcnn: train convolutional networks on MNIST-like digits, fast, with kernels of its own.

>>> import pymnistcnn as pm
>>> train, test = pm.datasets.mnist()
"""

__version__ = "0.1.0"

REBUILD = "pip install -e ."

from . import _starting  # noqa: F401, I001 - before all that takes time
from . import _compiled
import typing as _typing

try:
    _native_version = _compiled.load(__path__).__version__
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
    averages,
    batch_norm,
    calibration,
    callbacks,
    checkpoints,
    datasets,
    distillation,
    ensemble,
    functional,
    initializers,
    interpretation,
    layers,
    learning_rates,
    loading,
    losses,
    metrics,
    mismatch,
    mixing,
    model,
    optimizers,
    pictures,
    progress,
    recorder,
    schedules,
    stepping,
    target,
    trackers,
    training,
)
from .averages import *
from .batch_norm import *
from .calibration import *
from .callbacks import *
from .checkpoints import *
from .datasets import Dataset
from .distillation import *
from .ensemble import *
from .interpretation import *
from .layers.activations import *
from .layers.base import *
from .layers.normalization import *
from .layers.pooling import *
from .layers.products import *
from .layers.python import *
from .layers.randomness import *
from .layers.residual import *
from .layers.shapes import *
from .learning_rates import *
from .loading import *
from .losses import *
from .metrics import *
from .mismatch import *
from .mixing import *
from .model import *
from .optimizers import *
from .progress import *
from .recorder import *
from .schedules import *
from .stepping import *
from .target import *
from .trackers import *
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
__all__ += averages.__all__
__all__ += batch_norm.__all__
__all__ += calibration.__all__
__all__ += callbacks.__all__
__all__ += checkpoints.__all__
__all__ += distillation.__all__
__all__ += ensemble.__all__
__all__ += interpretation.__all__
__all__ += layers.__all__
__all__ += learning_rates.__all__
__all__ += losses.__all__
__all__ += metrics.__all__
__all__ += mismatch.__all__
__all__ += mixing.__all__
__all__ += loading.__all__
__all__ += model.__all__
__all__ += optimizers.__all__
__all__ += progress.__all__
__all__ += recorder.__all__
__all__ += schedules.__all__
__all__ += stepping.__all__
__all__ += target.__all__
__all__ += trackers.__all__
__all__ += training.__all__
__all__.remove("Layer")  # what layers are made from: pymnistcnn.layers.Layer

# what is imported when it is first asked for, and the module that has it; some need an extra
LAZY = {
    "CNNClassifier": "estimator",
    "Trained": "many",
    "from_onnx": "onnx",
    "from_torch": "pytorch",
    "plots": "plots",
    "recipes": "recipes",
    "train_many": "many",
}


if _typing.TYPE_CHECKING:
    from . import plots as plots
    from . import recipes as recipes
    from .estimator import CNNClassifier as CNNClassifier
    from .many import Trained as Trained
    from .many import train_many as train_many
    from .onnx import from_onnx as from_onnx
    from .pytorch import from_torch as from_torch
else:

    def __getattr__(name):
        if name not in LAZY:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        module = import_module(f".{LAZY[name]}", __name__)
        return getattr(module, name, module)


def __dir__() -> list[str]:
    return sorted([*globals(), *LAZY])
