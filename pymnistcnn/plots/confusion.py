"""Which classes are taken for which."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..checks import whole
from .interpreting import Data, Of, interpreted
from .theme import axes_for, blended, dressed, is_dark, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_NUMBERS = 30  # classes, up to which there is room for numbers
PALE = 0.12  # how much colour a cell has at least, if it is not empty


def confusion_matrix(of: Of, data: Data = None, ax: Axes | None = None) -> Axes:
    """How many samples of each class, a row, got each answer, a column. Right answers are of one colour, mistakes, the
    more the stronger, of another.

    Parameters
    ----------
    of, data : a model with a Dataset, or with a pair of inputs and labels; or what `pm.interpret` gives, alone
    ax : the Axes to draw on, new ones if not given

    Examples
    --------
    >>> import numpy as np, pymnistcnn as pm
    >>> model = pm.Sequential([pm.Linear(2, initializer=pm.initializers.Zeros())], input_shape=(3,))
    >>> ax = pm.plots.confusion_matrix(model, (np.ones((4, 3), np.float32), [0, 1, 1, 1]))
    >>> [text.get_text() for text in ax.texts]
    ['1', '3']
    """
    what = interpreted(of, data)
    matrix, n = what.confusion, len(what.classes)
    side = min(4.5 + 0.12 * n, 12)
    ax = axes_for(ax, side, side)
    theme = dressed(ax, f"{what.accuracy:.2%} of {len(what):,} answered right", "answer", "label", grid=None)
    wrong = matrix * (1 - np.eye(n, dtype=int))
    right = np.diag(np.nan_to_num(what.recall))
    shares = PALE * (wrong > 0) + (1 - PALE) * wrong / max(wrong.max(), 1)
    colors = np.where(
        np.eye(n)[..., None] > 0,
        blended(theme.first, theme.background, 0.8 * right),
        blended(theme.second, theme.background, 0.8 * shares),
    )
    ax.imshow(colors, interpolation="nearest")
    if n <= MOST_NUMBERS:
        size = min(10, 110 / n)
        for row, column in zip(*np.nonzero(matrix), strict=True):
            ink = "white" if is_dark(colors[row, column]) else "black"
            ax.text(column, row, f"{matrix[row, column]}", ha="center", va="center", color=ink, fontsize=size)
    _name_ticks(ax, what.classes)
    ax.spines[:].set_visible(False)
    ax.set_xticks(np.arange(1, n) - 0.5, minor=True)
    ax.set_yticks(np.arange(1, n) - 0.5, minor=True)
    ax.grid(which="minor", color=theme.grid, linewidth=0.5)
    ax.tick_params(which="minor", length=0)
    return ax


def _name_ticks(ax, classes):
    names = [plain(name, 14) for name in classes]
    long = max(map(len, names)) > 2
    size = "medium" if len(names) <= 20 else "xx-small"
    turned = dict(rotation=45, ha="right", rotation_mode="anchor") if long else {}
    ax.set_xticks(range(len(names)), names, fontsize=size, **turned)
    ax.set_yticks(range(len(names)), names, fontsize=size)


def most_confused(of: Of, data: Data = None, k: int = 10, ax: Axes | None = None) -> Axes:
    """The pairs of a class and an answer that are mixed up most often, with how often.

    Parameters
    ----------
    of, data : a model with a Dataset, or with a pair of inputs and labels; or what `pm.interpret` gives, alone
    k : how many pairs, or all if there are fewer
    ax : the Axes to draw on, new ones if not given

    Examples
    --------
    >>> import numpy as np, pymnistcnn as pm
    >>> model = pm.Sequential([pm.Linear(2, initializer=pm.initializers.Zeros())], input_shape=(3,))
    >>> ax = pm.plots.most_confused(model, (np.ones((4, 3), np.float32), [0, 1, 1, 1]))
    >>> [label.get_text() for label in ax.get_yticklabels()]
    ['1 read as 0']
    """
    what = interpreted(of, data)
    pairs = what.most_confused()[: whole("k", k)]
    ax = axes_for(ax, 5, 0.9 + 0.3 * max(len(pairs), 2))
    theme = dressed(ax, "Most confused" if len(pairs) else "No mistakes", "mistakes", grid="x")
    classes = [plain(name, 14) for name in what.classes]
    names = [f"{classes[label]} read as {classes[answer]}" for label, answer, _ in pairs]
    bars = ax.barh(range(len(pairs)), pairs["count"], height=0.7, color=theme.second)
    ax.bar_label(bars, padding=3, color=theme.ink, fontsize="small")
    ax.set_yticks(range(len(pairs)), names, color=theme.ink)
    ax.invert_yaxis()
    ax.xaxis.get_major_locator().set_params(integer=True)
    ax.margins(x=0.08)
    return ax
