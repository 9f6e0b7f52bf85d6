"""Graphs that cannot become models are refused with the node's name and the reason; hostile ones before they take
memory or time."""

import os
import time

import numpy as np
import pytest
from onnx_cases import drawn

import pymnistcnn as pm

onnx = pytest.importorskip("onnx", reason="needs onnx")
from fuzz_graphs import changed_graph  # noqa: E402 - it needs onnx
from onnx import TensorProto, helper  # noqa: E402 - only where it is there
from onnx_graphs import file_of, node, normal  # noqa: E402 - it needs onnx

# ---- what cannot be ----

W4 = {"f": normal(4, 2, 3, 3), "w": normal(72, 3), "flat": np.array([0, -1]), "back": np.array([0, 2, 6, 6]),
      "full": normal(2, 6, 6), "s": np.float32(1), "pads": np.array([0, 0, 1, 1, 0, 0, 1, 1])}  # fmt: skip
REFUSED = {
    "an operator": ([node("LRN", "x", to="y", size=3)], r"node 'my LRN' \(LRN\): there is no layer for this operator"),
    "a domain": (
        [helper.make_node("Relu", ["x"], ["y"], domain="com.example")],
        r"node 'that makes y' \(Relu\): there is no layer",
    ),
    "a formula": ([node("Sin", "x", to="y")], r"\(Sin\): there is no layer for this operator"),
    "a known operator's formula": ([node("Exp", "x", to="y")], "the output 'y': no layer computes this"),
    "a product of two": (
        [
            node("Conv", "x", "f", to="a"),
            node("Tanh", "a", to="b"),
            node("Conv", "x", "f", to="c"),
            node("Mul", "b", "c", to="y"),
        ],
        r"\(Mul\): of several tensors, only the sum of two is known here",
    ),
    "two long ways": (
        [
            *(node("Conv", "x", "f", to="a"), node("Tanh", "a", to="b")),
            *(node("Conv", "x", "f", to="c"), node("Relu", "c", to="d"), node("Add", "b", "d", to="y")),
        ],
        r"\(Add\): of the two ways that it adds up, one must have no layer or a single one",
    ),
    "a number for each pixel": (
        [node("Add", "x", "full", to="a"), node("Conv", "a", "f", to="y")],
        r"\(Conv\): its input is \(72,\) in our layers, which cannot become \(2, 6, 6\) again",
    ),
    "numbers of other pictures": (
        [node("Add", "x", "f", to="y")],
        r"\(Add\): its constant of \(2, 3, 3\) does not fit \(2, 6, 6\)",
    ),
    "statistics of the batch": (
        [node("BatchNormalization", "x", "stat", "stat", "stat", "stat", to="y", training_mode=1)],
        r"\(BatchNormalization\): it takes the statistics of the batch",
    ),
    "the batch moved": ([node("Transpose", "x", to="y", perm=[1, 0, 2, 3])], r"\(Transpose\): it moves the batch"),
    "the batch flattened": ([node("Flatten", "x", to="y", axis=0)], r"\(Flatten\): it flattens the batch, too"),
    "the batch flattened, counted from the end": (
        [node("Flatten", "x", to="y", axis=-4)],
        r"\(Flatten\): it flattens the batch, too",
    ),
    "maxima that are taken away": (
        [
            *(node("Flatten", "x", to="a"), node("ReduceMax", "a", to="b", axes=[1])),
            node("Sub", "a", "b", to="y"),
        ],
        "the output 'y': no layer computes this",
    ),
    "sums over samples": (
        [node("Flatten", "x", to="a"), node("ReduceMax", "a", to="y", axes=[0])],
        r"\(ReduceMax\): it works along the batch",
    ),
    "maxima without their dimension": (
        [node("Flatten", "x", to="a"), node("ReduceMax", "a", to="y", axes=[1], keepdims=0)],
        r"\(ReduceMax\): it must go over one axis of a sample, and keep its dimension",
    ),
    "sums of pictures": (
        [node("ReduceSum", "x", "high", to="y")],
        r"\(ReduceSum\): sums of pictures are not known here",
    ),
    "slopes that are computed": (
        [node("PRelu", "stat4", "x", to="y")],
        r"\(PRelu\): its second input must be constant",
    ),
    "pictures again": (
        [
            *(node("Reshape", "x", "flat", to="a"), node("Gemm", "a", "w72", to="b")),
            *(node("Reshape", "b", "back", to="c"), node("Conv", "c", "f", to="y")),
        ],
        r"\(Conv\): its input is \(72,\) in our layers, which cannot become \(2, 6, 6\) again",
    ),
    "channels last in the end": (
        [node("Conv", "x", "f", to="a"), node("Transpose", "a", to="y", perm=[0, 2, 3, 1])],
        "the output 'y': its axes are in another order than our layers have",
    ),
    "weights that are not constant": ([node("Conv", "x", "x", to="y")], r"\(Conv\): its input 1 must be a constant"),
    "weights that do not fit": (
        [node("Flatten", "x", to="a"), node("Gemm", "a", "w72", to="b"), node("Gemm", "b", "small", to="y")],
        r"\(Gemm\): its weights of .* do not fit",
    ),
    "pictures to a product": (
        [node("Gemm", "x", "w72", to="y")],
        r"\(Gemm\): it needs features \(n, in\), not \(n, 2, 6, 6\)",
    ),
    "a pool of padding alone": (
        [node("MaxPool", "x", to="y", kernel_shape=[2, 2], pads=[2, 2, 2, 2])],
        r"\(MaxPool\): it pads \(6, 6\) by .* our pools pad by less than a window",
    ),
    "a Pad for itself": (
        [node("Pad", "x", "pads", to="p"), node("Relu", "p", to="y")],
        "a Pad before it can only stand before",
    ),
    "softmax of what was cut from a vector": (
        [
            node("Flatten", "x", to="a"),
            node("Gemm", "a", "w72", to="g"),
            node("Reshape", "g", "back", to="r"),
            node("Softmax", "r", to="y"),
        ],
        r"\(Softmax\): its scores are not along one axis of what our layers have there, \(72,\)",
    ),
    "a missing value": (
        [node("Relu", "nowhere", to="y")],
        r"\(Relu\): it reads 'nowhere', which nothing before it makes",
    ),
    "a cycle": (
        [node("Relu", "b", to="a"), node("Tanh", "a", to="b"), node("Add", "x", "b", to="y")],
        r"\(Relu\): it reads 'b', which nothing before it makes",
    ),
    "a value made twice": (
        [node("Relu", "x", to="y"), node("Tanh", "x", to="y")],
        r"\(Relu\): it makes what is there already",
    ),
    "a layer in two places": (
        [
            *(node("Conv", "x", "sq", to="a"), node("Add", "a", "x", to="b")),
            *(node("Relu", "a", to="c"), node("Add", "b", "c", to="y")),
        ],
        r"\(Add\): it has a layer in two places",
    ),
    "an attribute of another kind": ([node("Conv", "x", "f", to="y", strides="two")], r"node 'my Conv' \(Conv\)"),
    "huge pads": ([node("Conv", "x", "f", to="y", pads=[2**30, 2**30, 2**30, 2**30])], r"\(Conv\)"),
    "huge strides": ([node("Conv", "x", "f", to="y", strides=[2**62, 1])], r"\(Conv\)"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_by_name(name, tmp_path):
    nodes, message = REFUSED[name]
    constants = W4 | {
        "stat": normal(2),
        "w72": normal(72, 72),
        "small": normal(3, 4),
        "sq": normal(2, 2, 1, 1),
        "stat4": normal(2, 1, 1),
        "high": np.array([2, 3]),
    }
    path = file_of(tmp_path, nodes, ["n", 2, 6, 6], constants)
    with pytest.raises(ValueError, match=message) as caught:
        pm.from_onnx(path)
    assert str(caught.value).startswith(f"{path}: ")


RELU = [node("Relu", "x", to="y")]


@pytest.mark.parametrize(
    "options, message",
    [
        ({"opset": 5}, "its opset must be from 6 to"),
        ({"opset": 1000}, "its opset must be from 6 to"),
        ({"shape": ["n", "h", 6]}, "its input 'x' must have a known size but for the batch"),
        ({"shape": None}, "its input 'x' must have a shape with the batch in front"),
        ({"kind": TensorProto.INT64}, "its input 'x' must be of floating-point numbers or uint8"),
        ({"nodes": []}, "its graph must have from 1 to 5,000 nodes, not 0"),
        ({"nodes": RELU * 5_001}, "its graph must have from 1 to 5,000 nodes, not 5,001"),
        ({"output": "z"}, "the output 'z': it reads 'z'|which nothing before it makes"),
    ],
)
def test_graphs_that_are_refused(options, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        pm.from_onnx(file_of(tmp_path, **{"nodes": RELU, "shape": ["n", 5]} | options))


def test_other_files(tmp_path):
    for content in (b"", b"not ONNX", b"\x08\x08" * 40, os.urandom(1000), b"PK\x03\x04" + bytes(100)):
        (tmp_path / "a.onnx").write_bytes(content)
        with pytest.raises(ValueError, match="a.onnx: "):
            pm.from_onnx(tmp_path / "a.onnx")
    with pytest.raises(FileNotFoundError):
        pm.from_onnx(tmp_path / "none.onnx")
    with pytest.raises(IsADirectoryError):
        pm.from_onnx(tmp_path)
    with pytest.raises(ValueError, match="path must be the path of a file, not 5"):
        pm.from_onnx(5)


@pytest.mark.parametrize("name", ["a.keras", "a.weights.h5"])
def test_keras_files_come_through_onnx(name, tmp_path):
    (tmp_path / name).write_bytes(b"PK\x03\x04")
    for reader in (pm.load, pm.from_onnx, pm.Sequential([pm.Linear(2)], (3,)).load_state_dict):
        with pytest.raises(ValueError, match=r"a Keras file: model.export\('model.onnx', format='onnx'\) in Keras"):
            reader(tmp_path / name)


def test_formats_that_have_another_way_in(tmp_path):
    (tmp_path / "a.onnx").write_bytes(b"")
    with pytest.raises(ValueError, match="an ONNX file: pm.from_onnx reads it"):
        pm.load(tmp_path / "a.onnx")
    with pytest.raises(ValueError, match="a safetensors file: pm.load reads it"):
        pm.from_onnx(tmp_path / "a.safetensors")
    with pytest.raises(ValueError, match="a PyTorch file: load it with torch.load"):
        pm.load(tmp_path / "a.pth")


# ---- hostile ----


def raw(dims, name="w", data=b"", location=None):
    tensor = TensorProto(dims=dims, data_type=TensorProto.FLOAT, name=name)
    if location is None:
        tensor.raw_data = data
    else:
        tensor.data_location = TensorProto.EXTERNAL
        for key, value in location.items():
            tensor.external_data.add(key=key, value=str(value))
    return tensor


def with_constant(folder, tensor, kind="Gemm", shape=("n", 5)):
    path = file_of(folder, [node(kind, "x", "w", to="y")], list(shape))
    proto = onnx.load(path)
    proto.graph.initializer.append(tensor)
    path.write_bytes(proto.SerializeToString())
    return path


HOSTILE = {
    "huge dimensions": raw([2**40, 2**40]),
    "2 GB claimed": raw([2**29], data=b"\0" * 16),
    "a negative dimension": raw([-1, 4], data=b"\0" * 16),
    "too little data": raw([4, 4], data=b"\0" * 16),
    "too much data": raw([1, 1], data=b"\0" * 16),
    "data elsewhere": raw([2, 2], location={"location": "/etc/passwd"}),
    "data in the folder above": raw([2, 2], location={"location": "../secret"}),
    "data through a link": raw([2, 2], location={"location": "link"}),
    "data nowhere": raw([2, 2], location={}),
    "data with an offset": raw([2, 2], location={"location": "graph.onnx", "offset": -8}),
    "data behind the end": raw([2, 2], location={"location": "graph.onnx", "offset": 10**9}),
    "an offset that is no number": raw([2, 2], location={"location": "graph.onnx", "offset": "zero"}),
    "huge data elsewhere": raw([2**40], location={"location": "graph.onnx"}),
    "a folder": raw([2, 2], location={"location": "."}),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_constants(name, tmp_path):
    folder = tmp_path / "inside"
    folder.mkdir()
    (tmp_path / "secret").write_bytes(bytes(100))
    (folder / "link").symlink_to(tmp_path / "secret")
    with pytest.raises(ValueError, match=r"node 'my Gemm' \(Gemm\): "):
        pm.from_onnx(with_constant(folder, HOSTILE[name]))


def quickly(read, seconds=20):
    import tracemalloc

    tracemalloc.start()
    try:
        started = time.process_time()
        with pytest.raises(ValueError) as caught:
            read()
        assert time.process_time() - started < seconds
        assert tracemalloc.get_traced_memory()[1] < 2**28
    finally:
        tracemalloc.stop()
    return str(caught.value)


HUGE = {
    "input": ([node("Relu", "x", to="y")], ["n", 2**30, 2**30], {}),
    "transposed input": ([node("Transpose", "x", to="y", perm=[0, 2, 1])], ["n", 2**13, 2**13], {}),
    "padded": ([node("Conv", "x", "f", to="y", pads=[2**14] * 4)], ["n", 1, 9, 9], {"f": np.ones((9, 1, 3, 3), "f4")}),
    "means": (
        [node("AveragePool", "x", to="y", kernel_shape=[2**15, 2**15], dilations=[2, 2], pads=[2**15] * 4)],
        ["n", 9, 9, 9],
        {},
    ),
    "work": (
        [node("MaxPool", "x", to="y", kernel_shape=[2000, 2000], strides=[1, 1], pads=[1000] * 4)],
        ["n", 1, 4000, 4000],
        {},
    ),
    "constants that double": (
        [node("Concat", f"c{i}", f"c{i}", to=f"c{i + 1}", axis=0) for i in range(40)]
        + [node("Gemm", "x", "c40", to="y")],
        ["n", 5],
        {"c0": np.ones(9, "f4")},
    ),
    "constants that broadcast": (
        [node("Add", "a", "b", to="c"), node("Gemm", "x", "c", to="y")],
        ["n", 5],
        {"a": np.ones((10**4, 1), "f4"), "b": np.ones((1, 10**5), "f4")},
    ),
    "formulas that nest": (
        [node("Tanh", f"v{i}" if i else "x", to=f"v{i + 1}") for i in range(4900)] + [node("Erf", "v4900", to="y")],
        ["n", 5],
        {},
    ),
    "sums that nest": (
        [node("Mul", f"v{i}" if i else "x", f"v{i}" if i else "x", to=f"v{i + 1}") for i in range(4900)]
        + [node("Erf", "v4900", to="y")],
        ["n", 5],
        {},
    ),
    "blocks that nest": (
        [
            part
            for i in range(2400)
            for part in (node("Tanh", f"v{i}" if i else "x", to=f"t{i}"), node("Add", f"t{i}", "x", to=f"v{i + 1}"))
        ]
        + [node("Erf", "v2400", to="y")],
        ["n", 5],
        {},
    ),
}


@pytest.mark.parametrize("name", HUGE)
def test_huge_claims_cost_nothing(name, tmp_path):
    nodes, shape, constants = HUGE[name]
    path = file_of(tmp_path, nodes, shape, constants)
    assert quickly(lambda: pm.from_onnx(path, max_bytes=2**28, max_work=10**10)).startswith(f"{path}: ")


def test_graphs_with_something_wrong_become_a_model_or_a_value_error(tmp_path):
    """More of them: python tests/fuzz.py readers."""
    ended = {"model": 0, "error": 0}
    for seed in range(400):
        (tmp_path / "a.onnx").write_bytes(changed_graph(np.random.default_rng(seed)))
        try:
            model = pm.from_onnx(tmp_path / "a.onnx", max_bytes=2**26, max_work=10**8)
            model.predict_outputs(np.zeros((2, *model.input_shape), model.dtype))
            ended["model"] += 1
        except ValueError as error:
            ended["error"] += 1
            assert str(error).startswith(f"{tmp_path}")
    assert min(ended.values()) > 20, ended


def test_the_budget_is_that_of_load(tmp_path):
    model = drawn(pm.Sequential([pm.Linear(2000)], (2000,)))
    model.to_onnx(tmp_path / "a.onnx")
    assert pm.from_onnx(tmp_path / "a.onnx").input_shape == (2000,)
    with pytest.raises(ValueError, match="max_bytes"):
        pm.from_onnx(tmp_path / "a.onnx", max_bytes=2**20)
    with pytest.raises(ValueError, match="max_work"):
        pm.from_onnx(tmp_path / "a.onnx", max_work=10**6)
