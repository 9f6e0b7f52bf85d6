"""The epoch loop: history, order, validation, callbacks, schedules, and endings of every kind."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import pymnistcnn as pm
from pymnistcnn.sources import epoch_order

RNG = np.random.default_rng(0)
X = RNG.integers(0, 256, (70, 1, 8, 8), np.uint8)
LABELS = (X.reshape(70, 4, 16).mean(axis=2).argmax(axis=1)).astype(np.int64)  # can be learnt
BATCHES = 5  # of 16: the last has 6


def model(seed=1, dtype="float32"):
    layers = [
        pm.Rescaling(1 / 255, -0.5),
        pm.Conv2d(4, 3),
        pm.ReLU(),
        pm.MaxPool2d(2),
        pm.Flatten(),
        pm.Dropout(0.1),
        pm.Linear(4),
    ]
    return pm.Sequential(layers, input_shape=(1, 8, 8), seed=seed, dtype=dtype)


def fit(m, **arguments):
    return m.fit((X, LABELS), **{"batch_size": 16, "progress": False, "threads": 1, **arguments})


def weights(m):
    return m.network.param.tobytes()


# ---- history ----


def test_history_has_an_entry_an_epoch():
    history = fit(model(), epochs=4, validation=(X[:20], LABELS[:20]))
    assert len(history) == 4
    assert {len(values) for values in vars(history).values()} == {4}
    for seconds, speed in zip(history.seconds, history.images_per_second, strict=True):
        assert seconds > 0 and speed == 70 / seconds
    assert all(0 <= a <= 1 for a in history.accuracy + history.validation_accuracy)
    plain = fit(model(), epochs=4)
    assert plain.loss == history.loss and plain.validation_loss == plain.validation_accuracy == []


def test_training_learns():
    m = model()
    history = fit(m, epochs=60, optimizer=pm.Adam(0.01), schedule=pm.OneCycle(0.02))
    assert history.loss[-1] < history.loss[0] / 2 and m.score(X, LABELS) > 0.9


def test_history_is_the_mean_over_the_epoch():
    """With a rate of next to nothing and no dropout the epoch's means are those of the first weights."""
    layers = [pm.Rescaling(1 / 255), pm.Flatten(), pm.Linear(4)]
    m = pm.Sequential(layers, input_shape=(1, 8, 8), dtype="float64")
    before = m.evaluate((X, LABELS))
    history = fit(m, optimizer=pm.SGD(1e-15), validation=(X, LABELS))
    assert np.isclose(history.loss[0], before.loss, rtol=1e-10) and history.accuracy[0] == before.accuracy
    assert history.validation_loss == [m.evaluate((X, LABELS)).loss]
    assert history.validation_accuracy == [m.score(X, LABELS)]


def test_validation_does_not_change_the_training():
    plain, validated = model(), model()
    fit(plain, epochs=2)
    fit(validated, epochs=2, validation=(X[:33], LABELS[:33]))
    assert weights(plain) == weights(validated)


# ---- order ----


def test_the_order_is_a_permutation_by_seed_and_epoch():
    orders = {(seed, epoch): epoch_order(100, seed, epoch, True).tolist() for seed in (0, 1) for epoch in (0, 1, 2)}
    assert all(sorted(order) == list(range(100)) for order in orders.values())
    assert len({tuple(order) for order in orders.values()}) == 6
    assert all(epoch_order(100, *key, True).tolist() == order for key, order in orders.items())
    assert epoch_order(5, 3, 4, False).tolist() == [0, 1, 2, 3, 4]


def test_shuffling_is_what_the_order_says():
    """Training on samples that lie in the epoch's order already, unshuffled, gives the same bits."""
    m, other = model(), model()
    order = epoch_order(70, 1, 0, True)
    fit(m)
    other.fit((X[order], LABELS[order]), batch_size=16, shuffle=False, progress=False)
    assert weights(m) == weights(other)


def test_the_seed_decides():
    def run(seed):
        m = model(seed)
        m.load_state_dict(model(0).state_dict())
        fit(m, epochs=2)
        return weights(m)

    assert run(1) == run(1) != run(2)


# ---- a second fit ----


@pytest.mark.parametrize("optimizer", [lambda: pm.SGD(0.1, momentum=0.9, nesterov=True), lambda: pm.Adam(0.01)])
def test_a_second_fit_goes_on_where_the_first_ended(optimizer):
    once, twice = model(), model()
    whole, parts = optimizer(), optimizer()
    history = fit(once, epochs=3, optimizer=whole)
    first, second = fit(twice, epochs=1, optimizer=parts), fit(twice, epochs=2, optimizer=parts)
    assert first.loss + second.loss == history.loss
    assert weights(once) == weights(twice)


def test_an_optimizer_starts_afresh_on_another_model():
    used = pm.SGD(0.1, momentum=0.9)
    fit(model(), optimizer=used)
    m, other = model(), model()
    fit(m, optimizer=used)
    fit(other, optimizer=pm.SGD(0.1, momentum=0.9))
    assert weights(m) == weights(other)


def test_a_batch_larger_than_the_data_is_the_data():
    m, other = model(), model()
    fit(m, batch_size=70)
    fit(other, batch_size=1000)
    assert weights(m) == weights(other)


# ---- schedules ----


class Recorder:
    """A schedule that keeps what it was asked."""

    def __init__(self, schedule):
        self.schedule, self.steps, self.totals = schedule, [], set()

    def rates(self, first_step, count, total_steps):
        self.steps += range(first_step, first_step + count)
        self.totals.add(total_steps)
        return self.schedule.rates(first_step, count, total_steps)


def test_one_cycle_covers_all_steps_once():
    recorder = Recorder(pm.OneCycle(0.01))
    m, other = model(), model()
    fit(m, epochs=3, schedule=recorder)
    assert recorder.steps == list(range(3 * BATCHES)) and recorder.totals == {3 * BATCHES}
    fit(other, epochs=3, schedule=pm.OneCycle(0.01))
    assert weights(m) == weights(other)
    constant = model()
    fit(constant, epochs=3)
    assert weights(constant) != weights(m)


def test_the_optimizers_rate_is_the_schedule_if_there_is_none():
    m, other = model(), model()
    fit(m, optimizer=pm.SGD(0.05))
    fit(other, optimizer=pm.SGD(0.9), schedule=pm.Constant(0.05))
    assert weights(m) == weights(other)


def test_a_rate_of_zero_changes_nothing():
    m = model()
    before = weights(m)
    fit(m, optimizer=pm.SGD(0))
    assert weights(m) == before


# ---- callbacks ----


class Log(pm.Callback):
    """Writes down every call; stops the training at a call that it is given."""

    def __init__(self, every=None, stop_at=None):
        self.every, self.stop_at, self.calls = every, stop_at, []

    def note(self, name, training):
        self.calls.append((name, training.epoch, training.batch))
        if self.stop_at == self.calls[-1]:
            training.stop()

    def on_train_begin(self, training):
        self.note("train begin", training)

    def on_epoch_begin(self, training):
        self.note("epoch begin", training)

    def on_batches(self, training):
        assert np.isfinite(training.loss) and 0 <= training.accuracy <= 1
        self.note("batches", training)

    def on_epoch_end(self, training):
        assert len(training.history) == training.epoch + 1
        self.note("epoch end", training)

    def on_train_end(self, training):
        self.note("train end", training)


@pytest.mark.parametrize(
    "every, at", [(None, []), (1, [1, 2, 3, 4, 5]), (2, [2, 4, 5]), (3, [3, 5]), (5, [5]), (9, [5])]
)
def test_hooks_come_in_order(every, at):
    log = Log(every)
    fit(model(), epochs=2, callbacks=[log])
    expected = [("train begin", 0, 0)]
    for epoch in (0, 1):
        expected += [
            ("epoch begin", epoch, 0),
            *[("batches", epoch, b) for b in at],
            ("epoch end", epoch, BATCHES),
        ]
    assert log.calls == [*expected, ("train end", 1, BATCHES)]


def test_callbacks_do_not_disturb_each_other():
    logs = [Log(1), Log(2), Log(3), Log()]
    fit(model(), callbacks=logs)
    boundaries = [[b for name, _, b in log.calls if name == "batches"] for log in logs]
    assert boundaries == [[1, 2, 3, 4, 5], [2, 4, 5], [3, 5], []]


@pytest.mark.parametrize(
    "stop_at, epochs, last",
    [
        (("batches", 0, 2), 1, ("train end", 0, 2)),
        (("batches", 1, 4), 2, ("train end", 1, 4)),
        (("epoch end", 0, BATCHES), 1, ("train end", 0, BATCHES)),
        (("train begin", 0, 0), 0, ("train end", 0, 0)),
    ],
)
def test_a_callback_can_stop(stop_at, epochs, last):
    log, m = Log(2, stop_at), model()
    history = fit(m, epochs=3, callbacks=[log])
    assert len(history) == epochs and log.calls[-1] == last and stop_at in log.calls
    assert (weights(m) == weights(model())) == (epochs == 0)


def test_stopping_as_an_epoch_begins_trains_no_batch():
    log, m = Log(1, ("epoch begin", 1, 0)), model()
    history = fit(m, epochs=3, callbacks=[log])
    assert len(history.loss) == len(history.accuracy) and np.isfinite(history.loss).all()
    assert log.calls[-1][0] == "train end"


def test_an_error_of_a_callback_is_seen_and_the_end_is_told():
    class Fails(Log):
        def on_batches(self, training):
            raise KeyError("mine")

    log = Fails(2)
    m = model()
    with pytest.raises(KeyError, match="mine"):
        fit(m, callbacks=[log])
    assert log.calls[-1] == ("train end", 0, 2) and weights(m) != weights(model())
    fit(m)  # and it can go on


# ---- bad ends ----


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("optimizer", [pm.SGD(1e6, weight_decay=1e6), pm.SGD(1e6, momentum=0.9, weight_decay=1e6)])
def test_divergence_names_a_layer(dtype, optimizer):
    m = model(dtype=dtype)
    layer = r"layer (1 \(Conv2d\(4, 3\)\)|6 \(Linear\(4\)\))"
    message = rf"a parameter of {layer} became NaN or infinite in epoch \d+, batch \d+"
    with pytest.raises(FloatingPointError, match=message):
        fit(m, epochs=200, optimizer=optimizer)


@pytest.mark.parametrize("every", [None, 1])
def test_divergence_names_epoch_and_batch(every):
    x = (X / 255).astype(np.float32)
    x[epoch_order(70, 1, 0, True)[3 * 16 + 1]] = np.nan  # in the fourth batch of the first epoch
    layers = [pm.Flatten(), pm.Linear(8), pm.Tanh(), pm.Linear(4)]
    m = pm.Sequential(layers, input_shape=(1, 8, 8), seed=1)
    with pytest.raises(FloatingPointError, match=r"layer 1 \(Linear\(8\)\).* in epoch 1, batch 4\."):
        m.fit((x, LABELS), batch_size=16, progress=False, callbacks=[Log(every)])


def run_python(code, **arguments):
    pipes = dict(stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    return subprocess.Popen([sys.executable, "-P", "-c", code], **pipes, **arguments)


SETUP = """
import sys, numpy as np, pymnistcnn as pm
x = np.random.default_rng(0).integers(0, 256, (4000, 28, 28), np.uint8)
layers = [pm.Rescaling(1 / 255), pm.Conv2d(16, 5), pm.ReLU(), pm.MaxPool2d(2), pm.Conv2d(32, 5), pm.ReLU(),
          pm.Flatten(), pm.Linear(200), pm.Linear(10)]
model = pm.Sequential(layers, input_shape=(1, 28, 28))
before = model.network.param.copy()
"""


@pytest.mark.parametrize("batch_size, threads", [(128, 2), (1, 1), (4000, 2)])
def test_ctrl_c_keeps_what_was_learnt(batch_size, threads):
    code = (
        SETUP
        + f"""
class Begin(pm.Callback):
    every = 1
    def on_batches(self, training):
        print("training", flush=True)
        self.every = None
try:
    model.fit((x, np.arange(4000) % 10), epochs=10**6, batch_size={batch_size}, threads={threads},
              callbacks=[Begin()])
except KeyboardInterrupt:
    after = model.network.param
    print("kept", not np.array_equal(before, after), np.isfinite(after).all(), len(model.predict(x[:5])))
    sys.exit(130)
"""
    )
    child = run_python(code)
    try:
        assert child.stdout.readline() == "training\n", child.stderr.read()
        time.sleep(0.2)  # deep in it
        child.send_signal(signal.SIGINT)
        out, err = child.communicate(timeout=30)  # the promise is a second; a busy machine is no failure
    finally:
        child.kill()
        child.communicate()
    assert out.splitlines()[-1] == "kept True True 5" and child.returncode == 130, err
    assert "Traceback" not in err


def test_the_progress_bar_goes_to_standard_error():
    code = SETUP + "model.fit((x[:300], np.arange(300) % 10), epochs=2, validation=(x[:50], np.arange(50) % 10))"
    out, err = run_python(code, env={**os.environ, "COLUMNS": "120"}).communicate(timeout=60)
    assert out == "" and "epoch 1/2" in err and "epoch 2/2" in err and "validation " in err and "Traceback" not in err


def test_no_progress_is_silence(capfd):
    fit(model(), epochs=2)
    assert capfd.readouterr() == ("", "")


def test_a_progress_bar_can_go_elsewhere(tmp_path, capfd):
    with open(tmp_path / "log", "w+") as file:
        fit(model(), epochs=2, callbacks=[pm.ProgressBar(file)])
        file.seek(0)
        assert "\nepoch 2/2: loss " in file.read()
    assert capfd.readouterr() == ("", "")
