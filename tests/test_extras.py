"""Where an extra is missing, the error names the command that brings it; everything else works."""

import subprocess
import sys

import pytest

import pymnistcnn as pm
from pymnistcnn.extras import MissingExtra, needed

HIDDEN = """
import sys
for name in ("onnx", "torch", "matplotlib", "tensorboardX", "mpi4py"):
    sys.modules[name] = None  # as if it were not installed
"""


def python(code):
    return subprocess.run([sys.executable, "-P", "-c", HIDDEN + code], capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize(
    "call, extra",
    [
        ("pm.from_onnx('a.onnx')", "onnx"),
        ("pm.from_torch(None)", "torch"),
        ("pm.Sequential([pm.Linear(2)], (3,)).to_onnx('a.onnx')", "onnx"),
        ("pm.Sequential([pm.Linear(2)], (3,)).to_torch()", "torch"),
        ("pm.plots", "plots"),
        ("pm.History(loss=[1.0]).plot()", "plots"),
        ("pm.TensorBoard('runs')", "tensorboard"),
        ("import numpy; pm.LearningRates(numpy.ones(2), numpy.ones(2)).plot()", "plots"),
        ("pm.Sequential([pm.Linear(2)], (3,)).fit([[1.0, 2.0, 3.0]], [0], comm=1)", "mpi"),
    ],
)
def test_the_command_is_named(call, extra):
    result = python(f"import pymnistcnn as pm; {call}")
    last = result.stderr.splitlines()[-1]
    assert last.startswith("pymnistcnn.extras.MissingExtra: ") and last.endswith(
        f"run: pip install 'pymnistcnn[{extra}]'"
    )


def test_on_the_command_line(tmp_path):
    path = tmp_path / "a.safetensors"
    pm.Sequential([pm.Linear(2)], (3,)).save(path)
    for command in (["export", str(path), "--onnx", str(tmp_path / "a.onnx")], ["evaluate", "a.onnx"]):
        result = python(f"from pymnistcnn.cli import main; main({command})")
        assert result.returncode == 1 and result.stderr.startswith("pymnistcnn: error: onnx does not import")
        assert result.stderr.endswith("run: pip install 'pymnistcnn[onnx]'\n")


def test_what_is_there_is_given():
    assert needed("json", "none").loads("1") == 1
    with pytest.raises(MissingExtra, match=r"no_such does not import .*; run: pip install 'pymnistcnn\[it\]'"):
        needed("no_such", "it")
    with pytest.raises(AttributeError, match="module 'pymnistcnn' has no attribute 'from_onxx'"):
        pm.from_onxx  # noqa: B018
