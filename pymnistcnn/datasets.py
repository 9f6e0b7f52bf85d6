"""Read and write IDX files, and load the embedded MNIST digits.

IDX is the format of the original MNIST files: two zero bytes, one byte for the data type, one for the
rank, one big-endian uint32 per dimension, then the values in C order, big endian.

>>> import pymnistcnn as pm
>>> train, test = pm.datasets.mnist()
>>> len(train), len(test)
(60000, 10000)
"""

from __future__ import annotations

import gzip
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

__all__ = ["DataError", "Dataset", "atomic_write", "mnist", "read_idx", "write_idx"]

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


def _load(directory, part):
    images_path = _find(directory, f"{part}-images", "idx3-ubyte")
    labels_path = _find(directory, f"{part}-labels", "idx1-ubyte")
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
