"""Sequential: shapes, summary, weights, files that come back and files that lie."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save as safetensors_bytes

import pymnistcnn as pm

BOTH = pytest.mark.parametrize("dtype", ["float32", "float64"])


def model(dtype="float32", seed=1):
    layers = [
        *(pm.Rescaling(1 / 255, -0.5), pm.Conv2d(6, (3, 5), padding=(1, 0, 2, 1), groups=2), pm.ReLU()),
        *(pm.MaxPool2d(2), pm.Conv2d(5, 3, padding="same", dilation=2, bias=False), pm.Tanh(), pm.Dropout(0.25)),
        *(pm.MaxPool2d(3, stride=1, padding=1), pm.Flatten(), pm.Linear(200), pm.ReLU(), pm.Linear(4)),
    ]
    return pm.Sequential(layers, input_shape=(2, 11, 12), seed=seed, dtype=dtype)


X = np.random.default_rng(0).integers(0, 256, (40, 2, 11, 12), np.uint8)
LABELS = np.arange(40) % 4
SHAPES = {
    "0.weight": (6, 1, 3, 5),
    "0.bias": (6,),
    "3.weight": (5, 6, 3, 3),
    "8.weight": (200, 125),
    "8.bias": (200,),
    "10.weight": (4, 200),
    "10.bias": (4,),
}


# ---- shapes and words ----


def test_shapes_are_inferred():
    assert model().network.shapes == [
        (2, 11, 12),
        (2, 11, 12),
        (6, 10, 11),
        (6, 10, 11),
        (6, 5, 5),
        (5, 5, 5),
        (5, 5, 5),
        (5, 5, 5),
        (5, 5, 5),
        (125,),
        (200,),
        (200,),
        (4,),
    ]
    assert model().predict_outputs(X).shape == (40, 4)


def test_summary_has_shapes_parameters_and_work():
    rows = [line.split("  ") for line in model().summary().splitlines()]
    cells = [[cell.strip() for cell in row if cell.strip()] for row in rows]
    assert cells[0] == ["layer", "output", "parameters", "multiply-adds"]
    assert ["MaxPool2d(2)", "6 x 5 x 5", "0", "0"] in cells
    assert [
        "Conv2d(6, (3, 5), padding=(1, 0, 2, 1), groups=2)",
        "6 x 10 x 11",
        "96",
        f"{6 * 110 * 15:,}",
    ] in cells
    assert ["Linear(200)", "200", "25,200", "25,000"] in cells
    parameters = sum(int(np.prod(shape)) for shape in SHAPES.values())
    assert cells[-1][:2] == ["total", f"{parameters:,}"]
    assert repr(model()).splitlines()[-1] == "], input_shape=(2, 11, 12))"


# ---- weights ----


@BOTH
def test_state_dict_is_views_by_pytorch_names(dtype):
    m = model(dtype)
    state = m.state_dict()
    assert {name: weights.shape for name, weights in state.items()} == SHAPES and list(state) == list(SHAPES)
    assert all(weights.dtype == dtype for weights in state.values())
    assert all(np.shares_memory(weights, m.network.param) for weights in state.values())
    assert np.array_equal(m.layers[1].parameters["weight"], state["0.weight"])
    before = m.predict_outputs(X)
    state["10.bias"] += 1
    assert np.allclose(m.predict_outputs(X), before + 1, atol=1e-5)
    state["0.weight"][...] = 0  # a derived layout must follow
    assert not np.allclose(m.predict_outputs(X), before + 1, atol=1e-5)


@BOTH
def test_load_state_dict_takes_all(dtype):
    m, other = model(dtype), model(dtype, seed=2)
    assert other.predict_outputs(X).tobytes() != m.predict_outputs(X).tobytes()
    other.load_state_dict(m.state_dict())
    assert other.predict_outputs(X).tobytes() == m.predict_outputs(X).tobytes()
    assert other.network.param.tobytes() == m.network.param.tobytes()
    m.load_state_dict({name: weights.tolist() for name, weights in m.state_dict().items()})
    assert other.network.param.tobytes() == m.network.param.tobytes()


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda s: s.pop("10.bias"), "missing '10.bias'$"),
        (lambda s: s.update(extra=np.zeros(1)), "network: not expected 'extra'$"),
        (lambda s: s.clear(), "missing '0.bias', '0.weight'"),
        (lambda s: s.update({"10.weight": s["10.weight"].T}), r"must have shape \(4, 200\), not \(200, 4\)"),
        (lambda s: s.update({"10.bias": s["10.bias"][:, None]}), r"10.bias must have shape \(4,\), not \(4, 1\)"),
        (lambda s: s.update({"10.bias": np.full(4, 1e300)}), "bias of float64 hold values that float32 cannot"),
        (lambda s: s.update({"10.bias": np.full(4, 1j)}), "10.bias must be numbers, not complex128"),
        (lambda s: s.update({"10.bias": np.full(4, "1")}), "10.bias must be numbers"),
        (lambda s: s.update({"10.bias": None}), "10.bias must have shape"),
    ],
)
def test_load_state_dict_takes_all_or_nothing(change, message):
    m = model()
    before = m.network.param.tobytes()
    state = {name: weights + 1 for name, weights in m.state_dict().items()}
    change(state)
    with pytest.raises(ValueError, match=message):
        m.load_state_dict(state)
    assert m.network.param.tobytes() == before


# ---- answers ----


@BOTH
def test_all_ways_to_ask_agree(dtype):
    m = model(dtype)
    m.fit((X, LABELS), epochs=3, batch_size=8, progress=False)
    outputs, probabilities = m.predict_outputs(X), m.predict_proba(X)
    assert np.array_equal(m.predict(X), outputs.argmax(axis=1))
    assert np.array_equal(probabilities.argmax(axis=1), m.predict(X))
    assert np.allclose(probabilities.sum(axis=1), 1) and probabilities.dtype == dtype
    assert np.array_equal(outputs, m.forward(X, training=False))
    evaluation = m.evaluate((X, LABELS))
    assert evaluation.n == 40 and evaluation == m.evaluate(pm.Dataset(X, LABELS))
    assert evaluation.accuracy == m.score(X, LABELS) == np.mean(m.predict(X) == LABELS)
    expected = -np.log(probabilities[np.arange(40), LABELS].astype(np.float64)).mean()
    assert np.isclose(evaluation.loss, expected, rtol=2e-5 if dtype == "float32" else 1e-12)


# ---- files ----


@BOTH
def test_a_file_comes_back(tmp_path, dtype):
    m, path = model(dtype), tmp_path / "model.safetensors"
    m.fit((X, LABELS), batch_size=8, progress=False)
    m.save(path)
    back = pm.load(path)
    assert os.listdir(tmp_path) == ["model.safetensors"]  # nothing temporary
    assert back.dtype == dtype and back.input_shape == m.input_shape and back.summary() == m.summary()
    assert back.predict_outputs(X).tobytes() == m.predict_outputs(X).tobytes()
    assert pm.load(str(path)).evaluate((X, LABELS)) == m.evaluate((X, LABELS))
    back.save(tmp_path / "again")
    other = model(dtype, seed=5)  # a file is a function of the weights, not of how they came about
    other.load_state_dict(m.state_dict())
    other.save(tmp_path / "other")
    assert path.read_bytes() == (tmp_path / "again").read_bytes() == (tmp_path / "other").read_bytes()
    back.fit((X, LABELS), batch_size=8, progress=False)
    assert back.predict_outputs(X).tobytes() != m.predict_outputs(X).tobytes()


def test_the_file_is_safetensors_with_one_key_of_sorted_json(tmp_path):
    m = model()
    m.save(tmp_path / "model")
    with safe_open(tmp_path / "model", "numpy") as file:
        metadata = file.metadata()
        state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
    assert list(metadata) == ["pymnistcnn"]
    description = json.loads(metadata["pymnistcnn"])
    assert metadata["pymnistcnn"] == json.dumps(description, sort_keys=True)
    assert description["layers"][0] == {"class": "Rescaling", "scale": 1 / 255, "offset": -0.5}
    assert set(description) == {"dtype", "format", "input_shape", "layers"}
    assert {name: weights.shape for name, weights in state.items()} == SHAPES
    assert all(np.array_equal(weights, m.state_dict()[name]) for name, weights in state.items())


def test_a_failed_save_leaves_the_old_file(tmp_path):
    m, path = model(), tmp_path / "model"
    m.save(path)
    before = path.read_bytes()
    m.layers[0].scale = object()  # JSON cannot say this
    with pytest.raises(ValueError, match="JSON cannot say"):
        m.save(path)
    assert path.read_bytes() == before and os.listdir(tmp_path) == ["model"]
    with pytest.raises(FileNotFoundError):
        model().save(tmp_path / "nowhere" / "model")


def test_a_file_needs_no_code_of_its_network(tmp_path):
    m, path = model(), tmp_path / "model"
    m.save(path)
    np.save(tmp_path / "x.npy", X)
    code = (
        "import sys, numpy as np, pymnistcnn as pm\n"
        "sys.stdout.write(pm.load(sys.argv[1]).predict_outputs(np.load(sys.argv[2])).tobytes().hex())"
    )
    result = subprocess.run(
        [sys.executable, "-P", "-c", code, path, tmp_path / "x.npy"], capture_output=True, text=True
    )
    assert result.stdout == m.predict_outputs(X).tobytes().hex(), result.stderr


def test_a_file_keeps_the_shape_of_a_scalar(tmp_path):
    """Batch norm counts its batches."""
    layers = [pm.Conv2d(3, 3), pm.BatchNorm2d(), pm.Flatten(), pm.Linear(3)]
    m = pm.Sequential(layers, input_shape=X.shape[1:])
    m.forward((X / 255).astype(np.float32))
    m.save(tmp_path / "model")
    back = pm.load(tmp_path / "model")
    assert back.state_dict()["1.num_batches_tracked"].shape == ()
    assert back.network.param.tobytes() == m.network.param.tobytes()


# ---- files that lie ----


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="nothing-here"):
        pm.load(tmp_path / "nothing-here")


def refused(path, content, match=None):
    path.write_bytes(content)
    with pytest.raises(ValueError, match=match) as error:
        pm.load(path)
    assert str(path) in str(error.value)


def test_truncated_files(tmp_path):
    m, path = model(), tmp_path / "model"
    m.save(path)
    content = path.read_bytes()
    header = 8 + int.from_bytes(content[:8], "little")
    for n in {0, 1, 7, 8, 9, 100, header - 1, header, header + 1, len(content) // 2, len(content) - 1}:
        refused(path, content[:n])
    refused(path, content + b"\0")


def test_random_and_damaged_files(tmp_path):
    path = tmp_path / "model"
    model().save(path)
    content = bytearray(path.read_bytes())
    rng = np.random.default_rng(3)
    for n in (1, 8, 9, 1000):
        refused(path, rng.bytes(n))
    header = 8 + int.from_bytes(content[:8], "little")
    for _ in range(300):  # a changed byte of the header: refused, or a model all the same
        damaged = content.copy()
        damaged[rng.integers(header)] = rng.integers(256)
        path.write_bytes(damaged)
        try:
            assert isinstance(pm.load(path), pm.Sequential)
        except ValueError as error:
            assert str(path) in str(error)


def tiny(**changes):
    """The description of a network of one Linear(2) on 3 features."""
    layers = [{"class": "Linear", "out_features": 2, "bias": True}]
    return {"format": 1, "dtype": "float32", "input_shape": [3], "layers": layers, **changes}


STATE = {"0.weight": np.ones((2, 3), np.float32), "0.bias": np.ones(2, np.float32)}


def file_of(description, state=STATE):
    text = description if isinstance(description, str) else json.dumps(description)
    return safetensors_bytes(state, {"pymnistcnn": text})


def test_the_tiny_file_is_right_so_what_follows_is_about_its_faults(tmp_path):
    path = tmp_path / "model"
    path.write_bytes(file_of(tiny()))
    assert pm.load(path).predict_outputs(np.ones((1, 3), np.float32)).tolist() == [[4, 4]]


def linear(**settings):
    return [{"class": "Linear", "out_features": 2, **settings}]


def conv(**settings):
    return tiny(input_shape=[1, 8, 8], layers=[{"class": "Conv2d", "out_channels": 2, "kernel_size": 3, **settings}])


EXPENSIVE = {  # gigabytes, or minutes, to predict with
    "padding 10**7": conv(padding=(0, 10**7)),
    "padding 10**6": conv(padding=(10**6, 10**3)),
    "dilation 10**7": conv(dilation=(10**7, 1), padding=(10**7, 9)),
    "padding 10**4 and a global pool": conv(padding=10**4)
    | {"layers": [*conv(padding=10**4)["layers"], {"class": "GlobalAvgPool2d"}]},
    "large windows": tiny(
        input_shape=[1, 3000, 3000], layers=[{"class": "AvgPool2d", "kernel_size": 1500, "stride": 1}]
    ),
}
HOSTILE = {
    "not JSON": "{",
    "empty": "",
    "a number": "3",
    "null": "null",
    "a list": "[]",
    "a string": '"x"',
    "nested": "[" * 100_000,
    "nested and closed": "[" * 100_000 + "]" * 100_000,
    "nested inside": json.dumps(tiny()).replace("[3]", "[" * 50_000 + "]" * 50_000),
    "many digits": json.dumps(tiny()).replace("[3]", "[" + "9" * 5000 + "]"),
    "no format": {k: v for k, v in tiny().items() if k != "format"},
    "another format": tiny(format=2),
    "no layers": {k: v for k, v in tiny().items() if k != "layers"},
    "zero layers": tiny(layers=[]),
    "layers of numbers": tiny(layers=[1, 2]),
    "layers of strings": tiny(layers=["Linear"]),
    "layers 3": tiny(layers=3),
    "layers null": tiny(layers=None),
    "a layer null": tiny(layers=[None]),
    "a layer of lists": tiny(layers=[[]]),
    "layers by name": tiny(layers={"0": linear()[0]}),
    "no class": tiny(layers=[{"out_features": 2}]),
    **{
        f"class {kind}": tiny(layers=[{"class": kind, "out_features": 2}])
        for kind in (
            "Lineal",
            "Layer",
            "Network",
            "whole",
            "np",
            "__class__",
            "",
            "Initializer",
            "os.system",
            None,
            3,
            ["Linear"],
        )
    },
    "no setting": tiny(layers=[{"class": "Linear"}]),
    "an extra setting": tiny(layers=linear(units=3)),
    "an initializer": tiny(layers=linear(initializer="Zeros")),
    "a network": tiny(layers=linear(_network={})),
    "a wrong setting": tiny(layers=linear(out_features="2")),
    "bias 3": tiny(layers=linear(bias=3)),
    "bias list": tiny(layers=linear(bias=[1])),
    "a nested setting": tiny(layers=linear(out_features={"x": [1]})),
    "dtype float16": tiny(dtype="float16"),
    "dtype 3": tiny(dtype=3),
    "dtype O": tiny(dtype="O"),
    "dtype list": tiny(dtype=["float32"]),
    "dtype struct": tiny(dtype="float32,float32"),
    "dtype null": tiny(dtype=None),
    **{
        f"input_shape {shape}": tiny(input_shape=shape)
        for shape in (
            [],
            [0],
            [-3],
            [1, 2],
            [3.5],
            "3",
            None,
            3,
            ["3"],
            [[3]],
            {"3": 3},
            [2**31],
            [2**63],
            [1e9, 1e9, 1e9],
            [1e400],
            [float("nan")],
            [4],
        )
    },
    "out_features 2**31": tiny(layers=linear(out_features=2**31)),
    "out_features 2**31 - 1": tiny(layers=linear(out_features=2**31 - 1)),
    "out_features 10**8": tiny(layers=linear(out_features=10**8)),
    "a wide input": tiny(input_shape=[2**31 - 1]),
    "both wide": tiny(input_shape=[2**31 - 1], layers=linear(out_features=2**31 - 1)),
    "gigabytes": tiny(input_shape=[2**15], layers=linear(out_features=2**15)),
    "out_channels 2**31": conv(out_channels=2**31),
    "out_channels 2**31 - 1": conv(out_channels=2**31 - 1),
    "out_channels 2**27": conv(out_channels=2**27),
    "kernel_size 2**30": conv(kernel_size=2**30, padding=2**30),
    "padding 2**30": conv(padding=2**30),
    "stride 0": conv(stride=0),
    "groups 0": conv(groups=0),
    "groups 2**40": conv(groups=2**40),
    "kernel_size {}": conv(kernel_size={}),
    "padding nested": conv(padding=[[1], [1]]),
    "Rescaling 10**400": tiny(layers=[{"class": "Rescaling", "scale": 10**400}, *linear()]),
    "Rescaling NaN": tiny(layers=[{"class": "Rescaling", "scale": float("nan")}, *linear()]),
    "Rescaling in the middle": tiny(layers=[*linear(), {"class": "Rescaling", "scale": 1.0}]),
    "Dropout 10**400": tiny(layers=[*linear(), {"class": "Dropout", "p": 10**400}]),
    "Dropout 1": tiny(layers=[*linear(), {"class": "Dropout", "p": 1}]),
    "unknown at the top": tiny(surprise=1),
    **EXPENSIVE,
    "a class of 10 MB": tiny(layers=[{"class": "x" * 10**7}]),
    # the last, since it may take all the time there is
    "100,000 layers": tiny(input_shape=[4], layers=[*linear(), *[{"class": "ReLU"}] * 100_000]),
    "many layers": tiny(input_shape=[4], layers=[*linear(), *[{"class": "ReLU"}] * 30_000]),
}


def test_what_a_network_may_take_is_up_to_the_caller(tmp_path):
    pm.Sequential([pm.Linear(1000)], input_shape=(1000,)).save(tmp_path / "a")
    with pytest.raises(ValueError, match=r"takes 8,\d{3},\d{3} bytes, more than 1,000,000: see max_bytes of pm.load"):
        pm.load(tmp_path / "a", max_bytes=10**6)
    with pytest.raises(ValueError, match="takes 1,000,000 numbers, more than 1,000: see max_work of pm.load"):
        pm.load(tmp_path / "a", max_work=1000)
    pm.load(tmp_path / "a", max_bytes=10**7, max_work=10**6)


LOAD_ALL = """
import json, resource, sys, pymnistcnn as pm, safetensors.numpy
with open("/proc/self/statm") as file:
    most = int(file.read().split()[0]) * resource.getpagesize() + (128 << 20)
resource.setrlimit(resource.RLIMIT_AS, (most, most))
resource.setrlimit(resource.RLIMIT_CPU, (10, 10))
for path in sys.argv[1:]:
    try:
        pm.load(path)
        said = "loaded"
    except Exception as error:
        said = f"{type(error).__name__}: {error}"
    print(json.dumps(said), flush=True)
"""


@pytest.fixture(scope="module")
def said_of_hostile(tmp_path_factory):
    """What a process with little memory to spare and few seconds says of each hostile file, and its path."""
    folder = tmp_path_factory.mktemp("hostile")
    paths = {kind: folder / str(i) for i, kind in enumerate(HOSTILE)}
    for kind, path in paths.items():
        path.write_bytes(file_of(HOSTILE[kind]))
    result = subprocess.run(
        [sys.executable, "-P", "-c", LOAD_ALL, *paths.values()], capture_output=True, text=True, timeout=60
    )
    said = dict(zip(HOSTILE, map(json.loads, result.stdout.splitlines()), strict=False))
    return {kind: (said.get(kind, f"the process ended: {result.returncode}"), paths[kind]) for kind in HOSTILE}


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_descriptions(said_of_hostile, kind):
    said, path = said_of_hostile[kind]
    assert said.startswith(f"ValueError: {path}"), said[:300]
    assert len(said) < 1500 and (kind not in EXPENSIVE or "see max_" in said or "too large" in said)


@pytest.mark.parametrize(
    "state, message",
    [
        ({}, "missing"),
        ({"0.weight": STATE["0.weight"]}, "missing '0.bias'$"),
        ({**STATE, "1.weight": STATE["0.weight"]}, "not expected '1.weight'$"),
        ({**STATE, "0.weight": np.ones((3, 2), np.float32)}, r"0.weight must have shape \(2, 3\), not \(3, 2\)"),
        ({**STATE, "0.weight": np.ones((2, 0), np.float32)}, r"0.weight must have shape"),
        ({**STATE, "0.weight": np.full((2, 3), 1e300)}, "float64 hold values that float32 cannot"),
        ({**STATE, "0.weight": np.full((2, 3), 2**24 + 1, np.int64)}, "int64 hold values that float32 cannot"),
    ],
)
def test_weights_that_do_not_fit(tmp_path, state, message):
    refused(tmp_path / "model", file_of(tiny(), state), message)


@pytest.mark.parametrize("name", ["BF16", "F8_E4M3", "F8_E5M2", "C64", "BOOL"])
def test_weights_of_types_that_numpy_may_lack(tmp_path, name):
    size = {"BF16": 2, "C64": 8}.get(name, 1)
    tensors = {"0.bias": ("F32", [2], 8), "0.weight": (name, [2, 3], 6 * size)}
    header, end = {"__metadata__": {"pymnistcnn": json.dumps(tiny())}}, 0
    for key, (dtype, shape, n) in tensors.items():
        header[key] = {"dtype": dtype, "shape": shape, "data_offsets": [end, end + n]}
        end += n
    text = json.dumps(header).encode()
    path = tmp_path / "model"
    content = len(text).to_bytes(8, "little") + text + bytes(end)
    if name in ("BOOL", "BF16"):  # zeros and ones are numbers
        path.write_bytes(content)
        assert not pm.load(path).state_dict()["0.weight"].any()
    else:
        refused(path, content)


def test_files_without_our_description(tmp_path):
    path = tmp_path / "model"
    refused(path, safetensors_bytes(STATE), "without the architecture that pymnistcnn saves")
    refused(path, safetensors_bytes(STATE, {"format": "pt"}), "without the architecture that pymnistcnn saves")
    with pytest.raises((ValueError, OSError)):
        pm.load(tmp_path)  # a folder


# ---- notes ----


def test_notes_are_saved_with_the_network(tmp_path):
    model = pm.Sequential([pm.Linear(2)], input_shape=(3,))
    model.save(tmp_path / "plain")
    model.notes = {"epoch": 12, "accuracy": 0.993, "why": ["best", None]}
    model.save(tmp_path / "noted")
    assert pm.load(tmp_path / "noted").notes == model.notes and pm.load(tmp_path / "plain").notes == {}
    model.notes = {}
    model.save(tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == (tmp_path / "plain").read_bytes()


@pytest.mark.parametrize("notes", [{"a": float("nan")}, {"a": np.float32(1)}, {"a": {1, 2}}, {(1, 2): 3}])
def test_notes_that_json_cannot_say_are_refused(notes, tmp_path):
    model = pm.Sequential([pm.Linear(2)], input_shape=(3,))
    model.notes = notes
    with pytest.raises(ValueError, match="JSON cannot say the settings or the notes"):
        model.save(tmp_path / "file")
    assert not (tmp_path / "file").exists()


def test_weights_come_from_a_file_of_arrays_alone(tmp_path):
    from safetensors.numpy import save_file

    one, other = (pm.Sequential([pm.Linear(2)], input_shape=(3,), seed=seed) for seed in (1, 2))
    save_file({name: np.ascontiguousarray(w) for name, w in one.state_dict().items()}, tmp_path / "weights")
    other.load_state_dict(tmp_path / "weights")
    assert other.network.param.tobytes() == one.network.param.tobytes()
    (tmp_path / "weights").write_bytes(b"nonsense")
    with pytest.raises(ValueError, match="not a readable safetensors file"):
        other.load_state_dict(str(tmp_path / "weights"))
