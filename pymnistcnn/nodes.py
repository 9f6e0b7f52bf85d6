"""What a plan is made of, before it has memory: parameters, tensors, ops, and the nodes that emit the ops.

    Parameter     where a weight lies in the model's flat vector, and its public face
    Tensor        a value between nodes; its Geometry has the border that its consumer wants
    Node          one op of the network: which ops it is forward, backward, as update

Fields of shapes are in the order of the structs in csrc/pmc.h.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ._native import Arena, Constant, Op

PAD, ALIGN = Constant.PAD, Constant.ALIGN


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
