"""Several networks that answer as one: what they say, their file, and the commands."""

import copy
import functools
import json
import os
import pickle
import signal
import time
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import pymnistcnn as pm
from pymnistcnn import datasets, files
from pymnistcnn.cli import main
from pymnistcnn.recipes import ENSEMBLES, Members, Recipe

RNG = np.random.default_rng(0)
X = RNG.normal(size=(50, 6)).astype(np.float32)
LABELS = RNG.integers(0, 3, 50)


def model(seed, *last, dtype="float32", classes=3, features=6):
    return pm.Sequential([pm.Linear(8), pm.ReLU(), pm.Linear(classes), *last], (features,), seed, dtype)


def ensemble(count=3, **how):
    return pm.Ensemble([model(seed, **how) for seed in range(count)])


def mean_probabilities(models, x=X):
    return np.mean([one.predict_proba(x).astype(np.float64) for one in models], axis=0)


# ---- what they say ----


@pytest.mark.parametrize("last", [(), (pm.Softmax(),), (pm.LogSoftmax(),)], ids=str)
def test_it_says_the_mean_of_the_probabilities(last):
    models = [model(seed, *(layer.unbuilt() for layer in last)) for seed in range(4)]
    together, expected = pm.Ensemble(models), mean_probabilities(models)
    np.testing.assert_allclose(together.predict_proba(X), expected, rtol=1e-5)
    np.testing.assert_allclose(together.predict_outputs(X), np.log(expected), rtol=1e-4, atol=1e-6)
    assert np.array_equal(together(X), together.predict_outputs(X)) and together(X).dtype == np.float32
    assert np.array_equal(together.predict(X), expected.argmax(axis=1))
    accuracy = (expected.argmax(axis=1) == LABELS).mean()
    loss = -np.log(expected[np.arange(50), LABELS]).mean()
    for result in (together.evaluate(X, LABELS), together.evaluate((X, LABELS), threads=1, isa="portable")):
        assert (result.accuracy, result.n) == (accuracy, 50) and result.loss == pytest.approx(loss, rel=1e-5)
    assert together.score(X, LABELS) == accuracy


def test_of_one_it_says_what_that_one_says():
    (alone,) = (one := ensemble(1)).models
    assert np.array_equal(one.predict(X), alone.predict(X)) and one.score(X, LABELS) == alone.score(X, LABELS)
    assert one.evaluate(X, LABELS).loss == pytest.approx(alone.evaluate(X, LABELS).loss, rel=1e-6)


def test_a_model_that_is_sure_counts_for_more():
    """Two against one in a vote; the one is sure."""
    weak, sure = [0.2, 0.0, 0.0], [0.0, 5.0, 0.0]
    models = [model(0) for _ in range(3)]
    for one, bias in zip(models, (weak, weak, sure), strict=True):
        one.load_state_dict({name: np.zeros_like(w) for name, w in one.state_dict().items()} | {"2.bias": bias})
    assert pm.Ensemble(models).predict(X[:1]).tolist() == [1]


def test_logarithms_stay_apart_where_probabilities_do_not():
    models = [model(0), model(0)]
    for one in models:
        state = {name: np.zeros_like(w) for name, w in one.state_dict().items()}
        one.load_state_dict(state | {"2.bias": [0.0, -500.0, -600.0]})
    outputs = pm.Ensemble(models).predict_outputs(X[:1])
    np.testing.assert_allclose(outputs, [[0, -500, -600]], rtol=1e-6, atol=1e-6)


def test_nan_is_no_answer():
    together = ensemble()
    together.models[1].state_dict()["2.bias"][0] = np.nan
    with pytest.raises(ValueError, match="have NaN among their outputs"):
        together.predict(X)
    assert together.evaluate(X, LABELS).accuracy == 0 and np.isnan(together.evaluate(X, LABELS).loss)


def test_pictures_and_data_sets():
    layers = [pm.Rescaling(1 / 255), pm.Flatten(), pm.Linear(10)]
    together = pm.Ensemble(pm.Sequential([layer.unbuilt() for layer in layers], (1, 28, 28), seed) for seed in range(2))
    test = pm.datasets.mnist()[1][:20]
    assert np.array_equal(together.predict(test), together.predict(test.images))
    assert together.evaluate(test).n == 20 and len(together) == 2
    assert repr(together) == "Ensemble of 2 models, input_shape=(1, 28, 28), output_shape=(10,)"


# ---- shifted pictures ----


def of_pictures(seed, shape=(1, 9, 7)):
    return pm.Sequential([pm.Rescaling(1 / 255), pm.Conv2d(4, 3), pm.ReLU(), pm.Flatten(), pm.Linear(3)], shape, seed)


@pytest.mark.parametrize("shift", [1, 3])
@pytest.mark.parametrize("shape", [(1, 9, 7), (2, 5, 5)])
def test_shifted_pictures_are_averaged_over(shift, shape):
    x = RNG.integers(0, 256, (20, *shape)).astype(np.uint8)
    rows, columns = (np.arange(-shift, side + shift).clip(0, side - 1) for side in shape[1:])
    wide = x[:, :, rows][..., columns]
    moved = [wide[:, :, shift + down :, shift + across :][:, :, : shape[1], : shape[2]]
             for down, across in ((0, 0), (-shift, 0), (shift, 0), (0, -shift), (0, shift))]  # fmt: skip
    models = [of_pictures(seed, shape) for seed in range(2)]
    expected = np.mean([mean_probabilities(models, view) for view in moved], axis=0)
    together = pm.Ensemble(models, shift=shift)
    np.testing.assert_allclose(together.predict_proba(x), expected, rtol=1e-5)
    assert np.array_equal(together.predict(x.reshape(20, -1)), expected.argmax(axis=1))
    assert np.abs(together.predict_proba(x) - pm.Ensemble(models).predict_proba(x)).max() > 1e-4


def test_a_shift_is_saved(tmp_path):
    alone = pm.Ensemble([of_pictures(0)], shift=2)
    assert repr(alone) == "Ensemble of 1 models, input_shape=(1, 9, 7), output_shape=(3,), shift=2"
    alone.save(tmp_path / "a.safetensors")
    loaded, x = pm.load(tmp_path / "a.safetensors"), RNG.integers(0, 256, (5, 1, 9, 7)).astype(np.uint8)
    assert loaded.shift == 2
    for same in (loaded, copy.deepcopy(alone)):
        assert np.array_equal(same(x), alone(x))


@pytest.mark.parametrize("shift, match", [
    (-1, "shift must be a whole number from 0 on, not -1"), (1.5, "shift must be a whole number"),
    (7, r"shift=7: inputs of shape \(1, 9, 7\) cannot be moved so far"),
])  # fmt: skip
def test_bad_shifts(shift, match):
    with pytest.raises(ValueError, match=match):
        pm.Ensemble([of_pictures(0)], shift=shift)
    with pytest.raises(ValueError, match=r"inputs of shape \(6,\) cannot be moved"):
        pm.Ensemble([model(0)], shift=1)


def test_notes_are_those_that_all_have():
    models = [model(seed) for seed in range(2)]
    for seed, one in enumerate(models):
        one.classes, one.notes["data"], one.notes["seed"] = ["a", "b", "c"], {"name": "x"}, seed
    together = pm.Ensemble(models)
    assert together.classes == ("a", "b", "c")
    assert together.notes == {"classes": ["a", "b", "c"], "data": {"name": "x"}}


@pytest.mark.parametrize("models, match", [
    (lambda: [], "at least one model"),
    (lambda: model(0), "models must be a list of models, not"),
    (lambda: [model(0), "model"], "models must be models, such as"),
    (lambda: [model(0), model(1, classes=4)], r"the same output_shape, not \(3,\) and \(4,\)"),
    (lambda: [model(0), model(1, features=5)], r"the same input_shape, not \(6,\) and \(5,\)"),
    (lambda: [model(0), model(1, dtype="float64")], "the same dtype, not float32 and float64"),
    (lambda: [model(0, classes=1)], r"tell classes apart, not of outputs of shape \(1,\)"),
    (lambda: [pm.Sequential([pm.ReLU()], (1, 4, 4))], r"not of outputs of shape \(1, 4, 4\)"),
])  # fmt: skip
def test_what_is_no_ensemble(models, match):
    with pytest.raises(ValueError, match=match):
        pm.Ensemble(models())


def test_other_names_of_classes():
    a, b = model(0), model(1)
    a.classes, b.classes = ["x", "y", "z"], ["z", "y", "x"]
    with pytest.raises(ValueError, match="must have the same classes"):
        pm.Ensemble([a, b])


@pytest.mark.parametrize(
    "y, match", [([0, 1], "labels must have shape"), (np.full(50, 3), "labels must be from 0 to 2")]
)
def test_bad_labels(y, match):
    with pytest.raises(ValueError, match=match):
        ensemble().evaluate(X, y)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))], ids=["copy", "pickle"])
def test_copies_answer_alike(copied):
    assert np.array_equal(copied(together := ensemble())(X), together(X))


# ---- files ----


class Scale(pm.PythonLayer):
    def forward(self, x, training):
        return 3 * x

    def backward(self, dy):
        return 3 * dy


def test_a_file_has_all(tmp_path):
    together = ensemble(12)  # "1." begins "10.", too
    for one in together.models:
        one.classes, one.notes["n"] = ["a", "b", "c"], 1
    together.save(tmp_path / "a")
    again = pm.load(tmp_path / "a")
    assert isinstance(again, pm.Ensemble) and again.notes == together.notes and again.classes == together.classes
    for one, other in zip(again.models, together.models, strict=True):
        assert one.network.param.tobytes() == other.network.param.tobytes()
    again.save(tmp_path / "b")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_layers_of_one_s_own(tmp_path):
    pm.Ensemble([model(seed, Scale()) for seed in range(2)]).save(tmp_path / "own")
    with pytest.raises(ValueError, match="there is no layer 'Scale'"):
        pm.load(tmp_path / "own")
    assert len(pm.load(tmp_path / "own", own_layers=[Scale])) == 2


def models_of(count):
    return lambda d, a: d.update(ensemble=d["ensemble"] * count)


@pytest.mark.parametrize("change, match", [
    (lambda d, a: d.update(format=2), "not of format 1"),
    (lambda d, a: d.update(layers=[]), "not of format 1"),
    (lambda d, a: d.pop("format"), "not of format 1"),
    (lambda d, a: d.update(ensemble=[]), "a list of 1 to 1,000 models"),
    (lambda d, a: d.update(ensemble={}), "a list of 1 to 1,000 models"),
    (lambda d, a: d.update(ensemble=None), "a list of 1 to 1,000 models"),
    (lambda d, a: d.update(ensemble="0123"), "a list of 1 to 1,000 models"),
    (models_of(1000), "a list of 1 to 1,000 models"),
    (lambda d, a: d.update(ensemble=[1, 2]), "cannot be read"),
    (lambda d, a: d.update(ensemble=[None, None]), "cannot be read"),
    (lambda d, a: d["ensemble"].pop(), "1.0.bias is of none of its 1 models"),
    (models_of(2), "missing '0.bias'"),
    (lambda d, a: a.pop("1.0.bias"), "missing '0.bias'"),
    (lambda d, a: a.update({"01.0.bias": a["1.0.bias"]}), "01.0.bias is of none of its 2 models"),
    (lambda d, a: a.update(weight=a["1.0.bias"]), "weight is of none of its 2 models"),
    (lambda d, a: a.update({"1.0.more": a["1.0.bias"]}), "not expected '0.more'"),
    (lambda d, a: a.update({"1.0.bias": a["1.0.bias"][1:]}), "0.bias must have shape"),
    (lambda d, a: d["ensemble"][1].update(dtype="float64"), "the same dtype"),
    (lambda d, a: d["ensemble"][1].update(input_shape=[7]), "must have shape"),
    (lambda d, a: d["ensemble"][1].update(ensemble=[]), "not of format 1"),
    (lambda d, a: d["ensemble"].__setitem__(1, {**d, "ensemble": [*d["ensemble"]]}), "not of format 1"),
    (lambda d, a: d["ensemble"][0]["layers"].insert(0, {"class": "Linear", "out_features": 10**8}), "too large"),
])  # fmt: skip
def test_hostile_files(change, match, tmp_path):
    path, together = tmp_path / "hostile", ensemble(2)
    together.save(path)
    description, arrays = files.read(path)
    change(description, arrays)
    files.write(path, description, arrays, together)
    with pytest.raises(ValueError, match=match) as error:
        pm.load(path)
    assert str(error.value).startswith(f"{path}: ")


def test_the_work_is_shared(tmp_path):
    together = ensemble(3)
    together.save(tmp_path / "file")
    assert len(pm.load(tmp_path / "file", max_work=3 * 200)) == 3
    with pytest.raises(ValueError, match="max_work"):
        pm.load(tmp_path / "file", max_work=100)


@pytest.mark.parametrize("shift, pictures", [(0, 1), (1, 5)])
def test_the_work_is_that_of_each_picture_looked_at(shift, pictures, tmp_path):
    pm.Ensemble([pm.Sequential([pm.Flatten(), pm.Linear(10)], (1, 4, 4))], shift=shift).save(tmp_path / "file")
    with pytest.raises(ValueError, match="takes 176 numbers, more than 175"):
        pm.load(tmp_path / "file", max_work=176 * pictures - 1)
    assert pm.load(tmp_path / "file", max_work=176 * pictures).shift == shift


# ---- commands ----


def quick(input_shape=(1, 28, 28), classes=10, seed=0, dtype="float32", white=255, epochs=2, lr=0.01):
    layers = [pm.Rescaling(1 / white), pm.MaxPool2d(4), pm.Flatten(), pm.Linear(classes)]
    model = pm.Sequential(layers, input_shape, seed, dtype)
    return Recipe(model, epochs, 50, pm.Adam(lr), pm.Constant(lr))


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    """A folder with 300 training and 100 test images of MNIST, and an ensemble of three quick networks to train."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(ENSEMBLES, "ensemble", Members(quick, 3))
    (tmp_path / "tiny").mkdir()
    for part, data, n in zip(("train", "t10k"), datasets.mnist(), (300, 100), strict=True):
        datasets.write_idx(tmp_path / f"tiny/{part}-images-idx3-ubyte", data.images[:n])
        datasets.write_idx(tmp_path / f"tiny/{part}-labels-idx1-ubyte", data.labels[:n])
    return tmp_path / "tiny"


def called(*arguments):
    return CliRunner().invoke(main, list(map(str, arguments)), prog_name="pymnistcnn")


def test_train_ensemble_is_train_many_saved_as_one(tiny):
    result = called("train", "ensemble", "--seed", 4, "--data", tiny, "--output", "e.safetensors", "--json")
    got, (train, test) = json.loads(result.stdout), datasets.read(tiny)
    together = pm.load("e.safetensors")
    alone = [trained.model for trained in pm.train_many(quick, [12, 13, 14], train, progress=False)]
    for one, other in zip(together.models, alone, strict=True):
        assert one.network.param.tobytes() == other.network.param.tobytes()
    assert together.classes == tuple("0123456789") and together.notes["data"]["sha256"] == train.checksum()
    assert got["test_accuracy"] == together.score(test) == pm.Ensemble(alone).score(test)
    assert got["test_accuracies"] == [one.score(test) for one in alone]
    assert (got["seed"], got["epochs"], got["output"]) == (4, 2, "e.safetensors")
    assert got["train_seconds"] > 0 and got["images_per_second"] > 0 and "trained 3/3" in result.stderr


def test_train_ensemble_for_people(tiny):
    result = called("train", "ensemble", "--data", tiny, "--epochs", 3, "--batch-size", 30, "--threads", 2)
    assert result.exit_code == 0 and "3 networks of seeds 0 to 2: 3 epochs, batches of 30, float32, 2" in result.stdout
    assert "test accuracy  " in result.stdout and "of each alone  " in result.stdout
    assert "saved          digits.safetensors (" in result.stdout and len(pm.load("digits.safetensors")) == 3


def test_the_library_s_ensemble():
    members = ENSEMBLES["ensemble"]
    assert members.count == 5 and isinstance(members.recipe(seed=1), Recipe)
    assert members.seeds(0) == [0, 1, 2, 3, 4] and members.seeds(1) == [5, 6, 7, 8, 9]
    assert all(0 <= seed < 2**64 for seed in members.seeds(2**64 - 1))


@pytest.mark.parametrize("arguments", [["--checkpoint-every", 5], ["--resume", "x"], ["--distributed"]])
def test_what_is_for_one_network(arguments, tiny):
    if "--distributed" in arguments:
        pytest.importorskip("mpi4py", reason="needs mpi4py")
    result = called("train", "ensemble", "--data", tiny, *arguments)
    assert result.exit_code == 2 and f"{arguments[0]} is for one network, not for ensemble" in result.stderr


def saved_ensemble(tiny):
    assert called("train", "ensemble", "--data", tiny, "--output", "e.safetensors").exit_code == 0
    return pm.load("e.safetensors"), datasets.read(tiny)[1]


def test_evaluate_and_predict_take_it(tiny):
    together, test = saved_ensemble(tiny)
    got = json.loads(called("evaluate", "e.safetensors", "--data", tiny, "--json", "--confusion").stdout)
    result = together.evaluate(test)
    assert (got["test_accuracy"], got["test_loss"], got["images"]) == (result.accuracy, result.loss, 100)
    assert np.trace(got["confusion"]) == round(result.accuracy * 100) and got["trained_on"] == "tiny"
    assert 0 < got["calibration_error"] < 1
    np.save("images.npy", test.images[:7])
    got = json.loads(called("predict", "e.safetensors", "images.npy", "--json").stdout)["predictions"]
    assert [row["digit"] for row in got] == together.predict(test.images[:7]).tolist()
    np.testing.assert_allclose([row["probability"] for row in got], together.predict_proba(test.images[:7]).max(axis=1))


def test_pixels_of_another_range(tiny):
    together, test = saved_ensemble(tiny)
    pm.Ensemble(
        pm.Sequential([layer.unbuilt() for layer in one.layers[1:]], one.input_shape) for one in together.models
    )
    bare = []
    for one in together.models:
        bare.append(pm.Sequential([layer.unbuilt() for layer in one.layers[1:]], one.input_shape))
        bare[-1].load_state_dict(one.state_dict())
    pm.Ensemble(bare).save("bare.safetensors")
    got = json.loads(called("evaluate", "bare.safetensors", "--pixels", "0-1", "--data", tiny, "--json").stdout)
    assert got["test_accuracy"] == together.score(test)


@pytest.mark.parametrize("command", ["export --onnx a.onnx", "export --c a.c", "draw --no-browser"])
def test_commands_for_one_network_say_so(command, tiny):
    saved_ensemble(tiny)
    result = called(*command.split(), "e.safetensors")
    assert result.exit_code == 1 and result.stdout == "" and result.stderr.count("\n") == 1
    assert "e.safetensors: this is for one network, not for an ensemble of 3" in result.stderr


# ---- endings ----


def at_seed(number, what, **settings):
    """The quick recipe, with something else at one seed."""

    def recipe(seed, **more):
        return what(quick(seed=seed, **more)) if seed == number else quick(seed=seed, **more)

    return Members(recipe, 3)


class Does(pm.Callback):
    def __init__(self, what):
        self.on_epoch_end = what


def interrupting(made):
    interrupt = Does(lambda training: os.kill(os.getpid(), signal.SIGINT) or time.sleep(1))
    return Recipe(made.model, 10**6, made.batch_size, made.optimizer, made.schedule, callbacks=[interrupt])


@pytest.mark.parametrize("seed", [0, 2])
def test_ctrl_c_saves_the_networks_that_are_finished(seed, tiny, monkeypatch):
    monkeypatch.setitem(ENSEMBLES, "ensemble", at_seed(seed, interrupting))
    monkeypatch.setattr("pymnistcnn.cli.ensemble.train_many", functools.partial(pm.train_many, workers=1))
    result = called("train", "ensemble", "--data", tiny)
    assert result.exit_code == 130
    if seed == 0:
        assert result.stderr.endswith("interrupted after 0 of 3 networks: there is nothing to save\n")
        assert not Path("digits.safetensors").exists()
    else:
        saved = "interrupted after 2 of 3 networks: saved an ensemble of 2 networks to digits.safetensors\n"
        assert result.stderr.endswith(saved) and len(pm.load("digits.safetensors")) == 2


def test_networks_that_fail_do_not_lose_the_others(tiny, monkeypatch):
    def failing(made):
        raise ZeroDivisionError("no luck")

    monkeypatch.setitem(ENSEMBLES, "ensemble", at_seed(1, failing))
    result = called("train", "ensemble", "--data", tiny)
    assert result.exit_code == 1 and len(pm.load("digits.safetensors")) == 2
    last = result.stderr.splitlines()[-1]
    assert last.startswith("pymnistcnn: error: 1 of 3 networks failed, that of seed 1 since ZeroDivisionError: no luck")
    assert last.endswith("saved an ensemble of 2 networks to digits.safetensors")


def test_where_all_fail_there_is_no_file(tiny, monkeypatch):
    monkeypatch.setitem(ENSEMBLES, "ensemble", Members(functools.partial(quick, lr=-1), 3))
    result = called("train", "ensemble", "--data", tiny)
    assert result.exit_code == 1 and result.stderr.startswith("pymnistcnn: error: lr of Adam must be")
    assert not Path("digits.safetensors").exists()
