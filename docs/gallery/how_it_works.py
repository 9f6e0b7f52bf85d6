"""
How it works
============

From a stroke of a pen to the lanes of a processor. This page follows one picture through a network of three
convolutions, such as the tutorials have, and says at each step why it is fast. You need to know what a convolution and a
gradient are; nothing of processors. The numbers are computed from the package itself, when the site is built.
"""

# %%
# A stroke is numbers
# -------------------
# A picture is 28 x 28 bytes, 0 for the page and 255 for ink.

import hashlib

import matplotlib.pyplot as plt
import numpy as np
import pymnistcnn as pm

# sphinx_gallery_start_ignore
import drawings  # isort: skip
# sphinx_gallery_end_ignore

train, test = pm.datasets.mnist()
image = test.images[0]
print(f"{(train.images == 0).mean():.0%} of all pixels are 0")
print(image[7:12, 6:16])

plt.figure(figsize=(2, 2))
plt.imshow(image)
plt.axis("off")

# %%
# Four fifths of the numbers are zero, most of them at the margin. Keep that in mind.
#
# A convolution is a sum of products
# ----------------------------------
# A filter is 5 x 5 weights. It is laid on a place of the picture, each pixel is multiplied with the weight above it, and
# the products are added up. With the bias, that is one output.


def network(seed=0):
    first = [pm.Conv2d(16, 5), pm.ReLU(), pm.MaxPool2d(2)]
    second = [pm.Conv2d(32, 3, padding="same"), pm.ReLU(), pm.MaxPool2d(2)]
    third = [pm.Conv2d(64, 3, padding="same"), pm.ReLU(), pm.MaxPool2d(2)]
    return pm.Sequential(
        [
            pm.Rescaling(1 / 255),
            *first,
            *second,
            *third,
            pm.Flatten(),
            pm.Linear(10),
        ],
        input_shape=(1, 28, 28),
        seed=seed,
    )


model = network()
history = model.fit(
    train,
    epochs=1,
    batch_size=128,
    optimizer=pm.Adam(betas=(0.7, 0.9)),
    schedule=pm.OneCycle(0.01),
    validation=test,
    progress=False,
)
print(f"after one epoch: test accuracy {history.validation_accuracy[-1]:.4f}")

weight, bias = (
    model.layers[1].parameters["weight"],
    model.layers[1].parameters["bias"],
)
patch = image[7:12, 7:12].astype(np.float32) / 255
by_hand = (patch * weight[0, 0]).sum() + bias[0]
output = model.layers[1].forward(image[None, None].astype(np.float32) / 255)
print(f"by hand {by_hand:.6f}, by the layer {output[0, 0, 7, 7]:.6f}")

# sphinx_gallery_start_ignore
drawings.pixels(patch, weight[0, 0], by_hand - bias[0])
# sphinx_gallery_end_ignore

# %%
# The first layer has 16 filters, and a picture 24 x 24 places for them. That is 230,400 multiplications and as many
# additions, and only the first layer:

print(model.summary())

# %%
# A training needs the outputs, and two gradients of about the same size: three times 1.56 million multiply-adds a
# picture, 280 billion for an epoch of 60,000. A processor that does one of them per cycle, at 3 GHz, takes 94 seconds
# for it. This one takes one or two, on two cores (:doc:`/results`). There are three reasons, and this page is about them:
# many multiply-adds at a time, fewer of them, and data that are near.
#
# What one FMA does, and what a lane is
# -------------------------------------
# *Multiply and add* is one instruction, FMA, for *fused multiply-add*: a * b + c, rounded once, at the end. It does not
# round the product, and so keeps what would be lost:

a, b = np.float32(1 + 2**-12), np.float32(1 + 2**-11)
rounded_twice = np.float32(a * a) - b
rounded_once = np.float32(
    np.float64(a) * np.float64(a) - np.float64(b)
)  # as FMA does
print(rounded_twice, "instead of", rounded_once)

# %%
# And it does so for many numbers at once. A vector register of AVX-512 has 64 bytes: 16 numbers of float32, side by
# side. Each place is a *lane*. An instruction does the same in all lanes, in the time that it takes for one; this is
# SIMD, *single instruction, multiple data*. AVX2 has 8 lanes, NEON 4.
#
# .. drawing:: lanes
#
# So the question is what to put into the lanes. Here, **lanes go across outputs**: one pixel is copied into all lanes,
# multiplied with the weights of 16 filters, and added to the sums of 16 filters. For this, two things lie otherwise in
# memory than in PyTorch's arrays:
#
# - a picture has its channels last, (height, width, channels), so that what a filter's row sees lies in one piece;
# - weights are *packed*: (row, column, input channel, filter), so that the weights of 16 filters are one load.
#
# Nothing is copied into a matrix of patches first (*im2col*), as many libraries do: it would be 25 times the picture.
# And lanes never need to be added up among each other, which is slow.
#
# The registers
# -------------
# A core, typically, can begin two FMAs per cycle, but each takes four cycles until its result is there. An FMA that waits for the
# one before it runs at an eighth of the speed. So there must be at least eight sums that do not depend on each other.
# Loads are dear, too: a core does two per cycle. The kernel therefore computes a *block* of outputs at a time, and keeps
# all of its sums in registers:
#
# .. drawing:: register_block
#
# 28 registers of sums, 2 of weights, 1 of a pixel: 31 of 32. For each place in the filter it takes 2 loads of weights
# and 14 of a pixel (into all lanes at once) and does 28 FMAs, 448 multiply-adds: 1.75 FMAs for each load. One FMA alone
# would need two loads. With AVX2's 16 registers the same code makes smaller blocks; ``csrc/kernels/gemm.h`` has the
# formula, ``MR(V) = (REGISTERS - 1 - V) / V`` pixels for V vectors.
#
# Fewer products: what the pool throws away
# -----------------------------------------
# Behind the convolution come ReLU and a pool that keeps the largest of each 2 x 2 window. ReLU does not change which is
# the largest, so the kernel takes the largest first, and ReLU of a quarter of the numbers, while they are in registers.
# **Convolution, bias, pool and ReLU are one operation**; the large array between them, 16 x 24 x 24, never exists.
#
# As the four outputs of a window are needed together, they can be computed together. Winograd's method transforms a
# patch of 4 x 4 pixels with a few additions into 16 other numbers, and the 3 x 3 filter, too; then 16 products take the
# place of 36. In one dimension, two outputs of a filter of three, with four products instead of six:

d, g = np.array([3.0, 1.0, 4.0, 1.0]), np.array([2.0, 7.0, 1.0])
products = [
    (d[0] - d[2]) * g[0],
    (d[1] + d[2]) * (g[0] + g[1] + g[2]) / 2,
    (d[2] - d[1]) * (g[0] - g[1] + g[2]) / 2,
    (d[1] - d[3]) * g[2],
]
print("by the definition:", d[0:3] @ g, d[1:4] @ g)
print(
    "by Winograd:      ",
    products[0] + products[1] + products[2],
    products[1] - products[2] - products[3],
)

# %%
# .. drawing:: winograd
#
# The second and third convolutions of this network run so. The products are still a matrix product with filters in lanes,
# 16 of them, by the kernel that you have seen. For 5 x 5 filters it is 36 products instead of 100.
#
# Fewer products: what is zero
# ----------------------------
# On the way back, the gradient of a window goes to the one place that was the largest, and nowhere, where ReLU was off.
# How many numbers of the gradient behind the first convolution are not zero?

outputs = train.images[:128, None]
for layer in model.layers:
    outputs = layer.forward(outputs)
loss = pm.CrossEntropyLoss()
loss.forward(outputs, train.labels[:128])
gradient = loss.backward()
for layer in reversed(model.layers[2:]):
    gradient = layer.backward(gradient)
print(f"{gradient.shape}: {(gradient != 0).mean():.1%} are not zero")

figure, axes = plt.subplots(1, 6, figsize=(7, 1.4))
for at, ax in enumerate(axes):
    ax.imshow(gradient[0, at] != 0)
    ax.axis("off")
figure.suptitle(
    "one picture: where the gradient of six filters is not zero", fontsize=9
)

# %%
# So the forward pass writes down where each maximum was, a byte each. On the way back a kernel makes lists of pairs, place
# and value, of what is not zero, and adds up scaled patches along the list. That is exact: nothing is left out but zeros.
# In the same way the first layer skips the margins of the pictures, where all pixels are zero.
#
# A model becomes a plan
# ----------------------
# ``fit`` does not walk through layers in Python. A model is turned into a **plan**, once: a table of operations, each with
# its sizes and with the places of its tensors in memory. A plan is data, which C checks and then runs for all batches of
# an epoch; Python is asked again when the epoch is over. This is the plan of a training step, read from the model:

from pymnistcnn._native import Op
from pymnistcnn.target import target_of

plan = model.network.plan(False, 128, target_of(), model.loss)
names = [
    f"{Op(kind).name.lower()}" + (f"  {layer}" if layer else "")
    for kind, layer in plan.op_kinds
]
kinds = [Op(kind) for kind, _ in plan.op_kinds]
first, packs = kinds.index(Op.UPDATE), kinds.index(Op.CONV_PACK)
step = (
    ("forward and backward", "by shards of samples", names[:first]),
    ("updates of the weights", "by pieces of weights", names[first:packs]),
    ("packing the new weights", "by filters", names[packs : packs + 3]),
)
print(
    f"{packs + 3} operations in 3 phases; with evaluation and prediction {len(names)}"
)

# sphinx_gallery_start_ignore
drawings.plan(step)
# sphinx_gallery_end_ignore

# %%
# The number is the layer's. A **phase** is a stretch of operations in which threads need not wait for each other. There
# are three waits in a step, not one at each layer.
#
# Data that are near
# ------------------
# An FMA takes half a cycle, a number from memory 300. So it matters more where a number is than what is done with it.
# (Sizes and distances are typical ones, and differ between processors.)
#
# .. drawing:: caches
#
# If all 128 pictures of a batch went through the first layer, then all through the second, each layer's outputs would have
# left the caches before the next reads them. Here a thread takes a few pictures, a **microbatch**, through all layers,
# forward and backward, while they are in its L2 cache: as many as fit into 192 KiB, at most 8. Then it takes the next.
#
# So where does everything lie? In **arenas**, pieces of memory that are allocated once. A plan names places by arena and
# offset:

bytes_of = plan.workspace_bytes
weights = model.network.param.nbytes
rows = (
    ("PARAM", weights, 1, "the weights, in PyTorch's order of names"),
    ("GRADIENT", weights, 1, "their gradient, the sum over the batch"),
    ("PACK", bytes_of["pack"], 1, "weights as kernels read them"),
    ("BATCH", bytes_of["batch"], 1, "of each sample, what outlives a phase"),
    ("SHARD", bytes_of["shard"], 16, "a gradient for each of 16 shards"),
    ("THREAD", bytes_of["thread"], 2, "a microbatch: pixels, outputs, gradients"),
)

# sphinx_gallery_start_ignore
drawings.arenas(rows)
# sphinx_gallery_end_ignore

# %%
# The planner decides by lifetime: what is written and read within one phase goes to THREAD, where each microbatch
# overwrites the one before; only what outlives a phase needs a place for each sample of the batch. In this network that is
# nothing. All of a training but the pictures, three megabytes, fits into the caches of a processor.
#
# Why the same bits at any thread count
# -------------------------------------
# A float32 has 24 bits, and each addition rounds to them. So it matters in which order numbers are added:

x, y, z = np.float32(1e8), np.float32(-1e8), np.float32(1)
print((x + y) + z, "is not", x + (y + z))

# %%
# If each thread added up its own samples, then two threads would give other sums than three, and a training would end
# with other weights. Here a batch is cut into **shards**, at most 16, by its size alone. A shard is added up in order, by
# whichever thread takes it. Then the shards are added up in order:
#
# .. drawing:: shards
#
# Lanes could spoil it, too: a sum that is spread over 8 lanes has another order than one over 16. But lanes go across
# outputs: each output is one chain of FMAs, in the same order at any width. Where a sum must go across lanes, there are 16
# partial sums, whatever the width, and one tree that adds them. The compiler may not reorder (no ``-ffast-math``); exp,
# log and tanh are polynomials of our own; random numbers are a function of seed and position (Philox), not of who draws
# them. Does it hold?

from pymnistcnn.target import ISAS

fingerprints = set()
ways = [{"threads": n} for n in (1, 2, 3)] + [{"isa": isa} for isa in ISAS[1:]]
for way in ways:
    model = network(seed=1)
    model.fit(train[:4000], epochs=1, progress=False, **way)
    weights = b"".join(array.tobytes() for array in model.state_dict().values())
    fingerprints.add(hashlib.sha256(weights).hexdigest()[:16])
    print(hashlib.sha256(weights).hexdigest()[:16], way)
assert len(fingerprints) == 1

# %%
# Where the time goes
# -------------------
# A clock around each operation of a training step of the network of ``pymnistcnn tutorial flux``, which is much like this
# one, on the machine that built this site:

from pymnistcnn.benchmarking.training import profile

rows = profile("flux", None, 1)[:10][::-1]
figure, ax = plt.subplots(figsize=(7, 3))
bars = ax.barh(
    [f"{op}, layer {layer.split()[0]}" for op, layer, _, _ in rows],
    [100 * share for _, _, share, _ in rows],
)
ax.bar_label(bars, fmt="%.0f %%", padding=3)
ax.set(xlabel="share of a step, %")

# %%
# Read on
# -------
# The source is meant to be read. :doc:`/contributing` has the order; the places of what you have seen:
#
# ==============================  =====================================================================
# ``pymnistcnn/layers/``          what to compute: a layer lowers itself into nodes
# ``pymnistcnn/plan.py``          which operations
# ``pymnistcnn/factors.py``       what the precision of products makes of them
# ``pymnistcnn/placing.py``       phases, lifetimes, arenas
# ``csrc/operations.h``           the list of operations
# ``csrc/cpu.c``                  shards, threads, the order of additions
# ``csrc/kernels/simd.h``         what a lane is
# ``csrc/kernels/gemm.h``         the block of registers
# ``csrc/kernels/winograd.h``     fewer products
# ``csrc/kernels/patch.h``        sums along a list of what is not zero
# ==============================  =====================================================================
#
# What was tried, what helped and what did not: :doc:`/notes`.
