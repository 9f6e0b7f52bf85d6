"""The networks that are measured: `fast`, and those of five well-known tutorials, as ours.

peers/pytorch.py has the same ones. Where a tutorial's loss or optimizer is not in the library yet, both sides train
with cross-entropy and the optimizer named here: gorgonia (Adam for RMSprop); flux has no input noise here.
"""

import pymnistcnn as pm
from pymnistcnn import Conv2d, Dropout, Flatten, Linear, MaxPool2d, ReLU, Tanh, recipes


def flux():
    blocks = [layer for k in (16, 32, 32) for layer in (Conv2d(k, 3, padding=1), ReLU(), MaxPool2d(2))]
    return [*blocks, Flatten(), Linear(10)]


def gorgonia():
    def block(k):
        return [Conv2d(k, 3, padding=1, bias=False), ReLU(), MaxPool2d(2)]

    return [
        *block(32), Dropout(0.2), *block(64), Dropout(0.2), *block(128), Flatten(), Dropout(0.2),
        Linear(625, bias=False), ReLU(), Dropout(0.55), Linear(10, bias=False),
    ]  # fmt: skip


def mxnet_lenet():
    return [
        Conv2d(20, 5), Tanh(), MaxPool2d(2), Conv2d(50, 5), Tanh(), MaxPool2d(2),
        Flatten(), Linear(500), Tanh(), Linear(10),
    ]  # fmt: skip


def mxnet_mlp():
    return [Flatten(), Linear(128), ReLU(), Linear(64), ReLU(), Linear(10)]


def mccaffrey():
    return [
        Conv2d(32, 5), ReLU(), MaxPool2d(2), Dropout(0.25), Conv2d(64, 5), ReLU(), MaxPool2d(2),
        Flatten(), Linear(512), ReLU(), Dropout(0.5), Linear(256), ReLU(), Linear(10),
    ]  # fmt: skip


def scratch():
    return [Conv2d(8, 3, bias=False), MaxPool2d(2), Flatten(), Linear(10)]


# name: layers, batch size, optimizer
NETWORKS = {
    "fast": (None, 128, pm.Adam(1e-3)),
    "flux": (flux, 128, pm.Adam(3e-3)),
    "gorgonia": (gorgonia, 100, pm.Adam(1e-3)),
    "mxnet-lenet": (mxnet_lenet, 100, pm.SGD(0.1)),
    "mxnet-mlp": (mxnet_mlp, 100, pm.SGD(0.1)),
    "mccaffrey": (mccaffrey, 10, pm.SGD(0.005)),
    "scratch": (scratch, 1, pm.SGD(0.005)),
}


def model(name):
    if name == "fast":
        return recipes.fast().model
    return pm.Sequential([pm.Rescaling(1 / 255), *NETWORKS[name][0]()], input_shape=(1, 28, 28))
