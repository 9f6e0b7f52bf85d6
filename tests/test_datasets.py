"""IDX files and the embedded MNIST: true to the bytes, and safe on files that are not."""

import errno
import gzip
import hashlib
import os
import struct
import tracemalloc
import zlib

import numpy as np
import pytest

from pymnistcnn import datasets
from pymnistcnn.datasets import DataError, Dataset, atomic_write, mnist, read_idx, write_idx

SHA256 = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}
DTYPES = ["uint8", "int8", "int16", "int32", "float32", "float64"]
MIB = 1 << 20


def header(code, *sizes):
    return struct.pack(f">4B{len(sizes)}I", 0, 0, code, len(sizes), *sizes)


def peak_memory(function, *arguments):
    """Peak bytes allocated by a call that must be refused, and the error it was refused with."""
    tracemalloc.start()
    try:
        with pytest.raises(DataError) as caught:
            function(*arguments)
        return tracemalloc.get_traced_memory()[1], caught.value
    finally:
        tracemalloc.stop()


def write_mnist(folder, mark="-", end="", n=4, size=(5, 6), labels=None):
    """A tiny data set in the layout of MNIST; returns its images and labels."""
    folder.mkdir(exist_ok=True)
    images = np.arange(n * size[0] * size[1]).reshape(n, *size).astype(np.uint8)
    labels = np.arange(n, dtype=np.uint8) if labels is None else labels
    for part in ("train", "t10k"):
        write_idx(folder / f"{part}-images{mark}idx3-ubyte{end}", images)
        write_idx(folder / f"{part}-labels{mark}idx1-ubyte{end}", labels)
    return images, labels


# The embedded data


@pytest.mark.parametrize("name", SHA256)
def test_embedded_files_are_the_canonical_ones(name):
    raw = gzip.decompress((datasets.digits._EMBEDDED / f"{name}.gz").read_bytes())
    assert hashlib.sha256(raw).hexdigest() == SHA256[name]
    # ... and what we read from them is their every byte after the header
    array = read_idx(datasets.digits._EMBEDDED / f"{name}.gz")
    assert array.tobytes() == raw[4 + 4 * array.ndim :]


def test_embedded_shapes_and_label_counts():
    train, test = mnist()
    assert train.images.shape == (60000, 28, 28) and test.images.shape == (10000, 28, 28)
    for data in (train, test):
        assert data.images.dtype == data.labels.dtype == np.uint8
        assert data.images.flags.c_contiguous and data.labels.flags.c_contiguous
    assert np.bincount(train.labels).tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert np.bincount(test.labels).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]


def test_embedded_credits_name_authors_licence_and_hashes():
    text = (datasets.digits._EMBEDDED / "CREDITS.md").read_text(encoding="utf-8")
    for word in ("Yann LeCun", "Corinna Cortes", "Burges", "CC BY-SA 3.0", *SHA256, *SHA256.values()):
        assert word in text


# Writing and reading


@pytest.mark.parametrize("name", ["a", "a.gz"])
@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("dtype", DTYPES)
def test_round_trip(tmp_path, dtype, order, name):
    array = (np.arange(24).reshape(2, 3, 4) * 5 - 7).astype(dtype).astype(np.dtype(dtype).newbyteorder(order))
    write_idx(tmp_path / name, array)
    back = read_idx(tmp_path / name)
    assert back.dtype == np.dtype(dtype) and back.dtype.isnative
    assert back.flags.c_contiguous and back.flags.writeable and back.flags.aligned
    np.testing.assert_array_equal(back, array)


def test_round_trip_of_more_than_one_chunk(tmp_path):
    array = np.random.default_rng(0).integers(-9, 9, 2 * datasets.streams.CHUNK + 3).astype(np.int16)
    for name in ("a", "a.gz"):
        write_idx(tmp_path / name, array)
        np.testing.assert_array_equal(read_idx(tmp_path / name), array)


@pytest.mark.parametrize("shape", [(0,), (1,), (0, 28, 28), (3, 0), (1,) * 32])
@pytest.mark.parametrize("name", ["a", "a.gz"])
def test_round_trip_of_odd_shapes(tmp_path, shape, name):
    write_idx(tmp_path / name, np.ones(shape, np.float32))
    back = read_idx(tmp_path / name)
    assert back.shape == shape and (back == 1).all()


def test_round_trip_of_arrays_that_are_not_contiguous(tmp_path):
    array = np.arange(24, dtype=np.int32).reshape(4, 6).T[::2]
    write_idx(tmp_path / "a", array)
    np.testing.assert_array_equal(read_idx(tmp_path / "a"), array)


def test_bytes_on_disk_are_those_of_the_format(tmp_path):
    write_idx(tmp_path / "a", np.array([[1, -2]], np.int16))
    assert (tmp_path / "a").read_bytes().hex(" ") == "00 00 0b 02 00 00 00 01 00 00 00 02 00 01 ff fe"


def test_gzipped_file_is_a_function_of_the_data(tmp_path, monkeypatch):
    array = np.arange(100, dtype=np.uint8)
    write_idx(tmp_path / "a.gz", array)
    monkeypatch.setattr("time.time", lambda: 2e9)
    write_idx(tmp_path / "b.gz", array)
    first = (tmp_path / "a.gz").read_bytes()
    assert first == (tmp_path / "b.gz").read_bytes()
    assert first[:2] == b"\x1f\x8b" and first[3:8] == bytes(5)  # no name, no time


def test_gzip_is_told_by_the_bytes_not_by_the_name(tmp_path):
    array = np.arange(5, dtype=np.int8)
    write_idx(tmp_path / "a", array)
    write_idx(tmp_path / "b.gz", array)
    os.rename(tmp_path / "a", tmp_path / "a.gz")
    os.rename(tmp_path / "b.gz", tmp_path / "b")
    assert read_idx(tmp_path / "a.gz").tolist() == read_idx(str(tmp_path / "b")).tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("dtype", ["bool", "uint16", "int64", "uint32", "float16", "complex64", "U3", "O"])
def test_write_refuses_dtypes_idx_has_not(tmp_path, dtype):
    with pytest.raises(ValueError, match="expected one of the dtypes of IDX .uint8.*got"):
        write_idx(tmp_path / "a", np.zeros(3, dtype))
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("shape", [(), (1,) * 33, (2**32, 0)])
def test_write_refuses_shapes_idx_has_not(tmp_path, shape):
    try:
        array = np.zeros(shape, np.uint8)
    except ValueError:
        pytest.skip("this NumPy has no such shape either")
    with pytest.raises(ValueError, match="expected rank 1 to 32"):
        write_idx(tmp_path / "a", array)
    assert os.listdir(tmp_path) == []


# Files that lie

GOOD = header(0x0B, 3, 5) + bytes(range(30))


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
@pytest.mark.parametrize("length", range(len(GOOD)))
def test_truncated_content_is_refused(tmp_path, length, pack):
    (tmp_path / "a").write_bytes(pack(GOOD[:length]))
    with pytest.raises(DataError, match="a: expected .* got"):
        read_idx(tmp_path / "a")


def test_truncated_gzip_is_refused_at_every_length(tmp_path):
    zipped = gzip.compress(GOOD)
    for length in range(len(zipped)):
        (tmp_path / "a").write_bytes(zipped[:length])
        with pytest.raises(DataError, match="a: expected"):
            read_idx(tmp_path / "a")
    (tmp_path / "a").write_bytes(zipped)
    assert read_idx(tmp_path / "a").shape == (3, 5)


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_trailing_byte_is_refused(tmp_path, pack):
    (tmp_path / "a").write_bytes(pack(GOOD + b"\0"))
    with pytest.raises(DataError, match=r"expected 30 bytes of data for int16 of shape \(3, 5\), got (31|more)"):
        read_idx(tmp_path / "a")


LIES = {
    "first byte": (b"\1" + GOOD[1:], "expected an IDX header .* got 01 00 0b 02"),
    "second byte": (b"\0\1" + GOOD[2:], "expected an IDX header .* got 00 01 0b 02"),
    "empty": (b"", "expected an IDX header .* got nothing"),
    "unknown dtype": (b"\0\0\x0a" + GOOD[3:], "expected an IDX data type .* got 0x0A"),
    "dtype zero": (b"\0\0\0" + GOOD[3:], "expected an IDX data type .* got 0x00"),
    "rank zero": (header(0x08) + b"\0", "expected a rank of 1 to 32, got 0"),
    "rank 33": (header(0x08, *[1] * 33) + b"\0", "expected a rank of 1 to 32, got 33"),
    "rank 255": (header(0x08, *[1] * 255) + b"\0", "expected a rank of 1 to 32, got 255"),
    "sizes missing": (header(0x08, 1, 1)[:-3], "expected 8 bytes of sizes for rank 2, got 5"),
    "product 2**64": (header(0x08, 2**31, 2**31, 4), "expected sizes that fit in memory"),
    "product 2**64 + 4": (
        header(0x08, 2, 2, 5, 5581, 8681, 49477, 384773) + bytes(4),
        "expected sizes that fit in memory",
    ),
    "bytes 2**64": (header(0x0E, 2**31, 2**30), "expected sizes that fit in memory"),
    "product 2**1024": (header(0x08, *[2**32 - 1] * 32), "expected sizes that fit in memory"),
    "zero hides overflow": (header(0x08, 0, *[2**32 - 1] * 3), "expected sizes that fit in memory"),
    "2**31 images": (header(0x08, 2**31, 28, 28) + bytes(10), r"expected 1683627180032 bytes .* got 10"),
    "4 GiB of labels": (header(0x08, 2**32 - 1) + bytes(10), "expected 4294967295 bytes .* got 10"),
    "no images, a byte": (header(0x08, 0, 28, 28) + b"\0", "expected 0 bytes .* got (1|more)"),
}


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
@pytest.mark.parametrize("lie", LIES)
def test_lying_header_is_refused_in_little_memory(tmp_path, lie, pack):
    content, message = LIES[lie]
    (tmp_path / "a").write_bytes(pack(content))
    peak, error = peak_memory(read_idx, tmp_path / "a")
    assert str(error).startswith(f"{tmp_path / 'a'}: ")
    pytest.raises(DataError, read_idx, tmp_path / "a").match(message)
    assert peak < 4 * MIB


def test_long_raw_file_with_a_lying_header_is_refused_unread(tmp_path):
    with open(tmp_path / "a", "wb") as file:
        file.write(header(0x08, 2**31))
        file.truncate(2**30)  # a sparse file
    peak, error = peak_memory(read_idx, tmp_path / "a")
    assert f"got {2**30 - 8}" in str(error) and peak < 4 * MIB


@pytest.mark.parametrize("promise", [0, 10, MIB])
def test_gzip_bomb_is_refused_without_reading_it_all(tmp_path, promise):
    squeeze = zlib.compressobj(9, wbits=31)
    bomb = squeeze.compress(header(0x08, promise))
    bomb += b"".join(squeeze.compress(bytes(MIB)) for _ in range(128)) + squeeze.flush()
    (tmp_path / "a.gz").write_bytes(bomb[:-8] + b"\xff" * 8)  # a wrong checksum, for who gets that far
    peak, error = peak_memory(read_idx, tmp_path / "a.gz")
    assert str(error).endswith(f"expected {promise} bytes of data for uint8 of shape ({promise},), got more")
    assert peak < 4 * MIB


def test_corrupt_gzip_is_refused_or_harmless_wherever_the_damage(tmp_path):
    zipped = gzip.compress(GOOD, mtime=0)
    refused = 0
    for place in range(len(zipped)):
        damaged = bytearray(zipped)
        damaged[place] ^= 0xFF
        (tmp_path / "a.gz").write_bytes(damaged)
        try:
            assert read_idx(tmp_path / "a.gz").tobytes() == read_idx_of(GOOD, tmp_path).tobytes()
        except DataError as error:
            assert "a.gz: expected" in str(error)
            refused += 1
    assert refused >= len(zipped) - 7  # gzip itself checks neither time, flags nor system in its header


def read_idx_of(content, folder):
    (folder / "good").write_bytes(content)
    return read_idx(folder / "good")


@pytest.mark.parametrize("tail", [b"junk", b"\x1f\x8b", gzip.compress(b"x")], ids=["junk", "magic", "member"])
def test_gzip_with_something_behind_it_is_refused(tmp_path, tail):
    (tmp_path / "a.gz").write_bytes(gzip.compress(GOOD) + tail)
    with pytest.raises(DataError, match="a.gz: expected"):
        read_idx(tmp_path / "a.gz")


def test_missing_file_is_file_not_found(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        read_idx(tmp_path / "nowhere")


# Atomic writing


def test_atomic_write_replaces_the_file_at_the_end(tmp_path):
    target = tmp_path / "model.bin"
    target.write_bytes(b"old")
    with atomic_write(target) as file:
        file.write(b"new")
        assert target.read_bytes() == b"old"
    assert target.read_bytes() == b"new"
    assert os.listdir(tmp_path) == ["model.bin"]


@pytest.mark.parametrize("failure", [RuntimeError, OSError, KeyboardInterrupt])
def test_atomic_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path, failure):
    target = tmp_path / "model.bin"
    target.write_bytes(b"old")
    with pytest.raises(failure), atomic_write(target) as file:
        file.write(b"half of the n")
        raise failure
    assert target.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["model.bin"]


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_write_idx_that_fails_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch, step):
    write_idx(tmp_path / "a.gz", np.zeros(3, np.uint8))

    def fail(*arguments):
        raise OSError(errno.ENOSPC, "disk full")

    with monkeypatch.context() as patch:
        patch.setattr(os, step, fail)
        with pytest.raises(OSError, match="disk full"):
            write_idx(tmp_path / "a.gz", np.ones(3, np.uint8))
    assert read_idx(tmp_path / "a.gz").tolist() == [0, 0, 0]
    assert os.listdir(tmp_path) == ["a.gz"]


def test_atomic_write_onto_a_folder_leaves_nothing(tmp_path):
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError), atomic_write(tmp_path / "folder") as file:
        file.write(b"new")
    assert os.listdir(tmp_path) == ["folder"] and (tmp_path / "folder").is_dir()


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
def test_atomic_write_gives_the_usual_permissions(tmp_path):
    (tmp_path / "usual").write_bytes(b"")
    with atomic_write(tmp_path / "atomic"):
        pass
    assert (tmp_path / "atomic").stat().st_mode == (tmp_path / "usual").stat().st_mode


# MNIST from a directory


@pytest.mark.parametrize("mark", "-.")
@pytest.mark.parametrize("end", ["", ".gz"])
@pytest.mark.parametrize("kind", [str, lambda path: path], ids=["str", "Path"])
def test_mnist_reads_both_spellings_raw_and_gzipped(tmp_path, mark, end, kind):
    images, labels = write_mnist(tmp_path, mark, end)
    for data in mnist(kind(tmp_path)):
        np.testing.assert_array_equal(data.images, images)
        np.testing.assert_array_equal(data.labels, labels)


@pytest.mark.parametrize("name", SHA256)
def test_mnist_names_the_file_that_is_missing(tmp_path, name):
    write_mnist(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(FileNotFoundError) as caught:
        mnist(tmp_path)
    for tried in (name, name.replace("-idx", ".idx"), f"{name}.gz", str(tmp_path)):
        assert tried in str(caught.value)


def test_mnist_of_no_directory_is_file_not_found(tmp_path):
    with pytest.raises(FileNotFoundError, match="train-images-idx3-ubyte"):
        mnist(tmp_path / "nowhere")


def test_mnist_refuses_label_10(tmp_path):
    write_mnist(tmp_path, labels=np.array([0, 9, 10, 1], np.uint8))
    with pytest.raises(DataError, match="train-labels-idx1-ubyte: expected labels 0 to 9, got 10"):
        mnist(tmp_path)


@pytest.mark.parametrize("count", [1, 3, 5])
def test_mnist_refuses_mismatched_counts(tmp_path, count):
    write_mnist(tmp_path, labels=np.zeros(count, np.uint8))
    with pytest.raises(DataError, match=f"expected 4 labels, one per image, got {count}"):
        mnist(tmp_path)


BAD_FILES = {
    "images of rank 2": ("t10k-images-idx3-ubyte", np.zeros((4, 5), np.uint8)),
    "images of rank 4": ("t10k-images-idx3-ubyte", np.zeros((4, 1, 5, 6), np.uint8)),
    "images of float32": ("t10k-images-idx3-ubyte", np.zeros((4, 5, 6), np.float32)),
    "images of no size": ("t10k-images-idx3-ubyte", np.zeros((4, 0, 6), np.uint8)),
    "labels of rank 2": ("t10k-labels-idx1-ubyte", np.zeros((4, 1), np.uint8)),
    "labels of int8": ("t10k-labels-idx1-ubyte", np.zeros(4, np.int8)),
    "no labels": ("t10k-labels-idx1-ubyte", np.zeros(0, np.uint8)),
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_mnist_refuses_other_ranks_and_dtypes(tmp_path, case):
    name, array = BAD_FILES[case]
    write_mnist(tmp_path)
    write_idx(tmp_path / name, array)
    with pytest.raises(DataError, match=f"{name}: expected uint8 of rank .* got {array.dtype} of shape"):
        mnist(tmp_path)


def test_mnist_refuses_two_image_sizes(tmp_path):
    write_mnist(tmp_path)
    write_idx(tmp_path / "t10k-images-idx3-ubyte", np.zeros((4, 6, 5), np.uint8))
    with pytest.raises(DataError, match=r"expected t10k images of \(5, 6\) .* got \(6, 5\)"):
        mnist(tmp_path)


# Dataset


def small(n=6):
    return Dataset(np.arange(n * 6).reshape(n, 2, 3), np.arange(n) % 10)


@pytest.mark.parametrize(
    "index, expected",
    [
        (slice(2), [0, 1]),
        (slice(None, None, -2), [5, 3, 1]),
        (np.array([4, 0, 4]), [4, 0, 4]),
        (np.array([-1], np.int8), [5]),
        ([3, 1], [3, 1]),
        (np.array([True, False] * 3), [0, 2, 4]),
        (np.zeros(6, bool), []),
    ],
)
def test_dataset_indexing(index, expected):
    part = small()[index]
    assert isinstance(part, Dataset) and len(part) == len(expected)
    assert part.labels.tolist() == expected
    np.testing.assert_array_equal(part.images, small().images[np.array(expected, int)])


def test_dataset_slice_is_a_view():
    data = small()
    assert np.shares_memory(data[1:3].images, data.images)


@pytest.mark.parametrize("index", [0, np.int64(2), 1.5, "images", np.zeros((2, 2), int), np.array([0.0]), None])
def test_dataset_refuses_other_indices(index):
    with pytest.raises(TypeError, match="expected a slice, an integer array or a boolean mask, got"):
        small()[index]


@pytest.mark.parametrize("index", [np.array([6]), np.zeros(5, bool)], ids=["too far", "short mask"])
def test_dataset_refuses_indices_outside(index):
    with pytest.raises(IndexError):
        small()[index]


@pytest.mark.parametrize(
    "images, labels, message",
    [
        (np.zeros((3, 4)), np.zeros(3, int), r"images: expected shape .* got \(3, 4\)"),
        (np.zeros((3, 1, 1, 4, 4)), np.zeros(3, int), r"images: expected shape .* got \(3, 1, 1, 4, 4\)"),
        (np.zeros((3, 4, 4)), np.zeros((3, 1), int), r"labels: expected shape .* got \(3, 1\)"),
        (np.zeros((3, 4, 4)), np.zeros(3), "labels: expected an integer dtype, got float64"),
        (np.zeros((3, 4, 4)), np.zeros(3, bool), "labels: expected an integer dtype, got bool"),
        (np.zeros((3, 4, 4)), np.zeros(2, int), "labels: expected 3, one per image, got 2"),
        ([[[1]]], np.zeros(1, int), "images: expected a NumPy array, got list"),
        (np.zeros((1, 4, 4)), [1], "labels: expected a NumPy array, got list"),
    ],
)
def test_dataset_validation(images, labels, message):
    with pytest.raises(ValueError, match=message):
        Dataset(images, labels)


def test_dataset_repr_and_colour():
    assert repr(small()) == f"Dataset(6 images of 2x3 {np.arange(1).dtype}, labels 0 to 5)"
    colour = Dataset(np.zeros((2, 3, 4, 5), np.float32), np.array([7, 7]))
    assert repr(colour) == "Dataset(2 images of 3x4x5 float32, labels 7 to 7)"
    assert repr(colour[:0]) == "Dataset(0 images of 3x4x5 float32, no labels)"


def test_dataset_is_frozen_and_compares_by_identity():
    data = small()
    with pytest.raises(AttributeError):
        data.labels = data.labels
    assert data == data and data != small() and hash(data) == hash(data)
