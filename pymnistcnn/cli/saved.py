"""Saved networks, as commands take them: what is in the file, and what it says of itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import numpy as np

from .._types import Array
from ..checks import names_in
from ..ensemble import Ensemble
from ..layers import Rescaling
from ..loading import load
from ..model import Sequential
from ..predictor import probabilities_of
from .options import options

SCALES: dict[str, Rescaling | None] = {"0-255": None, "0-1": Rescaling(1 / 255)}
MODEL = options(
    click.argument("model", type=click.Path(path_type=Path)),
    click.option("--pixels", type=click.Choice(list(SCALES)), default="0-255", show_default=True,
                 help="Numbers that the network takes, before any scaling of its own."),
)  # fmt: skip


def network_at(path: Any, pixels: str = "0-255") -> Sequential | Ensemble:
    """What is saved in a safetensors or ONNX file."""
    if path.suffix.lower() != ".onnx":
        network = load(path)
        return network if SCALES[pixels] is None else behind(SCALES[pixels], network)
    from ..onnx import from_onnx

    return from_onnx(path, rescaling=SCALES[pixels])


def one_network(path: Any, network: Sequential | Ensemble) -> Sequential:
    """What is saved, for commands that look inside; ValueError for an ensemble."""
    if isinstance(network, Ensemble):
        raise ValueError(f"{path}: this is for one network, not for an ensemble of {len(network)}, which evaluate and "
                         "predict take: save one of pm.load(path).models")  # fmt: skip
    return network


def probabilities(network: Sequential | Ensemble, outputs: Array) -> np.ndarray:
    """Probabilities (n, classes) of its outputs."""
    return np.exp(outputs) if isinstance(network, Ensemble) else probabilities_of(outputs, network.layers[-1])


def behind(rescaling: Any, network: Any) -> Sequential | Ensemble:
    """A network whose inputs are scaled first."""
    if isinstance(network, Ensemble):
        return Ensemble((behind(rescaling, model) for model in network.models), shift=network.shift)
    layers = [layer.unbuilt() for layer in (rescaling, *network.layers)]
    whole = Sequential(layers, network.input_shape, dtype=network.dtype.name)
    whole.load_state_dict(network.state_dict())
    whole.notes = network.notes
    return whole


def data_note(network: Any) -> dict[str, Any]:
    """What a network's file says of the data it was trained on."""
    note = network.notes.get("data")
    return note if isinstance(note, dict) else {}


def names_of(network: Any) -> list[str]:
    return list(network.classes or map(str, range(network.output_shape[-1])))


def printable(name: str, most: int = 80) -> str:
    """A name of anybody's, to show on a terminal: in one line, without what a terminal would obey."""
    return "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in name[:most])


def refuse_nan(model: Any, numbers: Any, images: Any = None) -> None:
    """Weights or images of NaN or infinity load well, but nothing that follows from them is an answer."""
    if np.isfinite(numbers).all():
        return
    if images is not None and images.images.dtype.kind == "f":
        bad = np.flatnonzero(~np.isfinite(images.images).reshape(len(images), -1).all(axis=1))
        if len(bad):
            raise ValueError(f"{images.name}: NaN or infinity is in the images {names_in(bad)}, counted from 0")
    raise ValueError(f"{model}: the network's outputs are not finite numbers; its weights may be damaged")
