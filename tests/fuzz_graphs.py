"""ONNX files that are well-formed, with something in them that is not right: names, attributes, sizes, types."""

from __future__ import annotations

import copy

import numpy as np
from onnx import helper, numpy_helper
from onnx_cases import cases

import pymnistcnn as pm
from pymnistcnn.architecture import described, layer_of
from pymnistcnn.onnx.operators import OPERATORS
from pymnistcnn.onnx.writing import proto_of

NUMBERS = [0, 1, -1, 2, 3, 7, 100, 2**31, 2**40, 2**63 - 1, -(2**63)]
ATTRIBUTES = [
    "axis",
    "axes",
    "perm",
    "pads",
    "strides",
    "kernel_shape",
    "ceil_mode",
    "alpha",
    "to",
    "group",
    "auto_pad",
]
VALUES = [1, [1, 2], [0, 1], "SAME_UPPER", 0.5, [2, 2, 2, 2], -1, 2**40, [1.5]]
CASES = cases()


def changed_graph(rng) -> bytes:
    layer, shape = CASES[rng.integers(len(CASES))]
    layers = [layer_of(described(layer)) for _ in range(1 + (len(shape) == 3))]
    try:
        proto = proto_of(pm.Sequential([*layers, pm.Flatten(), pm.Linear(3)], shape))
    except ValueError:  # it does not fit twice
        proto = proto_of(pm.Sequential(layers[:1], shape))
    for _ in range(int(rng.integers(1, 3))):
        try:
            CHANGES[rng.integers(len(CHANGES))](proto.graph, proto.graph.node[rng.integers(len(proto.graph.node))], rng)
        except (ValueError, TypeError, IndexError, OverflowError):
            pass  # what protocol buffers cannot say
    return proto.SerializeToString()


def one_of(several, rng):
    return several[rng.integers(len(several))]


def names(graph):
    return [*(n for node in graph.node for n in node.output), *(t.name for t in graph.initializer), "input", "", "none"]


def setting(graph, node, rng):
    attribute = one_of(node.attribute, rng)
    if attribute.ints:
        attribute.ints[rng.integers(len(attribute.ints))] = one_of(NUMBERS, rng)
    elif attribute.HasField("i"):
        attribute.i = one_of(NUMBERS, rng)
    elif attribute.HasField("f"):
        attribute.f = one_of([0, 0.5, -1, np.inf, np.nan, 1e30, 1e-40], rng)


def new_setting(graph, node, rng):
    node.attribute.append(helper.make_attribute(one_of(ATTRIBUTES, rng), one_of(VALUES, rng)))


def operator(graph, node, rng):
    node.op_type = one_of([*OPERATORS, "Concat", "Gather", "Slice", "Constant"], rng)


def edge(graph, node, rng):
    node.input[rng.integers(len(node.input))] = one_of(names(graph), rng)


def one_more(graph, node, rng):
    node.input.append(one_of(names(graph), rng))


def size(graph, node, rng):
    dims = one_of(graph.initializer, rng).dims
    dims[rng.integers(len(dims))] = one_of(NUMBERS, rng)


def kind(graph, node, rng):
    one_of(graph.initializer, rng).data_type = int(rng.integers(25))


def constant(graph, node, rng):
    tensor, dtype = one_of(graph.initializer, rng), one_of(["f4", "f8", "i8", "u1", "?"], rng)
    values = np.asarray(rng.integers(-3, 4, rng.integers(0, 4, rng.integers(5)))).astype(dtype)
    tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))


def picture(graph, node, rng):
    one_of(graph.input[0].type.tensor_type.shape.dim, rng).dim_value = one_of(NUMBERS, rng)


def twice(graph, node, rng):
    graph.node.insert(int(rng.integers(len(graph.node))), copy.deepcopy(node))


CHANGES = [setting, new_setting, operator, edge, one_more, size, kind, constant, picture, twice]
