"""scikit-learn's MLPClassifier: training of a network of linear layers; serving.py has how it is asked."""

import numpy as np
import sklearn
from serving import Order, images_per_second, scaled, serve
from sklearn.neural_network import MLPClassifier
from threadpoolctl import threadpool_limits

BATCHES = 20  # of one call


def set_up(job):
    threadpool_limits(job["threads"])
    *hidden, _ = (layer["out_features"] for layer in job["layers"] if layer["type"] == "Linear")
    batch, rate = job["batch"], job["optimizer"]["lr"]
    network = MLPClassifier(hidden, solver="sgd", alpha=0, batch_size=batch, learning_rate_init=rate, momentum=0)
    images, labels = scaled(job)
    x, order = images.reshape(len(images), -1), Order(len(images), BATCHES * batch)

    def step():
        index = order.next()
        network.partial_fit(x[index], labels[index], classes=np.arange(10))

    step()
    return sklearn.__version__, lambda seconds: images_per_second(step, BATCHES * batch, seconds)


if __name__ == "__main__":
    serve(set_up)
