"""`pymnistcnn predict`: what is in pictures."""

from __future__ import annotations

import csv
import io
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np

from ..datasets import atomic_write
from .options import COMPUTE, JSON, NumberRange, print_json, writable_file
from .samples import Reading, samples_of
from .saved import MODEL, data_note, names_of, network_at, printable, probabilities, refuse_nan
from .seen import drawn, save_seen

if TYPE_CHECKING:
    from .samples import Sample


@click.command()
@MODEL
@click.argument("images", metavar="IMAGE...", type=click.Path(path_type=Path), nargs=-1, required=True)
@click.option("--all", "every", is_flag=True, help="Read all digits of each picture, in reading order.")
@click.option("--as-is", is_flag=True, help="Take pictures of the network's size as they are, wherever the digit lies.")
@click.option("--min-probability", metavar="P", type=NumberRange(0, 1), default=0.0,
              help="Answer `?` where the network is less sure.")  # fmt: skip
@click.option("--show", is_flag=True, help="Draw what the network sees.")
@click.option(
    "--save-seen",
    "save_seen_in",
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False, writable=True),
    help="Save what it sees as PNG files.",
)
@click.option("--output", metavar="FILE", type=click.Path(path_type=Path), callback=writable_file,
              help="Write a CSV file of columns ImageId and Label, as Kaggle takes it.")  # fmt: skip
@COMPUTE
@JSON
def predict(
    model: Any,
    pixels: str,
    images: Any,
    every: bool,
    as_is: bool,
    min_probability: float,
    show: bool,
    save_seen_in: Path | None,
    output: Path | None,
    threads: int | None,
    isa: str | None,
    as_json: bool,
) -> None:
    """Read the digits in pictures, one digit in each.

    MODEL is a file that `pymnistcnn train` saved, or an ONNX file (.onnx); an IMAGE is a photograph, scan or drawing of
    a digit, in a PNG, JPEG or any other file that Pillow reads (not HEIC, SVG or PDF), on any page, light on dark or
    dark on light; or a folder of such; or a file of images: text such as Kaggle's test.csv, IDX, .npy or .npz. For a
    network that was trained on a folder of pictures, these are taken as they are, at any size. What cannot be read is
    named, and the exit code is 1; all others are answered.
    """
    network = network_at(model, pixels)
    reading = Reading(network, bool(data_note(network).get("from_pictures")), as_is, every)
    if reading.whole and (every or as_is):
        which = "--all" if every else "--as-is"
        raise click.UsageError(f"{which} is for networks that read digits on a page: this one takes pictures whole")
    samples = [sample for path in images for sample in samples_of(path, reading)]
    good = [sample for sample in samples if sample.error is None]
    failed = [sample for sample in samples if sample.error is not None]
    rows = answers(model, network, good, min_probability, threads, isa) if good else []
    if save_seen_in is not None:
        save_seen(save_seen_in, good)
    if output is not None and rows:
        write_answers(output, good, rows)
    if as_json:
        errors = [{"image": sample.name, "error": sample.error} for sample in failed]
        print_json(predictions=rows, **({"errors": errors} if errors else {}))
    elif output is None or show:
        names = [printable(row["image"], most=None) for row in rows]
        width, columns = max(map(len, names), default=0), shutil.get_terminal_size().columns
        for sample, name, row in zip(good, names, rows, strict=True):
            answer = f"{row['value']:g}" if "value" in row else f"{printable(row['class'])}  {row['probability']:6.1%}"
            click.echo(f"{name:<{width}}  {answer}" + (f"\n{drawn(sample.image, columns)}" if show else ""))
    for sample in failed:
        click.echo(f"pymnistcnn: error: {' '.join(sample.error.split())}", err=True)
    if failed:
        raise click.exceptions.Exit(1)


def answers(
    model: Any, network: Any, samples: list[Sample], least: float, threads: int | None, isa: str | None
) -> list[dict[str, Any]]:
    """What a network says of each sample: its class, if it is sure enough; or, with one output, its value."""
    outputs = network.predict_outputs(np.stack([sample.image for sample in samples]), threads=threads, isa=isa)
    refuse_nan(model, outputs)
    if network.output_shape == (1,):
        return [{"image": s.name, "value": float(value)} for s, value in zip(samples, outputs[:, 0], strict=True)]
    rows, names = [], names_of(network)
    for sample, p in zip(samples, probabilities(network, outputs), strict=True):
        digit, probability = int(p.argmax()), float(p.max())
        sure = probability >= least
        row = {"digit": digit if sure else None, "class": names[digit] if sure else "?", "probability": probability}
        rows.append({"image": sample.name, **row})
    return rows


def write_answers(path: Any, samples: list[Sample], rows: list[dict[str, Any]]) -> None:
    """Kaggle's form; images whose numbers or names are not all different have the whole path."""
    identities = [sample.identity for sample in samples]
    if len(set(identities)) < len(identities):
        identities = [sample.name for sample in samples]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["ImageId", "Label"])
    writer.writerows((name, row.get("class", row.get("value"))) for name, row in zip(identities, rows, strict=True))
    with atomic_write(path) as file:
        file.write(text.getvalue().encode(errors="surrogateescape"))  # names of folders may be of any bytes
