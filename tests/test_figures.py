"""Figures that people read are those that were measured, and say where the code has changed since."""

import importlib
import json
import platform
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

ROOT = Path(__file__).parent.parent
MEASUREMENTS = ROOT / "benchmarks" / "measurements"
FILES = sorted(MEASUREMENTS.glob("*/*.json"))


def module(name):
    """One of benchmarks/, which is no package."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "benchmarks")
        return importlib.import_module(name)


results, measured, fingerprints, learning = map(module, ("results", "measured", "fingerprints", "learning"))
measure, provenance, tutorials = map(module, ("measure", "provenance", "tutorials"))


@pytest.fixture
def copy(tmp_path):
    """All texts with figures, as they are where there is one kind of processor alone."""
    for path in results.TEXTS:
        (tmp_path / path).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / path, tmp_path / path)
    shutil.copytree(MEASUREMENTS / "amd-zen-4", tmp_path / "benchmarks/measurements/amd-zen-4")
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
    assert re.fullmatch("[0-9a-f]{7,}", report["commit"]) and report["code"].keys() >= {"the kernels"}


def test_a_figure_that_differs_is_found_wherever_it_stands(copy):
    assert results.differences(copy) == []

    def faster(report):
        (beside,) = (row for row in report["comparisons"] if row["batch"] == 128 and row["peer"] == "PyTorch"
                     and row["isa"] == "avx512")  # fmt: skip
        beside["ratio"]["median"] = 9.87

    folder = copy / "benchmarks/measurements/amd-zen-4"
    edit(folder / "training-flux.json", faster)
    files = [line[4:] for line in results.differences(copy) if line.startswith("---")]
    assert files == ["benchmarks/results.md", "benchmarks/results.svg", "README.md", "docs/index.md"]
    edit(folder / "tutorial-flux.json", lambda report: report["rows"][0].update(seeds=[7]))
    assert any(line.startswith("+| `flux`") and "; seeds 7 |" in line for line in results.differences(copy))


def test_a_kind_that_is_half_measured_has_a_column_but_speeds_are_of_a_whole_one(copy):
    folder = copy / "benchmarks/measurements/arm-something"
    folder.mkdir()
    shutil.copy(MEASUREMENTS / "amd-zen-4/tutorial-flux.json", folder)
    assert "## ARM Something" in results.made(copy)["benchmarks/results.md"]
    shutil.copy(MEASUREMENTS / "amd-zen-4/training-flux.json", folder)
    edit(folder / "training-flux.json", lambda report: report.update(date="2999-01-01"))
    kinds = measured.kinds(copy / "benchmarks/measurements")
    assert [kind.label for kind in kinds][:2] == ["ARM Something", "AMD Zen 4"]
    made = results.made(copy)
    start = made["docs/index.md"]
    assert "Images a second are of AMD Zen 4." in start and "ratio, ARM Something" in start
    assert "AMD Zen 4: tutorial (" in made["docs/tutorials.md"]
    assert "ARM Something: tutorial (flux): measured at" in made["docs/tutorials.md"]
    assert "## ARM Something" in made["benchmarks/results.md"] and "ARM Something" in made["benchmarks/results.svg"]


def test_texts_show_what_was_measured_with_this_code(copy):
    measurements = copy / "benchmarks/measurements"
    shutil.copytree(measurements / "amd-zen-4", measurements / "arm-something")
    for path in (measurements / "arm-something").iterdir():
        edit(path, lambda report, name=path.stem: report.update(code=fingerprints.of(name)))
    made = results.made(copy)
    assert "AMD Zen 4" in made["benchmarks/results.md"] and "changed since" in made["benchmarks/results.md"]
    for path in results.TEXTS[:3]:  # what has not been measured yet is not in the others
        assert "ARM Something" in made[path] and "Zen 4" not in made[path] and "changed since" not in made[path]
    (measurements / "arm-something/training-flux.json").unlink()
    made = results.made(copy)  # what was measured nowhere else keeps the others
    assert all("ARM Something" in made[path] and "AMD Zen 4" in made[path] for path in results.TEXTS[:2])


def test_what_changed_since_is_said(tmp_path):
    for path in ("csrc/run.c", "csrc/cuda/run.c", "pymnistcnn/plan.py", "pymnistcnn/plots/a.py",
                 "pymnistcnn/cli/bench.py", "pymnistcnn/tutorials/flux.py",
                 "pymnistcnn/benchmarking/networks.py"):  # fmt: skip
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
    assert changed_by("pymnistcnn/plots/a.py", "accuracy-best") == []

    kind, name = next((kind, name) for kind in measured.kinds() for name in kind.files if name == "accuracy-fast")
    report = {**kind.files[name], "code": fingerprints.of(name), "commit": "0123abc", "clean": False}
    fresh = replace(kind, files={name: report})
    (line,) = measured.standing(fresh, "accuracy").values()
    assert line.startswith("measured at `0123abc` with changes that were not committed on ") and "since" not in line
    report["code"] = {"the kernels": "another", "the Python code": fingerprints.of(name)["the Python code"]}
    assert measured.standing(fresh, "accuracy")["accuracy (fast)"].endswith("**changed since: the kernels**")


def test_measuring_writes_each_file_as_soon_as_it_is_there(tmp_path, monkeypatch):
    of_recipe = "accuracy-", "robustness-"
    jobs = measure.jobs([], [], None, tmp_path)
    there = {path.stem for path in FILES if not path.stem.startswith(of_recipe)} - {"training"}  # of all networks, once
    assert {name for name in jobs if not name.startswith(of_recipe)} == there
    of_recipes = {f"{what}-{name}" for what in ("accuracy", "robustness") for name in measure.RECIPES if name != "few"}
    assert of_recipes <= jobs.keys()

    def tutorial(name, seeds):
        if name == "flux":
            raise ChildProcessError("no luck")
        command = f"{measure.sys.executable} {name}"
        return {"command": command, "date": "2026-11-26", "machine": {}, "rows": [1, {"a": 2}], "notes": []}

    monkeypatch.setattr(measure, "tutorial", tutorial)
    result = CliRunner().invoke(measure.main, ["--only", "tutorial", "--output", str(tmp_path)])
    assert result.exit_code == 1 and "tutorial-flux: no luck" in result.output
    (kind,) = measured.kinds(tmp_path)
    assert kind.name == provenance.processor_kind() and len(kind.files) == len(tutorials.CASES) - 1
    assert kind.files["tutorial-scratch-full"] == {
        "command": "PYTHON scratch --full", "date": "2026-11-26", "machine": {"processor": kind.name},
        "rows": [1, {"a": 2}], "notes": [], **provenance.source(), "code": fingerprints.of("tutorial-scratch-full"),
    }  # fmt: skip
    assert CliRunner().invoke(measure.main, ["--only", "nonsense"]).exit_code == 2


def test_bf16_beside_float32_seed_by_seed(tmp_path, monkeypatch):
    precision, page = measure.precision, module("page")
    full, bf16 = (str(measure.default_target(which)) for which in ("full", "bf16"))
    path = tmp_path / provenance.processor_kind() / "tutorial-mccaffrey.json"
    path.parent.mkdir()
    before = {"isa": full, "dtype": "float32", "seed": 1, "test_accuracy": 0.99, "full_test_accuracy": 0.92}
    path.write_text(json.dumps({"rows": [{"runs": [before, before | {"dtype": "float64", "seed": 2}]}]}))
    ran = []

    def run(name, seed, isa, threads, dtype):
        assert dtype == "float32"
        ran.append((name, seed, isa, threads))
        return before | {"isa": isa, "seed": seed, "full_test_accuracy": 0.93 if isa == bf16 else 0.91}

    monkeypatch.setattr(measure.tutorials, "run", run)
    row = precision.measure("mccaffrey", 2, 2, tmp_path)
    assert ran == [("mccaffrey", 2, full, 2), ("mccaffrey", 1, bf16, 2), ("mccaffrey", 2, bf16, 2)]
    assert (row.full, row.bf16, row.seeds, row.network) == ([0.92, 0.91], [0.93, 0.93], [1, 2], "mccaffrey")
    assert row.points == pytest.approx(1.5) and row.standard_error == pytest.approx(0.5)
    assert not row.verdict().reached and row.verdict().words().endswith("1.5 points, at most 0.05 points")
    assert row.as_dict()["points"] == row.points
    kind = of_kind("arm-something", precision_mccaffrey={"rows": [row.as_dict()]})
    assert "| mccaffrey | +1.500 ± 0.500 |" in page.in_bf16([kind])
    assert precision.measure("flux", 1, 2, tmp_path).standard_error == 0.0


# ---- what recipes learn ----


def learnt(recipe, data="MNIST", protocol="", mean=0.995):
    return {
        "recipe": recipe, "data": data, "protocol": protocol, "isa": "avx512", "threads": 2, "seeds": 10, "mean": mean,
        "deviation": 0.0004, "low": mean - 0.001, "high": mean + 0.001, "shifted": mean + 0.0001,
        "calibration_error": 0.0123, "epochs": 7,
        "parameters": 12_345, "multiply_adds": 678_901, "seconds": {"median": 4.25, "low": 4.0, "high": 5.0},
    }  # fmt: skip


def of_kind(name, **files):
    """A kind of processor, of which these rows, verdicts or both were measured."""
    usual = {"date": "2026-11-27", "commit": "0123abc", "clean": True, "rows": []}
    return measured.Kind(name, {file.replace("_", "-"): usual | {"code": fingerprints.of(file)} | report
                                for file, report in files.items()})  # fmt: skip


def test_tables_of_what_recipes_learn():
    here = of_kind("arm-something", accuracy_best={"rows": [learnt("best", mean=0.9972)]},
                   accuracy_best_fashion={"rows": [learnt("best", "Fashion-MNIST", mean=0.945)]},
                   accuracy_split={"rows": [learnt("best", protocol="validation split")]})  # fmt: skip
    there = of_kind("amd-zen-9", accuracy_fast={"rows": [learnt("fast")]}, accuracy_best={"rows": [learnt("best")]})
    lines = learning.on_mnist("", [here, there]).splitlines()
    assert lines[1].endswith("| seconds, ARM Something | seconds, AMD Zen 9 |")
    seconds = "**4.25** (4.00 to 5.00)"
    right = "**99.72 %** (0.04 %; 99.62 % to 99.82 %) | 99.73 % | 1.23 %"
    assert lines[4] == f"| best | 12,345 | 678,901 | 7 | 10 | {right} | {seconds} | {seconds} |"
    assert lines[3].startswith("| fast | ") and f"|  | {seconds} |" in lines[3] and len(lines) == 8
    (row,) = [line for line in learning.elsewhere("", [here, there]).splitlines() if line.startswith("| best")]
    assert row.startswith("| best | Fashion-MNIST |  | ") and "94.50 %" in row
    assert here.learnt("best")["mean"] == 0.9972 and here.learnt("no-such") is None


def test_what_is_not_there_is_not_measured_yet():
    nothing = of_kind("arm-something")
    for region in (learning.on_mnist, learning.elsewhere, learning.steady):
        assert region("", [nothing]) == "\nNot measured yet.\n"
    rows = learning.goals("", [nothing]).splitlines()[3:]
    assert len(rows) >= 16 and all(row.endswith("|  |") for row in rows)


def test_goals_are_shown_with_what_came_of_them():
    def verdict(value):
        return {"what": "accurate, training", "measured": value, "bound": 6, "reached": value <= 6}

    younger = of_kind("arm-something", accuracy_accurate={"targets": [verdict(16.5)]})
    older = of_kind("amd-zen-9", accuracy={"targets": [verdict(5.0)]})
    rows = learning.goals("", [younger, older]).splitlines()
    assert "| accurate, training | 16.5 s | at most 6 s |  | **missed** |" in rows
    assert "| accurate, mean test accuracy |  | at least 99.5 % | 99.59 % |  |" in rows


def test_of_several_reports_on_a_goal_the_best_counts():
    def verdict(measured, what="tiny", at_most=False):
        return {"what": what, "measured": measured, "unit": " %", "bound": 99.5, "at_most": at_most, "reached": False}

    kind = of_kind("arm-something", accuracy_a={"targets": [verdict(99.4), verdict(3, "slow", True)]},
                   accuracy_b={"targets": [verdict(99.6), verdict(4, "slow", True), verdict(None, "none")]},
                   accuracy_c={"targets": [verdict(None)]})  # fmt: skip
    assert [(one["what"], one["measured"]) for one in kind.verdicts()] == [("tiny", 99.6), ("slow", 3), ("none", None)]


def test_the_table_of_varied_pictures():
    figures = [
        {"kind": kind, "strength": strength, "accuracy": 0.9 - 0.001 * at, "calibration_error": 0.01 * at}
        for at, (kind, strength) in enumerate(learning.ALL)
    ]
    best, fast = ({"rows": [{"recipe": recipe, "seeds": 3, "figures": figures}]} for recipe in ("best", "fast"))
    kind = of_kind("arm-something", robustness_best=best, robustness_fast=fast)
    lines = learning.steady("", [kind]).splitlines()
    assert "| test pictures: accuracy, % | fast | best |" in lines
    assert "| shifted | 89.9 / 89.8 / 89.7 | 89.9 / 89.8 / 89.7 |" in lines
    assert "| turned | 4.0 / 5.0 / 6.0 | 4.0 / 5.0 / 6.0 |" in lines and "| untouched | 90.0 | 90.0 |" in lines
    assert lines[-1].startswith("Seeds: fast 3, best 3. ARM Something: measured at `0123abc` on 2026-11-27")


def test_goals_of_recipes_are_jobs(tmp_path, monkeypatch):
    for name in ("best", "few", "tiny-a"):
        monkeypatch.setitem(measure.RECIPES, name, None)
    jobs = measure.learning(tmp_path, None)
    names = (
        "best",
        "best-fashion-mnist",
        "best-sklearn-digits",
        "best-5-networks",
        "few-1000-samples",
        "tiny-a",
    )
    assert {f"accuracy-{name}" for name in names} < {*jobs}
    asked = {name: " ".join(job.args[1:]) for name, job in jobs.items()}
    assert asked["accuracy-best-sklearn-digits"] == (
        "accuracy --recipe best --data sklearn-digits --folds 10 --threads 2 --seeds 10"
    )
    assert asked["accuracy-few-1000-samples"] == "accuracy --recipe few --samples 1000 --threads 2 --seeds 10"
    assert asked["accuracy-best-5-networks"] == "accuracy --recipe best --networks 5 --threads 2 --seeds 5"
    assert asked["accuracy-tiny-a"].endswith("--seeds 10")
    assert asked["robustness-tiny-a"] == "robustness tiny-a --threads 2 --seeds 10"
    assert not {"accuracy-few", "robustness-few"} & asked.keys()  # which is for few pictures alone


def test_what_is_half_measured_is_gone_on_with(tmp_path, monkeypatch):
    calls = []

    def bench(command, cwd):
        calls.append(command)
        Path(command[-2] if command[-1] == "--check" else command[-1]).write_text('{"command": "mine", "rows": [1]}')
        return subprocess.CompletedProcess(command, len(calls) - 1)

    monkeypatch.setattr(measure.subprocess, "run", bench)
    path = tmp_path / "half-measured" / "accuracy-fast.json"
    made = measure.kept(path, "accuracy", "--recipe", "fast", check=["--check"])
    assert made == {"command": "pymnistcnn bench accuracy --recipe fast --check", "rows": [1]} and len(calls) == 2
    with pytest.raises(ChildProcessError, match="bench accuracy --recipe fast failed"):  # of an error, nothing is taken
        measure.kept(path, "accuracy", "--recipe", "fast", check=["--check"])


# ---- tutorials ----


def test_tutorials_are_of_several_seeds():
    report = measure.tutorial("scratch", 2)
    (row,) = report["rows"]
    assert (row["tutorial"], row["seeds"], row["threads"], row["dtype"]) == ("scratch", [0, 1], 2, "float64")
    assert report["command"] == "pymnistcnn tutorial scratch" and report["machine"]["fma_peak_gflops"][0] > 0
    accuracies = [of_seed["test_accuracy"] for of_seed in row["runs"]]
    assert row["means"]["test_accuracy"] == [
        {"mean": pytest.approx(sum(accuracies) / 2), "low": min(accuracies), "high": max(accuracies)}
    ]
    assert min(accuracies) > 0.7 and row["seconds"]["low"] > 0


def test_what_a_tutorial_says_is_a_mean_each():
    runs = [
        dict(test_accuracy=last, epoch_accuracies=[0.5, last], train_seconds=1.0, seed=seed, isa="avx2", threads=2,
             dtype="float64", epochs=2)
        for seed, last in enumerate((0.25, 0.75))
    ]  # fmt: skip
    row = tutorials.row("gorgonia", runs)
    means = row.means["epoch_accuracies"]
    assert [mean.mean for mean in means] == [0.5, 0.5] and (means[1].low, means[1].high) == (0.25, 0.75)
    assert tutorials.seeds_of("mccaffrey") == range(1, 6) and tutorials.seeds_of("mccaffrey", 2) == range(1, 3)


# ---- where it comes from ----


@pytest.mark.parametrize(
    "cpuinfo, kind",
    [
        ("AuthenticAMD 25 17", "amd-zen-4"), ("AuthenticAMD 25 33", "amd-zen-3"), ("AuthenticAMD 26 2", "amd-zen-5"),
        ("GenuineIntel 6 143", "intel-sapphire-rapids"), ("GenuineIntel 6 85", "intel-family-6-model-85"),
        ("HygonGenuine 24 1", "hygongenuine-family-24-model-1"),
    ],
)  # fmt: skip
def test_a_processor_has_a_kind(cpuinfo, kind):
    vendor, family, model = cpuinfo.split()
    block = f"processor\t: 0\nvendor_id\t: {vendor}\ncpu family\t: {family}\nmodel\t\t: {model}\nmodel name\t: EPYC\n"
    assert provenance.processor_kind(f"{block}\n{block}\n") == kind
    assert provenance.processor_kind("CPU implementer\t: 0x41\n") == platform.machine()


def test_a_measurement_says_which_commit_it_is_of(tmp_path, monkeypatch):
    def git(*arguments):
        subprocess.run(["git", "-C", tmp_path, "-c", "user.name=a", "-c", "user.email=a", *arguments], check=True)

    shutil.copytree(provenance.PACKAGE, tmp_path / "pymnistcnn", ignore=shutil.ignore_patterns("data", "__pycache__"))
    monkeypatch.setattr(provenance, "checkout", lambda: tmp_path)
    assert provenance.source() == {"commit": None, "clean": None}  # a folder, but no repository
    if shutil.which("git") is None:
        return
    git("init", "--quiet")
    git("add", ".")
    git("commit", "--quiet", "--message", "all")
    made = provenance.source()
    assert made["clean"] and len(made["commit"]) >= 7
    with (tmp_path / "pymnistcnn" / "plan.py").open("a") as file:
        file.write("# changed, and not installed\n")
    assert provenance.source() == {**made, "clean": False}
    git("commit", "--quiet", "--all", "--message", "changed")  # a commit now, but not what is installed
    later = provenance.source()
    assert later["commit"] != made["commit"] and not later["clean"]
    monkeypatch.setattr(provenance, "checkout", lambda: None)
    assert provenance.source() == {"commit": None, "clean": None}
