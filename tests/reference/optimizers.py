"""Optimizers, by PyTorch's rules."""

import numpy as np

from .arrays import f64


def sgd(p, g, state, lr, momentum=0, weight_decay=0, nesterov=False):
    """(p, state); state is the momentum buffer, None before the first step (and always without momentum)."""
    p, g = f64(p, g)
    g = g + weight_decay * p
    if momentum:
        state = g if state is None else momentum * np.asarray(state, dtype=np.float64) + g
        g = g + momentum * state if nesterov else state
    return p - lr * g, state


def adam(p, g, m, v, t, lr, beta1=0.9, beta2=0.999, eps=1e-8, weight_decay=0):
    """(p, m, v) after step t (counted from 1); m and v start as zeros; weight decay is the L2 kind."""
    p, g, m, v = f64(p, g, m, v)
    g = g + weight_decay * p
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g * g
    m_hat = m / (1 - beta1**t)
    v_hat = v / (1 - beta2**t)
    return p - lr * m_hat / (np.sqrt(v_hat) + eps), m, v


def adamw(p, g, m, v, t, lr, beta1=0.9, beta2=0.999, eps=1e-8, weight_decay=0.01):
    """Like adam, but the weight decay is a step of its own."""
    (p,) = f64(p)
    return adam(p * (1 - lr * weight_decay), g, m, v, t, lr, beta1, beta2, eps)


def rmsprop(p, g, state, lr, alpha=0.99, eps=1e-8, weight_decay=0, momentum=0, centered=False, eps_inside_sqrt=False):
    """(p, state); state is (mean square, mean, momentum buffer), zeros before the first step."""
    p, g, square, mean, step = f64(p, g, *state)
    g = g + weight_decay * p
    square = alpha * square + (1 - alpha) * g * g
    mean = alpha * mean + (1 - alpha) * g
    spread = square - mean * mean if centered else square
    g = g / (np.sqrt(spread + eps) if eps_inside_sqrt else np.sqrt(spread) + eps)
    step = momentum * step + g
    return p - lr * step, (square, mean, step)


def adagrad(p, g, total, t, lr, lr_decay=0, weight_decay=0, eps=1e-10):
    """(p, total) after step t (counted from 1); total starts as initial_accumulator_value."""
    p, g, total = f64(p, g, total)
    g = g + weight_decay * p
    total = total + g * g
    return p - lr / (1 + (t - 1) * lr_decay) * g / (np.sqrt(total) + eps), total


def clipped(gradients, max_norm):
    """All gradients of a network times what makes their common norm at most max_norm."""
    norm = np.sqrt(sum((np.asarray(g, dtype=np.float64) ** 2).sum() for g in gradients))
    return [min(1, max_norm / (norm + 1e-6)) * g for g in f64(*gradients)]
