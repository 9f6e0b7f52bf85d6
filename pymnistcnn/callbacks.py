"""Callbacks: what may look at, and stop, a training between its batches."""

from __future__ import annotations


class Callback:
    """Called by `fit` with the `training.Training` that is going on; every method may be left out.

    `every`: `on_batches` comes after every so many batches of an epoch, and after its last; None for never.
    `training.stop()` ends the training at once, with all that was learnt.

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

    def on_train_begin(self, training):
        """Before the first batch."""

    def on_epoch_begin(self, training):
        """Before each epoch."""

    def on_batches(self, training):
        """After every `every` batches: `training.batch` of `training.batches` are done."""

    def on_slice(self, training):
        """Some 20 times a second, whenever Python gets its turn: for what is drawn."""

    def on_epoch_end(self, training):
        """After each epoch and its validation: `training.history` has them."""

    def on_train_end(self, training):
        """At the end, however it came."""


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

    def __init__(self, file=None):
        self.file, self._bar = file, None

    def on_epoch_begin(self, training):
        from tqdm import tqdm

        self._bar = tqdm(
            total=training.samples,
            desc=f"epoch {training.epoch + 1}/{training.epochs}",
            unit="",
            unit_scale=True,
            file=self.file,
            dynamic_ncols=True,
            bar_format="{desc} {percentage:3.0f}%|{bar}| {rate_fmt}{postfix}",
        )

    def on_slice(self, training):
        done = min(training.batch * training.batch_size, training.samples)
        self._bar.set_postfix_str(f"loss {training.loss:.4f}, train {training.accuracy:.2%}", refresh=False)
        self._bar.update(done - self._bar.n)

    def on_epoch_end(self, training):
        text = f"loss {training.loss:.4f}, train {training.accuracy:.2%}"
        if training.history.validation_accuracy:
            text += f", test {training.history.validation_accuracy[-1]:.2%}"
        self._bar.set_postfix_str(text)
        self._bar.close()

    def on_train_end(self, training):
        if self._bar is not None:
            self._bar.close()
