"""Is the model right as often as it says?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.ticker import PercentFormatter

from .interpreting import Data, Of, interpreted
from .theme import axes_for, dressed

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Z = 1.96  # deviations, of an interval that holds the truth 95 times of 100


def calibration(of: Of, data: Data = None, bins: int = 10, ax: Axes | None = None) -> Axes:
    """A reliability diagram: of the answers that are about so probable, as the model says, how many are right? Where it
    says the truth, points are on the diagonal; below it, it is too sure. Lines are intervals of 95 % (Wilson), numbers
    say how many answers a point stands for.

    Parameters
    ----------
    of, data : a model with a Dataset, or with a pair of inputs and labels; or what `pm.interpret` gives, alone
    bins : of equal width, from 0 to 1, that answers are put in
    ax : the Axes to draw on, new ones if not given

    Examples
    --------
    >>> import numpy as np, pymnistcnn as pm
    >>> model = pm.Sequential([pm.Linear(2, initializer=pm.initializers.Zeros())], input_shape=(3,))
    >>> ax = pm.plots.calibration(model, (np.ones((4, 3), np.float32), [0, 1, 1, 1]))
    >>> ax.lines[1].get_xydata().tolist()
    [[0.5, 0.25]]
    """
    what = interpreted(of, data)
    table = what.calibration(bins)
    table = table[table["count"] > 0]
    ax = axes_for(ax, 4.8, 4.8)
    title = f"Calibration: error {what.calibration_error(bins):.2%}"
    theme = dressed(ax, title, "probability of the answer", "share of right answers")
    ax.plot([0, 1], [0, 1], color=theme.muted, linewidth=1, linestyle="--")
    x, y = table["probability"], table["accuracy"]
    low, high = wilson(y, table["count"])
    ax.plot(x, y, color=theme.first, marker="o", markersize=5)
    ax.vlines(x, low, high, color=theme.first, linewidth=1.5)
    for place, height, count in zip(x, high, table["count"], strict=True):
        ax.annotate(f"{count:,}", (place, height), xytext=(0, 3), textcoords="offset points", ha="center",
                    color=theme.muted, fontsize="x-small")  # fmt: skip
    ax.set_xlim(min(0.9, table["low"].min()), 1.04)
    ax.set_ylim(min(0.9, np.floor(low.min() * 10) / 10) - 0.03, 1.08)
    ax.xaxis.set_major_formatter(PercentFormatter(1))
    ax.yaxis.set_major_formatter(PercentFormatter(1))
    return ax


def wilson(share: np.ndarray, count: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The interval of 95 % around a share of so many (Wilson, 1927)."""
    middle = (share + Z**2 / (2 * count)) / (1 + Z**2 / count)
    half = Z / (1 + Z**2 / count) * np.sqrt(share * (1 - share) / count + Z**2 / (4 * count**2))
    return np.maximum(middle - half, 0), np.minimum(middle + half, 1)
