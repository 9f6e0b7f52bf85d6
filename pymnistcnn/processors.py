"""How many processors this process may keep busy: its affinity, and the quota of its control groups (a container's)."""

from __future__ import annotations

import functools
import math
import os
from pathlib import Path

allowed_threads: int | None = None  # by whoever called `limit`
GROUPS, MOUNT = Path("/proc/self/cgroup"), Path("/sys/fs/cgroup")
CPUS = Path("/proc/cpuinfo")


@functools.cache
def processors() -> int:
    """Whole ones, at least one: a quota of 1.5 allows 2. Asked once a process, as it takes a part of the time that a
    prediction does."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, math.ceil(min(allowed, quota())))


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=processors.cache_clear)


def limit(threads: int | None) -> None:
    """From now on, in all threads of Python, no model uses more threads unless it is told to; None: no limit."""
    global allowed_threads
    allowed_threads = threads


def limited(threads: int) -> int:
    return threads if allowed_threads is None else min(threads, allowed_threads)


@functools.cache
def quota() -> float:
    """Processors' worth of time that the control groups of this process leave to it; infinity where none limits it."""
    return quota_of(GROUPS, MOUNT)


def quota_of(groups: Path, mount: Path) -> float:
    """The smallest quota of the groups that a file like /proc/self/cgroup names, and of those around them."""
    try:
        lines = groups.read_text().splitlines()
    except OSError:
        return math.inf
    found = [math.inf]
    for line in lines:
        controllers, _, path = line.partition(":")[2].partition(":")
        if controllers == "":  # version 2
            found += [quota_2(folder) for folder in around(mount, path)]
        elif "cpu" in controllers.split(","):
            found += [quota_1(folder) for folder in around(mount / "cpu", path)]
    return min(found)


def around(mount: Path, path: str) -> list[Path]:
    """The folder of a group, and those above it up to where groups are mounted: a container may see the last only."""
    group = mount / path.lstrip("/")
    return [folder for folder in (group, *group.parents) if folder.is_relative_to(mount)]


def quota_2(folder: Path) -> float:
    return share(*words(folder / "cpu.max"))


def quota_1(folder: Path) -> float:
    return share(*words(folder / "cpu.cfs_quota_us"), *words(folder / "cpu.cfs_period_us"))


def words(path: Path) -> list[str]:
    try:
        return path.read_text().split()
    except OSError:
        return []


def share(*given: str) -> float:
    """Of a quota and its period in microseconds; "max", -1 and what is not there are no limit."""
    try:
        microseconds, period = map(int, given)
    except ValueError:
        return math.inf
    return microseconds / period if microseconds > 0 and period > 0 else math.inf


def cpu_model() -> str:
    """What the processor is called."""
    import platform

    try:
        lines = CPUS.read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
