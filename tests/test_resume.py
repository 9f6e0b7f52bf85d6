"""Exact resume: a training that was stopped anywhere and goes on gives the same bits as one that was not."""

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from safetensors import safe_open
from safetensors.numpy import save as safetensors_bytes

import pymnistcnn as pm
from pymnistcnn import datasets
from pymnistcnn.cli import main

RNG = np.random.default_rng(0)
X = RNG.integers(0, 256, (70, 1, 8, 8), np.uint8)
LABELS = (X.reshape(70, 4, 16).mean(axis=2).argmax(axis=1)).astype(np.int64)  # can be learnt
BATCHES = 5  # of 16: the last has 6
EPOCHS = 3


def plain():
    return [pm.Rescaling(1 / 255, -0.5), pm.Conv2d(5, 3), pm.ReLU(), pm.MaxPool2d(2), pm.Flatten(), pm.Linear(4)]


def random_and_normed():
    """Everything that is random, and what is learnt without a gradient."""
    return [
        *(pm.Rescaling(1 / 255), pm.Augmentation(rotation=10, shift=1), pm.GaussianNoise(0.1), pm.Conv2d(5, 3)),
        *(pm.BatchNorm2d(), pm.ReLU(), pm.MaxPool2d(2), pm.Flatten(), pm.Dropout(0.3), pm.Linear(9), pm.BatchNorm1d()),
        *(pm.Tanh(), pm.Linear(4)),
    ]


KINDS = {
    "momentum": (plain, lambda: dict(optimizer=pm.SGD(0.1, momentum=0.9, nesterov=True, weight_decay=1e-3))),
    "adam, random, normed": (
        random_and_normed,
        lambda: dict(optimizer=pm.Adam(0.01), schedule=pm.OneCycle(0.02), validation=DATA),
    ),
    "average, clipped": (
        plain,
        lambda: dict(optimizer=pm.AdamW(0.02), average=0.9, clip_norm=0.5, schedule=pm.Cosine(0.02)),
    ),
    "rmsprop, all vectors": (
        random_and_normed,
        lambda: dict(optimizer=pm.RMSprop(0.003, momentum=0.9, centered=True), average=0.8, sample_weight=WEIGHTS),
    ),
    "stochastic average": (
        random_and_normed,
        lambda: dict(optimizer=pm.Adam(0.01), average=pm.StochasticAverage(0.4), validation=DATA),
    ),
    "mixed": (random_and_normed, lambda: dict(mixing=pm.MixUp(), validation=DATA)),
    "adagrad": (plain, lambda: dict(optimizer=pm.Adagrad(0.1, lr_decay=0.1, initial_accumulator_value=0.1))),
    "with callbacks": (plain, lambda: dict(validation=DATA, optimizer=pm.Adam(0.05), callbacks=steering())),
}
DATA = (X, LABELS)
WEIGHTS = np.linspace(0.5, 2, 70)


def steering():
    """Callbacks that decide by what they have seen. The losses are watched so that each gets something to do."""
    return [
        pm.ReduceOnPlateau(1, 0.5, monitor=lambda h: h.validation_loss, lower=False),  # the wrong way round:
        # soon there is no better
        pm.EarlyStopping(patience=2, monitor=lambda h: h.validation_loss, lower=False),
        pm.BestCheckpoint(),
    ]


class Ends(pm.Callback):
    """Ends a training when it comes to one of its moments."""

    every = 1

    def __init__(self, hook, epoch, batch, how):
        self.at, self.how, self.reached = (hook, epoch, batch), how, False

    def look(self, hook, training):
        if (hook, training.epoch, training.batch) == self.at:
            self.reached = True
            self.how(training)

    def on_batches(self, training):
        self.look("batches", training)

    def on_epoch_begin(self, training):
        self.look("epoch begin", training)

    def on_epoch_end(self, training):
        self.look("epoch end", training)


def stop(training):
    training.stop()


def ctrl_c(training):
    signal.raise_signal(signal.SIGINT)


def fail(training):
    raise OSError("the network drive is gone")


POINTS = [  # the SIGKILL is further down
    ("batches", 0, 1, stop),
    ("batches", 0, 3, stop),
    ("batches", 0, BATCHES, stop),
    ("epoch end", 0, BATCHES, stop),
    ("epoch begin", 1, 0, stop),
    ("batches", 1, 2, ctrl_c),
    ("batches", 1, 4, fail),
    ("epoch end", 1, BATCHES, fail),
    ("epoch begin", 2, 0, ctrl_c),
    ("batches", 2, 1, fail),
    ("batches", 2, BATCHES - 1, stop),
    ("batches", 2, BATCHES, ctrl_c),
    ("epoch end", 2, BATCHES, stop),
]


def made(kind, dtype="float32", seed=1):
    return pm.Sequential(KINDS[kind][0](), input_shape=(1, 8, 8), seed=seed, dtype=dtype)


def fit(model, kind, **arguments):
    own = KINDS[kind][1]()
    own["callbacks"] = own.get("callbacks", []) + arguments.pop("callbacks", [])
    basics = dict(epochs=EPOCHS, batch_size=16, progress=False, threads=1)
    return model.fit(DATA, **{**basics, **own, **arguments})


def without_times(history):
    return {name: values for name, values in vars(history).items() if name not in ("seconds", "images_per_second")}


def interrupted(kind, path, ends, **arguments):
    """Train until a callback ends it."""
    model = made(kind, **arguments)
    try:
        fit(model, kind, callbacks=[ends], checkpoint=pm.Checkpoint(path))
    except (KeyboardInterrupt, OSError):
        assert ends.how is not stop
    assert ends.reached
    return model


def file_of(model, path):
    model.save(path)
    return path.read_bytes()


# ---- stopped anywhere ----


@pytest.mark.parametrize("kind", KINDS)
def test_stopped_anywhere_and_resumed_is_the_same_file(kind, tmp_path):
    whole = made(kind)
    history = fit(whole, kind)
    expected, path = file_of(whole, tmp_path / "whole"), tmp_path / "checkpoint"
    for point in POINTS:
        if point[1] >= len(history):  # stopped early
            continue
        interrupted(kind, path, Ends(*point))
        resumed = made(kind)
        both = fit(resumed, kind, resume=path)
        assert file_of(resumed, tmp_path / "resumed") == expected, point
        assert resumed.network.param.tobytes() == whole.network.param.tobytes(), point
        assert without_times(both) == without_times(history), point
        assert resumed.epochs_trained == whole.epochs_trained, point


def test_the_callbacks_of_these_tests_do_something():
    history = fit(made("with callbacks"), "with callbacks", epochs=9)
    assert 2 < len(history) < 9 and len(set(history.learning_rate)) > 1


@pytest.mark.parametrize("kind", ["momentum", "adam, random, normed"])
def test_stopped_again_and_again(kind, tmp_path):
    """A batch at a time, in float64, every time by another object as in another process."""
    whole, path = made(kind, "float64"), tmp_path / "checkpoint"
    fit(whole, kind)
    resume, runs = None, 0

    class OneMore(pm.Callback):
        every = 1

        def on_batches(self, training):
            training.stop()

    for _ in range(EPOCHS * BATCHES):
        model = made(kind, "float64")
        history = fit(model, kind, callbacks=[OneMore()], checkpoint=pm.Checkpoint(path), resume=resume)
        resume, runs = path, runs + 1
    assert len(history) == EPOCHS and runs == 15
    assert model.network.param.tobytes() == whole.network.param.tobytes()


def test_a_second_fit_is_resumed_with_what_the_first_left(tmp_path):
    def start():
        model, optimizer = made("momentum"), pm.Adam(0.01)
        fit(model, "momentum", optimizer=optimizer)
        return model, optimizer

    whole, optimizer = start()
    fit(whole, "momentum", optimizer=optimizer)
    cut, optimizer = start()
    path = tmp_path / "checkpoint"
    fit(cut, "momentum", optimizer=optimizer, callbacks=[Ends("batches", 1, 2, stop)], checkpoint=pm.Checkpoint(path))
    resumed = made("momentum")
    fit(resumed, "momentum", resume=path, optimizer=pm.Adam(0.01))
    assert resumed.network.param.tobytes() == whole.network.param.tobytes()
    assert resumed.epochs_trained == whole.epochs_trained == 2 * EPOCHS


def test_what_is_complete_stays_so(tmp_path):
    path, model = tmp_path / "checkpoint", made("average, clipped")
    history = fit(model, "average, clipped", checkpoint=pm.Checkpoint(path))
    again = pm.load(path)
    assert fit(again, "average, clipped", resume=path) == history  # with its times
    assert again.network.param.tobytes() == model.network.param.tobytes()


def test_a_stop_for_good_is_one_when_resumed(tmp_path):
    """EarlyStopping had come to its end when the last checkpoint was written."""
    kind, path, whole = "with callbacks", tmp_path / "checkpoint", made("with callbacks")
    history = fit(whole, kind, epochs=9, checkpoint=pm.Checkpoint(path))
    resumed = made(kind)
    assert fit(resumed, kind, epochs=9, resume=path) == history
    assert resumed.network.param.tobytes() == whole.network.param.tobytes()


def test_checkpoints_do_not_change_the_training(tmp_path):
    plain, written, path = made("momentum"), made("momentum"), tmp_path / "checkpoint"
    fit(plain, "momentum")
    fit(written, "momentum", checkpoint=pm.Checkpoint(path, every=2))
    assert plain.network.param.tobytes() == written.network.param.tobytes()
    assert os.listdir(tmp_path) == ["checkpoint"]


@pytest.mark.parametrize(
    "every, expected",
    [
        (None, ["begin", "0/0", "1/0", "2/0"]),
        (2, ["begin", "0/2", "0/4", "1/0", "1/2", "1/4", "2/0"]),
        (5, ["begin", "1/0", "2/0"]),
        (9, ["begin", "1/0", "2/0"]),
    ],
)
def test_when_checkpoints_are_written(every, expected, tmp_path, monkeypatch):
    places = []

    class Noted(pm.Checkpoint):
        def write(self, snapshot):
            super().write(snapshot)
            with safe_open(self.path, "numpy") as file:
                saved = json.loads(file.metadata()["pymnistcnn"])["training"]
            places.append(f"{saved['epoch']}/{saved['batch']}")

    fit(made("momentum"), "momentum", epochs=2, checkpoint=Noted(tmp_path / "checkpoint", every))
    assert places == ["0/0", *[place for place in expected if place not in ("begin", "0/0")]]


@pytest.mark.parametrize(
    "ends, place",
    [
        (("batches", 1, 4, stop), (1, 4)),
        (("batches", 1, 4, ctrl_c), (1, 3)),
        (("batches", 1, 4, fail), (1, 3)),
        (("epoch begin", 1, 0, fail), (1, 0)),
        (("epoch end", 1, BATCHES, fail), (1, 5)),
        (("epoch end", 1, BATCHES, stop), (2, 0)),
    ],
)
def test_little_is_lost_when_a_training_ends_early(ends, place, tmp_path):
    """A callback that fails is called again, with what led to it: in between nobody knows what it has done."""
    path = tmp_path / "checkpoint"
    interrupted("momentum", path, Ends(*ends))
    saved = parts_of(path)[0]["training"]
    assert (saved["epoch"], saved["batch"]) == place and saved["steps"] == place[0] * BATCHES + place[1]


def test_the_best_weights_of_an_epoch_before_the_break(tmp_path):
    def best():
        return pm.BestCheckpoint(monitor=lambda history: [0.9, 0.2, 0.3][: len(history)], lower=False)

    path, first, resumed, callback = tmp_path / "checkpoint", made("momentum"), made("momentum"), best()
    fit(first, "momentum", epochs=EPOCHS, callbacks=[Ends("batches", 1, 1, stop), best()],
        checkpoint=pm.Checkpoint(path))  # fmt: skip
    fit(resumed, "momentum", callbacks=[callback], resume=path)
    assert resumed.network.param.tobytes() == first.network.param.tobytes()
    assert (callback.best, callback.epoch) == (0.9, 0)
    after_one = made("momentum")
    fit(after_one, "momentum", epochs=1)
    assert resumed.network.param.tobytes() == after_one.network.param.tobytes()


def test_a_checkpoint_is_a_model(tmp_path):
    path = tmp_path / "checkpoint"
    model = interrupted("momentum", path, Ends("batches", 1, 2, stop), seed=7)
    loaded = pm.load(path)
    assert loaded.network.param.tobytes() == model.network.param.tobytes() and loaded.network.seed == 7
    assert loaded.evaluate(DATA) == model.evaluate(DATA)
    fit(loaded, "momentum", resume=path)
    whole = made("momentum", seed=7)
    fit(whole, "momentum")
    assert loaded.network.param.tobytes() == whole.network.param.tobytes()


# ---- another training ----


def differs(**changes):
    return lambda model, path: fit(model, "momentum", resume=path, **changes)


def on_data(x=X, labels=LABELS, **changes):
    arguments = dict(
        epochs=EPOCHS, batch_size=16, progress=False, threads=1, optimizer=pm.SGD(0.1, 0.9, True, 1e-3), **changes
    )
    return lambda model, path: model.fit((x, labels), resume=path, **arguments)


OTHER_X, OTHER_LABELS = X.copy(), LABELS.copy()
OTHER_X[69, 0, 7, 7] ^= 1
OTHER_LABELS[3] = (OTHER_LABELS[3] + 1) % 4
DIFFERENT = {
    "epochs": (differs(epochs=4), r"epochs \(3 in the file, 4 here\)"),
    "batch size": (differs(batch_size=32), r"batch size \(16 in the file, 32 here\)"),
    "optimizer": (differs(optimizer=pm.Adam()), r"optimizer \(SGD\(.*\) in the file, Adam\(.*\) here\)"),
    "optimizer's number": (differs(optimizer=pm.SGD(0.1, 0.9, True, 2e-3)), r"optimizer \(.*0.002\) here"),
    "schedule": (differs(schedule=pm.Cosine(0.1)), r"schedule \(Constant\(rate=0.1\) in the file, Cosine"),
    "shuffle": (differs(shuffle=False), r"shuffle \(True in the file, False here\)"),
    "loss": (differs(loss=pm.CrossEntropyLoss(label_smoothing=0.1)), r"loss \(.*label_smoothing=0.1"),
    "clip_norm": (differs(clip_norm=1.0), r"clip_norm \(None in the file, 1.0 here\)"),
    "average": (differs(average=0.9), r"average \(None in the file, 0.9 here\)"),
    "stochastic average": (
        differs(average=pm.StochasticAverage()),
        r"average \(None in the file, StochasticAverage\(start=0.75\) here\)",
    ),
    "validation": (differs(validation=DATA), r"validation data \(None in the file, checksum"),
    "callbacks": (differs(callbacks=[pm.EarlyStopping(3)]), r"callbacks \(\[\] in the file, \['EarlyStopping'\] here"),
    "pixel": (on_data(x=OTHER_X), r"not the same training data \(checksum .* here\)$"),
    "label": (on_data(labels=OTHER_LABELS), r"not the same training data \(checksum .* here\)$"),
    "weights": (differs(sample_weight=WEIGHTS), r"not the same training data \(checksum .* here\)$"),
    "fewer": (on_data(x=X[:-1], labels=LABELS[:-1]), r"samples \(70 in the file, 69 here\)"),
    "two": (differs(epochs=4, shuffle=False), r"not the same epochs .*, shuffle \("),
}


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    path = tmp_path_factory.mktemp("resume") / "checkpoint"
    interrupted("momentum", path, Ends("batches", 1, 2, stop))
    return path


def untouched(model, ask, match):
    """It is a ValueError, and the model stays as it was."""
    before = model.network.param.tobytes()
    with pytest.raises(ValueError, match=match) as error:
        ask(model)
    assert model.network.param.tobytes() == before and model.epochs_trained == 0
    return str(error.value)


@pytest.mark.parametrize("what", DIFFERENT)
def test_another_training_is_refused_by_name(what, checkpoint):
    ask, message = DIFFERENT[what]
    said = untouched(made("momentum"), lambda model: ask(model, checkpoint), message)
    assert said.startswith(f"{checkpoint}: a checkpoint of another training")


@pytest.mark.parametrize(
    "model, message",
    [
        (lambda: made("momentum", seed=2), r"seed \(1 in the file, 2 here\)"),
        (lambda: made("momentum", "float64"), r"dtype \(float32 in the file, float64 here\)"),
        (lambda: made("adam, random, normed"), "not the same layers"),
    ],
)
def test_another_network_is_refused(model, message, checkpoint):
    untouched(model(), lambda m: fit(m, "momentum", resume=checkpoint), message)


def test_a_refused_checkpoint_is_not_overwritten(checkpoint):
    before = checkpoint.read_bytes()
    write = pm.Checkpoint(checkpoint)
    untouched(made("momentum"), lambda m: fit(m, "momentum", epochs=9, resume=checkpoint, checkpoint=write), "epochs")
    assert checkpoint.read_bytes() == before


def test_threads_and_slices_may_be_others(checkpoint):
    whole, resumed = made("momentum"), made("momentum")
    fit(whole, "momentum")
    fit(resumed, "momentum", resume=checkpoint, threads=3, callbacks=[Ends("never", 0, 0, fail)])
    assert resumed.network.param.tobytes() == whole.network.param.tobytes()


def test_a_schedule_of_one_s_own_is_known_again(tmp_path):
    """Though its repr has an address, which is another one here."""

    class Mine:
        def rates(self, first_step, count, total_steps):
            return np.full(count, 0.05)

    path, whole, resumed, schedules = tmp_path / "checkpoint", made("momentum"), made("momentum"), [Mine(), Mine()]
    assert repr(schedules[0]) != repr(schedules[1])
    fit(whole, "momentum", schedule=schedules[0], checkpoint=pm.Checkpoint(path, every=2),
        callbacks=[Ends("batches", 1, 2, stop)])  # fmt: skip
    fit(resumed, "momentum", schedule=schedules[1], resume=path)
    assert resumed.epochs_trained == EPOCHS


def test_bad_arguments():
    m = made("momentum")
    for every in (0, -1, 1.5, "3", True):
        with pytest.raises(ValueError, match="every must be a whole number from 1 on"):
            pm.Checkpoint("x", every)
    for checkpoint in ("x", 3, pm.Checkpoint, pm.BestCheckpoint()):
        untouched(m, lambda m, c=checkpoint: fit(m, "momentum", checkpoint=c), "checkpoint must be a checkpoint")
    for resume in (3, True, b"x", pm.Checkpoint("x")):
        untouched(m, lambda m, r=resume: fit(m, "momentum", resume=r), "resume must be the path of a file")
    with pytest.raises(FileNotFoundError, match="nothing-here"):
        fit(m, "momentum", resume="nothing-here")


# ---- files that lie ----


def test_truncated_and_lengthened_checkpoints(checkpoint, tmp_path):
    content, path, m = checkpoint.read_bytes(), tmp_path / "damaged", made("momentum")
    header = 8 + int.from_bytes(content[:8], "little")
    pieces = [content[:n] for n in (0, 1, 8, 9, header - 1, header, header + 1, len(content) // 2, len(content) - 1)]
    for piece in [*pieces, content + b"\0"]:
        path.write_bytes(piece)
        assert str(path) in untouched(m, lambda m: fit(m, "momentum", resume=path), ".")


def test_a_flipped_bit_is_found(checkpoint, tmp_path):
    content, path, m = checkpoint.read_bytes(), tmp_path / "damaged", made("momentum")
    text = content.decode("latin1").index("}}") + 2
    rng = np.random.default_rng(1)
    places = [*rng.integers(0, len(content), 200), *rng.integers(0, text, 200), len(content) - 1]
    for place in places:
        damaged = bytearray(content)
        damaged[place] ^= 1 << rng.integers(8)
        path.write_bytes(damaged)
        assert str(path) in untouched(m, lambda m: fit(m, "momentum", resume=path), ".")


def parts_of(path):
    with safe_open(path, "numpy") as file:
        arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
        return json.loads(file.metadata()["pymnistcnn"]), arrays


def forge(path, description, arrays):
    """A file that lies with a right checksum."""
    from pymnistcnn.checkpoints import checksum_of_all

    description["training"].pop("checksum", None)
    try:
        description["training"]["checksum"] = checksum_of_all(description, arrays)
    except ValueError:
        pass
    path.write_bytes(safetensors_bytes(arrays, {"pymnistcnn": json.dumps(description)}))


def test_a_forged_file_that_says_the_truth_is_taken(checkpoint, tmp_path):
    forge(tmp_path / "forged", *parts_of(checkpoint))
    m, whole = made("momentum"), made("momentum")
    fit(m, "momentum", resume=tmp_path / "forged")
    fit(whole, "momentum")
    assert m.network.param.tobytes() == whole.network.param.tobytes()


LIES = {
    "batch -1": ("batch", -1),
    "batch 6": ("batch", 6),
    "batch 1.0": ("batch", 1.0),
    "batch True": ("batch", True),
    "epoch 4": ("epoch", 4),
    "epoch null": ("epoch", None),
    "epoch 0": ("epoch", 0),
    "epoch 2": ("epoch", 2),
    "steps": ("steps", 2**63),
    "epochs_trained": ("epochs_trained", "1"),
    "rate -1": ("rate_factor", -1),
    "rate NaN": ("rate_factor", float("nan")),
    "rate infinite": ("learning_rate", float("inf")),
    "rate null": ("learning_rate", None),
    "settings null": ("settings", None),
    "settings 3": ("settings", 3),
    "settings empty": ("settings", {}),
    "callbacks null": ("callbacks", None),
    "callbacks 3": ("callbacks", [3]),
    "a callback": ("callbacks", [{"class": "EarlyStopping", "state": {}}]),
    "no class": ("callbacks", [{}]),
}


@pytest.mark.parametrize("lie", LIES)
def test_lies_about_the_training(lie, checkpoint, tmp_path):
    name, value = LIES[lie]
    description, arrays = parts_of(checkpoint)
    path, m = tmp_path / "forged", made("momentum")
    forge(path, {**description, "training": {**description["training"], name: value}}, arrays)
    assert str(path) in untouched(m, lambda m: fit(m, "momentum", resume=path), ".")
    missing = {key: kept for key, kept in description["training"].items() if key != name}
    forge(path, {**description, "training": missing}, arrays)
    assert str(path) in untouched(m, lambda m: fit(m, "momentum", resume=path), ".")


def test_lies_about_the_arrays(checkpoint, tmp_path):
    description, arrays = parts_of(checkpoint)
    path, m = tmp_path / "forged", made("momentum")
    names = ["0.weight", "training.moments.0.0.weight", "training.totals", "training.history.loss"]
    for name in names:
        array = arrays[name]
        others = [array[..., None], array[:0], array.astype(np.float16), np.array(3, array.dtype), None]
        for other in others:
            state = {**arrays, name: other} if other is not None else {n: a for n, a in arrays.items() if n != name}
            forge(path, description, state)
            assert str(path) in untouched(m, lambda m: fit(m, "momentum", resume=path), name)
    forge(path, description, {**arrays, "training.extra": np.zeros(3)})
    untouched(m, lambda m: fit(m, "momentum", resume=path), "training.extra")


def test_a_model_is_no_checkpoint(tmp_path):
    m, path = made("momentum"), tmp_path / "model"
    m.save(path)
    untouched(m, lambda m: fit(m, "momentum", resume=path), "a model, but not a checkpoint of its training")
    for training in (None, 3, [], "x", {}, {"settings": {}}, {"settings": 3}, {"settings": {"seed": -1}}):
        description, arrays = parts_of(path)
        path.write_bytes(safetensors_bytes(arrays, {"pymnistcnn": json.dumps({**description, "training": training})}))
        untouched(m, lambda m: fit(m, "momentum", resume=path), str(path))
        with pytest.raises(ValueError, match=str(path)):
            pm.load(path)


# ---- the command ----

PROGRAM = [sys.executable, "-P", "-c", "from pymnistcnn.cli import main; main(prog_name='pymnistcnn')"]
NAME = "digits.safetensors"


@pytest.fixture
def digits(tmp_path, monkeypatch):
    """An empty folder to work in, and one with 300 training and 100 test images."""
    monkeypatch.setenv("PYTHONPATH", str(Path(pm.__file__).parents[1]))
    folder, work = tmp_path / "data", tmp_path / "work"
    for made in (folder, work):
        made.mkdir()
    for part, data, n in zip(("train", "t10k"), datasets.mnist(), (300, 100), strict=True):
        datasets.write_idx(folder / f"{part}-images-idx3-ubyte", data.images[:n])
        datasets.write_idx(folder / f"{part}-labels-idx1-ubyte", data.labels[:n])
    monkeypatch.chdir(work)
    return folder


def called(*arguments):
    return CliRunner().invoke(main, list(map(str, arguments)), prog_name="pymnistcnn")


def ended(signal_number, *arguments):
    """The command as a process of its own, ended by a signal after its second epoch."""
    command = [*PROGRAM, "train", *map(str, arguments)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        seen = ""
        while "epoch 2/" not in seen:
            line = process.stderr.readline()
            assert line, f"ended before its second epoch: {seen}"
            seen += line
        process.send_signal(signal_number)
        _, rest = process.communicate(timeout=30)
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == (-signal.SIGKILL if signal_number == signal.SIGKILL else 130), seen + rest
    return rest


# So many epochs that the signal comes long before the last of them.
SETTINGS = ["--epochs", 60, "--batch-size", 50, "--seed", 5, "--dtype", "float64"]


def test_killed_and_resumed_is_the_same_file(digits):
    common = ["--data", digits, "--threads", 1]
    assert called("train", *SETTINGS, *common, "--output", "whole").exit_code == 0
    ended(signal.SIGKILL, *SETTINGS, *common, "--checkpoint-every", 3)
    left = [name for name in os.listdir() if not name.endswith(".tmp")]  # of a write that was cut short
    assert sorted(left) == [f".{NAME}.checkpoint.lock", f"{NAME}.checkpoint", "whole"]
    result = called("train", "--resume", f"{NAME}.checkpoint", *common)
    assert result.exit_code == 0, result.stderr
    assert "60 epochs, batches of 50, seed 5, float64" in result.stdout
    assert f"resumed   {NAME}.checkpoint, epoch " in result.stdout and "epoch 1/" not in result.stderr
    assert Path(NAME).read_bytes() == Path("whole").read_bytes()
    assert sorted(os.listdir()) == [NAME, "whole"]


def test_what_is_said_of_going_on_goes_on(digits):
    settings = ["--epochs", 60, "--batch-size", 50, "--data", digits, "--precision", "bf16"]
    said = ended(signal.SIGINT, *settings, "--output", NAME, "--checkpoint-every", 1000).splitlines()[-1]
    assert said == f"to go on: pymnistcnn train --resume {NAME}.checkpoint --precision bf16 --data {digits}"
    assert called("train", *settings, "--output", "whole").exit_code == 0
    result = called(*shlex.split(said.removeprefix("to go on: pymnistcnn ")))
    assert result.exit_code == 0, result.stderr
    assert Path(NAME).read_bytes() == Path("whole").read_bytes()


def test_ctrl_c_and_resumed_is_the_same_file(digits):
    common = ["--data", digits, "--threads", 1]
    assert called("train", *SETTINGS, *common, "--output", "whole").exit_code == 0
    said = ended(signal.SIGINT, *SETTINGS, *common, "--output", "my digits", "--checkpoint-every", 1000)
    assert "saved what was learnt so far to my digits" in said and "Traceback" not in said
    assert said.splitlines()[-1] == f"to go on: pymnistcnn train --resume 'my digits.checkpoint' --data {digits}"
    assert Path("my digits").read_bytes() != Path("whole").read_bytes()
    result = called("train", "fast", "--resume", "my digits.checkpoint", *SETTINGS, *common, "--json")
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["output"] == "my digits" and json.loads(result.stdout)["epochs"] == 60
    assert Path("my digits").read_bytes() == Path("whole").read_bytes()
    assert sorted(os.listdir()) == ["my digits", "whole"]


@pytest.fixture
def left_behind(digits):
    """The checkpoint of a training whose last file could not be written."""
    model = pm.load(digits_checkpoint(digits))
    assert model.dtype == np.float32
    return Path(f"{NAME}.checkpoint")


def digits_checkpoint(digits):
    path = Path(f"{NAME}.checkpoint")
    save = pm.Sequential.save
    try:
        pm.Sequential.save = lambda self, path: fail(None)
        result = called("train", "--epochs", 1, "--data", digits, "--checkpoint-every", 2)
    finally:
        pm.Sequential.save = save
    assert result.exit_code == 1 and path.exists()
    return path


@pytest.mark.parametrize(
    "option, message",
    [
        (["--epochs", 2], "epochs 2: the training to resume has 1"),
        (["--batch-size", 64], "batch size 64: the training to resume has 128"),
        (["--seed", 1], "seed 1: the training to resume has 0"),
        (["--dtype", "float64"], "dtype float64: the training to resume has float32"),
    ],
)
def test_other_settings_are_bad_use(left_behind, digits, option, message):
    result = called("train", "--resume", left_behind, "--data", digits, *option)
    assert (
        result.exit_code == 2 and message in result.stderr and result.stderr.endswith("(see pymnistcnn train --help)\n")
    )
    assert os.listdir() == [left_behind.name]


def test_the_last_file_can_be_written_later(left_behind, digits):
    assert called("train", "--resume", left_behind, "--data", digits, "--output", "other").exit_code == 0
    assert called("train", "--epochs", 1, "--data", digits).exit_code == 0
    assert Path("other").read_bytes() == Path(NAME).read_bytes()


@pytest.mark.parametrize("damage", ["missing", "folder", "empty", "cut", "flipped", "model", "mine", "other data"])
def test_checkpoints_that_are_none(left_behind, digits, damage):
    content = bytearray(left_behind.read_bytes())
    arguments = ["--data", digits]
    if damage == "missing":
        left_behind.unlink()
    elif damage == "folder":
        left_behind.unlink()
        left_behind.mkdir()
    elif damage == "model":
        pm.load(left_behind).save(left_behind)
    elif damage == "mine":
        pm.load(left_behind).fit(
            (np.zeros((5, 28, 28)), [0] * 5), progress=False, checkpoint=pm.Checkpoint(left_behind)
        )
    elif damage == "other data":
        train = datasets.mnist(digits)[0]
        datasets.write_idx(digits / "train-labels-idx1-ubyte", train.labels[::-1])
    else:
        content[-9] ^= damage == "flipped"
        left_behind.write_bytes({"empty": b"", "cut": content[:-5], "flipped": content}[damage])
    result = called("train", "--resume", left_behind, *arguments)
    assert result.exit_code == 1 and (result.stdout == "" or damage == "other data")
    assert result.stderr.startswith("pymnistcnn: error: ") and result.stderr.count("\n") == 1
    assert left_behind.name in result.stderr and not Path(NAME).exists()


def test_bad_use_of_checkpoint_every():
    result = called("train", "--checkpoint-every", 0)
    assert result.exit_code == 2 and "--checkpoint-every" in result.stderr


def test_a_training_that_ends_well_leaves_no_checkpoint(digits):
    started = time.time()
    assert called("train", "--epochs", 2, "--data", digits, "--checkpoint-every", 1).exit_code == 0
    assert os.listdir() == [NAME] and time.time() - started < 60
