"""Training speed of the `fast` network beside PyTorch, as a ratio from one run.

    python benchmarks/versus.py --peer-python /path/to/an/environment/with/torch/bin/python

Each side runs in a process of its own, in turns (A B A B); PyTorch at the best of {1, 2 threads} x {contiguous,
channels last} x {eager, compiled}, found first.
"""

import argparse
import itertools
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

import pymnistcnn as pm

HERE = Path(__file__).parent


def measure(command):
    """The JSON object that a command prints last, or None with its error shown."""
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        print(f"failed: {' '.join(command)}\n{done.stderr[-500:]}", file=sys.stderr)
        return None
    return json.loads(done.stdout.splitlines()[-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer-python", required=True)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--isa")
    args = parser.parse_args()

    with tempfile.TemporaryDirectory() as folder:
        train, _ = pm.datasets.mnist()
        data = ["--images", f"{folder}/images.npy", "--labels", f"{folder}/labels.npy"]
        np.save(data[1], train.images)
        np.save(data[3], train.labels)
        common = [*data, "--seconds", str(args.seconds)]
        ours = [sys.executable, str(HERE / "ours.py"), *common, "--threads", str(args.threads)]
        ours += ["--isa", args.isa] if args.isa else []
        torch = [args.peer_python, str(HERE / "peers" / "pytorch.py"), *common]
        settings = [
            ["--threads", str(threads), *layout, *mode]
            for threads, layout, mode in itertools.product((1, 2), ([], ["--channels-last"]), ([], ["--compile"]))
        ]
        speeds = {}
        for setting in settings:
            result = measure([*torch, *setting])
            if result:
                speeds[tuple(setting)] = result["images_per_second"]
                print(
                    f"pytorch {' '.join(setting):50} {result['images_per_second']:10,.0f} images/s",
                    flush=True,
                )
        best = max(speeds, key=speeds.get)
        pairs = []
        for _ in range(args.rounds):
            a, b = measure(ours), measure([*torch, *best])
            pairs.append((a["images_per_second"], b["images_per_second"], a["fma_peak_gflops_a_core"]))
    for name, values in (
        ("pymnistcnn images/s", [a for a, _, _ in pairs]),
        (f"pytorch images/s ({' '.join(best)})", [b for _, b, _ in pairs]),
        ("ratio", [a / b for a, b, _ in pairs]),
        ("FMA peak, GFLOP/s a core", [peak for _, _, peak in pairs]),
    ):
        print(f"{name}: median {statistics.median(values):,.2f}, from {min(values):,.2f} to {max(values):,.2f}")


if __name__ == "__main__":
    main()
