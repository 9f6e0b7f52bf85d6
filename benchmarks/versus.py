"""Training speed beside PyTorch, as a ratio from one run; a Markdown table.

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
from pymnistcnn.benchmarking.networks import NETWORKS

HERE = Path(__file__).parent


def measure(command):
    """The JSON object that a command prints last, or None with its error shown."""
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        print(f"failed: {' '.join(command)}\n{done.stderr[-500:]}", file=sys.stderr)
        return None
    return json.loads(done.stdout.splitlines()[-1])


def best_setting(command):
    """PyTorch's fastest of all settings, and how many failed."""
    speeds = {}
    for threads, layout, mode in itertools.product((1, 2), ((), ("--channels-last",)), ((), ("--compile",))):
        setting = ("--threads", str(threads), *layout, *mode)
        result = measure([*command, *setting])
        if result:
            speeds[setting] = result["images_per_second"]
            print(f"    pytorch {' '.join(setting):50} {speeds[setting]:10,.0f} images/s", file=sys.stderr, flush=True)
    return max(speeds, key=speeds.get)


def compare(network, ours, torch, rounds):
    """A line of the table: medians and ranges of both, and of the ratio of each pair."""
    best = best_setting([*torch, "--network", network])
    pairs = []
    for _ in range(rounds):
        a, b = measure([*ours, "--network", network]), measure([*torch, "--network", network, *best])
        pairs.append((a["images_per_second"], b["images_per_second"], a["fma_peak_gflops_a_core"]))
    cells = [
        f"{statistics.median(values):,.{digits}f} ({min(values):,.{digits}f} to {max(values):,.{digits}f})"
        for values, digits in (
            ([a for a, _, _ in pairs], 0),
            ([b for _, b, _ in pairs], 0),
            ([a / b for a, b, _ in pairs], 2),
            ([peak for _, _, peak in pairs], 0),
        )
    ]
    return f"| {network} | {cells[0]} | {cells[1]} | {cells[2]} | {' '.join(best)} | {cells[3]} |"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="*", metavar="NETWORK", help="all, if none is named")
    parser.add_argument("--peer-python", required=True)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--isa")
    args = parser.parse_args()

    with tempfile.TemporaryDirectory() as folder:
        train, _ = pm.datasets.mnist()
        data = ["--images", f"{folder}/images.npy", "--labels", f"{folder}/labels.npy"]
        np.save(data[1], train.images)
        np.save(data[3], train.labels)
        seconds = ["--seconds", str(args.seconds)]
        ours = [sys.executable, str(HERE / "ours.py"), *seconds, "--threads", str(args.threads)]
        ours += ["--isa", args.isa] if args.isa else []
        torch = [args.peer_python, str(HERE / "peers" / "pytorch.py"), *data, *seconds]
        print(
            "| network | pymnistcnn, images/s | PyTorch, images/s | ratio | PyTorch's best | FMA peak, GFLOP/s a core |"
        )
        print("|---|---|---|---|---|---|")
        for network in args.networks or NETWORKS:
            print(compare(network, ours, torch, args.rounds), flush=True)


if __name__ == "__main__":
    main()
