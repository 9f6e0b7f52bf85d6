"""What docs/data.md shows runs, on small files of the names that it gives."""

import gzip
import re
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

import pymnistcnn as pm

PAGE = Path(__file__).parents[1] / "docs" / "data.md"
TRAIN, TEST = (part[:n] for part, n in zip(pm.datasets.mnist(), (100, 50), strict=True))


def four(folder, prefix="", names=("train", "t10k"), end="", shift=0):
    folder.mkdir(parents=True, exist_ok=True)
    for name, part in zip(names, (TRAIN, TEST), strict=True):
        pm.datasets.write_idx(folder / f"{prefix}{name}-images-idx3-ubyte{end}", part.images)
        pm.datasets.write_idx(folder / f"{prefix}{name}-labels-idx1-ubyte{end}", part.labels + np.uint8(shift))


def pictures(folder, size):
    for at, (image, label) in enumerate(zip(*TRAIN, strict=True)):
        path = folder / str(label) / f"{at}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).resize(size).save(path)


def text(part, labels=True):
    rows = [[*image.ravel().tolist(), *([label] if labels else [])] for image, label in zip(*part, strict=True)]
    return "\n".join(",".join(map(str, row)) for row in rows)


def files(folder):
    """All that the page names."""
    four(folder / "MNIST" / "raw")
    four(folder, "emnist-letters-", ("train", "test"), ".gz", shift=1)
    arrays = dict(x_train=TRAIN.images, y_train=TRAIN.labels, x_test=TEST.images, y_test=TEST.labels)
    np.savez(folder / "mnist.npz", **arrays)
    (folder / "arrays").mkdir()
    for name, array in arrays.items():
        np.save(folder / "arrays" / f"{name}.npy", array)
    pictures(folder / "pictures", (28, 28))
    pictures(folder / "photos", (100, 120))
    (folder / "kaggle").mkdir()
    header = ",".join([*(f"pixel{n}" for n in range(784)), "label"])
    (folder / "kaggle" / "train.csv").write_text(f"{header}\n{text(TRAIN)}")
    (folder / "kaggle" / "test.csv").write_text(text(TEST, labels=False))
    (folder / "digits.csv.gz").write_bytes(gzip.compress(text(TRAIN).encode()))
    with zipfile.ZipFile(folder / "digits.zip", "w") as archive:
        archive.write(folder / "mnist.npz", "mnist.npz")


def test_the_page_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    files(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    scope = {}
    for block in blocks:
        exec(block, scope)
    assert len(blocks) == 2 and scope["train"].classes == tuple("0123456789") and len(scope["validation"]) == 6000
    for line in re.findall(r"^pm\.datasets\.read\(.*?\)(?=  #|$)", "\n".join(blocks), re.MULTILINE):
        train, test = eval(line, scope)
        assert {28} == set(train.images.shape[1:]) and len(train) >= len(test) > 0, line


def test_the_page_names_every_data_set():
    page = PAGE.read_text()
    for name in pm.datasets.named.NAMES:
        family, _, kind = name.partition("-")
        assert f"`{name}`" in page or (family == "emnist" and f"`{kind}`" in page) or name.startswith("mnist-c-")
