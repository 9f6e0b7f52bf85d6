"""Ours beside a peer, or beside fewer threads of ours: ratios of what was measured in the same round."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from .._types import StrPath
from .measuring import Figure
from .peers import HOW_CHOSEN, LEFT_OUT

OURS = "pymnistcnn"
IN_FULL = "pymnistcnn, float32"  # beside what is in bfloat16


@dataclass(frozen=True)
class Comparison:
    """Images a second of ours and of what it stands beside, and the ratio, a median of ratios of one round each;
    peak memory of the other's process in megabytes."""

    subject: str
    task: str
    batch: int
    isa: str
    threads: int
    ours: Figure
    peer: str
    setting: str
    theirs: Figure
    peak_megabytes: float
    ratio: Figure

    def cells(self) -> dict[str, Any]:
        return {
            "network or layer": self.subject,
            "task": self.task,
            "batch": self.batch,
            "isa": self.isa,
            "threads": self.threads,
            "images/s": self.ours.text(),
            "beside": self.peer,
            "at its best with": self.setting,
            "its images/s": self.theirs.text(),
            "its peak, MB": f"{self.peak_megabytes:,.0f}",
            "ratio": f"**{self.ratio.median:,.2f}** {self.ratio.range_text(2)}",
        }

    def as_dict(self) -> Any:
        return asdict(self)


def compared(
    subject: str,
    task: Any,
    batch: int,
    isa: str | None,
    threads: int | None,
    ours: Any,
    peer: Any,
    setting: Any,
    theirs: Any,
    speed: float,
) -> Comparison:
    """Of the answers of two workers, round by round; `speed` takes images a second from an answer."""
    mine, other = [speed(answer) for answer in ours], [speed(answer) for answer in theirs]
    return Comparison(
        subject, task, batch, isa, threads, Figure.of(mine), peer, setting, Figure.of(other),
        max(answer["peak_megabytes"] for answer in theirs),
        Figure.of([a / b for a, b in zip(mine, other, strict=True)]),
    )  # fmt: skip


class Company:
    """The peers of a run: those that were found, with their data, and what there is to say of them.

    Parameters
    ----------
    found : list of peers.Found
    notes : lines to begin with: the peers that are missing
    folder : of the digits, as .npy files
    """

    folder: StrPath | None
    found: list[Any]
    notes: list[Any]

    def __init__(self, found: tuple[Any, ...] = (), notes: tuple[Any, ...] = (), folder: StrPath | None = None) -> None:
        self.found, self.folder = list(found), folder
        self.notes = [HOW_CHOSEN, LEFT_OUT, *notes] if found or notes else []

    def beside(
        self, stack: Any, subject: str, task: Any, batch: int, job: Any, isa: str | None, thorough: bool, seconds: float
    ) -> Any:
        """Workers of all peers that do this, each at its best setting: (name, setting, worker). They end with
        `stack`; those that fail are named in the notes."""
        workers = []
        for found in self.found:
            if not found.peer.does(subject, task, batch, job.get("precision", "full")):
                continue
            setting, failures = found.best(job, isa, thorough, seconds)
            self.notes += [f"Failed on {subject}, {task}, batch {batch}: {line}" for line in failures]
            if setting:
                worker = stack.enter_context(found.start(job, setting, isa))
                workers.append((found.peer.name, setting.text(), worker))
        return workers
