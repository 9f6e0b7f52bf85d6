"""The processes of ours that are measured together: `mpiexec -n 2 python -m pymnistcnn.benchmarking.ranks`. Rank 0
speaks what workers.py says; the others do what it is told, and sleep in between, so that they disturb nobody."""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from .. import __version__
from ..ranks import Ranks, world
from .traffic import CountedRanks
from .training import Step
from .worker import peak_megabytes

NAP = 0.002  # seconds between two looks for an order
BURST = 64  # messages that are sent one after the other
LARGE = 4 << 20  # bytes of a message that tells bandwidth


class Training(Step):
    """A network that all ranks train, as `fit` does."""

    comm: Any
    counted: CountedRanks
    ranks: Any

    def __init__(self, comm: Any, **job: Any) -> None:
        self.comm, self.counted = comm, CountedRanks(comm)
        super().__init__(**job, ranks=Ranks(comm), agreed=comm.bcast)  # rank 0's clock

    def measure(self, seconds: float) -> dict[str, Any]:
        steps, taken = 0, 0.0
        while not steps or taken < seconds:
            taken += self.run(self.steps)
            steps += self.steps
        return dict(images_per_second=steps * self.batch / taken, step_seconds=taken / steps, **self.communication())

    def communication(self) -> dict[str, Any]:
        """Of a step: meetings, bytes that the busiest rank receives, seconds of moving them, and of waiting for the
        last to come, the mean of the ranks. Counted in steps of their own."""
        plain, self.ranks = self.ranks, self.counted
        self.counted.restart()
        self.run(self.steps)
        self.ranks, traffic = plain, self.counted.traffic
        mine = (traffic.messages, traffic.bytes, self.counted.moving, self.counted.waiting)
        meetings, received, moving, waiting = zip(*self.comm.allgather(mine), strict=True)
        return dict(
            messages=meetings[0] / self.steps, bytes=max(received) / self.steps,
            moving_seconds=statistics.mean(moving) / self.steps, waiting_seconds=statistics.mean(waiting) / self.steps,
        )  # fmt: skip


class PingPong:
    """Messages between ranks 0 and 1: what the model on paper goes by."""

    comm: Any
    large: np.ndarray
    other: int
    small: np.ndarray

    def __init__(self, comm: Any) -> None:
        self.comm, self.other = comm, 1 - comm.rank
        self.small, self.large = np.zeros(8, np.uint8), np.zeros(LARGE, np.uint8)
        self.measure(0.01)

    def measure(self, seconds: float) -> dict[str, Any]:
        """Half a round trip of 8 bytes; what one of many messages more takes; bytes a second of large ones."""
        latency = self._time(lambda: self._there_and_back(self.small), seconds) / 2
        burst = self._time(self._burst, seconds) - 2 * latency
        large = self._time(lambda: self._there_and_back(self.large), seconds) / 2
        return dict(latency_seconds=latency, gap_seconds=max(0.0, burst / (BURST - 1)),
                    bytes_per_second=LARGE / max(1e-9, large - latency))  # fmt: skip

    def _time(self, do: Any, seconds: float) -> float:
        """The median of as many as take about so long."""
        do()
        started, taken = time.perf_counter(), []
        while self.comm.bcast(not taken or time.perf_counter() - started < seconds):
            self.comm.Barrier()
            before = time.perf_counter()
            do()
            taken.append(time.perf_counter() - before)
        return self.comm.bcast(statistics.median(taken))

    def _there_and_back(self, message: np.ndarray) -> None:
        if self.comm.rank == 0:
            self.comm.Send(message, self.other)
            self.comm.Recv(message, self.other)
        else:
            self.comm.Recv(message, self.other)
            self.comm.Send(message, self.other)

    def _burst(self) -> None:
        """Many messages there, and one back."""
        if self.comm.rank == 0:
            for request in [self.comm.Isend(self.small, self.other) for _ in range(BURST)]:
                request.Wait()
            self.comm.Recv(self.small, self.other)
        else:
            for _ in range(BURST):
                self.comm.Recv(self.small, self.other)
            self.comm.Send(self.small, self.other)


TASKS: dict[str, Any] = {"training": Training, "pingpong": PingPong}


def orders(comm: Any) -> Iterator[dict[str, Any]]:
    """What rank 0 reads, on all ranks."""
    if comm.rank == 0:
        for line in sys.stdin:
            for rank in range(1, comm.size):
                comm.send(line, rank)
            yield json.loads(line)
        for rank in range(1, comm.size):
            comm.send("", rank)
        return
    while True:
        while not comm.iprobe(0):
            time.sleep(NAP)
        line = comm.recv(source=0)
        if not line:
            return
        yield json.loads(line)


def main() -> None:
    comm = world()
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # whatever else is printed must not be taken for an answer
    told = orders(comm)
    job = next(told)
    measured = TASKS[job.pop("task")](comm, **job)
    if comm.rank == 0:
        print(json.dumps({"version": __version__}), file=answers)
    for order in told:
        answer = measured.measure(order["seconds"])
        if comm.rank == 0:
            print(json.dumps({**answer, "peak_megabytes": peak_megabytes()}), file=answers)


if __name__ == "__main__":
    main()
