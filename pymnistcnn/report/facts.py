"""This machine and these versions, by name."""

from __future__ import annotations

import platform

import matplotlib
import numpy as np

from .. import __version__, _native
from ..processors import cpu_model, processors


def machine(threads: int | None, isa: str | None) -> dict[str, str]:
    on = {"computed on": isa} if isa else {}
    build = _native.cuda_build() if isa and isa.startswith("cuda") else None
    return {
        "processor": cpu_model(),
        "processors to use": str(processors()),
        **on,
        **({"GPU": str(build[1])} if build else {}),
        **({"threads": str(threads)} if threads else {}),
        "system": f"{platform.system()} {platform.machine()}",
    }


def versions() -> dict[str, str]:
    return {
        "pymnistcnn": __version__,
        "Python": platform.python_version(),
        "NumPy": np.__version__,
        "matplotlib": matplotlib.__version__,
        "OpenMP": str(_native.openmp_runtime()),
    }
