"""What notebooks show: tables and pictures that say what the objects hold, with all names escaped."""

import base64
import io
import re
import subprocess
import sys

import numpy as np
import pytest
from parsed import Parsed
from PIL import Image

import pymnistcnn as pm
from pymnistcnn.datasets.dataset import SHOWN
from pymnistcnn.training import ROWS, History

HOSTILE = '<script>alert("1")</script>', "a' onload='x", "&amp;", "$x$"


def picture_in(source):
    content = base64.b64decode(re.fullmatch("data:image/png;base64,(.+)", source)[1])
    return np.array(Image.open(io.BytesIO(content)))


def test_a_data_set_shows_its_first_pictures():
    data = pm.datasets.mnist()[1]
    parsed = Parsed(data._repr_html_())
    sources = [value for name, value in parsed.attributes if name == "src"]
    assert len(sources) == SHOWN and parsed.tags.count("figcaption") == SHOWN
    for source, image in zip(sources, data.images, strict=False):
        np.testing.assert_array_equal(picture_in(source), image)
    assert parsed.text.startswith("MNIST: 10,000 images of 28 x 28 uint8")
    assert parsed.text.endswith("".join(map(str, data.labels[:SHOWN])))


@pytest.mark.parametrize("shape", [(3, 4, 5), (3, 1, 4, 5), (3, 3, 4, 5)])
@pytest.mark.parametrize("dtype", ["uint8", "float32", "int16"])
def test_pictures_of_any_form_and_numbers(shape, dtype):
    images = (np.arange(np.prod(shape)).reshape(shape) % 200).astype(dtype)
    parsed = Parsed(pm.Dataset(images, np.arange(3))._repr_html_())
    shown = np.stack([picture_in(value) for name, value in parsed.attributes if name == "src"])
    expected = images.reshape(3, 4, 5) if images.size == 60 else images.transpose(0, 2, 3, 1)
    scale = 1 if dtype == "uint8" else 255 / images.max()
    np.testing.assert_array_equal(shown, np.rint(expected.astype(float) * scale))


@pytest.mark.parametrize("images", [np.zeros((0, 28, 28)), np.zeros((2, 7, 5, 5))])
def test_what_cannot_be_looked_at_is_still_described(images):
    data = pm.Dataset(images, np.zeros(len(images), int))
    assert "img" not in Parsed(data._repr_html_()).tags and f"{len(images)} images" in data._repr_html_()


def test_what_is_not_finite_is_shown_as_nothing():
    images = np.array([[[np.nan, 0.0], [np.inf, 2.0]]])
    parsed = Parsed(pm.Dataset(images, np.array([0]))._repr_html_())
    np.testing.assert_array_equal(picture_in(dict(parsed.attributes)["src"]), [[0, 0], [0, 255]])


def test_a_history_is_a_row_an_epoch():
    history = History([0.5, 0.25], [0.8, 0.9], [0.4, 0.3], [0.85, 0.95], [1e-3, 1e-4], [1.0, 1.0], [60000.0, 1234567.8])
    parsed = Parsed(history._repr_html_())
    assert parsed.cells[:8] == ["epoch", *(name.replace("_", " ") for name in vars(history))]
    assert parsed.cells[8:16] == ["1", "0.5", "0.8", "0.4", "0.85", "0.001", "1", "60,000"]
    assert parsed.cells[-1] == "1,234,568"


def test_a_long_history_shows_its_ends():
    parsed = Parsed(History(loss=list(range(100)), accuracy=[0.5] * 100)._repr_html_())
    epochs = parsed.cells[3::3]
    assert epochs == [*map(str, range(1, ROWS + 1)), "...", *map(str, range(101 - ROWS, 101))]
    assert Parsed(History()._repr_html_()).cells == ["epoch"]


def test_an_evaluation_is_a_row():
    assert Parsed(pm.Evaluation(0.99, 0.0321, 10000)._repr_html_()).cells[4:] == ["99.00%", "100", "10,000", "0.0321"]
    assert Parsed(pm.Evaluation(float("nan"), 1.5, 7)._repr_html_()).cells[4:] == ["-", "-", "7", "1.5000"]


def test_a_model_is_the_table_of_its_summary():
    model = pm.Sequential([pm.Conv2d(4, 3), pm.ReLU(), pm.Flatten(), pm.Linear(4)], input_shape=(1, 8, 8))
    model.classes = HOSTILE
    html = model._repr_html_()
    parsed = Parsed(html)
    assert parsed.cells[4:8] == ["Conv2d(4, 3)", "4 x 6 x 6", "40", "1,296"]
    assert parsed.cells[-4:] == ["total", "", "620", "1,872"]
    assert model.summary().split("\n")[-1].split() == ["total", "620", "1,872"]
    assert "script" not in parsed.tags and ", ".join(HOSTILE) in parsed.text


def test_hostile_names_are_text():
    data = pm.Dataset(np.zeros((4, 8, 8), np.uint8), np.arange(4), HOSTILE, name="<b onclick=x>")
    parsed = Parsed(data._repr_html_())
    assert parsed.text.startswith("<b onclick=x>: 4 images") and parsed.text.endswith("".join(HOSTILE))
    assert set(parsed.tags) == {"b", "div", "img", "figure", "figcaption"}
    assert {name for name, _ in parsed.attributes} == {"style", "src", "alt", "width", "height"}


def test_a_repr_imports_nothing_before_it_is_asked_for():
    code = "import pymnistcnn, sys; print([m for m in ('PIL', 'matplotlib') if m in sys.modules])"
    result = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout == "[]\n"
