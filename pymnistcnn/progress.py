"""Progress: callbacks that show a training, or write down how it went, and do not change it."""

from __future__ import annotations

import functools
import json
import math
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from itertools import islice
from typing import Any

from ._types import StrPath
from .callbacks import Callback
from .checks import shown, whole
from .datasets import atomic_write

__all__ = [
    "CSVLog",
    "JSONLog",
    "ProgressBar",
    "Speedometer",
]


class Unbreakable:
    """A text file that takes everything: what cannot be written stops nothing. `error`: the first reason, or None."""

    error: Exception | None
    file: Any

    def __init__(self, file: Any) -> None:
        self.file, self.error = file, None

    def _try(self, name: str, *arguments: Any) -> int | None:
        try:
            return getattr(self.file, name)(*arguments)
        except (OSError, ValueError, AttributeError) as error:  # full or gone; closed; None
            self.error = self.error or error

    def write(self, text: str) -> int | None:
        self._try("write", text)
        return len(text)

    def flush(self) -> None:
        self._try("flush")

    def isatty(self) -> bool:
        return bool(self._try("isatty"))

    def __getattr__(self, name: str) -> Callable[..., Any] | str | None:
        return getattr(self.file, name)


class ProgressBar(Callback):
    """A line an epoch, drawn by tqdm on standard error; `file` to draw elsewhere. `fit` adds one by itself.

    Examples
    --------
    >>> import io, pymnistcnn as pm
    >>> model = pm.Sequential([pm.Linear(2)], input_shape=(3,))
    >>> screen = io.StringIO()
    >>> history = model.fit(([[1.0, 2.0, 3.0]], [0]), callbacks=[pm.ProgressBar(screen)], progress=False)
    >>> "epoch 1/1" in screen.getvalue()
    True
    """

    file: Any

    def __init__(self, file: Any = None) -> None:
        self.file, self._bar = file, None

    def on_epoch_begin(self, training: Any) -> None:
        from tqdm import tqdm

        self._bar = tqdm(
            total=training.samples,
            initial=training.batch * training.batch_size,
            desc=f"epoch {training.epoch + 1}/{training.epochs}",
            unit="",
            unit_scale=True,
            file=Unbreakable(self.file or sys.stderr),
            dynamic_ncols=True,
            bar_format="{desc} {percentage:3.0f}%|{bar}| {rate_fmt}{postfix}"
            if training.samples < math.inf
            else "{desc} {n_fmt}, {rate_fmt}{postfix}",
        )

    def on_slice(self, training: Any) -> None:
        done = min(training.batch * training.batch_size, training.samples)
        self._bar.set_postfix_str(so_far(training), refresh=False)
        self._bar.update(done - self._bar.n)

    def on_epoch_end(self, training: Any) -> None:
        self._bar.set_postfix_str(epoch_in_words(training))
        self._bar.close()

    def on_train_end(self, training: Any) -> None:
        if self._bar is not None:
            self._bar.close()


def so_far(training: Any) -> str:
    """The running means of the epoch, under their names in the history."""
    return f"loss {training.loss:.4f}" + (f", accuracy {training.accuracy:.2%}" if training.of_classes else "")


def epoch_in_words(training: Any) -> str:
    """What an epoch has given at its end."""
    history = training.history
    if training.of_classes and history.validation_accuracy:
        return f"{so_far(training)}, validation {history.validation_accuracy[-1]:.2%}"
    if history.validation_loss:
        return f"{so_far(training)}, validation loss {history.validation_loss[-1]:.4f}"
    return so_far(training)


class Speedometer(Callback):
    """A line every so many batches, in MXNet's form: epoch (0 is the first), batch, and of the batches since the last
    line samples a second and accuracy.

    Parameters
    ----------
    every : how many batches
    log : function that takes a line

    ValueError if every is not a whole number from 1 on, or log not a function.

    Examples
    --------
    >>> import pymnistcnn as pm
    >>> lines = []
    >>> train, test = pm.datasets.mnist()
    >>> model = pm.Sequential([pm.Flatten(), pm.Linear(10)], input_shape=(1, 28, 28))
    >>> history = model.fit(train[:500], batch_size=10, progress=False,
    ...                     callbacks=[pm.Speedometer(20, log=lines.append)])
    >>> [line.split("\\t")[0] for line in lines]
    ['Epoch[0] Batch [20]', 'Epoch[0] Batch [40]']
    """

    every: int
    log: Callable[..., Any]

    def __init__(self, every: int = 100, log: Callable[..., Any] = print) -> None:
        if not callable(log):
            raise ValueError(f"log must be a function of a line, such as print, not {shown(log)}")
        self.every, self.log = whole("every", every), log

    def on_epoch_begin(self, training: Any) -> None:
        self._before = training.totals.copy()

    def on_batches(self, training: Any) -> None:
        if training.batch % self.every:
            return  # the epoch's last
        _, correct, _, samples, seconds = training.totals - self._before
        self._before = training.totals.copy()
        log = functools.partial(print, file=Unbreakable(sys.stdout)) if self.log is print else self.log
        log(
            f"Epoch[{training.epoch}] Batch [{training.batch}]\tSpeed: {samples / seconds:.2f} samples/sec\t"
            f"accuracy={correct / samples:f}"
        )


class Log(Callback):
    """Base class of files with a line an epoch. A new training begins a new file; a resumed one goes on with the
    lines of the epochs that it has, and no others."""

    path: str

    def __init__(self, path: StrPath) -> None:
        self.path = os.fspath(path)

    def header(self, history: Any) -> str:
        """What the file begins with."""
        return ""

    def line(self, row: dict[str, Any]) -> str:
        raise NotImplementedError(f"{type(self).__name__} does not say how to write a line")

    def on_train_begin(self, training: Any) -> None:
        epochs, header = len(training.history), self.header(training.history)
        self._text = header.encode()
        if epochs:
            with suppress(FileNotFoundError), open(self.path, "rb") as file:
                self._text = b"".join(islice(file, epochs + (header != "")))
        self._write()

    def on_epoch_end(self, training: Any) -> None:
        row = {"epoch": len(training.history)}
        row |= {name: values[-1] if values else None for name, values in vars(training.history).items()}
        self._text += self.line(row).encode()
        self._write()

    def _write(self) -> None:
        with atomic_write(self.path) as file:
            file.write(self._text)


class CSVLog(Log):
    """A file with a row an epoch, numbered from 1: its means on the training and on the validation data, the learning
    rate of its last step, seconds, images a second. Validation columns are empty if there is none.

    Examples
    --------
    >>> import os, tempfile, pymnistcnn as pm
    >>> path = os.path.join(tempfile.mkdtemp(), "log.csv")
    >>> model = pm.Sequential([pm.Linear(2)], input_shape=(3,))
    >>> history = model.fit(([[1.0, 2.0, 3.0]], [0]), epochs=2, callbacks=[pm.CSVLog(path)], progress=False)
    >>> with open(path) as file:
    ...     print(file.readline(), end="")
    epoch,loss,accuracy,validation_loss,validation_accuracy,learning_rate,seconds,images_per_second
    """

    def header(self, history: Any) -> str:
        return ",".join(["epoch", *vars(history)]) + "\n"

    def line(self, row: dict[str, Any]) -> str:
        return ",".join("" if value is None else repr(value) for value in row.values()) + "\n"


class JSONLog(Log):
    """A file with a JSON object an epoch, each a line, with the fields of CSVLog; null for what is no number.

    Examples
    --------
    >>> import json, os, tempfile, pymnistcnn as pm
    >>> path = os.path.join(tempfile.mkdtemp(), "log.jsonl")
    >>> model = pm.Sequential([pm.Linear(2)], input_shape=(3,))
    >>> history = model.fit(([[1.0, 2.0, 3.0]], [0]), epochs=2, callbacks=[pm.JSONLog(path)], progress=False)
    >>> with open(path) as file:
    ...     [json.loads(line)["epoch"] for line in file]
    [1, 2]
    """

    def line(self, row: dict[str, Any]) -> str:
        row = {name: value if value is not None and math.isfinite(value) else None for name, value in row.items()}
        return json.dumps(row, allow_nan=False) + "\n"
