"""Eight threads at once: on one model, on models of their own, by functions. The results are those of one thread.

What they share, for Pythons without the global lock: a model's plan and workspaces, behind the lock of its `turns`;
caches of functools, which lock themselves; networks behind functions, one cache a thread. In C: what forks have done
and which numbers of threads were tried, atomic or written before there is a second thread; a device's message, one a
thread.
"""

import subprocess
import sys
import sysconfig
import threading
import time

import numpy as np
import pytest

import pymnistcnn as pm
from pymnistcnn import functional as F

THREADS, ROUNDS = 8, 25


def network(seed):
    layers = [pm.Conv2d(8, 3), pm.ReLU(), pm.MaxPool2d(2), pm.Flatten(), pm.Dropout(0.2), pm.Linear(10)]
    return pm.Sequential(layers, input_shape=(1, 10, 10), seed=seed)


def at_once(task):
    """What task(i) gives for each thread i, all started together."""
    barrier, results = threading.Barrier(THREADS), [None] * THREADS

    def body(i):
        barrier.wait()
        try:
            results[i] = task(i)
        except BaseException as error:  # noqa: BLE001 - shown by the test
            results[i] = error

    threads = [threading.Thread(target=body, args=(i,)) for i in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    return rng.random((60, 1, 10, 10), np.float32), rng.integers(0, 10, 60)


@pytest.mark.parametrize("threads", [1, 2])
def test_one_model_predicts_for_all(data, threads):
    x, labels = data
    model = network(0)
    expected = [model.predict_outputs(x[: 5 + i]).tobytes() for i in range(THREADS)]

    def task(i):
        found = {model.predict_outputs(x[: 5 + i], threads=threads).tobytes() for _ in range(ROUNDS)}
        return found, model.evaluate(x, labels, threads=threads).accuracy

    accuracy = model.evaluate(x, labels).accuracy
    assert at_once(task) == [({outputs}, accuracy) for outputs in expected]


def test_each_trains_a_model_of_its_own(data):
    def task(i):
        model = network(i)
        for _ in range(3):
            model.fit(data, epochs=1, batch_size=16, optimizer=pm.Adam(), progress=False, threads=1 + i % 2)
        return model.network.param.tobytes()

    assert at_once(task) == [task(i) for i in range(THREADS)]


def test_one_model_is_trained_by_one_at_a_time(data):
    """The others wait or are told; nobody sees half a step."""
    model = network(0)
    results = at_once(lambda i: model.fit(data, epochs=1, batch_size=16, progress=False) and None)
    assert all(result is None or isinstance(result, (RuntimeError, ValueError)) for result in results), results
    assert None in results and np.isfinite(model.network.param).all()


def test_functions_and_first_uses(data):
    x = data[0]
    weight = np.random.default_rng(1).random((4, 1, 3, 3), np.float32)

    def task(i):
        found = [F.conv2d(x[: 3 + i], weight, threads=1), F.gelu(x[: 3 + i]), F.max_pool2d(x[: 3 + i], 2)]
        found.append(F.update(pm.Adam(), weight, weight + i)[0])
        return [array.tobytes() for array in found for _ in range(ROUNDS // 5)]

    assert at_once(task) == [task(i) for i in range(THREADS)]


def test_importing_leaves_the_global_lock_off():
    if not sysconfig.get_config_var("Py_GIL_DISABLED"):
        pytest.skip("this Python has a global lock")
    code = "import sys, pymnistcnn; print(sys._is_gil_enabled())"
    run = subprocess.run([sys.executable, "-X", "gil=0", "-W", "error", "-c", code], capture_output=True, text=True)
    assert run.stdout.strip() == "False", run.stderr


def test_a_step_does_not_wait_for_the_lock():
    """Handlers of signals run in the main thread alone: others need not look, which they could not without the lock."""
    layers = [pm.Conv2d(16, 5), pm.ReLU(), pm.Conv2d(64, 5), pm.MaxPool2d(4), pm.Flatten(), pm.Linear(10)]
    model = pm.Sequential(layers, (1, 28, 28))
    x, y = np.random.default_rng(0).normal(size=(8000, 1, 28, 28)).astype(np.float32), np.arange(8000) % 10
    weights = model.layers[0].parameters["bias"]
    how = dict(epochs=1, batch_size=len(x), optimizer=pm.SGD(0.1), threads=1, progress=False)
    training = threading.Thread(target=model.fit, args=(x, y), kwargs=how)
    before, interval = weights[0], sys.getswitchinterval()
    training.start()
    time.sleep(0.3)  # by then it computes, and would for a second
    assert weights[0] == before
    sys.setswitchinterval(1000)
    try:  # nobody else gets the lock
        deadline = time.monotonic() + 60
        while weights[0] == before and time.monotonic() < deadline:
            pass
        after = weights[0]
    finally:
        sys.setswitchinterval(interval)
    training.join()
    assert after != before
