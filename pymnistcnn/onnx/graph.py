"""A graph that is being written: nodes, and constants by name."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from .._types import ArrayLike, DTypeLike, Shape

OPSET, IR_VERSION = 17, 8  # of 2022: whatever reads ONNX today reads these
BATCH = "batch"  # the name of the first dimension, which is free


class Graph:
    """Values are names. `node` adds a node and gives the name of what it computes."""

    dtype: np.dtype[Any]
    nodes: list[onnx.NodeProto]
    constants: dict[str, onnx.TensorProto]
    prefix: str

    def __init__(self, dtype: DTypeLike) -> None:
        self.dtype = np.dtype(dtype)
        self.nodes, self.constants, self.prefix = [], {}, ""

    def constant(self, value: Any, name: str | None = None) -> str:
        """A constant: numbers in the graph's dtype, whole numbers as int64."""
        array = np.asarray(value)
        array = np.ascontiguousarray(array, np.int64 if array.dtype.kind == "i" else self.dtype)
        name = name or f"constant.{len(self.constants)}"
        self.constants[name] = array.reshape(np.shape(value))
        return name

    def node(self, operator: Any, *inputs: ArrayLike, **attributes: Any) -> str:
        output = f"{self.prefix}{operator}.{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, list(inputs), [output], name=output, **attributes))
        return output

    def model(self, input_dtype: Any, input_shape: Shape, output_shape: Shape, **about: Any) -> onnx.ModelProto:
        """The file's content; what the last node computes comes out."""
        if not self.nodes:
            self.node("Identity", "input")
        self.nodes[-1].output[0] = "output"
        ends = [
            helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(np.dtype(dtype)), [BATCH, *shape])
            for name, dtype, shape in (("input", input_dtype, input_shape), ("output", self.dtype, output_shape))
        ]
        constants = [numpy_helper.from_array(array, name) for name, array in self.constants.items()]
        graph = helper.make_graph(self.nodes, "network", ends[:1], ends[1:], constants)
        opset = [helper.make_opsetid("", OPSET)]
        return helper.make_model(graph, opset_imports=opset, ir_version=IR_VERSION, **about)
