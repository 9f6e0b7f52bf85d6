"""pymnistcnn training one of the networks: one process, one setting, one JSON line."""

import argparse
import json
import time

import numpy as np
from networks import NETWORKS, model

import pymnistcnn as pm
from pymnistcnn import _native


class StopAfter(pm.Callback):
    """Ends the training after some seconds; counts what was trained."""

    every = 20

    def __init__(self, seconds):
        self.seconds, self.images = seconds, 0

    def on_train_begin(self, training):
        self.started = time.perf_counter()

    def on_batches(self, training):
        self.images = training.epoch * training.samples + min(training.batch * training.batch_size, training.samples)
        self.elapsed = time.perf_counter() - self.started
        if self.elapsed > self.seconds:
            training.stop()


def fma_peak(isa, rounds=3_000_000):
    """GFLOP/s of one core, now: what a share of the peak is a share of."""
    started = time.perf_counter()
    return _native.fma_peak(isa, rounds) / (time.perf_counter() - started) / 1e9


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--images", required=True, help=".npy, uint8 (n, 28, 28)")
    parser.add_argument("--labels", required=True, help=".npy, uint8 (n,)")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--isa")
    parser.add_argument("--network", choices=NETWORKS, default="fast")
    parser.add_argument("--seconds", type=float, default=5)
    args = parser.parse_args()

    isa = args.isa or _native.isas()[-1]
    train = pm.Dataset(np.load(args.images), np.load(args.labels))
    _, batch_size, optimizer = NETWORKS[args.network]
    clock = StopAfter(args.seconds)
    model(args.network).fit(
        train, epochs=10_000, batch_size=batch_size, optimizer=optimizer, callbacks=[clock], progress=False,
        threads=args.threads, isa=isa,
    )  # fmt: skip
    result = {
        "images_per_second": clock.images / clock.elapsed,
        "fma_peak_gflops_a_core": fma_peak(isa),
        "isa": isa,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
