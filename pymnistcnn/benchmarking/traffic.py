"""What ranks send each other: counted, timed, or counted alone, of ranks that are not there."""

from __future__ import annotations

import time
from typing import Any

from ..ranks import Ranks, Scattered


class Traffic:
    """What one rank has received, and by how many messages of all to all."""

    messages: int
    bytes: int

    def __init__(self, rank: int) -> None:
        self.rank = rank
        self.restart()

    def restart(self) -> None:
        self.messages = self.bytes = 0

    def shared(self, arrays: list[Scattered]) -> None:
        self.messages += 1
        for _, unit, bounds in arrays:
            self.bytes += unit * (bounds[-1] - (bounds[self.rank + 1] - bounds[self.rank]))

    def exchanged(self, rows: list[int], columns: list[int]) -> None:
        self.messages += 1
        others = rows[-1] - (rows[self.rank + 1] - rows[self.rank])
        self.bytes += others * (columns[self.rank + 1] - columns[self.rank])


class CountedRanks(Ranks):
    """Counts and times what it does. All wait for the last at first, so that waiting and moving are told apart."""

    traffic: Traffic
    waiting: float
    moving: float

    def __init__(self, comm: Any) -> None:
        super().__init__(comm)
        self.traffic = Traffic(self.rank)
        self.restart()

    def restart(self) -> None:
        self.traffic.restart()
        self.waiting = self.moving = 0.0

    def share(self, arrays: list[Scattered]) -> None:
        self.traffic.shared(arrays)
        started = self._wait()
        super().share(arrays)
        self.moving += time.perf_counter() - started

    def exchange(self, memory: memoryview, row_bytes: int, rows: list[int], columns: list[int]) -> None:
        self.traffic.exchanged(rows, columns)
        started = self._wait()
        super().exchange(memory, row_bytes, rows, columns)
        self.moving += time.perf_counter() - started

    def _wait(self) -> float:
        started = time.perf_counter()
        self._comm.Barrier()
        now = time.perf_counter()
        self.waiting += now - started
        return now


class RanksOnPaper:
    """The last of so many ranks, the others of which are not there: it computes what such a rank does, and counts what
    it would receive. Of a step's shards no rank has more than the last."""

    rank: int
    size: int
    traffic: Traffic

    def __init__(self, size: int) -> None:
        self.rank, self.size = size - 1, size
        self.traffic = Traffic(self.rank)

    def share(self, arrays: list[Scattered]) -> None:
        self.traffic.shared(arrays)

    def exchange(self, memory: memoryview, row_bytes: int, rows: list[int], columns: list[int]) -> None:
        self.traffic.exchanged(rows, columns)
