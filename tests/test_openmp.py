"""The OpenMP runtimes that info lists, and the instructions that are found."""

import os

import pytest

from pymnistcnn import _native
from pymnistcnn.openmp import openmp_runtimes
from pymnistcnn.target import ISAS


def test_the_runtime_that_we_use_is_among_those_that_are_loaded():
    used = _native.openmp_runtime()
    if used.startswith("none"):
        pytest.skip(f"OpenMP runtime: {used}")
    assert any(os.path.basename(path).startswith(used) for path in openmp_runtimes())
    assert all(os.path.exists(path) for path in openmp_runtimes())


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
