"""What each ONNX operator becomes: a function of a node, and of what goes in, that gives what comes out.

Values are constants (arrays), Tensors, Expressions of them, or Padded ones. A ValueError says why something cannot be;
whoever calls adds the node's name.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from onnx import helper

from .. import layers
from .._types import Array, ArrayLike
from .expressions import Expression, resolve
from .tensors import Padded, Tensor, Ways, decimal

OPERATORS: dict[str, Callable[[Node], Any]] = {}  # by name


def operator(*names: Any) -> Any:
    def register(function):
        OPERATORS.update(dict.fromkeys(names, function))
        return function

    return register


@dataclass
class Node:
    """A node of the graph that is read; `inputs`: values, None for those that are left out."""

    kind: str
    attributes: dict[str, Any]
    inputs: list[Any]
    ways: Ways
    opset: int

    def __getitem__(self, number: int) -> Any:
        """An input; None if it is not there."""
        return self.inputs[number] if number < len(self.inputs) else None

    def get(self, name: str, default: Any = None) -> Any:
        return self.attributes.get(name, default)

    def number(self, name: str, default: Any) -> float:
        """An attribute that is a float32: in a network of float32, the number that somebody wrote."""
        value = float(self.get(name, default))
        return value if self.ways.is_double else decimal(value)

    def tensor(self, number: int = 0) -> Tensor:
        """An input that comes from the network's."""
        value = self[number]
        if isinstance(value, Padded):
            raise ValueError("a Pad before it can only stand before a convolution or a pool")
        if value is None or isinstance(value, np.ndarray):
            raise ValueError(f"its input {number} must come from the network's input")
        return resolve(value, self.ways) if isinstance(value, Expression) else value

    def constant(self, number: int, name: str | None = None) -> Any:
        """A constant input, or the attribute that older versions have in its place; None if neither is there."""
        value = self[number]
        if value is None:
            return None if name is None or name not in self.attributes else np.asarray(self.attributes[name])
        if not isinstance(value, np.ndarray):
            raise ValueError(f"its input {number} must be a constant")
        return value

    def weights(self, number: int) -> Any:
        value = self.constant(number)
        if value is None or value.dtype.kind != "f":
            raise ValueError(f"its input {number} must be floating-point constants")
        return value

    def numbers(self, number: int, name: str | None = None) -> list[int] | None:
        """A constant list of whole numbers."""
        value = self.constant(number, name)
        if value is None:
            return None
        if value.dtype.kind not in "iu" or value.ndim > 1 or value.size > 16:
            raise ValueError(f"its input {number} must be a short list of whole numbers")
        return [int(n) for n in value.reshape(-1)]


def axes_of(given: Any, rank: int) -> list[int]:
    """Axes of an array with the batch, from 0 on."""
    axes = [axis + rank if axis < 0 else axis for axis in given]
    if len(set(axes)) < len(axes) or any(not 0 <= axis < rank for axis in axes):
        raise ValueError(f"it has axes {list(given)} of {rank}")
    return axes


def without_batch(given: Any, rank: int) -> list[int]:
    """Axes of a sample."""
    axes = axes_of(given, rank)
    if 0 in axes:
        raise ValueError("it works along the batch: samples must stay apart")
    return [axis - 1 for axis in axes]


# ---- products ----


@operator("Gemm")
def gemm(node: Node) -> Any:
    if node.get("transA", 0):
        raise ValueError("it transposes its input, batch and all")
    weight = node.weights(1)
    weight = (weight if node.get("transB", 0) else weight.T) * node.number("alpha", 1.0)
    bias, other, beta = None, None, node.number("beta", 1.0)
    if isinstance(node[2], np.ndarray):
        bias = node.weights(2) * beta
    elif node[2] is not None:
        other = node.tensor(2) if beta == 1 else node.ways.scaled(node.tensor(2), beta, 0.0)
    if weight.ndim == 2 and bias is not None:
        bias = bias_of(bias, weight.shape[0])
    product = node.ways.linear(node.tensor(), weight, bias)
    return product if other is None else node.ways.sum(product, other)


@operator("MatMul")
def matmul(node: Node) -> Any:
    tensor, weight = node.tensor(), node.weights(1)
    if len(tensor.shape) != 1 or weight.ndim != 2:
        raise ValueError(f"it must multiply features (n, in) with (in, out), not {tensor.shape} with {weight.shape}")
    return node.ways.linear(tensor, weight.T, None)


def bias_of(array: Array, outputs: ArrayLike) -> Any:
    if array.size not in (1, outputs) or array.shape[-1:] not in ((), (1,), (outputs,)):
        raise ValueError(f"its bias of {array.shape} does not fit {outputs} outputs")
    return np.broadcast_to(array.reshape(-1), outputs)


@operator("BatchNormalization")
def batch_norm(node: Node) -> Any:
    if node.get("training_mode", 0) or (node.opset < 7 and not node.get("is_test", 0)):
        raise ValueError("it takes the statistics of the batch, as in training")
    arrays = [node.weights(number) for number in range(1, 5)]
    tensor = node.tensor()
    if not tensor.shape or any(array.shape != tensor.shape[:1] for array in arrays):
        raise ValueError(f"its weights do not fit {tensor.shape}")
    momentum = round(1 - node.number("momentum", 0.9), 6)
    return node.ways.normalized(tensor, node.number("epsilon", 1e-5), momentum, *arrays)


# ---- softmax ----


@operator("Softmax", "LogSoftmax")
def softmax(node: Node) -> Any:
    tensor, newer = node.tensor(), node.opset >= 13
    (axis,) = without_batch([node.get("axis", -1 if newer else 1)], len(tensor.shape) + 1)
    kind = layers.Softmax if node.kind == "Softmax" else layers.LogSoftmax
    return node.ways.softmax(tensor, kind, axis, axis + 1 if newer else len(tensor.shape))


# ---- shapes ----


@operator("Identity", "Dropout")
def identity(node: Node) -> Any:
    ratio, training = (node.constant(i) if node.kind == "Dropout" else None for i in (1, 2))
    if training is not None and training.any() and (ratio is None or ratio.any()):
        raise ValueError("it drops numbers, as in training")
    return node[0]


@operator("Flatten")
def flatten(node: Node) -> Any:
    tensor, axis = node.tensor(), node.get("axis", 1)
    if axis + (len(tensor.shape) + 1) * (axis < 0) != 1:
        raise ValueError("it flattens the batch, too: samples must stay apart")
    return tensor.seen_as((math.prod(tensor.shape),))


@operator("Reshape")
def reshape(node: Node) -> Any:
    tensor, target = node.tensor(), node.numbers(1, "shape")
    if not target:
        raise ValueError("it has no shape to go to")
    if node.get("allowzero", 0) and 0 in target:
        raise ValueError("allowzero makes an empty tensor")
    dims = [tensor.shape[i - 1] if n == 0 and 1 <= i <= len(tensor.shape) else n for i, n in enumerate(target)]
    if target[0] > 1 and -1 in dims and target[0] != node.ways.batch:
        raise ValueError(f"it is made for a batch of {target[0]}: export with a batch that is free")
    rest, size = dims[1:], math.prod(tensor.shape)
    known = math.prod(n for n in rest if n != -1)
    if -1 in rest and known > 0:
        rest[rest.index(-1)] = size // known
    if any(n < 1 for n in rest):
        raise ValueError(f"it goes to {target}, which does not fit (n, {', '.join(map(str, tensor.shape))})")
    return tensor.seen_as(rest)


@operator("Squeeze", "Unsqueeze")
def squeeze(node: Node) -> Any:
    tensor, axes = node.tensor(), node.numbers(1, "axes")
    shape = list(tensor.shape)
    if node.kind == "Unsqueeze":
        for axis in sorted(without_batch(axes or [], len(shape) + 1 + len(axes or []))):
            shape.insert(axis, 1)
    else:
        gone = without_batch(axes, len(shape) + 1) if axes else [i for i, n in enumerate(shape) if n == 1]
        shape = [n for i, n in enumerate(shape) if i not in gone]
    return tensor.seen_as(shape)


@operator("Transpose")
def transpose(node: Node) -> Any:
    tensor = node.tensor()
    rank = len(tensor.shape) + 1
    axes = axes_of(node.get("perm", range(rank)[::-1]), rank)
    if len(axes) != rank or axes[0] != 0:
        raise ValueError(f"it moves the batch: perm is {axes}")
    node.ways.check_size(math.prod(tensor.shape), 32)  # two arrays of places
    return tensor.transposed([axis - 1 for axis in axes[1:]])


@operator("Shape")
def shape(node: Node) -> Any:
    """0 in the place of the batch: where a Reshape takes over what it gets."""
    return np.array([0, *node.tensor().shape][node.get("start", 0) : node.get("end")])


def attributes_of(proto: Any) -> dict[str, Any]:
    """Of a node: numbers, lists, text; tensors stay what they are."""
    found = {a.name: helper.get_attribute_value(a) for a in proto.attribute if not a.ref_attr_name}
    return {name: value.decode() if isinstance(value, bytes) else value for name, value in found.items()}
