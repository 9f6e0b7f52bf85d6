"""What a PyTorch or Keras user types first works, or is told what to type."""

import io
import re

import numpy as np
import pytest

import pymnistcnn as pm

TRAIN, TEST = (part[:60] for part in pm.datasets.mnist())


def made():
    return pm.Sequential([pm.Rescaling(1 / 255), pm.Conv2d(4, 5, stride=3), pm.Flatten(), pm.Linear(10)], (1, 28, 28))


# ---- layers ----


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: pm.Conv2d(1, 16, 3), "Conv2d takes (out_channels, kernel_size) by position and all else by name"),
        (lambda: pm.Linear(784, 10), "all else by name, not (784, 10): sizes of inputs are inferred"),
        (lambda: pm.Linear(in_features=784, out_features=10), "not (in_features): sizes of inputs are inferred"),
        (lambda: pm.BatchNorm2d(16), "BatchNorm2d takes () by position"),
        (lambda: pm.BatchNorm1d(num_features=16), "not (num_features): sizes"),
    ],
)
def test_sizes_of_inputs_are_inferred(make, message):
    with pytest.raises(TypeError, match=re.escape(message)):
        make()


# ---- data ----

FORMS = {
    "X, y": lambda data: (data.images, data.labels),
    "pair": lambda data: ((data.images, data.labels),),
    "list": lambda data: ([data.images, data.labels],),
    "Dataset": lambda data: (data,),
    "flat": lambda data: (data.images.reshape(-1, 784), data.labels),
    "channel": lambda data: (data.images[:, None], data.labels),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_data_everywhere(form):
    model, same, given = made(), made(), FORMS[form]
    x, *rest = given(TEST)
    validation = (x, *rest) if rest else x
    history = model.fit(*given(TRAIN), validation=validation, progress=False)
    expected = same.fit(TRAIN, validation=TEST, progress=False)
    assert history.validation_loss == expected.validation_loss
    assert model.evaluate(*given(TEST)) == same.evaluate(TEST)
    assert model.score(*given(TEST)) == same.evaluate(TEST).accuracy
    if form != "pair" and form != "list":
        assert (model.predict(x) == same.predict(TEST.images)).all()


def test_flat_pictures_in_colour():
    model = pm.Sequential([pm.Conv2d(4, 3), pm.Flatten(), pm.Linear(2)], (3, 5, 5))
    x = np.random.default_rng(0).standard_normal((7, 3, 5, 5)).astype(np.float32)
    assert (model.predict_outputs(x.reshape(7, 75)) == model.predict_outputs(x)).all()
    with pytest.raises(ValueError, match=r"inputs must have shape \(n, 3, 5, 5\), not \(7, 74\)"):
        model.predict(x.reshape(7, 75)[:, 1:])


# ---- what comes back ----


def test_a_history_is_a_table():
    history = made().fit(TRAIN, epochs=3, progress=False)
    assert history.history["loss"] is history.loss and "validation_loss" not in history.history
    rows = list(history)
    assert [row["accuracy"] for row in rows] == history.accuracy
    history = made().fit(TRAIN, epochs=2, validation=TEST, progress=False)
    assert list(history)[1]["validation_loss"] == history.validation_loss[1]
    assert list(pm.History()) == [] and pm.History().history == {}


def test_a_history_in_pandas():
    pandas = pytest.importorskip("pandas", reason="needs pandas")
    history = made().fit(TRAIN, epochs=3, validation=TEST, progress=False)
    for table in (pandas.DataFrame(history), pandas.DataFrame(history.history)):
        assert table.shape == (3, 7) and table["validation_loss"].tolist() == history.validation_loss


def test_what_an_interactive_session_shows():
    model = made()
    assert repr(model.summary()) == str(model.summary()) and isinstance(model.summary(), str)
    assert repr(model.summary()).splitlines()[0].split() == ["layer", "output", "parameters", "multiply-adds"]
    assert str(model) == repr(model) and repr(model).splitlines()[2] == "    Conv2d(4, 5, stride=3),"


def test_a_number_has_one_name():
    screen = io.StringIO()
    history = made().fit(TRAIN, validation=TEST, callbacks=[pm.ProgressBar(screen)], progress=False)
    words = f"loss {history.loss[0]:.4f}, accuracy {history.accuracy[0]:.2%}, validation "
    assert words + f"{history.validation_accuracy[0]:.2%}" in screen.getvalue()


def test_a_model_is_called_as_in_pytorch_and_keras():
    model = made()
    expected = model.predict_outputs(TEST.images)
    for outputs in (model(TEST.images), model(TEST), model(TEST.images[:, None], threads=1)):
        assert outputs.shape == (60, 10) and (outputs == expected).all()
    with pytest.raises(ValueError, match=r"inputs must have shape \(n, 1, 28, 28\)"):
        model(np.zeros((2, 3)))


def test_old_order_of_a_metric_is_told():
    with pytest.raises(ValueError, match=r"y_true must have shape \(n,\), not \(2, 2\): it comes first"):
        pm.Accuracy().update([[0.1, 0.9], [0.8, 0.2]], [1, 1])
    matrix = pm.ConfusionMatrix(2).update(y_pred=[0, 1, 1], y_true=[0, 0, 1]).get()
    assert matrix.tolist() == [[1, 1], [0, 1]]
