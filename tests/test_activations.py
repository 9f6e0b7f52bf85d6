"""Activations and softmaxes against the reference."""

import cases
import numpy as np
import pytest
import reference
from comparing import TOLERANCE, agree, normal
from operations import ACTIVATION_CASES, SOFTMAXES

import pymnistcnn as pm

EVERY_ACTIVATION = pytest.mark.parametrize("operation, options", ACTIVATION_CASES, ids=str)
EVERY_SOFTMAX = pytest.mark.parametrize("operation", SOFTMAXES.values(), ids=str)


@pytest.mark.parametrize("shape", cases.ELEMENTS)
@EVERY_ACTIVATION
def test_activation(operation, options, shape, isa, dtype, ran):
    rng = np.random.default_rng(0)
    x, dy = normal(rng, shape, dtype), normal(rng, shape, dtype)
    layer, tolerance = operation.layer(**options), 0 if options in operation.exact else TOLERANCE[dtype]
    y = operation.reference(x, **options)
    agree(layer.forward(x, isa=isa), y, tolerance)
    agree(layer.backward(dy, isa=isa), operation.reference_backward(dy, x, **options), tolerance)
    agree(layer.forward(x, training=False, isa=isa), y, tolerance)
    ran("activation_forward", (operation.name, *options.items(), shape))
    ran("activation_backward", (operation.name, *options.items(), shape))


@EVERY_ACTIVATION
def test_activation_of_special_numbers(operation, options, isa, dtype):
    tiny = 1000 * np.finfo(dtype).tiny  # test_subnormal.py has smaller ones
    x = np.array([[np.nan, np.inf, -np.inf, 0.0, -0.0, tiny, -tiny, 1e30, -1e30]], dtype)
    with np.errstate(invalid="ignore"):  # 0 times infinity has no value
        x = x[:, np.isnan(x[0]) | ~np.isnan(operation.reference(x, **options)[0])]
    y, expected = operation.layer(**options).forward(x, isa=isa), operation.reference(x, **options)
    exact = options in operation.exact or operation.name == "tanh"
    rtol, atol = (0, 0) if exact else (4 * np.finfo(dtype).eps, np.finfo(dtype).smallest_subnormal)
    np.testing.assert_allclose(y, expected.astype(dtype), rtol=rtol, atol=atol)


@EVERY_ACTIVATION
def test_activation_of_all_sizes(operation, options, isa, dtype):
    """As right as a number near 1 can be, far out too."""
    powers = np.logspace(-30, 2.5, 5_000)
    x = np.concatenate([powers, -powers, np.linspace(-60, 60, 5_001)])[None].astype(dtype)
    layer, dy, eps = operation.layer(**options), np.ones_like(x), np.finfo(dtype).eps
    np.testing.assert_allclose(layer.forward(x, isa=isa), operation.reference(x, **options), rtol=8 * eps, atol=8 * eps)
    dx = operation.reference_backward(dy, x, **options)
    # beyond its threshold, softplus is a line
    atol = 8 * eps + (np.exp(-options.get("threshold", 20.0)) if operation.name == "softplus" else 0)
    np.testing.assert_allclose(layer.backward(dy, isa=isa), dx, rtol=8 * eps, atol=atol)


def test_tanh_to_a_few_units_in_the_last_place(isa, dtype, ran):
    powers = np.logspace(-30, 1.4, 100_000)
    x = np.concatenate([powers, -powers, np.linspace(-25, 25, 100_001)])[None].astype(dtype)
    exact = np.tanh(x.astype(np.longdouble))
    units = np.abs(pm.Tanh().forward(x, isa=isa) - exact) / np.spacing(np.abs(exact).astype(dtype))
    assert units.max() <= 3
    ran("activation_forward", ("tanh", "ulps"))


def test_softplus_is_the_line_above_its_threshold(isa, dtype):
    """At beta x = 15 the curve is 3e-7 higher."""
    x = np.array([[7.0, 7.5, 7.50001, 8.0, 100.0, np.nan]], dtype)
    layer = pm.Softplus(beta=2.0, threshold=15.0)
    y = layer.forward(x, isa=isa)
    np.testing.assert_allclose(y, reference.softplus(x, 2.0, 15.0), rtol=8 * np.finfo(dtype).eps)
    np.testing.assert_array_equal(y[0, 2:], x[0, 2:])
    np.testing.assert_array_equal(layer.backward(np.ones_like(x), isa=isa)[0, 2:5], 1)
    with pytest.raises(ValueError, match="threshold must be a number from -1000000"):
        pm.Softplus(threshold=np.inf)


@pytest.mark.parametrize("n", cases.BATCHES)
@pytest.mark.parametrize("classes", cases.CLASSES)
@EVERY_SOFTMAX
def test_softmax(operation, n, classes, isa, dtype, ran):
    rng = np.random.default_rng(0)
    z, dy = 5 * normal(rng, (n, classes), dtype), normal(rng, (n, classes), dtype)
    layer = operation.layer()
    agree(layer.forward(z, isa=isa), operation.reference(z), TOLERANCE[dtype])
    if classes > 1:
        agree(layer.backward(dy, isa=isa), operation.reference_backward(dy, z), TOLERANCE[dtype])
    else:  # always 1: no gradient
        np.testing.assert_array_equal(layer.backward(dy, isa=isa), 0)
    ran(f"{operation}_forward", (n, classes))
    ran(f"{operation}_backward", (n, classes))


@pytest.mark.parametrize("dim", [1, 2, 3, -1])
@pytest.mark.parametrize("shape", [(7, 17, 5, 6), (2, 1, 40, 3), (3, 10, 1, 33), (1, 2, 19, 17)])
@EVERY_SOFTMAX
def test_softmax_along_an_axis_of_pictures(operation, shape, dim, isa, dtype, ran):
    rng = np.random.default_rng(0)
    z, dy = 5 * normal(rng, shape, dtype), normal(rng, shape, dtype)
    layer = operation.layer(dim)
    agree(layer.forward(z, isa=isa), operation.reference(z, dim), TOLERANCE[dtype])
    dx = operation.reference_backward(dy, z, dim)
    np.testing.assert_allclose(layer.backward(dy, isa=isa), dx, rtol=0, atol=8 * TOLERANCE[dtype])
    ran(f"{operation}_forward", (shape, dim))
    ran(f"{operation}_backward", (shape, dim))


@pytest.mark.parametrize("dim", [1, 2, 3])
@EVERY_SOFTMAX
def test_scores_along_an_axis_stay_apart(operation, dim, isa, dtype):
    """NaN and far larger numbers are theirs alone, whatever the padding that the next layer wants."""
    z = normal(np.random.default_rng(0), (2, 5, 6, 7), dtype)
    z[0, 1, 2, 3], z[1, 4, 5, 6] = np.nan, 1e4
    model = pm.Sequential([operation.layer(dim), pm.MaxPool2d(1), pm.Conv2d(5, 1, padding=1, bias=False)], z.shape[1:],
                          dtype=dtype)  # fmt: skip
    model.load_state_dict({"2.weight": np.eye(5)[:, :, None, None]})
    y = model.forward(z, isa=isa)[:, :, 1:-1, 1:-1]
    expected = operation.reference(z, dim)
    if operation.name == "softmax":  # of the logarithm, a product with 0 would be NaN, too
        same = ~np.isnan(expected).any(axis=1, keepdims=True)
        agree(np.where(same, y, 0), np.where(same, expected, 0), TOLERANCE[dtype])
    np.testing.assert_array_equal(np.isnan(operation.layer(dim).forward(z, isa=isa)), np.isnan(expected))


@EVERY_SOFTMAX
def test_softmax_of_far_apart_numbers(operation, isa, dtype):
    z = np.array([[1e4, -1e4, 0.0], [-1e4, -1e4, -1e4], [3e4, 3e4, 3e4 - 1]], dtype)
    layer, y = operation.layer(), operation.reference(z)
    np.testing.assert_allclose(layer.forward(z, isa=isa), y, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype])
    dy = np.eye(3, dtype=dtype)
    expected = operation.reference_backward(dy, z)
    np.testing.assert_allclose(layer.backward(dy, isa=isa), expected, rtol=0, atol=TOLERANCE[dtype])


@EVERY_SOFTMAX
@pytest.mark.parametrize("place", [0, 3, 16])
def test_softmax_gives_nan_on(operation, place, isa, dtype):
    z = normal(np.random.default_rng(0), (3, 17), dtype)
    z[1, place] = np.nan
    y = operation.layer().forward(z, isa=isa)
    assert np.isnan(y[1]).all() and np.isfinite(y[[0, 2]]).all()
