"""How many threads there are by default, and the OpenMP runtimes that info lists."""

import math
import os
import subprocess
import sys

import pytest

from pymnistcnn import _native, processors
from pymnistcnn.target import ISAS


@pytest.fixture
def system(tmp_path):
    """A folder in place of /, with the files that are given to it."""

    def made(**files):
        for path, text in files.items():
            path = tmp_path / path.replace("__", "/").replace("_dot_", ".")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return tmp_path

    return made


UNIFIED = {"proc__self__cgroup": "0::/jobs/one\n"}
SEPARATE = {"proc__self__cgroup": "9:pids:/\n4:cpu,cpuacct:/docker/ab\n0::/\n"}


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, math.inf),
        (UNIFIED, math.inf),
        ({**UNIFIED, "sys__fs__cgroup__jobs__one__cpu_dot_max": "150000 100000\n"}, 1.5),
        ({**UNIFIED, "sys__fs__cgroup__jobs__one__cpu_dot_max": "max 100000\n"}, math.inf),
        ({**UNIFIED, "sys__fs__cgroup__jobs__cpu_dot_max": "50000 100000\n",
          "sys__fs__cgroup__jobs__one__cpu_dot_max": "150000 100000\n"}, 0.5),
        ({**UNIFIED, "sys__fs__cgroup__cpu_dot_max": "200000 100000\n"}, 2.0),  # as a container sees it
        ({**SEPARATE, "sys__fs__cgroup__cpu__docker__ab__cpu_dot_cfs_quota_us": "150000\n",
          "sys__fs__cgroup__cpu__docker__ab__cpu_dot_cfs_period_us": "100000\n"}, 1.5),
        ({**SEPARATE, "sys__fs__cgroup__cpu__cpu_dot_cfs_quota_us": "-1\n",
          "sys__fs__cgroup__cpu__cpu_dot_cfs_period_us": "100000\n"}, math.inf),
        ({**UNIFIED, "sys__fs__cgroup__jobs__one__cpu_dot_max": "nonsense"}, math.inf),
    ],
)  # fmt: skip
def test_the_quota_of_a_container(system, files, expected):
    assert processors.quota(system(**files)) == expected


@pytest.mark.parametrize(("quota", "expected"), [(1.5, 2), (1.0, 1), (0.2, 1), (math.inf, 64), (100.0, 64)])
def test_threads_by_default(monkeypatch, quota, expected):
    asked = processors.most_threads.__wrapped__
    monkeypatch.setattr(_native, "default_threads", lambda: 64)
    monkeypatch.setattr(processors, "most_threads", asked)
    monkeypatch.setattr(processors, "quota", lambda root: quota)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert processors.default_threads() == expected
    monkeypatch.setenv("OMP_NUM_THREADS", "64")
    assert processors.default_threads() == 64


def test_affinity_decides_how_many_threads_there_are():
    code = "import pymnistcnn.processors as p; print(p.default_threads())"
    alone = {name: value for name, value in os.environ.items() if not name.startswith("OMP_")}
    one = min(os.sched_getaffinity(0))
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=alone,
                         preexec_fn=lambda: os.sched_setaffinity(0, {one}))  # fmt: skip
    assert run.stdout.strip() == "1", run.stderr


def test_the_runtime_that_we_use_is_among_those_that_are_loaded():
    used = _native.openmp_runtime()
    if used.startswith("none"):
        pytest.skip(f"OpenMP runtime: {used}")
    assert any(os.path.basename(path).startswith(used) for path in processors.openmp_runtimes())
    assert all(os.path.exists(path) for path in processors.openmp_runtimes())


def test_the_instructions_that_the_system_sees_are_used():
    """A compiler whose run-time test of the processor does not work would build what silently runs slowly."""
    try:
        with open("/proc/cpuinfo") as file:
            flags = set(next(line for line in file if line.startswith(("flags", "Features"))).split())
    except (OSError, StopIteration):
        pytest.skip("no /proc/cpuinfo with flags here")
    expected = {"avx2": {"avx2", "fma"}, "avx512": {"avx512f", "avx512bw", "avx512dq", "avx512vl"}, "neon": {"asimd"}}
    built = {target.isa for target in _native.TARGETS}
    assert {isa for isa in built & expected.keys() if expected[isa] <= flags} == set(ISAS) - {"portable"}


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
