"""`train`, `evaluate` and `predict` on data of every form."""

import csv
import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

import pymnistcnn as pm
from pymnistcnn import datasets
from pymnistcnn.cli import main

TRAIN, TEST = (part[:n] for part, n in zip(datasets.mnist(), (600, 60), strict=True))


@pytest.fixture(autouse=True)
def _own_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PYMNISTCNN_ISA", raising=False)


def called(*arguments, code=0):
    result = CliRunner().invoke(main, list(map(str, arguments)), prog_name="pymnistcnn")
    assert result.exit_code == code, result.output
    return result


def by_json(*arguments, code=0):
    return json.loads(called(*arguments, "--json", code=code).stdout)


def colours(folder, n=40, size=(32, 32), kind="png"):
    """Squares of three colours, somewhere, one folder for each colour; returns the folder."""
    rng = np.random.default_rng(0)
    for at in range(n):
        name, colour = [("red", (230, 40, 40)), ("green", (40, 200, 60)), ("blue", (50, 60, 220))][at % 3]
        picture = rng.integers(0, 60, (*size, 3), np.uint8)
        top, left = (int(rng.integers(0, side // 2)) for side in size)
        picture[top : top + size[0] // 3, left : left + size[1] // 3] = colour
        path = Path(folder, name, f"{at:03}.{kind}")
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(path)
    return folder


@pytest.fixture
def trained(tmp_path):
    """A network that tells three colours apart, and the folder it learnt from."""
    called("train", "--data", colours("colours", 120), "--epochs", 15, "--batch-size", 16, "--output", "colours.st")
    return "colours.st"


def test_a_folder_of_colour_pictures(trained):
    network = pm.load(trained)
    assert network.classes == ("blue", "green", "red") and network.input_shape == (3, 32, 32)
    result = by_json("evaluate", trained, "--data", "colours")
    assert (
        result["test_accuracy"] > 0.9 and result["images"] == 24 and result["data"] == result["trained_on"] == "colours"
    )
    assert by_json("evaluate", trained, "--data", "colours", "--part", "all")["images"] == 120
    assert by_json("evaluate", trained, "--data", "colours", "--part", "train")["images"] == 96


def test_predict_names_the_class_of_pictures_of_any_size(trained):
    colours("large", 30, (100, 80), "bmp")
    got = by_json("predict", trained, "large")["predictions"]
    right = [row["class"] == Path(row["image"]).parent.name for row in got]
    assert len(got) == 30 and np.mean(right) > 0.9
    line = called("predict", trained, "large/red/000.bmp").stdout
    assert line.startswith("large/red/000.bmp  red") and line.count("\n") == 1


def test_a_grey_picture_for_a_network_of_colours(trained):
    Image.new("L", (40, 40), 90).save("grey.png")
    assert by_json("predict", trained, "grey.png")["predictions"][0]["class"] in ("red", "green", "blue")


def test_labels_are_matched_by_name(trained):
    """A folder with fewer classes numbers them otherwise."""
    colours("fewer", 30)
    for path in Path("fewer", "blue").iterdir():
        path.unlink()
    Path("fewer", "blue").rmdir()
    assert datasets.read("fewer")[1].classes == ("green", "red")
    assert by_json("evaluate", trained, "--data", "fewer", "--part", "all")["test_accuracy"] > 0.9


def test_confusion(trained):
    got = by_json("evaluate", trained, "--data", "colours", "--confusion")
    matrix = np.array(got["confusion"])
    assert got["classes"] == ["blue", "green", "red"] and matrix.sum() == 24
    assert matrix.trace() / 24 == pytest.approx(got["test_accuracy"])
    lines = called("evaluate", trained, "--data", "colours", "--confusion").stdout.splitlines()
    assert lines[-4].split() == ["blue", "green", "red"] and lines[-1].split()[0] == "red"


def test_other_data_than_it_was_trained_on_is_named(trained):
    called("train", "--data", write_idx_files("other"), "--output", "other.st")
    result = called("evaluate", "other.st")
    assert result.stdout.splitlines()[0] == "data           MNIST; the network was trained on other"
    assert "trained on" not in called("evaluate", "other.st", "--data", "other").stdout
    told = called("evaluate", trained, code=1).output
    assert told.endswith("; the network was trained on colours, these are MNIST: say --data\n")
    note = pm.load("other.st").notes["data"]
    assert note == {"name": "other", "sha256": TRAIN.checksum()}


def test_the_network_of_mnist_says_so():
    called("train", "--data", write_idx_files("MNIST/raw").parent, "--output", "a.st")
    assert pm.load("a.st").classes == tuple("0123456789")


def write_idx_files(folder):
    folder = Path(folder)
    folder.mkdir(parents=True)
    for part, data in (("train", TRAIN), ("t10k", TEST)):
        datasets.write_idx(folder / f"{part}-images-idx3-ubyte", data.images)
        datasets.write_idx(folder / f"{part}-labels-idx1-ubyte", data.labels)
    return folder


def write_csv(path, images, labels=None, names="label"):
    rows = images.reshape(len(images), -1).tolist()
    header = [f"pixel{i}" for i in range(len(rows[0]))]
    if labels is not None:
        header, rows = [names, *header], [[label, *row] for label, row in zip(labels.tolist(), rows, strict=True)]
    Path(path).write_text("\n".join(",".join(map(str, row)) for row in [header, *rows]))


def test_kaggle(tmp_path):
    write_csv("train.csv", TRAIN.images, TRAIN.labels)
    write_csv("test.csv", TEST.images)
    called("train", "--data", ".", "--epochs", 8, "--batch-size", 16)
    result = called("predict", "digits.safetensors", "test.csv", "--output", "submission.csv")
    assert result.stdout == ""
    with open("submission.csv", newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["ImageId", "Label"] and [row[0] for row in rows[1:]] == [str(n) for n in range(1, 61)]
    assert np.mean([int(row[1]) == label for row, label in zip(rows[1:], TEST.labels, strict=True)]) > 0.8
    assert Path("submission.csv").read_bytes().endswith(b"\n") and b"\r" not in Path("submission.csv").read_bytes()
    got = by_json("predict", "digits.safetensors", "test.csv")["predictions"]
    assert got[2]["image"] == "test.csv:3" and [str(row["digit"]) for row in got] == [row[1] for row in rows[1:]]


@pytest.mark.parametrize("form", ["idx", "npy", "npz", "csv"])
def test_predict_reads_files_of_images(form):
    called("train", "--data", write_idx_files("digits"), "--output", "a.st")
    path = {"idx": "digits/t10k-images-idx3-ubyte", "npy": "x.npy", "npz": "x.npz", "csv": "x.csv.txt"}[form]
    if form == "npy":
        np.save(path, TEST.images)
    elif form == "npz":
        np.savez(path, x_test=TEST.images)
    elif form == "csv":
        write_csv(path, TEST.images)
    expected = pm.load("a.st").predict(TEST.images).tolist()
    assert [row["digit"] for row in by_json("predict", "a.st", path)["predictions"]] == expected
    if form == "idx":
        assert [row["digit"] for row in by_json("predict", "a.st", "digits")["predictions"]] == expected


def test_predict_a_folder_of_pictures_with_a_bad_one():
    called("train", "--data", write_idx_files("digits"), "--output", "a.st")
    Path("pictures", "more").mkdir(parents=True)
    for at in range(3):
        Image.fromarray(TEST.images[at]).save(f"pictures/more/{at}.png")
    Path("pictures/bad.png").write_text("none")
    Path("pictures/notes.txt").write_text("none")
    result = called("predict", "a.st", "pictures", "--output", "a.csv", code=1)
    assert result.stderr.startswith("pymnistcnn: error: pictures/bad.png: ") and result.stderr.count("\n") == 1
    assert [line.split(",")[0] for line in Path("a.csv").read_text().splitlines()] == [
        "ImageId",
        "0.png",
        "1.png",
        "2.png",
    ]


def test_images_of_another_size_are_refused():
    called("train", "--data", write_idx_files("digits"), "--output", "a.st")
    np.save("x.npy", np.zeros((3, 8, 8), np.uint8))
    assert "not images of 8x8" in called("predict", "a.st", "x.npy", code=1).stderr


def test_digits_of_16_greys(tmp_path):
    """As scikit-learn's: 8x8 pixels from 0 to 16."""
    rng = np.random.default_rng(0)
    patterns = rng.integers(0, 17, (10, 8, 8))
    labels = np.arange(400) % 10
    images = np.clip(patterns[labels] + rng.integers(-2, 3, (400, 8, 8)), 0, 16)
    write_csv("digits.csv", images, labels)
    result = called("train", "--data", "digits.csv", "--epochs", 10, "--batch-size", 32)
    assert float(result.stdout.split("test accuracy  ")[1].split("%")[0]) > 95
    assert pm.load("digits.safetensors").input_shape == (1, 8, 8)
    Image.fromarray((images[3] * 255 / 16).astype(np.uint8)).save("a.png")
    assert by_json("predict", "digits.safetensors", "a.png")["predictions"][0]["digit"] == 3


@pytest.mark.filterwarnings("default::pymnistcnn.DataWarning")
def test_warnings_are_a_line_for_people():
    called("train", "--data", write_idx_files("digits"))
    np.save("x.npy", TEST.images.astype(np.float32) / 254)
    result = called("predict", "digits.safetensors", "x.npy")
    assert result.stderr.startswith("pymnistcnn: inputs are from 0 to 1.00394, but") and result.stderr.count("\n") == 1


def test_few_steps_are_told():
    assert "only 5 steps" in called("train", "--data", write_idx_files("digits")).stdout


def test_which_column_has_the_labels():
    write_csv("a.csv", np.random.default_rng(0).integers(0, 10, (100, 8, 8), np.uint8), np.arange(100) % 10)
    Path("a.csv").write_text(Path("a.csv").read_text().split("\n", 1)[1])  # without the header
    assert "--label-first or --label-last" in called("train", "--data", "a.csv", code=1).stderr
    called("train", "--data", "a.csv", "--label-first")
    called("evaluate", "digits.safetensors", "--data", "a.csv", "--label-first")


def test_the_size_of_pictures():
    colours("colours", 30, (90, 70))
    called("train", "--data", "colours", "--size", 24)
    assert pm.load("digits.safetensors").input_shape == (3, 24, 24)
    assert by_json("evaluate", "digits.safetensors", "--data", "colours", "--part", "all")["images"] == 30


def test_grey_pictures_for_a_network_of_colours(trained):
    for at in range(3):
        Path("grey", "red").mkdir(parents=True, exist_ok=True)
        Image.new("L", (32, 32), 80 * at).save(f"grey/red/{at}.png")
    assert by_json("evaluate", trained, "--data", "grey", "--part", "all")["images"] == 3


def test_c_code_is_calibrated_on_data_of_any_form(trained):
    Path("colours/green/001.png").rename("green.png")  # 119 are left
    got = by_json("export", trained, "--c", "colours.c", "--int8", "--test", 3, "--data", "colours")
    assert got["test_accuracy"] > 0.9 and got["input_shape"] == [3, 32, 32]
    told = called("export", trained, "--c", "colours.c", "--int8", code=2).output
    assert "this network was trained on colours: say where that is" in told


def test_pixels_from_0_to_1():
    model = pm.Sequential([pm.Flatten(), pm.Linear(10)], (1, 28, 28), seed=1)
    model.fit(TRAIN.images / 255, TRAIN.labels, epochs=2, progress=False)
    model.save("a.st")
    expected = model.evaluate(datasets.mnist()[1].images / 255, datasets.mnist()[1].labels)
    got = by_json("evaluate", "a.st", "--pixels", "0-1")
    assert got["test_accuracy"] == expected.accuracy and got["test_loss"] == pytest.approx(expected.loss)


def test_names_that_a_terminal_would_obey():
    model = pm.Sequential([pm.Flatten(), pm.Linear(10)], (1, 28, 28))
    model.classes = ["two\nlines", "\x1b[31mred", "\udcff", *map(str, range(3, 10))]
    model.state_dict()["1.bias"][0] = 1e6
    model.save("a.st")
    np.save("x.npy", TEST.images[:3])
    lines = called("predict", "a.st", "x.npy").stdout.splitlines()
    assert [line.split()[1] for line in lines] == ["two\ufffdlines"] * 3
    assert "\x1b" not in called("evaluate", "a.st", "--confusion").stdout
    model.state_dict()["1.bias"][2] = 1e9
    model.save("a.st")
    called("predict", "a.st", "x.npy", "--output", "answers.csv")
    assert Path("answers.csv").read_bytes().splitlines()[1] == b"1,\xff"


def pages(*paths):
    """Pictures of a 7 on a page."""
    for path in map(Path, paths):
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(np.pad(TEST.images[0], 20)).save(path)


def test_two_pictures_of_one_name():
    pages("a/1.png", "b/1.png")
    pm.Sequential([pm.Flatten(), pm.Linear(10)], (1, 28, 28)).save("a.st")
    out = called("predict", "a.st", "a", "b", "--output", "answers.csv", "--show", "--save-seen", "seen").stdout
    rows = [row.split(",") for row in Path("answers.csv").read_text().splitlines()]
    assert [row[0] for row in rows[1:]] == ["a/1.png", "b/1.png"] and len(out.splitlines()) == 2 * 15
    assert sorted(path.name for path in Path("seen").iterdir()) == ["1-1.png", "2-1.png"]
    told = called("predict", "a.st", "a", "--save-seen", "answers.csv", code=2).output
    assert "Directory 'answers.csv' is a file" in told


def test_a_network_is_no_onnx_file():
    for command in (["train"], ["tutorial", "gorgonia"], ["tutorial", "flux"]):
        told = called(*command, "--data", "nowhere", "--output", "a.onnx", code=2).output
        assert "a.onnx: a model is saved as a safetensors file, such as a.safetensors" in told


@pytest.mark.filterwarnings("default:two.png")
def test_two_digits_where_one_is_read():
    pm.Sequential([pm.Flatten(), pm.Linear(10)], (1, 28, 28)).save("a.st")
    Image.fromarray(np.pad(np.hstack([TEST.images[0], TEST.images[1]]), 20)).save("two.png")
    told = "two.png: 2 digits were found, and the largest is read: read_digits, or predict --all, reads them all"
    result = called("predict", "a.st", "two.png")
    assert result.stderr == f"pymnistcnn: {told}\n" and len(result.stdout.splitlines()) == 1
    assert len(called("predict", "a.st", "two.png", "--all").stdout.splitlines()) == 2


@pytest.mark.filterwarnings("default:left out")
def test_training_goes_on_without_damaged_pictures():
    colours("colours")
    Path("colours/red/bad.png").write_text("none")
    told = called("train", "--data", "colours", code=1).stderr
    assert told.startswith("pymnistcnn: error: colours/red/bad.png: ") and told.count("\n") == 1
    result = called("train", "--data", "colours", "--skip-damaged", "--epochs", 1)
    assert "pymnistcnn: left out: colours/red/bad.png: " in result.stderr and "32 training and 8 test" in result.stdout


@pytest.mark.parametrize("option", ["--all", "--as-is"])
def test_options_of_networks_that_read_ink(option, trained):
    told = called("predict", trained, "colours", option, code=2).stderr
    assert f"{option} is for networks that read digits on a page: this one takes pictures whole" in told


@pytest.mark.parametrize("value", ["nan", "NaN", "1.5", "-0.1", "x"])
def test_a_probability_is_a_number(value):
    told = called("predict", "a.st", "a.png", "--min-probability", value, code=2).stderr
    assert "'--min-probability'" in told and value in told and told.count("\n") == 1


@pytest.mark.parametrize("columns", [80, 30, 3])
def test_what_is_shown_fits_the_terminal(columns, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(columns))
    pm.Sequential([pm.Flatten(), pm.Linear(2)], (1, 60, 100)).save("a.st")
    ramp = np.tile(np.arange(100, dtype=np.uint8), (60, 1))
    np.save("x.npy", np.stack([ramp, 99 - ramp]))
    lines = called("predict", "a.st", "x.npy", "--show").stdout.splitlines()
    width = max(columns - 4, 1)
    height = max(1, round(60 * width / 100) // 2)
    assert len(lines) == 2 + 2 * height and max(map(len, lines[1 : height + 1])) <= max(columns, 5)
    if columns > 10:
        assert lines[1][4] == " " and lines[1][-1] == "@" and len(lines[1]) == columns
        assert lines[height + 2][4] == "@"


def test_nan_in_images_is_no_damage_of_the_weights():
    pm.Sequential([pm.Flatten(), pm.Linear(10)], (1, 28, 28)).save("a.st")
    images = TEST.images[:5] / np.float32(255)
    images[2, 3, 3], images[4, 0, 0] = np.nan, np.inf
    np.save("x.npy", images)
    result = called("predict", "a.st", "x.npy", code=1)
    assert [line.split()[0] for line in result.stdout.splitlines()] == ["x.npy:1", "x.npy:2", "x.npy:4"]
    assert result.stderr.splitlines() == [f"pymnistcnn: error: x.npy: NaN or infinity is in image {n}" for n in (3, 5)]
    np.savez("data.npz", x_train=images, y_train=np.arange(5), x_test=images, y_test=np.arange(5))
    told = called("evaluate", "a.st", "--data", "data.npz", code=1).stderr
    assert told == "pymnistcnn: error: data.npz: NaN or infinity is in the images 2, 4, counted from 0\n"


def test_no_images():
    pm.Sequential([pm.Flatten(), pm.Linear(10)], (1, 28, 28)).save("a.st")
    np.save("none.npy", TEST.images[:0])
    assert "none.npy: there are no images in it" in called("predict", "a.st", "none.npy", code=1).output


def test_a_regression_has_no_accuracy():
    pm.Sequential([pm.Flatten(), pm.Linear(1)], (1, 28, 28)).save("a.st")
    assert "this network has one output, which is a value" in called("evaluate", "a.st", code=1).output


def test_a_regression_predicts_values():
    model = pm.Sequential([pm.Rescaling(1 / 255), pm.Flatten(), pm.Linear(1)], (1, 28, 28))
    model.save("a.st")
    np.save("x.npy", TEST.images[:3])
    values = [row["value"] for row in by_json("predict", "a.st", "x.npy")["predictions"]]
    assert values == model.predict(TEST.images[:3]).tolist()
    assert called("predict", "a.st", "x.npy").stdout.splitlines()[0].split() == ["x.npy:1", f"{values[0]:g}"]


def test_training_images_are_needed():
    for path in write_idx_files("digits").glob("train*"):
        path.unlink()
    called("train", "--data", "digits", code=1)


def test_convert_takes_them_too():
    np.savez("mnist.npz", x_train=TRAIN.images, y_train=TRAIN.labels, x_test=TEST.images, y_test=TEST.labels)
    called("data", "convert", "a.txt", "--data", "mnist.npz", "--part", "test")
    np.testing.assert_array_equal(datasets.read_text("a.txt").images, TEST.images)


def test_a_tutorial_takes_them_too():
    np.savez("mnist.npz", x_train=TRAIN.images, y_train=TRAIN.labels, x_test=TEST.images, y_test=TEST.labels)
    assert by_json("tutorial", "scratch", "--epochs", 1, "--data", "mnist.npz")["test_accuracy"] > 0.05
    assert by_json("tutorial", "gorgonia", "--epochs", 1, "--data", "mnist.npz")["test_accuracy"] > 0.05


def test_the_weights_of_mnist_are_what_they_were():
    """The file has the names of the classes and of the data now; without them it is what it was before."""
    called("train", "--seed", 1, "--epochs", 1, "--output", "a.st", "--isa", pm.target.ISAS[-1])
    whole = hashlib.sha256(Path("a.st").read_bytes()).hexdigest()
    model = pm.load("a.st")
    assert model.notes["data"]["name"] == "MNIST" and model.notes["data"]["sha256"] == datasets.mnist()[0].checksum()
    model.notes = {}
    model.save("a.st")
    if pm.target.ISAS[-1] == "portable":
        pytest.skip("this machine has no instruction set with FMA")
    assert whole == "81d79d2b30620d88e5761b4b788854cc51a7c47f5852ed6b66ac27d323b77ea5"
    expected = "48d48bced1395374df33fe12ea8d0e287a59cc5614f07239b92374330f20e5ba"
    assert hashlib.sha256(Path("a.st").read_bytes()).hexdigest() == expected
