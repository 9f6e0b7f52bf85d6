"""The data sets that are known by name: their classes, and what is odd about their files."""

from __future__ import annotations

import hashlib
import string
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from .._types import Array

if TYPE_CHECKING:
    from .dataset import Dataset


DIGITS = tuple(string.digits)
_MERGED = (*string.digits, *string.ascii_uppercase, *"abdefghnqrt")  # the other small letters look like capitals
EMNIST: dict[str, tuple[str, ...]] = {
    "byclass": (*string.digits, *string.ascii_uppercase, *string.ascii_lowercase),
    "bymerge": _MERGED,
    "balanced": _MERGED,
    "letters": tuple(string.ascii_uppercase),
    "digits": DIGITS,
    "mnist": DIGITS,
}
CLASSES: dict[str, tuple[str, ...]] = {
    "mnist": DIGITS,
    "fashion-mnist": (
        *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
        *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
    ),
    "kmnist": ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"),
    "qmnist": DIGITS,
    "mnist-c": DIGITS,
    **{f"emnist-{split}": classes for split, classes in EMNIST.items()},
}
TITLES = {"mnist": "MNIST", "fashion-mnist": "Fashion-MNIST", "kmnist": "KMNIST", "qmnist": "QMNIST",
          "mnist-c": "MNIST-C", "sklearn-digits": "scikit-learn's digits",
          **{f"emnist-{split}": f"EMNIST {split}" for split in EMNIST}}  # fmt: skip
LABELS = {  # sha256 of the labels, a byte each: files of these two have the same names
    "1feba77c54802fa5339a11837ea4b2866434b83314ec45192930f1df69120c13": "mnist",
    "ddeff807876a9661a1110d45c266c86239a3a1b7d37da0c3716a7a683c852ff5": "mnist",
    "657fbd221bfc9f4198cc14b5619cc33ec57c58dd0e47af4d99d6650759e869a7": "fashion-mnist",
    "3d0e6c6ea990b53b6f8f500a41cac93881d981b315f84578b7d915342ade01e9": "fashion-mnist",
}


def known_name(words: Iterable[str], labels: Array) -> str | None:
    """The data set that a file is of, by the words of its name and folders, nearest first, or by its labels."""
    for word in words:
        plain = "".join(c for c in word.lower() if c.isalnum())
        for name in sorted(CLASSES, key=len, reverse=True):
            known = name.replace("-", "")
            if plain == known or (known in plain and name not in ("mnist", "mnist-c")):
                return name
    return LABELS.get(hashlib.sha256(np.ascontiguousarray(labels, np.uint8)).hexdigest())


def as_known(data: Dataset, name: str | None) -> Dataset:
    """A data set that is known, as it should be: upright, labels from 0, with the names of its classes. What has other
    labels is another one, and stays as it is."""
    if name is None:
        return data
    images, labels, classes = data.images, data.labels, CLASSES[name]
    if name.startswith("emnist-"):
        images = np.ascontiguousarray(images.swapaxes(-1, -2))  # its files hold columns one after the other
        labels = labels - 1 if name == "emnist-letters" else labels
    if len(labels) and not 0 <= labels.min() <= labels.max() < len(classes):
        return data
    return replace(data, images=images, labels=labels, classes=classes, name=TITLES[name])
