"""Read and write IDX files.

IDX is the format of the original MNIST files: two zero bytes, one byte for the data type, one for the
rank, one big-endian uint32 per dimension, then the values in C order, big endian.
"""

from __future__ import annotations

import gzip
import math
import os
import struct
import sys
from pathlib import Path
from typing import Any

import numpy as np

from .._types import Array, ArrayLike, StrPath
from .atomic import atomic_write
from .dataset import DataError
from .streams import exactly, opened

__all__ = [
    "read_idx",
    "write_idx",
]

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


def read_idx(path: StrPath) -> Array:
    """Read an IDX file, raw, gzipped or alone in a zip archive (told by the first bytes, not by the name).

    Safe on hostile files: memory grows with the data that is there, up to what the header promises.

    Returns an array of the header's shape and dtype (uint8, int8, int16, int32, float32 or float64), native byte
    order, C-contiguous, writable. DataError if the header is not IDX or not true to the bytes that follow, or the
    gzip stream is corrupt.

    Examples
    --------
    >>> import tempfile, numpy as np, pymnistcnn as pm
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     pm.datasets.write_idx(f"{folder}/a.gz", np.array([[1, 2], [3, 4]], np.int16))
    ...     pm.datasets.read_idx(f"{folder}/a.gz")
    array([[1, 2],
           [3, 4]], dtype=int16)
    """
    with opened(path) as (stream, size):
        return _parse(stream, path, size)


def read_header(path: StrPath) -> tuple[np.dtype[Any], tuple[int, ...]]:
    """The dtype and shape that an IDX file says it has."""
    with opened(path) as (stream, _):
        return _parse_header(stream, path)


def map_idx(path: StrPath, mode: str = "c") -> Array:
    """As `read_idx`; of a raw file of single bytes a map of the file, of a mode of `np.memmap`, which is to stay as it
    is meanwhile."""
    with opened(path) as (stream, size):
        if size is None or not isinstance(path, Path):
            return _parse(stream, path, size)
        dtype, shape = _parse_header(stream, path)
        if dtype.itemsize > 1 or 0 in shape or size - stream.tell() != math.prod(shape):
            stream.seek(0)
            return _parse(stream, path, size)
        return np.memmap(path, dtype, mode, stream.tell(), shape)


def _parse(stream: Any, path: StrPath, length: int | None = None) -> Array:
    """The array in a stream, whose length is known for a raw file and unknown for a gzipped one."""
    dtype, shape = _parse_header(stream, path)
    promised = math.prod(shape) * dtype.itemsize
    expected = f"{path}: expected {promised} bytes of data for {dtype.name} of shape {shape}"
    data = exactly(stream, promised, expected, length)
    return np.ndarray(shape, dtype, buffer=data).astype(dtype.newbyteorder("="), copy=False)


def _parse_header(stream: Any, path: StrPath) -> tuple[np.dtype[Any], tuple[int, ...]]:
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


def write_idx(path: StrPath, array: ArrayLike) -> None:
    """Write an array as an IDX file, gzipped if the name ends in ``.gz``, whole or not at all.

    The bytes depend on the array alone (no time stamp, no name).

    array : of rank 1 to 32, dtype uint8, int8, int16, int32, float32 or float64; ValueError for any other

    Examples
    --------
    >>> import pathlib, tempfile, numpy as np, pymnistcnn as pm
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     pm.datasets.write_idx(f"{folder}/labels-idx1-ubyte", np.array([7, 2, 1], np.uint8))
    ...     pathlib.Path(folder, "labels-idx1-ubyte").read_bytes().hex(" ")
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
