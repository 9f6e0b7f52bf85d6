"""Builds plans: layers lower themselves into nodes, nodes emit ops, ops get phases and memory.

A plan is pure data for a backend in csrc (see csrc/pmc.h for the meaning of every field). Nothing here computes.
"""

from __future__ import annotations

import math

import numpy as np

from . import _native, nodes
from ._native import Arena, Constant, Op, Program, padded
from .nodes import (
    SCRATCH,
    Activation,
    Buffer,
    Geometry,
    Gradient,
    Packed,
    Parameter,
    PlannedOp,
    Row,
    ShardGradient,
    Tensor,
    WholeGradient,
    real_word,
)

MICROBATCH_BYTES = 192 * 1024  # what a thread's microbatch may take: a part of any L2
MICROBATCH_MOST = 8


def small_linear(inputs, outputs) -> bool:
    """Does a linear layer run sample by sample (SHARD scope)? A head of few outputs does, up to more weights: as
    a product over the batch it would leave lanes empty."""
    return inputs * outputs <= (16_384 if outputs <= Constant.PAD else 4_096)


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
        self.nodes: list[nodes.Node] = []
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
        y = Tensor(Geometry(h, w, channels))
        node = self._append(nodes.Conv, y, kernel, stride, dilation, groups, shape=output_shape)
        self._weights(node, nodes.ConvWeight, (channels, x.c // groups, *kernel), bias)

    def activation(self, kind, alpha=0.0, threshold=0.0):
        activation, last = Activation(kind, alpha, threshold), self._last
        if isinstance(last, nodes.Conv) and last.activation == Activation() and activation.in_block:
            last.activation = activation
            last.y.kept = not activation.in_argmax
            return
        if not activation.from_y and not self.inference:
            self.current.kept = True
        y = self._overwritten_or_new(kept=activation.from_y)
        self._append(nodes.Elementwise, y, activation)

    def max_pool(self, output_shape, kernel, stride, padding, dilation):
        """padding: (vertical, horizontal)."""
        x = self.current.geometry
        _, h, w = output_shape
        apart = kernel == stride and padding == (0, 0) and kernel[0] * kernel[1] <= Constant.NO_GRADIENT
        apart = apart and dilation == (1, 1) and h * kernel[0] <= x.h and w * kernel[1] <= x.w
        if isinstance(self._last, nodes.Conv) and self._last.pool == (1, 1) and apart:
            self._last.pool, x.h, x.w, self.shape = kernel, h, w, output_shape
            return
        y = Tensor(Geometry(h, w, x.c))
        self._append(nodes.MaxPool, y, kernel, stride, padding, dilation, shape=output_shape)

    def average_pool(self, output_shape, kernel, stride, padding, count_include_pad):
        y = Tensor(Geometry(*output_shape[1:], output_shape[0]))
        self._append(nodes.AveragePool, y, kernel, stride, padding, count_include_pad, shape=output_shape)

    def batch_norm(self, epsilon, momentum, affine):
        x, last = self.current, self._last
        plain = isinstance(last, nodes.Conv) and last.activation == Activation() and last.pool == (1, 1)
        if not self.inference:
            node = self._append(nodes.Norm, Tensor(x.geometry, gradient=x.gradient), epsilon, momentum)
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

    def linear(self, features, bias):
        n = self.current.geometry.c
        y = Tensor(Geometry(1, 1, features))
        if small_linear(n, features):
            kind, weight = nodes.SmallLinear, nodes.SmallLinearWeight
        else:
            kind = nodes.SparseLinear if self.current is self.input else nodes.LargeLinear
            weight = nodes.LargeLinearWeight
        self._weights(self._append(kind, y, shape=(features,)), weight, (features, n), bias)

    def weights(self, elements):
        """A flat vector of weights that no op reads, only updates."""
        node = self._append(nodes.Weights, self.current)
        self._parameter(node, Parameter, "weights", (elements,), padded(elements))

    def flatten(self):
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

    def join(self, fork, projection=None):
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

    def dropout(self, p):
        if p > 0 and not self.inference:
            self._append(nodes.Dropout, self._overwritten_or_new(kept=False), p)

    def noise(self, std):
        if std > 0 and not self.inference:
            self._append(nodes.Noise, self._overwritten_or_new(kept=False), std)

    def warp(self, cutout, rotation, shift, scale, shear, elastic, sigma, fill):
        """fill: None for what a black pixel is after Rescaling."""
        if not self.inference:
            numbers = (rotation, shift, scale, shear, elastic, sigma, self.offset if fill is None else fill)
            self._append(nodes.Warp, Tensor(self.current.geometry), cutout, numbers)

    def softmax(self):
        self._append(nodes.Softmax, self._overwritten_or_new(kept=True))

    def log_softmax(self):
        y = Tensor(self.current.geometry, kept=True, gradient=self.current.gradient)
        self._append(nodes.LogSoftmax, y)

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

    def _weights(self, node, kind, shape, bias):
        """A weight, and a bias if there is one, of the sizes that the node says."""
        if math.prod(shape) > Constant.LARGEST:
            raise ValueError(f"weight of shape {shape} is too large: more than {Constant.LARGEST:,} elements")
        of_weight, of_bias = node.sizes()
        self._parameter(node, kind, "weight", shape, of_weight)
        if bias:
            self._parameter(node, Parameter, "bias", shape[:1], of_bias)

    def _parameter(self, node, kind, name, shape, elements):
        node.parameters.append(self._place(kind(self.layer, name, shape, elements, self._next_offset)))

    def _buffer(self, name, shape, elements):
        return self._place(Parameter(self.layer, name, shape, elements, self._next_offset, trained=False))

    def _place(self, parameter):
        self._next_offset += parameter.elements
        self.parameters.append(parameter)
        return parameter

    def _append(self, kind, y, *settings, shape=None):
        """A node from the current tensor to y, of the public shape that was there if none is given."""
        node = kind(self.layer, self.current, y, *settings)
        self.nodes.append(node)
        self.current, self.shape = y, shape or self.shape
        return node

    @property
    def vector_elements(self):
        """Length of the model's flat vectors: all parameters, and slack that vector loads may touch."""
        return self._next_offset + Constant.PAD

    # -- programs --

    def _transfer(self, kind, port, buffer, geometry, scale=1.0, offset=0.0):
        return PlannedOp(kind, 0, [buffer], [*geometry.words, port, real_word(scale), real_word(offset)])

    def read(self):
        x = self.input
        return self._transfer(Op.INPUT, Constant.PORT_X, x.value, x.geometry, self.scale, self.offset)

    def forward(self):
        return [self.read()] + [op for node in self.nodes for op in node.forward(training=not self.inference)]

    def write(self):
        return self._transfer(Op.OUTPUT, Constant.PORT_Y, self.current.value, self.current.geometry)

    def read_gradient(self):
        return self._transfer(Op.INPUT, Constant.PORT_DY, self.current.gradient, self.current.geometry)

    def backward(self, input_gradient):
        """From the last node to the first; to the inputs if asked for, else to the first that has parameters."""
        first = next((i for i, node in enumerate(self.nodes) if node.parameters), len(self.nodes))
        wanted = range(len(self.nodes)) if input_gradient else range(first, len(self.nodes))
        return [op for i in reversed(wanted) for op in self.nodes[i].backward(input_gradient or i > first)]

    def write_gradient(self):
        return self._transfer(Op.OUTPUT, Constant.PORT_DX, self.input.gradient, self.input.geometry, self.scale)

    def gradients(self, gradient_only):
        return [op for node in self.nodes for op in node.gradients(gradient_only)]

    def updates(self, clip):
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

    def prepare(self):
        return [op for node in self.nodes for op in node.prepare()]


def training_plan(training, inference, dtype, capacity, clip, target) -> _native.Plan:
    """The plan that trains, evaluates and predicts; from both builders of a network."""
    predict = inference.forward()
    lifetimes = [{}, {Program.PREDICT: [*predict, inference.write()]}]
    if training.loss:
        lifetimes[0][Program.TRAIN] = [
            *training.forward(),
            training.loss(training.current),
            *training.backward(input_gradient=False),
            *training.updates(clip),
            *training.prepare(),
        ]
        lifetimes[1][Program.EVALUATE] = [*predict, inference.loss(inference.current)]
    return assemble(lifetimes, [training, inference], np.dtype(dtype), capacity, target)


def plan_by_hand(training, inference, dtype, capacity, target) -> _native.Plan:
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


def update_plan(builder, dtype, clip, target) -> _native.Plan:
    """The plan whose program BACKWARD is only the builder's updates, with gradients that are there already."""
    return assemble([{Program.BACKWARD: builder.updates(clip)}], [builder], np.dtype(dtype), 1, target)


# ---- phases and memory --------------------------------------------------------------------------------


def memory(ref):
    """What a reference stands for: two ops that share none of it know nothing of each other."""
    if isinstance(ref, WholeGradient):
        return ref.gradients
    return () if ref is None or ref is SCRATCH else (ref.packed if isinstance(ref, Row) else ref,)


def touched(op, written) -> set:
    """What an op writes, or all that it sees."""
    refs = zip(op.refs, op.record.references, strict=False)
    return {one for ref, record in refs if record.written or not written for one in memory(ref)}


def split_into_phases(ops) -> list[list[PlannedOp]]:
    """Adjacent ops of SHARD scope are a phase; of TILES scope those that know nothing of each other."""
    phases, seen, written = [], set(), set()
    for op in ops:
        sees, writes = touched(op, written=False), touched(op, written=True)
        apart = not (sees & written or writes & seen)
        tiles = op.record.tiles
        if not phases or tiles != phases[-1][0].record.tiles or (tiles and not apart):
            phases.append([])
            seen, written = set(), set()
        phases[-1].append(op)
        seen |= sees
        written |= writes
    return phases


def place_buffers(lifetime):
    """THREAD for what lives within one phase of a lifetime's programs, BATCH for what outlives it; all buffers."""
    uses: dict[Buffer, set] = {}
    in_tiles = set()
    for program, program_phases in lifetime.items():
        for number, phase in enumerate(program_phases):
            for op in phase:
                for ref in op.refs:
                    if isinstance(ref, Buffer):
                        uses.setdefault(ref, set()).add((program, number))
                        if op.record.tiles:
                            in_tiles.add(ref)
    for buffer, places in uses.items():
        programs = {program for program, _ in places}
        outlives = {Program.FORWARD, Program.BACKWARD} <= programs or len(places) > len(programs)
        buffer.arena = Arena.BATCH if outlives or buffer in in_tiles else Arena.THREAD
    return list(uses)


class Sizes:
    """What C says that the references of ops hold: bytes of each sample, and of all there is."""

    def __init__(self, ops, sizes):
        self.sample, self.whole, self.scratch = {}, {}, 0
        extents = _native.extents([op.words for op in ops], sizes).tolist() if ops else []
        rows = []
        for op, of_op in zip(ops, extents, strict=True):
            for ref, (sample, whole) in zip(op.refs, of_op, strict=False):
                if ref is SCRATCH:
                    self.scratch = max(self.scratch, whole + sample * sizes["microbatch"])
                elif isinstance(ref, Row):
                    rows.append((ref, whole))
                elif ref is not None:
                    self.sample[ref] = max(sample, self.sample.get(ref, 0))
                    self.whole[ref] = max(whole, self.whole.get(ref, 0))
        self.row = {ref.packed: self.whole[ref.packed] // Constant.NORM_ROWS for ref, _ in rows}
        for ref, whole in rows:  # vectors of the last group of channels reach over it
            end = ref.number * self.row[ref.packed] + whole
            self.whole[ref.packed] = max(end, self.whole[ref.packed])


def assemble(lifetimes, builders, dtype, capacity, target) -> _native.Plan:
    """Gives every buffer its place and encodes ops, phases and programs.

    lifetimes: ops by program; what the programs of one leave in memory the others of it find there. On a device all
    samples of a batch are in flight at once: they are one microbatch.
    """
    real, network = dtype.itemsize, builders[0]
    prepare = {op.refs[0]: op for builder in builders for op in builder.prepare()}.values()
    prepare = sorted(prepare, key=lambda op: op.kind == Op.CONV_PACK)  # norms are folded into filters
    phases = {program: split_into_phases(ops) for lifetime in lifetimes for program, ops in lifetime.items()}
    phases[Program.PREPARE] = split_into_phases(prepare)
    ops = [op for program in phases.values() for phase in program for op in phase]
    sizes = dict(
        dtype=int(dtype == np.float64),
        capacity=capacity,
        microbatch=1,
        model_bytes=network.vector_elements * real,
        x_elements=network.input.geometry.elements,
        y_elements=network.current.geometry.elements,
        pack_bytes=0,
        shard_bytes=0,
    )

    def take(sizes, name, size):
        offset = sizes[name]
        sizes[name] += -(-size // Constant.ALIGN) * Constant.ALIGN + Constant.GUARD
        return offset

    needed = Sizes(ops, sizes)
    placed = [place_buffers({program: phases[program] for program in lifetime}) for lifetime in lifetimes]
    in_thread = [sum(needed.sample[b] for b in buffers if b.arena == Arena.THREAD) for buffers in placed]
    fitting = min(MICROBATCH_MOST, MICROBATCH_BYTES // max(*in_thread, 1))
    sizes["microbatch"] = max(1, min(capacity, fitting if target.device == "cpu" else capacity))
    needed = Sizes(ops, sizes)

    places = {}
    for ref in needed.whole:
        if isinstance(ref, Packed):
            places[ref] = Arena.PACK, take(sizes, "pack_bytes", needed.whole[ref])
        elif isinstance(ref, ShardGradient):
            places[ref] = Arena.SHARD, take(sizes, "shard_bytes", needed.whole[ref])
        elif isinstance(ref, WholeGradient):
            places[ref] = Arena.GRADIENT, 0
        elif isinstance(ref, Parameter):
            places[ref] = Arena.PARAM, ref.offset * real
        elif isinstance(ref, Gradient):
            places[ref] = Arena.GRADIENT, ref.parameter.offset * real
    ends = []
    for buffers in placed:  # lifetimes do not remember each other: each has the memory to itself
        ends.append(dict.fromkeys(("batch_bytes", "thread_bytes"), 0))
        for buffer in buffers:
            in_batch = buffer.arena == Arena.BATCH
            name, samples = ("batch_bytes", capacity) if in_batch else ("thread_bytes", sizes["microbatch"])
            places[buffer] = buffer.arena, take(ends[-1], name, samples * needed.sample[buffer])
            buffer.offset = places[buffer][1]
    sizes |= {name: max(end[name] for end in ends) for name in ("batch_bytes", "thread_bytes")}
    places[SCRATCH] = Arena.THREAD, take(sizes, "thread_bytes", needed.scratch)
    places[None] = Arena.NOWHERE, 0

    def place(ref):
        if isinstance(ref, Row):
            arena, offset = places[ref.packed]
            return arena, offset + ref.number * needed.row[ref.packed]
        return places[ref]

    def encode(op):
        words = op.words
        for i, ref in enumerate(op.refs):
            words[2 + 2 * i : 4 + 2 * i] = place(ref)
        return words

    rows, phase_rows = [], []
    program_rows = np.zeros((len(Program), 2), np.int64)
    for program, program_phases in phases.items():
        program_rows[program] = len(phase_rows), len(program_phases)
        for phase in program_phases:
            phase_rows.append((phase[0].record.tiles, len(rows), len(phase)))
            rows += [encode(op) for op in phase]
    if max(sizes.values()) >= 2**63:
        raise ValueError("the network or batch is too large: its workspaces have more bytes than can be counted")
    ops, phases = np.array(rows, np.int64), np.array(phase_rows, np.int64)
    return _native.Plan(sizes, ops.reshape(-1, _native.OP_WORDS), phases.reshape(-1, 3), program_rows, target)
