"""Plots show the numbers that they are given, on the Axes that they are given, readable on light and dark."""

import subprocess
import sys

import numpy as np
import pytest

import pymnistcnn as pm

matplotlib = pytest.importorskip("matplotlib", reason="needs matplotlib")

import matplotlib.pyplot as plt  # noqa: E402
from matplotlib.axes import Axes  # noqa: E402
from matplotlib.colors import to_rgb  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402

from pymnistcnn import plots  # noqa: E402
from pymnistcnn.plots import tiles  # noqa: E402
from pymnistcnn.plots.theme import ON_BLACK, ON_WHITE, is_dark, plain  # noqa: E402

TRAIN, TEST = pm.datasets.mnist()
HISTORY = pm.History([0.5, 0.3], [0.8, 0.9], [0.4, 0.35], [0.85, 0.88], [1e-3, 1e-4], [1.0, 1.0], [6e4, 6e4])
FLAT = pm.Sequential([pm.Linear(2)], input_shape=(3,))
HOSTILE = ("$\\frac$", "<b>&", "a\nb", "\x1b[31m", "_" * 200, "ü", "", "5$", "%d", "{}")


@pytest.fixture(scope="module")
def model():
    layers = [pm.Rescaling(1 / 255), pm.Conv2d(6, 5), pm.ReLU(), pm.MaxPool2d(2), pm.Conv2d(4, 3), pm.Flatten()]
    model = pm.Sequential([*layers, pm.Linear(10)], input_shape=(1, 28, 28))
    model.fit(TRAIN[:3000], batch_size=32, progress=False)
    return model


@pytest.fixture(scope="module")
def what(model):
    return pm.interpret(model, TEST[:500])


def texts(ax):
    return [text.get_text() for text in ax.texts]


def ticks(axis):
    return [label.get_text() for label in axis.get_ticklabels()]


# ---- what is drawn ----


def test_history_draws_every_list():
    loss, accuracy, rate = plots.history(HISTORY)
    assert [ax.get_title(loc="left") for ax in (loss, accuracy, rate)] == ["Loss", "Accuracy", "Learning rate"]
    for ax, lists in (
        (loss, (HISTORY.loss, HISTORY.validation_loss)),
        (accuracy, (HISTORY.accuracy, HISTORY.validation_accuracy)),
        (rate, (HISTORY.learning_rate,)),
    ):
        assert [[*line.get_ydata()] for line in ax.lines] == [*lists]
        assert all([*line.get_xdata()] == [1, 2] for line in ax.lines) and ax.get_xlabel() == "epoch"
    assert [text.get_text() for text in loss.get_legend().get_texts()] == ["training", "validation"]
    assert len(loss.figure.axes) == 3


def test_history_plot_is_the_same():
    axes = HISTORY.plot()
    assert [[*line.get_ydata()] for line in axes[1].lines] == [HISTORY.accuracy, HISTORY.validation_accuracy]


def test_a_history_of_less_has_fewer_panels():
    assert len(plots.history(pm.History(loss=[1.0, 2.0], accuracy=[float("nan")] * 2, learning_rate=[1, 2]))) == 2
    (loss,) = plots.history(pm.History(loss=[1.0], accuracy=[]))
    assert loss.get_legend() is None and loss.lines[0].get_marker() == "o"  # one epoch is a point
    assert len(plots.history(pm.History())) == 1


def test_losses_that_differ_much_are_on_a_logarithmic_axis():
    assert plots.loss(pm.History(loss=[2.3, 0.01])).get_yscale() == "log"
    assert plots.loss(pm.History(loss=[2.3, 0.0])).get_yscale() == "linear"
    assert plots.loss(HISTORY).get_yscale() == "linear"


def test_history_with_steps():
    recorder = pm.Recorder(every=3)
    model = pm.Sequential([pm.Rescaling(1 / 255), pm.Flatten(), pm.Linear(10)], input_shape=(1, 28, 28))
    history = model.fit(TRAIN[:1000], epochs=2, batch_size=100, callbacks=[recorder], progress=False)
    assert recorder.epochs == [0.3, 0.6, 0.9, 1.0, 1.3, 1.6, 1.9, 2.0]
    sizes = [3, 3, 3, 1]
    for mean, epochs in ((recorder.loss, history.loss), (recorder.accuracy, history.accuracy)):
        np.testing.assert_allclose(np.average(np.reshape(mean, (2, 4)), axis=1, weights=sizes), epochs)
    axes = history.plot(steps=recorder)
    for ax, values in zip(axes, (recorder.loss, recorder.accuracy, recorder.learning_rate), strict=True):
        assert ax.lines[0].get_xydata().tolist() == [[*pair] for pair in zip(recorder.epochs, values, strict=True)]


def test_a_recorder_changes_nothing():
    def trained(callbacks):
        model = pm.Sequential([pm.Flatten(), pm.Linear(10)], input_shape=(1, 28, 28))
        model.fit(TRAIN[:1000], callbacks=callbacks, progress=False)
        return model.network.param.tobytes()

    assert trained([]) == trained([pm.Recorder(every=1)])
    with pytest.raises(ValueError, match="every must be a whole number"):
        pm.Recorder(0)


def test_confusion_matrix_has_every_count(what):
    ax = plots.confusion_matrix(what)
    drawn = np.zeros((10, 10), int)
    for text in ax.texts:
        column, row = text.get_position()
        drawn[row, column] = int(text.get_text())
    np.testing.assert_array_equal(drawn, what.confusion)
    assert ticks(ax.xaxis) == ticks(ax.yaxis) == [*map(str, range(10))]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("answer", "label")
    assert ax.get_title(loc="left") == f"{what.accuracy:.2%} of 500 answered right"
    colors = ax.images[0].get_array()
    assert colors.shape == (10, 10, 3)
    white = (colors == 1).all(axis=2)
    np.testing.assert_array_equal(white, what.confusion == 0)  # as many colours as counts
    wrong = what.confusion * (1 - np.eye(10, dtype=int))
    worst = np.unravel_index(wrong.argmax(), wrong.shape)
    assert colors[worst][2] == colors[wrong > 0][:, 2].min()  # the strongest


def test_most_confused_pairs(what):
    pairs = what.most_confused()
    ax = plots.most_confused(what, k=4)
    assert [bar.get_width() for bar in ax.patches] == pairs["count"][:4].tolist()
    assert ticks(ax.yaxis) == [f"{label} read as {answer}" for label, answer, _ in pairs[:4]]
    assert texts(ax) == [str(count) for count in pairs["count"][:4]] and ax.yaxis_inverted()


def test_per_class(what):
    ax = plots.per_class(what)
    _, precision, recall = ax.collections
    np.testing.assert_array_equal(precision.get_offsets(), np.stack([what.precision, range(10)], axis=1))
    np.testing.assert_array_equal(recall.get_offsets(), np.stack([what.recall, range(10)], axis=1))
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["precision", "recall"]


def test_calibration(what):
    ax, table = plots.calibration(what, bins=5), what.calibration(5)
    table = table[table["count"] > 0]
    diagonal, points = ax.lines
    assert diagonal.get_xydata().tolist() == [[0, 0], [1, 1]]
    np.testing.assert_array_equal(points.get_xydata(), np.stack([table["probability"], table["accuracy"]], axis=1))
    assert texts(ax) == [str(count) for count in table["count"]]
    for (low, high), share in zip((s[:, 1] for s in ax.collections[0].get_segments()), table["accuracy"], strict=True):
        assert 0 <= low <= share + 1e-12 and share - 1e-12 <= high <= 1 + 1e-12 and high > low
    assert f"{what.calibration_error(5):.2%}" in ax.get_title(loc="left")
    low, high = plots.calibration.__globals__["wilson"](np.array([0.5]), np.array([100]))
    assert abs(low[0] - 0.4038) < 1e-4 and abs(high[0] - 0.5962) < 1e-4  # from tables


def test_mistakes_show_label_answer_probability_and_index(what):
    ax, wrong = plots.mistakes(what, k=7, columns=3), what.mistakes()[:7]
    expected = []
    for row in wrong:
        expected += [f"{row['label']} read as {row['answer']}", f"{row['probability']:.1%}  #{row['index']}"]
    assert texts(ax) == expected
    for image, row in zip(ax.images, wrong, strict=True):
        np.testing.assert_array_equal(image.get_array(), TEST.images[row["index"]])
    assert len({image.get_extent()[0] for image in ax.images}) == 3
    assert ax.get_title(loc="left") == f"{len(what.mistakes())} of 500 read wrong, the surest first"


def test_filters_are_the_weights(model):
    ax = plots.filters(model)
    weight = model.layers[1].parameters["weight"]
    picture = ax.images[0].get_array()
    assert picture.count() == weight.size  # all else is masked
    np.testing.assert_array_equal(picture[:5, :5], weight[0, 0])
    assert ax.images[0].get_clim() == (-np.abs(weight).max(), np.abs(weight).max())
    deep = plots.filters(model, 4).images[0].get_array()
    weight = model.layers[4].parameters["weight"]  # 4 out, 6 in
    assert deep.shape == (6 * 4 - 1, 4 * 4 - 1) and deep.count() == weight.size
    np.testing.assert_array_equal(deep[20:23, 4:7], weight[1, 5])


def test_activations_are_what_layers_give(model):
    picture = TEST.images[3]
    ax = plots.activations(model, picture)
    assert texts(ax)[0] == "picture" and texts(ax)[2] == "1: Conv2d(6, 5)"
    x, shown = picture[None, None], 1
    np.testing.assert_array_equal(ax.images[0].get_array(), picture)
    for layer in model.layers[:5]:
        x = layer.forward(x, training=False)
        for channel in x[0]:
            np.testing.assert_allclose(ax.images[shown].get_array(), channel, rtol=1e-4, atol=1e-4)
            shown += 1
    assert shown == len(ax.images)
    assert ax.get_title(loc="left").startswith(f"Read as {model.predict(picture[None])[0]}, ")
    one = plots.activations(model, picture, layer=2).images[0].get_array()
    assert one.count() == 6 * 24 * 24
    np.testing.assert_allclose(one[:24, :24], model.layers[2].forward(model.layers[1].forward(
        model.layers[0].forward(picture[None, None], training=False), training=False), training=False)[0, 0],
        rtol=1e-4, atol=1e-4)  # fmt: skip


def test_activations_leave_the_model_as_it_was(model):
    x = TEST.images[:3, None]
    model.forward(x)
    before = model.network.param.copy()
    plots.activations(model, TEST.images[0])
    model.backward(np.ones((3, 10), np.float32))  # the state of the forward pass is there
    np.testing.assert_array_equal(model.network.param, before)


def test_pictures_in_colour():
    images = np.random.default_rng(0).integers(0, 256, (6, 3, 8, 8), np.uint8)
    model = pm.Sequential([pm.Conv2d(4, 3), pm.Flatten(), pm.Linear(2)], input_shape=(3, 8, 8))
    ax = plots.mistakes(model, (images, np.arange(6) % 2))
    index = pm.interpret(model, (images, np.arange(6) % 2)).mistakes()["index"][0]
    np.testing.assert_array_equal(ax.images[0].get_array(), images[index].transpose(1, 2, 0))
    assert len(plots.activations(model, images[0]).images) == 1 + 4
    assert plots.filters(model).images[0].get_array().count() == 3 * 4 * 9


# ---- where it is drawn ----


def calls(model, what):
    """Every function that draws, by name, as one of an Axes."""
    return {
        "loss": lambda ax: plots.loss(HISTORY, ax=ax),
        "accuracy": lambda ax: plots.accuracy(HISTORY, ax=ax),
        "learning_rate": lambda ax: plots.learning_rate(HISTORY, ax=ax),
        "history": lambda ax: plots.history(HISTORY, ax=ax),
        "confusion_matrix": lambda ax: plots.confusion_matrix(what, ax=ax),
        "most_confused": lambda ax: plots.most_confused(what, ax=ax),
        "per_class": lambda ax: plots.per_class(what, ax=ax),
        "calibration": lambda ax: plots.calibration(what, ax=ax),
        "mistakes": lambda ax: plots.mistakes(what, ax=ax),
        "filters": lambda ax: plots.filters(model, ax=ax),
        "activations": lambda ax: plots.activations(model, TEST.images[0], ax=ax),
    }


FUNCTIONS = [*calls(None, None)]


def test_all_functions_are_known_here():
    assert {name for name in plots.__all__ if callable(getattr(plots, name))} == {*FUNCTIONS}
    assert all(">>>" in getattr(plots, name).__doc__ for name in FUNCTIONS)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_on_axes_that_are_given_pyplot_is_left_alone(name, model, what):
    figure = Figure(figsize=(5, 5), layout="constrained")
    upper, lower = figure.subplots(2)
    drawn = calls(model, what)[name](lower)
    figure.canvas.draw()
    assert not plt.get_fignums() and not upper.lines and not upper.images and not upper.patches
    if name == "history":
        assert [*drawn] == lower.child_axes
    else:
        assert drawn is lower and isinstance(drawn, Axes)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_without_axes_there_is_a_new_figure_of_pyplot_s(name, model, what):
    plt.figure()
    drawn = np.ravel(calls(model, what)[name](None))[0]
    assert plt.get_fignums() == [1, 2] and plt.gcf() is drawn.figure
    drawn.figure.canvas.draw()


def contrast(a, b):
    def luminance(color):
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(color)]
        return np.dot(linear, (0.2126, 0.7152, 0.0722))

    low, high = sorted([luminance(a), luminance(b)])
    return (high + 0.05) / (low + 0.05)


def test_between_pictures_is_nothing_and_not_what_memory_held():
    held = np.full((5, 5), 1e308)
    del held  # NumPy gives its memory to the next of that size
    made = tiles.montage(np.ones((3, 2, 2)), 2)
    assert made.shape == (5, 5) and made.count() == 12 and (made.data[made.mask] == 0).all()


@pytest.mark.parametrize("style", [{}, plots.DARK, "dark_background"], ids=["none", "dark", "their dark"])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_all_text_can_be_read(name, style, model, what):
    """4.5 to 1, as WCAG asks of text."""
    with plt.style.context(style):
        for ax in np.ravel(calls(model, what)[name](None)):
            ax.figure.canvas.draw()
            labels = [ax.title, ax._left_title, ax.xaxis.label, ax.yaxis.label]
            labels += [*ax.get_xticklabels(), *ax.get_yticklabels()]
            labels += [] if name == "confusion_matrix" else ax.texts
            labels += ax.get_legend().get_texts() if ax.get_legend() else []
            for label in labels:
                if label.get_text() and label.get_visible():
                    assert contrast(label.get_color(), ax.figure.get_facecolor()) >= 4.5, label
            if name == "confusion_matrix":
                for text in ax.texts:
                    column, row = text.get_position()
                    assert contrast(text.get_color(), ax.images[0].get_array()[row, column]) >= 4.5


@pytest.mark.parametrize("theme", [ON_WHITE, ON_BLACK])
def test_colours_of_data_can_be_seen(theme):
    assert min(contrast(color, theme.background) for color in (theme.first, theme.second)) >= 3
    assert is_dark(theme.background) != is_dark(theme.ink)


def test_the_global_settings_stay_as_they_are(model, what):
    before, backend = dict(matplotlib.rcParams), matplotlib.get_backend()
    for call in calls(model, what).values():
        call(None)
    assert dict(matplotlib.rcParams) == before and matplotlib.get_backend() == backend


# ---- what is odd ----


@pytest.mark.filterwarnings("ignore:Glyph .* missing")  # of a control character
@pytest.mark.parametrize("name", ["confusion_matrix", "most_confused", "per_class", "mistakes", "activations"])
def test_hostile_names_are_drawn_as_they_are(name, model):
    again = pm.Sequential([layer.unbuilt() for layer in model.layers], model.input_shape)
    again.load_state_dict(model.state_dict())
    again.classes = HOSTILE
    ax = calls(again, pm.interpret(again, TEST[:200]))[name](None)
    ax.figure.canvas.draw()
    drawn = " ".join([*texts(ax), *ticks(ax.yaxis), ax.get_title(loc="left")])
    shown = {"most_confused": "_____", "activations": "Read as "}.get(name, r"\$\frac\$")
    assert shown in drawn and "\n" not in plain("a\nb") and len(plain("_" * 200)) <= 24
    assert plain("$x$") == r"\$x\$"


def test_a_model_without_mistakes(model):
    right = TEST[:50][model.predict(TEST[:50]) == TEST.labels[:50]]
    assert not plots.mistakes(model, right).images
    assert plots.mistakes(model, right).get_title(loc="left") == f"0 of {len(right)} read wrong"
    assert plots.most_confused(model, right).get_title(loc="left") == "No mistakes"
    assert plots.confusion_matrix(model, right).get_title(loc="left").startswith("100.00%")


def test_many_classes_have_no_numbers():
    data = np.eye(40, dtype=np.float32), np.arange(40)
    model = pm.Sequential([pm.Linear(40)], input_shape=(40,))
    ax = plots.confusion_matrix(model, data)
    assert not ax.texts and len(ticks(ax.xaxis)) == 40
    plots.per_class(model, data).figure.canvas.draw()  # most have no precision


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda model, what: plots.confusion_matrix(model), "a model needs data"),
        (lambda model, what: plots.confusion_matrix(what, TEST), "has its data: leave out"),
        (lambda model, what: plots.confusion_matrix("digits"), "a model needs data"),
        (lambda model, what: plots.per_class("digits", TEST), "model must be a model"),
        (lambda model, what: plots.mistakes(what, k=0), "k must be a whole number"),
        (lambda model, what: plots.mistakes(what, columns=0), "columns must be a whole number"),
        (lambda model, what: plots.calibration(what, bins=0), "bins must be a whole number"),
        (lambda model, what: plots.filters(model, 0), r"layer 0 is Rescaling.*, not a Conv2d"),
        (lambda model, what: plots.filters(model, 7), "layer must be a whole number from 0 to 6"),
        (lambda model, what: plots.filters(FLAT), "has no Conv2d"),
        (lambda model, what: plots.activations(model, TEST.images), "picture must have shape"),
        (lambda model, what: plots.activations(model, TEST.images[0], 5), "layer 5, Flatten.., gives no"),
        (lambda model, what: plots.activations(FLAT, np.ones(3)), "no layer of this model gives pictures"),
        (lambda model, what: plots.history(HISTORY, ax=[]), "ax must be one Axes, or 3"),
        (lambda model, what: plots.mistakes(FLAT, (np.ones((2, 3)), [0, 1])), "of pictures of 1 or 3 channels"),
    ],
)  # fmt: skip
def test_bad_arguments_are_told_before_a_figure_is_made(call, message, model, what):
    with pytest.raises(ValueError, match=message):
        call(model, what)
    assert not plt.get_fignums()


def test_matplotlib_is_imported_when_asked_for():
    code = """
import sys, pymnistcnn as pm
assert "plots" in dir(pm) and "matplotlib" not in sys.modules
pm.plots
print("matplotlib" in sys.modules, "matplotlib.pyplot" in sys.modules)
"""
    result = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout == "True False\n"
