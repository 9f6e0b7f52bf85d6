"""Data sets in every form that people have them: `datasets.read` gives the same images and labels of all of them."""

import gzip
import io
import struct
import sys
import tracemalloc
import zipfile
import zlib

import numpy as np
import pytest
from PIL import Image

import pymnistcnn as pm
from pymnistcnn import datasets
from pymnistcnn.datasets import DataError, Dataset, read, read_images, write_idx

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


# ---- IDX ----


@pytest.mark.parametrize("end", ["", ".gz"])
@pytest.mark.parametrize("inside", [".", "raw", "MNIST/raw"])
def test_idx_files(tmp_path, inside, end):
    write_four(tmp_path / inside, end=end, names=("train", "t10k"))
    same(read(tmp_path))
    if inside == "MNIST/raw":
        same(read(tmp_path / "MNIST"))
    same(read(tmp_path / inside / f"t10k-images-idx3-ubyte{end}"))


def test_idx_files_as_kaggle_has_them(tmp_path):
    write_four(tmp_path / "flat", names=("train", "t10k"))
    for path in (tmp_path / "flat").iterdir():
        folder = tmp_path / "kaggle" / path.name
        folder.mkdir(parents=True)
        path.rename(folder / path.name)
    same(read(tmp_path / "kaggle"))


def test_raw_and_gzipped_files_side_by_side(tmp_path):
    write_four(tmp_path, names=("train", "t10k"))
    write_four(tmp_path, names=("train", "t10k"), end=".gz")
    same(read(tmp_path))


def test_idx_labels_of_int32(tmp_path):
    write_four(tmp_path, labels=lambda labels: labels.astype(np.int32))
    same(read(tmp_path))


def test_idx_images_of_int32(tmp_path):
    write_four(tmp_path, images=lambda images: images.astype(np.int32))
    same(read(tmp_path))


def test_a_raw_file_is_mapped(tmp_path):
    train, _ = read(write_four(tmp_path))
    assert isinstance(train.images.base, np.memmap) or isinstance(train.images, np.memmap)
    train.images[0] = 7  # private
    same(read(tmp_path))


def test_mapped_images_train_and_predict(tmp_path):
    train, test = read(write_four(tmp_path))
    model = pm.Sequential([pm.Rescaling(1 / 255), pm.Flatten(), pm.Linear(10)], (1, 28, 28))
    model.fit(train, validation=test, progress=False)
    assert model.predict(test.images).tolist() == model.predict(TEST.images).tolist()


def test_several_data_sets_in_a_folder(tmp_path):
    for prefix in ("emnist-digits-", "emnist-mnist-"):
        write_four(tmp_path, prefix)
    with pytest.raises(DataError, match="expected one data set, got several: emnist-.*; emnist-"):
        read(tmp_path)
    assert read(tmp_path / "emnist-mnist-train-images-idx3-ubyte")[0].name == "EMNIST mnist"


def test_what_is_missing_is_named(tmp_path):
    write_four(tmp_path)
    (tmp_path / "train-labels-idx1-ubyte").unlink()
    with pytest.raises(DataError, match="expected labels beside the images for train, got none"):
        read(tmp_path)


def test_emnist_is_upright_and_its_letters_begin_at_0(tmp_path):
    write_four(tmp_path, "emnist-letters-", ".gz", labels=lambda labels: labels + np.uint8(1),
               images=lambda images: images.transpose(0, 2, 1))  # fmt: skip
    train, test = read(tmp_path)
    same((train, test))
    assert train.classes[:3] == ("A", "B", "C") and len(train.classes) == 26 and train.name == "EMNIST letters"
    got = read_images(tmp_path / "emnist-letters-test-images-idx3-ubyte.gz")
    np.testing.assert_array_equal(got, TEST.images)


def test_emnist_in_text_is_upright_too(tmp_path):
    """As Kaggle has it: no header, pictures on their side, letters from 1."""
    for name, part in (("train", TRAIN), ("test", TEST)):
        sideways = Dataset(part.images.transpose(0, 2, 1), part.labels + np.uint8(1))
        (tmp_path / f"emnist-letters-{name}.csv").write_text(lines(sideways))
    train, test = read(tmp_path)
    same((train, test))
    assert train.classes[0] == "A"
    np.testing.assert_array_equal(read_images(tmp_path / "emnist-letters-test.csv"), TEST.images)


def test_qmnist(tmp_path):
    write_four(tmp_path, "qmnist-", ".gz", kind="idx2-int",
               labels=lambda labels: labels.astype(np.int32)[:, None] * np.arange(1, 9, dtype=np.int32))  # fmt: skip
    train, test = read(tmp_path)
    same((train, test))
    assert train.name == "QMNIST" and train.classes == tuple("0123456789")


# ---- NumPy ----

KEYS = {
    "keras": {"x_train": 0, "y_train": 1, "x_test": 2, "y_test": 3},
    "medmnist": {
        "train_images": 0,
        "train_labels": 1,
        "test_images": 2,
        "test_labels": 3,
        "val_images": 2,
        "val_labels": 3,
    },
    "others": {"X_train": 0, "Y_train": 1, "X_test": 2, "Y_test": 3},
}
FOUR = (TRAIN.images, TRAIN.labels, TEST.images, TEST.labels)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("keys", KEYS)
def test_npz(tmp_path, keys, save):
    column = (lambda a: a[:, None] if a.ndim == 1 else a) if keys == "medmnist" else (lambda a: a)
    save(tmp_path / "a.npz", **{key: column(FOUR[at]) for key, at in KEYS[keys].items()})
    same(read(tmp_path / "a.npz"))
    np.testing.assert_array_equal(read_images(tmp_path / "a.npz"), TEST.images)


def test_medmnist_in_colour_with_validation_for_testing(tmp_path):
    colour = np.random.default_rng(0).integers(0, 256, (20, 28, 28, 3), np.uint8)
    labels = (np.arange(20) % 9)[:, None]
    np.savez(tmp_path / "a.npz", train_images=colour, train_labels=labels, val_images=colour[:5], val_labels=labels[:5])
    train, test = read(tmp_path / "a.npz")
    np.testing.assert_array_equal(train.images, colour.transpose(0, 3, 1, 2))
    assert len(test) == 5 and train.labels.tolist() == (np.arange(20) % 9).tolist()


@pytest.mark.parametrize("names", [["x_train", "y_train", "x_test", "y_test"],
                                   ["train_images", "train_labels", "test_images", "test_labels"]])  # fmt: skip
def test_npy_files(tmp_path, names):
    for name, array in zip(names, FOUR, strict=True):
        np.save(tmp_path / f"{name}.npy", array)
    same(read(tmp_path))
    same(read(tmp_path / f"{names[0]}.npy"))
    assert isinstance(read(tmp_path)[0].images.base, np.memmap)


def test_npy_files_without_parts_are_split(tmp_path):
    np.save(tmp_path / "images.npy", TRAIN.images)
    np.save(tmp_path / "labels.npy", TRAIN.labels)
    got = read(tmp_path, fraction=0.25, seed=5)
    same(got, TRAIN.split(0.25, 5))
    assert len(got[1]) == 15


def test_npz_files_of_one_array_each(tmp_path):
    for name, array in zip(("train-imgs", "train-labels", "test-imgs", "test-labels"), FOUR, strict=True):
        np.savez_compressed(tmp_path / f"kmnist-{name}.npz", array)
    train, test = read(tmp_path)
    same((train, test))
    assert train.name == "KMNIST" and train.classes[2] == "su"


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "uint16"])
@pytest.mark.parametrize("divided", [True, False])
def test_images_become_bytes_where_nothing_is_lost(tmp_path, dtype, divided):
    if divided and not dtype.startswith("float"):
        divided = False
    images = [
        array.astype(dtype) / np.dtype(dtype).type(255) if divided else array.astype(dtype) for array in FOUR[::2]
    ]
    np.savez(tmp_path / "a.npz", x_train=images[0], y_train=FOUR[1], x_test=images[1], y_test=FOUR[3])
    same(read(tmp_path / "a.npz"))


def test_other_floats_stay(tmp_path):
    images = np.random.default_rng(0).normal(size=(20, 8, 8)).astype(np.float32)
    np.savez(tmp_path / "a.npz", x=images, y=np.arange(20) % 2)
    assert read(tmp_path / "a.npz")[0].images.dtype == np.float32


def test_objects_are_never_unpickled(tmp_path):
    np.save(tmp_path / "x_train.npy", np.array([print, 1], object), allow_pickle=True)
    np.save(tmp_path / "y_train.npy", np.zeros(2, int))
    with pytest.raises(DataError, match="expected numbers or names, got object"):
        read(tmp_path)


def test_fortran_order(tmp_path):
    for name, array in zip(("x_train", "y_train", "x_test", "y_test"), FOUR, strict=True):
        np.save(tmp_path / f"{name}.npy", np.asfortranarray(array))
    same(read(tmp_path))


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


# ---- archives ----


@pytest.mark.parametrize("inside", ["", "digits/", "a/b/"])
def test_zip_archives(tmp_path, inside):
    write_four(tmp_path / "four", end=".gz")
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for path in (tmp_path / "four").iterdir():
            archive.write(path, inside + path.name)
        archive.writestr("__MACOSX/._a", "nothing")
    same(read(tmp_path / "a.zip"))


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


# ---- folders of pictures ----


def draw(folder, part=TRAIN, names=None, mode="L", size=None, end="png"):
    for at, (image, label) in enumerate(zip(part.images, part.labels.tolist(), strict=True)):
        path = folder / (names[label] if names else str(label)) / f"{at:05}.{end}"
        path.parent.mkdir(parents=True, exist_ok=True)
        picture = Image.fromarray(image).convert(mode)
        (picture if size is None else picture.resize(size)).save(path)
    (folder / ".DS_Store").write_bytes(b"junk")
    return folder


def by_class(part):
    order = np.argsort(part.labels, kind="stable")
    return part[order]


@pytest.mark.parametrize("mode", ["L", "RGB", "P"])
@pytest.mark.parametrize("parts", [("train", "test"), ("Training", "Testing"), ("train", "val")])
def test_folders_with_parts(tmp_path, parts, mode):
    draw(tmp_path / parts[0], TRAIN, mode=mode)
    draw(tmp_path / parts[1], TEST, mode=mode)
    train, test = read(tmp_path)
    same((train, test), (by_class(TRAIN), by_class(TEST)))
    assert train.classes == test.classes == tuple("0123456789")


def test_a_folder_is_split(tmp_path):
    draw(tmp_path / "digits")
    train, test = read(tmp_path / "digits", fraction=0.2)
    assert len(train) == 48 and len(test) == 12 and train.name == "digits"


def test_names_of_classes(tmp_path):
    data = Dataset(TRAIN.images, TRAIN.labels % 3)
    draw(tmp_path, data, names=["dog", "cat", "bird"])
    train, _ = read(tmp_path)
    assert train.classes == ("bird", "cat", "dog")
    numbers = Dataset(TRAIN.images, TRAIN.labels % 3)
    draw(tmp_path / "numbers", numbers, names=["10", "9", "2"])
    assert read(tmp_path / "numbers")[0].classes == ("2", "9", "10")


def test_colour(tmp_path):
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, (6, 20, 24, 3), np.uint8)
    for at, picture in enumerate(pictures):
        (tmp_path / str(at % 2)).mkdir(exist_ok=True)
        Image.fromarray(picture).save(tmp_path / str(at % 2) / f"{at}.bmp")
    Image.new("L", (24, 20), 9).save(tmp_path / "1" / "grey.png")
    train, test = read(tmp_path, fraction=0.3)
    assert train.images.shape == (5, 3, 20, 24) and test.images.shape == (2, 3, 20, 24)
    got = {image.tobytes() for part in (train, test) for image in part.images}
    assert {np.ascontiguousarray(p.transpose(2, 0, 1)).tobytes() for p in pictures} <= got


def test_pictures_of_many_sizes_become_one(tmp_path):
    draw(tmp_path / "a", size=(50, 40))
    draw(tmp_path / "b", size=(100, 100))
    for folder in ("0", "1"):
        (tmp_path / "all" / folder).mkdir(parents=True)
    (tmp_path / "a" / "0" / "00001.png").rename(tmp_path / "all" / "0" / "a.png")
    (tmp_path / "b" / "0" / "00001.png").rename(tmp_path / "all" / "1" / "b.png")
    assert read(tmp_path / "all", fraction=0.5)[0].images.shape[1:] == (32, 32)
    assert read(tmp_path / "all", fraction=0.5, size=(20, 24))[0].images.shape[1:] == (20, 24)
    large = read(tmp_path / "b", size=28)[0]
    assert large.images.shape[1:] == (28, 28)


def test_scaling_keeps_proportions_and_fills_with_the_border_s_colour(tmp_path):
    picture = np.full((40, 80), 200, np.uint8)
    picture[10:30, 20:60] = 10
    Image.fromarray(picture).save(tmp_path / "a.png")
    got = pm.pictures.read_picture(tmp_path / "a.png", (32, 32))
    assert (
        got.shape == (32, 32) and (got[:8] == 200).all() and (got[24:] == 200).all() and (got[13:19, 10:22] == 10).all()
    )


def test_pictures_in_an_archive(tmp_path):
    draw(tmp_path / "digits")
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for path in sorted((tmp_path / "digits").rglob("*.png")):
            archive.write(path, path.relative_to(tmp_path))
    same(read(tmp_path / "a.zip"), read(tmp_path / "digits"))


def test_jpeg_and_a_class_that_is_called_train(tmp_path):
    data = Dataset(TRAIN.images, TRAIN.labels % 2)
    draw(tmp_path, data, names=["train", "car"], end="jpg")
    train, _ = read(tmp_path)
    assert train.classes == ("car", "train") and train.images.shape[1:] == (28, 28)


def test_pictures_for_testing_without_labels_are_left_alone(tmp_path):
    draw(tmp_path / "train")
    (tmp_path / "test").mkdir()
    Image.new("L", (28, 28)).save(tmp_path / "test" / "1.png")
    train, test = read(tmp_path)
    assert len(train) + len(test) == 60 and train.classes == tuple("0123456789")


def test_a_single_picture_is_no_data_set(tmp_path):
    Image.new("L", (28, 28)).save(tmp_path / "1.png")
    with pytest.raises(DataError, match="got one picture"):
        read(tmp_path / "1.png")


def test_what_else_lies_in_a_folder_is_left_alone(tmp_path):
    draw(tmp_path / "pictures")
    for folder in ("pictures", "text"):
        (tmp_path / folder).mkdir(exist_ok=True)
        (tmp_path / folder / "README.txt").write_text("Digits, and who wrote them")
    (tmp_path / "pictures" / "labels.csv").write_text("id,label\n1,0\n")
    assert len(read(tmp_path / "pictures")[0]) == 48
    (tmp_path / "text" / "digits.csv").write_text(lines(TRAIN))
    assert len(read(tmp_path / "text")[0]) == 48


def test_a_folder_in_a_folder(tmp_path):
    draw(tmp_path / "a" / "b" / "digits")
    write_four(tmp_path / "c" / "d" / "e")
    assert len(read(tmp_path / "a")[0]) == 48
    same(read(tmp_path / "c"))


def test_a_bad_picture_is_named(tmp_path):
    draw(tmp_path)
    (tmp_path / "3" / "bad.png").write_text("no picture")
    with pytest.raises(ValueError, match="3/bad.png: expected a picture"):
        read(tmp_path)


# ---- what is none of these ----


def test_nothing_there(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere: no such file or folder, nor .*fashion-mnist"):
        read(tmp_path / "nowhere")
    with pytest.raises(DataError, match="expected a folder of pictures for each class, .* none of these is there"):
        read(tmp_path)


def test_images_for_testing_alone(tmp_path):
    for path in write_four(tmp_path).glob("train*"):
        path.unlink()
    train, test = read(tmp_path)
    assert len(train) == 0
    same([test], [TEST])


@pytest.mark.parametrize("argument", [dict(fraction=1), dict(seed=-1), dict(size=0), dict(size="large")])
def test_arguments_are_checked(tmp_path, argument):
    with pytest.raises(ValueError, match=next(iter(argument))):
        read(write_four(tmp_path), **argument)


def refused(function, *arguments):
    """Peak bytes of a call that is refused."""
    tracemalloc.start()
    try:
        with pytest.raises(DataError):
            function(*arguments)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def npy(shape, dtype="|u1", content=b""):
    head = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}".encode().ljust(117) + b"\n"
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(head)) + head + content


LIES = {
    "more than there is": npy((2**31, 28, 28)),
    "more than memory": npy((2**62, 28, 28)),
    "negative": npy((-1, 28)),
    "a long header": b"\x93NUMPY\2\0" + struct.pack("<I", 2**31) + b" " * 100,
    "no header": b"\x93NUMPY\1\0",
    "not Python": b"\x93NUMPY\1\0\5\0{{{{{",
    "objects": npy((3,), "|O"),
    "no size": npy((3,), "|V0"),
    "too much": npy((3,), content=bytes(4)),
    "version 9": b"\x93NUMPY\x09\0" + bytes(100),
}


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("lie", LIES)
def test_arrays_that_lie_are_refused_in_little_memory(tmp_path, lie, packed):
    if packed:
        path = tmp_path / "a.npz"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("x_train.npy", LIES[lie])
            archive.writestr("y_train.npy", LIES[lie])
    else:
        path = tmp_path / "x_train.npy"
        for name in ("x_train.npy", "y_train.npy"):
            (tmp_path / name).write_bytes(LIES[lie])
    assert refused(read, path) < 4 * MIB


@pytest.mark.parametrize("promise", [10, MIB])
def test_bombs_are_not_inflated(tmp_path, promise):
    """An array, and a line of text, that go on for half a GiB."""
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("x_train.npy", "y_train.npy"):
            with archive.open(name, "w", force_zip64=True) as member:
                member.write(npy((promise,)))
                for _ in range(128):
                    member.write(bytes(MIB))
    assert refused(read, tmp_path / "a.npz") < 8 * MIB
    with gzip.open(tmp_path / "a.csv.gz", "wb") as file:
        for _ in range(64):
            file.write(b"0" * MIB)
    assert refused(read, tmp_path / "a.csv.gz") < 8 * MIB


def test_text_that_goes_on_for_ever(tmp_path, monkeypatch):
    """Rows that are as they should be, but far more than such a file would hold."""
    monkeypatch.setattr(datasets.streams, "UNSUSPICIOUS", MIB)
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress((b"5" + b",0" * 784 + b"\n") * 20_000))
    assert refused(read, tmp_path / "a.csv.gz") < 8 * MIB


def test_damaged_archives(tmp_path):
    np.savez_compressed(tmp_path / "good.npz", x_train=TRAIN.images[:9], y_train=TRAIN.labels[:9])
    write_four(tmp_path / "four")
    good, found = io.BytesIO(), 0
    with zipfile.ZipFile(good, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in (tmp_path / "four").iterdir():
            archive.write(path, path.name)
    for name, content in (("a.npz", (tmp_path / "good.npz").read_bytes()), ("a.zip", good.getvalue())):
        for place in range(0, len(content), len(content) // 60):
            (tmp_path / name).write_bytes(content[:place])
            with pytest.raises(DataError):
                read(tmp_path / name)
            (tmp_path / name).write_bytes(content[:place] + bytes([content[place] ^ 0x55]) + content[place + 1 :])
            try:
                read(tmp_path / name)
            except ValueError:
                found += 1
    assert found > 30


# ---- MATLAB ----


def mat(folder, part=TRAIN, name="emnist-letters.mat"):
    savemat = pytest.importorskip("scipy.io", reason="needs scipy").savemat
    columns = [
        {"images": part.images.transpose(0, 2, 1).reshape(-1, 784), "labels": part.labels[:, None] + np.uint8(1)}
        for part in (TRAIN, TEST)
    ]
    savemat(folder / name, {"dataset": {"train": columns[0], "test": columns[1]}}, do_compression=True)
    return folder / name


def test_emnist_s_mat_files(tmp_path):
    train, test = read(mat(tmp_path))
    same((train, test))
    assert train.classes[0] == "A" and read(tmp_path)[0].name == "EMNIST letters"


def test_mat_files_that_are_none(tmp_path):
    path = mat(tmp_path)
    good = path.read_bytes()
    bomb = zlib.compress(bytes(100 * MIB), 9)
    for content in (
        b"",
        b"MATLAB 5.0",
        good[:200],
        good[: len(good) // 2],
        good[:128] + struct.pack("<II", 15, len(bomb)) + bomb,
    ):
        path.write_bytes(content)
        assert refused(read, path) < 8 * MIB


def test_a_mat_file_in_an_archive(tmp_path, monkeypatch):
    path = mat(tmp_path)
    with zipfile.ZipFile(tmp_path / "matlab.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(path, "matlab/emnist-letters.mat")
    same(read(tmp_path / "matlab.zip"))
    monkeypatch.setattr(datasets.streams, "UNSUSPICIOUS", MIB)
    with zipfile.ZipFile(tmp_path / "matlab.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("emnist-letters.mat", path.read_bytes() + bytes(64 * MIB))
    assert refused(read, tmp_path / "matlab.zip") < 16 * MIB


def test_without_scipy(tmp_path, monkeypatch):
    path = mat(tmp_path)
    monkeypatch.setitem(sys.modules, "scipy.io", None)
    with pytest.raises(ImportError, match=r"pip install 'pymnistcnn\[data\]'"):
        read(path)
