"""Data that do not fit a model are told of, once, with what to do; values are no classes."""

import io
import warnings

import numpy as np
import pytest

import pymnistcnn as pm

TRAIN, TEST = (part[:n] for part, n in zip(pm.datasets.mnist(), (400, 100), strict=True))


def model(shape=(1, 28, 28), outputs=10, first=None):
    return pm.Sequential([first or pm.Rescaling(1 / 255), pm.Flatten(), pm.Linear(outputs)], shape)


def told(function, *arguments, **named):
    """The DataWarnings of a call."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        function(*arguments, **named)
    assert all(warning.category is pm.DataWarning and warning.filename == __file__ for warning in caught), caught
    return [str(warning.message) for warning in caught]


SCALED = {
    "floats": TRAIN.images.astype(np.float32) / 255,
    "doubles": TRAIN.images / 255,
    "-1 to 1": TRAIN.images / 127.5 - 1,
    "standardised": (TRAIN.images - 33.3) / 78.6,
    "bool": TRAIN.images > 127,
    "zeros and ones": (TRAIN.images > 127).astype(np.uint8),
}


@pytest.mark.parametrize("use", ["fit", "evaluate", "predict", "predict_proba", "predict_outputs", "score"])
@pytest.mark.parametrize("case", SCALED)
def test_inputs_that_were_scaled_already(case, use):
    m = model()
    data = (SCALED[case],) if use.startswith("predict") else (SCALED[case], TRAIN.labels)
    extra = dict(progress=False) if use == "fit" else {}
    (message,) = told(getattr(m, use), *data, **extra)
    assert "Rescaling" in message and "multiply them by 255" in message
    assert told(getattr(m, use), *data, **extra) == []  # once


@pytest.mark.parametrize(
    "images", [TRAIN.images, TRAIN.images.astype(np.float32), TRAIN.images * 0], ids=["uint8", "floats", "0"]
)
def test_inputs_that_fit_are_not_told_of(images):
    m = model()
    assert told(m.fit, images, TRAIN.labels, validation=TEST, progress=False) == []
    assert told(m.predict, images) == told(m.predict, images[:1]) == []


def test_a_network_that_takes_scaled_inputs():
    for first in (pm.Rescaling(1.0), pm.Rescaling(2, -1)):
        assert told(model(first=first).fit, SCALED["floats"], TRAIN.labels, progress=False) == []
    m = pm.Sequential([pm.Flatten(), pm.Linear(10)], (1, 28, 28))
    assert told(m.fit, SCALED["floats"], TRAIN.labels, progress=False) == []


def test_pixels_that_are_scaled_twice():
    """As of an ONNX file with a Rescaling inside, read with another one."""
    m = pm.Sequential([pm.Rescaling(1 / 255), pm.Rescaling(1 / 255), pm.Flatten(), pm.Linear(10)], (1, 28, 28))
    (message,) = told(m.evaluate, TEST)
    assert message.startswith("the network begins with Rescaling(0.0039") and message.endswith(
        "one of them is too many"
    )
    m = pm.Sequential([pm.Rescaling(1 / 255), pm.Rescaling(2, -1), pm.Flatten(), pm.Linear(10)], (1, 28, 28))
    assert told(m.evaluate, TEST) == []


def test_a_dark_picture_is_no_mistake():
    assert told(model().predict, np.ones((1, 28, 28), np.uint8)) == []


def test_swapped_channels():
    m = pm.Sequential([pm.Conv2d(4, 1), pm.Flatten(), pm.Linear(10)], (28, 28, 1))
    (message,) = told(m.fit, TRAIN.images[..., None], TRAIN.labels, progress=False)
    assert "28 channels of 28x1" in message and "input_shape=(1, 28, 28)" in message
    colour = model((3, 28, 28))
    with pytest.raises(ValueError, match=r"channels last: transpose\(0, 3, 1, 2\)"):
        colour.predict(np.zeros((5, 28, 28, 3), np.uint8))


def test_labels_that_are_all_equal():
    ones = np.ones(50, int)
    (message,) = told(model().fit, TRAIN.images[:50], ones, progress=False)
    assert "all 50 labels to train on are 1" in message
    assert told(model().evaluate, TRAIN.images[:50], ones) == []  # of one class, why not


def test_warnings_are_pickled_with_nothing_lost():
    import copy

    m = model()
    told(m.predict, SCALED["floats"])
    assert issubclass(pm.DataWarning, UserWarning) and copy.copy(pm.DataWarning("a")).args == ("a",)


# ---- values, not classes ----


def regression(last=()):
    return pm.Sequential([pm.Rescaling(1 / 255), pm.Flatten(), pm.Linear(1), *last], (1, 28, 28))


def means(images):
    return images.reshape(len(images), -1).mean(axis=1, keepdims=True).astype(np.float32) / 255


def test_a_regression_has_no_accuracy_and_predicts_values():
    m, screen = regression(), io.StringIO()
    how = dict(epochs=2, loss=pm.MSELoss(), optimizer=pm.Adam(1e-3), progress=False, callbacks=[pm.ProgressBar(screen)])
    history = m.fit(TRAIN.images, means(TRAIN.images), validation=(TEST.images, means(TEST.images)), **how)
    assert np.isnan(history.accuracy).all() and np.isnan(history.validation_accuracy).all()
    assert np.isfinite(history.validation_loss).all()
    last = screen.getvalue().split("loss", 1)[1]
    assert "accuracy" not in last and "nan" not in last and "validation loss" in last
    result = m.evaluate(TEST.images, means(TEST.images))
    assert np.isnan(result.accuracy) and result.loss < history.loss[0]
    predicted = m.predict(TEST.images)
    np.testing.assert_array_equal(predicted, m.predict_outputs(TEST.images)[:, 0])
    assert predicted.shape == (100,) and predicted.dtype == np.float32
    with pytest.raises(ValueError, match="one output, which is a value"):
        m.predict_proba(TEST.images)


def test_values_of_one_output_may_be_a_column_or_not():
    values, how = means(TRAIN.images), dict(loss=pm.MSELoss(), progress=False)
    losses = [regression().fit(TRAIN.images, y, **how).loss for y in (values, values[:, 0])]
    assert losses[0] == losses[1]


@pytest.mark.parametrize("values", [means(TRAIN.images), means(TRAIN.images)[:, 0]])
def test_a_regression_wants_a_loss_for_values(values, tmp_path):
    with pytest.raises(ValueError, match=r"values, and the network has one output: give loss=pm.MSELoss\(\)"):
        regression().fit(TRAIN.images, values, progress=False)
    regression().save(tmp_path / "saved")
    with pytest.raises(ValueError, match=r"give loss=pm.MSELoss\(\)"):
        pm.load(tmp_path / "saved").evaluate(TRAIN.images, values)


def test_several_values():
    targets = np.random.default_rng(0).normal(size=(400, 3))
    m = model(outputs=3)
    assert np.isnan(m.fit(TRAIN.images, targets, loss=pm.MSELoss(), progress=False).accuracy).all()
    assert np.isnan(m.evaluate(TRAIN.images, targets).accuracy)


@pytest.mark.parametrize("on, off", [(1, 0), (0.9, 0.1), (0.91, 0.01)])
def test_rows_that_stand_for_classes_have_an_accuracy(on, off):
    targets = np.where(np.eye(10)[TRAIN.labels] == 1, on, off)
    m = model()
    history = m.fit(TRAIN.images, targets, epochs=3, loss=pm.MSELoss(), progress=False)
    assert m.evaluate(TRAIN.images, targets).accuracy == m.score(TRAIN.images, targets) > 0.3
    assert history.accuracy[-1] > 0.3


def test_sigmoid_is_a_probability():
    for outputs in (1, 3):
        m = pm.Sequential([pm.Rescaling(1 / 255), pm.Flatten(), pm.Linear(outputs), pm.Sigmoid()], (1, 28, 28))
        np.testing.assert_array_equal(m.predict_proba(TEST.images), m.predict_outputs(TEST.images))
        assert m.predict_proba(TEST.images).shape == (100, outputs)
    assert regression([pm.Sigmoid()]).predict(TEST.images).shape == (100,)


# ---- names of classes ----


def test_names_of_classes_are_saved(tmp_path):
    m = model(outputs=3)
    assert m.classes is None
    m.classes = ("cat", "dog", "gnu")
    m.save(tmp_path / "a")
    assert pm.load(tmp_path / "a").classes == ("cat", "dog", "gnu")
    m.classes = None
    assert m.notes == {} and m.classes is None
    for names in (["cat", "dog"], ["cat", "cat", "dog"], "cat", [1, 2, 3]):
        with pytest.raises(ValueError, match="classes must be"):
            m.classes = names


@pytest.mark.parametrize("notes", [{"classes": 5}, {"classes": ["a"]}, {"classes": [1, 2, 3]}, {"classes": "abc"}])
def test_notes_of_other_uses_are_no_names(notes, tmp_path):
    m = model(outputs=3)
    m.notes = notes
    m.save(tmp_path / "a")
    assert pm.load(tmp_path / "a").classes is None and pm.load(tmp_path / "a").notes == notes


# ---- recipes ----


@pytest.mark.parametrize("name", ["fast", "accurate"])
@pytest.mark.parametrize(
    "shape, classes", [((1, 8, 8), 10), ((3, 32, 32), 2), ((3, 64, 64), 7), ((1, 12, 19), 1000), ((1, 9, 64), 3)]
)
def test_recipes_take_other_sizes(name, shape, classes):
    from pymnistcnn.recipes import RECIPES

    recipe, images = (
        RECIPES[name](shape, classes, seed=1),
        np.random.default_rng(0).integers(0, 256, (20, *shape), np.uint8),
    )
    recipe.model.fit(
        images, np.arange(20) % classes, batch_size=10, optimizer=recipe.optimizer, loss=recipe.loss, progress=False
    )
    assert recipe.model.predict_proba(images).shape == (20, classes)
