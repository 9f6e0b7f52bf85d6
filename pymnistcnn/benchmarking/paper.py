"""From which batch on several machines pay: on paper, from what one rank of so many computes, which is measured on
one; from what it would receive, which is counted; and from the latency and bandwidth of a network.

A step takes what its busiest rank computes; for each message, in which each sends all others a part, a latency, and for
each of the others but the first the gap between two; and the bytes over the bandwidth. Nothing is computed meanwhile.
"""

from __future__ import annotations

import statistics
from dataclasses import asdict, dataclass
from typing import Any

from .traffic import RanksOnPaper
from .training import Step

MACHINES = (2, 16, 128)
BATCHES = (32, 128, 512, 2048)  # that are measured
LARGER = (8192, 32768)  # that are computed from the last two, as each sample more takes the same
NOTES = [
    "On paper: what the busiest of so many ranks computes was measured on one, what it receives was counted, and the "
    "rest is latency, gap between messages and bandwidth. Speeds are times one machine, nothing is overlapped. Beyond "
    "batch 2,048 a step is that of 2,048 and so much more for each sample. A batch has 16 shards: more machines have "
    "nothing to do but to add up.",
]


@dataclass(frozen=True)
class Link:
    """What is between machines: seconds from one to the other, seconds between two of many messages, and bytes a
    second."""

    name: str
    latency_seconds: float
    gap_seconds: float
    bytes_per_second: float

    def cells(self) -> dict[str, Any]:
        return {
            "between two ranks": self.name,
            "latency, us": f"{1e6 * self.latency_seconds:,.1f}",
            "gap, us": f"{1e6 * self.gap_seconds:,.2f}",
            "MB/s": f"{self.bytes_per_second / 1e6:,.0f}",
        }

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


ASSUMED = (  # what such networks have by their makers' and users' word
    Link("1 Gbit/s Ethernet, assumed", 50e-6, 5e-6, 117e6),
    Link("10 Gbit/s Ethernet, assumed", 20e-6, 2e-6, 1.17e9),
    Link("100 Gbit/s InfiniBand, assumed", 2e-6, 0.2e-6, 12e9),
)


@dataclass(frozen=True)
class Work:
    """What the busiest of so many ranks does in a step: seconds of computing; messages of all to all, bytes."""

    seconds: float
    messages: float = 0.0
    bytes: float = 0.0

    def on(self, link: Link, ranks: int) -> float:
        """Seconds of a step.

        >>> Work(0.01, messages=2, bytes=1e6).on(Link("", 1e-3, 0.5e-3, 1e8), 4)
        0.024
        """
        of_message = link.latency_seconds + max(0, ranks - 2) * link.gap_seconds
        return self.seconds + self.messages * of_message + self.bytes / link.bytes_per_second

    def and_more(self, before: Work, factor: float) -> Work:
        """A step of a larger batch, which grows as from `before` to this one."""
        seconds, received = (b + factor * (b - a) for a, b in
                             ((before.seconds, self.seconds), (before.bytes, self.bytes)))  # fmt: skip
        return Work(seconds, self.messages, received)


@dataclass(frozen=True)
class Row:
    """A network on so many machines: by batch, how many times as fast as one they are; and the batch from which they
    are faster, None if no batch is large enough."""

    network: str
    link: str
    machines: int
    threads: int
    batches: list[int]
    speeds: list[float]
    pays_from: float | None

    def cells(self) -> dict[str, Any]:
        pays = f"**{self.pays_from:,.0f}**" if self.pays_from else f"over {self.batches[-1]:,}"
        return {
            "network": self.network,
            "link": self.link,
            "machines": self.machines,
            **{f"at batch {n:,}": f"{speed:.2f}" for n, speed in zip(self.batches, self.speeds, strict=True)},
            "pay from batch": pays if self.pays_from != self.batches[0] else f"{self.batches[0]} or less",
        }

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


class Steps(Step):
    """Steps of the busiest of so many ranks: of their time only, as what the others computed is missing."""

    here: RanksOnPaper

    def __init__(self, network: str, batch: int, isa: str | None, threads: int, machines: int) -> None:
        self.here = RanksOnPaper(machines)
        super().__init__(network, batch, isa, threads, self.here if machines > 1 else None)

    def steps_in(self, seconds: float) -> int:
        return max(1, int(seconds / self.run(1)))  # by the second: the first makes room


def works(network: str, machines: tuple[int, ...], isa: str | None, threads: int, rounds: int, seconds: float,
          batches: tuple[int, ...] = BATCHES) -> dict[int, list[Work]]:  # fmt: skip
    """By the number of machines, one too, what a step of each batch is to the busiest: of BATCHES, in turns, and of
    LARGER ones."""
    made: dict[int, list[Work]] = {n: [] for n in (1, *machines)}
    for batch in batches:
        all_steps = {n: Steps(network, batch, isa, threads, n) for n in made}
        taken: dict[int, list[float]] = {n: [] for n in made}
        numbers = {n: steps.steps_in(seconds) for n, steps in all_steps.items()}
        for _ in range(rounds):
            for n, steps in all_steps.items():
                taken[n].append(steps.run(numbers[n]) / numbers[n])
        for n, steps in all_steps.items():
            steps.here.traffic.restart()
            steps.run(1)
            traffic = steps.here.traffic
            made[n].append(Work(statistics.median(taken[n]), traffic.messages, traffic.bytes))
    for of_one in made.values():
        before, last = of_one[-2:]
        of_one += [last.and_more(before, (n - batches[-1]) / (batches[-1] - batches[-2])) for n in LARGER]
    return made


def rows(network: str, links: list[Link], threads: int, of_machines: dict[int, list[Work]],
         batches: tuple[int, ...] = BATCHES) -> list[Row]:  # fmt: skip
    """Of what `works` returned."""
    alone = [work.seconds for work in of_machines[1]]
    numbers, made = [*batches, *LARGER], []
    for link in links:
        for machines in (n for n in of_machines if n > 1):
            steps = [work.on(link, machines) for work in of_machines[machines]]
            speeds = [one / several for one, several in zip(alone, steps, strict=True)]
            made.append(Row(network, link.name, machines, threads, numbers, speeds, crossing(numbers, speeds)))
    return made


def crossing(batches: list[int], speeds: list[float]) -> float | None:
    """Where speeds come to 1 for good, between the batches by their logarithms.

    >>> crossing([32, 128, 512], [0.5, 1.5, 2.0]), crossing([32, 128], [0.5, 0.9])
    (64.0, None)
    """
    below = [at for at, speed in enumerate(speeds) if speed < 1]
    if not below:
        return float(batches[0])
    at = below[-1]
    if at == len(batches) - 1:
        return None
    part = (1 - speeds[at]) / (speeds[at + 1] - speeds[at])
    return batches[at] * (batches[at + 1] / batches[at]) ** part
