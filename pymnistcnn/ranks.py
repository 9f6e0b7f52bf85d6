"""Several processes that train one model together, by MPI: each computes some shards of each batch.

Shards, not processes, own sums: each process lets the others have what its shards came to, and all add it up in the
order of the shards. So the weights are those of one process, to the bit, and all have them.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from .checks import shown
from .extras import MissingExtra, needed
from .losses import Loss
from .network import Network
from .stepping import in_python
from .target import Target


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
        self.rank, self.size = comm.rank, comm.size
        on_this_machine = comm.Split_type(self._mpi.COMM_TYPE_SHARED)
        self.here = on_this_machine.size
        on_this_machine.Free()

    def share(self, array: memoryview, bounds: list[int]) -> None:
        """Let all have an array, of which rank i has the bytes from bounds[i] to bounds[i + 1]."""
        counts = [end - begin for begin, end in zip(bounds, bounds[1:], strict=False)]
        self._comm.Allgatherv(self._mpi.IN_PLACE, [array, counts, bounds[:-1], self._mpi.BYTE])

    def check_same(self, what: str, value: str) -> None:
        """ValueError, on all ranks, unless all have the same."""
        values = self._comm.allgather(value)
        for rank, other in enumerate(values):
            if other != values[0]:
                raise ValueError(f"{what} must be the same on all ranks: rank {rank} has others than rank 0")

    @contextmanager
    def together(self) -> Iterator[None]:
        """While it lasts, an error or Ctrl-C on one rank ends all: others would wait for it for ever."""
        try:
            yield
        except BaseException as error:
            if self.size > 1:
                time.sleep(self.rank and 1)  # what all of them have is told by rank 0, which ends the others
                interrupted = isinstance(error, KeyboardInterrupt)
                what = "interrupted" if interrupted else f"{type(error).__name__}: {error}"
                print(f"rank {self.rank} of {self.size}: {what}", file=sys.stderr, flush=True)
                self._comm.Abort(130 if interrupted else 1)
            raise
        finally:
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


def ranks_of(comm: Any, network: Network, loss: Loss, target: Target) -> Ranks:
    """The processes of a communicator, if they can train a network together."""
    if target.device != "cpu":
        raise ValueError(f"comm is for the processor, not for {target}")
    if python := in_python(network, loss):
        raise ValueError(f"comm is for networks and losses without Python, not for {python[0]}")
    return Ranks(comm)
