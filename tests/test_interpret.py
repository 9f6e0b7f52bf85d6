"""Mistakes, confusions, losses and calibration are what plain NumPy says they are, whatever is asked for."""

import numpy as np
import pytest

import pymnistcnn as pm

N, CLASSES = 200, 4
RNG = np.random.default_rng(3)
X = RNG.standard_normal((N, 6)).astype(np.float32)
LABELS = RNG.integers(0, CLASSES, N)


def network(*last, dtype="float32"):
    return pm.Sequential([pm.Linear(CLASSES), *last], input_shape=(6,), seed=1, dtype=dtype)


@pytest.fixture(scope="module")
def what():
    return pm.interpret(network(), (X, LABELS))


def expected():
    outputs = network().predict_outputs(X).astype(float)
    probabilities = np.exp(outputs) / np.exp(outputs).sum(axis=1, keepdims=True)
    return probabilities, -np.log(probabilities[np.arange(N), LABELS]), outputs.argmax(axis=1)


def test_what_is_said_of_each_sample(what):
    probabilities, losses, answers = expected()
    np.testing.assert_allclose(what.probabilities, probabilities, rtol=1e-12)
    np.testing.assert_allclose(what.losses, losses, rtol=1e-10)
    np.testing.assert_array_equal(what.answers, answers)
    assert what.accuracy == network().score(X, LABELS) == (answers == LABELS).mean() and len(what) == N
    assert abs(what.losses.mean() - network().evaluate(X, LABELS).loss) < 1e-6
    assert what.classes == ("0", "1", "2", "3")


def test_mistakes_are_the_wrong_answers_the_surest_first(what):
    probabilities, losses, answers = expected()
    mistakes = what.mistakes()
    assert sorted(mistakes["index"]) == np.flatnonzero(answers != LABELS).tolist()
    assert (np.diff(mistakes["probability"]) <= 0).all()
    for row in mistakes:
        index = row["index"]
        assert (row["label"], row["answer"]) == (LABELS[index], answers[index])
        np.testing.assert_allclose(row["probability"], probabilities[index].max())
        np.testing.assert_allclose(row["loss"], losses[index])


@pytest.mark.parametrize("k", [1, 7, N, N + 1, 10**6])
def test_top_losses_of_any_k(what, k):
    top, losses = what.top_losses(k), expected()[1]
    assert len(top) == min(k, N) and len(set(top["index"].tolist())) == len(top)
    np.testing.assert_allclose(top["loss"], np.sort(losses)[::-1][:k], rtol=1e-10)


@pytest.mark.parametrize("k", [0, -1, 2.5, "all"])
def test_other_k_are_refused(what, k):
    with pytest.raises(ValueError, match="k must be a whole number"):
        what.top_losses(k)


def test_confusions(what):
    matrix = pm.ConfusionMatrix(CLASSES).update(LABELS, expected()[2]).get()
    np.testing.assert_array_equal(what.confusion, matrix)
    pairs = what.most_confused()
    assert (np.diff(pairs["count"]) <= 0).all() and (pairs["label"] != pairs["answer"]).all()
    assert pairs["count"].sum() == len(what.mistakes())
    assert all(matrix[label, answer] == count for label, answer, count in pairs)
    least = int(pairs["count"].max())
    assert what.most_confused(least).tolist() == [row for row in pairs.tolist() if row[2] >= least]
    np.testing.assert_allclose(what.precision, pm.Precision(CLASSES).update(LABELS, expected()[2]).get())
    np.testing.assert_allclose(what.recall, pm.Recall(CLASSES).update(LABELS, expected()[2]).get())


@pytest.mark.parametrize("bins", [1, 3, 10])
def test_calibration(what, bins):
    sure, right = what.probabilities.max(axis=1), what.answers == LABELS
    table = what.calibration(bins)
    assert len(table) == bins and table["count"].sum() == N
    error = 0
    for row in table:
        inside = (sure > row["low"]) & (sure <= row["high"])
        assert inside.sum() == row["count"]
        if row["count"]:
            np.testing.assert_allclose(row["accuracy"], right[inside].mean())
            np.testing.assert_allclose(row["probability"], sure[inside].mean())
            error += abs(right[inside].mean() - sure[inside].mean()) * inside.mean()
        else:
            assert np.isnan(row["accuracy"]) and np.isnan(row["probability"])
    np.testing.assert_allclose(what.calibration_error(bins), error)


def test_any_split_of_real_digits():
    model = pm.Sequential([pm.Rescaling(1 / 255), pm.Flatten(), pm.Linear(10)], input_shape=(1, 28, 28))
    train, test = pm.datasets.mnist()
    model.fit(train[:3000], progress=False)
    for split in (train[3000:3500], test[:300], test[test.labels == 7], test[:1]):
        what = pm.interpret(model, split)
        assert what.accuracy == model.score(split) and len(what.top_losses(5)) == min(5, len(split))
        assert len(what.mistakes()) == round((1 - what.accuracy) * len(split))
        assert np.isnan(what.recall).sum() == 10 - len(set(split.labels.tolist()))


def test_losses_of_sure_answers_stay_apart():
    """Where probabilities round to 0, their logarithms do not."""
    model = network(dtype="float64")
    model.layers[0].parameters["weight"][...] *= 1e4
    what = pm.interpret(model, (X.astype(float), LABELS))
    assert np.isfinite(what.losses).all() and what.losses.max() > 1000
    assert len(set(what.losses[what.losses > 0])) == (what.losses > 0).sum()


@pytest.mark.parametrize("last", [pm.Softmax, pm.LogSoftmax, pm.Sigmoid])
def test_networks_that_give_probabilities(last):
    model = network(last())
    what = pm.interpret(model, (X, LABELS))
    np.testing.assert_allclose(what.probabilities, model.predict_proba(X), rtol=1e-5)
    np.testing.assert_allclose(np.exp(-what.losses), what.probabilities[np.arange(N), LABELS])


def test_names_are_the_model_s_or_those_of_the_data():
    images, names = X.reshape(N, 2, 3), tuple("abcd")
    model = pm.Sequential([pm.Flatten(), pm.Linear(CLASSES)], input_shape=(1, 2, 3))
    assert pm.interpret(model, pm.Dataset(images, LABELS, names)).classes == names
    model.classes = list("wxyz")
    assert pm.interpret(model, pm.Dataset(images, LABELS, names)).classes == tuple("wxyz")


@pytest.mark.parametrize(
    "model, data, message",
    [
        (None, (X, LABELS), "model must be a model, such as .*, not None"),
        (network(), X, "data must be inputs and labels"),
        (network(), (X[:, :5], LABELS), r"inputs must have shape \(n, 6\)"),
        (network(), (X, LABELS[:5]), r"labels must have shape \(200,\)"),
        (network(), (X, LABELS + 1), "labels must be from 0 to 3"),
        (network(), (X[:0], LABELS[:0]), "at least one sample"),
        (network(), (X * np.nan, LABELS), "NaN among their outputs"),
        (network(), (np.full_like(X, np.inf), LABELS), "NaN among their outputs|not finite numbers"),
        (pm.Sequential([pm.Linear(1)], (6,)), (X, LABELS), r"outputs of shape \(1,\) tells no classes apart"),
        (pm.Sequential([pm.Conv2d(2, 1)], (1, 2, 3)), (X, LABELS), r"of shape \(2, 2, 3\) tells no classes apart"),
    ],
)
def test_what_cannot_be_interpreted_is_told(model, data, message):
    with pytest.raises(ValueError, match=message):
        pm.interpret(model, data)
