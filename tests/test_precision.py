"""Products of rounded factors, as a GPU's tensor cores make them; the emulated device rounds as they do. Those of the
processor are in test_bf16.py."""

import json

import numpy as np
import pytest
import reference
from click.testing import CliRunner
from comparing import TOLERANCE, agree, normal
from test_device import CUDA_IS_THERE
from test_promises import made, samples, trained

import pymnistcnn as pm
from pymnistcnn.cli import main
from pymnistcnn.target import cuda_problem, default_target

BITS = {"tf32": 10, "bf16": 7}  # behind the point
TIES = {"tf32": lambda x: np.copysign(np.floor(np.abs(x) + 0.5), x), "bf16": np.round}  # away from 0, to even


@pytest.fixture(params=["emulated", "cuda"])
def device(request):
    if request.param == "cuda" and not CUDA_IS_THERE:
        pytest.skip(cuda_problem())
    return request.param


@pytest.fixture(params=BITS)
def precision(request):
    return request.param


def rounded(x, precision):
    """x, to the nearest number that has so many bits."""
    mantissa, exponent = np.frexp(x.astype(np.float64))
    unit = 2.0 ** (BITS[precision] + 1)
    return np.ldexp(TIES[precision](mantissa * unit) / unit, exponent)


def ran(model, x, dy, isa):
    """y, dx, dw and db"""
    y = model.forward(x, isa=isa)
    dx = model.backward(dy, isa=isa)
    gradients = model.layers[0].gradients
    return y, dx, gradients["weight"].copy(), gradients["bias"].copy()


def compare(layer, input_shape, expected, device, precision):
    """`expected` of x, w, b and dy; b alone is not a factor."""
    rng, model = np.random.default_rng(0), pm.Sequential([layer], input_shape)
    state = {name: normal(rng, value.shape, "float32") for name, value in model.state_dict().items()}
    model.load_state_dict(state)
    x = normal(rng, (5, *input_shape), "float32")
    dy = normal(rng, model.forward(x).shape, "float32")
    factors = [rounded(value, precision) for value in (x, state["0.weight"], dy)]
    wanted = expected(*factors, state["0.bias"])
    for actual, value in zip(ran(model, x, dy, f"{device}-{precision}"), wanted, strict=True):
        agree(actual, value, TOLERANCE["float32"])
    with pytest.raises(AssertionError, match="off by"):  # it can be told apart from products in full
        agree(ran(model, x, dy, device)[0], wanted[0], TOLERANCE["float32"])


@pytest.mark.parametrize("size, c, k, kernel", [(9, 3, 37, 5), (7, 20, 9, 3), (3, 1, 1, 1)])
def test_a_convolution_has_rounded_factors(size, c, k, kernel, device, precision):
    geometry = (1, 1), (0, 0, 0, 0), (1, 1), 1

    def expected(x, w, dy, b):
        return reference.conv2d(x, w, b, *geometry), *reference.conv2d_backward(dy, x, w, *geometry)

    compare(pm.Conv2d(k, kernel), (c, size, size), expected, device, precision)


def test_a_large_linear_layer_has_rounded_factors(device, precision):
    def expected(x, w, dy, b):
        return reference.linear(x, w, b), *reference.linear_backward(dy, x, w)

    compare(pm.Linear(129), (1153,), expected, device, precision)


def test_what_cannot_be_rounded_stays(device, precision):
    model = pm.Sequential([pm.Conv2d(1, 1, bias=False)], (1, 2, 2))
    model.load_state_dict({"0.weight": np.ones((1, 1, 1, 1), np.float32)})
    x = np.array([np.inf, -np.inf, np.nan, 0], np.float32).reshape(1, 1, 2, 2)
    np.testing.assert_array_equal(model.forward(x, isa=f"{device}-{precision}"), x)


def test_training_learns_about_the_same_and_the_same_each_time(device, precision):
    full, one, other = (trained(isa=isa) for isa in (device, *[f"{device}-{precision}"] * 2))
    before = made().state_dict()
    for name, values in full.state_dict().items():
        assert one.state_dict()[name].tobytes() == other.state_dict()[name].tobytes()
        moved = np.abs(values - before[name]).max()
        assert np.abs(one.state_dict()[name] - values).max() <= moved / 2
    assert any(np.any(one.state_dict()[name] != values) for name, values in full.state_dict().items())


# ---- names and errors ----


def test_tf32_is_a_devices():
    model, (x, labels) = made(), samples((1, 14, 14))
    for call in (
        lambda **how: model.fit((x, labels), progress=False, **how),
        lambda **how: model.evaluate((x, labels), **how),
        lambda **how: model.predict_proba(x, **how),
        lambda **how: model.score(x, labels, **how),
    ):
        with pytest.raises(ValueError, match="precision 'tf32' is of a GPU's tensor cores: it needs device 'cuda'"):
            call(precision="tf32")
        with pytest.raises(ValueError, match="precision must be one of full, tf32, bf16, not 'half'"):
            call(precision="half", device="emulated")
    assert (model.predict(x, precision="full") == model.predict(x)).all()
    rough = model.predict_outputs(x, device="emulated", precision="bf16")
    assert (rough != model.predict_outputs(x, device="emulated")).any()


@pytest.mark.skipif(CUDA_IS_THERE, reason="there is a GPU")
def test_the_processor_computes_in_full_or_in_bf16():
    x, _ = samples((1, 14, 14))
    with pytest.warns(UserWarning, match="device 'auto' is the processor here, in full precision: "):
        got = made().predict_outputs(x, device="auto", precision="tf32")
    assert (got == made().predict_outputs(x)).all()
    with pytest.warns(UserWarning, match="device 'auto' is the processor here: "):
        got = made().predict_outputs(x, device="auto", precision="bf16")
    assert (got == made().predict_outputs(x, precision="bf16")).all() and (got != made().predict_outputs(x)).any()


def test_float64_is_not_rounded(precision):
    model, (x, _) = made(dtype="float64"), samples((1, 14, 14))
    with pytest.raises(ValueError, match=f"precision {precision} is of networks of float32, not float64"):
        model.predict(x, device="emulated", precision=precision)


def test_the_command_line_has_it(tmp_path):
    path = tmp_path / "model.safetensors"
    pm.Sequential([pm.Rescaling(1 / 255), pm.Flatten(), pm.Linear(10)], (1, 28, 28)).save(path)
    run = CliRunner().invoke(main, ["evaluate", str(path), "--precision", "tf32", "--json"])
    assert run.exit_code == 2 and "precision 'tf32' is of a GPU's tensor cores" in run.stderr
    digits = tmp_path / "digits"
    digits.mkdir()
    for part in ("train", "t10k"):
        test = pm.datasets.mnist()[1][:20]
        pm.datasets.write_idx(digits / f"{part}-images-idx3-ubyte", test.images)
        pm.datasets.write_idx(digits / f"{part}-labels-idx1-ubyte", test.labels)
    options = ["--data", str(digits), "--device", "emulated", "--precision", "bf16", "--json"]
    assert json.loads(CliRunner().invoke(main, ["evaluate", str(path), *options]).stdout)["isa"] == "emulated-bf16"
    options[3] = "cpu"
    found = json.loads(CliRunner().invoke(main, ["evaluate", str(path), *options]).stdout)["isa"]
    assert found == str(default_target("bf16"))
