"""Networks as C code: what compilers make of it computes the bits that are expected."""

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

import pymnistcnn as pm
from pymnistcnn._native import ActivationKind
from pymnistcnn.c_code.activations import ACTIVATIONS
from pymnistcnn.c_code.memory import placed

SAMPLES = 6
STRICT = "-std=c99 -Wall -Wextra -Werror"


def random_weights(model):
    """As a network that has learnt something: biases and running statistics are not what they begin with."""
    rng = np.random.default_rng(1)
    for name, weights in model.state_dict().items():
        if "running_var" in name:
            weights[...] = rng.uniform(0.2, 2, weights.shape)
        elif weights.ndim == 1:
            weights[...] = rng.normal("weight" in name, 0.3, weights.shape)
    return model


def each_activation():
    kinds = [
        pm.ReLU(),
        pm.LeakyReLU(0.2),
        pm.ELU(0.7),
        pm.Sigmoid(),
        pm.Tanh(),
        pm.Softplus(2.0),
        pm.GELU(),
        pm.GELU("tanh"),
        pm.SiLU(),
        pm.Hardswish(),
    ]
    return [
        pm.Rescaling(1 / 100, -1.2),
        *(layer for kind in kinds for layer in (pm.Conv2d(5, 3, padding=1), kind)),
        pm.Flatten(),
        pm.Linear(300),
        pm.Tanh(),
        pm.Linear(17),
        pm.LogSoftmax(),
    ]


def residual():
    inside = [pm.Conv2d(8, 3, padding=1), pm.BatchNorm2d(), pm.ReLU(), pm.Conv2d(8, 3, padding=1)]
    wider = [pm.Conv2d(16, 3, stride=2, padding=1), pm.ReLU(), pm.Residual([pm.Tanh()])]
    return [
        pm.Conv2d(8, 3, padding=1),
        pm.Residual(inside),
        pm.ReLU(),
        pm.Residual(wider),
        pm.GlobalAvgPool2d(),
        pm.Flatten(),
        pm.Linear(10),
        pm.Residual([pm.Linear(10), pm.ReLU()]),
        pm.Softmax(),
    ]


def pools():
    return [
        pm.Rescaling(1 / 255, -0.4),
        pm.Conv2d(5, 3, stride=(1, 2), padding=(0, 1, 2, 3)),
        pm.MaxPool2d(3, 2),
        pm.AvgPool2d(3, 1, 1),
        pm.MaxPool2d(2, 2, 1, ceil_mode=True, dilation=2),
        pm.BatchNorm2d(affine=False),
        pm.AvgPool2d(2, 2, 1, count_include_pad=False, ceil_mode=True),
        pm.MaxPool2d(2, 1, (1, 0, 1, 1)),
        pm.AvgPool2d((3, 2), 1, (2, 1, 0, 1)),
    ]


def softmaxes():
    kinds = pm.Softmax, pm.LogSoftmax
    return [pm.Rescaling(1 / 50), pm.Conv2d(19, 3), *(kind(dim) for dim in (1, 2, 3) for kind in kinds)]


NETWORKS = {
    "tiny": (
        lambda: [
            pm.Rescaling(1 / 255),
            pm.Conv2d(4, 5, stride=2),
            pm.ReLU(),
            pm.MaxPool2d(2),
            pm.Flatten(),
            pm.Linear(10),
        ],
        (1, 14, 14),
    ),
    "winograd": (
        lambda: [
            pm.Conv2d(17, 3, padding=1),
            pm.Conv2d(19, 3, padding=(1, 0)),
            pm.MaxPool2d(2),
            pm.ReLU(),
            pm.Conv2d(33, 5, padding=2),
            pm.BatchNorm2d(),
            pm.Tanh(),
            pm.MaxPool2d(2),
            pm.Flatten(),
            pm.Linear(3),
        ],
        (1, 13, 15),
    ),
    "activations": (each_activation, (1, 6, 5)),
    "residual": (residual, (3, 9, 8)),
    "pools": (pools, (1, 20, 37)),
    "groups": (
        lambda: [
            pm.Conv2d(12, 3, groups=3, dilation=2),
            pm.BatchNorm2d(),
            pm.Conv2d(12, 2, groups=12),
            pm.Dropout(),
            pm.Conv2d(36, 2, groups=12, padding=1),
            pm.GlobalAvgPool2d(),
        ],
        (6, 9, 8),
    ),
    "dense": (
        lambda: [
            pm.Rescaling(1 / 255, 0.3),
            pm.Flatten(),
            pm.Linear(130),
            pm.BatchNorm1d(),
            pm.ReLU(),
            pm.Dropout(),
            pm.Linear(4),
        ],
        (2, 9, 8),
    ),
    "large windows": (lambda: [pm.MaxPool2d(3, 2, ceil_mode=True), pm.MaxPool2d(2, 2, 1, dilation=2)], (2, 2, 4)),
    "one layer": (lambda: [pm.Flatten(), pm.Linear(4)], (1, 9, 8)),
    "no weights": (lambda: [pm.MaxPool2d(2), pm.Flatten(), pm.ReLU()], (2, 6, 5)),
}
FLOAT_ONLY = {"softmaxes": (softmaxes, (1, 20, 7))}
# Sums that are cut into pieces: of several rows of a filter or a part of one, of taps or a part of one, and so on.
LONG = {
    "rows": (lambda: [pm.Conv2d(100, 1), pm.Conv2d(5, 5, padding=1)], (1, 6, 5)),
    "parts of rows": (lambda: [pm.Conv2d(230, 1), pm.Conv2d(5, 3, padding=1)], (1, 6, 5)),
    "taps": (lambda: [pm.Conv2d(230, 1), pm.Conv2d(1, 3, dilation=2, padding=1)], (1, 6, 5)),
    "parts of taps": (lambda: [pm.Conv2d(2200, 1), pm.Conv2d(1, 2, dilation=2, padding=1)], (1, 3, 2)),
    "groups": (lambda: [pm.Conv2d(1040, 1), pm.Conv2d(2, 2, groups=2)], (1, 3, 2)),
    "few channels": (lambda: [pm.Conv2d(1400, 1), pm.Conv2d(2, 5)], (1, 5, 5)),
    "linear": (lambda: [pm.Linear(2100), pm.Linear(9)], (5,)),
}


def network(name):
    layers, shape = {**NETWORKS, **FLOAT_ONLY, **LONG}[name]
    return random_weights(pm.Sequential(layers(), shape))


def inputs(model, dtype, n=SAMPLES):
    pixels = np.random.default_rng(2).integers(0, 256, (n, *model.input_shape))
    return (pixels * (pixels > 60)).astype(dtype)


def run(*command):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr


def needs(*programs):
    missing = [program for program in programs if shutil.which(program) is None]
    if missing:
        pytest.skip(f"needs {', '.join(missing)}")


def how(int8, x):
    return dict(int8=True, calibration=x) if int8 else {}


BOTH = pytest.mark.parametrize("int8", [False, True], ids=["float32", "int8"])


def exported(tmp_path, model, x, int8):
    path = tmp_path / "model.c"
    return path, model.to_c(path, test=x, **how(int8, x))


# ---- compilers ----


@BOTH
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("name", NETWORKS)
def test_gcc(name, dtype, int8, tmp_path):
    needs("gcc")
    model = network(name)
    path, _ = exported(tmp_path, model, inputs(model, dtype), int8)
    run("gcc", *STRICT.split(), "-O2", path, "-o", tmp_path / "model")
    run(tmp_path / "model")


@pytest.mark.parametrize("name", [*FLOAT_ONLY, *LONG])
def test_in_float(name, tmp_path):
    needs("gcc")
    model = network(name)
    path, _ = exported(tmp_path, model, inputs(model, np.uint8, 2), int8=False)
    run("gcc", *STRICT.split(), "-O1", path, "-o", tmp_path / "model")
    run(tmp_path / "model")


@BOTH
@pytest.mark.parametrize("name", ["tiny", "winograd", "activations", "residual"])
def test_arm(name, int8, tmp_path):
    needs("arm-linux-gnueabihf-gcc", "qemu-arm")
    model = network(name)
    path, _ = exported(tmp_path, model, inputs(model, np.uint8), int8)
    run("arm-linux-gnueabihf-gcc", *STRICT.split(), "-O2", "-static", path, "-o", tmp_path / "model")
    run("qemu-arm", tmp_path / "model")


NODE = """
const bytes = require("fs").readFileSync(process.argv[1]);
WebAssembly.instantiate(bytes).then(({instance}) => process.exit(instance.exports.test_main()));
"""


@BOTH
@pytest.mark.parametrize("name", ["tiny", "activations"])
def test_webassembly(name, int8, tmp_path):
    needs("clang", "wasm-ld")
    model = network(name)
    path, _ = exported(tmp_path, model, inputs(model, np.uint8), int8)
    flags = "--target=wasm32 -ffreestanding -nostdlib -Wl,--no-entry -Wl,--export=test_main -Dmain=test_main"
    run("clang", *STRICT.split(), "-O2", *flags.split(), path, "-o", tmp_path / "model.wasm")
    needs("node")
    run("node", "-e", NODE, tmp_path / "model.wasm")


def test_the_test_vectors_tell_what_is_wrong(tmp_path):
    needs("gcc")
    model = network("tiny")
    path, _ = exported(tmp_path, model, inputs(model, np.uint8), int8=False)
    path.write_text(re.sub(r"(bias_5\[10\] = \{\s*)\S+,", r"\g<1>9.f,", path.read_text()))
    run("gcc", *STRICT.split(), path, "-o", tmp_path / "model")
    assert subprocess.run([tmp_path / "model"]).returncode == SAMPLES


# ---- what is written ----


@BOTH
def test_it_needs_nothing(int8, tmp_path):
    model = network("activations")
    path, code = exported(tmp_path, model, inputs(model, np.uint8), int8)
    assert code.text == path.read_text()
    assert re.findall("#include (.*)", code.text) == ["<stdint.h>"]
    assert not re.search(r"\b(malloc|printf|memcpy|double)\b", code.text)


def test_there_is_no_main_without_test_vectors(tmp_path):
    assert "main" not in network("tiny").to_c(tmp_path / "model.c").text


def test_the_names_are_those_of_the_file(tmp_path):
    text = network("tiny").to_c(tmp_path / "2 digits-é.c").text
    assert "void _2_digits___predict(const MODEL_INPUT *input, float *output) {" in text


def test_floats_as_pictures(tmp_path):
    needs("gcc")
    model = network("tiny")
    path, _ = exported(tmp_path, model, inputs(model, np.uint8), int8=False)
    run("gcc", *STRICT.split(), "-DMODEL_INPUT=float", path, "-o", tmp_path / "model")
    run(tmp_path / "model")


@BOTH
def test_memory_is_the_largest_pair(int8, tmp_path):
    x = np.zeros((1, 784), np.uint8)
    layers = [pm.Linear(300), pm.ReLU(), pm.Linear(500), pm.ReLU(), pm.Linear(200), pm.ReLU(), pm.Linear(10)]
    code = pm.Sequential(layers, (784,)).to_c(tmp_path / "model.c", **how(int8, x))
    assert code.ram == (500 + 300 if int8 else 4 * (784 + 300))  # bytes as they come need no place


def test_what_is_needed_at_the_same_time_lies_side_by_side():
    rng = np.random.default_rng(0)
    for _ in range(100):
        starts = np.sort(rng.integers(0, 8, 9))
        spans = {i: (int(rng.integers(1, 50)), int(s), int(s + rng.integers(0, 4))) for i, s in enumerate(starts)}
        offsets, size = placed(spans)
        for a, (size_a, first_a, last_a) in spans.items():
            assert 0 <= offsets[a] <= size - size_a
            for b, (size_b, first_b, last_b) in spans.items():
                apart = offsets[a] + size_a <= offsets[b] or offsets[b] + size_b <= offsets[a]
                assert a == b or apart or last_a < first_b or last_b < first_a


def test_flash_is_what_the_weights_take(tmp_path):
    model = network("tiny")
    x = inputs(model, np.uint8)
    weights, biases = 4 * 25 + 10 * 16, 4 + 10
    if_quantized = 4 * (4 + 1) + 10 * 4  # of a channel a multiplier and a shift, of an output a scale
    assert model.to_c(tmp_path / "a.c").flash == 4 * (weights + biases)
    assert model.to_c(tmp_path / "b.c", **how(True, x)).flash == weights + 4 * biases + if_quantized


# ---- int8 ----


def trained(layers):
    train, test = pm.datasets.mnist()
    model = pm.Sequential(layers, (1, 28, 28))
    model.fit(train[:10_000], epochs=2, optimizer=pm.Adam(), schedule=pm.OneCycle(0.01), progress=False)
    return model, train, test


def test_int8_is_as_good_as_float32(tmp_path):
    model, train, test = trained(
        [
            pm.Rescaling(1 / 255),
            pm.Conv2d(8, 5, stride=2),
            pm.ReLU(),
            pm.Conv2d(16, 3),
            pm.MaxPool2d(2),
            pm.BatchNorm2d(),
            pm.Tanh(),
            pm.Flatten(),
            pm.Linear(10),
        ]
    )
    code = model.to_c(tmp_path / "model.c", int8=True, calibration=train[:500])
    accuracy = model.score(test.images, test.labels)
    assert accuracy > 0.95
    assert abs(code.score(test.images, test.labels) - accuracy) < 0.003
    assert (code.predict(test.images) == model.predict(test.images)).mean() > 0.99


def test_int8_outputs_are_near(tmp_path):
    """Within some steps of 1/255 of what the outputs reach, layer by layer."""
    for name in NETWORKS.keys() - {"large windows"}:  # some of padding alone, which float32 calls -infinity
        model = network(name)
        x = inputs(model, np.uint8, 64)
        found = model.to_c(tmp_path / "model.c", **how(True, x)).predict_outputs(x)
        expected = model.predict_outputs(x)
        assert found.shape == expected.shape
        assert np.abs(found - expected).mean() < 0.03 * np.ptp(expected), name


def test_int8_of_a_float64_network(tmp_path):
    needs("gcc")
    model = pm.Sequential(NETWORKS["residual"][0](), (3, 9, 8), dtype="float64")
    path, code = exported(tmp_path, model, inputs(model, np.float64), int8=True)
    assert code.predict_outputs(np.zeros((2, 3, 9, 8))).shape == (2, 10)
    run("gcc", *STRICT.split(), path, "-o", tmp_path / "model")
    run(tmp_path / "model")


def test_calibration_gives_the_same_file_twice(tmp_path):
    model = network("residual")
    x = inputs(model, np.uint8)
    assert exported(tmp_path, model, x, True)[1].text == exported(tmp_path, model, x, True)[1].text


# ---- errors ----


@pytest.mark.parametrize(
    "arguments, message",
    [
        (dict(int8=True), "int8 needs calibration: some hundred training pictures"),
        (dict(calibration=np.zeros((1, 1, 14, 14))), "calibration is for int8=True"),
        (dict(int8=1), "int8 must be True or False, not 1"),
        (dict(test=np.zeros((1, 3))), "test inputs must have shape"),
        (
            dict(int8=True, calibration=np.zeros((1, 1, 14, 14), np.uint8), test=np.zeros((1, 1, 14, 14))),
            "test inputs must be like the calibration, uint8, not float32",
        ),
    ],
)
def test_bad_arguments(arguments, message, tmp_path):
    with pytest.raises(ValueError, match=re.escape(message)):
        network("tiny").to_c(tmp_path / "model.c", **arguments)
    assert list(tmp_path.iterdir()) == []


def test_every_activation_has_c_code():
    assert ACTIVATIONS.keys() == set(ActivationKind)


def test_what_cannot_be_exported_is_named(tmp_path):
    x = np.zeros((1, 20), np.uint8)
    model = pm.Sequential([pm.Linear(5), pm.Softmax(), pm.Linear(3)], (20,))
    with pytest.raises(ValueError, match=re.escape("Softmax() cannot be computed in int8")):
        model.to_c(tmp_path / "model.c", int8=True, calibration=x)
    model.layers[2].parameters["weight"][0, 0] = np.nan
    with pytest.raises(ValueError, match=re.escape("Linear(3) cannot be written as C code: it has weights of NaN")):
        model.to_c(tmp_path / "model.c")
    with pytest.raises(ValueError, match="C code computes in float32, this network in float64"):
        pm.Sequential([pm.Linear(3)], (20,), dtype="float64").to_c(tmp_path / "model.c")


# ---- the command, and the page ----


def command(*arguments):
    from click.testing import CliRunner

    from pymnistcnn.cli import main

    return CliRunner().invoke(main, [str(a) for a in arguments])


def test_export_command(tmp_path):
    model = pm.Sequential(NETWORKS["tiny"][0](), (1, 28, 28))
    model.save(tmp_path / "model.safetensors")
    done = command("export", tmp_path / "model.safetensors", "--c", tmp_path / "digits.c", "--int8", "--test", 2)
    assert done.exit_code == 0, done.output
    assert re.search(r"ram +144\n", done.output) and re.search("test accuracy float32 +[0-9.]+%\n", done.output)
    assert "test_inputs[2][784]" in (tmp_path / "digits.c").read_text()


def test_export_command_in_json(tmp_path):
    network("tiny").save(tmp_path / "model.safetensors")
    done = command("export", tmp_path / "model.safetensors", "--c", tmp_path / "digits.c", "--json")
    assert done.exit_code == 0 and '"precision": "float32"' in done.output


def test_it_takes_a_data_set(tmp_path):
    model, data = pm.Sequential(NETWORKS["tiny"][0](), (1, 28, 28)), pm.datasets.mnist()[1][:50]
    code = model.to_c(tmp_path / "tiny.c")
    assert code.score(data) == code.score(*data) == model.score(data)
    np.testing.assert_array_equal(code.predict(data), model.predict(data, isa="portable"))


def test_one_output_is_a_value(tmp_path):
    model, x = pm.Sequential([pm.Rescaling(1 / 255), pm.Linear(1)], (28 * 28,)), pm.datasets.mnist()[0].images[:50]
    x = x.reshape(50, -1)
    code = model.to_c(tmp_path / "value.c")
    np.testing.assert_array_equal(code.predict(x), code.predict_outputs(x)[:, 0])
    assert len(set(model.to_c(tmp_path / "value.c", int8=True, calibration=x).predict(x))) > 10
    pm.Sequential([pm.Flatten(), pm.Linear(1)], (1, 28, 28)).save(tmp_path / "model.safetensors")
    done = command("export", tmp_path / "model.safetensors", "--c", tmp_path / "value.c", "--int8", "--test", 2)
    assert done.exit_code == 0 and "accuracy" not in done.output, done.output


def test_export_command_says_what_it_needs(tmp_path):
    network("tiny").save(tmp_path / "model.safetensors")
    done = command("export", tmp_path / "model.safetensors")
    assert done.exit_code == 2 and "give exactly one of --c FILE, --onnx FILE" in done.output
    done = command("export", tmp_path / "model.safetensors", "--c", tmp_path / "digits.c", "--uint8")
    assert done.exit_code == 2 and "--uint8: not an option of --c" in done.output
    done = command("export", tmp_path / "model.safetensors", "--onnx", tmp_path / "a.onnx", "--data", tmp_path)
    assert done.exit_code == 2 and "--data: not an option of --onnx" in done.output


def test_the_page_has_the_sizes_of_today(tmp_path):
    import importlib.util

    docs = Path(__file__).parents[1] / "docs"
    spec = importlib.util.spec_from_file_location("c_sizes", docs / "c_sizes.py")
    c_sizes = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(c_sizes)
    rows = [line.strip("| ").split(" | ") for line in (docs / "c.md").read_text().splitlines() if line[:2] == "| "]
    table = {cells[0]: cells[1:4] for cells in rows[1:]}
    models = {name: model for name, (model, _) in c_sizes.networks().items() if model.network.elements < 200_000}
    for name, model in models.items():
        x = np.full((1, 1, 28, 28), 255, np.uint8)
        rams = [model.to_c(tmp_path / "model.c", **how(int8, x)).ram for int8 in (False, True)]
        assert table[name] == [f"{n:,}" for n in (c_sizes.weights_of(model), *rams)]
