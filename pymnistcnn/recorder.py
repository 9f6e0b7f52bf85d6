"""Within an epoch: a callback that keeps what every few batches gave."""

from __future__ import annotations

from typing import Any

from .callbacks import Callback
from .checks import whole

__all__ = ["Recorder"]


class Recorder(Callback):
    """Keeps, every so many batches, their mean loss and accuracy and the learning rate: a finer history, to draw with
    `history.plot(steps=recorder)`.

    every : how many batches; each epoch's last ones may be fewer
    epochs : when each entry was, in epochs: 0.5 is the middle of the first
    loss, accuracy : means over the batches since the entry before; accuracy is NaN where there are no classes
    learning_rate : of the last of these batches

    ValueError if `every` is not a whole number from 1 on.

    Examples
    --------
    >>> import pymnistcnn as pm
    >>> train, test = pm.datasets.mnist()
    >>> model = pm.Sequential([pm.Flatten(), pm.Linear(10)], input_shape=(1, 28, 28))
    >>> recorder = pm.Recorder(every=2)
    >>> history = model.fit(train[:400], batch_size=100, callbacks=[recorder], progress=False)
    >>> recorder.epochs
    [0.5, 1.0]
    """

    every: int
    epochs: list[float]
    loss: list[float]
    accuracy: list[float]
    learning_rate: list[float]

    def __init__(self, every: int = 10) -> None:
        self.every = whole("every", every)
        self.epochs, self.loss, self.accuracy, self.learning_rate = [], [], [], []

    def on_epoch_begin(self, training: Any) -> None:
        self._before = training.totals.copy()

    def on_batches(self, training: Any) -> None:
        loss, correct, weight, samples, _ = training.totals - self._before
        self._before = training.totals.copy()
        self.epochs.append(training.epoch + training.batch / training.batches)
        self.loss.append(float(loss / weight) if weight else float("nan"))
        self.accuracy.append(float(correct / samples) if training.of_classes else float("nan"))
        self.learning_rate.append(training.learning_rate)
