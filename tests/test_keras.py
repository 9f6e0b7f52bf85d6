"""A network that Keras exports as ONNX comes in and gives the same answers."""

import importlib.util
import os
import subprocess
import sys

import pytest

SCRIPT = """
import keras, numpy as np, torch
import pymnistcnn as pm

torch.set_num_threads(1)
keras.utils.set_random_seed(0)
L = keras.layers
theirs = keras.Sequential([
    keras.Input((28, 28, 1)), L.Rescaling(1 / 255), L.Conv2D(8, 5, padding="same", activation="relu"),
    L.BatchNormalization(), L.MaxPooling2D(2), L.Conv2D(16, 3, activation="gelu"), L.AveragePooling2D(2), L.Flatten(),
    L.Dropout(0.1), L.Dense(20, activation="swish"), L.Dense(10, activation="softmax"),
])
norm = theirs.layers[2]
norm.set_weights([np.random.default_rng(i).uniform(0.5, 2, 8) for i in range(4)])
images = pm.datasets.mnist()[1].images[:200]
expected = theirs.predict(images[..., None].astype("float32"), verbose=0)
theirs.export("model.onnx", format="onnx", verbose=False)
ours = pm.from_onnx("model.onnx")
assert ours.input_shape == (1, 28, 28)
assert np.abs(ours.predict_proba(images) - expected).max() < 1e-5
print(ours)
"""


def test_what_keras_exports(tmp_path):
    missing = [name for name in ("keras", "torch", "onnx") if importlib.util.find_spec(name) is None]
    if missing:
        pytest.skip(f"needs {', '.join(missing)}")
    environment = {**os.environ, "KERAS_BACKEND": "torch", "KERAS_HOME": str(tmp_path)}
    command = [sys.executable, "-P", "-c", SCRIPT]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300, env=environment)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.count("BatchNorm2d") == 1 and "GELU" in done.stdout and "SiLU" in done.stdout
