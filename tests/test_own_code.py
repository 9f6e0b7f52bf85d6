"""Layers and losses in Python train as those in C do, to the same promises; what is wrong with them is told."""

import copy
import pickle
import re
import sys
import warnings
from dataclasses import dataclass

import numpy as np
import pytest
from click.testing import CliRunner
from comparing import FMA_ISAS, TOLERANCE, agree

import pymnistcnn as pm
from pymnistcnn.cli import main

pytestmark = pytest.mark.filterwarnings("ignore::pymnistcnn.SlowWarning")
RNG = np.random.default_rng(3)
X = RNG.integers(0, 256, (70, 1, 8, 8)).astype(np.uint8)
LABELS = RNG.integers(0, 4, 70)
WEIGHTS = RNG.uniform(0.5, 2, 70)
DATA, VALIDATION = (X[:50], LABELS[:50]), (X[50:], LABELS[50:])


class Swish(pm.PythonLayer):
    def forward(self, x, training=True):
        self.x, self.share = x, 1 / (1 + np.exp(-x))
        return x * self.share

    def backward(self, dy):
        return dy * self.share * (1 + self.x * (1 - self.share))


@dataclass
class Affine(pm.PythonLayer):
    """A dataclass with weights; it is `pm.Linear` from `features`."""

    features: int

    def output_shape(self, shape):
        return (self.features,)

    def initial_weights(self, shape, rng):
        weight = rng.uniform(-1, 1, (self.features, *shape)) / np.sqrt(shape[0])
        return {"weight": weight, "bias": np.zeros(self.features)}

    def forward(self, x, training=True):
        self.x = x
        return x @ self.parameters["weight"].T + self.parameters["bias"]

    def backward(self, dy):
        self.gradients["weight"][...] = dy.T @ self.x
        self.gradients["bias"] += dy.sum(axis=0)
        return dy @ self.parameters["weight"]


def cross_entropy(outputs, targets, sample_weight=None):
    p = np.exp(outputs - outputs.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    wanted = np.eye(p.shape[1])[targets] if targets.ndim == 1 else targets
    weights = np.ones(len(p)) if sample_weight is None else sample_weight
    share = (weights / weights.sum())[:, None]
    return -(share * wanted * np.log(p)).sum(), share * (p - wanted)


class CrossEntropy(pm.Loss):
    def forward(self, outputs, targets):
        value, self.gradient = cross_entropy(outputs, targets)
        return value

    def backward(self):
        return self.gradient


def made(*middle, dtype="float64", random=(), seed=1):
    layers = [pm.Rescaling(1 / 255, -0.5), *random, pm.Conv2d(6, 3), *middle, pm.MaxPool2d(2), pm.Flatten()]
    return pm.Sequential([*layers, pm.Linear(4)], (1, 8, 8), seed, dtype)


def random_layers():
    """All that draws, moves statistics, or has weights in Python."""
    return [
        *(pm.Rescaling(1 / 255, -0.5), pm.GaussianNoise(0.1), pm.Conv2d(6, 3), pm.BatchNorm2d(), Swish()),
        *(
            pm.Residual([pm.Dropout(0.1), Swish()]),
            pm.MaxPool2d(2),
            Swish(),
            pm.Flatten(),
            pm.Dropout(0.3),
            Affine(7),
            Swish(),
            pm.Dropout(0.2),
            pm.Linear(4),
        ),
    ]


def fit(model, data=DATA, **arguments):
    return model.fit(data, **{"epochs": 2, "batch_size": 16, "progress": False, "threads": 1, **arguments})


def weights(model):
    return model.network.param.tobytes()


# ---- the same as in C ----

HOW = {
    "plain": {},
    "sgd": dict(optimizer=lambda: pm.SGD(0.05, momentum=0.9, weight_decay=1e-3)),
    "clipped, averaged": dict(clip_norm=0.1, average=0.5),
    "weights": dict(sample_weight=WEIGHTS[:50]),
    "schedule": dict(schedule=pm.Cosine(0.01)),
}
DTYPES = pytest.mark.parametrize("dtype", TOLERANCE)


@DTYPES
@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("loss", [None, cross_entropy])
@pytest.mark.parametrize(
    "layers", [lambda: [pm.SiLU()], lambda: [Swish()], lambda: [Swish(), pm.Conv2d(5, 1), Swish()]]
)
def test_training_is_that_of_the_layers_and_losses_in_c(layers, loss, how, dtype):
    given = dict(HOW[how])
    optimizer = given.pop("optimizer", pm.Adam)
    own = made(*layers(), dtype=dtype)
    same = made(*(pm.SiLU() if layer.in_python else layer for layer in layers()), dtype=dtype)
    history = fit(own, validation=VALIDATION, loss=loss, optimizer=optimizer(), **given)
    expected = fit(same, validation=VALIDATION, optimizer=optimizer(), **given)
    tolerance = 100 * TOLERANCE[dtype]
    for name in ("loss", "accuracy", "validation_loss", "validation_accuracy", "learning_rate"):
        assert getattr(history, name) == pytest.approx(getattr(expected, name), rel=tolerance), name
    for name, weights in own.state_dict().items():
        agree(weights, same.state_dict()[name], tolerance)
    agree(own.predict_proba(X), same.predict_proba(X), tolerance)
    result = own.evaluate(*VALIDATION)
    assert result.loss == history.validation_loss[-1] and own.score(*VALIDATION) == history.validation_accuracy[-1]


PROJECTIONS = {
    "found": lambda layer: None,
    "given": lambda layer: pm.Conv2d(8, 1, stride=2),
    "own": lambda layer: layer,
}


def block(kind, projection="found"):
    """A residual block inside another, with layers of this kind."""
    inside = pm.Residual([pm.Conv2d(6, 3, padding=1), kind()])
    if projection == "own":
        return pm.Residual([inside, pm.BatchNorm2d()], kind())
    return pm.Residual([inside, kind(), pm.Conv2d(8, 3, stride=2, padding=1)], PROJECTIONS[projection](kind))


@pytest.mark.parametrize("projection", PROJECTIONS)
def test_inside_residual_blocks(projection, tmp_path):
    own, same = (made(block(kind, projection), kind()) for kind in (Swish, pm.SiLU))
    assert own.state_dict().keys() == same.state_dict().keys()
    how = dict(validation=VALIDATION, clip_norm=0.5)
    history, expected = fit(own, **how), fit(same, **how)
    for name in ("loss", "validation_loss"):
        assert getattr(history, name) == pytest.approx(getattr(expected, name)), name
    agree(own.predict_outputs(X), same.predict_outputs(X), 1e-10)
    own.save(tmp_path / "own")
    again = pm.load(tmp_path / "own", own_layers=[Swish])
    assert (again.predict_outputs(X) == own.predict_outputs(X)).all()


def test_a_residual_block_by_hand():
    """Alone, and in a model; of pixels, too."""
    x = RNG.standard_normal((5, 6, 6, 6))
    own, same = (pm.Residual([pm.Conv2d(6, 3, padding=1), kind()]) for kind in (Swish, pm.SiLU))
    for one, other in [(own, same), [made(block(kind)).layers[2] for kind in (Swish, pm.SiLU)]]:
        agree(y := one.forward(x), other.forward(x), 1e-12)
        dy = RNG.standard_normal(y.shape)
        agree(one.backward(dy), other.backward(dy), 1e-12)
        for name, gradient in one.gradients.items():
            agree(gradient, other.gradients[name], 1e-12)
        with pytest.raises(RuntimeError, match="backward needs the state of a forward pass"):
            one.backward(dy)
    first = pm.Sequential([pm.Residual([Swish()])], (1, 8, 8))
    agree(first.predict_outputs(X), first.predict_outputs(X.astype(np.float32)), 0)


def test_forward_and_backward_by_hand():
    own, same, dy = made(Swish()), made(pm.SiLU()), RNG.standard_normal((70, 4))
    agree(own.forward(X), same.forward(X), 1e-12)
    agree(own.backward(dy), same.backward(dy), 1e-12)
    for one, other in zip(own.layers, same.layers, strict=True):
        for name, gradient in one.gradients.items():
            agree(gradient, other.gradients[name], 1e-12)
    with pytest.raises(RuntimeError, match="backward needs the state of a forward pass"):
        own.backward(dy)
    own.forward(X[:3])
    with pytest.raises(ValueError, match=re.escape("the last forward's output, (3, 4), not (70, 4)")):
        own.backward(dy)


def test_weights_in_python_are_weights():
    own = pm.Sequential([pm.Flatten(), Affine(5), pm.Linear(4)], (1, 8, 8), 1, "float64")
    same = pm.Sequential([pm.Flatten(), pm.Linear(5), pm.Linear(4)], (1, 8, 8), 1, "float64")
    assert own.state_dict().keys() == same.state_dict().keys()
    assert np.ptp(own.state_dict()["1.weight"]) > 0.2
    same.load_state_dict(own.state_dict())
    data = (X[:50] / 255, LABELS[:50])
    fit(own, data, average=0.9, clip_norm=0.5)
    fit(same, data, average=0.9, clip_norm=0.5)
    for name, values in own.state_dict().items():
        agree(values, same.state_dict()[name], 1e-10)


def test_a_loss_of_values_and_of_any_shape():
    values, model = RNG.standard_normal((50, 4)), made()

    def squares(outputs, targets):
        return ((outputs - targets) ** 2).mean(), 2 * (outputs - targets) / outputs.size

    same = made()
    history, expected = fit(model, (X[:50], values), loss=squares), fit(same, (X[:50], values), loss=pm.MSELoss())
    assert history.loss == pytest.approx(expected.loss) and np.isnan([*history.accuracy, *expected.accuracy]).all()

    def of_pairs(outputs, targets):
        assert targets.shape[1:] == (2, 3) and targets.dtype == outputs.dtype
        return 0.0, np.zeros_like(outputs)

    assert np.isnan(fit(made(), (X[:50], np.ones((50, 2, 3))), loss=of_pairs).accuracy).all()


def test_a_subclass_of_loss():
    one, other = made(), made()
    assert fit(one, loss=CrossEntropy()).loss == fit(other, loss=cross_entropy).loss
    assert weights(one) == weights(other)


def test_a_long_prediction_comes_in_pieces():
    model = pm.Sequential([pm.Linear(3), Swish()], (2,))
    x = RNG.standard_normal((5000, 2)).astype(np.float32)
    many = model.predict_outputs(x)
    assert many.shape == (5000, 3)
    agree(many[4000:], model.predict_outputs(x[4000:]), 0)


# ---- the same promises ----


@DTYPES
@pytest.mark.parametrize("loss", [None, cross_entropy])
def test_threads_and_instruction_sets_do_not_matter(dtype, loss):
    found, last = set(), FMA_ISAS[-1]
    for threads, isa in [(1, last), (2, last), (5, last), *((1, isa) for isa in FMA_ISAS[:-1])]:
        model = pm.Sequential(random_layers(), (1, 8, 8), 1, dtype)
        fit(model, threads=threads, isa=isa, clip_norm=1.0, average=0.9, validation=VALIDATION, loss=loss)
        found.add(weights(model))
    assert len(found) == 1


def test_a_batch_without_weight_changes_nothing():
    model = made(Swish())
    before = weights(model)
    history = fit(model, loss=cross_entropy, sample_weight=np.zeros(50), epochs=1, optimizer=pm.SGD(0.1))
    assert weights(model) == before and np.isnan(history.loss[0])


def test_each_batch_has_its_own_masks():
    class Zeros(pm.PythonLayer):
        def forward(self, x, training=True):
            if training:
                SEEN.append((x == 0).tobytes())
            return x

        def backward(self, dy):
            return dy

    SEEN = []
    model = pm.Sequential([pm.Dropout(0.5), Zeros(), pm.Linear(4)], (30,))
    data = np.ones((48, 30), np.float32), LABELS[:48]
    for _ in range(2):
        fit(model, data)
    assert len(SEEN) == len(set(SEEN)) == 12


class Ends(pm.Callback):
    every = 1

    def __init__(self, epoch, batch):
        self.at = epoch, batch

    def on_batches(self, training):
        if (training.epoch, training.batch) == self.at:
            raise OSError("the network drive is gone")


@pytest.mark.parametrize("at", [(0, 1), (1, 4), (2, 2)])
def test_a_resumed_training_gives_the_same_bits(at, tmp_path):
    path, how = tmp_path / "run", dict(epochs=3, validation=VALIDATION, average=0.9, loss=cross_entropy)
    whole = pm.Sequential(random_layers(), (1, 8, 8), 1)
    history = fit(whole, **how)
    broken = pm.Sequential(random_layers(), (1, 8, 8), 1)
    with pytest.raises(OSError, match="^the network drive"):
        fit(broken, callbacks=[Ends(*at)], checkpoint=pm.Checkpoint(path, every=1), **how)
    again = pm.load(path, own_layers=[Swish, Affine])
    resumed = fit(again, resume=path, **how)
    assert weights(again) == weights(whole)
    assert resumed.loss == history.loss and resumed.validation_loss == history.validation_loss


def test_what_fails_in_python_leaves_the_steps_before_it():
    class Fails(Swish):
        steps = 0

        def backward(self, dy):
            self.steps += 1
            if self.steps == 6:
                raise ZeroDivisionError("mine")
            return super().backward(dy)

    model, same = made(Fails()), made(Swish())
    with pytest.raises(ZeroDivisionError, match="mine"):
        fit(model, batch_size=10)

    class Stop(pm.Callback):
        every = 1

        def on_batches(self, training):
            if training.epoch == 1:
                training.stop()

    fit(same, batch_size=10, callbacks=[Stop()])
    before = {weights(same)}
    fit(reference := made(Swish()), batch_size=10, epochs=1)
    before.add(weights(reference))
    assert weights(model) in before


def test_nan_is_told_with_its_layer():
    def loss(outputs, targets):
        return 1.0, np.full_like(outputs, np.nan)

    model = pm.Sequential([pm.Flatten(), Affine(5), pm.Linear(4)], (1, 8, 8))
    before = weights(model)
    with pytest.raises(pm.Diverged, match=r"a parameter of layer 1 \(.*Affine\(.*5\)\) became NaN") as caught:
        fit(model, loss=loss)
    assert (caught.value.epoch, caught.value.batch) == (1, 1)
    assert weights(model) == before


# ---- files ----


def test_saved_and_loaded(tmp_path):
    model = pm.Sequential(random_layers(), (1, 8, 8), 1)
    fit(model)
    model.save(tmp_path / "own")
    again = pm.load(tmp_path / "own", own_layers=[Swish, Affine])
    assert weights(again) == weights(model) and repr(again) == repr(model)
    assert (again.predict(X) == model.predict(X)).all()
    with pytest.raises(ValueError, match=re.escape("no layer 'Swish'; if it is one of your own, a PythonLayer")):
        pm.load(tmp_path / "own")


# ---- what is told ----


def test_a_training_with_python_in_it_is_told_to_be_slow():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default", pm.SlowWarning)
        fit(made(pm.ReLU()))
        assert caught == []
        for _ in range(3):
            fit(made(Swish()), loss=cross_entropy)
    assert [str(one.message) for one in caught] == ["each step has Python in it, and is slower: Swish(), cross_entropy"]
    assert caught[0].filename == __file__


class NoForward(pm.PythonLayer):
    pass


class NoBackward(pm.PythonLayer):
    def forward(self, x, training=True):
        return x


class Wrong(Swish):
    def forward(self, x, training=True):
        return super().forward(x)[:, :2]


class WrongGradient(Swish):
    def backward(self, dy):
        return dy[:1]


@pytest.mark.parametrize(
    "arguments, kind, message",
    [
        (dict(layer=NoForward), NotImplementedError, "NoForward does not say what it computes"),
        (dict(layer=NoBackward), NotImplementedError, "NoBackward does not say what its gradient is"),
        (dict(layer=Wrong), ValueError, "the output of Wrong() must have shape (16, 6, 6, 6), not (16, 2, 6, 6)"),
        (dict(layer=WrongGradient), ValueError, "the gradient of WrongGradient() must have shape (16, 6, 6, 6), not"),
        (dict(loss=lambda z, t: (z, z)), ValueError, "must give the mean loss of the batch, a number, not shape"),
        (dict(loss=lambda z, t: 1.0), ValueError, "must return the mean loss and its gradient by the outputs, not 1.0"),
        (dict(loss=lambda z, t: (1.0, z[0])), ValueError, "the gradient of <lambda> must have shape (16, 4), not (4,)"),
        (dict(loss=pm.Loss()), ValueError, "Loss does not say what it computes: it needs `forward` and `backward`"),
        (dict(loss=pm.MSELoss), ValueError, "loss must be a loss, such as pm.CrossEntropyLoss(), or a function of"),
        (dict(loss="mse"), ValueError, "loss must be a loss, such as"),
        (dict(loss=cross_entropy, class_weight={0: 2}), ValueError, "class_weight is for a loss that takes weights"),
    ],
)
def test_what_is_wrong_is_told(arguments, kind, message):
    model = made(arguments.pop("layer", Swish)())
    before = weights(model)
    with pytest.raises(kind, match=re.escape(message)):
        fit(model, **arguments)
    assert weights(model) == before


def test_targets_of_a_loss_in_python():
    for targets, message in [
        (LABELS[:50] + 1, "must be from 0 to 3, the network's classes, not 4"),
        (np.ones((49, 4)), "must be 50, one for each input, not of shape (49, 4)"),
        (np.full((50, 4), "a"), "must be numbers"),
    ]:
        with pytest.raises(ValueError, match=re.escape(message)):
            fit(made(), (X[:50], targets), loss=cross_entropy)


def two(outputs, targets):
    return cross_entropy(outputs, targets)


class TwoArguments(CrossEntropy):
    def forward(self, outputs, targets):
        return super().forward(outputs, targets)


def setting(outputs, targets, gamma=2.0):
    return cross_entropy(outputs, targets)


@pytest.mark.parametrize("loss", [two, setting, TwoArguments(), lambda z, y: cross_entropy(z, y)],
                         ids=["two", "a setting", "class", "lambda"])  # fmt: skip
def test_a_loss_that_takes_no_weights_is_told(loss):
    model = made()
    before = weights(model)
    with pytest.raises(ValueError, match=r"sample_weight is for a loss that takes it: .* needs a third argument"):
        fit(model, loss=loss, sample_weight=np.ones(50))
    assert weights(model) == before
    fit(model, loss=loss)  # and without weights it is one


@pytest.mark.parametrize("loss", [lambda z, y, w: cross_entropy(z, y, w), lambda z, y, w=None: cross_entropy(z, y, w),
                                  lambda *all_of_them: cross_entropy(*all_of_them)])  # fmt: skip
def test_losses_that_take_weights(loss):
    assert len(fit(made(), loss=loss, sample_weight=np.ones(50))) == 2


def test_a_lambda_does_not_pickle_and_says_so(monkeypatch):
    for name in [name for name in sys.modules if name.endswith(("cloudpickle", "dill"))]:
        monkeypatch.delitem(sys.modules, name)
    model = made()
    fit(model, loss=lambda z, y: cross_entropy(z, y))
    with pytest.raises(
        pickle.PicklingError, match="a model's loss, <lambda>, is a lambda or a function inside another"
    ):
        pickle.dumps(model)
    again = copy.deepcopy(model)
    assert again.evaluate(DATA) == model.evaluate(DATA) and copy.copy(again.loss) == again.loss == model.loss
    model.loss = pm.CrossEntropyLoss()
    assert pickle.loads(pickle.dumps(model)).evaluate(DATA) == model.evaluate(DATA)
    fit(model, loss=two)
    assert pickle.loads(pickle.dumps(model)).loss == model.loss


def test_cloudpickle_takes_a_lambda():
    cloudpickle = pytest.importorskip("cloudpickle", reason="needs cloudpickle")
    model = made()
    fit(model, loss=lambda z, y: cross_entropy(z, y))
    assert pickle.loads(cloudpickle.dumps(model)).evaluate(DATA) == model.evaluate(DATA)


@pytest.mark.parametrize("command", [["evaluate"], ["predict", "a.png"], ["export", "--c", "a.c"]])
def test_own_layers_on_the_command_line(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made(Swish()).save("own.st")
    name, *rest = command
    result = CliRunner().invoke(main, [name, "own.st", *rest])
    assert result.exit_code == 1 and result.stdout == "" and result.stderr.count("\n") == 1
    assert result.stderr.startswith("pymnistcnn: error: own.st: there is no layer 'Swish'; if it is one of your own")
    assert "load this model in Python: pm.load(path, own_layers=[Class])" in result.stderr


def test_own_layers_are_classes(tmp_path):
    model = pm.Sequential([Swish()], (3,))
    model.save(tmp_path / "a.st")
    assert pm.load(tmp_path / "a.st", own_layers=Swish).layers[0].__class__ is Swish
    for wrong in (["Swish"], "Swish", {"Swish": Swish}, Swish(), [Swish()], None, [int]):
        with pytest.raises(ValueError, match="own_layers must be a list of classes of layers"):
            pm.load(tmp_path / "a.st", own_layers=wrong)
