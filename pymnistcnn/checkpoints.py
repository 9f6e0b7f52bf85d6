"""Checkpoints: all that a training needs to go on as if nothing had happened, in memory and in a file.

A checkpoint's file is a model's file, of the weights at that moment, with more in it: arrays whose names begin with
"training.", and "training" in its description.
"""

from __future__ import annotations

import json
import os
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from . import files
from ._types import Array, StrPath
from .callbacks import Callback
from .checks import number, shown, whole
from .datasets.atomic import only_writer
from .mapped import stretches

__all__ = ["Checkpoint"]

TRAINING = "training"


class Checkpoint:
    """Where and how often `fit` writes down all that it takes to go on: weights, optimizer, position, history.

    That is at the start, after every epoch, and when the training ends before its time: by `stop`, by Ctrl-C, by an
    error. `fit(..., resume=path)`, with the same data and arguments, goes on from there and gives the same bits as
    training in one go. `pm.load(path)` reads the file as a model.

    Parameters
    ----------
    path : file, always replaced as a whole: a computer that stops in the middle leaves the one before
    every : write also after every so many batches of an epoch
    notes : what else to keep in the file, anything that JSON can say

    ValueError if `every` is not a whole number from 1 on.

    Examples
    --------
    >>> import os, tempfile, pymnistcnn as pm
    >>> path = os.path.join(tempfile.mkdtemp(), "run.checkpoint")
    >>> train, test = pm.datasets.mnist()
    >>> model = pm.Sequential([pm.Flatten(), pm.Linear(10)], input_shape=(1, 28, 28))
    >>> history = model.fit(train[:500], epochs=2, progress=False, checkpoint=pm.Checkpoint(path, every=2))
    >>> again = pm.load(path).fit(train[:500], epochs=2, progress=False, resume=path)  # nothing is left to do
    >>> again == history
    True
    """

    every: int | None
    notes: dict[str, Any] | None
    path: str

    def __init__(self, path: StrPath, every: int | None = None, notes: dict[str, Any] | None = None) -> None:
        self.path, self.every = os.fspath(path), None if every is None else whole("every", every)
        self.notes, self._held = notes, False

    @contextmanager
    def held(self) -> Iterator[Any]:
        """While it lasts, the file is this checkpoint's alone; BlockingIOError if another training, of any process,
        writes it. May be entered again inside."""
        if self._held:
            yield
            return
        with only_writer(self.path):
            self._held = True
            try:
                yield
            finally:
                self._held = False

    def is_due(self, training: Any) -> bool:
        """Is the training at a place where the file is to be written?"""
        batch = training.batch
        between = self.every and 0 < batch < training.batches and batch % self.every == 0
        return bool(between) or training.stopped or training.epoch_is_over

    def write(self, snapshot: Snapshot) -> None:
        snapshot.write(self.path, self.notes)


class Snapshot:
    """A copy of all that a training changes as it goes on. It is taken between two slices, where all of that fits
    together, and put back after a failed one; written to a file, and filled from one."""

    history: Any
    live: dict[str, Array]
    numbers: dict[str, Any]
    states: list[Any]
    totals: Array
    vectors: dict[str, Array]

    def __init__(self, training: Any) -> None:
        self.training = training
        self.live = {"": training.network.param}  # by what the names of their arrays begin with
        self.live |= {f"{TRAINING}.moments.{i}.": moment for i, moment in enumerate(training.state.moments)}
        self.live[f"{TRAINING}.average."] = training.average
        self.live = {prefix: vector for prefix, vector in self.live.items() if vector is not None}
        self.vectors = {prefix: np.zeros_like(vector) for prefix, vector in self.live.items()}

    @property
    def rate_factor(self) -> float:
        return self.numbers["rate_factor"]

    def take(self) -> Snapshot:
        """Copy what is now; returns this snapshot."""
        training = self.training
        for prefix, vector in self.live.items():
            np.copyto(self.vectors[prefix], vector)
        self.history, epoch = training.history, len(training.history)  # it grows, so that its length will do
        self.totals = training.totals * (not training.epoch_is_over)
        self.numbers = dict(
            epoch=epoch, batch=0 if training.epoch_is_over else training.batch, steps=training.state.steps,
            epochs_trained=training.model.epochs_trained, rate_factor=float(training.rate_factor),
            learning_rate=training.learning_rate,
        )  # fmt: skip
        if training.data.streamed:
            self.numbers["stream"] = training.data.checksum_of(training.part) * (self.numbers["batch"] > 0)
        self.states = [c.state() for c in with_state(training.callbacks)] if training.checkpoint else []
        return self

    def put_back(self) -> None:
        """Let all be as it was; but callbacks, which `Training` restores."""
        training, numbers = self.training, self.numbers
        for prefix, vector in self.live.items():
            np.copyto(vector, self.vectors[prefix])
        for name, values in vars(self.history).items():
            getattr(training.history, name)[:] = values[: numbers["epoch"]]
        training.totals = self.totals.copy()
        training.epoch, training.batch = numbers["epoch"], numbers["batch"]
        training.state.steps, training.model.epochs_trained = numbers["steps"], numbers["epochs_trained"]
        training.rate_factor, training.learning_rate = numbers["rate_factor"], numbers["learning_rate"]

    # ---- in a file ----

    def arrays(self) -> dict[str, np.ndarray]:
        """All but the callbacks', by their names in a file."""
        named = {
            prefix + name: view
            for prefix, vector in self.vectors.items()
            for name, view in self.training.model.named(vector).items()
        }
        for name, values in vars(self.history).items():
            named[f"{TRAINING}.history.{name}"] = np.array(values[: self.numbers["epoch"]], np.float64)
        return {**named, f"{TRAINING}.totals": self.totals}

    def write(self, path: StrPath, notes: None = None) -> None:
        """Write a checkpoint's file."""
        training, arrays, states = self.training, self.arrays(), []
        for index, (callback, state) in enumerate(zip(with_state(training.callbacks), self.states, strict=True)):
            inside = {name: value for name, value in state.items() if isinstance(value, np.ndarray)}
            arrays |= {f"{TRAINING}.callbacks.{index}.{name}": array for name, array in inside.items()}
            plain = {name: value for name, value in state.items() if name not in inside}
            states.append({"class": type(callback).__name__, "state": plain})
        description = {
            **training.model.description(),
            TRAINING: {"settings": training.settings, "callbacks": states, "notes": notes, **self.numbers},
        }
        description = json.loads(json.dumps(description, allow_nan=False))
        description[TRAINING]["checksum"] = checksum_of_all(description, arrays)
        files.write(path, description, arrays, training.model)

    def fill(self, path: StrPath) -> Snapshot:
        """Take all from a checkpoint's file; a ValueError that names it if it is damaged, or of another training."""
        description, arrays = read(path)
        try:
            self._fill(description, arrays)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"{path}: its description of the training cannot be read: {shown(error)}") from None
        return self

    def _fill(self, description: dict[str, Any], arrays: dict[str, Array]) -> None:
        training, saved = self.training, description.pop(TRAINING)
        own = json.loads(json.dumps({**training.model.description(), **training.settings}))
        refuse_differences({**description, **saved["settings"]}, own)
        classes = [type(callback).__name__ for callback in with_state(training.callbacks)]
        refuse_differences({"callbacks": [state["class"] for state in saved["callbacks"]]}, {"callbacks": classes})

        batches = min(training.batches, 2**53)  # of a stream they may not be known
        most = dict(epoch=training.epochs, batch=batches, steps=2**63 - 1, epochs_trained=2**32 - 1)
        self.numbers = {name: whole(name, saved[name], 0, high) for name, high in most.items()}
        if training.data.streamed:
            self.numbers["stream"] = whole("stream", saved["stream"], 0, 2**32 - 1)
        self.numbers |= {name: number(name, saved[name], 0) for name in ("rate_factor", "learning_rate")}

        of_callbacks = {name: array for name, array in arrays.items() if name.startswith(f"{TRAINING}.callbacks.")}
        self._fill_arrays({name: array for name, array in arrays.items() if name not in of_callbacks})
        self.states = []
        for index, state in enumerate(saved["callbacks"]):
            prefix = f"{TRAINING}.callbacks.{index}."
            inside = {n.removeprefix(prefix): array for n, array in of_callbacks.items() if n.startswith(prefix)}
            self.states.append({**state["state"], **inside})

    def _fill_arrays(self, arrays: dict[str, Array]) -> None:
        epoch, validated = self.numbers["epoch"], self.training.validation is not None
        lengths = {
            name: epoch if validated or not name.startswith("validation") else 0 for name in vars(self.training.history)
        }
        self.totals = np.zeros_like(self.training.totals)
        self.history = type(self.training.history)(**{name: [0.0] * n for name, n in lengths.items()})
        own = self.arrays()
        files.check_shapes({name: array.shape for name, array in own.items()}, arrays)
        for name, array in own.items():
            if arrays[name].dtype != array.dtype:
                raise ValueError(f"{name} must be of {array.dtype}, not {arrays[name].dtype}")
            array[...] = arrays[name]  # but for the history's these are views
        for name in lengths:
            setattr(self.history, name, own[f"{TRAINING}.history.{name}"].tolist())


def with_state(callbacks: Any) -> list[Callback]:
    """Those that have something to go on with."""
    return [callback for callback in callbacks if type(callback).state is not Callback.state]


def read(path: StrPath) -> tuple[dict[str, Any], dict[str, Array]]:
    """The description and arrays of a checkpoint's file; a ValueError that names it if a single bit is not as it was
    written."""
    description, arrays = files.read(path)
    training = description.get(TRAINING)
    if not isinstance(training, dict):
        raise ValueError(f"{path}: a model, but not a checkpoint of its training")
    if training.pop("checksum", None) != checksum_of_all(description, arrays):
        raise ValueError(f"{path}: this checkpoint is damaged: its checksum is not that of what it holds")
    return description, arrays


def refuse_differences(
    theirs: dict[str, Any] | dict[str, list[Any]], ours: dict[str, Any] | dict[str, list[Any]]
) -> None:
    """ValueError that names what is not the same in a file and here."""
    different = []
    for name in sorted(theirs.keys() | ours.keys()):
        there, here = theirs.get(name), ours.get(name)
        if there != here:
            long = isinstance(there, dict) or len(str(there)) + len(str(here)) > 300
            different.append(name if long else f"{name} ({there} in the file, {here} here)")
    if different:
        raise ValueError(f"a checkpoint of another training: not the same {', '.join(different)}")


def checksum(*arrays: Any) -> str:
    """Of the bytes of arrays, or None."""
    crc = 0
    for array in arrays:
        for piece in [b"none"] if array is None else stretches(array):
            crc = zlib.crc32(piece, crc)
    return f"checksum {crc:08x}"


def checksum_of_all(description: dict[str, Any], arrays: dict[str, Array]) -> str:
    """Of everything in a file."""
    names = sorted(arrays)
    said = [description, [(name, arrays[name].dtype.str, arrays[name].shape) for name in names]]
    text = json.dumps(said, sort_keys=True).encode()
    return checksum(np.frombuffer(text, np.uint8), *(arrays[name] for name in names))


def described(thing: Any) -> str:
    """What a person would write to make it; the same in every process."""
    return re.sub(r" at 0x[0-9a-f]+", "", repr(thing))
