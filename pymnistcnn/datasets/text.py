"""Read and write text files of digits.

Every line is an image: its 784 pixels from 0 to 255, row by row, and its label from 0 to 9.
"""

from __future__ import annotations

import codecs
import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np

from .._types import Array, StrPath
from ..checks import shown, whole
from .atomic import atomic_write
from .dataset import DataError, Dataset
from .digits import _load_pair

__all__ = [
    "idx_to_text",
    "read_text",
    "write_text",
]

_PIXELS = 28 * 28  # of an image in a text file
_BLANK = b" \t\r\n"  # no form feeds, no vertical tabs
_LINE = 1 << 16  # the most bytes of a line of text; an image takes some 3000
_WORDS = [b"%d" % value for value in range(256)]
_VALUES = {word: value for value, word in enumerate(_WORDS)}


def read_text(path: StrPath, label_first: bool | None = None) -> Dataset:
    """Read images of 28x28 and their labels from a text file, an image a line.

    Columns are separated by tabs, as `write_text` has it, or by commas. A ``#`` begins a comment; blank lines are
    skipped, and so is a header: a first row without a number, or whose columns all differ.

    label_first : is the label the first of the 785 columns, or the last? If not given, it is where the header says
        "label" or "class". Without that, the column with more different digits from 1 to 9 is taken, for the other
        is a corner of all images, and mostly empty; then the one with more such digits, then with fewer zeros. If
        both columns are still equal, labels are first before commas and last after tabs.

    Returns a Dataset: images uint8 (n, 28, 28), labels uint8 (n,), 0 to 9. FileNotFoundError if there is no such file;
    DataError, which names the line, if a row is not 784 whole numbers from 0 to 255 and one from 0 to 9, or there is
    none.

    Examples
    --------
    >>> import pathlib, tempfile, pymnistcnn as pm
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = pathlib.Path(folder, "two.csv").write_text("5" + ",0" * 784 + "\\n3" + ",0" * 784)
    ...     pm.datasets.read_text(f"{folder}/two.csv").labels
    array([5, 3], dtype=uint8)
    """
    if label_first not in (None, True, False):
        raise ValueError(f"label_first must be True, False or None, not {shown(label_first)}")
    separator, header, numbers, content = None, None, [], bytearray()
    for number, line in _lines(path):
        separator = separator or (b"," if b"," in line else b"\t")
        fields = line.split(separator)
        if len(fields) != _PIXELS + 1:
            raise DataError(f"{path}, line {number}: expected {_PIXELS + 1} columns, got {len(fields)}")
        if header is None:
            header = fields if _is_header(fields) else []
            if header:
                continue
        try:
            content += bytes([_VALUES[field] for field in fields])
        except KeyError:
            content += _parse_fields(fields, f"{path}, line {number}")
        numbers.append(number)
    if not numbers:
        raise DataError(f"{path}: expected a line with {_PIXELS} pixels and a label, got none")
    rows = np.frombuffer(content, np.uint8).reshape(-1, _PIXELS + 1)
    if label_first is None:
        label_first = _has_label_first(rows, header, separator)
    labels, pixels = (rows[:, 0], rows[:, 1:]) if label_first else (rows[:, -1], rows[:, :-1])
    for row in np.flatnonzero(labels > 9):
        place = 1 if label_first else _PIXELS + 1
        raise DataError(
            f"{path}, line {numbers[row]}, column {place}: expected a label from 0 to 9, got {labels[row]} "
            "(label_first says which column has the labels)"
        )
    return Dataset(pixels.reshape(-1, 28, 28).copy(), labels.copy())


def _lines(path: StrPath) -> Iterator[Any]:
    """Number and content of each line of a text file, without comments and blank ones."""
    with open(path, "rb") as file:
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


def _is_header(fields: list[bytes]) -> bool:
    """Pixels are 256 different ones at most, so what has 785 different columns is none."""
    return len(set(fields)) == len(fields) or not any(field.strip(_BLANK).isdigit() for field in fields)


def _parse_fields(fields: Any, where: Any) -> Any:
    """The numbers of a row which are padded with spaces or zeros, or, with a DataError, are none."""
    values = []
    for column, field in enumerate(fields, 1):
        word = field.strip(_BLANK)
        value = _VALUES.get(word.lstrip(b"0") or word[-1:])
        if value is None:
            got = repr(word[:20].decode(errors="backslashreplace"))
            raise DataError(f"{where}, column {column}: expected a whole number from 0 to 255, got {got}")
        values.append(value)
    return bytes(values)


def _has_label_first(rows: Array, header: list[Any], separator: bytes) -> bool:
    says_label = [b"label" in name.lower() or b"class" in name.lower() for name in header]
    if any(says_label):
        return says_label[0]
    first, last = (_looks_like_labels(column) for column in (rows[:, 0], rows[:, -1]))
    return first > last or (first == last and separator == b",")


def _looks_like_labels(column: Array) -> tuple[int, ...]:
    counts = np.bincount(column, minlength=10)[1:]
    digits = counts[:9]
    return np.count_nonzero(digits), digits.sum(), counts.sum()


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
        for pixels, label in zip(images.reshape(-1, _PIXELS), labels.tolist(), strict=True):
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
