"""What a call leaves behind: nothing that it was not asked for."""

import os
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest

import pymnistcnn as pm
from pymnistcnn.functional import single

F = pm.functional
RNG = np.random.default_rng(0)
X, LABELS = RNG.standard_normal((60, 6)).astype(np.float32), np.arange(60) % 3


def model(seed=0):
    return pm.Sequential([pm.Linear(8), pm.BatchNorm1d(), pm.ReLU(), pm.Linear(3)], (6,), seed)


def weights(of):
    return {name: w.copy() for name, w in of.state_dict().items()}


def same(a, b):
    return a.keys() == b.keys() and all((a[name] == b[name]).all() for name in a)


class Looks(pm.Callback):
    every = 2

    def __init__(self, *losses):
        self.losses, self.values = losses, []

    def on_batches(self, training):
        values = np.eye(3)[LABELS]
        for loss in self.losses:
            targets = LABELS if isinstance(loss, pm.CrossEntropyLoss) else values
            self.values.append(training.model.evaluate(X, targets, loss=loss).loss)


def test_the_loss_belongs_to_the_call():
    trained = []
    for callbacks in ([], [Looks(pm.MSELoss())], [Looks(pm.CrossEntropyLoss(label_smoothing=0.5), pm.MSELoss())]):
        made = model()
        made.fit(X, LABELS, epochs=3, batch_size=10, callbacks=callbacks, progress=False)
        trained.append(weights(made))
    assert same(trained[0], trained[1]) and same(trained[0], trained[2])


def test_evaluate_takes_the_loss_of_the_last_fit_and_fit_its_own():
    made, values = model(), np.eye(3)[LABELS].astype(np.float32)
    made.evaluate(X, values, loss=pm.MSELoss())
    assert made.evaluate(X, LABELS).loss == made.evaluate(X, LABELS, loss=pm.CrossEntropyLoss()).loss
    made.fit(X, values, loss=pm.MSELoss(), progress=False)
    assert made.evaluate(X, values).loss == made.evaluate(X, values, loss=pm.MSELoss()).loss
    made.fit(X, LABELS, progress=False)  # CrossEntropyLoss, which is not given
    assert made.evaluate(X, LABELS).loss == made.evaluate(X, LABELS, loss=pm.CrossEntropyLoss()).loss


def test_two_threads_evaluate_with_two_losses():
    made, wrong = model(), []
    values = np.eye(3)[LABELS].astype(np.float32)
    expected = made.evaluate(X, LABELS).loss, made.evaluate(X, values, loss=pm.MSELoss()).loss

    def evaluate(targets, loss, right):
        wrong.extend(1 for _ in range(300) if made.evaluate(X, targets, loss=loss).loss != right)

    both = [(LABELS, pm.CrossEntropyLoss(), expected[0]), (values, pm.MSELoss(), expected[1])]
    threads = [threading.Thread(target=evaluate, args=one) for one in both]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


class Fits(pm.Callback):
    """Fits a model in the middle of a training."""

    def __init__(self, other, optimizer):
        self.other, self.optimizer = other, optimizer

    def on_epoch_end(self, training):
        self.other.fit(X, LABELS, optimizer=self.optimizer, progress=False)


def test_an_optimizer_is_in_one_training_at_a_time():
    optimizer, first, second = pm.Adam(), model(1), model(2)
    with pytest.raises(ValueError, match="this Adam is in another training"):
        first.fit(X, LABELS, optimizer=optimizer, callbacks=[Fits(second, optimizer)], progress=False)
    first.fit(X, LABELS, optimizer=optimizer, progress=False)  # it is free again
    second.fit(X, LABELS, optimizer=optimizer, progress=False)


def test_a_model_is_in_one_training_at_a_time():
    made = model()
    with pytest.raises(ValueError, match="this Sequential is in another training"):
        made.fit(X, LABELS, callbacks=[Fits(made, pm.SGD())], progress=False)
    made.fit(X, LABELS, progress=False)


def test_an_interrupted_validation_leaves_no_mixture(monkeypatch):
    """Whatever is validated are weights of their own: the model's stay, until it ends with the average of all."""
    made, seen = model(), {}

    class Watch(pm.Callback):
        def on_epoch_end(self, training):
            seen["plain"], seen["average"] = weights(made), training.validated.copy()
            if len(training.history) == 2:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        made.fit(X, LABELS, epochs=5, average=0.9, validation=(X, LABELS), callbacks=[Watch()], progress=False)
    ended = {name: view for name, view in made.named(seen["average"]).items()}
    assert same(weights(made), ended) and not same(seen["plain"], ended)


@pytest.mark.parametrize("training", [2**40, 2, "yes", None])
def test_a_refused_call_leaves_a_layer_as_it_was(training):
    layer = pm.Dropout(0.5)
    with pytest.raises(ValueError, match="training must be True or False"):
        layer.forward(X, training=training)
    assert (layer.forward(X) == pm.Dropout(0.5).forward(X)).all()


def test_a_signal_handler_may_not_use_a_model_at_work():
    code = """
import os, signal, threading, numpy as np, pymnistcnn as pm
x = np.random.default_rng(0).random((3000, 1, 28, 28), np.float32)
model = pm.Sequential([pm.Conv2d(64, 5), pm.ReLU(), pm.Conv2d(64, 5), pm.Flatten(), pm.Linear(10)], (1, 28, 28))
def handler(*_):
    try:
        print(model.predict(x[:1]).shape)
    except RuntimeError as error:
        print(error)
signal.signal(signal.SIGUSR1, handler)
threading.Timer(1, lambda: os.kill(os.getpid(), signal.SIGUSR1)).start()
model.fit(x, np.zeros(len(x), int), batch_size=len(x), progress=False)
print("done")
"""
    result = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, timeout=300)
    assert result.stdout.splitlines()[-1] == "done" and ("in use" in result.stdout or "(1,)" in result.stdout)


def test_a_child_forked_during_a_training_can_predict():
    made, stop = model(), threading.Event()
    expected = made.predict_outputs(X[:1]).shape

    def train():
        while not stop.is_set():
            made.fit(X, LABELS, epochs=20, batch_size=2, progress=False)

    thread = threading.Thread(target=train)
    thread.start()
    try:
        for _ in range(20):
            child = os.fork()
            if child == 0:
                signal.alarm(20)
                os._exit(0 if made.predict_outputs(X[:1]).shape == expected else 1)
            assert os.waitpid(child, 0)[1] == 0
    finally:
        stop.set()
        thread.join()


# ---- what is told of NaN ----


def test_the_images_that_hold_nan_are_named():
    x, y = X.copy(), RNG.standard_normal((60, 3)).astype(np.float32)
    x[17, 2] = np.nan
    with pytest.raises(pm.Diverged, match="NaN or infinity is in its images 17") as caught:
        model().fit(x, y, loss=pm.MSELoss(), batch_size=20, shuffle=False, progress=False)
    assert caught.value.bad_images.tolist() == [17] and len(caught.value.bad_targets) == 0
    y[18, 1] = np.inf
    with pytest.raises(pm.Diverged, match="images 17 and targets 18"):
        model().fit(x, y, loss=pm.MSELoss(), batch_size=20, shuffle=False, progress=False)


def test_buffers_that_overflow_are_told():
    x = X.copy()
    x[::2] *= 1e20
    made = pm.Sequential([pm.BatchNorm1d(), pm.Linear(3)], (6,))
    before = weights(made)
    with pytest.raises(pm.Diverged, match="layer 0"):
        made.fit(x, LABELS, batch_size=60, progress=False)
    assert same(before, weights(made))


def test_a_prediction_of_nan_is_no_class():
    x = X.copy()
    x[4] = np.nan
    with pytest.raises(ValueError, match="inputs 4 have NaN"):
        model().predict(x)


def test_resuming_with_other_bits_is_refused(tmp_path):
    path = tmp_path / "run.checkpoint"
    how = dict(epochs=2, progress=False)
    model().fit(X, LABELS, checkpoint=pm.Checkpoint(path), **how)
    with pytest.raises(ValueError, match="arithmetic"):
        model().fit(X, LABELS, resume=path, isa="portable", **how)


# ---- what is kept ----


def test_functions_keep_a_bounded_number_of_bytes():
    for n in range(20):
        F.linear(np.ones((1, 2000 + n), np.float32), np.ones((1000, 2000 + n), np.float32))
    assert sum(size for _, size in single.KEPT.networks.values()) == single.KEPT.bytes <= single.MOST_BYTES


def test_big_endian_float64_is_float64():
    x = X.astype(">f8") / 3
    assert pm.Linear(2).forward(x).dtype == np.float64
    np.testing.assert_array_equal(F.tanh(x), F.tanh(x.astype(float)))


@pytest.mark.parametrize("value", [np.zeros((3, 100_000)), list(range(100_000)), "a" * 100_000, {"a" * 100_000: 1}])
def test_messages_are_short(value):
    for call in (lambda: pm.Linear(value), lambda: pm.Adam(value), lambda: pm.Sequential([value], (3,)),
                 lambda: model().fit(X, LABELS, epochs=value), lambda: pm.Sequential([pm.Linear(1)], value),
                 lambda: model().load_state_dict([value]), lambda: model().fit(X, LABELS, isa=value)):  # fmt: skip
        with pytest.raises((ValueError, TypeError)) as caught:
            call()
        assert len(str(caught.value)) < 1000 and isinstance(caught.value, ValueError)


@pytest.mark.parametrize("state", [None, 5, [1, 2], {"0.weight": "a"}])
def test_states_that_are_none(state):
    with pytest.raises(ValueError):
        model().load_state_dict(state)


def test_named_parameters_are_a_state():
    made, other = model(1), model(2)
    other.load_state_dict((name, w) for name, w in made.state_dict().items())
    assert same(weights(made), weights(other))


# ---- arguments as others have them ----


def test_class_weights_by_name():
    made = [model() for _ in range(3)]
    made[0].fit(X, LABELS, class_weight={1: 5.0}, progress=False)
    made[1].fit(X, LABELS, class_weight=[1, 5, 1], progress=False)
    made[2].fit(X, LABELS, loss=pm.CrossEntropyLoss(weight=[1, 5, 1]), progress=False)
    assert same(weights(made[0]), weights(made[1])) and same(weights(made[0]), weights(made[2]))
    with pytest.raises(ValueError, match="class"):
        model().fit(X, LABELS, class_weight={3: 1.0}, progress=False)


def test_a_pair_and_two_arrays_are_one():
    made = [model() for _ in range(2)]
    made[0].fit((X, LABELS), progress=False)
    made[1].fit(X, LABELS, progress=False)
    assert same(weights(made[0]), weights(made[1]))
    assert made[0].evaluate(X, LABELS) == made[0].evaluate((X, LABELS))
    with pytest.raises(ValueError, match="has its own labels"):
        model().fit(pm.datasets.mnist()[0][:10], 5)
