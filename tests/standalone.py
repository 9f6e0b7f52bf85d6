"""Writes what tests/standalone.c reads: for each instruction set a plan, its weights, pictures and outputs.

python tests/standalone.py FILE
"""

import sys

import numpy as np

import pymnistcnn as pm
from pymnistcnn import _native, placing
from pymnistcnn.recipes import accurate
from pymnistcnn.target import ISAS

SIZES = ("dtype", "capacity", "microbatch", "model_bytes", "pack_bytes", "batch_bytes", "shard_bytes", "thread_bytes",
         "x_elements", "y_elements", "ops", "phases", "pairs")  # as csrc/operations.h has them  # fmt: skip
PICTURES, THREADS = 50, 2


class Recorded(_native.Plan):
    """A plan that keeps what it was made from."""

    def __init__(self, sizes, ops, phases, programs, target):
        super().__init__(sizes, ops, phases, programs, target)
        words = dict(sizes, ops=len(ops), phases=len(phases))
        assert words.keys() <= set(SIZES)
        self.made_from = [np.array([words.get(name, 0) for name in SIZES]), ops, phases, programs]


def main(path):
    placing._native.Plan = Recorded
    images = pm.datasets.mnist()[1].images[:PICTURES]
    model = accurate().model
    with open(path, "wb") as file:
        for isa in ISAS:
            predictor = model.predictor(batch=PICTURES, threads=THREADS, isa=isa)
            expected = predictor(images)
            file.write(isa.encode().ljust(16, b"\0"))
            numbers = np.array([PICTURES, THREADS])
            for array in (numbers, *predictor._first.made_from):
                file.write(np.ascontiguousarray(array, np.int64).tobytes())
            for array in (model.network.param, images, expected):
                file.write(array.tobytes())


if __name__ == "__main__":
    main(sys.argv[1])
