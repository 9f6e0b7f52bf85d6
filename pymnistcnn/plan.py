"""Builds plans: layers lower themselves into nodes, nodes emit ops, ops get phases and memory.

A plan is pure data for csrc/run.c (see csrc/pmc.h for the meaning of every field). Nothing here computes.
"""

from __future__ import annotations

from itertools import groupby

import numpy as np

from . import _native
from ._native import Arena, Constant, Op, Port, Program
from .nodes import (
    PAD,
    Activation,
    AveragePool,
    Buffer,
    Conv,
    ConvWeight,
    Dropout,
    Elementwise,
    Flatten,
    FoldedNorm,
    Geometry,
    LargeLinear,
    LargeLinearWeight,
    LogSoftmax,
    MaxPool,
    Node,
    Noise,
    Norm,
    Panel,
    PanelPart,
    Parameter,
    PlannedOp,
    Scratch,
    ShardGradient,
    SmallLinear,
    SmallLinearWeight,
    Softmax,
    SparseLinear,
    Tensor,
    Warp,
    Weights,
    aligned,
    padded,
    real_word,
)

GROUP_BYTES = 192 * 1024  # what a thread's group of samples may take: a part of any L2
GROUP_MOST = 8
UPDATE_ROW = 256  # of weights that are updated alone, which have no rows of their own
LARGEST = (2**31 - 1) // 2  # elements of a parameter; csrc/plan.c has the same bound


def small_linear(inputs, outputs) -> bool:
    """Does a linear layer run sample by sample (SHARD scope)? A head of few outputs does, up to more weights: as
    a product over the batch it would leave lanes empty."""
    return inputs * outputs <= (16_384 if outputs <= PAD else 4_096)


class PlanBuilder:
    """Takes a network layer by layer, as it trains or as it predicts: in `inference` nothing is random, and
    batch norm has the running statistics, which a convolution takes in.

    `layer` is the index of the layer that is lowering itself; `shape` the public shape (c, h, w) or (n,)
    of what it gets.
    """

    def __init__(self, input_shape, inference=False):
        self.layer, self.inference = 0, inference
        self.shape = tuple(input_shape)
        c, h, w = self.shape if len(self.shape) == 3 else (self.shape[0], 1, 1)
        self.input = self.current = Tensor(Geometry(h, w, c))
        self.scale, self.offset = 1.0, 0.0
        self.nodes: list[Node] = []
        self.loss = None  # a function of the outputs' tensor that makes the loss's op
        self.parameters: list[Parameter] = []
        self._next_offset = 0

    # -- what layers call --

    def rescale(self, scale, offset):
        if self.nodes:
            raise ValueError(
                "Rescaling must be the first layer (Flatten may come before it): it is applied while pictures are read"
            )
        self.scale, self.offset = self.scale * scale, self.offset * scale + offset

    def conv(self, output_shape, kernel, stride, padding, dilation, groups, bias):
        """padding: (top, bottom, left, right)."""
        x = self.current.geometry
        x.border = padding
        channels, h, w = output_shape
        node = Conv(self.layer, self.current, Tensor(Geometry(h, w, channels)), kernel, stride, dilation, groups)
        row = padded(kernel[1] * (x.c // groups))
        shape = (channels, x.c // groups, *kernel)
        self._parameter(node, ConvWeight, "weight", shape, channels, kernel[0] * row)
        self._append(node, output_shape, bias)

    def activation(self, kind, alpha=0.0, threshold=0.0):
        activation, last = Activation(kind, alpha, threshold), self._last
        if isinstance(last, Conv) and last.activation == Activation():  # monotone: commutes with the pool
            last.activation = activation
            last.y.kept = not activation.in_argmax
            return
        self._append(Elementwise(self.layer, self.current, self._overwritten_or_new(kept=True), activation), self.shape)

    def max_pool(self, output_shape, kernel, stride, padding, dilation):
        """padding: (vertical, horizontal)."""
        x = self.current.geometry
        _, h, w = output_shape
        apart = kernel == stride and padding == (0, 0) and kernel[0] * kernel[1] <= Constant.DEAD
        apart = apart and dilation == (1, 1) and h * kernel[0] <= x.h and w * kernel[1] <= x.w
        if isinstance(self._last, Conv) and self._last.pool == (1, 1) and apart:
            self._last.pool, x.h, x.w, self.shape = kernel, h, w, output_shape
            return
        node = MaxPool(self.layer, self.current, Tensor(Geometry(h, w, x.c)), kernel, stride, padding, dilation)
        self._append(node, output_shape)

    def average_pool(self, output_shape, kernel, stride, padding, count_include_pad):
        y = Tensor(Geometry(*output_shape[1:], output_shape[0]))
        self._append(AveragePool(self.layer, self.current, y, kernel, stride, padding, count_include_pad), output_shape)

    def batch_norm(self, epsilon, momentum, affine):
        x, last = self.current, self._last
        if not self.inference:
            y = Tensor(x.geometry, gradient=x.gradient)
            node = Norm(self.layer, x, y, epsilon, momentum)
        else:
            node = FoldedNorm(self.layer, x, self._overwritten_or_new(kept=False), epsilon, momentum)
        channels = x.geometry.c
        for name in ("weight", "bias") if affine else ():
            self._parameter(node, Parameter, name, (channels,), 1, padded(channels))
        node.running = self._buffer("running_mean", (channels,))
        self._buffer("running_var", (channels,))
        self._buffer("num_batches_tracked", ())
        plain = isinstance(last, Conv) and last.activation == Activation() and last.pool == (1, 1) and not last.norm
        if self.inference and plain:
            last.norm = node
            return
        self._append(node, self.shape)

    def linear(self, features, bias):
        n = self.current.geometry.c
        y = Tensor(Geometry(1, 1, features))
        if small_linear(n, features):
            node = SmallLinear(self.layer, self.current, y)
            self._parameter(node, SmallLinearWeight, "weight", (features, n), features, padded(n))
        else:
            kind = SparseLinear if self.current is self.input else LargeLinear
            node = kind(self.layer, self.current, y)
            self._parameter(node, LargeLinearWeight, "weight", (features, n), n, padded(features))
        self._append(node, (features,), bias)

    def weights(self, elements):
        """A flat vector of weights that no op reads, only updates."""
        node = Weights(self.layer, self.current, self.current)
        self._parameter(node, Parameter, "weights", (elements,), -(-elements // UPDATE_ROW), UPDATE_ROW)
        self._append(node, self.shape)

    def flatten(self):
        x = self.current.geometry
        y = Tensor(Geometry(1, 1, x.c * x.h * x.w))
        if len(self.shape) == 3 and not self.nodes:  # the caller's pictures are in this order
            self.input = self.current = y
            self.shape = (x.c * x.h * x.w,)
        elif len(self.shape) == 3:
            self._append(Flatten(self.layer, self.current, y), (x.c * x.h * x.w,))

    def dropout(self, p):
        if p > 0 and not self.inference:
            self._append(Dropout(self.layer, self.current, self._overwritten_or_new(kept=False), p), self.shape)

    def noise(self, std):
        if std > 0 and not self.inference:
            self._append(Noise(self.layer, self.current, self._overwritten_or_new(kept=False), std), self.shape)

    def warp(self, cutout, rotation, shift, scale, shear, elastic, sigma, fill):
        """fill: None for what a black pixel is after Rescaling."""
        if not self.inference:
            numbers = (rotation, shift, scale, shear, elastic, sigma, self.offset if fill is None else fill)
            y = Tensor(self.current.geometry)
            self._append(Warp(self.layer, self.current, y, cutout, numbers), self.shape)

    def softmax(self):
        self._append(Softmax(self.layer, self.current, self._overwritten_or_new(kept=True)), self.shape)

    def log_softmax(self):
        y = Tensor(self.current.geometry, kept=True, gradient=self.current.gradient)
        self._append(LogSoftmax(self.layer, self.current, y), self.shape)

    def use_loss(self, kind, smoothing=0.0):
        """One of the loss ops, on flat outputs."""
        self.loss = lambda z: PlannedOp(
            kind, self.layer, [z.gradient, z.value], [z.geometry.c, real_word(smoothing)]
        )  # fmt: skip

    @property
    def _last(self):
        return self.nodes[-1] if self.nodes else None

    def _overwritten_or_new(self, kept):
        """The current tensor, to work in place, or one of the same geometry where it must survive."""
        if self.current.kept:
            return Tensor(self.current.geometry, kept, self.current.gradient)
        self.current.kept = kept
        return self.current

    def _parameter(self, node, kind, name, shape, rows, length):
        if rows * length > LARGEST:
            raise ValueError(f"{name} of shape {shape} is too large: more than {LARGEST:,} elements")
        parameter = kind(self.layer, name, shape, rows, length, self._next_offset)
        self._next_offset += parameter.elements
        node.parameters.append(parameter)
        self.parameters.append(parameter)

    def _buffer(self, name, shape):
        length = padded(*shape or (1,))
        buffer = Parameter(self.layer, name, shape, 1, length, self._next_offset, trained=False)
        self._next_offset += buffer.elements
        self.parameters.append(buffer)
        return buffer

    def _append(self, node, shape, bias=False):
        if bias:
            self._parameter(node, Parameter, "bias", (shape[0],), 1, padded(shape[0]))
        self.nodes.append(node)
        self.current, self.shape = node.y, shape

    @property
    def vector_elements(self):
        """Length of the model's flat vectors: all parameters, and slack that vector loads may touch."""
        return self._next_offset + PAD

    # -- programs --

    def _transfer(self, kind, port, buffer, geometry, scale=1.0, offset=0.0):
        return PlannedOp(kind, 0, [buffer], [*geometry.words, port, real_word(scale), real_word(offset)])

    def read(self):
        x = self.input
        return self._transfer(Op.INPUT, Port.PORT_X, x.value, x.geometry, self.scale, self.offset)

    def forward(self):
        return [self.read()] + [op for node in self.nodes for op in node.forward(training=not self.inference)]

    def write(self):
        return self._transfer(Op.OUTPUT, Port.PORT_Y, self.current.value, self.current.geometry)

    def read_gradient(self):
        return self._transfer(Op.INPUT, Port.PORT_DY, self.current.gradient, self.current.geometry)

    def backward(self, input_gradient):
        """From the last node to the first; to the inputs if asked for, else to the first that has parameters."""
        first = next((i for i, node in enumerate(self.nodes) if node.parameters), len(self.nodes))
        wanted = range(len(self.nodes)) if input_gradient else range(first, len(self.nodes))
        return [op for i in reversed(wanted) for op in self.nodes[i].backward(input_gradient or i > first)]

    def write_gradient(self):
        return self._transfer(Op.OUTPUT, Port.PORT_DX, self.input.gradient, self.input.geometry, self.scale)

    def gradients(self, gradient_only):
        return [op for node in self.nodes for op in node.gradients(gradient_only)]

    def updates(self, clip):
        """Gradients and updates in one; or, if they are to be clipped, gradients, their norm, updates."""
        if not clip:
            return self.gradients(gradient_only=False)
        tasks = -(-self.vector_elements // Constant.SQUARES)
        squares = Panel("squares of gradients", 0, 2 * tasks)  # doubles: twice a real, or more
        return [
            *self.gradients(gradient_only=True),
            PlannedOp(Op.GRADIENT_SQUARES, 0, [squares], [tasks, Constant.SQUARES]),
            *(
                PlannedOp(Op.UPDATE, p.layer, [p, None, squares], [p.rows, p.length])
                for p in self.parameters
                if p.trained
            ),
        ]

    def prepare(self):
        return [op for node in self.nodes for op in node.prepare()]


def training_plan(training, inference, dtype, capacity, clip, device=None) -> _native.Plan:
    """The plan that trains, evaluates and predicts; from both builders of a network. device: None for the processor."""
    predict = inference.forward()
    lives = [{}, {Program.PREDICT: [*predict, inference.write()]}]
    if training.loss:
        lives[0][Program.TRAIN] = [
            *training.forward(), training.loss(training.current), *training.backward(input_gradient=False),
            *training.updates(clip), *training.prepare(),
        ]  # fmt: skip
        lives[1][Program.EVALUATE] = [*predict, inference.loss(inference.current)]
    return assemble(lives, [training, inference], np.dtype(dtype), capacity, device)


def plan_by_hand(training, inference, dtype, capacity, device=None) -> _native.Plan:
    """The plan for forward and backward by hand. They are one life: a student may do anything in between."""
    backward = [*training.backward(input_gradient=True), training.write_gradient()]
    lives = [
        {
            Program.FORWARD: [*training.forward(), training.write()],
            Program.BACKWARD: [training.read_gradient(), *backward, *training.gradients(gradient_only=True)],
        },
        {Program.PREDICT: [*inference.forward(), inference.write()]},
    ]
    if training.loss:  # of a loss alone, the gradient of its outputs comes back
        lives[0][Program.EVALUATE] = [training.read(), training.loss(training.current), training.write_gradient()]
    return assemble(lives, [training, inference], np.dtype(dtype), capacity, device)


def update_plan(builder, dtype, clip, device=None) -> _native.Plan:
    """The plan whose program BACKWARD is only the builder's updates, with gradients that are there already."""
    return assemble([{Program.BACKWARD: builder.updates(clip)}], [builder], np.dtype(dtype), 1, device)


def split_into_phases(ops) -> list[list[PlannedOp]]:
    """Adjacent SHARD ops merge; so do updates, and packs. A product over the batch is a phase of its own."""

    def phase(item):
        index, op = item
        if not op.tiles:
            return "shard"
        if op.kind in (Op.UPDATE, Op.LINEAR_TILE_WEIGHT_GRADIENT):
            return "update"
        return op.kind if op.kind in (Op.CONV_PACK, Op.NORM_FOLD) else -index

    return [[op for _, op in items] for _, items in groupby(enumerate(ops), phase)]


def assemble(lives, builders, dtype, capacity, device) -> _native.Plan:
    """Gives every buffer its place and encodes ops, phases and programs.

    lives: ops by program; what the programs of one life leave in memory the others of it find there. On a device all
    samples of a batch are in flight at once: they are one group.
    """
    real = dtype.itemsize
    prepare = {op.refs[0]: op for builder in builders for op in builder.prepare()}.values()
    prepare = sorted(prepare, key=lambda op: op.kind == Op.CONV_PACK)  # norms are folded into filters
    phases = {program: split_into_phases(ops) for life in lives for program, ops in life.items()}
    phases[Program.PREPARE] = split_into_phases(prepare)
    ops = [op for program in phases.values() for phase in program for op in phase]
    sizes = dict.fromkeys(("pack_bytes", "shard_bytes"), 0)

    def take(sizes, name, size):
        offset = sizes[name]
        sizes[name] += aligned(size) + Constant.GUARD
        return offset

    panels = {}
    for panel in unique(ref.panel if isinstance(ref, PanelPart) else ref for op in ops for ref in op.refs):
        if isinstance(panel, Panel):
            panels[panel] = take(sizes, "pack_bytes", panel.elements * real)
    for gradient in unique(ref for op in ops for ref in op.refs if isinstance(ref, ShardGradient)):
        gradient.offset = take(sizes, "shard_bytes", gradient.parameter.elements * real)

    placed = [place_buffers({program: phases[program] for program in life}) for life in lives]
    in_thread = [sum(b.sample_bytes(real) for b in buffers if b.arena == Arena.THREAD) for buffers in placed]
    group = max(1, min(GROUP_MOST, capacity, GROUP_BYTES // max(*in_thread, 1))) if device is None else capacity
    ends = []
    for buffers in placed:  # lives do not remember each other: each has the memory to itself
        ends.append(dict.fromkeys(("batch_bytes", "thread_bytes"), 0))
        for buffer in buffers:
            name, samples = ("batch_bytes", capacity) if buffer.arena == Arena.BATCH else ("thread_bytes", group)
            buffer.offset = take(ends[-1], name, samples * buffer.sample_bytes(real))
    sizes |= {name: max(end[name] for end in ends) for name in ("batch_bytes", "thread_bytes")}
    demands = [ref.bytes(group, real) for op in ops for ref in op.refs if isinstance(ref, Scratch)]
    scratch = take(sizes, "thread_bytes", max(demands, default=0))

    def place(ref):
        if ref is None:
            return Arena.NOWHERE, 0
        if isinstance(ref, Buffer):
            return ref.arena, ref.offset
        if isinstance(ref, Parameter):
            return Arena.PARAM, ref.offset * real
        if isinstance(ref, Panel):
            return Arena.PACK, panels[ref]
        if isinstance(ref, PanelPart):
            return Arena.PACK, panels[ref.panel] + ref.start * real
        if isinstance(ref, ShardGradient):
            return Arena.SHARD, ref.offset
        return Arena.THREAD, scratch

    rows, phase_rows = [], []
    program_rows = np.zeros((len(Program), 2), np.int64)
    for program, program_phases in phases.items():
        program_rows[program] = len(phase_rows), len(program_phases)
        for phase in program_phases:
            scope = Constant.SCOPE_TILES if phase[0].tiles else Constant.SCOPE_SHARD
            phase_rows.append((scope, len(rows), len(phase)))
            rows += [encode(op, place) for op in phase]
    network = builders[0]
    sizes |= dict(dtype=int(dtype == np.float64), capacity=capacity, group=group,
                  model_bytes=network.vector_elements * real, x_elements=network.input.geometry.elements,
                  y_elements=network.current.geometry.elements)  # fmt: skip
    if max(sizes.values()) >= 2**63:
        raise ValueError("the network or batch is too large: its workspaces have more bytes than can be counted")
    ops, phases = np.array(rows, np.int64), np.array(phase_rows, np.int64)
    return _native.Plan(sizes, ops.reshape(-1, _native.OP_WORDS), phases.reshape(-1, 3), program_rows, device)


def place_buffers(life):
    """THREAD for what lives within one phase of a life's programs, BATCH for what outlives it; all buffers."""
    uses: dict[Buffer, set] = {}
    in_tiles = set()
    for program, program_phases in life.items():
        for number, phase in enumerate(program_phases):
            for op in phase:
                for ref in op.refs:
                    if isinstance(ref, Buffer):
                        uses.setdefault(ref, set()).add((program, number))
                        if op.tiles:
                            in_tiles.add(ref)
    for buffer, places in uses.items():
        programs = {program for program, _ in places}
        outlives = {Program.FORWARD, Program.BACKWARD} <= programs or len(places) > len(programs)
        buffer.arena = Arena.BATCH if outlives or buffer in in_tiles else Arena.THREAD
    return list(uses)


def encode(op, place):
    """An op as the words of a pmc_op."""
    refs = [place(ref) for ref in op.refs] + [(Arena.NOWHERE, 0)] * (Constant.REFS - len(op.refs))
    shape = op.shape + [0] * (Constant.FIELDS - len(op.shape))
    return [op.kind, op.layer, *(word for ref in refs for word in ref), *shape]


def unique(items):
    return list(dict.fromkeys(items))
