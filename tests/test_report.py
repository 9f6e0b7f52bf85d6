"""Reports: one HTML file that needs nothing else, says what is true, and obeys nobody's names."""

import hashlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from parsed import Parsed

import pymnistcnn as pm
from pymnistcnn.cli import main

pytest.importorskip("matplotlib", reason="needs matplotlib")

from matplotlib.colors import to_rgb  # noqa: E402

from pymnistcnn.plots.theme import ON_BLACK, ON_WHITE  # noqa: E402
from pymnistcnn.report import Run, write  # noqa: E402
from pymnistcnn.report.page import page  # noqa: E402
from pymnistcnn.report.stored import history_of  # noqa: E402

TRAIN, TEST = pm.datasets.mnist()
HOSTILE = ("</table><script>alert(1)</script>", "<img src=x onerror=y>", "a&b", '"x" onload="y', "$title",
           "\x00\x1b[1m", "ü", "*md* |", "`code`", "javascript:z")  # fmt: skip


@pytest.fixture(autouse=True)
def _own_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(Path(pm.__file__).parents[1]))


@pytest.fixture(scope="session")
def small(tmp_path_factory):
    """A folder with 600 training and 200 test images."""
    folder = tmp_path_factory.mktemp("small")
    for part, data, n in zip(("train", "t10k"), (TRAIN, TEST), (600, 200), strict=True):
        pm.datasets.write_idx(folder / f"{part}-images-idx3-ubyte", data.images[:n])
        pm.datasets.write_idx(folder / f"{part}-labels-idx1-ubyte", data.labels[:n])
    return folder


@pytest.fixture(scope="module")
def run():
    model = pm.Sequential([pm.Rescaling(1 / 255), pm.Flatten(), pm.Linear(10)], input_shape=(1, 28, 28))
    recorder = pm.Recorder(every=4)
    history = model.fit(TRAIN[:1000], epochs=2, validation=TEST[:300], callbacks=[recorder], progress=False)
    return Run("A run", model, TEST[:300], history, recorder, {"Settings": {"seed": 7}})


def called(*arguments):
    return CliRunner().invoke(main, list(map(str, arguments)), prog_name="pymnistcnn")


def assert_stands_alone(html):
    """No script, nothing from elsewhere, every name once; returns what is in it."""
    assert html.startswith("<!doctype html>")
    parsed = Parsed(html.removeprefix("<!doctype html>"))
    assert not {"script", "iframe", "object", "embed", "link", "base", "form"} & set(parsed.tags)
    allowed = {"lang", "charset", "name", "content", "class", "style", "scope", "src", "alt", "width", "height"}
    allowed |= {"open", "viewbox", "role", "aria-label", "id", "d", "transform", "clip-path", "xlink:href", "x", "y"}
    assert {name for name, _ in parsed.attributes} <= allowed
    for name, value in parsed.attributes:
        if name in ("src", "xlink:href"):
            assert value.startswith(("data:image/png;base64,", "#")), value
        for address in re.findall(r"url\(([^)]*)\)", value or ""):
            assert address.startswith("#")
    assert "http" not in re.sub(r"<pre>.*?</pre>", "", html, flags=re.DOTALL) and "@import" not in html
    names = [value for name, value in parsed.attributes if name == "id"]
    assert len(names) == len(set(names))
    used = [value[1:] for name, value in parsed.attributes if name == "xlink:href" and value.startswith("#")]
    used += re.findall(r"url\(#([^)]*)\)", html)
    assert set(used) <= set(names) and used
    return parsed


def sha256(path):
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


# ---- what is in it ----


def test_a_report_says_what_is_true(run, tmp_path):
    write(tmp_path / "run.html", run)
    html = (tmp_path / "run.html").read_text("utf-8")
    parsed = assert_stands_alone(html)
    result = run.model.evaluate(TEST[:300])
    assert f"<b>{result.accuracy:.2%}</b>" in html and f"<b>{round(300 * (1 - result.accuracy))}</b>" in html
    assert f"<b>{sum(run.history.seconds):.2f}</b>" in html
    assert [value for name, value in parsed.attributes if name == "aria-label"] == [
        "loss by epoch", "accuracy by epoch", "learning rate by epoch", "Calibration"]  # fmt: skip
    for title in ("Training", "Confusion matrix", "Mistakes", "Classes and calibration", "Network", "Model card"):
        assert f"<h2>{title}</h2>" in html
    matrix = re.search('<table class="matrix.*?</table>', html)[0]
    rows = re.findall("<td[^>]*>([^<]*)</td>", matrix.partition("<tbody>")[2])
    counts = np.array([0 if text == "&middot;" else int(text.replace(",", "")) for text in rows]).reshape(10, 10)
    np.testing.assert_array_equal(counts, run.what.confusion)
    for row in run.what.mistakes()[:40]:
        assert (
            f"{row['label']} read as {row['answer']}<br><small>{row['probability']:.1%} &nbsp;#{row['index']}<" in html
        )
    assert html.count("<img ") == min(40, len(run.what.mistakes()))
    for fact in (pm.__version__, np.__version__, "processor", "Python", "seed"):
        assert fact in parsed.text


def test_curves_take_the_colours_of_the_page(run):
    html = page(run)
    svgs = re.findall("<svg.*?</svg>", html, re.DOTALL)
    assert len(svgs) == 4 and "prefers-color-scheme: dark" in html
    for svg in svgs:
        assert "var(--first)" in svg and not set(re.findall("#[0-9a-f]{6}", svg)) & {*vars(ON_WHITE).values()}
        assert "<text" in svg and "DejaVu" not in svg
    for theme in (ON_WHITE, ON_BLACK):
        assert all(f"--{role}: {color}" in html for role, color in vars(theme).items())


def test_the_same_run_gives_the_same_curves(run):
    assert re.findall("<svg.*?</svg>", page(run), re.DOTALL) == re.findall("<svg.*?</svg>", page(run), re.DOTALL)


@pytest.mark.parametrize("theme, strength", [(ON_WHITE, 0.65), (ON_BLACK, 0.5)])
def test_numbers_in_the_matrix_can_be_read(theme, strength, run):
    """4.5 to 1, on the strongest colours there are."""

    def luminance(color):
        return np.dot(
            [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in color], (0.2126, 0.7152, 0.0722)
        )

    assert f"--strength: {strength:.0%}" in page(run)
    for color in (theme.first, theme.second):
        mixed = strength * np.array(to_rgb(color)) + (1 - strength) * np.array(to_rgb(theme.background))
        low, high = sorted([luminance(mixed), luminance(to_rgb(theme.ink))])
        assert (high + 0.05) / (low + 0.05) >= 4.5


def test_hostile_names_are_text(tmp_path):
    model = pm.Sequential([pm.Rescaling(1 / 255), pm.Flatten(), pm.Linear(10)], input_shape=(1, 28, 28))
    model.classes = HOSTILE
    model.notes["data"] = {"name": HOSTILE[0], "sha256": HOSTILE[1]}
    facts = {HOSTILE[0]: {HOSTILE[1]: HOSTILE[3]}}
    html = page(Run(HOSTILE[0], model, TEST[:200], None, None, facts))
    parsed = assert_stands_alone(html)
    assert HOSTILE[0] in parsed.text and HOSTILE[3] in parsed.text and "$title" in parsed.text
    assert parsed.tags.count("img") == 40 and "\x00" not in html and "\x1b" not in html


def test_without_a_history_or_pictures_or_mistakes():
    data = np.eye(10, dtype=np.float32), np.arange(10)
    model = pm.Sequential([pm.Linear(10, bias=False)], input_shape=(10,))
    html = page(Run("Rows", model, data))
    assert "no history of a training" in html and "<img" not in html and "read as" in html
    model.layers[0].parameters["weight"][...] = np.eye(10)
    assert "<p>None of 10.</p>" in page(Run("Rows", model, data))
    assert_stands_alone(html)


def test_many_classes():
    model = pm.Sequential([pm.Linear(70)], input_shape=(5,))
    html = page(Run("Many", model, (np.ones((3, 5), np.float32), [0, 1, 2])))
    assert "70 classes are too many for a table" in html and html.count("<td>69</td>") == 1


def test_a_report_is_written_whole_or_not_at_all(run, tmp_path, monkeypatch):
    (tmp_path / "run.html").write_text("before")

    def fail(*arguments):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        with pytest.raises(OSError, match="No space left"):
            write(tmp_path / "run.html", run)
    assert (tmp_path / "run.html").read_text() == "before" and os.listdir(tmp_path) == ["run.html"]


# ---- cards ----


def test_a_card_says_what_the_network_is(run):
    run.model.notes["data"] = {"name": "MNIST", "sha256": "12ab"}
    card = run.model.card(pm.Evaluation(0.9876, 0.0543, 300))
    assert card.startswith("# Model card: MNIST\n\nA network of 3 layers and 7,850 parameters")
    for text in ("`(n, 1, 28, 28)`", "- Outputs: 10 numbers", "sha256 of the training data: 12ab", "- Accuracy: 98.76%",
                 "- Samples: 300", "| Linear(10) | 10 | 7,850 | 7,840 |", "## Limits"):  # fmt: skip
        assert text in card
    assert "## Results" not in run.model.card() and repr(run.model.card()) == run.model.card()


def test_a_card_obeys_no_names():
    model = pm.Sequential([pm.Linear(10)], input_shape=(3,))
    model.classes = HOSTILE
    model.notes["data"] = {"name": "# <b>\n- x", "sha256": 5}
    card = model.card()
    assert r"\<img src=x onerror=y\>" in card and r"\*md\* \|" in card and "\x1b" not in card
    assert card.splitlines()[0] == "# Model card: \\# \\<b\\>\N{REPLACEMENT CHARACTER}- x" and "sha256" not in card
    model.notes["data"] = "nothing"
    assert "Data: unknown" in model.card() and model.card(pm.Evaluation(float("nan"), 1, 2)).count("Accuracy") == 0


# ---- the command line ----


def test_train_writes_a_report(small):
    arguments = ["--data", small, "--epochs", 2, "--seed", 5, "--threads", 1]
    result = called("train", *arguments, "--output", "a.safetensors", "--report", "run.html")
    assert result.exit_code == 0 and re.search(r"^report +run.html \(\d+ kB\)$", result.stdout, re.MULTILINE)
    assert called("train", *arguments, "--output", "b.safetensors").exit_code == 0
    assert sha256("a.safetensors") == sha256("b.safetensors")  # a report changes nothing
    parsed = assert_stands_alone(Path("run.html").read_text())
    train, test = pm.datasets.read(small)
    for fact in (train.checksum(), test.checksum(), sha256("a.safetensors"), "Adam(", "OneCycle(", "CrossEntropyLoss("):
        assert fact in parsed.text
    facts = dict(zip(parsed.cells, parsed.cells[1:], strict=False))
    assert (facts["seed"], facts["epochs"], facts["recipe"], facts["threads"]) == ("5", "2", "fast", "1")
    assert "validation" in parsed.text and "no history" not in parsed.text


def test_train_with_json_names_the_report(small):
    result = called("train", "--data", small, "--report", "run.html", "--json")
    assert json.loads(result.stdout)["report"] == "run.html" and Path("run.html").exists()


@pytest.mark.parametrize(
    "place, message",
    [
        ("nowhere/run.html", "No such file or directory"),
        (".", "Is a directory"),
        ("/dev/full", "/dev/full"),
        ("digits.safetensors", "--report and --output are both digits.safetensors"),
    ],
)
def test_a_place_that_cannot_be_written_is_told_before_training(place, message, small):
    result = called("train", "--data", small, "--report", place)
    assert result.exit_code == 2 and message in result.stderr and result.stderr.count("\n") == 1
    assert os.listdir() == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_is_read_only_is_told_before_training(small, tmp_path):
    (tmp_path / "closed").mkdir(mode=0o500)
    result = called("train", "--data", small, "--report", "closed/run.html")
    assert result.exit_code == 2 and "ermission" in result.stderr and os.listdir() == ["closed"]


def test_a_disk_that_is_full_after_the_training_leaves_the_network(small, monkeypatch):
    from pymnistcnn.report import page as module

    def full(path):
        raise OSError(28, "No space left on device", os.fspath(path))

    monkeypatch.setattr(module, "atomic_write", full)
    result = called("train", "--data", small, "--report", "run.html")
    assert result.exit_code == 1 and "run.html: No space left on device" in result.stderr
    assert os.listdir() == ["digits.safetensors"] and pm.load("digits.safetensors").score(TEST[:200]) > 0.05


def test_a_missing_library_is_told_before_training(small):
    code = (
        "import sys; sys.modules['matplotlib'] = None\n"
        f"from pymnistcnn.cli import main; main(['train', '--data', {str(small)!r}, '--report', 'run.html'])"
    )
    result = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, timeout=60)
    assert result.returncode == 1 and result.stdout == "" and os.listdir() == []
    assert result.stderr.endswith("run: pip install 'pymnistcnn[plots]'\n") and result.stderr.count("\n") == 1


def test_a_report_needs_no_display_and_leaves_pyplot_alone(small):
    code = (
        "import sys; from pymnistcnn.cli import main\n"
        f"main(['train', '--data', {str(small)!r}, '--report', 'run.html'], standalone_mode=False)\n"
        "print('pyplot' if 'matplotlib.pyplot' in sys.modules else 'none')"
    )
    environment = {name: value for name, value in os.environ.items() if name not in ("DISPLAY", "MPLBACKEND")}
    result = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, timeout=60,
                            env=environment | {"MPLBACKEND": "TkAgg"})  # fmt: skip
    assert result.stdout.endswith("none\n"), result.stderr


def test_report_of_a_file_without_a_history(run, small):
    run.model.save("digits.safetensors")
    result = called("report", "digits.safetensors", "--data", small, "--json")
    told = json.loads(result.stdout)
    assert told["report"] == "report.html" and not told["history"] and told["images"] == 200
    parsed = assert_stands_alone(Path("report.html").read_text())
    assert "This file has no history" in parsed.text and sha256("digits.safetensors") in parsed.text
    assert told["test_accuracy"] == run.model.score(TEST[:200])
    result = called("report", "digits.safetensors", "--data", small, "--part", "train", "--output", "train.html")
    assert "history   none in this file" in result.stdout and "of 600 wrong" in result.stdout
    assert "wrong of 600" in Path("train.html").read_text()


def test_report_of_a_file_with_a_history_in_its_notes(run, small):
    run.model.notes |= {"history": run.history.history, "mine": {"a": "<b>"}}
    run.model.save("digits.safetensors")
    assert called("report", "digits.safetensors", "--data", small).exit_code == 0
    parsed = assert_stands_alone(Path("report.html").read_text())
    assert ("aria-label", "loss by epoch") in parsed.attributes and '{"a": "<b>"}' in parsed.cells
    del run.model.notes["history"]


def test_report_of_a_checkpoint(small):
    model = pm.Sequential([pm.Rescaling(1 / 255), pm.Flatten(), pm.Linear(10)], input_shape=(1, 28, 28), seed=9)
    model.fit(TRAIN[:300], epochs=2, checkpoint=pm.Checkpoint("run.checkpoint"), progress=False)
    assert called("report", "run.checkpoint", "--data", small).exit_code == 0
    parsed = assert_stands_alone(Path("report.html").read_text())
    assert ("aria-label", "loss by epoch") in parsed.attributes
    assert parsed.cells[parsed.cells.index("seed") + 1] == "9" and "Adam(" in parsed.text


@pytest.mark.parametrize(
    "lists",
    [None, [], "x", {}, {"loss": []}, {"loss": 3}, {"loss": ["a"]}, {"loss": [True]}, {"loss": [1e999]},
     {"loss": [1, 2], "accuracy": [1]}, {"accuracy": [1.0]}, {"loss": [None]}],
)  # fmt: skip
def test_other_notes_are_no_history(lists):
    assert history_of(lists) is None


def test_notes_that_are_a_history():
    assert history_of({"loss": [1, 0.5], "accuracy": [0.5, 0.75], "else": 1}) == pm.History([1, 0.5], [0.5, 0.75])


@pytest.mark.parametrize(
    "layers, shape, message",
    [
        ([pm.Linear(1)], (784,), "tells no classes apart"),
        ([pm.Flatten(), pm.Linear(5)], (1, 28, 28), "labels must be from 0 to 4"),
        ([pm.Linear(10)], (5,), "inputs must have shape"),
    ],
)
def test_report_of_a_network_that_does_not_fit(layers, shape, message, small):
    pm.Sequential(layers, shape).save("a.safetensors")
    result = called("report", "a.safetensors", "--data", small)
    assert result.exit_code == 1 and message in result.stderr and result.stderr.count("\n") == 1
    assert os.listdir() == ["a.safetensors"]


def test_report_of_what_is_no_network(small):
    Path("a.safetensors").write_bytes(b"nothing")
    for name in ("a.safetensors", "nowhere.safetensors"):
        result = called("report", name, "--data", small)
        assert result.exit_code == 1 and name in result.stderr and not Path("report.html").exists()
