"""Callbacks that steer a training or tell of it, and what is left when a training diverges."""

import json
import math
import re
import signal

import numpy as np
import pytest

import pymnistcnn as pm
from pymnistcnn.sources import epoch_order

RNG = np.random.default_rng(0)
X = RNG.integers(0, 256, (70, 1, 8, 8), np.uint8)
LABELS = (X.reshape(70, 4, 16).mean(axis=2).argmax(axis=1)).astype(np.int64)  # can be learnt
HELD_OUT = (X[:20], LABELS[:20])
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


def fit(m, *callbacks, **arguments):
    basics = dict(epochs=3, batch_size=16, progress=False, threads=1, optimizer=pm.Adam(0.01))
    return m.fit((X, LABELS), callbacks=list(callbacks), **{**basics, **arguments})


def weights(m):
    return m.network.param.tobytes()


class Told:
    """A monitor that gives numbers told before, whatever the training does."""

    def __init__(self, *values):
        self.values = values

    def __call__(self, history):
        return list(self.values[: len(history)])


class At(pm.Callback):
    """Does something at one moment."""

    every = 1

    def __init__(self, hook, epoch, batch, do):
        self.hook, self.at, self.do = hook, (epoch, batch), do

    def look(self, hook, training):
        if hook == self.hook and (training.epoch, training.batch) == self.at:
            self.do(training)

    def on_batches(self, training):
        self.look("batches", training)

    def on_epoch_begin(self, training):
        self.look("epoch begin", training)

    def on_epoch_end(self, training):
        self.look("epoch end", training)

    def on_train_end(self, training):
        self.look("train end", training)


class WeightsOf(pm.Callback):
    """The weights after each epoch."""

    def __init__(self):
        self.seen = []

    def on_epoch_end(self, training):
        self.seen.append(weights(training.model))


# ---- EarlyStopping ----


@pytest.mark.parametrize(
    "patience, target, values, lower, epochs",
    [
        (1, None, [0.5, 0.6, 0.6, 0.9], False, 3),
        (2, None, [0.5, 0.4, 0.6, 0.6, 0.5, 0.9], False, 5),
        (2, None, [3, 2, 2, 1, 1.5, 1, 0], True, 6),
        (None, 0.6, [0.5, 0.59, 0.6, 0.7], False, 3),
        (None, 1, [3, 2, 1.001, 0.9, 0.1], True, 4),
        (1, 0.7, [0.5, 0.7, 0.6], False, 2),
        (2, None, [math.nan] * 9, False, 2),
        (2, None, [0.5, math.nan, math.nan, 0.9], True, 3),
        (None, 0.9, [0.1] * 9, False, 9),
        (None, 0, [0.0, 1], False, 1),
    ],
)
def test_early_stopping(patience, target, values, lower, epochs):
    stopping = pm.EarlyStopping(patience, target, monitor=Told(*values), lower=lower)
    for _ in range(2):  # the second fit begins afresh
        assert len(fit(model(), stopping, epochs=len(values))) == epochs


def test_the_accuracy_is_watched_unless_told_otherwise():
    class Watch(pm.Watcher):
        def on_train_begin(self, training):
            self.values = []

        def judge(self, training, value, better):
            self.values.append(value)

    watch = Watch()
    assert fit(model(), watch).accuracy == watch.values
    history = fit(model(), watch, validation=HELD_OUT)
    assert history.validation_accuracy == watch.values != history.accuracy
    watch = Watch(monitor="loss")
    assert fit(model(), watch, validation=HELD_OUT).loss == watch.values


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: pm.EarlyStopping(), "needs patience, target or both"),
        *[
            (lambda v=v: pm.EarlyStopping(v), f"patience must be a whole number from 1 on, not {v!r}")
            for v in (0, -1, 1.5, "3", True)
        ],
        *[
            (lambda v=v: pm.EarlyStopping(target=v), "target must be a finite number")
            for v in (math.nan, math.inf, "0.9", True)
        ],
        *[(lambda v=v: pm.EarlyStopping(3, monitor=v), "monitor must be one of 'loss'") for v in ("val_loss", 3, "")],
        (lambda: pm.EarlyStopping(3, monitor=lambda h: h.loss), "monitor is a function: say lower=True"),
        (lambda: pm.EarlyStopping(3, monitor="loss", lower=False), "lower must be True for loss, not False"),
        (lambda: pm.EarlyStopping(3, lower=True), "lower must be False for the accuracy, not True"),
        (lambda: pm.EarlyStopping(3, min_delta=-1), "min_delta must be a finite number from 0 on, not -1"),
        *[(lambda v=v: pm.ReduceOnPlateau(3, v), "factor must be") for v in (0, 1, 1.5, -0.1, "0.1", math.nan)],
        (lambda: pm.ReduceOnPlateau(3, min_rate=-1), "min_rate"),
        (lambda: pm.ReduceOnPlateau(0), "patience"),
        (lambda: pm.BestCheckpoint(monitor="losses"), "monitor must be one of"),
        *[(lambda v=v: pm.Speedometer(v), "every must be a whole number") for v in (0, -1, 1.5, None, True)],
        (lambda: pm.Speedometer(log="file"), "log must be a function of a line"),
    ],
)
def test_bad_arguments(make, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        make()


@pytest.mark.parametrize("monitor", [lambda h: h.validation_loss, lambda h: h.loss[:-1], lambda h: []])
def test_a_monitor_without_numbers(monitor):
    with pytest.raises(ValueError, match="monitor must give 1 numbers, one an epoch"):
        fit(model(), pm.EarlyStopping(3, monitor=monitor, lower=True))


@pytest.mark.parametrize("name", ["loss", "accuracy", "validation_loss", "validation_accuracy"])
def test_of_a_name_it_is_known_what_is_better(name):
    best = pm.BestCheckpoint(monitor=name)
    history = fit(model(), best, validation=HELD_OUT, epochs=4)
    values = getattr(history, name)
    assert best.best == (min if name.endswith("loss") else max)(values)


def test_no_validation_to_watch():
    m = model()
    before = weights(m)
    with pytest.raises(ValueError, match="EarlyStopping watches validation_loss, but `fit` was given no validation"):
        fit(m, pm.EarlyStopping(3, monitor="validation_loss"))
    assert weights(m) == before


@pytest.mark.parametrize(
    "values, lower, min_delta, epochs",
    [
        ([0.5, 0.55, 0.62, 0.63, 0.65], False, 0.1, 5),
        ([0.5, 0.55, 0.58, 0.63, 0.65], False, 0.1, 3),
        ([3, 2.5, 2.6, 1.8, 1.6], True, 0.5, 3),
        ([3, 2.5, 2, 1.8, 1.6], True, 0, 5),
    ],
)
def test_what_is_hardly_better_is_not_better(values, lower, min_delta, epochs):
    stopping = pm.EarlyStopping(2, monitor=Told(*values), lower=lower, min_delta=min_delta)
    assert len(fit(model(), stopping, epochs=len(values))) == epochs


@pytest.mark.parametrize(
    "hook, hint",
    [
        ("on_epoch_ends", "did you mean on_epoch_end?"),
        ("on_train_batch_end", "did you mean on_batches?"),
        ("on_batch_end", "did you mean on_batches?"),
        ("on_x", "there are on_train_begin, on_epoch_begin,"),
    ],
)
def test_a_misspelt_hook_is_told(hook, hint):
    with pytest.raises(TypeError, match=re.escape(f"Mine.{hook} would never be called: {hint}")):
        type("Mine", (pm.Callback,), {hook: lambda self, training: None})


# ---- BestCheckpoint ----

VALUES = [0.3, 0.7, 0.5, 0.7, 0.6, 0.1]  # the best epoch is the fourth


def ctrl_c(training):
    signal.raise_signal(signal.SIGINT)


def fail(training):
    raise OSError("mine")


def poison(training):
    for array in training.model.state_dict().values():
        array[...] = np.nan


WAYS_OUT = {
    "end": None,
    "stop": ("batches", 4, 2, lambda training: training.stop()),
    "stop at an epoch's end": ("epoch end", 4, BATCHES, lambda training: training.stop()),
    "Ctrl-C": ("batches", 4, 3, ctrl_c),
    "Ctrl-C as an epoch begins": ("epoch begin", 5, 0, ctrl_c),
    "error": ("batches", 5, 1, fail),
    "error at an epoch's end": ("epoch end", 5, BATCHES, fail),
    "error at the end": ("train end", 5, BATCHES, fail),
    "NaN": ("batches", 4, 2, poison),
}


@pytest.mark.parametrize("average", [None, 0.9])
@pytest.mark.parametrize("way", WAYS_OUT)
def test_the_best_weights_are_there_on_every_way_out(way, average, tmp_path):
    reference = model()
    fit(reference, epochs=4, average=average, schedule=pm.Constant(0.01))
    m, best = model(), pm.BestCheckpoint(tmp_path / "best", monitor=Told(*VALUES), lower=False)
    others = [At(*WAYS_OUT[way])] if WAYS_OUT[way] else []
    try:
        fit(m, *others, best, epochs=6, average=average, schedule=pm.Constant(0.01))
        assert "end" in way or "stop" in way
    except (KeyboardInterrupt, OSError, pm.Diverged):
        assert "stop" not in way
    assert weights(m) == weights(reference) == weights(pm.load(tmp_path / "best"))
    assert (best.best, best.epoch) == (0.7, 3)


def test_without_a_whole_epoch_the_weights_are_the_last():
    m, reference, best = model(), model(), pm.BestCheckpoint()
    fit(model(), best)  # what it remembers of another model is of no interest
    with pytest.raises(OSError):
        fit(m, At("batches", 0, 3, fail), best)
    with pytest.raises(OSError):
        fit(reference, At("batches", 0, 3, fail))
    assert weights(m) == weights(reference) != weights(model()) and best.epoch is None


def test_the_best_is_not_remembered_into_the_next_fit():
    class Fails(pm.Callback):
        def on_train_begin(self, training):
            raise OSError

    m, best = model(), pm.BestCheckpoint()
    fit(m, best)
    fit(m)
    after = weights(m)
    with pytest.raises(OSError):
        fit(m, Fails(), best)
    assert weights(m) == after


@pytest.mark.parametrize("validation", [None, (X[:20], X[:20, 0, 0, :1] / 255)])
def test_without_classes_the_loss_is_watched(validation):
    layers = [pm.Rescaling(1 / 255), pm.Flatten(), pm.Linear(1)]
    m, best = pm.Sequential(layers, (1, 8, 8), seed=1), pm.BestCheckpoint()
    callbacks = [best, pm.EarlyStopping(patience=2, min_delta=1e-3), pm.ReduceOnPlateau(patience=9)]
    history = m.fit(X, X[:, 0, 0, :1] / 255, loss=pm.MSELoss(), epochs=500, validation=validation, callbacks=callbacks,
                    optimizer=pm.SGD(0.005), progress=False)  # fmt: skip
    assert 5 < len(history) < 500 and np.isnan(history.accuracy).all()
    assert best.best == min(history.validation_loss or history.loss)
    assert set(history.learning_rate) == {0.005}


def test_all_nan_is_no_best():
    m, reference, best = model(), model(), pm.BestCheckpoint(monitor=Told(*[math.nan] * 3), lower=False)
    fit(m, best)
    fit(reference)
    assert weights(m) == weights(reference) and best.best is best.epoch is None


def test_lower_is_better():
    m, seen = model(), WeightsOf()
    fit(m, seen, pm.BestCheckpoint(monitor=Told(3, 1, 2), lower=True))
    assert weights(m) == seen.seen[1]


def test_a_best_model_that_cannot_be_saved_is_told_and_kept(tmp_path):
    m, reference = model(), model()
    with pytest.raises(FileNotFoundError):
        fit(m, pm.BestCheckpoint(tmp_path / "nowhere" / "best"), average=0.9)
    fit(reference, epochs=1, average=0.9)
    assert weights(m) == weights(reference)


# ---- ReduceOnPlateau ----


def test_the_rate_falls_on_a_plateau():
    values = [1, 2, 2, 2, 2, 2, 3, 3, 3]
    reduce = pm.ReduceOnPlateau(2, 0.5, monitor=Told(*values), lower=False)
    for _ in range(2):
        history = fit(model(), reduce, epochs=9, optimizer=pm.SGD(0.08))
        assert history.learning_rate == [0.08] * 4 + [0.04] * 2 + [0.02] * 3


def test_the_factor_is_on_top_of_the_schedule():
    """As if the schedule had it: to the bit."""

    class Halved:
        def rates(self, first_step, count, total_steps):
            halved = np.arange(first_step, first_step + count) >= 2 * BATCHES
            return pm.Cosine(0.1).rates(first_step, count, total_steps) * np.where(halved, 0.5, 1)

    m, other = model(), model()
    history = fit(m, pm.ReduceOnPlateau(1, 0.5, monitor=Told(1, 1, 2), lower=False), schedule=pm.Cosine(0.1))
    assert fit(other, schedule=Halved()).learning_rate == history.learning_rate
    assert weights(m) == weights(other)


def test_the_rate_has_a_floor():
    reduce = pm.ReduceOnPlateau(1, 0.1, min_rate=0.005, monitor=Told(*[1] * 9), lower=False)
    rates = fit(model(), reduce, epochs=5, optimizer=pm.SGD(0.08)).learning_rate
    assert rates == pytest.approx([0.08, 0.08, 0.008, 0.005, 0.005], rel=1e-12)
    low = fit(model(), reduce, epochs=3, optimizer=pm.SGD(0.001)).learning_rate
    assert low == [0.001] * 3  # it never makes a rate higher
    assert fit(model(), reduce, epochs=3, optimizer=pm.SGD(0)).learning_rate == [0] * 3


# ---- Speedometer, logs ----


def test_the_speedometer_tells_of_the_last_batches():
    lines, accuracies = [], []

    class Sums(pm.Callback):
        every = 2

        def on_batches(self, training):
            accuracies.append(training.totals[1])

    fit(model(), pm.Speedometer(2, log=lines.append), Sums(), epochs=2)
    form = r"Epoch\[(\d)\] Batch \[(\d)\]\tSpeed: (\d+\.\d\d) samples/sec\taccuracy=([01]\.\d{6})"
    found = [re.fullmatch(form, line).groups() for line in lines]
    assert [(epoch, batch) for epoch, batch, *_ in found] == [("0", "2"), ("0", "4"), ("1", "2"), ("1", "4")]
    assert all(float(speed) > 0 for _, _, speed, _ in found)
    first, second, _ = accuracies[:3]  # the third is of the epoch's last batch
    expected = [f"{first / 32:f}", f"{(second - first) / 32:f}"]
    assert [accuracy for *_, accuracy in found[:2]] == expected and expected[0] != expected[1]


def test_the_speedometer_prints(capsys):
    fit(model(), pm.Speedometer(5), epochs=1)
    assert capsys.readouterr().out.startswith("Epoch[0] Batch [5]\tSpeed: ")


NAMES = [
    "epoch",
    "loss",
    "accuracy",
    "validation_loss",
    "validation_accuracy",
    "learning_rate",
    "seconds",
    "images_per_second",
]


def rows_of(path):
    """What a log holds, by name; None for nothing."""
    lines = path.read_text().splitlines()
    if path.suffix == ".csv":
        assert lines[0] == ",".join(NAMES)
        rows = [[float(cell) if cell else None for cell in line.split(",")] for line in lines[1:]]
        return [dict(zip(NAMES, row, strict=True)) for row in rows]
    return [json.loads(line, parse_constant=fail) for line in lines]


LOGS = {"log.csv": pm.CSVLog, "log.jsonl": pm.JSONLog}
BOTH = pytest.mark.parametrize("name", LOGS)


@BOTH
@pytest.mark.parametrize("validation", [None, HELD_OUT])
def test_logs_hold_the_history(name, validation, tmp_path):
    path = tmp_path / name
    path.write_text("of another training\n" * 9)
    counts = []

    class Reads(pm.Callback):
        def on_epoch_end(self, training):
            counts.append(len(rows_of(path)))

    history = fit(model(), LOGS[name](path), Reads(), schedule=pm.OneCycle(0.01), validation=validation)
    rows = rows_of(path)
    assert counts == [1, 2, 3] and all(list(row) == NAMES for row in rows)
    assert [row["epoch"] for row in rows] == [1, 2, 3]
    for column in NAMES[1:]:
        assert [row[column] for row in rows] == (getattr(history, column) or [None] * 3), column
    assert len({row["learning_rate"] for row in rows}) == 3


@BOTH
def test_a_resumed_training_goes_on_with_its_log(name, tmp_path):
    """Rows of epochs that the checkpoint does not know are written again, once."""
    path, checkpoint = tmp_path / name, tmp_path / "checkpoint"
    old = At("epoch end", 0, BATCHES, lambda training: kept.append(checkpoint.read_bytes()))
    kept = []
    with pytest.raises(OSError):
        fit(model(), LOGS[name](path), old, At("batches", 2, 1, fail), checkpoint=pm.Checkpoint(checkpoint, every=3))
    before = rows_of(path)
    assert len(before) == 2
    checkpoint.write_bytes(kept[0])  # as if the process had been killed soon after the first epoch
    history = fit(model(), LOGS[name](path), resume=checkpoint)
    rows = rows_of(path)
    assert [row["epoch"] for row in rows] == [1, 2, 3]
    assert [row["loss"] for row in rows] == history.loss == fit(model()).loss
    checkpoint_after = tmp_path / "another"
    with pytest.raises(OSError):
        fit(model(), LOGS[name](path), At("batches", 2, 1, fail), checkpoint=pm.Checkpoint(checkpoint_after))
    first_two = path.read_text()
    fit(model(), LOGS[name](path), resume=checkpoint_after)
    assert path.read_text().startswith(first_two) and len(rows_of(path)) == 3
    path.unlink()
    fit(model(), LOGS[name](path), resume=checkpoint_after)
    assert [row["epoch"] for row in rows_of(path)] == [3]


@BOTH
def test_logs_of_no_numbers(name, tmp_path):
    history = fit(model(), LOGS[name](tmp_path / name), epochs=1, sample_weight=np.zeros(70), optimizer=pm.SGD(0))
    assert math.isnan(history.loss[0])
    loss = rows_of(tmp_path / name)[0]["loss"]
    assert loss is None if name == "log.jsonl" else math.isnan(loss)


@BOTH
def test_a_log_that_cannot_be_written_is_told_at_once(name, tmp_path):
    m = model()
    with pytest.raises(FileNotFoundError):
        fit(m, LOGS[name](tmp_path / "nowhere" / name))
    assert weights(m) == weights(model())


# ---- NaN ----


def normed(dtype="float32"):
    layers = [pm.Conv2d(5, 3), pm.BatchNorm2d(), pm.ReLU(), pm.Flatten(), pm.Dropout(0.2), pm.Linear(4)]
    return pm.Sequential(layers, input_shape=(1, 8, 8), seed=1, dtype=dtype)


OPTIMIZERS = {
    "momentum": lambda: pm.SGD(0.05, momentum=0.9),
    "adam": lambda: pm.Adam(0.01),
    "rmsprop": lambda: pm.RMSprop(0.01, momentum=0.9, centered=True),
    "adagrad": lambda: pm.Adagrad(0.01, initial_accumulator_value=0.1),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("extra", [{}, {"average": 0.9, "clip_norm": 0.5}])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_nan_goes_back_to_the_last_good_weights(optimizer, extra, dtype):
    """The very bits of a training that was stopped before the bad batch, whichever that is."""
    for epoch, batch in [(0, 0), (0, 1), (0, 2), (0, 4), (1, 0), (1, 3)]:
        x = (X / 255).astype(dtype)
        m, reference, used, unused = normed(dtype), normed(dtype), OPTIMIZERS[optimizer](), OPTIMIZERS[optimizer]()
        arguments = dict(epochs=3, batch_size=16, progress=False, threads=1, **extra)
        moment = ("batches", epoch, batch) if batch else ("epoch begin", epoch, 0)
        stop = At(*moment, lambda training: training.stop())
        if (epoch, batch) != (0, 0):
            reference.fit((x, LABELS), optimizer=unused, callbacks=[stop], **arguments)
        image = epoch_order(70, 1, epoch, True)[16 * batch + 3]

        def poison(training, x=x, image=image):
            x[image, 0, 4, 4] = np.nan

        spoil = At("epoch begin", epoch, 0, poison)
        spoil.every = None  # slices of any length
        with pytest.raises(pm.Diverged) as caught:
            m.fit((x, LABELS), optimizer=used, callbacks=[spoil], **arguments)
        error = caught.value
        assert (error.layer, error.epoch, error.batch) == (0, epoch + 1, batch + 1)
        assert error.images.tolist() == epoch_order(70, 1, epoch, True)[16 * batch : 16 * batch + 16].tolist()
        assert image in error.images and np.isfinite(m.network.param).all()
        for name, array in reference.state_dict().items():
            if extra and m.layers[1].buffers.keys() & {name.removeprefix("1.")}:
                continue  # an average's statistics are those of the data, which were other data
            assert array.tobytes() == m.state_dict()[name].tobytes(), (epoch, batch, name)
        state, other = used.state_for(m.network), unused.state_for(reference.network)
        assert state.steps == other.steps == epoch * BATCHES + batch
        for moment, expected in zip(state.moments, other.moments, strict=True):
            assert (moment is None) == (expected is None)
            assert moment is None or moment.tobytes() == expected.tobytes()


def test_the_message_of_a_divergence_names_all():
    x = (X / 255).astype(np.float32)
    order = epoch_order(70, 1, 0, True)
    x[order[37]] = np.nan
    said = (
        r"training diverged: a parameter of layer 0 \(Conv2d\(5, 3\)\) became NaN or infinite in epoch 1, batch 3\. "
        rf".* NaN or infinity is in its images {order[37]}$"
    )
    with pytest.raises(FloatingPointError, match=said) as caught:
        normed().fit((x, LABELS), batch_size=16, progress=False, threads=1)
    assert isinstance(caught.value, pm.Diverged)
    with pytest.raises(pm.Diverged, match="NaN or infinity is in its images 0, 1, 2$"):
        normed().fit((np.full((3, 8, 8), np.nan), [0, 1, 2]), shuffle=False, progress=False, threads=1)


def test_training_goes_on_after_a_divergence():
    """With a mended image: as if nothing had happened, but for the epoch, which begins anew."""
    x = (X / 255).astype(np.float32)
    m, optimizer = normed(), pm.Adam(0.01)
    bad = x.copy()
    bad[epoch_order(70, 1, 0, True)[40]] = np.nan
    with pytest.raises(pm.Diverged):
        m.fit((bad, LABELS), batch_size=16, optimizer=optimizer, progress=False, threads=1)
    assert m.epochs_trained == 0
    history = m.fit((x, LABELS), epochs=60, batch_size=16, optimizer=optimizer, progress=False, threads=1)
    assert np.isfinite(history.loss).all() and m.score(x, LABELS) > 0.9


def test_a_checkpoint_outlives_a_divergence(tmp_path):
    """What is resumed comes to the same batch, from the same weights."""
    x = (X / 255).astype(np.float32)
    x[epoch_order(70, 1, 0, True)[70 - 1]] = np.nan
    m, resumed, path = normed(), normed(), tmp_path / "checkpoint"
    with pytest.raises(pm.Diverged) as first:
        m.fit((x, LABELS), batch_size=16, progress=False, threads=1, checkpoint=pm.Checkpoint(path))
    with pytest.raises(pm.Diverged) as second:
        resumed.fit((x, LABELS), batch_size=16, progress=False, threads=1, resume=path)
    assert str(first.value) == str(second.value) and first.value.batch == BATCHES
    assert weights(m) == weights(resumed)


# ---- how they are called ----


def test_the_sums_do_not_depend_on_slices():
    """Not even in their last bit."""
    every = At("never", 0, 0, fail)
    histories = [fit(model(), epochs=4), fit(model(), every, epochs=4)]
    assert histories[0].loss == histories[1].loss


def test_everyone_is_told_of_the_end():
    ends = [At("train end", 0, BATCHES, fail) for _ in range(3)]
    told = []
    ends.insert(1, At("train end", 0, BATCHES, lambda training: told.append(training.epoch)))
    with pytest.raises(OSError, match="mine"):
        fit(model(), *ends, epochs=1)
    assert told == [0]
