"""Graphs for tests, written as other programs write them."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

RNG = np.random.default_rng(5)


def normal(*shape):
    return RNG.standard_normal(shape).astype(np.float32) * 0.3


def node(kind, *inputs, to, **attributes):
    return helper.make_node(kind, list(inputs), [to], name=f"my {kind}", **attributes)


def file_of(folder, nodes, shape, constants=(), opset=17, kind=TensorProto.FLOAT, output="y", external=None):
    """A file of a graph that goes from x, of this shape with its batch, to y."""
    ends = [helper.make_tensor_value_info("x", kind, shape), helper.make_tensor_value_info(output, kind, None)]
    tensors = [numpy_helper.from_array(np.asarray(array), name) for name, array in dict(constants).items()]
    graph = helper.make_graph(nodes, "g", ends[:1], ends[1:], tensors)
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    path = folder / "graph.onnx"
    onnx.save(
        proto, path, **({} if external is None else dict(save_as_external_data=True, size_threshold=0, **external))
    )
    return path
