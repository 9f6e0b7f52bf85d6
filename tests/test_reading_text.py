"""Data sets in text files, as people have them."""

import gzip
import zipfile

import numpy as np
import pytest
from forms import TEST, TRAIN, lines, same

import pymnistcnn as pm
from pymnistcnn.datasets import DataError, Dataset, read, read_images

# ---- text ----


@pytest.mark.parametrize("form", [str, "{:.1f}".format, "{:.18e}".format, '"{}"'.format, " {} ".format])
@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_csv(tmp_path, separator, form):
    (tmp_path / "train.csv").write_text(lines(TRAIN, separator, form=form))
    (tmp_path / "test.csv").write_text(lines(TEST, separator, form=form))
    same(read(tmp_path))
    same(read(tmp_path / "test.csv"))


def test_spaces(tmp_path):
    (tmp_path / "mnist_train.txt").write_text(lines(TRAIN, " "))
    (tmp_path / "mnist_test.txt").write_text(lines(TEST, "  "))
    same(read(tmp_path))


def test_kaggle_s_csv(tmp_path):
    names = [f"pixel{i}" for i in range(784)]
    (tmp_path / "train.csv").write_text(lines(TRAIN, header=["label", *names]))
    rows = [",".join(map(str, row)) for row in TEST.images.reshape(-1, 784).tolist()]
    (tmp_path / "test.csv").write_text("\n".join([",".join(names), *rows]))
    (tmp_path / "sample_submission.csv").write_text("ImageId,Label\n1,0\n")
    train, test = read(tmp_path, fraction=0.5)
    same((train, test), TRAIN.split(0.5))
    np.testing.assert_array_equal(read_images(tmp_path / "test.csv"), TEST.images)
    np.testing.assert_array_equal(read_images(tmp_path / "train.csv"), TRAIN.images)


def test_a_file_without_labels_is_not_silently_another(tmp_path):
    (tmp_path / "train.csv").write_text(lines(TRAIN))
    (tmp_path / "test.csv").write_text(
        "\n".join(",".join(map(str, row)) for row in TEST.images.reshape(-1, 784).tolist())
    )
    with pytest.raises(DataError, match="test.csv: expected pixels and a label, got 784 columns"):
        read(tmp_path / "test.csv")
    assert len(read(tmp_path / "train.csv")[0]) == 48


def test_a_table_that_pandas_wrote(tmp_path):
    """With numbered columns, and rows."""
    images = np.random.default_rng(0).integers(0, 256, (30, 8, 8), np.uint8)
    data = Dataset(images, np.arange(30) % 3)
    rows = [f"{n},{line}" for n, line in enumerate(lines(data).splitlines())]
    (tmp_path / "a.csv").write_text("\n".join([",".join(["", *map(str, range(65))]), *rows]))
    same([pm.datasets.read_text(tmp_path / "a.csv")], [data])


@pytest.mark.parametrize("shape", ["28x28", 28, (28,), (0, 5), (1, 2, 3, 4), (2.5, 4)])
def test_shapes_are_checked(tmp_path, shape):
    (tmp_path / "a.csv").write_text(lines(TRAIN))
    with pytest.raises(ValueError, match="^shape must be"):
        pm.datasets.read_text(tmp_path / "a.csv", shape=shape)


def test_ids_and_labels_anywhere_by_header(tmp_path):
    rows = [",".join(map(str, [n, *pixels[:100], label, *pixels[100:]])) for n, (pixels, label) in
            enumerate(zip(TRAIN.images.reshape(-1, 784).tolist(), TRAIN.labels.tolist(), strict=True))]  # fmt: skip
    names = ["id", *(f"p{i}" for i in range(100)), "digit", *(f"p{i}" for i in range(100, 784))]
    (tmp_path / "a.csv").write_text("\n".join([",".join(names), *rows]))
    same([pm.datasets.read_text(tmp_path / "a.csv")], [TRAIN])


def test_labels_that_are_names(tmp_path):
    words = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
    data = [line.split(",", 1) for line in lines(TRAIN).splitlines()]
    (tmp_path / "a.csv").write_text("\n".join(f"{words[int(label)]},{pixels}" for label, pixels in data))
    got = pm.datasets.read_text(tmp_path / "a.csv")
    assert got.classes == tuple(sorted(words))
    assert [got.classes[label] for label in got.labels] == [words[label] for label in TRAIN.labels]


@pytest.mark.parametrize("label_first", [True, False])
@pytest.mark.parametrize("noise", [0.02, 0.5])
def test_noise_in_a_corner_is_told_not_taken_for_labels(tmp_path, label_first, noise):
    """The labels are found, or it is told that they are not; never anything else."""
    rng, told = np.random.default_rng(0), 0
    for _ in range(20):
        images = TRAIN.images.copy()
        corner = (slice(None), -1, -1) if label_first else (slice(None), 0, 0)
        images[corner] = np.where(rng.random(60) < noise, rng.integers(0, 10, 60), 0)
        data = Dataset(images, TRAIN.labels)
        (tmp_path / "a.csv").write_text(lines(data, label_first=label_first))
        same([pm.datasets.read_text(tmp_path / "a.csv", label_first=label_first)], [data])
        try:
            same([pm.datasets.read_text(tmp_path / "a.csv")], [data])
        except DataError as error:
            assert "label_first=True or False" in str(error)
            told += 1
    assert told > 0


@pytest.mark.parametrize("shape", [(3, 8, 8), (8, 12)])
def test_images_of_other_shapes(tmp_path, shape):
    images = np.random.default_rng(0).integers(0, 256, (30, *shape), np.uint8)
    data = Dataset(images, np.arange(30) % 3)
    (tmp_path / "a.csv").write_text(lines(data, header=["label", *(f"p{i}" for i in range(images[0].size))]))
    same([pm.datasets.read_text(tmp_path / "a.csv", shape=shape)], [data])
    with pytest.raises(DataError, match="shape="):
        pm.datasets.read_text(tmp_path / "a.csv")


def test_digits_of_8x8(tmp_path):
    """As scikit-learn's are saved: numbers from 0 to 16, the label last."""
    images = np.random.default_rng(0).integers(0, 17, (40, 8, 8), np.uint8)
    images[:, 0, 0] = 0
    data = Dataset(images, np.arange(40) % 10)
    (tmp_path / "digits.csv").write_text(lines(data, label_first=False))
    same([pm.datasets.read_text(tmp_path / "digits.csv")], [data])


def test_many_classes(tmp_path):
    data = Dataset(np.zeros((1000, 8, 8), np.uint8), np.arange(1000))
    (tmp_path / "a.csv").write_text(lines(data))
    same([pm.datasets.read_text(tmp_path / "a.csv")], [data])


@pytest.mark.parametrize("end", [".gz", ".zip"])
def test_packed_text(tmp_path, end):
    for name, part in (("train", TRAIN), ("test", TEST)):
        path = tmp_path / f"{name}.csv{end}"
        if end == ".gz":
            path.write_bytes(gzip.compress(lines(part).encode()))
        else:
            with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
                archive.writestr(f"{name}.csv", lines(part))
    same(read(tmp_path))
    same([pm.datasets.read_text(tmp_path / f"train.csv{end}")], [TRAIN])
