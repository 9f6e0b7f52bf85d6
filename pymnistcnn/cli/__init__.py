"""The command `pymnistcnn`."""

from __future__ import annotations

from typing import Any

import click

from .. import __version__
from .bench import bench
from .data import data
from .draw import draw
from .evaluate import evaluate
from .export import export
from .info import info
from .learning import accuracy, robustness
from .options import Commands
from .predict import predict
from .report import report
from .train import train
from .tutorial import tutorial


@click.group(cls=Commands, invoke_without_command=True)
@click.version_option(__version__, prog_name="pymnistcnn")
@click.pass_context
def main(context: Any) -> None:
    """Train convolutional networks on handwritten digits, fast.

    Start with:  pymnistcnn train
    """
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


for _command in (train, evaluate, predict, report, draw, export, tutorial, data, bench, info):
    main.add_command(_command)
for _command in (accuracy, robustness):
    bench.add_command(_command)
