"""A network that runs: its weights, its plans, its lock.

Both a `Sequential` and a single layer called by hand are a `Network`, so that what a student steps through is
what `fit` runs.
"""

from __future__ import annotations

import copy
import math
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from . import _native
from ._native import Constant, NotFinite, Op, Program
from ._types import Array, ArrayLike, DTypeLike, Shape
from .checks import checked_dtype, checked_seed, checked_shape, checked_weights, exact_cast, shown, whole, yes_or_no
from .mapped import in_pieces
from .plan import PlanBuilder, plan_by_hand, training_plan
from .processors import limited, processors
from .target import Target
from .turns import Turns

UINT8 = np.dtype(np.uint8)
EVALUATION_BATCH, MOST_THREADS = 256, 1024
OPENMP_IS_TOLD = bool(os.environ.get("OMP_NUM_THREADS"))  # which OpenMP reads once, too


def checked_threads(threads: int | None) -> int:
    """A number of threads from 1 to 1024; None means `default_threads()`. Fewer, with a warning, where the system does
    not make so many."""
    threads = default_threads() if threads is None else whole("threads", threads, 1, MOST_THREADS)
    usable = _native.usable_threads(threads)
    if usable < threads:
        warnings.warn(f"only {usable} of {threads} threads can be made here: the results are the same", stacklevel=2)
    return usable


def default_threads() -> int:
    """OpenMP's number, which OMP_NUM_THREADS sets; where that says nothing, no more than the processors that this
    process may use. No more than `processors.limit` allows."""
    threads = min(_native.default_threads(), MOST_THREADS)
    return min(threads, limited(threads if OPENMP_IS_TOLD else processors()))


def dtype_for(array: np.ndarray) -> np.dtype:
    """What arrays are computed in by hand: float64 if they are float64, else float32."""
    return np.dtype(np.float64 if array.dtype.newbyteorder("=") == np.float64 else np.float32)


def aligned_zeros(elements: int, dtype: DTypeLike) -> np.ndarray:
    """Zeros that begin on a cache line."""
    dtype = np.dtype(dtype)
    raw = np.zeros(elements * dtype.itemsize + Constant.ALIGN, np.uint8)
    start = -raw.ctypes.data % Constant.ALIGN
    return raw[start : start + elements * dtype.itemsize].view(dtype)


@dataclass(frozen=True)
class Targets:
    """What a loss compares outputs with: labels int32 (n,), or values (n, classes) of the network's dtype; and
    how much each sample counts, float64 (n,) or None."""

    labels: np.ndarray | None
    values: np.ndarray | None
    sample_weight: np.ndarray | None

    def __getitem__(self, part: Any) -> Targets:
        return Targets(*(a if a is None else a[part] for a in self.arrays))

    @property
    def arrays(self) -> tuple[Array | None, ...]:
        return self.labels, self.values, self.sample_weight

    @property
    def arguments(self) -> dict[str, Any]:
        return dict(labels=self.labels, targets=self.values, sample_weight=self.sample_weight)


def of_classes(targets: ArrayLike, output_shape: Shape) -> bool:
    """Are targets labels, or rows that stand for such: probabilities, or one number for the class and one for all
    others? A network with one output has no classes."""
    values = targets.values
    if output_shape == (1,) or values is None:
        return output_shape != (1,)
    if values.shape[1:] != output_shape:  # of a loss of one's own
        return False
    most = values == values.max(axis=1, keepdims=True)
    least = values == values.min(axis=1, keepdims=True)
    return bool((most.sum(axis=1) == 1).all() and (most | least).all()) or np.allclose(values.sum(axis=1), 1, atol=1e-3)


def of_one_output(given: Array, loss: Any, name: str) -> Array:
    """Targets of a network that has one output: values may be (n,), as `predict` gives them. Softmax of one output is
    always 1, so cross-entropy is of anything but values."""
    if given.ndim == 1 and not loss.takes_labels:
        return given[:, None]
    if loss.kind == Op.CROSS_ENTROPY and given.dtype.kind == "f" and not np.allclose(given, given.ndim - 1):
        raise ValueError(f"{name} are values, and the network has one output: give loss=pm.MSELoss()")
    return given


@dataclass(frozen=True)
class Planned:
    """A plan, and what it trains with: see `Network.plan`."""

    plan: _native.Plan
    loss: object
    clip: bool


class Network:
    """Layers, shapes, flat vectors of weights and gradients, and plans made when they are first needed.

    Parameters
    ----------
    layers : objects with `output_shape`, `lower`, `initialize`, `leaves` and `unbuilt`; parameters are numbered by the
        leaves
    input_shape : (c, h, w) or (n,), of one sample
    dtype : float32 or float64
    seed : decides the first weights and all masks
    first_layer : index of the first layer in its model; part of every random stream
    memory, turns : (param, gradient) flat vectors, and the turns, of a larger network that this one is a part of
    """

    dtype: np.dtype[Any]
    elements: int
    first_layer: int
    gradient: Array | None
    input_shape: tuple[int, ...]
    layers: Any
    leaves: Any
    owners: list[Any] | list[int]
    param: Array | None
    parameters: Any
    seed: int
    shapes: list[tuple[int, ...]]
    turns: Turns

    def __init__(
        self,
        layers: Any,
        input_shape: Shape,
        dtype: DTypeLike = "float32",
        seed: int = 0,
        first_layer: int = 0,
        memory: tuple[Array, Array | None] | None = None,
        turns: Turns | None = None,
    ) -> None:
        self.layers, self.input_shape = list(layers), checked_shape(input_shape)
        self.dtype, self.seed, self.first_layer = checked_dtype(dtype), checked_seed(seed), first_layer
        self.turns = turns or Turns()
        self.shapes = shapes_through(self.layers, self.input_shape)
        builder = lowered(self.layers, self.input_shape, first_layer)
        self.parameters, self.elements = builder.parameters, builder.vector_elements
        leaves = [(index, leaf) for index, layer in enumerate(self.layers) for _, leaf in layer.leaves()]
        self.owners, self.leaves = [index for index, _ in leaves], [leaf for _, leaf in leaves]
        if memory is None:
            self.param, self.gradient = (aligned_zeros(self.elements, self.dtype) for _ in range(2))
            weight_shapes = {p.layer: p.shape for p in self.parameters if p.name == "weight"}
            for parameter, weights in zip(self.parameters, self.views(self.param), strict=True):
                layer = self.leaves[parameter.layer - first_layer]
                rng = self._rng(parameter)
                weights[...] = layer.initialize(parameter.name, rng, weight_shapes.get(parameter.layer))
        else:
            self.param, self.gradient = memory
        self._plans: dict[tuple[bool, Target], Planned] = {}  # by hand or not; where
        self._residents: list[_native.Resident] = []
        self.python: list[Any] = [leaf for leaf in self.leaves if leaf.in_python]  # looked at by every prediction
        self.stretches: Any = None  # see stepping.py
        self.by_hand: PlanBuilder | None = None  # the builder of the plan by hand: it knows where state is kept
        self._saved: tuple[Target, int] | None = None  # whose state a backward pass can use: where, how many samples
        self._why_not = "forward was not called"
        self._calls = 0

    def __reduce__(self) -> tuple[Any, ...]:
        """A copy has the weights and the place in the random streams: its memory, plans and lock are its own."""
        with self.turns.mine():
            weights = [np.array(view, order="C") for view in self.views(self.param)]
        layers = [layer.unbuilt() for layer in self.layers]
        return restored, (layers, self.input_shape, self.dtype.name, self.seed, self.first_layer, weights, self._calls)

    @property
    def output_shape(self) -> tuple[int, ...]:
        return self.shapes[-1]

    def views(self, flat: Array) -> list[Any] | list[Array]:
        """Every parameter's view into a flat vector, in order."""
        return [parameter.view(flat) for parameter in self.parameters]

    def _rng(self, parameter: Any) -> np.random.Generator:
        stream = 2 * parameter.layer + (parameter.name == "bias")
        return np.random.Generator(np.random.Philox(key=np.array([self.seed, stream], np.uint64)))

    def plan(
        self, by_hand: bool, capacity: int, target: Target, loss: Any = None, clip: bool | None = None
    ) -> _native.Plan:
        """The plan for at least `capacity` samples; another one takes the place of one that is smaller, or that has
        another loss, or clips gradients or does not, if these are given."""
        kept = self._plans.get((by_hand, target))
        if kept is not None:
            capacity = max(capacity, kept.plan.capacity)
            loss, clip = kept.loss if loss is None else loss, kept.clip if clip is None else clip
            if (kept.plan.capacity, kept.loss, kept.clip) == (capacity, loss, clip):
                return kept.plan
            if by_hand and self._saved is not None and self._saved[0] == target:
                self._forget("its saved state was overwritten by a larger batch")
        plan = self._planned(by_hand, capacity, target, loss, bool(clip))
        self._plans[by_hand, target] = Planned(plan, copy.copy(loss), bool(clip))  # a loss may be changed afterwards
        return plan

    @property
    def bytes(self) -> int:
        """Of the weights, their gradients, and of all plans there are, one of each arena."""
        plans = sum(sum(kept.plan.workspace_bytes.values()) for kept in self._plans.values())
        return self.param.nbytes + self.gradient.nbytes + plans

    def release(self) -> None:
        """Give back the memory of all plans: they are made anew when they are needed."""
        with self.turns.mine():
            self._plans.clear()
            self.stretches = None
            self._forget("its memory was given back")

    def _planned(self, by_hand: bool, capacity: int, target: Target, loss: Any, clip: bool) -> Any:
        builders = [lowered(self.layers, self.input_shape, self.first_layer, inference) for inference in (False, True)]
        for builder in builders:
            if loss is not None:
                loss.lower(builder)
        if by_hand:
            self.by_hand = builders[0]
            return plan_by_hand(*builders, self.dtype, capacity, target)
        return training_plan(*builders, self.dtype, capacity, clip, target)

    def part(self, layers: Any, shape: Shape, number: int) -> Network:
        """A network of some of the layers one after the other, the first leaf of which has this number, that shares
        this one's memory; shape: of what they get."""
        part = Network(layers, shape, self.dtype, self.seed, number, (None, None), self.turns)
        behind = number + len(part.leaves)
        start = min((p.offset for p in self.parameters if number <= p.layer < behind), default=0)
        piece = slice(start, start + part.elements)
        part.param, part.gradient = self.param[piece], self.gradient[piece]
        return part

    def restart(self, seed: int, calls: int = 0) -> None:
        """Draw, from the next forward on, what a new network of this seed would; after so many calls of it."""
        self.seed, self._calls = checked_seed(seed), calls

    # ---- arrays of the caller's ----

    def inputs(self, x: Array | list[list[float]], name: str = "inputs") -> Array:
        """x as (n, *input_shape), C-contiguous: uint8, or this network's dtype. One channel may be left out, and
        pictures may be flat."""
        try:
            x = np.asarray(x)
        except ValueError:  # such as a pair of images and labels
            raise ValueError(f"{name} must be an array, or what makes one, not {shown(x)}") from None
        if x.ndim == 0 or x.shape[1:] != self.input_shape:
            x = self._in_shape(x, name)
        if len(x) == 0:
            raise ValueError(f"{name} must hold at least one sample, not an empty batch of shape {x.shape}")
        if x.dtype is UINT8 and x.flags.c_contiguous:  # a picture at a time, this is a part of what it takes
            return x
        return exact_cast(x, UINT8 if x.dtype == UINT8 else self.dtype, name)

    def _in_shape(self, x: Array, name: str) -> Array:
        """Inputs without their channel, or flat, as (n, *input_shape)."""
        shape = self.input_shape
        without_channel = shape[1:] if len(shape) == 3 and shape[0] == 1 else None
        if x.ndim == len(shape) and x.shape[1:] == without_channel:
            return x[:, None]
        if x.ndim == 2 and len(shape) == 3 and x.shape[1] == math.prod(shape):
            return x.reshape(len(x), *shape)
        also = f" or (n, {', '.join(map(str, without_channel))})" if without_channel else ""
        expected = f"(n, {', '.join(map(str, shape))}){also}"
        last = len(shape) == 3 and x.shape[1:] == (*shape[1:], shape[0])
        hint = ", which has channels last: transpose(0, 3, 1, 2) puts them first" * last
        raise ValueError(f"{name} must have shape {expected}, not {x.shape}{hint}")

    def class_labels(self, labels: Array, n: int, name: str = "labels") -> Array:
        """labels as int32 (n,), each from 0 to the number of classes - 1."""
        labels = np.asarray(labels)
        classes = self.output_shape[-1]
        if labels.shape != (n,):
            raise ValueError(f"{name} must have shape ({n},), one for each input, not {labels.shape}")
        labels = exact_cast(labels, np.int64, name)
        if labels.min() < 0 or labels.max() >= classes:
            bad = labels[(labels < 0) | (labels >= classes)][0]
            raise ValueError(f"{name} must be from 0 to {classes - 1}, the network's classes, not {bad}")
        return labels.astype(np.int32)

    def targets(self, loss: Any, given: Any, n: int, sample_weight: None = None, name: str = "labels") -> Targets:
        """What a loss takes of n samples: labels (n,), or values (n, classes); ValueError for anything else, and for a
        loss that does not fit."""
        loss.check(self.layers, self.output_shape)
        given = np.asarray(given)
        labels = values = None
        expected = (n, *self.output_shape)
        if expected == (n, 1):
            given = of_one_output(given, loss, name)
        if loss.takes_values and (given.shape == expected or not loss.takes_labels):
            if given.shape != expected:
                raise ValueError(f"{name} must have the shape of the outputs, {expected}, not {given.shape}")
            values = exact_cast(given, self.dtype, name)
        elif loss.in_python and (given.shape != (n,) or given.dtype.kind not in "iu" or len(expected) != 2):
            if given.shape[:1] != (n,):
                raise ValueError(f"{name} must be {n}, one for each input, not of shape {given.shape}")
            values = exact_cast(given, self.dtype, name)
        else:
            labels = self.class_labels(given, n, name)
        if sample_weight is not None:
            loss.check_sample_weight()
            sample_weight = checked_weights("sample_weight", sample_weight, (n,))
        return Targets(labels, values, sample_weight)

    # ---- runs ----

    @contextmanager
    def resident(self, target: Target, *arrays: Any) -> Iterator[Any]:
        """Inside, a device keeps copies of these arrays, which are not to change; None is skipped. On the processor
        nothing happens."""
        before = len(self._residents)
        try:
            if target.device != "cpu":
                self._residents += [_native.Resident(target, array) for array in arrays if array is not None]
            yield
        finally:
            del self._residents[before:]

    def _run(
        self,
        plan: Any,
        program: Program,
        n: int,
        threads: int | None,
        batch: int | None = None,
        param: Array | None = None,
        loss: Any = None,
        x: Array | None = None,
        y: Array | None = None,
        **others: Any,
    ) -> tuple[Array, Array, Array] | tuple[None, None, None]:
        if loss is not None:
            others["class_weight"] = loss.class_weight
        if self._residents:
            others["residents"] = self._residents
        return plan.run(
            program, checked_threads(threads), self.param if param is None else param, self.gradient, n,
            batch or min(n, plan.capacity), x, y, self.seed, **others,
        )  # fmt: skip

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
        target: Target,
        threads: int | None = None,
        clip_norm: None = None,
        average: tuple[Array, Array] | None = None,
        op_seconds: None = None,
        numbers: Array | None = None,
        ranks: Any = None,
        mixture: Any = None,
    ) -> tuple[Array, Array, Array]:
        """Steps over the samples `index`, or over all in order; returns each step's summed loss, correct and weight.

        x, targets: from `inputs` and `targets`; rates: one a step; average: (vector, decays) of the weights'
        average, one a step; op_seconds (threads, ops of the plan): what each op took is added to it; numbers: of the
        samples in the data set, if `index` does not say them; ranks: that do this together, or None; mixture: of the
        samples, or None. The optimizer's state moves on by the steps that were done.
        """
        state, count = optimizer.state_for(self), len(x if index is None else index)
        vector, decays = average or (None, None)
        with self.turns.mine():
            try:
                results = self._run(
                    self.plan(False, batch, target, loss, clip_norm is not None), Program.TRAIN, count, threads,
                    batch=batch, x=x, loss=loss, **targets.arguments, index=index, numbers=numbers, ranks=ranks,
                    optimizer=optimizer.kind, moments=state.moments,
                    coefficients=optimizer.rows(state.steps, rates, clip_norm, decays), average=vector,
                    epoch=epoch, first_position=first_position, op_seconds=op_seconds,
                    **({} if mixture is None else mixture.arguments),
                )  # fmt: skip
            except NotFinite as error:
                state.steps += error.done + 1
                raise
        state.steps += len(rates)
        return results

    def evaluate(
        self,
        x: Array,
        targets: Targets,
        loss: Any,
        target: Target,
        threads: int | None = None,
        param: Array | None = None,
    ) -> tuple[float, int]:
        """Mean loss and number of correct over all samples, without dropout. param: weights to use instead."""
        totals = np.zeros(3)
        for x_part, targets_part in pieces(x, targets):
            batch = min(len(x_part), EVALUATION_BATCH)
            with self.turns.mine():
                results = self._run(
                    self.plan(False, batch, target, loss), Program.EVALUATE, len(x_part), threads, batch=batch,
                    param=param, x=x_part, loss=loss, **targets_part.arguments,
                )  # fmt: skip
            totals += [result.sum() for result in results]
        sum_of_losses, correct, weight = totals
        return float(sum_of_losses / weight) if weight else float("nan"), int(correct)

    def predict(self, x: Array, target: Target, threads: int | None = None) -> Array:
        """The last layer's outputs (n, *output_shape), without dropout."""
        y = np.empty((len(x), *self.output_shape), self.dtype)
        for x_part, y_part in pieces(x, y):
            n = len(x_part)
            with self.turns.mine():
                plan = self.plan(False, min(n, EVALUATION_BATCH), target)
                self._run(plan, Program.PREDICT, n, threads, x=x_part, y=y_part)
        return y

    # ---- by hand ----

    def forward(self, x: Array, training: bool, target: Target, threads: int | None = None) -> Array:
        """Outputs (n, *output_shape); with `training`, what `backward` needs is kept."""
        x, training = self.inputs(x), yes_or_no("training", training)
        y = np.empty((len(x), *self.output_shape), self.dtype)
        with self.turns.mine():
            plan, calls = self.plan(True, len(x), target), self._calls + training
            self._forget("its saved state was overwritten by a forward pass that did not come to its end")
            program = Program.FORWARD if training else Program.PREDICT
            self._run(plan, program, len(x), threads, x=x, y=y, epoch=calls)
            self._calls = calls
            if training:
                self._saved = target, len(x)
            else:
                self._forget("its saved state was overwritten by forward(training=False)")
        return y

    def backward(self, dy: Array, target: Target | None = None, threads: int | None = None) -> Array:
        """The gradient of the inputs (n, *input_shape); `gradient` gets the parameters'. target: where the forward pass
        was."""
        with self.turns.mine():
            if self._saved is None:
                raise RuntimeError(f"backward needs the state of a forward pass: {self._why_not}")
            saved, n = self._saved
            if target not in (None, saved):
                raise RuntimeError(f"backward needs the state of a forward pass, which was on {saved}, not on {target}")
            dy, expected = np.asarray(dy), (n, *self.output_shape)
            if dy.shape != expected:
                raise ValueError(f"dy must have the shape of the last forward's output, {expected}, not {dy.shape}")
            dy = exact_cast(dy, self.dtype, "dy")
            dx = np.empty((n, *self.input_shape), self.dtype)
            self._run(self.plan(True, n, saved), Program.BACKWARD, len(dy), threads, dy=dy, dx=dx, epoch=self._calls)
            self._forget("a backward pass has already used it")
        return dx

    def _forget(self, why: str) -> None:
        self._saved, self._why_not = None, why

    def loss_by_hand(
        self,
        loss: Any,
        z: Array,
        targets: Any,
        sample_weight: None,
        target: Target,
        threads: int | None = None,
        each: bool = False,
    ) -> tuple[Array, Array, Array] | tuple[float, Array]:
        """The mean of a loss for outputs z (n, classes), and its gradient. With `each`, of every sample: its loss (n,)
        and the gradient of that, times its weight, and that weight (n,)."""
        z = self.inputs(z, "outputs")
        targets = self.targets(loss, targets, len(z), sample_weight)
        losses, _, weight, dz = self._compare(loss, z, targets, target, threads, int(each))
        if each:
            return losses, np.where(weight[:, None] > 0, dz * weight[:, None].astype(self.dtype), 0), weight
        return float(losses.sum() / weight.sum()) if weight.sum() else float("nan"), dz

    def compare(
        self, loss: Any, z: Any, targets: ArrayLike, target: Target, threads: int | None = None
    ) -> tuple[float, int, float, Array]:
        """Of outputs z (n, classes): summed loss, how many are correct, their weight; the gradient of the mean loss."""
        *numbers, dz = self._compare(loss, z, targets, target, threads, batch=0)
        return *(part.sum() for part in numbers), dz

    def _compare(self, loss, z, targets, target, threads, batch):
        dz = np.empty((len(z), *self.output_shape), self.dtype)
        with self.turns.mine():
            plan = self.plan(True, len(z), target, loss)
            results = self._run(plan, Program.EVALUATE, len(z), threads, dx=dz, loss=loss, batch=batch,
                                x=z.astype(self.dtype, copy=False), **targets.arguments)  # fmt: skip
        return *results, dz


def restored(
    layers: Any, input_shape: Shape, dtype: DTypeLike, seed: int, first_layer: int, weights: Any, calls: int
) -> Network:
    """What `Network.__reduce__` was of."""
    network = Network(layers, input_shape, dtype, seed, first_layer)
    for view, array in zip(network.views(network.param), weights, strict=True):
        view[...] = array
    network._calls = calls
    return network


def pieces(x: Array, others: Array | Targets) -> Iterator[tuple[Array, Any]]:
    """x and what belongs to it, in pieces that C gets in one go, so that Ctrl-C is heard in between."""
    start = 0
    for piece in in_pieces(x, 8 * EVALUATION_BATCH):
        yield piece, others[start : start + len(piece)]
        start += len(piece)


def shapes_through(layers: Any, input_shape: Shape) -> list[tuple[int, ...]]:
    """The shape of one sample before the first layer and after every layer; ValueError where one does not fit."""
    shapes = [input_shape]
    for layer in layers:
        shapes.append(layer.output_shape(shapes[-1]))
    return shapes


def lower_all(layers: Any, builder: PlanBuilder, number: int) -> int:
    """Let a builder take layers, the first of which has this number: those that hold layers count as these. Returns the
    number behind the last."""
    for layer in layers:
        builder.layer = number
        layer.lower(builder)
        number += len(layer.leaves())
    return number


def lowered(layers: Any, input_shape: Shape, first_layer: int = 0, inference: bool = False) -> PlanBuilder:
    """A builder that has taken all layers; nothing is allocated."""
    builder = PlanBuilder(input_shape, inference)
    lower_all(layers, builder, first_layer)
    return builder
