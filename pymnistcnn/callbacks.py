"""Callbacks: what may look at a training between its batches, and steer it. Those that only tell are in progress.py."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ._types import StrPath
from .checks import number, shown, whole

__all__ = [
    "BestCheckpoint",
    "Callback",
    "EarlyStopping",
    "ReduceOnPlateau",
    "Watcher",
]


class Callback:
    """Called by `fit` with the `training.Training` that is going on; every method may be left out.

    `every`: `on_batches` comes after every so many batches of an epoch, and after its last; None for never.
    `training.stop()` ends the training at once, with all that was learnt. One that decides something by what it has
    seen before also has `state` and `restore`, so that a resumed training goes on as it would have gone.

    Examples
    --------
    >>> import pymnistcnn as pm
    >>> class StopEarly(pm.Callback):
    ...     every = 100
    ...     def on_batches(self, training):
    ...         if training.accuracy > 0.98:
    ...             training.stop()
    """

    every: int | None = None

    def on_train_begin(self, training: Any) -> None:
        """Before the first batch."""

    def on_epoch_begin(self, training: Any) -> None:
        """Before each epoch, and before what is left of one that is resumed."""

    def on_batches(self, training: bool) -> None:
        """After every `every` batches: `training.batch` of `training.batches` are done."""

    def on_slice(self, training: Any) -> None:
        """Some 20 times a second, whenever Python gets its turn: for what is drawn."""

    def on_epoch_end(self, training: Any) -> None:
        """After each epoch and its validation: `training.history` has them."""

    def on_train_end(self, training: Any) -> None:
        """At the end, however it came."""

    def state(self) -> dict[str, Any]:
        """All that `restore` needs, by name: what JSON can say, and arrays that do not change any more."""
        return {}

    def restore(self, state: Any) -> None:
        """Go on from such a state; comes after `on_train_begin`."""


class Watcher(Callback):
    """Base class of callbacks that watch a number of each epoch: its best value, and the epochs since then.

    For one of your own, override `judge`.

    Parameters
    ----------
    monitor : function of the History that gives a list, the watched number of each epoch; the accuracy on the
        validation data if not given, or on the training data if there is no validation
    lower : is a lower number the better one, as with a loss?

    ValueError if monitor is not a function.

    Examples
    --------
    >>> import pymnistcnn as pm
    >>> class Praise(pm.Watcher):
    ...     def judge(self, training, value, better):
    ...         if better:
    ...             print(f"epoch {training.epoch + 1} is the best so far")
    >>> model = pm.Sequential([pm.Linear(2)], input_shape=(3,))
    >>> praise = Praise(monitor=lambda history: history.loss, lower=True)
    >>> history = model.fit(([[1.0, 2.0, 3.0]], [0]), epochs=2, callbacks=[praise], progress=False)
    epoch 1 is the best so far
    epoch 2 is the best so far
    """

    best: float | None
    lower: bool
    monitor: Callable[..., Any]
    waited: int

    def __init__(self, monitor: Callable[..., Any] | None = None, lower: bool = False) -> None:
        if monitor is not None and not callable(monitor):
            raise ValueError(f"monitor must be a function of History, such as lambda h: h.loss, not {shown(monitor)}")
        self.monitor, self.lower = monitor or accuracies, lower
        self.best, self.waited = None, 0

    def judge(self, training: bool, value: Any, better: Any) -> None:
        """After each epoch: its number, and whether it is better than all before."""

    def on_train_begin(self, training: Any) -> None:
        self.best, self.waited = None, 0

    def on_epoch_end(self, training: Any) -> None:
        values = self.monitor(training.history)
        if len(values) != len(training.history):
            raise ValueError(f"monitor must give {len(training.history)} numbers, one an epoch, not {shown(values)}")
        value = float(values[-1])
        better = self.as_good(value) and value != self.best
        self.best, self.waited = (value, 0) if better else (self.best, self.waited + 1)
        self.judge(training, value, better)

    def as_good(self, value: float, as_what: float | None = None) -> bool:
        """Is it a number, and at least as good as that one, the best so far if not given?"""
        as_what = self.best if as_what is None else as_what
        if as_what is None:
            return value == value
        return value <= as_what if self.lower else value >= as_what

    def state(self) -> Any:
        return {"best": self.best, "waited": self.waited}

    def restore(self, state: Any) -> None:
        self.best, self.waited = state["best"], state["waited"]


class EarlyStopping(Watcher):
    """Stop when a number reaches a target, or has not become better for some epochs.

    Parameters
    ----------
    patience : stop after so many epochs in a row without a better number
    target : stop once the number is as good as this
    monitor, lower : as in Watcher

    ValueError if neither patience nor target is given, or patience is not a whole number from 1 on.

    Examples
    --------
    >>> import pymnistcnn as pm
    >>> train, test = pm.datasets.mnist()
    >>> model = pm.Sequential([pm.Flatten(), pm.Linear(10)], input_shape=(1, 28, 28))
    >>> history = model.fit(train[:1000], epochs=50, validation=test[:500], progress=False,
    ...                     callbacks=[pm.EarlyStopping(target=0.5)])
    >>> len(history) < 50 and history.validation_accuracy[-1] >= 0.5
    True
    """

    patience: None
    target: float

    def __init__(
        self, patience: int | None = None, target: Any = None, monitor: str | None = None, lower: bool = False
    ) -> None:
        super().__init__(monitor, lower)
        if patience is None and target is None:
            raise ValueError("EarlyStopping needs patience, target or both, not None")
        self.patience = None if patience is None else whole("patience", patience)
        self.target = None if target is None else number("target", target)

    def judge(self, training: Any, value: float | None, better: bool) -> None:
        enough = self.patience is not None and self.waited >= self.patience
        reached = self.target is not None and self.best is not None and self.as_good(self.best, self.target)
        if enough or reached:
            training.stop()

    def on_epoch_begin(self, training: Any) -> None:
        self.judge(training, self.best, False)  # what is resumed may have been at its end


class ReduceOnPlateau(Watcher):
    """Multiply the learning rate of all later steps by a factor when a number has not become better for some epochs.

    The factor comes on top of a schedule, if there is one.

    Parameters
    ----------
    patience : after so many epochs in a row without a better number, and again after as many more
    factor : from 0 to 1 (both excluded)
    min_rate : no rate is made lower than this
    monitor, lower : as in Watcher

    ValueError for numbers outside these ranges.

    Examples
    --------
    >>> import pymnistcnn as pm
    >>> model = pm.Sequential([pm.Linear(2)], input_shape=(3,))
    >>> history = model.fit(([[1.0, 2.0, 3.0]], [0]), epochs=4, optimizer=pm.SGD(1e-3), progress=False,
    ...                     callbacks=[pm.ReduceOnPlateau(patience=2, factor=0.5)])
    >>> history.learning_rate
    [0.001, 0.001, 0.001, 0.0005]
    """

    factor: float
    min_rate: float
    patience: int

    def __init__(
        self, patience: int, factor: float = 0.1, min_rate: float = 0.0, monitor: str | None = None, lower: bool = False
    ) -> None:
        super().__init__(monitor, lower)
        self.patience = whole("patience", patience)
        self.factor = number("factor", factor, 0, 1, open_low=True, open_high=True)
        self.min_rate = number("min_rate", min_rate, 0)

    def judge(self, training: Any, value: float, better: bool) -> None:
        if self.waited >= self.patience:
            rate = training.learning_rate
            lowest = self.min_rate / rate if rate > 0 else 0
            training.rate_factor *= min(max(self.factor, lowest), 1)
            self.waited = 0


class BestCheckpoint(Watcher):
    """Remember the weights of the best epoch, and let the model end with them, however the training ends.

    Of epochs that are equally good the last one counts. With a moving average of the weights, the averages are
    remembered: what was validated. After `fit`, `best` is the number and `epoch` the epoch, 0 for the first.

    Parameters
    ----------
    path : file to which `Sequential.save` writes each best model, too
    monitor, lower : as in Watcher

    Examples
    --------
    >>> import pymnistcnn as pm
    >>> train, test = pm.datasets.mnist()
    >>> model = pm.Sequential([pm.Flatten(), pm.Linear(10)], input_shape=(1, 28, 28))
    >>> best = pm.BestCheckpoint()
    >>> history = model.fit(train[:500], epochs=5, validation=test[:500], callbacks=[best], progress=False)
    >>> best.best == max(history.validation_accuracy) == model.evaluate(test[:500]).accuracy
    True
    """

    epoch: int | None
    path: None

    def __init__(self, path: StrPath | None = None, monitor: str | None = None, lower: bool = False) -> None:
        super().__init__(monitor, lower)
        self.path, self.epoch, self._weights = path, None, {}

    def on_train_begin(self, training: Any) -> None:
        super().on_train_begin(training)
        self.epoch, self._weights = None, {}

    def judge(self, training: Any, value: float, better: bool) -> None:
        if not self.as_good(value):
            return
        self._weights = {name: w.copy() for name, w in training.model.named(training.validated).items()}
        if self.path is not None:
            training.model.save(self.path, self._weights)
        self.epoch = training.epoch

    def on_train_end(self, training: Any) -> None:
        if self._weights:
            training.model.load_state_dict(self._weights)
            self._weights = {}

    def state(self) -> Any:
        return {**super().state(), "epoch": self.epoch, **self._weights}

    def restore(self, state: Any) -> None:
        super().restore(state)
        self.epoch = state["epoch"]
        self._weights = {name: value for name, value in state.items() if isinstance(value, np.ndarray)}


def accuracies(history: Any) -> list[float]:
    """What is watched if nothing else is said."""
    return history.validation_accuracy or history.accuracy
