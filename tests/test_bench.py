"""`pymnistcnn bench`: the tables and objects it makes, on measurements too short to mean anything."""

import json

import pytest
from click.testing import CliRunner

from pymnistcnn import _native
from pymnistcnn.benchmarking import kernels, measuring, training
from pymnistcnn.benchmarking.networks import NETWORKS
from pymnistcnn.cli import main

QUICK = ["--seconds", "0.001", "--rounds", "2", "--threads", "1"]


def run(*arguments):
    result = CliRunner().invoke(main, ["bench", *map(str, arguments)])
    assert result.exit_code == 0, result.output
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
    assert "FMA peak of" in lines[0] and lines[2].startswith("| layer | kernel | isa | threads |")
    assert len(lines) == 4 + 3 * len(_native.isas())  # three products, each instruction set


@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_is_measured(name):
    rows = json.loads(run("training", name, *QUICK, "--batch-size", 8, "--json"))["rows"]
    assert [(row["task"], row["batch"]) for row in rows] == [("training", 8), ("inference", 1), ("inference", 1000)]
    assert all(row["images_per_second"]["low"] > 0 and row["gflops"] > 0 for row in rows)


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
    assert measuring.fma_peak(_native.isas()[-1], seconds=0.001) > 0.1
    assert measuring.markdown(["a", "b"], [[1, 2]]) == "| a | b |\n| --- | ---: |\n| 1 | 2 |"


def test_bad_use():
    for arguments in (["kernels", "nonsense"], ["training", "nonsense"], ["training", "--isa", "mmx"],
                      ["kernels", "--rounds", "0"], ["training", "--threads", "0"]):  # fmt: skip
        result = CliRunner().invoke(main, ["bench", *arguments])
        assert result.exit_code == 2 and "Traceback" not in result.output
