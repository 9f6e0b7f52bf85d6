"""Nodes whose inputs are all constants: exporters leave some, above all around shapes."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from onnx import numpy_helper

from .operators import axes_of

if TYPE_CHECKING:
    from .files import File
    from .operators import Node


MOST = 2**24  # numbers that are made so


def binary(function: Any) -> Any:
    def compute(node):
        a, b = node.inputs
        check(math.prod(np.broadcast_shapes(a.shape, b.shape)))
        with np.errstate(all="ignore"):
            return function(a, b)

    return compute


def unary(function: Any) -> Any:
    def compute(node):
        with np.errstate(all="ignore"):
            return function(node.inputs[0])

    return compute


def check(size: int) -> None:
    if size > MOST:
        raise ValueError(f"it makes a constant of {size:,} numbers, more than {MOST:,}")


def divided(a: Any, b: Any) -> Any:
    return np.divide(a, b) if a.dtype.kind == "f" else a // b


def concat(node: Node) -> Any:
    check(sum(array.size for array in node.inputs))
    return np.concatenate(node.inputs, node.get("axis", 0))


def gather(node: Node) -> Any:
    array, indices = node.inputs
    check(indices.size * (array.size // max(1, array.shape[node.get("axis", 0)])))
    return np.take(array, indices.astype(np.int64), node.get("axis", 0))


def reshape(node: Node) -> Any:
    array, target = node.inputs[0], node.numbers(1, "shape")
    return array.reshape([array.shape[i] if n == 0 else n for i, n in enumerate(target)])


def squeeze(node: Node) -> Any:
    axes = node.numbers(1, "axes")
    return np.squeeze(node.inputs[0], None if axes is None else tuple(axes))


def unsqueeze(node: Node) -> Any:
    axes = node.numbers(1, "axes")
    return np.expand_dims(node.inputs[0], tuple(axes_of(axes, node.inputs[0].ndim + len(axes))))


def cut(node: Node) -> Any:
    array, starts, ends = node.inputs[0], node.numbers(1, "starts"), node.numbers(2, "ends")
    axes, steps = node.numbers(3, "axes") or range(len(starts)), node.numbers(4) or [1] * len(starts)
    where = [slice(None)] * array.ndim
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        where[axis] = slice(start, end, step)
    return array[tuple(where)]


def constant_of_shape(node: Node) -> Any:
    shape, value = node.numbers(0) or [], node.get("value")
    check(math.prod(shape))
    return np.full(shape, np.float32(0) if value is None else numpy_helper.to_array(value).reshape(-1)[0])


def transpose(node: Node) -> Any:
    return node.inputs[0].transpose(node.get("perm"))


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "Add": binary(np.add), "Sub": binary(np.subtract), "Mul": binary(np.multiply), "Div": binary(divided),
    "Pow": binary(np.power), "Neg": unary(np.negative), "Sqrt": unary(np.sqrt), "Exp": unary(np.exp),
    "Reciprocal": unary(np.reciprocal), "Identity": lambda node: node.inputs[0], "Concat": concat, "Gather": gather,
    "Reshape": reshape, "Squeeze": squeeze, "Unsqueeze": unsqueeze, "Slice": cut, "Transpose": transpose,
    "ConstantOfShape": constant_of_shape, "Shape": lambda node: np.array(node.inputs[0].shape),
}  # fmt: skip


def computed(node: Node, file: File) -> np.ndarray:
    """The constant that a node makes of constants."""
    if node.kind in ("Cast", "CastLike"):
        from .operators import OPERATORS

        return OPERATORS[node.kind](node)
    if node.kind not in FUNCTIONS:
        raise ValueError("it computes with constants in a way that is not known here")
    if any(value is None for value in node.inputs[:2]):
        raise ValueError("an input that it needs is left out")
    made = np.asarray(FUNCTIONS[node.kind](node))
    file.spend(made.nbytes)
    return made
