"""The measurements: measurements/KIND/NAME.json, a folder a kind of processor, a file a command."""

from __future__ import annotations

import json
import math
import os
import re
from dataclasses import dataclass
from pathlib import Path

import fingerprints

from pymnistcnn.benchmarking.targets import PYTORCH, THREADS

FOLDER = Path(__file__).parent / "measurements"
NAMES = {"amd": "AMD", "intel": "Intel", "arm": "ARM"}


@dataclass(frozen=True)
class Kind:
    """A kind of processor, such as amd-zen-5, and what was measured on it, by name."""

    name: str
    files: dict[str, dict]

    @property
    def label(self):
        """For people."""
        return " ".join(NAMES.get(word, word.capitalize()) for word in self.name.split("-"))

    @property
    def date(self):
        return max(report["date"] or "" for report in self.files.values())

    @property
    def is_current(self):
        """Was all of it measured with the code as it is?"""
        reports = self.files.items()
        return all(report["commit"] and not fingerprints.changed(name, report["code"]) for name, report in reports)

    @property
    def isa(self):
        """The one that is measured where none was named: the widest."""
        return next(iter(self.of("training") or self.files.values()))["machine"]["isa"]

    def of(self, subject) -> list[dict]:
        """The reports of a subject: training, kernels, accuracy, tutorial or example."""
        return [report for name, report in self.files.items() if name.partition("-")[0] == subject]

    def found(self, subject, table, /, **fields) -> dict | None:
        """The row of a table, such as the comparisons of training, that has these fields; on two threads."""
        fields = {"threads": THREADS, **fields}
        rows = (row for report in self.of(subject) for row in report.get(table, []))
        return next((row for row in rows if all(row.get(key) == value for key, value in fields.items())), None)

    def beside(self, network, task, batch, peer=PYTORCH, isa=None):
        """A comparison of a network with a peer."""
        return self.found("training", "comparisons", subject=network, task=task, batch=batch, peer=peer,
                          isa=isa or self.isa)  # fmt: skip

    def learnt(self, recipe, data="MNIST", protocol=""):
        """A recipe's row; in the older reports all are of MNIST."""
        rows = (row for report in self.of("accuracy") for row in report["rows"] if row["threads"] == THREADS)
        wanted = recipe, data, protocol
        return next((r for r in rows if (r["recipe"], r.get("data", "MNIST"), r.get("protocol", "")) == wanted), None)

    def tutorial(self, name):
        return self.found("tutorial", "rows", tutorial=name)

    def verdicts(self) -> list[dict]:
        """Of each target what came of it: of those that several reports judge, as each tiny recipe's does of what has
        at most so many parameters, the best."""
        best = {}
        for verdict in (verdict for report in self.files.values() for verdict in report.get("targets", [])):
            key = verdict["what"], verdict.get("unit")
            best[key] = max(best.get(key, verdict), verdict, key=_how_good)
        return [*best.values()]


def _how_good(verdict) -> float:
    if verdict["measured"] is None:
        return -math.inf
    return -verdict["measured"] if verdict.get("at_most") else verdict["measured"]


def file_name(subject, of) -> str:
    """
    >>> file_name("tutorial", "scratch --full")
    'tutorial-scratch-full'
    """
    return f"{subject}-" + re.sub(r"\W+", "-", of)


def kinds(folder=FOLDER) -> list[Kind]:
    """All kinds, what was measured last first."""
    files = {}
    for path in sorted(folder.glob("*/*.json")):
        files.setdefault(path.parent.name, {})[path.stem] = json.loads(path.read_text())
    return sorted((Kind(*item) for item in files.items()), key=lambda kind: kind.date, reverse=True)


def write(path, report):
    """A file that is there whole or not at all; a row a line, so that a change is a line, too."""
    lines = []
    for key, value in report.items():
        if isinstance(value, list) and value:
            value = "[\n    " + ",\n    ".join(map(json.dumps, value)) + "\n  ]"
        else:
            value = json.dumps(value)
        lines.append(f"  {json.dumps(key)}: {value}")
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(".part")
    beside.write_text("{\n" + ",\n".join(lines) + "\n}\n")
    os.replace(beside, path)


# ---- what a text says of where its figures come from ----


def standing(kind, *names) -> dict[str, str]:
    """When, and of which commit, these files or all of these subjects were measured, and what has changed since: by
    what it is said of."""
    groups = {}
    for name, report in kind.files.items():
        if name in names or name.partition("-")[0] in names:
            groups.setdefault(_standing(name, report), []).append(name)
    return {_named(of_one, kind): _in_words(*key, kind, of_one) for key, of_one in groups.items()}


def _standing(name, report):
    """Whatever, but for commit and date, is to be said of a file: what comes before these, between and behind them."""
    if report["commit"] is None:
        return report.get("source", "of a commit that is not known"), "", ""
    uncommitted = " with changes that were not committed" * (report["clean"] is False)
    source = f", {report.get('source')}" * ("source" in report)
    since = fingerprints.changed(name, report["code"])
    return "measured at", uncommitted, source + (f"; **changed since: {joined(since)}**" if since else "")


def _in_words(before, between, behind, kind, names) -> str:
    reports = [kind.files[name] for name in names if kind.files[name]["commit"]]
    if not reports:
        return before
    commits = dict.fromkeys(f"`{report['commit']}`" for report in reports)
    dates = sorted({report["date"] for report in reports})
    return f"{before} {joined([*commits])}{between} on {joined(dates)}{behind}"


def _named(names, kind):
    """A subject for all of its files, if several, else with what they are of: training, tutorial (flux, gorgonia)."""
    subjects = {}
    for name in names:
        subject, _, of = name.partition("-")
        subjects.setdefault(subject, []).append(of)
    return ", ".join(
        subject if of == [""] or len(of) == len(kind.of(subject)) > 1 else f"{subject} ({', '.join(of)})"
        for subject, of in subjects.items()
    )


def joined(words) -> str:
    """a, b and c."""
    return ", ".join(words[:-1]) + " and " * (len(words) > 1) + words[-1]


# ---- numbers ----


def rounded(number) -> str:
    """To three digits."""
    return f"{round(number, 3 - len(str(int(number)))):,.0f}"


def times(ratio) -> str:
    """To two digits or to the unit."""
    return f"{ratio:,.0f}" if ratio >= 9.95 else f"{ratio:.1f}"


def percent(share) -> str:
    return f"{100 * share:.2f} %"


def spread(figure, text) -> str:
    """A median in bold, and its range, where it is known."""
    low_to_high = "" if figure["low"] is None else f" ({text(figure['low'])} to {text(figure['high'])})"
    return f"**{text(figure['median'])}**{low_to_high}"
