"""How steady recipes are: trained as ever, and tested on test pictures that are shifted, turned, noised, ...

`variations.py` has what is done to the pictures. A network has seen none of it in training, but for what its recipe's
own augmentation does.
"""

from __future__ import annotations

import hashlib
import statistics
from dataclasses import asdict, dataclass
from typing import Any

from ..datasets import Dataset
from ..model import Sequential
from .accuracy import Task, tested, trained
from .runs import code
from .variations import KINDS, STRENGTHS, varied

NOTES = [
    "Test pictures varied by code of this package, with fixed seeds: "
    + "; ".join(f"{kind} {', '.join(map(str, numbers))}" for kind, (_, numbers) in KINDS.items())
    + f" ({', '.join(STRENGTHS)}). This is not MNIST-C (Mu and Gilmer, 2019), and its figures are not to be compared "
    "with that set's.",
    "The untouched pictures come first. Accuracy and expected calibration error are means over seeds.",
]
UNTOUCHED = ("untouched", "")
ALL = (UNTOUCHED, *((kind, strength) for kind in KINDS for strength in STRENGTHS))


@dataclass(frozen=True)
class Run:
    """A seed of a recipe, or a saved network: what `accuracy.tested` says of each kind and strength, as in ALL."""

    seed: int
    found: list[dict[str, Any]]


@dataclass(frozen=True)
class Row:
    """A recipe, or a saved network, over several seeds."""

    settings: dict[str, Any]
    runs: list[Run]

    def figures(self) -> list[dict[str, Any]]:
        """Accuracy, its standard deviation over seeds, and calibration error of each kind and strength."""
        return [
            {"kind": kind, "strength": strength, "accuracy": statistics.mean(one["accuracy"] for one in found),
             "deviation": statistics.stdev(one["accuracy"] for one in found) if len(found) > 1 else 0.0,
             "calibration_error": statistics.mean(one["calibration_error"] for one in found)}
            for (kind, strength), *found in zip(ALL, *(run.found for run in self.runs), strict=True)
        ]  # fmt: skip

    @property
    def mean(self) -> float:
        """Accuracy over all varied pictures."""
        return statistics.mean(figure["accuracy"] for figure in self.figures()[1:])

    def as_dict(self) -> dict[str, Any]:
        return {
            "recipe": self.settings["recipe"], "data": self.settings["data"], "seeds": len(self.runs),
            "threads": self.settings["threads"], "mean": self.mean, "figures": self.figures(),
            "settings": self.settings, "runs": [asdict(run) for run in self.runs],
        }  # fmt: skip


@dataclass(frozen=True)
class Line:
    """A kind of pictures, for people: all rows beside each other, weak / medium / strong."""

    kind: str
    rows: list[Row]

    def cells(self) -> dict[str, Any]:
        made = {"test pictures": self.kind}
        for row in self.rows:
            of_kind = [figure for figure in row.figures() if figure["kind"] == self.kind]
            for title, key, digits in (("accuracy", "accuracy", 2), ("calibration error", "calibration_error", 1)):
                numbers = " / ".join(f"{100 * one[key]:.{digits}f}" for one in of_kind)
                made[f"{row.settings['recipe']}, {title} in %"] = numbers
        return made


def lines(rows: list[Row]) -> list[Line]:
    return [Line(kind, rows) for kind in dict.fromkeys(kind for kind, _ in ALL)] if rows else []


@dataclass(frozen=True)
class Saved:
    """A saved network, in place of a task: there is one of it."""

    name: str
    model: Sequential
    test: Dataset
    isa: str
    threads: int

    def settings(self) -> dict[str, Any]:
        weights = hashlib.sha256(self.model.network.param.tobytes()).hexdigest()[:12]
        return {"recipe": self.name, "data": self.test.name, "isa": self.isa, "threads": self.threads,
                "pictures": self.test.checksum()[:12], "weights": weights, "code": code()}  # fmt: skip


def run(task: Task | Saved, seed: int) -> Run:
    """Train with a seed, if it is a recipe's, and look."""
    model = task.model if isinstance(task, Saved) else trained(task, task.train, seed)[0]
    return Run(seed, looked(model, task.test, task.isa, task.threads))


def looked(model: Sequential, test: Dataset, isa: str, threads: int) -> list[dict[str, Any]]:
    """What a network makes of each kind and strength, as in ALL."""
    found = []
    for kind in ALL:
        images = test.images if kind == UNTOUCHED else varied(test.images, *kind)
        found.append(tested(model.predict_proba(images, isa=isa, threads=threads), test.labels))
    return found
