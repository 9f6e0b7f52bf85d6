"""The pictures that were read wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..checks import whole
from ..markup import is_pictures, pixels_of
from .interpreting import Data, Of, interpreted
from .theme import axes_for, bare, plain
from .tiles import SIZE, draw_tile, fit

if TYPE_CHECKING:
    from matplotlib.axes import Axes

CAPTION = 0.46  # of the height of a place


def mistakes(of: Of, data: Data = None, k: int = 20, columns: int = 10, ax: Axes | None = None) -> Axes:
    """The pictures that were answered wrong, the surest answers first: under each its label and the answer, the
    answer's probability, and its index in the data.

    Parameters
    ----------
    of, data : a model with a Dataset, or with a pair of pictures and labels; or what `pm.interpret` gives, alone
    k : how many, or all if there are fewer
    columns : pictures in a row
    ax : the Axes to draw on, new ones if not given

    ValueError for inputs that are no pictures of 1 or 3 channels.

    Examples
    --------
    >>> import numpy as np, pymnistcnn as pm
    >>> model = pm.Sequential([pm.Flatten(), pm.Linear(2, initializer=pm.initializers.Zeros())], input_shape=(1, 8, 8))
    >>> ax = pm.plots.mistakes(model, (np.ones((4, 8, 8), np.float32), [0, 0, 1, 1]))
    >>> [text.get_text() for text in ax.texts]
    ['1 read as 0', '50.0%  #2', '1 read as 0', '50.0%  #3']
    """
    what = interpreted(of, data)
    if not is_pictures(what.images):
        raise ValueError(f"mistakes are shown of pictures of 1 or 3 channels, not of inputs {what.images.shape}")
    wrong, columns = what.mistakes(), whole("columns", columns)
    shown = wrong[: whole("k", k)]
    columns = max(1, min(columns, len(shown)))
    rows = max(1, -(-len(shown) // columns))
    ax = axes_for(ax, max(4, 1.05 * columns), 0.5 + 1.05 * rows * (1 + CAPTION))
    theme = bare(ax, f"{len(wrong):,} of {len(what):,} read wrong" + ", the surest first" * (len(wrong) > 1))
    long = max([0, *(len(what.classes[c]) for row in shown for c in (row["label"], row["answer"]))]) > 3
    for place, (row, pixels) in enumerate(zip(shown, pixels_of(what.images[shown["index"]]), strict=True)):
        left, top = place % columns, place // columns * (1 + CAPTION)
        draw_tile(ax, pixels, left, top, cmap="gray", vmin=0, vmax=255)
        label, answer = (plain(what.classes[row[name]], 12) for name in ("label", "answer"))
        words = f"{label}\nread as {answer}" if long else f"{label} read as {answer}"
        below = dict(ha="center", va="top", fontsize="x-small" if long else "small")
        ax.text(left + SIZE / 2, top + SIZE + 0.04, words, color=theme.ink, **below)
        said = f"{row['probability']:.1%}  #{row['index']}"
        line = 0.32 if long else 0.2
        ax.text(left + SIZE / 2, top + SIZE + line, said, color=theme.muted, ha="center", va="top", fontsize="x-small")
    fit(ax, columns, rows * (1 + CAPTION))
    return ax
