"""What loading costs: training on the same pictures in memory, in a mapped file, and as a stream of chunks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .. import datasets
from .._types import Array
from ..callbacks import Callback
from ..layers import Augmentation
from ..model import Sequential
from ..training import batches_of
from .measuring import Figure
from .networks import flux
from .worker import peak_megabytes
from .workers import our_environment, our_python

CHUNK = 10_000  # pictures that a stream gives at once
SLOW = 0.1  # seconds that a slow stream takes for one: pictures of 28x28 at 78 MB/s
NOTES = [
    "The network `flux`, one epoch or its beginning, shuffled over all pictures; wall time of `fit`, in turns. A "
    "stream reads chunks of 10,000 pictures of the file, in its order, and shuffles them through a buffer as large.",
    "Not in the cache: the system is told to forget the file before each round. Slow: a stream that waits 0.1 s before "
    "each chunk, as a disk of 78 MB/s would; alone is what it takes where nothing is trained.",
    "Peak memory is that of a process of its own that trains once so, the interpreter, labels and order included.",
]


@dataclass(frozen=True)
class Row:
    """A way to get pictures: how many there are and are trained on; pictures a second, and their share of those from
    memory, a median of shares of one round each; peak memory in megabytes."""

    source: str
    images: int
    trained: int
    isa: str | None
    threads: int
    images_per_second: Figure
    share: Figure
    peak_megabytes: float

    def cells(self) -> dict[str, Any]:
        return {
            "pictures from": self.source,
            "pictures": f"{self.images:,}",
            "trained on": f"{self.trained:,}",
            "isa": self.isa,
            "threads": self.threads,
            "images/s": self.images_per_second.text(),
            "share of memory's": f"{self.share.median:.0%} ({self.share.low:.0%} to {self.share.high:.0%})",
            "peak memory, MB": f"{self.peak_megabytes:,.0f}",
        }

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def write_pictures(path: Path, images: int) -> None:
    """A .npy file of MNIST's training pictures, moved and turned, over and over."""
    train, _ = datasets.mnist()
    file = np.lib.format.open_memmap(path, "w+", np.uint8, (images, 28, 28))
    for round_, start in enumerate(range(0, images, CHUNK)):
        source = np.arange(start, min(start + CHUNK, images)) % len(train)
        model = Sequential([Augmentation(shift=2, rotation=10)], (1, 28, 28), seed=round_)
        file[start : start + CHUNK] = model.forward(train.images[source])[:, 0].round()
    file.flush()


def labels_of(images: int) -> Array:
    labels = datasets.mnist()[0].labels
    return np.resize(labels, images)


def chunks(path: Path, labels: Array, trained: int, pause: float = 0.0) -> Iterator[tuple[Array, Array]]:
    """The first so many pictures of a file."""
    with open(path, "rb") as file:
        file.seek(os.fstat(file.fileno()).st_size - 784 * len(labels))
        labels = labels[:trained]
        for start in range(0, trained, CHUNK):
            time.sleep(pause)
            here = labels[start : start + CHUNK]
            yield np.fromfile(file, np.uint8, 784 * len(here)).reshape(-1, 28, 28), here


def forget(path: Path) -> None:
    """Let the system's cache be without a file."""
    with open(path, "rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


class Beginning(Callback):
    """Ends a training after so many batches."""

    every: int | None

    def __init__(self, batches: int) -> None:
        self.every = batches

    def on_batches(self, training: Any) -> None:
        training.stop()


def seconds_of(data: Any, trained: int, threads: int, isa: str | None, **arguments: Any) -> float:
    case = flux()
    beginning = Beginning(batches_of(trained, case.batch_size))
    started = time.perf_counter()
    case.model.fit(*data, batch_size=case.batch_size, optimizer=case.optimizer, progress=False, threads=threads,
                   isa=isa, callbacks=[beginning], **arguments)  # fmt: skip
    return time.perf_counter() - started


def sources(
    path: Path, labels: Array, trained: int, threads: int, isa: str | None, memory: Array | None = None
) -> dict[str, Callable[[], float]]:
    """Functions that give the seconds of training on so many pictures, by where they come from; memory: all of them, if
    they are there already."""
    mapped = np.load(path, mmap_mode="r")

    def cold() -> float:
        forget(path)
        return seconds_of((mapped, labels), trained, threads, isa)

    def stream(pause: float = 0.0) -> float:
        return seconds_of((lambda: chunks(path, labels, trained, pause),), trained, threads, isa, shuffle_buffer=CHUNK)

    def alone() -> float:
        started = time.perf_counter()
        for _ in chunks(path, labels, trained, SLOW):
            pass
        return time.perf_counter() - started

    return {
        "memory": lambda: seconds_of((in_memory(path) if memory is None else memory, labels), trained, threads, isa),
        "a mapped file": lambda: seconds_of((mapped, labels), trained, threads, isa),
        "a mapped file, not in the cache": cold,
        "a stream": stream,
        "a slow stream": lambda: stream(SLOW),
        "a slow stream, alone": alone,
    }


def in_memory(path: Path) -> Array:
    mapped = np.load(path, mmap_mode="r")
    return np.fromfile(path, np.uint8, offset=mapped.offset).reshape(mapped.shape)


def peak_of(source: str, *job: Any) -> float:
    """Peak memory of a process of its own, in megabytes, that trains so once."""
    command = our_python("-m", "pymnistcnn.benchmarking.data", json.dumps([source, *job]))
    return float(subprocess.run(command, stdout=subprocess.PIPE, text=True, env=our_environment(), check=True).stdout)


def measure(path: Path, images: int, trained: int, rounds: int, threads: int, isa: str | None) -> list[Row]:
    write_pictures(path, images)
    labels, how = labels_of(images), (trained, threads, isa)
    peaks = {name: peak_of(name, os.fspath(path), images, *how) for name in sources(path, labels, *how)}
    ways = sources(path, labels, *how, in_memory(path))
    seconds = {name: [] for name in ways}
    for number in range(rounds):
        for name in list(ways)[:: -1 if number % 2 else 1]:  # none is always the one after a rest
            seconds[name].append(ways[name]())
    return [
        Row(name, images, trained, threads=threads, isa=isa,
            images_per_second=Figure.of([trained / taken for taken in several]),
            share=Figure.of([a / b for a, b in zip(seconds["memory"], several, strict=True)]),
            peak_megabytes=peaks[name])
        for name, several in seconds.items()
    ]  # fmt: skip


def main() -> None:
    """What `peak_of` starts."""
    source, path, images, *how = json.loads(sys.argv[1])
    sources(Path(path), labels_of(images), *how)[source]()
    print(peak_megabytes())


if __name__ == "__main__":
    main()
