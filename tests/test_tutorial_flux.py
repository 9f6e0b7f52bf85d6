"""Flux's tutorial: its network, its loop with every ending, what it logs; slow: its accuracy."""

import logging

import numpy as np
import pytest

import pymnistcnn as pm
from pymnistcnn.tutorials import flux as tutorial
from pymnistcnn.tutorials.flux import Args, flux

START = ["Loading data set", "Building model...", "Beginning training loop..."]
SAVED = " -> New best accuracy! Saving model out to mnist_conv.safetensors"
EARLY = " -> Early-exiting: We reached our target accuracy of 99.9%"
CONVERGED = " -> We're calling this converged."


def dropped(rate):
    return f" -> Haven't improved in a while, dropping learning rate to {rate}!"


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def few(**settings):
    return flux(**{"epochs": 1, "limit": 300, "threads": 1, **settings})


@pytest.fixture
def scripted(monkeypatch):
    """A loop whose accuracies are given, and whose epochs cost nothing: returns its messages and rates."""

    def run(accuracies, **settings):
        accuracies, rates = iter(accuracies), []
        monkeypatch.setattr(tutorial, "accuracy", lambda *_: next(accuracies))
        monkeypatch.setattr(pm.Sequential, "fit", lambda *_, optimizer, **__: rates.append(optimizer.lr))
        model, _ = tutorial.train(Args(**settings))
        return model, rates

    return run


def messages(caplog):
    found = [record.getMessage() for record in caplog.records if record.name == "pymnistcnn.tutorials.flux"]
    caplog.clear()
    return found


@pytest.fixture(autouse=True)
def told(caplog):
    caplog.set_level(logging.INFO, "pymnistcnn.tutorials.flux")


# ---- what it logs ----


def test_messages(caplog, capsys):
    outcome = few(epochs=1)
    shown = messages(caplog)
    accuracy = outcome.test_accuracy
    assert shown == [*START, f"[1]: Test accuracy: {accuracy:.4f}", SAVED, f"accuracy(test_set..., model) = {accuracy}"]
    captured = capsys.readouterr()
    assert captured.out.splitlines() == shown
    assert captured.err == ""


def test_logging_is_as_it_was_afterwards(caplog):
    log = logging.getLogger("pymnistcnn.tutorials.flux")
    log.setLevel(logging.ERROR)
    few()
    assert log.level == logging.ERROR and log.handlers == []


def test_outcome():
    outcome = few(epochs=2)
    assert (outcome.images, outcome.epochs, outcome.full_test_accuracy) == (600, 2, None)
    assert outcome.train_seconds > 0


# ---- the loop ----


def test_ties_count_as_improvements(caplog, scripted):
    model, _ = scripted([0.5, 0.4, 0.5], epochs=3)
    assert messages(caplog)[3:] == [
        "[1]: Test accuracy: 0.5000",
        SAVED,
        "[2]: Test accuracy: 0.4000",
        "[3]: Test accuracy: 0.5000",
        SAVED,
    ]
    assert model.notes == {"epoch": 3, "accuracy": 0.5}
    assert pm.load("mnist_conv.safetensors").notes == {"epoch": 3, "accuracy": 0.5}


def test_early_exit_comes_before_saving(caplog, scripted):
    scripted([0.5, 0.9989, 0.999, 1.0], epochs=4)
    assert messages(caplog)[5:] == [
        "[2]: Test accuracy: 0.9989",
        SAVED,
        "[3]: Test accuracy: 0.9990",
        EARLY,
    ]
    assert pm.load("mnist_conv.safetensors").notes == {"epoch": 2, "accuracy": 0.9989}


def test_rate_drops_after_five_epochs_and_counts_anew(caplog, scripted):
    _, rates = scripted([0.9] + [0.5] * 11, epochs=12, lr=1e-2)
    assert np.allclose(rates, [1e-2] * 6 + [1e-3] * 5 + [1e-4], rtol=1e-12)
    shown = messages(caplog)
    assert [
        shown.index(dropped(rate)) - shown.index(f"[{epoch}]: Test accuracy: 0.5000")
        for rate, epoch in (("0.001", 6), ("0.0001", 11))
    ] == [1, 1]


def test_converged_after_ten_epochs_at_the_lowest_rate(caplog, scripted):
    _, rates = scripted([0.9] + [0.5] * 30, epochs=30, lr=3e-6)
    # 3e-7 from epoch 7 on: that is no longer over 1e-6, and after 10 more epochs it ends
    assert np.allclose(rates, [3e-6] * 6 + [3e-7] * 10, rtol=1e-12)
    shown = messages(caplog)
    assert shown.count(dropped("3e-07")) == 1
    assert shown[-2:] == ["[16]: Test accuracy: 0.5000", CONVERGED]


def test_levels(caplog, scripted):
    scripted([0.9] + [0.5] * 30, epochs=30, lr=3e-6)
    levels = {record.getMessage(): record.levelname for record in caplog.records}
    assert levels[SAVED] == "INFO" and levels[dropped("3e-07")] == levels[CONVERGED] == "WARNING"


def test_nan_stops_and_what_was_saved_is_tested(caplog, monkeypatch):
    fit, calls = pm.Sequential.fit, []

    def diverging(self, *arguments, **named):
        calls.append(1)
        if len(calls) == 3:
            raise FloatingPointError("training diverged")
        return fit(self, *arguments, **named)

    monkeypatch.setattr(pm.Sequential, "fit", diverging)
    outcome = few(epochs=5)
    shown = messages(caplog)
    assert shown[-2:] == ["NaN params", f"accuracy(test_set..., model) = {outcome.test_accuracy}"]
    assert outcome.epochs == 2 and outcome.images == 600


def test_a_real_nan_in_the_first_epoch(folder, caplog, monkeypatch):
    build = tutorial.build_model

    def too_large(args, **named):
        model = build(args, **named)
        for weights in model.state_dict().values():
            weights *= 1e30
        return model

    monkeypatch.setattr(tutorial, "build_model", too_large)
    outcome = few()
    assert messages(caplog) == [*START, "NaN params"]
    assert outcome.epochs == outcome.images == outcome.images_per_second == outcome.test_accuracy == 0
    assert list(folder.iterdir()) == []  # nothing to test, and nothing saved


def test_an_old_file_is_not_taken_for_this_training(caplog, scripted, monkeypatch):
    few()
    monkeypatch.setattr(tutorial, "accuracy", lambda *_: 0.9995)
    caplog.clear()
    assert few(seed=2).test_accuracy == 0.9995
    assert messages(caplog)[-1] == EARLY


# ---- settings, network, data ----


def test_defaults():
    args = Args()
    assert (args.lr, args.epochs, args.batch_size, args.savepath) == (3e-3, 20, 128, "./")


def test_settings_by_name(folder, caplog):
    (folder / "deep").mkdir()
    few(savepath="deep", output="best", seed=5, dtype="float64", batch_size=50)
    assert SAVED.replace("mnist_conv.safetensors", "best") in messages(caplog)
    assert pm.load(folder / "deep" / "best").dtype == np.float64
    with pytest.raises(TypeError, match="rate"):
        flux(rate=1)


def test_network_of_another_size():
    model = tutorial.build_model(Args(), imgsize=(20, 24, 3), nclasses=7)
    assert model.input_shape == (3, 20, 24)
    assert model.predict_outputs(np.zeros((2, 3, 20, 24), np.uint8)).shape == (2, 7)
    assert {name: w.shape for name, w in tutorial.build_model(Args()).state_dict().items()}["10.weight"] == (10, 288)


def test_data_of_a_folder(folder):
    train, test = pm.datasets.mnist()
    for stem, data in (("train", train[:120]), ("t10k", test[:30])):
        pm.datasets.write_idx(folder / f"{stem}-images-idx3-ubyte", data.images[:, 2:26, 4:24])
        pm.datasets.write_idx(folder / f"{stem}-labels-idx1-ubyte", data.labels.astype(np.uint8))
    assert few(data=folder, limit=None).images == 120


def test_batches_are_in_file_order_and_saved_weights_are_those_of_a_plain_training():
    few(epochs=2)
    train, _ = pm.datasets.mnist()
    model = tutorial.build_model(Args())
    model.fit(train[:300], epochs=2, batch_size=128, optimizer=pm.Adam(3e-3), shuffle=False, progress=False)
    saved = pm.load("mnist_conv.safetensors")
    assert saved.notes["epoch"] == 2
    assert saved.network.param.tobytes() == model.network.param.tobytes()


# ---- its numbers ----


@pytest.mark.slow
def test_accuracy_after_20_epochs():
    accuracies = [flux(seed=seed).test_accuracy for seed in range(5)]
    assert np.mean(accuracies) >= 0.990, accuracies
