"""Calibration: how far a network's probabilities can be trusted, and a temperature that makes them so."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import takewhile
from typing import Any, Self

import numpy as np

from ._types import Array, ArrayLike
from .callbacks import Callback
from .checks import whole
from .datasets import Dataset
from .layers import Linear, LogSoftmax, Rescaling, Softmax
from .layers.randomness import AUGMENTING
from .model import Sequential, both_of
from .stepping import runner_of
from .target import target_of

__all__ = [
    "Calibrate",
    "Calibration",
    "calibrate",
]

BINS = 15
LOWEST, HIGHEST, DIGITS = 0.1, 10.0, 3  # of a temperature; its digits are the same on every processor
UNSEEN = 2**63  # to the model's seed: that of pictures which it was not trained on
STEPS = 60  # of bisection: a float64's bits
BATCH = 500  # pictures that are augmented together


@dataclass(frozen=True)
class Calibration:
    """How sure answers were, beside how many were right.

    error : expected calibration error (Guo et al., 2017), from 0 to 1: the distance between mean confidence and
        accuracy in each of 15 bins of equal width, weighted by the answers in it
    confidence : mean probability of the classes that were answered
    when_wrong : the same of the wrong answers alone; NaN if there is none

    Examples
    --------
    >>> import pymnistcnn as pm
    >>> pm.Calibration.of([[0.75, 0.25], [0.5, 0.5]], [0, 1])
    Calibration(error=0.375, confidence=0.625, when_wrong=0.5)
    """

    error: float
    confidence: float
    when_wrong: float

    @classmethod
    def of(cls, probabilities: ArrayLike, labels: ArrayLike) -> Self:
        """Of probabilities (n, classes) and labels (n,); ValueError if they are not so."""
        p, y = np.asarray(probabilities), np.asarray(labels)
        if p.ndim != 2 or y.shape != p.shape[:1] or not p.size:
            raise ValueError(f"probabilities must be (n, classes), and labels (n,), not {p.shape} and {y.shape}")
        sure, right = p.max(axis=1).astype(np.float64), p.argmax(axis=1) == y
        bins = np.minimum((sure * BINS).astype(int), BINS - 1)
        gaps = np.bincount(bins, sure - right, BINS)
        wrong = float(sure[~right].mean()) if not right.all() else math.nan
        return cls(float(np.abs(gaps).sum() / len(y)), float(sure.mean()), wrong)


def calibrate(
    model: Sequential,
    x: Dataset | tuple[ArrayLike, ArrayLike] | ArrayLike,
    y: ArrayLike | None = None,
    *,
    threads: int | None = None,
    isa: str | None = None,
) -> float:
    """Divide a model's logits by the temperature (Guo et al., 2017) that makes its probabilities most likely.

    The temperature goes into the weights and the bias of the last Linear layer: it is saved with the model, and there
    in every form that it is exported to. The classes that are answered stay the same.

    Parameters
    ----------
    model : Sequential that ends in Linear, or in Linear and Softmax or LogSoftmax behind it
    x, y : samples that it was not trained on and their labels (n,), as in `Sequential.evaluate`

    Returns the temperature, from 0.1 to 10, rounded to three digits: above 1, the model was too sure. ValueError for
    another model, or data that do not fit it.

    Examples
    --------
    >>> import numpy as np, pymnistcnn as pm
    >>> model = pm.Sequential([pm.Linear(2, initializer=pm.initializers.Zeros())], input_shape=(1,))
    >>> model.load_state_dict({"0.weight": [[0.0], [9.0]], "0.bias": [0.0, -4.5]})
    >>> x, y = np.repeat([[0.0], [1.0]], 500, axis=0), np.repeat([0, 1, 1, 0], [450, 50, 450, 50])
    >>> pm.calibrate(model, x, y)  # it is right in nine of ten
    2.05
    >>> model.predict_proba([[1.0]]).round(2)
    array([[0.1, 0.9]], dtype=float32)
    """
    last_linear(model)
    inputs, labels = (x, y) if y is not None else both_of(x, "data")
    inputs = model.network.inputs(inputs)
    labels = model.network.class_labels(labels, len(inputs))
    return divide(model, runner_of(model.network).predict(inputs, target_of(isa), threads), labels)


class Calibrate(Callback):
    """Calibrate a model at the end of its training, on pictures that it has never seen: training pictures, newly
    augmented. So all of them may be trained on, and no other data are needed. On MNIST this comes nearer to the best
    temperature than 2,000 held-out pictures do.

    For a model that begins with Augmentation, Morphology or RandomErasing, or several of them, maybe behind Rescaling;
    ValueError for any other, which `calibrate` can do with held-out samples.

    samples : how many; the first of the training data

    `temperature`, after `fit`, is what `calibrate` gave. Callbacks that change the weights at the end, such as
    BestCheckpoint, go first.

    Examples
    --------
    >>> import pymnistcnn as pm
    >>> train, test = pm.datasets.mnist()
    >>> model = pm.Sequential([pm.Rescaling(1 / 255), pm.Augmentation(shift=1), pm.Flatten(), pm.Linear(10)],
    ...                       input_shape=(1, 28, 28))
    >>> calibrate = pm.Calibrate(samples=500)
    >>> history = model.fit(train[:1000], callbacks=[calibrate], progress=False)
    >>> 0.1 < calibrate.temperature < 10
    True
    """

    samples: int
    temperature: float | Any  # None before the first training

    def __init__(self, samples: int = 5000) -> None:
        self.samples, self.temperature, self._ready = whole("samples", samples), None, False

    def on_train_begin(self, training: Any) -> None:
        self.temperature, self._ready = None, False
        last_linear(training.model)
        augmenting(training.model)
        if training.data.streamed:
            raise ValueError("Calibrate needs arrays to look at again, not a stream")
        if training.data.targets.labels is None:
            raise ValueError("Calibrate needs labels to train on, not values")
        self._ready = True

    def on_train_end(self, training: Any) -> None:
        ready, self._ready = self._ready, False
        if not ready or not (len(training.history) or training.batch):
            return
        model, labels = training.model, training.data.targets.labels[: self.samples]
        unseen = augmented(model, training.data.x[: self.samples])
        outputs = [training.runner.predict(part, target_of(None), training.how.threads) for part in unseen]
        self.temperature = divide(model, np.concatenate(outputs), labels)


def last_linear(model: Sequential) -> Linear:
    """The layer that gives a model's logits."""
    *_, before, last = [None, *model.layers]
    layer = before if isinstance(last, (Softmax, LogSoftmax)) else last
    if not isinstance(layer, Linear) or model.output_shape == (1,):
        raise ValueError(f"calibration is of a model that ends in the logits of a Linear layer, not in {last}")
    return layer


def divide(model: Sequential, outputs: Array, labels: Array) -> float:
    """Divide a model's logits by the temperature that its outputs for samples of these labels say, and return it."""
    temperature = temperature_of(logits_of(model, outputs), labels)
    for parameter in last_linear(model).parameters.values():
        parameter /= parameter.dtype.type(temperature)
    return temperature


def logits_of(model: Sequential, outputs: Array) -> Array:
    """The logits of outputs, but for a number that is added to each of a sample, as float64."""
    logits = outputs.astype(np.float64)
    return np.log(np.maximum(logits, 1e-300)) if isinstance(model.layers[-1], Softmax) else logits


def temperature_of(logits: Array, labels: Array) -> float:
    """What logits (n, classes) are divided by so that labels (n,) are most likely: where the mean logit of the labels
    is that which the probabilities expect. One label more counts, which may be any (Platt, 1999): where all answers
    are right, the next one may be wrong."""
    one = 1 / (len(labels) + 1)
    wanted = (1 - one) * logits[np.arange(len(labels)), labels].mean() + one * logits.mean()
    low, high = math.log(LOWEST), math.log(HIGHEST)
    logits_from_the_largest = logits - logits.max(axis=1, keepdims=True)
    for _ in range(STEPS):
        middle = (low + high) / 2
        p = np.exp(logits_from_the_largest / math.exp(middle))
        expected = ((p * logits).sum(axis=1) / p.sum(axis=1)).mean()
        low, high = (low, middle) if expected < wanted else (middle, high)
    return float(f"{math.exp(high):.{DIGITS}g}")


def augmenting(model: Sequential) -> list[Any]:
    """The layers that a model begins with, up to the last of its augmentation."""
    start = int(isinstance(model.layers[0], Rescaling))
    random = list(takewhile(lambda layer: isinstance(layer, AUGMENTING), model.layers[start:]))
    if not random:
        raise ValueError(
            "Calibrate needs a model that begins with Augmentation, maybe behind Rescaling; of any other, "
            "calibrate(model, x, y) takes held-out samples"
        )
    return [*model.layers[:start], *random]


def augmented(model: Sequential, x: Array) -> Iterator[Array]:
    """Batches of pictures as a model's first layers augment them, at another seed, in the numbers that it takes."""
    first = augmenting(model)
    seed = (model.network.seed + UNSEEN) % 2**64
    own = Sequential([layer.unbuilt() for layer in first], model.input_shape, seed, model.dtype.name)
    for start in range(0, len(x), BATCH):
        seen = own.forward(x[start : start + BATCH])
        if isinstance(first[0], Rescaling):
            seen = (seen - first[0].offset) / first[0].scale
        yield seen.astype(model.dtype)
