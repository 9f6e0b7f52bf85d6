"""The model zoo's convolutional network for MNIST, in Flux (Julia): a training loop in the open.

The library trains one epoch at a time here. What comes between epochs is written out: when to save, when to lower the
rate, when to stop. Images are seen with a little noise in training, a cheap augmentation.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pymnistcnn as pm

from .._types import Shape
from . import Outcome, messages_to_stdout

log: logging.Logger = logging.getLogger(__name__)


@dataclass
class Args:
    """The settings. `limit`: how many training items; `data`: what `pm.datasets.read` takes; None: all there is.
    `output`: the file for the best network, in the folder `savepath`."""

    lr: float = 3e-3
    epochs: int = 20
    batch_size: int = 128
    savepath: str = "./"
    output: str = "mnist_conv.safetensors"
    seed: int = 0
    threads: int | None = None
    isa: str | None = None
    dtype: str = "float32"
    limit: int | None = None
    data: str | None = None

    @property
    def file(self) -> Any:
        return Path(self.savepath, self.output)


def flux(**settings: Any) -> Outcome:
    """Train, then test what was saved; settings by name, such as `epochs=5`: those of `Args`."""
    args = Args(**settings)
    with messages_to_stdout(log):
        model, outcome = train(args)
        # A training that stops in its first epoch has saved nothing.
        return replace(outcome, test_accuracy=test(args)) if model.notes else outcome


def get_processed_data(args: Args) -> Any:
    train_set, test_set = pm.datasets.read(args.data)
    return train_set[: args.limit], test_set


def build_model(args: Args, imgsize: Shape = (28, 28, 1), nclasses: int = 10) -> Any:
    """Three times convolution, ReLU, max-pooling; then a dense layer that gives logits."""
    glorot = dict(initializer=pm.initializers.GlorotUniform())
    layers = [
        pm.Rescaling(1 / 255),  # pixels in [0, 1]
        pm.GaussianNoise(0.1),  # in training only
        pm.Conv2d(16, 3, padding=1, **glorot),
        pm.ReLU(),
        pm.MaxPool2d(2),
        pm.Conv2d(32, 3, padding=1, **glorot),
        pm.ReLU(),
        pm.MaxPool2d(2),
        pm.Conv2d(32, 3, padding=1, **glorot),
        pm.ReLU(),
        pm.MaxPool2d(2),
        pm.Flatten(),
        pm.Linear(nclasses, **glorot),
    ]
    height, width, channels = imgsize
    return pm.Sequential(layers, input_shape=(channels, height, width), seed=args.seed, dtype=args.dtype)


def accuracy(test_set: Any, model: Any, args: Args) -> float:
    """The share of images that are read right, all of them as one batch."""
    return model.score(test_set.images, test_set.labels, threads=args.threads, isa=args.isa)


def train(args: Args) -> Any:
    """Train until it is good enough, or no longer gets better; returns the model and what it came to."""
    log.info("Loading data set")
    train_set, test_set = get_processed_data(args)

    log.info("Building model...")
    model = build_model(args, imgsize=(*train_set.images.shape[1:], 1))
    loss = pm.CrossEntropyLoss()  # of logits
    opt = pm.Adam(args.lr)

    log.info("Beginning training loop...")
    acc = best_acc = seconds = 0.0
    last_improvement = 0
    for epoch in range(1, args.epochs + 1):
        started = time.perf_counter()
        try:
            model.fit(
                train_set, epochs=1, batch_size=args.batch_size, optimizer=opt, loss=loss, shuffle=False,
                progress=False, threads=args.threads, isa=args.isa,
            )  # fmt: skip
        except FloatingPointError:
            log.error("NaN params")
            break
        finally:
            seconds += time.perf_counter() - started

        acc = accuracy(test_set, model, args)
        log.info("[%d]: Test accuracy: %.4f", epoch, acc)
        if acc >= 0.999:
            log.info(" -> Early-exiting: We reached our target accuracy of 99.9%")
            break

        if acc >= best_acc:
            log.info(" -> New best accuracy! Saving model out to %s", args.output)
            model.notes = {"epoch": epoch, "accuracy": acc}
            model.save(args.file)
            best_acc, last_improvement = acc, epoch

        if epoch - last_improvement >= 5 and opt.lr > 1e-6:
            opt.lr /= 10
            log.warning(" -> Haven't improved in a while, dropping learning rate to %g!", opt.lr)
            last_improvement = epoch  # the new rate gets a few epochs of its own

        if epoch - last_improvement >= 10:
            log.warning(" -> We're calling this converged.")
            break
    return model, Outcome(acc, seconds, model.epochs_trained * len(train_set), model.epochs_trained)


def test(args: Args) -> float:
    """Build the network anew, load what was saved, and test it."""
    _, test_set = get_processed_data(args)
    model = build_model(args, imgsize=(*test_set.images.shape[1:], 1))
    model.load_state_dict(args.file)
    acc = accuracy(test_set, model, args)
    log.info("accuracy(test_set..., model) = %s", acc)
    return acc
