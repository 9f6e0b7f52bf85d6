"""Read NumPy's files, .npy and .npz: safely, and never from pickles."""

from __future__ import annotations

import io
import math
import struct
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from .._types import Array
from .dataset import DataError
from .streams import BROKEN, exactly, opened, take

MAGIC = b"\x93NUMPY"
_HEADER = 10_000  # bytes, the most that NumPy itself trusts


def read_npy(path: Any, mode: str = "c") -> Array:
    """The array of a .npy file, raw, gzipped or in a zip archive. Of a raw file it is a map, of a mode of `np.memmap`,
    which takes no memory before it is read; the file is to stay as it is meanwhile."""
    with opened(path) as (stream, size):
        dtype, shape, order = _header(stream, path)
        if size is None or not isinstance(path, Path):
            return _content(stream, path, dtype, shape, order, size)
        promised = math.prod(shape) * dtype.itemsize
        if size - stream.tell() != promised or not promised:
            return _content(stream, path, dtype, shape, order, size)
        return np.asarray(np.memmap(path, dtype, mode, stream.tell(), shape, order))


def read_npz(path: Any) -> dict[str, np.ndarray]:
    """The arrays of a .npz file by name."""
    arrays = {}
    try:
        with path.open("rb") as file, zipfile.ZipFile(file) as archive:
            for entry in archive.infolist():
                if entry.filename.endswith(".npy"):
                    with archive.open(entry) as stream:
                        where = f"{path}, {entry.filename}"
                        arrays[entry.filename.removesuffix(".npy")] = _content(stream, where, *_header(stream, where))
    except BROKEN as error:
        raise DataError(f"{path}: expected a whole .npz file, got a corrupt one ({error})") from error
    return arrays


def _header(stream, path):
    """dtype, shape and order ("C" or "F") of what follows."""
    start = take(stream, 8)
    if start[:6] != MAGIC or start[6:] not in (b"\1\0", b"\2\0"):
        raise DataError(f"{path}: expected a .npy header, got {start.hex(' ') or 'nothing'}")
    layout, read = ("<H", np.lib.format.read_array_header_1_0) if start[6] == 1 else (
        "<I", np.lib.format.read_array_header_2_0)  # fmt: skip
    length = take(stream, struct.calcsize(layout))
    if len(length) < struct.calcsize(layout) or struct.unpack(layout, length)[0] > _HEADER:
        raise DataError(f"{path}: expected a .npy header of at most {_HEADER} bytes")
    try:
        shape, fortran, dtype = read(io.BytesIO(length + take(stream, *struct.unpack(layout, length))))
    except Exception as error:  # NumPy takes it for Python's, and raises what the parser does
        raise DataError(f"{path}: expected a .npy header: {error}") from None
    if dtype.kind not in "buifUS" or dtype.hasobject or not dtype.itemsize:
        raise DataError(f"{path}: expected numbers or names, got {dtype}")
    if min(shape, default=0) < 0 or math.prod(max(size, 1) for size in shape) * dtype.itemsize > sys.maxsize:
        raise DataError(f"{path}: expected sizes that fit in memory, got {dtype} of shape {shape}")
    return dtype, shape, "F" if fortran else "C"


def _content(stream, path, dtype, shape, order, size=None):
    promised = math.prod(shape) * dtype.itemsize
    data = exactly(stream, promised, f"{path}: expected {promised} bytes of data for {dtype} of shape {shape}", size)
    return np.ndarray(shape, dtype, data, order=order)
