"""Subnormal numbers are zeros while we compute, on every instruction set, and nowhere else."""

import signal
import threading
import time

import numpy as np
import pytest
from comparing import FMA_ISAS
from test_promises import OPTIMIZERS

import pymnistcnn as pm
from pymnistcnn.target import ISAS

F = pm.functional
on_processor = pytest.mark.parametrize("isa", ISAS)


def tiny(dtype):
    """The largest subnormal number."""
    return np.nextafter(np.finfo(dtype).tiny, np.zeros((), dtype), dtype=dtype)


def caller_has_subnormals():
    """Does the calling thread compute with them?"""
    return bool((np.full(64, tiny("float32")) * np.float32(0.5) > 0).all())


@on_processor
def test_as_operands_they_are_zeros(isa, dtype):
    x, w = np.full((3, 40), tiny(dtype)), np.full((20, 40), 1e3, dtype)
    assert (F.linear(x, w, isa=isa) == 0).all()
    assert (F.linear(w, x, isa=isa) == 0).all()
    assert (F.relu(x, isa=isa) == 0).all()
    picture, filters = np.full((1, 16, 9, 9), tiny(dtype)), np.full((16, 16, 3, 3), 1e3, dtype)
    assert (F.conv2d(picture, filters, isa=isa) == 0).all()


@on_processor
def test_as_results_they_are_zeros(isa, dtype):
    root = np.sqrt(np.finfo(dtype).tiny) / 100
    x, w = np.full((3, 40), root, dtype), np.full((20, 40), root, dtype)
    assert (F.linear(x, w, isa=isa) == 0).all()


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_no_weight_and_no_moment_becomes_one(optimizer, dtype):
    model = pm.Sequential([pm.Linear(30), pm.ReLU(), pm.Linear(4)], (50,), dtype=dtype)
    for view in model.state_dict().values():
        view *= np.finfo(dtype).tiny
    x = np.random.default_rng(0).standard_normal((40, 50))
    x[:, ::3] = 0  # their weights get no gradient, only moments that fade away
    optimizer = OPTIMIZERS[optimizer]()
    model.fit(x, np.arange(40) % 4, epochs=5, batch_size=10, optimizer=optimizer, progress=False)
    moments = [m for m in optimizer.state_for(model.network).moments if m is not None]
    for vector in (model.network.param, *moments):
        assert not ((vector != 0) & (np.abs(vector) < np.finfo(dtype).tiny)).any()


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_same_bits_at_the_edge(optimizer, dtype):
    """Weights, gradients and moments on both sides of the smallest normal number."""

    def trained(isa, threads):
        model = pm.Sequential([pm.Conv2d(20, 3), pm.ReLU(), pm.Flatten(), pm.Linear(4)], (1, 8, 8), dtype=dtype)
        rng = np.random.default_rng(1)
        for view in model.state_dict().values():
            view[...] = rng.standard_normal(view.shape) * np.finfo(dtype).tiny * 2
        x = rng.standard_normal((40, 1, 8, 8)) * 1e-3
        settings = dict(epochs=3, batch_size=10, optimizer=OPTIMIZERS[optimizer](), progress=False)
        model.fit(x, np.arange(40) % 4, isa=isa, threads=threads, **settings)
        return model.network.param.tobytes()

    assert len({trained(isa, threads) for isa in FMA_ISAS for threads in (1, 3)}) == 1
    assert len({trained(ISAS[0], threads) for threads in (1, 3)}) == 1


@pytest.mark.parametrize("threads", [1, 4])
def test_the_mode_of_the_caller_is_put_back(threads):
    x = np.ones((64, 200), np.float32)
    seen = []

    def compute():
        F.linear(x, np.ones((300, 200), np.float32), threads=threads)
        with pytest.raises(ValueError):
            F.linear(x, np.ones((300, 100), np.float32), threads=threads)
        seen.append(caller_has_subnormals())

    compute()
    other = threading.Thread(target=compute)
    other.start()
    other.join()
    assert seen == [True, True]


def test_handlers_of_signals_have_the_mode_of_the_caller():
    model = pm.Sequential([pm.Conv2d(64, 5), pm.Conv2d(64, 5), pm.Flatten(), pm.Linear(4)], (1, 28, 28))
    x, seen = np.zeros((20_000, 1, 28, 28), np.uint8), []
    before = signal.signal(signal.SIGALRM, lambda *_: seen.append((time.monotonic(), caller_has_subnormals())))
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.3, 0.1)
        start = time.monotonic()
        model.predict_outputs(x)
        end = time.monotonic()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    inside = [subnormals for at, subnormals in seen if start < at < end]
    assert inside and all(inside)
