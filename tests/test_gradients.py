"""Backward passes against finite differences in float64: every layer, every loss, and networks by hand."""

import numpy as np
import pytest
from operations import ACTIVATION_CASES, LOSS_CASES, LOSSES, SOFTMAXES, loss_options

import pymnistcnn as pm

STEP, TOLERANCE = 1e-5, 1e-6


def derivative(function, array):
    """d function / d array, by central differences: `array` is changed in place and put back."""
    slope = np.empty(array.shape)
    for i in np.ndindex(array.shape):
        value = array[i]
        array[i] = value + STEP
        above = function()
        array[i] = value - STEP
        slope[i] = (above - function()) / (2 * STEP)
        array[i] = value
    return slope


def smooth(rng, shape):
    """Numbers 0.02 apart and 0.01 or more from 0, in random order: no maximum or ReLU changes sides."""
    size = int(np.prod(shape))
    return 0.02 * (rng.permutation(size) - size // 2 + 0.5).reshape(shape)


PICTURES, FEATURES = (2, 5, 6), (7,)
LAYERS = [
    (pm.Rescaling(0.5, -1.0), PICTURES),
    (pm.Conv2d(3, 3), PICTURES),
    (pm.Conv2d(4, (3, 2), stride=(2, 1), padding=(1, 0, 2, 1), dilation=(1, 2), groups=2), PICTURES),
    (pm.Conv2d(3, (2, 3), padding="same"), (1, 4, 5)),
    (pm.Conv2d(2, 2, stride=3, bias=False), PICTURES),
    (pm.Conv2d(2, 3, padding=1, groups=2), PICTURES),
    (pm.Conv2d(6, (3, 2), stride=(2, 1), padding=(1, 0, 2, 1), dilation=(1, 2), groups=3), (3, 5, 6)),
    (pm.Linear(5), FEATURES),
    (pm.Linear(1, bias=False), FEATURES),
    (pm.MaxPool2d(2), PICTURES),
    (pm.MaxPool2d((3, 2), stride=1, padding=(1, 0)), PICTURES),
    (pm.MaxPool2d((3, 2), stride=2, padding=(1, 0), dilation=(1, 2), ceil_mode=True), PICTURES),
    (pm.MaxPool2d(3, 2, (0, 1, 2, 1)), PICTURES),
    (pm.AvgPool2d((2, 3), 2, (0, 1, 2, 1)), PICTURES),
    (pm.AvgPool2d(2), PICTURES),
    (pm.AvgPool2d((3, 2), stride=(2, 1), padding=(1, 0), ceil_mode=True), PICTURES),
    (pm.AvgPool2d(3, stride=2, padding=1, ceil_mode=True, count_include_pad=False), PICTURES),
    (pm.GlobalAvgPool2d(), PICTURES),
    (pm.BatchNorm2d(), PICTURES),
    (pm.BatchNorm2d(eps=0.1, momentum=None, affine=False), PICTURES),
    (pm.BatchNorm1d(), FEATURES),
    (pm.BatchNorm1d(eps=0.1), FEATURES),
    *((operation.layer(**options), FEATURES if options else PICTURES) for operation, options in ACTIVATION_CASES),
    *((operation.layer(), FEATURES) for operation in SOFTMAXES.values()),
    *((operation.layer(dim), PICTURES) for operation in SOFTMAXES.values() for dim in (1, 2, 3)),
    (pm.Residual([pm.Conv2d(3, 3, stride=2, padding=1), pm.Tanh()]), PICTURES),
    (pm.Flatten(), PICTURES),
    (pm.Dropout(0.3), PICTURES),
    (pm.GaussianNoise(0.1), PICTURES),
    (pm.Augmentation(1, 30, 0.2, 10, 2.0, 1.5, cutout=2, fill=0.5), PICTURES),
    (pm.Augmentation(1, stretch=0.3, crop=(0.6, 0.9), elastic=1, elastic_grid=3), PICTURES),
    (pm.Morphology(2.5, 2.5), PICTURES),
    (pm.RandomErasing(0.8, fill=(0, 1)), PICTURES),
]


def test_every_layer_is_here():
    public = (getattr(pm, name) for name in pm.__all__)
    layers = {kind for kind in public if isinstance(kind, type) and issubclass(kind, pm.layers.Layer)}
    assert {type(layer) for layer, _ in LAYERS} == layers - {pm.PythonLayer}


@pytest.mark.parametrize("layer, shape", LAYERS, ids=str)
def test_layer(layer, shape):
    rng = np.random.default_rng(0)
    x, network = smooth(rng, (3, *shape)), layer.build(shape, "float64")._network
    dy = rng.standard_normal((3, *network.output_shape))

    def forward():
        network._calls = 0  # every forward draws new masks and noise: here it is to be one function
        return (layer.forward(x) * dy).sum()

    forward()
    dx = layer.backward(dy)
    np.testing.assert_allclose(dx, derivative(forward, x), rtol=0, atol=TOLERANCE)
    assert set(layer.parameters) == set(layer.gradients)
    for name, gradient in layer.gradients.items():
        slope = derivative(forward, layer.parameters[name])
        np.testing.assert_allclose(gradient, slope, rtol=0, atol=TOLERANCE)


def test_large_linear():
    """Other kernels do it; a row and a column of weights are enough."""
    rng = np.random.default_rng(0)
    layer, x, dy = (
        pm.Linear(130).build((129,), "float64"),
        smooth(rng, (3, 129)),
        rng.standard_normal((3, 130)),
    )
    forward = lambda: (layer.forward(x) * dy).sum()  # noqa: E731
    forward()
    dx, weight = layer.backward(dy), layer.parameters["weight"]
    np.testing.assert_allclose(dx[1], derivative(forward, x[1]), rtol=0, atol=TOLERANCE)
    for piece in (np.s_[:, 128], np.s_[129]):
        slope = derivative(forward, weight[piece])
        np.testing.assert_allclose(layer.gradients["weight"][piece], slope, rtol=0, atol=TOLERANCE)
    slope = derivative(forward, layer.parameters["bias"])
    np.testing.assert_allclose(layer.gradients["bias"], slope, rtol=0, atol=TOLERANCE)


def test_every_loss_is_here():
    public = (getattr(pm, name) for name in pm.__all__)
    losses = {kind for kind in public if isinstance(kind, type) and issubclass(kind, pm.losses.Loss)}
    assert {loss.loss for loss in LOSSES.values()} == losses - {pm.Loss}


@pytest.mark.parametrize("loss, names, targets", LOSS_CASES, ids=str)
@pytest.mark.parametrize("sample_weight", [None, [1.0, 0.0, 2.5]])
def test_loss(loss, names, targets, sample_weight):
    rng, by_hand = np.random.default_rng(0), loss.loss(**loss_options(names, 5))
    y = rng.standard_normal((3, 5))
    of_kind = {"labels": np.array([4, 0, 1]), "numbers": rng.standard_normal((3, 5))}
    given = of_kind.get(targets, rng.dirichlet(np.ones(5), 3))
    forward = lambda: by_hand.forward(y, given, sample_weight=sample_weight)  # noqa: E731
    forward()
    dy = by_hand.backward()
    np.testing.assert_allclose(dy, derivative(forward, y), rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("n, classes", [(1, 1), (3, 2), (5, 17)])
def test_cross_entropy(n, classes):
    rng = np.random.default_rng(0)
    z, labels, loss = rng.standard_normal((n, classes)), rng.integers(0, classes, n), pm.CrossEntropyLoss()
    loss.forward(z, labels)
    dz = loss.backward()
    np.testing.assert_allclose(dz, derivative(lambda: loss.forward(z, labels), z), rtol=0, atol=TOLERANCE)


NETWORKS = {
    "blocks": [
        pm.Rescaling(0.1, 0.5),
        *(pm.Conv2d(4, 3, padding=1), pm.ReLU(), pm.MaxPool2d(2)),
        *(pm.Conv2d(3, 2), pm.Tanh(), pm.MaxPool2d((1, 2))),
        *(pm.Flatten(), pm.Linear(6), pm.ReLU(), pm.Linear(5)),
    ],
    "normalized": [
        *(pm.Conv2d(4, 3, padding=1, bias=False), pm.BatchNorm2d(), pm.LeakyReLU(0.2), pm.MaxPool2d(2)),
        *(pm.Conv2d(4, 2, groups=4), pm.ELU(), pm.AvgPool2d((1, 2))),
        *(pm.Flatten(), pm.Linear(6, bias=False), pm.BatchNorm1d(), pm.Sigmoid(), pm.Linear(5)),
    ],
    "depthwise": [
        *(pm.BatchNorm2d(), pm.Conv2d(4, 3, groups=2), pm.Softplus(), pm.MaxPool2d(2)),
        *(pm.Conv2d(4, 2, padding=1, groups=4), pm.Conv2d(5, 1), pm.GlobalAvgPool2d(), pm.Flatten()),
    ],
}


@pytest.mark.parametrize("name", NETWORKS)
def test_network_by_hand(name):
    """Fused blocks, a flatten and both ends: the loss to the pixels and to every weight."""
    model = pm.Sequential(NETWORKS[name], (2, 7, 9), dtype="float64", seed=1)
    rng = np.random.default_rng(0)
    x, labels, loss = smooth(rng, (3, 2, 7, 9)), np.array([0, 4, 2]), pm.CrossEntropyLoss()
    forward = lambda: loss.forward(model.forward(x), labels)  # noqa: E731
    forward()
    dx = model.backward(loss.backward())
    np.testing.assert_allclose(dx, derivative(forward, x), rtol=0, atol=TOLERANCE)
    for layer in model.layers:
        for parameter, gradient in layer.gradients.items():
            slope = derivative(forward, layer.parameters[parameter])
            np.testing.assert_allclose(gradient, slope, rtol=0, atol=TOLERANCE)
            assert np.abs(gradient).max() > 1e-3


def test_large_batches_have_the_gradients_of_fit():
    """To the bit: sums over samples are cut at the same places by hand."""
    rng, n = np.random.default_rng(0), 300
    x, labels = rng.normal(size=(n, 1, 8, 8)).astype(np.float32), rng.integers(0, 10, n)
    layers = [pm.Conv2d(4, 3), pm.ReLU(), pm.MaxPool2d(2), pm.Flatten(), pm.Linear(10)]
    model, loss = pm.Sequential(layers, (1, 8, 8)), pm.CrossEntropyLoss()
    loss.forward(model.forward(x), labels)
    model.backward(loss.backward())
    expected = {
        (i, name): layer.parameters[name] - gradient
        for i, layer in enumerate(model.layers)
        for name, gradient in layer.gradients.items()
    }
    model.fit(x, labels, epochs=1, batch_size=n, shuffle=False, optimizer=pm.SGD(1.0), progress=False)
    assert len(expected) == 4
    for (i, name), value in expected.items():
        assert (model.layers[i].parameters[name] == value).all()
