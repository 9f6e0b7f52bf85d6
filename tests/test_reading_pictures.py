"""Folders of pictures, one folder for each class."""

import zipfile

import numpy as np
import pytest
from forms import TEST, TRAIN, lines, same, write_four
from PIL import Image

import pymnistcnn as pm
from pymnistcnn.datasets import DataError, Dataset, read

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


def damaged(folder, *names):
    for name in names:
        (folder / name).write_bytes(b"\x89PNG\r\n\x1a\n" + b"junk" * 9)


def test_damaged_pictures_are_named(tmp_path):
    draw(tmp_path)
    damaged(tmp_path, "0/a.png")
    one = r"0/a.png: expected a picture that can be read: .*; skip_damaged=True \(--skip-damaged\) leaves such out$"
    with pytest.raises(DataError, match=one):
        read(tmp_path)
    damaged(tmp_path, "3/b.png", "7/c.png")
    several = f"3 of 63 pictures in {tmp_path} cannot be read: .*a.png.*, .*b.png.*, .*c.png"
    with pytest.raises(DataError, match=several):
        read(tmp_path)


@pytest.mark.parametrize("size", [None, 20])
def test_damaged_pictures_are_left_out(tmp_path, size):
    draw(tmp_path)
    expected = read(tmp_path, size=size)
    whole = min((tmp_path / "5").iterdir()).read_bytes()
    damaged(tmp_path, "0/zz.png")
    (tmp_path / "5" / "zz.png").write_bytes(whole[:-40])  # its size can be read, and it cannot
    with pytest.warns(UserWarning, match="left out: .*0/zz.png: .*; 2 of 62 pictures in .* cannot be read: .*5/zz.png"):
        same(read(tmp_path, size=size, skip_damaged=True), expected)


def test_nothing_but_damaged_pictures(tmp_path):
    for name in "ab":
        (tmp_path / name).mkdir()
        damaged(tmp_path, f"{name}/1.png")
    with pytest.raises(DataError, match="2 of 2 pictures in .* cannot be read"):
        read(tmp_path, skip_damaged=True)
    with pytest.raises(ValueError, match="skip_damaged must be True or False, not 1"):
        read(tmp_path, skip_damaged=1)


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
