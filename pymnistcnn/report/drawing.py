"""Curves as SVG that stands in a page: its colours are the page's, so that it is readable in light and dark."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from html import escape
from typing import Any

from matplotlib import style
from matplotlib.figure import Figure

from .. import plots
from ..plots.curves import panels_of
from ..plots.theme import ON_WHITE
from .run import Run

NOTHING = dict.fromkeys(["Creator", "Date", "Format", "Type"])
INSIDE: dict[str, Any] = {"svg.fonttype": "none", "font.sans-serif": ["DejaVu Sans"]}  # letters are the page's


def svg(name: str, draw: Callable[..., Any], width: float = 4.2, height: float = 3.0) -> str:
    """What a function draws on `ax`; name: of the picture, for those who cannot see it."""
    with style.context(["default", plots.LIGHT, INSIDE, {"svg.hashsalt": name}]):
        figure = Figure(figsize=(width, height), layout="constrained")
        draw(ax=figure.add_subplot())
        file = io.StringIO()
        figure.savefig(file, format="svg", metadata=NOTHING)
    return inline(file.getvalue(), name)


def inline(text: str, name: str) -> str:
    """The picture in a file of matplotlib's as an element of HTML: without names that several would share, sizes and
    colours of its own."""
    box = re.search(r'viewBox="[^"]*"', text)
    content = text[text.index(">", text.index("<svg")) + 1 :]
    content = re.sub(r"<style.*?</style>", "", content, flags=re.DOTALL)  # it would be the whole page's
    content = re.sub(r'<g id="[^"]*"', "<g", content).replace("'DejaVu Sans'", "system-ui")
    for role, color in asdict(ON_WHITE).items():
        content = content.replace(color, f"var(--{role})")
    return f'<svg class="plot" {box[0] if box else ""} role="img" aria-label="{escape(name)}">{content.strip()}'


def curves(run: Run) -> list[str]:
    """Loss, accuracy and learning rate of a run that has a history."""
    if run.history is None:
        return []
    return [svg(f"{draw.__name__.replace('_', ' ')} by epoch", partial(draw, run.history, steps=run.steps))
            for draw in panels_of(run.history)]  # fmt: skip


def reliability(run: Run) -> str:
    return svg("Calibration", partial(plots.calibration, run.what), 4.2, 4.0)
