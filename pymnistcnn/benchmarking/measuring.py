"""Medians, the FMA peak, and tables."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import _native
from .._types import DTypeLike
from ..target import target_of


@dataclass(frozen=True)
class Figure:
    """The median of several measurements, and their range.

    >>> Figure.of([3.0, 1.0, 2.0])
    Figure(median=2.0, low=1.0, high=3.0)
    """

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: list[float]) -> Figure:
        return cls(statistics.median(values), min(values), max(values))

    def text(self, digits: int = 0) -> Any:
        return f"{self.median:,.{digits}f} {self.range_text(digits)}"

    def percent(self) -> str:
        """Of a share."""
        return Figure(100 * self.median, 100 * self.low, 100 * self.high).text()

    def range_text(self, digits: int = 0) -> Any:
        return f"({self.low:,.{digits}f} to {self.high:,.{digits}f})"


def rate(work: Callable[[int, int], float], threads: int | None, seconds: float, rounds: int = 1) -> float:
    """GFLOP/s of so many threads at once; work(thread, rounds): does so many rounds, and returns its operations."""

    def of_one(thread):
        most = rounds
        while True:
            started = time.perf_counter()
            operations = work(thread, most)
            taken = time.perf_counter() - started
            if taken >= seconds:
                return operations / taken / 1e9
            most *= 2

    with ThreadPoolExecutor(threads) as pool:
        return sum(pool.map(of_one, range(threads)))


def fma_peak(isa: str | None, dtype: DTypeLike = "float32", threads: int | None = 1, seconds: float = 0.02) -> float:
    """GFLOP/s of independent FMAs on so many threads at once, now: what a share of the peak is a share of."""
    target, real = target_of(isa), int(dtype == "float64")
    return rate(lambda thread, rounds: _native.fma_peak(target, rounds, real), threads, seconds, rounds=20_000)


def has_tiles() -> bool:
    """Whether this processor multiplies tiles of bfloat16 (Intel's AMX), as PyTorch and OpenVINO then do."""
    path = Path("/proc/cpuinfo")
    return path.is_file() and " amx_bf16" in path.read_text()


def markdown(head: Any, rows: Any) -> str:
    """A table: the first column to the left, the others to the right."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)
