"""`pymnistcnn draw`: a page to draw on, in the browser."""

from __future__ import annotations

import io
import threading
import webbrowser
from pathlib import Path
from typing import Any

import click
import numpy as np

from .evaluate import as_trained, size_of
from .options import DATA, FORM, JSON, print_json, read_data
from .samples import Reading, white_of
from .saved import data_note, names_of, network_at, one_network

DEFAULT = Path("digits.safetensors")  # where `train` saves


@click.command()
@click.argument("model", metavar="[MODEL]", type=click.Path(path_type=Path), required=False)
@click.option(
    "--port", metavar="N", type=click.IntRange(0, 65535), default=0, help="Of the page.  [default: a free one]"
)
@click.option("--no-browser", is_flag=True, help="Only say where the page is.")
@click.option("--save-in", metavar="DIR", type=click.Path(path_type=Path, file_okay=False), default=Path("drawn"),
              show_default=True, help="Where the page saves what was drawn: then  train --data DIR")  # fmt: skip
@DATA
@FORM
@JSON
def draw(model: Path | None, port: int, no_browser: bool, save_in: Path, data: Any, as_json: bool) -> None:
    """Draw a digit, and see what a network makes of it.

    MODEL is a file that `pymnistcnn train` saved, or an ONNX file; digits.safetensors if not given. The page is for
    this machine alone, and loads nothing from anywhere. Ctrl-C ends it.
    """
    from ..drawing.looking import Looker
    from ..drawing.server import Server

    network, model = drawable_at(model)
    reading = Reading(network, bool(data_note(network).get("from_pictures")))
    examples, names = examples_of(network, data)
    looker = Looker(network, lambda file: reading.seen(io.BytesIO(file))[0], reading.input_of, examples, names)
    try:
        server = Server(looker, classes_of(network), model.name, save_in, port)
    except OSError as error:
        raise OSError(error.errno, f"{error.strerror}: give another --port", f"port {port}") from None
    with server:
        if as_json:
            print_json(url=server.url, model=str(model), save_in=str(save_in))
        else:
            click.echo(f"{server.url}  (Ctrl-C ends it)")
        if not no_browser:
            threading.Thread(target=webbrowser.open, args=(server.url,), daemon=True).start()
        server.serve_forever()


def drawable_at(model: Path | None) -> tuple[Any, Path]:
    """A network that takes pictures, and its path."""
    if model is None and not DEFAULT.exists():
        raise ValueError(f"{DEFAULT}: no such file: name a MODEL, or make one with `pymnistcnn train`")
    model = model or DEFAULT
    network = one_network(model, network_at(model))
    Reading(network).refuse_other_shapes(model)
    return network, model


def classes_of(network: Any) -> list[str]:
    """The classes' names; none, where the one output is a value."""
    return [] if network.output_shape == (1,) else names_of(network)


def examples_of(network: Any, data: Any) -> tuple[np.ndarray | None, list[str] | None]:
    """The training pictures and the names of their classes; none, if it is not said where they are, or if they are not
    what the network takes."""
    parts = read_data(data, size_of(network))
    train = as_trained(parts[0], network)
    trained_on = data_note(network).get("name")
    fits = train.images[0].size == np.prod(network.input_shape) if len(train) else False
    if not fits or (data is None and trained_on not in (None, train.name)):
        click.echo("no training pictures are shown: --data says where those of this network are", err=True)
        return None, None
    images = train.images
    if images.dtype != np.uint8 or white_of(network) != 255:
        images = np.rint(images * (255 / white_of(network))).astype(np.uint8)
    classes = train.classes or tuple(map(str, range(int(train.labels.max()) + 1)))
    return images, [classes[label] for label in train.labels.tolist()]
