"""`pymnistcnn export`: a saved network in another form.

Each form is a line in `FORMS`, an option that takes a file, and options of its own behind that.
"""

from __future__ import annotations

from pathlib import Path

import click

from ..model import load
from .options import JSON, print_json, writable_file


def to_onnx(network, path, uint8, fold_batch_norm):
    """What was written, for people and for --json."""
    from ..onnx.graph import OPSET

    network.to_onnx(path, input_dtype="uint8" if uint8 else None, fold_batch_norm=fold_batch_norm)
    return dict(opset=OPSET, input_dtype="uint8" if uint8 else network.dtype.name)


FORMS = {"onnx": to_onnx}


def file_option(name, help):
    return click.option(f"--{name}", metavar="FILE", type=click.Path(path_type=Path), callback=writable_file, help=help)


@click.command()
@click.argument("model", type=click.Path(path_type=Path))
@file_option("onnx", "Write an ONNX file: NCHW, any batch.")
@click.option("--uint8", is_flag=True, help="ONNX: take pixels from 0 to 255 as uint8.")
@click.option("--fold-batch-norm", is_flag=True, help="ONNX: let convolutions take in the batch norm behind them.")
@JSON
def export(model, as_json, **options):
    """Write a saved network in another form.

    MODEL is a file that `pymnistcnn train` saved. One of the options that take a FILE says which form.
    """
    chosen = {form: path for form in FORMS if (path := options.pop(form)) is not None}
    if len(chosen) != 1:
        raise click.UsageError(f"give exactly one of {', '.join(f'--{form} FILE' for form in FORMS)}")
    ((form, path),) = chosen.items()
    network = load(model)
    about = dict(file=click.format_filename(path)) | FORMS[form](network, path, **options)
    about |= dict(bytes=path.stat().st_size, input_shape=network.input_shape, outputs=network.output_shape[0])
    if as_json:
        print_json(**about)
        return
    for name, value in about.items():
        click.echo(f"{name.replace('_', ' '):<12}  {f'{value:,}' if isinstance(value, int) else value}")
