"""Losses against the reference: value and gradient, by hand and in training."""

import cases
import numpy as np
import pytest
import reference
from comparing import TOLERANCE, agree, normal, reference_fit
from operations import LOSS_CASES, SOFTMAXES, loss_options

import pymnistcnn as pm

SIZES = ((1, 1), (1, 2), (7, 10), (33, 17), (2, 1000))
SAMPLE_WEIGHTS = pytest.mark.parametrize("weighted", [False, True], ids=["", "sample weights"])


def weights_of(rng, n):
    """Sample weights, the first of which is 0."""
    weights = rng.uniform(0.5, 2, n)
    weights[: n > 1] = 0
    return weights


def targets_of(rng, kind, n, classes, dtype):
    """Labels, with the last class among them, or floats: distributions over the classes or any numbers."""
    if kind == "labels":
        labels = rng.integers(0, classes, n)
        labels[-1] = classes - 1
        return labels
    if kind == "distributions":
        return rng.dirichlet(np.ones(classes), n).astype(dtype)
    return normal(rng, (n, classes), dtype)


def same_loss(loss, terms, outputs, targets, sample_weight, isa):
    """`terms` are the reference's (losses, counts, gradients)."""
    dtype, n = outputs.dtype.name, len(outputs)
    expected, gradient = reference.mean_loss(*terms, sample_weight)
    value = loss.forward(outputs, targets, sample_weight=sample_weight, isa=isa)
    assert isinstance(value, float)
    assert value == pytest.approx(expected, rel=TOLERANCE[dtype], abs=TOLERANCE[dtype])
    dy = loss.backward()
    assert dy.dtype == dtype
    # a gradient may cancel to nothing: what counts is its error beside 1 / n, about the largest that it could be
    np.testing.assert_allclose(dy, gradient, rtol=0, atol=4 * TOLERANCE[dtype] / n)


# ---- cross-entropy ----


@pytest.mark.parametrize("n", cases.BATCHES)
@pytest.mark.parametrize("classes", cases.CLASSES)
@pytest.mark.parametrize("spread", [1, 30, 1e4])
def test_cross_entropy(n, classes, spread, isa, dtype, ran):
    rng = np.random.default_rng(0)
    z = (spread * rng.uniform(-1, 1, (n, classes))).astype(dtype)
    if spread == 1e4:
        z[0, 0], z[0, -1] = spread, -spread
    labels = rng.integers(0, classes, n)
    same_loss(pm.CrossEntropyLoss(), reference.cross_entropy(z, labels), z, labels, None, isa)
    ran("cross_entropy", (n, classes, spread))


@SAMPLE_WEIGHTS
@pytest.mark.parametrize("n, classes", SIZES)
@pytest.mark.parametrize("kind", ["labels", "distributions"])
@pytest.mark.parametrize("label_smoothing", [0.0, 0.1])
@pytest.mark.parametrize("class_weights", [False, True])
def test_cross_entropy_of_all_kinds(kind, label_smoothing, class_weights, n, classes, weighted, isa, dtype, ran):
    rng = np.random.default_rng(0)
    z, targets = 5 * normal(rng, (n, classes), dtype), targets_of(rng, kind, n, classes, dtype)
    weight = rng.uniform(0.5, 2, classes) if class_weights else None
    if class_weights and classes > 1:
        weight[0] = 0
    terms = reference.cross_entropy(z, targets, weight, label_smoothing)
    loss = pm.CrossEntropyLoss(weight, label_smoothing)
    same_loss(loss, terms, z, targets, weights_of(rng, n) if weighted else None, isa)
    ran("cross_entropy", (n, classes, kind, label_smoothing, class_weights, weighted))


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("place", [0, 3, 16])
@pytest.mark.parametrize("kind", ["labels", "distributions"])
def test_loss_of_logits_that_are_not_numbers(kind, value, place, isa, dtype):
    rng = np.random.default_rng(0)
    z = normal(rng, (3, 17), dtype)
    z[1, place] = value
    loss = pm.CrossEntropyLoss()
    assert np.isnan(loss.forward(z, [0, 3, 16] if kind == "labels" else targets_of(rng, kind, 3, 17, dtype), isa=isa))
    assert np.isnan(loss.backward()[1]).all() and np.isfinite(loss.backward()[[0, 2]]).all()


def test_loss_of_an_impossible_class(isa, dtype):
    z = np.array([[0.0, -np.inf, 1.0]], dtype)
    loss = pm.CrossEntropyLoss()
    expected, _ = reference.mean_loss(*reference.cross_entropy(z, [0]))
    assert loss.forward(z, [0], isa=isa) == pytest.approx(expected, rel=TOLERANCE[dtype])
    assert loss.backward()[0, 1] == 0
    assert loss.forward(z, [1], isa=isa) == np.inf


def test_labels_are_the_distributions_that_are_certain(isa, dtype):
    rng = np.random.default_rng(0)
    z, labels = normal(rng, (7, 10), dtype), rng.integers(0, 10, 7)
    loss = pm.CrossEntropyLoss(label_smoothing=0.1)
    value, gradient = loss.forward(z, labels, isa=isa), loss.backward()
    assert loss.forward(z, np.eye(10, dtype=dtype)[labels], isa=isa) == pytest.approx(value, rel=TOLERANCE[dtype])
    agree(loss.backward(), gradient, TOLERANCE[dtype])


# ---- the others ----


@SAMPLE_WEIGHTS
@pytest.mark.parametrize("n, classes", SIZES)
@pytest.mark.parametrize("class_weights", [False, True])
def test_nll(class_weights, n, classes, weighted, isa, dtype, ran):
    rng = np.random.default_rng(0)
    y = reference.log_softmax(5 * normal(rng, (n, classes), dtype)).astype(dtype)
    labels = targets_of(rng, "labels", n, classes, dtype)
    weight = rng.uniform(0.5, 2, classes) if class_weights else None
    terms = reference.nll_loss(y, labels, weight)
    same_loss(pm.NLLLoss(weight), terms, y, labels, weights_of(rng, n) if weighted else None, isa)
    ran("nll", (n, classes, class_weights, weighted))


@SAMPLE_WEIGHTS
@pytest.mark.parametrize("n, features", SIZES)
def test_mse(n, features, weighted, isa, dtype, ran):
    rng = np.random.default_rng(0)
    y, targets = normal(rng, (n, features), dtype), normal(rng, (n, features), dtype)
    same_loss(pm.MSELoss(), reference.mse_loss(y, targets), y, targets, weights_of(rng, n) if weighted else None, isa)
    ran("mse", (n, features, weighted))


@SAMPLE_WEIGHTS
@pytest.mark.parametrize("n, classes", SIZES)
@pytest.mark.parametrize("kind", ["labels", "distributions", "numbers"])
def test_expected_probability(kind, n, classes, weighted, isa, dtype, ran):
    rng = np.random.default_rng(0)
    p = reference.softmax(normal(rng, (n, classes), dtype)).astype(dtype)
    targets = targets_of(rng, kind, n, classes, dtype)
    terms = reference.expected_probability_loss(p, targets)
    same_loss(pm.ExpectedProbabilityLoss(), terms, p, targets, weights_of(rng, n) if weighted else None, isa)
    ran("expected_probability", (n, classes, kind, weighted))


@pytest.mark.parametrize("loss", [pm.MSELoss(), pm.NLLLoss(), pm.ExpectedProbabilityLoss()], ids=str)
def test_losses_give_nan_on(loss, isa, dtype):
    y = normal(np.random.default_rng(0), (3, 17), dtype)
    y[1, 4] = np.nan
    targets = np.ones((3, 17), dtype) if isinstance(loss, pm.MSELoss) else [0, 4, 16]
    assert np.isnan(loss.forward(y, targets, isa=isa))
    assert np.isfinite(loss.backward()[[0, 2]]).all()


def test_weights_of_samples_are_samples_that_come_more_than_once(isa, dtype):
    rng = np.random.default_rng(0)
    z, labels, times = normal(rng, (7, 10), dtype), rng.integers(0, 10, 7), np.array([1, 3, 0, 2, 1, 5, 1])
    loss = pm.CrossEntropyLoss(rng.uniform(0.5, 2, 10))
    value = loss.forward(z, labels, sample_weight=times, isa=isa)
    expected = loss.forward(np.repeat(z, times, axis=0), np.repeat(labels, times), isa=isa)
    assert value == pytest.approx(expected, rel=TOLERANCE[dtype])


# ---- in training ----


@pytest.mark.parametrize("loss, names, targets", LOSS_CASES, ids=str)
def test_loss_in_training(loss, names, targets, isa, dtype):
    rng, options = np.random.default_rng(0), loss_options(names, 10)
    x, given = normal(rng, (22, 30), dtype), targets_of(rng, targets, 22, 10, dtype)
    softmax = SOFTMAXES.get(loss.after)
    model = pm.Sequential([pm.Linear(10), *([softmax.layer()] if softmax else [])], (30,), dtype=dtype)

    def mean_loss(weights, samples):
        z = reference.linear(x[samples], *weights)
        y = softmax.reference(z) if softmax else z
        value, dy = reference.mean_loss(*loss.reference(y, given[samples], **options))
        return value, softmax.reference_backward(dy, z) if softmax else dy

    def gradients(weights, samples, epoch):
        return reference.linear_backward(mean_loss(weights, samples)[1], x[samples], weights[0])[1:]

    optimizer = pm.SGD(0.1, momentum=0.9)
    expected = list(reference_fit(model.state_dict().values(), gradients, 22, 2, 8, optimizer))
    for weights in expected:
        fitted = loss.loss(**options)
        model.fit(
            (x, given),
            epochs=1,
            batch_size=8,
            optimizer=optimizer,
            loss=fitted,
            shuffle=False,
            progress=False,
            isa=isa,
            threads=1,
        )
        for actual, wanted in zip(model.state_dict().values(), weights, strict=True):
            agree(actual, wanted, TOLERANCE[dtype])
    wanted, _ = mean_loss(expected[-1], slice(None))
    assert model.evaluate((x, given), isa=isa).loss == pytest.approx(wanted, rel=10 * TOLERANCE[dtype])
