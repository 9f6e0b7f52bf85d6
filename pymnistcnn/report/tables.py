"""The tables of a report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..interpretation import Interpretation
from ..markup import escaped, figures, is_pictures, picture, pixels_of, table

MOST_CLASSES = 64  # in a confusion matrix
MANY = 20  # from here on they are smaller
SHORT, LONG = 3, 20  # letters of a name, up to which it is written level, and after which it is cut
MISTAKES, PAIRS = 40, 10  # that are shown


def facts(rows: Mapping[str, Any]) -> str:
    """Names and values."""
    cells = ((escaped(str(name)), escaped(str(value))) for name, value in rows.items())
    body = "".join(f"<tr><th scope=row>{name}</th><td>{value}</td></tr>" for name, value in cells)
    return f'<table class="facts"><tbody>{body}</tbody></table>'


def confusion(what: Interpretation) -> str:
    """Rows are labels, columns answers; colours as in `pm.plots.confusion_matrix`."""
    matrix, names = what.confusion, [escaped(shortened(name)) for name in what.classes]
    looks = " long" * (max(map(len, what.classes)) > SHORT) + " many" * (len(names) > MANY)
    if len(names) > MOST_CLASSES:
        return f"<p>{len(names)} classes are too many for a table.</p>"
    worst = max((matrix * (1 - np.eye(len(names), dtype=int))).max(), 1)

    def cell(row, column, count):
        if not count:
            return '<td class="none">&middot;</td>'
        share = count / (matrix[row].sum() if row == column else worst)
        return f'<td class="{"right" if row == column else "wrong"}" style="--share: {share:.3f}">{count:,}</td>'

    head = "".join(f"<th scope=col>{name}</th>" for name in names)
    rows = "".join(
        f"<tr><th scope=row>{name}</th>{''.join(cell(row, column, n) for column, n in enumerate(counts))}</tr>"
        for row, (name, counts) in enumerate(zip(names, matrix.tolist(), strict=True))
    )
    return (
        f'<table class="matrix{looks}"><caption>Rows: labels. Columns: answers.</caption>'
        f"<thead><tr><td></td>{head}</tr></thead><tbody>{rows}</tbody></table>"
    )


def shortened(name: str) -> str:
    return name if len(name) <= LONG else name[: LONG - 1] + "\N{HORIZONTAL ELLIPSIS}"


def scores(what: Interpretation) -> str:
    """Precision and recall of each class."""

    def share(value):
        return "-" if np.isnan(value) else f"{value:.2%}"

    counts = what.confusion.sum(axis=1)
    rows = zip(what.classes, counts, what.precision, what.recall, strict=True)
    return table(
        ["class", "images", "precision", "recall"],
        [(name, f"{n:,}", share(precision), share(recall)) for name, n, precision, recall in rows],
    )


def confused(what: Interpretation) -> str:
    pairs = what.most_confused()[:PAIRS]
    rows = [(what.classes[label], what.classes[answer], f"{count:,}") for label, answer, count in pairs]
    return table(["label", "read as", "mistakes"], rows, text_columns=2)


def mistakes(what: Interpretation) -> str:
    """The surest wrong answers, as pictures if the inputs are such."""
    wrong = what.mistakes()[:MISTAKES]
    names = what.classes
    captions = [
        f"{escaped(names[row['label']])} read as {escaped(names[row['answer']])}<br>"
        f"<small>{row['probability']:.1%} &nbsp;#{row['index']}</small>"
        for row in wrong
    ]
    if not is_pictures(what.images):
        return "".join(f"<p>{caption}</p>" for caption in captions)
    pixels = pixels_of(what.images[wrong["index"]])
    return figures([picture(one, f"image {row['index']}") for one, row in zip(pixels, wrong, strict=True)], captions)
