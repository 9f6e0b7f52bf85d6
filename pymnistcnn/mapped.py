"""Arrays that lie in a file, mapped read-only, of which this process never holds more than a piece.

What the system has read stays in its cache of files, which gives way to whoever needs memory.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np

from . import _native
from ._types import Array

STRETCH = 1 << 24  # bytes that are looked at in order at a time
_PROBED = 8  # rows of some that are wanted soon: they say whether the file is in the system's cache


class Mapped:
    """The rows of a C-contiguous array that is, or is a view of, a read-only `np.memmap`."""

    def __init__(self, array: Array, of: np.memmap[Any, Any]) -> None:
        self._memory, self._path, self._array = of.base, of.filename, array
        self._start = of.offset - of.offset % mmap.ALLOCATIONGRANULARITY + array.ctypes.data - address_of(of.base)

    def check(self) -> None:
        """OSError if the file has become shorter: what is read of a map behind its end would end the process."""
        size, missing = self._array.strides[0], self._start + self._array.nbytes - self._memory.size()
        if missing > 0:
            short = min(-(-missing // size), len(self._array))
            raise OSError(f"{short} of {len(self._array)} samples could not be read from their file")

    def release(self) -> None:
        """Let the map hold no page of the file."""
        self._memory.madvise(mmap.MADV_DONTNEED)

    @contextmanager
    def opened(self) -> Iterator[Rows | None]:
        """The rows of the file; None if what has its name is another file by now, or cannot be read."""
        file = None
        with suppress(OSError, TypeError):
            file = os.open(self._path, os.O_RDONLY)
        try:
            same = file is not None and inode_at(self._array.ctypes.data) == os.fstat(file).st_ino
            yield Rows(file, self._start, self._array) if same else None
        finally:
            if file is not None:
                os.close(file)


class Rows:
    """The rows of an array in a file, read by their numbers."""

    def __init__(self, file: int, start: int, array: Array) -> None:
        self._file, self._start, self._size = file, start, array.strides[0]
        self._shape, self._dtype = array.shape[1:], array.dtype

    def read(self, numbers: Array, wanted: Array | slice = slice(None)) -> Array:
        """These rows, (n, ...), in memory, or some of them; OSError if the file has become shorter."""
        places = np.arange(len(numbers))[wanted]
        places = places[np.argsort(numbers[places])]  # a file is read faster in its own order
        out = np.empty((len(numbers), self._size), np.uint8)
        if failed := _native.read_rows(self._file, self._start, numbers[places], places, out):
            raise OSError(f"{failed} of {len(numbers)} samples could not be read from their file")
        return out.view(self._dtype).reshape(len(numbers), *self._shape)

    def soon(self, numbers: Array) -> None:
        """Have the system begin to read rows that its cache does not have."""
        begins = self._start + np.sort(numbers) * self._size
        if not all(map(self._is_cached, begins[:: max(1, len(begins) // _PROBED)].tolist())):
            for begin in begins.tolist():
                os.posix_fadvise(self._file, begin, self._size, os.POSIX_FADV_WILLNEED)

    def _is_cached(self, place: int) -> bool:
        """Yes, too, where the system does not say."""
        try:
            os.preadv(self._file, [bytearray(1)], place, os.RWF_NOWAIT)
        except BlockingIOError:
            return False
        except (OSError, AttributeError):
            pass
        return True


def address_of(memory: mmap.mmap) -> int:
    return np.frombuffer(memory, np.uint8).ctypes.data


def inode_at(address: int) -> int | None:
    """Of the file that is mapped at an address; None where the system does not say."""
    with suppress(OSError), open("/proc/self/maps") as maps:
        for line in maps:
            span, _, _, _, inode, *_ = line.split()
            begin, end = (int(number, 16) for number in span.split("-"))
            if begin <= address < end:
                return int(inode)
    return None


def mapped_of(array: Any) -> Mapped | None:
    """The file in which an array lies, mapped to be read only; None for any other array."""
    found = array
    while isinstance(found, np.ndarray):
        if isinstance(found, np.memmap) and isinstance(found.base, mmap.mmap):
            return Mapped(array, found) if found.mode == "r" and len(array) and array.flags.c_contiguous else None
        found = found.base
    return None


def in_pieces(array: Array, most: int) -> Iterator[Array]:
    """An array, so many rows at a time. Of a mapped file no more is held; OSError if it has become shorter."""
    mapped = mapped_of(array)
    for start in range(0, len(array), most):
        if mapped:
            mapped.check()
        yield array[start : start + most]
        if mapped:
            mapped.release()


def stretches(array: Array) -> Iterator[Array]:
    """All of an array in C order, of which, if it is mapped, no more than a stretch is held."""
    if mapped_of(array) is None:
        return iter([np.ascontiguousarray(array)])
    return in_pieces(array, max(1, STRETCH // array[:1].nbytes))
