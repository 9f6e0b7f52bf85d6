"""Builds plans: layers lower themselves into nodes, nodes emit ops; factors.py makes them those of a precision, and
placing.py gives them phases and memory.

A plan is pure data for a backend in csrc. Nothing here computes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from . import _native, nodes
from ._native import ActivationKind, Constant, Op, Program, padded
from ._types import DTypeLike, Shape
from .operands import (
    Activation,
    ConvWeight,
    Geometry,
    Gradient,
    LargeLinearWeight,
    Packed,
    Parameter,
    PlainWeight,
    PlannedOp,
    SmallLinearWeight,
    Tensor,
    WholeGradient,
    real_word,
)
from .placing import assemble

if TYPE_CHECKING:
    from ._native import Target


def small_linear(inputs: int, outputs: int) -> bool:
    """Does a linear layer run sample by sample (SHARD scope)? A head of few outputs does, up to more weights: as
    a product over the batch it would leave lanes empty."""
    return inputs * outputs <= (16_384 if outputs <= Constant.PAD else 4_096)


class PlanBuilder:
    """Takes a network layer by layer, as it trains or as it predicts: in `inference` nothing is random, and
    batch norm has the running statistics, which a convolution takes in.

    `layer` is the index of the layer that is lowering itself; `shape` the public shape (c, h, w) or (n,)
    of what it gets.
    """

    current: Tensor
    inference: bool
    input: Tensor
    layer: int
    loss: Callable[..., Any] | None
    offset: float
    scale: float
    shape: tuple[int, ...]

    def __init__(self, input_shape: Shape, inference: bool = False) -> None:
        self.layer, self.inference = 0, inference
        self.shape = tuple(input_shape)
        c, h, w = self.shape if len(self.shape) == 3 else (self.shape[0], 1, 1)
        self.input = self.current = Tensor(Geometry(h, w, c))
        self.scale, self.offset = 1.0, 0.0
        self.nodes: list[nodes.Node] = []
        self.loss = None  # a function of the outputs' tensor that makes the loss's op
        self.parameters: list[Parameter] = []
        self._next_offset = 0

    # -- what layers call --

    def rescale(self, scale: float, offset: float) -> None:
        if self.nodes:
            raise ValueError(
                "Rescaling must be the first layer (Flatten may come before it): it is applied while pictures are read"
            )
        self.scale, self.offset = self.scale * scale, self.offset * scale + offset

    def conv(
        self,
        output_shape: Shape,
        kernel: tuple[int, ...],
        stride: tuple[int, ...],
        padding: tuple[int, ...],
        dilation: tuple[int, ...],
        groups: int,
        bias: bool,
    ) -> None:
        """padding: (top, bottom, left, right)."""
        x = self.current.geometry
        x.border = padding
        channels, h, w = output_shape
        y = Tensor(Geometry(h, w, channels))
        node = self._append(nodes.Conv, y, kernel, stride, dilation, groups, shape=output_shape)
        self._weights(node, ConvWeight, (channels, x.c // groups, *kernel), bias)

    def activation(self, kind: Any, alpha: float = 0.0, threshold: float = 0.0) -> None:
        activation, last = Activation(kind, alpha, threshold), self._last
        plain = isinstance(last, nodes.Conv) and last.activation == Activation()
        if plain and activation.in_block(self.inference):
            last.activation = activation
            last.y.kept = not activation.in_argmax
            return
        # that of running statistics stays alone: so does its step in C code
        if type(last) is nodes.Norm and not last.rectified and activation == Activation(ActivationKind.RELU):
            last.rectified = True
            return
        if not activation.from_y and not self.inference:
            self.current.kept = True
        y = self._overwritten_or_new(kept=activation.from_y)
        self._append(nodes.Elementwise, y, activation)

    def max_pool(
        self,
        output_shape: Shape,
        kernel: tuple[int, ...],
        stride: tuple[int, ...],
        padding: tuple[int, ...],
        dilation: tuple[int, ...],
    ) -> None:
        """padding: (top, bottom, left, right)."""
        x = self.current.geometry
        _, h, w = output_shape
        apart = kernel == stride and not any(padding) and kernel[0] * kernel[1] <= Constant.NO_GRADIENT
        apart = apart and dilation == (1, 1) and h * kernel[0] <= x.h and w * kernel[1] <= x.w
        if isinstance(self._last, nodes.Conv) and self._last.pool == (1, 1) and apart:
            self._last.pool, x.h, x.w, self.shape = kernel, h, w, output_shape
            return
        y = Tensor(Geometry(h, w, x.c))
        self._append(nodes.MaxPool, y, kernel, stride, padding, dilation, shape=output_shape)

    def average_pool(
        self,
        output_shape: Shape,
        kernel: tuple[int, ...],
        stride: tuple[int, ...],
        padding: tuple[int, ...],
        count_include_pad: bool,
    ) -> None:
        y = Tensor(Geometry(*output_shape[1:], output_shape[0]))
        self._append(nodes.AveragePool, y, kernel, stride, padding, count_include_pad, shape=output_shape)

    def batch_norm(self, epsilon: float, momentum: float, affine: bool) -> None:
        x, last = self.current, self._last
        plain = isinstance(last, nodes.Conv) and last.activation == Activation() and not last.normed
        if not self.inference:
            node = self._append(nodes.Norm, Tensor(x.geometry, gradient=x.gradient), epsilon, momentum)
        elif plain and last.pool != (1, 1):
            node = last.normed = nodes.FoldedNorm(self.layer, x, x, epsilon, momentum)
        elif plain and not last.norm:
            node = last.norm = nodes.FoldedNorm(self.layer, x, x, epsilon, momentum)
        else:
            node = self._append(nodes.FoldedNorm, self._overwritten_or_new(kept=False), epsilon, momentum)
        shape, (elements, _) = (x.geometry.c,), node.sizes()
        if affine:
            self._weights(node, Parameter, shape, bias=True)
        node.running = self._buffer("running_mean", shape, elements)
        self._buffer("running_var", shape, elements)
        self._buffer("num_batches_tracked", (), Constant.PAD)

    def linear(self, features: int, bias: bool) -> None:
        n = self.current.geometry.c
        y = Tensor(Geometry(1, 1, features))
        if small_linear(n, features):
            kind, weight = nodes.SmallLinear, SmallLinearWeight
        else:
            kind = nodes.SparseLinear if self.current is self.input else nodes.LargeLinear
            weight = LargeLinearWeight
        self._weights(self._append(kind, y, shape=(features,)), weight, (features, n), bias)

    def weights(self, elements: int) -> None:
        """A flat vector of weights that no op reads, only updates."""
        node = self._append(nodes.Weights, self.current)
        self._parameter(node, Parameter, "weights", (elements,), padded(elements))

    def updated(self, parameters: Iterable[Parameter]) -> None:
        """Parameters of a whole network that lie where they are; no op reads them, only updates."""
        for parameter in parameters:
            self.layer = parameter.layer
            self._place(parameter)
            if parameter.trained:
                self._append(nodes.Weights, self.current).parameters.append(parameter)

    def python(self, output_shape: Shape, weights: Mapping[str, Shape]) -> None:
        """What Python computes, between plans; weights: shapes by name."""
        c, h, w = output_shape if len(output_shape) == 3 else (output_shape[0], 1, 1)
        node = self._append(nodes.Python, Tensor(Geometry(h, w, c)), shape=tuple(output_shape))
        for name, shape in weights.items():
            self._parameter(node, PlainWeight, name, shape, padded(math.prod(shape)))

    def flatten(self) -> None:
        x = self.current.geometry
        y = Tensor(Geometry(1, 1, x.c * x.h * x.w))
        if len(self.shape) == 3 and not self.nodes:  # the caller's pictures are in this order
            self.input = self.current = y
            self.shape = (x.c * x.h * x.w,)
        elif len(self.shape) == 3:
            self._append(nodes.Flatten, y, shape=(x.c * x.h * x.w,))

    def fork(self) -> nodes.Fork:
        """A residual block begins: its input stays as it is until `join`."""
        self.current.kept = True
        fork = self._append(nodes.Fork, self.current)
        fork.shape = self.shape
        return fork

    def join(self, fork: Any, projection: None = None) -> None:
        """A residual block ends: to the current tensor comes the fork's, or what the layer `projection` makes of it."""
        branch, shape, skip = self.current, self.shape, fork.x
        if projection is not None:
            self.current = fork.x
            fork.skip = Tensor(Geometry(fork.x.geometry.h, fork.x.geometry.w, fork.x.geometry.c))
            self._append(nodes.Copy, fork.skip, shape=fork.shape)
            projection.lower(self)
            skip, self.current = self.current, branch
        g = branch.geometry
        y = Tensor(Geometry(g.h, g.w, g.c))
        self._append(nodes.Add, y, skip, projection is not None, shape=shape)
        if projection is None:
            fork.skip = y

    def dropout(self, p: float) -> None:
        if p > 0 and not self.inference:
            rectified = self._rectified
            self._append(nodes.Dropout, self._overwritten_or_new(kept=rectified), p, rectified)

    def noise(self, std: float) -> None:
        if std > 0 and not self.inference:
            self._append(nodes.Noise, self._overwritten_or_new(kept=False), std)

    def warp(self, cutout: int, grid: int, numbers: tuple[float, ...], fill: float | None) -> None:
        """numbers: in the order of pmc_warp; fill: None for what a black pixel is after Rescaling."""
        if not self.inference:
            numbers = (*numbers, self.offset if fill is None else fill)
            self._append(nodes.Warp, Tensor(self.current.geometry), cutout, grid, numbers)

    def morphology(self, dilation: float, erosion: float) -> None:
        if not self.inference:
            self.current.kept = True
            self._append(nodes.Morphology, Tensor(self.current.geometry), dilation, erosion)

    def erase(self, numbers: tuple[float, ...], fill: tuple[float, float] | None) -> None:
        """numbers: in the order of pmc_erasing; fill: None for what a black pixel is after Rescaling."""
        if not self.inference:
            low, high = (self.offset, self.offset) if fill is None else fill
            self._append(nodes.Erasing, self._overwritten_or_new(kept=False), numbers, low, high)

    def softmax(self, axis: int) -> None:
        """axis: of a sample."""
        self._append(nodes.Softmax, self._overwritten_or_new(kept=True), axis)

    def log_softmax(self, axis: int) -> None:
        y = Tensor(self.current.geometry, kept=True, gradient=self.current.gradient)
        self._append(nodes.LogSoftmax, y, axis)

    def use_loss(self, kind: Op, smoothing: float = 0.0) -> None:
        """One of the loss ops, on flat outputs."""
        layer = self.layer  # a function that holds this builder would keep it in memory
        self.loss = lambda z: PlannedOp(kind, layer, [z.gradient, z.value], [z.geometry.c, real_word(smoothing)])

    @property
    def _last(self) -> Any:
        return self.nodes[-1] if self.nodes else None

    @property
    def _rectified(self) -> bool:
        """Have the current tensor's zeros no gradient, as behind a ReLU?"""
        moved = (nodes.Flatten, nodes.Dropout)  # by which zeros stay zeros
        last = next((node for node in reversed(self.nodes) if not isinstance(node, moved)), None)
        if isinstance(last, nodes.Norm):
            return last.rectified
        return isinstance(last, (nodes.Conv, nodes.Elementwise)) and last.activation == Activation(ActivationKind.RELU)

    def _overwritten_or_new(self, kept: bool) -> Tensor:
        """The current tensor, to work in place, or one of the same geometry where it must survive."""
        if self.current.kept:
            return Tensor(self.current.geometry, kept, self.current.gradient)
        self.current.kept = kept
        return self.current

    def _weights(self, node: Any, kind: type[Any], shape: Shape, bias: bool) -> None:
        """A weight, and a bias if there is one, of the sizes that the node says."""
        if math.prod(shape) > Constant.LARGEST:
            raise ValueError(f"weight of shape {shape} is too large: more than {Constant.LARGEST:,} elements")
        of_weight, of_bias = node.sizes()
        self._parameter(node, kind, "weight", shape, of_weight)
        if bias:
            self._parameter(node, Parameter, "bias", shape[:1], of_bias)

    def _parameter(self, node: Any, kind: type[Any], name: str, shape: Shape, elements: int) -> None:
        node.parameters.append(self._place(kind(self.layer, name, shape, elements, self._next_offset)))

    def _buffer(self, name: str, shape: Shape, elements: int) -> Parameter:
        return self._place(Parameter(self.layer, name, shape, elements, self._next_offset, trained=False))

    def _place(self, parameter: Any) -> Any:
        self._next_offset += parameter.elements
        self.parameters.append(parameter)
        return parameter

    def _append(self, kind: type[Any], y: Tensor, *settings: Any, shape: Shape | None = None) -> Any:
        """A node from the current tensor to y, of the public shape that was there if none is given."""
        node = kind(self.layer, self.current, y, *settings)
        self.nodes.append(node)
        self.current, self.shape = y, shape or self.shape
        return node

    @property
    def vector_elements(self) -> int:
        """Length of the model's flat vectors: all parameters, and slack that vector loads may touch."""
        return self._next_offset + Constant.PAD

    # -- programs --

    def _transfer(
        self, kind: Op, port: int, buffer: Any, geometry: Geometry, scale: float = 1.0, offset: float = 0.0
    ) -> PlannedOp:
        return PlannedOp(kind, 0, [buffer], [*geometry.words, port, real_word(scale), real_word(offset)])

    def read(self) -> PlannedOp:
        x = self.input
        return self._transfer(Op.INPUT, Constant.PORT_X, x.value, x.geometry, self.scale, self.offset)

    def forward(self) -> list[PlannedOp]:
        return [self.read()] + [op for node in self.nodes for op in node.forward(training=not self.inference)]

    def write(self) -> PlannedOp:
        return self._transfer(Op.OUTPUT, Constant.PORT_Y, self.current.value, self.current.geometry)

    def read_gradient(self) -> PlannedOp:
        return self._transfer(Op.INPUT, Constant.PORT_DY, self.current.gradient, self.current.geometry)

    def backward(self, input_gradient: bool) -> list[Any] | list[PlannedOp]:
        """From the last node to the first; to the inputs if asked for, else to the first that has parameters."""
        first = next((i for i, node in enumerate(self.nodes) if node.parameters), len(self.nodes))
        wanted = range(len(self.nodes)) if input_gradient else range(first, len(self.nodes))
        return [op for i in reversed(wanted) for op in self.nodes[i].backward(input_gradient or i > first)]

    def write_gradient(self) -> PlannedOp:
        return self._transfer(Op.OUTPUT, Constant.PORT_DX, self.input.gradient, self.input.geometry, self.scale)

    def gradients(self, gradient_only: bool) -> list[Any] | list[PlannedOp]:
        return [op for node in self.nodes for op in node.gradients(gradient_only)]

    def updates(self, clip: bool) -> list[PlannedOp]:
        """Gradients and updates in one; or, if they are to be clipped, gradients, their norm, updates."""
        if not clip:
            return self.gradients(gradient_only=False)
        trained = [(node, p) for node in self.nodes for p in node.parameters]
        squares, gradients = Packed("squares of gradients", 0), WholeGradient(tuple(Gradient(p) for _, p in trained))
        return [
            *self.gradients(gradient_only=True),
            PlannedOp(Op.GRADIENT_SQUARES, 0, [squares, gradients], [self.vector_elements]),
            *(node.update(p, squares=squares) for node, p in trained),
        ]

    def prepare(self, updated: bool = False) -> list[Any] | list[PlannedOp]:
        return [op for node in self.nodes for op in node.prepare(updated)]


def training_plan(
    training: PlanBuilder, inference: PlanBuilder, dtype: DTypeLike, capacity: int, clip: bool, target: Any
) -> _native.Plan:
    """The plan that trains, evaluates and predicts; from both builders of a network."""
    predict = inference.forward()
    lifetimes = [{}, {Program.PREDICT: [*predict, inference.write()]}]
    if training.loss:
        lifetimes[0][Program.TRAIN] = [
            *training.forward(),
            training.loss(training.current),
            *training.backward(input_gradient=False),
            *training.updates(clip),
            *training.prepare(updated=not clip),
        ]
        lifetimes[1][Program.EVALUATE] = [*predict, inference.loss(inference.current)]
    return assemble(lifetimes, [training, inference], np.dtype(dtype), capacity, target)


def prediction_plan(inference: PlanBuilder, dtype: DTypeLike, capacity: int, target: Target) -> _native.Plan:
    """The plan that only predicts."""
    program = {Program.PREDICT: [*inference.forward(), inference.write()]}
    return assemble([program], [inference], np.dtype(dtype), capacity, target)


def plan_by_hand(
    training: PlanBuilder, inference: PlanBuilder, dtype: DTypeLike, capacity: int, target: Any
) -> _native.Plan:
    """The plan for forward and backward by hand. They are one lifetime: a student may do anything in between."""
    backward = [*training.backward(input_gradient=True), training.write_gradient()]
    lifetimes = [
        {
            Program.FORWARD: [*training.forward(), training.write()],
            Program.BACKWARD: [training.read_gradient(), *backward, *training.gradients(gradient_only=True)],
        },
        {Program.PREDICT: [*inference.forward(), inference.write()]},
    ]
    if training.loss:  # of a loss alone, the gradient of its outputs comes back
        loss = [training.read(), training.loss(training.current), training.write_gradient()]
        lifetimes[0][Program.EVALUATE] = loss
    return assemble(lifetimes, [training, inference], np.dtype(dtype), capacity, target)


def update_plan(builder: PlanBuilder, dtype: DTypeLike, clip: bool, target: Any) -> _native.Plan:
    """The plan whose program BACKWARD is only the builder's updates, with gradients that are there already."""
    return assemble([{Program.BACKWARD: builder.updates(clip)}], [builder], np.dtype(dtype), 1, target)
