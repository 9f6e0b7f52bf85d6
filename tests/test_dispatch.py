"""NumPy has code of its own for newer processors, with other last bits: none of it is on the way to weights."""

import os
import subprocess
import sys

import numpy as np
import pytest

# Prints a hash of all that goes into weights: schedules, coefficients, first weights and weights after ten steps.
PROGRAM = """
import hashlib
import numpy as np, pymnistcnn as pm

digest = hashlib.sha256()
for schedule in (pm.OneCycle(0.01), pm.Cosine(0.1), pm.Exponential(0.1, 0.999), pm.WarmUp(50, pm.Step(0.1, 7, 0.97))):
    digest.update(schedule.rates(0, 2000, 2000))
for optimizer in (pm.SGD(momentum=0.9), pm.Adam(), pm.AdamW(), pm.RMSprop(), pm.Adagrad(lr_decay=1e-3)):
    digest.update(optimizer.coefficients(0, np.full(2000, 0.1)))
for initializer in (pm.initializers.GlorotNormal(), pm.initializers.HeUniform(), pm.initializers.PyTorchDefault()):
    digest.update(initializer((40, 30, 5, 5), np.random.default_rng(0)))
rng = np.random.default_rng(0)
x, y = rng.random((40, 1, 8, 8)), rng.integers(0, 10, 40)
layers = [pm.Augmentation(1, 10), pm.Conv2d(8, 3), pm.GELU(), pm.Flatten(), pm.Dropout(0.2), pm.Linear(10)]
model = pm.Sequential(layers, input_shape=(1, 8, 8), seed=0, dtype="float64")
model.fit(x, y, epochs=5, batch_size=20, optimizer=pm.Adam(), schedule=pm.OneCycle(0.01), progress=False)
for name, weight in model.state_dict().items():
    digest.update(np.ascontiguousarray(weight))
print(digest.hexdigest())
"""


def printed(**variables):
    environment = {**os.environ, **variables}
    run = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, env=environment)
    assert run.returncode == 0, run.stderr
    return run.stdout


def test_weights_do_not_depend_on_what_numpy_uses_of_the_processor():
    found = np.show_config(mode="dicts")["SIMD Extensions"].get("found", [])
    if not found:
        pytest.skip("NumPy uses nothing here that could be switched off")
    assert printed(NPY_DISABLE_CPU_FEATURES=" ".join(found)) == printed()
