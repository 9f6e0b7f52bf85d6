"""What is in a file: raw, gzipped, or in a zip archive; never more of it in memory than was asked for."""

from __future__ import annotations

import gzip
import os
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .dataset import DataError

CHUNK = 1 << 20
UNSUSPICIOUS = 1 << 28  # bytes that any file may hold
MOST_RATIO = 100  # of what a text of images holds to what it is packed into: some 7 are usual
BROKEN = (  # what damaged, encrypted and odd archives raise
    *(EOFError, zlib.error, gzip.BadGzipFile, zipfile.BadZipFile),
    *(NotImplementedError, RuntimeError, UnicodeDecodeError),
)


def place_of(path: Any) -> Any:
    """A file or folder: a Path, or, of a zip archive, the place in it where it branches: a zipfile.Path."""
    if isinstance(path, zipfile.Path):
        return path
    path = Path(path)
    if not path.is_file() or not is_zip(path):
        return path
    try:
        return below(zipfile.Path(path))
    except BROKEN as error:
        raise DataError(f"{path}: expected a whole zip archive, got a corrupt one ({error})") from error


def is_zip(path: Any) -> bool:
    """By its first bytes. NumPy's .npz is one as well, but read as a file."""
    with open(path, "rb") as file:
        return file.read(4) == b"PK\3\4" and path.suffix != ".npz"


def below(place: Any) -> Any:
    """The first place from here on that holds more than one folder."""
    inside = children(place)
    while len(inside) == 1:
        place = inside[0]
        inside = children(place) if place.is_dir() else []
    return place


def children(place: Any) -> list[Any]:
    """What is in a folder, in order of names, without what systems leave there."""
    found = [child for child in place.iterdir() if not child.name.startswith((".", "__MACOSX"))]
    return sorted(found, key=lambda child: child.name)


@contextmanager
def opened(path: Any) -> Iterator[tuple[Any, int | None]]:
    """What is in a file, unzipped, and its size, if that is known."""
    place = place_of(path)
    try:
        with place.open("rb") as file:
            zipped = file.read(2) == b"\x1f\x8b"
            file.seek(0)
            size = os.fstat(file.fileno()).st_size if isinstance(place, Path) and not zipped else None
            yield gzip.GzipFile(fileobj=file) if zipped else file, size
    except BROKEN as error:
        kind = "gzip stream" if isinstance(place, Path) else "zip archive"
        raise DataError(f"{path}: expected a whole {kind}, got a corrupt one ({error})") from error


def most_inflated(path: Any) -> int:
    """How many bytes a file may hold that does not say how many: those of a bomb are many more."""
    place = place_of(path)
    file = place if isinstance(place, Path) else place.root.filename
    return max(UNSUSPICIOUS, MOST_RATIO * os.stat(file).st_size)


def take(stream: Any, count: int) -> bytearray:
    """Up to `count` bytes, in chunks, so that a promise costs no memory before its data is there."""
    data = bytearray()
    while chunk := stream.read(min(CHUNK, count - len(data))):
        data += chunk
    return data


def exactly(stream: Any, promised: int, expected: str, size: int | None = None) -> bytearray:
    """All that is left of a stream, which has these many bytes, or DataError. `size` of the whole, if it is known."""
    if size is not None and size - stream.tell() != promised:
        raise DataError(f"{expected}, got {size - stream.tell()}")
    data = take(stream, promised)
    if len(data) < promised:
        raise DataError(f"{expected}, got {len(data)}")
    if stream.read(1):  # at the true end this read also makes gzip verify its checksum
        raise DataError(f"{expected}, got more")
    return data
