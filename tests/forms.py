"""What the tests of data read: a few of MNIST's digits, in files of every form."""

import tracemalloc

import numpy as np
import pytest

import pymnistcnn as pm
from pymnistcnn.datasets import DataError, write_idx

TRAIN, TEST = (part[:n] for part, n in zip(pm.datasets.mnist(), (60, 30), strict=True))
MIB = 1 << 20


def same(got, expected=(TRAIN, TEST), labels=None):
    for part, wanted in zip(got, expected, strict=True):
        assert part.images.dtype == np.uint8
        np.testing.assert_array_equal(part.images, wanted.images)
        np.testing.assert_array_equal(part.labels, wanted.labels if labels is None else labels(wanted.labels))


def write_four(folder, prefix="", end="", names=("train", "test"), labels=lambda labels: labels, kind="idx1-ubyte",
               images=lambda images: images):  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    for name, part in zip(names, (TRAIN, TEST), strict=True):
        write_idx(folder / f"{prefix}{name}-images-idx3-ubyte{end}", np.ascontiguousarray(images(part.images)))
        write_idx(folder / f"{prefix}{name}-labels-{kind}{end}", labels(part.labels))
    return folder


def lines(part, separator=",", label_first=True, header=None, form=str):
    rows = [] if header is None else [separator.join(header)]
    for pixels, label in zip(part.images.reshape(len(part), -1).tolist(), part.labels.tolist(), strict=True):
        words = list(map(form, pixels))
        rows.append(separator.join([str(label), *words] if label_first else [*words, str(label)]))
    return "\n".join(rows) + "\n"


def refused(function, *arguments):
    """Peak bytes of a call that is refused."""
    tracemalloc.start()
    try:
        with pytest.raises(DataError):
            function(*arguments)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
