"""The learning-rate finder: what it finds, and that nothing is left of it."""

import copy
import pickle

import numpy as np
import pytest

import pymnistcnn as pm
from pymnistcnn.learning_rates import LearningRates

TRAIN = pm.datasets.mnist()[0][:6000]


def model(seed=0):
    layers = [pm.Rescaling(1 / 255), pm.Conv2d(8, 5, stride=2), pm.BatchNorm2d(), pm.ReLU(), pm.Dropout(0.1),
              pm.Flatten(), pm.Linear(10)]  # fmt: skip
    return pm.Sequential(layers, (1, 28, 28), seed)


def test_what_is_suggested_learns_well():
    found = pm.find_learning_rate(model(), TRAIN)
    assert 3e-4 < found.suggestion < 3e-2
    losses = {rate: model().fit(TRAIN, optimizer=pm.Adam(rate), progress=False).loss[0]
              for rate in (found.suggestion / 1000, found.suggestion, min(found.suggestion * 1000, 10))}  # fmt: skip
    assert min(losses, key=losses.get) == found.suggestion


def test_rates_grow_exponentially():
    found = pm.find_learning_rate(model(), TRAIN, lowest=1e-5, highest=1e-3, steps=21)
    assert len(found.losses) == len(found.learning_rates) == 21
    assert found.learning_rates == pytest.approx(np.logspace(-5, -3, 21))


def test_a_few_samples_are_gone_through_again():
    assert len(pm.find_learning_rate(model(), TRAIN[:100], batch_size=50, highest=1e-3, steps=9).losses) == 9


@pytest.mark.parametrize("optimizer", [pm.SGD(momentum=0.9), pm.Adam()])
def test_it_stops_where_the_training_diverges(optimizer):
    found = pm.find_learning_rate(model(), TRAIN, highest=1e5, optimizer=optimizer)
    assert 5 < len(found.losses) == len(found.learning_rates) < 100 and np.isfinite(found.losses).all()


def bits(*things):
    return [pickle.dumps(thing) for thing in things]


def test_all_is_as_it_was_to_the_bit():
    m, optimizer = model(), pm.Adam(1e-3)
    m.fit(TRAIN[:1000], optimizer=optimizer, progress=False)  # moments, running means and a place in the random order
    before, again = bits(m, optimizer, m.network.param, vars(m)["notes"]), copy.deepcopy((m, optimizer))
    np.random.seed(5)  # noqa: NPY002 - that of others
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    pm.find_learning_rate(m, TRAIN, optimizer=optimizer, steps=30)
    assert bits(m, optimizer, m.network.param, vars(m)["notes"]) == before
    assert (np.random.get_state()[1] == state).all()  # noqa: NPY002
    m.fit(TRAIN[:1000], optimizer=optimizer, progress=False)
    again[0].fit(TRAIN[:1000], optimizer=again[1], progress=False)
    assert bits(m.network.param) == bits(again[0].network.param)


def test_a_loss_and_the_arguments_of_fit():
    loss = pm.CrossEntropyLoss(label_smoothing=0.1)
    m = model()
    one, two = (pm.find_learning_rate(m, TRAIN.images, TRAIN.labels, loss=loss, threads=n, steps=20) for n in (1, 2))
    assert (one.losses == two.losses).all() and m.loss == pm.CrossEntropyLoss()
    assert one.losses[0] != pm.find_learning_rate(m, TRAIN, steps=20).losses[0]


def test_a_negative_loss():
    layers = [pm.Rescaling(1 / 255), pm.Flatten(), pm.Linear(10), pm.Softmax()]
    found = pm.find_learning_rate(pm.Sequential(layers, (1, 28, 28)), TRAIN, loss=pm.ExpectedProbabilityLoss())
    assert len(found.losses) > 60 and found.losses.min() < -0.05 and 1e-4 < found.suggestion < 1


@pytest.mark.parametrize(
    "arguments, message",
    [
        (dict(lowest=0), "lowest must be a"),
        (dict(lowest=float("nan")), "lowest must be a"),
        (dict(lowest=1, highest=0.1), "highest must be above lowest, 1, not 0.1"),
        (dict(steps=1), "steps must be a whole number from 2 on, not 1"),
        (dict(batch_size=0), "batch_size must be"),
        (dict(optimizer="adam"), "optimizer must be an optimizer"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        pm.find_learning_rate(model(), TRAIN, **arguments)


@pytest.mark.parametrize("losses", [[], [1.0], [1.0, 2, 3, 4, 5, 6], [2.0] * 9])
def test_no_suggestion(losses):
    assert LearningRates(np.logspace(-3, 0, len(losses)), np.array(losses)).suggestion is None


def test_plot(monkeypatch):
    pytest.importorskip("matplotlib", reason="needs matplotlib")
    monkeypatch.setenv("MPLBACKEND", "agg")
    from matplotlib import pyplot

    found = LearningRates(np.logspace(-4, 0, 20), 2 / (1 + np.logspace(-2, 2, 20)))
    try:
        axes = found.plot()
        assert axes.get_xscale() == "log" and axes.get_xlabel() == "learning rate"
        assert (axes.lines[0].get_ydata() == found.losses).all() and (axes.lines[1].get_ydata() == found.smoothed).all()
        assert axes.lines[2].get_xdata()[0] == found.suggestion
        assert found.plot(axes) is axes and len(axes.lines) == 6
        losses = np.concatenate([found.losses, [50.0, 4000.0]])  # where it diverges, at the end
        low, high = LearningRates(np.logspace(-4, 0, 22), losses).plot().get_ylim()
        assert low < losses.min() and losses[0] < high < 3
        assert len(LearningRates(np.zeros(0), np.zeros(0)).plot().lines) == 2  # it diverged at once
    finally:
        pyplot.close("all")
