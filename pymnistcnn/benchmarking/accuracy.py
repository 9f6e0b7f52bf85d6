"""How well the recipes learn, and in what time: over several seeds, each for the recipe's fixed epochs.

Nothing is chosen by the test set: the weights are those that `fit` ends with, the last or averaged ones as the recipe
says. Seconds are the wall time of `fit`, with the data in memory as uint8; conversion and shuffling count.
"""

from __future__ import annotations

import json
import math
import statistics
import subprocess
import time
from dataclasses import asdict, dataclass, fields, replace
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from .._types import Array
from ..calibration import Calibration
from ..datasets import Dataset
from ..datasets.traits import classes_in, input_shape_of, white_of
from ..ensemble import Ensemble
from ..model import Sequential
from ..processors import cpu_model
from ..recipes import RECIPES
from .measuring import Figure
from .protocol import Protocol
from .runs import code
from .workers import our_environment, our_python

SHIFT = 1  # pixels
NOTES = [
    "Fixed epochs, and the weights that training ends with; nothing was chosen by the test set, which is read once, at "
    "the end. Seconds of training are the wall time of `fit`, without validation: conversion and shuffling count.",
    "Around it: from the start of `pymnistcnn train` to its end, the file written, less the training's own seconds; "
    "so loading the data and testing are in it.",
    "Shifted: the accuracy of the same networks where each picture is looked at five times, as it is and moved by a "
    "pixel in each direction, and the probabilities are averaged; `Ensemble([model], shift=1)` does so.",
    "Loss is the mean cross-entropy, without smoothing; calibration error is the expected one, in 15 bins (Guo et al., "
    "2017).",
]


@dataclass(frozen=True)
class Task:
    """What is measured: a recipe on data, over several seeds."""

    recipe: str
    train: Dataset
    test: Dataset
    protocol: Protocol
    isa: str
    threads: int

    def settings(self) -> dict[str, Any]:
        """All that results and times depend on, but for the seed."""
        return {
            "recipe": self.recipe, "data": self.train.name, **asdict(self.protocol), "isa": self.isa,
            "threads": self.threads, "pictures": [part.checksum()[:12] for part in (self.train, self.test)],
            "cpu": cpu_model(), "code": code(),
        }  # fmt: skip


@dataclass(frozen=True)
class Run:
    """A seed of a recipe. Accuracies, calibration error and confidences are from 0 to 1; None if no answer was wrong.
    `shifted` is the accuracy where shifted pictures are averaged over.
    Seconds are of training, the mean over folds if there are some; parameters are those that are trained, multiply-adds
    those of one picture; all three are sums over networks that answer together."""

    seed: int
    accuracy: float
    loss: float
    seconds: float
    epochs: int
    parameters: int
    multiply_adds: int
    calibration_error: float
    confidence: float
    confidence_when_wrong: float | None
    shifted: float


@dataclass(frozen=True)
class Row:
    """A recipe over several seeds; and seconds around its training when it runs as a command (None if that was not
    measured)."""

    settings: dict[str, Any]
    runs: list[Run]
    around: Figure | None = None

    @property
    def recipe(self) -> str:
        return self.settings["recipe"]

    @property
    def protocol(self) -> Protocol:
        return Protocol(**{field.name: self.settings[field.name] for field in fields(Protocol)})

    @property
    def accuracies(self) -> list[float]:
        return [run.accuracy for run in self.runs]

    @property
    def mean(self) -> float:
        return statistics.mean(self.accuracies)

    @property
    def deviation(self) -> float:
        return statistics.stdev(self.accuracies) if len(self.runs) > 1 else 0.0

    @property
    def shifted(self) -> float:
        return statistics.mean(run.shifted for run in self.runs)

    @property
    def seconds(self) -> Figure:
        return Figure.of([run.seconds for run in self.runs])

    @property
    def calibration_error(self) -> float:
        return statistics.mean(run.calibration_error for run in self.runs)

    def cells(self) -> dict[str, Any]:
        low, high, first = min(self.accuracies), max(self.accuracies), self.runs[0]
        on = ", ".join(filter(None, (self.settings["data"], self.protocol.words())))
        return {
            "recipe": self.recipe,
            "data": on,
            "parameters": f"{first.parameters:,}",
            "epochs": first.epochs,
            "isa": self.settings["isa"],
            "threads": self.settings["threads"],
            "seeds": len(self.runs),
            "test accuracy, mean (sd; range)": f"**{self.mean:.2%}** ({self.deviation:.2%}; {low:.2%} to {high:.2%})",
            "shifted": f"{self.shifted:.2%}",
            "calibration error": f"{self.calibration_error:.2%}",
            "seconds of training": self.seconds.text(2),
            "seconds around it": self.around.text(2) if self.around else "",
        }

    def as_dict(self) -> dict[str, Any]:
        settings, first = self.settings, self.runs[0]
        return {
            "recipe": self.recipe, "data": settings["data"], "protocol": self.protocol.words(), "isa": settings["isa"],
            "threads": settings["threads"], "seeds": len(self.runs), "mean": self.mean, "deviation": self.deviation,
            "low": min(self.accuracies), "high": max(self.accuracies), "shifted": self.shifted,
            "calibration_error": self.calibration_error,
            "epochs": first.epochs, "parameters": first.parameters, "multiply_adds": first.multiply_adds,
            "seconds": asdict(self.seconds), "around": asdict(self.around) if self.around else None,
            "settings": settings, "runs": [asdict(run) for run in self.runs],
        }  # fmt: skip


def trained(task: Task, train: Dataset, seed: int) -> tuple[Sequential, int, float]:
    """A network that a recipe has made of these pictures, its epochs, and the seconds that training took."""
    recipe = RECIPES[task.recipe](
        input_shape=input_shape_of(train), classes=classes_in(task.train, task.test), seed=seed, white=white_of(train)
    )
    started = time.perf_counter()
    recipe.model.fit(train, **recipe.arguments, progress=False, isa=task.isa, threads=task.threads)
    return recipe.model, recipe.epochs, time.perf_counter() - started


def run(task: Task, seed: int) -> Run:
    """Train with a seed, and test: once, on pictures that nothing was chosen by."""
    sure, moved, labels, seconds, how = [], [], [], [], dict(isa=task.isa, threads=task.threads)
    for train, test in task.protocol.parts(task.train, task.test, seed):
        members = [trained(task, train, of_one) for of_one in task.protocol.seeds(seed)]
        models = [model for model, _, _ in members]
        sure.append(Ensemble(models).predict_proba(test, **how))
        shift = SHIFT if len(models[0].input_shape) == 3 else 0
        moved.append(Ensemble(models, shift=shift).predict(test, **how))
        labels.append(test.labels)
        seconds.append(sum(taken for _, _, taken in members))
    expected = np.concatenate(labels)
    seen = tested(np.concatenate(sure), expected) | {"shifted": float((np.concatenate(moved) == expected).mean())}
    return Run(seed, seconds=statistics.mean(seconds), epochs=members[0][1], **size_of(models), **seen)


def tested(probabilities: Array, labels: Array) -> dict[str, Any]:
    """What probabilities (n, classes) are worth."""
    sure = Calibration.of(probabilities, labels)
    of_label = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    return dict(
        accuracy=float((probabilities.argmax(axis=1) == labels).mean()),
        loss=float(-np.log(np.maximum(of_label, np.finfo(np.float32).tiny)).mean()),
        calibration_error=sure.error,
        confidence=sure.confidence,
        confidence_when_wrong=sure.when_wrong if math.isfinite(sure.when_wrong) else None,
    )


def size_of(models: list[Sequential]) -> dict[str, int]:
    """Of all of them together."""
    networks = [model.network for model in models]
    works = [layer.multiply_adds(at) for one in networks for layer, at in zip(one.layers, one.shapes, strict=False)]
    parameters = sum(math.prod(p.shape) for one in networks for p in one.parameters if p.trained)
    return dict(parameters=parameters, multiply_adds=sum(works))


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


def with_around(row: Row, times: int) -> Row:
    """The row with the seconds around its training, of so many times."""
    how = row.settings["isa"], row.settings["threads"]
    return replace(row, around=Figure.of([around(row.recipe, *how) for _ in range(times)]))
