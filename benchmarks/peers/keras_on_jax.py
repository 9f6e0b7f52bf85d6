"""Keras 3 on JAX: training of a network by `fit`, channels last; serving.py has how it is asked."""

import os

import numpy as np
from serving import Order, images_per_second, scaled, serve

BATCHES, SAMPLES = 50, 4096  # of one `fit`, at most: what it does around them should not count for much


def set_up(job):
    # XLA takes as many threads as the process has processors when it starts, which is when it is imported.
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: job["threads"]])
    os.environ["KERAS_BACKEND"] = "jax"
    import keras

    keras.utils.set_random_seed(0)
    given = keras.Input((*job["layers"][0]["shape"][1:], job["layers"][0]["shape"][0]))
    layers = [made for layer in job["layers"] for made in LAYERS[layer["type"]](keras.layers, layer)]
    network = keras.Sequential([given, *layers])
    network.compile(OPTIMIZERS[job["optimizer"]["type"]](keras, job["optimizer"]), LOSSES[job["loss"]](keras))
    images, labels = scaled(job)
    x, y, batch = images[..., None], labels.astype(np.int32), job["batch"]
    samples = batch * max(2, min(BATCHES, SAMPLES // batch))
    order = Order(len(x), samples)

    def step():
        index = order.next()
        network.fit(x[index], y[index], batch_size=batch, shuffle=False, verbose=0)

    step()
    return keras.__version__, lambda seconds: images_per_second(step, samples, seconds)


def conv(layers, layer):
    padding = "valid" if layer["padding"] != "same" and not any(layer["padding"]) else "same"
    return [
        layers.Conv2D(
            layer["out_channels"], layer["kernel_size"], layer["stride"], padding, use_bias=layer["bias"],
            dilation_rate=layer["dilation"], groups=layer["groups"],
        )
    ]  # fmt: skip


LAYERS = {
    "Conv2d": conv,
    "Linear": lambda layers, layer: [layers.Dense(layer["out_features"], use_bias=layer["bias"])],
    "MaxPool2d": lambda layers, layer: [layers.MaxPooling2D(layer["kernel_size"], layer["stride"])],
    "ReLU": lambda layers, layer: [layers.ReLU()],
    "Tanh": lambda layers, layer: [layers.Activation("tanh")],
    "Softmax": lambda layers, layer: [layers.Softmax()],
    "Flatten": lambda layers, layer: [layers.Flatten()],
    "Dropout": lambda layers, layer: [layers.Dropout(layer["p"])],
    "GaussianNoise": lambda layers, layer: [layers.GaussianNoise(layer["std"])],
    "BatchNorm2d": lambda layers, layer: [layers.BatchNormalization(epsilon=layer["eps"])],
}
OPTIMIZERS = {
    "SGD": lambda keras, o: keras.optimizers.SGD(o["lr"], o["momentum"]),
    "Adam": lambda keras, o: keras.optimizers.Adam(o["lr"], *o["betas"], o["eps"]),
    "RMSprop": lambda keras, o: keras.optimizers.RMSprop(o["lr"], o["alpha"], epsilon=o["eps"]),
}


def expected_probability(keras):
    """Gorgonia's cost: no logarithm, the mean over all elements."""

    def cost(labels, probabilities):
        return -keras.ops.mean(probabilities * keras.ops.one_hot(keras.ops.reshape(labels, (-1,)), 10))

    return cost


LOSSES = {
    "CrossEntropyLoss": lambda keras: keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    "ExpectedProbabilityLoss": expected_probability,
}

if __name__ == "__main__":
    serve(set_up)
