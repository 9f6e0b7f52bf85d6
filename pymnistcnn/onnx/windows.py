"""Operators whose window goes over pictures: convolution and pooling."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import layers
from .._types import Shape
from .expressions import Expression, resolve
from .operators import operator, without_batch
from .tensors import Padded

if TYPE_CHECKING:
    from .operators import Node
    from .tensors import Tensor


ROUNDED = "NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER"


@dataclass
class Window:
    """A node's window, by (vertical, horizontal); pads: (top, left, bottom, right). The samples of a graph may be of
    one row: (c, w)."""

    kernel: tuple[Any, ...]
    strides: tuple[Any, ...]
    dilations: tuple[Any, ...]
    pads: tuple[Any, ...]
    auto: str
    ceil: bool

    @classmethod
    def of(cls, node: Node, flat: Any, kernel: Any = None) -> Any:
        rank = 1 if flat else 2

        def numbers(name, default, times=1):
            value = list(node.get(name, [default] * rank * times))
            if len(value) != rank * times:
                raise ValueError(f"its {name} must be {rank * times} numbers, not {value}")
            return tuple(n for end in range(times) for n in [default] * flat + value[end * rank : (end + 1) * rank])

        auto = node.get("auto_pad", "NOTSET")
        if auto not in ROUNDED:
            raise ValueError(f"its auto_pad must be one of {', '.join(ROUNDED)}, not {auto}")
        given = numbers("kernel_shape", 1) if kernel is None or "kernel_shape" in node.attributes else kernel
        if kernel is not None and tuple(given) != tuple(kernel):
            raise ValueError(f"its kernel_shape is {given}, that of its weights {kernel}")
        window = cls(
            tuple(given),
            numbers("strides", 1),
            numbers("dilations", 1),
            numbers("pads", 0, 2),
            auto,
            bool(node.get("ceil_mode", 0)),
        )
        if min(window.kernel + window.strides + window.dilations) < 1 or min(window.pads) < 0:
            raise ValueError("its kernel, strides and dilations must be from 1 on, its pads from 0 on")
        return window

    @property
    def spans(self) -> Any:
        return tuple(d * (k - 1) + 1 for k, d in zip(self.kernel, self.dilations, strict=True))

    def sides(self, size: int) -> tuple[Any, ...]:
        """(top, bottom, left, right) around a picture of this size."""
        if self.auto == "NOTSET":
            top, left, bottom, right = self.pads
            return top, bottom, left, right
        found = ()
        for n, span, step in zip(size, self.spans, self.strides, strict=True):
            total = 0 if self.auto == "VALID" else max(0, (-(-n // step) - 1) * step + span - n)
            less, more = total // 2, total - total // 2
            found += (less, more) if self.auto == "SAME_UPPER" else (more, less)
        return found

    def cells(self, size: int) -> tuple[Any, ...]:
        """How many windows there are along each axis."""
        top, bottom, left, right = self.sides(size)
        found = []
        for n, begin, end, span, step in zip(size, (top, left), (bottom, right), self.spans, self.strides, strict=True):
            cells = (n + begin + end - span + (step - 1) * self.ceil) // step + 1
            found.append(cells - (self.ceil and (cells - 1) * step >= n + begin))
        return tuple(found)


def with_border(node: Node) -> Any:
    """The picture, the value and sides of a Pad before it, and whether the graph's samples are of one row."""
    given, value, sides = node[0], 0.0, (0, 0, 0, 0)
    if isinstance(given, Padded):
        tensor, value, sides = given.tensor, given.value, given.sides
    else:
        tensor = node.tensor()
    return node.ways.picture(tensor), value, sides, len(tensor.shape) == 2


def as_before(tensor: Tensor, flat: Any) -> Any:
    """One row, if it was one."""
    return tensor.seen_as((tensor.shape[0], tensor.shape[2])) if flat else tensor


@operator("Pad")
def pad(node: Node) -> Any:
    tensor = node[0]
    if isinstance(tensor, Expression):
        tensor = resolve(tensor, node.ways)
    node = replace(node, inputs=[tensor, *node.inputs[1:]])
    sides, axes, rank = node.numbers(1, "pads"), node.numbers(3), len(node.tensor().shape) + 1
    if node.get("mode", "constant") != "constant":
        raise ValueError(f"its mode is {node.get('mode')}; only constant is known here")
    axes = list(range(rank)) if axes is None else [axis % rank for axis in axes]
    if sides is None or len(sides) != 2 * len(axes) or min(sides) < 0:
        raise ValueError("its pads must be two numbers from 0 on for each axis")
    along = {axis: (sides[i], sides[i + len(axes)]) for i, axis in enumerate(axes)}
    if not any(sides):
        return tensor
    if any(any(along.get(axis, ())) for axis in range(rank - 2)) or rank not in (3, 4):
        raise ValueError("it pads more than height and width")
    value = node.constant(2, "value")
    value = 0.0 if value is None or value.size != 1 else float(value.reshape(-1)[0])
    (top, bottom), (left, right) = along.get(rank - 2, (0, 0)) if rank == 4 else (0, 0), along.get(rank - 1, (0, 0))
    return Padded(tensor, value, (top, bottom, left, right))


@operator("Conv")
def convolution(node: Node) -> Any:
    picture, value, border, flat = with_border(node)
    if value != 0:
        raise ValueError(f"a Pad of {value} before it: a convolution pads with 0")
    weight = node.weights(1)
    weight = weight[:, :, None] if flat and weight.ndim == 3 else weight
    if weight.ndim != 4:
        raise ValueError(f"its weights must be (out, in, height, width), not {weight.shape}")
    window = Window.of(node, flat, weight.shape[2:])
    bordered = tuple(n + a + b for n, a, b in zip(picture.shape[1:], border[::2], border[1::2], strict=True))
    padding = tuple(a + b for a, b in zip(border, window.sides(bordered), strict=True))
    bias = {} if node[2] is None else {"bias": node.weights(2)}
    layer = layers.Conv2d(
        weight.shape[0],
        window.kernel,
        stride=window.strides,
        padding=padding_of(padding),
        dilation=window.dilations,
        groups=node.get("group", 1),
        bias=bool(bias),
    )
    if weight.shape[1] * layer.groups != picture.shape[0]:
        raise ValueError(f"its weights of {weight.shape} do not fit {picture.shape[0]} channels")
    return as_before(node.ways.after(picture, layer, weight=weight, **bias), flat)


def padding_of(sides: Any) -> Any:
    """As one would write it."""
    top, bottom, left, right = sides
    return (top, left) if (top, left) == (bottom, right) else sides


@operator("MaxPool")
def max_pool(node: Node) -> Any:
    picture, value, border, flat = with_border(node)
    if any(border) and value != -math.inf:
        raise ValueError(f"a Pad of {value} before it: a max-pool pads with -inf")
    window = bordered(Window.of(node, flat), border, picture)
    trials = [dict(ceil_mode=ceil, dilation=window.dilations) for ceil in (False, True)]
    layer = pool(layers.MaxPool2d, window, picture.shape, window.sides(picture.shape[1:]), trials)
    if layer is None:
        raise ValueError(too_far(window, picture))
    return as_before(node.ways.after(picture, layer), flat)


@operator("AveragePool")
def average_pool(node: Node) -> Any:
    picture, value, border, flat = with_border(node)
    window, counts = Window.of(node, flat), bool(node.get("count_include_pad", 0))
    own, ceils, sides = window.sides(picture.shape[1:]), (window.ceil,), None
    if any(border):
        if value != 0 or (any(own[::2]) and not counts):
            raise ValueError(f"a Pad of {value} before it, which counts in another way than its own")
        if any(own) and not counts:
            ceils, sides = (True,), border  # what is behind the Pad does not count
        window, counts = bordered(window, border, picture), True
    if window.dilations == (1, 1):
        bare = not any(window.sides(picture.shape[1:]))  # so there is nothing that may count or not
        trials = [(ceil, True) for ceil in ceils] if counts and not bare else [(False, bare), (True, False)]
        trials = [dict(ceil_mode=ceil, count_include_pad=counted) for ceil, counted in trials]
        sides = window.sides(picture.shape[1:]) if sides is None else sides
        if (layer := pool(layers.AvgPool2d, window, picture.shape, sides, trials)) is not None:
            return as_before(node.ways.after(picture, layer), flat)
    if window.cells(picture.shape[1:]) == replace(window, ceil=False).cells(picture.shape[1:]):
        ceils = (False,)
    if True in ceils or (any(window.sides(picture.shape[1:])) and not counts):
        raise ValueError(too_far(window, picture))
    return as_before(means(node, window, picture), flat)


def means(node: Node, window: Window, picture: Any) -> Any:
    """Means of windows that no AvgPool2d of ours has, as a convolution of each channel."""
    channels, area = picture.shape[0], math.prod(window.kernel)
    node.ways.check_size(channels * area, 8)
    layer = layers.Conv2d(
        channels,
        window.kernel,
        stride=window.strides,
        padding=padding_of(window.sides(picture.shape[1:])),
        dilation=window.dilations,
        groups=channels,
        bias=False,
    )
    return node.ways.after(picture, layer, weight=np.full((channels, 1, *window.kernel), 1 / area))


def bordered(window: Window, border: Any, picture: Any) -> Any:
    """With a Pad's sides in the window's own."""
    if not any(border):
        return window
    size = tuple(n + a + b for n, a, b in zip(picture.shape[1:], border[::2], border[1::2], strict=True))
    top, bottom, left, right = (a + b for a, b in zip(border, window.sides(size), strict=True))
    return replace(window, pads=(top, left, bottom, right), auto="NOTSET")


def pool(kind: Any, window: Window, shape: Shape, sides: tuple[int, ...], trials: list[dict[str, Any]]) -> Any:
    """Our layer of the same windows, with one of the settings that are to be tried, if there is one; with padding that
    is alike on both sides, if that does."""
    stride = None if window.strides == window.kernel else window.strides
    for padding, settings in itertools.product((sides[::2], sides), trials):
        try:
            layer = kind(window.kernel, stride, padding, **settings)
            after = layer.output_shape(shape)
        except ValueError:
            continue
        if after == (shape[0], *window.cells(shape[1:])):
            return layer
    return None


def too_far(window: Window, picture: Any) -> str:
    sides = window.sides(picture.shape[1:])
    return f"it pads {picture.shape[1:]} by (top, bottom, left, right) = {sides}: our pools pad by less than a window"


@operator("GlobalAveragePool", "GlobalMaxPool")
def global_pool(node: Node) -> Any:
    tensor = node.tensor()
    picture = node.ways.picture(tensor)
    window = picture.shape[1:]
    layer = layers.GlobalAvgPool2d() if node.kind == "GlobalAveragePool" else layers.MaxPool2d(window)
    return as_before(node.ways.after(picture, layer), len(tensor.shape) == 2)


@operator("ReduceMean")
def reduce(node: Node) -> Any:
    """Over height and width."""
    tensor, axes = node.tensor(), node.numbers(1, "axes")
    if len(tensor.shape) != 3 or sorted(without_batch(axes or range(4), 4)) != [1, 2]:
        raise ValueError("it must go over the height and width of pictures, and only these")
    kinds = {"ReduceMean": "GlobalAveragePool", "ReduceMax": "GlobalMaxPool"}
    if node.kind not in kinds:
        raise ValueError("sums of pictures are not known here")
    pooled = global_pool(replace(node, kind=kinds[node.kind]))
    return pooled if node.get("keepdims", 1) else pooled.seen_as(pooled.shape[:1])
