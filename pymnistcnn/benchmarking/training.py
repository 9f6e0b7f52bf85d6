"""Training and inference of the tutorials' networks: images a second, and what part of the FMA peak that is."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass

import numpy as np

from .. import datasets
from .._native import Op
from .measuring import Figure, fma_peak
from .networks import NETWORKS

BATCHES = (1, 10, 100, 1024)  # beside a network's own
INFERENCE = (1, 1000)


@dataclass(frozen=True)
class Row:
    """images a second; GFLOP/s that a dense computation of them would be, and its share of the threads' FMA peak;
    megabytes of the plan's workspaces (0 for inference)."""

    network: str
    task: str
    batch: int
    isa: str
    threads: int
    images_per_second: Figure
    gflops: float
    share: float
    megabytes: float

    def cells(self):
        return [
            self.network, self.task, self.batch, self.isa, self.threads, self.images_per_second.text(),
            f"{self.gflops:,.0f}", f"{self.share:.0%}", f"{self.megabytes:.1f}" if self.megabytes else "",
        ]  # fmt: skip

    def as_dict(self):
        return asdict(self)


HEAD = ["network", "task", "batch", "isa", "threads", "images/s", "GFLOP/s", "of the FMA peak", "workspace, MB"]


def dense_flops(network, training) -> int:
    """Of one image. A training step is three forward passes, less the gradient of the pictures."""
    work = [layer.multiply_adds(shape) for layer, shape in zip(network.layers, network.shapes, strict=False)]
    first = next(w for w in work if w)
    return 2 * (3 * sum(work) - first if training else sum(work))


class Step:
    """A network that trains, a stretch of steps at a time."""

    def __init__(self, name, batch, isa, threads):
        case = NETWORKS[name]()
        self.model, self.optimizer, self.batch = case.model, case.optimizer, batch or case.batch_size
        self.how = dict(isa=isa, threads=threads)
        self.model._use_loss(case.loss)
        self.x, self.targets = self.model._samples(datasets.mnist()[0], "train")
        self.order, self.at = np.random.default_rng(0).permutation(len(self.x)), 0

    def run(self, steps, op_seconds=None):
        """Seconds that so many steps take, from where the last stretch ended in the data."""
        first = self.at % max(1, len(self.order) - steps * self.batch)
        index = np.resize(self.order[first:], steps * self.batch)
        self.at = first + len(index)
        rates = np.full(steps, self.optimizer.lr)
        started = time.perf_counter()
        self.model.network.train(self.x, self.targets, index, self.batch, self.optimizer, rates, 0, 0, **self.how,
                                 op_seconds=op_seconds)  # fmt: skip
        return time.perf_counter() - started

    def steps_in(self, seconds):
        """How many steps take about so long."""
        self.run(2)
        steps = 2
        while (taken := self.run(steps)) < seconds / 4:
            steps *= 2
        return max(1, int(steps * seconds / taken))


def training(name, isa, threads, batch=None, rounds=5, seconds=0.5) -> Row:
    """`rounds` stretches of about `seconds` each, every one beside a peak of its own."""
    step = Step(name, batch, isa, threads)
    steps = step.steps_in(seconds)
    speeds, peaks = [], []
    for _ in range(rounds):
        speeds.append(steps * step.batch / step.run(steps))
        peaks.append(threads * fma_peak(isa))
    workspace = step.model.network.plan(False, step.batch).workspace_bytes
    bytes_of_all = workspace["pack"] + workspace["batch"] + 16 * workspace["shard"] + threads * workspace["thread"]
    return row(name, "training", step.batch, isa, threads, speeds, peaks, step.model, bytes_of_all / 1e6)


def inference(name, isa, threads, batch, rounds=5, seconds=0.2) -> Row:
    """Calls of `predict_outputs`, as a user makes them."""
    model, images = NETWORKS[name]().model, datasets.mnist()[1].images
    how, pieces = dict(isa=isa, threads=threads), [images[i : i + batch] for i in range(0, 10_000 - batch, batch)]
    model.predict_outputs(pieces[0], **how)
    speeds, peaks = [], []
    for _ in range(rounds):
        started, seen, taken = time.perf_counter(), 0, 0.0
        while taken < seconds:
            model.predict_outputs(pieces[seen // batch % len(pieces)], **how)
            seen, taken = seen + batch, time.perf_counter() - started
        speeds.append(seen / taken)
        peaks.append(threads * fma_peak(isa))
    return row(name, "inference", batch, isa, threads, speeds, peaks, model, 0.0)


def row(name, task, batch, isa, threads, speeds, peaks, model, megabytes):
    figure, flops = Figure.of(speeds), dense_flops(model.network, task == "training")
    gflops = figure.median * flops / 1e9
    return Row(name, task, batch, isa, threads, figure, gflops, gflops / Figure.of(peaks).median, megabytes)


def profile(name, isa, threads, batch=None, seconds=0.5) -> list[tuple[str, str, float, float]]:
    """What each op of a training step takes: (op, layer, share, microseconds an image and core), largest first."""
    step = Step(name, batch, isa, threads)
    steps = step.steps_in(seconds)
    kinds = step.model.network.plan(False, step.batch).op_kinds
    clocks = np.zeros((threads, len(kinds)))
    step.run(steps, clocks)
    taken = {}
    for (kind, layer), seconds_of_op in zip(kinds, clocks.sum(axis=0), strict=True):
        key = Op(kind).name.lower(), f"{layer} {step.model.layers[layer]}"
        taken[key] = taken.get(key, 0) + seconds_of_op
    total = sum(taken.values())
    rows = [(*key, t / total, 1e6 * t / (steps * step.batch)) for key, t in taken.items() if t]
    return sorted(rows, key=lambda row: -row[2])
