"""Latency: how long a client waits for the answer to one picture, from one client to eight."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import asdict, dataclass
from typing import Any

from ..processors import processors
from .comparing import OURS, Company
from .measuring import Figure
from .training import network_job
from .workers import ours, turns

CLIENTS = (1, 2, 4, 8)
NOTES = [
    "Each client is a thread that asks for one picture after the other. Latency is what a client waits: the median and "
    "the 99th percentile of its calls. The ratio is of ours over theirs in pictures a second, round by round."
]


@dataclass(frozen=True)
class Row:
    """What so many clients of one library saw: microseconds of a call, pictures a second, and how many times as many
    ours answered in the same round (None for ours)."""

    network: str
    clients: int
    isa: str
    library: str
    setting: str
    median_microseconds: Figure
    late_microseconds: Figure
    images_per_second: Figure
    ratio: Figure | None

    def cells(self) -> dict[str, Any]:
        return {
            "network": self.network,
            "clients": self.clients,
            "isa": self.isa,
            "library": self.library,
            "with": self.setting,
            "p50, us": self.median_microseconds.text(1),
            "p99, us": self.late_microseconds.text(1),
            "images/s": self.images_per_second.text(),
            "ours over it": f"**{self.ratio.median:,.2f}** {self.ratio.range_text(2)}" if self.ratio else "",
        }

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def measure(
    network: str,
    clients: int,
    isa: str | None,
    threads: int | None,
    company: Company | None = None,
    rounds: int = 11,
    seconds: float = 0.2,
) -> list[Row]:
    """So many clients of one network's predictor, which computes each picture on `threads`, or, if not given, on the
    processors that a client has to itself; and of each peer of `company`, in turns: a Row each."""
    company, threads = company or Company(), threads or max(1, processors() // clients)
    with ExitStack() as stack:
        theirs = []
        if company.found:
            job = network_job(network, "serving", 1, company.folder, isa) | dict(clients=clients)
            theirs = company.beside(stack, network, "serving", 1, job, isa, False, seconds)
        mine = stack.enter_context(ours(task="serving", network=network, clients=clients, isa=isa, threads=threads))
        answers = turns([mine, *(worker for _, _, worker in theirs)], rounds, seconds)
    names = [(OURS, f"{threads} thread" + "s" * (threads > 1)), *((name, setting) for name, setting, _ in theirs)]
    return [
        row(network, clients, isa, *who, of_one, answers[0] if at else None)
        for at, (who, of_one) in enumerate(zip(names, answers, strict=True))
    ]


def row(network: str, clients: int, isa: str | None, library: str, setting: str, answers: Any, beside: Any) -> Row:
    def figure(name, scale):
        return Figure.of([scale * answer[name] for answer in answers])

    speeds = [answer["images_per_second"] for answer in answers]
    ratios = [mine["images_per_second"] / theirs for mine, theirs in zip(beside or (), speeds, strict=False)]
    return Row(
        network, clients, isa, library, setting, figure("median_seconds", 1e6), figure("late_seconds", 1e6),
        Figure.of(speeds), Figure.of(ratios) if ratios else None,
    )  # fmt: skip
