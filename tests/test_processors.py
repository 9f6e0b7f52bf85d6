"""Threads by default: what the machine, its control groups, the environment and threadpoolctl allow."""

import math
import os
import subprocess
import sys
import threading

import pytest

from pymnistcnn import _native, network, processors


def groups(folder, lines, files):
    """A /proc/self/cgroup and the files of groups, as the system has them."""
    (folder / "cgroup").write_text("".join(f"{line}\n" for line in lines))
    for name, text in files.items():
        path = folder / "mount" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
    return folder / "cgroup", folder / "mount"


QUOTAS = {
    "none": (["0::/"], {}, math.inf),
    "version 2": (["0::/"], {"cpu.max": "150000 100000"}, 1.5),
    "version 2, no limit": (["0::/"], {"cpu.max": "max 100000"}, math.inf),
    "version 2, a group": (["0::/a/b"], {"a/b/cpu.max": "50000 100000", "cpu.max": "max 100000"}, 0.5),
    "version 2, around it": (["0::/a/b"], {"a/b/cpu.max": "max 100000", "a/cpu.max": "300000 100000"}, 3),
    "version 2, seen from inside": (["0::/not/seen"], {"cpu.max": "200000 100000"}, 2),
    "version 1": (["4:cpu,cpuacct:/a"], {"cpu/a/cpu.cfs_quota_us": "250000", "cpu/a/cpu.cfs_period_us": "100000"}, 2.5),
    "version 1, no limit": (
        ["4:cpu:/", "2:memory:/x"],
        {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"},
        math.inf,
    ),
    "nonsense": (["0::/"], {"cpu.max": "a lot"}, math.inf),
}


@pytest.mark.parametrize("case", QUOTAS)
def test_quota(case, tmp_path):
    lines, files, expected = QUOTAS[case]
    assert processors.quota_of(*groups(tmp_path, lines, files)) == expected


def test_no_groups(tmp_path):
    assert processors.quota_of(tmp_path / "nowhere", tmp_path) == math.inf


@pytest.mark.parametrize("quota, allowed, expected", [(1.5, 64, 2), (0.2, 64, 1), (math.inf, 3, 3), (8, 3, 3)])
def test_processors(quota, allowed, expected, monkeypatch):
    monkeypatch.setattr(processors, "quota", lambda: quota)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(allowed), raising=False)
    assert processors.processors() == expected


def test_a_quota_limits_threads_unless_the_environment_says_how_many(monkeypatch):
    monkeypatch.setattr(_native, "default_threads", lambda: 64)
    monkeypatch.setattr(network, "processors", lambda: 2)
    for told, expected in ((False, 2), (True, 64)):
        monkeypatch.setattr(network, "OPENMP_IS_TOLD", told)
        assert network.default_threads() == expected


def test_a_limit_holds_in_all_threads(monkeypatch):
    monkeypatch.setattr(_native, "default_threads", lambda: 64)
    monkeypatch.setattr(network, "processors", lambda: 8)
    found = []
    try:
        processors.limit(3)
        other = threading.Thread(target=lambda: found.append(network.default_threads()))
        other.start()
        other.join()
    finally:
        processors.limit(None)
    assert found == [3] and network.default_threads() == 8


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system has no affinity to set")
@pytest.mark.parametrize("environment, expected", [({}, "1"), ({"OMP_NUM_THREADS": "3"}, "3")], ids=["", "told"])
def test_affinity_that_is_set_after_the_import(environment, expected):
    code = """
import os
from pymnistcnn.network import default_threads
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
print(default_threads())
"""
    without = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, timeout=60,
                          env={**without, **environment})  # fmt: skip
    assert done.stdout.strip() == expected, done.stderr


def test_info_imports_what_a_program_has_beside():
    def info(*options):
        command = [sys.executable, "-P", "-m", "pymnistcnn", "info", *options]
        return subprocess.run(command, capture_output=True, text=True)

    assert info("--beside", "colorsys").stdout == info().stdout
    refused = info("--beside", "no_such_module")
    assert refused.returncode == 2 and "no_such_module cannot be imported" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_info_says_what_to_do_about_several_runtimes(monkeypatch):
    from click.testing import CliRunner

    from pymnistcnn.cli import info, main

    paths = ["/a/libgomp.so.1", "/b/libiomp5.so"]
    monkeypatch.setattr(sys.modules[info.callback.__module__], "openmp_runtimes", lambda: paths)
    text = CliRunner().invoke(main, ["info"]).output
    assert all(path in text for path in paths) and "OMP_NUM_THREADS" in text
