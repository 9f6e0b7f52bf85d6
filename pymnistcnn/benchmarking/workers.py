"""Processes that are measured in turns. Ours and the peers' speak the same lines of JSON, over stdin and stdout:

    {"task": "training", "batch": 100, ...}                        once: what to set up, and how
        {"version": "2.13.0"}                                      it is ready
    {"seconds": 0.5}                                               as often as one likes: measure about so long
        {"images_per_second": 8612.3, "peak_megabytes": 431.2}

Between its turns a worker blocks in a read, and so disturbs nobody; the end of stdin ends it. Starting one may take
seconds, a turn takes only as long as it measures, so that turns are cheap.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

START_SECONDS = 300.0  # a peer that compiles may take two minutes before its first step
EXTRA_SECONDS = 60.0  # on top of what a turn measures


class WorkerFailed(ChildProcessError):
    """A worker that did not start, died or did not answer: one line that says which, and its own last words."""


class Worker:
    """A process that has set up one job and waits to be told how long to measure it; `facts` is its first answer.

    Use it in a `with`: at the end it is killed, with all that it has started. Raises WorkerFailed.

    Parameters
    ----------
    name : for messages
    command : list of str
    job : what it is to set up
    environment : all of it; ours if not given
    start_seconds : how long it may take to be ready
    """

    facts: dict[str, str]
    name: str

    def __init__(
        self,
        name: str,
        command: list[str],
        job: dict[str, Any],
        environment: dict[str, str] | None = None,
        start_seconds: float = START_SECONDS,
    ) -> None:
        self.name, self._read = name, b""
        self._words = tempfile.TemporaryFile()  # a pipe that nobody reads would fill up and block it
        try:
            # A session of its own: Ctrl-C is for us, who then kill it whole, compiling helpers included.
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._words, env=environment,
                start_new_session=True,
            )  # fmt: skip
        except OSError as error:
            self._words.close()
            raise WorkerFailed(f"{name}: {command[0]}: {error.strerror}") from None
        try:
            self.facts = self._ask(job, start_seconds)
        except BaseException:
            self.close()
            raise

    def measure(self, seconds: float) -> dict[str, Any]:
        """What it measured in about so many seconds."""
        return self._ask({"seconds": seconds}, EXTRA_SECONDS + 10 * seconds)

    def close(self) -> None:
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass  # it is gone, and so are its helpers
        self._process.wait()
        for file in (self._process.stdin, self._process.stdout, self._words):
            try:
                file.close()
            except BrokenPipeError:
                pass  # a request that it did not live to read

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *error: Any) -> None:
        self.close()

    def _ask(self, request: dict[str, Any] | dict[str, float], limit: float) -> dict[str, float] | dict[str, str]:
        try:
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # it is dead: reading tells
        line = self._line(limit)
        try:
            return json.loads(line)
        except ValueError:
            raise WorkerFailed(f"{self.name}: answered {line[:80]!r}, which is not JSON") from None

    def _line(self, limit: float) -> bytes:
        stdout, end = self._process.stdout.fileno(), time.monotonic() + limit
        while b"\n" not in self._read:
            if not select.select([stdout], [], [], max(0.0, end - time.monotonic()))[0]:
                raise WorkerFailed(f"{self.name}: no answer in {limit:.0f} seconds")
            piece = os.read(stdout, 1 << 16)
            if not piece:
                raise WorkerFailed(f"{self.name}: {self._last_words()}")
            self._read += piece
        line, _, self._read = self._read.partition(b"\n")
        return line

    def _last_words(self) -> Any:
        code = self._process.wait()
        self._words.seek(0)
        lines = self._words.read().decode(errors="replace").strip().splitlines()
        return lines[-1].strip() if lines else f"ended without a word, exit code {code}"


def ours(**job: Any) -> Worker:
    """A worker of this package, which imports from where this process does. `task` is training, inference, serving or
    kernel; the rest are the arguments of training.Step, inference.Calls, inference.Clients or kernels.Block.

    >>> with ours(task="training", network="scratch", batch=1, isa="portable", threads=1) as worker:
    ...     worker.measure(0.01)["images_per_second"] > 0
    True
    """
    return Worker("pymnistcnn", our_python("-m", f"{__package__}.worker"), job, our_environment())


def our_python(*arguments: Any) -> list[str]:
    """A command that runs with this Python and, in `our_environment`, imports from where this process does."""
    return [sys.executable, "-P", *arguments]


def our_environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(str(Path(entry).absolute()) for entry in sys.path)}


def turns(workers: Any, rounds: int, seconds: float) -> list[list[dict[str, Any]]]:
    """What each worker answered in each round: A B C, A B C, ..."""
    answers = [[worker.measure(seconds) for worker in workers] for _ in range(rounds)]
    return [list(of_one) for of_one in zip(*answers, strict=True)]
