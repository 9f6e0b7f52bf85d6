"""Data sets by name: downloaded once, checked, kept.

Checksums are of the files as their makers offer them, or, where mirrors pack them anew, of what is in them. Those of
Fashion-MNIST were computed from Debian's package; those of KMNIST, EMNIST's and MNIST-C's archives are the ones that
TensorFlow Datasets publishes; those of QMNIST the ones that torchvision does. None was downloaded to make this table.
"""

from __future__ import annotations

import hashlib
import logging
import os
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..extras import needed
from .dataset import DataError
from .known import EMNIST
from .streams import CHUNK, opened, place_of

DEBIAN = Path("/usr/share/datasets")  # where Debian's package dataset-fashion-mnist has its files


@dataclass(frozen=True)
class Source:
    """Files to download: their checksums, "sha256:..." or "md5:...", by name; and the addresses of folders that have
    them. The checksums are of what is in the files if `unzipped`, else of the files."""

    files: dict[str, str]
    mirrors: tuple[str, ...]
    unzipped: bool = False

    def is_right(self, path: Path, file: str) -> bool:
        """Is a file there, with the checksum that it should have?"""
        algorithm, _, expected = self.files[file].partition(":")
        digest = hashlib.new(algorithm)
        try:
            with opened(path) if self.unzipped else open(path, "rb") as stream:
                stream = stream[0] if self.unzipped else stream
                while chunk := stream.read(CHUNK):
                    digest.update(chunk)
        except (FileNotFoundError, DataError):
            return False
        return digest.hexdigest() == expected


SOURCES = {
    "fashion-mnist": Source(
        {
            "train-images-idx3-ubyte.gz": "sha256:c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
            "train-labels-idx1-ubyte.gz": "sha256:bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
            "t10k-images-idx3-ubyte.gz": "sha256:5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
            "t10k-labels-idx1-ubyte.gz": "sha256:0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
        },
        (
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
            "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/",
        ),
        unzipped=True,
    ),
    "kmnist": Source(
        {
            "train-images-idx3-ubyte.gz": "sha256:51467d22d8cc72929e2a028a0428f2086b092bb31cfb79c69cc0a90ce135fde4",
            "train-labels-idx1-ubyte.gz": "sha256:e38f9ebcd0f3ebcdec7fc8eabdcdaef93bb0df8ea12bee65224341c8183d8e17",
            "t10k-images-idx3-ubyte.gz": "sha256:edd7a857845ad6bb1d0ba43fe7e794d164fe2dce499a1694695a792adfac43c5",
            "t10k-labels-idx1-ubyte.gz": "sha256:20bb9a0ef54c7db3efc55a92eef5582c109615df22683c380526788f98e42a1c",
        },
        ("http://codh.rois.ac.jp/kmnist/dataset/kmnist/", "https://codh.rois.ac.jp/kmnist/dataset/kmnist/"),
    ),
    "qmnist": Source(
        {
            "qmnist-train-images-idx3-ubyte.gz": "md5:ed72d4157d28c017586c42bc6afe6370",
            "qmnist-train-labels-idx2-int.gz": "md5:0058f8dd561b90ffdd0f734c6a30e5e4",
            "qmnist-test-images-idx3-ubyte.gz": "md5:1394631089c404de565df7b7aeaf9412",
            "qmnist-test-labels-idx2-int.gz": "md5:5b5b05890a5e13444e108efe57b788aa",
        },
        (
            "https://raw.githubusercontent.com/facebookresearch/qmnist/master/",
            "https://github.com/facebookresearch/qmnist/raw/master/",
        ),
    ),
    "emnist": Source(
        {"gzip.zip": "sha256:fb9bb67e33772a9cc0b895e4ecf36d2cf35be8b709693c3564cea2a019fcda8e"},
        ("https://www.itl.nist.gov/iaui/vip/cs_links/EMNIST/", "https://biometrics.nist.gov/cs_links/EMNIST/"),
    ),
    "mnist-c": Source(
        {"mnist_c.zip": "sha256:af9ee8c6a815870c7fdde5af84c7bf8db0bcfa1f41056db83871037fba70e493"},
        ("https://zenodo.org/records/3239543/files/", "https://zenodo.org/record/3239543/files/"),
    ),
}  # fmt: skip
CORRUPTIONS = (
    *("brightness", "canny_edges", "dotted_line", "fog", "glass_blur", "identity", "impulse_noise", "motion_blur"),
    *("rotate", "scale", "shear", "shot_noise", "spatter", "stripe", "translate", "zigzag"),
)
NAMES: dict[
    str, tuple[str, str | None]
] = {  # of what can be asked for: its source, and the folder or the file in its archive
    **{name: (name, None) for name in ("fashion-mnist", "kmnist", "qmnist")},
    **{f"emnist-{split}": ("emnist", f"emnist-{split}-train-images-idx3-ubyte.gz") for split in EMNIST},
    **{f"mnist-c-{name.replace('_', '-')}": ("mnist-c", name) for name in CORRUPTIONS},
}


def fetch(name: str) -> Any:
    """The place of a data set's files, downloaded if they are not there. OSError where they cannot be had."""
    name, inside = NAMES[name]
    source = SOURCES[name]
    if all((DEBIAN / name / file).is_file() for file in source.files):
        return DEBIAN / name
    folder = data_folder() / name
    for file in source.files:
        if not source.is_right(folder / file, file):
            download(name, file, folder)
    return folder if inside is None else place_of(folder / file) / inside


def data_folder() -> Path:
    """Where data sets are kept: $PYMNISTCNN_DATA, or a folder in the user's cache."""
    given = os.environ.get("PYMNISTCNN_DATA")
    return Path(given) if given else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "pymnistcnn"


def download(name: str, file: str, folder: Path) -> None:
    """Get a file from the first mirror that has it as it should be; OSError, with all that helps, if none has."""
    pooch, source = needed("pooch", "data"), SOURCES[name]
    own = os.environ.get("PYMNISTCNN_MIRROR")
    mirrors = [*([f"{own.rstrip('/')}/{name}/"] if own else []), *source.mirrors]
    reasons = []
    for url in (mirror + file for mirror in mirrors):
        try:
            with silent(pooch.get_logger()):
                new = pooch.retrieve(url, None, f".{file}.new", folder, downloader=Resuming(source, file, folder))
            os.replace(new, folder / file)
            return
        except (OSError, ValueError) as error:
            reasons.append(f"{url} ({textwrap.shorten(str(error), 150)})")
    algorithm, _, checksum = source.files[file].partition(":")
    raise ConnectionError(
        f"{name}: {file} could not be downloaded. Get it by other means, with the {algorithm} {checksum}"
        f"{' of what is in it' * source.unzipped}, and put it into {folder}. Tried: {'; '.join(reasons)}"
    )


@contextmanager
def silent(log: logging.Logger) -> Iterator[None]:
    """While it lasts, a logger gives no more than warnings."""

    def is_warning(record):
        return record.levelno >= logging.WARNING

    log.addFilter(is_warning)
    try:
        yield
    finally:
        log.removeFilter(is_warning)


class Resuming:
    """Downloads, for pooch: what an attempt that broke off has left is kept beside the file, and gone on from."""

    source: Source
    file: str
    part: Path

    def __init__(self, source: Source, file: str, folder: Path) -> None:
        self.source, self.file, self.part = source, file, folder / f".{file}.part"

    def __call__(self, url: str, output: Any, _: Any) -> None:
        if self._get(url) and not self._is_right():  # what was there is of another mirror, or damaged
            self.part.unlink()
            self._get(url)
        if not self._is_right():
            self.part.unlink()
            raise ValueError(f"what came has not the checksum {self.source.files[self.file]}")
        os.replace(self.part, output)

    def _is_right(self):
        return self.source.is_right(self.part, self.file)

    def _get(self, url) -> bool:
        """Download what is missing; was a part there?"""
        import requests  # pooch has it, and this has urllib3
        from urllib3.exceptions import HTTPError

        have = self.part.stat().st_size if self.part.is_file() else 0
        headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
        with requests.get(url, headers=headers, stream=True, timeout=60) as answer:
            if have and answer.status_code == 416:  # there is no more
                return True
            answer.raise_for_status()
            resumed = answer.status_code == 206
            size = have * resumed + int(answer.headers.get("Content-Length", 0))
            with open(self.part, "ab" if resumed else "wb") as file, self._bar(size, have * resumed) as bar:
                try:
                    for chunk in answer.raw.stream(CHUNK, decode_content=False):
                        file.write(chunk)
                        bar.update(len(chunk))
                except HTTPError as error:  # what requests itself does not raise as its own
                    raise ConnectionError(str(error)) from error
        return resumed

    def _bar(self, size, done):
        """On a terminal, how far it is."""
        from tqdm import tqdm

        return tqdm(desc=self.file, total=size or None, initial=done, unit="B", unit_scale=True, disable=None)
