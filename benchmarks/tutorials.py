"""What the tutorials come to, over the seeds that docs/tutorials.md shows: each runs as its command does, whole."""

from __future__ import annotations

import json
import re
import statistics
import subprocess
from dataclasses import asdict, dataclass, field
from tempfile import TemporaryDirectory

from pymnistcnn.benchmarking.measuring import Figure
from pymnistcnn.benchmarking.workers import our_environment, our_python
from pymnistcnn.target import default_target

NOTES = ["Accuracies are on the tutorial's own test images. Seconds are of training, one seed."]


@dataclass(frozen=True)
class Case:
    """The seeds of a tutorial, and what its messages tell beside its result: by name, a pattern for each number."""

    seeds: range = range(5)
    messages: dict[str, str] = field(default_factory=dict)


# by the words behind `pymnistcnn tutorial`
CASES = {
    "gorgonia": Case(range(10), messages={"epoch_accuracies": r"test accuracy (\S+)"}),
    "flux": Case(),
    "mxnet-mlp": Case(),
    "mxnet-mlp --variant julia": Case(),
    "mxnet-lenet": Case(),
    "mxnet-lenet --variant julia": Case(),
    "mccaffrey": Case(range(1, 6), {"training_accuracy": r"training data = (\S+)", "losses": r"  loss = (\S+)"}),
    "scratch": Case(range(12)),
    "scratch --by-hand": Case(range(12)),
    "scratch --full": Case(messages={"epoch_accuracies": r"val_acc: (\S+)"}),
}


@dataclass(frozen=True)
class Mean:
    """The mean over seeds, and the range.

    >>> Mean.of([0.5, 0.75, 1.0])
    Mean(mean=0.75, low=0.5, high=1.0)
    """

    mean: float
    low: float
    high: float

    @classmethod
    def of(cls, values):
        return cls(statistics.mean(values), min(values), max(values))


@dataclass(frozen=True)
class Row:
    """A tutorial over several seeds: seconds of training; the accuracies, and whatever else its messages tell, as
    lists, of one Mean or of one an epoch; and `runs`, what each seed gave."""

    tutorial: str
    isa: str
    threads: int
    dtype: str
    epochs: int
    seeds: list[int]
    seconds: Figure
    means: dict[str, list[Mean]]
    runs: list[dict]

    def as_dict(self):
        return asdict(self)


def seeds_of(name, number=None) -> range:
    """The seeds of a case, or so many from its first on."""
    own = CASES[name].seeds
    return range(own.start, own.start + number) if number else own


def measure(name, seeds, threads) -> Row:
    """A tutorial, seed by seed, on the widest instruction set."""
    isa = str(default_target())
    return row(name, [run(name, seed, isa, threads) for seed in seeds])


def run(name, seed, isa, threads, dtype=None) -> dict:
    """One seed: what `--json` gives, and the numbers of the messages. Raises ChildProcessError if it fails."""
    of_dtype = ["--dtype", dtype] if dtype else []
    with TemporaryDirectory() as folder:
        command = our_python("-m", "pymnistcnn", "tutorial", *name.split(), *of_dtype, "--json", "--seed", str(seed),
                             "--isa", isa, "--threads", str(threads), "--output",
                             f"{folder}/network.safetensors")  # fmt: skip
        # there, as gorgonia leaves a picture where it runs
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=our_environment())
    if done.returncode:
        raise ChildProcessError(f"pymnistcnn tutorial {name}: {done.stderr.strip().splitlines()[-1]}")
    result = json.loads(done.stdout)
    del result["output"]
    told = {what: re.findall(pattern, done.stderr) for what, pattern in CASES[name].messages.items()}
    return result | {what: [float(number) for number in numbers] for what, numbers in told.items()}


def row(name, runs) -> Row:
    """Of what `run` returned, seed by seed."""
    told = [what for what in ("test_accuracy", "full_test_accuracy", *CASES[name].messages) if what in runs[0]]
    means = {}
    for what in told:
        of_seeds = [of_one if isinstance(of_one, list) else [of_one] for of_one in (run[what] for run in runs)]
        means[what] = [Mean.of(values) for values in zip(*of_seeds, strict=True)]
    first = runs[0]
    return Row(
        name, first["isa"], first["threads"], first["dtype"], first["epochs"], [run["seed"] for run in runs],
        Figure.of([run["train_seconds"] for run in runs]), means, runs,
    )  # fmt: skip
