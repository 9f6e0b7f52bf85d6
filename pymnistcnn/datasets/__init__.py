"""Digits: MNIST, embedded or from a folder, and files of them, IDX and text.

>>> import pymnistcnn as pm
>>> train, test = pm.datasets.mnist()
>>> len(train), len(test)
(60000, 10000)
"""

from .atomic import atomic_write
from .dataset import DataError, Dataset
from .digits import load, mnist
from .idx import read_idx, write_idx
from .text import idx_to_text, read_text, write_text

__all__ = [
    "DataError", "Dataset", "atomic_write", "idx_to_text", "load", "mnist", "read_idx", "read_text", "write_idx",
    "write_text",
]  # fmt: skip
