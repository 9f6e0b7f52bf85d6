"""The compiled module, wherever it is. A checkout has none after `pip install .`, and hides the installed copy, which
has: then it is taken from there, if that was installed from the very same source."""

import filecmp
import os.path
import sys
from importlib import import_module
from importlib.machinery import PathFinder


def load(path):
    """The compiled module. To `path`, the package's, is added the folder where it is, if that is another one."""
    try:
        return import_module("pymnistcnn._native")
    except ModuleNotFoundError:
        found = PathFinder.find_spec("pymnistcnn._native", [os.path.join(place, "pymnistcnn") for place in sys.path])
        if found is None:
            raise
    own, folder = path[0], os.path.dirname(found.origin)
    other = [name for name in sources(own) if not same(os.path.join(own, name), os.path.join(folder, name))]
    if other:
        raise ImportError(f"that of the installed copy is of other source: its {other[0]} is not the same")
    path.append(folder)
    return import_module("pymnistcnn._native")


def sources(folder) -> list[str]:
    """The Python files of a package, as paths in it."""
    files = [os.path.join(at, name) for at, _, names in os.walk(folder) for name in names if name.endswith(".py")]
    return sorted(os.path.relpath(file, folder) for file in files)


def same(one, other) -> bool:
    return os.path.exists(other) and filecmp.cmp(one, other, shallow=False)
