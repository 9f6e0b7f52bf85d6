"""
First steps
===========

Train a network that reads digits, see what it does, keep it. Nothing is downloaded: MNIST is in the package. This page
is a program, and ran when the site was built: two seconds of training on two cores.
"""

# %%
# The data
# --------
# A data set is two arrays: pictures, 28 x 28 bytes each, and labels.

import matplotlib.pyplot as plt
import pymnistcnn as pm

train, test = pm.datasets.mnist()
print(train.images.shape, train.images.dtype, train.labels.shape)

figure, axes = plt.subplots(1, 10, figsize=(7, 1.1))
for at, ax in enumerate(axes):
    ax.imshow(train.images[at])
    ax.set_title(train.labels[at])
    ax.axis("off")

# %%
# A network
# ---------
# Layers one after the other. What goes into a layer is inferred: `Conv2d(16, 3)` has 16 outputs and looks at 3 x 3 pixels.
# The last layer gives ten numbers, the larger the likelier the digit.

model = pm.Sequential(
    [
        pm.Rescaling(1 / 255),
        pm.Conv2d(16, 3, padding=1),
        pm.ReLU(),
        pm.MaxPool2d(2),
        pm.Conv2d(32, 3, padding=1),
        pm.ReLU(),
        pm.MaxPool2d(2),
        pm.Flatten(),
        pm.Linear(10),
    ],
    input_shape=(1, 28, 28),
    seed=0,
)
print(model.summary())

# %%
# Training
# --------
# Three times through the 60,000 pictures. `validation` is looked at after each epoch, and never learnt from.

history = model.fit(
    train,
    epochs=3,
    batch_size=128,
    optimizer=pm.Adam(3e-3),
    validation=test,
    progress=False,
)
for loss, accuracy in zip(history.loss, history.validation_accuracy, strict=True):
    print(f"loss {loss:.3f}, test accuracy {accuracy:.4f}")

# %%
# What it reads, and what it misreads
# -----------------------------------
# `predict` gives classes, `predict_proba` probabilities. Here are the ten mistakes that it is surest of: what it reads,
# with the probability, and below it what is right.

answers, probabilities = model.predict(test), model.predict_proba(test).max(axis=1)
wrong = (answers != test.labels).nonzero()[0]
surest = wrong[probabilities[wrong].argsort()[::-1]][:10]
print(f"{len(wrong)} of {len(test):,} are wrong")

figure, axes = plt.subplots(1, 10, figsize=(7, 1.4))
for ax, at in zip(axes, surest, strict=True):
    ax.imshow(test.images[at])
    ax.set_title(f"{answers[at]} ({probabilities[at]:.0%})", fontsize=8)
    ax.set_xlabel(f"is {test.labels[at]}", fontsize=8)
    ax.set_xticks([])
    ax.set_yticks([])

# %%
# Which digits are taken for which: a row for each digit, a column for each answer.

confusion = (
    pm.ConfusionMatrix(10).update(test.labels, model.predict_outputs(test)).get()
)
mistakes = confusion.copy()
mistakes[range(10), range(10)] = 0

figure, ax = plt.subplots(figsize=(4, 3.4))
shown = ax.imshow(mistakes, cmap="Blues")
ax.set(xlabel="answer", ylabel="digit", xticks=range(10), yticks=range(10))
for row, column in zip(*mistakes.nonzero(), strict=True):
    dark = mistakes[row, column] > mistakes.max() / 2
    ax.text(
        column,
        row,
        mistakes[row, column],
        ha="center",
        va="center",
        color="w" if dark else "k",
        fontsize=8,
    )

# %%
# What it has learnt
# ------------------
# Layers can be called by hand. These are the 16 filters of the first convolution, blue where they are positive, and
# below them what each makes of the first test picture: strokes of one direction, edges of one side.

filters = model.layers[1].parameters["weight"][:, 0]
seen = test.images[:1, None]
for layer in model.layers[:3]:
    seen = layer.forward(seen)

figure, axes = plt.subplots(2, 16, figsize=(7, 1.2))
for at, (above, below) in enumerate(axes.T):
    above.imshow(
        filters[at], cmap="RdBu", vmin=-abs(filters).max(), vmax=abs(filters).max()
    )
    below.imshow(seen[0, at])
    above.axis("off")
    below.axis("off")

# %%
# Keeping it
# ----------
# A file holds the architecture, the scaling of the input and the weights, in the safetensors format.

import tempfile
from pathlib import Path

with tempfile.TemporaryDirectory() as folder:
    model.save(Path(folder, "digits.safetensors"))
    again = pm.load(Path(folder, "digits.safetensors"))
print((again.predict(test) == answers).all())

# %%
# Where to go on
# --------------
# - Your own pictures: :doc:`/data`. Your own handwriting: :doc:`/own-handwriting`.
# - Well-known tutorials, original beside ours: :doc:`/tutorials`.
# - Why it is fast, from a stroke to the SIMD lanes: :doc:`how_it_works`.
# - Everything there is: :doc:`/reference/index`.
