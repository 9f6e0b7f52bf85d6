"""`pymnistcnn export`: a saved network in another form.

Each form is a function here, a line in `FORMS`, an option that takes a file, and options of its own behind that.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from ..loading import load
from .draw import classes_of, examples_of
from .evaluate import as_trained, size_of
from .options import DATA, FORM, JSON, POSITIVE, print_json, read_data, writable_file
from .samples import Reading, white_of
from .saved import data_note, one_network, printable

CALIBRATION = 1000  # training images


def to_c(network: Any, path: Any, int8: bool = False, test: int | None = None, data: Any = None) -> Any:
    """Write C code; what is to be said of it: what it takes, and of int8 the accuracy beside that of float32."""
    train, images = data_of(network, data) if int8 or test else (None, None)
    if test and test > len(images):
        raise click.BadParameter(f"there are {len(images):,} test images, not {test:,}", param_hint="--test")
    calibration = train[:CALIBRATION] if int8 else None
    code = network.to_c(path, int8=int8, calibration=calibration, test=images[:test] if test else None)
    about = dict(precision="int8" if int8 else "float32", ram=code.ram, flash=code.flash)
    if int8 and network.output_shape != (1,):
        about["test_accuracy"] = code.score(images)
        about["test_accuracy_float32"] = network.score(images)
    return about


def data_of(network: Any, data: Any) -> Any:
    """The two data sets that --data says, as a network takes them."""
    parts = read_data(data, size_of(network))
    trained_on = data_note(network).get("name")
    if data is None and trained_on not in (None, parts[0].name):
        raise click.BadParameter(f"this network was trained on {trained_on}: say where that is", param_hint="--data")
    return (as_trained(part, network) for part in parts)


def to_onnx(network: Any, path: Any, uint8: bool = False, fold_batch_norm: bool = False) -> Any:
    """Write ONNX; what is to be said of it."""
    from ..onnx.graph import OPSET

    network.to_onnx(path, input_dtype="uint8" if uint8 else None, fold_batch_norm=fold_batch_norm)
    return dict(opset=OPSET, input_dtype="uint8" if uint8 else network.dtype.name)


def to_html(network: Any, path: Any, data: Any = None) -> Any:
    """Write a page; what is to be said of it."""
    from ..drawing.offline import write

    trained_on = data_note(network).get("name")
    reading = Reading(network, bool(data_note(network).get("from_pictures")))
    reading.refuse_other_shapes("export --html")
    if reading.pictured or network.input_shape[0] != 1:
        raise ValueError("export --html: the page reads digits as MNIST has them, this network pictures as they are")
    images, names = examples_of(network, data)
    about = f"A network trained on {printable(trained_on)}" if isinstance(trained_on, str) else path.stem
    write(path, network, about, classes_of(network), white_of(network), images, names)
    return {}


FORMS: dict[str, tuple[Callable[..., Any], tuple[str, ...]]] = {
    "c": (to_c, ("int8", "test", "data")),
    "onnx": (to_onnx, ("uint8", "fold_batch_norm")),
    "html": (to_html, ("data",)),
}


def file_option(name: str, help: str) -> Any:
    return click.option(f"--{name}", metavar="FILE", type=click.Path(path_type=Path), callback=writable_file, help=help)


@click.command()
@click.argument("model", type=click.Path(path_type=Path))
@file_option("onnx", "Write an ONNX file: NCHW, any batch.")
@click.option("--uint8", is_flag=True, help="ONNX: take pixels from 0 to 255 as uint8.")
@click.option("--fold-batch-norm", is_flag=True, help="ONNX: let convolutions take in the batch norm behind them.")
@file_option("c", "Write one C99 file without dependencies.")
@click.option("--int8", is_flag=True, help="C: in whole numbers, calibrated on training images.")
@click.option("--test", metavar="N", type=POSITIVE, help="C: a main with N test images as vectors.")
@file_option("html", "Write one page to draw on, which works without a network connection.")
@DATA
@FORM
@JSON
def export(model: Any, as_json: bool, **options: Any) -> None:
    """Write a saved network in another form.

    MODEL is a file that `pymnistcnn train` saved. One of the options that take a FILE says which form.
    """
    chosen = {form: path for form in FORMS if (path := options.pop(form)) is not None}
    if len(chosen) != 1:
        raise click.UsageError(f"give exactly one of {', '.join(f'--{form} FILE' for form in FORMS)}")
    ((form, path),) = chosen.items()
    write, its_own = FORMS[form]
    given = {name: value for name, value in options.items() if value}
    if others := given.keys() - {*its_own}:
        names = ", ".join(f"--{name.replace('_', '-')}" for name in sorted(others))
        raise click.UsageError(f"{names}: not an option of --{form}")
    network = one_network(model, load(model))
    about = dict(file=click.format_filename(path))
    about |= write(network, path, **{name: value for name, value in given.items() if name in its_own})
    about |= dict(bytes=path.stat().st_size, input_shape=network.input_shape, outputs=network.output_shape[0])
    if as_json:
        print_json(**about)
        return
    for name, value in about.items():
        click.echo(f"{name.replace('_', ' '):<21}  {in_words(value)}")


def in_words(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:.2%}" if isinstance(value, float) else value
