"""Runs of several seeds, so that a benchmark which was stopped goes on: its report is written anew after each run, and
has with each row the settings that its runs are of."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from .. import _native

PACKAGE = Path(__file__).parents[1]
# what training and predicting leave alone
UNUSED = (
    "benchmarking",
    "c_code",
    "cli",
    "drawing",
    "estimator",
    "onnx",
    "plots",
    "report",
    "tutorials",
)  # by training


@functools.cache
def code() -> str:
    """A short hash of what trains and predicts: the native module, and the Python files but those of doors."""
    paths = [path for path in PACKAGE.rglob("*.py") if path.relative_to(PACKAGE).parts[0] not in UNUSED]
    made = hashlib.sha256()
    for path in [Path(_native.__file__), *sorted(paths)]:
        made.update(f"{path.name}\0".encode() + path.read_bytes() + b"\0")
    return made.hexdigest()[:12]


def stored(path: Path | None, table: str, wanted: list[dict[str, Any]]) -> list[dict[int, dict[str, Any]]]:
    """For each of the settings, the runs by seed that a report's table has; ValueError, which says how they differ, if
    it has runs of others, which would be lost."""
    if path is None or path.suffix != ".json" or not path.exists():
        return [{} for _ in wanted]
    try:
        rows = json.loads(path.read_text())[table]
        there = [(row["settings"], {run["seed"]: run for run in row["runs"]}) for row in rows]
    except (ValueError, TypeError, KeyError):
        raise ValueError(f"{path} is there, and has no runs to go on from: name another file") from None
    for settings, _ in there:
        if settings not in wanted:
            raise ValueError(f"{path} has runs {how_they_differ(settings, wanted)}: remove it, or name another file")
    return [next((runs for settings, runs in there if settings == one), {}) for one in wanted]


def how_they_differ(settings: Any, wanted: Iterable[dict[str, Any]]) -> str:
    """
    >>> how_they_differ({"recipe": "fast", "threads": 2}, [{"recipe": "fast", "threads": 1}])
    'of fast, of other threads (2, now 1)'
    """
    alike = [one for one in wanted if one["recipe"] == settings.get("recipe")]
    if not alike:
        return f"of {settings.get('recipe')}"
    other = [f"{key} ({settings.get(key)}, now {now})" for key, now in alike[0].items() if settings.get(key) != now]
    return f"of {settings['recipe']}, of other " + " and ".join(other or ["settings"])
