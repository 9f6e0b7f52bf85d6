"""Read and write text files of digits, such as CSV: every line is an image, its pixels row by row, and its label."""

from __future__ import annotations

import codecs
import csv
import itertools
import re
from collections.abc import Iterator
from typing import Any

import numpy as np

from .._types import Array, Shape, StrPath
from ..checks import shown, whole
from .atomic import atomic_write
from .columns import Columns, checked_image_shape
from .dataset import MOST_CLASSES, DataError, Dataset
from .digits import _load_pair
from .streams import most_inflated, opened

__all__ = [
    "idx_to_text",
    "read_text",
    "write_text",
]

_BLANK = b" \t\r\n"  # no form feeds, no vertical tabs
_LINE = 1 << 20  # the most bytes of a line of text; a colour image of 64x64 takes some 50,000, with exponents 300,000
_WORDS = [b"%d" % value for value in range(256)]
_VALUES = {word: value for value, word in enumerate(_WORDS)}
_NUMBER = re.compile(rb"\d+(\.\d*)?([eE][+-]?\d+)?")
_MOST_WORDS = 10_000  # that are learned from a file


def read_text(path: StrPath, label_first: bool | None = None, shape: Shape | None = None) -> Dataset:
    """Read images and their labels from a text file, an image a line; raw, gzipped, or alone in a zip archive.

    Columns are separated by tabs, as `write_text` has it, by commas, semicolons or spaces, and may be in quotes.
    Pixels are whole numbers from 0 to 255, also such as 3.0 or 3e0; labels are whole numbers from 0 to 999, or names.
    A ``#`` begins a comment; blank lines are skipped, and so is a header: a first row without a number, with a
    column "label", "class", "target", "digit" or "y", or whose columns are counted. Columns "id", "ImageId" and
    "index" are left out.

    label_first : is the label the first column, or the last? If not given, it is where the header says so. Without
        that, it must be plain: one of the two columns is that of an empty corner, or cannot be of labels.
    shape : (h, w) or (c, h, w) of an image; a square of one channel if not given

    Returns a Dataset: images uint8 (n, h, w) or (n, c, h, w), labels integers (n,). FileNotFoundError if there is no
    such file; DataError, which names the line, if a row is not of this kind, or there is none; and DataError if it is
    not plain which column has the labels.

    Examples
    --------
    >>> import pathlib, tempfile, pymnistcnn as pm
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = pathlib.Path(folder, "two.csv").write_text("5" + ",0" * 784 + "\\n3" + ",0" * 784)
    ...     pm.datasets.read_text(f"{folder}/two.csv").labels
    array([5, 3], dtype=uint8)
    """
    images, labels, classes = read_table(path, label_first, shape)
    if labels is None:
        raise DataError(f"{path}: expected pixels and a label, got {images[0].size} columns: a square, without labels")
    return Dataset(images, labels, classes)


def read_table(
    path: Any, label_first: bool | None = None, shape: Shape | None = None, most: int | None = None
) -> tuple[Array, Array | None, tuple[str, ...] | None]:
    """(images, labels, names of the classes or None); labels are None where there are none. The first `most` rows, if
    given."""
    if label_first not in (None, True, False):
        raise ValueError(f"label_first must be True, False or None, not {shown(label_first)}")
    shape = checked_image_shape(shape)
    separator, columns, values, content, limit = None, None, dict(_VALUES), bytearray(), most_inflated(path)
    for number, line in itertools.islice(_lines(path), None if most is None else most + 1):
        separator = separator or _separator(line)
        fields = _fields(line, separator)
        if columns is None:
            columns = Columns(path, number, fields, is_number, label_first, shape)
            if columns.is_header:
                continue
        if len(fields) != columns.count:
            raise DataError(f"{path}, line {number}: expected {columns.count} columns, got {len(fields)}")
        pixels = columns.pixels_of(number, fields)
        try:
            content += bytes([values[field] for field in pixels])
        except KeyError:
            content += _learn(pixels, values, columns, number)
        if len(content) > limit:
            raise DataError(f"{path}: expected at most {limit:,} pixels in a file of this size, got more")
        if len(columns.numbers) == most:
            break
    if columns is None or not columns.numbers:
        raise DataError(f"{path}: expected a line with pixels and a label, got none")
    rows = np.frombuffer(content, np.uint8).reshape(len(columns.numbers), -1)
    return columns.resolved(rows, separator, lambda words, place: _labels(words, path, columns.numbers, place),
                            lambda words, place: _pixels(words, values, columns, place))  # fmt: skip


def _lines(path: StrPath) -> Iterator[Any]:
    """Number and content of each line of a text file, without comments and blank ones."""
    with opened(path) as (file, _):
        for number in itertools.count(1):
            line = file.readline(_LINE + 1)
            if len(line) > _LINE:
                raise DataError(f"{path}, line {number}: expected at most {_LINE} bytes, got more")
            if not line:
                return
            if number == 1:
                line = line.removeprefix(codecs.BOM_UTF8)
            line = line.partition(b"#")[0].strip(_BLANK)
            if line:
                yield number, line


def _separator(line):
    """What is between the columns; None for spaces."""
    return next((mark for mark in (b"\t", b";", b",") if mark in line), None)


def _fields(line, separator):
    if b'"' not in line:
        return line.split(separator)
    mark = (separator or b" ").decode()
    try:
        (fields,) = csv.reader([line.decode("latin-1")], delimiter=mark, skipinitialspace=True)
    except (ValueError, csv.Error):
        return line.split(separator)
    return [field.encode("latin-1") for field in fields]


def is_number(word: bytes) -> bool:
    return _NUMBER.fullmatch(word.strip(_BLANK)) is not None


def _whole(word, most):
    """A whole number from 0 to `most` that a word is, or None."""
    word = word.strip(_BLANK)
    if not _NUMBER.fullmatch(word) or len(word) > 60:
        return None
    value = float(word)
    return int(value) if value <= most and value == int(value) else None


def _learn(fields, values, columns, number):
    """The pixels of a row with words that were not seen before, or, with a DataError, that are none."""
    for at, field in enumerate(fields):
        if field not in values:
            value = _whole(field, 255)
            if value is None:
                raise DataError(
                    f"{columns.where(number, at)}: expected a whole number from 0 to 255, got {_word(field)}"
                )
            if len(values) >= _MOST_WORDS:
                return bytes([_whole(field, 255) for field in fields])
            values[field] = value
    return bytes([values[field] for field in fields])


def _pixels(words, values, columns, place):
    """A column of pixels."""
    return np.array([_learn([word], values, columns.only(place), number)[0]
                     for number, word in zip(columns.numbers, words, strict=True)], np.uint8)  # fmt: skip


def _labels(words, path, numbers, place):
    """(labels, names of the classes or None) of a column; DataError where a label is neither."""
    found = {word: _whole(word, MOST_CLASSES - 1) for word in set(words)}
    if all(value is not None for value in found.values()):
        labels = np.array([found[word] for word in words])
        return labels.astype(np.uint8 if labels.max() < 256 else np.int64), None
    if not any(is_number(word) for word in found) and all(word.strip(_BLANK) for word in found):
        names = {word: word.strip(_BLANK).decode(errors="replace") for word in found}
        classes = sorted(set(names.values()))
        if len(classes) <= MOST_CLASSES:
            return np.array([classes.index(names[word]) for word in words]), tuple(classes)
    bad = next(at for at, word in enumerate(words) if found[word] is None)
    raise DataError(
        f"{path}, line {numbers[bad]}, column {place + 1}: expected a label from 0 to {MOST_CLASSES - 1}, or names in "
        f"all rows, got {_word(words[bad])} (label_first says which column has the labels)"
    )


def _word(field):
    return repr(field.strip(_BLANK)[:20].decode(errors="backslashreplace"))


def write_text(path: StrPath, dataset: Dataset) -> None:
    """Write images of 28x28 and their labels as text, whole or not at all: an image a line, 784 pixels and the
    label, separated by tabs.

    dataset : a Dataset: images uint8 (n, 28, 28) or (n, 1, 28, 28), labels 0 to 9; ValueError for any other

    Examples
    --------
    >>> import tempfile, pymnistcnn as pm
    >>> train, test = pm.datasets.mnist()
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     pm.datasets.write_text(f"{folder}/mnist_test_100.txt", test[:100])
    ...     pm.datasets.read_text(f"{folder}/mnist_test_100.txt")
    Dataset(100 images of 28x28 uint8, labels 0 to 9)
    """
    if not isinstance(dataset, Dataset):
        raise ValueError(f"dataset: expected a Dataset, got {type(dataset).__name__}")
    images, labels = dataset.images, dataset.labels
    if images.dtype != np.uint8 or images.shape[1:] not in ((28, 28), (1, 28, 28)):
        raise ValueError(f"images: expected uint8 of shape (n, 28, 28), got {images.dtype} of {images.shape}")
    if len(labels) and not 0 <= labels.min() <= labels.max() <= 9:
        raise ValueError(f"labels: expected 0 to 9, got {labels.min()} to {labels.max()}")
    with atomic_write(path) as file:
        for pixels, label in zip(images.reshape(-1, 28 * 28), labels.tolist(), strict=True):
            file.write(b"\t".join([_WORDS[value] for value in [*pixels.tolist(), label]]) + b"\n")


def idx_to_text(images_path: StrPath, labels_path: StrPath, output: StrPath, count: int | None = None) -> Dataset:
    """Write the first `count` images (all, if not given) of a pair of IDX files as `write_text` does; returns
    what was written, a Dataset.

    Raises FileNotFoundError, DataError as in `mnist`; ValueError if `count` is not from 1 to the number of images.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np, pymnistcnn as pm
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     pm.datasets.write_idx(f"{folder}/images", np.zeros((3, 28, 28), np.uint8))
    ...     pm.datasets.write_idx(f"{folder}/labels", np.array([3, 1, 4], np.uint8))
    ...     pm.datasets.idx_to_text(f"{folder}/images", f"{folder}/labels", f"{folder}/digits.txt", count=2)
    Dataset(2 images of 28x28 uint8, labels 1 to 3)
    """
    data = _load_pair(images_path, labels_path)
    data = data[: None if count is None else whole("count", count, 1, len(data))]
    write_text(output, data)
    return data
