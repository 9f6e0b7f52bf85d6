"""Fixtures of all tests, and what the run ends with: how many were skipped why, and the count of kernel cases."""

import signal
import sys
from collections import Counter

import pytest

from pymnistcnn import _native
from pymnistcnn.target import BY_NAME

RAN = pytest.StashKey[set]()


def pytest_addoption(parser):
    parser.addoption("--slow", action="store_true", help="run the tests that take minutes, too")


def pytest_collection_modifyitems(config, items):
    if not config.getoption("--slow"):
        for item in items:
            if item.get_closest_marker("slow"):
                item.add_marker(pytest.mark.skip(reason="slow: run with --slow"))


def pytest_configure(config):
    # a shell's background jobs begin with one of these ignored, or both, as then would all that tests start
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    config.stash[RAN] = set()


def pytest_terminal_summary(terminalreporter, config):
    reports = terminalreporter.stats.get("skipped", [])
    reasons = Counter(report.longrepr[2].removeprefix("Skipped: ") for report in reports)
    for reason, count in reasons.most_common():
        terminalreporter.write_line(f"SKIPPED [{count}] {reason}")
    terminalreporter.write_line(f"{len(config.stash[RAN]):,} kernel x ISA x dtype x shape cases ran")


@pytest.fixture(params=[str(target) for target in _native.TARGETS if target.precision == "full"])
def isa(request):
    """Every instruction set that this build has kernels for, in turn; and the devices, which run the same plans."""
    problem = _native.target_problem(BY_NAME[request.param])
    if problem is not None:
        pytest.skip(f"{request.param}: {problem}")
    return request.param


@pytest.fixture(autouse=True)
def _figures_are_closed():
    yield
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")


@pytest.fixture(params=["float32", "float64"])
def dtype(request):
    return request.param


@pytest.fixture
def ran(request, isa, dtype):
    """Call it with a kernel's name and a shape once they have been compared: it counts different cases."""
    return lambda kernel, shape: request.config.stash[RAN].add((kernel, isa, dtype, shape))
