"""What a benchmark says: the machine, tables, notes and targets, as Markdown or as one JSON object."""

from __future__ import annotations

import json
import os
import platform
import re
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from .. import __version__, _native
from ..target import ISAS, default_target, target_of
from . import targets
from .measuring import fma_peak, markdown


@dataclass
class Table:
    """Rows of one kind: `name` is their key in JSON, `title` stands above them in Markdown."""

    name: str
    title: str
    rows: list[Any]


@dataclass
class Report:
    """A run of one benchmark.

    command : as it was typed
    isa : whose FMA peak is shown
    versions : of the peers, by name
    verdicts : on the targets, or None where nobody asked
    """

    command: str
    cpu: str
    isa: str
    tables: list[Table]
    notes: list[str] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=dict)
    verdicts: list[targets.Verdict] | None = None

    def machine(self) -> dict[str, Any]:
        isa = self.isa if self.isa in ISAS else str(default_target())
        made = dict(cpu=self.cpu, cores=len(os.sched_getaffinity(0)), isa=isa)
        if target_of(self.isa).device == "cuda":
            made |= dict(gpu=_native.cuda_build()[1], device=self.isa)
        return made | dict(
            fma_peak_gflops=[fma_peak(isa, threads=threads) for threads in (1, 2)], compiler=compiler(),
            python=platform.python_version(), numpy=np.__version__, pymnistcnn=__version__, **self.versions,
        )  # fmt: skip

    def as_json(self) -> str:
        today = date.today().isoformat()
        made = dict(command=self.command, date=today, machine=self.machine(), notes=self.notes)
        made |= {table.name: [row.as_dict() for row in table.rows] for table in self.tables}
        if self.verdicts is not None:
            made["targets"] = [verdict.as_dict() for verdict in self.verdicts]
        return json.dumps(made)

    def as_markdown(self) -> str:
        machine = self.machine()
        versions = ", ".join(f"{name} {version}" for name, version in self.versions.items())
        parts = [f"{machine['gpu']}, as {machine['device']}"] if "gpu" in machine else []
        parts += [
            f"{machine['cpu']}, {machine['cores']} cores",
            "FMA peak of {} now {:.0f} GFLOP/s on one thread, {:.0f} on two".format(
                machine["isa"], *machine["fma_peak_gflops"]
            ),
            machine["compiler"] or "compiler not known",
            f"Python {machine['python']}, NumPy {machine['numpy']}, pymnistcnn {__version__}",
        ]
        parts += [f"beside {versions}"] * bool(versions)
        lines = ["; ".join(parts), f"    {self.command}"]
        for table in self.tables:
            if table.rows:
                lines += [f"{table.title}:", as_table(table.rows)]
        if self.verdicts:
            lines += ["Targets:", as_table(self.verdicts)]
        lines += ["\n".join(f"- {note}" for note in self.notes)] * bool(self.notes)
        return "\n\n".join(lines)


def as_table(rows: Any) -> str:
    """In Markdown: a line for each, under the names of their cells."""
    cells = [row.cells() for row in rows]
    return markdown(list(cells[0]), [of_one.values() for of_one in cells])


def compiler() -> str | None:
    """What the kernels were compiled with, as the compiler noted it in the file."""
    content = Path(_native.__file__).read_bytes()
    found = re.search(rb"(GCC): \([^)]*\) ([\d.]+)|(clang) version ([\d.]+)", content)
    return " ".join(part.decode() for part in found.groups() if part) if found else None
