"""Trackers: callbacks that hand the numbers of a training to a program that keeps and draws them."""

from __future__ import annotations

import math
import os
import secrets
import time
import warnings
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np

from ._types import Array, StrPath
from .callbacks import Callback
from .checks import checked_path, shown, whole
from .extras import needed
from .layers import Conv2d

__all__ = [
    "TensorBoard",
    "Tracker",
    "TrackerWarning",
]

PICTURES = 64  # of a sheet


class TrackerWarning(UserWarning):
    """A tracker has failed; the training goes on.

    Examples
    --------
    >>> import warnings, pymnistcnn as pm
    >>> warnings.simplefilter("error", pm.TrackerWarning)  # a training that is not tracked is to end
    """


class Tracker(Callback):
    """Hand the numbers of each epoch to a program that keeps and draws them.

    `run` is anything with `log(numbers, step)`, numbers a dictionary by name: a run of Weights & Biases, as from
    `wandb.init()`, or the module `trackio`; or that function itself, such as `mlflow.log_metrics`. The names are those
    of History; numbers that are not finite are left out, as are the validation's without one. A run that raises does
    not end the training: the first time a TrackerWarning tells.

    Parameters
    ----------
    run : object with a method `log`, or a function
    every : also log loss, accuracy and learning rate after every so many batches, loss and accuracy as means over the
        epoch so far ("batch/loss", ...). `step` counts batches then; epochs, from 1, if it is not given

    ValueError for a run that is neither, or if `every` is not a whole number from 1 on.

    Examples
    --------
    >>> import pymnistcnn as pm
    >>> def log(numbers, step):
    ...     print(step, sorted(numbers))
    >>> model = pm.Sequential([pm.Linear(2)], input_shape=(3,))
    >>> history = model.fit(([[1.0, 2.0, 3.0]], [0]), callbacks=[pm.Tracker(log)], progress=False)
    1 ['accuracy', 'images_per_second', 'learning_rate', 'loss', 'seconds']
    """

    log: Callable[..., Any]
    every: int | None

    def __init__(self, run: Any, every: int | None = None) -> None:
        log = getattr(run, "log", run)
        if not callable(log):
            raise ValueError(f"run must be a function of numbers and a step, or have one as `log`, not {shown(run)}")
        self.log, self.every, self._failed = log, None if every is None else whole("every", every), False

    def on_train_begin(self, training: Any) -> None:
        self._failed = False

    def on_batches(self, training: Any) -> None:
        numbers = {"loss": training.loss, "accuracy": training.accuracy, "learning_rate": training.learning_rate}
        self._tell({f"batch/{name}": value for name, value in numbers.items()}, self.step(training))

    def on_epoch_end(self, training: Any) -> None:
        self._tell({name: values[-1] for name, values in training.history.history.items()}, self.step(training))

    def step(self, training: Any) -> int:
        """Where the training is: epochs, or batches, that are done."""
        return training.epoch + 1 if self.every is None else training.epoch * training.batches + training.batch

    def _tell(self, numbers: dict[str, float], step: int) -> None:
        self._safely(self.log, {name: value for name, value in numbers.items() if math.isfinite(value)}, step)

    def _safely(self, function: Callable[..., Any], *arguments: Any) -> None:
        try:
            function(*arguments)
        except Exception as error:  # of whatever somebody else's program raises
            if not self._failed:
                self._failed = True
                message = f"{type(self).__name__}: what was to be logged is not ({type(error).__name__}: {error})"
                warnings.warn(f"{message}; the training goes on", TrackerWarning, stacklevel=2)


class TensorBoard(Tracker):
    """Write a training to files that `tensorboard --logdir DIR` shows: the numbers of each epoch, pictures, and
    hyperparameters.

    Pictures are the first 64 of the training data and, after each epoch, the filters of the first convolution. What
    cannot be written does not end the training, as in Tracker. A training that is resumed goes on in its folder.

    Parameters
    ----------
    log_dir : folder, which is made; one for each training, so that they can be compared
    every : as in Tracker
    hyperparameters : of one's own, by name: numbers, strings, True or False; beside those of `fit` and the optimizer

    MissingExtra without `pip install 'pymnistcnn[tensorboard]'`, which writes files; to see them takes `tensorboard`.

    Examples
    --------
    >>> import os, tempfile, pymnistcnn as pm
    >>> folder = tempfile.mkdtemp()
    >>> model = pm.Sequential([pm.Linear(2)], input_shape=(3,))
    >>> history = model.fit(([[1.0, 2.0, 3.0]], [0]), callbacks=[pm.TensorBoard(folder)], progress=False)
    >>> os.listdir(folder)[0].startswith("events.out.tfevents")
    True
    """

    log_dir: str
    hyperparameters: dict[str, Any]

    def __init__(
        self, log_dir: StrPath, every: int | None = None, hyperparameters: dict[str, Any] | None = None
    ) -> None:
        needed("tensorboardX", "tensorboard")
        super().__init__(self._scalars, every)
        self.log_dir, self.hyperparameters = checked_path("log_dir", log_dir), dict(hyperparameters or {})
        self._events: Any = None

    def on_train_begin(self, training: Any) -> None:
        super().on_train_begin(training)
        self._safely(self._begin, training)

    def on_epoch_end(self, training: Any) -> None:
        super().on_epoch_end(training)
        first = next((layer for layer in training.model.layers if isinstance(layer, Conv2d)), None)
        if first is not None:
            self._safely(self._picture, "filters", stretched(first.parameters["weight"]), self.step(training))
        self._safely(lambda: self._events.flush())

    def on_train_end(self, training: Any) -> None:
        if self._events is not None:
            self._safely(self._end)

    # ---- what is written: at once, so that whoever cannot write is told, and nothing waits ----

    def _begin(self, training: Any) -> None:
        from tensorboardX.event_file_writer import EventsWriter
        from tensorboardX.record_writer import directory_check
        from tensorboardX.summary import hparams

        directory_check(self.log_dir)
        name = f".{secrets.token_hex(4)}"  # two files of one second have one name else
        self._events = EventsWriter(os.path.join(self.log_dir, "events"), name)
        metrics = ["loss", "accuracy"] if training.validation is None else ["validation_loss", "validation_accuracy"]
        about, start, self._over = hparams({**settings_of(training), **self.hyperparameters}, dict.fromkeys(metrics, 0))
        self._write(about, 0)
        self._write(start, 0)
        arrays = not training.data.streamed and len(training.network.input_shape) == 3
        if arrays and not len(training.history):
            self._picture("training data", stretched(training.data.x[:PICTURES]), 0)

    def _end(self) -> None:
        events, self._events = self._events, None
        try:
            self._write(self._over, 0, events)
        finally:
            events.close()

    def _scalars(self, numbers: dict[str, float], step: int) -> None:
        from tensorboardX.summary import scalar

        for name, value in numbers.items():
            self._write(scalar(name, value), step)

    def _picture(self, name: str, images: Array, step: int) -> None:
        from tensorboardX.summary import image

        self._write(image(name.replace(" ", "_"), sheet(images)), step)

    def _write(self, summary: Any, step: int, events: Any = None) -> None:
        from tensorboardX.proto.event_pb2 import Event

        (events or self._events).write_event(Event(wall_time=time.time(), step=step, summary=summary))


def settings_of(training: Any) -> dict[str, Any]:
    """What a training was asked for, by name, as numbers and strings."""
    how, optimizer = training.how, training.optimizer
    own = {f.name: getattr(optimizer, f.name) for f in fields(optimizer) if f.init} if is_dataclass(optimizer) else {}
    plain = {name: value if isinstance(value, (bool, int, float)) else str(value) for name, value in own.items()}
    return {
        "optimizer": type(optimizer).__name__,
        **{f"optimizer.{name}": value for name, value in plain.items()},
        "schedule": str(how.schedule),
        "loss": str(how.loss),
        "epochs": training.epochs,
        "batch_size": training.batch_size,
        "samples": training.samples,
        "seed": training.network.seed,
        "dtype": training.network.dtype.name,
        "parameters": training.network.elements,
    }


def stretched(images: Array) -> Array:
    """Images (n, c, h, w) as uint8, the least of their numbers black and the largest white; of other than 3 channels
    each channel as an image of its own."""
    if images.shape[1] != 3:
        images = images.reshape(-1, 1, *images.shape[2:])
    least, most = float(images.min()), float(images.max())
    return ((images[:PICTURES] - least) * (255 / max(most - least, 1e-30))).round().astype(np.uint8)


def sheet(images: Array) -> Array:
    """Images (n, c, h, w) beside and below each other, a pixel apart: (c, height, width)."""
    n, channels, height, width = images.shape
    across = math.ceil(math.sqrt(n))
    down = math.ceil(n / across)
    room = np.zeros((down * across, channels, height + 1, width + 1), images.dtype)
    room[:n, :, :-1, :-1] = images
    rows = room.reshape(down, across, channels, height + 1, width + 1).transpose(2, 0, 3, 1, 4)
    return rows.reshape(channels, down * (height + 1), across * (width + 1))[:, :-1, :-1]
