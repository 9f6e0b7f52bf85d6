"""`pymnistcnn evaluate` and `predict`: what a saved network can do."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import click
import numpy as np

from .. import datasets
from .._types import Array
from ..model import load
from .options import COMPUTE, DATA, JSON, print_json


@click.command()
@click.argument("model", type=click.Path(path_type=Path))
@DATA
@COMPUTE
@JSON
def evaluate(model: Any, data: None, threads: int | None, isa: str | None, as_json: bool) -> None:
    """Test a saved network on the test images.

    MODEL is a file that `pymnistcnn train` saved.
    """
    network = load(model)
    test = datasets.mnist(data)[1]
    started = time.perf_counter()
    result = network.evaluate(test, threads=threads, isa=isa)
    seconds = time.perf_counter() - started
    refuse_nan(model, result.loss)
    if as_json:
        print_json(
            test_accuracy=result.accuracy, test_loss=result.loss, images=result.n, seconds=seconds, isa=isa,
            threads=threads, dtype=network.dtype.name,
        )  # fmt: skip
        return
    wrong = result.n - round(result.accuracy * result.n)
    click.echo(f"test accuracy  {result.accuracy:.2%} ({wrong:,} of {result.n:,} wrong)")
    click.echo(f"test loss      {result.loss:.4f}")
    click.echo(f"time           {seconds:.2f} s ({result.n / seconds:,.0f} images/s)")


@click.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("images", metavar="IMAGE...", type=click.Path(path_type=Path), nargs=-1, required=True)
@COMPUTE
@JSON
def predict(model: Any, images: Any, threads: int | None, isa: str | None, as_json: bool) -> None:
    """Read the digits in pictures, one digit in each.

    MODEL is a file that `pymnistcnn train` saved; an IMAGE is a PNG or any other picture of the network's
    size (28x28) or larger, light on dark or dark on light.
    """
    from ..pictures import read_digit

    network = load(model)
    if len(network.input_shape) != 3 or network.input_shape[0] != 1:
        raise ValueError(f"{model}: this network reads inputs of {network.input_shape}, not grey pictures")
    digits = np.stack([read_digit(image, *network.input_shape[1:]) for image in images])
    probabilities = network.predict_proba(digits, threads=threads, isa=isa)
    refuse_nan(model, probabilities)
    rows = [
        (click.format_filename(image), int(p.argmax()), float(p.max()))
        for image, p in zip(images, probabilities, strict=True)
    ]
    if as_json:
        print_json(predictions=[dict(zip(("image", "digit", "probability"), row, strict=True)) for row in rows])
        return
    width = max(len(name) for name, _, _ in rows)
    for name, digit, probability in rows:
        click.echo(f"{name:<{width}}  {digit}  {probability:6.1%}")


def refuse_nan(model: Any, numbers: Array | float) -> None:
    """Weights of NaN or infinity load well, but nothing that follows from them is an answer."""
    if not np.isfinite(numbers).all():
        raise ValueError(f"{model}: the network's outputs are not finite numbers; its weights may be damaged")
