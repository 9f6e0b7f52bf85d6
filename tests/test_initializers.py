"""Initializers: the distributions of the papers, the same values from the same seed."""

from dataclasses import FrozenInstanceError, asdict

import numpy as np
import pytest

from pymnistcnn import initializers
from pymnistcnn.initializers import (
    GlorotNormal,
    GlorotUniform,
    HeNormal,
    HeUniform,
    Normal,
    PyTorchDefault,
    Uniform,
    Zeros,
)

CONV = (64, 32, 5, 3)  # fan_in 480, fan_out 960
DENSE = (300, 200)
NORMAL = [
    (GlorotNormal(), CONV, np.sqrt(2 / 1440)),
    (GlorotNormal(2.0), DENSE, 2 * np.sqrt(2 / 500)),
    (HeNormal(), CONV, np.sqrt(2 / 480)),
    (HeNormal(), DENSE, np.sqrt(2 / 200)),
    (Normal(0.03), CONV, 0.03),
]
UNIFORM = [
    (GlorotUniform(), CONV, np.sqrt(6 / 1440)),
    (GlorotUniform(0.5), DENSE, 0.5 * np.sqrt(6 / 500)),
    (HeUniform(), CONV, np.sqrt(6 / 480)),
    (HeUniform(), DENSE, np.sqrt(6 / 200)),
    (Uniform(0.2), CONV, 0.2),
    (PyTorchDefault(), CONV, np.sqrt(1 / 480)),
    (PyTorchDefault(), DENSE, np.sqrt(1 / 200)),
]
EVERY = [initializer for initializer, _, _ in NORMAL + UNIFORM] + [Zeros()]


def rng(seed=1):
    return np.random.default_rng(seed)


@pytest.mark.parametrize("initializer, shape, std", NORMAL)
def test_normal(initializer, shape, std):
    weight = initializer(shape, rng()) / std
    assert abs(weight.mean()) < 4 / np.sqrt(weight.size)
    assert weight.std() == pytest.approx(1, abs=4 / np.sqrt(2 * weight.size))
    assert np.mean(abs(weight) < 1) == pytest.approx(0.6827, abs=0.01)
    assert abs(weight).max() > 3.5  # not truncated


@pytest.mark.parametrize("initializer, shape, bound", UNIFORM)
def test_uniform(initializer, shape, bound):
    weight = initializer(shape, rng()) / bound
    assert 0.999 < abs(weight).max() <= 1
    assert abs(weight.mean()) < 4 / np.sqrt(3 * weight.size)
    counts, _ = np.histogram(weight, 10, (-1, 1))
    assert counts == pytest.approx(weight.size / 10, rel=0.06)


@pytest.mark.parametrize("initializer", EVERY, ids=repr)
def test_every_initializer(initializer):
    for shape in (CONV, DENSE, (8, 1, 3, 3), [4, 5]):
        weight = initializer(shape, rng(3))
        assert weight.shape == tuple(shape) and weight.dtype == np.float64
        assert np.array_equal(weight, initializer(shape, rng(3)))
        assert not weight.any() or not np.array_equal(weight, initializer(shape, rng(4)))
        bias = initializer.bias(shape, rng(3))
        assert bias.shape == (shape[0],) and bias.dtype == np.float64
        assert bias.any() == isinstance(initializer, PyTorchDefault)
    assert type(initializer)(**asdict(initializer)) == initializer
    assert all(type(value) is float for value in asdict(initializer).values())


def test_every_initializer_is_tested():
    assert {type(initializer).__name__ for initializer in EVERY} == set(initializers.__all__) - {"Initializer"}


def test_a_grouped_convolution_counts_the_inputs_of_its_group():
    assert abs(PyTorchDefault()((64, 1, 3, 3), rng())).max() == pytest.approx(1 / 3, rel=0.01)


def test_pytorch_bias_has_the_bound_of_the_weight():
    bias = PyTorchDefault().bias((20_000, 2, 5, 5), rng()) * np.sqrt(50)
    assert 0.999 < abs(bias).max() <= 1
    assert bias.std() == pytest.approx(1 / np.sqrt(3), rel=0.02)


def test_pytorch_has_the_same_distribution():
    torch = pytest.importorskip("torch", reason="PyTorch is missing, nothing to compare with")
    torch.manual_seed(0)
    layer = torch.nn.Conv2d(16, 512, 5)
    ours = PyTorchDefault()
    for theirs, mine in (
        (layer.weight, ours(tuple(layer.weight.shape), rng())),
        (layer.bias, ours.bias(tuple(layer.weight.shape), rng())),
    ):
        theirs = theirs.detach().numpy()
        assert mine.shape == theirs.shape
        assert abs(mine).max() == pytest.approx(abs(theirs).max(), rel=0.02)
        assert mine.std() == pytest.approx(theirs.std(), rel=0.1)


@pytest.mark.parametrize(
    "kind, name", [(GlorotNormal, "gain"), (GlorotUniform, "gain"), (Uniform, "a"), (Normal, "std")]
)
@pytest.mark.parametrize("value", [0, -1.0, np.nan, np.inf, "wide", None, 10**400])
def test_bad_parameters(kind, name, value):
    with pytest.raises(ValueError, match=f"^{name} of {kind.__name__} must be a finite number above 0, not "):
        kind(value)


def test_frozen():
    with pytest.raises(FrozenInstanceError):
        Normal(1).std = 2.0


@pytest.mark.parametrize("initializer", EVERY, ids=repr)
@pytest.mark.parametrize("shape", [(), (3,), (3, 0), (-1, 2), (2.0, 3), 5, None, "ab"])
def test_bad_shapes(initializer, shape):
    with pytest.raises(ValueError, match="two or more positive integers"):
        initializer(shape, rng())
    with pytest.raises(ValueError, match="two or more positive integers"):
        initializer.bias(shape, rng())


def test_bad_generator():
    for draw in (Normal(1), HeUniform(), PyTorchDefault().bias):
        with pytest.raises(ValueError, match="numpy.random.Generator.* not 7"):
            draw((2, 3), 7)


def test_base_class_draws_nothing():
    with pytest.raises(NotImplementedError, match="Initializer"):
        initializers.Initializer()((2, 3), rng())
