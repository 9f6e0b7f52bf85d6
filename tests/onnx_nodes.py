"""ONNX's own backend tests of the operators that exist here, each as a network: what it comes to.

A test is in scope if a network here can be what it is of: one that predicts, sample by sample, from features or
pictures.

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
from onnx.reference import ReferenceEvaluator

import pymnistcnn as pm

PAGE = Path(__file__).parents[1] / "docs" / "onnx.md"
FLOATS = tuple(map(np.dtype, ("float16", "float32", "float64", "uint8")))
KINDS = "node", "pytorch-converted", "pytorch-operator"
OPERATORS = {
    *("AveragePool", "BatchNormalization", "Conv", "Dropout", "Elu", "Flatten", "Gelu", "Gemm", "GlobalAveragePool"),
    *("GlobalMaxPool", "HardSwish", "Identity", "LeakyRelu", "LogSoftmax", "MatMul", "MaxPool", "PRelu", "Relu"),
    *("Reshape", "Sigmoid", "Softmax", "Softplus", "Squeeze", "Swish", "Tanh", "Transpose", "Unsqueeze"),
}
REASONS = {  # of what from_onnx says
    "a choice between several tensors, number by number": "of several tensors, only the sum of two",
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


def apart(model, inputs, outputs):
    """Is there a result for each sample, in its place, which does not depend on the others?"""
    x, y = np.asarray(inputs[0]), np.asarray(outputs[0])
    if x.shape[:1] != y.shape[:1] or len(x) < 2:
        return x.shape[:1] == y.shape[:1] == (1,)
    picked = [*range(len(x) - 1, 0, -1), 1]  # in another order, one of them twice, one not at all
    network = as_network(model, inputs)
    again = ReferenceEvaluator(network).run(None, {network.graph.input[0].name: x[picked]})[0]
    return np.allclose(again, y[picked], rtol=1e-3, atol=1e-2 if np.float16 in (x.dtype, y.dtype) else 1e-5)


OUTSIDE = {  # why no network here is what a test is of: by its name, model, inputs and outputs
    "no tensor of numbers": lambda name, model, x, y: getattr(x[0], "dtype", np.dtype("O")) not in FLOATS,
    "more than pictures (n, channels, height, width)": lambda name, model, x, y: x[0].ndim > 4,
    "as in training": lambda name, model, x, y: "training" in name and "zero_ratio" not in name,
    "samples are mixed, or not in front": lambda name, model, x, y: not apart(model, x, y),
    "products of stacks of matrices": lambda name, model, x, y: "matmul" in name and {a.ndim for a in x} != {2},
}


def scope(name, model, inputs, outputs):
    """None if it is in scope; else why it is not."""
    return next((why for why, holds in OUTSIDE.items() if holds(name, model, inputs, outputs)), None)


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
    assert len(y) == len(expected), name
    np.testing.assert_allclose(
        y.reshape(expected.shape), expected, rtol=1e-3, atol=1e-2 if half else 1e-5, err_msg=name
    )
    return None


def reason(message):
    (found,) = [short for short, pattern in REASONS.items() if re.search(pattern, message)][:1]
    return found


def outcomes():
    """(why it is out of scope or None, why it is refused or None) of each test, by name."""
    with tempfile.TemporaryDirectory() as folder:
        return {name: (scope(name, *rest), outcome(name, *rest, folder)) for name, *rest in tests()}


def rows(groups, order):
    head = ["", "| why | how many | which |", "|---|---:|---|"]
    return head + [f"| {why} | {len(groups[why])} | {', '.join(sorted(groups[why]))} |" for why in order if groups[why]]


def table(found) -> str:
    refused, outside = defaultdict(list), defaultdict(list)
    for name, (why_not, message) in found.items():
        if why_not is not None:
            outside[why_not].append(f"`{name.removeprefix('test_')}`")
        elif message is not None:
            refused[reason(message)].append(f"`{name.removeprefix('test_')}`")
    others, wrong = (sum(map(len, groups.values())) for groups in (outside, refused))
    inside, also = len(found) - others, sum(why is not None and message is None for why, message in found.values())
    return "\n".join(
        [
            f"Of onnx {onnx.__version__}'s {len(found)} tests {inside} are in scope: {inside - wrong} give the same, "
            f"{wrong} {'is' if wrong == 1 else 'are'} refused, none is wrong:",
            *(*rows(refused, REASONS), ""),
            f"{others} are of what no network here is; {also} of them give the same, the others are refused:",
            *rows(outside, OUTSIDE),
        ]
    )


if __name__ == "__main__":
    before, _, after = PAGE.read_text().partition("<!-- nodes -->\n")
    PAGE.write_text(f"{before}<!-- nodes -->\n{table(outcomes())}\n<!-- end -->{after.partition('<!-- end -->')[2]}")
