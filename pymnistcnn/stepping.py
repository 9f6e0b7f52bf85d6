"""A network that Python has a part in: a layer, or the loss. It is run stretch by stretch, with Python in between.

C computes the layers between two of Python as it does by hand, and the optimizer's step; all of it on batches in one
order, so that weights depend on the seed alone, as ever.
"""

from __future__ import annotations

from contextlib import contextmanager
from itertools import groupby
from typing import Any

import numpy as np

from ._native import NotFinite, Program
from ._types import Array, Shape
from .checks import exact_cast
from .network import Network, Targets, pieces, shapes_through
from .plan import PlanBuilder, update_plan

__all__ = ["SlowWarning"]


class SlowWarning(UserWarning):
    """A training has Python in every step: a layer or a loss of one's own.

    Examples
    --------
    >>> import warnings, pymnistcnn as pm
    >>> warnings.simplefilter("ignore", pm.SlowWarning)  # it is known
    """


def runner_of(network: Network, loss: Any = None) -> Network | Stepwise:
    """What runs a network: itself or, where a layer or the loss is Python's, a `Stepwise`."""
    return Stepwise(network) if in_python(network, loss) else network


def in_python(network: Network, loss: Any = None) -> list[Any]:
    """The layers and the loss that Python computes."""
    return network.python if loss is None or not loss.in_python else [*network.python, loss]


class Compiled:
    """Layers that C computes, as a part of a chain: a network of its own."""

    network: Network

    def __init__(self, network: Network) -> None:
        self.network = network

    def forward(self, x: Array, training: bool, *how: Any) -> Array:
        return self.network.forward(x, True, *how) if training else self.network.predict(x, *how)

    def backward(self, dy: Array, *how: Any) -> Array:
        return self.network.backward(dy, *how)

    def restart(self, seed: int, batch: int) -> None:
        self.network.restart(seed, batch)


class Own:
    """A layer that Python computes, for samples of this shape."""

    dtype: np.dtype[Any]
    layer: Any
    shape: Shape

    def __init__(self, network: Network, layer: Any, shape: Shape, number: int) -> None:
        self.layer, self.shape, self.dtype = layer, shape, network.dtype
        if layer._network is None:  # of a block that stands alone
            layer._network = network.part([layer.unbuilt()], shape, number)

    def forward(self, x: Array, training: bool, *how: Any) -> Array:
        x = np.array(x, self.dtype, order="C")  # Python may change it
        expected = (len(x), *self.layer.output_shape(self.shape))
        return checked(self.layer.forward(x, training), expected, self.dtype, f"the output of {self.layer}")

    def backward(self, dy: Array, *how: Any) -> Array:
        for gradient in self.layer.gradients.values():
            gradient[...] = 0
        expected = (len(dy), *self.shape)
        return checked(self.layer.backward(dy), expected, self.dtype, f"the gradient of {self.layer}")

    def restart(self, seed: int, batch: int) -> None:
        pass


class Chain:
    """Layers one after the other, the first leaf of which has this number. Those that C computes are one part."""

    dtype: np.dtype[Any]
    parts: list[Any]

    def __init__(self, network: Network, layers: Any, shape: Shape, number: int) -> None:
        self.parts, self.dtype = [], network.dtype
        with_shapes = zip(layers, shapes_through(layers, shape), strict=False)
        for python, group in groupby(with_shapes, lambda pair: pair[0].in_python):
            several, shapes = zip(*group, strict=True)
            if not python:
                self.parts.append(Compiled(network.part(several, shapes[0], number)))
                number += sum(len(layer.leaves()) for layer in several)
                continue
            for layer, before in zip(several, shapes, strict=True):
                self.parts.append((Sum if layer.ways() else Own)(network, layer, before, number))
                number += len(layer.leaves())

    def forward(self, x: Array, training: bool, *how: Any) -> Array:
        for part in self.parts:
            x = part.forward(x, training, *how)
        return x

    def backward(self, dy: Array, *how: Any) -> Array:
        for part in reversed(self.parts):
            dy = part.backward(dy, *how)
        return dy

    def restart(self, seed: int, batch: int) -> None:
        for part in self.parts:
            part.restart(seed, batch)


class Sum:
    """A residual block with Python in it: its two ways, each a chain; one may be empty."""

    ways: list[Chain]

    def __init__(self, network: Network, block: Any, shape: Shape, number: int) -> None:
        self.ways = []
        for layers in block.ways():
            self.ways.append(Chain(network, layers, shape, number))
            number += sum(len(layer.leaves()) for layer in layers)

    def forward(self, x: Array, *how: Any) -> Array:
        a, b = (way.forward(x, *how) for way in self.ways)
        return np.add(a, b, dtype=self.ways[0].dtype)

    def backward(self, dy: Array, *how: Any) -> Array:
        a, b = (way.backward(dy, *how) for way in self.ways)
        return a + b

    def restart(self, seed: int, batch: int) -> None:
        for way in self.ways:
            way.restart(seed, batch)


class Stretches:
    """What a network is run by, stretch by stretch."""

    chain: Chain
    head: Network
    updates: dict[Any, Any]
    saved: int

    def __init__(self, network: Network) -> None:
        self.chain = Chain(network, network.layers, network.input_shape, network.first_layer)
        self.head = Network([], network.output_shape, network.dtype)  # what compares outputs with targets
        self.updates = {}  # plans of the optimizer's step: with and without clipping, by target
        self.saved = 0  # samples of the last forward pass that a backward pass can follow


class Stepwise:
    """Runs a network's stretches; has the methods of `Network` that run it."""

    network: Network
    stretches: Stretches

    def __init__(self, network: Network) -> None:
        self.network = network
        if network.stretches is None:
            network.stretches = Stretches(network)
        self.stretches = network.stretches

    # ---- forward and backward ----

    def predict(self, x: Array, target: Any, threads: int | None = None) -> Array:
        """The last layer's outputs, without dropout."""
        parts = [self._forward(part, False, target, threads) for part, _ in pieces(x, x)]
        return np.concatenate(parts)

    def forward(self, x: Array, training: bool, target: Any, threads: int | None = None) -> Array:
        """Outputs; with `training`, what `backward` needs is kept."""
        self.stretches.saved = 0
        y = self._forward(self.network.inputs(x), training, target, threads)
        self.stretches.saved = len(y) * training
        return y

    def backward(self, dy: Array, target: Any = None, threads: int | None = None) -> Array:
        """The gradient of the inputs; `gradients` of all layers are filled."""
        expected, dy = (self.stretches.saved, *self.network.output_shape), np.asarray(dy)
        if not self.stretches.saved:
            raise RuntimeError("backward needs the state of a forward pass: forward was not called")
        if dy.shape != expected:
            raise ValueError(f"dy must have the shape of the last forward's output, {expected}, not {dy.shape}")
        self.stretches.saved = 0
        return self._backward(exact_cast(dy, self.network.dtype, "dy"), target, threads)

    def _forward(self, *how):
        return self.stretches.chain.forward(*how)

    def _backward(self, *how):
        return self.stretches.chain.backward(*how)

    # ---- losses ----

    def compare(
        self, loss: Any, y: Array, targets: Targets, target: Any, threads: int | None
    ) -> tuple[float, int, float, Array]:
        """Of outputs: summed loss, how many are correct, their weight; and the gradient of the mean loss."""
        if not loss.in_python:
            return self.stretches.head.compare(loss, y, targets, target, threads)
        weights, right = targets.sample_weight, correct(y, targets)
        weight = float(len(y) if weights is None else weights.sum())
        if not weight:
            return 0.0, right, weight, np.zeros_like(y)
        given = targets.values if targets.labels is None else targets.labels
        value = loss.forward(y.copy(), given, *([] if weights is None else [weights]))
        if np.ndim(value):
            raise ValueError(f"{loss} must give the mean loss of the batch, a number, not shape {np.shape(value)}")
        gradient = checked(loss.backward(), y.shape, self.network.dtype, f"the gradient of {loss}")
        return float(value) * weight, right, weight, gradient

    def evaluate(
        self, x: Array, targets: Targets, loss: Any, target: Any, threads: int | None = None, param: Array | None = None
    ) -> tuple[float, int]:
        """Mean loss and number of correct over all samples, without dropout. param: weights to use instead."""
        totals = np.zeros(3)
        with self._weights(param):
            for x_part, targets_part in pieces(x, targets):
                y = self._forward(x_part, False, target, threads)
                totals += self.compare(loss, y, targets_part, target, threads)[:3]
        sum_of_losses, right, weight = totals
        return float(sum_of_losses / weight) if weight else float("nan"), int(right)

    @contextmanager
    def _weights(self, param):
        """Inside, the network has these weights, if they are given."""
        network = self.network
        own = None if param is None or param is network.param else network.param.copy()
        try:
            if own is not None:
                network.param[...] = param
            yield
        finally:
            if own is not None:
                network.param[...] = own

    # ---- training ----

    def train(
        self,
        x: Array,
        targets: Targets,
        loss: Any,
        index: Array | None,
        batch: int,
        optimizer: Any,
        rates: Array,
        epoch: int,
        first_position: int,
        target: Any,
        threads: int | None = None,
        clip_norm: float | None = None,
        average: tuple[Array, Array] | None = None,
        numbers: Array | None = None,
        ranks: None = None,
        mixture: Any = None,
    ) -> Array:
        """A slice of steps over the samples `index`: see `Network.train`."""
        state, results = optimizer.state_for(self.network), np.zeros((3, len(rates)))
        index = np.arange(len(x)) if index is None else index
        vector, decays = average or (None, np.zeros(len(rates)))
        for step, rate in enumerate(rates):
            places = slice(step * batch, (step + 1) * batch)
            which = index[places]
            inputs, wanted = x[which], targets[which]
            if mixture is not None:
                inputs, wanted = mixture[places].of(self.network, x, targets, which)
            self._restart(epoch, first_position // batch + step)
            try:
                y = self._forward(inputs, True, target, threads)
                *results[:, step], dy = self.compare(loss, y, wanted, target, threads)
                self._backward(dy, target, threads)
                self._update(optimizer, state, rate, target, threads, clip_norm, vector, decays[step])
            except NotFinite as error:
                raise NotFinite(error.layer, step) from None
            finally:
                state.steps += 1
        return results

    def _restart(self, epoch, batch):
        """Let what is random be that of this batch: of up to 2**20 an epoch each has its own."""
        self.stretches.chain.restart(self.network.seed, (epoch * 2**20 + batch) % (2**32 - 1))

    def _update(self, optimizer, state, rate, target, threads, clip_norm, average, decay):
        network, key = self.network, (clip_norm is not None, target)
        if key not in self.stretches.updates:
            builder = PlanBuilder(network.input_shape)
            builder.updated(network.parameters)
            self.stretches.updates[key] = update_plan(builder, network.dtype, *key)
        with network.turns.mine():
            network._run(
                self.stretches.updates[key], Program.BACKWARD, 1, threads, optimizer=optimizer.kind,
                moments=state.moments, coefficients=optimizer.rows(state.steps, [rate], clip_norm, decay),
                average=average,
            )  # fmt: skip


def checked(array: Array, shape: Shape, dtype: np.dtype[Any], name: str) -> Array:
    """What Python gave, as the network's numbers."""
    array = np.asarray(array)
    if array.shape != shape:
        raise ValueError(f"{name} must have shape {shape}, not {array.shape}")
    return exact_cast(array, dtype, name)


def correct(y: Array, targets: Targets) -> int:
    """How many samples have the largest of several outputs where the target is, if that says so."""
    wanted = targets.labels
    if wanted is None and targets.values.shape == y.shape:
        wanted = targets.values.argmax(axis=1)
    if wanted is None or y.ndim != 2 or y.shape[1] == 1:
        return 0
    return int(((y.argmax(axis=1) == wanted) & ~np.isnan(y).any(axis=1)).sum())
