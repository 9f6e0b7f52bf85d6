"""What `pymnistcnn predict` is given: pictures, folders of them, and files of images."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np

from .. import datasets, pictures
from .._types import Array
from ..datasets.folders import is_picture
from ..datasets.groups import is_array_file
from ..datasets.reading import is_table
from ..ensemble import Ensemble
from ..layers import Rescaling
from ..model import Sequential


@dataclass(frozen=True)
class Sample:
    """An image to predict, or the error that it could not be read with; number: in its file, from 1, if there are
    several."""

    path: Path
    number: int | None
    image: np.ndarray | None
    error: str | None = None

    @property
    def name(self) -> str:
        return click.format_filename(self.path) + (f":{self.number}" if self.number else "")

    @property
    def identity(self) -> str:
        """In a table of answers."""
        return str(self.number) if self.number else self.path.name


@dataclass(frozen=True)
class Reading:
    """How pictures are read for a network. pictured: as they are, since it was trained on such; as_is: so are those of
    its size; every: all digits of each."""

    network: Sequential | Ensemble
    pictured: bool = False
    as_is: bool = False
    every: bool = False

    @property
    def whole(self) -> bool:
        """Are pictures taken whole, as light or dark as they are? Else the ink is what counts."""
        return self.pictured or self.network.input_shape[0] == 3

    def seen(self, picture: Any) -> list[np.ndarray]:
        """What the network is to see of a picture's file, by its path or open: uint8 (h, w), or (3, h, w)."""
        channels, *size = self.network.input_shape
        if self.whole:
            return [pictures.read_picture(picture, tuple(size), channels)]
        if self.every:
            return [*pictures.read_digits(picture, *size)]
        return [pictures.read_digit(picture, *size, as_is=self.as_is)]

    def input_of(self, seen: Array) -> np.ndarray:
        """The network's input (c, h, w)."""
        return as_bright(seen, self.network).reshape(self.network.input_shape)

    def refuse_other_shapes(self, name: Any) -> None:
        """ValueError if the network takes no pictures."""
        if len(self.network.input_shape) != 3 or self.network.input_shape[0] not in (1, 3):
            raise ValueError(f"{name}: this network reads inputs of {self.network.input_shape}, not pictures")


def samples_of(path: Any, reading: Reading) -> list[Sample]:
    """The samples of a path, in the shape that a network takes."""
    network = reading.network
    if path.is_dir():
        found = sorted(place for place in path.rglob("*") if is_picture(place.name) and not place.name.startswith("."))
        if not found:
            return _of_images(path, datasets.read(path)[1].images, network)
        return [sample for place in found for sample in _of_picture(place, reading)]
    if path.is_file() and (is_table(path) or is_array_file(path.name)):
        channels = network.input_shape[0] if len(network.input_shape) == 3 else 1
        shape = None if channels == 1 else network.input_shape
        return _of_images(path, datasets.read_images(path, shape=shape), network)
    return _of_picture(path, reading)


def _of_picture(path, reading):
    reading.refuse_other_shapes(path)
    try:
        images = [reading.input_of(seen) for seen in reading.seen(path)]
    except FileNotFoundError:
        return [Sample(path, None, None, f"{click.format_filename(path)}: No such file or directory")]
    except (ValueError, OSError) as error:
        return [Sample(path, None, None, str(error))]
    return [Sample(path, n if reading.every else None, image) for n, image in enumerate(images, 1)]


def white_of(network: Any) -> float:
    """The value of a pixel that is full, as a network takes it."""
    first = (network.models[0] if isinstance(network, Ensemble) else network).layers[0]
    white = 1 / first.scale if isinstance(first, Rescaling) and first.scale > 0 else 255
    return 255 if white > 254 else white


def as_bright(image: Array, network: Any) -> Array:
    """A picture whose white is that of a network that was trained on darker ones."""
    white = white_of(network)
    return (
        image if white == 255 else np.rint(image * (white / 255)).astype(image.dtype if white >= 1 else network.dtype)
    )


def _of_images(path, images, network):
    if not len(images):
        raise ValueError(f"{path}: there are no images in it")
    if images[0].size != np.prod(network.input_shape):
        got = "x".join(map(str, images.shape[1:]))
        raise ValueError(f"{path}: this network reads inputs of {network.input_shape}, not images of {got}")
    return [_of_image(path, n, image.reshape(network.input_shape)) for n, image in enumerate(images, 1)]


def _of_image(path, number, image):
    """A sample; NaN and infinity, in the files of other programs, are their errors."""
    if np.isfinite(image).all():
        return Sample(path, number, image)
    return Sample(path, number, None, f"{click.format_filename(path)}: NaN or infinity is in image {number}")
