"""pymnistcnn training one of the networks: one process, one setting, one JSON line."""

import argparse
import json
import time

from pymnistcnn import _native
from pymnistcnn.benchmarking.measuring import fma_peak
from pymnistcnn.benchmarking.networks import NETWORKS
from pymnistcnn.benchmarking.training import Step


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--isa", default=_native.isas()[-1])
    parser.add_argument("--network", choices=NETWORKS, default="fast")
    parser.add_argument("--seconds", type=float, default=5)
    args = parser.parse_args()

    step = Step(args.network, None, args.isa, args.threads)
    steps = step.steps_in(0.1)
    started, images = time.perf_counter(), 0
    while (elapsed := time.perf_counter() - started) < args.seconds:
        step.run(steps)
        images += steps * step.batch
    result = {
        "images_per_second": images / elapsed,
        "fma_peak_gflops_a_core": fma_peak(args.isa, seconds=0.1),
        "isa": args.isa,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
