"""Victor Zhou's "CNNs from scratch" as his text has it: NumPy, one image at a time, loops over pixels in Python.

serving.py has how it is asked; there is one thing that it does, training at batch 1.
"""

import numpy as np
from serving import Order, images_per_second, scaled, serve

FILTERS, CLASSES, RATE = 8, 10, 0.005


class Conv3x3:
    def __init__(self):
        self.filters = np.random.randn(FILTERS, 3, 3) / 9

    def iterate_regions(self, image):
        h, w = image.shape
        for i in range(h - 2):
            for j in range(w - 2):
                yield image[i : i + 3, j : j + 3], i, j

    def forward(self, image):
        self.last_input = image
        h, w = image.shape
        output = np.zeros((h - 2, w - 2, FILTERS))
        for region, i, j in self.iterate_regions(image):
            output[i, j] = np.sum(region * self.filters, axis=(1, 2))
        return output

    def backprop(self, d_out):
        d_filters = np.zeros(self.filters.shape)
        for region, i, j in self.iterate_regions(self.last_input):
            for f in range(FILTERS):
                d_filters[f] += d_out[i, j, f] * region
        self.filters -= RATE * d_filters


class MaxPool2:
    def iterate_regions(self, image):
        h, w, _ = image.shape
        for i in range(h // 2):
            for j in range(w // 2):
                yield image[2 * i : 2 * i + 2, 2 * j : 2 * j + 2], i, j

    def forward(self, image):
        self.last_input = image
        h, w, filters = image.shape
        output = np.zeros((h // 2, w // 2, filters))
        for region, i, j in self.iterate_regions(image):
            output[i, j] = np.amax(region, axis=(0, 1))
        return output

    def backprop(self, d_out):
        d_input = np.zeros(self.last_input.shape)
        for region, i, j in self.iterate_regions(self.last_input):
            h, w, filters = region.shape
            largest = np.amax(region, axis=(0, 1))
            for i2 in range(h):
                for j2 in range(w):
                    for f in range(filters):
                        if region[i2, j2, f] == largest[f]:
                            d_input[i * 2 + i2, j * 2 + j2, f] = d_out[i, j, f]
        return d_input


class Softmax:
    def __init__(self, inputs):
        self.weights, self.biases = np.random.randn(inputs, CLASSES) / inputs, np.zeros(CLASSES)

    def forward(self, x):
        self.shape, self.last_input = x.shape, x.flatten()
        self.totals = np.dot(self.last_input, self.weights) + self.biases
        powers = np.exp(self.totals)
        return powers / np.sum(powers, axis=0)

    def backprop(self, d_out):
        for i, gradient in enumerate(d_out):
            if gradient == 0:
                continue
            powers = np.exp(self.totals)
            total = np.sum(powers)
            d_t = -powers[i] * powers / total**2
            d_t[i] = powers[i] * (total - powers[i]) / total**2
            d_t = gradient * d_t
            d_weights = self.last_input[np.newaxis].T @ d_t[np.newaxis]
            d_inputs = self.weights @ d_t
            self.weights -= RATE * d_weights
            self.biases -= RATE * d_t
            return d_inputs.reshape(self.shape)


def set_up(job):
    np.random.seed(0)
    images, labels = scaled(job)
    conv, pool, softmax, order = Conv3x3(), MaxPool2(), Softmax(13 * 13 * FILTERS), Order(len(images), 1)

    def step():
        (at,) = order.next()
        out = softmax.forward(pool.forward(conv.forward(images[at] - 0.5)))
        gradient = np.zeros(CLASSES)
        gradient[labels[at]] = -1 / out[labels[at]]
        conv.backprop(pool.backprop(softmax.backprop(gradient)))

    step()
    return np.__version__, lambda seconds: images_per_second(step, 1, seconds)


if __name__ == "__main__":
    serve(set_up)
