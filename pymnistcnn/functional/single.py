"""One layer or loss as a function: networks that are made once, and used again by the same thread."""

from __future__ import annotations

import threading
from contextlib import contextmanager

import numpy as np

from ..checks import exact_cast
from ..network import Network, dtype_for
from ..target import target_of

MOST = 32  # networks that a thread keeps
LARGEST = 2**26  # bytes of the workspaces of one that is kept


class Kept(threading.local):
    """Networks of this thread by what they compute, those used last at the end."""

    def __init__(self):
        self.networks: dict[tuple, Network] = {}


KEPT = Kept()


def numbers(x) -> np.ndarray:
    """x as an array with something in it."""
    x = np.asarray(x)
    if x.size == 0:
        raise ValueError(f"x must hold at least one number, not shape {x.shape}")
    return x


def rows(x) -> np.ndarray:
    """x of any shape as (n, features), for what is done element by element."""
    return x.reshape(len(x) if x.ndim > 1 else 1, -1)


@contextmanager
def network(layers, x, loss=None):
    """A network for arrays like x, which no other call has while this one does."""
    if x.ndim not in (2, 4):
        raise ValueError(f"x must have shape (n, features) or (n, channels, height, width), not {x.shape}")
    key = repr(layers), repr(loss), x.shape[1:], dtype_for(x)
    found = KEPT.networks.pop(key, None)
    if found is None:
        found = Network(layers, x.shape[1:], dtype_for(x))
        if loss is not None:
            found.use_loss(loss)
    yield found
    if found.workspace_bytes <= LARGEST:
        KEPT.networks[key] = found
    if len(KEPT.networks) > MOST:
        del KEPT.networks[next(iter(KEPT.networks))]


@contextmanager
def holding(layer, x, weights, seed=0):
    """A network of this layer alone with these arrays, by the names that errors call them, as its parameters."""
    with network([layer], x) as found:
        found.restart(seed)
        for parameter, view, name in zip(found.parameters, found.views(found.param), weights, strict=False):
            values = np.asarray(weights[name])
            if values.shape != parameter.shape:
                raise ValueError(f"{name} must have shape {parameter.shape}, not {values.shape}")
            view[...] = exact_cast(values, found.dtype, name)
        yield found


def forward(layer, x, weights=(), seed=0, training=False, *, threads=None, isa=None) -> np.ndarray:
    """y of a layer for x."""
    x = numbers(x)
    with holding(layer, x, weights, seed) as found:
        return found.forward(x, training, target_of(isa), threads)


def backward(layer, dy, x, weights=(), seed=0, *, threads=None, isa=None):
    """dx of a layer, and after it the gradients of its weights if it has any."""
    x = numbers(x)
    with holding(layer, x, weights, seed) as found:
        found.forward(x, True, target_of(isa), threads)
        dx = found.backward(dy, threads=threads)
        views = zip(found.parameters, found.views(found.gradient), strict=True)
        gradients = [np.array(view, order="C") for parameter, view in views if parameter.trained]
    return (dx, *gradients) if gradients else dx
