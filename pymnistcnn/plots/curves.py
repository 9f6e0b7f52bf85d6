"""A training: its loss, accuracy and learning rate."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, PercentFormatter

from .._types import Array
from .theme import axes_for, dressed, legend, theme_of

if TYPE_CHECKING:
    from ..recorder import Recorder
    from ..training import History

WIDTH, HEIGHT = 4.2, 3.2  # inches, of one
FEW = 40  # epochs, that are points on a line
WIDE = 20  # between the smallest and the largest loss, for a logarithmic axis


def loss(history: History, ax: Axes | None = None, steps: Recorder | None = None) -> Axes:
    """Mean loss on the training and on the validation data, by epoch; on a logarithmic axis where they differ much.

    history : of a `fit`
    ax : the Axes to draw on, new ones if not given
    steps : the Recorder of that `fit`, for a line through every few batches

    Examples
    --------
    >>> import pymnistcnn as pm
    >>> ax = pm.plots.loss(pm.History(loss=[0.4, 0.2], validation_loss=[0.3, 0.25]))
    >>> [line.get_label() for line in ax.lines]
    ['training', 'validation']
    """
    ax = axes_for(ax, WIDTH, HEIGHT)
    _both(ax, "Loss", history.loss, history.validation_loss, steps and (steps.epochs, steps.loss), "upper right")
    drawn = np.array([value for line in ax.lines for value in line.get_ydata()])
    if drawn.size and drawn.min() > 0 and drawn.max() > WIDE * drawn.min():
        ax.set_yscale("log", subs=(2, 5))
        ax.yaxis.set_major_formatter("{x:g}")
        ax.yaxis.set_minor_formatter("{x:g}")
        ax.tick_params(which="both", colors=theme_of(ax).muted, length=0)
    else:
        ax.set_ylim(bottom=0)
    return ax


def accuracy(history: History, ax: Axes | None = None, steps: Recorder | None = None) -> Axes:
    """Accuracy on the training and on the validation data, by epoch; arguments as of `loss`.

    Examples
    --------
    >>> import pymnistcnn as pm
    >>> ax = pm.plots.accuracy(pm.History(loss=[0.4, 0.2], accuracy=[0.9, 0.96]))
    >>> ax.lines[0].get_ydata().tolist()
    [0.9, 0.96]
    """
    ax = axes_for(ax, WIDTH, HEIGHT)
    points = steps and (steps.epochs, steps.accuracy)
    _both(ax, "Accuracy", history.accuracy, history.validation_accuracy, points, "lower right")
    if steps and history.accuracy:  # the first batches are guesses, and not what is of interest
        ax.set_ylim(bottom=max(0, 1 - 2 * (1 - min(history.accuracy))))
    ax.yaxis.set_major_formatter(PercentFormatter(1))
    return ax


def learning_rate(history: History, ax: Axes | None = None, steps: Recorder | None = None) -> Axes:
    """The learning rate of each epoch's last step, or, with `steps`, of every few batches; arguments as of `loss`.

    Examples
    --------
    >>> import pymnistcnn as pm
    >>> ax = pm.plots.learning_rate(pm.History(loss=[0.4, 0.2], learning_rate=[1e-3, 1e-4]))
    >>> ax.get_xlabel()
    'epoch'
    """
    ax = axes_for(ax, WIDTH, HEIGHT)
    theme = dressed(ax, "Learning rate", "epoch")
    if steps:
        ax.plot(steps.epochs, steps.learning_rate, color=theme.first)
    else:
        ax.plot(_epochs(history.learning_rate), history.learning_rate, color=theme.first, **_points(history))
    ax.set_ylim(bottom=0)
    ax.xaxis.set_major_locator(MaxNLocator(5, integer=len(history) > 1))
    return ax


def history(history: History, ax: Axes | Sequence[Axes] | None = None, steps: Recorder | None = None) -> Array:
    """Loss, accuracy and learning rate of a training side by side: what `history.plot()` draws.

    Parameters
    ----------
    history : of a `fit`
    ax : one Axes, in whose place they are drawn, or one for each; a new figure if not given
    steps : the Recorder of that `fit`, for lines through every few batches

    Returns an array of Axes: three, or fewer if the history lacks something, such as accuracy in a regression.

    Examples
    --------
    >>> import pymnistcnn as pm
    >>> history = pm.History(loss=[0.4, 0.2], accuracy=[0.9, 0.96], learning_rate=[1e-3, 1e-4])
    >>> [ax.get_title(loc="left") for ax in pm.plots.history(history)]
    ['Loss', 'Accuracy', 'Learning rate']
    """
    panels = panels_of(history)
    places = _places(ax, len(panels))
    for draw, place in zip(panels, places, strict=True):
        draw(history, place, steps)
    return places


def panels_of(history: History) -> list[Callable[..., Axes]]:
    """What can be drawn of a history."""
    has_accuracy = any(map(math.isfinite, history.accuracy))
    return [loss, *[accuracy] * has_accuracy, *[learning_rate] * bool(history.learning_rate)]


def _places(ax, n):
    """n Axes: those that are given, pieces of one, or of a new figure."""
    if ax is None:
        import matplotlib.pyplot as plt

        return plt.subplots(1, n, figsize=(WIDTH * n, HEIGHT), layout="constrained", squeeze=False)[1][0]
    if isinstance(ax, Axes):
        ax.set_axis_off()
        width = 1 / (n + 0.3 * (n - 1))
        places = [ax.inset_axes([1.3 * width * i, 0, width, 1]) for i in range(n)]
    else:
        places = list(np.ravel(ax))
        if len(places) != n:
            raise ValueError(f"ax must be one Axes, or {n}, one for each of what the history has, not {len(places)}")
    return np.array(places, object)


def _both(ax, title, training, validation, steps, corner):
    theme = dressed(ax, title, "epoch")
    points = _points(training)
    if steps:
        ax.plot(*steps, color=theme.first, linewidth=1, label="training")
    elif len(training):
        ax.plot(_epochs(training), training, color=theme.first, label="training", **points)
    if validation:
        ax.plot(_epochs(validation), validation, color=theme.second, label="validation", **points)
        legend(ax, loc=corner)
    ax.xaxis.set_major_locator(MaxNLocator(5, integer=len(training) > 1))


def _epochs(values):
    return range(1, len(values) + 1)


def _points(values):
    return dict(marker="o", markersize=4) if len(values) <= FEW else {}
