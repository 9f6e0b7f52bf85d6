"""Every kernel, by hand, on every usable ISA and in both dtypes, against the float64 reference.

Here: convolution blocks, linear layers, flattening and rescaling; what else there is has a file of its subject.
"""

from dataclasses import replace

import cases
import numpy as np
import pytest
import reference
from comparing import TOLERANCE, agree, grid, normal, padding_is_zero
from operations import ACTIVATION_CASES, ACTIVATIONS

import pymnistcnn as pm
from pymnistcnn.network import lowered
from pymnistcnn.plan import small_linear
from pymnistcnn.target import target_of

# ---- the convolution block ----------------------------------------------------------------------------


def block_case(conv, activation, pool, dtype, change=lambda x: x):
    """(x, w, b, dy), (y, dx, dw, db) and whether float32 must give just these; `change` is done to x first.

    Where a pool or a kink at 0 decides, float32 gets values of a grid: it then decides as the reference does, ties
    included, and with no function but ReLU all results are exact.
    """
    rng = np.random.default_rng(0)
    decides = (activation and ACTIVATIONS[activation].kink) or pool != (1, 1)
    on_grid = dtype == "float32" and decides and not conv.rounds(pool)
    draw = grid if on_grid else normal
    x = change(draw(rng, (conv.n, conv.c, conv.h, conv.w), dtype))
    w = draw(rng, (conv.k, conv.c // conv.groups, *conv.kernel), dtype)
    w *= 2.0 ** -np.round(np.log2(np.sqrt(w[0].size)))  # so that tanh is not all 1 and -1
    b = draw(rng, conv.k, dtype)
    y = reference.conv_block(x, w, b, *conv.geometry, activation, pool)
    dy = grid(rng, y.shape, dtype, most=4) if on_grid else normal(rng, y.shape, dtype)
    gradients = reference.conv_block_backward(dy, x, w, b, *conv.geometry, activation, pool)
    exact = activation is None or {} in ACTIVATIONS[activation].exact
    return (x, w, b, dy), (y, *gradients), on_grid and exact


def block(conv, activation, pool, dtype, w, b):
    """The layers of a case as a model, which fuses them."""
    layers = [ACTIVATIONS[activation].layer()] if activation else []
    return conv_model(conv, layers + [pm.MaxPool2d(pool)] * (pool != (1, 1)), dtype, w, b)


def conv_model(conv, layers, dtype, w, b):
    """The convolution of a case with these weights, and then layers that have none."""
    first = pm.Conv2d(conv.k, conv.kernel, stride=conv.stride, padding=conv.padding, dilation=conv.dilation,
                      groups=conv.groups, bias=b is not None)  # fmt: skip
    model = pm.Sequential([first, *layers], (conv.c, conv.h, conv.w), dtype=dtype)
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


def with_margins(x):
    """Zeros around a box, which is another one in each picture: none, one pixel, a column, a row, all."""
    _, _, h, w = x.shape
    boxes = [(0, 0, 0, 0), (h - 1, h, 0, 1), (0, h, w // 2, w // 2 + 1), (h // 2, h // 2 + 1, 0, w), (0, h, 0, w)]
    changed = np.zeros_like(x)
    for i, picture in enumerate(x):
        top, bottom, left, right = boxes[i % len(boxes)]
        changed[i, :, top:bottom, left:right] = picture[:, top:bottom, left:right]
    return changed


@pytest.mark.parametrize("conv, activation, pool", [case for case in cases.BLOCKS if case[0].c == 1], ids=str)
def test_margins_of_zeros(conv, activation, pool, isa, dtype, ran):
    """They are not computed, where there is one channel, and the result is that of computing them."""
    conv = replace(conv, n=10)
    (x, w, b, dy), (y, dx, dw, db), exact = block_case(conv, activation, pool, dtype, with_margins)
    model = block(conv, activation, pool, dtype, w, b)
    tolerance = 0 if exact else TOLERANCE[dtype]
    agree(model.forward(x, isa=isa), y, tolerance)
    agree(model.backward(dy, isa=isa), dx, tolerance)
    agree(model.layers[0].gradients["weight"], dw, tolerance)
    agree(model.layers[0].gradients["bias"], db, tolerance)
    assert padding_is_zero(model.network)
    ran("conv_forward", (conv, activation, pool, "margins"))


@pytest.mark.parametrize("activation", [None, *(name for name, o in ACTIVATIONS.items() if o.monotone)])
@pytest.mark.parametrize("pool", cases.POOLS, ids=str)
def test_activation_and_pool_become_part_of_the_convolution(activation, pool):
    conv = cases.CONVS[5]
    (_, w, b, _), _, _ = block_case(conv, activation, pool, "float32")
    model = block(conv, activation, pool, "float32", w, b)
    for inference in (False, True):
        one = inference or activation is None or ACTIVATIONS[activation].from_y
        assert (len(lowered(model.layers, model.input_shape, inference=inference).nodes) == 1) == one


@pytest.mark.parametrize("operation, options", [case for case in ACTIVATION_CASES if case[1]], ids=str)
@pytest.mark.parametrize("pool", cases.POOLS, ids=str)
def test_options_of_an_activation_reach_the_block(operation, options, pool, isa, dtype):
    conv = cases.CONVS[6]
    (x, w, b, dy), _, _ = block_case(conv, "relu", pool, dtype)
    layers = [operation.layer(**options)] + [pm.MaxPool2d(pool)] * (pool != (1, 1))
    model = conv_model(conv, layers, dtype, w, b)
    z = reference.conv2d(x, w, b, *conv.geometry)
    a = operation.reference(z, **options)
    y, argmax = reference.max_pool2d(a, pool)
    dz = operation.reference_backward(reference.max_pool2d_backward(dy, argmax, a.shape), z, **options)
    agree(model.forward(x, isa=isa), y, TOLERANCE[dtype])
    agree(model.backward(dy, isa=isa), reference.conv2d_backward(dz, x, w, *conv.geometry)[0], TOLERANCE[dtype])


@pytest.mark.parametrize(
    "conv",
    [
        c
        for c in cases.CONVS + cases.DEPTHWISE_CONVS
        if c.name in ("plain", "2 groups", "one channel 5x5", "depthwise 17")
    ],
    ids=str,
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


@pytest.mark.parametrize(
    "name", ["plain", "2 groups", "one channel 5x5", "all at once", "depthwise 17", "17 channels to 75"]
)
@pytest.mark.parametrize("activation", cases.OFTEN + cases.SELDOM)
@pytest.mark.parametrize("pool", [(2, 2), (3, 3)], ids=str)
def test_nan_passes_through_a_conv_block(name, activation, pool, isa, dtype):
    conv = next(c for c in cases.CONVS + cases.WINOGRAD_CONVS + cases.DEPTHWISE_CONVS if c.name == name)
    (x, w, b, _), _, _ = block_case(conv, activation, pool, dtype)
    x = x.copy()
    x[0, 0, 3, 4] = np.nan
    model = block(conv, activation, pool, dtype, w, b)
    expected = reference.conv_block(x, w, b, *conv.geometry, activation, pool)
    assert 0 < np.isnan(expected).sum() < expected.size
    for training in (False, True):
        y = model.forward(x, training, isa=isa)
        np.testing.assert_array_equal(np.isnan(y), np.isnan(expected))
        agree(np.nan_to_num(y), np.nan_to_num(expected), TOLERANCE[dtype])


@pytest.mark.parametrize("name", ["plain", "one channel 5x5", "lenet"])
@pytest.mark.parametrize("pool", [(2, 2), (3, 3)], ids=str)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_pooled_as_it_says(name, pool, value, isa, dtype):
    """Infinity and NaN win as numbers do, and the gradient goes to whoever won."""
    conv = replace(next(c for c in cases.CONVS if c.name == name), kernel=(1, 1), padding=(0, 0, 0, 0))
    (x, w, b, dy), _, _ = block_case(conv, None, pool, dtype, np.abs)
    w, x = np.abs(w) + 1, x.copy()
    x[:, :, 1:5, 2:4][np.random.default_rng(0).random(x[:, :, 1:5, 2:4].shape) < 0.1] = value
    with np.errstate(invalid="ignore"):
        z = reference.conv2d(x, w, b, *conv.geometry)
    y, argmax = reference.max_pool2d(z, pool)
    dz = reference.max_pool2d_backward(dy, argmax, z.shape)
    model = block(conv, None, pool, dtype, w, b)
    finite = np.isfinite(y)
    assert 0 < finite.sum() < finite.size or value == -np.inf
    for training in (False, True):
        of_kernel = model.forward(x, training, isa=isa)
        np.testing.assert_array_equal(of_kernel[~finite], y[~finite])
        agree(of_kernel[finite], y[finite], TOLERANCE[dtype])
    dx, *_ = reference.conv2d_backward(dz, np.zeros_like(x), w, *conv.geometry)
    agree(model.backward(dy, isa=isa), dx, TOLERANCE[dtype])


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


def run_linear(data, isa, dtype, first=True):
    """(y, dx, dw, db) of a Linear layer by hand: the first one, or behind others that change nothing."""
    x, w, b, dy = data
    linear = pm.Linear(len(w), initializer=pm.initializers.Zeros())
    layers, shape = ([], x.shape[1:]) if first else ([pm.MaxPool2d(1), pm.Flatten()], (*x.shape[1:], 1, 1))
    model = pm.Sequential([*layers, linear], shape, dtype=dtype)
    linear.parameters["weight"][...], linear.parameters["bias"][...] = w, b
    y = model.forward(x.reshape(len(x), *shape), isa=isa, threads=1)
    dx = model.backward(dy, isa=isa, threads=1)
    assert padding_is_zero(model.network)
    return y, dx.reshape(x.shape), linear.gradients["weight"], linear.gradients["bias"]


@pytest.mark.parametrize("n, features, out", cases.LINEARS)
def test_linear(n, features, out, isa, dtype, ran):
    data, expected = linear_case(n, features, out, dtype)
    small = small_linear(features, out)
    names = "forward", "input_gradient", "weight_gradient", "weight_gradient"
    for first in (True,) if small else (True, False):
        for name, actual, wanted in zip(names, run_linear(data, isa, dtype, first), expected, strict=True):
            agree(actual, wanted, TOLERANCE[dtype])
            scope = "linear" if small else "linear_sparse" if first and name == "forward" else "linear_tile"
            ran(f"{scope}_{name}", (n, features, out))


@pytest.mark.parametrize("share", [0, 0.02, 0.2, 0.45, 0.8])
@pytest.mark.parametrize("n, features, out", cases.SPARSE_LINEARS)
def test_linear_on_mostly_zeros_gives_the_same_bits(n, features, out, share, isa, dtype, ran):
    """`share` of x is other than zero, and none of every third row and column."""
    (x, w, b, dy), _ = linear_case(n, features, out, dtype)
    x[np.random.default_rng(1).random(x.shape) >= share] = 0
    x[::3], x[:, ::3] = 0, 0
    expected = reference.linear(x, w, b), *reference.linear_backward(dy, x, w)
    dense = run_linear((x, w, b, dy), isa, dtype, first=False)
    for actual, plain, wanted in zip(run_linear((x, w, b, dy), isa, dtype), dense, expected, strict=True):
        agree(actual, wanted, TOLERANCE[dtype])
        np.testing.assert_array_equal(actual, plain)
    ran("linear_sparse_forward", (n, features, out, share))
    ran("linear_tile_weight_gradient", (n, features, out, share))


@pytest.mark.parametrize("share", [0.02, 0.45, 0.8, 1])
@pytest.mark.parametrize("features, out", [(129, 129), (625, 17), (1152, 625), (5000, 50)])
def test_linear_of_one_sample_gives_the_bits_of_a_batch(features, out, share, isa, dtype, ran):
    """It reads no weights of inputs that are zero; in a batch they are multiplied."""
    (x, w, b, dy), _ = linear_case(7, features, out, dtype)
    x[np.random.default_rng(1).random(x.shape) >= share] = 0
    together = run_linear((x, w, b, dy), isa, dtype, first=False)[0]
    agree(together, reference.linear(x, w, b), TOLERANCE[dtype])
    for i in range(7):
        alone = run_linear((x[i : i + 1], w, b, dy[i : i + 1]), isa, dtype, first=False)[0]
        np.testing.assert_array_equal(alone[0], together[i])
    ran("linear_tile_forward", (features, out, share, "one sample"))


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


# ---- flattening, rescaling ----------------------------------------------------------------------------


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
        y = layer._network.forward(x, True, target_of(isa))  # uint8 in this dtype
        assert y.dtype == dtype
        np.testing.assert_allclose(y, x.astype(np.float64) * scale + offset, rtol=0, atol=tolerance)
        dy = normal(rng, shape, dtype)
        agree(layer.backward(dy), dy * scale, tolerance)
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
