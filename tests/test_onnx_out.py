"""Models that go out as ONNX compute there what they do here: in onnxruntime, in onnx's evaluator, and read again."""

import contextlib
import json

import numpy as np
import pytest
from click.testing import CliRunner
from onnx_cases import by_reference, by_runtime, cases, drawn, off_by, samples

import pymnistcnn as pm
from pymnistcnn.cli import main

onnx = pytest.importorskip("onnx", reason="needs onnx")
TOLERANCE = {"float32": 2e-6, "float64": 1e-9}
CASES = cases()
ERF = 2e-7  # onnx's own evaluator has Erf in float32 only

pytestmark = pytest.mark.filterwarnings("ignore::pymnistcnn.DataWarning")  # of pixels from a normal distribution


def written(model, folder, **options):
    path = folder / "model.onnx"
    model.to_onnx(path, **options)
    onnx.checker.check_model(onnx.load(path), full_check=True)
    return path.read_bytes()


@pytest.fixture
def runtime():
    pytest.importorskip("onnxruntime", reason="needs onnxruntime")
    return by_runtime


def test_no_layer_is_left_out():
    there = {type(leaf) for layer, _ in CASES for leaf in (layer, *(leaf for _, leaf in layer.leaves()))}
    assert {getattr(pm.layers, name) for name in pm.layers.__all__} - there == {pm.layers.Layer, pm.PythonLayer}


@pytest.mark.parametrize("layer, shape", CASES, ids=lambda value: str(value))
def test_every_layer_by_the_reference_and_read_again(layer, shape, dtype, tmp_path):
    model = drawn(pm.Sequential([fresh(layer)], shape, dtype=dtype))
    content, x = written(model, tmp_path), samples(model)
    expected = model.predict_outputs(x)
    tolerance = ERF if dtype == "float64" and str(layer) == "GELU()" else TOLERANCE[dtype]
    assert off_by(by_reference(content, x), expected) < tolerance
    again = pm.from_onnx(tmp_path / "model.onnx")
    assert again.dtype == model.dtype and again.input_shape == model.input_shape
    assert off_by(again.predict_outputs(x), expected) < TOLERANCE[dtype]


@pytest.mark.parametrize("layer, shape", CASES, ids=lambda value: str(value))
def test_every_layer_by_onnxruntime(layer, shape, tmp_path, runtime):
    model = drawn(pm.Sequential([fresh(layer)], shape))
    x = samples(model)
    assert off_by(runtime(written(model, tmp_path), x), model.predict_outputs(x)) < TOLERANCE["float32"]


def fresh(layer):
    """Another one like it."""
    if isinstance(layer, pm.Residual):
        return pm.Residual([fresh(one) for one in layer.layers], layer.projection and fresh(layer.projection))
    return type(layer)(**layer.settings())


def network(dtype="float32"):
    """Batch norm where it can be taken in, and where it cannot."""
    layers = [
        *(pm.Rescaling(1 / 255), pm.Conv2d(6, 3, bias=False), pm.BatchNorm2d(), pm.ReLU(), pm.BatchNorm2d()),
        *(
            pm.MaxPool2d(2),
            pm.Residual([pm.Conv2d(6, 3, padding=1), pm.Dropout(), pm.BatchNorm2d(eps=1e-3), pm.GELU()]),
        ),
        *(pm.Flatten(), pm.Linear(12), pm.BatchNorm1d(affine=False), pm.Softplus(), pm.Linear(3), pm.Softmax()),
    ]
    return drawn(pm.Sequential(layers, (1, 12, 12), dtype=dtype))


@pytest.mark.parametrize("fold, left", [(False, 4), (True, 1)])
@pytest.mark.parametrize("input_dtype", [None, "uint8"])
def test_pixels_and_batch_norm_by_choice(fold, left, input_dtype, dtype, tmp_path):
    model = network(dtype)
    x = np.random.default_rng(0).integers(0, 256, (4, 1, 12, 12), np.uint8)
    content = written(model, tmp_path, input_dtype=input_dtype, fold_batch_norm=fold)
    given = x if input_dtype else x.astype(dtype)
    expected = model.predict_outputs(x)
    assert off_by(by_reference(content, given), expected) < 10 * max(TOLERANCE[dtype], ERF)
    nodes = [node.op_type for node in onnx.load_from_string(content).graph.node]
    assert nodes.count("BatchNormalization") == left and nodes.count("Cast") == bool(input_dtype)
    again = pm.from_onnx(tmp_path / "model.onnx")
    assert off_by(again.predict_outputs(x), expected) < 10 * TOLERANCE[dtype]
    assert again.layers[0].scale == 1 / 255


def test_what_a_file_says(tmp_path):
    model = network()
    proto = onnx.load_from_string(written(model, tmp_path, classes=["no", "perhaps", "yes"]))
    assert [(o.domain, o.version) for o in proto.opset_import] == [("", 17)] and proto.ir_version == 8
    (given,), (made,) = proto.graph.input, proto.graph.output
    assert given.name == "input" and made.name == "output"
    assert [d.dim_param or d.dim_value for d in given.type.tensor_type.shape.dim] == ["batch", 1, 12, 12]
    assert [d.dim_param or d.dim_value for d in made.type.tensor_type.shape.dim] == ["batch", 3]
    assert {p.key: p.value for p in proto.metadata_props} == {"classes": '["no", "perhaps", "yes"]'}
    assert "0.weight" in {tensor.name for tensor in proto.graph.initializer}
    again = pm.from_onnx(tmp_path / "model.onnx")
    assert again.notes == {"classes": ["no", "perhaps", "yes"]}
    assert written(again, tmp_path) == written(again, tmp_path)
    assert pm.from_onnx(tmp_path / "model.onnx").notes == again.notes


@pytest.mark.parametrize(
    "options, message",
    [
        ({"input_dtype": "int8"}, "input_dtype must be uint8 or float32, the model's, not 'int8'"),
        ({"input_dtype": "float64"}, "input_dtype must be uint8 or float32"),
        ({"input_dtype": object()}, "input_dtype must be uint8 or float32"),
        ({"fold_batch_norm": 1}, "fold_batch_norm must be True or False, not 1"),
        ({"classes": ["a"]}, "classes must be 3 names, one for each output, not 1"),
    ],
)
def test_bad_options(options, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        network().to_onnx(tmp_path / "model.onnx", **options)
    assert not list(tmp_path.iterdir())


def tutorial(name, dtype, folder):
    """A tutorial's network that has learnt a little; all of MNIST's test images; its predictions."""
    path, images = folder / "model.safetensors", pm.datasets.mnist()[1].images[:, None]
    arguments = ["tutorial", name, "--epochs=1", "--limit=500", f"--dtype={dtype}", f"--output={path}"]
    with contextlib.chdir(folder):  # some draw a picture
        result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    model = pm.load(path)
    return model, images, model.predict(images)


@pytest.mark.parametrize("name", ["gorgonia", "flux", "mxnet-mlp", "mxnet-lenet", "mccaffrey", "scratch"])
def test_the_predictions_of_each_tutorial(name, tmp_path, runtime):
    """All 10,000."""
    model, images, expected = tutorial(name, "float32", tmp_path)
    content = written(model, tmp_path, input_dtype="uint8", fold_batch_norm=True)
    theirs = np.concatenate([runtime(content, part) for part in np.split(images, 5)])
    np.testing.assert_array_equal(theirs.argmax(1), expected)
    np.testing.assert_array_equal(pm.from_onnx(tmp_path / "model.onnx").predict(images[:1000]), expected[:1000])


def test_the_predictions_of_a_tutorial_in_float64(tmp_path):
    model, images, expected = tutorial("scratch", "float64", tmp_path)
    content = written(model, tmp_path)
    theirs = by_reference(content, images[:1000].astype(float))  # which is slow
    np.testing.assert_array_equal(theirs.argmax(1), expected[:1000])


# ---- the command line ----


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    path = tmp_path_factory.mktemp("saved") / "digits.safetensors"
    recipe = pm.recipes.fast()
    train, _ = pm.datasets.mnist()
    recipe.model.fit(train[:3000], batch_size=64, optimizer=recipe.optimizer, progress=False)
    recipe.model.save(path)
    return path


def run(*arguments):
    result = CliRunner().invoke(main, [str(a) for a in arguments])
    return result.exit_code, result.output


def test_export_evaluate_and_predict(saved, tmp_path):
    from PIL import Image

    path = tmp_path / "digits.onnx"
    assert run("export", saved, "--onnx", path)[0] == 0
    code, output = run("export", saved, "--onnx", path, "--uint8", "--json")
    about = json.loads(output)
    assert code == 0 and about["opset"] == 17 and about["input_dtype"] == "uint8" and about["outputs"] == 10
    assert about["bytes"] == path.stat().st_size and about["input_shape"] == [1, 28, 28]
    ours, theirs = (json.loads(run("evaluate", model, "--json")[1]) for model in (saved, path))
    assert ours["test_accuracy"] == theirs["test_accuracy"] > 0.7
    Image.fromarray(pm.datasets.mnist()[1].images[0]).save(tmp_path / "seven.png")
    assert run("predict", saved, tmp_path / "seven.png") == run("predict", path, tmp_path / "seven.png")


def test_a_network_that_takes_numbers_from_0_to_1(saved, tmp_path):
    layers = pm.load(saved).layers[1:]
    model = pm.Sequential([type(layer)(**layer.settings()) for layer in layers], (1, 28, 28))
    model.load_state_dict(pm.load(saved).state_dict())
    model.to_onnx(tmp_path / "bare.onnx")
    wrong, right = (
        json.loads(run("evaluate", tmp_path / "bare.onnx", "--pixels", pixels, "--json")[1])
        for pixels in ("0-255", "0-1")
    )
    assert right["test_accuracy"] == json.loads(run("evaluate", saved, "--json")[1])["test_accuracy"]
    assert wrong["test_loss"] > 10 * right["test_loss"]


def test_export_wants_one_form(saved, tmp_path):
    code, output = run("export", saved)
    assert code == 2 and "give exactly one of --c FILE, --onnx FILE" in output
    code, output = run("export", tmp_path / "none.safetensors", "--onnx", tmp_path / "a.onnx")
    assert code == 1 and "No such file" in output
    code, output = run("evaluate", tmp_path / "none.onnx")
    assert code == 1 and "No such file" in output
