"""`pymnistcnn bench`: the tables and objects it makes, on measurements too short to mean anything."""

import json
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from click.testing import CliRunner

import pymnistcnn as pm
from pymnistcnn.benchmarking import (
    accuracy,
    comparing,
    kernels,
    measuring,
    peers,
    targets,
    training,
    workers,
)
from pymnistcnn.benchmarking.networks import NETWORKS
from pymnistcnn.benchmarking.protocol import Protocol
from pymnistcnn.benchmarking.workers import Worker, WorkerFailed
from pymnistcnn.cli import main
from pymnistcnn.processors import processors
from pymnistcnn.target import ISAS, ISAS_OF_BF16

QUICK = ["--seconds", "0.001", "--rounds", "2", "--threads", "1"]
SCRIPTS = Path(__file__).parent.parent / "benchmarks" / "peers"


def run(*arguments, exit_code=0):
    result = CliRunner().invoke(main, ["bench", *map(str, arguments)])
    assert result.exit_code == exit_code, result.output
    return result.stdout


@pytest.mark.parametrize("case", kernels.CASES)
def test_every_case_has_its_kernels(case):
    rows = json.loads(run("kernels", case, *QUICK, "--isa", "portable", "--json"))["rows"]
    assert all(row["case"] == case and row["microseconds"]["low"] > 0 for row in rows)
    names = {row["kernel"] for row in rows}
    multiplying = [row for row in rows if row["gflops"]]
    if kernels.CASES[case][0]()[0].multiply_adds(kernels.CASES[case][1]):
        assert len(multiplying) == 3 and all(0 < row["share"]["low"] for row in multiplying)
    assert any("forward" in name or "apply" in name for name in names) and len(names) >= 2


def test_the_table_of_kernels():
    lines = run("kernels", "mlp linear1", *QUICK).splitlines()
    assert "FMA peak of" in lines[0] and lines[2].startswith("    pymnistcnn")
    table = [line for line in lines if line.startswith("|")]
    assert table[0].startswith("| layer | kernel | isa | threads |")
    assert len(table) == 2 + 3 * len(ISAS)  # three products, each instruction set


@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_is_measured(name):
    rows = json.loads(run("training", name, *QUICK, "--batch-size", 8, "--json"))["rows"]
    assert [(row["task"], row["batch"]) for row in rows] == [("training", 8), ("inference", 1), ("inference", 1000)]
    assert all(row["images_per_second"]["low"] > 0 and row["gflops"]["low"] > 0 for row in rows)
    assert all(row["peak_megabytes"] > row["workspace_megabytes"] for row in rows)


def test_a_device_is_measured_like_an_instruction_set(tmp_path):
    output = tmp_path / "report.json"
    arguments = ["training", "scratch", *QUICK, "--batch-size", 1, "--device", "emulated", "--precision", "tf32"]
    run(*arguments, "--check", "--output", output, exit_code=1)  # there is nothing to be twice as fast as
    report = json.loads(output.read_text())
    assert [(row["isa"], row["threads"], row["share"]) for row in report["rows"]] == [("emulated-tf32", 1, None)] * 3
    assert [target["what"] for target in report["targets"]] == ["scratch (1), training, emulated-tf32"]
    assert "emulated-tf32" in run(*arguments)
    run(*arguments, "--profile", exit_code=2)


def test_a_profile_says_where_the_time_goes():
    (profile,) = json.loads(run("training", "flux", "--threads", 1, "--profile", "--seconds", 0.05, "--json"))[
        "profiles"
    ]
    shares = [share for _, _, share, _ in profile["ops"]]
    assert sum(shares) == pytest.approx(1) and shares == sorted(shares, reverse=True)
    assert {op for op, _, _, _ in profile["ops"]} >= {"conv_forward", "noise", "cross_entropy", "update"}
    assert "| conv_forward |" in run("training", "flux", "--threads", 1, "--profile", "--seconds", 0.05)


def test_the_work_of_a_step_is_counted():
    network = NETWORKS["scratch"]().model.network
    forward = 26 * 26 * 8 * 9 + 1352 * 10
    assert training.dense_flops(network, training=False) == 2 * forward
    assert training.dense_flops(network, training=True) == 2 * (3 * forward - 26 * 26 * 8 * 9)


def test_figures_and_tables():
    figure = measuring.Figure.of([3.0, 1.0, 2.5])
    assert (figure.median, figure.text(1)) == (2.5, "2.5 (1.0 to 3.0)")
    assert all(measuring.fma_peak(ISAS[-1], threads=threads, seconds=0.001) > 0.1 for threads in (1, 2))
    assert measuring.markdown(["a", "b"], [[1, 2]]) == "| a | b |\n| --- | ---: |\n| 1 | 2 |"


# ---- workers ----


def saying(code):
    """A worker of this line of Python, which has what it takes to speak."""
    return dict(name="it", command=[sys.executable, "-c", f"import sys, time; {code}"], job={})


def test_ours_answers_as_often_as_it_is_asked():
    for job in (
        dict(task="training", network="scratch", batch=None),
        dict(task="inference", network="scratch", batch=1000),
        dict(task="kernel", case="mlp linear1"),
    ):
        with workers.ours(**job, isa="portable", threads=1) as worker:
            assert worker.facts == {"version": pm.__version__}
            answers = [worker.measure(0.001), worker.measure(0.001)]
        assert all(answer["images_per_second"] > 0 and answer["fma_peak_gflops"] > 0 for answer in answers)
        assert all(10 < answer["peak_megabytes"] < 1000 for answer in answers)
        assert worker._process.poll() is not None


def test_turns_are_by_turns():
    echo = saying("[print('{\"images_per_second\": %d}' % time.monotonic_ns(), flush=True) for _ in sys.stdin]")
    with Worker(**echo) as a, Worker(**echo) as b:
        answers = workers.turns([a, b], 3, 0.001)
    times = [answer["images_per_second"] for pair in zip(*answers, strict=True) for answer in pair]
    assert len(times) == 6 and times == sorted(times)


@pytest.mark.parametrize(
    "code, words",
    [
        ("print('well', file=sys.stderr); sys.exit('no luck')", "it: no luck"),
        ("sys.exit(3)", "it: ended without a word, exit code 3"),
        ("print('hello', flush=True); time.sleep(9)", "it: answered b'hello', which is not JSON"),
        ("time.sleep(9)", "it: no answer in 0 seconds"),
    ],
)
def test_a_worker_that_does_not_start_is_one_line(code, words):
    with pytest.raises(WorkerFailed) as raised:
        Worker(**saying(code), start_seconds=0.4 if "no answer" in words else 30)
    assert str(raised.value) == words


def test_a_worker_that_dies_or_is_not_there_is_one_line():
    with Worker(**saying("input(); print('{}', flush=True); input(); sys.exit('out of memory')")) as worker:
        for _ in range(2):  # the second request has nobody to read it
            with pytest.raises(WorkerFailed, match="^it: out of memory$"):
                worker.measure(0.001)
    with pytest.raises(WorkerFailed, match="^it: /nowhere/python: No such file"):
        Worker("it", ["/nowhere/python"], {})


def test_ctrl_c_ends_the_workers_too():
    arguments = ["training", "scratch", "--batch-size", "1", "--threads", "1", "--seconds", "30"]
    command = workers.our_python("-m", "pymnistcnn", "bench", *arguments)
    command = subprocess.Popen(command, env=workers.our_environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    children, until = [], time.monotonic() + 60
    while not children and time.monotonic() < until:
        time.sleep(0.05)
        children = Path(f"/proc/{command.pid}/task/{command.pid}/children").read_text().split()
    command.send_signal(signal.SIGINT)
    out, _ = command.communicate(timeout=60)
    assert command.returncode == 130 and out == b""
    # A worker that was just being started ends by itself, as its stdin does; one that measures has 30 seconds to go.
    until = time.monotonic() + 10
    while any(Path(f"/proc/{child}").exists() for child in children) and time.monotonic() < until:
        time.sleep(0.05)
    assert children and not any(Path(f"/proc/{child}").exists() for child in children)


# ---- peers ----


def test_missing_peers_are_named(tmp_path):
    found, missing = peers.find([sys.executable], tmp_path)
    assert found == [] and len(missing) == len(peers.PEERS)
    assert all(peer.name in line and peer.script in line for peer, line in zip(peers.PEERS, missing, strict=True))
    found, missing = peers.find(["/nowhere/python"], SCRIPTS)
    assert found == [] and "no module torch in /nowhere/python" in missing[0]
    report = json.loads(
        run("training", "scratch", *QUICK, "--batch-size", 1, "--peers", "--peer-folder", tmp_path, "--json")
    )
    assert any("PyTorch is missing" in note for note in report["notes"])
    assert any("MXNet 1.9.1 is left out" in note for note in report["notes"])
    assert report["comparisons"] == []


def test_a_peer_beside_ours(tmp_path):
    for name in ("serving.py", "numpy_scratch.py"):
        shutil.copy(SCRIPTS / name, tmp_path)
    output = tmp_path / "report.json"
    run("training", "scratch", *QUICK[:4], "--batch-size", 1, "--peers", "--peer-folder", tmp_path, "--output", output)
    report = json.loads(output.read_text())
    beside = [(c["task"], c["batch"], c["peer"]) for c in report["comparisons"]]
    ones = [(task, batch, comparing.OURS) for task, batch in (("training", 1), ("inference", 1), ("inference", 1000))]
    assert beside == [ones[0], ("training", 1, peers.NUMPY), *ones[1:]]  # ours with 2 threads beside 1, too
    numpy = report["comparisons"][1]
    assert numpy["ratio"]["low"] > 1 and numpy["setting"] == "1 thread" and numpy["peak_megabytes"] > 0


def test_the_best_setting_is_found_and_failures_are_named():
    settings = tuple(peers.Setting(n, compiled=c) for n in (1, 2) for c in (False, True))
    found = peers.Found(
        peers.Peer("a library", "numpy", "numpy_scratch.py", settings), sys.executable, Path("/nowhere"), "1"
    )
    best, failures = found.best({}, "portable", True, 0.001)
    assert best is None and len(failures) == 4 and failures[0].startswith("a library (1 thread): ")
    with peers.data_folder() as folder:
        found = replace(found, script=SCRIPTS / "numpy_scratch.py")
        job = training.network_job("scratch", "training", 1, folder, "portable")
        assert found.best(job, "portable", False, 0.001)[0] in settings


def test_peers_do_what_their_library_can():
    does = {peer.name: peer.does for peer in peers.PEERS}
    assert does["PyTorch"]("flux", "training", 1, "bf16") and not does["JAX"]("flux", "training", 1, "bf16")
    assert does["scikit-learn"]("mxnet-mlp", "training", 100, "full")
    assert not does["scikit-learn"]("flux", "training", 100, "full")
    assert does["OpenVINO"]("flux", "serving", 1, "bf16") and not does["OpenVINO"]("flux", "training", 1, "full")
    assert does[peers.NUMPY]("scratch", "training", 1, "full") and not does[peers.NUMPY](
        "scratch", "training", 2, "full"
    )


def test_a_network_goes_to_a_peer_as_a_file(tmp_path):
    onnx = pytest.importorskip("onnx", reason="needs onnx")
    job = training.network_job("flux", "serving", 1, str(tmp_path), "portable")
    assert Path(job["images"]).name == "inference_images.npy"
    graph = onnx.load(job["onnx"]).graph
    assert [node.op_type for node in graph.node][:2] == ["Conv", "Relu"]  # pictures come scaled
    assert training.network_job("flux", "training", 1, str(tmp_path), "portable")["onnx"] is None


def test_serving_tells_what_clients_wait(tmp_path):
    arguments = ["serving", "scratch", "--clients", 1, "--clients", 2, "--seconds", 0.01, "--rounds", 2]
    rows = json.loads(run(*arguments, "--json"))["rows"]
    assert [(row["clients"], row["library"], row["ratio"]) for row in rows] == [
        (n, comparing.OURS, None) for n in (1, 2)
    ]
    assert all(0 < row["median_microseconds"]["low"] <= row["late_microseconds"]["high"] for row in rows)
    settings = [row["setting"] for row in rows]
    assert settings == [threads_of(max(1, processors() // n)) for n in (1, 2)]
    assert "| scratch | 2 | " in run(*arguments, "--threads", 3) and "| 3 threads |" in run(*arguments, "--threads", 3)


def threads_of(n):
    return f"{n} thread" + "s" * (n > 1)


def test_peers_are_told_of_every_network_and_layer():
    for name in NETWORKS:
        job = training.network_job(name, "training", 1, "folder", "portable")
        assert json.loads(json.dumps(job))["layers"][-1]["shape"]
        assert "Rescaling" not in {layer["type"] for layer in job["layers"]}


# ---- targets ----


def figure(value):
    return measuring.Figure(value, value, value)


def made_up(ratio):
    """A run of everything, in which every ratio and share is the same."""
    rows, comparisons = [], []
    for name in NETWORKS:
        jobs = [("training", batch) for batch in {NETWORKS[name]().batch_size, *training.BATCHES}]
        for task, batch in [*jobs, *(("inference", batch) for batch in training.INFERENCE)]:
            rows.append(training.Row(name, task, batch, "avx512", 2, *[figure(ratio)] * 3, 1.0, 100.0))
            for peer in (targets.PYTORCH, targets.OURS, peers.NUMPY, *targets.DEPLOYED):
                for isa in ("avx512", "avx2"):
                    comparisons.append(
                        comparing.Comparison(
                            name, task, batch, isa, 2, figure(1), peer, "", figure(1), 1.0, figure(ratio)
                        )
                    )
    return rows, comparisons


def test_targets_of_training():
    assert targets.missed(targets.of_training(*made_up(1000))) == []
    verdicts = targets.of_training(*made_up(3.2))
    lines = targets.missed(verdicts)
    least = targets.TRAINING["gorgonia"][0]
    assert f"gorgonia (100), training: 3.2x PyTorch, at least {least}x PyTorch" in lines
    assert "scratch (1), training: 3.2x NumPy, at least 1,000x NumPy" in lines
    assert "mxnet-lenet (1000), inference: 3.2x PyTorch, at least 3.5x PyTorch" in lines
    reached = {verdict.what for verdict in verdicts if verdict.reached}
    assert {"mxnet-mlp (100), training", "flux (1), inference", "flux (10), training"} <= reached
    beside = {verdict.what: verdict for verdict in verdicts if "OpenVINO" in verdict.unit}
    assert len(beside) == 2 * len(NETWORKS) and all(verdict.reached for verdict in beside.values())
    nothing = targets.of_training([], [])
    assert len(nothing) == len(verdicts) and not any(verdict.reached for verdict in nothing)
    assert "flux (128), training step: not measured, at least 100 % of the FMA peak" in targets.missed(nothing)
    assert {v.what.split()[0] for v in targets.of_training([], [], ["flux"])} == {"flux"}


def test_a_predictor_is_held_to_the_better_runtime():
    rows, comparisons = made_up(2)

    def verdict(comparisons):
        of_flux = targets.of_training(rows, comparisons, ["flux"])
        return next(v for v in of_flux if v.what == "flux (1000), inference" and "OpenVINO" in v.unit)

    assert verdict(comparisons).measured == 2
    slower = [replace(c, ratio=figure(1.7)) if c.peer == peers.OPENVINO else c for c in comparisons]
    assert (verdict(slower).measured, verdict(slower).reached) == (1.7, False)
    assert verdict([c for c in comparisons if c.peer != peers.ONNX_RUNTIME]).measured is None


def test_targets_of_kernels_and_of_accuracy():
    def kernel(share, isa="avx512"):
        return kernels.Row("lenet conv2", "conv_forward", isa, 2, figure(1), figure(1), figure(share))

    assert targets.missed(targets.of_kernels([kernel(0.75)], ["lenet conv2", "mlp linear1"])) == []
    assert len(targets.missed(targets.of_kernels([kernel(0.74)], ["lenet conv2"]))) == 1
    assert "not measured" in targets.missed(targets.of_kernels([kernel(0.9, "avx2")], ["lenet conv2"]))[0]
    cases = {verdict.what.split(",")[0] for verdict in targets.of_kernels([])}
    assert {"lenet conv2", "dense 3x3"} <= cases and not cases & {"lenet conv1", "depthwise 3x3", "mlp linear1"}

    fast = targets.learning(["fast"], "MNIST", Protocol())
    assert targets.missed(targets.of_accuracy([learnt()], fast)) == []
    late = targets.of_accuracy([learnt(seconds=1.1)], fast)
    assert targets.missed(late) == [
        "fast, training: 1.1 s, at most 1 s",
        "fast, from command to file: 1.35 s, at most 1 s",
    ]
    assert len(targets.missed(targets.of_accuracy([learnt(seeds=9)], fast))) == 3  # too few seeds
    everything = targets.of_accuracy([], targets.learning([], "MNIST", Protocol()))
    assert len(everything) == 14 and not any(verdict.reached for verdict in everything)


def learnt(recipe="fast", right=0.99, seconds=0.7, seeds=10, parameters=35_610, around=0.25, **settings):
    """A row as of a measurement."""
    settings = {"recipe": recipe, "data": "MNIST", **asdict(Protocol()), "isa": "avx512", "threads": 2} | settings
    seen = right, 0.1, seconds, 1, parameters, 10**6, 0.01, 0.9, 0.5, right + 0.001
    runs = [accuracy.Run(seed, *seen) for seed in range(seeds)]
    return accuracy.Row(settings, runs, figure(around))


def test_shifted_pictures_have_goals_of_their_own():
    verdicts = targets.of_accuracy([learnt("small", 0.9965, 60, parameters=53_114)],
                                   targets.learning(["small"], "MNIST", Protocol()))  # fmt: skip
    assert [(v.measured, v.reached) for v in verdicts] == [(99.65, False), (60, True), (pytest.approx(99.75), True)]
    assert verdicts[2].what == "small, at most 60,000 parameters, shifted pictures averaged, mean test accuracy"


def test_small_recipes_are_found_by_their_parameters():
    rows = [learnt("tiny-a", 0.991, parameters=690), learnt("tiny-b", 0.996, parameters=8_000)]
    verdicts = targets.of_accuracy(rows, targets.learning(["tiny-a", "tiny-b"], "MNIST", Protocol()))
    assert [(v.measured, v.reached) for v in verdicts] == [(99.1, True), (99.1, False), (99.6, True)]
    assert verdicts[1].what == "tiny, at most 4,800 parameters, mean test accuracy"
    assert targets.learning(["no-such"], "MNIST", Protocol()) == []


def test_goals_are_of_their_data_and_protocol():
    (few,) = targets.learning([], "MNIST", Protocol(samples=1000))
    row = learnt("few", 0.975, samples=1000)
    assert [v.reached for v in targets.of_accuracy([row], [few])] == [True]
    assert targets.of_accuracy([learnt("few", 0.975)], [few])[0].measured is None
    fashion = targets.learning(["best"], "Fashion-MNIST", Protocol())
    made = targets.of_accuracy([learnt("best", 0.95, 130, data="Fashion-MNIST", isa="avx512-bf16")], fashion)
    assert [(v.what, v.reached) for v in made] == [
        ("best, Fashion-MNIST, mean test accuracy", True),
        ("best, Fashion-MNIST, training", False),
    ]
    (digits,) = targets.learning(["best"], "scikit-learn's digits", Protocol(folds=10))
    assert digits.words() == "best, scikit-learn's digits, 10-fold cross-validation"


def test_targets_in_bf16():
    def beside(network, peer, task="training", ratio=10.0):
        batch = NETWORKS[network]().batch_size if task == "training" else 1000
        one = figure(1)
        return comparing.Comparison(network, task, batch, "avx2-bf16", 2, one, peer, "", one, 1.0, figure(ratio))

    networks = ["flux", "mxnet-mlp", "gorgonia"]
    comparisons = [beside(name, peer) for name in networks for peer in (targets.PYTORCH, comparing.IN_FULL)]
    comparisons += [beside(name, peers.OPENVINO, "inference") for name in networks]
    verdicts = targets.in_bf16(comparisons, networks, "avx2-bf16")
    assert len(verdicts) == 2 + 1 + 3 and not targets.missed(verdicts)
    late = targets.in_bf16([beside("gorgonia", comparing.IN_FULL, ratio=1.1)], ["gorgonia"], "avx2-bf16")
    assert [verdict.measured for verdict in late] == [None, 1.1, None] and len(targets.missed(late)) == 3


def test_bf16_stands_beside_float32():
    isa = ISAS_OF_BF16[-1]
    arguments = ["training", "scratch", *QUICK, "--batch-size", 8, "--isa", f"{isa}-bf16", "--check", "--json"]
    report = json.loads(run(*arguments, exit_code=1))
    beside = {(c["task"], c["batch"]): (c["peer"], c["setting"]) for c in report["comparisons"]}
    assert beside[("training", 8)] == (comparing.IN_FULL, f"1 thread, {ISAS[-1]}")
    assert report["rows"][0]["isa"] == f"{isa}-bf16" and report["rows"][0]["share"]["low"] > 0
    assert [target["what"] for target in report["targets"]] == [
        f"scratch (1), training, {isa}-bf16",
        f"scratch (1000), inference, {isa}-bf16",
    ]


def test_targets_on_a_gpu():
    ratio = comparing.Comparison(
        "flux", "training", 128, "cuda", 1, figure(1), targets.PYTORCH, "", figure(1), 1.0, figure(2.5)
    )
    verdicts = targets.of_training([], [ratio], ["flux", "fast", "scratch"], "cuda")
    assert [(verdict.what, verdict.reached) for verdict in verdicts] == [
        ("flux (128), training, cuda", True),
        ("scratch (1), training, cuda", False),
    ]
    fast = targets.learning(["fast"], "MNIST", Protocol())
    assert targets.missed(targets.of_accuracy([learnt(seconds=0.1, isa="cuda")], fast, "cuda")) == []
    late = targets.missed(targets.of_accuracy([learnt(seconds=0.2, isa="cuda")], fast, "cuda"))
    assert late == ["fast, training: 0.2 s, at most 0.15 s"]


def test_verdicts_of_what_was_measured_are_json():
    rows = kernels.measure("flux conv2", ISAS[-1], 1, rounds=1, seconds=0.001)
    rows = [replace(row, isa=targets.ISA) for row in rows]  # also where there is none
    (verdict,) = targets.of_kernels(rows, ["flux conv2"])
    assert json.loads(json.dumps(verdict.as_dict()))["measured"] == verdict.measured > 0


def test_check_names_what_is_missed(tmp_path):
    run("kernels", "mlp linear1", *QUICK, "--check")  # has no target
    output = tmp_path / "report.md"
    arguments = ["bench", "kernels", "flux conv2", *QUICK, "--isa", "portable", "--check", "--output", str(output)]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 1 and result.stdout == ""
    assert result.stderr.splitlines() == [
        "missed: flux conv2, forward, 2 threads: not measured, at least 75 % of the FMA peak",
        "pymnistcnn: error: 1 of 1 target missed",
    ]
    assert "| flux conv2, forward, 2 threads | not measured | at least 75 % of the FMA peak |" in output.read_text()


def test_bad_use():
    for arguments in (
        ["kernels", "nonsense"],
        ["training", "nonsense"],
        ["training", "--isa", "mmx"],
        ["kernels", "--rounds", "0"],
        ["training", "--threads", "0"],
        ["accuracy", "nonsense"],
        ["accuracy", "--recipe", "nonsense"],
        ["accuracy", "--seeds", "0"],
        ["accuracy", "fast", "--first"],
        ["accuracy", "fast", "--split", "--folds", "2"],
        ["training", "--peer-python", sys.executable],
        ["training", "--peers", "--peer-python", "/nowhere"],
        ["kernels", "--output", "report.txt"],
        ["training", "--profile", "--check"],
    ):
        result = CliRunner().invoke(main, ["bench", *arguments])
        assert result.exit_code == 2 and "Traceback" not in result.output


def test_what_loading_costs():
    rows = json.loads(run("data", "--images", 12_000, "--rounds", 1, "--threads", 1, "--json"))["rows"]
    assert [row["source"] for row in rows][:2] == ["memory", "a mapped file"] and rows[0]["share"]["low"] == 1
    assert all(row["images"] == 12_000 and row["images_per_second"]["low"] > 0 for row in rows)
    lines = run("data", "--images", 500, "--trained", 200, "--rounds", 1, "--threads", 1).splitlines()
    assert all("| 500 | 200 |" in line for line in lines if line.startswith("| a "))
    assert len([line for line in lines if line.startswith("|")]) == 2 + len(rows)
