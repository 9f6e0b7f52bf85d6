"""Copies: what pickle and deepcopy make. And memory: what goes out of scope is gone at once, without a collection."""

import copy
import gc
import multiprocessing
import pickle
import tracemalloc
import weakref
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import pytest

import pymnistcnn as pm

HOW = {"pickle": lambda thing: pickle.loads(pickle.dumps(thing)), "deepcopy": copy.deepcopy}
X = np.random.default_rng(0).integers(0, 256, (60, 1, 12, 12), np.uint8)
LABELS = np.arange(60) % 10
OPTIMIZERS = {
    "sgd": lambda: pm.SGD(0.01, momentum=0.9),
    "adam": lambda: pm.Adam(0.01),
    "adagrad": lambda: pm.Adagrad(0.01, initial_accumulator_value=0.1),
    "rmsprop": lambda: pm.RMSprop(0.001, centered=True),
}


@pytest.fixture(params=HOW)
def copied(request):
    return HOW[request.param]


@pytest.fixture
def no_collections():
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def made(dtype="float32"):
    block = pm.Residual([pm.Conv2d(8, 3, padding=1), pm.BatchNorm2d()])
    last = pm.Linear(10, initializer=pm.initializers.HeNormal())
    layers = [pm.Rescaling(1 / 255), block, pm.ReLU(), pm.MaxPool2d(2), pm.Flatten(), pm.Dropout(0.2), last]
    return pm.Sequential(layers, (1, 12, 12), seed=3, dtype=dtype)


def fitted(model, optimizer=None, **options):
    model.fit(X, LABELS, batch_size=32, optimizer=optimizer, progress=False, **options)
    return model


def weights(model):
    return model.network.param.tobytes()


# ---- models ----


def test_a_model_is_the_same(copied, dtype):
    model = fitted(made(dtype), loss=pm.CrossEntropyLoss(label_smoothing=0.1))
    model.notes = {"accuracy": 0.5}
    other = copied(model)
    assert repr(other) == repr(model) and other.dtype == model.dtype
    assert (other.loss, other.epochs_trained, other.notes) == (model.loss, 1, {"accuracy": 0.5})
    assert weights(other) == weights(model) and other.description() == model.description()
    assert other.evaluate(X, LABELS) == model.evaluate(X, LABELS)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_model_and_its_optimizer_go_on_as_they_would_have(copied, optimizer):
    optimizer = OPTIMIZERS[optimizer]()
    model = fitted(made(), optimizer)
    other, its_optimizer = copied((model, optimizer))
    assert its_optimizer == optimizer
    assert weights(fitted(other, its_optimizer)) == weights(fitted(model, optimizer))
    assert its_optimizer._state.steps == 4


def test_copies_are_apart(copied):
    model, optimizer = made(), pm.Adam(0.01)
    fitted(model, optimizer)
    other, its_optimizer = copied((model, optimizer))
    before = weights(model), optimizer._state.steps
    fitted(other, its_optimizer)
    assert (weights(model), optimizer._state.steps) == before != (weights(other), its_optimizer._state.steps)
    for layer in other.layers:
        for view in layer.parameters.values():
            assert np.shares_memory(view, other.network.param) and not np.shares_memory(view, model.network.param)


def test_a_copied_state_is_not_for_a_network_of_other_parameters(copied):
    optimizer = pm.Adam(0.01)
    fitted(made(), optimizer)
    other = pm.Sequential([pm.Flatten(), pm.Linear(10)], (1, 12, 12))
    assert weights(fitted(copy.deepcopy(other), copied(optimizer))) == weights(fitted(other, pm.Adam(0.01)))


def test_a_copy_made_in_the_middle_of_a_training(copied):
    class Copies(pm.Callback):
        def on_epoch_end(self, training):
            self.made = copied((training.model, training.optimizer))

    copies, model, optimizer = Copies(), made(), pm.Adam(0.01)
    fitted(model, optimizer, callbacks=[copies])
    other, its_optimizer = copies.made
    assert weights(fitted(other, its_optimizer)) == weights(fitted(model, optimizer))


def test_a_layer_of_ones_own_is_copied():
    class Twice(pm.layers.Layer):
        def __init__(self):
            self.seen = [1, 2]

        def output_shape(self, shape):
            return shape

        def lower(self, builder):
            pass

    model = pm.Sequential([Twice(), pm.Linear(2)], (3,))
    assert copy.deepcopy(model).layers[0].seen == [1, 2]


# ---- layers, losses ----


def test_a_built_layer_is_the_same(copied):
    layer = pm.Residual([pm.Conv2d(8, 3, padding=1)]).build((1, 12, 12), seed=5)
    x = X[:3].astype(np.float32)
    y = layer.forward(x)
    other = copied(layer)
    assert list(other.parameters) == list(layer.parameters) == ["layers.0.weight", "layers.0.bias", "projection.weight"]
    np.testing.assert_array_equal(other.forward(x), y)
    np.testing.assert_array_equal(other.backward(y), layer.backward(y))


def test_masks_go_on_in_a_copied_layer(copied):
    layer, x = pm.Dropout(0.5), np.ones((4, 100), np.float32)
    layer.forward(x)
    other = copied(layer)
    np.testing.assert_array_equal(other.forward(x), layer.forward(x))


def test_a_layer_of_a_model_is_in_no_model_any_more(copied):
    model = made()
    layer = copied(model.layers[1])
    np.testing.assert_array_equal(layer.parameters["projection.weight"], model.state_dict()["0.projection.weight"])
    layer.parameters["projection.weight"][:] = 0
    assert model.state_dict()["0.projection.weight"].any()
    pm.Sequential([layer, pm.Flatten(), pm.Linear(2)], (1, 12, 12))  # refuses what is in a model


def test_a_layer_that_is_not_built(copied):
    assert repr(copied(pm.Conv2d(8, 3, padding="same"))) == "Conv2d(8, 3, padding='same')"


def test_losses(copied):
    loss = pm.CrossEntropyLoss(weight=(1, 2), label_smoothing=0.1)
    loss.forward([[0.5, 0.25]], [1])
    assert copied(loss) == loss
    np.testing.assert_array_equal(copied(loss).backward(), loss.backward())


# ---- Diverged ----


def diverged():
    x = np.ones((6, 3), np.float32)
    x[4] = np.nan
    model = pm.Sequential([pm.Linear(2)], (3,))
    with pytest.raises(pm.Diverged) as caught:
        model.fit(x, np.arange(6) % 2, batch_size=2, shuffle=False, progress=False)
    return caught.value


def test_diverged(copied):
    error = diverged()
    other = copied(error)
    assert type(other) is pm.Diverged and str(other) == str(error)
    assert (other.layer, other.epoch, other.batch) == (0, 1, 3)
    assert other.images.tolist() == [4, 5] and other.bad_images.tolist() == [4] and other.bad_targets == ()


def test_diverged_comes_out_of_a_process_pool():
    """And does not break it."""
    model, x = pm.Sequential([pm.Linear(2)], (3,)), np.full((6, 3), np.nan, np.float32)
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        with pytest.raises(pm.Diverged, match="epoch 1, batch 1"):
            pool.submit(model.fit, x, np.arange(6) % 2, progress=False).result(60)
        assert len(pool.submit(model.fit, np.ones_like(x), np.arange(6) % 2, progress=False).result(60)) == 1


# ---- memory ----


def test_a_model_is_gone_with_its_last_name(no_collections):
    model = fitted(made(), validation=(X, LABELS), average=0.9)
    model.predict(X)
    model.backward(np.ones_like(model.forward(X)))
    model.layers[1].forward(X.astype(np.float32))
    model.summary(), copy.deepcopy(model)
    gone = [weakref.ref(thing) for thing in (model, model.network, *model.layers)]
    gone += map(weakref.ref, model.network._plans.values())
    memory = weakref.ref(model.network.param.base)
    del model
    assert [ref() for ref in gone] == [None] * len(gone) and memory() is None


def test_a_built_layer_is_gone_with_its_last_name(no_collections):
    layer = pm.Residual([pm.Conv2d(8, 3, padding=1)]).build((1, 12, 12))
    layer.forward(np.zeros((2, 1, 12, 12), np.float32))
    layer.forward(np.zeros((2, 1, 14, 14), np.float32))
    gone = weakref.ref(layer), weakref.ref(layer._network)
    del layer
    assert [ref() for ref in gone] == [None, None]


CALLBACKS = [
    pm.BestCheckpoint,
    lambda: pm.EarlyStopping(patience=3),
    lambda: pm.ReduceOnPlateau(patience=1),
    lambda: pm.Speedometer(1, log=lambda line: None),
]


@pytest.mark.parametrize("ends", ["well", "diverged", "interrupted"])
def test_fit_does_not_keep_its_data(ends, no_collections):
    class Interrupt(pm.Callback):
        def on_epoch_end(self, training):
            if ends == "interrupted":
                raise KeyboardInterrupt

    model, x = made(), X.astype(np.float32)
    x = np.where(x > 0, np.nan, x) if ends == "diverged" else x
    data = weakref.ref(x)
    try:
        callbacks = [make() for make in CALLBACKS] + [Interrupt()]
        model.fit(x, LABELS, epochs=2, validation=(x, LABELS), callbacks=callbacks, progress=False)
    except (pm.Diverged, KeyboardInterrupt) as error:
        assert ends == ("diverged" if isinstance(error, pm.Diverged) else "interrupted")
    del x, callbacks
    assert data() is None


def test_nothing_is_left_for_a_collection():
    def use():
        model = fitted(made(), validation=(X, LABELS))
        model.predict(X), model.evaluate(X, LABELS), model.summary(), repr(model), copy.deepcopy(model)
        model.backward(np.ones_like(model.forward(X)))

    use()
    gc.collect()
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        use()
        gc.collect()
        ours = [thing for thing in gc.garbage if type(thing).__module__.startswith("pymnistcnn")]
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()
    assert ours == []


def test_models_that_come_and_go_take_the_memory_of_one(no_collections):
    def one():
        model = pm.Sequential([pm.Linear(2500), pm.Linear(10)], (1000,))  # 10 MB, and as much of gradients
        model.fit(np.ones((20, 1000), np.float32), np.arange(20) % 10, progress=False)

    one()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for _ in range(5):
            one()
        assert tracemalloc.get_traced_memory()[0] - before < 1e6
    finally:
        tracemalloc.stop()
