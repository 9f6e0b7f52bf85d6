"""
Speed
=====

What makes a training fast or slow, measured on the machine that built this site, in a few seconds: its figures are for
shapes, not for records. What was measured carefully, beside PyTorch and JAX, is on :doc:`/results`.
"""

# %%
# Batch size
# ----------
# A step has a fixed cost: a batch of one is all overhead. From some 32 on there is little to win, and larger batches
# learn less in an epoch.

import time

import matplotlib.pyplot as plt
import pymnistcnn as pm
from pymnistcnn.recipes import fast

train, test = pm.datasets.mnist()


def speed(n=4000, dtype="float32", **how):
    """Pictures a second."""
    model = fast(dtype=dtype).model
    model.fit(train[:500], progress=False, **how)  # plans are made
    started = time.perf_counter()
    model.fit(train[:n], progress=False, **how)
    return n / (time.perf_counter() - started)


sizes = [1, 4, 16, 64, 256]
figure, ax = plt.subplots(figsize=(7, 2.4))
ax.plot(
    sizes, [speed(500 if n < 16 else 4000, batch_size=n) for n in sizes], marker="o"
)
ax.set(
    xscale="log", xlabel="batch size", ylabel="pictures a second", ylim=(0, None)
)
ax.set_xticks(sizes, sizes)

# %%
# Threads, numbers, instruction sets
# ----------------------------------
# All processors are used if nothing is said (``threads=``). float64 takes more than twice the time of float32.
# ``isa=`` chooses among what the processor has; the widest is the default.

from pymnistcnn.target import ISAS

ways = {
    "float32": {},
    "one thread": {"threads": 1},
    "float64": {"dtype": "float64"},
}
ways |= {isa: {"isa": isa} for isa in ISAS[:-1]}
speeds = [speed(batch_size=128, **how) for how in ways.values()]
figure, ax = plt.subplots(figsize=(7, 2.2))
bars = ax.barh(list(ways), speeds)
ax.bar_label(bars, fmt="{:,.0f}", padding=3)
ax.invert_yaxis()
ax.set(xlabel="pictures a second", xlim=(0, 1.2 * max(speeds)))

# %%
# bfloat16
# --------
# ``precision="bf16"`` rounds the factors of products to 8 bits; sums, weights and updates stay float32. A processor with
# AVX512_BF16 multiplies two at a time, and one with AMX whole tiles of them: large networks train faster, for about the
# same accuracy. Elsewhere, and on Intel without AMX, whose cores do one such product where they do two in float32, factors
# are rounded for float32's products: then nothing is gained but what the accuracy will be. ``pymnistcnn info`` says which
# it is. The same seed gives the same bits at any number of threads; between kinds of processors the last bits may differ.
#
# One picture at a time
# ---------------------
# ``predict`` checks and prepares at each call. A server takes a ``predictor``: frozen, packed, for many threads at once.

model = fast().model
predictor = model.predictor(threads=1)
one = test.images[:1]


def microseconds(call, times=300):
    started = time.perf_counter()
    for _ in range(times):
        call(one)
    return 1e6 * (time.perf_counter() - started) / times


print(f"model.predict:     {microseconds(model.predict):6.1f} us")
print(f"predictor.classes: {microseconds(predictor.classes):6.1f} us")

# %%
# What is slow
# ------------
# - A layer or a loss in Python: each step goes through Python, and ``fit`` says so with a ``SlowWarning``
#   (:doc:`/own-code`).
# - Convolutions without a pool of 2 x 2 behind them, depthwise ones, and 1 x 1: :doc:`/results` has each kernel beside
#   PyTorch's, where it is slower, too.
# - A callback with ``every=1``.
# - Other work on the same cores. A training waits for tasks, not for threads, but cores cannot be shared for nothing.
#
# Measure your own
# ----------------
# ::
#
#     pymnistcnn bench training --peers     # beside PyTorch, where it is installed
#     pymnistcnn bench training --profile   # which operation takes how much
#     pymnistcnn bench kernels              # share of the processor's peak
#     pymnistcnn bench roofline             # what products reach at best, from L1, L2, L3 and memory
