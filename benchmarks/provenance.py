"""Where a figure comes from: the kind of the processor, and the commit of the code that was measured."""

from __future__ import annotations

import filecmp
import json
import platform
import subprocess
from importlib import metadata
from pathlib import Path
from urllib.parse import urlparse
from urllib.request import url2pathname

import pymnistcnn
from pymnistcnn import _native

PACKAGE = Path(pymnistcnn.__file__).parent
# What decides how fast a commit is; changes elsewhere leave a measurement clean.
CODE = ("csrc", "pymnistcnn", "CMakeLists.txt", "pyproject.toml", "benchmarks/peers")
# Vendor, family, first and last model, as /proc/cpuinfo has them: processors of one kind have the same cores.
PROCESSORS = (
    ("AuthenticAMD", 23, 0x00, 0x2F, "amd-zen"),
    ("AuthenticAMD", 23, 0x30, 0xFF, "amd-zen-2"),
    ("AuthenticAMD", 25, 0x00, 0x0F, "amd-zen-3"),
    ("AuthenticAMD", 25, 0x20, 0x5F, "amd-zen-3"),
    ("AuthenticAMD", 25, 0x10, 0x1F, "amd-zen-4"),
    ("AuthenticAMD", 25, 0x60, 0xAF, "amd-zen-4"),
    ("AuthenticAMD", 26, 0x00, 0x2F, "amd-zen-5"),
    ("AuthenticAMD", 26, 0x40, 0x4F, "amd-zen-5"),
    ("AuthenticAMD", 26, 0x60, 0x7F, "amd-zen-5"),
    ("GenuineIntel", 6, 0x6A, 0x6C, "intel-ice-lake-server"),
    ("GenuineIntel", 6, 0x8F, 0x8F, "intel-sapphire-rapids"),
    ("GenuineIntel", 6, 0xAD, 0xAE, "intel-granite-rapids"),
    ("GenuineIntel", 6, 0xCF, 0xCF, "intel-emerald-rapids"),
)
VENDORS = {"AuthenticAMD": "amd", "GenuineIntel": "intel"}


def processor_kind(cpuinfo=None) -> str:
    """The name of this processor's kind, or of that whose /proc/cpuinfo is given: a word for folders.

    >>> processor_kind("vendor_id : AuthenticAMD\\ncpu family : 25\\nmodel : 17\\n")
    'amd-zen-4'
    >>> processor_kind("vendor_id : GenuineIntel\\ncpu family : 6\\nmodel : 1\\n")
    'intel-family-6-model-1'
    """
    if cpuinfo is None:
        path = Path("/proc/cpuinfo")
        cpuinfo = path.read_text() if path.is_file() else ""
    first = cpuinfo.strip().partition("\n\n")[0]
    fields = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in first.splitlines())}
    if not {"vendor_id", "cpu family", "model"} <= fields.keys():
        return platform.machine()
    vendor, family, model = fields["vendor_id"], int(fields["cpu family"]), int(fields["model"])
    for *which, low, high, name in PROCESSORS:
        if which == [vendor, family] and low <= model <= high:
            return name
    return f"{VENDORS.get(vendor, vendor.lower())}-family-{family}-model-{model}"


def source() -> dict:
    """`commit`, short, of the checkout that this package was installed from, and whether what is installed is `clean`:
    that commit and nothing else. Both are None if it was not installed from a git checkout."""
    folder = checkout()
    commit = folder and git(folder, "rev-parse", "--short=7", "HEAD")
    if not commit:
        return dict(commit=None, clean=None)
    changed = git(folder, "status", "--porcelain", "--", *CODE)
    return dict(commit=commit, clean=changed == "" and is_installed(folder))


def checkout() -> Path | None:
    """The folder that pip installed this package from, as pip noted it."""
    try:
        noted = metadata.distribution("pymnistcnn").read_text("direct_url.json")
    except metadata.PackageNotFoundError:
        return None
    url = urlparse(json.loads(noted or "{}").get("url", ""))
    return Path(url2pathname(url.path)) if url.scheme == "file" else None


def is_installed(folder) -> bool:
    """Whether the Python files that run are those of the folder, and the extension is younger than its C sources."""
    theirs = folder / PACKAGE.name
    names = [str(path.relative_to(theirs)) for path in theirs.rglob("*.py")]
    _, different, missing = filecmp.cmpfiles(theirs, PACKAGE, names, shallow=False)
    sources = [*(folder / "csrc").rglob("*.[ch]"), *theirs.glob("_native.p[yx][xd]")]
    built = Path(_native.__file__).stat().st_mtime
    return not different + missing and all(path.stat().st_mtime < built for path in sources)


def git(folder, *arguments) -> str | None:
    """What git says, or None if there is no git, or no repository."""
    try:
        done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True)
    except OSError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None
