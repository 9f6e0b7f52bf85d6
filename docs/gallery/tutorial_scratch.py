"""
Victor Zhou: every formula by hand
==================================

"CNNs, Part 1" and "Part 2" build a network in NumPy that is small enough to write down every formula. It has no
activation, and learns from one picture at a time. This is the whole of it, by hand and by layers, from the same first
weights: two seconds on two cores.

The whole of ours is two files, ``pymnistcnn/tutorials/scratch.py`` and ``pymnistcnn/scratch.py``, and a command:
``pymnistcnn tutorial scratch``.
"""

# %%
# A step by hand
# --------------
# .. container:: beside
#
#    .. code-block:: python
#       :caption: a convolution in NumPy
#
#       for i in range(26):
#           for j in range(26):
#               region = image[i : i + 3, j : j + 3]
#               products = region * self.filters
#               output[i, j] = products.sum(axis=(1, 2))
#
#    .. literalinclude:: /../pymnistcnn/tutorials/scratch.py
#       :caption: here, the network by layers
#       :language: python
#       :start-at: model = pm.Sequential(
#       :end-before: if by_hand and
#       :dedent: 4
#
# Beside layers, ``pymnistcnn.scratch`` has the text's three classes, with its ``forward`` and ``backprop``; the loops are
# kernels in C.

import contextlib
import io
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pymnistcnn as pm
from pymnistcnn.scratch import Conv3x3, MaxPool2, Softmax
from pymnistcnn.tutorials.scratch import scratch

np.random.seed(0)  # the text's classes draw their first weights from it
train, test = pm.datasets.mnist()
conv, pool, softmax = Conv3x3(8), MaxPool2(), Softmax(13 * 13 * 8, 10)

image, label = train.images[0] / 255 - 0.5, train.labels[0]
filtered = conv.forward(image)
pooled = pool.forward(filtered)
probabilities = softmax.forward(pooled)
print(image.shape, filtered.shape, pooled.shape, probabilities.shape)

# %%
# And back: the gradient of the loss, -log of the right class's probability, through the same three.

gradient = np.zeros(10)
gradient[label] = -1 / probabilities[label]
gradient = softmax.backprop(gradient, 0.005)
gradient = pool.backprop(gradient)
conv.backprop(gradient, 0.005)

figure, axes = plt.subplots(1, 4, figsize=(7, 1.9))
shown = {
    "picture": image,
    "filter 0's output": filtered[..., 0],
    "pooled": pooled[..., 0],
    "gradient": gradient[..., 0],
}
for ax, (title, array) in zip(axes, shown.items(), strict=True):
    ax.imshow(array)
    ax.set_title(title, fontsize=9)
    ax.axis("off")

# %%
# Along the stroke, one position of each 2 x 2 window carries the gradient. On the flat background all of a window's
# values tie, and the text's loop sends the gradient to each of them.
#
# By hand and by layers
# ---------------------
# Both ways through 1,000 digits, three times:

file = Path(tempfile.mkdtemp(), "scratch.safetensors")
said, outcomes = io.StringIO(), {}
with contextlib.redirect_stdout(said):
    for name, by_hand in (("by layers", False), ("by hand", True)):
        outcomes[name] = scratch(by_hand=by_hand, output=file)
print("\n".join(said.getvalue().splitlines()[:6]), "\n...\n")
for name, outcome in outcomes.items():
    print(f"{name}: accuracy {outcome.test_accuracy:.3f}")

# %%
# The text's loss and accuracy, as it prints them every 100 steps:

curves = [
    line.split()
    for line in said.getvalue().splitlines()
    if "Past 100 steps" in line
]
losses = np.array([float(words[7]) for words in curves]).reshape(2, -1)
figure, ax = plt.subplots(figsize=(7, 2.4))
for name, line in zip(outcomes, losses, strict=True):
    ax.plot(100 * np.arange(1, len(line) + 1), line, label=name)
ax.set(xlabel="pictures seen", ylabel="loss of the last 100", ylim=(0, None))
ax.legend()

# %%
# Original beside ours
# --------------------
# ======================  ============================  =============================
# what                    NumPy                         here
# ======================  ============================  =============================
# convolution             two loops in Python           one kernel, 8 filters in lanes
# a picture               (28, 28)                      (n, 1, 28, 28)
# ties in a pool          all get the gradient          the first; by hand, all
# test accuracy           0.78, published               printed above
# ======================  ============================  =============================
#
# The text's own program runs on ``pymnistcnn.scratch`` with its imports changed.
