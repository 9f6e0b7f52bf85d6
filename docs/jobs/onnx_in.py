"""An ONNX file that another program wrote is read, tested, trained on, and written again."""
# needs: onnx

import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

import pymnistcnn as pm

path = sys.argv[1] if len(sys.argv) > 1 else "theirs.onnx"
if len(sys.argv) == 1:  # make one as a converter from TensorFlow does: pixels / 255, NHWC, MatMul and Add
    rng = np.random.default_rng(0)
    weights = {
        "filters": rng.normal(size=(8, 1, 5, 5)) / 5,
        "matrix": rng.normal(size=(288, 10)) / 17,
        "bias": np.zeros(10),
    }
    constants = [numpy_helper.from_array(array.astype(np.float32), name) for name, array in weights.items()]
    constants += [numpy_helper.from_array(np.float32(255), "255"), numpy_helper.from_array(np.array([-1, 288]), "rows")]
    nodes = [
        helper.make_node("Div", ["x", "255"], ["scaled"]),
        helper.make_node("Transpose", ["scaled"], ["pictures"], perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["pictures", "filters"], ["convolved"]),
        helper.make_node("Relu", ["convolved"], ["positive"]),
        helper.make_node("MaxPool", ["positive"], ["pooled"], kernel_shape=[4, 4], strides=[4, 4]),
        helper.make_node("Transpose", ["pooled"], ["channels_last"], perm=[0, 2, 3, 1]),
        helper.make_node("Reshape", ["channels_last", "rows"], ["features"]),
        helper.make_node("MatMul", ["features", "matrix"], ["product"]),
        helper.make_node("Add", ["product", "bias"], ["y"]),
    ]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 28, 28, 1])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 10])
    graph = helper.make_graph(nodes, "theirs", [x], [y], constants)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)

model = pm.from_onnx(path)
train, test = pm.datasets.mnist()
print(model)
print(f"accuracy as it came: {model.evaluate(test).accuracy:.4f}")
model.fit(train[:20_000], epochs=1, progress=False)
print(f"after training on 20,000 digits: {model.evaluate(test).accuracy:.4f}")
model.to_onnx("ours.onnx")
