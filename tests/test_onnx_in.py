"""Graphs as other programs write them become models."""

import numpy as np
import pytest
from onnx_cases import by_reference, by_runtime, drawn, off_by

import pymnistcnn as pm

pytest.importorskip("onnx", reason="needs onnx")
from onnx import TensorProto, helper  # noqa: E402 - only where it is there
from onnx_graphs import RNG, file_of, node, normal  # noqa: E402 - it needs onnx

pytestmark = pytest.mark.filterwarnings("ignore::pymnistcnn.DataWarning")  # of pixels from a normal distribution


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


@pytest.mark.parametrize("opset", [17, 18])
@pytest.mark.parametrize("kind", [pm.Softmax, pm.LogSoftmax])
def test_softmax_in_terms_of_reductions(kind, opset, tmp_path):
    """As the operator's own function of opset 13 and of 18 has it."""
    given, attribute = (["axes"], {}) if opset == 18 else ([], {"axes": [-1]})
    nodes = [
        *(node("Gemm", "x", "w", to="scores"), node("ReduceMax", "scores", *given, to="top", **attribute)),
        *(node("Sub", "scores", "top", to="z"), node("Exp", "z", to="e"), node("ReduceSum", "e", "axes", to="sum")),
        *{
            pm.Softmax: [node("Div", "e", "sum", to="y")],
            pm.LogSoftmax: [node("Log", "sum", to="log"), node("Sub", "z", "log", to="y")],
        }[kind],
    ]
    path = file_of(tmp_path, nodes, ["n", 5], {"axes": np.array([-1]), "w": normal(5, 4)}, opset)
    compared(path, (5,), [pm.Linear(4, bias=False), kind()])


@pytest.mark.parametrize("kind", [pm.Softmax, pm.LogSoftmax])
@pytest.mark.parametrize("axis", [1, 2, 3, -1, -3])
def test_softmax_along_an_axis(kind, axis, tmp_path):
    """Of pictures, as a node and in terms of reductions."""
    name, ends = kind.__name__, {pm.Softmax: ["Div", "e", "sum"], pm.LogSoftmax: ["Sub", "z", "log"]}[kind]
    written_out = [
        *(node("ReduceMax", "x", to="top", axes=[axis]), node("Sub", "x", "top", to="z"), node("Exp", "z", to="e")),
        *(node("ReduceSum", "e", "axes", to="sum"), node("Log", "sum", to="log"), node(*ends, to="y")),
    ]
    for nodes in ([node(name, "x", to="y", axis=axis)], written_out):
        path = file_of(tmp_path, nodes, ["n", 3, 4, 5], {"axes": np.array([axis])})
        compared(path, (3, 4, 5), [kind(axis % 4)])


@pytest.mark.parametrize("shape, axis", [((3, 4), 1), ((3, 4), -1), ((2, 3, 4, 5), 2), ((2, 3, 4, 5), -1)])
def test_softmax_of_samples_that_are_no_pictures(shape, axis, tmp_path):
    path = file_of(tmp_path, [node("Softmax", "x", to="y", axis=axis)], ["n", *shape])
    compared(path, shape, as_ours=lambda x: x.reshape(len(x), *pm.from_onnx(path).input_shape))


def test_softmax_over_channels_that_are_last(tmp_path):
    nodes = [
        *(node("Transpose", "x", to="p", perm=[0, 3, 1, 2]), node("Conv", "p", "f", to="c")),
        *(node("Transpose", "c", to="d", perm=[0, 2, 3, 1]), node("Softmax", "d", to="s")),
        node("Transpose", "s", to="y", perm=[0, 3, 1, 2]),
    ]
    path = file_of(tmp_path, nodes, ["n", 4, 5, 3], {"f": normal(6, 3, 1, 1)})
    compared(path, (4, 5, 3), [pm.Conv2d(6, 1, bias=False), pm.Softmax()], lambda x: x.transpose(0, 3, 1, 2))


def test_softmax_over_all_that_follows(tmp_path):
    """As it was before opset 13, which onnx's own evaluator does not know."""
    pytest.importorskip("onnxruntime", reason="needs onnxruntime")
    path, x = file_of(tmp_path, [node("Softmax", "x", to="y", axis=2)], ["n", 3, 4, 5], opset=11), normal(2, 3, 4, 5)
    model, expected = pm.from_onnx(path), by_runtime(path.read_bytes(), x)
    assert off_by(model.predict_outputs(x.reshape(2, *model.input_shape)).reshape(x.shape), expected) < 1e-5


def test_a_number_for_each_number(tmp_path):
    """Which makes features of pictures: batch norms of single numbers."""
    constants = {"a": normal(4, 5), "b": normal(5), "s": normal(4, 1), "w": normal(20, 3), "to": np.array([0, -1])}
    nodes = [
        *(node("Add", "x", "a", to="p"), node("PRelu", "p", "b", to="q"), node("Mul", "q", "s", to="r")),
        *(node("Reshape", "r", "to", to="flat"), node("Gemm", "flat", "w", to="y")),
    ]
    path = file_of(tmp_path, nodes, ["n", 4, 5], constants)
    model = compared(path, (4, 5), as_ours=lambda x: x.reshape(len(x), *pm.from_onnx(path).input_shape))
    kinds = [type(layer).__name__ for layer in model.layers]
    assert kinds == ["Flatten", "Residual", "BatchNorm1d", "Linear"]


@pytest.mark.parametrize("auto", ["SAME_UPPER", "SAME_LOWER"])
@pytest.mark.parametrize("kind", ["MaxPool", "AveragePool"])
def test_a_pool_that_keeps_the_size(kind, auto, tmp_path):
    nodes = [node(kind, "x", to="y", kernel_shape=[2, 4], auto_pad=auto)]
    (layer,) = compared(file_of(tmp_path, nodes, ["n", 2, 5, 6]), (2, 5, 6)).layers
    assert layer.padding == {"SAME_UPPER": (0, 1, 1, 2), "SAME_LOWER": (1, 0, 2, 1)}[auto]


def test_a_slope_for_each_channel(tmp_path):
    """PyTorch's PReLU(num_parameters): behind a convolution, and of features."""
    constants = {"f": normal(4, 2, 3, 3), "s": normal(4, 1, 1), "to": np.array([0, -1]), "t": normal(144)}
    nodes = [
        node("Conv", "x", "f", to="c", pads=[1, 1, 1, 1]),
        *(node("PRelu", "c", "s", to="p"), node("Reshape", "p", "to", to="flat"), node("PRelu", "flat", "t", to="y")),
    ]
    model = compared(file_of(tmp_path, nodes, ["n", 2, 6, 6], constants), (2, 6, 6))
    assert [type(layer).__name__ for layer in model.layers] == ["Conv2d", "Residual", "Flatten", "Residual"]


def test_a_product_and_another_network(tmp_path):
    nodes = [node("Gemm", "x", "w", to="a"), node("Gemm", "x", "v", "a", to="y", alpha=0.5)]
    model = compared(file_of(tmp_path, nodes, ["n", 5], {"w": normal(5, 3), "v": normal(5, 3)}), (5,))
    assert [type(layer) for layer in model.layers] == [pm.Residual]


def test_flatten_counts_its_axis_from_the_end(tmp_path):
    nodes = [node("Flatten", "x", to="f", axis=-3), node("Gemm", "f", "w", to="y")]
    compared(file_of(tmp_path, nodes, ["n", 2, 3, 4], {"w": normal(24, 3)}), (2, 3, 4))


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
