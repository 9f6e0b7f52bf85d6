"""A model to ONNX: each layer's nodes, and the file."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import singledispatch
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx

from .. import __version__, layers
from .._types import DTypeLike, Shape, StrPath
from ..checks import checked_path, shown, yes_or_no
from ..datasets import atomic_write
from ..layers.randomness import RANDOM
from ..layers.residual import named_leaves
from ..network import shapes_through
from .folding import folded
from .graph import Graph

if TYPE_CHECKING:
    from ..layers.base import Layer
    from ..model import Sequential


MOST_BYTES = 2**31 - 1  # of a file that is one protocol buffer


def write(
    model: Sequential,
    path: StrPath,
    *,
    input_dtype: DTypeLike | None = None,
    fold_batch_norm: bool = False,
    classes: Sequence[str] | None = None,
) -> None:
    """See `Sequential.to_onnx`."""
    path, proto = checked_path("path", path), proto_of(model, input_dtype, fold_batch_norm, classes)
    with atomic_write(path) as file:
        file.write(proto.SerializeToString(deterministic=True))


def proto_of(
    model: Sequential,
    input_dtype: DTypeLike | None = None,
    fold_batch_norm: bool = False,
    classes: Sequence[str] | None = None,
) -> onnx.ModelProto:
    """What a file of the model holds."""
    dtype, fold = input_type(model, input_dtype), yes_or_no("fold_batch_norm", fold_batch_norm)
    names = class_names(model, classes)
    size = sum(weights.nbytes for weights in model.state_dict().values())
    if size > MOST_BYTES:
        raise ValueError(f"an ONNX file holds at most {MOST_BYTES:,} bytes of weights, not {size:,}")
    writer = Writer(model, fold)
    x = "input" if dtype == model.dtype else writer.cast("input")
    writer.chain(model.layers, x, model.input_shape)
    proto = writer.graph.model(dtype, model.input_shape, model.output_shape, producer_name="pymnistcnn",
                               producer_version=__version__)  # fmt: skip
    onnx.helper.set_model_props(proto, {"classes": json.dumps(names)})
    return proto


def input_type(model: Sequential, dtype: DTypeLike) -> np.dtype:
    """What the graph takes: uint8, or what the model computes in."""
    allowed = [np.dtype(np.uint8), model.dtype]
    try:
        given = model.dtype if dtype is None else np.dtype(dtype)
    except (TypeError, ValueError):
        given = None
    if given not in allowed:
        raise ValueError(f"input_dtype must be uint8 or {model.dtype}, the model's, not {shown(dtype)}")
    return given


def class_names(model: Sequential, classes: Sequence[str] | None) -> list[str]:
    """Those that are given, those in the model's notes, or numbers."""
    outputs = model.output_shape[0]
    given = model.notes.get("classes") if classes is None else classes
    names = list(map(str, range(outputs) if given is None else given))
    if len(names) != outputs:
        raise ValueError(f"classes must be {outputs} names, one for each output, not {len(names)}")
    return names


class Writer:
    """Lets layers, one after the other, write their nodes."""

    graph: Graph
    fold: bool
    names: dict[layers.Layer, str]

    def __init__(self, model: Sequential, fold: Any) -> None:
        self.graph, self.fold = Graph(model.dtype), fold
        self.names = {leaf: name for name, leaf in named_leaves(model.layers)}
        self.shape: tuple[Any, ...] = ()  # of a sample before the layer that is being written

    def cast(self, x: str) -> Any:
        return self.graph.node("Cast", x, to=onnx.helper.np_dtype_to_tensor_dtype(self.graph.dtype))

    def chain(self, several: Any, x: str, shape: Shape) -> str:
        """The value after layers one after the other."""
        steps = [
            (layer, before)
            for layer, before in zip(several, shapes_through(several, shape), strict=False)
            if not isinstance(layer, RANDOM)
        ]
        while steps:
            layer, self.shape = steps.pop(0)
            norm = steps.pop(0)[0] if self.fold and steps and can_take_in(layer, steps[0][0]) else None
            self.graph.prefix = f"{self.names.get(layer, type(layer).__name__)}."
            x = product(layer, self, x, norm) if norm else nodes_of(layer, self, x)
        return x

    def weights(self, layer: Layer, **arrays: Any) -> list[str]:
        """Constants by the names that `state_dict` has for them."""
        return [self.graph.constant(array, f"{self.names[layer]}.{name}") for name, array in arrays.items()]


def can_take_in(layer: Layer, following: Any) -> bool:
    norms = layers.BatchNorm1d, layers.BatchNorm2d
    return isinstance(layer, (layers.Conv2d, layers.Linear)) and isinstance(following, norms)


@singledispatch
def nodes_of(layer: Layer, writer: Writer, x: str) -> str:
    """Writes a layer's nodes; the name of what they give."""
    raise ValueError(f"{layer} has no form in ONNX")


# ---- weights ----


@nodes_of.register(layers.Conv2d)
@nodes_of.register(layers.Linear)
def product(layer: Layer, writer: Writer, x: str, norm: Any = None) -> Any:
    arrays = layer.parameters if norm is None else folded(layer.parameters, statistics(norm), norm.eps)
    inputs = [x, *writer.weights(layer, **arrays)]
    if isinstance(layer, layers.Linear):
        return writer.graph.node("Gemm", *inputs, transB=1)
    top, bottom, left, right = layer._sides
    return writer.graph.node("Conv", *inputs, kernel_shape=layer.kernel_size, strides=layer.stride,
                             pads=(top, left, bottom, right), dilations=layer.dilation, group=layer.groups)  # fmt: skip


def statistics(norm: Any) -> dict[str, np.ndarray]:
    """Of a batch norm, by ONNX's names."""
    mean, variance = norm.buffers["running_mean"], norm.buffers["running_var"]
    weight, bias = norm.parameters.get("weight", np.ones_like(mean)), norm.parameters.get("bias", np.zeros_like(mean))
    return dict(weight=weight, bias=bias, running_mean=mean, running_var=variance)


@nodes_of.register(layers.BatchNorm1d)
@nodes_of.register(layers.BatchNorm2d)
def batch_norm(layer: Layer, writer: Writer, x: str) -> Any:
    arrays = statistics(layer)
    if not is_exact(writer, layer.eps):  # the rest of it goes where it is added
        arrays["running_var"] = arrays["running_var"] + (layer.eps - float(np.float32(layer.eps)))
    momentum = {} if layer.momentum is None else {"momentum": 1 - layer.momentum}
    inputs = writer.weights(layer, **arrays)
    return writer.graph.node("BatchNormalization", x, *inputs, epsilon=layer.eps, **momentum)


# ---- windows ----


@nodes_of.register
def max_pool(layer: layers.MaxPool2d, writer: Writer, x: str) -> Any:
    begin, end = margins(layer, writer.shape)
    if any(side >= size for side, size in zip(begin + end, layer.kernel_size * 2, strict=True)):
        x, begin, end = padded(writer, x, begin, end, -np.inf), (0, 0), (0, 0)
    return writer.graph.node("MaxPool", x, kernel_shape=layer.kernel_size, strides=layer._steps, pads=begin + end,
                             dilations=layer.dilation)  # fmt: skip


@nodes_of.register
def average_pool(layer: layers.AvgPool2d, writer: Writer, x: str) -> Any:
    """What is behind the padding counts nowhere, and the padding if it is asked to."""
    begin, end = margins(layer, writer.shape)
    counts, own = layer.count_include_pad, layer._sides[1::2]
    if counts and any(beyond > side for beyond, side in zip(end, own, strict=True)):
        x = padded(writer, x, layer._sides[::2], own, 0.0)
        begin, end = (0, 0), tuple(max(0, e - p) for e, p in zip(end, own, strict=True))
        counts = False
    return writer.graph.node("AveragePool", x, kernel_shape=layer.kernel_size, strides=layer._steps,
                             pads=begin + end, count_include_pad=int(counts))  # fmt: skip


@nodes_of.register
def global_average(layer: layers.GlobalAvgPool2d, writer: Writer, x: str) -> Any:
    return writer.graph.node("GlobalAveragePool", x)


def margins(layer: Layer, shape: Shape) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """How far windows reach over (top, left) and (bottom, right): what ceil_mode does, without it. Runtimes do not
    agree on ceil_mode."""
    begin = layer._sides[::2]
    sizes = zip(shape[1:], layer.output_shape(shape)[1:], layer._steps, layer._spans, begin, strict=True)
    end = tuple(max(0, (cells - 1) * step + span - n - before) for n, cells, step, span, before in sizes)
    return begin, end


def padded(writer: Writer, x: str, begin: Any, end: Any, value: Any) -> Any:
    sides = writer.graph.constant(np.array([0, 0, *begin, 0, 0, *end]))
    return writer.graph.node("Pad", x, sides, writer.graph.constant(value))


# ---- activations ----

PLAIN: dict[type[layers.Layer], tuple[str, dict[str, Any]]] = {
    layers.ReLU: ("Relu", {}),
    layers.Sigmoid: ("Sigmoid", {}),
    layers.Tanh: ("Tanh", {}),
    layers.Flatten: ("Flatten", {"axis": 1}),
}


def plain(layer: Layer, writer: Writer, x: str) -> Any:
    operator, attributes = PLAIN[type(layer)]
    return writer.graph.node(operator, x, **attributes)


for _kind in PLAIN:
    nodes_of.register(_kind, plain)


@nodes_of.register(layers.Softmax)
@nodes_of.register(layers.LogSoftmax)
def softmax(layer: Layer, writer: Writer, x: str) -> Any:
    return writer.graph.node(type(layer).__name__, x, axis=layer.dim)


def is_exact(writer: Writer, value: Any) -> bool:
    """May a number be an attribute, which is a float32?"""
    return writer.graph.dtype == np.float32 or float(np.float32(value)) == value


@nodes_of.register
def hardswish(layer: layers.Hardswish, writer: Writer, x: str) -> Any:
    node, constant = writer.graph.node, writer.graph.constant
    if writer.graph.dtype == np.float32:
        return node("HardSwish", x)
    share = node("Clip", node("Add", x, constant(3.0)), constant(0.0), constant(6.0))  # HardSwish has 1/6 of float32
    return node("Div", node("Mul", x, share), constant(6.0))


@nodes_of.register
def leaky_relu(layer: layers.LeakyReLU, writer: Writer, x: str) -> Any:
    if is_exact(writer, layer.negative_slope):
        return writer.graph.node("LeakyRelu", x, alpha=layer.negative_slope)
    return writer.graph.node("PRelu", x, writer.graph.constant(layer.negative_slope))


@nodes_of.register
def elu(layer: layers.ELU, writer: Writer, x: str) -> Any:
    node, constant = writer.graph.node, writer.graph.constant
    if is_exact(writer, layer.alpha):
        return node("Elu", x, alpha=layer.alpha)
    return node("Where", node("Greater", x, constant(0.0)), x, node("Mul", node("Elu", x), constant(layer.alpha)))


@nodes_of.register
def softplus(layer: layers.Softplus, writer: Writer, x: str) -> Any:
    node, constant = writer.graph.node, writer.graph.constant
    scaled = x if layer.beta == 1 else node("Mul", x, constant(layer.beta))
    y = node("Softplus", scaled)
    y = y if layer.beta == 1 else node("Div", y, constant(layer.beta))
    at = layer.threshold
    if at > 0 and np.exp(-at) < np.finfo(writer.graph.dtype).eps * at / 2:
        return y  # above the threshold both are x to the last bit
    return node("Where", node("Greater", scaled, constant(at)), x, y)


@nodes_of.register
def gelu(layer: layers.GELU, writer: Writer, x: str) -> Any:
    """ONNX has it from opset 20 on."""
    node, constant = writer.graph.node, writer.graph.constant
    if layer.approximate == "tanh":
        cube = node("Mul", node("Mul", node("Mul", x, x), x), constant(0.044715))
        share = node("Tanh", node("Mul", node("Add", x, cube), constant(np.sqrt(2 / np.pi))))
    else:
        share = node("Erf", node("Mul", x, constant(np.sqrt(0.5))))
    return node("Mul", node("Mul", x, constant(0.5)), node("Add", share, constant(1.0)))


@nodes_of.register
def silu(layer: layers.SiLU, writer: Writer, x: str) -> Any:
    return writer.graph.node("Mul", x, writer.graph.node("Sigmoid", x))


# ---- the rest ----


@nodes_of.register
def rescaling(layer: layers.Rescaling, writer: Writer, x: str) -> Any:
    y = writer.graph.node("Mul", x, writer.graph.constant(layer.scale))
    return writer.graph.node("Add", y, writer.graph.constant(layer.offset)) if layer.offset else y


@nodes_of.register
def residual(layer: layers.Residual, writer: Writer, x: str) -> Any:
    shape, inside = writer.shape, [one for one, _ in layer.inside(writer.shape)]
    y = writer.chain(layer.layers, x, shape)
    skip = writer.chain(inside[len(layer.layers) :], x, shape)
    writer.graph.prefix = ""
    return writer.graph.node("Add", y, skip)
