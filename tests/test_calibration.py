"""Calibration: what it says, and that a temperature mends it and nothing else."""

import json
import math

import numpy as np
import pytest
from click.testing import CliRunner

import pymnistcnn as pm
from pymnistcnn.calibration import temperature_of
from pymnistcnn.cli import main
from pymnistcnn.recipes import RECIPES

TRAIN, TEST = pm.datasets.mnist()
TEST = TEST[:3000]
RNG = np.random.default_rng(0)


def softmax(z):
    p = np.exp(z - z.max(axis=1, keepdims=True))
    return p / p.sum(axis=1, keepdims=True)


def likely(z, labels):
    return -np.log(softmax(z)[np.arange(len(labels)), labels]).mean()


@pytest.fixture(scope="module")
def smoothed():
    """A network that is less sure than it is right."""
    recipe = RECIPES["fast"]()
    recipe.model.fit(TRAIN[:10_000], epochs=2, loss=pm.CrossEntropyLoss(label_smoothing=0.2), progress=False)
    return recipe.model


def copied(model):
    copy = pm.Sequential([layer.unbuilt() for layer in model.layers], model.input_shape)
    copy.load_state_dict(model.state_dict())
    return copy


# ---- what is said ----


def test_expected_calibration_error_by_its_definition():
    p, labels = softmax(RNG.standard_normal((500, 4)) * 2), RNG.integers(0, 4, 500)
    sure, right = p.max(axis=1), p.argmax(axis=1) == labels
    bins = [(sure >= k / 15) & ((sure < (k + 1) / 15) | (k == 14)) for k in range(15)]
    error = sum(b.sum() / 500 * abs(sure[b].mean() - right[b].mean()) for b in bins if b.any())
    said = pm.Calibration.of(p, labels)
    assert said.error == pytest.approx(error) and said.confidence == pytest.approx(sure.mean())
    assert said.when_wrong == pytest.approx(sure[~right].mean())


def test_all_right_and_sure():
    said = pm.Calibration.of([[1.0, 0.0], [0.0, 1.0]], [0, 1])
    assert (said.error, said.confidence) == (0, 1) and math.isnan(said.when_wrong)


@pytest.mark.parametrize("p, labels", [([0.5, 0.5], [0]), ([[0.5, 0.5]], [0, 1]), (np.zeros((0, 2)), [])])
def test_bad_probabilities(p, labels):
    with pytest.raises(ValueError, match=r"probabilities must be \(n, classes\), and labels \(n,\), not"):
        pm.Calibration.of(p, labels)


# ---- the temperature ----


@pytest.mark.parametrize("true", [0.3, 1.0, 2.5])
def test_the_temperature_is_found(true):
    z = RNG.standard_normal((20_000, 5)) * 3
    labels = (softmax(z / true).cumsum(axis=1) > RNG.random((len(z), 1))).argmax(axis=1)
    found = temperature_of(z, labels)
    assert found == pytest.approx(true, rel=0.03) and found == float(f"{found:.3g}")
    assert likely(z / found, labels) <= min(likely(z / (found * s), labels) for s in (0.97, 1.03))


def test_where_all_is_right_the_next_may_be_wrong():
    z = np.eye(3)[np.arange(300) % 3] * 4
    assert 0.1 < temperature_of(z, np.arange(300) % 3) < 1
    assert temperature_of(z, (np.arange(300) + 1) % 3) == 10


def test_a_calibrated_model_answers_the_same_and_means_it(smoothed, tmp_path):
    model, before = copied(smoothed), pm.Calibration.of(smoothed.predict_proba(TEST), TEST.labels)
    held_out = TRAIN[10_000:14_000]
    temperature = pm.calibrate(model, held_out)
    after = pm.Calibration.of(model.predict_proba(TEST), TEST.labels)
    assert 0.2 < temperature < 0.9 and before.error > 0.1 and after.error < 0.02
    assert (model.predict(TEST) == smoothed.predict(TEST)).all()
    assert model.predict_outputs(TEST) * temperature == pytest.approx(smoothed.predict_outputs(TEST), abs=1e-4)
    assert pm.calibrate(model, held_out.images, held_out.labels) == pytest.approx(1, abs=2e-3)  # once is enough
    model.save(tmp_path / "a.safetensors")
    again = pm.load(tmp_path / "a.safetensors")
    assert (again.predict_proba(TEST) == model.predict_proba(TEST)).all()
    assert (model.predictor()(TEST.images) == model.predict_outputs(TEST)).all()


@pytest.mark.parametrize("last", [pm.LogSoftmax, pm.Softmax])
def test_a_network_that_ends_in_probabilities(smoothed, last):
    model = pm.Sequential([*(layer.unbuilt() for layer in smoothed.layers), last()], (1, 28, 28))
    model.load_state_dict(smoothed.state_dict())
    held_out = TRAIN[10_000:12_000]
    assert pm.calibrate(model, held_out) == pytest.approx(pm.calibrate(copied(smoothed), held_out), rel=2e-3)


@pytest.mark.parametrize(
    "layers",
    [[pm.Linear(2), pm.ReLU()], [pm.Linear(2), pm.Sigmoid()], [pm.Linear(1)]],
    ids=["relu", "sigmoid", "value"],
)
def test_other_networks_are_refused(layers):
    with pytest.raises(ValueError, match="calibration is of a model that ends in the logits of a Linear layer, not in"):
        pm.calibrate(pm.Sequential(layers, (3,)), np.ones((4, 3)), [0, 0, 0, 0])


def test_bad_data(smoothed):
    with pytest.raises(ValueError, match="labels must be from 0 to 9, the network's classes, not 10"):
        pm.calibrate(smoothed, TEST.images[:3], [1, 10, 2])
    with pytest.raises(ValueError, match="data must be inputs and labels"):
        pm.calibrate(smoothed, TEST.images)


# ---- at the end of a training ----


def network():
    layers = [pm.Rescaling(1 / 255), pm.Conv2d(8, 5, stride=2), pm.ReLU(), pm.Flatten(), pm.Linear(10)]
    return pm.Sequential(layers, (1, 28, 28), seed=4)


@pytest.mark.parametrize("threads", [1, 3])
def test_calibrate_as_a_callback(threads):
    model, plain, callback = network(), network(), pm.Calibrate()
    for m, callbacks in ((model, [callback]), (plain, [])):
        m.fit(TRAIN[:8000], epochs=2, loss=pm.CrossEntropyLoss(label_smoothing=0.1), callbacks=callbacks,
              held_out=800, threads=threads, progress=False)  # fmt: skip
    assert callback.temperature < 0.9 and (model.predict(TEST) == plain.predict(TEST)).all()
    expected = plain.state_dict()
    for name, weights in model.state_dict().items():
        scale = np.float32(callback.temperature) if name.startswith("3.") else np.float32(1)
        assert (weights == expected[name] / scale).all()
    errors = [pm.Calibration.of(m.predict_proba(TEST), TEST.labels).error for m in (model, plain)]
    assert errors[0] < errors[1] / 2


class Seen(pm.Callback):
    """What was trained on."""

    def on_train_begin(self, training):
        self.samples, self.held_out = training.samples, training.data.held_out

    def on_epoch_end(self, training):
        self.numbers = training.part.index.tolist()


def seen(data, seed=0, shuffle=True, **options):
    model = pm.Sequential([pm.Rescaling(1 / 255), pm.Flatten(), pm.Linear(10)], (1, 28, 28), seed)
    watch = Seen()
    model.fit(*data, callbacks=[watch], shuffle=shuffle, progress=False, **options)
    return watch


@pytest.mark.parametrize("shuffle", [True, False])
def test_what_is_held_out_is_not_trained_on(shuffle):
    data = TRAIN.images[:3000], np.sort(TRAIN.labels[:3000])  # as a folder for each class gives them
    got = seen(data, shuffle=shuffle, held_out=250)
    assert len(got.held_out) == 250 and got.samples == 2750
    assert sorted([*got.numbers, *got.held_out]) == [*range(3000)]
    shares = np.bincount(data[1][got.held_out], minlength=10) / np.bincount(data[1], minlength=10)
    assert np.abs(shares - 250 / 3000).max() < 0.005
    again, other = seen(data, shuffle=shuffle, held_out=250), seen(data, 1, shuffle, held_out=250)
    assert (again.held_out == got.held_out).all() and (other.held_out != got.held_out).any()
    assert seen(data, shuffle=shuffle).held_out is None


@pytest.mark.parametrize("samples, wanted, held", [(2000, 5000, 200), (1000, 100, 100), (999, 5000, 0), (3000, 99, 0)])
def test_how_many_are_held_out(samples, wanted, held):
    got = seen((TRAIN.images[:samples], TRAIN.labels[:samples]), held_out=wanted)
    assert len(got.held_out) == held and got.samples == samples - held


def test_trained_on_the_rest_alone():
    """As if what is held out was not there; and wherever the pictures lie."""
    kept = seen(TRAIN[:2000], shuffle=False, held_out=200).held_out
    rest = np.setdiff1d(np.arange(2000), kept)
    weights = []
    for data, held_out in ((TRAIN[:2000], 200), (TRAIN[:2000][rest], 0)):
        model = pm.Sequential([pm.Rescaling(1 / 255), pm.Flatten(), pm.Linear(10)], (1, 28, 28))
        model.fit(data, shuffle=False, held_out=held_out, progress=False)
        weights.append(model.network.param.tobytes())
    assert weights[0] == weights[1]


def test_held_out_of_a_file(tmp_path):
    np.save(tmp_path / "x.npy", TRAIN.images[:2000])
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    models = network(), network()
    for model, images in zip(models, (mapped, TRAIN.images[:2000]), strict=True):
        model.fit(images, TRAIN.labels[:2000], held_out=200, callbacks=[pm.Calibrate()], progress=False)
    assert models[0].network.param.tobytes() == models[1].network.param.tobytes()


def test_with_samples_of_ones_own():
    model, callback = network(), pm.Calibrate(TRAIN.images[5000:6000], TRAIN.labels[5000:6000])
    model.fit(TRAIN[:2000], callbacks=[callback], progress=False)
    plain = network()
    plain.fit(TRAIN[:2000], progress=False)
    assert callback.temperature == pm.calibrate(plain, TRAIN[5000:6000])
    assert model.network.param.tobytes() == plain.network.param.tobytes()


def test_too_few_to_hold_some_out_is_told():
    model, callback, plain = network(), pm.Calibrate(), network()
    with pytest.warns(pm.DataWarning, match="500 samples are too few to keep some back: the model is not calibrated"):
        model.fit(TRAIN[:500], held_out=2000, callbacks=[callback], progress=False)
    plain.fit(TRAIN[:500], progress=False)
    assert callback.temperature is None and model.network.param.tobytes() == plain.network.param.tobytes()


def test_the_callback_tells_at_once_what_it_cannot_do():
    fit, model = dict(callbacks=[pm.Calibrate()], progress=False), network()
    before = model.network.param.tobytes()
    with pytest.raises(ValueError, match=r"Calibrate needs samples that are not trained on: .* fit\(held_out=...\)"):
        model.fit(TRAIN[:2000], **fit)
    with pytest.raises(ValueError, match="Calibrate needs labels"):
        model.fit(TRAIN.images[:2000], np.eye(10)[TRAIN.labels[:2000]], held_out=200, **fit)
    with pytest.raises(ValueError, match="data must be inputs and labels"):
        model.fit(TRAIN[:20], callbacks=[pm.Calibrate(TEST.images)], progress=False)
    with pytest.raises(ValueError, match="held_out must be a whole number from 0 on, not -1"):
        model.fit(TRAIN[:20], held_out=-1, progress=False)
    with pytest.raises(ValueError, match="held_out is for arrays"):
        model.fit([TRAIN[:20]], held_out=2, progress=False)
    assert model.network.param.tobytes() == before


def test_a_training_that_does_not_begin_changes_nothing():
    model, watch = network(), pm.EarlyStopping(3, monitor="validation_loss")
    before = model.network.param.tobytes()
    for callbacks in ([watch, pm.Calibrate()], [pm.Calibrate(), watch]):
        with pytest.raises(ValueError, match="watches validation_loss"):
            model.fit(TRAIN[:1000], held_out=100, callbacks=callbacks, progress=False)
        assert model.network.param.tobytes() == before


def test_a_resumed_training_ends_calibrated(tmp_path):
    path, whole, callback = tmp_path / "c", network(), pm.Calibrate()
    how = dict(epochs=3, held_out=200, progress=False)
    whole.fit(TRAIN[:2000], callbacks=[callback], checkpoint=pm.Checkpoint(path), **how)
    again = pm.load(path)  # all is done, but for this
    again.fit(TRAIN[:2000], callbacks=[pm.Calibrate()], resume=path, **how)
    assert again.network.param.tobytes() == whole.network.param.tobytes() and callback.temperature != 1
    with pytest.raises(ValueError, match="samples"):
        pm.load(path).fit(TRAIN[:2000], callbacks=[pm.Calibrate()], resume=path, **how | {"held_out": 100})


def test_which_recipes_are_calibrated():
    accurate, table, fast = RECIPES["accurate"](), RECIPES["accurate"](input_shape=(20,)), RECIPES["fast"]()
    assert [type(c) for c in accurate.callbacks] == [pm.Calibrate] and accurate.held_out == 2000
    assert table.callbacks == [] == fast.callbacks and table.held_out == 0 == fast.held_out


# ---- on the command line ----


def test_evaluate_tells_of_calibration(smoothed, tmp_path):
    path, data = tmp_path / "a.safetensors", tmp_path / "a.npz"
    smoothed.save(path)
    np.savez(data, x_train=TRAIN.images[:20], y_train=TRAIN.labels[:20], x_test=TEST.images, y_test=TEST.labels)
    run = [str(path), "--data", str(data)]
    got = json.loads(CliRunner().invoke(main, ["evaluate", *run, "--json"]).stdout)
    said = pm.Calibration.of(smoothed.predict_proba(TEST), TEST.labels)
    assert got["calibration_error"] == pytest.approx(said.error) and got["confidence"] == pytest.approx(said.confidence)
    assert got["confidence_when_wrong"] == pytest.approx(said.when_wrong)
    lines = CliRunner().invoke(main, ["evaluate", *run]).stdout.splitlines()
    assert f"confidence     {said.confidence:.2%}, of wrong answers {said.when_wrong:.2%}" in lines
    assert f"calibration    off by {said.error:.2%} (expected calibration error)" in lines


@pytest.mark.filterwarnings("always::pymnistcnn.DataWarning")
@pytest.mark.parametrize("samples, lines", [
    (1200, ["          1,080 images; 120 are held out, to calibrate on"]),
    (300, ["300 samples are too few to keep some back: the model is not calibrated"]),
])  # fmt: skip
def test_train_tells_what_is_held_out(samples, lines, tmp_path):
    data, path = tmp_path / "a.npz", tmp_path / "a.safetensors"
    train, test = TRAIN[:samples], TEST[:100]
    np.savez(data, x_train=train.images, y_train=train.labels, x_test=test.images, y_test=test.labels)
    run = ["train", "accurate", "--data", str(data), "--epochs", "1", "--output", str(path), "--json"]
    result = CliRunner().invoke(main, run)
    assert result.exit_code == 0 and all(line in result.stderr for line in lines)
    assert ("held out" in result.stderr) == (samples == 1200) and path.exists()


def test_where_no_answer_is_wrong(smoothed, tmp_path):
    path, data = tmp_path / "a.safetensors", tmp_path / "a.npz"
    smoothed.save(path)
    right = TEST[smoothed.predict(TEST) == TEST.labels][:50]
    np.savez(data, x_train=right.images, y_train=right.labels, x_test=right.images, y_test=right.labels)
    run = ["evaluate", str(path), "--data", str(data)]
    assert json.loads(CliRunner().invoke(main, [*run, "--json"]).stdout)["confidence_when_wrong"] is None
    assert "of wrong answers" not in CliRunner().invoke(main, run).stdout
