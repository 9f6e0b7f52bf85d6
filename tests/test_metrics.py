"""Metrics: worked examples, plain loops, batches in pieces, ties, NaN, and what is refused."""

import math

import numpy as np
import pytest

import pymnistcnn as pm
from pymnistcnn import metrics

CLASSES = 5
METRICS = {
    "accuracy": pm.Accuracy,
    "top 1": lambda: pm.TopK(1),
    "top 3": lambda: pm.TopK(3),
    "matrix": lambda: pm.ConfusionMatrix(CLASSES),
    "precision": lambda: pm.Precision(CLASSES),
    "recall": lambda: pm.Recall(CLASSES),
}
COUNTED = ["matrix", "precision", "recall"]
EACH = pytest.mark.parametrize("name", METRICS)

# Nine samples of three classes; no prediction is 2.
PREDICTED = [0, 1, 1, 0, 1, 0, 0, 1, 1]
TRUE = [0, 0, 1, 0, 1, 1, 2, 2, 1]
MATRIX = [[2, 1, 0], [1, 3, 0], [1, 1, 0]]


def scores(n=200, values=None, seed=0):
    """Scores (n, 5) and labels (n,); few `values` make many ties."""
    rng = np.random.default_rng(seed)
    outputs = rng.normal(size=(n, CLASSES)) if values is None else rng.integers(0, values, (n, CLASSES))
    return outputs, rng.integers(0, CLASSES, n)


def same(a, b):
    return type(a) is type(b) and np.array_equal(a, b, equal_nan=True)


def ranked(row):
    """Classes from the largest score to the smallest, the lower class first where they are equal."""
    return sorted(range(len(row)), key=lambda c: (-row[c], c))


# ---- values ----


def test_worked_example():
    assert pm.Accuracy().update(TRUE, PREDICTED).get() == 5 / 9
    assert pm.ConfusionMatrix(3).update(TRUE, PREDICTED).get().tolist() == MATRIX
    assert pm.Precision(3).update(TRUE, PREDICTED).get().tolist() == [2 / 4, 3 / 5, 0]
    assert pm.Recall(3).update(TRUE, PREDICTED).get().tolist() == [2 / 3, 3 / 4, 0]


def test_a_class_that_is_neither_there_nor_predicted_has_0():
    for kind in (pm.Precision, pm.Recall):
        assert kind(4).update([0, 3], [0, 3]).get().tolist() == [1, 0, 0, 1]


def test_top_k_worked_example():
    outputs = [[0.1, 0.6, 0.3], [0.5, 0.2, 0.3], [0.2, 0.3, 0.5]]
    labels = [2, 1, 2]  # second, third, first
    assert [pm.TopK(k).update(labels, outputs).get() for k in (1, 2, 3, 4)] == [1 / 3, 2 / 3, 1, 1]


@pytest.mark.parametrize("values", [None, 2, 4])
def test_plain_loops_give_the_same(values):
    outputs, labels = scores(values=values)
    order = [ranked(row) for row in outputs]
    matrix = np.zeros((CLASSES, CLASSES), np.int64)
    for ranks, label in zip(order, labels, strict=True):
        matrix[label, ranks[0]] += 1
    precision = [matrix[c, c] / sum(matrix[:, c]) for c in range(CLASSES)]
    recall = [matrix[c, c] / sum(matrix[c, :]) for c in range(CLASSES)]
    assert pm.Accuracy().update(labels, outputs).get() == np.trace(matrix) / len(labels)
    assert same(pm.ConfusionMatrix(CLASSES).update(labels, outputs).get(), matrix)
    assert pm.Precision(CLASSES).update(labels, outputs).get().tolist() == precision
    assert pm.Recall(CLASSES).update(labels, outputs).get().tolist() == recall
    for k in range(1, 8):
        right = sum(label in ranks[:k] for ranks, label in zip(order, labels, strict=True))
        assert pm.TopK(k).update(labels, outputs).get() == right / len(labels)


def test_ties_go_to_the_lower_class():
    outputs = np.ones((4, 4))
    labels = np.arange(4)
    assert [pm.TopK(k).update(labels, outputs).get() for k in range(1, 6)] == [0.25, 0.5, 0.75, 1, 1]
    assert pm.Accuracy().update(labels, outputs).get() == 0.25
    assert pm.ConfusionMatrix(4).update(labels, outputs).get()[:, 0].tolist() == [1] * 4


@pytest.mark.parametrize("values", [None, 3])
def test_top_1_is_the_accuracy(values):
    outputs, labels = scores(values=values)
    assert pm.TopK(1).update(labels, outputs).get() == pm.Accuracy().update(labels, outputs).get()


@EACH
def test_scores_and_what_they_predict_give_the_same(name):
    outputs, labels = scores()
    predicted = outputs.argmax(axis=1)
    if name.startswith("top"):
        with pytest.raises(ValueError, match=r"y_pred must have shape \(n, classes\), not \(200,\)"):
            METRICS[name]().update(labels, predicted)
    else:
        expected = METRICS[name]().update(labels, outputs).get()
        for dtype in (np.uint8, np.int32, np.uint64):
            assert same(METRICS[name]().update(labels, predicted.astype(dtype)).get(), expected)


@EACH
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.uint8, np.int64])
def test_any_type_and_layout(name, dtype):
    outputs, labels = scores(values=200)
    expected = METRICS[name]().update(labels, outputs.astype(np.float64)).get()
    assert same(METRICS[name]().update(labels.astype(np.uint8), outputs.astype(dtype)).get(), expected)
    assert same(METRICS[name]().update(labels[::-1], np.asfortranarray(outputs[::-1])).get(), expected)
    assert same(METRICS[name]().update(labels.tolist(), outputs.tolist()).get(), expected)


def test_a_model_is_measured_as_evaluate_does():
    _, test = pm.datasets.mnist()
    test = test[:500]
    model = pm.Sequential([pm.Rescaling(1 / 255), pm.Flatten(), pm.Linear(10)], input_shape=(1, 28, 28))
    outputs = model.predict_outputs(test.images)
    expected = model.evaluate(test).accuracy
    assert pm.Accuracy().update(test.labels, outputs).get() == expected
    assert pm.Accuracy().update(test.labels, model.predict(test.images)).get() == expected


# ---- NaN and infinities ----


def test_a_nan_makes_a_sample_wrong():
    outputs = np.array([[np.nan, 2, 1], [3, np.nan, 1], [3, 2, np.nan], [3, 2, 1]])
    labels = [0, 0, 0, 0]
    for metric in (pm.Accuracy(), pm.TopK(1), pm.TopK(2), pm.TopK(3), pm.TopK(9)):
        assert metric.update(labels, outputs).get() == 0.25


@pytest.mark.parametrize("name", COUNTED)
def test_a_nan_predicts_no_class(name):
    outputs, labels = scores()
    metric = METRICS[name]().update(labels, outputs)
    before = metric.get()
    outputs[[7, 9], 2] = np.nan
    with pytest.raises(ValueError, match="y_pred must predict a class, but there is a NaN in those of sample 7"):
        metric.update(labels, outputs)
    assert same(metric.get(), before)


def test_infinities_are_ordered():
    outputs = np.array([[-np.inf, 0, np.inf], [-np.inf, -np.inf, -np.inf]])
    labels = [2, 1]
    assert pm.Accuracy().update(labels, outputs).get() == 0.5
    assert pm.TopK(2).update(labels, outputs).get() == 1
    assert pm.ConfusionMatrix(3).update(labels, outputs).get().tolist() == [[0, 0, 0], [1, 0, 0], [0, 0, 1]]


# ---- batches ----


@EACH
def test_pieces_are_the_whole(name):
    outputs, labels = scores()
    whole = METRICS[name]().update(labels, outputs).get()
    metric, cuts = METRICS[name](), [0, 1, 1, 33, 34, 150, 200]
    for a, b in zip(cuts, cuts[1:], strict=False):
        assert metric.update(labels[a:b], outputs[a:b]) is metric
    assert same(metric.get(), whole)


@EACH
def test_nothing_yet_and_reset(name):
    metric, fresh = METRICS[name](), METRICS[name]().get()
    if isinstance(fresh, float):
        assert math.isnan(fresh)
    else:
        assert fresh.shape == ((CLASSES, CLASSES) if name == "matrix" else (CLASSES,)) and not fresh.any()
    assert same(metric.update(np.zeros(0, int), np.zeros((0, CLASSES))).get(), fresh)
    outputs, labels = scores()
    expected = METRICS[name]().update(labels[:20], outputs[:20]).get()
    assert not same(metric.update(labels, outputs).get(), fresh)
    metric.reset()
    assert same(metric.get(), fresh)
    assert same(metric.update(labels[:20], outputs[:20]).get(), expected)


@EACH
def test_types_and_independence(name):
    outputs, labels = scores()
    metric = METRICS[name]().update(labels, outputs)
    value = metric.get()
    if isinstance(value, np.ndarray):
        assert value.dtype == (np.int64 if name == "matrix" else np.float64)
        expected = value.copy()
        value[:] = 7
        assert same(metric.get(), expected)
    else:
        assert type(value) is float
    before = metric.get()
    METRICS[name]().update(labels[:1], outputs[:1])
    assert same(metric.get(), before)


# ---- errors ----

SCORES = np.zeros((4, CLASSES))
LABELS = np.array([0, 1, 4, 2])
BAD = {
    "scalar": (1, LABELS, r"y_pred must have shape .*, not \(\)"),
    "rank 3": (SCORES[None], LABELS, r"y_pred must have shape .*, not \(1, 4, 5\)"),
    "no classes": (SCORES[:, :0], LABELS, r"y_pred must have shape .*, not \(4, 0\)"),
    "strings": (np.full((4, CLASSES), "1"), LABELS, "y_pred must be real numbers, not <U1"),
    "objects": (SCORES.astype(object), LABELS, "y_pred must be real numbers, not object"),
    "complex": (SCORES * 1j, LABELS, "y_pred must be real numbers, not complex128"),
    "bools": (SCORES > 0, LABELS, "y_pred must be real numbers, not bool"),
    "few labels": (SCORES, LABELS[:3], r"y_true must have shape \(4,\), one for each of y_pred, not \(3,\)"),
    "many labels": (SCORES, np.tile(LABELS, 2), r"y_true must have shape \(4,\), one for each of y_pred, not \(8,\)"),
    "one-hot": (SCORES, np.eye(CLASSES, dtype=int)[LABELS], r"y_true must have shape \(4,\), .* not \(4, 5\)"),
    "one label": (SCORES, 1, r"y_true must have shape \(4,\), .* not \(\)"),
    "float labels": (SCORES, LABELS * 1.0, "y_true must be integers, the numbers of classes, not float64"),
    "bool labels": (SCORES, LABELS > 1, "y_true must be integers, the numbers of classes, not bool"),
    "None": (SCORES, [None] * 4, "y_true must be integers, the numbers of classes, not object"),
    "negative": (SCORES, LABELS - 1, "y_true must be from 0 to 4, not -1"),
    "too high": (SCORES, LABELS + 1, "y_true must be from 0 to 4, not 5"),
    "huge": (SCORES, np.full(4, 2**64 - 1, np.uint64), "y_true must be from 0 to 4, not 18446744073709551615"),
}
BAD_PREDICTIONS = {
    "floats": (LABELS * 1.0, LABELS, r"y_pred of shape \(n,\) must be integers, the numbers of classes, not float64"),
    "negative": (LABELS - 1, LABELS, r"y_pred of shape \(n,\) must be from 0 to .*, not -1"),
    "huge": (np.full(4, 2**63, np.uint64), LABELS, r"y_pred of shape \(n,\) must be from 0 to .*, not 92233720"),
    "labels": (LABELS, -LABELS, "y_true must be from 0 to .*, not -1"),
    "too few": (LABELS[:3], LABELS, r"y_true must have shape \(3,\), one for each of y_pred, not \(4,\)"),
}
BAD_COUNTED = {
    "classes": (np.zeros((4, 6)), LABELS, r"y_pred must have shape \(n, 5\) or \(n,\), not \(4, 6\)"),
    "prediction": (LABELS + 1, LABELS, r"y_pred of shape \(n,\) must be from 0 to 4, not 5"),
    "label": (LABELS, LABELS + 1, "y_true must be from 0 to 4, not 5"),
}
CASES = [(name, *case) for name in METRICS for case in BAD.values()]
CASES += [(name, *case) for name in ["accuracy", *COUNTED] for case in BAD_PREDICTIONS.values()]
CASES += [(name, *case) for name in COUNTED for case in BAD_COUNTED.values()]


@pytest.mark.parametrize("name, outputs, labels, message", CASES)
def test_what_is_wrong_changes_nothing(name, outputs, labels, message):
    metric = METRICS[name]().update(*scores(20)[::-1])
    before = metric.get()
    with pytest.raises(ValueError, match=message):
        metric.update(labels, outputs)
    assert same(metric.get(), before)
    more = scores(9, seed=1)[::-1]
    expected = METRICS[name]().update(*scores(20)[::-1]).update(*more).get()
    assert same(metric.update(*more).get(), expected)


@pytest.mark.parametrize("value", [0, -1, 2.0, np.nan, True, 2**31, 10**30, "3", None])
@pytest.mark.parametrize("kind", [pm.TopK, pm.ConfusionMatrix, pm.Precision, pm.Recall])
def test_bad_parameters(kind, value):
    name = "k" if kind is pm.TopK else "classes"
    limits = r"from 1 (on|to 2\*\*31 - 1), not "
    with pytest.raises(ValueError, match=f"{name} of {kind.__name__} must be a whole number {limits}"):
        kind(value)


# ---- names and looks ----


def test_public_names():
    assert pm.metrics is metrics and "metrics" in pm.__all__
    assert all(getattr(pm, name) is getattr(metrics, name) for name in metrics.__all__)
    assert set(metrics.__all__) <= set(pm.__all__)


def test_looks():
    assert repr(pm.Accuracy()) == "Accuracy: nan"
    assert str(pm.Accuracy().update([1] * 9712 + [0] * 288, [1] * 10000)) == "Accuracy: 0.9712"
    assert repr(pm.TopK().update([1], [[1, 0]])) == "TopK(5): 1.0000"
    assert repr(pm.ConfusionMatrix(3).update(TRUE, PREDICTED)) == "ConfusionMatrix:\n[[2 1 0]\n [1 3 0]\n [1 1 0]]"
    assert repr(pm.Recall(3).update(TRUE, PREDICTED)) == "Recall: [0.6667 0.75   0.    ]"
    assert repr(pm.Precision(2)) == "Precision: [0. 0.]"


def test_a_metric_of_ones_own_says_what_is_missing():
    class Half(pm.Metric):
        def reset(self):
            self.n = 0

    for use in (lambda: Half().update([0], [0]), lambda: Half().get()):
        with pytest.raises(NotImplementedError, match="Half does not say"):
            use()
    with pytest.raises(NotImplementedError, match="Metric does not say how to start anew"):
        pm.Metric()
