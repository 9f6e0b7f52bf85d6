"""Callbacks: what may look at a training between its batches, and steer it. Those that only tell are in progress.py."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from typing import Any, TypeAlias

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

Monitor: TypeAlias = str | Callable[[Any], list[float]] | None


class Callback:
    """Called by `fit` with the `training.Training` that is going on; every method may be left out. TypeError for a
    class with a method on_... that would never be called.

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

    def __init_subclass__(cls, **settings: Any) -> None:
        super().__init_subclass__(**settings)
        hooks = [name for name in vars(Callback) if name.startswith("on_")]
        for name in dir(cls):
            if name.startswith("on_") and name not in hooks:
                meant = ["on_batches"] if "batch" in name else difflib.get_close_matches(name, hooks, 1)
                hint = f"did you mean {meant[0]}?" if meant else f"there are {', '.join(hooks)}"
                raise TypeError(f"{cls.__name__}.{name} would never be called: {hint}")

    def on_train_begin(self, training: Any) -> None:
        """Before the first batch."""

    def on_epoch_begin(self, training: Any) -> None:
        """Before each epoch, and before what is left of one that is resumed."""

    def on_batches(self, training: Any) -> None:
        """After every `every` batches: `training.batch` of `training.batches` are done."""

    def on_slice(self, training: Any) -> None:
        """Some ten times a second, whenever Python gets its turn: for what is drawn."""

    def on_epoch_end(self, training: Any) -> None:
        """After each epoch and its validation: `training.history` has them."""

    def on_train_end(self, training: Any) -> None:
        """At the end, however it came."""

    def state(self) -> dict[str, Any]:
        """All that `restore` needs, by name: what JSON can say, and arrays that do not change any more."""
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from such a state; comes after `on_train_begin`."""


LOWER_IS_BETTER = {"loss": True, "accuracy": False, "validation_loss": True, "validation_accuracy": False}


class Watcher(Callback):
    """Base class of callbacks that watch a number of each epoch: its best value, and the epochs since then.

    For one of your own, override `judge`.

    Parameters
    ----------
    monitor : the watched number: "loss", "accuracy", "validation_loss" or "validation_accuracy", of which it is known
        whether lower is better; or a function of the History that gives a list, a number of each epoch. If not given,
        the accuracy, or the loss where there are no classes, on the validation data, or on the training data if there
        is no validation
    lower : is a lower number the better one? To be said of a function, and of nothing else
    min_delta : a number is better only if it is so by more than this

    ValueError for anything else, and in a training without the validation that is to be watched.

    Examples
    --------
    >>> import pymnistcnn as pm
    >>> class Praise(pm.Watcher):
    ...     def judge(self, training, value, better):
    ...         if better:
    ...             print(f"epoch {training.epoch + 1} is the best so far")
    >>> model = pm.Sequential([pm.Linear(2)], input_shape=(3,))
    >>> praise = Praise(monitor="loss")
    >>> history = model.fit(([[1.0, 2.0, 3.0]], [0]), epochs=2, callbacks=[praise], progress=False)
    epoch 1 is the best so far
    epoch 2 is the best so far
    """

    monitor: Monitor
    lower: bool
    min_delta: float
    best: float | Any  # None before the first epoch
    waited: int

    def __init__(self, monitor: Monitor = None, lower: bool | None = None, min_delta: float = 0.0) -> None:
        self.monitor, self.lower = monitor, lower_is_better(monitor, lower)
        self.min_delta = number("min_delta", min_delta, 0)
        self.best, self.waited = None, 0

    def judge(self, training: Any, value: float, better: bool) -> None:
        """After each epoch: its number, and whether it is better than all before."""

    def on_train_begin(self, training: Any) -> None:
        if training.validation is None and str(self.monitor).startswith("validation_"):
            raise ValueError(f"{type(self).__name__} watches {self.monitor}, but `fit` was given no validation")
        if self.monitor is None:
            self.lower = not training.of_classes
        self.best, self.waited = None, 0

    def on_epoch_end(self, training: Any) -> None:
        values = watched(self.monitor, training)
        if len(values) != len(training.history):
            raise ValueError(f"monitor must give {len(training.history)} numbers, one an epoch, not {shown(values)}")
        value = float(values[-1])
        better = self.is_better(value)
        self.best, self.waited = (value, 0) if better else (self.best, self.waited + 1)
        self.judge(training, value, better)

    def is_better(self, value: float) -> bool:
        """Is it better than the best so far, by more than `min_delta`?"""
        if self.best is None:
            return value == value
        return (self.best - value if self.lower else value - self.best) > self.min_delta

    def as_good(self, value: float, as_what: float | None = None) -> bool:
        """Is it a number, and at least as good as that one, the best so far if not given?"""
        as_what = self.best if as_what is None else as_what
        if as_what is None:
            return value == value
        return value <= as_what if self.lower else value >= as_what

    def state(self) -> dict[str, Any]:
        return {"best": self.best, "waited": self.waited}

    def restore(self, state: dict[str, Any]) -> None:
        self.best, self.waited = state["best"], state["waited"]


class EarlyStopping(Watcher):
    """Stop when a number reaches a target, or has not become better for some epochs.

    Parameters
    ----------
    patience : stop after so many epochs in a row without a better number
    target : stop once the number is as good as this
    monitor, lower, min_delta : as in Watcher

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

    patience: int | None
    target: float | None

    def __init__(
        self,
        patience: int | None = None,
        target: float | None = None,
        monitor: Monitor = None,
        lower: bool | None = None,
        min_delta: float = 0.0,
    ) -> None:
        super().__init__(monitor, lower, min_delta)
        if patience is None and target is None:
            raise ValueError("EarlyStopping needs patience, target or both, not None")
        self.patience = None if patience is None else whole("patience", patience)
        self.target = None if target is None else number("target", target)

    def judge(self, training: Any, value: float, better: bool) -> None:
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
    monitor, lower, min_delta : as in Watcher

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

    patience: int
    factor: float
    min_rate: float

    def __init__(
        self,
        patience: int,
        factor: float = 0.1,
        min_rate: float = 0.0,
        monitor: Monitor = None,
        lower: bool | None = None,
        min_delta: float = 0.0,
    ) -> None:
        super().__init__(monitor, lower, min_delta)
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

    path: StrPath | None
    epoch: int | Any  # None before the first epoch

    def __init__(self, path: StrPath | None = None, monitor: Monitor = None, lower: bool | None = None) -> None:
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

    def state(self) -> dict[str, Any]:
        return {**super().state(), "epoch": self.epoch, **self._weights}

    def restore(self, state: dict[str, Any]) -> None:
        super().restore(state)
        self.epoch = state["epoch"]
        self._weights = {name: value for name, value in state.items() if isinstance(value, np.ndarray)}


def lower_is_better(monitor: Monitor, lower: bool | None) -> bool:
    """Whether the lower of two watched numbers is the better one: it is known or, of a function, said."""
    if callable(monitor):
        if lower is None:
            raise ValueError("monitor is a function: say lower=True, if a lower number is better, or lower=False")
        return bool(lower)
    if monitor is not None and (not isinstance(monitor, str) or monitor not in LOWER_IS_BETTER):
        names = ", ".join(map(repr, LOWER_IS_BETTER))
        raise ValueError(f"monitor must be one of {names}, or a function of History, not {shown(monitor)}")
    known = LOWER_IS_BETTER.get(monitor, False)
    if lower not in (None, known):
        raise ValueError(f"lower must be {known} for {monitor or 'the accuracy'}, not {shown(lower)}: leave it out")
    return known


def watched(monitor: Monitor, training: Any) -> list[float]:
    """The watched number of each epoch."""
    history = training.history
    if callable(monitor):
        return monitor(history)
    if monitor is not None:
        return getattr(history, monitor)
    name = "accuracy" if training.of_classes else "loss"
    return getattr(history, f"validation_{name}") or getattr(history, name)
