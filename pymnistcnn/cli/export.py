"""`pymnistcnn export`: a saved network in other forms."""

from __future__ import annotations

from pathlib import Path

import click

from .. import datasets
from ..model import load
from .options import DATA, JSON, POSITIVE, print_json, writable_file

CALIBRATION = 1000  # training images

FILE = dict(metavar="FILE", type=click.Path(path_type=Path), callback=writable_file)


@click.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.option("--c", "c_file", **FILE, help="Write one C99 file without dependencies.")
@click.option("--int8", is_flag=True, help="With --c: in whole numbers, calibrated on training images.")
@click.option("--test", "vectors", metavar="N", type=POSITIVE, help="With --c: a main with N test images as vectors.")
@DATA
@JSON
def export(model, c_file, int8, vectors, data, as_json):
    """Write a saved network in another form.

    MODEL is a file that `pymnistcnn train` saved.
    """
    if c_file is None:
        raise click.UsageError("say what to write: --c FILE")
    export_c(load(model), c_file, int8, vectors, data, as_json)


def export_c(network, path, int8, vectors, data, as_json):
    """Write C code, and print what it takes; in int8 with the accuracy beside that in float32."""
    train, test = datasets.mnist(data) if int8 or vectors else (None, None)
    if vectors and vectors > len(test):
        raise click.BadParameter(f"there are {len(test):,} test images, not {vectors:,}", param_hint="--test")
    code = network.to_c(
        path, int8=int8, calibration=train[:CALIBRATION] if int8 else None, test=test[:vectors] if vectors else None
    )
    accuracies = {}
    if int8:
        accuracies["test_accuracy"] = code.score(test.images, test.labels)
        accuracies["test_accuracy_float32"] = float((network.predict(test.images) == test.labels).mean())
    if as_json:
        print_json(
            file=str(path), precision="int8" if int8 else "float32", ram=code.ram, flash=code.flash, **accuracies
        )
        return
    click.echo(f"{click.format_filename(path)}: C99, {'int8' if int8 else 'float32'}")
    click.echo(f"RAM            {code.ram:,} bytes, and what the input and the output take")
    click.echo(f"flash          {code.flash:,} bytes of constants, and the code")
    if int8:
        click.echo("test accuracy  {:.2%} in int8, {:.2%} in float32".format(*accuracies.values()))
