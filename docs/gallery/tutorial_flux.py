"""
Flux: a training loop in the open
=================================

The convolutional network of the Flux model zoo (Julia). The library trains one epoch at a time; what comes between
epochs is written out: when to save, when to lower the rate, when to stop. Here it runs for 3 epochs instead of 20, four
seconds on two cores; :doc:`/tutorials` has what it comes to in full.

The whole of ours is one file, ``pymnistcnn/tutorials/flux.py``, and a command: ``pymnistcnn tutorial flux``.
"""

# %%
# The network
# -----------
# .. container:: beside
#
#    .. code-block:: julia
#       :caption: in Flux
#
#       Chain(
#           Conv((3, 3), 1 => 16, relu, pad = 1),
#           MaxPool((2, 2)),
#           Conv((3, 3), 16 => 32, relu, pad = 1),
#           MaxPool((2, 2)),
#           Conv((3, 3), 32 => 32, relu, pad = 1),
#           MaxPool((2, 2)),
#           Flux.flatten,
#           Dense(288 => 10),
#       )
#
#       # in the loss, noise is added to the pictures:
#       augment(x) = x .+ 0.1f0 .* randn(eltype(x), size(x))
#
#    .. literalinclude:: /../pymnistcnn/tutorials/flux.py
#       :caption: here
#       :language: python
#       :pyobject: build_model
#
# Here noise and scaling are layers, and so are activations. Flux' first weights are Glorot's, ours PyTorch's, unless told
# otherwise.

# %%
# The loop
# --------
# In Flux, an epoch is a loop over batches:
#
# .. code-block:: julia
#
#    for (x, y) in train_loader
#        gradients = Flux.gradient(m -> logitcrossentropy(m(augment(x)), y), model)
#        Flux.update!(state, model, gradients[1])
#    end
#
# Here it is one call, ``model.fit(train_set, epochs=1, ...)``: batches, noise and updates are made in C. What the
# tutorial says after each epoch is the same.

import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import pymnistcnn as pm
from pymnistcnn.tutorials.flux import flux

folder = Path(tempfile.mkdtemp())
outcome = flux(epochs=3, savepath=folder)

# %%
# What it learnt
# --------------
# The file that the loop saved is a whole model. Here is how sure it is of its answers on the test pictures, of those
# that are right and of those that are wrong.

model = pm.load(folder / "mnist_conv.safetensors")
_, test = pm.datasets.mnist()
probabilities = model.predict_proba(test)
right = probabilities.argmax(axis=1) == test.labels

figure, ax = plt.subplots(figsize=(7, 2.4))
bins = [n / 20 for n in range(4, 21)]
for answers, label in ((right, "right"), (~right, "wrong")):
    ax.hist(
        probabilities[answers].max(axis=1),
        bins,
        density=True,
        histtype="step",
        linewidth=2,
        label=label,
    )
ax.set(xlabel="probability of the answer", ylabel="density", yscale="log")
ax.legend(loc="upper left")

# %%
# Original beside ours
# --------------------
# =================  =====================  ==========================
# what               Flux                   here
# =================  =====================  ==========================
# order of arrays    (28, 28, 1, n)         (n, 1, 28, 28)
# labels             one-hot matrix         numbers from 0
# loss               ``logitcrossentropy``  ``pm.CrossEntropyLoss()``
# optimizer          ``Adam(3e-3)``         ``pm.Adam(3e-3)``
# saved as           BSON, later JLD2       safetensors
# accuracy, in full  0.9929, published      see :doc:`/tutorials`
# =================  =====================  ==========================
#
# More of it: :doc:`/coming-from-flux`.

print(f"{outcome.epochs} epochs here: {outcome.test_accuracy:.4f}")
