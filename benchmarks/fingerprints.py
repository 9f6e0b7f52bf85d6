"""What a measurement depends on, as short hashes of its files: so that text knows by itself what changed since.

Git is not asked: a hash is of what lies here, committed or not, and is the same in a copy without history.
"""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path

ROOT = Path(__file__).parents[1]
SUFFIXES = {".c", ".h", ".py", ".pyx", ".pxd"}
KERNELS = ("csrc", ("csrc/cuda",))  # a folder or file, and what in it is left out
# what nothing that is measured runs through
OFF_THE_WAY = ("benchmarking", "c_code", "cli", "drawing", "pictures", "plots", "report", "tutorials")
PYTHON = ("pymnistcnn", tuple(f"pymnistcnn/{name}" for name in OFF_THE_WAY))


def of(name, root=ROOT) -> dict[str, str]:
    """The hashes that the measurement of this name, such as training-flux, depends on, by what people call it."""
    subject, _, which = name.partition("-")
    places = {"the kernels": KERNELS, "the Python code": PYTHON}
    if subject in ("training", "bf16", "serving", "distributed", "slow"):
        places["the networks"] = ("pymnistcnn/benchmarking/networks.py", ())
    elif subject in ("tutorial", "precision"):
        places["the tutorial"] = (f"pymnistcnn/tutorials/{which.partition('-')[0]}.py", ())
    return {what: _hash(root, *place) for what, place in places.items()}


def changed(name, recorded, root=ROOT) -> list[str]:
    """What is no longer as it was when it was recorded."""
    return [what for what, now in of(name, root).items() if recorded.get(what) != now]


@functools.cache
def _hash(root, place, without):
    top, made = root / place, hashlib.sha256()
    paths = [top] if top.is_file() else sorted(path for path in top.rglob("*") if path.suffix in SUFFIXES)
    for path in paths:
        if not any(path.is_relative_to(root / folder) for folder in without):
            made.update(f"{path.relative_to(root)}\0".encode() + path.read_bytes() + b"\0")
    return made.hexdigest()[:12]
