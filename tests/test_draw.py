"""`pymnistcnn draw`: the page's server answers with what `predict` would, and nobody else is answered."""

import http.client
import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from base64 import b64decode
from contextlib import contextmanager
from pathlib import Path

import click
import numpy as np
import pytest
from click.testing import CliRunner
from drawn import pictures
from PIL import Image

import pymnistcnn as pm
from pymnistcnn.cli import main
from pymnistcnn.cli.draw import draw, examples_of
from pymnistcnn.cli.samples import Reading
from pymnistcnn.drawing.looking import SEVERAL, Looker
from pymnistcnn.drawing.nearest import Nearest
from pymnistcnn.drawing.page import FOLDER, SERVED, text_of
from pymnistcnn.drawing.saving import folder_names
from pymnistcnn.drawing.server import MOST_BYTES, Server
from pymnistcnn.recipes import fast


@pytest.fixture(scope="module")
def network():
    recipe = fast()
    recipe.model.fit(pm.datasets.mnist()[0][:4000], batch_size=recipe.batch_size, optimizer=recipe.optimizer,
                     schedule=recipe.schedule, epochs=2, progress=False)  # fmt: skip
    return recipe.model


@contextmanager
def served(network, folder, examples=True, pictured=False):
    reading = Reading(network, pictured)
    train = pm.datasets.mnist()[0][:500]
    some = (train.images, list(map(str, train.labels.tolist()))) if examples else ()
    looker = Looker(network, lambda file: reading.seen(io.BytesIO(file))[0], reading.input_of, *some)
    classes = [] if network.output_shape == (1,) else list(map(str, range(network.output_shape[0])))
    with Server(looker, classes, "digits.safetensors", folder / "drawn") as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join(10)


@pytest.fixture
def server(network, tmp_path):
    with served(network, tmp_path) as server:
        yield server


def ask(server, method, path, body=None, **headers):
    """(status, headers, content), as any program may ask."""
    connection = http.client.HTTPConnection(*server.server_address, timeout=20)
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    try:
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        connection.close()


def post(server, path, body, **headers):
    status, _, content = ask(server, "POST", path, body, **headers)
    return status, json.loads(content)


def arrays(encoded, dtype=np.uint8):
    return np.frombuffer(b64decode(encoded["data"]), dtype).reshape(encoded["shape"])


def file_of(kind="clean scan", n=1):
    return pictures(kind, n)[0][-1]


def png(size, colour=255):
    file = io.BytesIO()
    Image.new("L", size, colour).save(file, "PNG")
    return file.getvalue()


# ---- what is answered ----


def test_the_page_is_whole(server):
    status, headers, content = ask(server, "GET", "/")
    page = content.decode()
    assert status == 200 and headers["Content-Type"] == "text/html; charset=utf-8"
    assert all(text_of(f"{name}.js") in page for name in SERVED)
    assert not re.search(r"(src|href)=\"(?!data:)", page)
    assert ask(server, "HEAD", "/")[2] == b""


@pytest.mark.parametrize("kind", ["clean scan", "photograph, JPEG", "hard shadow, 50 %", "28x28, off-centre by 4"])
def test_the_network_sees_what_predict_sees(server, network, kind):
    for file in pictures(kind, 4)[0]:
        seen = pm.pictures.read_digit(file)
        status, answer = post(server, "/look", file)
        assert status == 200 and answer["note"] == ""
        np.testing.assert_array_equal(arrays(answer["seen"]), seen)
        np.testing.assert_array_equal(np.float32(answer["outputs"]), network.predict_outputs(seen[None])[0])
        np.testing.assert_array_equal(np.float32(answer["probabilities"]), network.predict_proba(seen[None])[0])


def test_the_layers_are_those_of_the_network(server, network):
    file = file_of()
    layers = post(server, "/look", file)[1]["layers"]
    y, expected = pm.pictures.read_digit(file)[None, None], []
    for layer in network.layers:
        y = layer.forward(y, training=False)
        if not isinstance(layer, (pm.Rescaling, pm.Flatten)):
            expected.append((layer, y[0]))
    assert len(layers) == len(expected)
    for shown, (layer, y) in zip(layers, expected, strict=True):
        assert (shown["label"], tuple(shown["shape"])) == (str(layer), y.shape)
        maps = arrays(shown["values"], np.int8) * (shown["peak"] / 127)
        np.testing.assert_allclose(maps, y[:64], atol=shown["peak"] / 250)


def test_the_nearest_are_of_the_same_class(server):
    train = pm.datasets.mnist()[0]
    file = io.BytesIO()
    Image.fromarray(train.images[7]).save(file, "PNG")
    nearest = post(server, "/look", file.getvalue())[1]["nearest"]
    np.testing.assert_array_equal(arrays(nearest[0]["image"]), train.images[7])
    assert nearest[0]["name"] == str(train.labels[7]) and len(nearest) == 8


def test_nearest_is_by_distance():
    images = pm.datasets.mnist()[0].images[:300]
    halves = images.reshape(300, 14, 2, 14, 2).mean(axis=(2, 4)).reshape(300, -1)
    order = np.argsort(((halves - halves[5]) ** 2).sum(axis=1), kind="stable")[:8]
    np.testing.assert_array_equal(Nearest(images)(images[5]), order)


def test_several_digits_are_told(server):
    page = Image.new("L", (600, 300), 255)
    for x in (0, 300):
        page.paste(Image.open(io.BytesIO(file_of())), (x, 20))
    file = io.BytesIO()
    page.save(file, "PNG")
    status, answer = post(server, "/look", file.getvalue())
    assert status == 200 and answer["note"] == SEVERAL


@pytest.mark.parametrize(
    "file, message",
    [
        (png((300, 300)), "no ink found"),
        (b"hello", "expected a picture that can be read: cannot identify its format"),
        (b"", "expected a picture that can be read: cannot identify its format"),
        (file_of()[:200], "expected a picture that can be read: "),
        (b"P5 20000 20000 255 ", "expected a picture that can be read: Image size"),
    ],
)
def test_pictures_that_cannot_be_read(server, file, message):
    for path in ("/look", "/save?label=1"):
        status, answer = post(server, path, file)
        assert status == 422 and answer["error"].startswith(message)
    assert not server.folder.exists()
    assert post(server, "/look", file_of())[0] == 200


def test_a_network_whose_output_is_a_value(tmp_path):
    with served(pm.Sequential([pm.Flatten(), pm.Linear(1)], (1, 28, 28)), tmp_path, examples=False) as server:
        status, answer = post(server, "/look", file_of())
        assert status == 200 and answer["probabilities"] is None and len(answer["outputs"]) == 1
        assert answer["nearest"] == []
        assert post(server, "/save?label=0", file_of())[0] == 400


def test_weights_of_nan_are_told(tmp_path):
    network = pm.Sequential([pm.Flatten(), pm.Linear(3)], (1, 28, 28))
    network.state_dict()["1.bias"][:] = np.nan
    with served(network, tmp_path) as server:
        assert post(server, "/look", file_of())[1]["error"].startswith("the network's outputs are not finite")


def test_pictures_in_colour_as_they_are(tmp_path):
    with served(pm.Sequential([pm.Flatten(), pm.Linear(2)], (3, 16, 16)), tmp_path, examples=False) as server:
        file = file_of("photograph, JPEG")
        seen = arrays(post(server, "/look", file)[1]["seen"])
        np.testing.assert_array_equal(seen, pm.pictures.read_picture(io.BytesIO(file), (16, 16), 3))
        saved = Path(post(server, "/save?label=1", file)[1]["file"])
        np.testing.assert_array_equal(np.asarray(Image.open(saved)).transpose(2, 0, 1), seen)


def test_tabs_do_not_disturb_each_other(server):
    files, _ = pictures("clean scan", 8)
    alone = [post(server, "/look", file)[1] for file in files]
    answers = [[] for _ in files]

    def tab(i):
        answers[i] += [post(server, "/look", files[i])[1] for _ in range(3)]

    threads = [threading.Thread(target=tab, args=(i,)) for i in range(len(files))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert answers == [[answer] * 3 for answer in alone]


# ---- who is refused ----


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:{port}", "127.0.0.1:1", "127.0.0.1.evil.example:{port}", ""]
)
def test_other_hosts_are_refused(server, host):
    for method, path, body in (("GET", "/", None), ("POST", "/look", file_of()), ("POST", "/save?label=1", file_of())):
        status, _, content = ask(server, method, path, body, Host=host.format(port=server.server_port))
        assert status == 403 and b"127.0.0.1" in content
    assert not server.folder.exists()


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:1", "https://127.0.0.1:{port}"])
def test_other_sites_are_refused(server, origin):
    status, answer = post(server, "/save?label=1", file_of(), Origin=origin.format(port=server.server_port))
    assert status == 403 and answer["error"] == "pages of other sites may not ask here"
    assert not server.folder.exists()


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost"])
def test_its_own_page_is_answered(server, name):
    host = f"{name}:{server.server_port}"
    assert post(server, "/look", file_of(), Host=host, Origin=f"http://{host}")[0] == 200


def test_it_listens_on_this_machine_alone(server):
    assert server.socket.getsockname()[0] == "127.0.0.1"


def test_the_page_may_load_nothing_from_elsewhere(server):
    _, headers, content = ask(server, "GET", "/")
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', content.decode())[1]
    assert policy.startswith("default-src 'none'; script-src 'sha256-") and "unsafe" not in policy
    assert "connect-src 'self'" in policy and headers["X-Frame-Options"] == "DENY"


# ---- requests that nobody's page sends ----


@pytest.mark.parametrize(
    "lines, status",
    [
        ([f"Content-Length: {MOST_BYTES + 1}"], 413),
        (["Content-Length: " + "9" * 5000], 413),
        (["Content-Length: -1"], 411),
        (["Content-Length: 1_0"], 411),
        ([], 411),
        (["Transfer-Encoding: chunked"], 411),
    ],
)
def test_bodies_are_bounded(server, lines, status):
    with socket.create_connection(server.server_address, timeout=10) as connection:
        head = ["POST /look HTTP/1.1", f"Host: 127.0.0.1:{server.server_port}", *lines, "", ""]
        connection.sendall("\r\n".join(head).encode())
        assert connection.makefile("rb").readline().split()[1] == str(status).encode()
    assert post(server, "/look", file_of())[0] == 200


def test_connections_that_break_are_nobodys_error(server, capfd):
    for sent in (b"POST /look HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nContent-Length: 1000\r\n\r\nabc", b"GET", b"\0" * 99):
        with socket.create_connection(server.server_address, timeout=10) as connection:
            connection.sendall(sent % server.server_port if b"%d" in sent else sent)
    assert ask(server, "GET", "/")[0] == 200
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    "method, path, status",
    [
        ("GET", "/etc/passwd", 404),
        ("GET", "/look", 404),
        ("GET", "//evil.example/", 404),
        ("POST", "/", 404),
        ("PUT", "/look", 501),
    ],
)
def test_there_is_nothing_else(server, method, path, status):
    assert ask(server, method, path, b"1" if method != "GET" else None)[0] == status


# ---- what is saved ----


def test_what_is_saved_trains(server, network, tmp_path):
    files, digits = pictures("clean scan", 30)
    for file, digit in zip(files, digits.tolist(), strict=True):
        status, answer = post(server, f"/save?label={digit}", file)
        assert status == 200 and Path(answer["file"]).parent == server.folder / str(digit)
        np.testing.assert_array_equal(np.asarray(Image.open(answer["file"])), pm.pictures.read_digit(file))
    assert post(server, "/save?label=0", files[0])[0] == 200  # once more
    train, test = pm.datasets.read(server.folder)
    assert len(train) + len(test) == 30 and train.images.shape[1:] == (28, 28)
    assert train.classes == tuple("0123456789") and not train.from_pictures
    model = tmp_path / "own.safetensors"
    done = CliRunner().invoke(main, ["train", "--data", str(server.folder), "--output", str(model)])
    assert done.exit_code == 0, done.output
    done = CliRunner().invoke(main, ["predict", str(model), str(server.folder), "--json"])
    assert done.exit_code == 0 and len(json.loads(done.output)["predictions"]) == 30


@pytest.mark.parametrize("label", ["10", "-1", "x", "", "1&label=../..", "9" * 5000])
def test_labels_that_there_are_not(server, label):
    status, answer = post(server, f"/save?label={label}", file_of())
    assert (status, server.folder.exists()) == ((200, True) if label.startswith("1&") else (400, False))
    assert "error" not in answer or answer["error"] == "label must be a number from 0 to 9"


def test_where_it_cannot_be_saved(server):
    server.folder.write_text("a file")
    status, answer = post(server, "/save?label=1", file_of())
    assert status == 507 and answer["error"].endswith("Not a directory") or "File exists" in answer["error"]


def test_classes_as_folders():
    names = ["T-shirt/top", "../../etc", "", ".hidden", "Ä 1", "a", "A", "x" * 300, "..", "a:b\0"]
    folders = folder_names(names)
    assert folders[:7] == ["T-shirt_top", "_.._etc", "class", "hidden", "Ä 1", "a", "A-6"]
    assert len({name.lower() for name in folders}) == len(names)
    assert all(len(name) < 100 and not set(name) & set("/\\\0:") for name in folders)


# ---- the command ----

PROGRAM = [sys.executable, "-P", "-m", "pymnistcnn", "draw", "--no-browser"]


@contextmanager
def program(folder, *arguments):
    env = os.environ | {"PYTHONPATH": str(Path(pm.__file__).parents[1])}
    started = subprocess.Popen([*PROGRAM, *arguments], cwd=folder, env=env, text=True, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE)  # fmt: skip
    with started:
        try:
            yield started
        finally:
            started.kill()


def test_the_command(network, tmp_path):
    network.save(tmp_path / "digits.safetensors")
    with program(tmp_path) as started:
        url = started.stdout.readline().split()[0]
        port = int(re.fullmatch(r"http://127\.0\.0\.1:(\d+)/", url)[1])
        with program(tmp_path, "--port", str(port)) as second:
            _, error = second.communicate(timeout=30)
            assert second.returncode == 1
            assert error == f"pymnistcnn: error: port {port}: Address already in use: give another --port\n"
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        connection.request("POST", "/save?label=3", file_of())
        assert json.loads(connection.getresponse().read())["file"].startswith("drawn/3/")
        started.send_signal(signal.SIGINT)  # while the connection is still open
        out, error = started.communicate(timeout=10)
        connection.close()
    assert (started.returncode, out, error) == (130, "", "\n")
    assert len(list((tmp_path / "drawn" / "3").iterdir())) == 1


def test_the_command_in_json(network, tmp_path):
    network.save(tmp_path / "mine.safetensors")
    with program(tmp_path, "mine.safetensors", "--json") as started:
        told = json.loads(started.stdout.readline())
        assert told.keys() == {"url", "model", "save_in"} and told["model"] == "mine.safetensors"
        connection = http.client.HTTPConnection(told["url"].split("/")[2], timeout=20)
        connection.request("GET", "/")
        assert connection.getresponse().status == 200
        connection.close()
        started.send_signal(signal.SIGTERM)
        assert (started.wait(10), started.stdout.read()) == (143, "")


def failed(*arguments):
    done = CliRunner().invoke(main, ["draw", "--no-browser", *map(str, arguments)])
    assert done.exit_code != 0 and done.output.count("\n") == 1
    return done.output


def test_errors_of_the_command(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    message = "digits.safetensors: no such file: name a MODEL, or make one with `pymnistcnn train`"
    assert failed() == f"pymnistcnn: error: {message}\n"
    assert "none.safetensors: No such file or directory" in failed("none.safetensors")
    pm.Sequential([pm.Linear(2)], (3,)).save(tmp_path / "digits.safetensors")
    assert "digits.safetensors: this network reads inputs of (3,), not pictures" in failed()
    assert "'--port'" in failed("--port", "70000")


def test_training_pictures_that_do_not_fit_are_not_shown(capsys):
    network = pm.Sequential([pm.Flatten(), pm.Linear(2)], (1, 28, 28))
    network.notes["data"] = {"name": "my digits"}
    with click.Context(draw):
        assert examples_of(network, None) == (None, None)
    assert "--data says where" in capsys.readouterr().err


def test_files_of_the_page_are_small():
    files = [path for path in FOLDER.rglob("*") if path.suffix in (".html", ".css", ".js")]
    assert len(files) > 15 and sum(path.stat().st_size for path in files) < 80_000
