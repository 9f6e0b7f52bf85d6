"""How many threads there are by default, and which OpenMP runtimes are in this process."""

from __future__ import annotations

import functools
import math
import os
import re
import sys
from pathlib import Path

from . import _native

RUNTIMES = re.compile(r"lib(gomp|iomp5?|omp5?)([.-][^/]*)?\.so[^/]*$")


def default_threads() -> int:
    """What OMP_NUM_THREADS says; else the processors that this process may run on, and no more than the quota of its
    container has, rounded up."""
    return min(_native.default_threads(), most_threads())


@functools.cache  # a prediction asks, too
def most_threads() -> int:
    own = math.inf if os.environ.get("OMP_NUM_THREADS") else quota(Path("/"))
    return max(1, math.ceil(own)) if own < math.inf else sys.maxsize


def quota(root: Path) -> float:
    """Processors that Linux's control groups let this process use, such as 1.5; infinite without a limit."""
    try:
        groups = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return math.inf
    found = math.inf
    for group in groups:
        _, _, rest = group.partition(":")
        controllers, _, path = rest.partition(":")
        if controllers and "cpu" not in controllers.split(","):
            continue
        top = root / "sys/fs/cgroup" / ("cpu" if controllers else "")
        own = top / path.lstrip("/")
        # what a container sees as the top may be its own group; limits hold for all groups below
        for folder in (own, *own.parents):
            found = min(found, _limit(folder))
            if folder == top:
                break
    return found


def _limit(folder: Path) -> float:
    """The quota of one group, of either version of control groups."""
    try:
        if (folder / "cpu.max").exists():
            allowed, period = (folder / "cpu.max").read_text().split()
        else:
            allowed, period = ((folder / f"cpu.cfs_{name}_us").read_text() for name in ("quota", "period"))
        return int(allowed) / int(period) if int(allowed) > 0 else math.inf
    except (OSError, ValueError, ZeroDivisionError):  # there is none, or it says "max"
        return math.inf


def openmp_runtimes() -> list[str]:
    """The files of all OpenMP runtimes that are loaded in this process, whoever brought them."""
    try:
        lines = Path("/proc/self/maps").read_text().splitlines()
    except OSError:
        return []
    paths = (line.split(maxsplit=5)[5] for line in lines if line.count("/"))
    return sorted({path for path in paths if RUNTIMES.search(path)})
