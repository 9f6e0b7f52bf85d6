"""The epoch loop: order, slices, validation, history, callbacks. It is given a network; what a step does is
in csrc/run.c."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import numpy as np

from ._native import NotFinite

SLICE_SECONDS = 0.05  # how long C may run before Python looks at callbacks and Ctrl-C


@dataclass
class History:
    """What each epoch gave: a list each, an entry an epoch; the validation's are empty without one.

    loss and accuracy are means over the epoch, while the weights were learning; seconds are of training alone.

    Examples
    --------
    >>> import pymnistcnn as pm
    >>> train, test = pm.datasets.mnist()
    >>> model = pm.Sequential([pm.Flatten(), pm.Linear(10)], input_shape=(1, 28, 28))
    >>> history = model.fit(train[:100], epochs=2, validation=test[:100], progress=False)
    >>> len(history), len(history.validation_accuracy)
    (2, 2)
    """

    loss: list[float] = field(default_factory=list)
    accuracy: list[float] = field(default_factory=list)
    validation_loss: list[float] = field(default_factory=list)
    validation_accuracy: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    images_per_second: list[float] = field(default_factory=list)

    def __len__(self):
        return len(self.loss)


class Training:
    """A training that is going on, as callbacks see it.

    epoch, epochs : the current one (0 is the first) and how many there will be
    batch, batches : of this epoch, how many are done and how many there will be
    samples, batch_size : of an epoch, and of a batch
    loss, accuracy : means over this epoch so far
    history : History of the epochs before
    model : what is trained
    """

    def __init__(self, model, x, targets, epochs, batch_size, optimizer, schedule, shuffle, validation, callbacks,
                 isa, threads, clip_norm=None, average=None):  # fmt: skip
        self.model, self.network = model, model.network
        self.x, self.targets, self.validation = x, targets, validation
        self.clip_norm = clip_norm
        self.average = average and (self.network.param.copy(), average)
        self.epochs, self.batch_size, self.samples = epochs, batch_size, len(x)
        self.batches = -(-self.samples // batch_size)
        self.optimizer, self.schedule, self.shuffle = optimizer, schedule, shuffle
        self.callbacks, self.isa, self.threads = callbacks, isa, threads
        self.history = History()
        self.epoch = self.batch = 0
        self.loss = self.accuracy = float("nan")
        self._stopped = False
        self._steps_a_slice = 1

    def stop(self):
        """End the training when the callback that says so returns."""
        self._stopped = True

    def run(self) -> History:
        """All epochs. Ctrl-C and errors leave the weights as after the last step."""
        try:
            self._call("on_train_begin")
            for epoch in range(self.epochs):
                if self._stopped:
                    break
                self.epoch = epoch
                self._run_epoch()
        finally:
            self.swap_average()  # the model ends with it
            self._call("on_train_end")
        return self.history

    def swap_average(self):
        """Exchange the weights with their moving average, if there is one."""
        for parameter in self.network.parameters if self.average else ():
            if parameter.trained:
                here, there = (parameter.master(vector) for vector in (self.network.param, self.average[0]))
                here[...], there[...] = there.copy(), here.copy()

    def _call(self, hook):
        for callback in self.callbacks:
            getattr(callback, hook)(self)

    def _run_epoch(self):
        self.batch = 0
        self._call("on_epoch_begin")
        order = epoch_order(self.samples, self.network.seed, self.model.epochs_trained, self.shuffle)
        totals = np.zeros(5)  # loss, correct, weight, samples, seconds
        while self.batch < self.batches and not self._stopped:
            totals += self._run_slice(order)
            with np.errstate(invalid="ignore"):  # samples that all have weight 0
                self.loss, self.accuracy = float(totals[0] / totals[2]), float(totals[1] / totals[3])
            self._call("on_slice")
            for callback in self.callbacks:
                if callback.every and (self.batch % callback.every == 0 or self.batch == self.batches):
                    callback.on_batches(self)
        if self.batch:
            self._close_epoch(samples=totals[3], seconds=totals[4])
            self._call("on_epoch_end")

    def _run_slice(self, order):
        """Train the next batches of an epoch's order; returns summed loss, correct, weight, samples, seconds."""
        steps = min([self._steps_a_slice, self.batches - self.batch, *self._steps_to_callbacks()])
        begin, end = self.batch * self.batch_size, min((self.batch + steps) * self.batch_size, self.samples)
        started = time.perf_counter()
        losses, correct, weights = self._train_slice(order[begin:end], steps, begin)
        seconds = time.perf_counter() - started
        self._steps_a_slice = next_slice(steps, seconds)
        self.batch += steps
        return losses.sum(), correct.sum(), weights.sum(), end - begin, seconds

    def _steps_to_callbacks(self):
        return [c.every - self.batch % c.every for c in self.callbacks if c.every]

    def _close_epoch(self, samples, seconds):
        history = self.history
        self.model.epochs_trained += 1
        history.loss.append(self.loss)
        history.accuracy.append(self.accuracy)
        history.seconds.append(float(seconds))
        history.images_per_second.append(float(samples / seconds))
        if self.validation is not None:
            self.swap_average()
            loss, correct = self.network.evaluate(*self.validation, self.isa, self.threads)
            self.swap_average()
            history.validation_loss.append(loss)
            history.validation_accuracy.append(correct / len(self.validation[0]))

    def _train_slice(self, index, steps, first_position):
        first_step = self.epoch * self.batches + self.batch
        rates = self.schedule.rates(first_step, steps, self.epochs * self.batches)
        try:
            return self.network.train(
                self.x, self.targets, index, self.batch_size, self.optimizer, rates,
                self.model.epochs_trained, first_position, self.isa, self.threads, self.clip_norm, self.average,
            )  # fmt: skip
        except NotFinite as error:
            layer = self.network.layers[error.layer]
            raise FloatingPointError(
                f"training diverged: a parameter of layer {error.layer} ({layer}) became NaN or infinite in epoch "
                f"{self.epoch + 1}, batch {self.batch + error.done + 1}. Lower the learning rate, or look for NaN "
                "in the inputs"
            ) from None


def epoch_order(samples, seed, epoch, shuffle) -> np.ndarray:
    """Sample numbers in the order of an epoch: a function of seed and epoch (the epochs trained before)."""
    if not shuffle:
        return np.arange(samples)
    stream = np.uint64(2**63) + np.uint64(epoch)  # apart from the streams of the first weights
    return np.random.Generator(np.random.Philox(key=np.array([seed, stream], np.uint64))).permutation(samples)


def next_slice(steps, seconds) -> int:
    """How many steps to give to C next, so that they take about SLICE_SECONDS."""
    fitting = int(steps * SLICE_SECONDS / max(seconds, 1e-6))
    return max(1, min(fitting, 2 * steps))
