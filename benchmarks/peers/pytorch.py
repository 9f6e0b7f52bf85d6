"""PyTorch training the `fast` network: one process, one setting, one JSON line.

Pictures are in memory as scaled floats; shuffling and gathering of batches are part of the time, as in ours.
"""

import argparse
import json
import time

import numpy as np
import torch
from torch import nn


def fast():
    return nn.Sequential(
        nn.Conv2d(1, 16, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(576, 10),
    )  # fmt: skip


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--images", required=True, help=".npy, uint8 (n, 28, 28)")
    parser.add_argument("--labels", required=True, help=".npy, uint8 (n,)")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--channels-last", action="store_true")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--seconds", type=float, default=5)
    args = parser.parse_args()

    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    layout = torch.channels_last if args.channels_last else torch.contiguous_format
    x = torch.from_numpy(np.load(args.images).astype(np.float32)[:, None] / 255)
    y = torch.from_numpy(np.load(args.labels).astype(np.int64))
    model = fast().to(memory_format=layout)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    loss_of = nn.CrossEntropyLoss()
    forward = torch.compile(model) if args.compile else model

    def step(index):
        optimizer.zero_grad(set_to_none=True)
        loss = loss_of(forward(x[index].to(memory_format=layout)), y[index])
        loss.backward()
        optimizer.step()

    order = torch.randperm(len(x))
    for i in range(5):  # warm up, compile
        step(order[i * args.batch_size : (i + 1) * args.batch_size])
    started, images = time.perf_counter(), 0
    while time.perf_counter() - started < args.seconds:
        order = torch.randperm(len(x))
        for i in range(0, len(x) - args.batch_size + 1, args.batch_size):
            step(order[i : i + args.batch_size])
            images += args.batch_size
            if time.perf_counter() - started >= args.seconds:
                break
    print(json.dumps({"images_per_second": images / (time.perf_counter() - started), "version": torch.__version__}))


if __name__ == "__main__":
    main()
