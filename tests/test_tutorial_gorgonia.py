"""Gorgonia's tutorial: its data, its network, its cost, what it prints, its exercises; slow: its numbers."""

import numpy as np
import pytest
from PIL import Image

import pymnistcnn as pm
from pymnistcnn.tutorials import gorgonia as tutorial
from pymnistcnn.tutorials.gorgonia import gorgonia

TRAIN, TEST = pm.datasets.mnist()


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """A folder with 2500 training and 500 test images."""
    folder = tmp_path_factory.mktemp("digits")
    for stem, data in (("train", TRAIN[:2500]), ("t10k", TEST[:500])):
        pm.datasets.write_idx(folder / f"{stem}-images-idx3-ubyte", data.images)
        pm.datasets.write_idx(folder / f"{stem}-labels-idx1-ubyte", data.labels)
    return folder


@pytest.fixture
def few(digits):
    def run(**settings):
        return gorgonia(**{"epochs": 1, "limit": 250, "data": digits, "dtype": "float32", "threads": 1, **settings})

    return run


# ---- what it prints ----


def test_first_lines(capsys):
    gorgonia(epochs=1, limit=200, threads=1)
    assert capsys.readouterr().out.splitlines()[:11] == [
        "test inputs: (10000, 784)",
        "test data: (10000, 10)",
        "train inputs: (200, 784)",
        "train data: (200, 10)",
        "[0.1 0.1 0.1 0.1 0.1 0.9 0.1 0.1 0.1 0.1]",
        "w0 (32, 1, 3, 3)",
        "w1 (64, 32, 3, 3)",
        "w2 (128, 64, 3, 3)",
        "w3 (1152, 625)",
        "w4 (625, 10)",
        "Batches 2",
    ]


def test_outcome_and_last_line(capsys, few):
    outcome = few(epochs=2)
    assert (outcome.images, outcome.epochs) == (400, 2)  # 2 whole batches of 100, twice
    assert outcome.train_seconds > 0 and outcome.full_test_accuracy is None
    lines = capsys.readouterr().out.splitlines()[-2:]
    assert lines[0].startswith("Epoch 0 | cost -0.0")
    assert lines[1].startswith("Epoch 1 | cost -0.0")
    assert lines[1].endswith(f" | test accuracy {outcome.test_accuracy:.4f}")


def test_picture_recovers_the_pixels(few):
    few(picture="five.png")
    with Image.open("five.png") as picture:
        assert picture.mode == "L"
        assert (np.array(picture) == TRAIN.images[0]).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_unscale_undoes_scale_exactly(dtype):
    pixels = np.arange(256, dtype=np.uint8)
    scaled = tutorial.scale(pixels).astype(dtype)
    assert scaled.min() == np.array(0.1, dtype) and scaled.max() == np.array(0.999, dtype)
    assert (tutorial.unscale(scaled) == pixels).all()
    assert tutorial.unscale(scaled).dtype == np.uint8


def test_scale_is_that_of_the_data_set():
    inputs, _ = pm.datasets.load("test", None, "float64")
    assert (inputs == tutorial.scale(TEST.images.reshape(-1, 784))).all()


# ---- network and training ----


def test_network():
    model = tutorial.convnet()
    assert model.dtype == np.float64
    assert [str(layer).split("(")[0] for layer in model.layers] == (
        ["Conv2d", "ReLU", "MaxPool2d", "Dropout"] * 2
        + ["Conv2d", "ReLU", "MaxPool2d", "Flatten", "Dropout", "Linear", "ReLU", "Dropout", "Linear", "Softmax"]
    )
    assert [layer.p for layer in model.layers if isinstance(layer, pm.Dropout)] == [0.2, 0.2, 0.2, 0.55]


def test_learnables_are_views():
    model = tutorial.convnet()
    weights = tutorial.learnables(model)
    assert list(weights) == ["w0", "w1", "w2", "w3", "w4"]
    weights["w3"][5, 7] = 42
    weights["w0"][1, 0, 2, 2] = 43
    assert model.state_dict()["13.weight"][7, 5] == 42
    assert model.state_dict()["0.weight"][1, 0, 2, 2] == 43
    std = weights["w4"].std() / np.sqrt(2 / (625 + 10))
    assert 0.97 < std < 1.03  # Glorot normal


def test_cost_of_every_step():
    cost = tutorial.Cost()
    model = tutorial.convnet(dtype="float64")
    inputs, targets = pm.datasets.load("train", None, "float64")
    inputs, targets = tutorial.pictures(inputs[:60]), targets[:60]
    still = pm.SGD(0.0)  # so that costs differ by their dropout alone
    history = model.fit(
        inputs, targets, epochs=2, batch_size=20, optimizer=still, loss=pm.ExpectedProbabilityLoss(),
        validation=(inputs, targets), shuffle=False, callbacks=[cost], progress=False,
    )  # fmt: skip
    assert len(cost.steps) == 6
    assert np.isclose(np.mean(cost.steps[:3]), history.loss[0], rtol=1e-12)
    assert np.isclose(np.mean(cost.steps[3:]), history.loss[1], rtol=1e-12)
    probability = model.predict_proba(inputs)
    assert np.isclose(history.validation_loss[0], -(probability * targets).mean(), rtol=1e-9)


def test_same_seed_same_weights_and_options_reach_the_training(few):
    files = {}
    for name, settings in {"a": {}, "again": {"threads": 2}, "seed": {"seed": 1}, "batch": {"batch_size": 50}}.items():
        few(output=name, **settings)
        files[name] = (pm.load(name).state_dict()["0.weight"]).tobytes()
    assert files["a"] == files["again"] and len(set(files.values())) == 3


def test_cross_entropy(capsys, few):
    few(cross_entropy=True, output="model")
    cost = float(capsys.readouterr().out.splitlines()[-1].split()[4])
    assert 0.5 < cost < 10
    assert not isinstance(pm.load("model").layers[-1], pm.Softmax)


def test_whole_batches_only(few):
    with pytest.raises(ValueError, match="99 training items do not make one batch of 100"):
        few(limit=99)


# ---- the exercises ----


@pytest.fixture(scope="module")
def trained(digits, tmp_path_factory):
    folder = tmp_path_factory.mktemp("gorgonia")
    outcome = gorgonia(epochs=2, batch_size=50, data=digits, dtype="float32", cross_entropy=True,
                       output=folder / "model", picture=folder / "output.png")  # fmt: skip
    return folder / "model", outcome


def test_saved_network_is_the_trained_one(trained, digits):
    file, outcome = trained
    inputs, targets = pm.datasets.load("test", digits, "float32")
    model = pm.load(file)
    assert model.score(tutorial.pictures(inputs), targets.argmax(axis=1)) == outcome.test_accuracy > 0.8


def test_read_an_image_file(trained, folder):
    file, outcome = trained
    right = 0
    for image, label in zip(TEST.images[:50], TEST.labels[:50], strict=True):
        Image.fromarray(255 - image).save("digit.png")  # dark on light
        right += tutorial.read(file, "digit.png") == label
    assert abs(right / 50 - outcome.test_accuracy) < 0.2


# ---- its numbers ----


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 4])
def test_a_lost_digit_is_back_after_ten_epochs(seed):
    """Of seeds 0 to 9 these two are without it for longest: until epochs 5 and 8. With nine digits a network has at
    most 0.9108, as the rarest is on 892 of the test images; with ten, these have over 0.987."""
    assert gorgonia(seed=seed).test_accuracy > 0.98
