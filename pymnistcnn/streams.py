"""Samples that come in chunks: regrouped, shuffled through a buffer, and made ready while others are trained on."""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import chain
from types import NoneType
from typing import Any

import numpy as np

from ._types import Array
from .ahead import in_advance
from .checks import whole
from .datasets import Dataset
from .losses import Loss
from .network import Network, Targets
from .schedules import Constant
from .sources import Part, count_at_once, generator_of


@dataclass(frozen=True)
class Samples:
    """Some samples, as a network takes them."""

    x: Array
    targets: Targets

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, part: Any) -> Samples:
        return Samples(self.x[part], self.targets[part])

    @property
    def arrays(self) -> tuple[Array | None, ...]:
        return self.x, self.targets.labels, self.targets.values, self.targets.sample_weight

    @property
    def kind(self) -> list[Any]:
        """What has to be the same in all chunks."""
        return [array if array is None else (array.dtype, array.shape[1:]) for array in self.arrays]


def joined(pieces: list[Samples]) -> Samples:
    """A copy of all, one after the other."""
    columns = zip(*(piece.arrays for piece in pieces), strict=True)
    x, *targets = (None if column[0] is None else np.concatenate(column) for column in columns)
    return Samples(x, Targets(*targets))


class Queue:
    """Takes as many samples at a time as are wanted from chunks of any sizes. A chunk may be overwritten once the next
    one is asked for."""

    def __init__(self, chunks: Iterator[Samples]) -> None:
        self._chunks, self._left = chunks, None

    def take(self, count: int) -> Samples | None:
        """So many samples, in memory of their own; fewer at the end, and None where there are none."""
        pieces = []
        while count:
            if self._left is None or not len(self._left):
                self._left = next(self._chunks, None)
            if self._left is None:
                break
            pieces.append(joined([self._left[:count]]))
            self._left = self._left[len(pieces[-1]) :]
            count -= len(pieces[-1])
        return pieces[0] if len(pieces) == 1 else joined(pieces) if pieces else None


def shuffled(rows: Queue, size: int, count: int, rng: np.random.Generator) -> Iterator[Samples]:
    """Samples in another order: each is drawn from `size` that wait, and the next to come takes its place."""
    waiting = rows.take(size)
    while (came := rows.take(count)) is not None:
        places = rng.integers(0, len(waiting), len(came))
        order = np.argsort(places, kind="stable")
        again = places[order][1:] == places[order][:-1]  # drawn twice: then it is the one that took the place
        drawn, last = waiting[places], order[np.append(~again, True)]
        for out, held, new in zip(drawn.arrays, waiting.arrays, came.arrays, strict=True):
            if new is not None:
                out[order[1:][again]] = new[order[:-1][again]]
                held[places[last]] = new[last]
        yield drawn
    if waiting is not None:
        yield waiting[rng.permutation(len(waiting))]


class Stream:
    """Chunks of samples that come one after the other, in each epoch anew.

    Parameters
    ----------
    chunks : what gives (inputs, targets), or these and weights, over and over again; or a function that returns such;
        an iterator gives them once
    checked : function that makes Samples of a chunk and its name
    shuffle_buffer : samples that wait to be drawn; None leaves the order as it is
    steps : batches of an epoch, or None: as many as there are
    samples : of an epoch, if it is known
    """

    first: Samples
    samples: float
    streamed: bool = True
    targets: Targets

    def __init__(
        self,
        chunks: Any,
        checked: Callable[[Any, str], Samples],
        batch_size: int,
        shuffle_buffer: int | None,
        steps: int | None,
        samples: int | None = None,
    ) -> None:
        self._chunks, self._checked, self._buffer, self._steps = chunks, checked, shuffle_buffer, steps
        self._limit = math.inf if steps is None else steps * batch_size
        self.samples = self._limit if samples is None else min(samples, self._limit)
        self._expected = (0, 0)  # where a training is resumed, and the checksum of what led there
        opened = self._open()
        first = next(opened, None)
        if first is None:
            raise ValueError("train: a stream must give at least one chunk of inputs and targets, not none")
        self._begun = chain([first], opened)
        self.first, self._kind, self.targets = first, first.kind, first.targets

    def described(self, mapped: bool = True) -> dict[str, Any]:
        """What must be the same for a training to go on."""
        return {"samples": None, "shuffle": self._buffer, "steps_per_epoch": self._steps, "training data": "a stream"}

    @property
    def resident(self) -> tuple[Array | None, ...]:
        """What every step reads: nothing stays."""
        return ()

    def resume(self, place: int, checksum: int | None) -> None:
        """The training goes on at this place of an epoch; it has come there by samples of this checksum."""
        self._expected = place, checksum or 0

    def checksum_of(self, part: Part | None) -> int:
        """Of all of an epoch up to the end of a part, or to where the training is resumed."""
        return self._expected[1] if part is None else part.checksum

    def parts(self, seed: int, epoch: int, batch_size: int, begin: int) -> Iterator[Part]:
        """The parts of an epoch from one of its places on, each made ready while the one before it is in use."""
        made = self._parts(generator_of(seed, epoch, stream=1), batch_size)
        if begin:
            made = behind(made, batch_size, *self._expected)
        return in_advance(made)

    def _open(self) -> Iterator[Samples]:
        """An epoch's chunks."""
        chunks = self._chunks() if not is_iterable(self._chunks) else self._chunks
        for number, chunk in enumerate(chunks, 1):
            samples = self._checked(chunk, f"chunk {number}")
            if number > 1 and samples.kind != self._kind:
                raise ValueError(f"chunk {number} must be like the first, {said(self._kind)}, not {said(samples.kind)}")
            yield samples

    def _parts(self, rng: np.random.Generator, batch_size: int) -> Iterator[Part]:
        opened, self._begun = self._begun or self._open(), None
        rows, most = Queue(opened), count_at_once(self.first.x, batch_size)
        if self._buffer is not None:
            rows = Queue(shuffled(rows, self._buffer, most, rng))
        part, behind, checksum = None, 0, 0
        while behind < self._limit and (samples := rows.take(min(most, self._limit - behind))) is not None:
            if part is not None:
                yield part
            for array in samples.arrays:
                checksum = checksum if array is None else zlib.crc32(array, checksum)
            part = Part(samples.x, samples.targets, behind, len(samples), is_last=False, checksum=checksum)
            behind += len(samples)
        if self._steps is not None and behind <= self._limit - batch_size:
            got = -(-behind // batch_size)
            raise ValueError(f"steps_per_epoch must be at most the batches that the stream gives, {got}, "
                             f"not {self._steps}")  # fmt: skip
        if part is None:
            raise ValueError("train: the stream gave nothing in this epoch: an iterator can be read only once; give "
                             "what can be read again, such as a function that returns one")  # fmt: skip
        yield replace(part, is_last=True)


def behind(parts: Iterator[Part], batch_size: int, place: int, checksum: int) -> Iterator[Part]:
    """Those that end behind a place of the epoch, or the last; ValueError if what comes before has another checksum."""
    for part in parts:
        if part.first < place <= part.first + part.count and part.checksum != checksum:
            raise ValueError("resume: the stream does not give the samples that it gave when the checkpoint was "
                             "written: only one that repeats itself can be gone on with in the middle")  # fmt: skip
        if part.is_last and part.first + part.count <= place - batch_size:
            raise ValueError(f"resume: the stream ends before sample {place:,}, to which the training had come")
        if part.is_last or part.first + part.count > place:
            yield part


def is_iterable(thing: Any) -> bool:
    return hasattr(thing, "__iter__") or hasattr(thing, "__getitem__")


def said(kind: list[Any]) -> str:
    names = ("inputs", "labels", "targets", "weights")
    return ", ".join(f"{n} {k[0]} {k[1]}" for n, k in zip(names, kind, strict=True) if k is not None)


class DaskChunks:
    """The chunks of a Dask array of inputs, and of targets, computed one at a time."""

    def __init__(self, x: Any, y: Any) -> None:
        self._x = x.rechunk({axis: -1 for axis in range(1, x.ndim)})
        self._y = y.rechunk((self._x.chunks[0], *[-1] * (y.ndim - 1))) if is_dask(y) else y

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        behind = 0
        for number, count in enumerate(self._x.chunks[0]):
            x, y = self._x.blocks[number], self._y[behind : behind + count]
            yield x.compute(), y.compute() if is_dask(y) else y
            behind += count


def is_dask(thing: Any) -> bool:
    return hasattr(thing, "compute") and hasattr(thing, "rechunk")


def chunks_of(x: Any, y: Any) -> tuple[Any, int | None]:
    """What gives chunks, and how many samples if that is known; (None, None) where x, or x and y, are arrays."""
    if y is None and isinstance(x, (tuple, list)) and len(x) == 2 and is_dask(x[0]):
        x, y = x
    if is_dask(x):
        if y is None or len(x) != len(y):
            raise ValueError(f"train: a Dask array of {len(x)} inputs needs as many targets")
        return DaskChunks(x, y), len(x)
    if y is not None or isinstance(x, (tuple, dict, str, bytes, Dataset)) or hasattr(x, "__array__"):
        return None, None
    if isinstance(x, list):
        return (x, sum(len(next(iter(chunk))) for chunk in x)) if x and all(map(is_chunk, x)) else (None, None)
    return (x, None) if is_iterable(x) or callable(x) else (None, None)


def is_chunk(thing: Any) -> bool:
    """Is it inputs and their targets, as arrays? A list of two may also be a pair of inputs and of targets."""
    return isinstance(thing, Dataset) or (
        isinstance(thing, tuple) and len(thing) in (2, 3) and all(hasattr(part, "__len__") for part in thing)
        and len({len(part) for part in thing}) == 1 and hasattr(thing[0], "shape")
    )  # fmt: skip


def stream_of(
    network: Network, loss: Loss, x: Any, y: Any, batch_size: int, shuffle_buffer: int | None, steps: int | None
) -> Stream | None:
    """The stream that `fit` was given, or None: arrays."""
    chunks, count = chunks_of(x, y)
    if chunks is None:
        return None

    def checked(chunk: Any, name: str) -> Samples:
        weights = chunk[2] if isinstance(chunk, (tuple, list)) and len(chunk) == 3 else None
        inputs, targets = both_of(chunk if weights is None else chunk[:2], name)
        x = network.inputs(inputs, f"{name} inputs")
        return Samples(x, network.targets(loss, targets, len(x), weights, f"{name} labels"))

    buffer = None if shuffle_buffer is None else whole("shuffle_buffer", shuffle_buffer)
    steps = None if steps is None else whole("steps_per_epoch", steps)
    return Stream(chunks, checked, batch_size, buffer, steps, count)


def check_stream(
    stream: Stream, chunks: Any, epochs: int, schedule: Any, average: Any, sample_weight: Any, held_out: int
) -> None:
    """ValueError for what a stream cannot do."""
    if isinstance(chunks, Iterator) and epochs > 1:
        raise ValueError(f"epochs must be 1 for an iterator, which can be read only once, not {epochs}: give what can "
                         "be read again, such as a function that returns an iterator")  # fmt: skip
    for plan in (schedule, average):
        if stream.samples == math.inf and not isinstance(plan, (Constant, float, NoneType)):
            raise ValueError(f"{plan} needs to know how long the training is: give steps_per_epoch")
    if sample_weight is not None:
        raise ValueError("sample_weight is for arrays; a stream gives chunks (inputs, targets, weights)")
    if held_out:
        raise ValueError("held_out is for arrays: what a stream gives cannot be looked at again")


def refuse_of_streams(**given: Any) -> None:
    """ValueError for arguments that arrays have no use for."""
    for name, value in given.items():
        if value is not None:
            raise ValueError(f"{name} is for a stream of chunks, not for arrays")


def both_of(data: Any, name: str) -> Any:
    """(inputs, targets) of a Dataset, or of what is a tuple or list of two."""
    if isinstance(data, Dataset):
        return data.images, data.labels
    if not isinstance(data, (tuple, list)) or len(data) != 2:
        raise ValueError(f"{name} must be inputs and labels, a Dataset or a pair of both, not {type(data).__name__}")
    return data
