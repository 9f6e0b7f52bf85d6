"""Remakes the results page: runs the three benchmarks and puts their tables before the notes of notes.md.

    python benchmarks/results.py --peer-python PYTHON_WITH_TORCH --peer-python PYTHON_WITH_JAX

With both peers it takes an hour or two, as each job first tries every setting of each peer. For a quick look:
--rounds 1 --seconds 0.01 --seeds 1 --output page.md.
"""

import subprocess
import sys
from pathlib import Path

import click

from pymnistcnn.benchmarking.networks import NETWORKS

HERE = Path(__file__).parent.absolute()
INTRODUCTION = """# Results

Medians with their range, of processes of their own that were measured in turns; a ratio is of what was measured in the
same round. Networks, batch sizes, losses and optimizers are the tutorials' own, in
[networks.py](../pymnistcnn/benchmarking/networks.py); float32. Made by `python benchmarks/results.py`, which runs the
command that stands over each table."""


def report(arguments):
    """The Markdown that `pymnistcnn bench` prints; that it exits with 1 for a missed target is a result, too."""
    command = [sys.executable, "-P", "-m", "pymnistcnn", "bench", *arguments, "--check"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, cwd=HERE.parent)
    if not done.stdout:
        raise click.ClickException(f"bench {arguments[0]} gave nothing")
    return done.stdout


@click.command(help=__doc__)
@click.option("--peer-python", "pythons", multiple=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--rounds", type=click.IntRange(1), default=11, show_default=True)
@click.option(
    "--seconds", type=click.FloatRange(0.001, 60), help="Of each measurement.  [default: the benchmarks' own]"
)
@click.option("--seeds", type=click.IntRange(1), default=10, show_default=True, help="Trainings of each recipe.")
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), default=HERE / "results.md",
              help="[default: benchmarks/results.md]")  # fmt: skip
def main(pythons, rounds, seconds, seeds, output):
    peers = ["--peers", *(word for path in pythons for word in ("--peer-python", str(path.absolute())))]
    measuring = ["--rounds", str(rounds), *(["--seconds", str(seconds)] if seconds else [])]
    parts = [
        INTRODUCTION,
        "## Training and inference",
        *(f"### {name}\n\n" + report(["training", name, *peers, *measuring]) for name in NETWORKS),
        "## Kernels\n\n" + report(["kernels", *peers, *measuring]),
        "## Accuracy\n\n" + report(["accuracy", "--seeds", str(seeds)]),
        (HERE / "notes.md").read_text(),
    ]
    page = "\n\n".join(part.strip() for part in parts) + "\n"
    paths = [sys.executable, *(str(path.absolute()) for path in pythons)]
    for path in sorted(paths, key=len, reverse=True):  # one may begin with another
        page = page.replace(path, "PYTHON")  # where it is on this machine is nobody's business
    output.write_text(page)


if __name__ == "__main__":
    main()
