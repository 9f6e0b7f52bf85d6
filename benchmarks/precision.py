"""What the tutorials' networks learn in bfloat16 beside float32, of the same seeds.

Times are not shown, so that what a seed gave before is taken from measurements/: the same seed gives the same bits.
"""

from __future__ import annotations

import json
import statistics
from dataclasses import asdict, dataclass

import tutorials
from measured import FOLDER, file_name
from provenance import processor_kind

from pymnistcnn.benchmarking.targets import Verdict
from pymnistcnn.target import default_target

CASES = {  # a tutorial, the network that it trains
    "gorgonia": "gorgonia",
    "flux": "flux",
    "mxnet-lenet": "mxnet-lenet",
    "mxnet-mlp": "mxnet-mlp",
    "mccaffrey": "mccaffrey",
    "scratch --full": "scratch",
}
SEEDS, DTYPE = 10, "float32"
AT_MOST = 0.05  # points between the means
NOTES = [
    "Accuracies on all 10,000 test images, from 0 to 1, a seed after the other. Points: the mean over seeds of what "
    "bfloat16 gives more than float32, and its standard error."
]


@dataclass(frozen=True)
class Row:
    """A network: the accuracy of each seed."""

    network: str
    tutorial: str
    isa: str
    threads: int
    seeds: list[int]
    full: list[float]
    bf16: list[float]

    @property
    def differences(self) -> list[float]:
        return [100 * (bf16 - full) for bf16, full in zip(self.bf16, self.full, strict=True)]

    @property
    def points(self) -> float:
        return statistics.mean(self.differences)

    @property
    def standard_error(self) -> float:
        return statistics.stdev(self.differences) / len(self.seeds) ** 0.5 if len(self.seeds) > 1 else 0.0

    def verdict(self) -> Verdict:
        what = f"{self.network}, test accuracy in bf16 off that in float32"
        return Verdict(what, abs(self.points), AT_MOST, unit=" points", at_most=True)

    def as_dict(self):
        return asdict(self) | {"points": self.points, "standard_error": self.standard_error}


def measure(name, number, threads, folder=FOLDER) -> Row:
    """A tutorial over so many seeds, or SEEDS."""
    first = tutorials.CASES[name].seeds.start
    seeds, isas = range(first, first + (number or SEEDS)), [str(default_target(p)) for p in ("full", "bf16")]
    known = {(run["isa"], run["seed"]): run for run in already_run(name, folder) if run["dtype"] == DTYPE}
    full, bf16 = (
        [accuracy(known.get((isa, seed)) or tutorials.run(name, seed, isa, threads, DTYPE)) for seed in seeds]
        for isa in isas
    )
    return Row(CASES[name], name, isas[1], threads, list(seeds), full, bf16)


def already_run(name, folder) -> list[dict]:
    path = folder / processor_kind() / f"{file_name('tutorial', name)}.json"
    return [run for row in json.loads(path.read_text())["rows"] for run in row["runs"]] if path.is_file() else []


def accuracy(run) -> float:
    return run.get("full_test_accuracy") or run["test_accuracy"]
