"""`pymnistcnn bench accuracy` and `bench robustness`: their pictures, and that they go on where they were stopped."""

import hashlib
import json
import math
from dataclasses import asdict

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

import pymnistcnn as pm
from pymnistcnn.benchmarking import accuracy, robustness, runs, variations
from pymnistcnn.benchmarking.accuracy import Task
from pymnistcnn.benchmarking.protocol import Protocol, balanced
from pymnistcnn.benchmarking.variations import KINDS, STRENGTHS, varied
from pymnistcnn.cli import main
from pymnistcnn.recipes import RECIPES, Recipe

TRAIN, TEST = pm.datasets.mnist()
SMALL, SOME = TRAIN[:600], TEST[:200]
FEW = ["--seeds", "2", "--threads", "1", "--isa", "portable"]


def run(*arguments, exit_code=0):
    result = CliRunner().invoke(main, ["bench", *map(str, arguments)])
    assert result.exit_code == exit_code, result.output
    return result


def tiny(input_shape=(1, 28, 28), classes=10, seed=0, white=255):
    layers = [pm.Rescaling(1 / white), pm.MaxPool2d(4), pm.Flatten(), pm.Linear(classes)]
    model = pm.Sequential(layers, input_shape, seed)
    return Recipe(model, epochs=2, batch_size=50, optimizer=pm.Adam(0.01), schedule=pm.OneCycle(0.05))


@pytest.fixture
def recipes(monkeypatch):
    for name in RECIPES:
        monkeypatch.setitem(RECIPES, name, tiny)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "small.npz"
    np.savez(path, x_train=SMALL.images, y_train=SMALL.labels, x_test=SOME.images, y_test=SOME.labels)
    return path


# ---- what is trained on, and tested on ----


def test_all_is_trained_on_and_tested_on_if_nothing_is_said():
    assert Protocol().parts(SMALL, SOME, 3) == [(SMALL, SOME)] and Protocol().words() == ""


def test_a_split_leaves_the_test_pictures_alone():
    ((train, test),) = Protocol(split=True).parts(TRAIN, SOME, 0)
    assert (len(train), len(test)) == (50_000, 10_000)
    assert (train.images == TRAIN.images[:50_000]).all() and (test.labels == TRAIN.labels[50_000:]).all()


def test_samples_are_balanced_and_chosen_by_seed():
    ((train, test),) = Protocol(samples=100).parts(SMALL, SOME, 1)
    assert np.bincount(train.labels).tolist() == [10] * 10 and test is SOME
    other = Protocol(samples=100).parts(SMALL, SOME, 2)[0][0]
    assert (train.images != other.images).any()
    assert Protocol(samples=100).parts(SMALL, SOME, 1)[0][0].checksum() == train.checksum()
    first = Protocol(samples=100, first=True).parts(SMALL, SOME, 1)[0][0]
    assert first.checksum() == SMALL[:100].checksum()
    with pytest.raises(ValueError, match="601 samples of 600 training pictures"):
        Protocol(samples=601).parts(SMALL, SOME, 0)
    assert balanced(np.array([0, 0, 0, 0, 1]), 4, seed=0).shape == (4,)  # where one class has too few


def test_folds_test_each_picture_once():
    parts = Protocol(folds=7).parts(SMALL, SOME, 0)
    tested = np.concatenate([test.images for _, test in parts])
    assert len(parts) == 7 and sorted(map(bytes, tested)) == sorted(map(bytes, [*SMALL.images, *SOME.images]))
    of_class = np.bincount(np.concatenate([SMALL.labels, SOME.labels]))
    for train, test in parts:
        assert len(train) + len(test) == 800 and abs(len(test) - 800 / 7) < 1
        assert (abs(np.bincount(test.labels, minlength=10) - of_class / 7) < 1.01).all()
    with pytest.raises(ValueError, match="900 folds of 800 pictures"):
        Protocol(folds=900).parts(SMALL, SOME, 0)
    assert Protocol(folds=7, samples=10).words() == "10 training pictures, 7-fold cross-validation"


def test_digits_of_scikit_learn_have_a_name():
    pytest.importorskip("sklearn", reason="needs scikit-learn")
    train, test = pm.datasets.read("sklearn-digits")
    assert (len(train), len(test), train.images.max(), train.name) == (1438, 359, 16, "scikit-learn's digits")
    (first, _), *_ = Protocol(folds=5).parts(train, test, 0)
    assert len(first) == 1437 or len(first) == 1438


# ---- a run ----


def test_a_run_says_what_a_network_is_worth(recipes):
    task = Task("fast", SMALL, SOME, Protocol(), "portable", 1)
    made, model = accuracy.run(task, 1), accuracy.trained(task, SMALL, 1)[0]
    assert made.accuracy == model.evaluate(SOME).accuracy and made.loss == pytest.approx(model.evaluate(SOME).loss)
    sure = pm.Calibration.of(model.predict_proba(SOME, isa="portable"), SOME.labels)
    assert made.calibration_error == pytest.approx(sure.error, rel=1e-5)
    assert made.confidence_when_wrong == pytest.approx(sure.when_wrong, rel=1e-5)
    assert made.shifted == pm.Ensemble([model], shift=1).score(SOME)
    assert (made.parameters, made.multiply_adds, made.epochs) == (7 * 7 * 10 + 10, 490, 2) and made.seconds > 0
    assert made.accuracy != accuracy.run(task, 2).accuracy


def test_where_no_answer_is_wrong_there_is_no_confidence_of_such():
    seen = accuracy.tested(np.array([[1.0, 0.0], [0.25, 0.75]], np.float32), np.array([0, 1]))
    assert seen["confidence_when_wrong"] is None and seen["loss"] == pytest.approx(-math.log(0.75) / 2)
    wrong = accuracy.tested(np.array([[1.0, 0.0]], np.float32), np.array([1]))
    assert wrong["accuracy"] == 0 and 80 < wrong["loss"] < 100  # and JSON has a number for it


def test_cross_validation_is_one_figure(recipes):
    made = accuracy.run(Task("fast", SMALL, SOME, Protocol(folds=3), "portable", 1), 0)
    assert (made.accuracy * 800) % 1 == pytest.approx(0, abs=1e-6) and 0.5 < made.accuracy < 1


def test_networks_that_answer_together(recipes):
    made = accuracy.run(Task("fast", SMALL, SOME, Protocol(networks=3), "portable", 1), 1)
    models = [accuracy.trained(Task("fast", SMALL, SOME, Protocol(), "portable", 1), SMALL, n)[0] for n in (3, 4, 5)]
    mean = np.mean([model.predict_proba(SOME, isa="portable") for model in models], axis=0)
    assert made.accuracy == (mean.argmax(axis=1) == SOME.labels).mean() and made.parameters == 3 * 500
    assert made.calibration_error == pytest.approx(pm.Calibration.of(mean, SOME.labels).error, rel=1e-5)


def test_the_recipes_suit_other_pictures():
    images = np.random.default_rng(0).integers(0, 17, (60, 8, 8)).astype(np.uint8)
    small = pm.Dataset(images, np.arange(60) % 3, ("a", "b", "c"), "noise")
    model, _, _ = accuracy.trained(Task("fast", small, small, Protocol(), "portable", 1), small, 0)
    assert model.output_shape == (3,) and model.layers[0].scale == pytest.approx(1 / 16)


# ---- on the command line ----


def rows_of(path):
    return json.loads(path.read_text())["rows"]


def test_a_benchmark_goes_on_where_it_was_stopped(recipes, data, tmp_path, monkeypatch):
    output, whole, trained = tmp_path / "a.json", tmp_path / "b.json", []
    arguments = ["accuracy", "--recipe", "fast", "accurate", "--data", data, *FEW]
    run(*arguments, "--output", whole)
    real = accuracy.run

    def killed(task, seed):
        if len(trained) == 3:
            raise KeyboardInterrupt
        trained.append((task.recipe, seed))
        return real(task, seed)

    monkeypatch.setattr(accuracy, "run", killed)
    run(*arguments, "--output", output, exit_code=130)
    assert trained == [("accurate", 0), ("accurate", 1), ("fast", 0)]
    (accurate, fast), trained[:] = rows_of(output), []
    assert [one["seed"] for one in accurate["runs"]] == [0, 1] and fast["seeds"] == 1
    run(*arguments, "--output", output)
    assert trained == [("fast", 1)]
    run(*arguments, "--seeds", "1", "--output", output)  # asks for less than there is: nothing is lost
    for one, other in zip(rows_of(output), rows_of(whole), strict=True):
        assert one["settings"] == other["settings"] and one["mean"] == other["mean"]
        assert [r | {"seconds": 0} for r in one["runs"]] == [r | {"seconds": 0} for r in other["runs"]]


def test_runs_of_other_settings_are_not_mixed(recipes, data, tmp_path, monkeypatch):
    output = tmp_path / "a.json"
    arguments = ["accuracy", "fast", "--data", data, "--seeds", 1, "--isa", "portable", "--output", output]
    run(*arguments, "--threads", 1)
    before = output.read_bytes()
    other = run(*arguments, "--threads", 2, exit_code=1)
    assert other.stderr.endswith("has runs of fast, of other threads (1, now 2): remove it, or name another file\n")
    run(*arguments, "--threads", 1, "--split", exit_code=1)
    monkeypatch.setattr(accuracy, "code", lambda: "another")
    assert "of other code" in run(*arguments, "--threads", 1, exit_code=1).stderr
    assert output.read_bytes() == before
    for text in ("", "[]", '{"rows": [1]}', '{"rows": [{"recipe": "fast", "mean": 0.99}]}'):
        output.write_text(text)
        assert "has no runs to go on from" in run(*arguments, "--threads", 1, exit_code=1).stderr
        assert output.read_text() == text


def test_the_code_is_that_which_trains():
    assert len(runs.code()) == 12 and all((runs.PACKAGE / name).is_dir() for name in runs.UNUSED)


def test_the_table_and_the_targets(recipes, data):
    out = run("accuracy", "fast", "--data", data, *FEW, "--samples", 100).stdout
    assert "| fast | small.npz, 100 training pictures | 500 | 2 | portable | 1 | 2 | **" in out
    checked = run("accuracy", "fast", "--data", data, *FEW, "--check", "--json")  # has no target on such data
    assert json.loads(checked.stdout)["targets"] == []


# ---- varied pictures ----


def test_varied_pictures_are_the_same_everywhere_to_the_bit():
    made = hashlib.sha256()
    for kind in KINDS:
        for strength in STRENGTHS:
            pictures = varied(TEST.images[:100], kind, strength)
            assert pictures.dtype == np.uint8 and pictures.shape == (100, 28, 28)
            made.update(pictures.tobytes())
    assert made.hexdigest() == CHECKSUM


CHECKSUM = "d2c7f67ac003f28bd851390e87cce08df94f3ecd0782ef7ff1f7e1684895552e"


def test_a_picture_is_varied_by_its_place():
    for kind in KINDS:
        assert (varied(TEST.images[:40], kind, "strong")[:7] == varied(TEST.images[:7], kind, "strong")).all()


@pytest.mark.parametrize("kind", KINDS)
def test_the_stronger_the_farther_from_what_was_there(kind):
    there = TEST.images[:200].astype(int)
    far = [np.abs(varied(TEST.images[:200], kind, strength) - there).mean() for strength in STRENGTHS]
    assert 0.5 < far[0] < far[1] < far[2]


def word(number, n=1):
    return np.full((n, 3), number, np.uint64)


def test_maps_move_pictures_as_they_say():
    one = np.zeros((1, 9, 9), np.uint8)
    one[0, 4, 4], one[0, 2, 4] = 100, 200
    moved = [variations.shifted(one, word(n), 2)[0] for n in range(8)]
    assert all(m.sum() == 300 for m in moved) and len({m.tobytes() for m in moved}) == 8
    assert {tuple(np.argwhere(m == 100)[0] - 4) for m in moved} == {
        (y, x) for y in (-2, 0, 2) for x in (-2, 0, 2) if x or y
    }
    quarter = {tuple(np.argwhere(variations.turned(one, word(n), 90)[0] == 200)[0]) for n in (0, 1)}
    assert quarter == {(4, 2), (4, 6)}
    assert (variations.turned(one, word(0), 0) == one).all() and (variations.scaled(one, word(0), 0) == one).all()
    leant = {tuple(np.argwhere(variations.sheared(one, word(n), 100)[0] == 200)[0]) for n in (0, 1)}
    assert leant == {(2, 2), (2, 6)}
    assert [variations.scaled(TEST.images[:1], word(n), 25).sum() > TEST.images[0].sum() for n in (0, 1)] == [
        False,
        True,
    ]


def test_maps_beside_pillow():
    for picture in TEST.images[:20]:
        ours = variations.turned(picture[None], word(1), 20)[0].astype(int)
        theirs = np.asarray(Image.fromarray(picture).rotate(20, Image.Resampling.BILINEAR), int)
        assert np.abs(ours - theirs).max() <= 2


def test_strokes_grow_and_shrink():
    line = np.zeros((1, 9, 9), np.uint8)
    line[0, :, 3:6] = 200
    assert (variations.thickened(line, word(0), 2)[0, 4] > 0).sum() == 4
    assert (variations.thickened(line, word(0), 3)[0, 4] > 0).sum() == 5
    thin = variations.thinned(line, word(0), 100)[0, 4]
    assert (thin > 0).sum() == 1 and thin.max() == 200


def test_greys_are_as_they_are_told():
    flat = np.full((50, 28, 28), 128, np.uint8)
    noisy = varied(flat, "noised", "weak").astype(float)
    assert noisy.std() == pytest.approx(32, rel=0.02) and noisy.mean() == pytest.approx(128, abs=0.6)
    assert np.abs(np.corrcoef(noisy.reshape(50, -1))[0, 1:]).max() < 0.2
    assert varied(np.zeros((1, 8, 8), np.uint8), "pale", "strong").max() == 96
    dot = np.zeros((1, 5, 5), np.uint8)
    dot[0, 2, 2] = 160
    assert variations.blurred(dot, word(0), 1)[0, 1:4, 1:4].tolist() == [[10, 20, 10], [20, 40, 20], [10, 20, 10]]
    covered = varied(np.full((300, 28, 28), 9, np.uint8), "occluded", "medium") == 0
    assert (covered.sum(axis=(1, 2)) == 81).all() and covered.any(axis=0).sum() > 400


def test_other_pictures_are_refused():
    for images in (np.zeros((1, 8, 8)), np.zeros((1, 3, 8, 8), np.uint8)):
        with pytest.raises(ValueError, match=r"varied pictures are of uint8 \(n, h, w\), not of"):
            varied(images, "shifted", "weak")


# ---- how steady ----


def test_robustness_is_of_recipes_and_of_files(recipes, data, tmp_path):
    model, output = tiny().model, tmp_path / "a.json"
    model.save(tmp_path / "mine.safetensors")
    arguments = ["robustness", "fast", tmp_path / "mine.safetensors", "--data", data, *FEW]
    run(*arguments, "--output", output)
    fast, mine = rows_of(output)
    assert (fast["recipe"], fast["seeds"], mine["recipe"], mine["seeds"]) == ("fast", 2, "mine.safetensors", 1)
    figures = {(f["kind"], f["strength"]): f for f in mine["figures"]}
    assert tuple(figures) == robustness.ALL
    right = (model.predict(varied(SOME.images, "turned", "medium")) == SOME.labels).mean()
    assert figures["turned", "medium"]["accuracy"] == pytest.approx(right)
    assert figures["untouched", ""]["accuracy"] == pytest.approx(model.evaluate(SOME).accuracy)
    assert fast["mean"] < fast["figures"][0]["accuracy"] and fast["figures"][1]["deviation"] > 0
    before = output.read_text()
    run(*arguments, "--output", output)  # nothing is measured twice
    assert json.loads(output.read_text())["rows"] == json.loads(before)["rows"]
    lines = [line for line in run(*arguments).stdout.splitlines() if line.startswith("|")]
    assert len(lines) == 2 + 1 + len(KINDS) and lines[3].startswith("| shifted | ") and "mine.safetensors" in lines[0]
    assert "a.none" in run("robustness", "a.none", exit_code=1).stderr


def test_settings_say_all_but_the_seed():
    settings = Task("fast", SMALL, SOME, Protocol(), "portable", 1).settings()
    assert settings.items() >= asdict(Protocol()).items() and settings["data"] == "MNIST"
    assert json.loads(json.dumps(settings)) == settings
    other = Task("fast", SMALL[:-1], SOME, Protocol(), "portable", 1).settings()
    assert [key for key in settings if settings[key] != other[key]] == ["pictures"]
