"""The weights of a convolution, as pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..checks import whole
from ..layers import Conv2d
from ..model import Sequential
from .theme import axes_for, bare
from .tiles import columns_for, montage

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST = 64  # channels in, and out, that there is room for


def filters(model: Sequential, layer: int | None = None, ax: Axes | None = None) -> Axes:
    """The filters of a convolution: those of one input channel side by side; else a row for each input channel, with
    a filter for each output channel, up to 64 of both. Zero has the colour of the background.

    Parameters
    ----------
    model : one with a Conv2d
    layer : the index of that, in `model.layers`; the first one if not given
    ax : the Axes to draw on, new ones if not given

    ValueError if that layer is no Conv2d, or there is none.

    Examples
    --------
    >>> import pymnistcnn as pm
    >>> model = pm.Sequential([pm.Conv2d(6, 5)], input_shape=(1, 28, 28))
    >>> ax = pm.plots.filters(model)
    >>> ax.get_title(loc="left")
    'Filters of layer 0, Conv2d(6, 5)'
    """
    layer = whole("layer", first_of(model) if layer is None else layer, 0, len(model.layers) - 1)
    if not isinstance(model.layers[layer], Conv2d):
        raise ValueError(f"layer {layer} is {model.layers[layer]}, not a Conv2d, which has filters")
    weight = model.layers[layer].parameters["weight"].astype(np.float64)[:MOST, :MOST]
    outs, ins, height, width = weight.shape
    columns = columns_for(outs) if ins == 1 else outs
    tiles = weight.transpose(1, 0, 2, 3).reshape(-1, height, width)
    rows = -(-len(tiles) // columns)
    side = min(0.55, 9 / max(rows, columns))
    ax = axes_for(ax, max(4.0, side * columns + 0.8), side * rows + 0.7)
    theme = bare(ax, f"Filters of layer {layer}, {model.layers[layer]}")
    most = float(np.abs(weight).max()) or 1.0
    image = ax.imshow(montage(tiles, columns), cmap=theme.signed, vmin=-most, vmax=most, interpolation="nearest")
    if ins > 1:
        ax.set_xlabel("output channel", color=theme.muted)
        ax.set_ylabel("input channel", color=theme.muted)
    scale = ax.inset_axes([1.02, 0, 0.03, 1])
    bar = ax.figure.colorbar(image, cax=scale, ticks=[-most, 0, most], format="%.2g")
    bar.outline.set_visible(False)
    scale.tick_params(colors=theme.muted, length=0)
    return ax


def first_of(model: Sequential) -> int:
    """The index of the first convolution."""
    for index, layer in enumerate(model.layers):
        if isinstance(layer, Conv2d):
            return index
    raise ValueError("this model has no Conv2d, which would have filters")
