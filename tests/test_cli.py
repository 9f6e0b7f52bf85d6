"""The command line: what a person sees, what a script reads, and how each way to fail ends."""

import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import termios
import time
from dataclasses import replace
from pathlib import Path

import click
import numpy as np
import pytest
from click.testing import CliRunner
from comparing import FMA_ISAS
from PIL import Image

import pymnistcnn as pm
from pymnistcnn import _native, datasets
from pymnistcnn.cli import main
from pymnistcnn.network import default_threads
from pymnistcnn.recipes import ENSEMBLES, RECIPES, Recipe
from pymnistcnn.target import ISAS

PROGRAM = [sys.executable, "-P", "-c", "from pymnistcnn.cli import main; main(prog_name='pymnistcnn')"]
FIELDS = {
    "test_accuracy",
    "train_seconds",
    "images_per_second",
    "epochs",
    "isa",
    "threads",
    "dtype",
    "seed",
    "output",
}


@pytest.fixture(autouse=True)
def _own_folder(tmp_path, monkeypatch):
    """Every test runs in an empty folder, finds this package there, and no choice of ISA."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(Path(pm.__file__).parents[1]))
    monkeypatch.delenv("PYMNISTCNN_ISA", raising=False)


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    """A folder with 300 training and 100 test images of MNIST."""
    folder = tmp_path_factory.mktemp("tiny")
    for part, data, n in zip(("train", "t10k"), datasets.mnist(), (300, 100), strict=True):
        datasets.write_idx(folder / f"{part}-images-idx3-ubyte", data.images[:n])
        datasets.write_idx(folder / f"{part}-labels-idx1-ubyte", data.labels[:n])
    return folder


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """A file with a network that reads digits: an epoch of the first 20,000."""
    path = tmp_path_factory.mktemp("trained") / "digits.safetensors"
    made, data = RECIPES["fast"](), datasets.mnist()[0][:20_000]
    made.model.fit(data, batch_size=made.batch_size, optimizer=made.optimizer, schedule=made.schedule, progress=False)
    made.model.save(path)
    return path


def pymnistcnn(*arguments, **extra):
    """Run the command in a process of its own, as a person would."""
    return subprocess.run([*PROGRAM, *map(str, arguments)], capture_output=True, text=True, timeout=60, **extra)


def called(*arguments, **extra):
    """Run the command in this process."""
    return CliRunner().invoke(main, list(map(str, arguments)), prog_name="pymnistcnn", **extra)


def assert_fails(result, message):
    """Exit code 1 and one line for people, nothing else."""
    assert result.stdout == ""
    assert result.stderr.startswith("pymnistcnn: error: ") and result.stderr.count("\n") == 1, result.stderr
    assert message in result.stderr
    assert getattr(result, "returncode", None) == 1 or getattr(result, "exit_code", None) == 1


def sha256(path):
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def commands(group=main, path=()):
    """All commands that are no groups, by path."""
    for name in group.list_commands(None):
        command = group.get_command(None, name)
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name), command


@pytest.mark.parametrize(
    "path, command", [*commands()], ids=lambda value: " ".join(value) if isinstance(value, tuple) else ""
)
def test_every_command_has_json(path, command):
    assert "--json" in {name for parameter in command.params for name in parameter.opts}


# ---- help ----


@pytest.mark.parametrize("arguments", [[], ["--help"]])
def test_help_names_every_command(arguments):
    result = called(*arguments)
    assert result.exit_code == 0
    for command in ("train", "evaluate", "predict", "info"):
        assert f"\n  {command} " in result.stdout


def test_version():
    result = called("--version")
    assert result.exit_code == 0 and pm.__version__ in result.stdout


def test_train_offers_every_recipe_in_its_help():
    text = called("train", "--help").stdout
    assert "train [OPTIONS] [RECIPE]" in text
    assert all(f"`{name}`" in text for name in [*RECIPES, *ENSEMBLES])


def test_importing_the_commands_waits_for_nothing_heavy():
    code = """
import sys
from pymnistcnn.cli import main
print([name for name in sys.modules if "benchmarking" in name])
commands = [main.get_command(None, name) for name in main.list_commands(None)]
print([name for name in ("tqdm", "PIL", "safetensors") if name in sys.modules])
"""
    result = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout == "[]\n[]\n"


# ---- train ----


def test_train_shows_the_network_the_data_and_the_result(tiny):
    result = pymnistcnn("train", "--epochs", 2, "--data", tiny, "--threads", 1)
    assert result.returncode == 0, result.stderr
    assert "Conv2d(16, 3)" in result.stdout and "35,610" in result.stdout
    assert "300 training and 100 test images of 28x28" in result.stdout
    assert "2 epochs, batches of 128, seed 0, float32, 1 thread," in result.stdout
    assert "test accuracy" in result.stdout and "digits.safetensors (146 kB)" in result.stdout
    lines = result.stderr.splitlines()  # not a terminal: a line an epoch, and no bars
    assert [line[:10] for line in lines] == ["epoch 1/2:", "epoch 2/2:"]
    assert re.search(r", test (\S+%),", lines[1])[1] in result.stdout  # one name, and one number
    assert all(len(line) <= 80 for line in [*result.stdout.replace(str(tiny), "DIR").splitlines(), *lines])


def test_train_json_is_one_object_and_true(tiny, tmp_path):
    options = "--json --epochs 2 --batch-size 50 --seed 7 --threads 2 --isa portable --dtype float64".split()
    result = pymnistcnn("train", "fast", *options, "--data", tiny, "--output", "a b.st")
    assert result.returncode == 0, result.stderr
    got = json.loads(result.stdout)
    assert result.stdout.count("\n") == 1 and set(got) == FIELDS
    expected = {
        "epochs": 2,
        "isa": "portable",
        "threads": 2,
        "dtype": "float64",
        "seed": 7,
        "output": "a b.st",
    }
    assert {name: got[name] for name in expected} == expected
    assert got["images_per_second"] == pytest.approx(600 / got["train_seconds"])
    assert "Conv2d" in result.stderr and "test accuracy" in result.stderr
    assert os.listdir(tmp_path) == ["a b.st"]
    model = pm.load("a b.st")
    assert model.dtype == np.float64
    assert model.evaluate(datasets.mnist(tiny)[1]).accuracy == got["test_accuracy"]


def test_train_defaults_are_the_recipe_s(tiny):
    got = json.loads(called("train", "--json", "--data", tiny).stdout)
    assert got["epochs"] == 1 and got["seed"] == 0 and got["dtype"] == "float32"
    assert got["output"] == "digits.safetensors" and Path("digits.safetensors").is_file()
    assert got["isa"] == ISAS[-1] and got["threads"] == default_threads()


@pytest.mark.filterwarnings("ignore:300 samples are too few to keep some back")
@pytest.mark.parametrize("name", RECIPES)
def test_train_does_what_fit_does(name, tiny):
    assert called("train", name, "--seed", 3, "--data", tiny).exit_code == 0
    made = RECIPES[name](seed=3)
    made.model.fit(datasets.mnist(tiny)[0], **made.arguments, progress=False)
    model = pm.load("digits.safetensors")
    assert model.network.param.tobytes() == made.model.network.param.tobytes()
    made.model.notes = model.notes
    made.model.save("by hand.st")
    assert sha256("by hand.st") == sha256("digits.safetensors")


def test_train_averages_as_the_recipe_says(tiny, monkeypatch):
    fast = RECIPES["fast"]
    monkeypatch.setitem(RECIPES, "fast", lambda **settings: replace(fast(**settings), average=0.9))
    assert called("train", "--data", tiny).exit_code == 0
    model, arguments = fast().model, fast().arguments
    model.fit(datasets.mnist(tiny)[0], **arguments | {"average": 0.9}, progress=False)
    assert pm.load("digits.safetensors").network.param.tobytes() == model.network.param.tobytes()


def test_train_draws_a_bar_on_a_terminal(tiny):
    master, terminal = os.openpty()
    termios.tcsetwinsize(terminal, (24, 80))  # a new one has no size, and tqdm draws nothing on 0 lines
    result = subprocess.run([*PROGRAM, "train", "--epochs", "1", "--data", tiny], stdout=subprocess.PIPE,
                            stderr=terminal, text=True, timeout=60)  # fmt: skip
    os.close(terminal)
    drawn = os.read(master, 1 << 16).decode()
    os.close(master)
    assert result.returncode == 0
    assert "epoch 1/1" in drawn and "100%|" in drawn and "loss" in drawn


def trained_hash(tiny, *options):
    result = called("train", "--seed", 1, "--epochs", 1, "--data", tiny, *options)
    assert result.exit_code == 0, result.stderr
    return sha256("digits.safetensors")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_file_does_not_depend_on_threads(tiny, dtype):
    assert len({trained_hash(tiny, "--dtype", dtype, "--threads", t) for t in (1, 2, 3, 7)}) == 1


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_file_does_not_depend_on_the_isa(tiny, dtype):
    """Whichever has FMA."""
    if len(FMA_ISAS) < 2:
        pytest.skip(f"this machine has {', '.join(FMA_ISAS) or 'no instruction set with FMA'} only")
    hashes = {trained_hash(tiny, "--dtype", dtype, "--isa", isa, "--threads", 2 + i) for i, isa in enumerate(FMA_ISAS)}
    assert len(hashes) == 1


def test_the_file_depends_on_seed_epochs_and_batch(tiny):
    settings = [[], ["--seed", 2], ["--epochs", 2], ["--batch-size", 64], ["--dtype", "float64"]]
    assert len({trained_hash(tiny, *more) for more in settings}) == len(settings)


def test_isa_from_the_environment(tiny):
    got = called("train", "--json", "--epochs", 1, "--data", tiny, env={"PYMNISTCNN_ISA": "portable"})
    assert json.loads(got.stdout)["isa"] == "portable"


def test_pictures_of_another_size(tmp_path):
    rng = np.random.default_rng(0)
    for part, n in (("train", 20), ("t10k", 10)):
        datasets.write_idx(f"{part}-images.idx3-ubyte", rng.integers(0, 256, (n, 16, 20), np.uint8))
        datasets.write_idx(f"{part}-labels.idx1-ubyte.gz", rng.integers(0, 10, n, np.uint8))
    assert called("train", "--data", tmp_path).exit_code == 0
    assert pm.load("digits.safetensors").input_shape == (1, 16, 20)
    result = called("evaluate", "digits.safetensors")
    assert_fails(result, "(n, 1, 16, 20)")


# ---- evaluate, predict, info ----


def test_evaluate(trained, tiny):
    expected = pm.load(trained).evaluate(datasets.mnist()[1])
    assert expected.accuracy > 0.95
    got = json.loads(called("evaluate", trained, "--json", "--threads", 1, "--isa", "portable").stdout)
    assert got["test_accuracy"] == pytest.approx(expected.accuracy, abs=2e-4)  # portable has no FMA
    assert got["images"] == 10_000 and got["isa"] == "portable" and got["threads"] == 1
    result = pymnistcnn("evaluate", trained, "--data", tiny)
    assert result.returncode == 0 and result.stderr == ""
    assert "of 100 wrong)" in result.stdout


@pytest.fixture
def pictures(tmp_path):
    """Three looks at each of ten test digits: as it is, dark on light, dark on light and large on a page."""
    test = datasets.mnist()[1]
    made = []
    for i in range(10):
        digit = test.images[i]
        large = np.pad(255 - digit.repeat(6, 0).repeat(6, 1), ((20, 40), (30, 10)), constant_values=255)
        for look, picture in (("normal", digit), ("inverted", 255 - digit), ("enlarged", large)):
            path = tmp_path / f"{i} {look}.png"
            Image.fromarray(picture).save(path)
            made.append((path, look, i))
    return made


def test_predict_reads_every_look_of_a_digit(trained, pictures):
    labels = datasets.mnist()[1].labels
    result = pymnistcnn("predict", trained, "--json", *(path for path, _, _ in pictures))
    assert result.returncode == 0 and result.stderr == ""
    rows = json.loads(result.stdout)["predictions"]
    assert [row["image"] for row in rows] == [str(path) for path, _, _ in pictures]
    model, test = pm.load(trained), datasets.mnist()[1]
    wrong = {"normal": 0, "inverted": 0, "enlarged": 0}
    for row, (_, look, i) in zip(rows, pictures, strict=True):
        wrong[look] += row["digit"] != labels[i]
        if look != "enlarged":  # these are the very pixels of the data set
            probabilities = model.predict_proba(test.images[i : i + 1])[0]
            assert row["digit"] == probabilities.argmax()
            assert row["probability"] == pytest.approx(probabilities.max(), rel=1e-6)
    assert max(wrong.values()) <= 1, wrong  # of 10: the network was trained for less than a second


def test_predict_prints_a_line_a_picture(trained, pictures):
    result = called("predict", trained, pictures[0][0], pictures[5][0])
    lines = result.stdout.splitlines()
    assert result.exit_code == 0 and len(lines) == 2
    for line, (path, _, i) in zip(lines, (pictures[0], pictures[5]), strict=True):
        assert line.startswith(str(path))
        digit, probability = line.removeprefix(str(path)).split()
        assert int(digit) == datasets.mnist()[1].labels[i] and 10 <= float(probability.rstrip("%")) <= 100


def test_info():
    got = json.loads(pymnistcnn("info", "--json").stdout)
    assert got["cpu"] and got["isa"] in got["isas"] == list(ISAS)
    assert got["threads"] == default_threads() and got["openmp"] == _native.openmp_runtime()
    assert got["pymnistcnn"] == pm.__version__ and got["numpy"] == np.__version__
    assert (got["train_images"], got["test_images"]) == (60_000, 10_000)
    text = called("info").stdout
    assert all(str(got[name]) in text for name in ("cpu", "isa", "threads", "openmp", "python", "numpy"))
    assert "60,000 training and 10,000 test images of 28x28" in text


# ---- bad use: exit code 2 ----


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--epochs", "0"], "--epochs"),
        (["--epochs", "9" * 30], "--epochs"),
        (["--epochs", "1.5"], "--epochs"),
        (["--batch-size", "-1"], "--batch-size"),
        (["--threads", "0"], "--threads"),
        (["--threads", "1025"], "--threads"),
        (["--seed", "-1"], "--seed"),
        (["--seed", str(2**64)], "--seed"),
        (["--isa", "mmx"], ", ".join(ISAS)),
        (["--dtype", "float16"], "--dtype"),
        (["slow"], "'slow' is not one of 'fast', 'accurate'"),
        (["--no-such-option"], "--no-such-option"),
        (["--output", "nowhere/digits.safetensors"], "nowhere/digits.safetensors: No such file or directory"),
        (["--output", "."], ".: Is a directory"),
        (["--output", ""], "Is a directory"),
        (["--output", "/dev/null"], "neither a regular file nor a pipe"),
        (["--output", "a" * 300], "too long"),
    ],
)
def test_bad_use_of_train(arguments, message):
    result = called("train", "--data", "nowhere", *arguments)  # bad use is told of before the data is looked for
    assert result.exit_code == 2 and result.stdout == ""
    assert message in result.stderr and result.stderr.endswith("(see pymnistcnn train --help)\n")


@pytest.mark.parametrize(
    "arguments",
    [["no-such-command"], ["evaluate"], ["predict"], ["predict", "x.st"], ["info", "--threads", "0"]],
)
def test_bad_use_of_the_others(arguments):
    result = called(*arguments)
    assert result.exit_code == 2 and result.stdout == ""
    assert result.stderr.startswith("pymnistcnn: error: ") and result.stderr.count("\n") == 1
    assert "(see pymnistcnn" in result.stderr and result.stderr.endswith("--help)\n")


@pytest.mark.parametrize("arguments", [["train"], ["evaluate", "x.st"], ["predict", "x.st", "x.png"], ["info"]])
def test_bad_isa_in_the_environment(arguments):
    result = called(*arguments, env={"PYMNISTCNN_ISA": "mmx"})
    assert result.exit_code == 2
    assert "PYMNISTCNN_ISA" in result.stderr and ", ".join(ISAS) in result.stderr


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_output_in_a_directory_without_permission(tmp_path):
    tmp_path.chmod(0o500)
    result = called("train")
    tmp_path.chmod(0o700)
    assert result.exit_code == 2 and "no permission" in result.stderr


# ---- everything else that goes wrong: exit code 1, one line ----


def test_train_without_data():
    assert_fails(
        pymnistcnn("train", "--data", "nowhere"),
        "nowhere: no such file or folder, nor the name of a data set: mnist, fashion-mnist",
    )
    assert os.listdir() == []


def test_train_with_damaged_data(tiny, tmp_path):
    for path in tiny.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "t10k-images-idx3-ubyte").write_bytes(b"\0\0\x08\x03" + b"\xff" * 12)
    assert_fails(called("train", "--data", "."), "t10k-images-idx3-ubyte")
    assert not Path("digits.safetensors").exists()


def test_train_with_pictures_that_are_too_small(tmp_path):
    for part in ("train", "t10k"):
        datasets.write_idx(f"{part}-images-idx3-ubyte", np.zeros((5, 7, 7), np.uint8))
        datasets.write_idx(f"{part}-labels-idx1-ubyte", np.zeros(5, np.uint8))
    assert_fails(called("train", "--data", "."), "fast takes pictures of at least 8x8")


def test_diverging_training(tiny, monkeypatch):
    fast = RECIPES["fast"]

    def hot(**settings):
        made = fast(**settings)
        return Recipe(made.model, 3, 10, pm.SGD(momentum=0.9), pm.Constant(1e6))

    monkeypatch.setitem(RECIPES, "fast", hot)
    result = called("train", "--data", tiny)
    assert result.exit_code == 1 and not Path("digits.safetensors").exists()
    last = result.stderr.splitlines()[-1]
    assert last.startswith("pymnistcnn: error: training diverged") and "learning rate" in last


def test_an_unexpected_error_asks_for_a_report(tiny, monkeypatch):
    monkeypatch.setitem(RECIPES, "fast", lambda **settings: {}["oops"])
    assert_fails(called("train", "--data", tiny), "KeyError: 'oops'. This should not happen")


@pytest.mark.parametrize("command", [["evaluate"], ["predict"]])
@pytest.mark.parametrize("damage", ["missing", "folder", "text", "empty", "cut", "foreign", "nan"])
def test_models_that_are_none(command, damage, trained, pictures, tmp_path):
    path = tmp_path / "model.st"
    content = trained.read_bytes()
    if damage == "folder":
        path.mkdir()
    elif damage == "foreign":
        from safetensors.numpy import save_file

        save_file({"0.weight": np.zeros((2, 2), np.float32)}, path)
    elif damage == "nan":
        model = pm.load(trained)
        model.network.param[:] = np.nan
        model.save(path)
    elif damage != "missing":
        path.write_bytes({"text": b"hello" * 100, "empty": b"", "cut": content[: len(content) // 2]}[damage])
    arguments = [*command, path, *([pictures[0][0]] if command == ["predict"] else [])]
    assert_fails(called(*arguments), "model.st: ")


def test_predict_answers_all_pictures_but_the_bad_ones(trained, pictures, tmp_path):
    good = [pictures[0][0], pictures[3][0]]
    expected = called("predict", trained, *good).stdout
    (tmp_path / "text.png").write_text("not a picture")
    Image.new("L", (20, 40)).save("small.png")
    for bad, message in (("none.png", "No such file"), ("text.png", "cannot identify"), ("small.png", "no ink found")):
        result = called("predict", trained, good[0], bad, good[1])
        assert result.exit_code == 1 and result.stdout == expected
        assert result.stderr.startswith(f"pymnistcnn: error: {bad}: ") and result.stderr.count("\n") == 1
        assert message in result.stderr
        assert_fails(called("predict", trained, bad), f"{bad}: ")
    got = json.loads(called("predict", trained, good[0], "none.png", "--json").stdout)
    assert [row["image"] for row in got["predictions"]] == [str(good[0])]
    assert got["errors"] == [{"image": "none.png", "error": "none.png: No such file or directory"}]


def test_predict_with_a_network_of_no_pictures(tmp_path, pictures):
    pm.Sequential([pm.Linear(10)], input_shape=(5,)).save("linear.st")
    assert_fails(called("predict", "linear.st", pictures[0][0]), "not pictures")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no /dev/full")
@pytest.mark.parametrize("arguments", [["info"], ["--help"], ["train", "--help"], ["--version"]])
def test_a_full_disk_under_stdout(arguments):
    with open("/dev/full", "w") as full:
        result = subprocess.run([*PROGRAM, *arguments], stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
    assert result.returncode == 1
    assert result.stderr == "pymnistcnn: error: No space left on device\n"


@pytest.mark.parametrize("arguments", [["info"], ["train"], ["--help"]])
def test_a_broken_pipe_on_stdout(arguments):
    reader, writer = os.pipe()
    os.close(reader)
    result = subprocess.run([*PROGRAM, *arguments], stdout=writer, stderr=subprocess.PIPE, text=True, timeout=60)
    os.close(writer)
    assert result.returncode == 1
    assert "broken pipe" in result.stderr.splitlines()[-1]
    trained = arguments == ["train"]  # to its end, and saved
    assert len(result.stderr.splitlines()) == 1 + trained and os.listdir() == ["digits.safetensors"] * trained


# ---- Ctrl-C ----


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_ctrl_c_keeps_what_was_learnt(options, tmp_path):
    for part, data, n in zip(("train", "t10k"), datasets.mnist(), (5000, 500), strict=True):
        datasets.write_idx(f"{part}-images-idx3-ubyte", data.images[:n])
        datasets.write_idx(f"{part}-labels-idx1-ubyte", data.labels[:n])
    # So many epochs take hours: only Ctrl-C ends them before the time-out does.
    process = subprocess.Popen([*PROGRAM, "train", "--epochs", "100000", "--data", ".", *options],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)  # fmt: skip
    seen = ""
    while "epoch 3/" not in seen:
        line = process.stderr.readline()
        assert line, f"ended before its third epoch: {seen}"
        seen += line
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=10)
    assert process.returncode == 130
    *_, last = filter(None, stderr.splitlines())
    assert re.fullmatch(r"interrupted after \d+ whole epochs: saved what was learnt so far to digits.safetensors", last)
    assert "Traceback" not in stderr
    assert stdout == "" if options else "Conv2d" in stdout and "test accuracy" not in stdout
    assert pm.load("digits.safetensors").evaluate(datasets.mnist(".")[1]).accuracy > 0.5


@pytest.mark.parametrize("command", ["evaluate", "predict", "info"])
def test_ctrl_c_elsewhere(command, trained, pictures, monkeypatch):
    def ctrl_c(*_, **__):
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(5)

    monkeypatch.setattr(
        pm.datasets if command != "predict" else pm.pictures, "mnist" if command != "predict" else "read_digit", ctrl_c
    )
    arguments = {"evaluate": [trained], "predict": [trained, pictures[0][0]], "info": []}[command]
    result = called(command, *arguments)
    assert result.exit_code == 130 and result.stdout == "" and result.stderr == "\n"
