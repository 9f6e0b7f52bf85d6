"""Processes and threads: many, few, none to be had, forked, stopped while they start."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

import pymnistcnn as pm
from pymnistcnn import _native

X, LABELS = np.random.default_rng(0).random((300, 1, 12, 12)).astype(np.float32), np.arange(300) % 10
TRAIN = """
import numpy as np, pymnistcnn as pm
x, labels = np.random.default_rng(0).random((300, 1, 12, 12)).astype(np.float32), np.arange(300) % 10
layers = [pm.Conv2d(8, 3), pm.ReLU(), pm.MaxPool2d(2), pm.Flatten(), pm.Linear(10)]
model = pm.Sequential(layers, input_shape=(1, 12, 12), seed=1)
model.fit(x, labels, epochs=2, progress=False{options})
import hashlib
print(hashlib.sha256(model.network.param).hexdigest())
"""


def trained(**options):
    layers = [pm.Conv2d(8, 3), pm.ReLU(), pm.MaxPool2d(2), pm.Flatten(), pm.Linear(10)]
    model = pm.Sequential(layers, input_shape=(1, 12, 12), seed=1)
    model.fit(X, LABELS, epochs=2, progress=False, **options)
    return model.network.param.tobytes()


def program(code, **environment):
    return subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, timeout=120,
                          env={**os.environ, **environment})  # fmt: skip


@pytest.fixture(scope="module")
def expected():
    return program(TRAIN.format(options=", threads=1")).stdout


@pytest.mark.parametrize("threads", [2, 64, 1024])
def test_threads_beyond_the_processors(threads, expected):
    result = program(TRAIN.format(options=f", threads={threads}"))
    assert (result.returncode, result.stdout, result.stderr) == (0, expected, "")


def test_the_memory_of_threads_that_have_nothing_to_do():
    code = (
        TRAIN.format(options=", threads={}")
        + "import resource\nprint(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    used = [int(program(code.format(threads)).stdout.split()[-1]) for threads in (16, 1024)]
    assert used[1] < used[0] + 30_000  # kB


@pytest.mark.parametrize(
    "environment",
    [
        {"OMP_NUM_THREADS": "99999999999"},
        {"OMP_NUM_THREADS": "0"},
        {"OMP_STACKSIZE": "1000G"},
        {"OMP_STACKSIZE": "a lot"},
        {"OMP_THREAD_LIMIT": "1"},
        {"OMP_PROC_BIND": "true"},
    ],
    ids=str,
)
def test_what_the_environment_says_of_threads(environment, expected):
    if _native.openmp_runtime().startswith("libomp") and "99999999999" in environment.values():
        pytest.skip("LLVM's OpenMP runtime ends every program with so large an OMP_NUM_THREADS")
    result = program(TRAIN.format(options=""), **environment)
    assert result.returncode == 0 and result.stdout == expected, result.stderr


def test_where_no_thread_can_be_made_one_does_it(expected):
    limit = """
import hashlib, os, resource, numpy.random, pymnistcnn  # whoever it becomes may not read them
if os.geteuid() == 0:  # who has no limit
    os.setuid(54321)
resource.setrlimit(resource.RLIMIT_NPROC, (1, 1))
"""
    result = program(limit + TRAIN.format(options=", threads=4"), OPENBLAS_NUM_THREADS="1")
    assert result.returncode == 0 and result.stdout == expected, result.stderr
    assert "only 1 of 4 threads can be made here" in result.stderr


def test_two_models_in_two_threads():
    alone, made = trained(), []
    together = [threading.Thread(target=lambda: made.append(trained(threads=2))) for _ in range(4)]
    for thread in together:
        thread.start()
    for thread in together:
        thread.join()
    assert made == [alone] * 4


def test_a_model_that_two_threads_predict_with():
    model = pm.Sequential([pm.Flatten(), pm.Linear(50), pm.ReLU(), pm.Linear(10)], input_shape=(1, 12, 12))
    expected, wrong = model.predict_outputs(X), []

    def predict():
        for _ in range(30):
            if (model.predict_outputs(X) != expected).any():
                wrong.append(1)

    together = [threading.Thread(target=predict) for _ in range(8)]
    for thread in together:
        thread.start()
    for thread in together:
        thread.join()
    assert not wrong


@pytest.mark.parametrize("first", ["import torch; torch.ones(500, 500) @ torch.ones(500, 500)", ""])
def test_beside_pytorch(first, expected):
    pytest.importorskip("torch", reason="PyTorch is missing: nothing to import before and after")
    result = program(
        first + TRAIN.format(options=", threads=2") + "import torch; torch.ones(500, 500) @ torch.ones(500, 500)"
    )
    assert result.returncode == 0 and result.stdout == expected, result.stderr


@pytest.mark.skipif(sys.version_info < (3, 13), reason="this Python has no subinterpreters to import into")
def test_a_subinterpreter_is_told_so():
    code = "import _interpreters as i; print(i.run_string(i.create(), 'import pymnistcnn').msg)"
    said = program(code).stdout
    assert "main interpreter" in said and "pip install" not in said


def catches_sigint(process):
    """Does Python's own handler still stand?"""
    if process.poll() is not None:  # asked first: a process that has been waited for has no status
        return False
    caught = re.search(r"SigCgt:\s*(\w+)", Path(f"/proc/{process.pid}/status").read_text())
    return caught is not None and int(caught[1], 16) >> signal.SIGINT - 1 & 1


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="no /proc to see when the package is reached")
def test_ctrl_c_while_modules_load():
    """Whenever it comes from the package's first module on: no traceback."""
    command = [sys.executable, "-P", "-m", "pymnistcnn", "--version"]
    started = time.monotonic()
    assert subprocess.run(command, capture_output=True).returncode == 0
    whole, stopped = time.monotonic() - started, 0
    for share in np.linspace(0, 0.8, 25):
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        while process.poll() is None and not catches_sigint(process):  # Python itself is starting
            time.sleep(0.0005)
        while catches_sigint(process):
            time.sleep(0.0005)
        time.sleep(share * whole)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
        assert "Traceback" not in err and process.returncode in (0, 130, -signal.SIGINT), (share, err)
        stopped += process.returncode != 0
    assert stopped


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_in_clicks_own_moments(number):
    """Click would make exit code 1 of it; it ends the process, as while modules load."""
    code = (
        "import os; from pymnistcnn.cli import main; "
        f"type(main).make_context = lambda *arguments, **how: os.kill(os.getpid(), {number:d}); main()"
    )
    result = program(code)
    assert result.returncode == -number and not result.stderr
