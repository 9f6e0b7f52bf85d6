"""The scripts in docs/jobs do what they say, each in an empty folder."""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

JOBS = sorted((Path(__file__).parents[1] / "docs" / "jobs").glob("*.py"))
MODULES = {"sklearn": "sklearn", "plots": "matplotlib"}  # of an extra, where its name is another


def needs(script):
    """The modules of the extras that a script names."""
    found = re.search(r"^# needs: (.*)$", script.read_text(), re.MULTILINE)
    return [MODULES.get(extra, extra) for extra in found[1].split(", ")] if found else []


@pytest.mark.parametrize("script", JOBS, ids=lambda script: script.stem)
def test_job(script, tmp_path):
    missing = [module for module in needs(script) if importlib.util.find_spec(module) is None]
    if missing:
        pytest.skip(f"needs {', '.join(missing)}")
    environment = {**os.environ, "PYTHONWARNINGS": "error", "MPLBACKEND": "agg"}
    done = subprocess.run(
        [sys.executable, "-P", script], cwd=tmp_path, capture_output=True, text=True, timeout=300, env=environment
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.strip()
