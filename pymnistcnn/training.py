"""The epoch loop: order, slices, validation, history, callbacks. It is given a network; what a step does is
in csrc/run.c."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from ._native import NotFinite, Target
from ._types import Array, StrPath
from .averages import StochasticAverage, decays_of
from .batch_norm import gather, has_batch_norm
from .checkpoints import Checkpoint, Snapshot, checksum, described, with_state
from .checks import names_in
from .losses import Loss
from .markup import table
from .mixing import Mixing, Mixture
from .network import EVALUATION_BATCH, Network, of_classes
from .optimizers import IN_TRAINING, Optimizer
from .ranks import Ranks
from .sources import Arrays, Part, epoch_order
from .stepping import Stepwise, runner_of
from .streams import Stream
from .target import arithmetic_of

__all__ = [
    "Diverged",
    "History",
]

SEEN_AGAIN = 16 * EVALUATION_BATCH  # samples that the statistics of batch norm are computed anew from
ROWS = 10  # of the first epochs, and of the last, in a notebook
SLICE_SECONDS = 0.1  # how long C may run before Python looks at callbacks and Ctrl-C


@dataclass
class History:
    """What each epoch gave: a list each, an entry an epoch; the validation's are empty without one.

    loss and accuracy are running means over the epoch, of each batch before its step: the weights were learning
    meanwhile. validation_loss and validation_accuracy are computed at its end. learning_rate is that of the epoch's
    last step; seconds are of training and of waiting for its data. `history` has the lists by name, as in Keras, and
    iteration gives a row an epoch: `pandas.DataFrame(history)` is a table of them.

    Examples
    --------
    >>> import pymnistcnn as pm
    >>> train, test = pm.datasets.mnist()
    >>> model = pm.Sequential([pm.Flatten(), pm.Linear(10)], input_shape=(1, 28, 28))
    >>> history = model.fit(train[:100], epochs=2, validation=test[:100], progress=False)
    >>> len(history), len(history.validation_accuracy)
    (2, 2)
    >>> list(history.history)[:4]
    ['loss', 'accuracy', 'validation_loss', 'validation_accuracy']
    """

    loss: list[float] = field(default_factory=list)
    accuracy: list[float] = field(default_factory=list)
    validation_loss: list[float] = field(default_factory=list)
    validation_accuracy: list[float] = field(default_factory=list)
    learning_rate: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    images_per_second: list[float] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.loss)

    @property
    def history(self) -> dict[str, list[float]]:
        """The lists that have entries, by name."""
        return {name: values for name, values in vars(self).items() if values}

    def __iter__(self) -> Iterator[Any]:
        """The numbers of each epoch, by name."""
        for row in zip(*self.history.values(), strict=True):
            yield dict(zip(self.history, row, strict=True))

    def plot(self, ax: Any = None, steps: Any = None) -> Array:
        """Draw loss, accuracy and learning rate: `pm.plots.history`, which says what it takes and returns. MissingExtra
        without `pip install 'pymnistcnn[plots]'`."""
        from .plots import history

        return history(self, ax, steps)

    def _repr_html_(self) -> str:
        """In a notebook: a row an epoch; of many, the first and the last ones."""
        names = list(self.history)
        rows = [[str(epoch), *(in_words(row[name]) for name in names)] for epoch, row in enumerate(self, 1)]
        if len(rows) > 2 * ROWS:
            rows[ROWS:-ROWS] = [["..."] * (len(names) + 1)]
        return table(["epoch", *(name.replace("_", " ") for name in names)], rows, text_columns=0)


def in_words(value: float) -> str:
    """A number of a history, for a table."""
    return f"{value:,.0f}" if 1e4 <= value < 1e15 else f"{value:.5g}"


class Diverged(FloatingPointError):
    """A step made a parameter, or a running mean or variance, NaN or infinite. Model and optimizer are again as they
    were before that step.

    layer : index of the parameter's layer
    epoch, batch : when it was, counted from 1
    images : (n,) numbers, in the training data, of the samples of that batch
    bad_images, bad_targets : those of them that hold NaN or infinity themselves

    Examples
    --------
    >>> import numpy as np, pymnistcnn as pm
    >>> x = np.ones((6, 3), np.float32)
    >>> x[4] = np.nan
    >>> model = pm.Sequential([pm.Linear(2)], input_shape=(3,))
    >>> try:
    ...     model.fit((x, [0, 1, 0, 1, 0, 1]), batch_size=2, shuffle=False, progress=False)
    ... except pm.Diverged as error:
    ...     print(error.layer, error.epoch, error.batch, error.images, error.bad_images)
    0 1 3 [4 5] [4]
    """

    layer: int
    epoch: int
    batch: int
    images: Array
    bad_images: Array
    bad_targets: Array

    def __init__(
        self, layer: int, name: Any, epoch: int, batch: int, numbers: Array, images: Any = (), targets: Any = ()
    ) -> None:
        self._given = layer, name, epoch, batch, numbers, images, targets
        self.layer, self.epoch, self.batch, self.images = layer, epoch, batch, numbers
        self.bad_images, self.bad_targets = images, targets
        bad = [f"{what} {names_in(which)}" for what, which in (("images", images), ("targets", targets)) if len(which)]
        why = f"NaN or infinity is in its {' and '.join(bad)}" if bad else (
            f"Its images, {names_in(numbers)}, are finite, and so are their targets: lower the learning rate"
        )  # fmt: skip
        super().__init__(
            f"training diverged: a parameter of layer {layer} ({name}) became NaN or infinite in epoch {epoch}, "
            f"batch {batch}. The weights are those before that batch. {why}"
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), self._given, vars(self)


@dataclass
class Settings:
    """How a training goes: what `fit` was asked for, checked."""

    epochs: int
    batch_size: int
    optimizer: Optimizer
    loss: Loss
    schedule: object
    callbacks: list[Any]
    target: Target
    threads: int
    clip_norm: float | None
    average: float | StochasticAverage | None
    checkpoint: Checkpoint | None
    ranks: Ranks | None = None
    mixing: Mixing | None = None


class Training:
    """A training that is going on, as callbacks see it.

    epoch, epochs : the current one (0 is the first) and how many there will be
    batch, batches : of this epoch, how many are done and how many there will be
    samples, batch_size : of an epoch, and of a batch; of a stream, samples and batches are infinite until it ends
    loss, accuracy : means over this epoch so far; accuracy is NaN where there are no classes, as in a regression
    totals : sums over this epoch so far: loss, correct, weight, samples, seconds
    learning_rate : of the last step, 0 before the first
    rate_factor : what the rates of all later steps are multiplied by; callbacks may change it
    history : History of the epochs before
    model : what is trained
    """

    average: Array | None
    batch: int
    batch_size: int
    batches: float
    callbacks: Any
    checkpoint: Checkpoint | None
    epoch: int
    of_classes: bool
    runner: Network | Stepwise
    epochs: int
    history: History
    learning_rate: float
    model: Any
    network: Any
    optimizer: Any
    rate_factor: float
    data: Arrays | Stream
    part: Part | None
    samples: float
    state: Any
    stopped: bool
    totals: Array
    validation: Any

    def __init__(self, model: Any, data: Arrays | Stream, validation: Any, settings: Settings) -> None:
        self.model, self.network = model, model.network
        self.runner = runner_of(self.network, settings.loss)
        self.data, self.part, self.validation = data, None, validation
        self.how = settings
        self.of_classes = of_classes(data.targets, model.output_shape)
        self.average = self.network.param.copy() if settings.average else None
        self.epochs, self.samples = settings.epochs, data.samples
        self.batch_size = min(settings.batch_size, self.samples)
        self.batches = batches_of(self.samples, self.batch_size)
        self.optimizer, self.callbacks, self.checkpoint = settings.optimizer, settings.callbacks, settings.checkpoint
        self.state = self.optimizer.state_for(self.network)
        self.history = History()
        self.epoch = self.batch = 0
        self.totals = np.zeros(5)
        self.learning_rate, self.rate_factor = 0.0, 1.0
        self.stopped = False
        self._averaged_at: int | None = None  # after how many steps the average was complete
        self._steps_a_slice = 1
        self._restored = []  # states of callbacks, from a checkpoint
        self._last, self._spare, self._kept = None, None, 0.0  # two snapshots in turn, and when the last was taken

    @property
    def loss(self) -> float:
        return mean(self.totals[0], self.totals[2])

    @property
    def accuracy(self) -> float:
        return mean(self.totals[1], self.totals[3]) if self.of_classes else math.nan

    @property
    def epoch_is_over(self) -> bool:
        """Is the current epoch in the history already?"""
        return self.epoch < len(self.history)

    def stop(self) -> None:
        """End the training when the callback that says so returns."""
        self.stopped = True

    @property
    def validated(self) -> np.ndarray:
        """The flat vector of what is validated: the average of the weights, if there is one, or the weights.
        `model.named` gives its views; they are not to be written to."""
        if self.average is None:
            return self.network.param
        self._complete_average()
        return self.average

    def _complete_average(self) -> None:
        """Give the average its buffers: those of the weights. But the statistics of batch norm are computed anew, from
        some of the training data: those that the weights have gathered are not those of their average. Where they
        would be NaN, as some data make them, they stay what they are."""
        if self._averaged_at == self.state.steps:
            return
        for parameter in self.network.parameters:
            if not parameter.trained:
                parameter.padded(self.average)[...] = parameter.padded(self.network.param)
        if has_batch_norm(self.network) and self.state.steps and not self.data.streamed:
            order = epoch_order(len(self.data.x), self.network.seed, 0, True, self.data.held_out)
            some = self.data.x[order[:SEEN_AGAIN]]
            gather(self.network, self.average, some, EVALUATION_BATCH, self.how.target, self.how.threads)
        self._averaged_at = self.state.steps

    def run(self) -> History:
        """All epochs, or what is left of them. Ctrl-C and errors leave the weights as after the last step."""
        held = self.checkpoint.held() if self.checkpoint else nullcontext()
        with held, self.network.resident(self.how.target, *self._arrays()):
            try:
                return self._run()
            finally:
                self._last = self._spare = None  # they hold this training: in a cycle, its data would stay in memory

    def _arrays(self) -> Iterator[Any]:
        """What every step reads: worth a place in a device's memory."""
        yield from self.data.resident
        for x, targets in [self.validation] if self.validation else []:
            yield from (x, *targets.arrays)

    def _run(self) -> History:
        try:
            self._call("on_train_begin")
            for callback, state in zip(with_state(self.callbacks), self._restored, strict=False):
                callback.restore(state)
            while len(self.history) < self.epochs and not self.stopped:
                self._run_epoch()
        except BaseException:
            if self.checkpoint and self._last:
                self.checkpoint.write(self._last)
            raise
        finally:
            with ExitStack() as everyone:  # whoever fails, the others are told
                for callback in reversed(self.callbacks):
                    everyone.callback(callback.on_train_end, self)
                self._end_with_average()
        return self.history

    def _end_with_average(self) -> None:
        """Let the weights be the average, in one go, whatever interrupts."""
        if self.average is None or not (self.history or self.batch):
            return
        try:
            self._complete_average()
        finally:
            np.copyto(self.network.param, self.average)

    def resume(self, path: StrPath) -> None:
        """Go on from a checkpoint's file; a ValueError, and nothing is changed, if it is not of this training."""
        snapshot = Snapshot(self).fill(path)
        snapshot.put_back()
        self.data.resume(self.batch * self.batch_size, snapshot.numbers.get("stream"))
        self._restored = snapshot.states

    @cached_property
    def settings(self) -> dict[str, Any]:
        """What must be the same for a training to go on, as what JSON can say."""
        return {**self.data.described(), **self.arguments}

    @property
    def arguments(self) -> dict[str, Any]:
        """All of that but the training data."""
        average = self.how.average
        validation = self.validation and checksum(self.validation[0], *self.validation[1].arrays)
        return {
            "seed": self.network.seed,
            "epochs": self.epochs,
            "batch size": self.batch_size,
            "optimizer": described(self.optimizer),
            "schedule": described(self.how.schedule),
            "loss": described(self.how.loss),
            "clip_norm": self.how.clip_norm,
            "arithmetic": arithmetic_of(self.how.target),
            "average": described(average) if isinstance(average, StochasticAverage) else average,
            "mixing": self.how.mixing and described(self.how.mixing),
            "validation data": validation,
        }

    @property
    def beginning(self) -> str:
        """What tells it from other trainings, without a look into a mapped file."""
        vectors, data = checksum(self.network.param, *self.state.moments), self.data.described(mapped=False)
        return f"{vectors} {described(self.network.layers)} {self.data.samples} {data} {self.arguments}"

    @property
    def place(self) -> str:
        """How far it has come."""
        return f"epoch {self.epoch}, batch {self.batch}, weights {checksum(self.network.param)}"

    def _call(self, hook: str) -> None:
        for callback in self.callbacks:
            getattr(callback, hook)(self)

    def _run_epoch(self) -> None:
        if self.epoch_is_over:
            self.epoch, self.batch, self.totals = len(self.history), 0, np.zeros(5)
            self.samples = self.data.samples
            self.batches = batches_of(self.samples, self.batch_size)
        self._call("on_epoch_begin")
        self.part = None
        self._keep()
        begin = self.batch * self.batch_size
        with closing(self.data.parts(self.network.seed, self.model.epochs_trained, self.batch_size, begin)) as parts:
            while not self.stopped and (part := self._next(parts)) is not None:
                self._run_part(part)
        if self.batch:
            self._close_epoch()
            self._call("on_epoch_end")
        if self.batch == self.batches:  # an epoch that was cut short is to be gone on with where it was cut
            self._keep()

    def _next(self, parts: Iterator[Part]) -> Part | None:
        """The next part of an epoch; waiting for it takes time of the training."""
        started = time.perf_counter()
        part = next(parts, None)
        if self.how.ranks is not None and self.data.streamed:
            what = part and (part.first, part.count, part.is_last, part.checksum)
            self.how.ranks.check_same("what a stream gives", str(what))
        self.totals[4] += time.perf_counter() - started
        return part

    def _run_part(self, part: Part) -> None:
        self.part = part
        if part.is_last:
            self.samples = part.first + part.count
            self.batches = batches_of(self.samples, self.batch_size)
        if self._last.numbers["batch"] != self.batch:  # what can be done again are the steps of this part
            self._take()
        with self.network.resident(self.how.target, part.index):
            self._run_batches(batches_of(part.first + part.count, self.batch_size))

    def _run_batches(self, end: float) -> None:
        while self.batch < end and not self.stopped:
            self._run_slice(end)
            self._call("on_slice")
            for callback in self.callbacks:
                if callback.every and (self.batch % callback.every == 0 or self.batch == self.batches):
                    callback.on_batches(self)
            self._keep(unless_fresh=True)

    def _keep(self, unless_fresh: bool = False) -> None:
        """Between two slices all fits together: keep a copy, and write it down if it is time to.

        Slices may be short: without a checkpoint, if the last copy is fresh, the steps since then can be done again.
        """
        first, now = self._last is None, time.perf_counter()
        fresh = now < self._kept + SLICE_SECONDS and self._last.rate_factor == self.rate_factor
        if unless_fresh and fresh and not self.checkpoint:
            return
        self._take()
        if self.checkpoint and (first or self.checkpoint.is_due(self)):
            self.checkpoint.write(self._last)

    def _take(self) -> None:
        taken = (self._spare or Snapshot(self)).take()
        self._spare, self._last, self._kept = self._last, taken, time.perf_counter()

    def _run_slice(self, end: float) -> None:
        """Train the next batches, up to one of the epoch. If one fails, those before it are kept; if this is
        interrupted, none of them are."""
        begin, seconds = self.batch, self.totals[4]
        steps = min([self._steps_a_slice, end - self.batch, *self._steps_to_callbacks()])
        try:
            self._train(steps)
        except NotFinite as error:
            self._go_back_to(begin + error.done)
            raise self._diverged(error.layer) from None
        except BaseException:
            self._go_back_to(begin)
            raise
        self._steps_a_slice = next_slice(steps, self.totals[4] - seconds)

    def _go_back_to(self, batch: int) -> None:
        """Let all be, to the bit, as after so many batches of the epoch."""
        self._last.put_back()
        self._averaged_at = None
        if batch > self.batch:
            self._train(batch - self.batch)

    def _diverged(self, leaf: int) -> Diverged:
        """What is raised where the next batch makes a parameter of a leaf NaN or infinite."""
        layer, places = self.network.owners[leaf], self._places(1)
        (x, targets, index, _), images, bad = self.part.between(*places), self.part.named(*places), {}
        for name, array in (("images", x), ("targets", targets.values)):
            if array is not None and array.dtype.kind == "f":
                array = array if index is None else array[index]
                bad[name] = images[~np.isfinite(array).reshape(len(images), -1).all(axis=1)]
        return Diverged(layer, self.network.layers[layer], self.epoch + 1, self.batch + 1, images, **bad)

    def _steps_to_callbacks(self) -> list[Any] | list[int]:
        return [c.every - self.batch % c.every for c in [*self.callbacks, self.checkpoint] if c and c.every]

    def _places(self, steps: int) -> tuple[int, int]:
        """Of the samples of the next steps in the epoch."""
        begin, behind = self.batch * self.batch_size, self.part.first + self.part.count
        return begin, min(begin + steps * self.batch_size, behind)

    def _rates(self, steps: int) -> Array:
        if self.samples == math.inf:  # of a stream that does not say how much comes: the rate is constant
            return self.how.schedule.rates(0, steps, steps)
        return self.how.schedule.rates(self.epoch * self.batches + self.batch, steps, self.epochs * self.batches)

    def _averaging(self, steps: int) -> tuple[Array, Array] | None:
        """The vector of the average, and how much of it stays at each of the next steps."""
        if self.average is None:
            return None
        first, total = self.epoch * self.batches + self.batch, self.epochs * self.batches
        return self.average, decays_of(self.how.average, first, steps, total)

    def _train(self, steps: int) -> None:
        """The next steps of the epoch."""
        begin, end = self._places(steps)
        x, targets, index, numbers = self.part.between(begin, end)
        rates = self._rates(steps) * self.rate_factor
        started = time.perf_counter()
        results = self.runner.train(
            x, targets, self.how.loss, index, self.batch_size, self.optimizer, rates,
            self.model.epochs_trained, begin, self.how.target, self.how.threads, self.how.clip_norm,
            self._averaging(steps), numbers=numbers, ranks=self.how.ranks, mixture=self._mixture(begin, end, index),
        )  # fmt: skip
        seconds = time.perf_counter() - started
        # One after the other, so that sums do not depend on where slices end.
        self.totals[:3] = np.add.accumulate(np.vstack([self.totals[:3], np.transpose(results)]))[-1]
        self.totals[3:] += end - begin, seconds
        self.batch += steps
        self.learning_rate = float(rates[-1])

    def _mixture(self, begin: int, end: int, index: Array | None) -> Mixture | None:
        if self.how.mixing is None:
            return None
        network, epoch = self.network, self.model.epochs_trained
        named = self.part.named(begin, end)
        return self.how.mixing.draw(named, index, self.batch_size, network.seed, epoch, network.input_shape)

    def _close_epoch(self) -> None:
        history, validation = self.history, None
        self.model.epochs_trained += 1
        if self.validation is not None:
            how = self.how.loss, self.how.target, self.how.threads
            validation = self.runner.evaluate(*self.validation, *how, param=self.validated)
        history.loss.append(self.loss)
        history.accuracy.append(self.accuracy)
        history.seconds.append(float(self.totals[4]))
        history.images_per_second.append(float(self.totals[3] / self.totals[4]))
        history.learning_rate.append(self.learning_rate)
        if validation is not None:
            history.validation_loss.append(validation[0])
            share = validation[1] / len(self.validation[0])
            history.validation_accuracy.append(share if self.of_classes else math.nan)


@contextmanager
def in_no_other_training(*things: Any) -> Iterator[Any]:
    """While it lasts, these, a model and an optimizer, are in one training; ValueError if one is in another."""
    mine = os.getpid(), object()  # a child that was forked meanwhile is not in it
    try:
        for thing in things:
            found = vars(thing).setdefault(IN_TRAINING, mine)
            if found is not mine and found[0] == os.getpid():
                raise ValueError(
                    f"this {type(thing).__name__} is in another training at the moment: each needs its own"
                )
            vars(thing)[IN_TRAINING] = mine
        yield
    finally:
        for thing in things:
            if vars(thing).get(IN_TRAINING) is mine:
                del vars(thing)[IN_TRAINING]


def batches_of(samples: float, batch_size: int) -> float:
    """How many steps an epoch has, or infinity."""
    return samples if samples == math.inf else -(-samples // batch_size)


def mean(total: float, count: float) -> float:
    """NaN over nothing, as before the first batch, or over samples that all have weight 0."""
    return float(total / count) if count else float("nan")


def next_slice(steps: int, seconds: float) -> int:
    """How many steps to give to C next, so that they take about SLICE_SECONDS."""
    fitting = int(steps * SLICE_SECONDS / max(seconds, 1e-6))
    return max(1, min(fitting, 2 * steps))
