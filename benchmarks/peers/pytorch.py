"""PyTorch: training and inference of a network, or one layer's kernels; serving.py has how it is asked."""

import math

import numpy as np
import torch
from serving import Order, images_per_second, scaled, seconds_a_call, serve
from torch import nn


class GaussianNoise(nn.Module):
    def __init__(self, std):
        super().__init__()
        self.std = std

    def forward(self, x):
        return x + self.std * torch.randn_like(x) if self.training else x


def padding(layer):
    """As nn.Conv2d takes it: (vertical, horizontal)."""
    if layer["padding"] == "same":
        return tuple(
            dilation * (k - 1) // 2 for dilation, k in zip(layer["dilation"], layer["kernel_size"], strict=True)
        )
    return layer["padding"]


def conv(layer):
    return nn.Conv2d(
        layer["shape"][0], layer["out_channels"], layer["kernel_size"], layer["stride"], padding(layer),
        layer["dilation"], layer["groups"], layer["bias"],
    )  # fmt: skip


LAYERS = {
    "Conv2d": conv,
    "Linear": lambda layer: nn.Linear(math.prod(layer["shape"]), layer["out_features"], layer["bias"]),
    "MaxPool2d": lambda layer: nn.MaxPool2d(layer["kernel_size"], layer["stride"], layer["padding"]),
    "AvgPool2d": lambda layer: nn.AvgPool2d(layer["kernel_size"], layer["stride"], layer["padding"]),
    "BatchNorm2d": lambda layer: nn.BatchNorm2d(layer["shape"][0]),
    "ReLU": lambda layer: nn.ReLU(),
    "Tanh": lambda layer: nn.Tanh(),
    "Softmax": lambda layer: nn.Softmax(1),
    "Flatten": lambda layer: nn.Flatten(),
    "Dropout": lambda layer: nn.Dropout(layer["p"]),
    "GaussianNoise": lambda layer: GaussianNoise(layer["std"]),
}
OPTIMIZERS = {
    "SGD": lambda weights, o, fused: torch.optim.SGD(weights, o["lr"], o["momentum"], fused=fused),
    "Adam": lambda weights, o, fused: torch.optim.Adam(weights, o["lr"], o["betas"], o["eps"], fused=fused),
    # its epsilon is outside of the root, which costs the same; it has no fused one
    "RMSprop": lambda weights, o, fused: torch.optim.RMSprop(weights, o["lr"], o["alpha"], o["eps"]),
}


def expected_probability(probabilities, labels):
    """Gorgonia's cost: no logarithm, the mean over all elements."""
    return -(probabilities * nn.functional.one_hot(labels, 10)).mean()


LOSSES = {"CrossEntropyLoss": nn.CrossEntropyLoss(), "ExpectedProbabilityLoss": expected_probability}


def set_up(job):
    torch.set_num_threads(job["threads"])
    torch.manual_seed(0)
    layout = torch.channels_last if job["channels_last"] else torch.contiguous_format
    model = nn.Sequential(*(LAYERS[layer["type"]](layer) for layer in job["layers"])).to(memory_format=layout)
    if job["device"] == "cuda":
        forward = on_gpu(job, model)
    else:
        forward = torch.compile(model) if job["compiled"] else model
    if job.get("precision") == "bf16":
        forward = torch.autocast(job["device"], torch.bfloat16)(forward)
    return torch.__version__, TASKS[job["task"]](job, model, forward, layout)


def on_gpu(job, model):
    """The model goes there; its forward pass, with CUDA graphs where it is compiled."""
    model.to("cuda")
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = job["precision"] == "tf32"
    torch.backends.cudnn.benchmark = True
    return torch.compile(model, mode="reduce-overhead") if job["compiled"] else model


def finish(job):
    """What waits for the work that is under way."""
    return torch.cuda.synchronize if job["device"] == "cuda" else lambda: None


def training(job, model, forward, layout):
    images, labels = scaled(job)
    x, y = (
        torch.from_numpy(images)[:, None].to(job["device"]),
        torch.from_numpy(labels.astype(np.int64)).to(job["device"]),
    )
    batch, loss_of = job["batch"], LOSSES[job["loss"]]
    optimizer = OPTIMIZERS[job["optimizer"]["type"]](
        model.parameters(), job["optimizer"], job["device"] == "cuda" or None
    )
    order = Order(len(x), batch)

    def step():
        index = torch.from_numpy(order.next()).to(job["device"], non_blocking=True)
        optimizer.zero_grad(set_to_none=True)
        loss_of(forward(x[index].to(memory_format=layout)), y[index]).backward()
        optimizer.step()

    for _ in range(5):  # warm up, compile
        step()
    return lambda seconds: images_per_second(step, batch, seconds, finish(job), at_a_time(job))


def inference(job, model, forward, layout):
    images, batch = scaled(job)[0], job["batch"]
    pieces = torch.from_numpy(images)[:, None].to(memory_format=layout).split(batch)
    pieces = [piece for piece in pieces if len(piece) == batch]
    model.eval()
    at = 0

    def call():
        nonlocal at
        at = (at + 1) % len(pieces)
        with torch.inference_mode():
            return forward(pieces[at].to(job["device"])).to("cpu")

    for _ in range(5):
        call()
    return lambda seconds: images_per_second(call, batch, seconds)


def at_a_time(job):
    """Steps between two looks at the clock: on a GPU they are queued."""
    return 20 if job["device"] == "cuda" else 1


def kernel(job, model, block, layout):
    def normal(*shape):
        values = torch.randn(job["batch"], *shape)
        return values.contiguous(memory_format=layout) if len(shape) == 3 else values

    x = normal(*job["layers"][0]["shape"]).requires_grad_()
    dy = normal(*block(x).shape[1:])
    wanted = [x, *model.parameters()]

    def forward():
        return block(x)

    def backward(y):
        return torch.autograd.grad(y, wanted, dy)

    seconds_a_call(forward, backward, job["batch"], 0.05)
    return lambda seconds: seconds_a_call(forward, backward, job["batch"], seconds)


TASKS = {"training": training, "inference": inference, "kernel": kernel}

if __name__ == "__main__":
    serve(set_up)
