"""How well the recipes learn, and in what time: over several seeds, each for the recipe's fixed epochs.

Nothing is chosen by the test set: the weights are those that `fit` ends with, the last or averaged ones as the recipe
says. Seconds are the wall time of `fit`, with the data in memory as uint8; conversion and shuffling count.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import time
from dataclasses import asdict, dataclass
from tempfile import TemporaryDirectory
from typing import Any

from .. import datasets
from ..recipes import RECIPES
from .measuring import Figure
from .workers import our_environment, our_python

NOTES = [
    "Fixed epochs, and the weights that training ends with; nothing was chosen by the test set. Seconds of training "
    "are the wall time of `fit`, without validation: conversion and shuffling count.",
    "Around it: from the start of `pymnistcnn train` to its end, the file written, less the training's own seconds; "
    "so loading the data and testing are in it.",
]


@dataclass(frozen=True)
class Row:
    """A recipe over several seeds: accuracies from 0 to 1, one a seed; seconds of training; and seconds around it
    when it runs as a command (None if that was not measured)."""

    recipe: str
    epochs: int
    isa: str
    threads: int
    accuracies: list[float]
    seconds: Figure
    around: Figure | None

    @property
    def mean(self) -> Any:
        return statistics.mean(self.accuracies)

    @property
    def deviation(self) -> Any:
        return statistics.stdev(self.accuracies) if len(self.accuracies) > 1 else 0.0

    def cells(self) -> dict[str, Any]:
        low, high = min(self.accuracies), max(self.accuracies)
        return {
            "recipe": self.recipe,
            "epochs": self.epochs,
            "isa": self.isa,
            "threads": self.threads,
            "seeds": len(self.accuracies),
            "test accuracy, mean (sd; range)": f"**{self.mean:.2%}** ({self.deviation:.2%}; {low:.2%} to {high:.2%})",
            "seconds of training": self.seconds.text(2),
            "seconds around it": self.around.text(2) if self.around else "",
        }

    def as_dict(self) -> Any:
        return {**asdict(self), "seeds": len(self.accuracies), "mean": self.mean, "deviation": self.deviation,
                "low": min(self.accuracies), "high": max(self.accuracies)}  # fmt: skip


def trained(name: str, seed: int, isa: str | None, threads: int | None) -> tuple[float, float]:
    """Test accuracy, and the seconds that training took."""
    train, test = datasets.mnist()
    recipe = RECIPES[name](seed=seed)
    started = time.perf_counter()
    recipe.model.fit(train, **recipe.arguments, progress=False, isa=isa, threads=threads)
    seconds = time.perf_counter() - started
    return recipe.model.evaluate(test, isa=isa, threads=threads).accuracy, seconds


def around(name: str, isa: str | None, threads: int | None) -> float:
    """Seconds that the command takes beside the training itself."""
    with TemporaryDirectory() as folder:
        command = our_python("-m", "pymnistcnn", "train", name, "--json", "--isa", isa, "--threads", str(threads),
                             "--output", f"{folder}/digits.safetensors")  # fmt: skip
        started = time.perf_counter()
        done = subprocess.run(command, capture_output=True, text=True, env=our_environment())
        taken = time.perf_counter() - started
    if done.returncode:
        raise ChildProcessError(f"pymnistcnn train {name}: {done.stderr.strip().splitlines()[-1]}")
    return taken - json.loads(done.stdout)["train_seconds"]


def row(name: str, isa: str | None, threads: int | None, runs: Any, arounds: Any) -> Row:
    """Of what `trained` and `around` returned, in order."""
    accuracies, seconds = zip(*runs, strict=True)
    return Row(name, RECIPES[name]().epochs, isa, threads, list(accuracies), Figure.of(seconds),
               Figure.of(arounds) if arounds else None)  # fmt: skip
