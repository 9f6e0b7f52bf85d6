"""Nodes: an op of the network each, and the ops of the plan that it is forward, backward and as update."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ._native import Constant, Op
from ._types import Shape
from .operands import (
    SCRATCH,
    Activation,
    Buffer,
    Gradient,
    Packed,
    Parameter,
    PlannedOp,
    Row,
    ShardGradient,
    Tensor,
    real_word,
)


class Node:
    """One op of the network, from tensor `x` to tensor `y`; `parameters` that it trains."""

    layer: int
    parameters: Any
    x: Tensor
    y: Tensor

    weight_gradient: Op  # of a node with a weight and perhaps a bias: whose gradients it begins with

    def __init__(self, layer: int, x: Tensor, y: Tensor) -> None:
        self.layer, self.x, self.y, self.parameters = layer, x, y, []

    def op(self, kind: Op, refs: list[Any], shape: Shape = ()) -> PlannedOp:
        return PlannedOp(kind, self.layer, refs, list(shape))

    def sizes(self) -> list[int]:
        """Elements of the weight, and of the bias."""
        return self.op(self.weight_gradient, [], self.shape()).elements[:2]

    def forward(self, training: bool) -> list[PlannedOp]:
        raise NotImplementedError

    def backward(self, input_gradient: bool) -> list[PlannedOp]:
        """From y's gradient to x's (if asked for) and the parameters'."""
        raise NotImplementedError

    def gradients(self, gradient_only: bool) -> list[PlannedOp]:
        """What completes the parameters' gradients over the batch, and updates them unless `gradient_only`."""
        return [self.update(s.parameter, s, gradient_only) for s in self.shards]

    def update(
        self, parameter: Any, shards: ShardGradient | None = None, gradient_only: bool = False, squares: None = None
    ) -> PlannedOp:
        refs = [None if gradient_only else parameter, Gradient(parameter), shards, squares]
        return self.op(Op.UPDATE, refs, [parameter.elements])

    def prepare(self, updated: bool) -> list[PlannedOp]:
        """What derives packed weights from weights, but for what the `updated` ones' updates have packed themselves."""
        return []

    @property
    def shards(self) -> list[Any] | list[ShardGradient]:
        """The per-shard gradients of this node's parameters."""
        if not hasattr(self, "_shards"):
            self._shards = [ShardGradient(p) for p in self.parameters]
        return self._shards


def pair_up(items: Any) -> Any:
    """A weight and, perhaps, a bias."""
    return (*items, None) if len(items) == 1 else tuple(items)


class Conv(Node):
    """The convolution block; activation and pool, and in inference batch norms, are added to it by fusion: `norm` is
    before the pool, `normed` behind it."""

    activation: Activation
    argmax: Buffer
    dilation: tuple[int, ...]
    groups: int
    kernel: tuple[int, ...]
    norm: Any
    normed: Any
    pool: tuple[int, ...]
    stride: tuple[int, ...]

    weight_gradient: Op = Op.CONV_WEIGHT_GRADIENT

    def __init__(
        self,
        layer: int,
        x: Tensor,
        y: Tensor,
        kernel: tuple[int, ...],
        stride: tuple[int, ...],
        dilation: tuple[int, ...],
        groups: int,
    ) -> None:
        super().__init__(layer, x, y)
        self.kernel, self.stride, self.dilation, self.groups = kernel, stride, dilation, groups
        self.pool, self.activation, self.norm, self.normed = (1, 1), Activation(), None, None
        self.argmax = Buffer()

    @property
    def packed(self) -> Packed:
        """Filters of a pooled block lie otherwise: in inference it may have taken in a pool, and in training not."""
        return Packed(f"filters{' with a norm' if self.norm else ''}, pooled by {self.pool}", self.layer)

    def shape(self) -> list[int]:
        window = [*self.kernel, *self.stride, *self.dilation]
        geometries = self.x.geometry.words + self.y.geometry.words
        return [*geometries, *window, self.groups, *self.pool, *self.activation.words]

    def forward(self, training: bool) -> list[PlannedOp]:
        (weight, bias), scale = pair_up(self.parameters), None
        if self.norm:
            bias, scale = self.norm.row(Constant.NORM_SHIFT), self.norm.row(Constant.NORM_SCALE)
        argmax = self.argmax if training else None
        behind = self.normed and self.normed.statistics
        refs = [self.y.value, argmax, self.x.value, self.packed, bias, SCRATCH, weight, scale, behind]
        return [self.op(Op.CONV_FORWARD, refs, self.shape())]

    def backward(self, input_gradient: bool) -> list[PlannedOp]:
        dw, db = pair_up(self.shards)
        ops = []
        if not self.activation.in_argmax:
            elements = [*self.y.geometry.words, *self.activation.words]
            ops.append(self.op(Op.ACTIVATION_BACKWARD, [self.y.gradient, self.y.value], elements))
        refs = [dw, db, self.y.gradient, self.argmax, self.x.value, SCRATCH]
        ops.append(self.op(self.weight_gradient, refs, self.shape()))
        if input_gradient:
            refs = [self.x.gradient, self.y.gradient, self.argmax, self.parameters[0], SCRATCH, self.packed]
            ops.append(self.op(Op.CONV_INPUT_GRADIENT, refs, self.shape()))
        return ops

    def prepare(self, updated: bool) -> list[PlannedOp]:
        (weight, bias), scale = pair_up(self.parameters), self.norm and self.norm.row(Constant.NORM_SCALE)
        folds = [self.norm.fold(bias)] if self.norm else []
        behind = self.normed.prepare(updated) if self.normed else []
        return [*folds, *behind, self.op(Op.CONV_PACK, [self.packed, weight, scale], self.shape())]


class MaxPool(Node):
    """Max-pooling that no block took in."""

    argmax: Buffer
    window: list[int]

    def __init__(
        self,
        layer: int,
        x: Tensor,
        y: Tensor,
        kernel: tuple[int, ...],
        stride: tuple[int, ...],
        padding: tuple[int, ...],
        dilation: tuple[int, ...],
    ) -> None:
        super().__init__(layer, x, y)
        self.window = [*kernel, *stride, *padding, *dilation, 0]
        self.argmax = Buffer()

    def shape(self) -> list[int]:
        return [*self.x.geometry.words, *self.y.geometry.words, *self.window]

    def forward(self, training: bool) -> list[PlannedOp]:
        return [self.op(Op.POOL_FORWARD, [self.y.value, self.argmax, self.x.value], self.shape())]

    def backward(self, input_gradient: bool) -> list[PlannedOp]:
        refs = [self.x.gradient, self.y.gradient, self.argmax]
        return [self.op(Op.POOL_BACKWARD, refs, self.shape())] if input_gradient else []


class AveragePool(Node):
    window: list[int]

    def __init__(
        self,
        layer: int,
        x: Tensor,
        y: Tensor,
        kernel: tuple[int, ...],
        stride: tuple[int, ...],
        padding: tuple[int, ...],
        count_include_pad: bool,
    ) -> None:
        super().__init__(layer, x, y)
        self.window = [*kernel, *stride, *padding, 1, 1, int(count_include_pad)]

    shape: Callable[[Any], list[int]] = MaxPool.shape

    def forward(self, training: bool) -> list[PlannedOp]:
        return [self.op(Op.AVERAGE_FORWARD, [self.y.value, self.x.value], self.shape())]

    def backward(self, input_gradient: bool) -> list[PlannedOp]:
        refs = [self.x.gradient, self.y.gradient]
        return [self.op(Op.AVERAGE_BACKWARD, refs, self.shape())] if input_gradient else []


class Weights(Node):
    """Parameters whose gradients are complete before any update: nothing is left to be reduced."""

    def gradients(self, gradient_only: bool) -> list[Any] | list[PlannedOp]:
        return [] if gradient_only else [self.update(p) for p in self.parameters]


class Python(Weights):
    """What Python computes: there are no ops, as a plan ends before it."""

    def forward(self, training: Any) -> Any:
        return []

    def backward(self, input_gradient: Any) -> Any:
        return []


class Norm(Weights):
    """Batch norm with the batch's statistics, and, if it is `rectified`, a ReLU behind it: phases of samples around a
    look at the whole batch."""

    rectified = False
    epsilon: float
    means: Packed
    moments: Buffer
    momentum: float
    running: Parameter | None
    statistics: Packed
    sums: Buffer

    def __init__(self, layer: int, x: Tensor, y: Tensor, epsilon: float, momentum: float) -> None:
        super().__init__(layer, x, y)
        self.epsilon, self.momentum = epsilon, momentum
        self.running = None  # the first of the buffers, which lie side by side
        self.moments, self.sums = Buffer(), Buffer()
        self.statistics = Packed("statistics", layer)
        self.means = Packed("gradient means", layer)

    def sizes(self) -> list[int]:
        """Elements of the weight, and of the bias; and of a running mean or variance."""
        return self.op(Op.NORM_GRADIENT, [], self.shape()).elements[1:3]

    def shape(self) -> list[int]:
        momentum = -1.0 if self.momentum is None else self.momentum
        return [*self.x.geometry.words, self.rectified, real_word(self.epsilon), real_word(momentum)]

    @property
    def scale_and_bias(self) -> list[Parameter]:
        return self.parameters or [None, None]

    def forward(self, training: bool) -> list[PlannedOp]:
        refs = [self.statistics, self.moments, *self.scale_and_bias, self.running]
        return [
            self.op(Op.NORM_MOMENTS, [self.moments, self.x.value], self.shape()),
            self.op(Op.NORM_STATISTICS, refs, self.shape()),
            self.op(Op.NORM_APPLY, [self.y.value, self.x.value, self.statistics], self.shape()),
        ]

    def backward(self, input_gradient: bool) -> list[PlannedOp]:
        dx, dy, x = self.x.gradient, self.y.gradient, self.x.value
        gradients = [parameter and Gradient(parameter) for parameter in self.scale_and_bias]
        ops = [
            self.op(Op.NORM_GRADIENT_SUMS, [self.sums, dy, x, self.statistics], self.shape()),
            self.op(Op.NORM_GRADIENT, [self.means, *gradients, self.sums], self.shape()),
        ]
        if input_gradient:
            ops.append(self.op(Op.NORM_INPUT_GRADIENT, [dx, dy, x, self.statistics, self.means], self.shape()))
        return ops


class FoldedNorm(Norm):
    """Batch norm with the running statistics: a scale and a shift a channel, which a convolution may take in."""

    statistics: Packed

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.statistics = Packed("running statistics", self.layer)

    def row(self, number: int) -> Row:
        return Row(self.statistics, number)

    def fold(self, conv_bias: Parameter | None) -> PlannedOp:
        return self.op(Op.NORM_FOLD, [self.statistics, *self.scale_and_bias, self.running, conv_bias], self.shape())

    def forward(self, training: bool) -> list[PlannedOp]:
        return [self.op(Op.NORM_APPLY, [self.y.value, self.x.value, self.statistics], self.shape())]

    def prepare(self, updated: bool) -> list[PlannedOp]:
        return [self.fold(None)]


class SmallLinear(Node):
    """A linear layer in SHARD scope: sample by sample."""

    weight_gradient: Op = Op.LINEAR_WEIGHT_GRADIENT

    def shape(self) -> list[int]:
        return [self.x.geometry.c, self.y.geometry.c]

    def forward(self, training: bool) -> list[PlannedOp]:
        weight, bias = pair_up(self.parameters)
        return [self.op(Op.LINEAR_FORWARD, [self.y.value, self.x.value, weight, bias], self.shape())]

    def backward(self, input_gradient: bool) -> list[PlannedOp]:
        dw, db = pair_up(self.shards)
        ops = [self.op(self.weight_gradient, [dw, db, self.y.gradient, self.x.value], self.shape())]
        if input_gradient:
            refs = [self.x.gradient, self.y.gradient, self.parameters[0]]
            ops.append(self.op(Op.LINEAR_INPUT_GRADIENT, refs, self.shape()))
        return ops


class LargeLinear(Node):
    """A linear layer in TILES scope: matrix products over the batch, the update in the gradient's tiles."""

    sparse = False
    weight_gradient: Op = Op.LINEAR_TILE_WEIGHT_GRADIENT

    @property
    def words(self) -> Packed:
        return Packed("words", self.layer)

    def shape(self) -> list[Any]:
        return [self.x.geometry.c, self.y.geometry.c, self.sparse]

    def forward(self, training: bool) -> list[PlannedOp]:
        weight, bias = pair_up(self.parameters)
        kind = Op.LINEAR_SPARSE_FORWARD if self.sparse else Op.LINEAR_TILE_FORWARD
        return [self.op(kind, [self.y.value, self.x.value, weight, bias, SCRATCH, self.words], self.shape())]

    def backward(self, input_gradient: bool) -> list[Any] | list[PlannedOp]:
        refs = [self.x.gradient, self.y.gradient, self.parameters[0], SCRATCH, self.words]
        return [self.op(Op.LINEAR_TILE_INPUT_GRADIENT, refs, self.shape())] if input_gradient else []

    def gradients(self, gradient_only: bool) -> list[PlannedOp]:
        gradients = pair_up([Gradient(p) for p in self.parameters])
        updated, words = ((None, None), None) if gradient_only else (pair_up(self.parameters), self.words)
        refs = [*gradients, self.y.gradient, self.x.value, *updated, SCRATCH, words]
        return [self.op(self.weight_gradient, refs, self.shape())]

    def prepare(self, updated: bool) -> list[PlannedOp]:
        return [] if updated else [self.op(Op.LINEAR_PACK, [self.words, self.parameters[0]], self.shape())]


class SparseLinear(LargeLinear):
    """A large linear layer on what may be mostly zeros, as pictures are. A few samples see little of the weights: its
    forward pass is in SHARD scope."""

    sparse = True


class Elementwise(Node):
    """An activation that no block took in; the identity is a copy."""

    def __init__(self, layer: int, x: Tensor, y: Tensor, activation: Activation) -> None:
        super().__init__(layer, x, y)
        self.activation = activation

    def shape(self) -> list[int]:
        return [*self.x.geometry.words, *self.activation.words]

    def forward(self, training: bool) -> list[PlannedOp]:
        return [self.op(Op.ACTIVATION_FORWARD, [self.y.value, self.x.value], self.shape())]

    def backward(self, input_gradient: bool) -> list[PlannedOp]:
        refs = [self.y.gradient, self.y.value if self.activation.from_y else self.x.value]
        return [self.op(Op.ACTIVATION_BACKWARD, refs, self.shape())] if input_gradient else []


class Fork(Node):
    """Where a residual block begins: the gradients of its two ways add up here. `skip`: the tensor that brings the
    other one, known when the block ends; `shape`: the public one."""

    skip: Tensor
    shape: tuple[Any, ...]

    def forward(self, training: bool) -> list[Any]:
        return []

    def backward(self, input_gradient: bool) -> list[PlannedOp]:
        return [self.add(self.x.gradient, self.x, self.skip)] if input_gradient else []

    def add(self, y: Buffer, a: Tensor, b: Tensor) -> PlannedOp:
        """The gradient y of tensor a and that of b."""
        shape = [*a.geometry.words, *a.geometry.words, *b.geometry.words]
        return self.op(Op.ADD, [y, y, b.gradient], shape)


class Copy(Node):
    """A tensor of its own for what another way reads; the gradient is added by the Fork."""

    def shape(self) -> Any:
        return [*self.y.geometry.words, *self.x.geometry.words, *self.x.geometry.words]

    def forward(self, training: bool) -> Any:
        return [self.op(Op.ADD, [self.y.value, self.x.value, None], self.shape())]

    def backward(self, input_gradient: bool) -> Any:
        return []


class Add(Node):
    """The end of a residual block: y = x + skip. The gradient of y is that of both; a skip without nodes of its own
    has none."""

    projected: bool
    skip: Tensor

    def __init__(self, layer: int, x: Tensor, y: Tensor, skip: Tensor, projected: bool) -> None:
        super().__init__(layer, x, y)
        self.skip, self.projected = skip, projected

    def forward(self, training: bool) -> list[PlannedOp]:
        shape = [*self.y.geometry.words, *self.x.geometry.words, *self.skip.geometry.words]
        return [self.op(Op.ADD, [self.y.value, self.x.value, self.skip.value], shape)]

    def backward(self, input_gradient: bool) -> list[PlannedOp]:
        ways = [self.x, self.skip] if self.projected else [self.x]
        dy = self.y
        return [
            self.op(Op.ADD, [way.gradient, dy.gradient, None], [*way.geometry.words, *dy.geometry.words * 2])
            for way in (ways if input_gradient else ())
        ]


class Dropout(Node):
    """Its random stream is its layer's index. Backward is the mask of forward: drawn again or, where zeros of x have no
    gradient (`rectified`), seen in y."""

    scale: float
    threshold: int

    def __init__(self, layer: int, x: Tensor, y: Tensor, p: float, rectified: bool) -> None:
        super().__init__(layer, x, y)
        self.threshold, self.scale = min(round(p * 2**32), 2**32 - 1), 1 / (1 - p)
        self.rectified = rectified

    def mask(self, y: Buffer, x: Buffer, kept: Buffer | None) -> list[PlannedOp]:
        shape = [*self.x.geometry.words, self.threshold, self.layer, real_word(self.scale)]
        return [self.op(Op.DROPOUT, [y, x, kept], shape)]

    def forward(self, training: bool) -> list[PlannedOp]:
        return self.mask(self.y.value, self.x.value, None)

    def backward(self, input_gradient: bool) -> list[PlannedOp]:
        kept = self.y.value if self.rectified else None
        return self.mask(self.y.gradient, self.y.gradient, kept) if input_gradient else []


class Noise(Node):
    """Gaussian noise; the gradient passes as it is."""

    def __init__(self, layer: int, x: Tensor, y: Tensor, std: float) -> None:
        super().__init__(layer, x, y)
        self.std = std

    def forward(self, training: bool) -> list[PlannedOp]:
        shape = [*self.x.geometry.words, self.layer, real_word(self.std)]
        return [self.op(Op.NOISE, [self.y.value, self.x.value], shape)]

    def backward(self, input_gradient: bool) -> list[Any]:
        return []


class Warp(Node):
    """A random map of each picture; `numbers` in the order of pmc_warp."""

    cutout: int
    grid: int
    numbers: tuple[float, ...]

    def __init__(self, layer: int, x: Tensor, y: Tensor, cutout: int, grid: int, numbers: tuple[float, ...]) -> None:
        super().__init__(layer, x, y)
        self.cutout, self.grid, self.numbers = cutout, grid, numbers

    def shape(self) -> list[int]:
        return [*self.x.geometry.words, self.layer, self.cutout, self.grid, *map(real_word, self.numbers)]

    def forward(self, training: bool) -> list[PlannedOp]:
        return [self.op(Op.WARP_FORWARD, [self.y.value, self.x.value, SCRATCH], self.shape())]

    def backward(self, input_gradient: bool) -> list[PlannedOp]:
        refs = [self.x.gradient, self.y.gradient, SCRATCH]
        return [self.op(Op.WARP_BACKWARD, refs, self.shape())] if input_gradient else []


class Morphology(Node):
    """A random dilation or erosion of each picture. Its gradient is computed from x."""

    dilation: float
    erosion: float

    def __init__(self, layer: int, x: Tensor, y: Tensor, dilation: float, erosion: float) -> None:
        super().__init__(layer, x, y)
        self.dilation, self.erosion = dilation, erosion

    def shape(self) -> list[int]:
        return [*self.x.geometry.words, self.layer, real_word(self.dilation), real_word(self.erosion)]

    def forward(self, training: bool) -> list[PlannedOp]:
        return [self.op(Op.MORPHOLOGY_FORWARD, [self.y.value, self.x.value, SCRATCH], self.shape())]

    def backward(self, input_gradient: bool) -> list[PlannedOp]:
        refs = [self.x.gradient, self.y.gradient, self.x.value, SCRATCH]
        return [self.op(Op.MORPHOLOGY_BACKWARD, refs, self.shape())] if input_gradient else []


class Erasing(Node):
    """A random rectangle of each picture becomes numbers from `low` to `high`, and its gradient 0. `numbers` in the
    order of pmc_erasing, before those two."""

    numbers: tuple[float, ...]
    high: float
    low: float

    def __init__(self, layer: int, x: Tensor, y: Tensor, numbers: tuple[float, ...], low: float, high: float) -> None:
        super().__init__(layer, x, y)
        self.numbers, self.low, self.high = numbers, low, high

    def erased(self, y: Buffer, x: Buffer, low: float, high: float) -> list[PlannedOp]:
        shape = [*self.x.geometry.words, self.layer, *map(real_word, (*self.numbers, low, high))]
        return [self.op(Op.ERASE, [y, x], shape)]

    def forward(self, training: bool) -> list[PlannedOp]:
        return self.erased(self.y.value, self.x.value, self.low, self.high)

    def backward(self, input_gradient: bool) -> list[PlannedOp]:
        return self.erased(self.y.gradient, self.y.gradient, 0.0, 0.0) if input_gradient else []


class Softmax(Node):
    """Over the scores along an axis of a sample."""

    kinds: tuple[Op, Op] = (Op.SOFTMAX_FORWARD, Op.SOFTMAX_BACKWARD)
    axis: int

    def __init__(self, layer: int, x: Tensor, y: Tensor, axis: int) -> None:
        super().__init__(layer, x, y)
        self.axis = axis

    def shape(self) -> list[int]:
        return [*self.x.geometry.words, self.axis]

    def forward(self, training: bool) -> list[PlannedOp]:
        return [self.op(self.kinds[0], [self.y.value, self.x.value], self.shape())]

    def backward(self, input_gradient: bool) -> list[PlannedOp]:
        return [self.op(self.kinds[1], [self.y.gradient, self.y.value], self.shape())] if input_gradient else []


class LogSoftmax(Softmax):
    kinds: tuple[Op, Op] = (Op.LOG_SOFTMAX_FORWARD, Op.LOG_SOFTMAX_BACKWARD)


class Flatten(Node):
    """From height, width, channels to the order c, h, w that the public weights of a linear layer have."""

    def forward(self, training: bool) -> list[PlannedOp]:
        return [self.op(Op.FLATTEN_FORWARD, [self.y.value, self.x.value], self.x.geometry.words)]

    def backward(self, input_gradient: bool) -> list[PlannedOp]:
        refs = [self.x.gradient, self.y.gradient]
        return [self.op(Op.FLATTEN_BACKWARD, refs, self.x.geometry.words)] if input_gradient else []
