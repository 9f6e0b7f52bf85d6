"""
Reproducibility
===============

Same seed, same bits: not about the same accuracy, the same weights to the last bit. What that depends on, and what it
does not; and how a training that was stopped goes on as if it had not been.
"""

# %%
# The same seed
# -------------
# ``seed`` decides the first weights, the order of samples, the masks of dropout, noise and augmentation.

import hashlib
import tempfile
from pathlib import Path

import pymnistcnn as pm
from pymnistcnn.target import ISAS

train, test = pm.datasets.mnist()
train = train[:6000]


def network(seed, dtype="float32"):
    layers = [
        *[pm.Rescaling(1 / 255), pm.Augmentation(shift=1)],
        *[pm.Conv2d(16, 5), pm.ReLU(), pm.MaxPool2d(4)],
        *[pm.Flatten(), pm.Dropout(0.2), pm.Linear(10)],
    ]
    return pm.Sequential(layers, input_shape=(1, 28, 28), seed=seed, dtype=dtype)


def fingerprint(model):
    weights = b"".join(array.tobytes() for array in model.state_dict().values())
    return hashlib.sha256(weights).hexdigest()[:16]


def trained(seed=0, dtype="float32", **how):
    model = network(seed, dtype)
    model.fit(train, epochs=2, progress=False, **how)
    return fingerprint(model)


print("seed 0:      ", trained())
print("seed 0 again:", trained())
print("seed 1:      ", trained(seed=1))

# %%
# What does not matter
# --------------------
# The number of threads, and the instruction set, as long as it has FMA (AVX2, AVX-512, NEON); nor the compiler, nor
# other work on the machine. :doc:`how_it_works` says why.

for threads in (1, 2, 3):
    print(f"{threads} threads:", trained(threads=threads))
for isa in ISAS[1:]:
    print(f"{isa}:", trained(isa=isa))

# %%
# What does matter
# ----------------
# The batch size, the dtype, the data and their order, the version of this package: a minor version may change bits, a
# patch does not (:doc:`/releasing`). Code of your own in NumPy gives what NumPy gives on that machine. And a processor
# without FMA rounds otherwise (``isa="portable"``).

print("float64:      ", trained(dtype="float64"))
print("batches of 32:", trained(batch_size=32))

# %%
# Stopped, and gone on with
# -------------------------
# A checkpoint is written while a training runs. Whoever resumes from it gets the weights that he would have had.

file = Path(tempfile.mkdtemp(), "training.checkpoint")


class Stop(pm.Callback):
    """As if the power failed in the second epoch."""

    every = 20

    def on_batches(self, training):
        if training.epoch == 1:
            raise KeyboardInterrupt


stopped = network(seed=0)
try:
    stopped.fit(
        train,
        epochs=2,
        checkpoint=pm.Checkpoint(file, every=10),
        callbacks=[Stop()],
        progress=False,
    )
except KeyboardInterrupt:
    pass

resumed = network(seed=0)
resumed.fit(train, epochs=2, resume=file, progress=False)
print("resumed:", fingerprint(resumed))
assert fingerprint(resumed) == trained(seed=0)

# %%
# A file is a function of seed, data and settings, too: saved twice, it has the same bytes.
