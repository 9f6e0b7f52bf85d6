"""Read EMNIST from MATLAB's files, through SciPy."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np

from .._types import StrPath
from ..extras import needed
from .dataset import DataError, Dataset
from .streams import CHUNK, most_inflated, opened, take

_START, _COMPRESSED = 128, 15  # bytes of a version 5 file's head; the type of an element that is deflated
_RATIO = 60  # what deflated pictures of EMNIST hold is some 5 times their size


def read_mat(path: StrPath) -> dict[str, Dataset]:
    """The parts, "train" and "test", of a file such as emnist-letters.mat, as they are in it: columns one after the
    other, labels as they are numbered there. ImportError without SciPy."""
    limit = most_inflated(path)
    with opened(path) as (stream, _):
        content = take(stream, limit + 1)
    if len(content) > limit:
        raise DataError(f"{path}: expected at most {limit:,} bytes, got more")
    if content[:10] != b"MATLAB 5.0":
        raise DataError(f"{path}: expected a MATLAB 5.0 file, got {bytes(content[:10])!r}")
    _refuse_bombs(content, path)
    loadmat = needed("scipy.io", "data").loadmat
    try:
        found = loadmat(io.BytesIO(content), variable_names=["dataset"], squeeze_me=False)["dataset"][0, 0]
        parts = {part: found[part][0, 0] for part in ("train", "test")}
        return {
            part: Dataset(_squares(np.asarray(arrays["images"])), np.asarray(arrays["labels"]).reshape(-1))
            for part, arrays in parts.items()
        }
    except Exception as error:  # damaged files make SciPy raise nearly anything
        raise DataError(f"{path}: expected EMNIST's `dataset`, with train and test: {error}") from error


def _squares(rows):
    if rows.ndim != 2 or rows.shape[1] != 784 or rows.dtype != np.uint8:
        raise ValueError(f"images: expected uint8 (n, 784), got {rows.dtype} {rows.shape}")
    return rows.reshape(-1, 28, 28)


def _refuse_bombs(content, path):
    """DataError if an element inflates to far more than pictures do."""
    at = _START
    order = "<" if content[126:128] == b"IM" else ">"
    while at + 8 <= len(content):
        kind, length = struct.unpack_from(f"{order}II", content, at)
        at += 8
        if kind == _COMPRESSED and _inflated(content[at : at + length], most := _RATIO * length + CHUNK) > most:
            raise DataError(
                f"{path}: expected pictures, got an element of {length} bytes that inflates to {most} or more"
            )
        at += length


def _inflated(piece, most) -> int:
    """How many bytes a deflated piece has; not much more than `most` are counted."""
    stream, total = zlib.decompressobj(), 0
    try:
        while total <= most and (got := len(stream.decompress(piece, CHUNK))):
            total, piece = total + got, stream.unconsumed_tail
    except zlib.error:
        pass  # SciPy will tell
    return total
