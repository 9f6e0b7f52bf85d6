"""The process of ours that is measured: `python -m pymnistcnn.benchmarking.worker`; workers.py has what it speaks."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from .. import __version__
from .inference import Calls, Clients
from .kernels import Block
from .training import Step

TASKS: dict[str, Any] = {"training": Step, "inference": Calls, "serving": Clients, "kernel": Block}


def peak_megabytes() -> Any:
    """The most memory that this process has had. getrusage would count what the process that started it had, too:
    the kernel carries that over an exec."""
    fields = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(fields["VmHWM"].split()[0]) * 1024 / 1e6


def main() -> None:
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # whatever else is printed must not be taken for an answer
    job = json.loads(sys.stdin.readline())
    measured = TASKS[job.pop("task")](**job)
    print(json.dumps({"version": __version__}), file=answers)
    for line in sys.stdin:
        answer = measured.measure(json.loads(line)["seconds"])
        print(json.dumps({**answer, "peak_megabytes": peak_megabytes()}), file=answers)


if __name__ == "__main__":
    main()
