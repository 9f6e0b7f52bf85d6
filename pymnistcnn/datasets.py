"""Read and write IDX and text files of digits, and load the embedded MNIST.

IDX is the format of the original MNIST files: two zero bytes, one byte for the data type, one for the
rank, one big-endian uint32 per dimension, then the values in C order, big endian.

In a text file every line is an image: its 784 pixels from 0 to 255, row by row, and its label from 0 to 9.

>>> import pymnistcnn as pm
>>> train, test = pm.datasets.mnist()
>>> len(train), len(test)
(60000, 10000)
"""

from __future__ import annotations

import codecs
import gzip
import itertools
import math
import os
import secrets
import struct
import sys
import zlib
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

__all__ = [
    "DataError", "Dataset", "atomic_write", "idx_to_text", "load", "mnist", "read_idx", "read_text", "write_idx",
    "write_text",
]  # fmt: skip

_DTYPES = {
    0x08: np.dtype(">u1"),
    0x09: np.dtype(">i1"),
    0x0B: np.dtype(">i2"),
    0x0C: np.dtype(">i4"),
    0x0D: np.dtype(">f4"),
    0x0E: np.dtype(">f8"),
}
_CODES = {dtype: code for code, dtype in _DTYPES.items()}
_MAX_RANK = 32  # what every NumPy can hold; the byte in the file could say 255
_CHUNK = 1 << 20
_EMBEDDED = Path(__file__).parent / "data" / "mnist"
_PIXELS = 28 * 28  # of an image in a text file
_LINE = 1 << 16  # the most bytes of a line of text; an image takes some 3000
_WORDS = [b"%d" % value for value in range(256)]
_VALUES = {word: value for value, word in enumerate(_WORDS)}


class DataError(ValueError):
    """A data file that is missing pieces or lies about itself.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.NamedTemporaryFile() as file:
    ...     try:
    ...         read_idx(file.name)
    ...     except DataError:
    ...         print("not a file of digits")
    not a file of digits
    """


@dataclass(frozen=True, eq=False)
class Dataset:
    """Images and their labels, in the same order; ValueError if they do not fit together.

    Parameters
    ----------
    images : ndarray, shape (n, h, w) or (n, c, h, w)
    labels : ndarray of integers, shape (n,)

    Examples
    --------
    >>> data = Dataset(np.zeros((5, 28, 28), np.uint8), np.array([3, 1, 4, 1, 5]))
    >>> len(data)
    5
    >>> data[:3]
    Dataset(3 images of 28x28 uint8, labels 1 to 4)
    >>> data[data.labels == 1]
    Dataset(2 images of 28x28 uint8, labels 1 to 1)
    """

    images: np.ndarray
    labels: np.ndarray

    def __post_init__(self):
        for name, value in (("images", self.images), ("labels", self.labels)):
            if not isinstance(value, np.ndarray):
                raise ValueError(f"{name}: expected a NumPy array, got {type(value).__name__}")
        if self.images.ndim not in (3, 4):
            raise ValueError(f"images: expected shape (n, h, w) or (n, c, h, w), got {self.images.shape}")
        if self.labels.ndim != 1:
            raise ValueError(f"labels: expected shape (n,), got {self.labels.shape}")
        if not np.issubdtype(self.labels.dtype, np.integer):
            raise ValueError(f"labels: expected an integer dtype, got {self.labels.dtype}")
        if len(self.images) != len(self.labels):
            raise ValueError(f"labels: expected {len(self.images)}, one per image, got {len(self.labels)}")

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, index):
        """The part of the data that a slice (a view), an integer array or a boolean mask (copies) selects."""
        if not isinstance(index, slice):
            index = np.asarray(index)
            if index.ndim != 1 or index.dtype.kind not in "iub":
                got = f"{index.dtype} of shape {index.shape}"
                raise TypeError(f"index: expected a slice, an integer array or a boolean mask, got {got}")
        return Dataset(self.images[index], self.labels[index])

    def __repr__(self):
        size = "x".join(map(str, self.images.shape[1:]))
        labels = f"labels {self.labels.min()} to {self.labels.max()}" if len(self) else "no labels"
        return f"Dataset({len(self)} images of {size} {self.images.dtype}, {labels})"


def mnist(directory=None):
    """Load MNIST, or other digits laid out the same way.

    Source: Yann LeCun, Corinna Cortes, Christopher J. C. Burges, The MNIST database of handwritten
    digits, CC BY-SA 3.0.

    Parameters
    ----------
    directory : path, optional
        The folder with the four files ``{train,t10k}-{images-idx3,labels-idx1}-ubyte``, each spelled with
        a dash or a dot before ``idx``, raw or ``.gz``. By default the copy embedded in the package.

    Returns
    -------
    train, test : Dataset
        Images uint8 (n, h, w), C-contiguous; labels uint8 (n,), 0 to 9. Embedded: 60000 and 10000 images
        of 28x28, 0 for the background and 255 for the ink.

    Raises
    ------
    FileNotFoundError, DataError
        If a file is missing; if one is damaged or the four do not fit together.

    Examples
    --------
    >>> train, test = mnist()
    >>> train
    Dataset(60000 images of 28x28 uint8, labels 0 to 9)
    >>> test.labels[:5].tolist()
    [7, 2, 1, 0, 4]
    """
    directory = _EMBEDDED if directory is None else Path(directory)
    train, test = _load(directory, "train"), _load(directory, "t10k")
    size, test_size = train.images.shape[1:], test.images.shape[1:]
    if size != test_size:
        raise DataError(f"{directory}: expected t10k images of {size} like those of train, got {test_size}")
    return train, test


def load(typ, loc=None, dtype="float64"):
    """Load one part of MNIST as Gorgonia's examples do: flat, scaled, and with a vector for every label.

    A pixel becomes pixel / 255 * 0.9 + 0.1, but a full one 0.999, so that no input is 0 or 1.

    Parameters
    ----------
    typ : "train", "dev" (the same files) or "test"
    loc : path, optional
        The folder with the files, as in `mnist`. By default the copy embedded in the package.
    dtype : "float32" or "float64"

    Returns
    -------
    inputs : ndarray of dtype, shape (n, 784), 0.1 for the background to 0.999 for the ink
    targets : ndarray of dtype, shape (n, 10), 0.9 for the label and 0.1 elsewhere

    Raises
    ------
    ValueError
        If `typ` or `dtype` is none of these.
    FileNotFoundError, DataError
        As in `mnist`.

    Examples
    --------
    >>> inputs, targets = load("test")
    >>> inputs.shape, float(inputs.min()), float(inputs.max())
    ((10000, 784), 0.1, 0.999)
    >>> targets[0].tolist()
    [0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.9, 0.1, 0.1]
    """
    parts = {"train": "train", "dev": "train", "test": "t10k"}
    if not isinstance(typ, str) or typ not in parts:
        raise ValueError(f'typ must be "train", "dev" or "test", not {typ!r}')
    try:
        name = np.dtype(dtype).name
    except TypeError:
        name = None
    if name not in ("float32", "float64"):
        raise ValueError(f"dtype must be float32 or float64, not {dtype!r}")
    data = _load(_EMBEDDED if loc is None else Path(loc), parts[typ])
    scaled = np.arange(256) / 255 * 0.9 + 0.1
    scaled[255] = 0.999
    targets = np.where(data.labels[:, None] == np.arange(10), 0.9, 0.1)
    return scaled.astype(name)[data.images.reshape(len(data), -1)], targets.astype(name)


def _load(directory, part):
    return _load_pair(
        _find(directory, f"{part}-images", "idx3-ubyte"), _find(directory, f"{part}-labels", "idx1-ubyte")
    )


def _load_pair(images_path, labels_path):
    images, labels = read_idx(images_path), read_idx(labels_path)
    for path, array, rank in ((images_path, images, 3), (labels_path, labels, 1)):
        if array.ndim != rank or array.dtype != np.uint8 or array.size == 0:
            got = f"{array.dtype} of shape {array.shape}"
            raise DataError(f"{path}: expected uint8 of rank {rank}, not empty, got {got}")
    if len(images) != len(labels):
        raise DataError(f"{labels_path}: expected {len(images)} labels, one per image, got {len(labels)}")
    if labels.max() > 9:
        raise DataError(f"{labels_path}: expected labels 0 to 9, got {labels.max()}")
    return Dataset(images, labels)


def _find(directory, stem, kind):
    names = [f"{stem}{mark}{kind}{end}" for mark in "-." for end in ("", ".gz")]
    for name in names:
        if (directory / name).is_file():
            return directory / name
    raise FileNotFoundError(f"{directory}: none of {', '.join(names)} is there")


def read_idx(path):
    """Read an IDX file, raw or gzipped (told apart by the first bytes, not by the name).

    Safe on hostile files: memory grows with the data that is there, up to what the header promises.

    Returns
    -------
    ndarray
        Shape and dtype as in the header (uint8, int8, int16, int32, float32 or float64), native byte
        order, C-contiguous, writable.

    Raises
    ------
    DataError
        If the header is not IDX or not true to the bytes that follow, or the gzip stream is corrupt.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_idx(f"{folder}/a.gz", np.array([[1, 2], [3, 4]], np.int16))
    ...     read_idx(f"{folder}/a.gz")
    array([[1, 2],
           [3, 4]], dtype=int16)
    """
    with open(path, "rb") as file:
        zipped = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        if not zipped:
            return _parse(file, path, os.fstat(file.fileno()).st_size)
        try:
            return _parse(gzip.GzipFile(fileobj=file), path)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise DataError(f"{path}: expected a whole gzip stream, got a corrupt one ({error})") from error


def _parse(stream, path, length=None):
    """The array in a stream, whose length is known for a raw file and unknown for a gzipped one."""
    dtype, shape = _parse_header(stream, path)
    promised = math.prod(shape) * dtype.itemsize
    expected = f"{path}: expected {promised} bytes of data for {dtype.name} of shape {shape}"
    if length is not None and length - stream.tell() != promised:
        raise DataError(f"{expected}, got {length - stream.tell()}")
    data = _take(stream, promised)
    if len(data) < promised:
        raise DataError(f"{expected}, got {len(data)}")
    if stream.read(1):  # at the true end this read also makes gzip verify its checksum
        raise DataError(f"{expected}, got more")
    return np.ndarray(shape, dtype, buffer=data).astype(dtype.newbyteorder("="), copy=False)


def _parse_header(stream, path):
    magic = stream.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0":
        got = magic.hex(" ") or "nothing"
        raise DataError(f"{path}: expected an IDX header (00 00 type rank), got {got}")
    code, rank = magic[2:]
    if code not in _DTYPES:
        known = ", ".join(f"0x{known:02X}" for known in _DTYPES)
        raise DataError(f"{path}: expected an IDX data type ({known}), got 0x{code:02X}")
    if not 1 <= rank <= _MAX_RANK:
        raise DataError(f"{path}: expected a rank of 1 to {_MAX_RANK}, got {rank}")
    sizes = stream.read(4 * rank)
    if len(sizes) < 4 * rank:
        raise DataError(f"{path}: expected {4 * rank} bytes of sizes for rank {rank}, got {len(sizes)}")
    dtype, shape = _DTYPES[code], struct.unpack(f">{rank}I", sizes)
    # NumPy multiplies the other sizes even where one is 0, so they must not overflow either.
    if math.prod(max(size, 1) for size in shape) * dtype.itemsize > sys.maxsize:
        raise DataError(f"{path}: expected sizes that fit in memory, got {dtype.name} of shape {shape}")
    return dtype, shape


def _take(stream, count):
    """Up to `count` bytes, in chunks, so that a promise costs no memory before its data is there."""
    data = bytearray()
    while chunk := stream.read(min(_CHUNK, count - len(data))):
        data += chunk
    return data


def write_idx(path, array):
    """Write an array as an IDX file, gzipped if the name ends in ``.gz``, whole or not at all.

    The bytes depend on the array alone (no time stamp, no name).

    Parameters
    ----------
    path : path
    array : ndarray
        Of rank 1 to 32, dtype uint8, int8, int16, int32, float32 or float64; ValueError for any other.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_idx(f"{folder}/labels-idx1-ubyte", np.array([7, 2, 1], np.uint8))
    ...     Path(folder, "labels-idx1-ubyte").read_bytes().hex(" ")
    '00 00 08 01 00 00 00 03 07 02 01'
    """
    array = np.asarray(array)
    big_endian = array.dtype.newbyteorder(">")
    if big_endian not in _CODES:
        names = ", ".join(dtype.name for dtype in _CODES)
        raise ValueError(f"array: expected one of the dtypes of IDX ({names}), got {array.dtype}")
    if not 1 <= array.ndim <= _MAX_RANK or max(array.shape) >= 2**32:
        raise ValueError(f"array: expected rank 1 to {_MAX_RANK} and sizes below 2**32, got {array.shape}")
    header = struct.pack(f">4B{array.ndim}I", 0, 0, _CODES[big_endian], array.ndim, *array.shape)
    content = header + array.astype(big_endian, copy=False).tobytes()
    with atomic_write(path) as file:
        file.write(gzip.compress(content, mtime=0) if os.fspath(path).endswith(".gz") else content)


def read_text(path, label_first=None):
    """Read images of 28x28 and their labels from a text file, an image a line.

    Columns are separated by tabs, as `write_text` has it, or by commas. A ``#`` begins a comment; blank lines are
    skipped, and so is a header: a first row without a number, or whose columns all differ.

    Parameters
    ----------
    path : path
    label_first : bool, optional
        Whether the label is the first of the 785 columns, or the last. If not given, it is where the header says
        "label" or "class". Without that, the column with more different digits from 1 to 9 is taken, for the other
        is a corner of all images, and mostly empty; then the one with more such digits, then with fewer zeros. If
        both columns are still equal, labels are first before commas and last after tabs.

    Returns
    -------
    Dataset
        Images uint8 (n, 28, 28), labels uint8 (n,), 0 to 9.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    DataError
        If a row is not 784 whole numbers from 0 to 255 and one from 0 to 9, or there is none. It names the line.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = Path(folder, "two.csv").write_text("5" + ",0" * 784 + "\\n3" + ",0" * 784)
    ...     read_text(f"{folder}/two.csv").labels
    array([5, 3], dtype=uint8)
    """
    if label_first not in (None, True, False):
        raise ValueError(f"label_first must be True, False or None, not {label_first!r}")
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


def _lines(path):
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
            line = line.partition(b"#")[0].strip()
            if line:
                yield number, line


def _is_header(fields):
    """Pixels are 256 different ones at most, so what has 785 different columns is none."""
    return len(set(fields)) == len(fields) or not any(field.strip().isdigit() for field in fields)


def _parse_fields(fields, where):
    """The numbers of a row which are padded with spaces or zeros, or, with a DataError, are none."""
    values = []
    for column, field in enumerate(fields, 1):
        word = field.strip()
        value = _VALUES.get(word.lstrip(b"0") or word[-1:])
        if value is None:
            got = repr(word[:20].decode(errors="backslashreplace"))
            raise DataError(f"{where}, column {column}: expected a whole number from 0 to 255, got {got}")
        values.append(value)
    return bytes(values)


def _has_label_first(rows, header, separator):
    says_label = [b"label" in name.lower() or b"class" in name.lower() for name in header]
    if any(says_label):
        return says_label[0]
    first, last = (_looks_like_labels(column) for column in (rows[:, 0], rows[:, -1]))
    return first > last or (first == last and separator == b",")


def _looks_like_labels(column):
    counts = np.bincount(column, minlength=10)[1:]
    digits = counts[:9]
    return np.count_nonzero(digits), digits.sum(), counts.sum()


def write_text(path, dataset):
    """Write images of 28x28 and their labels as text, whole or not at all: an image a line, 784 pixels and the
    label, separated by tabs.

    Parameters
    ----------
    path : path
    dataset : Dataset
        Images uint8 (n, 28, 28) or (n, 1, 28, 28), labels 0 to 9; ValueError for any other.

    Examples
    --------
    >>> import tempfile
    >>> train, test = mnist()
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_text(f"{folder}/mnist_test_100.txt", test[:100])
    ...     read_text(f"{folder}/mnist_test_100.txt")
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


def idx_to_text(images_path, labels_path, output, count=None):
    """Write the first `count` images (all, if not given) of a pair of IDX files as `write_text` does; returns
    what was written, a Dataset.

    Raises FileNotFoundError, DataError as in `mnist`; ValueError if `count` is not from 1 to the number of images.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_idx(f"{folder}/images", np.zeros((3, 28, 28), np.uint8))
    ...     write_idx(f"{folder}/labels", np.array([3, 1, 4], np.uint8))
    ...     idx_to_text(f"{folder}/images", f"{folder}/labels", f"{folder}/digits.txt", count=2)
    Dataset(2 images of 28x28 uint8, labels 1 to 3)
    """
    data = _load_pair(images_path, labels_path)
    if count is not None and (not isinstance(count, (int, np.integer)) or not 1 <= count <= len(data)):
        raise ValueError(f"count: expected a whole number from 1 to {len(data)}, the images there are, got {count!r}")
    data = data[:count]
    write_text(output, data)
    return data


@contextmanager
def atomic_write(path):
    """Open a binary file that takes the place of `path` once the block ends without an error.

    Until then, and for good if the block raises, whatever was at `path` stays as it was.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with atomic_write(f"{folder}/model") as file:
    ...         _ = file.write(b"weights")
    ...     os.listdir(folder)
    ['model']
    """
    path = Path(path)
    temporary = path.with_name(f".{secrets.token_hex(8)}.tmp")  # same folder: a rename stays on one disk
    try:
        with open(temporary, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())  # the data must reach the disk before the name does
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
