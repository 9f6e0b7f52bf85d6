"""What a value in a graph is, in our layers.

A Step is a layer behind the steps before it: the way from the input. A Tensor is what comes out of a step, seen as a
graph sees it: in another shape, perhaps with its axes in another order.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from itertools import permutations
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import layers
from .._types import Array, Shape
from .folding import folded

if TYPE_CHECKING:
    from ..layers.base import Layer


NO_EPS = 1e-30  # of a batch norm that is but a scale and an offset: the smallest that there is
DEEPEST = 16  # blocks in blocks
NORMS = layers.BatchNorm1d, layers.BatchNorm2d


@dataclass(eq=False, frozen=True)
class Step:
    """A layer, with the shape of a sample behind it, and the weights of its leaves by name. The first has no layer."""

    before: Step | None
    layer: layers.Layer | None
    shape: tuple[Any, ...]
    weights: dict[str, Any] = field(default_factory=dict)
    number: int = 0
    depth: int = 0  # of blocks in blocks

    @property
    def is_input(self) -> bool:
        """Nothing has happened but what happens to each number alone: pictures may still be seen in another shape."""
        return self.layer is None or (isinstance(self.layer, layers.Rescaling) and self.before.is_input)

    def way(self, start: Any = None) -> list[Step]:
        """The steps with a layer, behind `start`."""
        steps, step = [], self
        while step is not start and step.layer is not None:
            steps.append(step)
            step = step.before
        return steps[::-1]


@dataclass(eq=False, frozen=True)
class Tensor:
    """`shape`: of a sample in the graph; `order`: for each of its numbers, in turn, the place that it has in the step's
    sample; None if all have the same."""

    step: Step
    shape: tuple[Any, ...]
    order: np.ndarray | None = None

    def seen_as(self, shape: Shape) -> Tensor:
        if math.prod(shape) != math.prod(self.shape):
            raise ValueError(f"{self.shape} cannot be seen as {tuple(shape)}: the batch must stay the first dimension")
        return replace(self, shape=tuple(shape))

    def transposed(self, axes: Any) -> Tensor:
        """With the axes of a sample in another order."""
        size = math.prod(self.shape)
        order = np.arange(size) if self.order is None else self.order
        order = order.reshape(self.shape).transpose(axes)
        shape, order = order.shape, order.reshape(size)
        return replace(self, shape=shape, order=None if (order == np.arange(size)).all() else order)

    def axes(self) -> tuple[Any, ...] | None:
        """Which of the step's axes are those of this picture, if it is one whose axes were transposed."""
        if self.order is not None and len(self.shape) == len(self.step.shape) == 3:
            places = np.arange(self.order.size).reshape(self.step.shape)
            for axes in permutations(range(3)):
                seen = places.transpose(axes)
                if seen.shape == self.shape and (seen.reshape(-1) == self.order).all():
                    return axes
        return None


@dataclass(frozen=True)
class Padded:
    """A Tensor with a border that has not become a layer's padding yet. sides: (top, bottom, left, right)."""

    tensor: Tensor
    value: float
    sides: tuple[Any, ...]


class Ways:
    """Makes tensors from tensors; what a file may take is counted here."""

    max_bytes: int
    max_work: int
    work: int

    def __init__(self, max_bytes: int, max_work: int) -> None:
        self.max_bytes, self.max_work, self.work = max_bytes, max_work, 0
        self.replays: dict[str, Any] = {}
        self.is_double = False  # whether the graph computes in float64
        self.batch = 0  # how large the graph's is, if it is not free

    def check_size(self, elements: int, itemsize: int = 4) -> None:
        if elements * itemsize > self.max_bytes:
            raise ValueError(f"{elements:,} numbers are more than max_bytes of pm.from_onnx allows")

    def input(self, shape: Shape) -> Tensor:
        """Samples of a graph's input, of any rank."""
        ours = {2: (1, *shape), 3: tuple(shape)}.get(len(shape), (math.prod(shape),))
        self.check_size(math.prod(shape))
        return Tensor(Step(None, None, ours), tuple(shape))

    def after(self, tensor: Tensor, layer: Layer, shape: Shape = None, **weights: Array) -> Tensor:
        """Behind one more layer; `shape`: of a sample in the graph, if it is not the layer's."""
        step = tensor.step
        self.work += layer.work(step.shape)
        if self.work > self.max_work:
            raise ValueError(f"a sample takes more than the {self.max_work:,} numbers that max_work allows")
        after = layer.output_shape(step.shape)
        self.check_size(math.prod(after))
        step = Step(step, layer, after, {layer: weights} if weights else {}, step.number + 1)
        return Tensor(step, after if shape is None else shape, tensor.order)

    def picture(self, tensor: Tensor) -> Tensor:
        """As (c, h, w), for a layer that needs this; (c, w) are pictures of one row."""
        shape = tensor.shape if len(tensor.shape) != 2 else (tensor.shape[0], 1, tensor.shape[1])
        if len(shape) != 3:
            raise ValueError(f"it needs pictures (n, channels, height, width), not (n, {', '.join(map(str, shape))})")
        if tensor.step.is_input:  # so pictures are to be given
            return self.replayed(tensor, shape)
        if tensor.order is not None or tensor.step.shape != shape:
            raise ValueError(f"its input is {tensor.step.shape} in our layers, which cannot become {shape} again")
        return replace(tensor, shape=shape)

    def replayed(self, tensor: Tensor, shape: Shape) -> Tensor:
        """What is done to the input done to one of another shape, or order: that of the tensor."""
        if tensor.order is None and tensor.step.shape == shape:
            return replace(tensor, shape=shape)
        key = tensor.step, shape, None if tensor.order is None else tensor.order.tobytes()
        if key not in self.replays:
            start = Tensor(Step(None, None, shape), shape)
            for step in tensor.step.way():
                start = self.after(start, step.layer)
            self.replays[key] = start
        return self.replays[key]

    def channels_last(self, tensor: Tensor) -> Tensor:
        """The input's pictures, which a graph sees as (h, w, c), of an input that is (c, h, w)."""
        height, width, channels = tensor.shape
        self.check_size(math.prod(tensor.shape), 32)  # two arrays of places
        return self.replayed(tensor, (channels, height, width)).transposed([1, 2, 0])

    def features(self, tensor: Tensor) -> Tensor:
        """As (n,), for a layer that needs this. The order of the numbers may still be another."""
        shape = (math.prod(tensor.shape),)
        if tensor.step.is_input and tensor.order is not None:
            return self.replayed(tensor, shape)
        if len(tensor.step.shape) == 3:
            return self.after(tensor, layers.Flatten(), shape)
        return replace(tensor, shape=shape)

    def scaled(self, tensor: Tensor, scale: Any, offset: Any) -> Tensor:
        """scale * x + offset, with numbers for each channel or feature, or one for all."""
        alike = np.size(scale) == np.size(offset) == 1
        if alike and tensor.step.is_input:
            rescaling = layers.Rescaling(neat(np.ravel(scale)[0]), neat(np.ravel(offset)[0]))
            return self.after(tensor, rescaling, tensor.shape)
        seen = Tensor(tensor.step, tensor.step.shape) if alike else tensor
        if len(seen.shape) == 1:
            seen = self.features(seen)
        channels = seen.shape[0]
        scale, offset = (np.broadcast_to(np.ravel(a), channels) for a in (scale, offset))
        if seen.order is None and (before := only_scaled(seen.step)) is not None:
            offset = scale * before["bias"] + offset
            scale, seen = scale * before["weight"], replace(seen, step=seen.step.before)
        step = self.with_bias(seen, scale, offset)
        if step is None:
            one, zero = np.ones(channels), np.zeros(channels)
            step = self.normalized(seen, NO_EPS, 0.1, scale, offset, zero, one).step
        return replace(tensor, step=step)

    def leaky(self, tensor: Tensor, slopes: Array) -> Tensor:
        """A leaky ReLU with a slope for each channel or feature: slope * x + (1 - slope) * relu(x)."""
        x = self.picture(tensor) if len(tensor.shape) > 1 else self.features(tensor)
        positive, none = self.after(x, layers.ReLU(), x.shape), np.zeros_like(slopes)
        made = self.sum(self.scaled(x, slopes, none), self.scaled(positive, 1 - slopes, none))
        return replace(made, shape=tensor.shape)

    def softmax(self, tensor: Tensor, kind: type[Layer], first: int, behind: int) -> Tensor:
        """Over the scores along a sample's axes from `first` to the one before `behind`."""
        shape = tensor.shape
        layout = tuple(map(math.prod, (shape[:first], shape[first:behind], shape[behind:])))
        if layout[::2] == (1, 1):
            return self.after(self.features(tensor), kind(), shape)
        if (axes := tensor.axes()) and behind == first + 1:
            return self.after(tensor, kind(axes[first] + 1), shape)
        if tensor.step.is_input:
            tensor = self.picture(tensor if behind == first + 1 and len(shape) in (2, 3) else tensor.seen_as(layout))
        ours = tensor.step.shape
        for axis, size in enumerate(ours):
            if tensor.order is None and (math.prod(ours[:axis]), size, math.prod(ours[axis + 1 :])) == layout:
                return self.after(tensor, kind(axis + 1), shape)
        raise ValueError(f"its scores are not along one axis of what our layers have there, {ours}")

    def with_bias(self, tensor: Tensor, scale: Any, offset: Any) -> Step | None:
        """A bias for the convolution or linear layer right before that has none yet."""
        step = tensor.step
        if not isinstance(step.layer, (layers.Conv2d, layers.Linear)) or step.layer.bias or not (scale == 1).all():
            return None
        layer = type(step.layer)(**{**step.layer.settings(), "bias": True})
        return replace(step, layer=layer, weights={layer: {**step.weights[step.layer], "bias": offset}})

    def normalized(
        self, tensor: Tensor, eps: Any, momentum: Any, weight: Array, bias: Array | None, mean: Any, variance: Any
    ) -> Tensor:
        """Batch norm, of each channel or feature."""
        arrays = dict(weight=weight, bias=bias, running_mean=mean, running_var=variance)
        if len(tensor.shape) > 1:
            seen = self.picture(tensor)
            return self.after(seen, layers.BatchNorm2d(eps=eps, momentum=momentum), tensor.shape, **arrays)
        tensor = self.features(tensor)
        if tensor.order is not None:
            arrays = {name: in_our_order(array, tensor.order) for name, array in arrays.items()}
        return self.after(tensor, layers.BatchNorm1d(eps=eps, momentum=momentum), **arrays)

    def linear(self, tensor: Tensor, weight: Array, bias: Array | None) -> Tensor:
        """weight (out, in), in the graph's order."""
        if len(tensor.shape) != 1:
            raise ValueError(f"it needs features (n, in), not (n, {', '.join(map(str, tensor.shape))})")
        tensor = self.features(tensor)
        if weight.ndim != 2 or weight.shape[1] != tensor.shape[0]:
            raise ValueError(f"its weights of {weight.shape} do not fit {tensor.shape[0]} inputs")
        if tensor.order is not None:
            weight = in_our_order(weight, tensor.order)
        arrays = dict(weight=weight) | ({} if bias is None else dict(bias=bias))
        layer = layers.Linear(weight.shape[0], bias=bias is not None)
        return replace(self.after(tensor, layer, **arrays), order=None)

    def sum(self, a: Any, b: Any) -> Tensor:
        """A residual block: where two ways part, and one of them has at most one layer."""
        if a.shape != b.shape or not np.array_equal(a.order, b.order):
            raise ValueError(f"it adds {a.shape} and {b.shape}, which are not of the same layout")
        start = fork(a.step, b.step)
        ways = sorted((a.step.way(start), b.step.way(start)), key=len)
        ways[0] = shortened(ways[0])
        skip, inside = ways
        if not inside:
            raise ValueError("it adds a tensor to itself")
        if len(skip) > 1:
            raise ValueError("of the two ways that it adds up, one must have no layer or a single one")
        depth = 1 + max(step.depth for way in ways for step in way)
        if depth > DEEPEST:
            raise ValueError(f"it is a block in blocks, more than {DEEPEST} deep")
        leaves = [leaf for way in ways for step in way for _, leaf in step.layer.leaves()]
        if len(set(leaves)) < len(leaves):
            raise ValueError("it has a layer in two places")
        block = layers.Residual([step.layer for step in inside], skip[0].layer if skip else None)
        made = self.after(Tensor(start, a.shape, a.order), block, a.shape)
        for step in skip + inside:
            made.step.weights.update(step.weights)
        return replace(made, step=replace(made.step, depth=depth))


def only_scaled(step: Any) -> dict[str, Any] | None:
    """The weights of a step that is a scale and an offset for each channel, and nothing else."""
    if not isinstance(step.layer, NORMS) or step.layer.eps != NO_EPS:
        return None
    weights = step.weights[step.layer]
    return None if weights["running_mean"].any() or (weights["running_var"] != 1).any() else weights


def shortened(way: list[Step]) -> list[Step]:
    """A way of a convolution or linear layer and its batch norm, as in ResNets, as one layer with a bias."""
    kinds = [type(step.layer) for step in way]
    if len(kinds) != 2 or kinds[0] not in (layers.Conv2d, layers.Linear) or not issubclass(kinds[1], NORMS):
        return way
    (product, norm), first = (step.layer for step in way), way[0]
    weights = folded(first.weights[product], way[1].weights[norm], norm.eps)
    layer = kinds[0](**{**product.settings(), "bias": True})
    return [replace(first, layer=layer, weights={layer: weights})]


def fork(a: Any, b: Any) -> Step:
    """The last step that two ways share."""
    while a is not b:
        a, b = (a.before, b) if a.number >= b.number else (a, b.before)
        if a is None or b is None:
            raise ValueError("it adds up what comes from different views of the input")
    return a


def in_our_order(array: Array, order: Any) -> np.ndarray:
    ours = np.empty_like(array)
    ours[..., order] = array
    return ours


def decimal(value: Any) -> float:
    """The number that somebody wrote, of the float32 that a file has."""
    return float(str(np.float32(value)))


def neat(value: Any) -> float:
    """The simplest number that is the same but for rounding: 1/255 of 0.003921569."""
    value = float(value)
    rounded = [decimal(value), float(f"{value:.15g}")]
    if 1e-6 < abs(value) < 1:
        rounded.insert(0, 1 / round(1 / value))
    is_single = float(np.float32(value)) == value
    for simple in rounded:
        if abs(simple - value) <= 4e-16 * abs(value) or (is_single and np.float32(simple) == np.float32(value)):
            return simple
    return value
