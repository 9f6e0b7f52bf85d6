"""Run by mpiexec: trains with all ranks, and without, and says for each case whether the weights are the same."""

import sys

import numpy as np
from mpi4py import MPI

import pymnistcnn as pm

RNG = np.random.default_rng(0)
X = RNG.integers(0, 256, (90, 1, 8, 8), np.uint8)  # the last batch of 33 has 24 samples
Y = X.reshape(90, 4, 16).mean(axis=2).argmax(axis=1)


def plain():
    return [pm.Rescaling(1 / 255, -0.5), pm.Conv2d(5, 3), pm.ReLU(), pm.MaxPool2d(2), pm.Flatten(), pm.Linear(4)]


def everything():
    """All that is random, batch norm of both kinds, and linear layers in each scope."""
    return [
        *(pm.Rescaling(1 / 255), pm.Augmentation(rotation=10, shift=1), pm.GaussianNoise(0.1), pm.Conv2d(5, 3)),
        *(
            pm.BatchNorm2d(),
            pm.ReLU(),
            pm.MaxPool2d(2),
            pm.Flatten(),
            pm.Dropout(0.3),
            pm.Linear(210),
            pm.BatchNorm1d(),
        ),
        *(pm.Tanh(), pm.Residual([pm.Linear(210), pm.GELU()]), pm.Dropout(0.2), pm.Linear(4)),
    ]


def linear():
    """One behind another without anything between, too."""
    return [*(pm.Flatten(), pm.Linear(300), pm.ReLU(), pm.Linear(110), pm.Linear(200), pm.ReLU(), pm.Linear(4))]


FILE = "x.npy"
CASES = {
    "sgd": (plain, lambda: dict(optimizer=pm.SGD(0.1, momentum=0.9, nesterov=True, weight_decay=1e-3))),
    "adam": (everything, lambda: dict(optimizer=pm.Adam(0.01), schedule=pm.OneCycle(0.01))),
    "adamw, clipped, averaged": (everything, lambda: dict(optimizer=pm.AdamW(0.01), clip_norm=0.1, average=0.9)),
    "rmsprop, weights": (
        linear,
        lambda: dict(optimizer=pm.RMSprop(0.003, momentum=0.9, centered=True), sample_weight=np.linspace(0.5, 2, 90)),
    ),
    "adagrad, in order": (everything, lambda: dict(optimizer=pm.Adagrad(0.05), shuffle=False)),
    "small batches": (everything, lambda: dict(batch_size=3, epochs=1)),
    "one by one": (plain, lambda: dict(batch_size=1, epochs=1)),
    "a stream": (everything, lambda: dict(stream=True, shuffle_buffer=20)),
    "stochastic average": (everything, lambda: dict(average=pm.StochasticAverage(0.4), mapped=True)),
    "a mapped file": (everything, lambda: dict(mapped=True)),
    "mixed": (everything, lambda: dict(mixing=pm.MixUp(), sample_weight=np.linspace(0.5, 2, 90))),
    "mixed, of a mapped file": (everything, lambda: dict(mixing=pm.CutMix(), mapped=True)),
    "float64": (everything, lambda: dict(dtype="float64")),
    "bf16": (everything, lambda: dict(precision="bf16")),
}


def fit(case, comm, threads):
    layers, arguments = CASES[case]
    how = {**dict(epochs=2, batch_size=33, threads=threads, progress=False), **arguments()}
    model = pm.Sequential(layers(), (1, 8, 8), seed=3, dtype=how.pop("dtype", "float32"))
    data = (X, Y) if not how.pop("stream", False) else [(X[:40], Y[:40]), (X[40:], Y[40:])]
    if how.pop("mapped", False):
        data = np.load(FILE, mmap_mode="r"), Y
    history = model.fit(data, validation=(X[:20], Y[:20]), comm=comm, **how)
    return model.network.param.tobytes(), history.loss, history.accuracy, history.validation_loss


if __name__ == "__main__":
    comm = MPI.COMM_WORLD
    if comm.rank == 0:
        np.save(FILE, X)
    comm.Barrier()
    for case in CASES:
        alone = fit(case, None, 1)
        same = [fit(case, comm, threads) == alone for threads in ((1, 2) if comm.size < 4 else (1,))]
        if all_same := comm.gather(all(same)):
            print(f"{case}: {'same' if all(all_same) else 'different'} on {len(all_same)} ranks", flush=True)
    sys.stdout.flush()
