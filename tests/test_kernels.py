"""Every kernel, by hand, on every usable ISA and in both dtypes, against its float64 twin in reference.py."""

import cases
import numpy as np
import pytest
import reference

import pymnistcnn as pm
from pymnistcnn import _native

TOLERANCE = {"float32": 2e-5, "float64": 1e-12}  # of the largest value
ACTIVATIONS = {"relu": pm.ReLU, "tanh": pm.Tanh}


def agree(actual, expected, tolerance):
    """No value is further off than `tolerance` of the largest; tolerance 0 is equality."""
    assert actual.shape == np.shape(expected)
    error, largest = np.abs(actual - expected).max(), np.abs(expected).max()
    assert error <= tolerance * largest, f"off by {error:.3g}, where the largest value is {largest:.3g}"


def padding_is_zero(network):
    """Nothing but the parameters' own elements of the flat gradient has been written."""
    rest = network.gradient.copy()
    for view in network.views(rest):
        view[...] = 0
    return not rest.any()


def normal(rng, shape, dtype):
    return rng.standard_normal(shape).astype(dtype)


def grid(rng, shape, dtype, most=64):
    """Multiples of 1 / most up to 1 in size: sums of products of a few thousand are exact in float32."""
    return (rng.integers(-most, most + 1, shape) / most).astype(dtype)


# ---- the convolution block ----------------------------------------------------------------------------


def block_case(conv, activation, pool, dtype):
    """(x, w, b, dy), (y, dx, dw, db) and whether float32 must give just these.

    Where a pool or ReLU decides, float32 gets values of a grid: it then decides as the reference does, ties
    included, and without tanh all results are exact.
    """
    rng = np.random.default_rng(0)
    on_grid = dtype == "float32" and (activation == "relu" or pool != (1, 1))
    draw = grid if on_grid else normal
    x = draw(rng, (conv.n, conv.c, conv.h, conv.w), dtype)
    w = draw(rng, (conv.k, conv.c // conv.groups, *conv.kernel), dtype)
    w *= 2.0 ** -np.round(np.log2(np.sqrt(w[0].size)))  # so that tanh is not all 1 and -1
    b = draw(rng, conv.k, dtype)
    y = reference.conv_block(x, w, b, *conv.geometry, activation, pool)
    dy = grid(rng, y.shape, dtype, most=4) if on_grid else normal(rng, y.shape, dtype)
    gradients = reference.conv_block_backward(dy, x, w, b, *conv.geometry, activation, pool)
    return (x, w, b, dy), (y, *gradients), on_grid and activation != "tanh"


def block(conv, activation, pool, dtype, w, b):
    """The layers of a case as a model, which fuses them."""
    layers = [pm.Conv2d(conv.k, conv.kernel, conv.stride, conv.padding, conv.dilation, conv.groups, bias=b is not None)]
    layers += [ACTIVATIONS[activation]()] if activation else []
    layers += [pm.MaxPool2d(pool)] if pool != (1, 1) else []
    model = pm.Sequential(layers, (conv.c, conv.h, conv.w), dtype=dtype)
    model.load_state_dict({"0.weight": w} if b is None else {"0.weight": w, "0.bias": b})
    return model


@pytest.mark.parametrize("conv, activation, pool", cases.BLOCKS, ids=str)
def test_conv_block(conv, activation, pool, isa, dtype, ran):
    (x, w, b, dy), (y, dx, dw, db), exact = block_case(conv, activation, pool, dtype)
    model = block(conv, activation, pool, dtype, w, b)
    gradients = model.layers[0].gradients
    tolerance = 0 if exact else TOLERANCE[dtype]

    agree(model.forward(x, isa=isa, threads=1), y, tolerance)
    agree(model.backward(dy, isa=isa, threads=1), dx, tolerance)
    agree(gradients["weight"], dw, tolerance)
    agree(gradients["bias"], db, tolerance)
    assert padding_is_zero(model.network)
    # without training nothing is kept, and the same comes out
    agree(model.forward(x, training=False, isa=isa, threads=1), y, tolerance)
    for kernel in ("conv_forward", "conv_weight_gradient", "conv_input_gradient"):
        ran(kernel, (conv, activation, pool))


@pytest.mark.parametrize("activation", cases.ACTIVATIONS)
@pytest.mark.parametrize("pool", cases.POOLS, ids=str)
def test_activation_and_pool_become_part_of_the_convolution(activation, pool):
    conv = cases.CONVS[5]
    (_, w, b, _), _, _ = block_case(conv, activation, pool, "float32")
    assert len(block(conv, activation, pool, "float32", w, b).network._lowered().nodes) == 1


@pytest.mark.parametrize(
    "conv", [c for c in cases.CONVS if c.name in ("plain", "2 groups", "one channel 5x5")], ids=str
)
def test_conv_without_bias(conv, isa, dtype, ran):
    (x, w, _, dy), (_, dx, dw, _), _ = block_case(conv, None, (1, 1), dtype)
    model = block(conv, None, (1, 1), dtype, w, None)
    agree(model.forward(x, isa=isa), reference.conv2d(x, w, None, *conv.geometry), TOLERANCE[dtype])
    agree(model.backward(dy, isa=isa), dx, TOLERANCE[dtype])
    agree(model.layers[0].gradients["weight"], dw, TOLERANCE[dtype])
    assert set(model.layers[0].gradients) == {"weight"} and padding_is_zero(model.network)
    ran("conv_forward", (conv, "without bias"))
    ran("conv_weight_gradient", (conv, "without bias"))


@pytest.mark.parametrize("name", ["plain", "2 groups", "one channel 5x5", "all at once"])
@pytest.mark.parametrize("activation", cases.ACTIVATIONS)
def test_nan_passes_through_a_conv_block(name, activation, isa, dtype):
    conv = next(c for c in cases.CONVS if c.name == name)
    (x, w, b, _), _, _ = block_case(conv, activation, (2, 2), dtype)
    x = x.copy()
    x[0, 0, 3, 4] = np.nan
    y = block(conv, activation, (2, 2), dtype, w, b).forward(x, isa=isa)
    expected = reference.conv_block(x, w, b, *conv.geometry, activation, (2, 2))
    assert 0 < np.isnan(expected).sum() < expected.size
    np.testing.assert_array_equal(np.isnan(y), np.isnan(expected))
    agree(np.nan_to_num(y), np.nan_to_num(expected), TOLERANCE[dtype])


@pytest.mark.parametrize("conv", [c for c in cases.CONVS if c.name in ("plain", "one channel 5x5")], ids=str)
def test_pixels_of_bytes_equal_the_same_numbers(conv, isa, dtype, ran):
    _, w, b, _ = block_case(conv, "relu", (2, 2), dtype)[0]
    x = np.random.default_rng(0).integers(0, 256, (conv.n, conv.c, conv.h, conv.w), np.uint8)
    model = block(conv, "relu", (2, 2), dtype, w, b)
    y = model.forward(x, isa=isa)
    assert np.ptp(y) > 0
    np.testing.assert_array_equal(y, model.forward(x.astype(dtype), isa=isa))
    ran("input_u8", conv)


# ---- linear -------------------------------------------------------------------------------------------


def linear_case(n, features, out, dtype, draw=normal):
    rng = np.random.default_rng(0)
    x, w, b, dy = (draw(rng, shape, dtype) for shape in ((n, features), (out, features), out, (n, out)))
    return (x, w, b, dy), (reference.linear(x, w, b), *reference.linear_backward(dy, x, w))


def run_linear(data, isa, dtype):
    """(y, dx, dw, db) of a Linear layer by hand."""
    x, w, b, dy = data
    layer = pm.Linear(len(w), initializer=pm.initializers.Zeros()).build(x.shape[1:], dtype)
    layer.parameters["weight"][...], layer.parameters["bias"][...] = w, b
    y = layer.forward(x, isa=isa, threads=1)
    dx = layer.backward(dy, isa=isa, threads=1)
    assert padding_is_zero(layer._network)
    return y, dx, layer.gradients["weight"], layer.gradients["bias"]


@pytest.mark.parametrize("n, features, out", cases.LINEARS)
def test_linear(n, features, out, isa, dtype, ran):
    data, expected = linear_case(n, features, out, dtype)
    scope = "linear" if features * out <= 16_384 else "linear_tile"
    names = "forward", "input_gradient", "weight_gradient", "weight_gradient"
    for name, actual, wanted in zip(names, run_linear(data, isa, dtype), expected, strict=True):
        agree(actual, wanted, TOLERANCE[dtype])
        ran(f"{scope}_{name}", (n, features, out))


@pytest.mark.parametrize("n, features, out", [(33, 129, 50), (7, 129, 17), (33, 129, 130), (7, 1152, 17)])
def test_linear_of_numbers_on_a_grid_is_exact(n, features, out, isa, dtype):
    data, expected = linear_case(n, features, out, dtype, draw=grid)
    for actual, wanted in zip(run_linear(data, isa, dtype), expected, strict=True):
        agree(actual, wanted, 0)


def test_linear_without_bias(isa, dtype):
    for n, features, out in ((7, 20, 10), (7, 130, 129)):
        (x, w, _, dy), (_, dx, dw, _) = linear_case(n, features, out, dtype)
        layer = pm.Linear(out, bias=False).build((features,), dtype)
        layer.parameters["weight"][...] = w
        agree(layer.forward(x, isa=isa), reference.linear(x, w), TOLERANCE[dtype])
        agree(layer.backward(dy, isa=isa), dx, TOLERANCE[dtype])
        agree(layer.gradients["weight"], dw, TOLERANCE[dtype])
        assert set(layer.gradients) == {"weight"}


# ---- pooling, flattening, rescaling ---------------------------------------------------------------------


@pytest.mark.parametrize("pool", cases.MAX_POOLS, ids=str)
@pytest.mark.parametrize("kind", ["random", "ties", "NaN", "-inf"])
def test_max_pool(pool, kind, isa, dtype, ran):
    rng = np.random.default_rng(0)
    shape = (pool.n, pool.c, pool.h, pool.w)
    x = rng.integers(-1, 2, shape).astype(dtype) if kind == "ties" else normal(rng, shape, dtype)
    if kind in ("NaN", "-inf"):
        x[rng.random(shape) < (0.1 if kind == "NaN" else 0.9)] = float(kind)
    layer = pm.MaxPool2d(pool.kernel, pool.stride, pool.padding)
    y, argmax = reference.max_pool2d(x, pool.kernel, pool.stride, pool.padding)
    np.testing.assert_array_equal(layer.forward(x, isa=isa), y)
    dy = grid(rng, y.shape, dtype)
    np.testing.assert_array_equal(layer.backward(dy, isa=isa), reference.max_pool2d_backward(dy, argmax, shape))
    ran("pool_forward", (pool, kind))
    ran("pool_backward", (pool, kind))


@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (2, 3, 5, 7), (33, 20, 4, 4), (7, 129, 1, 3)])
def test_flatten_goes_by_channel_row_column(shape, isa, dtype, ran):
    x = normal(np.random.default_rng(0), shape, dtype)
    layer = pm.Flatten()
    np.testing.assert_array_equal(layer.forward(x, isa=isa), x.reshape(shape[0], -1))
    np.testing.assert_array_equal(layer.backward(x.reshape(shape[0], -1), isa=isa), x)
    ran("flatten_forward", shape)
    ran("flatten_backward", shape)


@pytest.mark.parametrize("shape", cases.ELEMENTS)
@pytest.mark.parametrize("scale, offset", [(1 / 255, 0.0), (2 / 255, -1.0)])
def test_rescaling(shape, scale, offset, isa, dtype, ran):
    rng = np.random.default_rng(0)
    tolerance = 4 * np.finfo(dtype).eps
    for x in (rng.integers(0, 256, shape, np.uint8), normal(rng, shape, dtype)):
        layer = pm.Rescaling(scale, offset).build(shape[1:], dtype)
        y = layer._network.forward(x, isa=isa)
        assert y.dtype == dtype
        np.testing.assert_allclose(y, x.astype(np.float64) * scale + offset, rtol=0, atol=tolerance)
        dy = normal(rng, shape, dtype)
        agree(layer._network.backward(dy, isa=isa), dy * scale, tolerance)
        ran("input_u8" if x.dtype == np.uint8 else "input_real", (shape, scale))
        ran("output_real", (shape, scale))


def test_rescaling_comes_before_the_border(isa, dtype):
    """As in PyTorch, a convolution pads with 0, not with the offset."""
    rng = np.random.default_rng(0)
    model = pm.Sequential([pm.Rescaling(2 / 255, -1), pm.Conv2d(3, 3, padding=1)], (1, 6, 7), dtype=dtype)
    w, b = model.state_dict()["0.weight"], model.state_dict()["0.bias"]
    x, dy = rng.integers(0, 256, (2, 1, 6, 7), np.uint8), normal(rng, (2, 3, 6, 7), dtype)
    z = x * (2 / 255) - 1
    geometry = (1, 1), (1, 1, 1, 1), (1, 1), 1
    agree(model.forward(x, isa=isa), reference.conv2d(z, w, b, *geometry), TOLERANCE[dtype])
    agree(
        model.backward(dy, isa=isa),
        reference.conv2d_backward(dy, z, w, *geometry)[0] * (2 / 255),
        TOLERANCE[dtype],
    )


# ---- activations, softmax, loss -------------------------------------------------------------------------


@pytest.mark.parametrize("shape", cases.ELEMENTS)
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activation(name, shape, isa, dtype, ran):
    rng = np.random.default_rng(0)
    x, dy = normal(rng, shape, dtype), normal(rng, shape, dtype)
    layer = ACTIVATIONS[name]()
    y = getattr(reference, name)(x)
    agree(layer.forward(x, isa=isa), y, TOLERANCE[dtype] if name == "tanh" else 0)
    expected = getattr(reference, f"{name}_backward")(dy, y)
    agree(layer.backward(dy, isa=isa), expected, TOLERANCE[dtype] if name == "tanh" else 0)
    ran("activation_forward", (name, shape))
    ran("activation_backward", (name, shape))


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activation_of_special_numbers(name, isa, dtype):
    tiny = np.finfo(dtype).smallest_subnormal
    x = np.array([[np.nan, np.inf, -np.inf, 0.0, -0.0, tiny, -tiny, 1e30, -1e30]], dtype)
    y = ACTIVATIONS[name]().forward(x, isa=isa)
    np.testing.assert_array_equal(y, getattr(reference, name)(x))


def test_tanh_to_a_few_units_in_the_last_place(isa, dtype, ran):
    powers = np.logspace(-30, 1.4, 100_000)
    x = np.concatenate([powers, -powers, np.linspace(-25, 25, 100_001)])[None].astype(dtype)
    exact = np.tanh(x.astype(np.longdouble))
    units = np.abs(pm.Tanh().forward(x, isa=isa) - exact) / np.spacing(np.abs(exact).astype(dtype))
    assert units.max() <= 3
    ran("activation_forward", ("tanh", "ulps"))


@pytest.mark.parametrize("n", cases.BATCHES)
@pytest.mark.parametrize("classes", cases.CLASSES)
def test_softmax(n, classes, isa, dtype, ran):
    rng = np.random.default_rng(0)
    z, dy = 5 * normal(rng, (n, classes), dtype), normal(rng, (n, classes), dtype)
    layer, y = pm.Softmax(), reference.softmax(z)
    agree(layer.forward(z, isa=isa), y, TOLERANCE[dtype])
    dz = y * (dy - (dy * y).sum(axis=1, keepdims=True))
    if classes > 1:
        agree(layer.backward(dy, isa=isa), dz, TOLERANCE[dtype])
    else:  # always 1: no gradient
        np.testing.assert_array_equal(layer.backward(dy, isa=isa), 0)
    ran("softmax_forward", (n, classes))
    ran("softmax_backward", (n, classes))


@pytest.mark.parametrize("n", cases.BATCHES)
@pytest.mark.parametrize("classes", cases.CLASSES)
@pytest.mark.parametrize("spread", [1, 30, 1e4])
def test_cross_entropy(n, classes, spread, isa, dtype, ran):
    rng = np.random.default_rng(0)
    z = (spread * rng.uniform(-1, 1, (n, classes))).astype(dtype)
    if spread == 1e4:
        z[0, 0], z[0, -1] = spread, -spread
    labels = rng.integers(0, classes, n)
    loss = pm.CrossEntropyLoss()
    value, expected = loss.forward(z, labels, isa=isa), reference.cross_entropy(z, labels)
    assert value == pytest.approx(expected, rel=TOLERANCE[dtype], abs=TOLERANCE[dtype])
    dz = loss.backward()
    assert dz.dtype == dtype
    # a gradient may cancel to nothing: what counts is its error beside 1 / n, the largest that it could be
    np.testing.assert_allclose(dz, reference.cross_entropy_backward(z, labels), rtol=0, atol=TOLERANCE[dtype] / n)
    ran("cross_entropy", (n, classes, spread))


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("place", [0, 3, 16])
def test_loss_of_logits_that_are_not_numbers(value, place, isa, dtype):
    z = normal(np.random.default_rng(0), (3, 17), dtype)
    z[1, place] = value
    loss = pm.CrossEntropyLoss()
    assert np.isnan(loss.forward(z, [0, 3, 16], isa=isa))
    assert np.isnan(loss.backward()[1]).all() and np.isfinite(loss.backward()[[0, 2]]).all()


def test_loss_of_an_impossible_class(isa, dtype):
    z = np.array([[0.0, -np.inf, 1.0]], dtype)
    loss = pm.CrossEntropyLoss()
    expected = reference.cross_entropy(z, [0])
    assert loss.forward(z, [0], isa=isa) == pytest.approx(expected, rel=TOLERANCE[dtype])
    assert loss.backward()[0, 1] == 0
    assert loss.forward(z, [1], isa=isa) == np.inf


# ---- random numbers and dropout -------------------------------------------------------------------------

# Random123's known answers for philox4x32-10: counter, key, output
ONES, PI = 0xFFFFFFFF, (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344, 0xA4093822, 0x299F31D0)
PHILOX = [
    ((0,) * 4, (0,) * 2, (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    ((ONES,) * 4, (ONES,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    (PI[:4], PI[4:], (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1)),
]


@pytest.mark.parametrize("counter, key, expected", PHILOX)
def test_philox_known_answers(counter, key, expected):
    assert tuple(_native.philox(counter, key)) == expected
    assert tuple(reference.philox4x32(counter, key)) == expected


def mask_of(shape, p, seed, layer, epoch, first_position=0):
    """The mask that elements (n, features) or (n, c, h, w) get; it is drawn in the order h, w, c."""
    mask = reference.dropout_mask(shape[0], int(np.prod(shape[1:])), p, seed, layer, epoch, first_position)
    if len(shape) == 2:
        return mask
    n, c, h, w = shape
    return mask.reshape(n, h, w, c).transpose(0, 3, 1, 2)


@pytest.mark.parametrize("shape", [*cases.ELEMENTS, (2, 1000), (2, 3, 2, 201)])
@pytest.mark.parametrize("p, seed", [(0.5, 0), (0.1, 2**64 - 2), (0.999, 2**32)])
def test_dropout(shape, p, seed, isa, dtype, ran):
    rng = np.random.default_rng(0)
    layer = pm.Dropout(p).build(shape[1:], dtype, seed)
    scale = np.dtype(dtype).type(1 / (1 - p))
    for call in (1, 2):
        x, dy = normal(rng, shape, dtype), normal(rng, shape, dtype)
        mask = mask_of(shape, p, seed, layer=0, epoch=call)
        np.testing.assert_array_equal(layer.forward(x, isa=isa), np.where(mask, x * scale, 0))
        np.testing.assert_array_equal(layer.backward(dy, isa=isa), np.where(mask, dy * scale, 0))
    np.testing.assert_array_equal(layer.forward(x, training=False, isa=isa), x)
    ran("dropout", (shape, p))


def test_dropout_in_a_model_draws_by_layer(isa, dtype):
    layers = [pm.Dropout(0.5), pm.ReLU(), pm.Dropout(0.25)]
    model = pm.Sequential(layers, (3, 4, 5), seed=7, dtype=dtype)
    x = np.ones((7, 3, 4, 5), dtype)
    kept = mask_of(x.shape, 0.5, 7, layer=0, epoch=1) & mask_of(x.shape, 0.25, 7, layer=2, epoch=1)
    expected = kept * (2 * np.dtype(dtype).type(1 / 0.75))
    np.testing.assert_array_equal(model.forward(x, isa=isa), expected)
    np.testing.assert_array_equal(model.backward(x, isa=isa), expected)


# ---- optimizers -----------------------------------------------------------------------------------------

OPTIMIZERS = [
    pm.SGD(0.1),
    pm.SGD(0.1, weight_decay=0.1),
    pm.SGD(0.1, momentum=0.9),
    pm.SGD(0.1, momentum=0.9, weight_decay=0.01),
    pm.SGD(0.1, momentum=0.8, nesterov=True),
    pm.SGD(0.05, momentum=0.9, nesterov=True, weight_decay=0.05),
    pm.Adam(0.01, eps=1e-4),
    pm.Adam(0.02, betas=(0.8, 0.95), eps=1e-4, weight_decay=0.05),
]
# Of a gradient that cancels to about epsilon, Adam's step is as wrong as the gradient is, relatively: with so
# small an epsilon only few weights can be compared.
TRAININGS = [(optimizer, *sizes) for optimizer in OPTIMIZERS for sizes in ((5, 3), (129, 130))] + [
    (pm.Adam(0.01), 5, 3)
]


def reference_step(optimizer, p, g, state, t):
    """One step of reference.sgd or adam: (p, state)."""
    o = optimizer
    if isinstance(o, pm.SGD):
        return reference.sgd(p, g, state, o.lr, o.momentum, o.weight_decay, o.nesterov)
    m, v = state or (np.zeros_like(p), np.zeros_like(p))
    p, m, v = reference.adam(p, g, m, v, t, o.lr, *o.betas, o.eps, o.weight_decay)
    return p, (m, v)


def reference_fit(model, x, labels, epochs, batch, optimizer, dropout=None):
    """What `fit` of (Dropout and) Linear makes of the weights, epoch by epoch, in the order of the file."""
    weights = [p.astype(np.float64) for p in model.state_dict().values()]
    states, t = [None, None], 0
    for epoch in range(epochs):
        for first in range(0, len(x), batch):
            inputs, t = x[first : first + batch].astype(np.float64), t + 1
            if dropout:
                kept = mask_of(inputs.shape, dropout, model.network.seed, 0, epoch, first)
                inputs = inputs * kept / (1 - dropout)
            z = reference.linear(inputs, *weights)
            dz = reference.cross_entropy_backward(z, labels[first : first + batch])
            for i, g in enumerate(reference.linear_backward(dz, inputs, weights[0])[1:]):
                weights[i], states[i] = reference_step(optimizer, weights[i], g, states[i], t)
        yield list(weights)


@pytest.mark.parametrize("optimizer, features, classes", TRAININGS, ids=str)
def test_optimizer(optimizer, features, classes, isa, dtype, ran):
    rng = np.random.default_rng(0)
    x, labels = normal(rng, (22, features), dtype), rng.integers(0, classes, 22)
    model = pm.Sequential([pm.Linear(classes)], (features,), dtype=dtype)
    expected = list(reference_fit(model, x, labels, 4, 8, optimizer))  # 12 steps, every third a partial batch
    for weights in expected:  # the optimizer's state lasts from one `fit` to the next
        model.fit((x, labels), 1, 8, optimizer, shuffle=False, progress=False, isa=isa, threads=1)
        for actual, wanted in zip(model.state_dict().values(), weights, strict=True):
            agree(actual, wanted, TOLERANCE[dtype])
    ran(type(optimizer).__name__.lower(), (str(optimizer), features, classes))
    ran("reduce", (features, classes))


def test_dropout_in_training_draws_by_epoch_and_position(isa, dtype):
    rng = np.random.default_rng(0)
    x, labels = normal(rng, (22, 50), dtype), rng.integers(0, 10, 22)
    model = pm.Sequential([pm.Dropout(0.5), pm.Linear(10)], (50,), seed=3, dtype=dtype)
    optimizer = pm.SGD(0.1)
    *_, expected = reference_fit(model, x, labels, 3, 8, optimizer, dropout=0.5)
    model.fit((x, labels), 3, 8, optimizer, shuffle=False, progress=False, isa=isa, threads=1)
    for actual, wanted in zip(model.state_dict().values(), expected, strict=True):
        agree(actual, wanted, TOLERANCE[dtype])
