"""Training and inference of the tutorials' networks: images a second, and what part of the FMA peak that is."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np

from .. import datasets
from .._native import Op
from .._types import StrPath
from ..layers import Conv2d
from ..target import ISAS, on_processor, target_of
from .comparing import IN_FULL, OURS, Company, compared
from .measuring import Figure, fma_peak
from .networks import NETWORKS
from .peers import described, onnx_file
from .workers import ours, turns

BATCHES = (1, 10, 100, 1024)  # beside a network's own
INFERENCE = (1, 1000)
NOTES = [
    "GFLOP/s are dense-equivalent: what a dense computation would take, over the time. Positions of gradients that "
    "max-pooling or ReLU made zero are skipped, and zeros in the pictures: their margins, and in a linear first layer "
    "(mxnet-mlp) each pixel that is zero in a few pictures abreast, which is exact; and convolutions that are pooled "
    "take 2.25 to 2.8 times fewer products by Winograd's method; so a share may be over 100 %.",
    "Peak memory is that of the whole process, the interpreter and the data set included; a peer has the "
    "pictures as floats.",
]


@dataclass(frozen=True)
class Row:
    """Images a second; GFLOP/s that a dense computation of them would be, and its share of the threads' FMA peak (None
    on a device other than the processor); megabytes of the plan's workspaces (0 for inference), and the most that the
    process had."""

    network: str
    task: str
    batch: int
    isa: str
    threads: int
    images_per_second: Figure
    gflops: Figure
    share: Figure | None
    workspace_megabytes: float
    peak_megabytes: float

    def cells(self) -> dict[str, Any]:
        return {
            "network": self.network,
            "task": self.task,
            "batch": self.batch,
            "isa": self.isa,
            "threads": self.threads,
            "images/s": self.images_per_second.text(),
            "GFLOP/s": f"{self.gflops.median:,.0f}",
            "of the FMA peak": f"{self.share.median:.0%}" if self.share else "",
            "workspace, MB": f"{self.workspace_megabytes:.1f}" if self.workspace_megabytes else "",
            "peak memory, MB": f"{self.peak_megabytes:.0f}",
        }

    def as_dict(self) -> Any:
        return asdict(self)


def dense_flops(network: Any, training: bool) -> int:
    """Of one image. A training step is three forward passes, less the gradient of the pictures."""
    work = [layer.multiply_adds(shape) for layer, shape in zip(network.layers, network.shapes, strict=False)]
    first = next(w for w in work if w)
    return 2 * (3 * sum(work) - first if training else sum(work))


def peak_of(isa: str | None, threads: int | None) -> float | None:
    """The FMA peak that goes with what was just measured; None on a device other than the processor."""
    return fma_peak(isa, threads=threads) if on_processor(isa) else None


def is_convolutional(name: str) -> bool:
    return any(isinstance(layer, Conv2d) for layer in NETWORKS[name]().model.layers)


class Step:
    """A network that trains, a stretch of steps at a time; its own batch size if none is given.

    ranks : that train it together, or None
    agreed : of seconds that a process has measured, those by which all of them go
    """

    agreed: Callable[[float], float]
    batch: Any
    how: Any
    loss: Any
    model: Any
    optimizer: Any
    order: Any
    ranks: Any
    resident: Any
    shuffle: Any
    steps: Any
    targets: Any
    x: Any

    def __init__(
        self,
        network: Any,
        batch: int,
        isa: str | None,
        threads: int | None,
        ranks: Any = None,
        agreed: Callable[[float], float] = float,
    ) -> None:
        case = NETWORKS[network]()
        self.ranks, self.agreed = ranks, agreed
        self.model, self.optimizer, self.batch = case.model, case.optimizer, batch or case.batch_size
        self.how = dict(isa=isa, threads=threads)
        self.loss = case.loss
        self.x, self.targets = self.model._samples(self.loss, datasets.mnist()[0], None, "train")
        self.resident = self.model.network.resident(target_of(isa), self.x, *self.targets.arguments.values())
        self.resident.__enter__()  # as `fit` has it, for as long as this lives
        self.shuffle, self.order = np.random.default_rng(0), np.empty(0, np.int64)
        self.steps = self.steps_in(0.05)  # as `fit` does: so long between two looks at callbacks

    def run(self, steps: int, op_seconds: Any = None) -> Any:
        """Seconds that so many steps take, with what shuffling falls into them."""
        started = time.perf_counter()
        while len(self.order) < steps * self.batch:
            self.order = np.concatenate([self.order, self.shuffle.permutation(len(self.x))])
        index, self.order = np.split(self.order, [steps * self.batch])
        rates = np.full(steps, self.optimizer.lr)
        where = target_of(self.how["isa"]), self.how["threads"]
        self.model.network.train(
            self.x,
            self.targets,
            self.loss,
            index,
            self.batch,
            self.optimizer,
            rates,
            0,
            0,
            *where,
            op_seconds=op_seconds,
            ranks=self.ranks,
        )
        return self.agreed(time.perf_counter() - started)

    def steps_in(self, seconds: float) -> Any:
        """How many steps take about so long."""
        self.run(2)
        steps = 2
        while (taken := self.run(steps)) < seconds / 4:
            steps *= 2
        return max(1, int(steps * seconds / taken))

    def measure(self, seconds: float) -> dict[str, Any]:
        stretches, taken = 0, 0.0
        while not stretches or taken < seconds:
            taken += self.run(self.steps)
            stretches += 1
        return dict(
            images_per_second=stretches * self.steps * self.batch / taken,
            fma_peak_gflops=peak_of(**self.how),
            workspace_megabytes=self.workspace_bytes() / 1e6,
        )

    def workspace_bytes(self) -> Any:
        sizes = self.model.network.plan(False, self.batch, target_of(self.how["isa"]), self.loss).workspace_bytes
        return sizes["pack"] + sizes["batch"] + 16 * sizes["shard"] + self.how["threads"] * sizes["thread"]


def measure(
    network: Any,
    task: Any,
    batch: int,
    isa: str | None,
    threads: int | None,
    company: Any = None,
    rounds: int = 11,
    seconds: float = 0.12,
) -> Any:
    """One task of one network, on each number of `threads`, in turns: a Row each; and Comparisons of the most threads
    with one thread, in bfloat16 with float32, and with each peer of `company`.

    Each side is measured for about `seconds` in each of `rounds`, beside a peak of its own.
    """
    threads = threads if on_processor(isa) else [1]
    company, most, job = company or Company(), max(threads), dict(task=task, network=network, batch=batch, isa=isa)
    thorough = batch == NETWORKS[network]().batch_size
    with ExitStack() as stack:
        theirs = []
        if company.found:
            of_peers = network_job(network, task, batch, company.folder, isa)
            theirs = company.beside(stack, network, task, batch, of_peers, isa, thorough, seconds)
        if on_processor(isa) and target_of(isa).precision != "full":
            full = stack.enter_context(ours(**job | dict(isa=ISAS[-1]), threads=most))
            theirs.append((IN_FULL, f"{most} thread{'s' * (most > 1)}, {ISAS[-1]}", full))
        mine = [stack.enter_context(ours(**job, threads=n)) for n in sorted(threads)]
        answers = turns([*mine, *(worker for _, _, worker in theirs)], rounds, seconds)
    rows = [row(network, task, batch, isa, n, of_one) for n, of_one in zip(sorted(threads), answers, strict=False)]
    at = len(mine) - 1
    others = [(name, setting, of_one) for (name, setting, _), of_one in zip(theirs, answers[len(mine) :], strict=True)]
    if most > 1 and min(threads) == 1:
        others.insert(0, (OURS, one_thread(answers[0], answers[at]), answers[0]))
    comparisons = [
        compared(network, task, batch, isa, most, answers[at], *other, images_per_second) for other in others
    ]
    return rows, comparisons


def one_thread(one: Any, most: Any) -> str:
    """What more threads stand beside. A machine may not give each thread a core of its own: the FMA peak tells."""
    grew = [b["fma_peak_gflops"] / a["fma_peak_gflops"] for a, b in zip(one, most, strict=True)]
    return f"1 thread; the FMA peak grew {Figure.of(grew).text(2)} times"


def images_per_second(answer: Any) -> Any:
    return answer["images_per_second"]


def network_job(name: str, task: Any, batch: int, folder: StrPath, isa: str | None) -> dict[str, Any]:
    """For a peer: to train one of the networks, or infer with it, on the digits of `folder`."""
    case = NETWORKS[name]()
    target, layers, shape = target_of(isa), case.model.layers, case.model.input_shape
    exported = task != "training" and find_spec("onnx")
    data = "training" if task == "training" else "inference"
    return dict(
        device="cpu" if target.device == "cpu" else "cuda", precision=target.precision,
        task=task, batch=batch, images=f"{folder}/{data}_images.npy", labels=f"{folder}/{data}_labels.npy",
        layers=described(layers, shape), loss=type(case.loss).__name__,
        optimizer={"type": type(case.optimizer).__name__, **asdict(case.optimizer)},
        onnx=onnx_file(name, layers, shape, folder) if exported else None,
    )  # fmt: skip


def row(network: Any, task: Any, batch: int, isa: str | None, threads: int | None, answers: Any) -> Row:
    flops = dense_flops(NETWORKS[network]().model.network, task == "training")
    rates = [answer["images_per_second"] * flops / 1e9 for answer in answers]
    peaks = [answer["fma_peak_gflops"] for answer in answers]
    return Row(
        network, task, batch, isa, threads,
        images_per_second=Figure.of([answer["images_per_second"] for answer in answers]),
        gflops=Figure.of(rates),
        share=Figure.of([rate / peak for rate, peak in zip(rates, peaks, strict=True)]) if all(peaks) else None,
        workspace_megabytes=answers[-1]["workspace_megabytes"],
        peak_megabytes=max(answer["peak_megabytes"] for answer in answers),
    )  # fmt: skip


def profile(
    name: str, isa: str | None, threads: int | None, batch: int | None = None, seconds: float = 0.5
) -> list[tuple[str, str, float, float]]:
    """What each op of a training step takes: (op, layer, share, microseconds an image and core), largest first."""
    step = Step(name, batch, isa, threads)
    steps = step.steps_in(seconds)
    kinds = step.model.network.plan(False, step.batch, target_of(isa), step.loss).op_kinds
    clocks = np.zeros((threads, len(kinds)))
    step.run(steps, clocks)
    taken = {}
    for (kind, layer), seconds_of_op in zip(kinds, clocks.sum(axis=0), strict=True):
        key = Op(kind).name.lower(), f"{layer} {step.model.network.leaves[layer]}"
        taken[key] = taken.get(key, 0) + seconds_of_op
    total = sum(taken.values())
    rows = [(*key, t / total, 1e6 * t / (steps * step.batch)) for key, t in taken.items() if t]
    return sorted(rows, key=lambda row: -row[2])
