"""Gorgonia's convolutional network (gorgonia.org/tutorials/mnist): three convolutions, and a cost without logarithm.

The cost is the mean over *all* elements, 10 a row, of -(probability x target). RMSprop has its epsilon *inside* the
root: a weight moves by 0.001 g / sqrt(v + 1e-8), where v, the running mean of g squared, starts at 0 and takes in a
thousandth of it a step. The pair matters, as this cost does not forgive. A logarithm would pull hardest where a class
has the least probability; without it that probability is a factor of the gradient, and a class that has lost it
hardly learns any more.

- Epsilon outside the root: at the first step v is a thousandth of g squared, so that *every* weight moves by 0.001 /
  sqrt(0.001) = 0.032, however small its gradient: about as far as it was from 0. One class takes all the probability,
  for good: 11 % right.
- Inside, epsilon outweighs v as long as gradients are small, and here they are: some 1e-5 at first, where 3e-3 would
  count. Steps are then 10 g, in proportion to the gradient, and stay gentle until the network knows its way.
- The mean over rows has 10 times these gradients, and 100 times this v: steps are large too soon, and classes are lost.

Even so a class may be lost for a while: after an epoch some seeds are at 96 %, others at 87 %, a digit short. It comes
back two to seven epochs later; rounding decides when. After eight epochs all of seeds 0 to 9 have all ten digits.
"""

from __future__ import annotations

from typing import Any

import numpy as np

import pymnistcnn as pm

from .._types import Array, ArrayLike, DTypeLike, StrPath
from . import Outcome


def gorgonia(
    epochs: int = 10,
    batch_size: int = 100,
    seed: int = 0,
    threads: int | None = None,
    isa: str | None = None,
    dtype: DTypeLike = "float64",
    limit: int | None = None,
    data: str | None = None,
    output: StrPath = "gorgonia.safetensors",
    cross_entropy: bool = False,
    picture: StrPath = "output.png",
) -> Outcome:
    """Train, test, save.

    Parameters
    ----------
    limit : how many training items, all if not given
    data : what `pm.datasets.read` takes, MNIST if not given
    output, picture : files for the trained network and for the first image
    cross_entropy : train on the cross-entropy of the labels instead of the tutorial's cost
    """
    # The data set: images as rows of 784 numbers, labels as rows of 0.1 with one 0.9.
    test_inputs, test_targets = pm.datasets.load("test", data, dtype)
    inputs, targets = (array[:limit] for array in pm.datasets.load("train", data, dtype))
    print("test inputs:", test_inputs.shape)
    print("test data:", test_targets.shape)
    print("train inputs:", inputs.shape)
    print("train data:", targets.shape)
    print(targets[0])
    visualize(inputs[0], picture)

    # Whole batches only, in the order of the file.
    batches = len(inputs) // batch_size
    if batches == 0:
        raise ValueError(f"{len(inputs)} training items do not make one batch of {batch_size}")
    inputs, targets = pictures(inputs[: batches * batch_size]), targets[: batches * batch_size]
    test = pictures(test_inputs), test_targets.argmax(axis=1)

    model = convnet(seed, dtype, softmax=not cross_entropy)
    for name, weights in learnables(model).items():
        print(name, weights.shape)
    print("Batches", batches)
    solver = pm.RMSprop(lr=0.001, alpha=0.999, eps=1e-8, eps_inside_sqrt=True)
    history = model.fit(
        inputs, targets.argmax(axis=1) if cross_entropy else targets,
        epochs=epochs, batch_size=batch_size, optimizer=solver, shuffle=False,
        loss=pm.CrossEntropyLoss() if cross_entropy else pm.ExpectedProbabilityLoss(),
        validation=test, callbacks=[Cost()], progress=False, threads=threads, isa=isa,
    )  # fmt: skip
    model.save(output)
    return Outcome(history.validation_accuracy[-1], sum(history.seconds), epochs * len(inputs), epochs)


# ---- the data ----


def scale(pixels: Any) -> Any:
    """Pixels 0 to 255 as 0.1 to 0.999: neither 0 nor 1."""
    return np.where(pixels == 255, 0.999, pixels / 255 * 0.9 + 0.1)


def unscale(inputs: ArrayLike) -> Array:
    """The pixels that `scale` was given, exactly: it moves none by half a grey. (The original does not undo its own
    scaling: it takes 1 away instead of 0.1, and has to live with what is left of the picture.)"""
    return np.rint((inputs - 0.1) / 0.9 * 255).astype(np.uint8)


def visualize(row: Array, path: StrPath) -> None:
    """Draw a row of inputs to a file."""
    from PIL import Image

    side = int(np.sqrt(len(row)))
    with pm.datasets.atomic_write(path) as file:
        Image.fromarray(unscale(row).reshape(side, side)).save(file, "png")


def pictures(inputs: ArrayLike) -> Array:
    """(n, 784) as what a convolution takes: (n, channels, height, width)."""
    return inputs.reshape(-1, 1, 28, 28)


# ---- the network ----


def convnet(seed: int = 0, dtype: DTypeLike = "float64", softmax: bool = True) -> Any:
    glorot = dict(bias=False, initializer=pm.initializers.GlorotNormal(1.0))
    layers = [
        pm.Conv2d(32, 3, stride=1, padding=1, **glorot),
        pm.ReLU(),
        pm.MaxPool2d(2),
        pm.Dropout(0.2),
        pm.Conv2d(64, 3, stride=1, padding=1, **glorot),
        pm.ReLU(),
        pm.MaxPool2d(2),
        pm.Dropout(0.2),
        pm.Conv2d(128, 3, stride=1, padding=1, **glorot),
        pm.ReLU(),
        pm.MaxPool2d(2),
        pm.Flatten(),
        pm.Dropout(0.2),
        pm.Linear(625, **glorot),
        pm.ReLU(),
        pm.Dropout(0.55),
        pm.Linear(10, **glorot),
    ]
    return pm.Sequential(layers + [pm.Softmax()] * softmax, input_shape=(1, 28, 28), seed=seed, dtype=dtype)


def learnables(model: Any) -> dict[str, Array]:
    """The weights by the original's names, in its shapes: views, so that what is written there is learnt. There a
    linear layer is x W with W (in, out), here W is (out, in)."""
    weights = model.state_dict().values()
    return {f"w{i}": w.T if w.ndim == 2 else w for i, w in enumerate(weights)}


class Cost(pm.Callback):
    """The cost of every step, in `steps`; that of an epoch's last is printed."""

    steps: list[Any] | list[float]

    every: int | None = 1

    def __init__(self) -> None:
        self.steps = []

    def on_epoch_begin(self, training: Any) -> None:
        self._total = 0.0

    def on_batches(self, training: Any) -> None:
        total = training.loss * training.batch  # the loss is the mean of the epoch's batches so far
        self.steps.append(total - self._total)
        self._total = total

    def on_epoch_end(self, training: Any) -> None:
        accuracy = training.history.validation_accuracy[-1]
        print(f"Epoch {training.epoch} | cost {self.steps[-1]:.6f} | test accuracy {accuracy:.4f}")


# ---- the exercises: save and load the weights, and apply the network to an image file ----


def read(model: Any, image: ArrayLike, threads: int | None = None, isa: str | None = None) -> Any:
    """The digit in an image file, read by the network in the file that `gorgonia` saved."""
    digit = pm.pictures.read_digit(image)
    return int(pm.load(model).predict(pictures(scale(digit)), threads=threads, isa=isa)[0])
