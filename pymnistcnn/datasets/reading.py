"""Read data sets of whatever form: one function that knows what it is given."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from .._types import Shape, StrPath
from ..checks import checked_path, checked_seed, number, pair, yes_or_no
from .arrays import read_npz
from .dataset import DataError, Dataset, channels_first
from .digits import mnist, sklearn_digits
from .folders import has_folders_of_pictures, is_picture, read_folders
from .groups import (
    WHOLE,
    as_bytes,
    datasets_of,
    group_names,
    group_of,
    groups_in,
    is_array_file,
    map_group,
    read_array,
    read_group,
)
from .known import as_known, known_name
from .matlab import read_mat
from .named import NAMES, fetch
from .naming import role
from .streams import children, place_of
from .text import read_table

__all__ = [
    "read",
    "read_images",
]

TABLES = (".csv", ".tsv", ".txt", ".data")


@dataclass(frozen=True)
class How:
    """What a file does not say, or None."""

    label_first: bool | None = None
    shape: tuple[int, ...] | None = None
    size: tuple[int, int] | None = None
    skip_damaged: bool = False


def read(
    path: StrPath | None = None,
    *,
    label_first: bool | None = None,
    shape: Shape | None = None,
    size: int | tuple[int, int] | None = None,
    fraction: float = 0.2,
    seed: int = 0,
    skip_damaged: bool = False,
    memory_map: bool = False,
) -> tuple[Dataset, Dataset]:
    """Images for training and for testing, of files of any usual form, or of a data set by name.

    Parameters
    ----------
    path : a folder with a folder of pictures for each class, maybe in folders train and test; the four files of MNIST
        and its kin (IDX), raw or gzipped, in this folder, in MNIST/raw in it, or in folders as Kaggle has them; .npz;
        .npy files such as x_train.npy beside y_train.npy; text files (see `read_text`), such as train.csv; EMNIST's
        files of either kind, QMNIST's; a zip archive of any of these; one of the files. Or a name: "mnist",
        "fashion-mnist", "kmnist", "emnist-letters", "qmnist", "mnist-c-fog", which is downloaded once (see
        docs/data.md), or "sklearn-digits", scikit-learn's. The MNIST inside the package if not given
    label_first, shape : of text files, as in `read_text`
    size : (height, width), or one number for both, that pictures of folders are scaled to
    fraction, seed : where nothing is for testing, this fraction of each class is put aside for it, at random
    skip_damaged : leave out pictures of folders that cannot be read, with a warning that names them
    memory_map : for what is larger than memory: images stay in their file, which is mapped read-only and never copied
        as a whole; raw IDX files of bytes and raw .npy files only, without the options of others. Where nothing is for
        testing, the last `fraction` of the images is put aside

    Returns two Datasets. Images are uint8 from 0 to 255 where the file allows; arrays of raw .npy and IDX files are
    maps of the files, which are to stay as they are meanwhile. Where nothing is for training, the first is empty.

    FileNotFoundError if there is no such file or name; DataError, a ValueError, if it is damaged or of no known form;
    OSError for what cannot be downloaded; ImportError, with the command, for a library that is missing.

    Examples
    --------
    >>> import numpy as np, tempfile, pymnistcnn as pm
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     np.savez(f"{folder}/a.npz", x=np.zeros((10, 8, 8), np.uint8), y=np.arange(10) % 2)
    ...     train, test = pm.datasets.read(f"{folder}/a.npz")
    >>> train, test.labels
    (Dataset(8 images of 8x8 uint8, labels 0 to 1), array([0, 1]))
    """
    fraction = number("fraction", fraction, 0, 1, open_low=True, open_high=True)
    seed = checked_seed(seed)
    how = How(label_first, shape, None if size is None else pair("size", size), yes_or_no("skip_damaged", skip_damaged))
    name = path.lower() if isinstance(path, str) and not Path(path).exists() else None
    if yes_or_no("memory_map", memory_map):
        for option, default in vars(How()).items():
            if getattr(how, option) != default:
                raise ValueError(f"{option} is for text files or pictures, and memory_map for raw IDX and .npy files")
        if path is None or name in ("mnist", "sklearn-digits"):
            raise DataError(f"{name or 'mnist'}: memory_map is for raw IDX and .npy files, not for what is packed")
        return read_mapped(located(path), fraction)
    if path is None or name == "mnist":
        return mnist()
    if name == "sklearn-digits":
        return divided({WHOLE: sklearn_digits()}, fraction, seed, path)
    parts = parts_of(located(path), how)
    return divided(parts, fraction, seed, path)


def read_images(path: StrPath, *, shape: Shape | None = None) -> np.ndarray:
    """The images of one file, which may have no labels: text, IDX, .npy or .npz.

    shape : (h, w) or (c, h, w) of the images in a text file, a square if not given

    Returns (n, h, w) or (n, c, h, w). Errors as of `read`.

    Examples
    --------
    >>> import pathlib, tempfile, pymnistcnn as pm
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = pathlib.Path(folder, "test.csv").write_text("0" + ",0" * 63)
    ...     pm.datasets.read_images(f"{folder}/test.csv").shape
    (1, 8, 8)
    """
    place = place_of(checked_path("path", path))
    if not place.is_file():
        raise FileNotFoundError(f"{place}: no such file")
    if place.name.endswith(".npz"):
        images = _images_of_npz(place)
    elif is_array_file(place.name):
        images = channels_first(as_bytes(read_array(place)))
    else:
        images = read_table(place, shape=shape)[0]
    known = known_name([place.name], np.zeros(0))
    return as_known(Dataset(images, np.ones(len(images), int)), known).images


def _images_of_npz(place):
    arrays = read_npz(place)
    roles = {role(name): name for name in arrays if role(name).kind == "images"}
    chosen = [name for found, name in roles.items() if found.part == "test"] or list(roles.values()) or list(arrays)
    if len(chosen) != 1:
        raise DataError(f"{place}: which array has the images? It has {', '.join(sorted(arrays)) or 'none'}")
    return channels_first(as_bytes(arrays[chosen[0]]))


def located(path: StrPath) -> Any:
    """The place of a path or a name."""
    path = checked_path("path", path)
    if Path(path).exists():
        return place_of(path)
    name = path.lower().replace("_", "-").replace("/", "-")
    plain = {known.replace("-", ""): known for known in NAMES}.get(name.replace("-", ""))  # torchvision's FashionMNIST
    if plain is not None:
        return fetch(plain)
    near = [known for known in sorted(NAMES) if known.startswith(f"{name}-")]
    sets = ["mnist", *(known for known, (_, inside) in NAMES.items() if not inside)]
    names = ", ".join(near or [*sets, "emnist-...", "mnist-c-...", "sklearn-digits"])
    raise FileNotFoundError(f"{path}: no such file or folder, nor the name of a data set: {names}")


def parts_of(place: Any, how: How) -> dict[str, Dataset]:
    """Datasets by part: "train", "test", "validation", or "whole"."""
    if not place.is_dir():
        return _of_file(place, how)
    if groups := groups_in(place):
        return _of_groups(groups, place)
    if has_folders_of_pictures(place):
        return {part or WHOLE: data for part, data in read_folders(place, how.size, how.skip_damaged).items()}
    if tables := tables_in(place, how):
        return _of_tables(tables, place, how)
    inside = [child for child in children(place) if child.is_dir() or child.name.endswith(".mat")]
    if len(inside) != 1:
        raise DataError(
            f"{place}: expected a folder of pictures for each class, files of arrays such as train-images-idx3-ubyte "
            "or x_train.npy, or text such as train.csv; none of these is there, or several data sets are"
        )
    return parts_of(inside[0], how)


def tables_in(folder: Any, how: How) -> list[Any]:
    """The text files of images in a folder. A .txt may be something else."""
    return [
        child for child in children(folder) if is_table(child) and (".txt" not in child.name or _is_one(child, how))
    ]


def _is_one(table, how):
    try:
        read_table(table, how.label_first, how.shape, most=1)
    except DataError as error:
        return "label_first" in str(error)
    return True


def is_table(place: Any) -> bool:
    name = place.name.lower().removesuffix(".gz").removesuffix(".zip")
    return place.is_file() and name.endswith(TABLES) and "submission" not in name and "mapping" not in name


def _of_file(place, how):
    if place.name.endswith(".npz") and len(arrays := read_npz(place)) > 1:
        roles = {(role(name).part, role(name).kind): array for name, array in arrays.items() if role(name).kind}
        if not roles:
            raise DataError(f"{place}: expected arrays such as x_train and y_train, got {', '.join(sorted(arrays))}")
        return datasets_of(roles, place, [place.name])
    if is_array_file(place.name):
        group = group_of(place)
        if not group:
            raise DataError(f"{place}: is it of images or of labels? Its name does not say, such as x_train, y_train")
        return read_group(group, place)
    if place.name.endswith(".mat"):
        return {part: as_known(data, known_name([place.name], data.labels)) for part, data in read_mat(place).items()}
    if is_picture(place.name):
        raise DataError(f"{place}: expected a folder with a folder of pictures for each class, got one picture")
    beside = [place] if role(place.name).part is None else [
        child for child in children(place.parent) if is_table(child) and role(child.name).rest == role(place.name).rest
    ]  # fmt: skip
    return _of_tables(beside or [place], place, how)


def _of_groups(groups, place, read=read_group):
    if len(groups) > 1:
        names = "; ".join(group_names(group) for group in groups.values())
        raise DataError(f"{place}: expected one data set, got several: {names}. Give one of their files")
    return read(next(iter(groups.values())), place)


def _of_tables(tables, place, how):
    """Datasets of text files. Files without labels are not among them."""
    parts = {}
    for table in tables:
        part = role(table.name).part or WHOLE
        if part in parts:
            raise DataError(f"{place}: expected one file for each part, got {', '.join(t.name for t in tables)}")
        if len(tables) > 1 and table.name != place.name and not _has_labels(table, how):
            continue
        images, labels, classes = read_table(table, how.label_first, how.shape)
        if labels is None:
            raise DataError(
                f"{table}: expected pixels and a label, got {images[0].size} columns, which are pixels alone"
            )
        data = Dataset(images, labels, classes)
        parts[part] = as_known(data, known_name([table.name], labels)) if classes is None else data
    return _of_one_order(parts)


def _has_labels(table, how):
    return read_table(table, how.label_first, how.shape, most=1)[1] is not None


def _of_one_order(parts):
    """Labels that are names, numbered alike in all parts."""
    names = sorted({name for data in parts.values() for name in data.classes or ()})
    if len({data.classes for data in parts.values()}) < 2 or any(data.classes is None for data in parts.values()):
        return parts
    return {part: relabelled(data, tuple(names)) for part, data in parts.items()}


def relabelled(data: Any, classes: Any) -> Any:
    """A Dataset whose labels are places in other names of classes; DataError for a class that is not among them."""
    missing = [name for name in data.classes if name not in classes]
    if missing:
        raise DataError(f"expected classes {', '.join(classes[:20])}, got {missing[0]}")
    numbers = np.array([classes.index(name) for name in data.classes])
    return replace(data, labels=numbers[data.labels], classes=classes)


def read_mapped(place: Any, fraction: float) -> tuple[Dataset, Dataset]:
    """`read`, of images that stay in their files."""
    groups = groups_in(place) if place.is_dir() else {"": group_of(place)} if is_array_file(place.name) else {}
    if not groups or not all(groups.values()):
        raise DataError(f"{place}: memory_map is for raw IDX and .npy files, images and labels, got none")
    parts = _of_groups(groups, place, map_group)
    if len(parts) == 1 and "test" not in parts and "validation" not in parts:
        (all_there_is,) = parts.values()
        taken = round(fraction * len(all_there_is))
        if not 0 < taken < len(all_there_is):
            raise DataError(f"{place}: fraction {fraction} of {len(all_there_is)} images leaves one of two parts empty")
        parts = {"train": all_there_is[:-taken], "test": all_there_is[-taken:]}
    return divided(parts, fraction, 0, place)


def divided(parts: Any, fraction: float, seed: int, path: StrPath) -> tuple[Dataset, Dataset]:
    """(training, testing) of parts."""
    train, test = parts.get("train") or parts.get(WHOLE), parts.get("test") or parts.get("validation")
    if train is None and test is None:
        raise DataError(f"{path}: expected images with labels, got none")
    if train is None:
        train = test[:0]
    if test is None:
        try:
            train, test = train.split(fraction, seed)
        except ValueError as error:
            raise DataError(f"{path}: nothing is for testing, and {error}") from None
    if train.images.shape[1:] != test.images.shape[1:]:
        sizes = f"{train.images.shape[1:]}, got {test.images.shape[1:]}"
        raise DataError(f"{path}: expected images for testing as for training, {sizes}")
    name = train.name or Path(str(path)).name
    return replace(train, name=name), replace(test, name=name)
