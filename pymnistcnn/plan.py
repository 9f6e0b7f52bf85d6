"""Builds plans: layers lower themselves into nodes, nodes emit ops, ops get phases and memory.

A plan is pure data for csrc/run.c (see csrc/pmc.h for the meaning of every field). Nothing here computes.

    PlanBuilder   takes `conv`, `activation`, `max_pool`, `linear`, ... from layers and fuses what belongs in
                  one convolution block
    Node          one op of the network: which ops it is forward, backward, as update
    Tensor        a value between nodes; its Geometry has the border that its consumer wants
    Parameter     where a weight lies in the model's flat vector, and its public face
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import groupby

import numpy as np

from . import _native
from ._native import Arena, Constant, Op, Port, Program

PAD, ALIGN = Constant.PAD, Constant.ALIGN
SMALL_LINEAR = 16_384  # weights up to which a linear layer runs sample by sample (SHARD scope)
GROUP_BYTES = 192 * 1024  # what a thread's group of samples may take: a part of any L2
GROUP_MOST = 8
LARGEST = (2**31 - 1) // 2  # elements of a parameter; csrc/plan.c has the same bound


def padded(n: int) -> int:
    """n rounded up to a multiple of 16 elements."""
    return -(-n // PAD) * PAD


def aligned(size: int) -> int:
    """A size in bytes, rounded up to a multiple of 64."""
    return -(-size // ALIGN) * ALIGN


# ---- parameters ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Parameter:
    """A weight or bias: `shape` is the public one; the master is `rows` x `length` elements at `offset`."""

    layer: int
    name: str
    shape: tuple[int, ...]
    rows: int
    length: int
    offset: int

    @property
    def elements(self) -> int:
        return self.rows * self.length

    def master(self, flat: np.ndarray) -> np.ndarray:
        return flat[self.offset : self.offset + self.elements].reshape(self.rows, self.length)

    def view(self, flat: np.ndarray) -> np.ndarray:
        """The parameter in its public shape: a view into the flat vector `flat`."""
        return self.master(flat)[0, : self.shape[0]]


class ConvWeight(Parameter):
    """Public (k, c/groups, kh, kw); master [k][kh][kw * c/groups, padded]."""

    def view(self, flat):
        k, c, kh, kw = self.shape
        return self.master(flat).reshape(k, kh, -1)[:, :, : kw * c].reshape(k, kh, kw, c).transpose(0, 3, 1, 2)


class SmallLinearWeight(Parameter):
    """Public (out, in); master [out][in, padded]."""

    def view(self, flat):
        return self.master(flat)[:, : self.shape[1]]


class LargeLinearWeight(Parameter):
    """Public (out, in); master [in][out, padded]."""

    def view(self, flat):
        return self.master(flat)[:, : self.shape[0]].T


# ---- what ops refer to --------------------------------------------------------------------------------


class Buffer:
    """Memory for every sample in flight. Where it lies follows from who uses it; see `PlanBuilder.build`."""

    def __init__(self, sample_bytes):
        self.sample_bytes = sample_bytes  # a function of the size of a real: geometries still change
        self.arena, self.offset = Arena.NOWHERE, 0


class Geometry:
    """Height, width, channels and zero border (top, bottom, left, right); a flat vector is (1, 1, n)."""

    def __init__(self, h, w, c):
        self.h, self.w, self.c, self.border = h, w, c, (0, 0, 0, 0)
        self.gradient = Buffer(lambda real: self.stride * real)

    @property
    def words(self):
        return [self.h, self.w, self.c, *self.border]

    @property
    def elements(self):
        return self.h * self.w * self.c

    @property
    def stride(self):
        """Elements from one sample to the next; twin of pmc_image_stride."""
        top, bottom, left, right = self.border
        return padded((top + self.h + bottom) * (left + self.w + right) * self.c + PAD)


class Tensor:
    """A value. `kept`: its producer needs it again in the backward pass, so nobody may overwrite it."""

    def __init__(self, geometry: Geometry, kept: bool = False):
        self.geometry, self.kept = geometry, kept
        self.value = Buffer(lambda real: geometry.stride * real)


@dataclass(eq=False)
class Scratch:
    """A kernel's workspace on one thread; all kernels share one, so `bytes` (group, real) is a demand."""

    bytes: object


@dataclass(eq=False)
class Panel:
    """A derived weight layout in PACK, `elements` long."""

    elements: int
    offset: int = 0


@dataclass(eq=False)
class ShardGradient:
    """A parameter's gradient, once a shard."""

    parameter: Parameter
    offset: int = 0


@dataclass
class PlannedOp:
    kind: Op
    layer: int
    refs: list
    shape: list = field(default_factory=list)

    @property
    def tiles(self):
        return self.kind >= Op.LINEAR_TILE_FORWARD


def real_word(value: float) -> int:
    """A double as the 64 bits that a struct of int64 fields carries."""
    return int(np.float64(value).view(np.int64))


# ---- nodes --------------------------------------------------------------------------------------------


class Node:
    """One op of the network, from tensor `x` to tensor `y`; `parameters` that it trains."""

    def __init__(self, layer, x, y):
        self.layer, self.x, self.y, self.parameters = layer, x, y, []

    def op(self, kind, refs, shape=()):
        return PlannedOp(kind, self.layer, refs, list(shape))

    def forward(self, training: bool) -> list[PlannedOp]:
        raise NotImplementedError

    def backward(self, input_gradient: bool) -> list[PlannedOp]:
        """From y's gradient to x's (if asked for) and the parameters'."""
        raise NotImplementedError

    def updates(self) -> list[PlannedOp]:
        return [self.op(Op.UPDATE, [g.parameter, g], [g.parameter.rows, g.parameter.length]) for g in self.shards]

    def prepare(self) -> list[PlannedOp]:
        return []

    @property
    def shards(self):
        """The per-shard gradients of this node's parameters."""
        if not hasattr(self, "_shards"):
            self._shards = [ShardGradient(p) for p in self.parameters]
        return self._shards


def pair_up(items):
    """A weight and, perhaps, a bias."""
    return (*items, None) if len(items) == 1 else tuple(items)


class Conv(Node):
    """The convolution block; activation and pool are added to it by fusion."""

    def __init__(self, layer, x, y, kernel, stride, dilation, groups):
        super().__init__(layer, x, y)
        self.kernel, self.stride, self.dilation, self.groups = kernel, stride, dilation, groups
        self.pool, self.activation = (1, 1), Constant.IDENTITY
        out = y.geometry
        self.argmax = Buffer(lambda real: aligned(out.h * out.w * out.c + PAD))
        per_group = padded(out.c // groups) * (x.geometry.c // groups)
        self.panel = Panel(groups * kernel[0] * kernel[1] * per_group)

    def shape(self):
        geometries = self.x.geometry.words + self.y.geometry.words
        return [
            *geometries,
            *self.kernel,
            *self.stride,
            *self.dilation,
            self.groups,
            *self.pool,
            self.activation,
        ]

    def events(self):
        """Twin of pmc_conv_events_bytes."""
        out, (ph, pw) = self.y.geometry, self.pool
        return Scratch(lambda group, real: 16 * max((group + 1) * out.h * out.w + ALIGN, (ph * pw + 1) * out.c))

    def forward(self, training):
        weight, bias = pair_up(self.parameters)
        out, (ph, pw) = self.y.geometry, self.pool
        rows = Scratch(lambda group, real: (ph * pw * out.w * (padded(out.c) + PAD) + PAD) * real)
        argmax = self.argmax if training else None
        return [self.op(Op.CONV_FORWARD, [self.y.value, argmax, self.x.value, self.panel, bias, rows], self.shape())]

    def backward(self, input_gradient):
        dy, dx = self.y.geometry.gradient, self.x.geometry.gradient
        dw, db = pair_up(self.shards)
        ops = []
        if self.activation == Constant.TANH:  # ReLU's share is in the argmax
            elements = [self.y.geometry.stride, self.y.geometry.stride, self.activation]
            ops.append(self.op(Op.ACTIVATION_BACKWARD, [dy, self.y.value], elements))
        refs = [dw, db, dy, self.argmax, self.x.value, self.events()]
        ops.append(self.op(Op.CONV_WEIGHT_GRADIENT, refs, self.shape()))
        if input_gradient:
            refs = [dx, dy, self.argmax, self.parameters[0], self.events()]
            ops.append(self.op(Op.CONV_INPUT_GRADIENT, refs, self.shape()))
        return ops

    def prepare(self):
        return [self.op(Op.CONV_PACK, [self.panel, self.parameters[0]], self.shape())]


class Pool(Node):
    """Max-pooling that no block took in."""

    def __init__(self, layer, x, y, kernel, stride, padding):
        super().__init__(layer, x, y)
        self.kernel, self.stride, self.padding = kernel, stride, padding
        out = y.geometry
        self.argmax = Buffer(lambda real: 4 * out.h * out.w * out.c)

    def shape(self):
        return [*self.x.geometry.words, *self.y.geometry.words, *self.kernel, *self.stride, *self.padding]

    def forward(self, training):
        return [self.op(Op.POOL_FORWARD, [self.y.value, self.argmax, self.x.value], self.shape())]

    def backward(self, input_gradient):
        refs = [self.x.geometry.gradient, self.y.geometry.gradient, self.argmax]
        return [self.op(Op.POOL_BACKWARD, refs, self.shape())] if input_gradient else []


class SmallLinear(Node):
    """A linear layer in SHARD scope: sample by sample."""

    def shape(self):
        return [self.x.geometry.c, self.y.geometry.c]

    def forward(self, training):
        weight, bias = pair_up(self.parameters)
        return [self.op(Op.LINEAR_FORWARD, [self.y.value, self.x.value, weight, bias], self.shape())]

    def backward(self, input_gradient):
        dy, dx = self.y.geometry.gradient, self.x.geometry.gradient
        dw, db = pair_up(self.shards)
        ops = [self.op(Op.LINEAR_WEIGHT_GRADIENT, [dw, db, dy, self.x.value], self.shape())]
        if input_gradient:
            ops.append(self.op(Op.LINEAR_INPUT_GRADIENT, [dx, dy, self.parameters[0]], self.shape()))
        return ops


class LargeLinear(Node):
    """A linear layer in TILES scope: matrix products over the batch, the update in the gradient's tiles."""

    shape = SmallLinear.shape

    def forward(self, training):
        weight, bias = pair_up(self.parameters)
        return [self.op(Op.LINEAR_TILE_FORWARD, [self.y.value, self.x.value, weight, bias], self.shape())]

    def backward(self, input_gradient):
        out = self.y.geometry.c
        panel = Scratch(lambda group, real: out * Constant.TILE_COLUMNS * real)
        refs = [self.x.geometry.gradient, self.y.geometry.gradient, self.parameters[0], panel]
        return [self.op(Op.LINEAR_TILE_INPUT_GRADIENT, refs, self.shape())] if input_gradient else []

    def updates(self):
        weight, bias = pair_up(self.parameters)
        refs = [weight, bias, self.y.geometry.gradient, self.x.value]
        return [self.op(Op.LINEAR_TILE_WEIGHT_GRADIENT, refs, self.shape())]


class Activation(Node):
    """ReLU or tanh that no block took in; the identity is a copy."""

    def __init__(self, layer, x, y, activation):
        super().__init__(layer, x, y)
        self.activation = activation

    def shape(self):
        return [self.x.geometry.stride, self.x.geometry.stride, self.activation]

    def forward(self, training):
        return [self.op(Op.ACTIVATION_FORWARD, [self.y.value, self.x.value], self.shape())]

    def backward(self, input_gradient):
        refs = [self.y.geometry.gradient, self.y.value]
        return [self.op(Op.ACTIVATION_BACKWARD, refs, self.shape())] if input_gradient else []


class Dropout(Node):
    """Its random stream is its layer's index. Forward and backward are one mask, drawn twice."""

    def __init__(self, layer, x, y, p):
        super().__init__(layer, x, y)
        self.threshold, self.scale = min(round(p * 2**32), 2**32 - 1), 1 / (1 - p)

    def mask(self, y, x):
        shape = [*self.x.geometry.words, self.threshold, self.layer, real_word(self.scale)]
        return [self.op(Op.DROPOUT, [y, x], shape)]

    def forward(self, training):
        if training:
            return self.mask(self.y.value, self.x.value)
        return [] if self.y is self.x else Activation(self.layer, self.x, self.y, Constant.IDENTITY).forward(False)

    def backward(self, input_gradient):
        gradient = self.y.geometry.gradient
        return self.mask(gradient, gradient) if input_gradient else []


class Softmax(Node):
    def forward(self, training):
        return [self.op(Op.SOFTMAX_FORWARD, [self.y.value, self.x.value], [self.x.geometry.c])]

    def backward(self, input_gradient):
        refs = [self.y.geometry.gradient, self.y.value]
        return [self.op(Op.SOFTMAX_BACKWARD, refs, [self.x.geometry.c])] if input_gradient else []


class Flatten(Node):
    """From height, width, channels to the order c, h, w that the public weights of a linear layer have."""

    def forward(self, training):
        return [self.op(Op.FLATTEN_FORWARD, [self.y.value, self.x.value], self.x.geometry.words)]

    def backward(self, input_gradient):
        refs = [self.x.geometry.gradient, self.y.geometry.gradient]
        return [self.op(Op.FLATTEN_BACKWARD, refs, self.x.geometry.words)] if input_gradient else []


# ---- the builder --------------------------------------------------------------------------------------


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
