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
    Buffer,
    Conv,
    ConvWeight,
    Dropout,
    Flatten,
    Geometry,
    LargeLinear,
    LargeLinearWeight,
    Node,
    Panel,
    Parameter,
    PlannedOp,
    Pool,
    Scratch,
    ShardGradient,
    SmallLinear,
    SmallLinearWeight,
    Softmax,
    Tensor,
    aligned,
    padded,
    real_word,
)

SMALL_LINEAR = 16_384  # weights up to which a linear layer runs sample by sample (SHARD scope)
GROUP_BYTES = 192 * 1024  # what a thread's group of samples may take: a part of any L2
GROUP_MOST = 8
LARGEST = (2**31 - 1) // 2  # elements of a parameter; csrc/plan.c has the same bound


class PlanBuilder:
    """Takes a network layer by layer, then builds plans of it.

    `layer` is the index of the layer that is lowering itself; `shape` the public shape (c, h, w) or (n,)
    of what it gets.
    """

    def __init__(self, input_shape):
        self.layer = 0
        self.shape = tuple(input_shape)
        c, h, w = self.shape if len(self.shape) == 3 else (self.shape[0], 1, 1)
        self.input = self.current = Tensor(Geometry(h, w, c))
        self.scale, self.offset = 1.0, 0.0
        self.nodes: list[Node] = []
        self.loss = None  # a function of the logits' tensor that makes the loss's op
        self.parameters: list[Parameter] = []
        self._next_offset = 0

    # -- what layers call --

    def rescale(self, scale, offset):
        if self.nodes:
            raise ValueError("Rescaling must be the first layer: it is applied while pictures are read")
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

    def activation(self, kind):
        last = self.nodes[-1] if self.nodes else None
        if isinstance(last, Conv) and last.activation == Constant.IDENTITY:  # commutes with the pool
            last.activation = kind
            last.y.kept = kind == Constant.TANH
            return
        y = self._overwritten_or_new(kept=True)
        self._append(Activation(self.layer, self.current, y, kind), self.shape)

    def max_pool(self, output_shape, kernel, stride, padding):
        """padding: (vertical, horizontal)."""
        x = self.current.geometry
        _, h, w = output_shape
        last = self.nodes[-1] if self.nodes else None
        apart = kernel == stride and padding == (0, 0) and kernel[0] * kernel[1] <= Constant.DEAD
        if isinstance(last, Conv) and last.pool == (1, 1) and apart:
            last.pool, x.h, x.w, self.shape = kernel, h, w, output_shape
            return
        node = Pool(self.layer, self.current, Tensor(Geometry(h, w, x.c)), kernel, stride, padding)
        self._append(node, output_shape)

    def linear(self, features, bias):
        n = self.current.geometry.c
        y = Tensor(Geometry(1, 1, features))
        if n * features <= SMALL_LINEAR:
            node = SmallLinear(self.layer, self.current, y)
            self._parameter(node, SmallLinearWeight, "weight", (features, n), features, padded(n))
        else:
            node = LargeLinear(self.layer, self.current, y)
            self._parameter(node, LargeLinearWeight, "weight", (features, n), n, padded(features))
        self._append(node, (features,), bias)

    def flatten(self):
        x = self.current.geometry
        if len(self.shape) == 3:
            self._append(Flatten(self.layer, self.current, Tensor(Geometry(1, 1, x.c * x.h * x.w))), (x.c * x.h * x.w,))

    def dropout(self, p):
        if p > 0:
            self._append(Dropout(self.layer, self.current, self._overwritten_or_new(kept=False), p), self.shape)

    def softmax(self):
        self._append(Softmax(self.layer, self.current, self._overwritten_or_new(kept=True)), self.shape)

    def cross_entropy(self):
        """Class labels, from logits."""
        self.loss = lambda z: PlannedOp(Op.CROSS_ENTROPY, self.layer, [z.geometry.gradient, z.value], [z.geometry.c])

    def _overwritten_or_new(self, kept):
        """The current tensor, to work in place, or one of the same geometry where it must survive."""
        if self.current.kept:
            return Tensor(self.current.geometry, kept)
        self.current.kept = kept
        return self.current

    def _parameter(self, node, kind, name, shape, rows, length):
        if rows * length > LARGEST:
            raise ValueError(f"{name} of shape {shape} is too large: more than {LARGEST:,} elements")
        parameter = kind(self.layer, name, shape, rows, length, self._next_offset)
        self._next_offset += parameter.elements
        node.parameters.append(parameter)
        self.parameters.append(parameter)

    def _append(self, node, shape, bias=False):
        if bias:
            self._parameter(node, Parameter, "bias", (shape[0],), 1, padded(shape[0]))
        self.nodes.append(node)
        self.current, self.shape = node.y, shape

    @property
    def vector_elements(self):
        """Length of the model's flat vectors: all parameters, and slack that vector loads may touch."""
        return self._next_offset + PAD

    # -- plans --

    def build(self, dtype, capacity, by_hand) -> _native.Plan:
        """A plan for up to `capacity` samples: forward and backward by hand, or training, evaluation and
        prediction."""
        programs = self._programs_by_hand() if by_hand else self._programs_of_training()
        programs[Program.PREPARE] = self._prepare()
        phases = {program: split_into_phases(ops) for program, ops in programs.items()}
        return assemble(phases, self, np.dtype(dtype), capacity)

    def _transfer(self, kind, port, buffer, geometry, scale=1.0, offset=0.0):
        return PlannedOp(kind, 0, [buffer], [*geometry.words, port, real_word(scale), real_word(offset)])

    def _input(self):
        return self._transfer(Op.INPUT, Port.PORT_X, self.input.value, self.input.geometry, self.scale, self.offset)

    def _forward(self, training):
        return [self._input()] + [op for node in self.nodes for op in node.forward(training)]

    def _output(self):
        return self._transfer(Op.OUTPUT, Port.PORT_Y, self.current.value, self.current.geometry)

    def _updates(self):
        return [op for node in self.nodes for op in node.updates()]

    def _prepare(self):
        return [op for node in self.nodes for op in node.prepare()]

    def _output_gradient(self):
        x = self.input.geometry
        return self._transfer(Op.OUTPUT, Port.PORT_DX, x.gradient, x, self.scale)

    def _programs_of_training(self):
        programs = {Program.PREDICT: [*self._forward(training=False), self._output()]}
        if self.loss:
            first = next((i for i, node in enumerate(self.nodes) if node.parameters), len(self.nodes))
            backward = [
                op
                for i in range(len(self.nodes) - 1, first - 1, -1)
                for op in self.nodes[i].backward(input_gradient=i > first)
            ]
            loss = [self.loss(self.current)]
            programs[Program.TRAIN] = [
                *self._forward(training=True), *loss, *backward, *self._updates(), *self._prepare()
            ]  # fmt: skip
            programs[Program.EVALUATE] = self._forward(training=False) + loss
        return programs

    def _programs_by_hand(self):
        y = self.current.geometry
        backward = [self._transfer(Op.INPUT, Port.PORT_DY, y.gradient, y)]
        for node in reversed(self.nodes):
            backward += node.backward(input_gradient=True)
        programs = {
            Program.PREDICT: [*self._forward(training=False), self._output()],
            Program.FORWARD: [*self._forward(training=True), self._output()],
            Program.BACKWARD: [*backward, self._output_gradient(), *self._updates()],
        }
        if self.loss:  # of a loss alone, the gradient of its logits comes back
            programs[Program.EVALUATE] = [self._input(), self.loss(self.current), self._output_gradient()]
        return programs


def split_into_phases(ops) -> list[list[PlannedOp]]:
    """Adjacent SHARD ops merge; so do updates, and packs. A product over the batch is a phase of its own."""

    def phase(item):
        index, op = item
        if not op.tiles:
            return "shard"
        if op.kind in (Op.UPDATE, Op.LINEAR_TILE_WEIGHT_GRADIENT):
            return "update"
        return "pack" if op.kind == Op.CONV_PACK else index

    return [[op for _, op in items] for _, items in groupby(enumerate(ops), phase)]


def assemble(phases, builder, dtype, capacity) -> _native.Plan:
    """Gives every buffer its place and encodes ops, phases and programs."""
    real = dtype.itemsize
    ops = [op for program in phases.values() for phase in program for op in phase]
    place_buffers(phases)
    buffers = unique(ref for op in ops for ref in op.refs if isinstance(ref, Buffer))
    sizes = dict.fromkeys(("pack_bytes", "batch_bytes", "shard_bytes", "thread_bytes"), 0)

    in_thread = sum(b.sample_bytes(real) for b in buffers if b.arena == Arena.THREAD)
    group = max(1, min(GROUP_MOST, capacity, GROUP_BYTES // max(in_thread, 1)))

    def take(name, size):
        offset = sizes[name]
        sizes[name] += aligned(size) + Constant.GUARD
        return offset

    for buffer in buffers:
        name, samples = ("batch_bytes", capacity) if buffer.arena == Arena.BATCH else ("thread_bytes", group)
        buffer.offset = take(name, samples * buffer.sample_bytes(real))
    for panel in unique(ref for op in ops for ref in op.refs if isinstance(ref, Panel)):
        panel.offset = take("pack_bytes", panel.elements * real)
    for gradient in unique(ref for op in ops for ref in op.refs if isinstance(ref, ShardGradient)):
        gradient.offset = take("shard_bytes", gradient.parameter.elements * real)
    demands = [ref.bytes(group, real) for op in ops for ref in op.refs if isinstance(ref, Scratch)]
    scratch = take("thread_bytes", max(demands, default=0))

    def place(ref):
        if ref is None:
            return Arena.NOWHERE, 0
        if isinstance(ref, Buffer):
            return ref.arena, ref.offset
        if isinstance(ref, Parameter):
            return Arena.PARAM, ref.offset * real
        if isinstance(ref, Panel):
            return Arena.PACK, ref.offset
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
    sizes |= dict(dtype=int(dtype == np.float64), capacity=capacity, group=group,
                  model_bytes=builder.vector_elements * real, x_elements=builder.input.geometry.elements,
                  y_elements=builder.current.geometry.elements)  # fmt: skip
    ops, phases = np.array(rows, np.int64), np.array(phase_rows, np.int64)
    return _native.Plan(sizes, ops.reshape(-1, _native.OP_WORDS), phases.reshape(-1, 3), program_rows)


def place_buffers(phases):
    """THREAD for what lives within one phase of a program, BATCH for what outlives it (FORWARD and
    BACKWARD are one life: a student may do anything in between)."""
    lives: dict[Buffer, set] = {}
    in_tiles = set()
    for program, program_phases in phases.items():
        life = Program.FORWARD if program == Program.BACKWARD else program
        for number, phase in enumerate(program_phases):
            for op in phase:
                for ref in op.refs:
                    if isinstance(ref, Buffer):
                        lives.setdefault(ref, set()).add((life, program, number))
                        if op.tiles:
                            in_tiles.add(ref)
    for buffer, uses in lives.items():
        outlives = len(uses) > len({life for life, _, _ in uses})
        buffer.arena = Arena.BATCH if outlives or buffer in in_tiles else Arena.THREAD


def encode(op, place):
    """An op as the words of a pmc_op."""
    refs = [place(ref) for ref in op.refs] + [(Arena.NOWHERE, 0)] * (Constant.REFS - len(op.refs))
    shape = op.shape + [0] * (Constant.FIELDS - len(op.shape))
    return [op.kind, op.layer, *(word for ref in refs for word in ref), *shape]


def unique(items):
    return list(dict.fromkeys(items))
