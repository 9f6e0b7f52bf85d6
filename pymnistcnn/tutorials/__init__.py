"""Five well-known tutorials of convolutional networks on MNIST, whole, each in a file that is one itself.

    gorgonia    Go: three convolutions, a cost without logarithm      pymnistcnn tutorial gorgonia
    flux        Julia: the model zoo's convolutional network          pymnistcnn tutorial flux
    mxnet       Python and Julia: MLP and LeNet                       pymnistcnn tutorial mxnet-mlp, mxnet-lenet
    mccaffrey   PyTorch: a network on text files                      pymnistcnn tutorial mccaffrey
    scratch     NumPy: every formula by hand                          pymnistcnn tutorial scratch

Each has a function of the same name that prints what the original prints, and returns its `Outcome`.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Outcome:
    """What a tutorial came to: accuracy on its test images; seconds of training, over all epochs, and how many
    images were seen in them."""

    test_accuracy: float
    train_seconds: float
    images: int
    epochs: int
    full_test_accuracy: float | None = None  # on all test images, where the tutorial takes some

    @property
    def images_per_second(self) -> float:
        return self.images / self.train_seconds


@contextmanager
def messages_to_stdout(log: Any) -> Iterator[Any]:
    """While it lasts, a logger's messages also go to standard output, as they are."""
    handler, level = logging.StreamHandler(sys.stdout), log.level
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.setLevel(level)
