"""Sums of many numbers, and of large ones, lose few digits: compared with float64 and exact values."""

import numpy as np
import pytest

import pymnistcnn as pm

F = pm.functional


def sum_error(n):
    """What a sum of n equal float32 numbers may be off by: it grows with the root of n."""
    return 2 * np.sqrt(n) * np.finfo(np.float32).eps


def norm(x, **options):
    """y, mean and variance of a channel, and the gradients for dy = 1, -1, 1, ..."""
    mean, variance = np.zeros(1, x.dtype), np.ones(1, x.dtype)
    y = F.batch_norm(x, mean, variance, training=True, momentum=1.0, **options)
    return y, mean[0], variance[0]


def test_a_million_values_far_from_0(isa, dtype):
    x = (1000 + np.random.default_rng(0).standard_normal((1_000_000, 1))).astype(dtype)
    y, mean, variance = norm(x, isa=isa)
    exact = x.astype(np.float64)
    eps = np.finfo(dtype).eps
    assert abs(mean - exact.mean()) <= 1000 * eps
    assert abs(variance - exact.var(ddof=1)) <= 1e3 * eps
    expected = (exact - exact.mean()) / np.sqrt(exact.var() + 1e-5)
    assert np.abs(y - expected).max() <= 1000 * 4 * eps


@pytest.mark.parametrize("value", [0.3922, 1000.1, 1e30, 0.0, -1e-30])
@pytest.mark.parametrize("shape", [(50, 1), (3, 1, 28, 28)])
def test_equal_values_have_no_variance(value, shape, isa, dtype):
    x = np.full(shape, value, dtype)
    y, mean, variance = norm(x, isa=isa)
    assert (y == 0).all() and mean == x.flat[0] and variance == 0
    dy = np.resize([1, -1, 0.5], shape).astype(dtype)
    dx, dw, db = F.batch_norm_backward(dy, x, isa=isa)
    assert dw[0] == 0


@pytest.mark.parametrize("value", [1e20, 1e30, 8e37, 1e-25])  # the inverse of what is larger is subnormal, zero
def test_large_and_small_values_are_normalized(value, isa):
    x = np.array([[value], [-value]], np.float32)
    y, mean, variance = norm(x, eps=1e-30, isa=isa)
    assert mean == 0
    if value > 1:
        np.testing.assert_allclose(y, [[1], [-1]], rtol=1e-6)
        assert np.isinf(variance)


def test_the_largest_number_alone(isa, dtype):
    x = np.full((4, 1), np.finfo(dtype).max, dtype)
    y, mean, variance = norm(x, isa=isa)
    assert (y == 0).all() and mean == x[0, 0] and variance == 0


@pytest.mark.parametrize("offset, std", [(1e2, 1), (1e4, 1), (1e4, 1e-2), (1e6, 10), (1e7, 100)])
def test_offsets_cost_no_digits(offset, std, isa, dtype):
    x = (offset + std * np.random.default_rng(1).standard_normal((20, 3, 14, 14))).astype(dtype)
    exact = x.astype(np.longdouble)
    axes = (0, 2, 3)
    variance = np.ones(3, dtype)
    F.batch_norm(x, np.zeros(3, dtype), variance, training=True, momentum=1.0, isa=isa)
    n = x.size // 3
    right = exact.var(axis=axes) * n / (n - 1)
    np.testing.assert_allclose(variance, right.astype(np.float64), rtol=64 * np.finfo(dtype).eps)


@pytest.mark.parametrize("n", [100_000, 1_000_000])
@pytest.mark.parametrize("outputs", [1, 3, 40])
def test_linear_over_many_inputs(n, outputs, isa):
    x = np.full((2, n), 0.1, np.float32)
    y = F.linear(x, np.ones((outputs, n), np.float32), isa=isa)
    exact = float(np.float32(0.1)) * n
    assert np.abs(y / exact - 1).max() < sum_error(n)


def test_averages_over_large_pictures(isa):
    for side in (1000, 3000):
        x = np.full((1, 1, side, side), 0.1, np.float32)
        assert abs(F.global_avg_pool2d(x, isa=isa)[0, 0, 0, 0] / np.float32(0.1) - 1) < 1e-5


@pytest.mark.parametrize("channels", [1, 2])
def test_weight_gradients_over_large_pictures(channels, isa):
    if isa == "emulated":
        pytest.skip("emulated: too slow for large pictures")
    x = np.full((1, channels, 700, 700), 0.1, np.float32)
    dy = np.ones((1, 2, 698, 698), np.float32)
    _, dw, db = F.conv2d_backward(dy, x, np.zeros((2, channels, 3, 3), np.float32), isa=isa)
    assert np.abs(dw / (float(np.float32(0.1)) * 698**2) - 1).max() < sum_error(698**2)
    assert np.abs(db / 698**2 - 1).max() < sum_error(698**2)


def test_convolutions_over_many_channels(isa):
    x, w = np.full((1, 512, 8, 8), 0.1, np.float32), np.full((16, 512, 5, 5), 0.1, np.float32)
    exact = float(np.float32(0.1)) ** 2 * 512 * 25
    y = F.conv2d(x, w, isa=isa)
    assert np.abs(y / exact - 1).max() < sum_error(512 * 25)


def test_elu_s_gradient_far_below_0(isa, dtype):
    x = np.array([-20.0, -40.0, -80.0], dtype)
    dx = F.elu_backward(np.ones(3, dtype), x, isa=isa)
    np.testing.assert_allclose(dx, np.exp(x.astype(np.float64)), rtol=20 * np.finfo(dtype).eps)


@pytest.mark.parametrize("threshold", [-3.0, 0.0, 1.0, 14.0, 20.0])
def test_softplus_with_any_threshold(threshold, isa, dtype):
    x = np.linspace(-20, 20, 41).astype(dtype)
    exact = x.astype(np.float64)
    slope = np.where(exact > threshold, 1, 1 / (1 + np.exp(-exact)))
    y = np.where(exact > threshold, exact, np.log1p(np.exp(exact)))
    tolerance = 50 * np.finfo(dtype).eps
    np.testing.assert_allclose(F.softplus(x, 1.0, threshold, isa=isa), y, rtol=tolerance)
    np.testing.assert_allclose(F.softplus_backward(np.ones_like(x), x, 1.0, threshold, isa=isa), slope, rtol=tolerance)


# ---- Winograd's method ----

WINOGRAD = pytest.mark.parametrize("kernel", [3, 5])


def pooled(x, w, isa):
    """A convolution, padded, and a 2x2 pool: one block, which Winograd's method computes; by it, and by its parts."""
    k, c, kernel, _ = w.shape
    conv = pm.Conv2d(k, kernel, padding=kernel // 2, bias=False)
    model = pm.Sequential([conv, pm.MaxPool2d(2)], input_shape=x.shape[1:], dtype=str(x.dtype))
    conv.parameters["weight"][...] = w
    return model.predict_outputs(x, isa=isa), F.max_pool2d(F.conv2d(x, w, padding=kernel // 2, isa=isa), 2, isa=isa)


@WINOGRAD
@pytest.mark.parametrize("exponents", [(36.5, -3), (37.5, -3), (38, -4), (-3, 36.5), (-4, 38)], ids=str)
def test_winograd_overflows_where_the_sum_does(kernel, exponents, isa):
    rng = np.random.default_rng(3)
    x = (rng.uniform(-1, 1, (2, 20, 12, 10)) * 10.0 ** exponents[0]).astype(np.float32)
    w = (rng.uniform(-1, 1, (33, 20, kernel, kernel)) * 10.0 ** exponents[1]).astype(np.float32)
    got, expected = pooled(x, w, isa)
    assert np.isfinite(expected).all()
    assert np.abs(got - expected).max() <= 1e-5 * np.abs(expected).max()


@WINOGRAD
@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
def test_winograd_passes_on_what_is_not_finite_where_it_is_seen(kernel, value, isa, dtype):
    rng = np.random.default_rng(4)
    x = rng.uniform(-1, 1, (2, 16, 14, 14)).astype(dtype)
    w = rng.uniform(0.1, 1, (20, 16, kernel, kernel)).astype(dtype)
    x[0, 3, 6, 7] = value
    got, expected = pooled(x, w, isa)
    np.testing.assert_array_equal(np.isnan(got), np.isnan(expected))
    np.testing.assert_array_equal(got[~np.isfinite(expected)], expected[~np.isfinite(expected)])
    finite = np.isfinite(expected)
    assert not finite.all() and finite[1].all()
    assert np.abs(got[finite] - expected[finite]).max() <= 1e-5 * np.abs(expected[finite]).max()


@WINOGRAD
@pytest.mark.parametrize("channels", [16, 80, 256])
def test_winograd_is_about_as_accurate_as_the_definition(kernel, channels, isa):
    rng = np.random.default_rng(5)
    x = rng.standard_normal((1, channels, 8, 8)).astype(np.float32)
    w = rng.standard_normal((16, channels, kernel, kernel)).astype(np.float32)
    got, plain = pooled(x, w, isa)
    exact = F.max_pool2d(F.conv2d(x.astype(np.float64), w.astype(np.float64), padding=kernel // 2), 2)
    ours, theirs = (np.sqrt(np.mean((y - exact) ** 2)) for y in (got, plain))
    assert ours <= 2.5 * theirs
