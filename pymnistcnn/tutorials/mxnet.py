"""MXNet's handwritten digits: a multilayer perceptron and LeNet, in its Python and its Julia variant.

Every weight starts within 0.01 of 0, as MXNet has it when it is told nothing else. LeNet then has so little to go on
that it says "1" to everything for its first epochs, 11 % right, before it takes off: no reason to stop it.
`glorot=True` starts it in proportion to the size of its layers, and it learns from the first batch on.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import numpy as np

import pymnistcnn as pm

from .._types import Array, ArrayLike, DTypeLike, StrPath
from . import Outcome, messages_to_stdout

log: logging.Logger = logging.getLogger(__name__)


class NDArrayIter:
    """Batches (images (n, 1, 28, 28), labels (n,)), in a new order every time if shuffled; labels None if there are
    none."""

    batch_size: int
    images: Array
    labels: Array | None
    rng: np.random.Generator
    shuffle: bool

    def __init__(
        self,
        images: ArrayLike,
        labels: ArrayLike | None = None,
        batch_size: int = 100,
        shuffle: bool = False,
        seed: int = 0,
    ) -> None:
        self.images, self.labels = images.reshape(len(images), 1, *images.shape[-2:]), labels
        self.batch_size, self.shuffle, self.rng = batch_size, shuffle, np.random.default_rng(seed)

    def __iter__(self) -> Iterator[Any]:
        n = len(self.images)
        order = self.rng.permutation(n) if self.shuffle else np.arange(n)
        for begin in range(0, n, self.batch_size):
            index = order[begin : begin + self.batch_size]
            yield self.images[index], None if self.labels is None else self.labels[index]


# ---- the networks ----


def mlp(start: Any) -> list[Any]:
    return [
        pm.Flatten(),
        pm.Linear(128, initializer=start),
        pm.ReLU(),
        pm.Linear(64, initializer=start),
        pm.ReLU(),
        pm.Linear(10, initializer=start),
    ]


def lenet(start: Any) -> list[Any]:
    return [
        pm.Conv2d(20, 5, initializer=start),
        pm.Tanh(),
        pm.MaxPool2d(2),
        pm.Conv2d(50, 5, initializer=start),
        pm.Tanh(),
        pm.MaxPool2d(2),
        pm.Flatten(),
        pm.Linear(500, initializer=start),
        pm.Tanh(),
        pm.Linear(10, initializer=start),
    ]


# ---- training ----


def mxnet_mlp(julia: bool = False, output: StrPath = "mxnet-mlp.safetensors", **settings: Any) -> Outcome:
    """The multilayer perceptron; other settings as in `run`."""
    return run(mlp, 0.96, julia_rate=0.1, julia=julia, output=output, **settings)


def mxnet_lenet(julia: bool = False, output: StrPath = "mxnet-lenet.safetensors", **settings: Any) -> Outcome:
    """LeNet; other settings as in `run`."""
    return run(lenet, 0.98, julia_rate=0.05, julia=julia, output=output, **settings)


def run(
    network: Any,
    floor: float,
    julia_rate: float,
    julia: bool,
    output: StrPath,
    glorot: bool = False,
    epochs: int | None = None,
    batch_size: int = 100,
    seed: int = 0,
    threads: int | None = None,
    isa: str | None = None,
    dtype: DTypeLike = "float32",
    limit: int | None = None,
    data: str | None = None,
    device: str | None = None,
) -> Outcome:
    """Train, predict, score, save.

    Parameters
    ----------
    julia : the settings of the Julia variant: momentum, weight decay, 20 epochs
    glorot : start from Glorot's uniform distribution, not uniform(0.01)
    epochs : 10, in the Julia variant 20, if not given
    limit : how many training items, all if not given
    data : what `pm.datasets.read` takes, MNIST if not given
    output : file for the trained network
    device : "cpu" or "cuda", MXNet's context; the fastest there is if neither it nor `isa` is given
    """
    device = device or (pm.devices()[-1] if isa is None else None)
    train, test = pm.datasets.read(data)
    train_iter = NDArrayIter(train.images[:limit], train.labels[:limit], batch_size, shuffle=True, seed=seed)
    images, labels = next(iter(train_iter))

    start = pm.initializers.GlorotUniform() if glorot else pm.initializers.Uniform(0.01)
    layers = [pm.Rescaling(1 / 255), *network(start)]  # softmax is part of the loss
    model = pm.Sequential(layers, input_shape=images.shape[1:], seed=seed, dtype=dtype)
    # The gradient is the batch's mean, as there, where its sum is divided by the batch size.
    sgd = pm.SGD(julia_rate, momentum=0.9, weight_decay=1e-5) if julia else pm.SGD(0.1)
    how = dict(threads=threads, isa=isa, device=device)
    with messages_to_stdout(log):
        log.info("batches of %s, labels %s", images.shape, labels.shape)
        history = model.fit(
            train_iter.images, train_iter.labels,
            epochs=epochs or (20 if julia else 10), batch_size=batch_size, optimizer=sgd, validation=test,
            callbacks=[pm.Speedometer(100, log.info), EpochLog()], progress=False, **how,
        )  # fmt: skip
    model.save(output)

    # Probabilities of images without labels.
    prob = predict(model, NDArrayIter(test.images, batch_size=batch_size), **how)
    assert prob.shape == (len(test), 10)

    # The accuracy, from labelled ones.
    acc = pm.Accuracy()
    score(model, NDArrayIter(test.images, test.labels, batch_size), acc, **how)
    print(acc)
    accuracy = acc.get()
    if limit is data is epochs is None and batch_size == 100:
        assert accuracy > floor, f"expected an accuracy over {floor}, got {accuracy}"
    acc.reset()
    return Outcome(accuracy, sum(history.seconds), len(history) * len(train_iter.images), len(history))


def predict(model: Any, batches: NDArrayIter, **how: Any) -> Array:
    """Probabilities (n, 10) of the images of all batches."""
    return np.concatenate([model.predict_proba(images, **how) for images, _ in batches])


def score(model: Any, batches: NDArrayIter, metric: Any, **how: Any) -> None:
    """Feed all batches to a metric."""
    for images, labels in batches:
        metric.update(labels, model.predict_outputs(images, **how))


class EpochLog(pm.Callback):
    """What MXNet logs after an epoch."""

    def on_epoch_end(self, training: Any) -> None:
        h, epoch = training.history, training.epoch
        log.info("Epoch[%d] Train-accuracy=%f", epoch, h.accuracy[-1])
        log.info("Epoch[%d] Time cost=%.3f", epoch, h.seconds[-1])
        log.info("Epoch[%d] Validation-accuracy=%f", epoch, h.validation_accuracy[-1])
