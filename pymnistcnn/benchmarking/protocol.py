"""Which pictures a recipe learns from, and which it is tested on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .._types import Array
from ..datasets import Dataset
from ..datasets.dataset import spread

SPLIT = 6  # the last sixth of the training pictures is what settings are chosen by: of MNIST, 10,000


@dataclass(frozen=True)
class Protocol:
    """What a run trains on and is tested on; all training pictures and the test pictures if nothing is said.

    split : test on the last sixth of the training pictures, and train on the others: the test pictures are not read.
        Settings are chosen so
    samples : train on so many, with as many of each class; which, a run's seed says
    first : on the first so many instead
    folds : cross-validation: all pictures, for training and for testing, in so many parts with their shares of each
        class, each of which is tested on by a network of the others; a run's seed makes the parts
    networks : how many answer together, by the mean of their probabilities, each with a seed of its own
    """

    split: bool = False
    samples: int | None = None
    first: bool = False
    folds: int | None = None
    networks: int = 1

    def parts(self, train: Dataset, test: Dataset, seed: int) -> list[tuple[Dataset, Dataset]]:
        """Pairs of Datasets to train and to test on, one for each fold; ValueError if there are too few
        pictures."""
        if self.split:
            at = len(train) - len(train) // SPLIT
            train, test = train[:at], train[at:]
        pairs = [(train, test)] if self.folds is None else folded(joined(train, test), self.folds, seed)
        return [(self.chosen(train, seed), test) for train, test in pairs]

    def seeds(self, seed: int) -> range:
        """Of the networks of a run: no two runs have one in common."""
        return range(seed * self.networks, (seed + 1) * self.networks)

    def chosen(self, train: Dataset, seed: int) -> Dataset:
        if self.samples is None:
            return train
        if self.samples > len(train):
            raise ValueError(f"{self.samples:,} samples of {len(train):,} training pictures")
        return train[: self.samples] if self.first else train[balanced(train.labels, self.samples, seed)]

    def words(self) -> str:
        """For people: nothing, if all is as usual.

        >>> Protocol(samples=1000, split=True).words()
        'validation split, 1,000 training pictures'
        """
        parts = ["validation split"] * self.split
        if self.samples is not None:
            parts.append("the first " * self.first + f"{self.samples:,} training pictures")
        parts += [f"{self.folds}-fold cross-validation"] * (self.folds is not None)
        parts += [f"{self.networks} networks together"] * (self.networks > 1)
        return ", ".join(parts)


def joined(train: Dataset, test: Dataset) -> Dataset:
    """All pictures."""
    both: list[Any] = [np.concatenate(pair) for pair in zip(train, test, strict=True)]
    return replace(train, images=both[0], labels=both[1])


def shuffled(n: int, seed: int) -> Array:
    return np.random.Generator(np.random.Philox(key=seed)).permutation(n)


def folded(data: Dataset, folds: int, seed: int) -> list[tuple[Dataset, Dataset]]:
    """The others and a part, of each of so many parts."""
    if folds > len(data):
        raise ValueError(f"{folds:,} folds of {len(data):,} pictures")
    order = spread(data.labels, shuffled(len(data), seed))
    fold_of = np.empty(len(data), int)
    fold_of[order] = np.arange(len(data)) * folds // len(data)
    return [(data[fold_of != fold], data[fold_of == fold]) for fold in range(folds)]


def balanced(labels: Array, samples: int, seed: int) -> Array:
    """Places, in order, of so many labels: as many of each as there are, or of all the same number but for one."""
    order = shuffled(len(labels), seed)
    order = order[np.argsort(labels[order], kind="stable")]
    _, counts = np.unique(labels, return_counts=True)
    rank = np.concatenate([np.arange(count) for count in counts])
    return np.sort(order[np.argsort(rank, kind="stable")[:samples]])
