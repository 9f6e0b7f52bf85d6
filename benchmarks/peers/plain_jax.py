"""JAX, without a library on top: training and inference of a network, or one layer's kernels; all jitted, channels
last, which XLA likes best on CPUs. serving.py has how it is asked."""

import math
import os

import numpy as np
from serving import Order, images_per_second, scaled, seconds_a_call, serve


def set_up(job):
    # XLA takes as many threads as the process has processors when it starts, which is when it is imported.
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: job["threads"]])
    import jax

    jax.config.update("jax_platforms", job["device"])
    return jax.__version__, TASKS[job["task"]](job)


# ---- layers: each has first parameters, and a function of (parameters, x, key), key being None for inference ----


def pair(value):
    return (value, value) if isinstance(value, int) else tuple(value)


def conv(layer, rng):
    from jax import lax

    padding = "SAME" if layer["padding"] == "same" else [(side, side) for side in layer["padding"]]
    groups, kernel = layer["groups"], layer["kernel_size"]
    shape = (*kernel, layer["shape"][0] // groups, layer["out_channels"])

    def apply(p, x, key):
        y = lax.conv_general_dilated(
            x, p["weight"], layer["stride"], padding, rhs_dilation=layer["dilation"], feature_group_count=groups,
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
        )  # fmt: skip
        return y + p["bias"] if layer["bias"] else y

    return weights(rng, shape, layer["bias"]), apply


def linear(layer, rng):
    def apply(p, x, key):
        y = x @ p["weight"]
        return y + p["bias"] if layer["bias"] else y

    return weights(rng, (math.prod(layer["shape"]), layer["out_features"]), layer["bias"]), apply


def weights(rng, shape, bias):
    """Uniform up to 1 over the root of the inputs of an output, as PyTorch's."""
    limit = 1 / math.sqrt(math.prod(shape[:-1]))
    made = {"weight": rng.uniform(-limit, limit, shape).astype(np.float32)}
    return made | {"bias": rng.uniform(-limit, limit, shape[-1:]).astype(np.float32)} if bias else made


def pool(start, reduce, finish=lambda y, area: y):
    def made(layer, rng):
        from jax import lax

        kernel, sides = pair(layer["kernel_size"]), pair(layer["padding"])
        stride = kernel if layer["stride"] is None else pair(layer["stride"])
        around = [(0, 0), *((side, side) for side in sides), (0, 0)]

        def apply(p, x, key):
            y = lax.reduce_window(x, start, getattr(lax, reduce), (1, *kernel, 1), (1, *stride, 1), around)
            return finish(y, math.prod(kernel))

        return {}, apply

    return made


def batch_norm(layer, rng):
    c = layer["shape"][0]

    def apply(p, x, key):
        mean = x.mean((0, 1, 2))
        variance = ((x - mean) ** 2).mean((0, 1, 2))
        return (x - mean) * (p["weight"] / (variance + layer["eps"]) ** 0.5) + p["bias"]

    return {"weight": np.ones(c, np.float32), "bias": np.zeros(c, np.float32)}, apply


def plain(function):
    """A layer without parameters: a function of jax, the layer's settings, x and key."""

    def made(layer, rng):
        import jax

        return {}, lambda p, x, key: function(jax, layer, x, key)

    return made


def dropout(jax, layer, x, key):
    if key is None:
        return x
    keep = 1 - layer["p"]
    return jax.numpy.where(jax.random.bernoulli(key, keep, x.shape), x / keep, 0)


def noise(jax, layer, x, key):
    return x if key is None else x + layer["std"] * jax.random.normal(key, x.shape)


LAYERS = {
    "Conv2d": conv,
    "Linear": linear,
    "MaxPool2d": pool(-math.inf, "max"),
    "AvgPool2d": pool(0.0, "add", lambda y, area: y / area),
    "BatchNorm2d": batch_norm,
    "ReLU": plain(lambda jax, layer, x, key: jax.nn.relu(x)),
    "Tanh": plain(lambda jax, layer, x, key: jax.numpy.tanh(x)),
    "Softmax": plain(lambda jax, layer, x, key: jax.nn.softmax(x)),
    "Flatten": plain(lambda jax, layer, x, key: x.reshape(len(x), -1)),
    "Dropout": plain(dropout),
    "GaussianNoise": plain(noise),
}


def network(job):
    """First parameters, and a function of (parameters, x, key)."""
    import jax

    rng = np.random.default_rng(0)
    layers = [LAYERS[layer["type"]](layer, rng) for layer in job["layers"]]

    def apply(parameters, x, key=None):
        for i, (p, (_, function)) in enumerate(zip(parameters, layers, strict=True)):
            x = function(p, x, None if key is None else jax.random.fold_in(key, i))
        return x

    return jax.device_put([p for p, _ in layers]), apply


# ---- losses, and optimizers: first moments, and a function of (weight, gradient, moments, step) ----


def cross_entropy(jax, logits, labels):
    return -jax.numpy.take_along_axis(jax.nn.log_softmax(logits), labels[:, None], 1).mean()


def expected_probability(jax, probabilities, labels):
    """Gorgonia's cost: no logarithm, the mean over all elements."""
    return -(probabilities * jax.nn.one_hot(labels, 10)).mean()


LOSSES = {"CrossEntropyLoss": cross_entropy, "ExpectedProbabilityLoss": expected_probability}


def sgd(o, w, g, m, step):
    return w - o["lr"] * g, m


def adam(o, w, g, m, step):
    (b1, b2), (first, second) = o["betas"], m
    first, second = b1 * first + (1 - b1) * g, b2 * second + (1 - b2) * g * g
    rate = o["lr"] / (1 - b1**step)
    return w - rate * first / ((second / (1 - b2**step)) ** 0.5 + o["eps"]), (first, second)


def rmsprop(o, w, g, m, step):
    mean = o["alpha"] * m[0] + (1 - o["alpha"]) * g * g
    root = (mean + o["eps"]) ** 0.5 if o["eps_inside_sqrt"] else mean**0.5 + o["eps"]
    return w - o["lr"] * g / root, (mean,)


OPTIMIZERS = {"SGD": (sgd, 0), "Adam": (adam, 2), "RMSprop": (rmsprop, 1)}  # and how many moments


# ---- tasks ----


def training(job):
    import jax

    images, labels = scaled(job)
    x, y = jax.device_put(images[..., None]), jax.device_put(labels.astype(np.int32))
    parameters, apply = network(job)
    update, moments = OPTIMIZERS[job["optimizer"]["type"]]
    flat, tree = jax.tree.flatten(parameters)
    state = flat, [tuple(jax.numpy.zeros_like(w) for _ in range(moments)) for w in flat], jax.random.key(0), 0.0

    def step(state, x, y, index):
        flat, moments, key, count = state
        key, now = jax.random.split(key)

        def loss(flat):
            return LOSSES[job["loss"]](jax, apply(jax.tree.unflatten(tree, flat), x[index], now), y[index])

        gradients = jax.grad(loss)(flat)
        updated = [update(job["optimizer"], *each, count + 1) for each in zip(flat, gradients, moments, strict=True)]
        return [w for w, _ in updated], [m for _, m in updated], key, count + 1

    step = jax.jit(step, donate_argnums=0)
    order = Order(len(x), job["batch"])

    def do():
        nonlocal state
        state = step(state, x, y, order.next())

    def finish():
        jax.block_until_ready(state)

    def measure(seconds):
        return images_per_second(do, job["batch"], seconds, finish, at_a_time=10)

    measure(0)
    return measure


def inference(job):
    import jax

    parameters, apply = network(job)
    images, batch = scaled(job)[0], job["batch"]
    pieces = [jax.device_put(images[i : i + batch, ..., None]) for i in range(0, len(images) - batch + 1, batch)]
    forward, at = jax.jit(apply), 0

    def call():
        nonlocal at
        at = (at + 1) % len(pieces)
        forward(parameters, pieces[at]).block_until_ready()

    call()
    return lambda seconds: images_per_second(call, batch, seconds)


def kernel(job):
    import jax

    parameters, apply = network(job)
    shape = job["layers"][0]["shape"]
    shape = (*shape[1:], shape[0]) if len(shape) == 3 else tuple(shape)
    rng = np.random.default_rng(0)
    x = jax.device_put(rng.standard_normal((job["batch"], *shape), np.float32))
    run = jax.jit(lambda parameters, x: jax.vjp(apply, parameters, x))
    pull_back = jax.jit(lambda pull, dy: pull(dy))
    dy = jax.device_put(rng.standard_normal(run(parameters, x)[0].shape, np.float32))

    def forward():
        return jax.block_until_ready(run(parameters, x))[1]

    def backward(pull):
        jax.block_until_ready(pull_back(pull, dy))

    seconds_a_call(forward, backward, job["batch"], 0.05)
    return lambda seconds: seconds_a_call(forward, backward, job["batch"], seconds)


TASKS = {"training": training, "inference": inference, "kernel": kernel}

if __name__ == "__main__":
    serve(set_up)
