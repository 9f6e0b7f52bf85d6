"""
MXNet: a perceptron and LeNet
=============================

MXNet's handwritten digits (Python): a multilayer perceptron, here in full, and LeNet, here for one epoch instead of ten:
six seconds on two cores together. :doc:`/tutorials` has what they come to in full.

The whole of ours is one file, ``pymnistcnn/tutorials/mxnet.py``, and two commands: ``pymnistcnn tutorial mxnet-mlp`` and
``mxnet-lenet``.
"""

# %%
# The perceptron
# --------------
# .. container:: beside
#
#    .. code-block:: python
#       :caption: in MXNet
#
#       x = mx.sym.flatten(mx.sym.var("data"))
#       x = mx.sym.FullyConnected(x, num_hidden=128)
#       x = mx.sym.Activation(x, act_type="relu")
#       x = mx.sym.FullyConnected(x, num_hidden=64)
#       x = mx.sym.Activation(x, act_type="relu")
#       x = mx.sym.FullyConnected(x, num_hidden=10)
#       mlp = mx.sym.SoftmaxOutput(x, name="softmax")
#
#    .. literalinclude:: /../pymnistcnn/tutorials/mxnet.py
#       :caption: here
#       :language: python
#       :pyobject: mlp
#
# There symbols take each other. Here layers follow each other, and the softmax is part of the loss.

# %%
# Training
# --------
# In MXNet, a module is bound to a context, and fits:
#
# .. code-block:: python
#
#    model = mx.mod.Module(symbol=mlp, context=mx.cpu())
#    model.fit(
#        train_iter, eval_data=val_iter, eval_metric="acc", num_epoch=10,
#        optimizer="sgd", optimizer_params={"learning_rate": 0.1},
#        batch_end_callback=mx.callback.Speedometer(100, 100),
#    )
#
# Here a model fits. ``pm.Speedometer`` says what MXNet's says.

import contextlib
import io
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import pymnistcnn as pm
from pymnistcnn.tutorials.mxnet import mxnet_lenet, mxnet_mlp

folder = Path(tempfile.mkdtemp())
messages = io.StringIO()
with contextlib.redirect_stdout(messages):
    outcome = mxnet_mlp(output=folder / "mlp.safetensors")
print(
    *[
        line
        for line in messages.getvalue().splitlines()
        if "Epoch[9]" in line or "Accuracy" in line
    ],
    sep="\n",
)

# %%
# What the first layer looks at
# -----------------------------
# Each of its 128 units has a weight for each pixel. Sixteen of them, blue where a stroke speaks for the unit, red where
# it speaks against. The border, where there is never ink, keeps its first weights, within 0.01 of 0.

weights = (
    pm.load(folder / "mlp.safetensors")
    .layers[2]
    .parameters["weight"]
    .reshape(128, 28, 28)
)
figure, axes = plt.subplots(2, 8, figsize=(7, 1.9))
for ax, weight in zip(axes.flat, weights, strict=False):
    ax.imshow(weight, cmap="RdBu", vmin=-0.3, vmax=0.3)
    ax.axis("off")

# %%
# LeNet
# -----
# .. literalinclude:: /../pymnistcnn/tutorials/mxnet.py
#    :language: python
#    :pyobject: lenet
#
# With first weights within 0.01 of 0, as MXNet has them when it is told nothing else, LeNet says "1" to everything for
# its first epochs. With Glorot's it learns from the first batch on, so this page takes those:

with contextlib.redirect_stdout(messages):
    lenet = mxnet_lenet(epochs=1, glorot=True, output=folder / "lenet.safetensors")

figure, ax = plt.subplots(figsize=(7, 1.6))
names = ["perceptron, 10 epochs", "LeNet, 1 epoch"]
bars = ax.barh(names, [outcome.test_accuracy, lenet.test_accuracy])
ax.bar_label(bars, fmt="%.4f", padding=4)
ax.set(xlim=(0.9, 1), xlabel="test accuracy")

# %%
# Original beside ours
# --------------------
# ==================  ============================  ============================
# what                MXNet                         here
# ==================  ============================  ============================
# network             symbols, then a module        ``pm.Sequential``
# data                ``mx.io.NDArrayIter``         arrays
# context             ``mx.cpu()``, ``mx.gpu()``    ``device="cpu"``, ``"cuda"``
# perceptron, full    over 0.96                     see :doc:`/tutorials`
# LeNet, in full      over 0.98                     see :doc:`/tutorials`
# ==================  ============================  ============================

for name, came in (("perceptron", outcome), ("LeNet", lenet)):
    print(f"{name}: {came.test_accuracy:.4f}")
