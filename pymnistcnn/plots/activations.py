"""What each layer makes of a picture."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from .._types import Array, ArrayLike
from ..checks import whole
from ..markup import is_pictures, pixels_of
from ..model import Sequential
from ..stepping import runner_of
from ..target import target_of
from .theme import axes_for, bare, plain
from .tiles import SIZE, columns_for, draw_tile, fit, montage

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MAPS = 16  # of a layer, in a row
LABELS = 4.8  # places for the layers' names


def activations(model: Sequential, picture: ArrayLike, layer: int | None = None, ax: Axes | None = None) -> Axes:
    """A picture's way through the network: for each layer that gives pictures a row with its first 16 channels; or all
    channels of one layer. Zero has the colour of the background; each row has a scale of its own.

    Parameters
    ----------
    model : one that takes pictures
    picture : one sample (c, h, w), or (h, w) of a single channel
    layer : the index, in `model.layers`, of the one to show; all of them if not given
    ax : the Axes to draw on, new ones if not given

    ValueError for a picture that does not fit the model, or a layer that gives no pictures.

    Examples
    --------
    >>> import pymnistcnn as pm
    >>> model = pm.Sequential([pm.Conv2d(6, 5), pm.ReLU(), pm.Flatten(), pm.Linear(10)], input_shape=(1, 28, 28))
    >>> ax = pm.plots.activations(model, pm.datasets.mnist()[1].images[0])
    >>> [text.get_text() for text in ax.texts]
    ['picture', '0: Conv2d(6, 5)', '1: ReLU()']
    """
    sample = model.network.inputs(np.asarray(picture)[None], "picture")
    if layer is not None:
        return _one(model, sample, whole("layer", layer, 0, len(model.layers) - 1), ax)
    shapes = model.network.shapes[1:]
    shown = [index for index, shape in enumerate(shapes) if len(shape) == 3 and math.prod(shape[1:]) > 1]
    if not shown:
        raise ValueError("no layer of this model gives pictures")
    columns = min(MAPS, max(shapes[index][0] for index in shown))
    ax = axes_for(ax, 0.45 * (columns + LABELS), 0.5 + 0.45 * (len(shown) + 1))
    theme = bare(ax, answer_of(model, sample))
    rows: list[tuple[str, Array, dict[str, Any]]] = []
    if is_pictures(sample):
        rows.append(("picture", pixels_of(sample), dict(cmap="gray", vmin=0, vmax=255)))
    for index in shown:
        maps = maps_after(model, sample, index)
        rows.append((f"{index}: {model.layers[index]}", maps[:MAPS], scale_of(maps, theme)))
    for row, (name, maps, scale) in enumerate(rows):
        ax.text(0, row + SIZE / 2, plain(name, 32), ha="left", va="center", color=theme.ink, fontsize="x-small")
        for column, one in enumerate(maps):
            draw_tile(ax, one, LABELS + column, row, **scale)
    fit(ax, LABELS + columns, len(rows))
    return ax


def _one(model, sample, layer, ax):
    if len(model.network.shapes[layer + 1]) != 3:
        raise ValueError(f"layer {layer}, {model.layers[layer]}, gives no pictures")
    maps = maps_after(model, sample, layer)
    columns = columns_for(len(maps))
    ax = axes_for(ax, max(4, 0.8 * columns), 0.5 + 0.8 * -(-len(maps) // columns))
    theme = bare(ax, f"Layer {layer}, {model.layers[layer]}")
    ax.imshow(montage(maps, columns), interpolation="nearest", **scale_of(maps, theme))
    return ax


def maps_after(model: Sequential, sample: Array, layer: int) -> Array:
    """The channels (n, h, w) that come out of a layer; the model's own state stays as it is."""
    network = model.network
    part = network.part([one.unbuilt() for one in network.layers[: layer + 1]], network.input_shape, 0)
    return runner_of(part).predict(sample, target_of(), None)[0]


def answer_of(model: Sequential, sample: Array) -> str:
    if len(model.output_shape) != 1 or model.output_shape == (1,):
        return "Activations"
    probabilities = model.predict_proba(sample)[0]
    answer = int(probabilities.argmax())
    name = model.classes[answer] if model.classes else str(answer)
    return f"Read as {plain(name)}, {probabilities[answer]:.1%}"


def scale_of(maps: Array, theme: Any) -> dict[str, Any]:
    most = float(np.abs(maps).max()) or 1.0
    return dict(cmap=theme.signed, vmin=-most, vmax=most)
