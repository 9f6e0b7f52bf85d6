"""What a plan is made of, before it has memory: parameters, tensors, ops, and the nodes that emit the ops.

    Parameter     where a weight lies in the model's flat vector, and its public face
    Tensor        a value between nodes; its Geometry has the border that its consumer wants
    Node          one op of the network: which ops it is forward, backward, as update

Fields of shapes are in the order of the structs in csrc/pmc.h.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

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
    """A weight, bias or buffer: `shape` is the public one; the master is `rows` x `length` elements at `offset`.
    A buffer (running statistics) is not `trained`: the forward pass moves it, no optimizer does."""

    layer: int
    name: str
    shape: tuple[int, ...]
    rows: int
    length: int
    offset: int
    trained: bool = True

    @property
    def elements(self) -> int:
        return self.rows * self.length

    def master(self, flat: np.ndarray) -> np.ndarray:
        return flat[self.offset : self.offset + self.elements].reshape(self.rows, self.length)

    def view(self, flat: np.ndarray) -> np.ndarray:
        """The parameter in its public shape: a view into the flat vector `flat`."""
        row = self.master(flat)[0]
        return row[: self.shape[0]] if self.shape else row[0, ...]


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
    """A value and its gradient, which ops in place share. `kept`: its producer needs the value again in the
    backward pass, so nobody may overwrite it."""

    def __init__(self, geometry: Geometry, kept: bool = False, gradient: Buffer | None = None):
        self.geometry, self.kept = geometry, kept
        self.value = Buffer(lambda real: geometry.stride * real)
        self.gradient = gradient or Buffer(lambda real: geometry.stride * real)


class Activation(NamedTuple):
    """Which activation, and its numbers: see pmc_activation."""

    kind: int = Constant.IDENTITY
    alpha: float = 0.0
    threshold: float = 0.0

    @property
    def words(self):
        return [self.kind, real_word(self.alpha), real_word(self.threshold)]

    @property
    def in_argmax(self):
        """Does the block's argmax say all that the gradient needs to know?"""
        return self.kind in (Constant.IDENTITY, Constant.RELU)


@dataclass(eq=False)
class Scratch:
    """A kernel's workspace on one thread; all kernels share one, so `bytes` (group, real) is a demand."""

    bytes: object


@dataclass(frozen=True)
class Panel:
    """What is derived from weights, in PACK; equal ones are one."""

    name: str
    layer: int
    elements: int


@dataclass(frozen=True)
class PanelPart:
    """A panel from its element `start` on."""

    panel: Panel
    start: int


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

    def gradients(self, gradient_only: bool) -> list[PlannedOp]:
        """What completes the parameters' gradients over the batch, and updates them unless `gradient_only`."""
        return [self.reduction(g.parameter, g, gradient_only) for g in self.shards]

    def reduction(self, parameter, shards, gradient_only):
        return self.op(Op.UPDATE, [parameter, shards], [parameter.rows, parameter.length, gradient_only])

    def prepare(self) -> list[PlannedOp]:
        """What derives panels from weights."""
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
    """The convolution block; activation and pool, and in inference a batch norm, are added to it by fusion."""

    def __init__(self, layer, x, y, kernel, stride, dilation, groups):
        super().__init__(layer, x, y)
        self.kernel, self.stride, self.dilation, self.groups = kernel, stride, dilation, groups
        self.pool, self.activation, self.norm = (1, 1), Activation(), None
        out = y.geometry
        self.argmax = Buffer(lambda real: aligned(out.h * out.w * out.c + PAD))

    def winograd(self):
        """Points of a patch's transform, or 0. Twin of pmc_conv_winograd."""
        ones = self.stride == self.dilation == (1, 1) and self.groups == 1
        fits = self.kernel in ((3, 3), (5, 5)) and self.pool == (2, 2) and self.x.geometry.c >= PAD
        return (self.kernel[0] + 1) ** 2 if ones and fits else 0

    @property
    def panel(self):
        """Twin of pmc_conv_panel_elements."""
        c, k, taps = self.x.geometry.c, self.y.geometry.c, self.kernel[0] * self.kernel[1]
        depthwise = self.groups > 1 and self.groups == c == k
        elements = taps * padded(k) if depthwise else taps * c * padded(k // self.groups)
        if points := self.winograd():
            columns = Constant.WINOGRAD_COLUMNS
            elements = -(-k // columns) * points * (c * columns + PAD)
        return Panel("normed filters" if self.norm else "filters", self.layer, elements)

    def shape(self):
        geometries = self.x.geometry.words + self.y.geometry.words
        return [
            *geometries,
            *self.kernel,
            *self.stride,
            *self.dilation,
            self.groups,
            *self.pool,
            *self.activation.words,
        ]

    def events(self):
        """Twin of pmc_conv_events_bytes."""
        out, (ph, pw) = self.y.geometry, self.pool
        if self.groups > 1 and self.groups == self.x.geometry.c == out.c:
            return Scratch(lambda group, real: 16 * self.panel.elements)
        of_x = ph * pw * padded(out.c) + PAD
        return Scratch(lambda group, real: 16 * max(9 * (Constant.EVENTS + PAD) + group * out.h, of_x))

    def forward(self, training):
        weight, bias = pair_up(self.parameters)
        if self.norm:
            bias = self.norm.part(Constant.NORM_SHIFT)
        out, (ph, pw) = self.y.geometry, self.pool
        elements = ph * pw * out.w * (padded(out.c) + PAD) + PAD
        if points := self.winograd():
            columns = padded(self.x.geometry.c) + Constant.WINOGRAD_COLUMNS
            elements = points * (Constant.WINOGRAD_TILES * columns + PAD)
        rows = Scratch(lambda group, real: elements * real)
        argmax = self.argmax if training else None
        return [self.op(Op.CONV_FORWARD, [self.y.value, argmax, self.x.value, self.panel, bias, rows], self.shape())]

    def backward(self, input_gradient):
        dw, db = pair_up(self.shards)
        ops = []
        if not self.activation.in_argmax:
            elements = [*self.y.geometry.words, *self.activation.words]
            ops.append(self.op(Op.ACTIVATION_BACKWARD, [self.y.gradient, self.y.value], elements))
        refs = [dw, db, self.y.gradient, self.argmax, self.x.value, self.events()]
        ops.append(self.op(Op.CONV_WEIGHT_GRADIENT, refs, self.shape()))
        if input_gradient:
            refs = [self.x.gradient, self.y.gradient, self.argmax, self.parameters[0], self.events()]
            ops.append(self.op(Op.CONV_INPUT_GRADIENT, refs, self.shape()))
        return ops

    def prepare(self):
        weight, bias = pair_up(self.parameters)
        if self.norm:
            scale = self.norm.part(Constant.NORM_SCALE)
            return [self.norm.fold(bias), self.op(Op.CONV_PACK, [self.panel, weight, scale], self.shape())]
        return [self.op(Op.CONV_PACK, [self.panel, weight], self.shape())]


class MaxPool(Node):
    """Max-pooling that no block took in."""

    def __init__(self, layer, x, y, kernel, stride, padding, dilation):
        super().__init__(layer, x, y)
        self.window = [*kernel, *stride, *padding, *dilation, 0]
        out = y.geometry
        self.argmax = Buffer(lambda real: 4 * out.h * out.w * out.c)

    def shape(self):
        return [*self.x.geometry.words, *self.y.geometry.words, *self.window]

    def forward(self, training):
        return [self.op(Op.POOL_FORWARD, [self.y.value, self.argmax, self.x.value], self.shape())]

    def backward(self, input_gradient):
        refs = [self.x.gradient, self.y.gradient, self.argmax]
        return [self.op(Op.POOL_BACKWARD, refs, self.shape())] if input_gradient else []


class AveragePool(Node):
    def __init__(self, layer, x, y, kernel, stride, padding, count_include_pad):
        super().__init__(layer, x, y)
        self.window = [*kernel, *stride, *padding, 1, 1, int(count_include_pad)]

    shape = MaxPool.shape

    def forward(self, training):
        return [self.op(Op.AVERAGE_FORWARD, [self.y.value, self.x.value], self.shape())]

    def backward(self, input_gradient):
        refs = [self.x.gradient, self.y.gradient]
        return [self.op(Op.AVERAGE_BACKWARD, refs, self.shape())] if input_gradient else []


class Weights(Node):
    """Parameters whose gradients are complete before any update: nothing is left to be reduced."""

    def gradients(self, gradient_only):
        return [] if gradient_only else [self.reduction(p, None, False) for p in self.parameters]


class Norm(Weights):
    """Batch norm with the batch's statistics: phases of samples around a look at the whole batch."""

    def __init__(self, layer, x, y, epsilon, momentum):
        super().__init__(layer, x, y)
        self.epsilon, self.momentum = epsilon, momentum
        self.running = None  # the first of the buffers, which lie side by side
        channels = padded(y.geometry.c)
        self.moments, self.sums = (Buffer(lambda real: 2 * channels * real) for _ in range(2))
        self.statistics = Panel("statistics", layer, Constant.NORM_ROWS * channels + PAD)
        self.means = Panel("gradient means", layer, 2 * channels)

    def shape(self):
        momentum = -1.0 if self.momentum is None else self.momentum
        return [*self.x.geometry.words, real_word(self.epsilon), real_word(momentum)]

    @property
    def scale_and_bias(self):
        return self.parameters or [None, None]

    def forward(self, training):
        refs = [self.statistics, self.moments, *self.scale_and_bias, self.running]
        return [
            self.op(Op.NORM_MOMENTS, [self.moments, self.x.value], self.shape()),
            self.op(Op.NORM_STATISTICS, refs, self.shape()),
            self.op(Op.NORM_APPLY, [self.y.value, self.x.value, self.statistics], self.shape()),
        ]

    def backward(self, input_gradient):
        dx, dy, x = self.x.gradient, self.y.gradient, self.x.value
        ops = [
            self.op(Op.NORM_GRADIENT_SUMS, [self.sums, dy, x, self.statistics], self.shape()),
            self.op(Op.NORM_GRADIENT, [self.means, *self.scale_and_bias, self.sums], self.shape()),
        ]
        if input_gradient:
            ops.append(self.op(Op.NORM_INPUT_GRADIENT, [dx, dy, x, self.statistics, self.means], self.shape()))
        return ops


class FoldedNorm(Norm):
    """Batch norm with the running statistics: a scale and a shift a channel, which a convolution may take in."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.statistics = Panel("running statistics", self.layer, self.statistics.elements)

    def part(self, row):
        """One row of the statistics, such as NORM_SCALE."""
        return PanelPart(self.statistics, row * padded(self.y.geometry.c))

    def fold(self, conv_bias):
        return self.op(Op.NORM_FOLD, [self.statistics, *self.scale_and_bias, self.running, conv_bias], self.shape())

    def forward(self, training):
        return [self.op(Op.NORM_APPLY, [self.y.value, self.x.value, self.statistics], self.shape())]

    def prepare(self):
        return [self.fold(None)]


class SmallLinear(Node):
    """A linear layer in SHARD scope: sample by sample."""

    def shape(self):
        return [self.x.geometry.c, self.y.geometry.c]

    def forward(self, training):
        weight, bias = pair_up(self.parameters)
        return [self.op(Op.LINEAR_FORWARD, [self.y.value, self.x.value, weight, bias], self.shape())]

    def backward(self, input_gradient):
        dw, db = pair_up(self.shards)
        ops = [self.op(Op.LINEAR_WEIGHT_GRADIENT, [dw, db, self.y.gradient, self.x.value], self.shape())]
        if input_gradient:
            refs = [self.x.gradient, self.y.gradient, self.parameters[0]]
            ops.append(self.op(Op.LINEAR_INPUT_GRADIENT, refs, self.shape()))
        return ops


class LargeLinear(Node):
    """A linear layer in TILES scope: matrix products over the batch, the update in the gradient's tiles."""

    sparse = False

    def shape(self):
        return [self.x.geometry.c, self.y.geometry.c, self.sparse]

    def forward(self, training):
        weight, bias = pair_up(self.parameters)
        kind = Op.LINEAR_SPARSE_FORWARD if self.sparse else Op.LINEAR_TILE_FORWARD
        return [self.op(kind, [self.y.value, self.x.value, weight, bias], self.shape())]

    def backward(self, input_gradient):
        out = self.y.geometry.c
        panel = Scratch(lambda group, real: out * Constant.TILE_COLUMNS * real)
        refs = [self.x.gradient, self.y.gradient, self.parameters[0], panel]
        return [self.op(Op.LINEAR_TILE_INPUT_GRADIENT, refs, self.shape())] if input_gradient else []

    def gradients(self, gradient_only):
        weight, bias = pair_up(self.parameters)
        refs = [weight, bias, self.y.gradient, self.x.value]
        return [self.op(Op.LINEAR_TILE_WEIGHT_GRADIENT, refs, [*self.shape(), gradient_only])]


class SparseLinear(LargeLinear):
    """A large linear layer on what may be mostly zeros, as pictures are. A few samples see little of the weights: its
    forward pass is in SHARD scope."""

    sparse = True


class Elementwise(Node):
    """An activation that no block took in; the identity is a copy."""

    def __init__(self, layer, x, y, activation):
        super().__init__(layer, x, y)
        self.activation = activation

    def shape(self):
        return [*self.x.geometry.words, *self.activation.words]

    def forward(self, training):
        return [self.op(Op.ACTIVATION_FORWARD, [self.y.value, self.x.value], self.shape())]

    def backward(self, input_gradient):
        refs = [self.y.gradient, self.y.value]
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
        return self.mask(self.y.value, self.x.value)

    def backward(self, input_gradient):
        return self.mask(self.y.gradient, self.y.gradient) if input_gradient else []


class Noise(Node):
    """Gaussian noise; the gradient passes as it is."""

    def __init__(self, layer, x, y, std):
        super().__init__(layer, x, y)
        self.std = std

    def forward(self, training):
        shape = [*self.x.geometry.words, self.layer, real_word(self.std)]
        return [self.op(Op.NOISE, [self.y.value, self.x.value], shape)]

    def backward(self, input_gradient):
        return []


class Warp(Node):
    """A random map of each picture; `numbers` in the order of pmc_warp."""

    def __init__(self, layer, x, y, cutout, numbers):
        super().__init__(layer, x, y)
        self.cutout, self.numbers = cutout, numbers

    def shape(self):
        return [*self.x.geometry.words, self.layer, self.cutout, *map(real_word, self.numbers)]

    def field(self):
        """Twin of pmc_warp_field_elements."""
        h, w = self.x.geometry.h, self.x.geometry.w
        elastic, sigma = self.numbers[4:6]
        radius = int(3 * sigma) + 1
        distortion = 2 * h * w + radius + 1 + (h + 2 * radius) * (w + 2 * radius) if elastic else 0
        return Scratch(lambda group, real: group * (2 * h * w + distortion) * real)

    def forward(self, training):
        return [self.op(Op.WARP_FORWARD, [self.y.value, self.x.value, self.field()], self.shape())]

    def backward(self, input_gradient):
        refs = [self.x.gradient, self.y.gradient, self.field()]
        return [self.op(Op.WARP_BACKWARD, refs, self.shape())] if input_gradient else []


class Softmax(Node):
    def forward(self, training):
        return [self.op(Op.SOFTMAX_FORWARD, [self.y.value, self.x.value], [self.x.geometry.c])]

    def backward(self, input_gradient):
        refs = [self.y.gradient, self.y.value]
        return [self.op(Op.SOFTMAX_BACKWARD, refs, [self.x.geometry.c])] if input_gradient else []


class LogSoftmax(Node):
    def forward(self, training):
        return [self.op(Op.LOG_SOFTMAX_FORWARD, [self.y.value, self.x.value], [self.x.geometry.c])]

    def backward(self, input_gradient):
        refs = [self.y.gradient, self.y.value]
        return [self.op(Op.LOG_SOFTMAX_BACKWARD, refs, [self.x.geometry.c])] if input_gradient else []


class Flatten(Node):
    """From height, width, channels to the order c, h, w that the public weights of a linear layer have."""

    def forward(self, training):
        return [self.op(Op.FLATTEN_FORWARD, [self.y.value, self.x.value], self.x.geometry.words)]

    def backward(self, input_gradient):
        refs = [self.x.gradient, self.y.gradient]
        return [self.op(Op.FLATTEN_BACKWARD, refs, self.x.geometry.words)] if input_gradient else []
