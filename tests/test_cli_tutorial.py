"""The tutorials and other data forms on the command line: options, JSON, refusals."""

import json

import pytest
from click.testing import CliRunner

import pymnistcnn as pm
from pymnistcnn import datasets
from pymnistcnn.cli import main

FIELDS = {"test_accuracy", "train_seconds", "images_per_second", "epochs", "isa", "threads", "dtype", "seed", "output"}
SMALL = {
    "gorgonia": ["--epochs", "1", "--limit", "100", "--batch-size", "50", "--dtype", "float32"],
    "flux": ["--epochs", "1", "--limit", "100", "--lr", "0.001"],
    "mxnet-mlp": ["--epochs", "1", "--limit", "100", "--variant", "julia", "--device", "cpu"],
    "mxnet-lenet": ["--epochs", "1", "--limit", "100", "--init", "glorot"],
    "mccaffrey": ["--epochs", "1", "--limit", "50"],
    "scratch": ["--epochs", "1", "--limit", "50"],
}


@pytest.fixture(autouse=True)
def _own_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="session")
def few(tmp_path_factory):
    """A folder with 300 training and 200 test images of MNIST."""
    folder = tmp_path_factory.mktemp("few")
    for part, data, n in zip(("train", "t10k"), datasets.mnist(), (300, 200), strict=True):
        datasets.write_idx(folder / f"{part}-images-idx3-ubyte", data.images[:n])
        datasets.write_idx(folder / f"{part}-labels-idx1-ubyte", data.labels[:n])
    return folder


def run(*arguments):
    return CliRunner().invoke(main, [*map(str, arguments)])


@pytest.mark.parametrize("name", SMALL)
def test_every_tutorial_prints_one_object_and_saves_its_network(name, few):
    result = run(
        "tutorial", name, *SMALL[name], "--data", few, "--threads", 1, "--seed", 3, "--output", "net", "--json"
    )
    assert result.exit_code == 0, result.output
    fields = json.loads(result.stdout)
    extra = {"full_test_accuracy"} if name == "mccaffrey" else set()
    assert fields.keys() == FIELDS | extra
    assert (fields["epochs"], fields["seed"], fields["threads"]) == (1, 3, 1) and fields["output"].endswith("net")
    assert 0 <= fields["test_accuracy"] <= 1 and fields["images_per_second"] > 0
    assert result.stderr and pm.load("net").input_shape == (1, 28, 28)


@pytest.mark.parametrize("name", SMALL)
def test_messages_go_to_stdout_without_json(name, few):
    result = run("tutorial", name, *SMALL[name], "--data", few, "--threads", 1)
    assert result.exit_code == 0, result.output
    assert len(result.stdout.splitlines()) >= 4


def test_bad_use_of_a_tutorial(few):
    for arguments, code in [
        (["nonsense"], 2),
        (["flux", "--epochs", "0"], 2),
        (["flux", "--limit", "-1"], 2),
        (["gorgonia", "--loss", "mse"], 2),
        (["scratch", "--data", "nowhere"], 1),
        (["mxnet-mlp", "--device", "abacus"], 2),
        (["scratch", "--by-hand", "--batch-size", "2", "--limit", "10"], 1),
        (["gorgonia", "--limit", "10"], 1),
        (["flux", "--savepath", "nowhere"], 2),
    ]:
        result = run("tutorial", *arguments, *(["--data", few] if "--data" not in arguments else []))
        assert result.exit_code == code, (arguments, result.output)
        assert "Traceback" not in result.output
        assert code == 2 or result.stderr.splitlines()[-1].startswith("pymnistcnn: error: ")


# ---- data convert ----


@pytest.mark.parametrize("part", ["train", "test"])
def test_digits_become_text_and_come_back(part, few):
    result = run("data", "convert", "digits.txt", "--part", part, "--count", 7, "--data", few)
    assert result.exit_code == 0 and result.stdout == f"digits.txt: 7 {part} images\n"
    result = run("data", "convert", "digits.txt", "--part", part, "--count", 7, "--data", few, "--json")
    assert json.loads(result.stdout) == {"images": 7, "part": part, "output": "digits.txt"}
    with open("digits.txt") as file:
        first = file.readline().split("\t")
    original = datasets.mnist(few)[part == "test"][:7]
    assert len(first) == 785 and int(first[-1]) == original.labels[0]
    back = datasets.read_text("digits.txt")
    assert (back.images == original.images).all() and (back.labels == original.labels).all()


def test_what_cannot_be_converted(few):
    for arguments, code in [
        (["out", "--count", 301], 2),
        (["nowhere/out"], 2),
        (["out", "--part", "dev"], 2),
        (["out", "--data", "nowhere"], 1),
    ]:
        result = run("data", "convert", *arguments, *(["--data", few] if "--data" not in arguments else []))
        assert result.exit_code == code, (arguments, result.output)
