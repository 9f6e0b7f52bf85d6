"""Data sets of arrays: `datasets.read` gives the same images and labels of all files that people have."""

import gzip
import io
import struct
import sys
import zipfile
import zlib

import numpy as np
import pytest
from forms import MIB, TEST, TRAIN, lines, refused, same, write_four

import pymnistcnn as pm
from pymnistcnn import datasets
from pymnistcnn.datasets import DataError, Dataset, read, read_images

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


# ---- archives ----


@pytest.mark.parametrize("inside", ["", "digits/", "a/b/"])
def test_zip_archives(tmp_path, inside):
    write_four(tmp_path / "four", end=".gz")
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for path in (tmp_path / "four").iterdir():
            archive.write(path, inside + path.name)
        archive.writestr("__MACOSX/._a", "nothing")
    same(read(tmp_path / "a.zip"))


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
    assert refused(read, tmp_path / "matlab.zip") < 32 * MIB  # a hundred times the archive, not what it holds


def test_without_scipy(tmp_path, monkeypatch):
    path = mat(tmp_path)
    monkeypatch.setitem(sys.modules, "scipy.io", None)
    with pytest.raises(ImportError, match=r"pip install 'pymnistcnn\[data\]'"):
        read(path)
