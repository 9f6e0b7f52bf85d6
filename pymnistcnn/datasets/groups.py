"""Files of arrays that belong together: images and labels, for training and testing."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from .._types import Array
from .arrays import MAGIC, read_npy, read_npz
from .dataset import MOST_CLASSES, DataError, Dataset
from .idx import map_idx
from .known import as_known, known_name
from .naming import role
from .streams import children, opened

WHOLE = "whole"  # the part that is neither for training nor for testing


def is_array_file(name: str) -> bool:
    return any(mark in name.lower() for mark in (".npy", ".npz", "ubyte", "-idx", ".idx"))


def read_array(place: Any, mode: str = "c") -> Array:
    """The array of a file in NumPy's or the IDX format, by its first bytes; of a .npz file the only one. mode: as of
    `np.memmap`, of a map."""
    if place.name.endswith(".npz"):
        arrays = read_npz(place)
        if len(arrays) != 1:
            raise DataError(f"{place}: expected one array, got {', '.join(sorted(arrays)) or 'none'}")
        return next(iter(arrays.values()))
    with opened(place) as (stream, _):
        start = stream.read(len(MAGIC))
    is_npy = start == MAGIC or (".npy" in place.name.lower() and start[:2] != b"\0\0")  # or was meant to be
    return read_npy(place, mode) if is_npy else map_idx(place, mode)


def groups_in(folder: Any) -> dict[str, Any]:
    """The files of a folder by what they are of: {(folder, words): {role: place}}. Those in its folders named raw are
    taken in, and those of folders that are named as a file is, as Kaggle has them."""
    places, inside = [], [child for child in children(folder) if child.is_dir()]
    for child in [folder, *inside, *(child / "raw" for child in inside if (child / "raw").is_dir())]:
        if child is folder or child.name == "raw" or role(child.name).kind:
            home = folder if child.name != "raw" and child is not folder else child
            places += [(home, place) for place in children(child) if place.is_file() and is_array_file(place.name)]
    groups = {}
    for home, place in sorted(places, key=lambda pair: len(pair[1].name)):  # raw before gzipped
        found = role(place.name)
        if found.kind:
            groups.setdefault((str(home), found.rest), {}).setdefault((found.part, found.kind), place)
    return groups


def group_of(place: Any) -> dict[str, Any]:
    """The files that belong to one file, itself among them: {role: place}."""
    groups = [group for group in groups_in(place.parent).values() if str(place) in map(str, group.values())]
    return groups[0] if groups else {}


def read_group(group: Any, where: str) -> dict[str, Any]:
    """Datasets by part, of files by role."""
    names = [name for place in group.values() for name in names_of(place)]
    return datasets_of({found: read_array(place) for found, place in group.items()}, where, names)


def map_group(group: Any, where: str) -> dict[str, Any]:
    """The same, of images that stay in their files, mapped read-only; DataError for those that cannot."""
    arrays, names = {}, [name for place in group.values() for name in names_of(place)]
    for found, place in group.items():
        arrays[found] = array = read_array(place, "r" if found[1] == "images" else "c")
        if found[1] == "images" and not (is_mapped(array) and array.dtype == np.uint8):
            kind = "packed" if len(array) else "empty"
            of = f"a file that is {kind}" if array.dtype == np.uint8 else str(array.dtype)
            raise DataError(f"{place}: memory_map is for raw IDX and .npy files of uint8, not for {of}")
    parts = datasets_of(arrays, where, names)
    for data in parts.values():
        if not is_mapped(data.images) or not data.images.flags.c_contiguous:
            raise DataError(f"{where}: memory_map is for images that lie as they are used, not channels last or turned")
    return parts


def is_mapped(array: Any) -> bool:
    """Does it lie in a file?"""
    while isinstance(array, np.ndarray) and not isinstance(array, np.memmap):
        array = array.base
    return isinstance(array, np.memmap)


def datasets_of(arrays: Any, where: str, names: Iterable[str]) -> dict[str, Any]:
    """Datasets by part, of arrays by role; `names`: of files and folders, which may say what they are of. DataError if
    images or labels are missing, or do not fit."""
    parts = {}
    for part in sorted({part for part, _ in arrays}, key=str):
        for kind, other in (("images", "labels"), ("labels", "images")):
            if (part, kind) not in arrays:
                raise DataError(
                    f"{where}: expected {kind} beside the {other}{f' for {part}' if part else ''}, got none"
                )
        labels = arrays[part, "labels"]
        labels = labels[:, 0] if labels.ndim == 2 and "qmnist" in "".join(names).lower() else labels
        parts[part or WHOLE] = _dataset(arrays[part, "images"], labels, where, names)
    return parts


def group_names(group: Any) -> str:
    return ", ".join(place.name for place in group.values())


def _dataset(images, labels, where, names):
    try:
        data = Dataset.from_arrays(as_bytes(images), labels)
    except ValueError as error:
        raise DataError(f"{where}: {error}") from None
    if not len(data) or 0 in data.images.shape:
        raise DataError(f"{where}: expected images, got none: {data.images.shape}")
    if data.labels.min() < 0 or data.labels.max() >= MOST_CLASSES:
        most, got = MOST_CLASSES - 1, f"{data.labels.min()} to {data.labels.max()}"
        raise DataError(f"{where}: expected labels from 0 to {most}, got {got}")
    return as_known(data, known_name(names, data.labels))


def names_of(place: Any) -> list[str]:
    """Of a file and the folders it is in, the nearest first."""
    path = Path(getattr(place, "at", place))
    return [path.name, *(parent.name for parent in path.parents)][:4]


def as_bytes(images: Array) -> Array:
    """Images as uint8 where nothing is lost: whole numbers from 0 to 255, or what was divided by 255."""
    if images.dtype == np.uint8 or images.dtype.kind not in "iuf" or not images.size:
        return images
    low, high = images.min(), images.max()
    if images.dtype.kind == "f":
        if not (low >= 0 and high <= 1):
            return images.astype(np.uint8) if 0 <= low <= high <= 255 and (images == np.rint(images)).all() else images
        scaled = np.rint(images * images.dtype.type(255))
        near = np.abs(images * 255 - scaled).max() < (1e-3 if images.itemsize > 2 else 0.1)
        return scaled.astype(np.uint8) if near else images
    return images.astype(np.uint8) if 0 <= low and high <= 255 else images
