"""Distillation: what a student is taught, picture by picture, and that it is the same again."""

import numpy as np
import pytest
import reference
from comparing import FMA_ISAS

import pymnistcnn as pm
from pymnistcnn import sources
from pymnistcnn.distillation import Lessons
from pymnistcnn.losses import CrossEntropyLoss

RNG = np.random.default_rng(0)
X = RNG.integers(0, 256, (70, 1, 8, 8), np.uint8)
LABELS = X.reshape(70, 4, 16).mean(axis=2).argmax(axis=1)
AUGMENTATION = [pm.Augmentation(shift=1, rotation=20), pm.GaussianNoise(5)]


def network(width=20, seed=0, dtype="float32", layers=()):
    layers = [pm.Rescaling(1 / 255), *layers, pm.Flatten(), pm.Linear(width), pm.Tanh(), pm.Linear(4)]
    return pm.Sequential(layers, (1, 8, 8), seed=seed, dtype=dtype)


TEACHER = network(30, seed=5)
TEACHER.fit((X, LABELS), epochs=5, batch_size=10, progress=False)


def given(augmentation=AUGMENTATION, teacher=TEACHER, data=(X, LABELS), **how):
    return pm.Distillation(teacher, data, augmentation, **how)


def fit(lessons, model=None, **how):
    model = network(seed=3) if model is None else model
    history = model.fit(lessons, **dict(epochs=2, batch_size=16, optimizer=pm.Adam(0.01), progress=False) | how)
    return model.network.param.tobytes(), history.loss, history.accuracy


def taught(lessons, seed=3, epoch=1, begin=0, dtype="float32"):
    """All pictures and targets of an epoch, in its order, and their numbers."""
    model = network(dtype=dtype)
    x, targets = model._samples(CrossEntropyLoss(), lessons.data, None, "train")
    parts = list(Lessons(lessons, model.network, CrossEntropyLoss(), x, targets, True).parts(seed, epoch, 16, begin))
    assert [part.is_last for part in parts] == [False] * (len(parts) - 1) + [True]
    return (np.concatenate(column) for column in zip(*((p.x, p.targets.values, p.numbers) for p in parts), strict=True))


@pytest.mark.parametrize("alpha, temperature", [(0.1, 3), (0, 1), (1, 1), (0.5, 20)])
def test_the_targets_are_the_teachers_answers_to_the_same_pixels(alpha, temperature, dtype):
    x, targets, numbers = taught(given(alpha=alpha, temperature=temperature), dtype=dtype)
    assert x.dtype == targets.dtype == dtype and sorted(numbers) == list(range(70))
    soft = reference.softmax(TEACHER.predict_outputs(x.astype(np.float32)).astype(np.float64) / temperature)
    np.testing.assert_allclose(targets, alpha * np.eye(4)[LABELS[numbers]] + (1 - alpha) * soft, atol=1e-6)


def test_pictures_are_augmented_as_a_layer_does_it():
    """By seed, epoch and number: a model that begins with these layers sees the same."""
    shift = pm.Augmentation(shift=1, rotation=20)
    x, _, numbers = taught(given(shift), seed=7, epoch=2)
    expected = [reference.warp(X[n], n, 0, 7, 2, 1, np.radians(20), 0, 0, 0, 4, 0, 0, 0, (1, 1), 0) for n in numbers]
    np.testing.assert_allclose(x, expected, atol=1e-2)
    again, *_ = taught(given(shift), seed=7, epoch=3)
    assert (again != x).any()


def test_without_augmentation_pictures_are_what_they_were():
    x, _, numbers = taught(given(()))
    assert x.dtype == np.uint8
    np.testing.assert_array_equal(x, X[numbers])


def test_several_teachers_are_averaged():
    other = network(10, seed=6)
    x, targets, _ = taught(given(teacher=[TEACHER, other.predictor()], alpha=0, temperature=2))
    mean = (TEACHER.predict_outputs(x).astype(np.float64) + other.predict_outputs(x)) / 2
    np.testing.assert_allclose(targets, reference.softmax(mean / 2), atol=1e-6)


def test_training_is_that_on_the_soft_targets():
    x, targets, _ = taught(given(), epoch=0)
    expected = fit((x, targets), shuffle=False, epochs=1)
    assert fit(given(), epochs=1) == expected


@pytest.mark.parametrize("mixing", [None, pm.MixUp(1.0), pm.CutMix()], ids=str)
def test_same_seed_same_bits(mixing, monkeypatch):
    first = fit(given(), threads=1, mixing=mixing)
    for isa in FMA_ISAS:
        assert fit(given(), threads=3, isa=isa, mixing=mixing) == first
    if mixing:
        assert fit(given()) != first
        return
    monkeypatch.setattr(sources, "MOST_SAMPLES", 32)  # parts of two batches
    assert fit(given()) == first
    assert fit(given(), shuffle=False) != first


def test_a_checkpoint_is_gone_on_with_in_the_middle(tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "MOST_SAMPLES", 32)
    path = tmp_path / "run.checkpoint"

    class Stops(pm.Callback):
        every = 1

        def on_batches(self, training):
            if (training.epoch, training.batch) == (1, 3):
                training.stop()

    expected, how = fit(given()), dict(checkpoint=pm.Checkpoint(path))
    fit(given(), callbacks=[Stops()], **how)
    assert pm.load(path).network.param.tobytes() != expected[0]
    assert fit(given(), resume=path) == expected
    fit(given(), callbacks=[Stops()], **how)
    with pytest.raises(ValueError, match="a checkpoint of another training: not the same distillation"):
        fit(given(alpha=0.5), resume=path)
    with pytest.raises(ValueError, match="a checkpoint of another training: not the same teacher"):
        fit(given(teacher=network()), resume=path)


def test_validation_is_of_labels_and_weights_of_samples():
    model = network(seed=3)
    weights = np.linspace(0, 2, 70)
    history = model.fit(given(), validation=(X, LABELS), sample_weight=weights, progress=False)
    evaluation = model.evaluate(X, LABELS)
    assert (history.validation_loss[-1], history.validation_accuracy[-1]) == (evaluation.loss, evaluation.accuracy)
    model = network(seed=3)
    assert model.fit(given(), progress=False).loss != history.loss


def test_accuracy_on_probabilities_counts_the_largest():
    rows = RNG.dirichlet(np.ones(4), 70)
    evaluation = TEACHER.evaluate(X, rows)
    assert evaluation.accuracy == (TEACHER.predict(X) == rows.argmax(axis=1)).mean()
    _, _, accuracy = fit((X, rows), epochs=1, batch_size=70, shuffle=False, model=network(seed=3))
    assert accuracy == [(network(seed=3).predict(X) == rows.argmax(axis=1)).mean()]


def mean_teaches(stops=(), **how):
    teacher = pm.MeanTeacher(network(seed=8))
    return fit(given(teacher=teacher, alpha=0.5), average=0.8, epochs=3, callbacks=[teacher, *stops], **how), teacher


def test_a_mean_teacher_is_the_average_when_an_epoch_begins():
    averages = []

    class Looks(pm.Callback):
        def on_epoch_begin(self, training):
            averages.append(training.validated.copy())

    (_, loss, _), teacher = mean_teaches([Looks()])
    assert teacher.model.network.param.tobytes() == averages[2].tobytes()
    mean = network()
    mean.network.param[...] = averages[0]
    assert fit(given(teacher=mean, alpha=0.5), average=0.8, epochs=1)[1] == loss[:1]


def test_a_training_with_a_mean_teacher_is_gone_on_with(tmp_path):
    class Stops(pm.Callback):
        every = 1

        def on_batches(self, training):
            if (training.epoch, training.batch) == (1, 3):
                training.stop()

    path, (expected, teacher) = tmp_path / "run.checkpoint", mean_teaches()
    mean_teaches([Stops()], checkpoint=pm.Checkpoint(path))
    resumed, other = mean_teaches(resume=path)
    assert resumed == expected
    assert other.model.network.param.tobytes() == teacher.model.network.param.tobytes()


# ---- what cannot be ----

WITH_SOFTMAX = pm.Sequential([pm.Flatten(), pm.Linear(4), pm.Softmax()], (1, 8, 8))


@pytest.mark.parametrize("how, words", [
    (dict(teacher=3), "teacher must be a model, or a list of models, not 3"),
    (dict(teacher=[]), "teacher must be a model, or a list of models, not an empty list"),
    (dict(teacher=WITH_SOFTMAX), "teacher must give logits: leave its last layer, Softmax, out"),
    (dict(augmentation=3), "augmentation must be a layer or layers, not 3"),
    (dict(augmentation=[3]), "augmentation must be layers, such as pm.Augmentation(shift=2), not 3"),
    (dict(augmentation=pm.Residual([pm.ReLU()])), "layers that C computes one after the other"),
    (dict(alpha=1.5), "alpha must be a number from 0 to 1, not 1.5"),
    (dict(temperature=0.5), "temperature must be a number from 1 to 100, not 0.5"),
])  # fmt: skip
def test_bad_arguments(how, words):
    with pytest.raises(ValueError) as error:
        given(**how)
    assert words in str(error.value)


@pytest.mark.parametrize("lessons, how, words", [
    (given(augmentation=pm.Conv2d(1, 3)), {}, "augmentation must be of layers without parameters"),
    (given(augmentation=pm.MaxPool2d(2)), {}, "that leave a picture's shape as it is"),
    (given(teacher=pm.Sequential([pm.Flatten(), pm.Linear(3)], (1, 8, 8))), {}, "outputs (16, 4) of 16 pictures"),
    (given(teacher=pm.Sequential([pm.Flatten(), pm.Linear(4)], (1, 9, 9))), {}, "inputs must have shape (n, 1, 9, 9)"),
    (given(data=(X, np.eye(4)[LABELS])), {}, "a Distillation is of labels (n,)"),
    (given(), dict(loss=pm.NLLLoss()), "for CrossEntropyLoss, not for NLLLoss"),
    (given(), dict(loss=pm.MSELoss()), "train labels must have the shape of the outputs"),
    (given(), dict(y=LABELS), "a Distillation has its own labels: y is left out"),
    (given(teacher=[TEACHER, lambda x: np.zeros(4)]), {}, "not (4,)"),
])  # fmt: skip
def test_refused_before_training(lessons, how, words):
    model = network()
    before = model.network.param.copy()
    with pytest.raises(ValueError) as error:
        fit(lessons, model, **how)
    assert words in str(error.value)
    np.testing.assert_array_equal(model.network.param, before)


def test_a_model_does_not_teach_itself():
    model = network()
    for teacher in (model, pm.MeanTeacher(model)):
        with pytest.raises(ValueError, match="teacher must be another model"):
            fit(given(teacher=teacher), model)
    with pytest.raises(ValueError, match="model must be a Sequential of the student's layers, not 3"):
        pm.MeanTeacher(3)
