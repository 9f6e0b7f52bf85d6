"""Figures that people read are those that were measured, and say where the code has changed since."""

import importlib
import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from pymnistcnn.benchmarking import provenance, tutorials

ROOT = Path(__file__).parent.parent
MEASUREMENTS = ROOT / "benchmarks" / "measurements"
FILES = sorted(MEASUREMENTS.glob("*/*.json"))


def module(name):
    """One of benchmarks/, which is no package."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "benchmarks")
        return importlib.import_module(name)


results, measured, fingerprints = map(module, ("results", "measured", "fingerprints"))


@pytest.fixture
def copy(tmp_path):
    """All texts with figures, as they are where there is one kind of processor alone."""
    for path in results.TEXTS:
        (tmp_path / path).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / path, tmp_path / path)
    shutil.copytree(MEASUREMENTS / "amd-zen-5", tmp_path / "benchmarks/measurements/amd-zen-5")
    for path, text in results.made(tmp_path).items():
        (tmp_path / path).write_text(text)
    return tmp_path


def edit(path, change):
    report = json.loads(path.read_text())
    change(report)
    path.write_text(json.dumps(report))


def test_every_figure_is_the_measured_one():
    assert results.differences() == [], "write them anew: python benchmarks/results.py"


def test_the_page_is_short():
    assert len((ROOT / "benchmarks" / "results.md").read_text().splitlines()) <= 150


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_every_measurement_says_where_it_comes_from(path):
    report = json.loads(path.read_text())
    assert {"command", "date", "commit", "clean", "code", "machine", "rows"} <= report.keys()
    machine = report["machine"]
    assert machine["processor"] == path.parent.name
    assert {"cpu", "cores", "isa", "compiler", "python", "numpy", "pymnistcnn"} <= machine.keys()
    if "source" not in report:  # measured by `python benchmarks/measure.py`
        assert None not in machine.values() and report["clean"] is not None
    if report["commit"] is None:
        assert "outside" in report["source"]
    else:
        assert re.fullmatch("[0-9a-f]{7,}", report["commit"]) and report["code"].keys() >= {"the kernels"}


def test_a_figure_that_differs_is_found_wherever_it_stands(copy):
    assert results.differences(copy) == []

    def faster(report):
        (beside,) = (row for row in report["comparisons"] if row["batch"] == 128 and row["peer"] == "PyTorch"
                     and row["isa"] == "avx512")  # fmt: skip
        beside["ratio"]["median"] = 9.87

    folder = copy / "benchmarks/measurements/amd-zen-5"
    edit(folder / "training-flux.json", faster)
    files = [line[4:] for line in results.differences(copy) if line.startswith("---")]
    assert files == ["benchmarks/results.md", "benchmarks/results.svg", "README.md"]
    edit(folder / "tutorial-flux.json", lambda report: report["rows"][0].update(seeds=[7]))
    assert any(line.startswith("+| `flux`") and "; seeds 7 |" in line for line in results.differences(copy))


def test_a_kind_that_is_half_measured_has_a_column_but_speeds_are_of_a_whole_one(copy):
    folder = copy / "benchmarks/measurements/arm-something"
    folder.mkdir()
    shutil.copy(MEASUREMENTS / "amd-zen-5/tutorial-flux.json", folder)
    assert "## ARM Something" in results.made(copy)["benchmarks/results.md"]
    shutil.copy(MEASUREMENTS / "amd-zen-5/training-flux.json", folder)
    edit(folder / "training-flux.json", lambda report: report.update(date="2999-01-01"))
    kinds = measured.kinds(copy / "benchmarks/measurements")
    assert [kind.label for kind in kinds][:2] == ["ARM Something", "AMD Zen 5"]
    made = results.made(copy)
    assert "Images a second are of AMD Zen 5." in made["README.md"] and "ratio, ARM Something" in made["README.md"]
    assert "AMD Zen 5: tutorial (" in made["docs/tutorials.md"]
    assert "ARM Something: tutorial (flux): measured at" in made["docs/tutorials.md"]
    assert "## ARM Something" in made["benchmarks/results.md"] and "ARM Something" in made["benchmarks/results.svg"]


def test_what_changed_since_is_said(tmp_path):
    for path in ("csrc/run.c", "csrc/cuda/run.c", "pymnistcnn/plan.py", "pymnistcnn/cli/bench.py",
                 "pymnistcnn/tutorials/flux.py", "pymnistcnn/benchmarking/networks.py"):  # fmt: skip
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text("as it was")

    def changed_by(path, name):
        fingerprints._hash.cache_clear()
        before = fingerprints.of(name, tmp_path)
        (tmp_path / path).write_text(f"for {name}")
        fingerprints._hash.cache_clear()
        return fingerprints.changed(name, before, tmp_path)

    assert changed_by("csrc/run.c", "training-flux") == ["the kernels"]
    assert changed_by("pymnistcnn/plan.py", "kernels") == ["the Python code"]
    assert changed_by("pymnistcnn/tutorials/flux.py", "tutorial-flux") == ["the tutorial"]
    assert changed_by("pymnistcnn/tutorials/flux.py", "tutorial-mxnet-mlp") == []
    assert changed_by("pymnistcnn/benchmarking/networks.py", "training-flux") == ["the networks"]
    assert changed_by("pymnistcnn/benchmarking/networks.py", "accuracy") == []
    assert changed_by("csrc/cuda/run.c", "training-flux") == changed_by("pymnistcnn/cli/bench.py", "kernels") == []

    kind = next(kind for kind in measured.kinds() if "accuracy" in kind.files)
    report = {**kind.files["accuracy"], "code": fingerprints.of("accuracy"), "commit": "0123abc", "clean": False}
    fresh = replace(kind, files={"accuracy": report})
    (line,) = measured.standing(fresh, "accuracy").values()
    assert line.startswith("measured at `0123abc` with changes that were not committed on ") and "since" not in line
    report["code"] = {"the kernels": "another", "the Python code": fingerprints.of("accuracy")["the Python code"]}
    assert measured.standing(fresh, "accuracy")["accuracy"].endswith("**changed since: the kernels**")


def test_measuring_writes_each_file_as_soon_as_it_is_there(tmp_path, monkeypatch):
    measure = module("measure")
    assert {path.stem for path in FILES if path.parent.name == "amd-zen-5"} == measure.jobs([], [], []).keys()

    def bench(subject, name, *arguments):
        if name == "flux":
            raise ChildProcessError("no luck")
        command = f"{measure.sys.executable} {subject} {name}"
        return {"command": command, "date": "2026-11-26", "rows": [1, {"a": 2}], "notes": []}

    monkeypatch.setattr(measure, "bench", bench)
    result = CliRunner().invoke(measure.main, ["--only", "tutorial", "--output", str(tmp_path)])
    assert result.exit_code == 1 and "tutorial-flux: no luck" in result.output
    (kind,) = measured.kinds(tmp_path)
    assert kind.name == provenance.processor_kind() and len(kind.files) == len(tutorials.CASES) - 1
    assert kind.files["tutorial-scratch-full"] == {
        "command": "PYTHON tutorials scratch --full", "date": "2026-11-26", "rows": [1, {"a": 2}], "notes": [],
        "code": fingerprints.of("tutorial-scratch-full"),
    }  # fmt: skip
    assert CliRunner().invoke(measure.main, ["--only", "nonsense"]).exit_code == 2
