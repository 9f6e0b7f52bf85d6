"""`pymnistcnn data`: data sets in other forms."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from .. import datasets
from .._types import StrPath
from .options import DATA, FORM, JSON, POSITIVE, print_json, read_data, writable_file


@click.group()
def data() -> None:
    """Data sets in other forms."""


@data.command()
@click.argument("output", type=click.Path(path_type=Path), callback=lambda c, o, path: writable_file(c, o, path))
@click.option("--part", type=click.Choice(["train", "test"]), default="train", show_default=True, help="Which images.")
@click.option("--count", metavar="N", type=POSITIVE, help="Only the first N.  [default: all]")
@DATA
@FORM
@JSON
def convert(output: StrPath, part: str, count: int, data: Any, as_json: bool) -> None:
    """Write digits as text: a line each, 784 tab-separated pixels 0-255 and the label.

    OUTPUT is the text file to write.
    """
    images = read_data(data)[part == "test"]
    if count is not None and count > len(images):
        raise click.BadParameter(f"there are {len(images):,} {part} images, not {count:,}", param_hint="--count")
    datasets.write_text(output, images[:count])
    written = len(images[:count])
    if as_json:
        print_json(images=written, part=part, output=click.format_filename(output))
        return
    click.echo(f"{click.format_filename(output)}: {written:,} {part} images")
