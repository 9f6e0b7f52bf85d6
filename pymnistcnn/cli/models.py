"""`pymnistcnn evaluate` and `predict`: what a saved network can do."""

from __future__ import annotations

import csv
import io
import time
from dataclasses import replace
from pathlib import Path

import click
import numpy as np

from .. import model as models
from ..datasets import atomic_write
from ..datasets.reading import relabelled
from .options import COMPUTE, DATA, FORM, JSON, describe, print_json, read_data, writable_file
from .samples import samples_of


def load(path):
    """The network of a file that a command is given."""
    return models.load(path)


@click.command()
@click.argument("model", type=click.Path(path_type=Path))
@DATA
@FORM
@click.option("--part", type=click.Choice(["test", "train", "all"]), default="test", show_default=True,
              help="Which images of the data.")  # fmt: skip
@click.option("--confusion", is_flag=True, help="Print how many images of each class were taken for which.")
@COMPUTE
@JSON
def evaluate(model, data, part, confusion, threads, isa, as_json):
    """Test a saved network on the test images.

    MODEL is a file that `pymnistcnn train` saved. The data are MNIST's, whatever the network was trained on, unless
    --data says otherwise.
    """
    network = load(model)
    images = as_trained(part_of(read_data(data, size_of(network)), part), network)
    started = time.perf_counter()
    result = network.evaluate(images, threads=threads, isa=isa)
    seconds = time.perf_counter() - started
    refuse_nan(model, result.loss)
    matrix = confusion_of(network, images, threads, isa) if confusion else None
    trained_on = data_note(network).get("name")
    if as_json:
        more = {} if matrix is None else {"confusion": matrix.tolist(), "classes": names_of(network)}
        print_json(
            test_accuracy=result.accuracy, test_loss=result.loss, images=result.n, seconds=seconds, isa=isa,
            threads=threads, dtype=network.dtype.name, data=images.name, trained_on=trained_on, **more,
        )  # fmt: skip
        return
    wrong = result.n - round(result.accuracy * result.n)
    other = f"; the network was trained on {trained_on}" * (trained_on not in (None, images.name))
    click.echo(f"data           {describe(data, images.name)}{other}")
    click.echo(f"test accuracy  {result.accuracy:.2%} ({wrong:,} of {result.n:,} wrong)")
    click.echo(f"test loss      {result.loss:.4f}")
    click.echo(f"time           {seconds:.2f} s ({result.n / seconds:,.0f} images/s)")
    if matrix is not None:
        click.echo(f"\n{table_of(matrix, names_of(network))}")


def part_of(parts, part):
    """The images for testing, or others, of a pair of Datasets."""
    train, test = parts
    if part == "all":
        both = [np.concatenate([a, b]) for a, b in zip(train, test, strict=True)]
        return replace(test, images=both[0], labels=both[1])
    return train if part == "train" else test


def size_of(network):
    """(height, width) of the pictures that a network takes, or None."""
    return network.input_shape[1:] if len(network.input_shape) == 3 else None


def as_trained(data, network):
    """Data with the labels that a network has for the names of their classes, unless it knows other names; grey ones
    in colour, if the network takes such."""
    if data.from_pictures and network.input_shape[0] == 3 and data.images.ndim == 3:
        data = replace(data, images=np.repeat(data.images[:, None], 3, axis=1))
    known = set(data.classes or ()) <= set(network.classes or ())
    return relabelled(data, network.classes) if data.classes and known else data


def data_note(network) -> dict:
    """What a network's file says of the data it was trained on."""
    note = network.notes.get("data")
    return note if isinstance(note, dict) else {}


def names_of(network) -> list[str]:
    return list(network.classes or map(str, range(network.output_shape[-1])))


def confusion_of(network, data, threads, isa):
    """How many images of each class (row) were taken for which (column)."""
    matrix = np.zeros((network.output_shape[-1],) * 2, int)
    np.add.at(matrix, (data.labels, network.predict(data.images, threads=threads, isa=isa)), 1)
    return matrix


def table_of(matrix, names) -> str:
    """A confusion matrix for people."""
    shown = [name[:12] for name in names]
    left, wide = max(map(len, shown)), max(*map(len, shown), len(str(matrix.max()))) + 1
    rows = [f"{name:>{left}} " + "".join(f"{n or '.':>{wide}}" for n in row) for name, row in
            zip(shown, matrix.tolist(), strict=True)]  # fmt: skip
    head = f"{'':>{left}} " + "".join(f"{name:>{wide}}" for name in shown)
    return "\n".join(["rows: true class, columns: what the network says", head, *rows])


@click.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("images", metavar="IMAGE...", type=click.Path(path_type=Path), nargs=-1, required=True)
@click.option("--output", metavar="FILE", type=click.Path(path_type=Path), callback=writable_file,
              help="Write a CSV file of columns ImageId and Label, as Kaggle takes it.")  # fmt: skip
@COMPUTE
@JSON
def predict(model, images, output, threads, isa, as_json):
    """Read the digits in pictures, one digit in each.

    MODEL is a file that `pymnistcnn train` saved; an IMAGE is a PNG or any other picture of the network's
    size (28x28) or larger, light on dark or dark on light; or a folder of such; or a file of images: text such as
    Kaggle's test.csv, IDX, .npy or .npz. For a network that was trained on a folder of pictures, these are taken as
    they are, at any size. What cannot be read is named, and the exit code is 1; all others are answered.
    """
    network = load(model)
    as_they_are = bool(data_note(network).get("from_pictures"))
    samples = [sample for path in images for sample in samples_of(path, network, as_they_are)]
    good = [sample for sample in samples if sample.error is None]
    rows = answers(model, network, good, threads, isa) if good else []
    failed = [sample for sample in samples if sample.error is not None]
    if output is not None and rows:
        write_answers(output, good, rows)
    if as_json:
        errors = [{"image": sample.name, "error": sample.error} for sample in failed]
        print_json(predictions=rows, **({"errors": errors} if errors else {}))
    elif output is None:
        width = max((len(row["image"]) for row in rows), default=0)
        for row in rows:
            shown = f"{row['value']:g}" if "value" in row else f"{row['class']}  {row['probability']:6.1%}"
            click.echo(f"{row['image']:<{width}}  {shown}")
    for sample in failed:
        click.echo(f"pymnistcnn: error: {' '.join(sample.error.split())}", err=True)
    if failed:
        raise click.exceptions.Exit(1)


def answers(model, network, samples, threads, isa) -> list[dict]:
    """What a network says of each sample: its class, or, with one output, its value."""
    inputs = np.stack([sample.image for sample in samples])
    outputs = network.predict_outputs(inputs, threads=threads, isa=isa)
    refuse_nan(model, outputs)
    if network.output_shape == (1,):
        return [
            {"image": sample.name, "value": float(value)} for sample, value in zip(samples, outputs[:, 0], strict=True)
        ]
    probabilities, names = network.predict_proba(inputs, threads=threads, isa=isa), names_of(network)
    return [
        {"image": sample.name, "digit": int(p.argmax()), "class": names[p.argmax()], "probability": float(p.max())}
        for sample, p in zip(samples, probabilities, strict=True)
    ]


def write_answers(path, samples, rows):
    """Kaggle's form."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["ImageId", "Label"])
    writer.writerows(
        (sample.identity, row.get("class", row.get("value"))) for sample, row in zip(samples, rows, strict=True)
    )
    with atomic_write(path) as file:
        file.write(text.getvalue().encode())


def refuse_nan(model, numbers):
    """Weights of NaN or infinity load well, but nothing that follows from them is an answer."""
    if not np.isfinite(numbers).all():
        raise ValueError(f"{model}: the network's outputs are not finite numbers; its weights may be damaged")
