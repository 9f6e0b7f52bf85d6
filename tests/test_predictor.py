"""A predictor gives what its model gave, to the bit, whoever asks it and however often."""

import copy
import pickle
import sys
import threading

import numpy as np
import pytest
from test_promises import NETWORKS, made, samples

import pymnistcnn as pm
from pymnistcnn.benchmarking.networks import NETWORKS as TUTORIALS
from pymnistcnn.target import ISAS

WITH_EACH = pytest.mark.parametrize("name", NETWORKS)


def asked(name, dtype="float32"):
    """A model that was trained a little, and inputs for it."""
    model = made(name, dtype)
    data = samples(model.input_shape)
    model.fit(data, epochs=1, batch_size=25, progress=False)
    return model, data[0]


@WITH_EACH
def test_it_has_the_bits_of_its_model(name, isa, dtype):
    model, x = asked(name, dtype)
    x = x[:5] if "emulated" in isa else x
    expected = model.predict_outputs(x, isa=isa)
    for batch in (None, 1, 7):
        predictor = model.predictor(batch=batch, threads=2, isa=isa)
        predictor._first.poison(0xFF)
        for _ in range(3):  # the first packs the weights
            assert predictor(x).tobytes() == expected.tobytes()
        assert predictor(x[2:3]).tobytes() == expected[2:3].tobytes()


def test_made_while_a_thread_trains_it_has_the_weights_of_one_step():
    """Of a network whose weights are equal after every step."""
    x, y = np.ones((200, 2000), np.float32), np.full((200, 2000), 1e3, np.float32)
    model = pm.Sequential([pm.Linear(2000, bias=False, initializer=pm.initializers.Zeros())], (2000,))
    answers = []

    class UntilThen(pm.Callback):
        every = 1

        def on_batches(self, training):
            if len(answers) == 20:
                training.stop()

    how = dict(epochs=1000, batch_size=10, optimizer=pm.SGD(1e-6), loss=pm.MSELoss(), callbacks=[UntilThen()])
    training = threading.Thread(target=lambda: model.fit(x, y, progress=False, **how))
    training.start()
    while len(answers) < 20:
        answers.append(model.predictor(batch=1, threads=1)(x[:1]))
    training.join()
    assert [len(np.unique(answer)) for answer in answers] == [1] * 20


@pytest.mark.parametrize("name", TUTORIALS)
def test_it_answers_as_the_networks_of_the_tutorials(name):
    model, images = TUTORIALS[name]().model, pm.datasets.mnist()[1].images[:300]
    predictor = model.predictor()
    for n in (1, 2, 3, 300):
        x = images[:n]
        assert predictor(x).tobytes() == model.predict_outputs(x).tobytes()
        assert (predictor.classes(x) == model.predict(x)).all()
        assert predictor.probabilities(x).tobytes() == model.predict_proba(x).tobytes()


@pytest.mark.filterwarnings("error")
def test_probabilities_of_infinite_outputs_are_nan():
    model = pm.Sequential([pm.Linear(2, bias=False)], (1,))
    model.layers[0].parameters["weight"][:] = [[3e38], [1.0]]
    x = np.array([[1.0], [10.0]], np.float32)
    for probabilities in (model.predictor().probabilities(x), model.predict_proba(x)):
        assert probabilities[0].tolist() == [1, 0] and np.isnan(probabilities[1]).all()


def test_it_takes_a_data_set():
    model, data = TUTORIALS["mxnet-mlp"]().model, pm.datasets.mnist()[1][:20]
    assert model.predictor()(data).tobytes() == model.predict_outputs(data).tobytes()


@pytest.mark.parametrize("inputs, outputs", [(257, 64), (900, 70), (2049, 625), (5000, 1100)])
def test_one_sample_has_the_bits_that_it_has_among_others(inputs, outputs, dtype):
    """Of one, a large linear layer reads its weights as a stream, shared by any number of threads."""
    x = np.random.default_rng(0).standard_normal((3, inputs)).astype(dtype)
    w = np.random.default_rng(1).standard_normal((outputs, inputs)).astype(dtype)
    b = np.random.default_rng(2).standard_normal(outputs).astype(dtype)
    for isa in ISAS:
        expected = pm.functional.linear(x, w, b, isa=isa)
        for threads in (1, 2, 3, 16):
            assert pm.functional.linear(x[:1], w, b, isa=isa, threads=threads).tobytes() == expected[:1].tobytes()


def test_it_is_frozen():
    model, x = asked("complete")
    predictor, before = model.predictor(), model.predict_outputs(x)
    for weights in model.state_dict().values():
        weights[...] = np.nan
    model.layers[0].scale = 0
    assert predictor(x).tobytes() == before.tobytes()


@pytest.mark.parametrize("threads", [1, 2])
def test_many_threads_may_ask_it_at_once(threads):
    model, x = asked("normed")
    predictor = model.predictor(threads=threads)
    expected = [model.predict_outputs(x[i:]).tobytes() for i in range(8)]
    wrong = []

    def ask(i):
        wrong.extend(i for _ in range(40) if predictor(x[i:]).tobytes() != expected[i])

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        clients = [threading.Thread(target=ask, args=(i,)) for i in range(8)]
        for client in clients:
            client.start()
        for client in clients:
            client.join()
    finally:
        sys.setswitchinterval(before)
    assert not wrong


@pytest.mark.parametrize("again", [lambda p: pickle.loads(pickle.dumps(p)), copy.deepcopy, copy.copy])
def test_it_is_copied_as_its_weights(again):
    model, x = asked("complete")
    predictor = model.predictor(batch=3, threads=1)
    expected = predictor(x)
    other = again(predictor)
    assert other(x).tobytes() == expected.tobytes()
    assert len(pickle.dumps(other)) < model.network.param.nbytes + 4000
    assert repr(other) == repr(predictor)


def test_what_it_takes_and_refuses():
    model = pm.Sequential([pm.Rescaling(1 / 255), pm.Flatten(), pm.Linear(100), pm.Linear(3)], input_shape=(1, 4, 4))
    predictor, rng = model.predictor(), np.random.default_rng(0)
    pixels = rng.integers(0, 256, (6, 4, 4), dtype=np.uint8)
    for x in (pixels, pixels[:, None], pixels.astype(float), pixels.astype(np.int16), pixels[::-2], pixels.tolist()):
        assert predictor(x).tobytes() == model.predict_outputs(x).tobytes()
    assert (predictor.input_shape, predictor.output_shape, predictor.dtype) == ((1, 4, 4), (3,), np.float32)
    with pytest.raises(ValueError, match=r"must have shape \(n, 1, 4, 4\) or \(n, 4, 4\), not \(6, 5, 4\)"):
        predictor(np.zeros((6, 5, 4)))
    with pytest.raises(ValueError, match="at least one sample"):
        predictor(pixels[:0])
    with pytest.raises(ValueError, match="batch must be a whole number from 1"):
        model.predictor(batch=0)
    with pytest.raises(ValueError, match="threads"):
        model.predictor(threads=0)
    with pytest.raises(ValueError, match="inputs 1, 4 have NaN"):
        predictor.classes(np.where(np.isin(np.arange(6), [1, 4])[:, None, None], np.nan, pixels))
    assert np.isfinite(predictor(pixels)).all()
