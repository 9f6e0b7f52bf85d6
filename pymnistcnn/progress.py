"""Progress: callbacks that show a training, or write down how it went, and do not change it."""

from __future__ import annotations

import functools
import json
import math
import os
import re
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


COLUMNS = 80  # of a terminal that does not say how wide it is
SHORTEST_BAR, LONGEST_BAR = 5, 40  # characters


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


class Cell:
    """A file that shows in a notebook what is written to it, as a terminal would: a line can be drawn over, and what is
    kept of it is how it looked at last."""

    encoding = "utf-8"

    def __init__(self) -> None:
        from IPython.display import display  # a notebook has it

        self._lines = [""]
        self._shown = display(self._output(), raw=True, display_id=True)

    def _output(self):
        return {"text/plain": "\n".join(self._lines).rstrip()}

    def write(self, text: str) -> None:
        for part in re.split("([\r\n])", text):
            if part == "\n":
                self._lines.append("")
            else:
                self._lines[-1] = "" if part == "\r" else self._lines[-1] + part

    def flush(self) -> None:
        self._shown.update(self._output(), raw=True)


class ProgressBar(Callback):
    """A bar while an epoch lasts, on a terminal or in a notebook, drawn by tqdm; and a line at its end, everywhere.
    `fit` adds one by itself.

    Parameters
    ----------
    file : where to write; standard error, or a notebook's cell, if not given
    bar : whether to draw the bar; where somebody looks if not given
    validation : what the validation data are called

    Nothing is coloured. What does not fit the terminal is left out.

    Examples
    --------
    >>> import io, pymnistcnn as pm
    >>> model = pm.Sequential([pm.Linear(2)], input_shape=(3,))
    >>> screen = io.StringIO()
    >>> history = model.fit(([[1.0, 2.0, 3.0]], [0]), callbacks=[pm.ProgressBar(screen)], progress=False)
    >>> screen.getvalue().startswith("epoch 1/1: loss ")
    True
    """

    file: Any
    bar: bool | None
    validation: str

    def __init__(self, file: Any = None, bar: bool | None = None, validation: str = "validation") -> None:
        self.file, self.bar, self.validation, self._tqdm = file, bar, validation, None

    def on_train_begin(self, training: Any) -> None:
        self._file = Unbreakable(self.file or (Cell() if in_notebook(sys.stderr) else sys.stderr))

    def on_epoch_begin(self, training: Any) -> None:
        if not (is_watched(self._file) if self.bar is None else self.bar):
            return
        from tqdm import tqdm

        # it draws nothing before the first slice
        total = training.samples if math.isfinite(training.samples) else None
        self._tqdm = tqdm(total=total, initial=training.batch * training.batch_size, file=self._file, leave=False,
                          delay=1e-9)  # fmt: skip

    def on_slice(self, training: Any) -> None:
        if self._tqdm is not None:
            done = min(training.batch * training.batch_size, training.samples)
            self._tqdm.ncols = columns_of(self._file) - 1
            self._tqdm.bar_format = bar_of(training, done, self._tqdm.ncols)
            self._tqdm.n = done
            self._tqdm.refresh()

    def on_epoch_end(self, training: Any) -> None:
        self._close()
        speed = f"{training.history.images_per_second[-1]:,.0f} images/s"
        words = epoch_in_words(training, self.validation)
        self._file.write(f"epoch {training.epoch + 1}/{training.epochs}: {words}, {speed}\n")
        self._file.flush()

    def on_train_end(self, training: Any) -> None:
        self._close(leave=True)  # where an epoch was broken off

    def _close(self, leave=False):
        if self._tqdm is not None:
            self._tqdm.leave = leave
            self._tqdm.close()
            self._tqdm = None


def progress_bars(progress: bool | None, verbose: int | None) -> list[Callback]:
    """What `fit` draws: by `progress`, or by Keras' `verbose`."""
    if verbose is None:
        return [ProgressBar()] * (progress is None or bool(progress))
    if progress is not None:
        raise ValueError(f"give progress={shown(progress)} or verbose={shown(verbose)}, not both")
    verbose = whole("verbose", verbose, 0, 2)
    return [ProgressBar(bar=False if verbose == 2 else None)] * bool(verbose)


def in_notebook(file: Any) -> bool:
    """Does the file show what is written to it in a notebook?"""
    return type(file).__module__.partition(".")[0] == "ipykernel"


def is_watched(file: Unbreakable) -> bool:
    """Can a bar be drawn there over and over, and does somebody see it?"""
    return isinstance(file.file, Cell) or (file.isatty() and os.environ.get("TERM") != "dumb")


def columns_of(file: Unbreakable) -> int:
    """How wide the terminal is that a file writes to; a usual one, where that is not known."""
    with suppress(OSError, ValueError, AttributeError):
        return os.get_terminal_size(file.fileno()).columns or COLUMNS
    return COLUMNS


def bar_of(training: Any, done: int, columns: int) -> str:
    """tqdm's format of the bar of an epoch, of which so many samples are done. What matters most comes first, and what
    has no room is left out."""
    from tqdm import tqdm

    head = f"epoch {training.epoch + 1}/{training.epochs} "
    speed = training.totals[3] / max(training.totals[4], 1e-9)
    parts = [*so_far(training).split(", "), f"{tqdm.format_sizeof(speed)} images/s"]
    if math.isinf(training.samples):  # a stream, whose end is not known
        return ", ".join([f"{head}{tqdm.format_sizeof(done)} images", *parts])[:columns]
    head += f"{done / training.samples:4.0%}"
    parts.insert(0, tqdm.format_interval((training.samples - done) / max(speed, 1e-9)) + " left")
    while parts and len(", ".join([head, *parts])) > columns:
        parts.pop()
    bar = min(columns - len("|| ".join([head, ", ".join(parts)])), LONGEST_BAR)
    return f"{head}|{{bar:{bar}}}| {', '.join(parts)}" if bar >= SHORTEST_BAR else ", ".join([head, *parts])[:columns]


def so_far(training: Any) -> str:
    """The running means of the epoch, under their names in the history."""
    return f"loss {training.loss:.4f}" + (f", accuracy {training.accuracy:.2%}" if training.of_classes else "")


def epoch_in_words(training: Any, validation: str) -> str:
    """What an epoch has given at its end."""
    history = training.history
    if training.of_classes and history.validation_accuracy:
        return f"{so_far(training)}, {validation} {history.validation_accuracy[-1]:.2%}"
    if history.validation_loss:
        return f"{so_far(training)}, {validation} loss {history.validation_loss[-1]:.4f}"
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
