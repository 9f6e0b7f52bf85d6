"""Ranks that train together: their speed, what they send, and beside them PyTorch's DistributedDataParallel."""

from __future__ import annotations

import os
import shlex
import shutil
import statistics
import sys
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..processors import processors
from .comparing import OURS, Company
from .measuring import Figure
from .networks import NETWORKS
from .paper import Link
from .training import network_job
from .workers import Worker, our_environment, our_python, turns

SHOWN = ("fast", "gorgonia", "mxnet-mlp")  # a small network, large convolutions, large linear layers
BATCHES = (128, 1024)
RANKS = (1, 2, 4)
NOTES = [
    "The batch is that of all ranks. Oversubscribed ranks have more threads than there are processors, and say nothing "
    "of the speed of as many machines. Beside: DistributedDataParallel of as many processes and threads, in turns; "
    "contiguous or channels last, whichever is faster on one rank.",
    "Messages are collective ones, of a step; bytes are what the busiest rank receives, PyTorch's if gradients go "
    "round in a ring. Time is counted in steps of their own: what moving the bytes takes, and, before it, waiting for "
    "the last rank; PyTorch computes meanwhile.",
]


@dataclass(frozen=True)
class Row:
    """So many ranks of one library: images a second, and their ratio over one rank of it, round by round; what a step
    sends, and milliseconds of moving it and of waiting for it; and how many times as fast ours were in the same round
    (None for ours)."""

    network: str
    batch: int
    ranks: int
    threads: int
    oversubscribed: bool
    isa: str | None
    library: str
    setting: str
    images_per_second: Figure
    over_one: Figure | None
    messages: float
    bytes: float
    moving_milliseconds: Figure | None
    waiting_milliseconds: Figure | None
    share: Figure | None
    ratio: Figure | None

    def cells(self) -> dict[str, Any]:
        return {
            "network": self.network,
            "batch": self.batch,
            "ranks": f"{self.ranks}{', oversubscribed' * self.oversubscribed}",
            "threads each": self.threads,
            "library": self.library,
            "with": self.setting,
            "images/s": self.images_per_second.text(),
            "over one rank": self.over_one.text(2) if self.over_one else "",
            "messages": f"{self.messages:.1f}",
            "kB": f"{self.bytes / 1e3:,.0f}",
            "moving, ms": self.moving_milliseconds.text(2) if self.moving_milliseconds else "",
            "waiting, ms": self.waiting_milliseconds.text(2) if self.waiting_milliseconds else "",
            "of a step": f"{self.share.median:.0%}" if self.share else "",
            "ours over it": f"**{self.ratio.median:,.2f}** {self.ratio.range_text(2)}" if self.ratio else "",
        }

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def mpiexec_words(given: str | None) -> list[str]:
    """The command that starts processes, as words. FileNotFoundError if there is none."""
    words = shlex.split(given or "mpiexec")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    program = shutil.which(words[0], path=path) if words else None
    if program is None:
        raise FileNotFoundError(
            f"there is no {words[0] if words else 'command'}: pip install mpich, or the system's MPI"
        )
    return [program, *words[1:]]


def ours(mpiexec: list[str], ranks: int, **job: Any) -> Worker:
    """So many processes of this package, of which the first answers; `task` is training or pingpong."""
    command = [*mpiexec, "-n", str(ranks), *our_python("-m", f"{__package__}.ranks")]
    return Worker(f"{OURS} on {ranks} ranks", command, job, our_environment())


def link(mpiexec: list[str], rounds: int, seconds: float) -> Link:
    """What is between two ranks here: by ping-pong."""
    with ours(mpiexec, 2, task="pingpong") as worker:
        (answers,) = turns([worker], rounds, seconds)
    names = ("latency_seconds", "gap_seconds", "bytes_per_second")
    return Link("measured here", *(statistics.median(answer[name] for answer in answers) for name in names))


def measure(
    network: str,
    batch: int | None,
    ranks: list[int],
    isa: str | None,
    threads: int,
    mpiexec: list[str],
    company: Company | None = None,
    rounds: int = 11,
    seconds: float = 0.2,
    elsewhere: dict[str, Any] | None = None,
) -> list[Row]:
    """One network on each number of ranks, ours and those of `company`, in turns: a Row each. elsewhere: what a peer
    has to know to put its ranks where mpiexec puts ours."""
    company, batch = company or Company(), batch or NETWORKS[network]().batch_size
    with ExitStack() as stack:
        sides = []
        for n in ranks:
            job = dict(task="training", network=network, batch=batch, isa=isa, threads=threads)
            sides.append((n, OURS, "", stack.enter_context(ours(mpiexec, n, **job))))
        if company.found:
            of_peers = network_job(network, "training", batch, company.folder, isa) | dict(threads_each=threads)
            sides += beside(stack, company, network, batch, of_peers | (elsewhere or {}), ranks, isa, seconds)
        answers = turns([worker for *_, worker in sides], rounds, seconds)
    rows = []
    for (n, library, setting, _), of_one in zip(sides, answers, strict=True):

        def other(ranks: int, library: str) -> list[dict[str, Any]] | None:
            found = (at for at, side in enumerate(sides) if side[:2] == (ranks, library))
            return next((answers[at] for at in found), None)

        alone, mine = other(1, library), None if library == OURS else other(n, OURS)
        rows.append(row(network, batch, n, isa, threads, library, setting, of_one, alone, mine))
    return rows


def beside(stack: ExitStack, company: Company, network: str, batch: int, job: dict[str, Any], ranks: list[int],
           isa: str | None, seconds: float) -> list[tuple[int, str, str, Worker]]:  # fmt: skip
    """Each peer that does this on each number of ranks, at the setting that is its best on the first of them."""
    sides = []
    for found in company.found:
        if not found.peer.does(network, "distributed", batch, "full"):
            continue
        setting, failures = found.best(job | dict(ranks=ranks[0]), isa, False, seconds)
        company.notes += [f"Failed on {network}, batch {batch}: {line}" for line in failures]
        for n in ranks if setting else ():
            worker = stack.enter_context(found.start(job | dict(ranks=n), setting, isa))
            sides.append((n, found.peer.name, "channels last" if setting.channels_last else "", worker))
    return sides


def row(network: str, batch: int, ranks: int, isa: str | None, threads: int, library: str, setting: str,
        answers: list[dict[str, Any]], alone: Any, mine: Any) -> Row:  # fmt: skip
    """Of the answers of one worker, round by round, beside those of one rank of its library and those of ours."""

    def over(above: list[dict[str, Any]] | None, below: list[dict[str, Any]] | None) -> Figure | None:
        if above is None or below is None:
            return None
        speeds = [[answer["images_per_second"] for answer in of_one] for of_one in (above, below)]
        return Figure.of([a / b for a, b in zip(*speeds, strict=True)])

    def milliseconds(name: str) -> Figure | None:
        return Figure.of([1e3 * answer[name] for answer in answers]) if name in answers[0] else None

    shares = [answer["moving_seconds"] / answer["step_seconds"] for answer in answers if "moving_seconds" in answer]
    return Row(
        network, batch, ranks, threads, ranks * threads > processors(), isa, library, setting,
        Figure.of([answer["images_per_second"] for answer in answers]), over(answers, alone),
        answers[0]["messages"], answers[0]["bytes"], milliseconds("moving_seconds"), milliseconds("waiting_seconds"),
        Figure.of(shares) if shares else None, over(mine, answers),
    )  # fmt: skip
