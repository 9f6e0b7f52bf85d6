"""PyTorch training one of the networks: one process, one setting, one JSON line.

Pictures are in memory as scaled floats; shuffling and gathering of batches are part of the time, as in ours.
"""

import argparse
import json
import time

import numpy as np
import torch
from torch import nn


def blocks(*channels, kernel=3, padding=1, bias=True):
    layers, c = [], 1
    for k in channels:
        layers += [nn.Conv2d(c, k, kernel, padding=padding, bias=bias), nn.ReLU(), nn.MaxPool2d(2)]
        c = k
    return layers


def fast():
    first = [nn.Conv2d(1, 16, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2)]
    rest = [nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
    last = [nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
    return [*first, *rest, *last, nn.Flatten(), nn.Linear(576, 10)]


class GaussianNoise(nn.Module):
    def forward(self, x):
        return x + 0.1 * torch.randn_like(x) if self.training else x


def flux():
    return [GaussianNoise(), *blocks(16, 32, 32), nn.Flatten(), nn.Linear(288, 10)]


def gorgonia():
    convs = blocks(32, 64, 128, bias=False)
    return [
        *convs[:3], nn.Dropout(0.2), *convs[3:6], nn.Dropout(0.2), *convs[6:], nn.Flatten(), nn.Dropout(0.2),
        nn.Linear(1152, 625, bias=False), nn.ReLU(), nn.Dropout(0.55), nn.Linear(625, 10, bias=False), nn.Softmax(1),
    ]  # fmt: skip


def mxnet_lenet():
    return [
        nn.Conv2d(1, 20, 5), nn.Tanh(), nn.MaxPool2d(2), nn.Conv2d(20, 50, 5), nn.Tanh(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(800, 500), nn.Tanh(), nn.Linear(500, 10),
    ]  # fmt: skip


def mxnet_mlp():
    return [nn.Flatten(), nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, 10)]


def mccaffrey():
    convs = blocks(32, 64, kernel=5, padding=0)
    return [
        *convs[:3], nn.Dropout(0.25), *convs[3:], nn.Flatten(),
        nn.Linear(1024, 512), nn.ReLU(), nn.Dropout(0.5), nn.Linear(512, 256), nn.ReLU(), nn.Linear(256, 10),
    ]  # fmt: skip


def scratch():
    return [nn.Conv2d(1, 8, 3, bias=False), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(1352, 10)]


def adam(rate):
    return lambda parameters: torch.optim.Adam(parameters, lr=rate)


def sgd(rate):
    return lambda parameters: torch.optim.SGD(parameters, lr=rate)


def rmsprop(rate):
    return lambda parameters: torch.optim.RMSprop(parameters, lr=rate, alpha=0.999)


def expected_probability(probabilities, labels):
    """Gorgonia's cost: no logarithm, the mean over all elements."""
    return -(probabilities * nn.functional.one_hot(labels, 10)).mean()


NETWORKS = {
    "fast": (fast, 128, adam(1e-3)),
    "flux": (flux, 128, adam(3e-3)),
    "gorgonia": (gorgonia, 100, rmsprop(1e-3)),
    "mxnet-lenet": (mxnet_lenet, 100, sgd(0.1)),
    "mxnet-mlp": (mxnet_mlp, 100, sgd(0.1)),
    "mccaffrey": (mccaffrey, 10, sgd(0.005)),
    "scratch": (scratch, 1, sgd(0.005)),
}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--images", required=True, help=".npy, uint8 (n, 28, 28)")
    parser.add_argument("--labels", required=True, help=".npy, uint8 (n,)")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--channels-last", action="store_true")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--network", choices=NETWORKS, default="fast")
    parser.add_argument("--seconds", type=float, default=5)
    args = parser.parse_args()

    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    layout = torch.channels_last if args.channels_last else torch.contiguous_format
    x = torch.from_numpy(np.load(args.images).astype(np.float32)[:, None] / 255)
    y = torch.from_numpy(np.load(args.labels).astype(np.int64))
    layers, batch_size, optimizer_of = NETWORKS[args.network]
    model = nn.Sequential(*layers()).to(memory_format=layout)
    optimizer = optimizer_of(model.parameters())
    loss_of = expected_probability if args.network == "gorgonia" else nn.CrossEntropyLoss()
    forward = torch.compile(model) if args.compile else model

    def step(index):
        optimizer.zero_grad(set_to_none=True)
        loss = loss_of(forward(x[index].to(memory_format=layout)), y[index])
        loss.backward()
        optimizer.step()

    order = torch.randperm(len(x))
    for i in range(5):  # warm up, compile
        step(order[i * batch_size : (i + 1) * batch_size])
    started, images = time.perf_counter(), 0
    while time.perf_counter() - started < args.seconds:
        order = torch.randperm(len(x))
        for i in range(0, len(x) - batch_size + 1, batch_size):
            step(order[i : i + batch_size])
            images += batch_size
            if time.perf_counter() - started >= args.seconds:
                break
    print(json.dumps({"images_per_second": images / (time.perf_counter() - started), "version": torch.__version__}))


if __name__ == "__main__":
    main()
