"""PyTorch's DistributedDataParallel with gloo: several processes of this machine that train one network. The first
starts the others, and tells them what it is told; serving.py has how it is asked."""

import json
import os
import socket
import subprocess
import sys
import time
from contextlib import suppress

import numpy as np
import torch
from pytorch import LAYERS, LOSSES, OPTIMIZERS
from serving import Order, scaled, serve
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel


def join(job, rank, port):
    """A process of the group; returns what trains a stretch of steps, and the model."""
    torch.set_num_threads(job["threads_each"])
    torch.manual_seed(0)
    where = dict(init_method=f"tcp://{address(job)}:{port}", rank=rank, world_size=job["ranks"])
    distributed.init_process_group("gloo", **where)
    layout = torch.channels_last if job["channels_last"] else torch.contiguous_format
    model = nn.Sequential(*(LAYERS[layer["type"]](layer) for layer in job["layers"])).to(memory_format=layout)
    model = DistributedDataParallel(model)
    optimizer = OPTIMIZERS[job["optimizer"]["type"]](model.parameters(), job["optimizer"], None)
    images, labels = scaled(job)
    x, y = torch.from_numpy(images)[:, None], torch.from_numpy(labels.astype(np.int64))
    loss_of, order = LOSSES[job["loss"]], Order(len(x), job["batch"])  # the same order on all
    first, end = (job["batch"] * at // job["ranks"] for at in (rank, rank + 1))

    def train(steps):
        for _ in range(steps):
            index = torch.from_numpy(order.next()[first:end])
            optimizer.zero_grad(set_to_none=True)
            loss_of(model(x[index].to(memory_format=layout)), y[index]).backward()
            optimizer.step()

    return train, model


def address(job):
    """Where the first process is: here, unless the job says it."""
    return job.get("address", "127.0.0.1")


def steps_told(steps=0):
    """So many that rank 0 says; all others wait for it without taking a processor."""
    told = torch.tensor([steps])
    distributed.broadcast(told, 0)
    return int(told)


def set_up(job):
    with socket.socket() as free:
        free.bind((address(job), 0))
        port = free.getsockname()[1]
    for rank in range(1, job["ranks"]):
        command = [*job.get("started_by", ()), sys.executable, __file__, str(rank), str(port)]
        other = subprocess.Popen(command, stdin=subprocess.PIPE, text=True)
        other.stdin.write(json.dumps(job) + "\n")
        other.stdin.flush()  # its end is ours
    train, model = join(job, 0, port)

    def seconds_of(steps):
        steps_told(steps)
        started = time.perf_counter()
        train(steps)
        return time.perf_counter() - started

    seconds_of(3)  # warm up
    a_step = seconds_of(2) / 2

    def measure(seconds):
        steps = max(1, round(seconds / a_step))
        taken = seconds_of(steps)
        return dict(images_per_second=steps * job["batch"] / taken, step_seconds=taken / steps, **sent(model, job))

    return torch.__version__, measure


def sent(model, job):
    """Of a step: how many gradients are sent at a time, and the bytes that a process receives where they go round in a
    ring. When they are on the way, other gradients are computed: time is not told apart."""
    buckets = model._get_ddp_logging_data()["bucket_sizes"].split(",")
    received = 2 * (job["ranks"] - 1) / job["ranks"] * sum(map(int, buckets))
    return dict(messages=len(buckets) if job["ranks"] > 1 else 0, bytes=received)


def follow(rank, port):
    """What the processes do that the first one started."""
    train, _ = join(json.loads(sys.stdin.readline()), rank, port)
    with suppress(RuntimeError):  # the first one is gone
        while True:
            train(steps_told())


if __name__ == "__main__":
    if sys.argv[1:]:
        os.dup2(2, 1)
        follow(*map(int, sys.argv[1:]))
    else:
        serve(set_up)
