"""The picture of the results page, as SVG: training speed, times PyTorch's, by network and kind of processor."""

from __future__ import annotations

import math

from measured import times
from page import OWN

WIDTH, LEFT, RIGHT, TOP, BOTTOM = 760, 150, 60, 62, 34
BAR, GAP = 13, 14  # heights: of a bar, and between networks
TICKS = (1, 2, 5, 10, 20, 40)  # the axis is logarithmic: a bar begins at PyTorch's speed
COLOURS = ("#4a90c2", "#e9a15b", "#7bab57", "#b37ba4", "#999999")


def across(ratio) -> float:
    """Where a ratio is on the axis."""
    return LEFT + (WIDTH - LEFT - RIGHT) * math.log(ratio / TICKS[0]) / math.log(TICKS[-1] / TICKS[0])


def picture(kinds) -> str:
    found = {
        (name, kind.name): beside["ratio"]
        for name, n in OWN.items() for kind in kinds if (beside := kind.beside(name, "training", n))
    }  # fmt: skip
    kinds = [kind for kind in kinds if any(kind.name == of for _, of in found)]
    colours = dict(zip((kind.name for kind in kinds), COLOURS, strict=False))
    height = TOP + len(found) * BAR + len(OWN) * GAP + BOTTOM
    made = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
        'font-family="Helvetica, Arial, sans-serif" font-size="12" fill="#222">',
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
        text(LEFT, 20, "Training speed, times PyTorch's at its best on the same two cores", weight="bold", size=14),
    ]
    at = LEFT
    for kind in kinds:
        made += [bar(at, 32, 12, 12, colours[kind.name]), text(at + 17, 42, kind.label)]
        at += 40 + 7 * len(kind.label)
    for tick in TICKS:
        made.append(line(across(tick), TOP - 8, across(tick), height - BOTTOM, "#444" if tick == 1 else "#ddd"))
        made.append(text(across(tick), height - BOTTOM + 16, f"{tick}x", anchor="middle", colour="#555"))
    y = TOP
    for name, n in OWN.items():
        bars = [(kind.name, found[name, kind.name]) for kind in kinds if (name, kind.name) in found]
        made.append(text(LEFT - 8, y + BAR * len(bars) / 2 + 4, f"{name} ({n})", anchor="end"))
        for kind, ratio in bars:
            end = across(ratio["median"])
            made.append(bar(LEFT, y + 1, end - LEFT, BAR - 2, colours[kind]))
            if ratio["low"] is not None:
                low, end = across(ratio["low"]), across(ratio["high"])
                made.append(line(low, y + BAR / 2, end, y + BAR / 2, "#222"))
            made.append(text(end + 5, y + BAR - 2.5, times(ratio["median"])))
            y += BAR
        y += GAP
    words = "Network (batch size). The axis is logarithmic; lines are ranges."
    made.append(text(LEFT, height - 4, words, colour="#555", size=11))
    return "\n".join([*made, "</svg>"]) + "\n"


def text(x, y, words, anchor="start", weight="normal", colour="#222", size=12) -> str:
    return (f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-weight="{weight}" font-size="{size}" '
            f'fill="{colour}">{words}</text>')  # fmt: skip


def bar(x, y, width, height, colour) -> str:
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" fill="{colour}"/>'


def line(x1, y1, x2, y2, colour) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}"/>'
