"""Every kernel of the tutorials' layers, and of some others, by itself: forward and backward, GFLOP/s.

A layer runs by hand on normal numbers, and the runner's own clock around each op gives the kernel's time.
"""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from .._native import Op, Program
from .._types import DTypeLike
from ..layers import AvgPool2d, BatchNorm2d, Conv2d, Linear, MaxPool2d, ReLU, Tanh
from ..network import Network
from ..target import target_of
from .comparing import Company, Comparison, compared
from .measuring import Figure, fma_peak
from .peers import described
from .workers import ours, turns

# what runs, on inputs of which shape, how many at a time
CASES: dict[str, Any] = {
    "flux conv1": (lambda: [Conv2d(16, 3, padding=1), ReLU(), MaxPool2d(2)], (1, 28, 28), 64),
    "flux conv2": (lambda: [Conv2d(32, 3, padding=1), ReLU(), MaxPool2d(2)], (16, 14, 14), 64),
    "flux conv3": (lambda: [Conv2d(32, 3, padding=1), ReLU(), MaxPool2d(2)], (32, 7, 7), 64),
    "gorgonia conv2": (lambda: [Conv2d(64, 3, padding=1, bias=False), ReLU(), MaxPool2d(2)], (32, 14, 14), 64),
    "gorgonia conv3": (lambda: [Conv2d(128, 3, padding=1, bias=False), ReLU(), MaxPool2d(2)], (64, 7, 7), 64),
    "gorgonia linear": (lambda: [Linear(625, bias=False)], (1152,), 100),
    "lenet conv1": (lambda: [Conv2d(20, 5), Tanh(), MaxPool2d(2)], (1, 28, 28), 64),
    "lenet conv2": (lambda: [Conv2d(50, 5), Tanh(), MaxPool2d(2)], (20, 12, 12), 64),
    "lenet linear": (lambda: [Linear(500)], (800,), 100),
    "mlp linear1": (lambda: [Linear(128)], (784,), 100),
    "mccaffrey conv2": (lambda: [Conv2d(64, 5), ReLU(), MaxPool2d(2)], (32, 12, 12), 64),
    "mccaffrey linear": (lambda: [Linear(512)], (1024,), 100),
    "scratch linear": (lambda: [Linear(10)], (1352,), 64),
    "dense 3x3": (lambda: [Conv2d(64, 3, padding=1)], (64, 14, 14), 32),
    "stride 2": (lambda: [Conv2d(64, 3, stride=2, padding=1)], (32, 28, 28), 32),
    "depthwise 3x3": (lambda: [Conv2d(64, 3, padding=1, groups=64)], (64, 14, 14), 32),
    "1x1": (lambda: [Conv2d(64, 1)], (64, 14, 14), 32),
    "max pool 3, stride 2": (lambda: [MaxPool2d(3, 2, 1)], (32, 14, 14), 64),
    "average pool 2": (lambda: [AvgPool2d(2)], (32, 14, 14), 64),
    "batch norm": (lambda: [BatchNorm2d()], (32, 14, 14), 64),
}
COPIES = {Op.INPUT, Op.OUTPUT}  # between the caller's arrays and the plan's
PACKING = {Op.CONV_PACK, Op.LINEAR_PACK}  # of weights: no products


@dataclass(frozen=True)
class Row:
    """A kernel's time: microseconds a sample on one core, GFLOP/s of all threads, and its share of their peak (both
    None where nothing is multiplied and added)."""

    case: str
    kernel: str
    isa: str
    threads: int
    microseconds: Figure
    gflops: Figure | None
    share: Figure | None

    def cells(self) -> dict[str, Any]:
        return {
            "layer": self.case,
            "kernel": self.kernel,
            "isa": self.isa,
            "threads": self.threads,
            "us a sample and core": self.microseconds.text(2),
            "GFLOP/s": self.gflops.text() if self.gflops else "",
            "% of the FMA peak": self.share.percent() if self.share else "",
        }

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def measure(
    name: str,
    isa: str | None,
    threads: int | None,
    dtype: DTypeLike = "float32",
    rounds: int = 7,
    seconds: float = 0.05,
) -> list[Row]:
    """The kernels of one case: `rounds` measurements of about `seconds` each, each beside a peak of its own."""
    layers, shape, n = CASES[name]
    network = Network(layers(), shape, dtype)
    flops = 2 * sum(layer.multiply_adds(before) for layer, before in zip(network.layers, network.shapes, strict=False))
    rng = np.random.default_rng(0)
    x, dy = (rng.standard_normal((n, *size)).astype(dtype) for size in (shape, network.output_shape))
    y, dx, plan = np.empty_like(dy), np.empty_like(x), network.plan(True, n, target_of(isa))
    clocks = np.zeros((threads, len(plan.op_kinds)))

    def run(repeats):
        clocks[:] = 0
        for _ in range(repeats):
            network._run(plan, Program.FORWARD, n, threads, x=x, y=y, op_seconds=clocks)
            network._run(plan, Program.BACKWARD, n, threads, dy=dy, dx=dx, op_seconds=clocks)
        return clocks.sum(axis=0) / (n * repeats)

    run(1)  # memory is there now
    repeats = max(1, int(seconds / max(run(1).sum() * n / threads, 1e-6)))
    taken, peaks = [], []
    for _ in range(rounds):
        taken.append(run(repeats).tolist())
        peaks.append(fma_peak(isa, dtype, threads) * 1e9)
    rows = []
    for index, (kind, _) in enumerate(plan.op_kinds):
        times = [t[index] for t in taken]
        if Op(kind) in COPIES or not min(times):
            continue
        products = flops if Op(kind).name.startswith(("CONV", "LINEAR")) and kind not in PACKING else 0
        rates = [threads * products / t for t in times]
        shares = [rate / peak for rate, peak in zip(rates, peaks, strict=True)]
        rows.append(
            Row(
                name, Op(kind).name.lower(), isa, threads, Figure.of([1e6 * t for t in times]),
                Figure.of([rate / 1e9 for rate in rates]) if products else None,
                Figure.of(shares) if products else None,
            )
        )  # fmt: skip
    return rows


# ---- beside the peers' ----


class Block:
    """The layers of a case, fused as they are in a network: forward and backward (all gradients), by wall time."""

    dy: Any
    n: Any
    network: Any
    target: Any
    threads: Any
    x: Any

    def __init__(self, case: Any, isa: str | None, threads: int | None) -> None:
        layers, shape, self.n = CASES[case]
        self.network, self.target, self.threads = Network(layers(), shape), target_of(isa), threads
        rng = np.random.default_rng(0)
        self.x, self.dy = (
            rng.standard_normal((self.n, *size), np.float32) for size in (shape, self.network.output_shape)
        )
        self.measure(0)

    def measure(self, seconds: float) -> dict[str, Any]:
        """Seconds a call."""
        forward = backward = 0.0
        calls = 0
        while not calls or forward + backward < seconds:
            started = time.perf_counter()
            self.network.forward(self.x, True, self.target, self.threads)
            between = time.perf_counter()
            self.network.backward(self.dy, self.target, self.threads)
            forward, backward, calls = forward + between - started, backward + time.perf_counter() - between, calls + 1
        return dict(
            images_per_second=calls * self.n / (forward + backward),
            forward_seconds=forward / calls,
            backward_seconds=backward / calls,
            fma_peak_gflops=fma_peak(str(self.target), threads=self.threads),
        )


def compare(
    case: Any, isa: str | None, threads: int | None, company: Company, rounds: int = 5, seconds: float = 0.2
) -> list[Comparison]:
    """A case beside the same operator of each peer, forward and backward, in turns."""
    layers, shape, batch = CASES[case]
    job = dict(task="kernel", device="cpu", batch=batch, layers=described(layers(), shape))
    with ExitStack() as stack:
        theirs = company.beside(stack, case, "kernel", batch, job, isa, False, seconds)
        if not theirs:
            return []
        mine = stack.enter_context(ours(task="kernel", case=case, isa=isa, threads=threads))
        answers, *others = turns([mine, *(worker for _, _, worker in theirs)], rounds, seconds)

    def speed(task):
        return lambda answer: batch / answer[f"{task}_seconds"]

    return [
        compared(case, task, batch, isa, threads, answers, name, setting, other, speed(task))
        for (name, setting, _), other in zip(theirs, others, strict=True)
        for task in ("forward", "backward")
    ]
