"""What products reach by themselves, on factors that come from further and further away: a roofline, measured.

They are those of a large linear layer, without any other of its work. Nothing is as fast as products of what is in
registers: the FMA peak or, on tiles, theirs. How far below it a kernel has to be is what is to be learnt here.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from .. import _native
from .._native import Constant, Target
from ..target import default_target, target_of
from .measuring import Figure, fma_peak, rate

SHAPES = ((64, 32, 28), (256, 256, 84), (1024, 1024, 84), (4096, 4096, 84))  # inputs, outputs, samples
NOTES = [
    "Each thread multiplies samples of its own by weights of its own. L1 is 32 or 48 kB, L2 0.5 to 2 MB of a core, L3 "
    "shared.",
    "Packed: in bfloat16 samples are rounded and packed each time, as a layer has to; the weights are, once.",
]


@dataclass(frozen=True)
class Row:
    """Products of some samples and weights of so many bytes, or (0) of what is in registers: GFLOP/s of all threads,
    and their share of what those of registers reached in the same round. packed: were the samples packed each time?"""

    isa: str
    threads: int
    weight_bytes: int
    samples: int
    packed: bool
    gflops: Figure
    share: Figure

    def cells(self) -> dict[str, Any]:
        return {
            "isa": self.isa,
            "threads": self.threads,
            "weights": kilobytes(self.weight_bytes) if self.weight_bytes else "registers",
            "samples": self.samples or "",
            "packed": "yes" if self.packed else "",
            "GFLOP/s": self.gflops.text(),
            "% of registers'": self.share.percent(),
        }

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def fastest() -> list[str]:
    """The last instruction set, and what multiplies bfloat16 faster, if there is such."""
    targets = default_target(), default_target("bf16")
    return [str(target) for target in targets if target.precision == "full" or _native.target_pairs(target)]


def kilobytes(number: int) -> str:
    return f"{number / 1000:,.0f} kB"


def room_of(inputs: int, outputs: int, samples: int) -> np.ndarray:
    """What `_native.products` works in, from a whole line of the cache on, all of it there and nothing of it zero."""
    elements, line = _native.products_elements(inputs, outputs, samples), Constant.ALIGN // 4
    memory = np.full(elements + line, 0.5, np.float32)
    begin = -memory.ctypes.data // 4 % line
    return memory[begin : begin + elements]


def products(target: Target, shape: tuple[int, int, int], packed: bool, threads: int, seconds: float) -> float:
    """GFLOP/s of so many threads at once, now."""
    rooms = [room_of(*shape) for _ in range(threads)]
    return rate(
        lambda thread, rounds: _native.products(target, *shape, packed, rooms[thread], rounds), threads, seconds
    )


def measure(isa: str | None, threads: int, rounds: int = 7, seconds: float = 0.05) -> list[Row]:
    """Of one instruction set: registers first, then each of SHAPES."""
    target = target_of(isa)
    factor_bytes = 2 if _native.target_pairs(target) else 4
    cases = [(shape, packed) for shape in SHAPES for packed in ((False, True) if factor_bytes == 2 else (False,))]
    peaks, rates = [], [[] for _ in cases]
    for _ in range(rounds):
        peaks.append(fma_peak(isa, threads=threads, seconds=seconds))
        for reached, (shape, packed) in zip(rates, cases, strict=True):
            reached.append(products(target, shape, packed, threads, seconds))
    shares = [[one / peak for one, peak in zip(reached, peaks, strict=True)] for reached in rates]
    rows = [Row(str(target), threads, 0, 0, False, Figure.of(peaks), Figure(1.0, 1.0, 1.0))]
    for ((inputs, outputs, samples), packed), reached, share in zip(cases, rates, shares, strict=True):
        size = inputs * outputs * factor_bytes
        rows.append(Row(str(target), threads, size, samples, packed, Figure.of(reached), Figure.of(share)))
    return rows
