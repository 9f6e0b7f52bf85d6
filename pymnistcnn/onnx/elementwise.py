"""Operators that work number by number: activations, and the arithmetic that they may be written in."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from onnx import TensorProto, helper

from .. import functional as F
from .. import layers
from .._types import Array, ArrayLike, Shape
from .expressions import DEEPEST, Expression, resolve
from .operators import OPERATORS, operator, without_batch
from .tensors import Padded, Tensor
from .windows import reduce

if TYPE_CHECKING:
    from .operators import Node


erf: Callable[..., Any] = np.frompyfunc(math.erf, 1, 1)
FLOATS: tuple[int, ...] = TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16, TensorProto.BFLOAT16


def slope(node: Node) -> Any:
    return node.number("alpha", 0.01)


def alpha(node: Node) -> Any:
    return node.number("alpha", 1.0)


def gelu(node: Node) -> Any:
    return layers.GELU(node.get("approximate", "none"))


# operators that a layer is: it, and what it computes, of a node
LAYERS: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    "Relu": (lambda node: layers.ReLU(), lambda node: F.relu),
    "Sigmoid": (lambda node: layers.Sigmoid(), lambda node: F.sigmoid),
    "Tanh": (lambda node: layers.Tanh(), lambda node: F.tanh),
    "Softplus": (lambda node: layers.Softplus(), lambda node: F.softplus),
    "HardSwish": (lambda node: layers.Hardswish(), lambda node: F.hardswish),
    "LeakyRelu": (lambda node: layers.LeakyReLU(slope(node)), lambda node: lambda x: F.leaky_relu(x, slope(node))),
    "Elu": (lambda node: layers.ELU(alpha(node)), lambda node: lambda x: F.elu(x, alpha(node))),
    "Gelu": (gelu, lambda node: lambda x: F.gelu(x, gelu(node).approximate)),
}


def clip(node: Node) -> Any:
    low, high = (node.constant(i, name) for i, name in ((1, "min"), (2, "max")))
    ends = [limit if end is None else float(end) for end, limit in ((low, -np.inf), (high, np.inf))]
    return lambda x, *_: np.clip(x, *ends)


def hard_sigmoid(node: Node) -> Any:
    slope, offset = node.number("alpha", 0.2), node.number("beta", 0.5)
    return lambda x: np.clip(slope * x + offset, 0, 1)


# operators that a layer may be written in
ARITHMETIC: dict[str, Callable[..., Any]] = {
    "Add": lambda node: np.add, "Sub": lambda node: np.subtract, "Mul": lambda node: np.multiply,
    "Div": lambda node: np.divide, "Pow": lambda node: np.power, "Neg": lambda node: np.negative,
    "Abs": lambda node: np.abs, "Exp": lambda node: np.exp, "Log": lambda node: np.log, "Sqrt": lambda node: np.sqrt,
    "Reciprocal": lambda node: np.reciprocal, "Erf": lambda node: lambda x: erf(x).astype(float),
    "Where": lambda node: np.where, "Greater": lambda node: np.greater, "Less": lambda node: np.less,
    "GreaterOrEqual": lambda node: np.greater_equal, "LessOrEqual": lambda node: np.less_equal,
    "Not": lambda node: np.logical_not, "Clip": clip,
    "PRelu": lambda node: lambda x, slope: np.where(x < 0, slope * x, x),
    "Swish": lambda node: lambda x: x / (1 + np.exp(-alpha(node) * x)),
    "Celu": lambda node: lambda x: np.where(x > 0, x, alpha(node) * np.expm1(x / alpha(node))),
    "HardSigmoid": hard_sigmoid,
}  # fmt: skip


def several(function: Any) -> Any:
    def compute(*arrays):
        total = arrays[0]
        for array in arrays[1:]:
            total = function(total, array)
        return total

    return lambda node: compute


REDUCTIONS: dict[str, Callable[..., Any]] = {"ReduceMax": np.max, "ReduceSum": np.sum}  # that a softmax is written in
ARITHMETIC |= {"Sum": several(np.add), "Min": several(np.minimum), "Max": several(np.maximum)}


def elementwise(node: Node) -> Any:
    """An expression, or, of more than one tensor, their sum; or of constants for each channel, a scale and offset."""
    if any(isinstance(value, Padded) for value in node.inputs):
        node.tensor()
    layer, compute = LAYERS.get(node.kind, (None, ARITHMETIC.get(node.kind)))
    inputs = node.inputs[:1] if node.kind == "Clip" else node.inputs  # its function knows the others
    if any(value is None for value in inputs):
        raise ValueError("an input that it needs is left out")
    tensors = [value for value in inputs if not isinstance(value, np.ndarray)]
    if not tensors:
        raise ValueError("it computes with constants in a way that is not known here")
    rank = len(tensors[0].shape) + 1
    if any(isinstance(v, np.ndarray) and (v.size != 1 or v.ndim > rank) for v in inputs):
        return by_channel(node)
    bases = {value.base if isinstance(value, Expression) else value for value in tensors}
    if len(bases) > 1:
        return sum_of(node, inputs)
    depth = 1 + max((value.depth for value in tensors if isinstance(value, Expression)), default=0)
    constants = [value.reshape(-1).astype(float) if isinstance(value, np.ndarray) else value for value in inputs]
    made = Expression(tuple(constants), compute(node), bases.pop(), layer and layer(node),
                      node.kind in ("Add", "Sum") and len(tensors) == len(inputs) == 2, depth)  # fmt: skip
    return resolve(made, node.ways) if depth >= DEEPEST else made


@operator(*REDUCTIONS)
def reduction(node: Node) -> Any:
    """Along one axis of a sample, as a part of a softmax; or, of pictures, a pool."""
    value = node[0] if isinstance(node[0], Expression) else node.tensor()
    rank = len(value.shape) + 1
    axes = without_batch(node.numbers(1, "axes") or range(rank), rank)
    if rank == 4 and len(axes) > 1:
        return reduce(node)
    if len(axes) != 1 or not node.get("keepdims", 1):
        raise ValueError("it must go over one axis of a sample, and keep its dimension")
    base, depth = (value.base, value.depth) if isinstance(value, Expression) else (value, 0)
    return Expression((value,), REDUCTIONS[node.kind], base, axis=axes[0], depth=depth + 1)


def sum_of(node: Node, inputs: ArrayLike) -> Any:
    """A residual block."""
    if node.kind not in ("Add", "Sum") or len(inputs) != 2 or any(isinstance(value, np.ndarray) for value in inputs):
        raise ValueError("of several tensors, only the sum of two is known here")
    return node.ways.sum(node.tensor(0), node.tensor(1))


def by_channel(node: Node) -> Any:
    """One number for each channel or feature."""
    if node.kind not in ("Add", "Sub", "Mul", "Div", "PRelu") or len(node.inputs) != 2:
        raise ValueError("with several numbers only +, -, *, / and PRelu are known here")
    constant_first = isinstance(node[0], np.ndarray)
    tensor, array = node.tensor(int(constant_first)), node.constant(int(not constant_first))
    shape = (1, *tensor.shape)
    begin = node.get("axis", 1 if node.kind == "PRelu" else -1)
    if node.opset < 7 and (node.kind == "PRelu" or node.get("broadcast", 0)) and begin >= 0:  # of old
        array = array.reshape(array.shape + (1,) * (len(shape) - begin - array.ndim))
    array = array.reshape((1,) * max(0, len(shape) - array.ndim) + array.shape)
    if tensor.step.is_input and len(shape) == 4 and array.shape == (1, 1, 1, shape[3]) and tensor.order is None:
        tensor = node.ways.channels_last(tensor)
    if axes := tensor.axes():  # which are in another order: so is the constant
        array, there = array.transpose(0, *(axes.index(axis) + 1 for axis in range(3))), tensor
        tensor = Tensor(there.step, there.step.shape)
    if array.dtype.kind != "f" or not fits(array.shape, tensor.shape):
        raise ValueError(f"its constant of {array.shape[1:]} does not fit {tensor.shape}")
    shape = tensor.shape
    is_flat = len(tensor.step.shape) == 1 and not (tensor.step.is_input and len(shape) in (2, 3))
    if is_flat or array.shape != (1, *shape[:1], *(1,) * len(shape[1:])):  # of each number, not of each channel
        node.ways.check_size(math.prod(shape), 8)
        array = np.broadcast_to(array, (1, *shape))
        tensor = node.ways.features(tensor.seen_as((math.prod(shape),)))
    made = with_numbers(node, tensor, array.reshape(-1).astype(float), constant_first)
    return replace(there, step=made.step) if axes else made.seen_as(shape)


def fits(array: Shape, sample: Shape) -> bool:
    """May a constant of this shape be spread over samples?"""
    return len(array) == 1 + len(sample) and all(n in (1, m) for n, m in zip(array, (1, *sample), strict=True))


def with_numbers(node: Node, tensor: Tensor, array: Array, constant_first: bool) -> Tensor:
    if (node.kind, constant_first) == ("PRelu", False):
        return node.ways.leaky(tensor, array)
    scale_and_offset = {
        ("Add", False): (1, array), ("Add", True): (1, array), ("Sub", False): (1, -array), ("Sub", True): (-1, array),
        ("Mul", False): (array, 0), ("Mul", True): (array, 0), ("Div", False): (1 / array, 0),
    }.get((node.kind, constant_first))  # fmt: skip
    if scale_and_offset is None:
        raise ValueError("its second input must be constant, not the network's numbers")
    return node.ways.scaled(tensor, *np.broadcast_arrays(*scale_and_offset))


@operator("Cast", "CastLike")
def cast(node: Node) -> Any:
    """Numbers stay what they are; the network's dtype is the input's."""
    kind = node.get("to", TensorProto.FLOAT)
    value = node[0]
    if isinstance(value, np.ndarray):
        if kind not in FLOATS and kind not in (TensorProto.INT64, TensorProto.INT32, TensorProto.BOOL):
            raise ValueError("a cast of a constant to a type that is not known here")
        if node.kind == "CastLike" or kind in FLOATS:
            return value.astype(np.float64 if kind == TensorProto.DOUBLE else np.float32)
        return value.astype(helper.tensor_dtype_to_np_dtype(kind))
    if kind not in FLOATS:
        raise ValueError("it makes whole numbers of the network's")
    return value


OPERATORS.update(dict.fromkeys([*LAYERS, *ARITHMETIC], elementwise))
