"""One layer or loss as a function: networks that are made once, and used again by the same thread."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from .._types import ArrayLike
from ..checks import exact_cast
from ..network import Network, dtype_for
from ..target import target_of

MOST, MOST_BYTES = 32, 2**26  # that a thread keeps: networks, and bytes of all of them


class Kept(threading.local):
    """Networks of this thread by what they compute, those used last at the end, and how large they are."""

    bytes: int

    def __init__(self) -> None:
        self.networks: dict[tuple[Any, ...], tuple[Network, int]] = {}
        self.bytes = 0

    def take(self, key: tuple[str, tuple[int, ...], np.dtype[Any]]) -> Network | None:
        network, size = self.networks.pop(key, (None, 0))
        self.bytes -= size
        return network

    def give_back(self, key: tuple[str, tuple[int, ...], np.dtype[Any]], network: Network) -> None:
        self.networks[key] = network, network.bytes
        self.bytes += network.bytes
        while self.bytes > MOST_BYTES or len(self.networks) > MOST:
            self.take(next(iter(self.networks)))


KEPT = Kept()


def numbers(x: ArrayLike) -> np.ndarray:
    """x as an array with something in it."""
    x = np.asarray(x)
    if x.size == 0:
        raise ValueError(f"x must hold at least one number, not shape {x.shape}")
    return x


def rows(x: ArrayLike) -> np.ndarray:
    """x of any shape as (n, features), for what is done element by element."""
    return x.reshape(len(x) if x.ndim > 1 else 1, -1) if x.size else x.reshape(0, 1)


@contextmanager
def network(layers: Any, x: ArrayLike) -> Iterator[Any]:
    """A network for arrays like x, which no other call has while this one does."""
    if x.ndim not in (2, 4):
        raise ValueError(f"x must have shape (n, features) or (n, channels, height, width), not {x.shape}")
    key = repr(layers), x.shape[1:], dtype_for(x)
    found = KEPT.take(key) or Network(layers, x.shape[1:], dtype_for(x))
    yield found
    KEPT.give_back(key, found)


@contextmanager
def holding(layer: Any, x: ArrayLike, weights: ArrayLike, seed: int = 0) -> Iterator[Any]:
    """A network of this layer alone with these arrays, by the names that errors call them, as its parameters."""
    with network([layer], x) as found:
        found.restart(seed)
        for parameter, view, name in zip(found.parameters, found.views(found.param), weights, strict=False):
            values = np.asarray(weights[name])
            if values.shape != parameter.shape:
                raise ValueError(f"{name} must have shape {parameter.shape}, not {values.shape}")
            view[...] = exact_cast(values, found.dtype, name)
        yield found


def batch_of(layer: Any, x: ArrayLike) -> np.ndarray:
    """x as a layer takes it: (n, features) or (n, c, h, w). Any dimensions, or none, may come before a sample's own;
    for what is done element by element, any shape will do."""
    if layer.needs is None:
        return x if x.ndim in (2, 4) else rows(x)
    before = x.ndim - layer.needs[0]
    if before < 0:
        layer.output_shape(x.shape[1:])  # raises: it needs more
    return x.reshape(math.prod(x.shape[:before]), *x.shape[before:])


def shaped(layer: Any, x: ArrayLike, y: ArrayLike) -> np.ndarray:
    """y of a batch, with the dimensions that x had before a sample's own."""
    return y.reshape(x.shape if layer.needs is None else (*x.shape[: x.ndim - layer.needs[0]], *y.shape[1:]))


def forward(
    layer: Any,
    x: ArrayLike,
    weights: ArrayLike = (),
    seed: int = 0,
    training: bool = False,
    *,
    threads: int | None = None,
    isa: str | None = None,
) -> np.ndarray:
    """y of a layer for x."""
    x = np.asarray(x)
    batch = batch_of(layer, x)
    if len(batch) == 0 or (x.size == 0 and layer.needs is None):
        return shaped(layer, x, np.empty((len(batch), *layer.output_shape(batch.shape[1:])), dtype_for(x)))
    with holding(layer, batch, weights, seed) as found:
        return shaped(layer, x, found.forward(batch, training, target_of(isa), threads))


def backward(
    layer: Any,
    dy: ArrayLike,
    x: ArrayLike,
    weights: ArrayLike = (),
    seed: int = 0,
    *,
    threads: int | None = None,
    isa: str | None = None,
) -> Any:
    """dx of a layer, and after it the gradients of its weights if it has any."""
    x, dy = np.asarray(x), np.asarray(dy)
    batch = batch_of(layer, x)
    y_shape = shaped(layer, x, np.empty((len(batch), *layer.output_shape(batch.shape[1:])))).shape
    if dy.shape != y_shape:
        raise ValueError(f"dy must have the shape of y, {y_shape}, not {dy.shape}")
    if x.size == 0:
        gradients = [np.zeros(np.shape(weights[name]), dtype_for(x)) for name in weights]
        return (np.empty(x.shape, dtype_for(x)), *gradients) if gradients else np.empty(x.shape, dtype_for(x))
    with holding(layer, batch, weights, seed) as found:
        found.forward(batch, True, target_of(isa), threads)
        dx = found.backward(dy.reshape(len(batch), *found.output_shape), threads=threads).reshape(x.shape)
        views = zip(found.parameters, found.views(found.gradient), strict=True)
        gradients = [np.array(view, order="C") for parameter, view in views if parameter.trained]
    return (dx, *gradients) if gradients else dx
