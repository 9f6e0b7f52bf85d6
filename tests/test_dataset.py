"""Dataset: a pair of images and labels, from arrays of any form, in parts."""

import numpy as np
import pytest
from forms import TEST, TRAIN

from pymnistcnn.datasets import Dataset

# ---- Dataset ----


def test_a_dataset_is_a_pair():
    images, labels = TRAIN
    assert images is TRAIN.images and labels is TRAIN.labels


@pytest.mark.parametrize("stratify", [True, False])
def test_split(stratify):
    data = Dataset(np.arange(200)[:, None, None] * np.ones((1, 8, 8)), np.arange(200) % 4, tuple("abcd"), "four")
    rest, part = data.split(0.25, seed=3, stratify=stratify)
    assert (len(rest), len(part)) == (150, 50) and part.classes == tuple("abcd") and part.name == "four"
    numbers = [set(p.images[:, 0, 0].tolist()) for p in (rest, part)]
    assert not numbers[0] & numbers[1] and len(numbers[0] | numbers[1]) == 200
    counts = np.bincount(part.labels)
    assert (counts.max() - counts.min() <= 1) == stratify
    again = data.split(0.25, seed=3, stratify=stratify)[1]
    np.testing.assert_array_equal(again.images, part.images)
    assert (data.split(0.25, seed=4, stratify=stratify)[1].images != part.images).any()


def test_a_split_takes_its_share_of_rare_classes():
    labels = np.array([0] * 90 + [1] * 10)
    _, part = Dataset(np.zeros((100, 8, 8)), labels).split(0.2)
    assert np.bincount(part.labels).tolist() == [18, 2]


@pytest.mark.parametrize("fraction", [0, 1, -0.1, 2, "half", 0.001])
def test_splits_that_leave_nothing(fraction):
    with pytest.raises(ValueError, match="fraction"):
        TRAIN.split(fraction)


ARRAYS = {
    "channels last": (np.zeros((4, 8, 9, 3)), (3, 8, 9)),
    "one channel last": (np.zeros((4, 8, 9, 1)), (8, 9)),
    "channels first": (np.zeros((4, 3, 8, 9)), (3, 8, 9)),
    "grey": (np.zeros((4, 8, 9)), (8, 9)),
    "flat": (np.zeros((4, 64)), (8, 8)),
}


@pytest.mark.parametrize("case", ARRAYS)
def test_from_arrays_takes_images(case):
    images, shape = ARRAYS[case]
    assert Dataset.from_arrays(images, [0, 1, 2, 3]).images.shape[1:] == shape


@pytest.mark.parametrize(
    "labels", [[2, 0, 1], np.array([[2], [0], [1]]), np.array([2.0, 0.0, 1.0]), np.eye(3)[[2, 0, 1]], ["c", "a", "b"]]
)
def test_from_arrays_takes_labels(labels):
    data = Dataset.from_arrays(np.zeros((3, 8, 8)), labels)
    assert data.labels.tolist() == [2, 0, 1] and data.classes in (None, ("a", "b", "c"))


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (np.zeros((2, 3, 8, 3)), [0, 1], "channels first or last"),
        (np.zeros((2, 60)), [0, 1], "rows of squares"),
        (np.zeros((2, 8, 8)), [0.5, 1], "integer dtype"),
        (np.zeros((2, 8, 8)), np.zeros((2, 3)), "rows with one 1"),
        (np.zeros((2, 8, 8)), [0], "one per image"),
    ],
)
def test_from_arrays_refuses(images, labels, message):
    with pytest.raises(ValueError, match=message):
        Dataset.from_arrays(images, labels)


@pytest.mark.parametrize(
    ("classes", "message"), [("ab", "list of names"), (["a", "a"], "different"), (["a"], "0 to 0")]
)
def test_classes_are_checked(classes, message):
    with pytest.raises(ValueError, match=message):
        Dataset(np.zeros((2, 8, 8)), np.array([0, 1]), classes)


def test_checksum_is_of_images_and_labels():
    sums = {TRAIN.checksum(), TEST.checksum(), Dataset(TRAIN.images, TRAIN.labels[::-1].copy()).checksum()}
    assert len(sums) == 3 and Dataset(TRAIN.images.copy(), TRAIN.labels, None, "other").checksum() in sums
