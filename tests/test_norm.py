"""Batch normalization against the reference: by hand, in training, and folded into a convolution."""

import cases
import numpy as np
import pytest
import reference
from comparing import TOLERANCE, agree, dropout_mask, normal, reference_fit
from operations import ACTIVATIONS

import pymnistcnn as pm
from pymnistcnn.target import ISAS

OPTIONS = [{}, {"eps": 1e-2, "momentum": 0.7}, {"momentum": None}]


def norm(shape, **options):
    """The layer for inputs of this shape, with the batch first."""
    return (pm.BatchNorm1d if len(shape) == 2 else pm.BatchNorm2d)(**options)


def built(rng, shape, dtype, **options):
    """A layer with weights of any sign, and these."""
    layer = norm(shape, **options).build(shape[1:], dtype)
    w, b = normal(rng, shape[1], dtype), normal(rng, shape[1], dtype)
    layer.parameters["weight"][...], layer.parameters["bias"][...] = w, b
    return layer, w, b


def close(actual, expected, dtype, among=1.0):
    """Not further off than among numbers of that size: many a sum here cancels to nothing."""
    assert actual.shape == expected.shape
    np.testing.assert_allclose(actual, expected, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype] * among)


@pytest.mark.parametrize("shape", cases.NORMS, ids=str)
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_batch_norm(options, shape, isa, dtype, ran):
    rng = np.random.default_rng(0)
    layer, w, b = built(rng, shape, dtype, **options)
    eps = options.get("eps", 1e-5)
    mean, var = np.zeros(shape[1]), np.ones(shape[1])
    for batches in range(3):
        x, dy = 3 + 2 * normal(rng, shape, dtype), normal(rng, shape, dtype)
        close(layer.forward(x, isa=isa, threads=1), reference.batch_norm(x, w, b, eps), dtype)
        # what is divided by a deviation is as wrong as so much larger numbers
        axes = (0, *range(2, x.ndim))
        steepest = (1 / np.sqrt(x.astype(np.float64).var(axis=axes) + eps)).max()
        dx, dw, db = reference.batch_norm_backward(dy, x, w, eps)
        close(layer.backward(dy, isa=isa, threads=1), dx, dtype, among=4 * steepest)
        count = x.size // x.shape[1]
        close(layer.gradients["weight"], dw, dtype, among=4 * np.sqrt(count))
        close(layer.gradients["bias"], db, dtype, among=4 * np.sqrt(count))
        mean, var = reference.batch_norm_running(x, mean, var, batches, options.get("momentum", 0.1))
        close(layer.buffers["running_mean"], mean, dtype, among=4)
        close(layer.buffers["running_var"], var, dtype, among=4)
        assert layer.buffers["num_batches_tracked"].shape == () and layer.buffers["num_batches_tracked"] == batches + 1
    y = reference.batch_norm_inference(x, mean, var, w, b, eps)
    close(layer.forward(x, training=False, isa=isa, threads=1), y, dtype, among=np.abs(y).max())
    close(layer.buffers["running_mean"], mean, dtype, among=4)  # only training moves them
    assert layer.buffers["num_batches_tracked"] == 3
    ran("batch_norm_forward", (shape, str(options)))
    ran("batch_norm_backward", (shape, str(options)))
    ran("batch_norm_inference", (shape, str(options)))


@pytest.mark.parametrize("shape", cases.NORMS, ids=str)
@pytest.mark.parametrize("target", [*ISAS, "emulated"])
@pytest.mark.parametrize("p", [0, 0.5])
def test_a_relu_behind_it_is_part_of_it(p, shape, target, dtype):
    """As the reference has it, and to the bit as by a leaky one that leaks nothing. Dropout sees its mask in zeros."""
    rng = np.random.default_rng(0)
    x, dy = normal(rng, shape, dtype), normal(rng, shape, dtype)
    w, b = normal(rng, shape[1], dtype), normal(rng, shape[1], dtype)
    results = {}
    for behind in (pm.ReLU(), pm.LeakyReLU(0.0)):
        model = pm.Sequential([norm(shape), behind, pm.Dropout(p)], shape[1:], seed=3, dtype=dtype)
        first = model.layers[0]
        first.parameters["weight"][...], first.parameters["bias"][...] = w, b
        y, dx = model.forward(x, isa=target, threads=1), model.backward(dy, isa=target, threads=1)
        results[str(behind)] = y, dx, first.gradients["weight"].copy(), first.gradients["bias"].copy()
    for one, other in zip(*results.values(), strict=True):
        np.testing.assert_array_equal(one, other)
    kept, scale = dropout_mask(shape, p, 3, layer=2, epoch=1), 1 / (1 - p)
    y, dx, dw, db = results["ReLU()"]
    expected = reference.batch_norm(x, w, b)
    close(y, scale * kept * np.maximum(expected, 0), dtype, among=4)
    alive = (y > 0) | (~kept & (expected > 0))
    steepest = (1 / np.sqrt(x.astype(np.float64).var(axis=(0, *range(2, x.ndim))) + 1e-5)).max()
    expected = reference.batch_norm_backward(scale * kept * alive * dy, x, w)
    for actual, wanted, among in zip((dx, dw, db), expected, (8 * steepest, *[8 * np.sqrt(x.size)] * 2), strict=True):
        close(actual, wanted, dtype, among)


@pytest.mark.parametrize("shape", [(1, 17), (1, 8, 1, 1)])
def test_one_value_a_channel(shape, isa, dtype):
    """It is its own mean: the bias is left, with no gradient but the bias's, and a variance of 0."""
    rng = np.random.default_rng(0)
    layer, w, b = built(rng, shape, dtype)
    x, dy = 100 * normal(rng, shape, dtype), normal(rng, shape, dtype)
    np.testing.assert_array_equal(layer.forward(x, isa=isa), b.reshape(shape))
    np.testing.assert_array_equal(layer.backward(dy, isa=isa), np.zeros(shape))
    np.testing.assert_array_equal(layer.gradients["weight"], np.zeros(shape[1]))
    np.testing.assert_array_equal(layer.gradients["bias"], dy.reshape(-1))
    agree(layer.buffers["running_mean"], 0.1 * x.reshape(-1), TOLERANCE[dtype])
    agree(layer.buffers["running_var"], np.full(shape[1], 0.9), TOLERANCE[dtype])


@pytest.mark.parametrize("shape", [(7, 17), (7, 10, 4, 4)])
def test_batch_norm_without_weights(shape, isa, dtype):
    rng = np.random.default_rng(0)
    layer, ones = norm(shape, affine=False).build(shape[1:], dtype), np.ones(shape[1])
    x, dy = normal(rng, shape, dtype), normal(rng, shape, dtype)
    agree(layer.forward(x, isa=isa), reference.batch_norm(x, ones, 0 * ones), TOLERANCE[dtype])
    agree(layer.backward(dy, isa=isa), reference.batch_norm_backward(dy, x, ones)[0], TOLERANCE[dtype])
    assert layer.parameters == layer.gradients == {}
    assert set(layer.buffers) == {"running_mean", "running_var", "num_batches_tracked"}
    statistics = reference.batch_norm_running(x, 0 * ones, ones, 0)
    y = reference.batch_norm_inference(x, *statistics, ones, 0 * ones)
    agree(layer.forward(x, training=False, isa=isa), y, TOLERANCE[dtype])


@pytest.mark.parametrize("shape", [(33, 129), (33, 17, 3, 5)])
def test_mean_far_from_0(shape, isa, dtype):
    """The variance of numbers near 100 is not a difference of sums near 10,000."""
    rng = np.random.default_rng(0)
    layer, w, b = built(rng, shape, dtype)
    x, dy = 100 + normal(rng, shape, dtype), normal(rng, shape, dtype)
    agree(layer.forward(x, isa=isa), reference.batch_norm(x, w, b), 2 * TOLERANCE[dtype])
    agree(layer.backward(dy, isa=isa), reference.batch_norm_backward(dy, x, w)[0], 2 * TOLERANCE[dtype])


@pytest.mark.parametrize("shape", [(7, 17), (7, 17, 3, 5)])
def test_constant_channels(shape, isa, dtype):
    """No variance at all: what is left is the bias."""
    rng = np.random.default_rng(0)
    layer, _, b = built(rng, shape, dtype)
    per_channel = (-1, *(1,) * (len(shape) - 2))
    x = np.broadcast_to(rng.integers(-3, 4, shape[1]).reshape(per_channel), shape).astype(dtype)
    np.testing.assert_array_equal(layer.forward(x, isa=isa), np.broadcast_to(b.reshape(per_channel), shape))


@pytest.mark.parametrize("shape", [(7, 17), (7, 17, 3, 5)])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_a_number_stays_in_its_channel(shape, value, isa, dtype):
    rng = np.random.default_rng(0)
    layer, _, _ = built(rng, shape, dtype)
    x = normal(rng, shape, dtype)
    x.reshape(7, 17, -1)[3, 4, 0] = value
    y = layer.forward(x, isa=isa).reshape(7, 17, -1)
    assert np.isnan(y[:, 4]).all() and np.isfinite(np.delete(y, 4, axis=1)).all()
    mean = layer.buffers["running_mean"]
    assert not np.isfinite(mean[4]) and np.isfinite(np.delete(mean, 4)).all()


def test_statistics_last_over_another_picture_size(isa, dtype):
    rng = np.random.default_rng(0)
    layer, w, b = built(rng, (7, 10, 4, 4), dtype)
    mean, var = np.zeros(10), np.ones(10)
    for batches, shape in enumerate([(7, 10, 4, 4), (2, 10, 6, 5), (33, 10, 4, 4)]):
        x = normal(rng, shape, dtype)
        agree(layer.forward(x, isa=isa), reference.batch_norm(x, w, b), TOLERANCE[dtype])
        mean, var = reference.batch_norm_running(x, mean, var, batches)
        close(layer.buffers["running_mean"], mean, dtype)
        close(layer.buffers["running_var"], var, dtype)
        assert layer.buffers["num_batches_tracked"] == batches + 1


# ---- in training ----


@pytest.mark.parametrize("shape", [(30,), (10, 3, 4)])
@pytest.mark.parametrize("momentum", [0.1, None])
def test_batch_norm_in_training(momentum, shape, isa, dtype):
    """Weights and running statistics, over whole and partial batches."""
    rng = np.random.default_rng(0)
    x, labels = 3 + 2 * normal(rng, (22, *shape), dtype), rng.integers(0, 5, 22)
    layers = [norm(x.shape, momentum=momentum), *([pm.Flatten()] if len(shape) == 3 else []), pm.Linear(5)]
    model = pm.Sequential(layers, shape, dtype=dtype)
    statistics, batches = (np.zeros(shape[0]), np.ones(shape[0])), 0

    def gradients(weights, samples, epoch):
        nonlocal statistics, batches
        gamma, beta, w, b = weights
        inputs = x[samples]
        statistics, batches = reference.batch_norm_running(inputs, *statistics, batches, momentum), batches + 1
        a = reference.batch_norm(inputs, gamma, beta)
        flat = a.reshape(len(a), -1)
        _, dz = reference.mean_loss(*reference.cross_entropy(reference.linear(flat, w, b), labels[samples]))
        da, dw, db = reference.linear_backward(dz, flat, w)
        return (*reference.batch_norm_backward(da.reshape(a.shape), inputs, gamma)[1:], dw, db)

    parameters = [p for layer in model.layers for p in layer.parameters.values()]
    optimizer = pm.SGD(0.1, momentum=0.9)
    *_, expected = reference_fit(parameters, gradients, 22, 3, 8, optimizer)
    model.fit(
        (x, labels), epochs=3, batch_size=8, optimizer=optimizer, shuffle=False, progress=False, isa=isa, threads=1
    )
    for actual, wanted in zip(parameters, expected, strict=True):
        close(actual, wanted, dtype)
    buffers = model.layers[0].buffers
    close(buffers["running_mean"], statistics[0], dtype, among=4)
    close(buffers["running_var"], statistics[1], dtype, among=4)
    assert buffers["num_batches_tracked"] == batches == 9
    z = reference.batch_norm_inference(x, *statistics, *expected[:2]).reshape(22, -1)
    wanted, _ = reference.mean_loss(*reference.cross_entropy(reference.linear(z, *expected[2:]), labels))
    assert model.evaluate((x, labels), isa=isa).loss == pytest.approx(wanted, rel=10 * TOLERANCE[dtype])


# ---- folded into a convolution, in prediction ----


def trained(conv, activation, pool, bias, dtype, isa):
    """Conv2d, BatchNorm2d, activation, MaxPool2d and a Linear layer after six steps; weights of both signs."""
    rng = np.random.default_rng(0)
    first = pm.Conv2d(conv.k, conv.kernel, stride=conv.stride, padding=conv.padding, dilation=conv.dilation,
                      groups=conv.groups, bias=bias)  # fmt: skip
    layers = [first, pm.BatchNorm2d()] + ([ACTIVATIONS[activation].layer()] if activation else [])
    layers += [pm.MaxPool2d(pool)] * (pool != (1, 1)) + [pm.Flatten(), pm.Linear(3)]
    model = pm.Sequential(layers, (conv.c, conv.h, conv.w), dtype=dtype)
    model.layers[1].parameters["weight"][...] = rng.uniform(0.5, 1.5, conv.k) * rng.choice([-1, 1], conv.k)
    x, labels = 1 + normal(rng, (24, conv.c, conv.h, conv.w), dtype), rng.integers(0, 3, 24)
    model.fit((x, labels), epochs=2, batch_size=8, optimizer=pm.SGD(0.05), progress=False, isa=isa, threads=1)
    return model, x


def unfused(model, x, conv, activation, pool):
    """The formula, layer by layer, with what the layers hold now."""
    first, norm, last = (model.layers[i] for i in (0, 1, -1))
    a = reference.conv2d(x, first.parameters["weight"], first.parameters.get("bias"), *conv.geometry)
    statistics = norm.buffers["running_mean"], norm.buffers["running_var"]
    a = reference.batch_norm_inference(a, *statistics, *norm.parameters.values())
    a = getattr(reference, activation)(a) if activation else a
    flat = reference.max_pool2d(a, pool)[0].reshape(len(x), -1)
    return reference.linear(flat, *last.parameters.values())


FOLDED = [c for c in cases.MIXED_CONVS if c.name != "all at once"]
FOLDED += [c for c in cases.CONVS if c.name.startswith("few ")]  # dot products


@pytest.mark.parametrize("conv", FOLDED, ids=str)
@pytest.mark.parametrize("activation", [None, "relu", "elu"])
@pytest.mark.parametrize("pool", cases.POOLS[:2], ids=str)
@pytest.mark.parametrize("bias", [True, False])
def test_prediction_is_what_the_layers_say(conv, activation, pool, bias, isa, dtype, ran):
    model, x = trained(conv, activation, pool, bias, dtype, isa)
    assert np.abs(model.layers[1].buffers["running_mean"]).max() > 0.01
    y = unfused(model, x, conv, activation, pool)
    agree(model.predict_outputs(x, isa=isa, threads=1), y, 2 * TOLERANCE[dtype])
    agree(model.forward(x, training=False, isa=isa, threads=1), y, 2 * TOLERANCE[dtype])
    ran("conv_forward", (conv, activation, pool, bias, "folded"))


@pytest.mark.parametrize("activation", cases.OFTEN + cases.SELDOM)
def test_prediction_with_every_activation(activation, isa, dtype):
    conv = FOLDED[0]
    model, x = trained(conv, activation, (2, 2), False, dtype, isa)
    y = unfused(model, x, conv, activation, (2, 2))
    agree(model.predict_outputs(x, isa=isa, threads=1), y, 2 * TOLERANCE[dtype])


def test_prediction_follows_what_the_layers_hold(isa, dtype):
    """Whoever writes to weights or statistics, and by whatever way: no folded weights stay behind."""
    conv, rng = FOLDED[0], np.random.default_rng(0)
    model, x = trained(conv, "relu", (2, 2), True, dtype, isa)
    first, norm = model.layers[:2]

    def check():
        y = unfused(model, x, conv, "relu", (2, 2))
        agree(model.predict_outputs(x, isa=isa, threads=1), y, 2 * TOLERANCE[dtype])
        return y

    seen = [check()]
    first.parameters["weight"][...] *= 2
    seen.append(check())
    norm.parameters["bias"][...] += 0.5
    seen.append(check())
    norm.buffers["running_mean"][...] += 0.5
    seen.append(check())
    norm.buffers["running_var"][...] *= 3
    seen.append(check())
    model.forward(x[:8] * 2, isa=isa)  # in training: the statistics move
    seen.append(check())
    model.fit(
        (x, rng.integers(0, 3, 24)), epochs=1, batch_size=8, optimizer=pm.SGD(0.05), progress=False, isa=isa, threads=1
    )
    seen.append(check())
    assert all(np.abs(a - b).max() > 1e-3 for a, b in zip(seen, seen[1:], strict=False))


BEHIND_POOLS = [c for c in cases.CONVS if c.name in ("one channel 3x3", "lenet", "few behind 16 channels", "2 groups")]
BEHIND_POOLS += [c for c in cases.WINOGRAD_CONVS if c.name == "rows and columns left over"]
BEHIND_POOLS += [c for c in cases.DEPTHWISE_CONVS if c.name == "depthwise 17"]


@pytest.mark.parametrize("conv", BEHIND_POOLS, ids=str)
@pytest.mark.parametrize("activation", [None, "relu", "elu", "gelu"])
@pytest.mark.parametrize("pool", [(2, 2), (3, 3), (3, 2)], ids=str)
@pytest.mark.parametrize("before", [False, True])
def test_a_norm_behind_a_pool(conv, activation, pool, before, isa, dtype, ran):
    """The block takes it in, and what comes behind it, and a norm before the pool, too."""
    rng, shape = np.random.default_rng(0), (conv.c, conv.h, conv.w)
    norms = [pm.BatchNorm2d() for _ in range(1 + before)]
    first = pm.Conv2d(conv.k, conv.kernel, padding=conv.padding, groups=conv.groups)
    layers = [first, *norms[1:], pm.MaxPool2d(pool), norms[0]]
    layers += [ACTIVATIONS[activation].layer()] if activation else []
    model = pm.Sequential(layers, shape, dtype=dtype)
    for norm in norms:
        norm.parameters["weight"][...] = rng.uniform(0.5, 1.5, conv.k) * rng.choice([-1, 1], conv.k)
        norm.parameters["bias"][...] = rng.normal(size=conv.k)
        norm.buffers["running_mean"][...] = rng.normal(size=conv.k)
        norm.buffers["running_var"][...] = rng.uniform(0.5, 2, conv.k)

    def normed(a, norm):
        statistics = norm.buffers["running_mean"], norm.buffers["running_var"]
        return reference.batch_norm_inference(a, *statistics, *norm.parameters.values())

    x = normal(rng, (conv.n, *shape), dtype)
    x[:, :, 0] = 0  # a margin, whose outputs are made of the bias alone
    a = reference.conv2d(x, *first.parameters.values(), *conv.geometry)
    a = normed(a, norms[1]) if before else a
    a = normed(reference.max_pool2d(a, pool)[0], norms[0])
    a = getattr(reference, activation)(a) if activation else a
    for threads in (1, 2):
        agree(model.predict_outputs(x, isa=isa, threads=threads), a, 2 * TOLERANCE[dtype])
    ran("conv_forward", (conv, activation, pool, before, "norm behind"))


@pytest.mark.parametrize("order", ["norm first", "activation between", "pool between", "twice"])
def test_what_cannot_be_folded_is_not(order, isa, dtype):
    """A norm before a padded convolution, after a ReLU, after a pool, after another norm."""
    rng = np.random.default_rng(0)
    layers = {
        "norm first": [pm.BatchNorm2d(), pm.Conv2d(8, 3, padding=1)],
        "activation between": [pm.Conv2d(8, 3, padding=1), pm.ReLU(), pm.BatchNorm2d()],
        "pool between": [pm.Conv2d(8, 3, padding=1), pm.MaxPool2d(2), pm.BatchNorm2d()],
        "twice": [pm.Conv2d(8, 3, padding=1), pm.BatchNorm2d(), pm.BatchNorm2d(), pm.ReLU()],
    }[order]
    model = pm.Sequential(layers, (3, 6, 6), dtype=dtype)
    for layer in layers:
        if isinstance(layer, pm.BatchNorm2d):
            count = len(layer.parameters["weight"])
            layer.parameters["weight"][...] = rng.uniform(0.5, 1.5, count) * rng.choice([-1, 1], count)
            layer.parameters["bias"][...] = rng.normal(size=count)
            layer.buffers["running_mean"][...] = rng.normal(size=count)
            layer.buffers["running_var"][...] = rng.uniform(0.5, 2, count)
    x = normal(rng, (7, 3, 6, 6), dtype)
    y = x
    for layer in layers:
        match layer:
            case pm.Conv2d():
                y = reference.conv2d(y, *layer.parameters.values(), padding=(1, 1, 1, 1))
            case pm.BatchNorm2d():
                statistics = layer.buffers["running_mean"], layer.buffers["running_var"]
                y = reference.batch_norm_inference(y, *statistics, *layer.parameters.values())
            case pm.MaxPool2d():
                y, _ = reference.max_pool2d(y)
            case pm.ReLU():
                y = reference.relu(y)
    agree(model.predict_outputs(x, isa=isa, threads=1), y, 2 * TOLERANCE[dtype])
    agree(model.forward(x, training=False, isa=isa, threads=1), y, 2 * TOLERANCE[dtype])
