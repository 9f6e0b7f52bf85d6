"""Calibration: what it says, and that a temperature mends it and nothing else."""

import json
import math

import numpy as np
import pytest
from click.testing import CliRunner

import pymnistcnn as pm
from pymnistcnn.calibration import augmented, temperature_of
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


def augmenting(**settings):
    layers = [pm.Rescaling(1 / 255), pm.Augmentation(**settings), pm.Conv2d(8, 5, stride=2), pm.ReLU(), pm.Flatten(),
              pm.Linear(10)]  # fmt: skip
    return pm.Sequential(layers, (1, 28, 28), seed=4)


def test_pictures_are_augmented_anew():
    model, x = augmenting(shift=2, rotation=10), TRAIN.images[:700, None]
    unseen = np.concatenate([*augmented(model, x)])
    assert unseen.shape == x.shape and -1e-3 < unseen.min() and unseen.max() < 255.001
    own = model.layers[:2]
    seen = own[1].unbuilt().forward(x / np.float32(255)) * 255
    assert abs(unseen - x).mean() > 5 and abs(unseen - seen).mean() > 5
    plain = np.concatenate([*augmented(augmenting(), x)])
    assert plain == pytest.approx(x.astype(np.float32), abs=1e-3)


def test_all_that_augments_is_drawn_anew():
    first = [pm.Rescaling(1 / 255), pm.Morphology(1, 1), pm.Augmentation(shift=1), pm.RandomErasing(1, fill=1)]
    model, x = pm.Sequential([*first, pm.Flatten(), pm.Linear(3)], (1, 28, 28)), TRAIN.images[:9, None]
    unseen = np.concatenate([*augmented(model, x)])
    assert ((unseen > 254.9).sum(axis=(1, 2, 3)) > 15).all() and (unseen < 1).any() and abs(unseen - x).mean() > 5


@pytest.mark.parametrize("threads", [1, 3])
def test_calibrate_as_a_callback(threads):
    model, plain, callback = augmenting(shift=1), augmenting(shift=1), pm.Calibrate(samples=2000)
    for m, callbacks in ((model, [callback]), (plain, [])):
        m.fit(TRAIN[:8000], epochs=2, loss=pm.CrossEntropyLoss(label_smoothing=0.1), callbacks=callbacks,
              threads=threads, progress=False)  # fmt: skip
    assert callback.temperature < 0.9 and (model.predict(TEST) == plain.predict(TEST)).all()
    expected = plain.state_dict()
    for name, weights in model.state_dict().items():
        scale = np.float32(callback.temperature) if name.startswith("3.") else np.float32(1)
        assert (weights == expected[name] / scale).all()
    errors = [pm.Calibration.of(m.predict_proba(TEST), TEST.labels).error for m in (model, plain)]
    assert errors[0] < errors[1] / 2


def test_the_callback_tells_at_once_what_it_cannot_do():
    fit = dict(callbacks=[pm.Calibrate()], progress=False)
    with pytest.raises(ValueError, match="Calibrate needs a model that begins with Augmentation"):
        pm.Sequential([pm.Linear(2)], (3,)).fit(np.ones((4, 3)), [0, 1, 0, 1], **fit)
    with pytest.raises(ValueError, match="Calibrate needs labels"):
        augmenting(shift=1).fit(TRAIN.images[:20], np.eye(10)[TRAIN.labels[:20]], **fit)
    with pytest.raises(ValueError, match="samples must be a whole number from 1 on, not 0"):
        pm.Calibrate(0)


def test_a_training_that_does_not_begin_changes_nothing():
    model, watch = augmenting(shift=1), pm.EarlyStopping(3, monitor="validation_loss")
    before = model.network.param.tobytes()
    for callbacks in ([watch, pm.Calibrate()], [pm.Calibrate(), watch]):
        with pytest.raises(ValueError, match="watches validation_loss"):
            model.fit(TRAIN[:100], callbacks=callbacks, progress=False)
        assert model.network.param.tobytes() == before


def test_a_resumed_training_ends_calibrated(tmp_path):
    path, whole, callback = tmp_path / "c", augmenting(shift=1), pm.Calibrate(500)
    whole.fit(TRAIN[:2000], epochs=3, callbacks=[callback], checkpoint=pm.Checkpoint(path), progress=False)
    again = pm.load(path)  # all is done, but for this
    again.fit(TRAIN[:2000], epochs=3, callbacks=[pm.Calibrate(500)], resume=path, progress=False)
    assert again.network.param.tobytes() == whole.network.param.tobytes() and callback.temperature != 1


def test_which_recipes_are_calibrated():
    assert [type(c) for c in RECIPES["accurate"]().callbacks] == [pm.Calibrate]
    assert RECIPES["accurate"](input_shape=(20,)).callbacks == [] == RECIPES["fast"]().callbacks


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


def test_where_no_answer_is_wrong(smoothed, tmp_path):
    path, data = tmp_path / "a.safetensors", tmp_path / "a.npz"
    smoothed.save(path)
    right = TEST[smoothed.predict(TEST) == TEST.labels][:50]
    np.savez(data, x_train=right.images, y_train=right.labels, x_test=right.images, y_test=right.labels)
    run = ["evaluate", str(path), "--data", str(data)]
    assert json.loads(CliRunner().invoke(main, [*run, "--json"]).stdout)["confidence_when_wrong"] is None
    assert "of wrong answers" not in CliRunner().invoke(main, run).stdout
