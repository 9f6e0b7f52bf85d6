"""Pooling layers against the reference; a pool that a convolution takes in is in test_kernels.py."""

import cases
import numpy as np
import pytest
import reference
from comparing import TOLERANCE, agree, grid, normal

import pymnistcnn as pm


@pytest.mark.parametrize("pool", cases.MAX_POOLS, ids=str)
@pytest.mark.parametrize("kind", ["random", "ties", "NaN", "-inf"])
def test_max_pool(pool, kind, isa, dtype, ran):
    rng = np.random.default_rng(0)
    shape = (pool.n, pool.c, pool.h, pool.w)
    x = rng.integers(-1, 2, shape).astype(dtype) if kind == "ties" else normal(rng, shape, dtype)
    if kind in ("NaN", "-inf"):
        x[rng.random(shape) < (0.1 if kind == "NaN" else 0.9)] = float(kind)
    window = pool.kernel, pool.stride, pool.padding, pool.dilation, pool.ceil_mode
    layer = pm.MaxPool2d(*window[:-1], ceil_mode=pool.ceil_mode)
    y, argmax = reference.max_pool2d(x, *window)
    np.testing.assert_array_equal(layer.forward(x, isa=isa), y)
    dy = grid(rng, y.shape, dtype)
    np.testing.assert_array_equal(layer.backward(dy, isa=isa), reference.max_pool2d_backward(dy, argmax, shape))
    ran("pool_forward", (pool, kind))
    ran("pool_backward", (pool, kind))


def test_a_window_of_nothing_but_padding(isa, dtype):
    """Two cells three apart, around a picture of two: as in PyTorch -inf, and nobody gets its gradient."""
    layer, x = pm.MaxPool2d(2, 1, padding=1, dilation=3), np.ones((2, 3, 2, 2), dtype)
    np.testing.assert_array_equal(layer.forward(x, isa=isa), np.full((2, 3, 1, 1), -np.inf))
    np.testing.assert_array_equal(layer.backward(np.ones((2, 3, 1, 1), dtype), isa=isa), np.zeros(x.shape))


@pytest.mark.parametrize(
    "options",
    [{"ceil_mode": True}, {"dilation": 2}, {"dilation": (1, 2)}, {"stride": 1}, {"stride": 3, "ceil_mode": True}],
    ids=str,
)
def test_pools_that_a_convolution_cannot_take_in(options, isa, dtype):
    """Their windows do not tile the picture that the convolution gives."""
    rng = np.random.default_rng(0)
    layers = [pm.Conv2d(10, 3), pm.ReLU(), pm.MaxPool2d(2, **options)]
    model = pm.Sequential(layers, (3, 9, 9), dtype=dtype)
    w, b = grid(rng, (10, 3, 3, 3), dtype), grid(rng, 10, dtype)
    model.load_state_dict({"0.weight": w, "0.bias": b})
    x = grid(rng, (7, 3, 9, 9), dtype)
    geometry = (1, 1), (0, 0, 0, 0), (1, 1), 1
    z = reference.conv2d(x, w, b, *geometry)
    a = reference.relu(z)
    pool = model.layers[-1]
    y, argmax = reference.max_pool2d(a, (2, 2), pool.stride, (0, 0), pool.dilation, pool.ceil_mode)
    dy = grid(rng, y.shape, dtype, most=4)
    da = reference.relu_backward(reference.max_pool2d_backward(dy, argmax, a.shape), z)
    agree(model.forward(x, isa=isa), y, 0)
    agree(model.backward(dy, isa=isa), reference.conv2d_backward(da, x, w, *geometry)[0], 0)
    agree(model.predict_outputs(x, isa=isa), y, 0)


def averaging(pool):
    """What AvgPool2d and the reference take."""
    return pool.kernel, pool.stride, pool.padding, pool.ceil_mode, pool.count_include_pad


@pytest.mark.parametrize("pool", cases.AVG_POOLS, ids=str)
def test_avg_pool(pool, isa, dtype, ran):
    rng = np.random.default_rng(0)
    x = normal(rng, (pool.n, pool.c, pool.h, pool.w), dtype)
    layer, y = pm.AvgPool2d(*averaging(pool)), reference.avg_pool2d(x, *averaging(pool))
    agree(layer.forward(x, isa=isa), y, TOLERANCE[dtype])
    dy = normal(rng, y.shape, dtype)
    dx = reference.avg_pool2d_backward(dy, x.shape, *averaging(pool))
    agree(layer.backward(dy, isa=isa), dx, TOLERANCE[dtype])
    agree(layer.forward(x, training=False, isa=isa), y, TOLERANCE[dtype])
    ran("avg_pool_forward", pool)
    ran("avg_pool_backward", pool)


@pytest.mark.parametrize("pool", cases.AVG_POOLS, ids=str)
def test_avg_pool_of_whole_numbers(pool, isa, dtype):
    """Sums are exact then, and only the division rounds."""
    x = np.random.default_rng(0).integers(-64, 65, (pool.n, pool.c, pool.h, pool.w)).astype(dtype)
    y = pm.AvgPool2d(*averaging(pool)).forward(x, isa=isa)
    np.testing.assert_allclose(y, reference.avg_pool2d(x, *averaging(pool)), rtol=2 * np.finfo(dtype).eps, atol=0)


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("pool", cases.AVG_POOLS[1:8], ids=str)
def test_avg_pool_of_what_is_not_a_number(pool, value, isa, dtype):
    """Just the windows that see it give it on."""
    x = np.ones((pool.n, pool.c, pool.h, pool.w), dtype)
    x[0, -1, 1, 2] = x[-1, 0, 0, 0] = value
    expected = reference.avg_pool2d(x, *averaging(pool))
    y = pm.AvgPool2d(*averaging(pool)).forward(x, isa=isa)
    np.testing.assert_allclose(y, expected, rtol=2 * np.finfo(dtype).eps, atol=0)


@pytest.mark.parametrize("shape", cases.GLOBAL_POOLS)
def test_global_avg_pool(shape, isa, dtype, ran):
    rng = np.random.default_rng(0)
    layer = pm.GlobalAvgPool2d()
    x, dy = normal(rng, shape, dtype), normal(rng, (*shape[:2], 1, 1), dtype)
    agree(layer.forward(x, isa=isa), reference.avg_pool2d(x, shape[2:]), TOLERANCE[dtype])
    dx = reference.avg_pool2d_backward(dy, shape, shape[2:])
    agree(layer.backward(dy, isa=isa), dx, TOLERANCE[dtype])
    whole = rng.integers(-64, 65, shape).astype(dtype)
    y, expected = layer.forward(whole, isa=isa), reference.avg_pool2d(whole, shape[2:])
    np.testing.assert_allclose(y, expected, rtol=2 * np.finfo(dtype).eps, atol=0)
    ran("global_avg_pool_forward", shape)
    ran("global_avg_pool_backward", shape)


def test_global_avg_pool_gives_nan_on(isa, dtype):
    x = np.ones((2, 17, 5, 7), dtype)
    x[1, 16, 4, 6] = np.nan
    y = pm.GlobalAvgPool2d().forward(x, isa=isa)
    assert np.isnan(y[1, 16, 0, 0]) and np.isnan(y).sum() == 1


def test_pools_of_any_kind_follow_a_convolution(isa, dtype):
    """The borders that the layers want of each other's pictures do not leak into the means."""
    rng = np.random.default_rng(0)
    layers = [pm.Conv2d(10, 3, padding=1), pm.AvgPool2d(3, 2, 1), pm.Conv2d(17, 3, padding=2), pm.GlobalAvgPool2d()]
    model = pm.Sequential(layers, (3, 9, 8), dtype=dtype)
    w1, b1, w2, b2 = (np.array(weights) for weights in model.state_dict().values())
    x, dy = normal(rng, (7, 3, 9, 8), dtype), normal(rng, (7, 17, 1, 1), dtype)
    first, second = ((1, 1), (1, 1, 1, 1), (1, 1), 1), ((1, 1), (2, 2, 2, 2), (1, 1), 1)
    a = reference.conv2d(x, w1, b1, *first)
    p = reference.avg_pool2d(a, (3, 3), (2, 2), (1, 1))
    z = reference.conv2d(p, w2, b2, *second)
    agree(model.forward(x, isa=isa), reference.avg_pool2d(z, z.shape[2:]), TOLERANCE[dtype])
    dz = reference.avg_pool2d_backward(dy, z.shape, z.shape[2:])
    da = reference.avg_pool2d_backward(
        reference.conv2d_backward(dz, p, w2, *second)[0], a.shape, (3, 3), (2, 2), (1, 1)
    )
    agree(model.backward(dy, isa=isa), reference.conv2d_backward(da, x, w1, *first)[0], TOLERANCE[dtype])
