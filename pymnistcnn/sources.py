"""Where a training gets its samples from: arrays in memory or in a file, in a new order each epoch. streams.py has
those that come as they please."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ._native import samples_of
from ._types import Array
from .ahead import in_advance
from .checkpoints import checksum
from .datasets.dataset import drawn
from .mapped import Rows, mapped_of
from .network import Targets
from .ranks import Ranks

MOST_SAMPLES, MOST_BYTES = 8192, 1 << 25  # of what is made ready at once, or a batch that is larger
SMALL = 2 * MOST_BYTES  # a file of so many bytes is read once: what is used and what is read ahead would take as much
HELD_OUT_OF, FEWEST_HELD_OUT = 10, 100  # one of so many samples at most, and not fewer


@dataclass(frozen=True)
class Part:
    """Samples that follow each other in an epoch.

    x, targets : as a network takes them, in which `index` names the samples in order; without it they lie in order
    first, count : samples of the epoch that come before, and that there are
    numbers : of the samples in the data set, if `index` does not say them; without both, their places in the epoch
    is_last : does nothing come behind them?
    checksum : of all of a stream up to here
    """

    x: Array
    targets: Targets
    first: int
    count: int
    index: Array | None = None
    numbers: Array | None = None
    is_last: bool = True
    checksum: int = 0

    def between(self, begin: int, end: int) -> tuple[Array, Targets, Array | None, Array | None]:
        """x, targets, index and numbers of samples, by their places in the epoch."""
        here = slice(begin - self.first, end - self.first)
        if self.index is not None:
            return self.x, self.targets, self.index[here], None
        return self.x[here], self.targets[here], None, None if self.numbers is None else self.numbers[here]

    def named(self, begin: int, end: int) -> Array:
        """What samples are called: their numbers."""
        *_, index, numbers = self.between(begin, end)
        return index if index is not None else np.arange(begin, end) if numbers is None else numbers


class Arrays:
    """All samples, in memory or mapped.

    samples : how many there are in an epoch
    held_out : numbers of those that are not trained on; None if none were to be
    """

    samples: float
    streamed: bool = False
    targets: Targets
    x: Array
    held_out: Array | None

    def __init__(
        self, x: Array, targets: Targets, shuffle: bool, ranks: Ranks | None = None, held_out: Array | None = None
    ) -> None:
        self._ranks = ranks
        self.x, self.targets, self.held_out, self._shuffle = x, targets, held_out, shuffle
        self.samples = len(x) - (0 if held_out is None else len(held_out))
        self._mapped = mapped_of(x)
        if self._mapped and ranks is None and x.nbytes <= SMALL:
            with self._mapped.opened() as rows:
                if rows is not None:
                    self.x, self._mapped = rows.read(np.arange(len(x))), None

    def described(self, mapped: bool = True) -> dict[str, Any]:
        """What must be the same for a training to go on; mapped: and what is in a mapped file, which is read for it."""
        inputs = [self.x] if mapped or not self._mapped else []
        seen = checksum(*inputs, *self.targets.arrays)
        return {"samples": self.samples, "shuffle": self._shuffle, "training data": seen}

    @property
    def resident(self) -> tuple[Array | None, ...]:
        """What every step reads: worth a place in a device's memory."""
        return () if self._mapped else (self.x, *self.targets.arrays)

    def resume(self, place: int, checksum: int | None) -> None:
        """The training goes on at this place of an epoch."""

    def parts(self, seed: int, epoch: int, batch_size: int, begin: int) -> Iterator[Part]:
        """The parts of an epoch from one of its places on."""
        order = epoch_order(len(self.x), seed, epoch, self._shuffle, self.held_out)
        whole = Part(self.x, self.targets, 0, len(order), order)
        return in_advance(self._read(whole, batch_size, begin)) if self._mapped else (part for part in [whole])

    def _read(self, whole: Part, batch_size: int, begin: int) -> Generator[Part, None, None]:
        """The parts of an epoch, read from the file while others are trained on."""
        with self._mapped.opened() as rows:
            if rows is None:
                yield whole
            else:
                yield from self._parts(rows, whole.index, batch_size, begin)

    def _parts(self, rows: Rows, order: Array, batch_size: int, begin: int) -> Iterator[Part]:
        count = count_at_once(self.x, batch_size)
        begin = min(begin, len(order) - 1)  # of an epoch that is complete, something is there
        for first in range(begin, len(order), count):
            numbers, following = order[first : first + count], order[first + count : first + 2 * count]
            rows.soon(following[self._own(len(following), batch_size)])
            x, is_last = rows.read(numbers, self._own(len(numbers), batch_size)), not len(following)
            yield Part(x, self.targets[numbers], first, len(numbers), None, numbers, is_last)

    def _own(self, count: int, batch_size: int) -> Array | slice:
        """Of so many samples, those that this process computes with."""
        if self._ranks is None or not count:
            return slice(None)
        return np.concatenate([
            first + np.arange(*samples_of(self._ranks.rank, self._ranks.size, min(batch_size, count - first)))
            for first in range(0, count, batch_size)
        ])  # fmt: skip


def held_out_of(samples: int, wanted: int) -> int:
    """How many of the samples are not trained on where so many are wanted: a tenth at most, and none if these are too
    few to say anything."""
    count = min(wanted, samples // HELD_OUT_OF)
    return count if count >= FEWEST_HELD_OUT else 0


def drawn_to_hold_out(samples: int, wanted: int, targets: Targets, seed: int) -> Array | None:
    """Their numbers, of each class its share; None if none are wanted."""
    count = held_out_of(samples, wanted)
    return np.flatnonzero(drawn(samples, count, seed, targets.labels)) if wanted else None


def count_at_once(x: Array, batch_size: int) -> int:
    """How many samples are made ready at once: whole batches."""
    most = min(MOST_SAMPLES, MOST_BYTES // max(1, x[:1].nbytes))
    return max(1, most // batch_size) * batch_size


def epoch_order(samples: int, seed: int, epoch: int, shuffle: bool, held_out: Array | None = None) -> np.ndarray:
    """The numbers of the samples that are trained on, in the order of an epoch: a function of seed and epoch (the
    epochs trained before)."""
    trained = np.arange(samples) if held_out is None else np.setdiff1d(np.arange(samples), held_out)
    return generator_of(seed, epoch).permutation(trained) if shuffle else trained


def generator_of(seed: int, epoch: int, stream: int = 0) -> np.random.Generator:
    """What draws an order: apart from the streams of the first weights."""
    key = np.uint64(2**63) + np.uint64(stream * 2**62) + np.uint64(epoch)
    return np.random.Generator(np.random.Philox(key=np.array([seed, key], np.uint64)))
