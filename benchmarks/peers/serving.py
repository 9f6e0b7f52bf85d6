"""What every peer's script does: read one job, be ready, then measure whenever it is told to. A line of JSON each way;
pymnistcnn/benchmarking/workers.py is the other end. Needs NumPy alone."""

import itertools
import json
import os
import sys
import threading
import time
from pathlib import Path

import numpy as np


def serve(set_up):
    """`set_up(job)` returns the library's version and a function of seconds that returns what it measured."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # whatever else is printed must not be taken for an answer
    version, measure = set_up(json.loads(sys.stdin.readline()))
    print(json.dumps({"version": version}), file=answers)
    for line in sys.stdin:
        answer = measure(json.loads(line)["seconds"])
        print(json.dumps({**answer, "peak_megabytes": peak_megabytes()}), file=answers)


def peak_megabytes():
    """The most memory that this process has had. getrusage would count what the process that started it had, too."""
    fields = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(fields["VmHWM"].split()[0]) * 1024 / 1e6


def scaled(job):
    """Pictures (n, 28, 28) as float32 from 0 to 1, and labels."""
    return np.divide(np.load(job["images"]), 255, dtype=np.float32), np.load(job["labels"])


class Order:
    """Batches of indices of n samples, without end, in a new order each time around."""

    def __init__(self, n, batch):
        self.n, self.batch, self.shuffle = n, batch, np.random.default_rng(0)
        self.order, self.at = self.shuffle.permutation(n), 0

    def next(self):
        if self.at + self.batch > self.n:
            self.order, self.at = self.shuffle.permutation(self.n), 0
        self.at += self.batch
        return self.order[self.at - self.batch : self.at]


def images_per_second(do, batch, seconds, finish=lambda: None, at_a_time=1):
    """Of calls of `do`, which takes `batch` images; `finish` waits for what is under way, after `at_a_time` calls."""
    started, calls, taken = time.perf_counter(), 0, 0.0
    while not calls or taken < seconds:
        for _ in range(at_a_time):
            do()
        finish()
        calls, taken = calls + at_a_time, time.perf_counter() - started
    return {"images_per_second": calls * batch / taken}


def inference(job, client):
    """What measures inference, one call after the other, or serving, from several clients at once. `client()` gives
    a function that predicts pictures (batch, 1, 28, 28), for one thread."""
    pictures, batch = scaled(job)[0][:, None], job["batch"]
    pieces = [pictures[i : i + batch] for i in range(0, len(pictures) - batch + 1, batch)]
    clients = [client() for _ in range(job.get("clients", 1))]
    calls = [lambda number, predict=predict: predict(pieces[number % len(pieces)]) for predict in clients]
    for call in calls:
        call(0)
    if job["task"] == "serving":
        return lambda seconds: latencies(calls, seconds)
    numbers = itertools.count()
    return lambda seconds: images_per_second(lambda: calls[0](next(numbers)), batch, seconds)


def latencies(calls, seconds):
    """Each of `calls`, functions of a number, again and again in a thread of its own: pictures a second in all, and
    the median and the 99th percentile of the seconds that one call takes."""
    taken = [[] for _ in calls]
    start = threading.Barrier(len(calls))

    def client(call, mine):
        start.wait()
        end = time.perf_counter() + seconds
        while not mine or time.perf_counter() < end:
            started = time.perf_counter()
            call(len(mine))
            mine.append(time.perf_counter() - started)

    clients = [threading.Thread(target=client, args=pair) for pair in zip(calls, taken, strict=True)]
    started = time.perf_counter()
    for thread in clients:
        thread.start()
    for thread in clients:
        thread.join()
    every = np.concatenate(taken)
    middle, late = np.percentile(every, [50, 99])
    return {
        "images_per_second": len(every) / (time.perf_counter() - started),
        "median_seconds": float(middle),
        "late_seconds": float(late),
    }


def seconds_a_call(forward, backward, batch, seconds):
    """`forward` returns what `backward` takes; both end when their work is done."""
    first, second, calls = 0.0, 0.0, 0
    while not calls or first + second < seconds:
        started = time.perf_counter()
        state = forward()
        between = time.perf_counter()
        backward(state)
        first, second, calls = first + between - started, second + time.perf_counter() - between, calls + 1
    return {
        "images_per_second": calls * batch / (first + second),
        "forward_seconds": first / calls,
        "backward_seconds": second / calls,
    }
