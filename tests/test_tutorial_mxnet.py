"""MXNet's tutorial: iterators, both networks and variants, what it logs; slow: its assertions."""

import inspect
import re

import numpy as np
import pytest

import pymnistcnn as pm
from pymnistcnn.tutorials import mxnet as tutorial
from pymnistcnn.tutorials.mxnet import NDArrayIter, mxnet_lenet, mxnet_mlp

TRAIN, TEST = pm.datasets.mnist()
BOTH = pytest.mark.parametrize("network", [mxnet_mlp, mxnet_lenet])


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def few(network=mxnet_mlp, **settings):
    return network(**{"epochs": 1, "limit": 300, "threads": 1, **settings})


# ---- the iterator ----


def test_batches():
    batches = list(NDArrayIter(TRAIN.images[:250], TRAIN.labels[:250], 100))
    assert [images.shape for images, _ in batches] == [(100, 1, 28, 28), (100, 1, 28, 28), (50, 1, 28, 28)]
    assert (np.concatenate([images for images, _ in batches])[:, 0] == TRAIN.images[:250]).all()
    assert (np.concatenate([labels for _, labels in batches]) == TRAIN.labels[:250]).all()


def test_unlabelled_batches():
    assert [labels for _, labels in NDArrayIter(TEST.images[:20], batch_size=10)] == [None, None]


def test_shuffled_batches_keep_labels_with_images_and_change_their_order():
    images = np.arange(250, dtype=np.uint8)[:, None, None]
    batches = NDArrayIter(images, np.arange(250), 100, shuffle=True, seed=3)
    first, second = ([(x.ravel(), y) for x, y in batches] for _ in range(2))
    for epoch in (first, second):
        assert all((x == y).all() for x, y in epoch)
        assert sorted(np.concatenate([y for _, y in epoch])) == list(range(250))
    assert not (first[0][1] == second[0][1]).all()
    again = list(NDArrayIter(images, np.arange(250), 100, shuffle=True, seed=3))
    assert (again[0][1] == first[0][1]).all()


# ---- what it prints ----


@BOTH
def test_messages(network, capsys, caplog):
    caplog.set_level("INFO")
    outcome = few(network, epochs=2, limit=450, batch_size=2)
    lines = capsys.readouterr().out.splitlines()
    number = r"\d+\.\d\d"
    expected = [r"batches of \(2, 1, 28, 28\), labels \(2,\)"]
    for epoch in range(2):
        expected += [
            rf"Epoch\[{epoch}\] Batch \[{batch}\]\tSpeed: {number} samples/sec\taccuracy=[01]\.\d{{6}}"
            for batch in (100, 200)
        ]
        expected += [
            rf"Epoch\[{epoch}\] Train-accuracy=[01]\.\d{{6}}",
            rf"Epoch\[{epoch}\] Time cost=\d+\.\d{{3}}",
            rf"Epoch\[{epoch}\] Validation-accuracy=[01]\.\d{{6}}",
        ]
    expected += [f"Accuracy: {outcome.test_accuracy:.4f}"]
    assert len(lines) == len(expected)
    for line, pattern in zip(lines, expected, strict=True):
        assert re.fullmatch(pattern, line), (line, pattern)
    assert f"Epoch[1] Validation-accuracy={outcome.test_accuracy:f}" == lines[-2]
    assert {record.name for record in caplog.records} == {"pymnistcnn.tutorials.mxnet"}
    assert [record.getMessage() for record in caplog.records] == lines[:-1]


def test_speedometer_counts_since_its_last_line(capsys):
    few(epochs=1, limit=600, batch_size=2)
    lines = capsys.readouterr().out.splitlines()
    parts = [float(line.split("accuracy=")[1]) for line in lines if "Speed" in line]
    whole = next(float(line.split("=")[1]) for line in lines if "Train-accuracy" in line)
    assert len(parts) == 3 and np.isclose(np.mean(parts), whole, atol=2e-6)


def test_outcome():
    outcome = few(epochs=2)
    assert (outcome.images, outcome.epochs, outcome.full_test_accuracy) == (600, 2, None)
    assert outcome.train_seconds > 0


# ---- networks and settings ----


def trained_with(monkeypatch, network, **settings):
    """The model and the arguments that the tutorial gives to fit."""
    given = {}
    signature = inspect.signature(pm.Sequential.fit)

    def fit(self, *arguments, **named):
        bound = signature.bind(self, *arguments, **named)
        bound.apply_defaults()
        given.update(bound.arguments)
        raise StopIteration

    monkeypatch.setattr(pm.Sequential, "fit", fit)
    with pytest.raises(StopIteration):
        network(**settings)
    return given["self"], given


@pytest.mark.parametrize(
    "network, julia, sgd, epochs",
    [
        (mxnet_mlp, False, pm.SGD(0.1), 10),
        (mxnet_lenet, False, pm.SGD(0.1), 10),
        (mxnet_mlp, True, pm.SGD(0.1, momentum=0.9, weight_decay=1e-5), 20),
        (mxnet_lenet, True, pm.SGD(0.05, momentum=0.9, weight_decay=1e-5), 20),
    ],
)
def test_settings(monkeypatch, network, julia, sgd, epochs):
    model, given = trained_with(monkeypatch, network, julia=julia, limit=200)
    assert given["optimizer"] == sgd and given["epochs"] == epochs
    assert given["batch_size"] == 100 and given["shuffle"] is True
    assert given["x"].shape == (200, 1, 28, 28) and len(given["validation"]) == 10000
    for layer in model.layers:
        for name, weights in layer.parameters.items():
            assert not weights.any() if name == "bias" else 0.0095 < abs(weights).max() <= 0.01


def test_networks():
    shapes = [
        w.shape for w in pm.Sequential(tutorial.mlp(pm.initializers.Uniform(0.01)), (1, 28, 28)).state_dict().values()
    ]
    assert shapes == [(128, 784), (128,), (64, 128), (64,), (10, 64), (10,)]
    shapes = [
        w.shape for w in pm.Sequential(tutorial.lenet(pm.initializers.Uniform(0.01)), (1, 28, 28)).state_dict().values()
    ]
    assert shapes == [(20, 1, 5, 5), (20,), (50, 20, 5, 5), (50,), (500, 800), (500,), (10, 500), (10,)]


@BOTH
def test_glorot_learns_from_the_first_batches_on(network):
    start = few(network, limit=3000)
    glorot = few(network, limit=3000, glorot=True)
    assert start.test_accuracy < 0.3 < 0.6 < glorot.test_accuracy


def test_options_reach_the_training(folder):
    files = {}
    variants = {
        "a": {},
        "again": {"threads": 2},
        "seed": {"seed": 1},
        "batch": {"batch_size": 50},
        "j": {"julia": True},
    }
    for name, settings in variants.items():
        few(output=name, **settings)
        files[name] = (folder / name).read_bytes()
    assert files["a"] == files["again"] and len(set(files.values())) == 4
    few(dtype="float64", output="double")
    assert pm.load("double").dtype == np.float64


def test_data_of_a_folder(folder):
    for stem, data in (("train", TRAIN[:120]), ("t10k", TEST[:30])):
        pm.datasets.write_idx(folder / f"{stem}-images-idx3-ubyte", data.images)
        pm.datasets.write_idx(folder / f"{stem}-labels-idx1-ubyte", data.labels.astype(np.uint8))
    assert few(data=folder, limit=None).images == 120


# ---- predict and score ----


def test_predict_and_score():
    few(output="model")
    model = pm.load("model")
    prob = tutorial.predict(model, NDArrayIter(TEST.images), threads=1)
    assert prob.shape == (10000, 10) and np.allclose(prob.sum(axis=1), 1, atol=1e-5)
    metric = pm.Accuracy()
    tutorial.score(model, NDArrayIter(TEST.images, TEST.labels), metric, threads=1)
    assert metric.get() == (prob.argmax(axis=1) == TEST.labels).mean()


def test_its_assertion_is_about_its_own_settings_only(monkeypatch):
    assert few().test_accuracy < 0.9  # and that is fine
    monkeypatch.setattr(tutorial, "score", lambda model, batches, metric, **how: metric.update([0, 0], [0, 1]))
    monkeypatch.setattr(pm.Sequential, "fit", lambda *_, **__: pm.History())
    with pytest.raises(AssertionError, match="expected an accuracy over 0.96, got 0.5"):
        mxnet_mlp()


# ---- its numbers ----


@pytest.mark.slow
@pytest.mark.parametrize("julia", [False, True])
@pytest.mark.parametrize("network, floor", [(mxnet_mlp, 0.96), (mxnet_lenet, 0.98)])
def test_accuracy(network, floor, julia):
    accuracies = [network(julia=julia, seed=seed).test_accuracy for seed in range(5)]
    assert np.mean(accuracies) > floor, accuracies
