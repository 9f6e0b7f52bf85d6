"""Inference as it is deployed: calls of a predictor, one after the other, or from several clients at once."""

from __future__ import annotations

import threading
import time
from typing import Any

import numpy as np

from .. import datasets
from ..predictor import Predictor
from .networks import NETWORKS
from .training import peak_of


class Calls:
    """Calls of a predictor on the test images, so many at a time."""

    batch: int
    how: dict[str, Any]
    pieces: list[np.ndarray]
    predictor: Predictor

    def __init__(self, network: str, batch: int, isa: str | None, threads: int | None) -> None:
        self.batch, self.how = batch, dict(isa=isa, threads=threads)
        images = datasets.mnist()[1].images
        self.predictor = NETWORKS[network]().model.predictor(batch=batch, threads=threads, isa=isa)
        self.pieces = [images[i : i + batch] for i in range(0, len(images) - batch + 1, batch)]
        self.predictor(self.pieces[0])

    def measure(self, seconds: float) -> dict[str, Any]:
        started, calls, taken = time.perf_counter(), 0, 0.0
        while not calls or taken < seconds:
            self.predictor(self.pieces[calls % len(self.pieces)])
            calls, taken = calls + 1, time.perf_counter() - started
        return dict(
            images_per_second=calls * self.batch / taken, fma_peak_gflops=peak_of(**self.how), workspace_megabytes=0.0
        )


class Clients:
    """So many threads that each ask one predictor for one picture after the other, as a server's do."""

    clients: int
    images: np.ndarray
    predictor: Predictor

    def __init__(self, network: str, clients: int, isa: str | None, threads: int | None) -> None:
        self.clients, self.images = clients, datasets.mnist()[1].images
        self.predictor = NETWORKS[network]().model.predictor(batch=1, threads=threads, isa=isa)

    def measure(self, seconds: float) -> dict[str, Any]:
        return latencies([self.one_picture] * self.clients, seconds)

    def one_picture(self, number: int) -> None:
        self.predictor(self.images[number % len(self.images)][np.newaxis])


def latencies(calls: list[Any], seconds: float) -> dict[str, Any]:
    """Each of `calls`, functions of a number, again and again in a thread of its own: pictures a second in all, and
    the median and the 99th percentile of the seconds that one call takes."""
    taken: list[list[float]] = [[] for _ in calls]
    start = threading.Barrier(len(calls))

    def client(call, mine):
        start.wait()
        end = time.perf_counter() + seconds
        while not mine or time.perf_counter() < end:
            started = time.perf_counter()
            call(len(mine))
            mine.append(time.perf_counter() - started)

    clients = [threading.Thread(target=client, args=pair) for pair in zip(calls, taken, strict=True)]
    started = time.perf_counter()
    for thread in clients:
        thread.start()
    for thread in clients:
        thread.join()
    every = np.concatenate(taken)
    middle, late = np.percentile(every, [50, 99])
    return dict(
        images_per_second=len(every) / (time.perf_counter() - started),
        median_seconds=float(middle),
        late_seconds=float(late),
    )
