"""McCaffrey's tutorial: its messages, its text files, its fake image, its numbers."""

import re
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

import pymnistcnn as pm
from pymnistcnn.target import ISAS
from pymnistcnn.tutorials.mccaffrey import fake_image, mccaffrey

NUMBER = r"-?\d+\.\d+(?:e-\d+)?"
MESSAGES = rf"""
Begin MNIST with CNN demo

Creating 40-item train Dataset from text file

Creating CNN network with 2 conv and 3 linear

bat_size =  10
loss = CrossEntropyLoss\(\)
optimizer = SGD
max_epochs =   6
lrn_rate = 0\.005

Starting training
epoch =    0   loss = 9\.\d{{4}}   mean per item = 2\.\d{{4}}
epoch =    5   loss = 9\.\d{{4}}   mean per item = 2\.\d{{4}}
Done

Computing model accuracy
Accuracy on training data = 0\.\d{{4}}
Accuracy on test data = 0\.\d{{4}}

Making prediction for fake image:
\(drawn to .*/mccaffrey\.png\)
Logits: ( {NUMBER}){{10}}
Softmax:( {NUMBER}){{10}}
Predicted class is '(zero|one|two|three|four|five|six|seven|eight|nine)'

Saving trained model state

End MNIST CNN demo
"""


@pytest.fixture(autouse=True)
def no_screen(monkeypatch):
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)


@pytest.fixture(scope="module")
def few(tmp_path_factory):
    """A folder with the first 50 digits to train and the first 250 to test on."""
    folder = tmp_path_factory.mktemp("few")
    for part, data, n in zip(("train", "t10k"), pm.datasets.mnist(), (50, 250), strict=True):
        pm.datasets.write_idx(folder / f"{part}-images-idx3-ubyte", data.images[:n])
        pm.datasets.write_idx(folder / f"{part}-labels-idx1-ubyte", data.labels[:n])
    return folder


def run(folder, name="mccaffrey", **how):
    how = dict(epochs=1, limit=40, threads=1) | how
    outcome = mccaffrey(output=folder / f"{name}.safetensors", **how)
    return outcome, pm.load(folder / f"{name}.safetensors")


def test_its_messages(tmp_path, capsys):
    outcome, model = run(tmp_path, epochs=6)
    printed = capsys.readouterr().out
    assert re.fullmatch(MESSAGES, printed), printed
    for summed, mean in re.findall(r"loss = (\S+)   mean per item = (\S+)", printed):
        assert abs(float(summed) - 4 * float(mean)) < 3e-4  # 4 batches
    train, test = pm.datasets.mnist()
    assert outcome.test_accuracy == model.evaluate(test[:100]).accuracy
    assert outcome.full_test_accuracy == model.evaluate(test).accuracy
    assert f"Accuracy on training data = {model.evaluate(train[:40]).accuracy:.4f}" in printed
    assert (outcome.images, outcome.epochs) == (240, 6) and outcome.train_seconds > 0
    words = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
    assert f"Predicted class is '{words[model.predict(fake_image()[None])[0]]}'" in printed
    logits, softmax = (re.search(rf"{name}: *(.*)", printed)[1].split() for name in ("Logits", "Softmax"))
    np.testing.assert_allclose(np.array(logits, float), model.predict_outputs(fake_image()[None])[0], atol=6e-5)
    np.testing.assert_allclose(np.array(softmax, float), model.predict_proba(fake_image()[None])[0], atol=6e-5)


def test_its_network(tmp_path, few):
    _, model = run(tmp_path, data=few)
    shapes = {name: weights.shape for name, weights in model.state_dict().items() if name.endswith("weight")}
    assert list(shapes.values()) == [(32, 1, 5, 5), (64, 32, 5, 5), (512, 1024), (256, 512), (10, 256)]
    assert [layer.p for layer in model.layers if isinstance(layer, pm.Dropout)] == [0.25, 0.5]
    start = pm.Sequential([pm.Conv2d(32, 5)], (1, 28, 28)).state_dict()["0.weight"]  # PyTorch's
    assert abs(model.state_dict()["0.weight"].std() / start.std() - 1) < 0.1


def test_the_fake_image():
    expected = np.zeros((28, 28), int)
    for row in range(5, 23):
        expected[row][9] = 180
    for i in range(9, 19):
        expected[i][i] = 250
    for column in range(5, 15):
        expected[14][column] = 200
    assert fake_image().dtype == np.uint8
    np.testing.assert_array_equal(fake_image(), expected)
    assert expected[9, 9] == 250 and expected[14, 14] == 200 and expected[14, 9] == 200


def test_its_picture_is_dark_on_light(tmp_path, few):
    run(tmp_path, data=few)
    with Image.open(tmp_path / "mccaffrey.png") as picture:
        assert picture.mode == "L" and picture.size == (280, 280)
        np.testing.assert_array_equal(255 - np.asarray(picture)[5::10, 5::10], fake_image())


def test_on_a_screen_it_shows_the_picture(tmp_path, few, monkeypatch, capsys):
    shown = []
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setattr(Image.Image, "show", lambda self: shown.append(self))
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    run(tmp_path, data=few)
    assert len(shown) == 1 and not (tmp_path / "mccaffrey.png").exists()


def test_text_files_of_ones_own(tmp_path, capsys):
    """Comma-separated, with a header: anything that read_text takes. The digits are the package's, so that the
    network must be the same."""
    train, test = pm.datasets.mnist()
    header = "label," + ",".join(f"pixel{i}" for i in range(784))
    table = np.column_stack([train.labels[:40], train.images[:40].reshape(40, 784)])
    rows = [",".join(map(str, row)) for row in table.tolist()]
    (tmp_path / "mnist_train_40.csv").write_text("\n".join([header, *rows]))
    pm.datasets.write_text(tmp_path / "mnist_test_100.txt", test[:100])
    expected, model = run(tmp_path, "package")
    outcome, own = run(tmp_path, "own", data=tmp_path, limit=None)
    assert "Creating 40-item train Dataset" in capsys.readouterr().out
    assert (own.network.param == model.network.param).all()
    assert outcome.test_accuracy == expected.test_accuracy
    assert outcome.full_test_accuracy == expected.full_test_accuracy
    fewer, _ = run(tmp_path, "fewer", data=tmp_path, limit=20)
    assert fewer.images == 20


def test_idx_files_of_ones_own(tmp_path, few):
    outcome, model = run(tmp_path, data=few, limit=None)
    test = pm.datasets.mnist()[1]
    assert outcome.images == 50
    assert outcome.test_accuracy == model.evaluate(test[:100]).accuracy
    assert outcome.full_test_accuracy == model.evaluate(test[:250]).accuracy


def test_bad_text_files_are_told(tmp_path):
    test = pm.datasets.mnist()[1][:10]
    pm.datasets.write_text(tmp_path / "mnist_train_10.txt", test)
    with pytest.raises(ValueError, match="expected one file mnist_train. and one file mnist_test., got mnist_train_10"):
        run(tmp_path, data=tmp_path)
    text = (tmp_path / "mnist_train_10.txt").read_text().splitlines()
    text[4] = text[4].replace("\t0", "\t256", 1)
    (tmp_path / "mnist_test_10.txt").write_text("\n".join(text))
    with pytest.raises(pm.datasets.DataError, match="mnist_test_10.txt, line 5, column 2: expected .* got '256'"):
        run(tmp_path, data=tmp_path)
    with pytest.raises(FileNotFoundError):
        run(tmp_path, data=tmp_path / "nowhere")


def test_its_options(tmp_path, few, capsys):
    _, plain = run(tmp_path, data=few)
    same = run(tmp_path, data=few, threads=2, isa=ISAS[-1])[1]
    assert (same.network.param == plain.network.param).all()
    for name, value in (("seed", 2), ("epochs", 2), ("batch_size", 20), ("limit", 30)):
        assert (run(tmp_path, data=few, **{name: value})[1].network.param != plain.network.param).any(), name
    assert run(tmp_path, data=few, dtype="float64")[1].dtype == np.float64
    assert "bat_size =  20" in capsys.readouterr().out


def test_the_saved_state_loads_without_the_networks_code(tmp_path, few):
    _, model = run(tmp_path, data=few)
    code = """
import pymnistcnn as pm
print(pm.load("mccaffrey.safetensors").evaluate(pm.datasets.mnist()[1][:100]).accuracy)
"""
    result = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert result.stdout == f"{model.evaluate(pm.datasets.mnist()[1][:100]).accuracy}\n", result.stderr


@pytest.mark.slow
def test_its_numbers(tmp_path, capsys):
    figures = []
    for seed in range(1, 6):
        outcome, model = run(tmp_path, epochs=50, limit=None, seed=seed)
        printed = capsys.readouterr().out
        train = float(re.search(r"training data = (\S+)", printed)[1])
        losses = [float(loss) for loss in re.findall(r"loss = (\d\S+)", printed)]
        figures.append(
            [
                train,
                outcome.test_accuracy,
                outcome.full_test_accuracy,
                losses[0],
                losses[-1],
                "'four'" in printed,
                outcome.train_seconds,
            ]
        )
    with capsys.disabled():
        print("\nmccaffrey: train, 100, 10,000, first and last loss, four, seconds")
        for row in [*figures, np.mean(figures, axis=0)]:
            print(*(f"{number:8.4f}" for number in row))
    train, test, _, first, last, _, _ = np.mean(figures, axis=0)
    assert train >= 0.95 and test >= 0.94
    assert 229 < first < 231 and last < 40
