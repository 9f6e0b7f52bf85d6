"""Benchmarks of several processes: what they send, what the model on paper makes of it, and what the page shows."""

import importlib
import json
import multiprocessing
import os
import shutil
import socket
import sys
import time
from contextlib import contextmanager, nullcontext
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import pymnistcnn as pm
from pymnistcnn.benchmarking import comparing, distributed, paper, peers
from pymnistcnn.cli import main

ROOT = Path(__file__).parents[1]
HAS_MPIEXEC = shutil.which("mpiexec", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
needs_mpiexec = pytest.mark.skipif(HAS_MPIEXEC is None, reason="needs mpiexec")


def module(name):
    """One of benchmarks/, which is no package."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "benchmarks")
        return importlib.import_module(name)


def run(*arguments, exit_code=0):
    result = CliRunner().invoke(main, ["bench", *map(str, arguments)])
    assert result.exit_code == exit_code, result.output
    return result


# ---- on paper ----


def test_a_step_on_paper():
    link = paper.Link("", latency_seconds=1e-3, gap_seconds=1e-4, bytes_per_second=1e8)
    assert paper.Work(1.0).on(link, 128) == 1.0
    assert paper.Work(1.0, messages=2, bytes=5e7).on(link, 2) == pytest.approx(1.0 + 2 * 1e-3 + 0.5)
    assert paper.Work(1.0, messages=1).on(link, 12) == pytest.approx(1.0 + 1e-3 + 10 * 1e-4)


def test_where_machines_begin_to_pay():
    assert paper.crossing([32, 128, 512], [1.0, 1.2, 1.5]) == 32
    assert paper.crossing([32, 128, 512], [1.2, 0.9, 0.99]) is None
    assert paper.crossing([32, 128, 512], [1.2, 0.5, 1.5]) == pytest.approx(256)  # for good
    of_machines = {1: [paper.Work(1.0), paper.Work(4.0)], 2: [paper.Work(0.5, 1), paper.Work(2.0, 1)]}
    for works in of_machines.values():  # as `works` does, of LARGER batches
        works += [works[-1]] * len(paper.LARGER)
    (row,) = paper.rows("flux", [paper.Link("slow", 1.0, 0.0, 1e8)], 1, of_machines, (32, 128))
    assert row.speeds[:2] == pytest.approx([1 / 1.5, 4 / 3]) and 32 < row.pays_from < 128
    assert row.cells()["pay from batch"] == f"**{row.pays_from:,.0f}**"


def test_what_the_busiest_rank_computes_and_receives():
    works = paper.works("scratch", (2, 16), None, 1, 1, 0.001, (32, 64))
    alone, two, sixteen = (works[n][0] for n in (1, 2, 16))
    assert (alone.messages, alone.bytes) == (0, 0) and alone.seconds > 0
    assert two.messages == sixteen.messages == 2  # one vector, in two halves
    assert paper.works("mxnet-mlp", (2,), None, 1, 1, 0.001, (32, 64))[2][0].messages == 2  # large layers add none
    blocks = 875  # of 64 bytes: 13,602 numbers, padded; the last rank adds up 438 of them
    assert two.bytes == 64 * (8 * (blocks - blocks // 2) + blocks // 2) + 16 * 9  # and losses, and what was correct
    assert len(works[1]) == 2 + len(paper.LARGER)


def test_a_larger_batch_grows_as_the_last_did():
    assert paper.Work(2.0, bytes=6).and_more(paper.Work(1.0, bytes=4), 3) == paper.Work(5.0, bytes=12)


# ---- ranks ----


@needs_mpiexec
def test_ranks_are_measured_and_send_what_is_counted_on_paper():
    pytest.importorskip("mpi4py", reason="needs mpi4py")
    arguments = ["scratch", "--batch-size", 32, "--ranks", 1, "--ranks", 2, "--rounds", 1, "--seconds", 0.01]
    report = json.loads(run("distributed", *arguments, "--json").stdout)
    one, two = report["rows"]
    assert (one["ranks"], one["messages"], one["bytes"], one["over_one"]["median"]) == (1, 0, 0, 1)
    works = paper.works("scratch", (2,), None, 1, 1, 0.001, (32, 64))
    assert (two["messages"], two["bytes"]) == (2, works[2][0].bytes)
    assert two["moving_milliseconds"]["low"] > 0 and two["images_per_second"]["low"] > 0
    assert [link["name"] for link in report["links"]][0] == "measured here"
    assert report["links"][0]["latency_seconds"] > 0
    assert len(report["on_paper"]) == len(report["links"]) * len(paper.MACHINES)


@needs_mpiexec
def test_ranks_beside_pytorch():
    pytest.importorskip("mpi4py", reason="needs mpi4py")
    pytest.importorskip("torch", reason="needs torch")
    found, _ = peers.find([sys.executable], ROOT / "benchmarks" / "peers")
    with peers.data_folder() as folder:
        company = comparing.Company(found, (), folder)
        rows = distributed.measure("scratch", 32, [1, 2], None, 1, distributed.mpiexec_words(None), company, 1, 0.01)
    assert [(row.library, row.ranks) for row in rows] == [
        ("pymnistcnn", 1), ("pymnistcnn", 2), (peers.DDP, 1), (peers.DDP, 2)
    ]  # fmt: skip
    assert rows[3].ratio.median == pytest.approx(rows[1].images_per_second.median / rows[3].images_per_second.median)
    assert (rows[3].messages, rows[3].bytes) == (1, 4 * 13_602)


def test_a_missing_mpiexec_is_an_error():
    pytest.importorskip("mpi4py.MPI", reason="needs MPI")
    said = run("distributed", "--mpiexec", "no-such-program -hosts a,b", exit_code=1).stderr
    assert "there is no no-such-program: pip install mpich, or the system's MPI" in said


# ---- a slow network ----


def test_packets_are_delayed_and_wait_for_the_line():
    relay = module("slow_network").relay
    (a, ours), (b, theirs) = (socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET) for _ in range(2))
    fork = multiprocessing.get_context("fork")
    process = fork.Process(target=relay, args=(a.fileno(), b.fileno(), 0.05, 10_000), daemon=True)
    process.start()
    try:
        started = time.monotonic()
        for packet in (b"1" * 500, b"2" * 500):
            ours.send(packet)
        assert theirs.recv(1000) == b"1" * 500 and time.monotonic() - started >= 0.05 + 0.05
        assert theirs.recv(1000) == b"2" * 500 and time.monotonic() - started >= 0.05 + 0.1
        theirs.send(b"back")
        assert ours.recv(1000) == b"back"
    finally:
        process.terminate()
        process.join()
        for end in (a, b, ours, theirs):
            end.close()


# ---- sweeps, the page ----


def test_fits_by_two_workers():
    pytest.importorskip("sklearn", reason="needs scikit-learn")
    sweeps = module("sweeps")
    rows = sweeps.measure("joblib's threads", 1, 100, "fast")
    assert [row.workers for row in rows] == [sweeps.ONE, "joblib's threads"]
    assert rows[0].over_one.median == 1 and rows[1].over_one.low > 0 and rows[1].seconds.low > 0
    assert all(row.peak_over_one.low > 0 for row in rows)


@contextmanager
def on_dask():
    from distributed import Client, LocalCluster

    with LocalCluster(2, threads_per_worker=1, dashboard_address=None, processes=False) as cluster, Client(cluster):
        yield


@contextmanager
def on_ray():
    import ray
    from ray.util.joblib import register_ray

    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    try:
        register_ray()
        yield
    finally:
        ray.shutdown()


@pytest.mark.filterwarnings("ignore")  # that a fit failed, and what Dask and Ray have to say
@pytest.mark.parametrize(
    "backend, needs, started",
    [("threading", "joblib", nullcontext), ("loky", "joblib", nullcontext), ("dask", "distributed", on_dask),
     ("ray", "ray", on_ray)],
    ids=["threads", "processes", "Dask", "Ray"],
)  # fmt: skip
def test_a_trial_that_fails_is_a_result_and_not_the_end(backend, needs, started):
    joblib = pytest.importorskip("joblib", reason="needs scikit-learn")
    search = pytest.importorskip("sklearn.model_selection", reason="needs scikit-learn")
    pytest.importorskip(needs, reason=f"needs {needs}")
    x, y = np.arange(80 * 64, dtype=np.uint8).reshape(80, 64), np.arange(80) % 2
    rates = {"learning_rate": [0.01, -1.0]}  # no training takes the second
    found = search.GridSearchCV(pm.CNNClassifier("fast", epochs=1, n_jobs=1), rates, cv=2, n_jobs=2)
    with started(), joblib.parallel_config(backend, n_jobs=2):
        found.fit(x, y)
    first, second = found.cv_results_["mean_test_score"]
    assert 0 <= first <= 1 and np.isnan(second) and found.best_params_ == {"learning_rate": 0.01}


def test_the_page_shows_what_was_measured_and_only_that():
    page, measured = module("page"), module("measured")

    def figure(value):
        return dict(median=value, low=value, high=value)

    nothing = measured.Kind("amd-zen-5", {})
    assert page.distributed([nothing]) == page.machines([nothing]) == "" and page.past_one_core(nothing) == []
    mine = dict(network="fast", batch=1024, ranks=2, library="pymnistcnn", images_per_second=figure(20_000.0),
                oversubscribed=False, messages=2.0, bytes=548_352.0, share=figure(0.04))  # fmt: skip
    theirs = mine | dict(library=peers.DDP, images_per_second=figure(5_000.0), ratio=figure(4.0))
    on_paper = [dict(network="fast", link="measured here", machines=n, batches=[32, 128], pays_from=pays)
                for n, pays in ((2, 64.0), (16, None))]  # fmt: skip
    files = {
        "distributed": dict(commit="0123abc", date="2026-11-27", clean=True, code={}, rows=[mine, theirs],
                            on_paper=on_paper),
        "slow-network": dict(commit="0", rows=[mine | dict(batch=128)], notes=["1 ms each way."]),
        "data": dict(commit="0", rows=[dict(source=name, images=8_100_000, share=figure(share))
                                       for name, share in (("memory", 1.0), ("a mapped file", 0.97))]),
        "sweeps": dict(commit="0", rows=[dict(recipe="fast", workers=name, fits=8, images=images,
                                              over_one=figure(over), peak_over_one=figure(1.98))
                                         for images, joblib in ((6_000, 1.75), (30_000, 1.95))
                                         for name, over in (("one by one", 1.0), ("joblib's processes", joblib))]),
    }  # fmt: skip
    kind = measured.Kind("amd-zen-5", files)
    text = page.distributed([kind])
    assert "| fast (1024) | 20,000 : 5,000 = **4.0** (4.0 to 4.0) | 2, 548 kB, 4% |" in text
    assert "| fast (128), slow network | 20,000 |" in text and "Slow: 1 ms each way." in text
    assert "| fast | 64 / over 128 |" in page.machines([kind])
    texts = module("texts")
    assert "| fast | 64 / over 128 |" in texts.machines_that_pay("not yet", [kind])
    assert texts.machines_that_pay("not yet", [nothing]) == "not yet"
    assert page.past_one_core(kind) == [
        "Training on 8,100,000 pictures, of the speed in memory: a mapped file **97%** (97% to 97%).",
        "8 fits of `fast` to 6,000 / 30,000 pictures by two workers, times one: joblib's processes **1.75** (1.75 to "
        "1.75) / **1.95** (1.95 to 1.95); the FMA peak of two threads, 1.98 to 1.98.",
    ]
