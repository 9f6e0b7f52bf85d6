"""Read folders of pictures, one folder for each class."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from .._types import Array
from ..checks import names_in
from ..pictures import SUFFIXES, picture_size, read_picture
from ..pictures.digits import MNIST, is_like_mnist
from .dataset import DataError, Dataset
from .naming import PARTS
from .streams import children

ENOUGH = 1000  # pictures, to know what all are like
LARGEST, USUAL = 64, (32, 32)  # the sides of pictures that keep their size; the size of others


def pictures_in(folder: Any) -> list[Any]:
    """The pictures in a folder, by name."""
    return [place for place in children(folder) if place.is_file() and is_picture(place.name)]


def is_picture(name: str) -> bool:
    """By its suffix."""
    return name.lower().endswith(SUFFIXES)


def has_folders_of_pictures(folder: Any) -> bool:
    return any(classes_in(part) for part in parts_in(folder).values())


def parts_in(folder: Any) -> dict[str | None, Any]:
    """The folders for training and testing by part; a folder itself, by None, if it has none."""
    return {PARTS[place.name.lower()]: place for place in children(folder) if _is_part(place)} or {None: folder}


def read_folders(
    folder: Any, size: tuple[int, int] | None = None, skip_damaged: bool = False
) -> dict[str | None, Dataset]:
    """Datasets by part of a folder that has a folder of pictures for each class, or folders for training and testing
    that have such.

    Classes are numbered in the order of their names, of their numbers if all are such. Pictures that have one size, of
    64x64 or less, keep it; others are scaled into 32x32, or `size`, with their proportions, on their border's colour.
    They are grey (n, h, w) if all are, else colour (n, 3, h, w), uint8, as light or dark as they are.

    DataError if there is no picture, or some cannot be read; with `skip_damaged` these are left out, with a warning,
    unless all are such.
    """
    found = {part: classes_in(place) for part, place in parts_in(folder).items()}
    names = sorted({name for classes in found.values() for name in classes}, key=_order(found))
    places = [place for classes in found.values() for pictures in classes.values() for place in pictures]
    if not places:
        raise DataError(f"{folder}: expected a folder of pictures for each class, got no picture in its folders")
    damaged: dict[Any, str] = {}
    size = size or common_size(tried(picture_size, places, damaged).values())
    pictures = tried(lambda place: read_picture(place, size), [p for p in places if p not in damaged], damaged)
    if damaged:
        refuse_or_warn(folder, damaged, len(places), skip_damaged)
    read = {part: {name: [pictures[place] for place in places if place in pictures] for name, places in classes.items()}
            for part, classes in found.items()}  # fmt: skip
    colour = any(picture.ndim == 3 for picture in pictures.values())
    return {part: _dataset(classes, names, colour, folder.name) for part, classes in read.items()}


def classes_in(folder: Any) -> dict[str, list[Any]]:
    """The pictures of each class. A folder that has nothing but another is looked through."""
    inside = [place for place in children(folder) if place.is_dir()]
    classes = {place.name: pictures_in(place) for place in inside}
    if len(inside) == 1 and not any(classes.values()):
        return classes_in(inside[0])
    return {name: pictures for name, pictures in classes.items() if pictures}


def common_size(sizes: Iterable[tuple[int, int]]) -> tuple[int, int]:
    """The size that all pictures have, if they are small; else the usual one."""
    sizes = set(sizes)
    return sizes.pop() if len(sizes) == 1 and max(max(size) for size in sizes) <= LARGEST else USUAL


def tried(read: Callable[[Any], Any], places: list[Any], damaged: dict[Any, str]) -> dict[Any, Any]:
    """What is read, by place; `damaged` gets the places where it cannot be, and why."""
    found = {}
    for place in places:
        try:
            found[place] = read(place)
        except ValueError as error:
            damaged[place] = str(error)
    return found


def refuse_or_warn(folder: Any, damaged: dict[Any, str], pictures: int, skip_damaged: bool) -> None:
    """Tell of pictures that cannot be read."""
    first = next(iter(damaged.values()))
    others = f"; {len(damaged)} of {pictures} pictures in {folder} cannot be read: {names_in([*damaged])}"
    message = first + others * (len(damaged) > 1)
    if not skip_damaged or len(damaged) == pictures:
        raise DataError(message + "; skip_damaged=True (--skip-damaged) leaves such out" * (len(damaged) < pictures))
    warnings.warn(f"left out: {message}", stacklevel=2)


def stacked(pictures: list[Array], colour: bool = False) -> np.ndarray:
    """(n, h, w) of grey pictures, or (n, 3, h, w) if one is in colour, or is to be."""
    colour = colour or any(picture.ndim == 3 for picture in pictures)
    if not colour:
        return np.stack(pictures)
    return np.stack([picture if picture.ndim == 3 else np.stack([picture] * 3) for picture in pictures])


def _dataset(classes, names, colour, name):
    labels = [names.index(name) for name, pictures in classes.items() for _ in pictures]
    images = stacked([picture for pictures in classes.values() for picture in pictures], colour)
    # digits as MNIST has them are not as light or dark as somebody's pictures of digits will be
    some = images[:: max(1, len(images) // ENOUGH)]
    treated = images.shape[1:] == MNIST and all(map(is_like_mnist, some))
    return Dataset(images, np.array(labels), tuple(names), name, from_pictures=not treated)


def _is_part(place):
    """Is it a folder of folders? One named train that holds pictures is a class, beside car, or has no labels."""
    return place.is_dir() and place.name.lower() in PARTS and any(child.is_dir() for child in children(place))


def _order(found):
    """By number, if all names are such, else by name."""
    numbers = all(name.isdigit() for classes in found.values() for name in classes)
    return (lambda name: (int(name), name)) if numbers else None
