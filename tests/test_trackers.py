"""Trackers are told all, in order; and never cost a training."""

import math
import os
import warnings

import numpy as np
import pytest

import pymnistcnn as pm
from pymnistcnn.trackers import sheet, stretched

RNG = np.random.default_rng(0)
X, LABELS = RNG.integers(0, 256, (40, 1, 8, 8), np.uint8), np.arange(40) % 4
HELD_OUT = X[:10], LABELS[:10]


def fit(*callbacks, epochs=2, layers=None, **arguments):
    layers = layers or [pm.Rescaling(1 / 255), pm.Conv2d(6, 3), pm.ReLU(), pm.Flatten(), pm.Linear(4)]
    model = pm.Sequential(layers, (1, 8, 8), seed=3)
    history = model.fit(X, LABELS, epochs=epochs, batch_size=10, progress=False, callbacks=list(callbacks), **arguments)
    return model, history


class Run:
    """Of Weights & Biases, as far as is needed."""

    def __init__(self, fails=()):
        self.rows, self.fails = [], fails

    def log(self, data, step=None):
        self.rows.append((step, data))
        if len(self.rows) in self.fails:
            raise ConnectionError("no route to host")


# ---- anything with log(numbers, step) ----


@pytest.mark.parametrize("of", [lambda run: run, lambda run: run.log], ids=["a run", "a function"])
def test_each_epoch_is_logged(of):
    run = Run()
    _, history = fit(pm.Tracker(of(run)), validation=HELD_OUT, epochs=3)
    assert [step for step, _ in run.rows] == [1, 2, 3]
    assert [row for _, row in run.rows] == list(history) and "validation_accuracy" in run.rows[0][1]


def test_batches_are_logged_at_their_steps():
    run = Run()
    _, history = fit(pm.Tracker(run, every=2))
    assert [step for step, _ in run.rows] == [2, 4, 4, 6, 8, 8]
    assert set(run.rows[0][1]) == {"batch/loss", "batch/accuracy", "batch/learning_rate"}
    assert (
        [row["batch/loss"] for _, row in run.rows[1::3]] == history.loss == [row["loss"] for _, row in run.rows[2::3]]
    )


def test_what_is_no_number_is_left_out():
    run = Run()
    model = pm.Sequential([pm.Linear(1)], (3,))
    model.fit(np.ones((4, 3)), np.ones((4, 1)), loss=pm.MSELoss(), callbacks=[pm.Tracker(run)], progress=False)
    assert "loss" in run.rows[0][1] and "accuracy" not in run.rows[0][1]
    assert all(math.isfinite(value) for value in run.rows[0][1].values())


def test_a_run_that_raises_costs_nothing():
    run = Run(fails=(1, 2))
    with pytest.warns(pm.TrackerWarning, match=r"Tracker: .* \(ConnectionError: no route to host\).*goes on") as told:
        model, history = fit(pm.Tracker(run), epochs=4)
    assert len(told) == 1 and len(run.rows) == 4  # and it is asked again
    same, expected = fit(epochs=4)
    assert history.loss == expected.loss and model.network.param.tobytes() == same.network.param.tobytes()


def test_ctrl_c_in_a_run_is_heard():
    def log(numbers, step):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(pm.Tracker(log))


@pytest.mark.parametrize("run", [None, 3, {"log": 1}, type("Run", (), {"log": 5})()])
def test_what_cannot_log_is_refused(run):
    with pytest.raises(ValueError, match="run must be a function of numbers and a step, or have one as `log`, not "):
        pm.Tracker(run)
    with pytest.raises(ValueError, match="every must be a whole number from 1 on, not 0"):
        pm.Tracker(print, every=0)


# ---- TensorBoard ----


@pytest.fixture
def writes():
    pytest.importorskip("tensorboardX", reason="needs tensorboardX")


def read(folder):
    """The events in a folder, by TensorBoard itself."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what TensorBoard imports
        module = pytest.importorskip(
            "tensorboard.backend.event_processing.event_accumulator", reason="needs tensorboard"
        )
        events = module.EventAccumulator(str(folder), size_guidance={module.SCALARS: 0, module.IMAGES: 0})
        events.Reload()
    return events


def test_tensorboard_reads_the_history(writes, tmp_path):
    _, history = fit(pm.TensorBoard(tmp_path / "run"), validation=HELD_OUT, epochs=3)
    events = read(tmp_path / "run")
    assert set(events.Tags()["scalars"]) == set(history.history)
    for name, values in history.history.items():
        found = events.Scalars(name)
        assert [event.step for event in found] == [1, 2, 3]
        assert [event.value for event in found] == pytest.approx(values)


def test_tensorboard_reads_pictures(writes, tmp_path):
    from PIL import Image

    model, _ = fit(pm.TensorBoard(tmp_path))
    events = read(tmp_path)
    assert set(events.Tags()["images"]) == {"training_data", "filters"}
    assert [event.step for event in events.Images("filters")] == [1, 2]
    (tmp_path / "a.png").write_bytes(events.Images("training_data")[0].encoded_image_string)
    shown = np.array(Image.open(tmp_path / "a.png"))
    assert shown.shape[:2] == (6 * 9 - 1, 7 * 9 - 1)  # 40 pictures
    least, most = int(X.min()), int(X.max())
    expected = np.rint((X[8, 0].astype(float) - least) * (255 / (most - least)))
    assert (shown.reshape(53, 62, -1)[9:17, 9:17, 0] == expected).all()
    (tmp_path / "b.png").write_bytes(events.Images("filters")[1].encoded_image_string)
    last = stretched(model.state_dict()["0.weight"])
    assert (np.array(Image.open(tmp_path / "b.png")).reshape(7, 11, -1)[:3, :3, 0] == last[0, 0]).all()


def test_tensorboard_reads_hyperparameters(writes, tmp_path):
    fit(pm.TensorBoard(tmp_path, hyperparameters={"idea": "small", "wide": True}), optimizer=pm.SGD(0.05, momentum=0.5))
    metadata = read(tmp_path).summary_metadata
    from tensorboardX.proto.plugin_hparams_pb2 import HParamsPluginData

    content = metadata["_hparams_/session_start_info"].plugin_data.content
    found = HParamsPluginData.FromString(content).session_start_info.hparams
    assert found["optimizer"].string_value == "SGD" and found["optimizer.momentum"].number_value == 0.5
    assert found["batch_size"].number_value == 10 and found["seed"].number_value == 3
    assert found["idea"].string_value == "small" and found["wide"].bool_value


def test_a_resumed_training_goes_on_in_its_folder(writes, tmp_path):
    class Stop(pm.Callback):
        def on_epoch_end(self, training):
            if training.epoch == 1:
                training.stop()

    path, folder = tmp_path / "c", tmp_path / "run"
    fit(Stop(), pm.TensorBoard(folder), epochs=4, checkpoint=pm.Checkpoint(path))
    _, history = fit(pm.TensorBoard(folder), epochs=4, resume=path)
    files = sorted(folder.iterdir(), key=lambda file: file.stat().st_mtime_ns)
    rows = [(event.step, event.value) for file in files for event in read(file).Scalars("loss")]
    assert [step for step, _ in rows] == [1, 2, 3, 4] and [v for _, v in rows] == pytest.approx(history.loss)


def test_other_data_than_pictures(writes, tmp_path):
    pm.Sequential([pm.Linear(2)], (3,)).fit(np.ones((4, 3)), [0, 1, 0, 1], callbacks=[pm.TensorBoard(tmp_path)],
                                            progress=False)  # fmt: skip
    assert read(tmp_path).Tags()["images"] == []


@pytest.mark.parametrize("when", ["at the beginning", "in between"])
def test_a_folder_that_cannot_be_written_costs_nothing(writes, when, tmp_path, monkeypatch):
    if when == "at the beginning":
        (tmp_path / "run").write_text("a file")
    else:
        from tensorboardX.event_file_writer import EventsWriter

        def full(self, event):
            if event.step:
                raise OSError(28, "No space left on device")

        monkeypatch.setattr(EventsWriter, "write_event", full)
    with pytest.warns(pm.TrackerWarning) as told:
        _, history = fit(pm.TensorBoard(tmp_path / "run"), epochs=3)
    assert len(told) == 1 and len(history) == 3


def test_no_file_is_left_open(writes, tmp_path):
    callback = pm.TensorBoard(tmp_path)
    fit(callback)
    open_now = {os.path.realpath(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd")}
    assert not [path for path in open_now if path.startswith(str(tmp_path))]
    fit(callback)  # and it may be used again
    assert len(os.listdir(tmp_path)) == 2


@pytest.mark.parametrize("n, shape", [(1, (1, 8, 8)), (5, (1, 4, 6)), (4, (3, 5, 5)), (7, (2, 3, 3))])
def test_a_sheet_has_all_pictures(n, shape):
    images = RNG.standard_normal((n, *shape))
    shown = sheet(stretched(images))
    channels, height, width = (3 if shape[0] == 3 else 1), *shape[1:]
    count = n * shape[0] // channels
    across = math.ceil(math.sqrt(count))
    assert shown.shape == (channels, math.ceil(count / across) * (height + 1) - 1, across * (width + 1) - 1)
    assert shown.min() == 0 and shown.max() == 255 and shown.dtype == np.uint8
    last = stretched(images)[-1]
    row, column = (count - 1) // across * (height + 1), (count - 1) % across * (width + 1)
    assert (shown[:, row : row + height, column : column + width] == last).all()
