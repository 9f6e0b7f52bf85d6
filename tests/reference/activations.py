"""Activations and softmaxes: `name`, and `name_backward`, which takes dy and then what `name` takes."""

import math

import numpy as np

from .arrays import f64


def identity(x):
    return f64(x)[0]


def identity_backward(dy, x):
    return f64(dy)[0]


def relu(x):
    (x,) = f64(x)
    return np.where(x <= 0, 0.0, x)  # NaN stays NaN


def relu_backward(dy, x):
    dy, x = f64(dy, x)
    return np.where(x <= 0, 0.0, dy)  # dy passes where x is NaN


def tanh(x):
    (x,) = f64(x)
    return np.tanh(x)


def tanh_backward(dy, x):
    (dy,) = f64(dy)
    return dy * (1 - tanh(x) ** 2)


def leaky_relu(x, negative_slope=0.01):
    (x,) = f64(x)
    return np.where(x > 0, x, negative_slope * np.minimum(x, 0))


def leaky_relu_backward(dy, x, negative_slope=0.01):
    dy, x = f64(dy, x)
    return np.where(x > 0, dy, negative_slope * dy)


def elu(x, alpha=1.0):
    (x,) = f64(x)
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


def elu_backward(dy, x, alpha=1.0):
    dy, x = f64(dy, x)
    return np.where(x > 0, dy, dy * alpha * np.exp(np.minimum(x, 0)))


def sigmoid(x):
    (x,) = f64(x)
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, 1.0, e) / (1 + e)


def sigmoid_backward(dy, x):
    (dy,) = f64(dy)
    return dy * sigmoid(x) * sigmoid(-np.asarray(x))


def softplus(x, beta=1.0, threshold=20.0):
    """log(1 + exp(beta x)) / beta, and x itself where beta x is above the threshold."""
    (x,) = f64(x)
    soft = np.log1p(np.exp(np.minimum(beta * x, threshold))) / beta
    return np.where(beta * x > threshold, x, soft)


def softplus_backward(dy, x, beta=1.0, threshold=20.0):
    dy, x = f64(dy, x)
    return np.where(beta * x > threshold, dy, dy * sigmoid(beta * x))


def normal_share(x):
    """The normal distribution's share below x: erfc(-x / sqrt 2) / 2."""
    return np.vectorize(lambda value: math.erfc(-value / math.sqrt(2)) / 2, otypes=[float])(x)


def gelu(x, approximate="none"):
    (x,) = f64(x)
    with np.errstate(invalid="ignore", over="ignore"):  # of infinities
        if approximate == "tanh":
            return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
        return x * normal_share(x)


def gelu_backward(dy, x, approximate="none"):
    dy, x = f64(dy, x)
    if approximate == "tanh":
        inner = math.sqrt(8 / math.pi) * (x + 0.044715 * x**3)  # (1 + tanh(z)) / 2 is the sigmoid of 2 z
        slope = math.sqrt(8 / math.pi) * (1 + 3 * 0.044715 * x**2)
        return dy * sigmoid(inner) * (1 + x * slope * sigmoid(-inner))
    return dy * (normal_share(x) + x * np.exp(-(x**2) / 2) / math.sqrt(2 * math.pi))


def silu(x):
    (x,) = f64(x)
    with np.errstate(invalid="ignore"):  # -inf * 0
        return x * sigmoid(x)


def silu_backward(dy, x):
    dy, x = f64(dy, x)
    return dy * sigmoid(x) * (1 + x * sigmoid(-x))


def hardswish(x):
    (x,) = f64(x)
    with np.errstate(over="ignore"):
        return np.where(x <= -3, 0, np.where(x >= 3, x, x * (x + 3) / 6))


def hardswish_backward(dy, x):
    dy, x = f64(dy, x)
    return dy * np.where(x <= -3, 0, np.where(x >= 3, 1, x / 3 + 0.5))


def log_softmax(z, dim=-1):
    (z,) = f64(z)
    z = z - z.max(axis=dim, keepdims=True)
    return z - np.log(np.exp(z).sum(axis=dim, keepdims=True))


def log_softmax_backward(dy, z, dim=-1):
    (dy,) = f64(dy)
    return dy - softmax(z, dim) * dy.sum(axis=dim, keepdims=True)


def softmax(z, dim=-1):
    (z,) = f64(z)
    e = np.exp(z - z.max(axis=dim, keepdims=True))
    return e / e.sum(axis=dim, keepdims=True)


def softmax_backward(dy, z, dim=-1):
    (dy,) = f64(dy)
    y = softmax(z, dim)
    return y * (dy - (dy * y).sum(axis=dim, keepdims=True))
