"""The page: its sections, one after the other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict
from datetime import date
from html import escape
from importlib.resources import files
from string import Template

from .. import __version__
from .._types import StrPath
from ..datasets import atomic_write
from ..markup import escaped, table
from ..plots.theme import ON_BLACK, ON_WHITE, Theme
from . import facts, tables
from .drawing import curves, reliability
from .run import Run

NO_HISTORY = """<p>This file has no history of a training, so that there are no curves.
<code>pymnistcnn train --report FILE</code> draws them; and a file has a history with
<code>model.notes["history"] = history.history</code>.</p>"""


def write(path: StrPath, run: Run) -> None:
    """Write the report of a run, whole or not at all; OSError if the file cannot be written."""
    content = page(run).encode("utf-8", "replace")
    with atomic_write(path) as file:
        file.write(content)


def page(run: Run) -> str:
    template = Template((files(__package__) / "page.html").read_text("utf-8"))
    return template.substitute(
        title=escaped(run.title),
        light=colors(ON_WHITE),
        dark=colors(ON_BLACK),
        headline="".join(f"<div><b>{value}</b><span>{name}</span></div>" for name, value in headline(run)),
        sections="".join(f"<section><h2>{name}</h2>{content}</section>" for name, content in sections(run)),
        foot=f"pymnistcnn {__version__}, {date.today().isoformat()}",
    )


def colors(theme: Theme) -> str:
    return "; ".join(f"--{role}: {color}" for role, color in asdict(theme).items())


def headline(run: Run) -> Iterator[tuple[str, str]]:
    """The numbers that come first."""
    what, seconds = run.timed
    yield "right answers", f"{what.accuracy:.2%}"
    yield f"wrong of {len(what):,}", f"{len(what.mistakes()):,}"
    yield "parameters", run.model.summary_rows()[-1][2]
    if run.history is not None and run.history.seconds:
        yield "seconds of training", f"{sum(run.history.seconds):.2f}"
    if run.history is not None and run.history.images_per_second:
        yield "images/s in training", f"{run.history.images_per_second[-1]:,.0f}"
    yield "images/s in prediction", f"{len(what) / seconds:,.0f}"


def sections(run: Run) -> Iterator[tuple[str, str]]:
    what = run.what
    yield "Training", grid(curves(run)) or NO_HISTORY
    confused = f"<h3>Most confused</h3>{tables.confused(what)}"
    yield "Confusion matrix", row([wide(tables.confusion(what)), confused])
    yield "Mistakes", mistakes(run)
    yield "Classes and calibration", row([wide(tables.scores(what)), reliability(run)])
    known = {**run.facts, "Machine": facts.machine(run.threads, run.isa), "Versions": facts.versions()}
    of_each = (f"<h3>{escaped(name)}</h3>{tables.facts(rows)}" for name, rows in known.items())
    yield "Settings, data, machine", grid(of_each)
    head, *rows = run.model.summary_rows()
    yield "Network", wide(table(head, rows))
    card = escape(run.model.card(run.evaluation))
    yield "Model card", f"<details open><summary>As Markdown</summary><pre>{card}</pre></details>"


def mistakes(run: Run) -> str:
    wrong = len(run.what.mistakes())
    if not wrong:
        return f"<p>None of {len(run.what):,}.</p>"
    words = f"The surest {min(wrong, tables.MISTAKES)} of {wrong:,}: label, answer, its probability, index in the data."
    return f"<p>{words}</p>{tables.mistakes(run.what)}"


def grid(parts: Iterable[str], kind: str = "grid") -> str:
    """Columns of one width, as many as there is room for."""
    inside = "".join(f"<div>{part}</div>" for part in parts)
    return f'<div class="{kind}">{inside}</div>' if inside else ""


def row(parts: Iterable[str]) -> str:
    """Side by side, as wide as each is, where there is room."""
    return grid(parts, "row")


def wide(content: str) -> str:
    """Content that is scrolled where there is too little room."""
    return f'<div class="wide">{content}</div>'
