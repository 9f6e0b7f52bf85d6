"""`pymnistcnn evaluate`: how good a saved network is."""

from __future__ import annotations

import math
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click
import numpy as np

from .._types import Array
from ..calibration import Calibration
from ..datasets.reading import relabelled
from .options import COMPUTE, DATA, FORM, JSON, describe, print_json, read_data
from .saved import MODEL, data_note, names_of, network_at, printable, probabilities, refuse_nan

if TYPE_CHECKING:
    from ..datasets.dataset import Dataset


PART = click.option("--part", type=click.Choice(["test", "train", "all"]), default="test", show_default=True,
                    help="Which images of the data.")  # fmt: skip


@click.command()
@MODEL
@DATA
@FORM
@PART
@click.option("--confusion", is_flag=True, help="Print how many images of each class were taken for which.")
@COMPUTE
@JSON
def evaluate(
    model: Any, pixels: str, data: None, part: str, confusion: bool, threads: int | None, isa: str | None, as_json: bool
) -> None:
    """Test a saved network on the test images.

    MODEL is a file that `pymnistcnn train` saved, or an ONNX file (.onnx). The data are MNIST's, whatever the network
    was trained on, unless --data says otherwise.
    """
    network = network_at(model, pixels)
    if network.output_shape == (1,):
        raise ValueError(f"{model}: this network has one output, which is a value: it tells no classes apart")
    images = as_trained(part_of(read_data(data, size_of(network)), part), network)
    trained_on = data_note(network).get("name")
    other = f"; the network was trained on {trained_on}" * (trained_on not in (None, images.name))
    started = time.perf_counter()
    try:
        result = network.evaluate(images, threads=threads, isa=isa)
    except ValueError as error:
        hint = f"{other}, these are {images.name}: say --data" if other else ""
        raise ValueError(f"{error}{hint}") from None
    seconds = time.perf_counter() - started
    refuse_nan(model, result.loss, images)
    outputs = network.predict_outputs(images.images, threads=threads, isa=isa)
    sure = Calibration.of(probabilities(network, outputs), images.labels)
    matrix = confusion_of(outputs, images.labels) if confusion else None
    if as_json:
        more = {} if matrix is None else {"confusion": matrix.tolist(), "classes": names_of(network)}
        print_json(
            test_accuracy=result.accuracy, test_loss=result.loss, images=result.n, seconds=seconds, isa=isa,
            threads=threads, dtype=network.dtype.name, data=images.name, trained_on=trained_on,
            calibration_error=sure.error, confidence=sure.confidence,
            confidence_when_wrong=sure.when_wrong if math.isfinite(sure.when_wrong) else None, **more,
        )  # fmt: skip
        return
    wrong = result.n - round(result.accuracy * result.n)
    click.echo(f"data           {describe(data, images.name)}{other}")
    click.echo(f"test accuracy  {result.accuracy:.2%} ({wrong:,} of {result.n:,} wrong)")
    click.echo(f"test loss      {result.loss:.4f}")
    click.echo(
        f"confidence     {sure.confidence:.2%}"
        + f", of wrong answers {sure.when_wrong:.2%}" * math.isfinite(sure.when_wrong)
    )
    click.echo(f"calibration    off by {sure.error:.2%} (expected calibration error)")
    click.echo(f"time           {seconds:.2f} s ({result.n / seconds:,.0f} images/s)")
    if matrix is not None:
        click.echo(f"\n{table_of(matrix, names_of(network))}")


def part_of(parts: tuple[Dataset, Dataset], part: str) -> Dataset:
    """The images for testing, or others, of a pair of Datasets."""
    train, test = parts
    if part == "all":
        both = [np.concatenate([a, b]) for a, b in zip(train, test, strict=True)]
        return replace(test, images=both[0], labels=both[1])
    return train if part == "train" else test


def size_of(network: Any) -> tuple[int, int] | None:
    """(height, width) of the pictures that a network takes, or None."""
    return network.input_shape[1:] if len(network.input_shape) == 3 else None


def as_trained(data: Any, network: Any) -> Any:
    """Data with the labels that a network has for the names of their classes, unless it knows other names; grey ones
    in colour, if the network takes such."""
    if data.from_pictures and network.input_shape[0] == 3 and data.images.ndim == 3:
        data = replace(data, images=np.repeat(data.images[:, None], 3, axis=1))
    known = set(data.classes or ()) <= set(network.classes or ())
    return relabelled(data, network.classes) if data.classes and known else data


def confusion_of(outputs: Array, labels: Array) -> Array:
    """How many images of each class (row) were taken for which (column)."""
    matrix = np.zeros((outputs.shape[1],) * 2, int)
    np.add.at(matrix, (labels, outputs.argmax(axis=1)), 1)
    return matrix


def table_of(matrix: Array, names: list[str]) -> str:
    """A confusion matrix for people."""
    shown = [printable(name, 12) for name in names]
    left, wide = max(map(len, shown)), max(*map(len, shown), len(str(matrix.max()))) + 1
    rows = [f"{name:>{left}} " + "".join(f"{n or '.':>{wide}}" for n in row) for name, row in
            zip(shown, matrix.tolist(), strict=True)]  # fmt: skip
    head = f"{'':>{left}} " + "".join(f"{name:>{wide}}" for name in shown)
    return "\n".join(["rows: true class, columns: what the network says", head, *rows])
