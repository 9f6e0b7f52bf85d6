"""Installs a wheel as a user does, with every Python that is found here, and uses it.

    python packaging/check_wheel.py dist/*.whl          # trains, and a part of the tests
    python packaging/check_wheel.py dist/*.whl --all    # all tests of the installed package

In a new virtual environment, in an empty folder, with every program of the machine but its compilers.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
COMPILER = re.compile(r"(.*-)?(cc|gcc|g\+\+|c\+\+|cpp|c89|c99|tcc|clang|clang\+\+|clang-cpp)(-[0-9.]+)?$")
PART = "import dispatch free_threads processors initializers state residual".split()
OF_THE_CHECKOUT = {"figures", "release", "site"}  # tests of what is in no wheel


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("wheel", type=Path)
    parser.add_argument("--all", action="store_true", help="run all tests")
    options = parser.parse_args()
    pythons = found_pythons()
    print("Pythons:", *pythons.values(), flush=True)
    for version, python in pythons.items():
        print(f"== {version}: {python}", flush=True)
        with tempfile.TemporaryDirectory() as folder:
            check(options.wheel.resolve(), python, Path(folder), options.all)


def found_pythons():
    """The Pythons of this machine that the package is for, one a version."""
    folders = [Path(folder) for folder in os.get_exec_path()] + sorted(Path.home().glob(".pyenv/versions/*/bin"))
    found = {}
    for folder in folders:
        for python in folder.glob("python3.*"):
            if re.fullmatch(r"python3\.\d+t?", python.name) and ".pyenv/shims" not in str(python):
                asked = subprocess.run([python, "-c", "import ensurepip, venv"], capture_output=True)
                if asked.returncode == 0 and int(re.sub(r"\D", "", python.name[8:])) >= 11:
                    found.setdefault(python.name, python)
    return dict(sorted(found.items()))


def without_compilers(folder):
    """A folder with links to every program of this machine but the compilers."""
    folder.mkdir()
    for place in reversed(os.get_exec_path()):
        for program in Path(place).glob("*"):
            if not COMPILER.match(program.name):
                link = folder / program.name
                link.unlink(missing_ok=True)
                link.symlink_to(program)
    return folder


def check(wheel, python, folder, everything):
    environment = folder / "environment"
    subprocess.run([python, "-m", "venv", environment], check=True)
    path = f"{environment}/bin{os.pathsep}{without_compilers(folder / 'programs')}"
    variables = {**os.environ, "PATH": path, "VIRTUAL_ENV": str(environment)}
    empty = folder / "empty"
    empty.mkdir()

    def run(*command):
        print("+", *command, flush=True)
        subprocess.run([environment / "bin" / command[0], *command[1:]], check=True, cwd=empty, env=variables)

    run("pip", "install", "-q", "--only-binary", ":all:", f"{wheel}[test]")
    run("pymnistcnn", "info")
    run("pymnistcnn", "train")
    tests = sorted((ROOT / "tests").glob("test_*.py"))
    for part in ("tests", "docs", "benchmarks"):  # whose programs run as tests
        shutil.copytree(ROOT / part, empty / part, ignore=shutil.ignore_patterns("__pycache__", "_build"))
    shutil.copy(ROOT / "pyproject.toml", empty)  # pytest's settings
    names = [test.stem.removeprefix("test_") for test in tests] if everything else PART
    run("pytest", "-q", "-p", "no:cacheprovider", *(f"tests/test_{n}.py" for n in names if n not in OF_THE_CHECKOUT))


if __name__ == "__main__":
    main()
