"""Many trainings at once: each as alone, and none lost."""

import os
import signal
import threading

import numpy as np
import pytest

import pymnistcnn as pm
from pymnistcnn import many
from pymnistcnn.recipes import Recipe

RNG = np.random.default_rng(0)
X = RNG.integers(0, 256, (70, 1, 8, 8), np.uint8)
LABELS = (X.reshape(70, 4, 16).mean(axis=2).argmax(axis=1)).astype(np.int64)
DATA = X, LABELS


def small(seed, callbacks=(), lr=0.05, epochs=3):
    layers = [pm.Rescaling(1 / 255), pm.Augmentation(shift=1), pm.Conv2d(4, 3), pm.BatchNorm2d(), pm.ReLU()]
    model = pm.Sequential([*layers, pm.Flatten(), pm.Dropout(0.2), pm.Linear(4)], (1, 8, 8), seed)
    optimizer = pm.SGD(lr, momentum=0.9)
    return Recipe(model, epochs, 16, optimizer, pm.Cosine(lr), callbacks=[*callbacks], average=0.8)


def trained(*arguments, **more):
    return pm.train_many(*arguments, **{"progress": False, **more})


def alone(seed, **arguments):
    recipe = small(seed)
    history = recipe.model.fit(*DATA, **{**recipe.arguments, **arguments}, progress=False, threads=1)
    return recipe.model, history


def bits(model):
    return model.network.param.tobytes()


class Does(pm.Callback):
    def __init__(self, what):
        self.on_epoch_end = what


@pytest.mark.parametrize("how", [{}, dict(workers=1), dict(workers=2), dict(workers=3, threads=1), dict(workers=8)])
def test_each_is_as_alone_in_the_order_of_the_seeds(how):
    seeds = [7, 3, 2**64 - 1, 0, 5]
    results = trained(small, seeds, DATA, validation=DATA, **how)
    assert [one.seed for one in results] == seeds
    for one in results:
        model, history = alone(one.seed, validation=DATA)
        assert bits(one.model) == bits(model) and one.error is None
        assert one.history.loss == history.loss and one.history.validation_loss == history.validation_loss


def test_arguments_take_the_place_of_the_recipe_s():
    more = dict(epochs=2, batch_size=10, schedule=pm.Constant(0.01), average=None, sample_weight=np.arange(70) / 70)
    (one,) = trained(small, [4], DATA, **more)
    assert bits(one.model) == bits(alone(4, **more)[0])


def test_a_recipe_by_its_name():
    train = pm.datasets.mnist()[0][:300]
    (one,) = trained("fast", [2], train)
    recipe = pm.recipes.fast(seed=2)
    recipe.model.fit(train, **recipe.arguments, progress=False)
    assert bits(one.model) == bits(recipe.model)


def test_the_data_are_in_memory_once():
    places = set()
    note = Does(lambda training: places.add((training.data.x.ctypes.data, training.validation[0].ctypes.data)))
    x = X.astype(np.float64)[:, 0]  # is converted, and once
    assert len(trained(lambda seed: small(seed, [note]), range(3), (x, LABELS), validation=(x, LABELS))) == 3
    assert len(places) == 1


def test_what_is_trained_gives_its_workspaces_back():
    (one,) = trained(small, [0], DATA)
    network = one.model.network
    assert network.bytes == 2 * network.param.nbytes
    assert np.array_equal(one.model.predict_outputs(X), alone(0)[0].predict_outputs(X))


# ---- endings ----


def test_one_that_diverges_does_not_stop_the_others():
    results = trained(lambda seed: small(seed, lr=1e6 if seed == 1 else 0.05), range(3), DATA)
    assert [type(one.error) for one in results] == [type(None), pm.Diverged, type(None)]
    assert results[1].history is None and "Diverged" in repr(results[1])
    with pytest.raises(pm.Diverged):
        _ = results[1].model
    for seed in (0, 2):
        assert bits(results[seed].model) == bits(alone(seed)[0])


def test_nor_does_one_whose_recipe_fails():
    def fails(seed):
        return small(seed) if seed != 8 else None

    results = trained(fails, [0, 8, 2], DATA)
    assert [one.error is None for one in results] == [True, False, True]
    with pytest.raises(ValueError, match=r"what recipe returns must be a recipes.Recipe, not None"):
        _ = results[1].model


def test_where_all_fail_that_is_an_error():
    with pytest.raises(ValueError, match="epochs must be"):
        trained(small, range(3), DATA, epochs=0)


@pytest.mark.parametrize("workers", [1, 2])
def test_ctrl_c_keeps_what_is_finished(workers):
    """It comes while the last ones are trained, which would take days."""
    begun = threading.Barrier(workers)  # as many of the last ones as train at a time, so the first two are finished

    def interrupt(training):
        if training.epoch == 0 and begun.wait() == 0:
            os.kill(os.getpid(), signal.SIGINT)

    def recipe(seed):
        return small(seed) if seed < 2 else small(seed, [Does(interrupt)], epochs=10**6)

    with pytest.raises(KeyboardInterrupt) as caught:
        trained(recipe, range(4), DATA, workers=workers)
    assert [one.seed for one in caught.value.results] == [0, 1]
    for one in caught.value.results:
        assert bits(one.model) == bits(alone(one.seed)[0])


# ---- the line ----


def test_one_line_at_the_end(capsys):
    pm.train_many(small, range(3), DATA, validation=DATA)
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and err.startswith("trained 3/3: validation ")


def test_a_bar_while_somebody_looks(capsys, monkeypatch):
    monkeypatch.setattr(many, "is_watched", lambda file: True)
    monkeypatch.setattr(many, "LOOK_SECONDS", 0.001)
    pm.train_many(small, range(3), DATA, epochs=100)
    err = capsys.readouterr().err
    assert "\rtrained 0/3 " in err and " left, " in err and err.count("\n") == 1
    assert err.splitlines()[-1].startswith("trained 3/3,")


# ---- bad arguments ----


@pytest.mark.parametrize("arguments, match", [
    (("nonsense", [0], DATA), "recipe must be one of 'fast', .* or a function that makes one, not 'nonsense'"),
    ((None, [0], DATA), "recipe must be one of"),
    ((small, 3, DATA), r"seeds must be whole numbers, such as range\(10\), not 3"),
    ((small, [], DATA), "seeds must be at least one"),
    ((small, [-1], DATA), "seed must be a whole number from 0"),
    ((small, [0.5], DATA), "seed must be a whole number"),
    ((small, [0], X), "data must be inputs and labels"),
    ((small, [0], (X[:, :, 1:], LABELS)), r"data inputs must have shape \(n, 1, 8, 8\)"),
    ((small, [0], (X, LABELS[:5])), "labels must have shape"),
])  # fmt: skip
def test_bad_arguments(arguments, match):
    with pytest.raises(ValueError, match=match):
        trained(*arguments)


@pytest.mark.parametrize("name", ["optimizer", "callbacks", "checkpoint", "verbose", "device", "nonsense"])
def test_what_trainings_cannot_share(name):
    with pytest.raises(ValueError, match=f"^{name}: not for all trainings alike, but the recipe's; all can share aver"):
        trained(small, [0], DATA, **{name: None})


@pytest.mark.parametrize("name", ["workers", "threads"])
@pytest.mark.parametrize("given", [0, -1, 1.5, "two"])
def test_bad_numbers_of_workers_and_threads(name, given):
    with pytest.raises(ValueError, match=f"{name} must be a whole number from 1 to 1024"):
        trained(small, [0], DATA, **{name: given})
