"""What a name says: which part of the data a file or an array is, images or labels, and of which data set."""

from __future__ import annotations

import re
from dataclasses import dataclass

PARTS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("test", "testing", "t10k"), "test"),
    **dict.fromkeys(("val", "valid", "validation", "dev"), "validation"),
}
KINDS = {  # a name with words of both, such as data_labels, is of labels
    **dict.fromkeys(("images", "image", "imgs", "img", "x", "data", "inputs", "features"), "images"),
    **dict.fromkeys(("labels", "label", "y", "targets", "target"), "labels"),
}
FORMS = {"idx1", "idx2", "idx3", "idx4", "ubyte", "int", "npy", "npz", "gz", "csv", "tsv", "txt", "zip", "mat"}


@dataclass(frozen=True)
class Role:
    """part : "train", "test", "validation" or None; kind : "images", "labels" or None; rest : the other words"""

    part: str | None
    kind: str | None
    rest: tuple[str, ...]


def role(name: str) -> Role:
    """The role that a name gives, such as train-images-idx3-ubyte.gz, x_train or emnist-letters-test-labels."""
    parted = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    words = [word for word in re.split(r"[^a-z0-9]+", parted.lower()) if word]
    parts = [PARTS[word] for word in words if word in PARTS]
    kinds = [KINDS[word] for word in words if word in KINDS]
    rest = tuple(word for word in words if word not in PARTS.keys() | KINDS.keys() | FORMS)
    return Role(parts[0] if parts else None, max(kinds, default=None), rest)  # "labels" is the larger
