"""Colours for light and dark backgrounds, and how all axes look."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib import rcParams
from matplotlib.colors import LinearSegmentedColormap, to_rgb, to_rgba

from .._types import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class Theme:
    """first, second: of data, told apart by everybody, whatever they see of colours."""

    background: str
    ink: str
    muted: str
    grid: str
    first: str
    second: str

    @property
    def signed(self) -> LinearSegmentedColormap:
        """From `second`, negative, over the background to `first`, positive."""
        return LinearSegmentedColormap.from_list("signed", [self.second, self.background, self.first])

    def settings(self) -> dict[str, Any]:
        """As matplotlib's."""
        inks = ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color")
        backgrounds = ("figure.facecolor", "axes.facecolor", "savefig.facecolor")
        return dict.fromkeys(inks, self.ink) | dict.fromkeys(backgrounds, self.background)


ON_WHITE = Theme("#ffffff", "#1c2024", "#5f6770", "#e3e6ea", "#0067a8", "#cc4e00")
ON_BLACK = Theme("#16191d", "#eceef0", "#a3abb4", "#33393f", "#58b4ee", "#f79a52")
LIGHT, DARK = ON_WHITE.settings(), ON_BLACK.settings()  # for `plt.style.use` and `plt.style.context`


def is_dark(color: Any) -> bool:
    """Is white easier to read on a colour than black is?"""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(color)]
    return float(np.dot(linear, (0.2126, 0.7152, 0.0722))) < 0.18


def theme_of(ax: Axes) -> Theme:
    """The one that can be read on what is behind an Axes."""
    behind = [ax, ax.figure, getattr(ax.figure, "figure", ax.figure)]  # the last one has subfigures
    opaque = [color for color in (one.get_facecolor() for one in behind) if to_rgba(color)[3] > 0.5]
    dark = is_dark(opaque[0]) if opaque else not is_dark(rcParams["text.color"])
    return ON_BLACK if dark else ON_WHITE


def axes_for(ax: Axes | None, width: float, height: float) -> Axes:
    """The Axes to draw on: those that are given, or of a new figure of pyplot's, in inches."""
    if ax is not None:
        return ax
    import matplotlib.pyplot as plt

    return plt.subplots(figsize=(width, height), layout="constrained")[1]


def dressed(ax: Axes, title: str = "", x: str = "", y: str = "", grid: str | None = "both") -> Theme:
    """Let Axes look like all others: few lines, a title at the left; the theme that they are drawn in."""
    theme = theme_of(ax)
    ax.set_title(title, loc="left", color=theme.ink, fontsize="medium", fontweight="bold")
    ax.set_xlabel(x, color=theme.muted)
    ax.set_ylabel(y, color=theme.muted)
    ax.tick_params(colors=theme.muted, length=0)
    ax.spines[["top", "right"]].set_visible(False)
    ax.spines[["left", "bottom"]].set_color(theme.grid)
    ax.set_axisbelow(True)
    if grid is not None:
        ax.grid(True, axis=grid, color=theme.grid, linewidth=0.8)
    return theme


def bare(ax: Axes, title: str) -> Theme:
    """Axes for pictures: no ticks, no frame."""
    theme = dressed(ax, title, grid=None)
    ax.set_xticks([])
    ax.set_yticks([])
    ax.spines[:].set_visible(False)
    return theme


def legend(ax: Axes, **where: Any) -> None:
    theme = theme_of(ax)
    ax.legend(frameon=False, labelcolor=theme.ink, fontsize="small", **where)


def plain(text: str, most: int = 24) -> str:
    """Somebody's text as matplotlib is to draw it: in one line, not too long, no formula."""
    line = "".join(c if c.isprintable() else " " for c in text)
    line = line if len(line) <= most else line[: most - 1] + "\N{HORIZONTAL ELLIPSIS}"
    return line.replace("$", r"\$")


def blended(color: str, background: str, shares: Array) -> Array:
    """RGB (..., 3) of a colour that covers so much, from 0 to 1, of the background."""
    shares = np.asarray(shares, float)[..., None]
    return shares * to_rgb(color) + (1 - shares) * np.array(to_rgb(background))
