"""Which columns of a text file are pixels, and which one is the label."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .._types import Array, Shape, StrPath
from ..checks import shown, whole
from .dataset import DataError

_LABEL = ("label", "class")  # in the names of columns
_LABELS = {"y", "target", "targets", "digit", "digits"}  # names of columns
_IDS = {"id", "imageid", "image_id", "index", "unnamed: 0", ""}
_LEAST = 4  # of the sides of an image


class Columns:
    """The columns of a text file, known by its first row: header or not.

    count : how many there are
    label : the place of the label's; None if there is none, or if it is not known yet (`undecided`): first or last
    numbers : of the lines that were taken
    """

    path: StrPath
    count: int
    shape: Shape | None
    is_header: bool
    left_out: list[int]
    numbers: list[int]
    words: list[bytes]
    ends: tuple[list[bytes], list[bytes]]
    skipped: list[int]
    label: int | None
    undecided: bool
    size: Shape | None

    def __init__(
        self,
        path: StrPath,
        line: bytes,
        fields: list[bytes],
        is_number: Callable[[bytes], bool],
        label_first: bool | None,
        shape: Any,
    ) -> None:
        self.path, self.count, self.shape = path, len(fields), shape
        names = [field.strip(b' \t\r\n"').decode(errors="replace").lower() for field in fields]
        numeric = [is_number(field) for field in fields]
        says_label = [any(word in name for word in _LABEL) or name in _LABELS for name in names]
        self.is_header = not any(numeric) or any(says_label) or counted(names) or len(set(names)) == self.count > 257
        named = [at for at, says in enumerate(says_label) if says and self.is_header]
        self.left_out = [at for at, name in enumerate(names) if self.is_header and name in _IDS]
        self.numbers, self.words, self.ends = [], [], ([], [])
        self._choose(line, named, label_first)
        self.skipped = sorted([*self.left_out, *([] if self.label is None else [self.label])], reverse=True)

    def _choose(self, line, named, label_first):
        free = [at for at in range(self.count) if at not in self.left_out]
        pixels = len(free) - 1
        labelled = size_of(pixels, self.shape) is not None
        bare = size_of(pixels + 1, self.shape) is not None
        self.label = None
        if label_first is not None and free:
            self.label = free[0] if label_first else free[-1]
        elif len(named) == 1 and not bare:
            self.label = named[0]
        elif len(named) > 1 and named[0] != named[-1] and not bare:
            ends = [at for at in named if at in (free[0], free[-1])]
            self.label = ends[0] if len(ends) == 1 else None
        self.undecided = self.label is None and labelled and not bare
        if (self.label is not None and not labelled) or not (labelled or bare):
            raise DataError(
                f"{self.path}, line {line}: expected columns of a label and a square of pixels, such as 785 = 1 + 28 x "
                f"28, got {self.count}; for images that are no squares, shape=(c, h, w) says what they are"
            )
        self.size = size_of(pixels if self.undecided or self.label is not None else pixels + 1, self.shape)

    def pixels_of(self, number: int, fields: list[bytes]) -> list[bytes]:
        """The words of the pixels of a row, without those that may be of labels, which are kept."""
        self.numbers.append(number)
        if self.label is not None:
            self.words.append(fields[self.label])
        for at in self.skipped:
            del fields[at]
        if self.undecided:
            self.ends[0].append(fields[0])
            self.ends[1].append(fields[-1])
            return fields[1:-1]
        return fields

    def where(self, number: int, at: int) -> str:
        """Of the pixel at a place among a row's."""
        at += self.undecided
        for skipped in reversed(self.skipped):
            at += at >= skipped
        return f"{self.path}, line {number}, column {at + 1}"

    def only(self, place: int) -> Any:
        """As of a table whose only column is at this place."""
        return _Only(self.path, place)

    def resolved(
        self, rows: Array, separator: bytes | None, labels_of: Callable[..., Any], pixels_of: Callable[..., Any]
    ) -> tuple[Array, Array | None, tuple[str, ...] | None]:
        """(images, labels or None, names of classes or None) of the rows of pixels."""
        if self.undecided:
            free = [at for at in range(self.count) if at not in self.left_out]
            first = plainly_first(*self.ends, separator, self.path)
            label, other = self.ends if first else self.ends[::-1]
            places = (free[0], free[-1]) if first else (free[-1], free[0])
            corner = pixels_of(other, places[1])[:, None]
            rows = np.concatenate([rows, corner] if first else [corner, rows], axis=1)
            labels, classes = labels_of(label, places[0])
        else:
            labels, classes = (None, None) if self.label is None else labels_of(self.words, self.label)
            rows = rows.copy()
        return rows.reshape(-1, *self.size), labels, classes


class _Only:
    def __init__(self, path, place):
        self.path, self.place = path, place

    def where(self, number, at):
        return f"{self.path}, line {number}, column {self.place + 1}"


def checked_image_shape(shape: Shape | None) -> Shape | None:
    """(h, w) or (c, h, w), or None."""
    if shape is None:
        return None
    if not isinstance(shape, (tuple, list)) or len(shape) not in (2, 3):
        raise ValueError(f"shape must be (height, width) or (channels, height, width), not {shown(shape)}")
    return tuple(whole("shape", size) for size in shape)


def counted(names: list[bytes]) -> bool:
    """0 1 2 ..., or 1 2 3 ..., as if somebody had numbered the columns."""
    names = [name for name in names if name]
    return any(names == list(map(str, range(start, start + len(names)))) for start in (0, 1)) and len(names) > 2


def size_of(pixels: int, shape: Shape | None) -> Shape | None:
    """The shape of an image of so many pixels, or None."""
    if shape is not None:
        return shape if math.prod(shape) == pixels else None
    side = math.isqrt(max(pixels, 0))
    return (side, side) if side >= _LEAST and side * side == pixels else None


def plainly_first(first: Any, last: Any, separator: bytes | None, path: StrPath) -> bool:
    """Are the labels in the first column, not in the last? DataError if that is not plain."""
    kinds = [kind_of(column) for column in (first, last)]
    if kinds[0] == kinds[1] == "corner":  # all 0 in both: it does not matter
        return separator == b","
    for at, (one, other) in enumerate((kinds, kinds[::-1])):
        if other in BEATEN.get(one, ()):
            return at == 0
    raise DataError(
        f"{path}: is the label in the first or in the last column? Both could be: say label_first=True or False "
        "(--label-first or --label-last), or name the column in a header"
    )


BEATEN = {  # by which kind of column what in the other is no label
    "names": {"labels", "one label", "corner", "page", "pixels"},
    "labels": {"one label", "corner", "page", "pixels"},
    "one label": {"corner", "page"},
    "corner": {"page"},
}


def kind_of(words: list[bytes]) -> str:
    """What a column may hold: "corner" or "page", an empty corner's 0 or 255 in all rows; "one label", another number
    in all rows; "pixels", which reach 100 and leave out most numbers below; "names"; or "labels"."""
    try:
        values = {float(word) for word in set(words)}
    except ValueError:
        return "names"
    largest, several = max(values), len(values)
    if several == 1:
        return {0.0: "corner", 255.0: "page"}.get(largest, "one label")
    return "pixels" if largest >= 100 and 2 * several < largest + 1 else "labels"
