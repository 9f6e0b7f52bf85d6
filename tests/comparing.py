"""What the tests that compare with the reference share: numbers to compute with, agreement, a slow `fit`."""

import numpy as np
import reference

import pymnistcnn as pm
from pymnistcnn.target import ISAS

FMA_ISAS = [isa for isa in ISAS if isa != "portable"]  # they give the same bits
TOLERANCE = {"float32": 2e-5, "float64": 1e-12}  # of the largest value


def agree(actual, expected, tolerance):
    """No value is further off than `tolerance` of the largest; tolerance 0 is equality."""
    assert actual.shape == np.shape(expected)
    error, largest = np.abs(actual - expected).max(), np.abs(expected).max()
    assert error <= tolerance * largest, f"off by {error:.3g}, where the largest value is {largest:.3g}"


def padding_is_zero(network):
    """Nothing but the parameters' own elements of the flat gradient has been written."""
    rest = network.gradient.copy()
    for view in network.views(rest):
        view[...] = 0
    return not rest.any()


def normal(rng, shape, dtype):
    return rng.standard_normal(shape).astype(dtype)


def grid(rng, shape, dtype, most=64):
    """Multiples of 1 / most up to 1 in size: sums of products of a few thousand are exact in float32."""
    return (rng.integers(-most, most + 1, shape) / most).astype(dtype)


def dropout_mask(shape, p, seed, layer, epoch, first_position=0):
    """The mask that elements (n, features) or (n, c, h, w) get; it is drawn in the order h, w, c."""
    mask = reference.dropout_mask(shape[0], int(np.prod(shape[1:])), p, seed, layer, epoch, first_position)
    if len(shape) == 2:
        return mask
    n, c, h, w = shape
    return mask.reshape(n, h, w, c).transpose(0, 3, 1, 2)


def reference_step(o, p, g, state, t):
    """(p, state) after the step t, counted from 1, of optimizer `o`; the state is None before."""
    zeros = np.zeros_like(p)
    match o:
        case pm.SGD():
            return reference.sgd(p, g, state, o.lr, o.momentum, o.weight_decay, o.nesterov)
        case pm.RMSprop():
            options = o.alpha, o.eps, o.weight_decay, o.momentum, o.centered, o.eps_inside_sqrt
            return reference.rmsprop(p, g, state or (zeros,) * 3, o.lr, *options)
        case pm.Adagrad():
            total = zeros + o.initial_accumulator_value if state is None else state
            return reference.adagrad(p, g, total, t, o.lr, o.lr_decay, o.weight_decay, o.eps)
        case pm.AdamW() | pm.Adam():
            adam = reference.adamw if isinstance(o, pm.AdamW) else reference.adam
            p, *state = adam(p, g, *(state or (zeros,) * 2), t, o.lr, *o.betas, o.eps, o.weight_decay)
            return p, state


def reference_fit(weights, gradients, n, epochs, batch, optimizer, clip_norm=None, average=None):
    """The weights that `fit` is to make, epoch by epoch, of n samples in the order of the file.

    gradients(weights, samples, epoch) gives a gradient for each of the weights, of the mean loss of a slice of
    the samples.
    """
    weights = averaged = [w.astype(np.float64) for w in weights]
    states, t = [None] * len(weights), 0
    for epoch in range(epochs):
        for first in range(0, n, batch):
            slopes, t = gradients(weights, slice(first, first + batch), epoch), t + 1
            if clip_norm is not None:
                slopes = reference.clipped(slopes, clip_norm)
            steps = zip(weights, slopes, states, strict=True)
            weights, states = zip(*(reference_step(optimizer, *step, t) for step in steps), strict=True)
            if average is not None:
                averaged = [average * a + (1 - average) * w for a, w in zip(averaged, weights, strict=True)]
        yield list(weights if average is None else averaged)


def linear_gradients(x, labels):
    """What reference_fit takes: for a network of one Linear layer and CrossEntropyLoss."""

    def gradients(weights, samples, epoch):
        z = reference.linear(x[samples], *weights)
        _, dz = reference.mean_loss(*reference.cross_entropy(z, labels[samples]))
        return reference.linear_backward(dz, x[samples], weights[0])[1:]

    return gradients
