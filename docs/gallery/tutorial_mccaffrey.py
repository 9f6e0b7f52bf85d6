"""
McCaffrey: PyTorch on a text file
=================================

James McCaffrey's network (PyTorch, Visual Studio Magazine, 2022) learns from 1,000 digits in a text file, an image a
line. So few pictures make a network learn them by heart; two layers of dropout are there against that. This is the whole
tutorial, all 50 epochs: five seconds on two cores.

The whole of ours is one file, ``pymnistcnn/tutorials/mccaffrey.py``, and a command: ``pymnistcnn tutorial mccaffrey``.
"""

# %%
# The network
# -----------
# .. container:: beside
#
#    .. code-block:: python
#       :caption: in PyTorch
#
#       class Net(nn.Module):
#           def __init__(self):
#               super().__init__()
#               self.conv1 = nn.Conv2d(1, 32, 5)
#               self.conv2 = nn.Conv2d(32, 64, 5)
#               self.fc1 = nn.Linear(1024, 512)
#               self.fc2 = nn.Linear(512, 256)
#               self.fc3 = nn.Linear(256, 10)
#               self.drop1 = nn.Dropout(0.25)
#               self.drop2 = nn.Dropout(0.50)
#
#           def forward(self, x):
#               x = F.max_pool2d(F.relu(self.conv1(x)), 2)
#               x = F.relu(self.conv2(self.drop1(x)))
#               x = F.max_pool2d(x, 2).flatten(1)
#               x = self.drop2(F.relu(self.fc1(x)))
#               return self.fc3(F.relu(self.fc2(x)))
#
#    .. literalinclude:: /../pymnistcnn/tutorials/mccaffrey.py
#       :caption: here
#       :language: python
#       :start-at: model = pm.Sequential(
#       :end-at: )  # fmt: skip
#       :dedent: 4
#
# There a class has layers, and a ``forward`` that calls them. Here layers follow each other, and 1,024 is inferred.

# %%
# The run
# -------
# The text files are written first, and read again. Then the tutorial, with what it says:

import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import pymnistcnn as pm
from pymnistcnn.tutorials.mccaffrey import fake_image, mccaffrey

file = Path(tempfile.mkdtemp(), "mccaffrey.safetensors")
outcome = mccaffrey(output=file)

# %%
# The fake image
# --------------
# At the end a 4 is drawn by hand, three strokes, and read:

model = pm.load(file)
fake = fake_image()
probabilities = model.predict_proba(fake[None])[0]

figure, (left, right) = plt.subplots(1, 2, figsize=(6, 2.2), width_ratios=(1, 2))
left.imshow(fake)
left.axis("off")
right.bar(range(10), probabilities)
right.set(xlabel="digit", ylabel="probability", xticks=range(10), ylim=(0, 1))

# %%
# By heart
# --------
# 100 test pictures say little: one of them is a percent. On all 10,000 the network has less than on its hundred. The
# first twenty that it misreads:

_, test = pm.datasets.mnist()
answers = model.predict(test)
wrong = (answers != test.labels).nonzero()[0][:20]
figure, axes = plt.subplots(2, 10, figsize=(7, 1.9))
for ax, at in zip(axes.flat, wrong, strict=True):
    ax.imshow(test.images[at])
    ax.set_title(f"{test.labels[at]} as {answers[at]}", fontsize=7)
    ax.axis("off")

# %%
# Original beside ours
# --------------------
# =====================  ==================================  ======================================
# what                   PyTorch                             here
# =====================  ==================================  ======================================
# data                   a ``Dataset``, a ``DataLoader``     ``pm.datasets.read_text``
# loop                   five lines a batch                  ``model.fit``
# dropout off            ``net.eval()``                      known by itself
# saved                  ``state_dict``, needs the class     architecture and weights
# accuracy, published    0.9660 training, 0.9600 test        printed above; ranges: :doc:`/tutorials`
# =====================  ==================================  ======================================
#
# More of it: :doc:`/coming-from-pytorch`.

print("on 100 pictures:   ", outcome.test_accuracy)
print("on 10,000 pictures:", outcome.full_test_accuracy)
