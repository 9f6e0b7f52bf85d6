"""Victor Zhou, "CNNs, Part 1" and "Part 2": a network small enough to write down every formula (victorzhou.com).

    28x28 image -> 8 filters of 3x3 -> 26x26x8 -> largest of every 2x2 -> 13x13x8 -> linear -> softmax -> 10

It has no activation, and learns from one image at a time. There are two ways to run it:

- by layers, as `fit` runs any network: the default;
- by hand, through `pymnistcnn.scratch`, which has the text's three classes and their `forward` and `backprop`.

Both do the same, to the last digits, but for one thing. Where a 2x2 region has several largest values, as on the
flat background of every digit, the text's loop sends the gradient to each of them, and a layer to the first alone.
On images without ties, such as noise, they cannot be told apart. On 1,000 digits the loop's way is a little better:
over 12 seeds 0.818 of the test digits are right by hand, 0.810 by layers, either give or take 0.02.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np

import pymnistcnn as pm
from pymnistcnn.scratch import Conv3x3, MaxPool2, Softmax

from .._types import Array, ArrayLike, DTypeLike, StrPath
from . import Outcome


def scratch(
    epochs: int = 3,
    batch_size: int = 1,
    seed: int = 0,
    threads: int | None = None,
    isa: str | None = None,
    dtype: DTypeLike = "float64",
    limit: int | None = None,
    data: str | None = None,
    output: StrPath = "scratch.safetensors",
    by_hand: bool = False,
    full: bool = False,
) -> Outcome:
    """Run it: 1,000 images to learn from (`limit`, if given) and 1,000 to test on, or, with `full`, all there are.

    `by_hand` takes batches of 1 and float64, as the text does; ValueError for others. `data` is what
    `pm.datasets.read` takes; the network is saved to `output`.
    """
    train, test = pm.datasets.read(data)
    train = train[: limit or (None if full else 1000)]
    test = test[: None if full else 1000]

    height, width = ((side - 2) // 2 for side in train.images.shape[1:])  # 13 x 13
    model = pm.Sequential(
        [
            pm.Rescaling(1 / 255, -0.5),
            pm.Conv2d(8, 3, bias=False, initializer=pm.initializers.Normal(1 / 9)),
            pm.MaxPool2d(2),
            pm.Flatten(),
            pm.Linear(10, initializer=pm.initializers.Normal(1 / (height * width * 8))),
        ],
        input_shape=(1, *train.images.shape[1:]),
        seed=seed,
        dtype=dtype,
    )
    if by_hand and (batch_size != 1 or model.dtype != np.float64):
        raise ValueError(f"by hand, batches are of 1 and numbers float64, not batches of {batch_size} in {model.dtype}")
    way = ByHand(model, isa, quiet=full) if by_hand else ByLayers(model, batch_size, threads, isa, quiet=full)
    print("MNIST CNN initialized!")

    shuffle, seconds = np.random.default_rng(seed), 0.0
    for epoch in range(epochs):
        print(f"--- Epoch {epoch + 1} ---")
        train = train[shuffle.permutation(len(train))]
        started = time.perf_counter()
        loss, accuracy = way.learn(train)
        seconds += time.perf_counter() - started
        if full:
            val_loss, val_acc = way.test(test)
            print(f"loss: {loss:.4f} - acc: {accuracy:.4f} - val_loss: {val_loss:.4f} - val_acc: {val_acc:.4f}")

    print("\n--- Testing the CNN ---")
    loss, accuracy = way.test(test)
    print("Test Loss:", loss)
    print("Test Accuracy:", accuracy)
    model.save(output)
    return Outcome(accuracy, seconds, epochs * len(train), epochs)


def report(step: Any, loss: Any, accuracy: Any) -> None:
    """Means over the last 100 steps. (The text reports just before every hundredth, so that its first are 99.)"""
    print(f"[Step {step}] Past 100 steps: Average Loss {loss:.3f} | Accuracy: {100 * accuracy:.0f}%")


class ByLayers(pm.Callback):
    """Let the library do it. It calls back every 100 steps."""

    batch_size: int
    before: Array
    callbacks: list[ByLayers]
    how: dict[str, Any]
    model: Any
    optimizer: Any

    every: int | None = 100

    def __init__(self, model: Any, batch_size: int, threads: int | None, isa: str | None, quiet: bool) -> None:
        self.model, self.batch_size, self.optimizer = model, batch_size, pm.SGD(0.005)
        self.how, self.callbacks = dict(threads=threads, isa=isa), [] if quiet else [self]

    def learn(self, train: Any) -> tuple[float, float]:
        history = self.model.fit(train, epochs=1, batch_size=self.batch_size, optimizer=self.optimizer,
                                 shuffle=False, callbacks=self.callbacks, progress=False, **self.how)  # fmt: skip
        return history.loss[0], history.accuracy[0]

    def test(self, test: Any) -> tuple[float, float]:
        result = self.model.evaluate(test, **self.how)
        return result.loss, result.accuracy

    def on_epoch_begin(self, training: Any) -> None:
        self.before = np.zeros(3)

    def on_batches(self, training: Any) -> None:
        """The library has means over the epoch so far; the past 100 steps are what their sums gained."""
        seen = min(training.batch * training.batch_size, training.samples)
        sums = np.array([seen, seen * training.loss, seen * training.accuracy])
        images, loss, correct = sums - self.before
        self.before = sums
        if training.batch % 100 == 0:
            report(training.batch, loss / images, correct / images)


class ByHand:
    """Step through every formula, as the text does."""

    conv: Any
    convolution: Any
    height: Any
    linear: Any
    pool: Any
    softmax: Any
    width: Any

    def __init__(self, model: Any, isa: str | None, quiet: bool) -> None:
        self.convolution, self.linear = model.layers[1].parameters, model.layers[4].parameters
        _, self.height, self.width = model.layers[2].output_shape(model.layers[1].output_shape(model.input_shape))
        self.conv, self.pool = Conv3x3(8), MaxPool2()
        self.softmax = Softmax(self.height * self.width * 8, 10)
        for part in (self.conv, self.pool, self.softmax):
            part.isa = isa
        self.quiet = quiet
        # the start of the model, so that the two ways can be compared
        self.conv.filters = self.convolution["weight"][:, 0].copy()
        weights = self.linear["weight"].reshape(10, 8, self.height, self.width)
        self.softmax.weights = weights.transpose(2, 3, 1, 0).reshape(-1, 10)

    def forward(self, image: ArrayLike, label: Any) -> Any:
        """Probabilities, the cross-entropy loss, and whether the likeliest is the label."""
        out = self.conv.forward(image / 255 - 0.5)
        out = self.pool.forward(out)
        out = self.softmax.forward(out)
        return out, -np.log(out[label]), np.argmax(out) == label

    def step(self, image: ArrayLike, label: Any, learn_rate: float = 0.005) -> Any:
        out, loss, correct = self.forward(image, label)

        gradient = np.zeros(10)
        gradient[label] = -1 / out[label]
        gradient = self.softmax.backprop(gradient, learn_rate)
        gradient = self.pool.backprop(gradient)
        self.conv.backprop(gradient, learn_rate)
        return loss, correct

    def learn(self, train: Any) -> Any:
        past = []
        for image, label in zip(train.images, train.labels, strict=True):
            past.append(self.step(image, label))
            if len(past) % 100 == 0 and not self.quiet:
                report(len(past), *np.mean(past[-100:], axis=0))
        self.hand_back()
        return np.mean(past, axis=0)

    def test(self, test: Any) -> Any:
        results = [self.forward(image, label)[1:] for image, label in zip(test.images, test.labels, strict=True)]
        loss, accuracy = np.mean(results, axis=0)
        return float(loss), float(accuracy)

    def hand_back(self) -> None:
        """Give the model what was learnt: filters first, where here they are last."""
        self.convolution["weight"][:, 0] = self.conv.filters
        weights = self.softmax.weights.reshape(self.height, self.width, 8, 10)
        self.linear["weight"][...] = weights.transpose(3, 2, 0, 1).reshape(10, -1)
        self.linear["bias"][...] = self.softmax.biases
