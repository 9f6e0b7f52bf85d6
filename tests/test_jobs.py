"""The scripts in docs/jobs do what they say, each in an empty folder."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

JOBS = sorted((Path(__file__).parents[1] / "docs" / "jobs").glob("*.py"))
MODULES = {"sklearn": "sklearn", "plots": "matplotlib"}  # of an extra, where its name is another
PROGRAMS = {"gcc"}


def missing(script):
    """What a script says that it needs, a program or the module of an extra, and is not here."""
    found = re.search(r"^# needs: (.*)$", script.read_text(), re.MULTILINE)
    needed = [MODULES.get(extra, extra) for extra in found[1].split(", ")] if found else []
    return [name for name in needed if not (shutil.which if name in PROGRAMS else importlib.util.find_spec)(name)]


@pytest.mark.parametrize("script", JOBS, ids=lambda script: script.stem)
def test_job(script, tmp_path):
    if lacking := missing(script):
        pytest.skip(f"needs {', '.join(lacking)}")
    environment = {**os.environ, "PYTHONWARNINGS": "error", "MPLBACKEND": "agg"}
    done = subprocess.run(
        [sys.executable, "-P", script], cwd=tmp_path, capture_output=True, text=True, timeout=300, env=environment
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.strip()
