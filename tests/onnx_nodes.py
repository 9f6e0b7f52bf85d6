"""ONNX's own backend tests of the operators that exist here, each as a network: what it comes to.

    python tests/onnx_nodes.py      writes the table of docs/onnx.md

In these tests weights are inputs; here they are constants, as in a network.
"""

from __future__ import annotations

import re
import tempfile
import warnings
from collections import defaultdict
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

import pymnistcnn as pm

PAGE = Path(__file__).parents[1] / "docs" / "onnx.md"
KINDS = "node", "pytorch-converted", "pytorch-operator"
OPERATORS = {
    *("AveragePool", "BatchNormalization", "Conv", "Dropout", "Elu", "Flatten", "Gelu", "Gemm", "GlobalAveragePool"),
    *("GlobalMaxPool", "HardSwish", "Identity", "LeakyRelu", "LogSoftmax", "MatMul", "MaxPool", "PRelu", "Relu"),
    *("Reshape", "Sigmoid", "Softmax", "Softplus", "Squeeze", "Swish", "Tanh", "Transpose", "Unsqueeze"),
}
REASONS = {  # of what from_onnx says
    "samples are mixed, or the batch is not in front": "samples must stay apart|moves the batch|batch must stay"
    r"|batch and all|made for a batch|allowzero|its bias of \(3, 4\)",
    "three-dimensional pictures": "it needs pictures",
    "as in training": "as in training",
    "softmax over one axis of several": "all of a sample's scores",
    "softmax written out in reductions": "ReduceMax",
    "a pool that pads its sides unlike, or by more than half of the window": "both sides alike",
    "stacks of matrices": "it must multiply features|it needs features",
    "a slope for each channel or number": "with several numbers|not one number for each channel",
    "no tensor of numbers": "must be of floating-point numbers",
    "a sum of two networks": "must be a constant",
}


def tests():
    """(name, model, inputs, outputs) of each."""
    from onnx.backend.test.loader import load_model_tests

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = [test for kind in KINDS for test in load_model_tests(kind=kind)]
    for test in found:
        if test.model_dir is None and not is_one_of_ours(test.name, test.model):
            continue
        model, *data = (test.model, *test.data_sets[0]) if test.model_dir is None else from_folder(Path(test.model_dir))
        if is_one_of_ours(test.name, model):
            yield test.name, model, *data


def is_one_of_ours(name, model):
    """A single operator, or one that is written out."""
    written_out = [o for o in OPERATORS if "expanded" in name and name.lower().startswith(f"test_{o.lower()}_")]
    return {node.op_type for node in model.graph.node} <= OPERATORS or bool(written_out)


def from_folder(folder):
    def tensor(path):
        return numpy_helper.to_array(onnx.TensorProto.FromString(path.read_bytes()))

    data = folder / "test_data_set_0"
    sides = ([tensor(p) for p in sorted(data.glob(f"{side}_*.pb"))] for side in ("input", "output"))
    return onnx.load(folder / "model.onnx"), *sides


def as_network(model, inputs):
    """Of one input and one output: all other inputs are constants."""
    made = onnx.ModelProto.FromString(model.SerializeToString())
    there = {tensor.name for tensor in made.graph.initializer}
    ends = [value for value in made.graph.input if value.name not in there]
    for value, array in list(zip(ends, inputs, strict=False))[1:]:
        made.graph.initializer.append(numpy_helper.from_array(np.asarray(array), value.name))
    del made.graph.input[:], made.graph.output[1:]
    made.graph.input.append(ends[0])
    return made


def outcome(name, model, inputs, outputs, folder):
    """None if our model gives the same; else why there is none. AssertionError if it gives something else."""
    path = Path(folder, "node.onnx")
    path.write_bytes(as_network(model, inputs).SerializeToString())
    try:
        ours = pm.from_onnx(path)
    except ValueError as error:
        return str(error).removeprefix(f"{path}: ")
    x, expected = np.asarray(inputs[0]), np.asarray(outputs[0])
    for node in model.graph.node:
        if (
            node.op_type == "Transpose" and node.input[0] == model.graph.input[0].name
        ):  # its model takes what is transposed already
            x = x.transpose(onnx.helper.get_node_attr_value(node, "perm"))
    half = np.float16 in (x.dtype, expected.dtype)
    y = ours.predict_outputs(x.reshape(len(x), *ours.input_shape).astype(ours.dtype))
    np.testing.assert_allclose(
        y.reshape(expected.shape), expected, rtol=1e-3, atol=1e-2 if half else 1e-5, err_msg=name
    )
    return None


def reason(message):
    (found,) = [short for short, pattern in REASONS.items() if re.search(pattern, message)][:1]
    return found


def outcomes():
    """Of each test, by name."""
    with tempfile.TemporaryDirectory() as folder:
        return {name: outcome(name, *rest, folder) for name, *rest in tests()}


def table(found) -> str:
    refused = defaultdict(list)
    for name, message in found.items():
        if message is not None:
            refused[reason(message)].append(f"`{name.removeprefix('test_')}`")
    passed = sum(message is None for message in found.values())
    lines = [
        f"onnx {onnx.__version__} has {len(found)} of them: {passed} give the same, {len(found) - passed} are refused:"
    ]
    lines += ["", "| why | how many | which |", "|---|---:|---|"]
    lines += [f"| {why} | {len(refused[why])} | {', '.join(sorted(refused[why]))} |" for why in REASONS if refused[why]]
    return "\n".join(lines)


if __name__ == "__main__":
    before, _, after = PAGE.read_text().partition("<!-- nodes -->\n")
    PAGE.write_text(f"{before}<!-- nodes -->\n{table(outcomes())}\n<!-- end -->{after.partition('<!-- end -->')[2]}")
