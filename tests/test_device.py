"""Devices other than the processor: what they are called, what they promise, and that they do what the processor does.

The kernel tests of the other files run on them, too: there a device is one of the instruction sets.
"""

import json
import subprocess
import sys
import warnings

import numpy as np
import pytest
from click.testing import CliRunner
from comparing import agree
from test_promises import (
    BATCH,
    BOTH,
    GRID,
    NETWORKS,
    OPTIMIZERS,
    differences,
    everything,
    made,
    plan_for,
    samples,
    trained,
    weights,
)

import pymnistcnn as pm
from pymnistcnn import _native
from pymnistcnn.cli import main
from pymnistcnn.target import CUDA, ISAS, cuda_problem, target_of

CUDA_IS_THERE = cuda_problem() is None
TOLERANCE = {"float32": 1e-4, "float64": 1e-10}  # of the largest value, beside the processor


@pytest.fixture(params=["emulated", "cuda"])
def device(request):
    if request.param == "cuda" and not CUDA_IS_THERE:
        pytest.skip(cuda_problem())
    return request.param


# ---- names and errors ----


def test_devices_that_there_are():
    assert pm.devices() == ["cpu"] + ["cuda"] * CUDA_IS_THERE
    assert (CUDA in _native.TARGETS) == (_native.cuda_build() is not None)


@pytest.mark.parametrize("arguments", [dict(device="gpu"), dict(device=0), dict(device="CPU")])
def test_an_unknown_device_is_named(arguments):
    with pytest.raises(ValueError, match="device must be one of cpu, cuda, auto, not"):
        made().predict(samples((1, 14, 14))[0], **arguments)


def test_an_instruction_set_is_the_processors():
    with pytest.raises(ValueError, match="isa 'portable' is the processor's"):
        made().predict(samples((1, 14, 14))[0], device="auto", isa="portable")


@pytest.mark.skipif(CUDA_IS_THERE, reason="there is a GPU")
def test_without_a_gpu_cuda_is_an_error_and_auto_is_the_processor():
    model, (x, labels) = made(), samples((1, 14, 14))
    calls = [
        lambda **how: model.fit((x, labels), progress=False, **how), lambda **how: model.evaluate((x, labels), **how),
        lambda **how: model.predict(x, **how), lambda **how: model.score(x, labels, **how),
    ]  # fmt: skip
    before = weights(model)
    for call in calls:
        with pytest.raises(ValueError, match="device 'cuda' cannot be used: "):
            call(device="cuda")
    assert weights(model) == before
    for call in calls:
        with pytest.warns(UserWarning, match="device 'auto' is the processor here: "):
            call(device="auto")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        expected = model.predict_outputs(x)
        assert (model.predict_outputs(x, device="cpu") == expected).all()


def test_a_build_without_cuda_says_how_to_get_one():
    if CUDA in _native.TARGETS:
        pytest.skip("this build has CUDA")
    assert "PYMNISTCNN_CUDA=ON" in cuda_problem()
    with pytest.raises(ValueError, match="cuda cannot be used: this build has code for portable, .* only"):
        _native.fma_peak(CUDA, 1)


def test_backward_is_where_forward_was(device):
    layer, x = pm.Conv2d(3, 3), np.ones((2, 1, 5, 5), np.float32)
    y = layer.forward(x, isa=device)
    with pytest.raises(RuntimeError, match=f"which was on {device}, not on {ISAS[-1]}"):
        layer.backward(y, isa=ISAS[-1])
    assert layer.backward(y).shape == x.shape
    layer.forward(x, isa=device)
    assert layer.backward(y, isa=device).shape == x.shape
    y = layer.forward(x)
    with pytest.raises(RuntimeError, match=f"which was on {ISAS[-1]}, not on {device}"):
        layer.backward(y, isa=device)


# ---- promises ----


@BOTH
@GRID
def test_same_seed_same_bits(name, dtype, device):
    expected = everything(name, dtype, isa=device)
    assert differences(expected, everything(name, dtype, isa=device)) == []


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_slices_do_not_matter(optimizer, device):
    expected = weights(trained(optimizer=optimizer, isa=device))
    assert expected != weights(made())
    assert weights(trained(optimizer=optimizer, isa=device, every=1)) == expected


@BOTH
@GRID
def test_what_memory_held_does_not_matter(name, dtype, device):
    def poison(byte):
        def before(model):
            x = np.zeros((BATCH, *model.input_shape), dtype)
            plan_for(model, name, False, BATCH, target_of(device))
            model.forward(x, isa=device)
            model.predict_outputs(x, isa=device)
            for kept in model.network._plans.values():
                kept.plan.poison(byte)

        return before

    assert (
        differences(
            everything(name, dtype, device, before=poison(0)), everything(name, dtype, device, before=poison(255))
        )
        == []
    )


def test_batch_does_not_matter_for_predictions(device):
    x, _ = samples((1, 14, 14), n=70)
    model = made()
    whole = model.predict_outputs(x, isa=device)
    for n in (1, 2, 33, 69):
        assert model.predict_outputs(x[:n], isa=device).tobytes() == whole[:n].tobytes(), n


# ---- beside the processor ----


def gradients(name, dtype, isa):
    """dx and the gradients of all parameters, where nothing is random but noise, masks and maps."""
    model = made(name, dtype)
    x, _ = samples(model.input_shape)
    x = x if isinstance(model.layers[0], pm.Rescaling) else (x / 255).astype(dtype)
    y = model.forward(x, isa=isa)
    dx = model.backward(np.cos(np.arange(y.size)).reshape(y.shape).astype(dtype), isa=isa)
    return {"y": y, "dx": dx} | {k: v.copy() for k, v in model.named(model.network.gradient).items()}


@BOTH
@GRID
def test_gradients_are_the_processors(name, dtype, device):
    """Noise, masks and maps included: they are of the same generator."""
    expected, got = gradients(name, dtype, None), gradients(name, dtype, device)
    largest = max(np.abs(g).max() for key, g in expected.items() if key not in ("y", "dx"))
    for key in expected:
        if np.abs(expected[key]).max() > 1e-3 * largest:  # what cancels to nothing has no digits of its own
            agree(got[key], expected[key], TOLERANCE[dtype])


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("extra", [{}, dict(clip_norm=0.1, average=0.9)], ids=["plain", "clipped and averaged"])
def test_training_is_the_processors(optimizer, extra, device):
    expected, got = (trained(dtype="float64", optimizer=optimizer, isa=isa, **extra) for isa in (None, device))
    for name, values in expected.state_dict().items():
        agree(got.state_dict()[name], values, 1e-8)


def test_history_and_evaluation_are_the_processors(device):
    data, histories, evaluations = samples((1, 14, 14)), [], []
    for where in ("cpu", device):
        model = made(dtype="float64")
        histories.append(model.fit(data, epochs=2, batch_size=BATCH, validation=data, progress=False, device=where))
        evaluations.append(model.evaluate(data, device=where))
    for name in ("loss", "accuracy", "validation_loss", "validation_accuracy"):
        assert np.allclose(*(getattr(history, name) for history in histories), rtol=1e-9), name
    assert np.isclose(evaluations[0].loss, evaluations[1].loss) and evaluations[0].accuracy == evaluations[1].accuracy


def test_a_training_that_diverges_is_told_as_on_the_processor(device):
    x, labels = np.ones((9, 3), np.float32), np.zeros(9, int)
    x[4] = np.nan
    told = []
    for isa in (None, device):
        model = pm.Sequential([pm.Linear(4), pm.ReLU(), pm.Linear(2)], input_shape=(3,))
        with pytest.raises(pm.Diverged) as error:
            model.fit((x, labels), batch_size=2, shuffle=False, progress=False, isa=isa)
        told.append((error.value.layer, error.value.epoch, error.value.batch, list(error.value.images)))
        assert np.isfinite(model.network.param).all()
    assert told[0] == told[1]


def test_a_training_is_gone_on_with(device, tmp_path):
    data, how = samples((1, 14, 14)), dict(epochs=2, batch_size=BATCH, progress=False, isa=device)

    class Stop(pm.Callback):
        every = 1

        def on_batches(self, training):
            if training.epoch == 1:
                raise KeyboardInterrupt

    expected, model, path = made(), made(), tmp_path / "checkpoint"
    expected.fit(data, **how)
    with pytest.raises(KeyboardInterrupt):
        model.fit(data, **how, callbacks=[Stop()], checkpoint=pm.Checkpoint(path, 1))
    again = made()
    again.fit(data, **how, resume=path)
    assert weights(again) == weights(expected)


def test_data_that_are_resident_are_used(device):
    """A run reads the copy, not the array: so an array that changes behind its back does not matter."""
    model, (x, _) = made(), samples((1, 14, 14))
    expected = model.predict_outputs(x, isa=device)
    with model.network.resident(target_of(device), x):
        kept = x.copy()
        x[...] = 0
        assert (model.predict_outputs(x, isa=device) == expected).all()
        assert (model.predict_outputs(x[7:20], isa=device) == expected[7:20]).all()
        assert (model.predict_outputs(kept, isa=device) == expected).all()
    assert (model.predict_outputs(x, isa=device) != expected).any()


def test_two_networks_on_one_device(device):
    names = [name for name in NETWORKS if name != "normed"][:3]
    expected = {
        name: made(name).predict_outputs(samples(NETWORKS[name][1])[0].astype(np.float32), isa=device) for name in names
    }
    models = {name: made(name) for name in names}
    for _ in range(2):
        for name, model in models.items():
            x = samples(NETWORKS[name][1])[0].astype(np.float32)
            assert (model.predict_outputs(x, isa=device) == expected[name]).all()


# ---- the command line ----


def called(*arguments):
    return CliRunner().invoke(main, list(map(str, arguments)))


def test_info_shows_what_cuda_there_is():
    got = json.loads(called("info", "--json").stdout)
    assert got["devices"] == pm.devices()
    build = _native.cuda_build()
    assert got["cuda"] == "not in this build" if build is None else f"built for architectures {build[0]}" in got["cuda"]
    assert got["cuda"] in called("info").stdout


@pytest.mark.skipif(CUDA_IS_THERE, reason="there is a GPU")
def test_the_command_line_says_that_there_is_no_gpu(tmp_path):
    output = tmp_path / "digits.safetensors"
    refused = called("train", "--device", "cuda", "--output", output)
    assert refused.exit_code == 2 and not output.exists()
    assert "Invalid value for '--device': device 'cuda' cannot be used: " in refused.stderr
    assert called("info", "--device", "abacus").exit_code == 2
    fallen_back = called("info", "--device", "auto", "--json")
    assert "device 'auto' is the processor here: " in fallen_back.stderr
    assert json.loads(fallen_back.stdout)["isa"] == ISAS[-1]


def test_the_command_line_computes_there(device, tmp_path):
    model, test = tmp_path / "model.safetensors", pm.datasets.mnist()[1][:40]
    layers = [pm.Rescaling(1 / 255), pm.Conv2d(2, 5), pm.ReLU(), pm.MaxPool2d(4), pm.Flatten(), pm.Linear(10)]
    small = pm.Sequential(layers, (1, 28, 28))
    small.save(model)
    for part in ("train", "t10k"):
        pm.datasets.write_idx(tmp_path / f"{part}-images-idx3-ubyte", test.images)
        pm.datasets.write_idx(tmp_path / f"{part}-labels-idx1-ubyte", test.labels)
    got = json.loads(called("evaluate", model, "--data", tmp_path, "--device", device, "--json").stdout)
    assert got["isa"] == device
    assert np.isclose(got["test_loss"], small.evaluate(test).loss, rtol=1e-5)


def test_importing_needs_no_gpu():
    code = "import pymnistcnn as pm; print(pm.devices())"
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True,
                          env={"CUDA_VISIBLE_DEVICES": "", "PYTHONPATH": ":".join(sys.path)})  # fmt: skip
    assert done.stdout.strip() == "['cpu']", done.stderr
