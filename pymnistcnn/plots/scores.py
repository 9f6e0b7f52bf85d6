"""Precision and recall of each class."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matplotlib.ticker import PercentFormatter

from .interpreting import Data, Of, interpreted
from .theme import axes_for, dressed, legend, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def per_class(of: Of, data: Data = None, ax: Axes | None = None) -> Axes:
    """Precision, the share of right ones among the answers of a class, and recall, the share of a class that was
    found, as two points a class. What is not defined, as nothing was answered so, or there is none, is left out.

    Parameters
    ----------
    of, data : a model with a Dataset, or with a pair of inputs and labels; or what `pm.interpret` gives, alone
    ax : the Axes to draw on, new ones if not given

    Examples
    --------
    >>> import numpy as np, pymnistcnn as pm
    >>> model = pm.Sequential([pm.Linear(2, initializer=pm.initializers.Zeros())], input_shape=(3,))
    >>> ax = pm.plots.per_class(model, (np.ones((4, 3), np.float32), [0, 1, 1, 1]))
    >>> [points.get_label() for points in ax.collections[1:]]
    ['precision', 'recall']
    """
    what = interpreted(of, data)
    rows = range(len(what.classes))
    ax = axes_for(ax, 5, 1.2 + 0.26 * max(len(rows), 4))
    theme = dressed(ax, "Precision and recall", grid="x")
    precision, recall = what.precision, what.recall
    ax.hlines(rows, precision, recall, color=theme.grid, linewidth=3)
    for values, color, marker, name in (
        (precision, theme.first, "o", "precision"),
        (recall, theme.second, "D", "recall"),
    ):
        ax.scatter(values, rows, color=color, marker=marker, s=36, label=name, zorder=3)
    ax.set_yticks(rows, [plain(name) for name in what.classes], color=theme.ink)
    ax.invert_yaxis()
    ax.xaxis.set_major_formatter(PercentFormatter(1))
    legend(ax, loc="lower right", bbox_to_anchor=(1, 1), ncols=2, borderaxespad=0)
    return ax
