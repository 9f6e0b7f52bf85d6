"""Which OpenMP runtimes are in this process."""

from __future__ import annotations

import re
from pathlib import Path

RUNTIMES = re.compile(r"lib(gomp|iomp5?|omp5?)([.-][^/]*)?\.so[^/]*$")


def openmp_runtimes() -> list[str]:
    """The files of all OpenMP runtimes that are loaded, whoever brought them."""
    try:
        lines = Path("/proc/self/maps").read_text().splitlines()
    except OSError:
        return []
    paths = (line.split(maxsplit=5)[5] for line in lines if line.count("/"))
    return sorted({path for path in paths if RUNTIMES.search(path)})
