"""Two fits at once beside one: what joblib's threads and processes cost, of `pm.CNNClassifier`.

    python benchmarks/two_fits.py [ROUNDS]      needs scikit-learn and two processors; 11 rounds: under a minute

In each round, one after the other: a fit on one thread; two such fits in two of joblib's threads; two in two of its
processes (loky). Nothing is set: threads and processes find their share themselves. Where the interpreter's lock is
released and nobody takes more than his share, two take the time of one, on a machine that does nothing else.
"""

import os
import sys
import time
from functools import partial

from joblib import Parallel, delayed, parallel_backend

import pymnistcnn as pm
from pymnistcnn.benchmarking.measuring import Figure
from pymnistcnn.processors import processors

IMAGES = 6_000


def seconds_of(n_jobs, images, labels):
    """What one fit takes."""
    classifier = pm.CNNClassifier(epochs=3, n_jobs=n_jobs, random_state=0)
    started = time.perf_counter()
    classifier.fit(images, labels)
    return time.perf_counter() - started


def alone(images, labels):
    return seconds_of(1, images, labels)


def together(backend, images, labels):
    """The time until both are done."""
    with parallel_backend(backend, n_jobs=2):
        return max(Parallel()(delayed(seconds_of)(None, images, labels) for _ in range(2)))


def main(rounds=11):
    if processors() < 2:
        sys.exit("this process may use one processor only: there is nothing to compare")
    train = pm.datasets.mnist()[0][:IMAGES]
    arms = {
        "one fit on one thread": alone,
        "two fits in joblib's threads": partial(together, "threading"),
        "two fits in joblib's processes": partial(together, "loky"),
    }
    for arm in arms.values():  # processes start, pages are touched
        arm(train.images, train.labels)
    times = {name: [] for name in arms}
    for _ in range(rounds):
        for name, arm in arms.items():
            times[name].append(arm(train.images, train.labels))
    one, *_ = times
    load = os.getloadavg()[0]  # two fits at once make it up to 2
    print(f"{rounds} rounds in turns, medians (and ranges); load {load:.1f} on {processors()} processors:")
    for name, seconds in times.items():
        ratios = [a / b for a, b in zip(seconds, times[one], strict=True)]
        print(f"{name:32}{Figure.of(seconds).text(3)} s, {Figure.of(ratios).text(2)} times one fit")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
