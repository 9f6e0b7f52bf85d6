"""Averages of the weights, and batch norm's statistics for them."""

import numpy as np
import pytest
from comparing import TOLERANCE

import pymnistcnn as pm

RNG = np.random.default_rng(0)
X = RNG.integers(0, 256, (70, 1, 8, 8), np.uint8)
LABELS = (X.reshape(70, 4, 16).mean(axis=2).argmax(axis=1)).astype(np.int64)


class Double(pm.PythonLayer):
    def forward(self, x, training):
        return 2 * x

    def backward(self, dy):
        return 2 * dy


def normed(*more, seed=1, dtype="float32"):
    inside = pm.Residual([pm.Conv2d(4, 3, padding=1), pm.BatchNorm2d(momentum=None)])
    layers = [pm.Rescaling(1 / 255), *more, pm.Conv2d(4, 3), pm.BatchNorm2d(), pm.ReLU(), inside, pm.MaxPool2d(2)]
    return pm.Sequential([*layers, pm.Flatten(), pm.Dropout(0.2), pm.Linear(4)], (1, 8, 8), seed, dtype)


def fit(model, **arguments):
    how = {"epochs": 4, "batch_size": 16, "optimizer": pm.SGD(0.05, momentum=0.9), "progress": False, "threads": 1}
    return model.fit((X, LABELS), **{**how, **arguments})


def weights(model):
    return model.network.param.tobytes()


class Kept(pm.Callback):
    """The weights after each step."""

    every = 1

    def __init__(self):
        self.weights = []

    def on_batches(self, training):
        self.weights.append(training.network.param.astype(np.float64))


# ---- stochastic weight averaging ----


@pytest.mark.parametrize("start, first", [(0, 0), (0.5, 10), (0.74, 14), (0.75, 15), (0.99, 19)])
def test_a_stochastic_average_is_the_mean_of_the_last_steps(start, first, isa, dtype):
    model, kept = pm.Sequential([pm.Rescaling(1 / 255), pm.Flatten(), pm.Linear(4)], (1, 8, 8), dtype=dtype), Kept()
    history = fit(model, average=pm.StochasticAverage(start), callbacks=[kept], isa=isa, validation=(X, LABELS))
    assert len(kept.weights) == 20
    expected = np.mean(kept.weights[first:], axis=0)
    np.testing.assert_allclose(model.network.param, expected, rtol=10 * TOLERANCE[dtype], atol=TOLERANCE[dtype])
    assert history.validation_loss[-1] == model.evaluate((X, LABELS), isa=isa, threads=1).loss


def test_until_it_starts_the_weights_are_what_is_validated():
    plain, averaged = normed(), normed()
    losses = [fit(m, average=a, validation=(X, LABELS), epochs=2).validation_loss
              for m, a in ((plain, None), (averaged, pm.StochasticAverage(0.99)))]  # fmt: skip
    assert losses[1][0] == pytest.approx(losses[0][0], rel=0.5)  # with other statistics of batch norm
    for name, array in plain.state_dict().items():
        if "running" not in name and "tracked" not in name:
            np.testing.assert_allclose(averaged.state_dict()[name], array, rtol=1e-5, atol=1e-6)


def test_an_average_does_not_depend_on_threads_and_slices():
    how = dict(average=pm.StochasticAverage(0.3), validation=(X, LABELS))
    one, two, sliced = normed(), normed(), normed()
    histories = [fit(one, **how), fit(two, **how, threads=3), fit(sliced, **how, callbacks=[Kept()])]
    assert weights(one) == weights(two) == weights(sliced)
    assert histories[0].validation_loss == histories[1].validation_loss == histories[2].validation_loss


def test_an_average_with_python_in_each_step():
    own, same = normed(Double()), normed(pm.Rescaling(2))
    with pytest.warns(pm.SlowWarning):
        fit(own, average=pm.StochasticAverage(0.5), shuffle=False)
    fit(same, average=pm.StochasticAverage(0.5), shuffle=False)
    assert own.evaluate((X, LABELS)).loss == pytest.approx(same.evaluate((X, LABELS)).loss, rel=0.5)


@pytest.mark.parametrize("start", [-0.1, 1, np.nan, "half", None])
def test_bad_starts(start):
    with pytest.raises(ValueError, match=r"start of StochasticAverage must be a number from 0 to 1 \(excluded\)"):
        pm.StochasticAverage(start)


def test_a_stream_without_an_end_has_no_last_part():
    def chunks():
        yield X, LABELS

    with pytest.raises(ValueError, match="needs to know how long the training is: give steps_per_epoch"):
        normed().fit(chunks, average=pm.StochasticAverage(), progress=False)
    model = normed()
    model.fit(chunks, average=pm.StochasticAverage(), steps_per_epoch=3, batch_size=16, progress=False)
    assert np.isfinite(model.network.param).all()


# ---- batch norm ----


@pytest.mark.parametrize("average", [0.9, pm.StochasticAverage(0.5)], ids=str)
def test_an_average_has_its_own_statistics(average):
    """Those of the training data: to compute them once more changes nothing but what dropout behind them draws."""
    model = normed()
    history = fit(model, average=average, validation=(X, LABELS))
    assert history.validation_loss[-1] == model.evaluate((X, LABELS), threads=1).loss
    before = model.network.param.copy()
    pm.update_batch_norm(model, X[::-1])
    np.testing.assert_allclose(model.network.param, before, rtol=1e-4, atol=1e-6)


def test_nothing_was_trained_and_nothing_changes():
    model = normed()
    before = weights(model)

    class Refuses(pm.Callback):
        def on_train_begin(self, training):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fit(model, average=0.9, callbacks=[Refuses()])
    assert weights(model) == before


def statistics(x):
    return x.mean(axis=0), x.var(axis=0, ddof=1)


def test_statistics_are_those_of_the_inputs(isa, dtype):
    model = pm.Sequential([pm.BatchNorm1d(), pm.Linear(5), pm.BatchNorm1d(momentum=0.7)], (3,), 1, dtype)
    x = (100 + RNG.normal(size=(40, 3)) * [1, 10, 0.1]).astype(dtype)
    trained = {name: array.copy() for name, array in model.state_dict().items()}
    pm.update_batch_norm(model, x, isa=isa, batch_size=40)
    first, linear, last = model.layers
    for layer, seen in ((first, x.astype(np.float64)), (last, linear.forward((x - x.mean(axis=0)) / x.std(axis=0)))):
        for name, expected in zip(("running_mean", "running_var"), statistics(seen), strict=True):
            np.testing.assert_allclose(layer.buffers[name], expected, rtol=1e-3, atol=1e-3)
        assert layer.buffers["num_batches_tracked"] == 1
    for name in ("0.weight", "0.bias", "1.weight", "1.bias"):
        assert np.array_equal(model.state_dict()[name], trained[name])
    assert (first.momentum, last.momentum) == (0.1, 0.7)


def test_each_batch_counts_the_same():
    model, x = pm.Sequential([pm.BatchNorm1d()], (2,)), RNG.normal(size=(25, 2)).astype(np.float32)
    pm.update_batch_norm(model, x, batch_size=10)
    batches = [statistics(x[start : start + 10]) for start in (0, 10, 20)]
    mean, var = np.mean(batches, axis=0)
    np.testing.assert_allclose(model.layers[0].buffers["running_mean"], mean, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(model.layers[0].buffers["running_var"], var, rtol=1e-5)
    assert model.layers[0].buffers["num_batches_tracked"] == 3


def test_statistics_do_not_depend_on_threads_and_what_was_before():
    one, two = (normed(pm.Augmentation(shift=1)) for _ in range(2))
    two.forward(X)
    pm.update_batch_norm(one, X, batch_size=32, threads=1)
    pm.update_batch_norm(two, X, batch_size=32, threads=3)
    assert weights(one) == weights(two)


def test_statistics_with_python_among_the_layers():
    own, same = normed(Double()), normed(pm.Rescaling(2))
    pm.update_batch_norm(own, X)
    pm.update_batch_norm(same, X)
    for a, b in zip(own.state_dict().values(), same.state_dict().values(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def test_statistics_that_would_be_nan():
    model, x = pm.Sequential([pm.BatchNorm1d()], (2,)), np.ones((5, 2), np.float32)
    x[3, 1] = np.nan
    before = weights(model)
    with pytest.raises(ValueError, match="inputs make a mean or a variance NaN or infinite"):
        pm.update_batch_norm(model, x)
    assert weights(model) == before


@pytest.mark.parametrize("how, match", [
    (dict(x=np.ones((5, 3), np.float32)), r"inputs must have shape \(n, 2\)"),
    (dict(batch_size=0), "batch_size must be"),
    (dict(threads=0), "threads must be"),
    (dict(isa="mmx"), "isa must be"),
])  # fmt: skip
def test_bad_arguments(how, match):
    model = pm.Sequential([pm.BatchNorm1d()], (2,))
    with pytest.raises(ValueError, match=match):
        pm.update_batch_norm(model, **{"x": np.ones((5, 2), np.float32), **how})


def test_a_network_without_batch_norm_stays_as_it_is():
    model = pm.Sequential([pm.Linear(2)], (2,))
    before = weights(model)
    pm.update_batch_norm(model, np.ones((5, 2), np.float32))
    assert weights(model) == before


def test_statistics_are_pytorchs():
    torch = pytest.importorskip("torch", reason="needs torch")
    model = pm.Sequential([pm.Conv2d(4, 3), pm.BatchNorm2d(), pm.ReLU(), pm.Flatten(), pm.Linear(3)], (1, 8, 8))
    module, x = model.to_torch(), (X / 255).astype(np.float32)
    torch.optim.swa_utils.update_bn([torch.from_numpy(x[start : start + 32]) for start in (0, 32, 64)], module)
    pm.update_batch_norm(model, x, batch_size=32)
    for name, array in module.state_dict().items():
        np.testing.assert_allclose(model.state_dict()[name], array.numpy(), rtol=1e-5, atol=1e-6)
