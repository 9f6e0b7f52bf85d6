"""`pymnistcnn report`, and what `pymnistcnn train --report` writes."""

from __future__ import annotations

import hashlib
import json
import textwrap
from pathlib import Path
from typing import Any

import click

from ..extras import needed
from ..recorder import Recorder
from .evaluate import PART, as_trained, part_of, size_of
from .options import COMPUTE, DATA, FORM, JSON, describe, print_json, read_data, writable_file
from .saved import MODEL, data_note, network_at, one_network

SHOWN = ("classes", "data", "history")  # notes that have places of their own
POINTS = 200  # of a curve, about


def report_file(context: Any, option: Any, path: Any) -> Any:
    """A path that a report can be written to; the library that draws it must be there, too."""
    if path is not None:
        needed("matplotlib", "plots")
    return writable_file(context, option, path)


@click.command()
@MODEL
@DATA
@FORM
@PART
@click.option("--output", metavar="FILE", type=click.Path(path_type=Path), default="report.html", show_default=True,
              callback=report_file, help="Where to write the report.")  # fmt: skip
@COMPUTE
@JSON
def report(
    model: Any, pixels: str, data: Any, part: str, output: Path, threads: int | None, isa: str | None, as_json: bool
) -> None:
    """Write what is to be known of a saved network as one HTML file.

    MODEL is a file that `pymnistcnn train` saved, a checkpoint or an ONNX file (.onnx). The data are MNIST's test
    images, whatever the network was trained on, unless --data says otherwise. There are curves if the file has a
    history, as checkpoints have; `pymnistcnn train --report FILE` draws them, too.
    """
    from ..report import Run, write
    from ..report.stored import stored

    network = one_network(model, network_at(model, pixels))
    history, settings = (None, {}) if model.suffix.lower() == ".onnx" else stored(model)
    images = as_trained(part_of(read_data(data, size_of(network)), part), network)
    facts = {
        "Network": {"file": click.format_filename(model), "sha256": sha256_of(model), **shape_of(network)},
        "Trained on": {name: value for name, value in data_note(network).items() if name in ("name", "sha256")},
        "Tested on": data_facts(images, describe(data, images.name), part),
        "Training": settings,
        "Notes": {name: brief(value) for name, value in network.notes.items() if name not in SHOWN},
    }
    facts = {title: rows for title, rows in facts.items() if rows}
    run = Run(click.format_filename(model.name), network, images, history, None, facts, threads, isa)
    write(output, run)
    told(output, run, as_json)


def told(output: Path, run: Any, as_json: bool) -> None:
    what = run.what
    if as_json:
        print_json(report=click.format_filename(output), bytes=output.stat().st_size, test_accuracy=what.accuracy,
                   images=len(what), history=run.history is not None)  # fmt: skip
        return
    click.echo(f"accuracy  {what.accuracy:.2%} ({len(what.mistakes()):,} of {len(what):,} wrong)")
    if run.history is None:
        click.echo("history   none in this file: the report has no curves")
    click.echo(f"report    {click.format_filename(output)} ({output.stat().st_size / 1000:,.0f} kB)")


def recorder_of(epochs: int, samples: int, batch_size: int) -> Recorder:
    """A callback for curves of about POINTS points."""
    return Recorder(max(1, epochs * -(-samples // batch_size) // POINTS))


def write_of_training(
    path: Path, made: Any, history: Any, recorder: Any, data: Any, settings: dict[str, Any], output: Path
) -> None:
    """The report of a training that `pymnistcnn train` did; data: for training and for testing, and where they are."""
    from ..report import Run, write

    training, test, place = data
    settings = settings | {"optimizer": made.optimizer, "schedule": made.schedule, "loss": made.loss}
    facts = {
        "Settings": {name.replace("_", " "): value for name, value in settings.items() if value is not None},
        "Network": {"file": click.format_filename(output), "sha256": sha256_of(output), **shape_of(made.model)},
        "Trained on": data_facts(training, describe(place, training.name), "train"),
        "Tested on": data_facts(test, describe(place, test.name), "test"),
    }
    title = f"{training.name or 'Training'}, recipe {settings['recipe']}, seed {settings['seed']}"
    write(path, Run(title, made.model, test, history, recorder, facts, settings["threads"], settings["isa"]))


def shape_of(network: Any) -> dict[str, str]:
    """What it takes and gives."""
    outputs = ", ".join(network.classes) if network.classes else network.output_shape[0]
    return {"inputs": " x ".join(map(str, network.input_shape)), "outputs": outputs, "dtype": network.dtype.name}


def data_facts(data: Any, name: str, part: str) -> dict[str, str]:
    return {"name": name, "part": part, "images": f"{len(data):,}", "sha256": data.checksum()}


def sha256_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def brief(value: Any) -> str:
    return textwrap.shorten(json.dumps(value, ensure_ascii=False), 300, placeholder=" ...")
