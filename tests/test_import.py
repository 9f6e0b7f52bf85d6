"""A compiled module that is missing or of another version is told with the command that helps."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import pymnistcnn as pm
from pymnistcnn import _native


@pytest.fixture
def copy(tmp_path):
    """The package without its data, to be spoilt."""
    ignored = shutil.ignore_patterns("data", "__pycache__", "*.so")
    shutil.copytree(Path(pm.__file__).parent, tmp_path / "pymnistcnn", ignore=ignored)
    return tmp_path / "pymnistcnn"


def imported(*folders):
    """Import the first of these copies. Without the site module, which would find an editable installation first, and
    where NumPy is alone, as an installation may lie beside it."""
    numpy_alone = folders[0].parent / "numpy_alone"
    numpy_alone.mkdir(exist_ok=True)
    for part in Path(np.__file__).parent.parent.glob("numpy*"):
        if not (numpy_alone / part.name).exists():
            (numpy_alone / part.name).symlink_to(part)
    paths = [*(str(folder.parent) for folder in folders), str(numpy_alone)]
    code = f"import sys; sys.path[:0] = {paths!r}; import pymnistcnn; print(pymnistcnn.ReLU.__module__)"
    return subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True)


def error_of_import(*folders):
    result = imported(*folders)
    assert result.returncode == 1
    return result.stderr.splitlines()[-1]


@pytest.fixture
def installed(copy, tmp_path):
    """A second copy, which has the compiled module."""
    folder = shutil.copytree(copy, tmp_path / "installed" / "pymnistcnn")
    with_compiled_module(folder)
    return folder


def with_compiled_module(folder):
    """With the libraries that a wheel has for it."""
    shutil.copy(_native.__file__, folder)
    libraries = Path(pm.__file__).parent.parent / "pymnistcnn.libs"
    if libraries.exists():
        (folder.parent / libraries.name).symlink_to(libraries)


def test_a_checkout_takes_the_compiled_module_of_the_installed_copy(copy, installed):
    result = imported(copy, installed)
    assert result.stdout == "pymnistcnn.layers.activations\n", result.stderr


def test_but_not_if_that_is_of_other_source(copy, installed):
    with open(copy / "plan.py", "a") as file:
        file.write("# changed\n")
    error = error_of_import(copy, installed)
    assert "the installed copy is of other source: its plan.py is not the same" in error
    assert error.endswith("run: pip install -e .")


def test_a_missing_module(copy):
    error = error_of_import(copy)
    assert error.startswith("ImportError") and "is missing" in error and error.endswith("run: pip install -e .")


def test_a_module_of_another_version(copy):
    with_compiled_module(copy)
    source = (copy / "__init__.py").read_text()
    (copy / "__init__.py").write_text(source.replace(f'"{pm.__version__}"', '"99.0"'))
    error = error_of_import(copy)
    assert f"pymnistcnn 99.0 found the compiled module of version {pm.__version__}" in error
    assert error.endswith("run: pip install -e .")
