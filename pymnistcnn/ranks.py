"""Several processes that train one model together, by MPI: each computes some shards of each batch.

Shards, not processes, own sums: each process lets the others have what its shards came to, and all add it up in the
order of the shards. So the weights are those of one process, to the bit, and all have them.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import Any, TypeVar

from .checks import shown
from .extras import MissingExtra, needed
from .losses import Loss
from .network import Network
from .stepping import in_python
from .target import Target

T = TypeVar("T")
Scattered = tuple[memoryview, int, list[int]]  # bytes; how many are a unit; rank i has units bounds[i] to bounds[i + 1]


class Ranks:
    """The processes of an MPI communicator.

    rank, size : which one this is, and how many there are
    here : how many of them are on this machine
    """

    rank: int
    size: int
    here: int

    def __init__(self, comm: Any) -> None:
        self._mpi = mpi()
        if not isinstance(comm, self._mpi.Intracomm):
            raise ValueError(f"comm must be a communicator of mpi4py, such as MPI.COMM_WORLD, not {shown(comm)}")
        self._comm = comm.Dup()  # what others send is not ours
        self._blocks = {}
        self.rank, self.size = comm.rank, comm.size
        on_this_machine = comm.Split_type(self._mpi.COMM_TYPE_SHARED)
        self.here = on_this_machine.size
        on_this_machine.Free()

    def of_first(self, value: T) -> T:
        """What rank 0 has, on all."""
        return self._comm.bcast(value)

    def share(self, arrays: list[Scattered]) -> None:
        """Let all have some arrays, by one message of what each has of all of them."""
        if len(arrays) == 1:
            ((memory, unit, bounds),) = arrays
            self._send_to_all(memory, [unit * bound for bound in bounds])
            return
        flat, begins, at = bytearray(sum(len(memory) for memory, _, _ in arrays)), [0], 0
        view, places = memoryview(flat), []
        for rank in range(self.size):
            for memory, unit, bounds in arrays:
                part = memory[unit * bounds[rank] : unit * bounds[rank + 1]]
                places.append((rank, part, view[at : at + len(part)]))
                at += len(part)
            begins.append(at)
        for rank, part, place in places:
            if rank == self.rank:
                place[:] = part
        self._send_to_all(view, begins)
        for rank, part, place in places:
            if rank != self.rank:
                part[:] = place

    def _send_to_all(self, memory: memoryview, bounds: list[int]) -> None:
        """Rank i has bytes bounds[i] to bounds[i + 1], and sends them to each of the others. So does an Allgatherv, but
        MPICH's by pieces of 32 kB, each of which waits for the one before."""
        sizes = [end - begin for begin, end in pairwise(bounds)]
        others = [int(rank != self.rank) for rank in range(self.size)]
        sent = [sizes[self.rank] * other for other in others], [bounds[self.rank]] * self.size
        received = [size * other for size, other in zip(sizes, others, strict=True)], bounds[:-1]
        self._comm.Alltoallv([memory, sent], [memory, received])

    def exchange(self, memory: memoryview, row_bytes: int, rows: list[int], columns: list[int]) -> None:
        """Of rows of bytes, of which rank i has those from rows[i] to rows[i + 1], let it have the bytes from
        columns[i] to columns[i + 1] of all."""
        sent, received = [], []
        for rank in range(self.size):
            for blocks, owner, reader in ((sent, self.rank, rank), (received, rank, self.rank)):
                shape = rows[owner + 1] - rows[owner], columns[reader + 1] - columns[reader]
                here = owner != reader and all(shape)
                blocks.append((int(here), rows[owner] * row_bytes + columns[reader], self._block(*shape, row_bytes)))
        self._comm.Alltoallw(*([memory, *map(list, zip(*blocks, strict=True))] for blocks in (sent, received)))

    def _block(self, rows: int, columns: int, row_bytes: int) -> Any:
        """MPI's type of such a part of a matrix of bytes."""
        key = rows, columns, row_bytes
        if key not in self._blocks:
            self._blocks[key] = self._mpi.BYTE.Create_vector(*key).Commit()
        return self._blocks[key]

    def check_same(self, what: str, value: str) -> None:
        """ValueError, on all ranks, unless all have the same."""
        values = self._comm.allgather(value)
        for rank, other in enumerate(values):
            if other != values[0]:
                raise ValueError(f"{what} must be the same on all ranks: rank {rank} has others than rank 0")

    @contextmanager
    def together(self, told: Callable[[Exception], str] | None = None) -> Iterator[None]:
        """While it lasts, an error or Ctrl-C on one rank ends all: others would wait for it for ever. told: what is
        said of an error."""
        try:
            yield
        except BaseException as error:
            if self.size > 1:
                time.sleep(self.rank and 1)  # what all of them have is told by rank 0, which ends the others
                interrupted = isinstance(error, KeyboardInterrupt)
                what = "interrupted" if interrupted else f"{type(error).__name__}: {error}"
                if told is not None and isinstance(error, Exception):
                    what = told(error)
                print(f"rank {self.rank} of {self.size}: {what}", file=sys.stderr, flush=True)
                self._comm.Abort(130 if interrupted else 1)
            raise
        finally:
            for block in self._blocks.values():
                block.Free()
            self._comm.Free()


def world() -> Any:
    """The communicator of all processes that mpiexec started."""
    return mpi().COMM_WORLD


def mpi() -> Any:
    """mpi4py's module."""
    try:
        return needed("mpi4py.MPI", "mpi")
    except RuntimeError as error:
        raise MissingExtra(f"mpi4py finds no MPI ({error}); run: pip install mpich, or install the system's") from error


def check_together(network: Network, loss: Loss, target: Target) -> None:
    """ValueError for what processes cannot train together."""
    if target.device != "cpu":
        raise ValueError(f"comm is for the processor, not for {target}")
    if python := in_python(network, loss):
        raise ValueError(f"comm is for networks and losses without Python, not for {python[0]}")
