"""The OpenMP runtimes that info lists, and the instructions that are found."""

import ctypes
import os
import subprocess
import sys

import pytest

from pymnistcnn import _native
from pymnistcnn.openmp import openmp_runtimes
from pymnistcnn.target import ISAS, ISAS_OF_BF16

ARCH_PRCTL, ARCH_GET_XCOMP_PERM, TILE_DATA = 158, 0x1022, 18  # of Linux on x86_64


def test_the_runtime_that_we_use_is_among_those_that_are_loaded():
    used = _native.openmp_runtime()
    if used.startswith("none"):
        pytest.skip(f"OpenMP runtime: {used}")
    assert any(os.path.basename(path).startswith(used) for path in openmp_runtimes())
    assert all(os.path.exists(path) for path in openmp_runtimes())


def permitted():
    """The registers that Linux lets this process use, as it says itself."""
    mask = ctypes.c_uint64(0)
    ctypes.CDLL(None).syscall(ARCH_PRCTL, ARCH_GET_XCOMP_PERM, ctypes.byref(mask))
    return mask.value


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
    assert ("avx512_bf16" in ISAS_OF_BF16) == ("avx512_bf16" in built & flags)
    tiles = "amx" in built and {"amx_tile", "amx_bf16"} <= flags and permitted() >> TILE_DATA & 1
    assert ("amx" in ISAS_OF_BF16) >= tiles  # it may be emulated


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

    from pymnistcnn.cli import main
    from pymnistcnn.cli.info import info

    paths = ["/a/libgomp.so.1", "/b/libiomp5.so"]
    monkeypatch.setattr(sys.modules[info.callback.__module__], "openmp_runtimes", lambda: paths)
    text = CliRunner().invoke(main, ["info"]).output
    assert all(path in text for path in paths) and "OMP_NUM_THREADS" in text
