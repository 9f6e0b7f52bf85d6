"""The networks that are measured: `fast`, and those of the five tutorials, with their losses and optimizers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .. import recipes
from ..layers import Conv2d, Dropout, Flatten, GaussianNoise, Linear, MaxPool2d, ReLU, Rescaling, Softmax, Tanh
from ..losses import CrossEntropyLoss, ExpectedProbabilityLoss, Loss
from ..model import Sequential
from ..optimizers import SGD, Adam, Optimizer, RMSprop


@dataclass(frozen=True)
class Case:
    """A fresh network and how its tutorial trains it."""

    model: Sequential
    batch_size: int
    optimizer: Optimizer
    loss: Loss


def case(layers: Any, batch_size: int, optimizer: Optimizer, loss: Loss | None = None) -> Case:
    model = Sequential([Rescaling(1 / 255), *layers], input_shape=(1, 28, 28))
    return Case(model, batch_size, optimizer, loss or CrossEntropyLoss())


def fast() -> Any:
    recipe = recipes.fast()
    return Case(recipe.model, recipe.batch_size, recipe.optimizer, CrossEntropyLoss())


def flux() -> Any:
    blocks = [layer for k in (16, 32, 32) for layer in (Conv2d(k, 3, padding=1), ReLU(), MaxPool2d(2))]
    return case([GaussianNoise(0.1), *blocks, Flatten(), Linear(10)], 128, Adam(3e-3))


def gorgonia() -> Any:
    def block(k):
        return [Conv2d(k, 3, padding=1, bias=False), ReLU(), MaxPool2d(2)]

    layers = [
        *(*block(32), Dropout(0.2), *block(64), Dropout(0.2), *block(128), Flatten(), Dropout(0.2)),
        *(Linear(625, bias=False), ReLU(), Dropout(0.55), Linear(10, bias=False), Softmax()),
    ]
    return case(layers, 100, RMSprop(1e-3, alpha=0.999, eps_inside_sqrt=True), ExpectedProbabilityLoss())


def mxnet_lenet() -> Any:
    layers = [
        *(Conv2d(20, 5), Tanh(), MaxPool2d(2), Conv2d(50, 5), Tanh(), MaxPool2d(2)),
        *(Flatten(), Linear(500), Tanh(), Linear(10)),
    ]
    return case(layers, 100, SGD(0.1))


def mxnet_mlp() -> Any:
    return case([Flatten(), Linear(128), ReLU(), Linear(64), ReLU(), Linear(10)], 100, SGD(0.1))


def mccaffrey() -> Any:
    layers = [
        *(Conv2d(32, 5), ReLU(), MaxPool2d(2), Dropout(0.25), Conv2d(64, 5), ReLU(), MaxPool2d(2)),
        *(Flatten(), Linear(512), ReLU(), Dropout(0.5), Linear(256), ReLU(), Linear(10)),
    ]
    return case(layers, 10, SGD(0.005))


def scratch() -> Any:
    return case([Conv2d(8, 3, bias=False), MaxPool2d(2), Flatten(), Linear(10)], 1, SGD(0.005))


NETWORKS = {
    "fast": fast,
    "flux": flux,
    "gorgonia": gorgonia,
    "mxnet-lenet": mxnet_lenet,
    "mxnet-mlp": mxnet_mlp,
    "mccaffrey": mccaffrey,
    "scratch": scratch,
}
