"""The page to draw on, in a browser: served, and as one offline file, which computes what Python computes."""

import base64
import io
import re
import shutil
import zipfile

import click
import numpy as np
import pytest
from drawn import KINDS, pictures
from PIL import Image
from test_c import FLOAT_ONLY, NETWORKS, command, random_weights
from test_draw import file_of, network, png, served  # noqa: F401 - a fixture

import pymnistcnn as pm
from pymnistcnn.cli.draw import draw as draw_command
from pymnistcnn.cli.draw import examples_of
from pymnistcnn.drawing.offline import DESCRIBED, write
from pymnistcnn.drawing.page import text_of
from pymnistcnn.layers.randomness import RANDOM

sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
if CHROMIUM is None:
    pytest.skip("needs chromium", allow_module_level=True)

SIZES = {
    "phone": dict(width=390, height=844),
    "small phone": dict(width=360, height=640),
    "desktop": dict(width=1280, height=800),
}
FIVE = [[(200, 60), (110, 62), (100, 135)], [(100, 135), (150, 120), (195, 150), (190, 200), (140, 225), (95, 210)]]


@pytest.fixture(scope="module")
def browser():
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def opened(browser):
    """Opens pages; in the end none of them has seen an error, or asked for anything but the page and its server."""
    contexts, seen = [], []

    def opened(url, size="desktop", **settings):
        contexts.append(browser.new_context(viewport=SIZES[size], **settings))
        page = contexts[-1].new_page()
        page.on("pageerror", lambda error: seen.append(str(error)))
        page.on("request", lambda request: request.url.startswith((url, "blob:", "data:")) or seen.append(request.url))
        page.on("requestfailed", lambda request: request.failure == "csp" and seen.remove(request.url))  # it did not go
        page.goto(url)
        page.locator("main[aria-busy=false]").wait_for()  # until its door is open it hears no keys
        return page

    yield opened
    for context in contexts:
        context.close()
    assert seen == []


@pytest.fixture(scope="module")
def file(network, tmp_path_factory):  # noqa: F811
    """The offline page's address."""
    path = tmp_path_factory.mktemp("page") / "page.html"
    with click.Context(draw_command):
        images, names = examples_of(network, None)
    write(path, network, "A network", list("0123456789"), 255, images, names)
    return path.as_uri()


@pytest.fixture(params=["served", "offline"])
def url(request, network, tmp_path):  # noqa: F811
    """The page's address at each door."""
    if request.param == "offline":
        yield request.getfixturevalue("file")
        return
    with served(network, tmp_path) as server:
        yield server.url


def at(page, x, y):
    """A place on the paper, in pixels of the window."""
    box = page.locator("#paper").bounding_box()
    return box["x"] + x * box["width"] / 280, box["y"] + y * box["width"] / 280


def draw(page, strokes):
    for first, *others in strokes:
        page.mouse.move(*at(page, *first))
        page.mouse.down()
        for place in others:
            page.mouse.move(*at(page, *place))
        page.mouse.up()


def touch(page, strokes):
    """By a finger, as the browser's own input."""
    session = page.context.new_cdp_session(page)

    def send(kind, *places):
        points = [dict(zip("xy", at(page, *place), strict=True)) for place in places]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    for first, *others in strokes:
        send("touchStart", first)
        for place in others:
            send("touchMove", place)
        send("touchEnd")


def answer(page):
    """What screen readers are told, once there is no more to come."""
    page.locator("main[aria-busy=false]").wait_for()
    return page.locator("#told").text_content()


def until(page, condition):
    """Waits, without what the page's policy forbids (eval)."""
    for _ in range(400):
        if page.evaluate(condition):
            return
        page.wait_for_timeout(25)
    raise AssertionError(f"not within 10 s: {condition}")


def seen(page):
    """The pixels that the page says the network sees."""
    return np.array(page.evaluate("""() => {
        const canvas = byId("seen");
        return [...canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data]
    }""")).reshape(28, 28, 4)[..., 0]  # fmt: skip


def in_base64(content):
    return base64.b64encode(content).decode()


# ---- drawing ----


@pytest.mark.parametrize("size", SIZES)
def test_a_digit_by_mouse(opened, url, size, network):  # noqa: F811
    page = opened(url, size)
    draw(page, FIVE)
    assert re.fullmatch(r"5, \d+\.\d %", answer(page))
    assert page.locator("#answer").text_content() == "5"
    assert page.locator("#bars .best .class").text_content() == "5"
    probabilities = 100 * network.predict_proba(seen(page)[None].astype(np.uint8))[0]
    shown = [float(text.removesuffix(" %")) for text in page.locator("#bars .percent").all_text_contents()]
    np.testing.assert_allclose(shown, probabilities, atol=0.0501)
    labels = [str(layer) for layer in network.layers if not isinstance(layer, (pm.Rescaling, pm.Flatten))]
    assert page.locator("#layers code").all_text_contents() == labels
    assert page.locator("#nearest canvas").count() == 8
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_a_digit_by_finger(opened, url):
    page = opened(url, "phone", has_touch=True, is_mobile=True)
    touch(page, FIVE)
    assert answer(page).startswith("5, ")
    assert page.evaluate("scrollY") == 0  # it drew, and did not scroll
    touch(page, [[(40, 200)]])  # a dot, too
    answer(page)
    assert page.locator("#undo").is_enabled()


def test_a_digit_by_pen(opened, file):
    page = opened(file)
    session = page.context.new_cdp_session(page)

    def send(kind, place):
        where = dict(zip("xy", at(page, *place), strict=True))
        session.send(
            "Input.dispatchMouseEvent", {"type": kind, "button": "left", "buttons": 1, "pointerType": "pen"} | where
        )

    for stroke in FIVE:
        send("mousePressed", stroke[0])
        for place in stroke[1:]:
            send("mouseMoved", place)
        send("mouseReleased", stroke[-1])
    assert answer(page).startswith("5, ")


def test_pixels_of_what_is_drawn_are_those_of_predict(opened, file, network, tmp_path):  # noqa: F811
    """The served page sends the picture; the offline one reads the same one itself."""
    with served(network, tmp_path) as server:
        sent, see = [], server.looker.see
        server.looker.see = lambda picture: sent.append(picture) or see(picture)
        page = opened(server.url)
        draw(page, FIVE)
        answer(page)
        np.testing.assert_array_equal(seen(page), pm.pictures.read_digit(sent[-1]))
    offline = opened(file)
    draw(offline, FIVE)
    answer(offline)
    np.testing.assert_array_equal(seen(offline), seen(page))


def test_undo_and_clear(opened, url):
    page = opened(url)
    draw(page, FIVE[:1])
    answer(page)
    first = seen(page)
    draw(page, FIVE[1:])
    assert answer(page).startswith("5, ") and (seen(page) != first).any()
    page.locator("#undo").click()
    answer(page)
    np.testing.assert_array_equal(seen(page), first)
    page.locator("#clear").click()
    assert answer(page) == "" and not seen(page).any() and page.locator("#clear").is_disabled()
    page.keyboard.press("Control+z")
    answer(page)
    np.testing.assert_array_equal(seen(page), first)


def test_a_second_finger_does_not_draw(opened, file):
    page = opened(file, "phone", has_touch=True)
    session = page.context.new_cdp_session(page)
    points = [
        dict(zip("xy", at(page, *place), strict=True)) | {"id": i} for i, place in enumerate([(50, 50), (200, 90)])
    ]
    for kind, some in (("touchStart", points[:1]), ("touchStart", points), ("touchEnd", [])):
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": some})
    answer(page)
    page.locator("#undo").click()
    assert page.locator("#undo").is_disabled()


# ---- by keys alone ----


def test_by_keys(opened, url):
    page = opened(url)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "paper"
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"
    page.keyboard.press("Space")
    for _ in range(8):
        page.keyboard.press("ArrowDown")
    page.keyboard.press("Space")
    assert answer(page).startswith("1, ")
    for name in ("undo", "clear", "choose", "photograph", "truth"):
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.id") == name
    page.keyboard.press("1")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    until(page, "byId('saved').textContent.includes('To train on it')")
    page.locator("#paper").focus()
    page.keyboard.press("Delete")
    assert answer(page) == ""


# ---- pictures ----


def put(page, content, name="photo.png"):
    page.locator("#picture").set_input_files({"name": name, "mimeType": "image/png", "buffer": content})


def test_a_picture_that_is_chosen(opened, url):
    page, content = opened(url), file_of("photograph, JPEG", 5)
    put(page, content, "photo.jpg")
    until(page, "byId('told').textContent !== ''")
    answer(page)
    np.testing.assert_array_equal(seen(page), pm.pictures.read_digit(content))


def test_a_picture_that_is_dropped(opened, url):
    page, content = opened(url), file_of("ruled paper, lines 150", 4)
    page.evaluate(
        """(content) => {
            const transfer = new DataTransfer();
            transfer.items.add(new File([Uint8Array.from(atob(content), (l) => l.charCodeAt(0))], "photo.png"));
            const drop = new DragEvent("drop", { dataTransfer: transfer, bubbles: true, cancelable: true });
            byId("paper").dispatchEvent(drop);
        }""",
        in_base64(content),
    )
    until(page, "byId('told').textContent !== ''")
    answer(page)
    np.testing.assert_array_equal(seen(page), pm.pictures.read_digit(content))


def test_the_camera_is_asked_for(opened, file):
    camera = opened(file, "phone").locator("#camera")
    assert (camera.get_attribute("capture"), camera.get_attribute("accept")) == ("environment", "image/*")


@pytest.mark.parametrize("content, message", [(b"hello", "photo.png: this browser cannot read it as a picture"),
                                              (png((300, 300)), "no ink found")])  # fmt: skip
def test_pictures_that_cannot_be_read(opened, url, content, message):
    page = opened(url)
    put(page, content)
    until(page, "byId('note').textContent !== ''")
    assert page.locator("#note").text_content() == message == page.locator("#told").text_content()
    put(page, b"")  # and again
    draw(page, FIVE)
    until(page, "byId('told').textContent.startsWith('5, ')")


def test_several_digits_are_told(opened, url):
    page, both = opened(url), Image.new("L", (600, 300), 255)
    for x in (0, 300):
        both.paste(Image.open(io.BytesIO(file_of())), (x, 20))
    content = io.BytesIO()
    both.save(content, "PNG")
    put(page, content.getvalue())
    until(page, "byId('note').textContent === 'Several digits: the largest is read.'")


# ---- what is computed in the page ----

IN_A_BROWSER = [kind for kind in KINDS if "12 bits" not in kind and "TIFF" not in kind and "GIF" not in kind]
READ = """async (files) => {
    const seen = [];
    for (const file of files) {
        const bytes = Uint8Array.from(atob(file), (letter) => letter.charCodeAt(0));
        seen.push([...readDigit(await greysOf(new Blob([bytes])), 28, 28).seen.values]);
    }
    return seen;
}"""


def test_pictures_of_all_kinds_are_read_as_python_reads_them(opened, file):
    page = opened(file)
    files = [each for kind in IN_A_BROWSER for each in pictures(kind, 3)[0][1:]]
    got = np.array(page.evaluate(READ, [in_base64(each) for each in files])).reshape(-1, 28, 28)
    expected = np.stack([pm.pictures.read_digit(each) for each in files]).astype(int)
    assert len(files) == 2 * 19 and np.abs(got - expected).max() <= 1


RUN = """(inputs) => {
    const network = new Network(about.layers, decoded(about.weights, Float32Array).values);
    return inputs.map((x) => Array.from(network.run(tensor(about.inputShape, Float32Array.from(x))).at(-1).y.values));
}"""
EVERY = {name: made for name, made in (NETWORKS | FLOAT_ONLY).items() if made[1][0] == 1 and name != "large windows"}


@pytest.mark.parametrize("name", [*EVERY, "fast", "float64"])
def test_the_same_logits(opened, tmp_path, name, network):  # noqa: F811
    """All that C code is written for, and more."""
    if name == "float64":
        model = random_weights(pm.Sequential(NETWORKS["tiny"][0](), (1, 14, 14), dtype="float64"))
    else:
        model = network if name == "fast" else random_weights(pm.Sequential(EVERY[name][0](), EVERY[name][1]))
    write(tmp_path / "page.html", model, "A network", [])
    pixels = np.random.default_rng(2).integers(0, 256, (4, *model.input_shape))
    x = (pixels * (pixels > 60)).astype(np.uint8)
    page = opened((tmp_path / "page.html").as_uri())
    got = np.array(page.evaluate(RUN, x.reshape(4, -1).tolist())).reshape(4, *model.output_shape)
    expected = model.predict_outputs(x)
    assert np.abs(got - expected).max() <= 1e-5 * max(1, np.abs(expected).max())


@pytest.mark.parametrize("layer", [pm.Softmax(), pm.LogSoftmax(), pm.Sigmoid()], ids=str)
def test_probabilities_of_networks_that_give_them(opened, tmp_path, layer):
    model = pm.Sequential([pm.Rescaling(1 / 255), pm.Flatten(), pm.Linear(4), layer.unbuilt()], (1, 28, 28), seed=1)
    write(tmp_path / "page.html", model, "A network", list("abcd"))
    page = opened((tmp_path / "page.html").as_uri())
    draw(page, FIVE)
    answer(page)
    expected = 100 * model.predict_proba(seen(page)[None].astype(np.uint8))[0]
    shown = [float(text.removesuffix(" %")) for text in page.locator("#bars .percent").all_text_contents()]
    np.testing.assert_allclose(shown, expected, atol=0.0501)


def test_a_network_whose_output_is_a_value(opened, tmp_path):
    model = pm.Sequential([pm.Flatten(), pm.Linear(1)], (1, 28, 28))
    write(tmp_path / "page.html", model, "A network", [])
    page = opened((tmp_path / "page.html").as_uri())
    draw(page, FIVE)
    value = float(answer(page))
    assert np.isclose(value, model.predict_outputs(seen(page)[None].astype(np.uint8))[0, 0], rtol=1e-3)
    assert page.locator("#saving").is_hidden() and page.locator("#alike").is_hidden()


def test_names_of_classes_are_text(opened, tmp_path):
    hostile = ["</script><script>document.title = 'mine'</script>", "<img src=x onerror=\"document.title = 'mine'\">"]
    model = pm.Sequential([pm.Flatten(), pm.Linear(2)], (1, 28, 28))
    write(tmp_path / "page.html", model, hostile[0], hostile)
    page = opened((tmp_path / "page.html").as_uri())
    draw(page, FIVE)
    answer(page)
    assert page.locator("#bars .class").all_text_contents() == hostile
    assert page.locator("#name").text_content() == hostile[0] and page.title() == "Draw a digit"


def test_the_policy_of_the_page_lets_nothing_out(opened, file):
    page = opened(file)
    for attempt in ("fetch('https://example.com')", "import('https://example.com/a.js')", "fetch('data:,1')"):
        assert page.evaluate(f"{attempt}.then(() => 'out', () => 'in')") == "in"
    load = """new Promise((done) => {
        const image = Object.assign(new Image(), { onerror: () => done("in"), onload: () => done("out") });
        image.src = "https://example.com/a.png";
    })"""
    assert page.evaluate(load) == "in"


# ---- what is saved ----


def test_what_is_saved_offline_trains(opened, file, tmp_path):
    page = opened(file)
    for label in (5, 5, 1, 1, 1):
        page.locator("#clear").click() if page.locator("#clear").is_enabled() else None
        draw(page, FIVE if label == 5 else [[(140, 40), (140, 240)]])
        answer(page)
        expected = seen(page)
        page.locator("#truth").select_option(str(label))
        page.locator("#save button").click()
        page.locator("#saved a").wait_for()
    until(page, "byId('saved').textContent.startsWith('drawn.zip has 5 so far')")
    with page.expect_download() as download:
        page.locator("#saved a").click()
    download.value.save_as(tmp_path / "drawn.zip")
    with zipfile.ZipFile(tmp_path / "drawn.zip") as archive:
        assert archive.testzip() is None
        assert archive.namelist() == [f"drawn/{label}/{i}.png" for i, label in enumerate((5, 5, 1, 1, 1), 1)]
        with archive.open("drawn/1/5.png") as last:
            np.testing.assert_array_equal(np.asarray(Image.open(last).convert("L")), expected)
    train, test = pm.datasets.read(tmp_path / "drawn.zip")
    assert (len(train) + len(test), train.classes, train.from_pictures) == (5, ("1", "5"), False)


# ---- who reads it ----


@pytest.mark.parametrize(
    "size, scheme", [("phone", "light"), ("small phone", "dark"), ("desktop", "light"), ("desktop", "dark")]
)
def test_nothing_is_wrong_for_axe(opened, file, size, scheme):
    """Contrast, names, roles and the rest of the WCAG's rules that can be tested, at AA."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe-playwright-python").Axe()
    page = opened(file, size, color_scheme=scheme)
    assert axe.run(page).violations_count == 0
    draw(page, FIVE)
    answer(page)
    page.locator("#save button").click()
    page.locator("#saved a").wait_for()
    page.locator("#undo").hover()
    found = axe.run(page)
    assert found.violations_count == 0, found.generate_report()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize("size", SIZES)
def test_what_is_touched_is_large_enough(opened, file, size):
    page = opened(file, size)
    for button in page.locator("button, select").all():
        box = button.bounding_box()
        assert box["height"] >= 44 and box["width"] >= 44


# ---- the command ----


def test_export_command(network, tmp_path):  # noqa: F811
    network.save(tmp_path / "digits.safetensors")
    path = tmp_path / "page.html"
    done = command("export", tmp_path / "digits.safetensors", "--html", path, "--json")
    assert done.exit_code == 0 and f'"bytes": {path.stat().st_size}' in done.output
    assert path.stat().st_size < 500_000
    content = path.read_bytes()
    command("export", tmp_path / "digits.safetensors", "--html", path)
    assert path.read_bytes() == content


def test_what_a_page_cannot_compute_is_named(network, tmp_path):  # noqa: F811
    class Own(pm.PythonLayer):
        def forward(self, x, training):
            return x

    with pytest.raises(ValueError, match=r"^Own\(\) cannot be computed by a page$"):
        write(tmp_path / "page.html", pm.Sequential([pm.Flatten(), Own()], (1, 28, 28)), "", [])
    model = pm.Sequential([pm.Flatten(), pm.Linear(3)], (1, 28, 28))
    model.state_dict()["1.weight"][0, 0] = np.inf
    with pytest.raises(ValueError, match=r"^Linear\(3\) cannot be computed by a page: it has weights of NaN"):
        write(tmp_path / "page.html", model, "", [])
    assert list(tmp_path.iterdir()) == []
    for shape, message in (((3, 8, 8), "pictures as they are"), ((5,), "inputs of (5,), not pictures")):
        layers = [pm.Flatten(), pm.Linear(2)][len(shape) == 1 :]
        pm.Sequential(layers, shape).save(tmp_path / "other.safetensors")
        done = command("export", tmp_path / "other.safetensors", "--html", tmp_path / "page.html")
        assert done.exit_code == 1 and message in done.output and not (tmp_path / "page.html").exists()


def test_every_layer_has_its_javascript():
    made = [vars(pm.layers)[name] for name in pm.layers.__all__]
    assert set(made) - {pm.layers.Layer, pm.PythonLayer} == set(DESCRIBED)
    run = text_of("offline/network.js") + text_of("offline/activations.js")
    renamed = {pm.BatchNorm1d: "Affine", pm.BatchNorm2d: "Affine", pm.GlobalAvgPool2d: "AvgPool2d"}
    idle = (*RANDOM, pm.Flatten)
    for layer in DESCRIBED:
        name = "Same" if layer in idle else renamed.get(layer, layer.__name__)
        assert re.search(rf"\b{name}\b", run), name
