"""Digits in text files, and Gorgonia's scaling: what is written is read, and what is wrong is told with its line."""

import errno
import os

import numpy as np
import pytest

from pymnistcnn import datasets
from pymnistcnn.datasets import DataError, Dataset, idx_to_text, load, mnist, read_text, write_idx, write_text

IMAGES, LABELS = mnist()[1].images[:12], mnist()[1].labels[:12]  # 7 2 1 0 4 1 4 9 5 9 0 6


def digits(n=12, images=IMAGES, labels=LABELS):
    return Dataset(images[:n], np.asarray(labels[:n]))


def rows(data, separator="\t", label_first=False):
    """Lines of text, made without the code that is tested."""
    lines = []
    for pixels, label in zip(data.images.reshape(-1, 784).tolist(), data.labels.tolist(), strict=True):
        numbers = [label, *pixels] if label_first else [*pixels, label]
        lines.append(separator.join(map(str, numbers)))
    return lines


def written(folder, lines, end="\n"):
    path = folder / "digits.txt"
    path.write_bytes(end.join([*lines, ""]).encode())
    return path


def same(got, expected):
    assert got.images.dtype == got.labels.dtype == np.uint8
    assert got.images.flags.c_contiguous and got.images.shape[1:] == (28, 28)
    np.testing.assert_array_equal(got.images, expected.images)
    np.testing.assert_array_equal(got.labels, expected.labels)


# ---- written and read ----


def test_round_trip(tmp_path):
    write_text(tmp_path / "digits.txt", digits())
    same(read_text(tmp_path / "digits.txt"), digits())
    assert (tmp_path / "digits.txt").read_text().splitlines() == rows(digits())
    assert os.listdir(tmp_path) == ["digits.txt"]


def test_numpy_reads_what_is_written(tmp_path):
    write_text(tmp_path / "digits.txt", digits())
    table = np.loadtxt(tmp_path / "digits.txt", delimiter="\t", comments="#", dtype=np.float32)
    np.testing.assert_array_equal(table[:, :784].reshape(-1, 28, 28), IMAGES)
    np.testing.assert_array_equal(table[:, 784], LABELS)


HEADERS = {
    "none": None,
    "kaggle": ["label", *(f"pixel{i}" for i in range(784))],
    "quoted": ['"label"', *(f'"{i}x{j}"' for i in range(1, 29) for j in range(1, 29))],
    "openml": ["class", *(f"pixel{i}" for i in range(784))],
    "numbers": ["0", *map(str, range(1, 785))],
    "all alike": ["label", *["pixel"] * 784],
}


@pytest.mark.parametrize("header", HEADERS)
@pytest.mark.parametrize("label_first", [True, False])
@pytest.mark.parametrize("separator", ["\t", ","], ids=["tabs", "commas"])
@pytest.mark.parametrize("images", [IMAGES, 255 - IMAGES, 1 + IMAGES // 2], ids=["digits", "inverted", "no zeros"])
def test_separator_header_and_place_of_the_label_are_found(tmp_path, separator, label_first, header, images):
    data = digits(images=images)
    lines = rows(data, separator, label_first)
    if HEADERS[header]:
        names = HEADERS[header] if label_first else [*HEADERS[header][1:], HEADERS[header][0]]
        lines.insert(0, separator.join(names))
    same(read_text(written(tmp_path, lines)), data)
    same(read_text(written(tmp_path, lines, "\r\n"), label_first=label_first), data)


@pytest.mark.parametrize("separator", ["\t", ","])
@pytest.mark.parametrize("label_first", [True, False])
def test_noise_is_no_label(tmp_path, separator, label_first):
    noise = Dataset(np.random.default_rng(0).integers(0, 256, (30, 28, 28), np.uint8), np.arange(30) % 10)
    same(read_text(written(tmp_path, rows(noise, separator, label_first))), noise)


def test_what_could_be_either_is_asked(tmp_path):
    images = IMAGES.copy()
    images[:, 0, 0], images[:, -1, -1] = 3, 4
    threes = Dataset(images[:3], np.array([3, 3, 3]))
    for separator, first in (("\t", False), (",", True)):
        path = written(tmp_path, rows(threes, separator, label_first=first))
        with pytest.raises(DataError, match="say label_first=True or False"):
            read_text(path)
        same(read_text(path, label_first=first), threes)
        other = read_text(path, label_first=not first)
        assert other.labels.tolist() == ([4] * 3 if first else [3] * 3)


def test_a_single_row(tmp_path):
    for n in range(12):
        one = digits()[n : n + 1]
        for separator, first in [("\t", False), (",", True), ("\t", True), (",", False)][: 4 if LABELS[n] else 2]:
            same(read_text(written(tmp_path, rows(one, separator, first))), one)


def test_comments_blank_lines_and_padding_are_skipped(tmp_path):
    lines = rows(digits())
    lines[2] = lines[2].replace("\t", "\t 0").replace("\t 00", "\t000 ")
    lines = [
        "# 784 pixels, then the label",
        "",
        *lines[:5],
        "   # \xe9t\xe9",
        lines[5] + "\t# a six?",
        "\t",
        *lines[6:],
    ]
    same(read_text(written(tmp_path, ["\ufeff" + lines[0], *lines[1:]])), digits())
    path = written(tmp_path, lines)
    path.write_bytes(path.read_bytes().rstrip())  # no end of the last line
    same(read_text(path), digits())


# ---- refused ----


def changed(line, column, value, separator="\t"):
    fields = line.split(separator)
    fields[column] = value
    return separator.join(fields)


BAD_FIELDS = {
    "a word": ("seven", "'seven'"),
    "pixel 256": ("256", "'256'"),
    "a negative": ("-1", "'-1'"),
    "a float": ("0.5", "'0.5'"),
    "half a float": ("3.5e0", "'3.5e0'"),
    "empty": ("", "''"),
    "spaces": ("  ", "''"),
    "a sign": ("+5", "'+5'"),
    "an underscore": ("1_0", "'1_0'"),
    "hexadecimal": ("0x5", "'0x5'"),
    "another script's digit": ("٣", "'٣'"),
    "nan": ("nan", "'nan'"),
    "a huge number": ("9" * 5000, "'99999999999999999999'"),
    "NUL": ("\0", r"'\\x00'"),
}


@pytest.mark.parametrize("separator", ["\t", ","], ids=["tabs", "commas"])
@pytest.mark.parametrize("row", [0, 4])
@pytest.mark.parametrize("case", BAD_FIELDS)
def test_bad_pixels_are_refused_with_file_and_line(tmp_path, case, row, separator):
    value, shown = BAD_FIELDS[case]
    lines = ["# a comment", *rows(digits(), separator, label_first=separator == ",")]
    lines[row + 1] = changed(lines[row + 1], 300, value, separator)
    path = written(tmp_path, lines)
    with pytest.raises(DataError) as caught:
        read_text(path)
    message = f"{path}, line {row + 2}, column 301: expected a whole number from 0 to 255, got "
    assert str(caught.value) == message + shown.replace("\\\\", "\\")


@pytest.mark.parametrize("separator", ["\t", ","], ids=["tabs", "commas"])
@pytest.mark.parametrize("label_first", [True, False])
@pytest.mark.parametrize("n", [1, 12])
@pytest.mark.parametrize("label", ["1000", "2.5", "-1", "seven"])
def test_other_labels_are_refused_with_file_and_line(tmp_path, separator, label_first, label, n):
    place = 1 if label_first else 785
    lines = rows(digits(), separator, label_first)
    lines[n - 1] = changed(lines[n - 1], place - 1, label, separator)
    path = written(tmp_path, ["", *lines])
    with pytest.raises(DataError) as caught:
        read_text(path, label_first=label_first)
    assert str(caught.value).startswith(
        f"{path}, line {n + 1}, column {place}: expected a label from 0 to 999, or names in all rows, got '{label}'"
    )


@pytest.mark.parametrize("row", [0, 11])
@pytest.mark.parametrize("separator", ["\t", ","], ids=["tabs", "commas"])
@pytest.mark.parametrize("change, columns", [(lambda fields: fields[:-1], 784), (lambda fields: [*fields, "1"], 786)])
def test_missing_and_superfluous_columns_are_refused(tmp_path, change, columns, separator, row):
    lines = rows(digits(), separator)
    lines[row] = separator.join(change(lines[row].split(separator)))
    path = written(tmp_path, lines)
    with pytest.raises(DataError) as caught:
        read_text(path)
    if row:
        assert str(caught.value) == f"{path}, line {row + 1}: expected 785 columns, got {columns}"
    elif columns == 786:
        assert f"{path}, line 1: expected columns of a label and a square of pixels" in str(caught.value)
    else:  # the first line says how many there are
        assert str(caught.value) == f"{path}, line 2: expected 784 columns, got 785"


CONTENTS = {
    "empty": (b"", ": expected a line with pixels and a label, got none"),
    "comments": (b"# nothing\n\n  \n", ": expected a line with pixels and a label, got none"),
    "a header": (",".join(HEADERS["kaggle"]).encode(), ": expected a line with pixels and a label, got none"),
    "dashes": (b"-".join([b"0"] * 785), ", line 1: expected columns of a label and a square of pixels, .*, got 1;"),
    "a mix": (b"\t".join([b"0"] * 785) + b"\n" + b",".join([b"0"] * 785), ", line 2: expected 785 columns, got 1"),
    "a long line": (b"# huge\n" + b"0\t" * 600000, ", line 2: expected at most 1048576 bytes, got more"),
    "no lines": (b"\0" * 10**7, ", line 1: expected at most 1048576 bytes, got more"),
    "binary": (bytes(range(256)) * 20, ", line 1: expected columns of a label and a square of pixels"),
    "bad UTF-8": (b"\t".join([b"\xff\xfe"] * 2 + [b"0"] * 783), r", line 1, column 2: .* got '\\\\xff\\\\xfe'"),
    "UTF-16": ("\n".join(["\t".join(["0"] * 785)] * 2).encode("utf-16"), ", line 2, column 2: .* got '.x000.x00'"),
}


@pytest.mark.parametrize("case", CONTENTS)
def test_other_files_are_refused(tmp_path, case):
    content, message = CONTENTS[case]
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(DataError, match=rf"/a{message}"):
        read_text(tmp_path / "a")


def test_truncated_files_are_refused(tmp_path):
    """Unless the end is that of a line, or of a number that is a label."""
    content = "\n".join(rows(digits(2))).encode()
    first, last = content.index(b"\n"), content.rindex(b"\t")
    for length in [*range(0, first, 97), first - 1, *range(first + 2, last, 97), last, last + 1]:
        (tmp_path / "a").write_bytes(content[:length])
        with pytest.raises(DataError):
            read_text(tmp_path / "a")


def test_missing_files_and_folders(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_text(tmp_path / "nowhere")
    with pytest.raises(IsADirectoryError):
        read_text(tmp_path)
    with pytest.raises(ValueError, match="label_first must be True, False or None, not 'yes'"):
        read_text(tmp_path, label_first="yes")


@pytest.mark.parametrize(
    "data, message",
    [
        ((IMAGES, LABELS), "dataset: expected a Dataset, got tuple"),
        (digits(images=IMAGES[:, :27]), r"images: expected uint8 of shape \(n, 28, 28\), got uint8 of \(12, 27, 28\)"),
        (digits(images=IMAGES.astype(int)), "images: expected uint8 .* got int64"),
        (digits(labels=LABELS + 1), "labels: expected 0 to 9, got 1 to 10"),
        (digits(labels=LABELS.astype(int) - 1), "labels: expected 0 to 9, got -1 to 8"),
    ],
)
def test_write_refuses_what_it_could_not_read(tmp_path, data, message):
    with pytest.raises(ValueError, match=message):
        write_text(tmp_path / "a", data)
    assert os.listdir(tmp_path) == []


def test_write_that_fails_leaves_the_old_file(tmp_path, monkeypatch):
    write_text(tmp_path / "a", digits())

    def fail(*arguments):
        raise OSError(errno.ENOSPC, "disk full")

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", fail)
        with pytest.raises(OSError, match="disk full"):
            write_text(tmp_path / "a", digits(3))
    same(read_text(tmp_path / "a"), digits())
    assert os.listdir(tmp_path) == ["a"]


# ---- from IDX ----


def test_idx_to_text(tmp_path):
    write_idx(tmp_path / "images.gz", IMAGES)
    write_idx(tmp_path / "labels", LABELS)
    for count in (None, 1, 5, 12):
        same(idx_to_text(tmp_path / "images.gz", str(tmp_path / "labels"), tmp_path / "a", count), digits(count))
        same(read_text(tmp_path / "a"), digits(count))
    for count in (0, 13, -1, 2.5, "5"):
        with pytest.raises(ValueError, match=f"count must be a whole number from 1 to 12, not {count!r}"):
            idx_to_text(tmp_path / "images.gz", tmp_path / "labels", tmp_path / "a", count)
    with pytest.raises(DataError, match="expected uint8 of rank 3"):
        idx_to_text(tmp_path / "labels", tmp_path / "labels", tmp_path / "a")


# ---- Gorgonia's load ----


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("typ, part, n", [("train", 0, 60000), ("dev", 0, 60000), ("test", 1, 10000)])
def test_load_scales_and_recovers(typ, part, n, dtype):
    inputs, targets = load(typ, dtype=dtype)
    data = mnist()[part]
    assert inputs.dtype == targets.dtype == np.dtype(dtype)
    assert inputs.shape == (n, 784) and targets.shape == (n, 10)
    head = data.images[:100].reshape(100, 784)
    expected = np.where(head == 255, 0.999, head / 255 * 0.9 + 0.1).astype(dtype)
    np.testing.assert_array_equal(inputs[:100], expected)
    np.testing.assert_array_equal(np.rint((inputs[:1000] - 0.1) / 0.9 * 255), data.images[:1000].reshape(1000, 784))
    np.testing.assert_array_equal(targets.argmax(axis=1), data.labels)
    assert sorted(set(targets.ravel().tolist())) == [float(np.dtype(dtype).type(v)) for v in (0.1, 0.9)]


def test_load_from_a_folder(tmp_path):
    for part, at in (("train", 0), ("t10k", 6)):
        write_idx(tmp_path / f"{part}-images-idx3-ubyte", IMAGES[at : at + 6])
        write_idx(tmp_path / f"{part}-labels-idx1-ubyte", LABELS[at : at + 6])
    for typ, at in (("train", 0), ("dev", 0), ("test", 6)):
        inputs, targets = load(typ, tmp_path)
        assert inputs.shape == (6, 784) and targets.argmax(axis=1).tolist() == LABELS[at : at + 6].tolist()
    with pytest.raises(FileNotFoundError):
        load("test", tmp_path / "nowhere")


@pytest.mark.parametrize("typ", ["Train", "t10k", 0, None, ["train"]])
def test_load_refuses_other_parts(typ):
    with pytest.raises(ValueError, match='typ must be "train", "dev" or "test", not '):
        load(typ)


@pytest.mark.parametrize("dtype", ["float16", "uint8", "no such", object])
def test_load_refuses_other_dtypes(dtype):
    with pytest.raises(ValueError, match="dtype must be float32 or float64, not "):
        load("test", dtype=dtype)


def test_reading_takes_little_more_memory_than_the_digits(tmp_path):
    import tracemalloc

    data = Dataset(np.tile(IMAGES, (50, 1, 1)), np.tile(LABELS, 50))
    write_text(tmp_path / "a", data)
    tracemalloc.start()
    try:
        read_text(tmp_path / "a")
        assert tracemalloc.get_traced_memory()[1] < 4 * data.images.nbytes + datasets.streams.CHUNK
    finally:
        tracemalloc.stop()
