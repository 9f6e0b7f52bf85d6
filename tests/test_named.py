"""Data sets by name: from a server of our own, with small files of the same form, whole and damaged."""

import gzip
import hashlib
import io
import os
import socket
import sys
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

import pymnistcnn as pm
from pymnistcnn.datasets import named, read, write_idx
from pymnistcnn.datasets.named import NAMES, SOURCES, Source

pooch = pytest.importorskip("pooch", reason="needs pooch")
TRAIN, TEST = (part[:n] for part, n in zip(pm.datasets.mnist(), (60, 30), strict=True))


class Server:
    """Files by path, what was asked for, and how much of an answer is sent before the line breaks."""

    def __init__(self):
        self.files, self.asked, self.cut, self.ranges = {}, [], {}, True
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                wanted = self.headers.get("Range")
                server.asked.append((self.path, wanted))
                content = server.files.get(self.path)
                if content is None:
                    self.send_error(404)
                    return
                start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and server.ranges else 0
                if wanted and server.ranges and start >= len(content):
                    self.send_error(416)
                    return
                self.send_response(206 if start else 200)
                self.send_header("Content-Length", str(len(content) - start))
                self.send_header("Content-Encoding", "gzip")  # as some servers say of .gz files
                self.end_headers()
                cut = server.cut.pop(self.path, None)
                self.wfile.write(content[start:] if cut is None else content[start : start + cut])
                self.close_connection = True

            def log_message(self, *_):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.http.server_port}/"
        threading.Thread(target=self.http.serve_forever, daemon=True).start()


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A server; nothing else is asked, and data are kept in a folder of the test's."""
    server = Server()
    monkeypatch.setenv("PYMNISTCNN_DATA", str(tmp_path / "kept"))
    monkeypatch.delenv("PYMNISTCNN_MIRROR", raising=False)
    monkeypatch.setattr(named, "DEBIAN", tmp_path / "debian")
    yield server
    server.http.shutdown()
    server.http.server_close()


def idx_files(folder, prefix="", parts=("train", "t10k"), kind="idx1-ubyte", labels=lambda labels: labels):
    folder.mkdir(parents=True, exist_ok=True)
    for name, part in zip(parts, (TRAIN, TEST), strict=True):
        write_idx(folder / f"{prefix}{name}-images-idx3-ubyte.gz", part.images)
        write_idx(folder / f"{prefix}{name}-labels-{kind}.gz", labels(part.labels))
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def offer(server, monkeypatch, name, files, mirrors=("one",), unzipped=False):
    """Let a source be files that the server has, on its first mirror, with their true checksums."""
    for file, content in files.items():
        server.files[f"/{mirrors[-1]}/{file}"] = content
    plain = gzip.decompress if unzipped else bytes
    sums = {file: f"sha256:{hashlib.sha256(plain(content)).hexdigest()}" for file, content in files.items()}
    addresses = tuple(f"{server.address}{mirror}/" for mirror in mirrors)
    monkeypatch.setitem(SOURCES, name, Source(sums, addresses, unzipped))


def same(got):
    for part, wanted in zip(got, (TRAIN, TEST), strict=True):
        np.testing.assert_array_equal(part.images, wanted.images)
        np.testing.assert_array_equal(part.labels, wanted.labels)


def test_a_name_is_downloaded_once(server, monkeypatch, tmp_path, capsys):
    offer(server, monkeypatch, "kmnist", idx_files(tmp_path / "files"))
    train, test = read("kmnist")
    same((train, test))
    assert train.name == "KMNIST" and train.classes[0] == "o" and len(server.asked) == 4
    same(read("KMNIST"))
    assert len(server.asked) == 4
    assert capsys.readouterr() == ("", "")
    assert sorted(os.listdir(tmp_path / "kept" / "kmnist")) == sorted(SOURCES["kmnist"].files)


def test_the_next_mirror_is_asked(server, monkeypatch, tmp_path):
    offer(server, monkeypatch, "kmnist", idx_files(tmp_path / "files"), ["gone", "away", "there"])
    same(read("kmnist"))
    assert [path.split("/")[1] for path, _ in server.asked] == ["gone", "away", "there"] * 4


def test_a_mirror_of_one_s_own_comes_first(server, monkeypatch, tmp_path):
    files = idx_files(tmp_path / "files")
    offer(server, monkeypatch, "kmnist", files)
    server.files = {f"/mine/kmnist/{name}": content for name, content in files.items()}
    monkeypatch.setenv("PYMNISTCNN_MIRROR", f"{server.address}mine")
    same(read("kmnist"))
    assert len(server.asked) == 4


@pytest.mark.parametrize("ranges", [True, False])
def test_what_broke_off_goes_on(server, monkeypatch, tmp_path, ranges):
    offer(server, monkeypatch, "kmnist", idx_files(tmp_path / "files"))
    server.ranges = ranges
    path = "/one/train-images-idx3-ubyte.gz"
    server.cut[path] = 1000
    with pytest.raises(ConnectionError):
        read("kmnist")
    same(read("kmnist"))
    assert (path, "bytes=1000-") in server.asked
    assert not list((tmp_path / "kept" / "kmnist").glob(".*"))


def test_a_part_of_another_file_is_not_gone_on_from(server, monkeypatch, tmp_path):
    offer(server, monkeypatch, "kmnist", idx_files(tmp_path / "files"))
    folder = tmp_path / "kept" / "kmnist"
    folder.mkdir(parents=True)
    for junk in (b"junk" * 10, b"junk" * 10_000):  # shorter than the file, and longer
        (folder / ".t10k-labels-idx1-ubyte.gz.part").write_bytes(junk)
        (folder / "t10k-labels-idx1-ubyte.gz").unlink(missing_ok=True)
        same(read("kmnist"))


DAMAGE = {
    "empty": lambda content: b"",
    "cut": lambda content: content[:-9],
    "changed": lambda content: content[:50] + b"?" + content[51:],
    "a page that says sorry": lambda content: b"<html>sorry</html>",
}


@pytest.mark.parametrize("unzipped", [True, False])
@pytest.mark.parametrize("damage", DAMAGE)
def test_damaged_files_are_refused_and_leave_nothing(server, monkeypatch, tmp_path, damage, unzipped):
    offer(server, monkeypatch, "kmnist", idx_files(tmp_path / "files"), unzipped=unzipped)
    name = "train-images-idx3-ubyte.gz"
    good = server.files[f"/one/{name}"]
    server.files[f"/one/{name}"] = DAMAGE[damage](good)
    with pytest.raises(ConnectionError) as caught:
        read("kmnist")
    checksum = SOURCES["kmnist"].files[name].removeprefix("sha256:")
    for word in ("kmnist", name, f"{server.address}one/{name}", checksum, str(tmp_path / "kept" / "kmnist")):
        assert word in str(caught.value)
    assert not [left for left in os.listdir(tmp_path / "kept" / "kmnist") if name in left]
    server.files[f"/one/{name}"] = good
    same(read("kmnist"))


def test_a_damaged_file_that_is_kept_is_downloaded_again(server, monkeypatch, tmp_path):
    offer(server, monkeypatch, "kmnist", idx_files(tmp_path / "files"))
    read("kmnist")
    kept = tmp_path / "kept" / "kmnist" / "train-images-idx3-ubyte.gz"
    kept.write_bytes(kept.read_bytes()[:100])
    same(read("kmnist"))
    assert len(server.asked) == 5


def test_other_packing_of_the_same_content(server, monkeypatch, tmp_path):
    files = idx_files(tmp_path / "files")
    offer(server, monkeypatch, "fashion-mnist", files, unzipped=True)
    for path, content in server.files.items():
        server.files[path] = gzip.compress(gzip.decompress(content), 1)
    same(read("fashion-mnist"))


def test_offline(monkeypatch, tmp_path):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{unused.getsockname()[1]}/"
    monkeypatch.setenv("PYMNISTCNN_DATA", str(tmp_path))
    monkeypatch.setattr(named, "DEBIAN", tmp_path / "debian")
    files = SOURCES["kmnist"].files
    monkeypatch.setitem(SOURCES, "kmnist", Source(files, (address,)))
    with pytest.raises(ConnectionError) as caught:
        read("kmnist")
    first = next(iter(files))
    for word in (first, address + first, files[first].partition(":")[2], f"put it into {tmp_path}/kmnist"):
        assert word in str(caught.value)


def test_what_debian_has_is_not_downloaded(server, monkeypatch, tmp_path):
    idx_files(tmp_path / "debian" / "fashion-mnist")
    train, test = read("fashion-mnist")
    same((train, test))
    assert train.classes[9] == "Ankle boot" and server.asked == []


def test_emnist(server, monkeypatch, tmp_path):
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as zipped:
        for split, shift in (("letters", 1), ("digits", 0)):
            files = idx_files(
                tmp_path / split, f"emnist-{split}-", ("train", "test"), labels=lambda labels, by=shift: labels + by
            )
            for name, content in files.items():
                zipped.writestr(f"gzip/{name}", content)
    offer(server, monkeypatch, "emnist", {"gzip.zip": archive.getvalue()})
    train, test = read("emnist-letters")
    np.testing.assert_array_equal(train.images, TRAIN.images.transpose(0, 2, 1))
    np.testing.assert_array_equal(test.labels, TEST.labels)
    assert train.classes[0] == "A" and read("emnist/digits")[0].classes[0] == "0" and len(server.asked) == 1


def test_qmnist(server, monkeypatch, tmp_path):
    files = idx_files(tmp_path / "files", "qmnist-", ("train", "test"), "idx2-int",
                      lambda labels: np.repeat(labels.astype(np.int32)[:, None], 8, 1))  # fmt: skip
    offer(server, monkeypatch, "qmnist", files)
    same(read("qmnist"))


def test_mnist_c(server, monkeypatch, tmp_path):
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as zipped:
        for corruption in ("fog", "shot_noise"):
            for name, array in (("train_images", TRAIN.images[..., None]), ("train_labels", TRAIN.labels),
                                ("test_images", TEST.images[..., None]), ("test_labels", TEST.labels)):  # fmt: skip
                file = io.BytesIO()
                np.save(file, array)
                zipped.writestr(f"mnist_c/{corruption}/{name}.npy", file.getvalue())
    offer(server, monkeypatch, "mnist-c", {"mnist_c.zip": archive.getvalue()})
    train, test = read("mnist-c-shot-noise")
    same((train, test))
    assert train.name == "MNIST-C" and train.classes == tuple("0123456789")
    with pytest.raises(FileNotFoundError, match="mnist-c-brightness, mnist-c-canny-edges"):
        read("mnist-c")


def test_without_pooch(server, monkeypatch):
    monkeypatch.setitem(sys.modules, "pooch", None)
    with pytest.raises(ImportError, match=r"pip install 'pymnistcnn\[data\]'"):
        read("kmnist")


def test_the_table():
    sizes = {"sha256": 64, "md5": 32}
    for source in SOURCES.values():
        assert all(mirror.startswith("http") and mirror.endswith("/") for mirror in source.mirrors)
        for checksum in source.files.values():
            algorithm, _, digits = checksum.partition(":")
            assert len(digits) == sizes[algorithm] and set(digits) <= set("0123456789abcdef")
    assert len(NAMES) == 3 + 6 + 16 and {source for source, _ in NAMES.values()} == set(SOURCES)


def test_fashion_mnist_of_debian_s_package():
    if not (named.DEBIAN / "fashion-mnist").is_dir():
        pytest.skip("needs Debian's package dataset-fashion-mnist")
    source = SOURCES["fashion-mnist"]
    assert all(source.is_right(named.DEBIAN / "fashion-mnist" / file, file) for file in source.files)
    train, test = read("fashion-mnist")
    assert len(train) == 60_000 and len(test) == 10_000 and train.name == "Fashion-MNIST"


@pytest.mark.parametrize("name", ["MNIST", "Mnist", "mnist"])
def test_mnist_in_any_case(name):
    assert len(read(name)[1]) == 10_000


@pytest.mark.parametrize("name", ["FashionMNIST", "fashion_mnist", "Fashion-MNIST"])
def test_names_as_others_write_them(name, monkeypatch):
    asked = []
    monkeypatch.setattr("pymnistcnn.datasets.reading.fetch", lambda known: asked.append(known) or 1 / 0)
    with pytest.raises(ZeroDivisionError):
        read(name)
    assert asked == ["fashion-mnist"]
