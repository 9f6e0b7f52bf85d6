"""The command `pymnistcnn`."""

from __future__ import annotations

from typing import Any

import click

from .. import __version__
from .options import Commands

COMMANDS = ("train", "evaluate", "predict", "report", "draw", "export", "tutorial", "data", "bench", "info")


@click.group(cls=Commands, modules={name: f".{name}" for name in COMMANDS}, invoke_without_command=True)
@click.version_option(__version__, prog_name="pymnistcnn")
@click.pass_context
def main(context: Any) -> None:
    """Train convolutional networks on handwritten digits, fast.

    Start with:  pymnistcnn train
    """
    if context.invoked_subcommand is None:
        click.echo(context.get_help())
