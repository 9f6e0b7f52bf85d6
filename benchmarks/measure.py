"""Measures everything, on this processor, and writes measurements/KIND/NAME.json, a file as soon as it is there.
What is of many seeds goes on where it was stopped.

    python benchmarks/measure.py --peer-python PYTHON_WITH_TORCH --peer-python PYTHON_WITH_JAX_AND_OTHERS
    python benchmarks/results.py

Install the checkout first: a file says which commit was measured, and whether what is installed is that commit.
For a quick look: --rounds 1 --seconds 0.01 --seeds 1 --output FOLDER.
"""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

import click
import fingerprints
import precision
import tutorials
from measured import FOLDER, file_name, write
from provenance import processor_kind, source

from pymnistcnn.benchmarking.networks import NETWORKS
from pymnistcnn.benchmarking.protocol import Protocol
from pymnistcnn.benchmarking.report import Report, Table
from pymnistcnn.benchmarking.targets import LEARNING, SEEDS, THREADS, Learning
from pymnistcnn.benchmarking.targets import learning as goals_of
from pymnistcnn.benchmarking.workers import our_environment
from pymnistcnn.cli.info import cpu_model
from pymnistcnn.datasets.known import TITLES
from pymnistcnn.recipes import RECIPES
from pymnistcnn.target import default_target

ROOT = Path(__file__).parents[1]
PYTHON = [sys.executable, "-P"]
USUAL = ("MNIST", Protocol())
NAMES = {title: name for name, title in TITLES.items()}
DATA = ("--images", "8100000", "--trained", "500000")  # InfiMNIST's size, 6.3 GB twice


def bench(*arguments) -> dict:
    """What `pymnistcnn bench` says; that it exits with 1 for a missed target is a result, too."""
    command = [*PYTHON, "-m", "pymnistcnn", "bench", *arguments, "--json"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    if not done.stdout:
        raise ChildProcessError(f"bench {' '.join(arguments)} gave nothing")
    return json.loads(done.stdout)


def kept(path, *arguments, check=()) -> dict:
    """What a benchmark of several seeds says, which goes on from what this file has if it was stopped."""
    path.parent.mkdir(parents=True, exist_ok=True)
    command = [*PYTHON, "-m", "pymnistcnn", "bench", *arguments, "--output", str(path)]
    if subprocess.run(command, cwd=ROOT).returncode:
        raise ChildProcessError(f"bench {' '.join(arguments)} failed")
    if check:
        subprocess.run([*command, *check], cwd=ROOT)  # it exits with 1 for a missed target, which is a result, too
    return json.loads(path.read_text()) | {"command": shlex.join(["pymnistcnn", "bench", *arguments, *check])}


def learning(folder, seeds) -> dict:
    """By name, the job of each recipe that has a goal on MNIST, of each goal elsewhere, and of how steady those are."""
    usual = [name for name in RECIPES if goals_of([name], *USUAL)]
    elsewhere = [goal for goal in LEARNING if goal.recipe in RECIPES and (goal.data, goal.protocol) != USUAL]
    made = {}
    for goal in [*(Learning(name, (0, None)) for name in usual), *elsewhere]:
        name, arguments = file_name("accuracy", " ".join([goal.recipe, *words_of(goal)])), options_of(goal)
        threads = ["--threads", str(THREADS), "--seeds", str(seeds or goal.seeds)]
        made[name] = partial(kept, folder / f"{name}.json", "accuracy", *arguments, *threads, check=["--check"])
    threads = ["--threads", str(THREADS), "--seeds", str(seeds or SEEDS)]
    for name in usual:
        path = folder / f"robustness-{name}.json"
        made[path.stem] = partial(kept, path, "robustness", name, *threads)
    return made


def words_of(goal) -> list[str]:
    """What a file's name says of a goal's data."""
    words = [] if goal.data == "MNIST" else [NAMES[goal.data]]
    words += [f"{goal.protocol.samples} samples"] if goal.protocol.samples else []
    return words + ([f"{goal.protocol.networks} networks"] if goal.protocol.networks > 1 else [])


def options_of(goal) -> list[str]:
    of = goal.protocol
    numbers = {"--samples": of.samples, "--folds": of.folds, "--networks": of.networks if of.networks > 1 else None}
    data = [] if goal.data == "MNIST" else ["--data", NAMES[goal.data]]
    given = [word for name, number in numbers.items() if number for word in (name, str(number))]
    return ["--recipe", goal.recipe, *data, *given]


def script(name, *arguments) -> dict:
    """What a benchmark beside this file says."""
    done = subprocess.run([*PYTHON, f"benchmarks/{name}", *arguments, "--json"], capture_output=True,
                          text=True, cwd=ROOT, env=our_environment())  # fmt: skip
    if done.returncode:
        raise ChildProcessError((done.stderr.strip().splitlines() or [f"{name} gave nothing"])[-1])
    return json.loads(done.stdout)


def example() -> dict:
    """What the program in README.md prints."""
    (program,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run([*PYTHON, "-c", program], capture_output=True, text=True, cwd=folder)
    if done.returncode:
        raise ChildProcessError(done.stderr.strip().splitlines()[-1])
    return report("the program in README.md", []) | {"rows": [{"printed": line} for line in done.stdout.splitlines()]}


def tutorial(name, number) -> dict:
    """What a tutorial comes to, over its seeds or so many of them."""
    row = tutorials.measure(name, tutorials.seeds_of(name, number), THREADS)
    return report(f"pymnistcnn tutorial {name}", [Table("rows", "Tutorials", [row])], tutorials.NOTES)


def learnt_in_bf16(name, number) -> dict:
    """What a tutorial's network learns in bfloat16 beside float32, over its seeds or so many of them."""
    row = precision.measure(name, number, THREADS)
    tables = [Table("rows", "In bfloat16 beside float32", [row])]
    return report(f"pymnistcnn tutorial {name} --isa {row.isa}", tables, precision.NOTES, [row.verdict()])


def report(command, tables, notes=(), verdicts=None) -> dict:
    return json.loads(
        Report(command, cpu_model(), str(default_target()), tables, list(notes), verdicts=verdicts).as_json()
    )


def jobs(peers, measuring, seeds, folder) -> dict:
    """By name, what gives the report of each file; `seeds`: how many, or None; `folder`: for what is half measured."""
    made = {f"training-{name}": partial(bench, "training", name, *peers, *measuring, "--check") for name in NETWORKS}
    made["kernels"] = partial(bench, "kernels", *peers, *measuring, "--check")
    for name in NETWORKS:
        own = ("--batch-size", str(NETWORKS[name]().batch_size))
        in_bf16 = partial(bench, "training", name, "--precision", "bf16", *own, *peers, *measuring, "--check")
        made[f"bf16-{name}"] = in_bf16
    made["serving"] = partial(bench, "serving", *peers, *measuring)
    rounds = measuring[:2]
    made["distributed"] = partial(bench, "distributed", *peers, *measuring)
    made["slow-network"] = partial(script, "slow_network.py", *peers[1:3], *measuring)
    made["data"] = partial(bench, "data", *DATA, *rounds, "--threads", str(THREADS))
    made["sweeps"] = partial(script, "sweeps.py", *rounds)
    made |= learning(folder, seeds)
    for name in tutorials.CASES:
        made[file_name("tutorial", name)] = partial(tutorial, name, seeds)
    for name, network in precision.CASES.items():
        made[f"precision-{network}"] = partial(learnt_in_bf16, name, seeds)
    return made | {"example": example}


@click.command(help=__doc__)
@click.option("--peer-python", "pythons", multiple=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--only", metavar="NAME", multiple=True, help="Files whose names begin so: training-flux, tutorial, ...")
@click.option("--rounds", type=click.IntRange(1), default=11, show_default=True)
@click.option("--seconds", type=click.FloatRange(0.001, 60), help="Of each turn.  [default: the benchmarks' own]")
@click.option("--seeds", type=click.IntRange(1), help="Trainings of each recipe and tutorial.  [default: their own]")
@click.option("--output", type=click.Path(file_okay=False, path_type=Path), default=FOLDER,
              help="[default: benchmarks/measurements]")  # fmt: skip
def main(pythons, only, rounds, seconds, seeds, output):
    words = [word for path in pythons for word in ("--peer-python", str(path.absolute()))]
    measuring = ["--rounds", str(rounds), *(["--seconds", str(seconds)] if seconds else [])]
    half_measured = output / processor_kind() / "half-measured"
    wanted = jobs(["--peers", *words], measuring, seeds, half_measured)
    wanted = {name: job for name, job in wanted.items() if not only or name.startswith(only)}
    if not wanted:
        raise click.UsageError(f"--only {' '.join(only)}: no name begins so")
    failed = []
    for name, job in wanted.items():
        code = fingerprints.of(name)
        try:
            made = job()
        except ChildProcessError as error:
            failed.append(f"{name}: {error}")
            continue
        made["machine"]["processor"] = processor_kind()
        text = json.dumps(made | source() | {"code": code})
        for path in sorted([sys.executable, *words[1::2]], key=len, reverse=True):  # one may begin with another
            text = text.replace(path, "PYTHON")  # where it is on this machine is nobody's business
        write(output / processor_kind() / f"{name}.json", json.loads(text))
        (half_measured / f"{name}.json").unlink(missing_ok=True)
        click.echo(f"{name}: written", err=True)
    if failed:
        raise click.ClickException("\n".join(failed))


if __name__ == "__main__":
    main()
