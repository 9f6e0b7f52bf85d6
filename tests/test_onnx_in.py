"""Graphs as other programs write them become models; what cannot be is refused with the node's name and the reason, and
what is hostile before it takes memory or time."""

import os
import time

import numpy as np
import pytest
from onnx_cases import by_reference, drawn, off_by

import pymnistcnn as pm

onnx = pytest.importorskip("onnx", reason="needs onnx")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402 - only where it is there

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


def compared(path, shape, layers=None, as_ours=lambda x: x, tolerance=1e-5):
    """The model, once it is known to compute what the graph does. as_ours: from the graph's samples to the model's."""
    model, x = pm.from_onnx(path), normal(4, *shape)
    expected = by_reference(path.read_bytes(), x)
    assert off_by(model.predict_outputs(as_ours(x)).reshape(expected.shape), expected) < tolerance
    if layers is not None:
        assert repr(model.layers) == repr(layers)
    return model


# ---- other ways to say the same ----


def test_matmul_and_add(tmp_path):
    constants = {"w": normal(5, 3), "b": normal(3)}
    nodes = [node("MatMul", "x", "w", to="a"), node("Add", "b", "a", to="y")]
    compared(file_of(tmp_path, nodes, ["n", 5], constants), (5,), [pm.Linear(3)])


def test_gemm_with_everything(tmp_path):
    nodes = [node("Gemm", "x", "w", "b", to="y", alpha=0.5, beta=2.0, transB=0)]
    compared(file_of(tmp_path, nodes, ["n", 5], {"w": normal(5, 3), "b": normal(1, 3)}), (5,), [pm.Linear(3)])


def test_constants_that_are_computed(tmp_path):
    """As where an exporter folds nothing: w is transposed and cast, the bias a Constant, the shape made from Shape."""
    nodes = [
        node("Shape", "x", to="shape"),
        node("Constant", to="zero", value_int=0),
        node("Gather", "shape", "zero", to="n", axis=0),
        node("Constant", to="front", value_ints=[0]),
        node("Unsqueeze", "n", "front", to="ns"),
        node("Constant", to="rest", value_ints=[-1]),
        node("Concat", "ns", "rest", to="target", axis=0),
        node("Reshape", "x", "target", to="flat"),
        helper.make_node("Cast", ["w"], ["w32"], to=TensorProto.FLOAT),
        node("Transpose", "w32", to="wt", perm=[1, 0]),
        node("MatMul", "flat", "wt", to="a"),
        node("Constant", to="b", value_floats=[1.0, 2.0, 3.0]),
        node("Add", "a", "b", to="y"),
    ]
    path = file_of(tmp_path, nodes, ["n", 2, 3, 4], {"w": normal(3, 24).astype(np.float64)})
    compared(path, (2, 3, 4), [pm.Flatten(), pm.Linear(3)])


def test_channels_last_at_the_borders(tmp_path):
    """As TensorFlow's converters write it: NHWC in, the features in the order h, w, c."""
    constants = {"f": normal(4, 2, 3, 3), "w": normal(4 * 6 * 5, 3), "flat": np.array([-1, 120]), "m": normal(4)}
    constants |= {
        "g": np.ones(120, np.float32),
        "beta": normal(120),
        "mean": normal(120),
        "var": np.ones(120, "f4") * 2,
    }
    nodes = [
        node("Transpose", "x", to="nchw", perm=[0, 3, 1, 2]),
        node("Conv", "nchw", "f", "m", to="c"),
        node("Relu", "c", to="r"),
        node("Transpose", "r", to="nhwc", perm=[0, 2, 3, 1]),
        node("Tanh", "nhwc", to="t"),
        node("Reshape", "t", "flat", to="features"),
        node("BatchNormalization", "features", "g", "beta", "mean", "var", to="bn"),
        node("MatMul", "bn", "w", to="y"),
    ]
    path = file_of(tmp_path, nodes, ["n", 8, 7, 2], constants)
    model = compared(path, (8, 7, 2), as_ours=lambda x: x.transpose(0, 3, 1, 2))
    assert model.input_shape == (2, 8, 7)


@pytest.mark.parametrize("shape", [[12, 12], [144], [12, 12, 1]], ids=str)
def test_pictures_in_other_shapes(shape, tmp_path):
    constants = {"f": normal(4, 1, 3, 3), "scale": np.float32(1 / 255), "to": np.array([-1, 1, 12, 12])}
    nodes = [node("Mul", "x", "scale", to="s"), node("Reshape", "s", "to", to="p"), node("Conv", "p", "f", to="y")]
    path = file_of(tmp_path, nodes, ["n", *shape], constants)
    model = compared(path, shape, [pm.Rescaling(1 / 255), pm.Conv2d(4, 3, bias=False)],
                     lambda x: x.reshape(-1, 1, 12, 12))  # fmt: skip
    assert model.input_shape == (1, 12, 12)


def test_rescaling_in_three_steps(tmp_path):
    constants = {"max": np.float32(255), "mean": np.float32(0.1307), "std": np.float32(0.3081), "w": normal(5, 3)}
    nodes = [node("Div", "x", "max", to="a"), node("Sub", "a", "mean", to="b"), node("Div", "b", "std", to="c")]
    model = compared(file_of(tmp_path, [*nodes, node("MatMul", "c", "w", to="y")], ["n", 5], constants), (5,))
    assert [type(layer) for layer in model.layers] == [pm.Rescaling, pm.Linear]


def test_numbers_for_each_channel(tmp_path):
    constants = {
        "mean": normal(1, 3, 1, 1),
        "std": 1 + normal(3, 1, 1) ** 2,
        "f": normal(4, 3, 1, 1),
        "b": normal(4, 1, 1),
    }
    nodes = [
        node("Sub", "x", "mean", to="a"),
        node("Div", "a", "std", to="b1"),
        node("Conv", "b1", "f", to="c"),
        node("Add", "c", "b", to="d"),
        node("Mul", "d", "b", to="y"),
    ]
    model = compared(file_of(tmp_path, nodes, ["n", 3, 4, 4], constants), (3, 4, 4))
    assert model.layers[-2].bias and isinstance(model.layers[-1], pm.BatchNorm2d)


def test_numbers_for_each_channel_that_are_last(tmp_path):
    """As Keras writes them, where everything but the windows is NHWC; those that follow each other are one layer."""
    constants = {"mean": normal(3), "f": normal(4, 3, 1, 1), "b": normal(4), "s": normal(1, 1, 4), "t": normal(4)}
    nodes = [
        node("Sub", "x", "mean", to="centered"),
        node("Transpose", "centered", to="p", perm=[0, 3, 1, 2]),
        node("Conv", "p", "f", to="c"),
        node("Transpose", "c", to="d", perm=[0, 2, 3, 1]),
        node("Add", "d", "b", to="e"),
        node("Relu", "e", to="f1"),
        node("Mul", "f1", "s", to="g"),
        node("Sub", "t", "g", to="h"),
        node("Transpose", "h", to="i", perm=[0, 3, 1, 2]),
        node("GlobalAveragePool", "i", to="y"),
    ]
    model = compared(
        file_of(tmp_path, nodes, ["n", 6, 5, 3], constants), (6, 5, 3), as_ours=lambda x: x.transpose(0, 3, 1, 2)
    )
    kinds = [type(layer).__name__ for layer in model.layers]
    assert kinds == ["BatchNorm2d", "Conv2d", "ReLU", "BatchNorm2d", "GlobalAvgPool2d"] and model.layers[1].bias


def gelu(x):
    return [
        node("Div", x, "root", to="a"),
        node("Erf", "a", to="b"),
        node("Add", "b", "one", to="c"),
        node("Mul", x, "c", to="d"),
        node("Mul", "d", "half", to="y"),
    ]


ONES = {"root": np.float32(np.sqrt(2)), "one": np.float32(1), "half": np.float32(0.5), "six": np.float32(6),
        "zero": np.float32(0), "three": np.float32(3), "slope": np.float32(0.2)}  # fmt: skip
FORMULAS = {
    "GELU": (gelu("x"), pm.GELU()),
    "SiLU": ([node("Sigmoid", "x", to="s"), node("Mul", "x", "s", to="y")], pm.SiLU()),
    "Hardswish": ([node("HardSigmoid", "x", to="s", alpha=1 / 6), node("Mul", "s", "x", to="y")], pm.Hardswish()),
    "Hardswish of ReLU6": (
        [
            node("Add", "x", "three", to="a"),
            node("Clip", "a", "zero", "six", to="b"),
            node("Mul", "x", "b", to="c"),
            node("Div", "c", "six", to="y"),
        ],
        pm.Hardswish(),
    ),
    "Softplus": ([node("Exp", "x", to="e"), node("Add", "e", "one", to="f"), node("Log", "f", to="y")], pm.Softplus()),
    "LeakyReLU": ([node("Mul", "x", "slope", to="s"), node("Max", "x", "s", to="y")], pm.LeakyReLU(0.2)),
    "ReLU": ([node("Clip", "x", "zero", to="y")], pm.ReLU()),
    "Tanh of ReLU": ([node("Relu", "x", to="a"), node("Tanh", "a", to="y")], [pm.ReLU(), pm.Tanh()]),
    "SiLU of a scaled one": (
        [node("Mul", "x", "half", to="u"), node("Sigmoid", "u", to="s"), node("Mul", "s", "u", to="y")],
        [pm.Rescaling(0.5), pm.SiLU()],
    ),
}


@pytest.mark.parametrize("name", FORMULAS)
@pytest.mark.parametrize("shape", [(5,), (2, 3, 4), (3, 4)], ids=str)
def test_formulas_are_known_by_what_they_compute(name, shape, tmp_path):
    nodes, layers = FORMULAS[name]
    layers = layers if isinstance(layers, list) else [layers]
    path = file_of(tmp_path, nodes, ["n", *shape], ONES)
    compared(path, shape, layers, lambda x: x.reshape(4, *pm.from_onnx(path).input_shape))


def test_residual_blocks(tmp_path):
    """With a projection of a convolution and its batch norm, and one inside another."""
    norm = {"g": normal(4) ** 2 + 1, "b": normal(4), "m": normal(4), "v": normal(4) ** 2 + 1}
    constants = {"f": normal(4, 2, 3, 3), "p": normal(4, 2, 1, 1), "q": normal(4, 4, 3, 3), **norm}
    nodes = [
        node("Conv", "x", "f", to="a", pads=[1, 1, 1, 1], strides=[2, 2]),
        node("Relu", "a", to="b1"),
        node("Conv", "b1", "q", to="c", pads=[1, 1, 1, 1]),
        node("Add", "c", "b1", to="d"),
        node("Conv", "x", "p", to="e", strides=[2, 2]),
        node("BatchNormalization", "e", "g", "b", "m", "v", to="e2"),
        node("Sum", "e2", "d", to="z"),
        node("Relu", "z", to="y"),
    ]
    model = compared(file_of(tmp_path, nodes, ["n", 2, 8, 8], constants), (2, 8, 8))
    outer, relu = model.layers
    assert isinstance(outer.layers[-1], pm.Residual) and outer.projection.bias and isinstance(relu, pm.ReLU)


@pytest.mark.parametrize("auto", ["SAME_UPPER", "SAME_LOWER", "VALID"])
def test_auto_pad_and_one_row(auto, tmp_path):
    nodes = [node("Conv", "x", "f", to="a", auto_pad=auto, strides=[2]), node("MaxPool", "a", to="y", kernel_shape=[2])]
    compared(file_of(tmp_path, nodes, ["n", 3, 12], {"f": normal(4, 3, 4)}), (3, 12),
             as_ours=lambda x: x[:, :, None])  # fmt: skip


@pytest.mark.parametrize("kind, value", [("Conv", 0.0), ("AveragePool", 0.0), ("MaxPool", -np.inf)])
def test_a_pad_before_a_window(kind, value, tmp_path):
    more = ["f"] if kind == "Conv" else []
    constants = {"f": normal(4, 2, 3, 3), "pads": np.array([0, 0, 1, 1, 0, 0, 1, 1]), "value": np.float32(value)}
    nodes = [
        node("Pad", "x", "pads", "value", to="p"),
        node(kind, "p", *more, to="y", kernel_shape=[3, 3], strides=[2, 2]),
    ]
    compared(file_of(tmp_path, nodes, ["n", 2, 8, 9], constants), (2, 8, 9))


def test_what_is_not_needed_is_not_read(tmp_path):
    nodes = [node("Loop", "nothing", to="unused"), node("Relu", "x", to="y")]
    assert repr(pm.from_onnx(file_of(tmp_path, nodes, ["n", 5])).layers) == "[ReLU()]"


def test_half_weights_and_a_cast(tmp_path):
    constants = {"w": normal(3, 5).astype(np.float16)}
    nodes = [helper.make_node("Cast", ["x"], ["h"], to=TensorProto.FLOAT16), node("Gemm", "h", "w", to="y", transB=1)]
    model = pm.from_onnx(file_of(tmp_path, nodes, ["n", 5], constants))
    assert model.dtype == np.float32
    np.testing.assert_array_equal(model.state_dict()["0.weight"], constants["w"].astype(np.float32))


def test_weights_in_another_file(tmp_path):
    nodes = [node("Gemm", "x", "w", to="y", transB=1)]
    path = file_of(tmp_path, nodes, ["n", 5], {"w": normal(3, 5)}, external={"location": "weights.data"})
    assert (tmp_path / "weights.data").stat().st_size == 60
    compared_without_content = pm.from_onnx(path)
    assert compared_without_content.layers[0].out_features == 3
    (tmp_path / "weights.data").write_bytes(b"\0" * 59)
    with pytest.raises(ValueError, match=r"node 'my Gemm' \(Gemm\): the constant 'w' has not its 60 bytes"):
        pm.from_onnx(path)


def test_a_rescaling_of_ones_own(tmp_path):
    model = drawn(pm.Sequential([pm.Conv2d(2, 3)], (1, 6, 6)))
    model.to_onnx(tmp_path / "a.onnx")
    x = RNG.integers(0, 256, (2, 1, 6, 6), np.uint8)
    scaled = pm.from_onnx(tmp_path / "a.onnx", rescaling=pm.Rescaling(1 / 255))
    assert off_by(scaled.predict_outputs(x), model.predict_outputs((x / 255).astype(np.float32))) < 1e-6
    with pytest.raises(ValueError, match="rescaling must be a Rescaling, such as"):
        pm.from_onnx(tmp_path / "a.onnx", rescaling=1 / 255)


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
        [node("Add", "x", "full", to="y")],
        r"\(Add\): its constant of \(2, 6, 6\) is not one number",
    ),
    "statistics of the batch": (
        [node("BatchNormalization", "x", "stat", "stat", "stat", "stat", to="y", training_mode=1)],
        r"\(BatchNormalization\): it takes the statistics of the batch",
    ),
    "the batch moved": ([node("Transpose", "x", to="y", perm=[1, 0, 2, 3])], r"\(Transpose\): it moves the batch"),
    "the batch flattened": ([node("Flatten", "x", to="y", axis=0)], r"\(Flatten\): it flattens the batch, too"),
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
    "an uneven pool": (
        [node("MaxPool", "x", to="y", kernel_shape=[2, 2], auto_pad="SAME_UPPER")],
        r"\(MaxPool\): it pads \(6, 6\) by .* our pools pad both sides alike",
    ),
    "a Pad for itself": (
        [node("Pad", "x", "pads", to="p"), node("Relu", "p", to="y")],
        "a Pad before it can only stand before",
    ),
    "softmax of pictures": ([node("Softmax", "x", to="y")], r"\(Softmax\): it must go over all of a sample's scores"),
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
    constants = W4 | {"stat": normal(2), "w72": normal(72, 72), "small": normal(3, 4), "sq": normal(2, 2, 1, 1)}
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


def test_the_budget_is_that_of_load(tmp_path):
    model = drawn(pm.Sequential([pm.Linear(2000)], (2000,)))
    model.to_onnx(tmp_path / "a.onnx")
    assert pm.from_onnx(tmp_path / "a.onnx").input_shape == (2000,)
    with pytest.raises(ValueError, match="max_bytes"):
        pm.from_onnx(tmp_path / "a.onnx", max_bytes=2**20)
    with pytest.raises(ValueError, match="max_work"):
        pm.from_onnx(tmp_path / "a.onnx", max_work=10**6)
