"""pymnistcnn.functional: against the reference, exact on whole numbers, the bits of the layers, what is refused."""

from concurrent.futures import ThreadPoolExecutor

import cases
import numpy as np
import pytest
import reference
from comparing import TOLERANCE, agree, normal, reference_step
from operations import ACTIVATION_CASES, ACTIVATIONS, LOSS_CASES, SOFTMAXES, loss_options

import pymnistcnn as pm
from pymnistcnn import functional as F
from pymnistcnn.functional import single
from pymnistcnn.target import default_target

KINDS = pytest.mark.parametrize("kind", ["random", "whole numbers"])


def whole(rng, shape, dtype):
    """Small whole numbers: sums of products of a few thousand are exact in float32."""
    return rng.integers(-4, 5, shape).astype(dtype)


def drawing(kind, dtype):
    """How to draw, and how exact results are to be."""
    return (whole, 0) if kind == "whole numbers" else (normal, TOLERANCE[dtype])


@pytest.fixture
def how(isa):
    """Every instruction set, on one thread."""
    return {"isa": isa, "threads": 1}


def all_agree(actual, expected, tolerance):
    for a, b in zip(actual, expected, strict=True):
        agree(a, b, tolerance)


# ---- products ---------------------------------------------------------------------------------------------


@KINDS
@pytest.mark.parametrize("conv", cases.CONVS + cases.DEPTHWISE_CONVS, ids=str)
def test_conv2d(conv, kind, how, dtype):
    rng, (draw, tolerance) = np.random.default_rng(0), drawing(kind, dtype)
    x, b = draw(rng, (conv.n, conv.c, conv.h, conv.w), dtype), draw(rng, conv.k, dtype)
    w = draw(rng, (conv.k, conv.c // conv.groups, *conv.kernel), dtype)
    y = F.conv2d(x, w, b, *conv.geometry, **how)
    assert y.dtype == dtype
    agree(y, reference.conv2d(x, w, b, *conv.geometry), tolerance)
    agree(F.conv2d(x, w, None, *conv.geometry, **how), reference.conv2d(x, w, None, *conv.geometry), tolerance)
    dy = draw(rng, y.shape, dtype)
    gradients = F.conv2d_backward(dy, x, w, *conv.geometry, **how)
    all_agree(gradients, reference.conv2d_backward(dy, x, w, *conv.geometry), tolerance)


@KINDS
@pytest.mark.parametrize("n, features, out", [(1, 1, 1), (7, 17, 129), (33, 129, 130), (300, 16, 7)])
def test_linear_and_matmul(n, features, out, kind, how, dtype):
    rng, (draw, tolerance) = np.random.default_rng(0), drawing(kind, dtype)
    x, w, b, dy = (draw(rng, shape, dtype) for shape in ((n, features), (out, features), out, (n, out)))
    gradients = reference.linear_backward(dy, x, w)
    agree(F.linear(x, w, b, **how), reference.linear(x, w, b), tolerance)
    all_agree(F.linear_backward(dy, x, w, **how), gradients, tolerance)
    agree(F.matmul(x, w.T, **how), reference.linear(x, w), tolerance)
    da, db = F.matmul_backward(dy, x, w.T, **how)
    all_agree((da, db), (gradients[0], gradients[1].T), tolerance)
    assert db.flags.c_contiguous


# ---- pools ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pool", cases.MAX_POOLS, ids=str)
@pytest.mark.parametrize("kind", ["ties", "NaN", "-inf"])
def test_max_pool2d(pool, kind, how, dtype):
    rng, shape = np.random.default_rng(0), (pool.n, pool.c, pool.h, pool.w)
    x = whole(rng, shape, dtype)
    if kind != "ties":
        x[rng.random(shape) < (0.1 if kind == "NaN" else 0.9)] = float(kind)
    window = pool.kernel, pool.stride, pool.padding, pool.dilation, pool.ceil_mode
    y, argmax = reference.max_pool2d(x, *window)
    values, indices = F.max_pool2d(x, *window, return_indices=True, **how)
    assert indices.dtype == np.int64
    np.testing.assert_array_equal(values, y)
    np.testing.assert_array_equal(indices, argmax)
    np.testing.assert_array_equal(F.max_pool2d(x, *window, **how), y)
    dy = whole(rng, y.shape, dtype)
    dx = reference.max_pool2d_backward(dy, argmax, shape)
    np.testing.assert_array_equal(F.max_pool2d_backward(dy, x, *window, **how), dx)


def test_indices_of_windows_of_padding(how, dtype):
    """Two cells three apart, around a picture of two; and after a larger batch, whose plan is used again."""
    F.max_pool2d(np.ones((9, 3, 2, 2), dtype), 2, 1, 1, 3, return_indices=True, **how)
    y, indices = F.max_pool2d(np.ones((2, 3, 2, 2), dtype), 2, 1, 1, 3, return_indices=True, **how)
    np.testing.assert_array_equal(y, np.full((2, 3, 1, 1), -np.inf))
    np.testing.assert_array_equal(indices, np.full((2, 3, 1, 1), -1))


@KINDS
@pytest.mark.parametrize("pool", cases.AVG_POOLS, ids=str)
def test_avg_pool2d(pool, kind, how, dtype):
    rng, (draw, tolerance) = np.random.default_rng(0), drawing(kind, dtype)
    area = pool.kernel[0] * pool.kernel[1]
    if area & (area - 1) or not pool.count_include_pad or pool.ceil_mode:
        tolerance = TOLERANCE[dtype]  # sums are exact, quotients are not
    x = draw(rng, (pool.n, pool.c, pool.h, pool.w), dtype)
    window = pool.kernel, pool.stride, pool.padding, pool.ceil_mode, pool.count_include_pad
    y = F.avg_pool2d(x, *window, **how)
    agree(y, reference.avg_pool2d(x, *window), tolerance)
    dy = draw(rng, y.shape, dtype)
    dx = reference.avg_pool2d_backward(dy, x.shape, *window)
    agree(F.avg_pool2d_backward(dy, x, *window, **how), dx, tolerance)


@KINDS
@pytest.mark.parametrize("shape", [(2, 17, 8, 4), (33, 3, 1, 2)])
def test_global_avg_pool2d(shape, kind, how, dtype):
    rng, (draw, tolerance) = np.random.default_rng(0), drawing(kind, dtype)
    x, dy = draw(rng, shape, dtype), draw(rng, (*shape[:2], 1, 1), dtype)
    agree(F.global_avg_pool2d(x, **how), reference.avg_pool2d(x, shape[2:]), tolerance)
    dx = reference.avg_pool2d_backward(dy, shape, shape[2:])
    agree(F.global_avg_pool2d_backward(dy, x, **how), dx, tolerance)


# ---- batch norm -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(7, 50), (33, 17, 3, 1), (2, 50, 9, 8)])
@pytest.mark.parametrize("options", [{}, {"eps": 1e-2, "momentum": 0.7}], ids=str)
def test_batch_norm(options, shape, how, dtype):
    rng = np.random.default_rng(0)
    x, dy = 3 + 2 * normal(rng, shape, dtype), normal(rng, shape, dtype)
    w, b, mean = (normal(rng, shape[1], dtype) for _ in range(3))
    var, eps = rng.uniform(0.5, 2, shape[1]), options.get("eps", 1e-5)
    y = reference.batch_norm_inference(x, mean, var, w, b, eps)
    before = mean.copy()
    agree(F.batch_norm(x, mean, var, w, b, **options, **how), y, 2 * TOLERANCE[dtype])
    np.testing.assert_array_equal(mean, before)  # only training moves them
    moved = reference.batch_norm_running(x, mean, var, 0, options.get("momentum", 0.1))
    y = F.batch_norm(x, mean, var, w, b, training=True, **options, **how)
    agree(y, reference.batch_norm(x, w, b, eps), TOLERANCE[dtype])
    all_agree((mean, var), moved, TOLERANCE[dtype])
    gradients = F.batch_norm_backward(dy, x, w, eps, **how)
    all_agree(gradients, reference.batch_norm_backward(dy, x, w, eps), 8 * TOLERANCE[dtype])


def test_batch_norm_without_weights_and_statistics(how, dtype):
    rng = np.random.default_rng(0)
    x, dy, ones = normal(rng, (7, 10, 4, 4), dtype), normal(rng, (7, 10, 4, 4), dtype), np.ones(10)
    y = F.batch_norm(x, None, None, training=True, **how)
    agree(y, reference.batch_norm(x, ones, 0 * ones), TOLERANCE[dtype])
    dx = reference.batch_norm_backward(dy, x, ones)[0]
    agree(F.batch_norm_backward(dy, x, **how)[0], dx, TOLERANCE[dtype])
    y = F.batch_norm(x, ones, 4 * ones, ones, **how)
    agree(y, reference.batch_norm_inference(x, ones, 4 * ones, ones, 0 * ones), TOLERANCE[dtype])


# ---- activations ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(), (5,), (33, 129), (2, 3, 4), (2, 3, 5, 7), (2, 1, 2, 1, 3)], ids=str)
@pytest.mark.parametrize("operation, options", ACTIVATION_CASES, ids=str)
def test_activation(operation, options, shape, how, dtype):
    rng = np.random.default_rng(0)
    x, dy = np.array(normal(rng, (2, *shape), dtype))
    agree(operation.function(x, **options, **how), operation.reference(x, **options), TOLERANCE[dtype])
    dx = operation.reference_backward(dy, x, **options)
    agree(operation.backward(dy, x, **options, **how), dx, TOLERANCE[dtype])


@pytest.mark.parametrize("operation", SOFTMAXES.values(), ids=str)
@pytest.mark.parametrize("shape, dim", [((10,), 0), ((7, 17), 1), ((7, 17), 0), ((2, 3, 5), 1), ((2, 10, 3, 3), -3)])
def test_softmax(operation, shape, dim, how, dtype):
    rng = np.random.default_rng(0)
    x, dy = 5 * normal(rng, shape, dtype), normal(rng, shape, dtype)
    z, dz = np.moveaxis(x, dim, -1), np.moveaxis(dy, dim, -1)
    agree(operation.function(x, dim, **how), np.moveaxis(operation.reference(z), -1, dim), TOLERANCE[dtype])
    dx = np.moveaxis(operation.reference_backward(dz, z), -1, dim)
    agree(operation.backward(dy, x, dim, **how), dx, TOLERANCE[dtype])


# ---- losses -----------------------------------------------------------------------------------------------

LABELS, WEIGHT, SAMPLE_WEIGHT = np.arange(7) * 3 % 10, np.linspace(0.5, 2, 10), np.linspace(0, 2, 7)


@pytest.mark.parametrize("sample_weight", [None, SAMPLE_WEIGHT], ids=["", "sample weights"])
@pytest.mark.parametrize("loss, names, targets", LOSS_CASES, ids=str)
def test_loss(loss, names, targets, sample_weight, how, dtype):
    rng, options = np.random.default_rng(0), loss_options(names, 10)
    x = normal(rng, (7, 10), dtype)
    numbers = {"labels": LABELS, "distributions": rng.dirichlet(np.ones(10), 7), "numbers": normal(rng, (7, 10), dtype)}
    target = numbers[targets]
    value, gradient = reference.mean_loss(*loss.reference(x, target, **options), sample_weight)
    arguments = dict(options, sample_weight=sample_weight, **how)
    assert loss.function(x, target, **arguments) == pytest.approx(value, rel=TOLERANCE[dtype])
    dx = loss.backward(-3, x, target, **arguments)
    assert dx.dtype == dtype
    agree(dx, -3 * gradient, TOLERANCE[dtype])


@pytest.mark.parametrize("shape", [(5,), (3, 2, 4), (3, 1, 5, 6)], ids=str)
def test_mse_loss_of_any_shape(shape, how, dtype):
    x, target = normal(np.random.default_rng(0), (2, *shape), dtype)
    value = np.mean((x - target).astype(np.float64) ** 2)
    assert F.mse_loss(x, target, **how) == pytest.approx(value, rel=TOLERANCE[dtype])
    expected = 2 * (x.astype(np.float64) - target) / x.size
    agree(F.mse_loss_backward(1, x, target, **how), expected, TOLERANCE[dtype])


# ---- steps ------------------------------------------------------------------------------------------------

OPTIMIZERS = [
    pm.SGD(0.1, weight_decay=0.1),
    pm.SGD(0.05, momentum=0.9, nesterov=True, weight_decay=0.05),
    pm.Adam(0.02, betas=(0.8, 0.95), weight_decay=0.05),
    pm.AdamW(0.02, weight_decay=0.5),
    pm.RMSprop(0.01, alpha=0.95, weight_decay=0.05, momentum=0.8, centered=True),
    pm.RMSprop(0.01, eps=1e-4, eps_inside_sqrt=True),
    pm.Adagrad(0.05, lr_decay=0.1, weight_decay=0.05, initial_accumulator_value=0.1),
]


@pytest.mark.parametrize("shape", [(), (5,), (20, 3, 5, 5), (70, 300)], ids=str)
@pytest.mark.parametrize("clip_norm", [None, 0.5, 1e6])
@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=str)
def test_update(optimizer, clip_norm, shape, how, dtype):
    rng = np.random.default_rng(0)
    weights = expected = normal(rng, shape, dtype) if shape else np.array(0.5, dtype)
    state = wanted = None
    for t in range(1, 6):
        gradient = normal(rng, shape, dtype) if shape else np.array(t, dtype)
        before = weights.copy(), gradient.copy()
        after, state = F.update(optimizer, weights, gradient, state, clip_norm, **how)
        np.testing.assert_array_equal(weights, before[0])
        np.testing.assert_array_equal(gradient, before[1])
        (slope,) = [gradient] if clip_norm is None else reference.clipped([gradient], clip_norm)
        expected, wanted = reference_step(optimizer, expected, slope, wanted, t)
        agree(after, expected, TOLERANCE[dtype])
        assert after.dtype == dtype and state.steps == t
        weights = after


def test_a_state_can_be_used_again():
    """A step changes neither the state nor the optimizer that it is given."""
    optimizer, weights, gradient = pm.Adam(0.1), np.arange(5.0), np.array([1.0, -1, 2, 0, 3])
    weights, state = F.update(optimizer, weights, gradient)
    again = [F.update(optimizer, weights, gradient, state) for _ in range(2)]
    np.testing.assert_array_equal(again[0][0], again[1][0])
    assert state.steps == 1 and again[0][1].steps == again[1][1].steps == 2
    assert not np.array_equal(again[0][0], weights)


def test_a_step_to_infinity(how, dtype):
    with pytest.raises(FloatingPointError, match="the step made a weight NaN or infinite"):
        F.update(pm.SGD(1.0), np.ones(5, dtype), np.array([0, 0, np.inf, 0, 0], dtype), **how)


# ---- the layers' bits -------------------------------------------------------------------------------------

# function, the layer that does the same, shapes of x and of what comes after it, options
CALLS = [
    (
        "conv2d",
        pm.Conv2d(6, 3, stride=2, padding=1, groups=2),
        ((33, 4, 9, 8), (6, 2, 3, 3), (6,)),
        dict(stride=2, padding=1, groups=2),
    ),
    (
        "conv2d",
        pm.Conv2d(17, (3, 2), padding="same", groups=17),
        ((7, 17, 6, 7), (17, 1, 3, 2), (17,)),
        dict(padding="same", groups=17),
    ),
    ("linear", pm.Linear(10), ((33, 50), (10, 50), (10,)), {}),
    ("linear", pm.Linear(130), ((33, 129), (130, 129), (130,)), {}),
    ("max_pool2d", pm.MaxPool2d(3, 2, 1), ((7, 10, 9, 8),), dict(kernel_size=3, stride=2, padding=1)),
    ("avg_pool2d", pm.AvgPool2d(3, 2, 1), ((7, 10, 9, 8),), dict(kernel_size=3, stride=2, padding=1)),
    ("global_avg_pool2d", pm.GlobalAvgPool2d(), ((7, 10, 9, 8),), {}),
    *((name, operation.layer(), ((33, 5, 6, 7),), {}) for name, operation in ACTIVATIONS.items()),
    *((name, operation.layer(), ((33, 17),), {}) for name, operation in SOFTMAXES.items()),
    ("dropout", pm.Dropout(0.3), ((33, 5, 6, 7),), dict(p=0.3, seed=5)),
    ("gaussian_noise", pm.GaussianNoise(0.5), ((33, 5, 6, 7),), dict(std=0.5, seed=5)),
    (
        "augment",
        pm.Augmentation(2, 20, elastic=2, cutout=3, fill=0.5),
        ((7, 2, 14, 14),),
        dict(shift=2, rotation=20, elastic=2, cutout=3, fill=0.5, seed=5),
    ),
    ("morphology", pm.Morphology(2, 1.5), ((7, 2, 14, 14),), dict(dilation=2, erosion=1.5, seed=5)),
    ("random_erasing", pm.RandomErasing(0.7, fill=2), ((7, 2, 14, 14),), dict(p=0.7, fill=2, seed=5)),
]
NAMES = [f"{name} {number}" for number, (name, *_) in enumerate(CALLS)]


def called(number, dtype, **how):
    """The bytes of what a function and its partner give."""
    name, layer, shapes, options = CALLS[number]
    rng = np.random.default_rng(0)
    arrays = [normal(rng, shape, dtype) for shape in shapes]
    y = getattr(F, name)(*arrays, **options, **how)
    gradients = getattr(F, f"{name}_backward")(np.cos(y), *arrays[:2], **options, **how)
    return [a.tobytes() for a in (y, *(gradients if isinstance(gradients, tuple) else [gradients]))]


@pytest.mark.parametrize("number", range(len(CALLS)), ids=NAMES)
def test_results_are_the_layers(number, how, dtype):
    name, layer, shapes, options = CALLS[number]
    rng = np.random.default_rng(0)
    x, *weights = (normal(rng, shape, dtype) for shape in shapes)
    layer.build(x.shape[1:], dtype, seed=5)
    for parameter, values in zip(layer.parameters.values(), weights, strict=True):
        parameter[...] = values
    y = layer.forward(x, **how)
    dx = layer.backward(np.cos(y), **how)
    expected = [a.tobytes() for a in (y, dx, *layer.gradients.values())]
    assert called(number, dtype, **how) == expected
    assert called(number, dtype, **how) == expected  # with a network that was there


def test_losses_are_the_losses(how, dtype):
    x = normal(np.random.default_rng(0), (7, 10), dtype)
    loss = pm.CrossEntropyLoss(WEIGHT, 0.1)
    value = loss.forward(x, LABELS, SAMPLE_WEIGHT, **how)
    assert F.cross_entropy(x, LABELS, WEIGHT, 0.1, SAMPLE_WEIGHT, **how) == value
    gradient = F.cross_entropy_backward(1, x, LABELS, WEIGHT, 0.1, SAMPLE_WEIGHT, **how)
    np.testing.assert_array_equal(gradient, loss.backward())


def test_updates_are_those_of_fit(how, dtype):
    rng = np.random.default_rng(0)
    x, labels, optimizer = normal(rng, (8, 30), dtype), rng.integers(0, 10, 8), pm.Adam(0.01)
    model = pm.Sequential([pm.Linear(10, bias=False)], (30,), dtype=dtype)
    weights, state = model.state_dict()["0.weight"], None
    for _ in range(3):
        dz = F.cross_entropy_backward(1, F.linear(x, weights, **how), labels, **how)
        weights, state = F.update(optimizer, weights, F.linear_backward(dz, x, weights, **how)[1], state, **how)
    model.fit((x, labels), epochs=3, batch_size=8, optimizer=pm.Adam(0.01), shuffle=False, progress=False, **how)
    np.testing.assert_array_equal(model.state_dict()["0.weight"], weights)


@pytest.mark.parametrize("number", range(len(CALLS)), ids=NAMES)
def test_the_number_of_threads_does_not_matter(number, dtype):
    assert called(number, dtype, threads=1) == called(number, dtype, threads=2) == called(number, dtype, threads=3)


def test_steps_on_any_number_of_threads(dtype):
    weights, gradient = normal(np.random.default_rng(0), (2, 300, 700), dtype)

    def stepped(threads):
        return F.update(pm.Adam(), weights, gradient, clip_norm=1.0, threads=threads)[0].tobytes()

    assert stepped(1) == stepped(2) == stepped(3)


def test_functions_in_several_python_threads_at_once():
    jobs = [(number, dtype) for dtype in ("float32", "float64") for number in range(len(CALLS))]
    alone = [called(*job, threads=1) for job in jobs]
    with ThreadPoolExecutor(4) as pool:
        together = [pool.submit(called, *job, threads=1 + i % 2) for i in range(4) for job in jobs]
        assert [future.result(60) for future in together] == 4 * alone


def test_seeds_decide_what_is_random():
    x = np.ones((3, 50), np.float32)
    for function in (lambda seed: F.dropout(x, 0.5, seed=seed), lambda seed: F.gaussian_noise(x, 1.0, seed=seed)):
        np.testing.assert_array_equal(function(1), function(1))
        assert (function(1) != function(2)).any()
    np.testing.assert_array_equal(F.dropout(x, 0.5, training=False), x)
    np.testing.assert_array_equal(F.dropout_backward(x, x, 0.5, training=False), x)


# ---- what is kept, what is taken --------------------------------------------------------------------------


def test_few_and_small_networks_are_kept():
    with ThreadPoolExecutor(1) as pool:  # a thread of its own, which has none yet

        def kept():
            return len(single.KEPT.networks)

        assert pool.submit(kept).result() == 0
        for features in range(1, 2 * single.MOST):
            pool.submit(F.relu, np.ones((1, features))).result()
        assert pool.submit(kept).result() == single.MOST
        assert pool.submit(lambda: single.KEPT.bytes).result() > 0
        pool.submit(F.linear, np.ones((1, 4000)), np.ones((4500, 4000), np.float64)).result()  # too large by itself
        assert pool.submit(kept).result() == 0 == pool.submit(lambda: single.KEPT.bytes).result()


def test_a_call_that_fails_leaves_nothing_behind(how):
    x, w = np.ones((2, 3, 6, 6), np.float32), np.ones((4, 3, 3, 3), np.float32)
    expected = F.conv2d(x, w, **how).tobytes()
    with pytest.raises(ValueError, match="dy must have the shape"):
        F.conv2d_backward(x, x, w * np.nan, **how)
    assert F.conv2d(x, w, **how).tobytes() == expected


def test_arrays_of_any_kind(how):
    """Bytes, whole numbers, lists, other orders of memory: float32, unless x is float64."""
    rng = np.random.default_rng(0)
    x, w = rng.integers(0, 256, (2, 3, 6, 6), np.uint8), whole(rng, (4, 3, 3, 3), np.float64)
    expected = reference.conv2d(x, w)
    for like in (x, x.astype(np.int64), x.tolist(), np.asfortranarray(x, np.float32), x.astype(np.float16)):
        y = F.conv2d(like, w, **how)
        assert y.dtype == np.float32
        agree(y, expected, 0)
    assert F.conv2d(x.astype(np.float64)[::-1], w.astype(np.float32), **how).dtype == np.float64


def test_peeking_is_checked():
    layer = pm.MaxPool2d(2, 1)
    layer.forward(np.ones((3, 2, 4, 4), np.float32))
    plan = layer._network.plan(True, 3, default_target())
    size = plan.workspace_bytes["batch"]
    offset = layer._network.by_hand.nodes[0].argmax.offset
    assert len(plan.peek(offset, 3 * 18 * 4)) == 3 * 18 * 4 and plan.peek(size, 0) == b""
    for bad in ((-1, 4), (0, size + 1), (size, 1), (4, -1), (2**62, 2**62), (1, 2**63 - 1)):
        with pytest.raises(ValueError, match=f"are not in the {size} of the batch"):
            plan.peek(*bad)


# ---- what is refused --------------------------------------------------------------------------------------

X, W, Z = np.ones((2, 4, 6, 6), np.float32), np.ones((6, 4, 3, 3), np.float32), np.ones((2, 3), np.float32)
MEAN, VAR, FROZEN = np.zeros(4), np.ones(4), np.zeros(4)
FROZEN.flags.writeable = False


def state_of(optimizer, weights):
    return F.update(optimizer, weights, weights)[1]


REFUSED = {
    "kernel over the padded input": (lambda: F.conv2d(X, np.ones((6, 4, 9, 9)), padding=1), "spans 9 .* fit into 8"),
    "dilated kernel": (lambda: F.conv2d(X, W, dilation=3), "spans 7 pixels does not fit into 6"),
    "groups and inputs": (lambda: F.conv2d(X, W[:, :1], groups=3), "3 does not divide 4"),
    "groups and outputs": (lambda: F.conv2d(X, W[:, :1], groups=4), "4 does not divide 6"),
    "no groups": (lambda: F.conv2d(X, W, groups=0), "groups must be a whole number from 1 on, not 0"),
    "negative padding": (lambda: F.conv2d(X, W, padding=-1), "padding must be a whole number from 0 on, not -1"),
    "negative side": (lambda: F.conv2d(X, W, padding=(0, 0, -1, 0)), "padding must be .* not -1"),
    "three paddings": (lambda: F.conv2d(X, W, padding=(1, 1, 1)), r"padding must be .* not \(1, 1, 1\)"),
    "padding by name": (lambda: F.conv2d(X, W, padding="some"), 'padding must be numbers, "same" or "valid"'),
    "same with stride": (lambda: F.conv2d(X, W, stride=2, padding="same"), '"same" needs stride 1'),
    "stride 0": (lambda: F.conv2d(X, W, stride=0), "stride must be a whole number from 1 on, not 0"),
    "half a stride": (lambda: F.conv2d(X, W, stride=0.5), "stride must be a whole number from 1 on, not 0.5"),
    "dilation 0": (lambda: F.conv2d(X, W, dilation=(1, 0)), "dilation must be a whole number from 1 on, not 0"),
    "padding of 2**31": (lambda: F.conv2d(X, W, padding=2**31), "padding must be .* not 2147483648"),
    "dilation of 2**70": (lambda: F.conv2d(X, W, dilation=2**70), "dilation must be a whole number"),
    "channels of w": (lambda: F.conv2d(X, W[:, :3]), r"w must have shape \(6, 4, 3, 3\), not \(6, 3, 3, 3\)"),
    "rank of w": (lambda: F.conv2d(X, W[0]), r"w must have shape \(k, c / groups, kh, kw\), not \(4, 3, 3\)"),
    "no filters": (lambda: F.conv2d(X, W[:0]), "out_channels must be a whole number from 1 on, not 0"),
    "b": (lambda: F.conv2d(X, W, np.ones(5)), r"b must have shape \(6,\), not \(5,\)"),
    "complex w": (lambda: F.conv2d(X, W * 1j), "w must be numbers, not complex64"),
    "large w": (lambda: F.conv2d(X, np.full(W.shape, 1e300)), "w of float64 hold values that float32 cannot"),
    "flat x": (lambda: F.conv2d(Z, W), "Conv2d needs pictures"),
    "rows": (lambda: F.conv2d(X[0, 0], W), r"Conv2d needs pictures .* not \(6,\)"),
    "no x": (lambda: F.conv2d(None, W), r"Conv2d needs pictures .* not \(\)"),
    "complex x": (lambda: F.conv2d(X * 1j, W), "must be numbers, not complex64"),
    "x of strings": (lambda: F.relu(["a"]), "must be numbers, not <U1"),
    "x of objects": (lambda: F.relu([None, 1]), "must be numbers, not object"),
    "x too precise": (lambda: F.relu([2**24 + 1]), "int64 hold values that float32 cannot"),
    "dy of conv2d": (lambda: F.conv2d_backward(X, X, W), r"dy must have .* \(2, 6, 4, 4\), not \(2, 4, 6, 6\)"),
    "dy of linear": (lambda: F.linear_backward(Z, Z, np.ones((5, 3))), r"\(2, 5\), not \(2, 3\)"),
    "dy of max_pool2d": (lambda: F.max_pool2d_backward(X, X, 2), r"\(2, 4, 3, 3\), not \(2, 4, 6, 6\)"),
    "dy of avg_pool2d": (lambda: F.avg_pool2d_backward(X, X, 2), r"\(2, 4, 3, 3\), not \(2, 4, 6, 6\)"),
    "dy of relu": (lambda: F.relu_backward(X.ravel(), X), r"\(2, 4, 6, 6\), not \(288,\)"),
    "dy of softmax": (lambda: F.softmax_backward(Z.T, Z), r"\(2, 3\), not \(3, 2\)"),
    "dy of batch_norm": (lambda: F.batch_norm_backward(X[:1], X), r"not \(1, 4, 6, 6\)"),
    "dy of dropout": (lambda: F.dropout_backward(Z, X), r"not \(2, 3\)"),
    "complex dy": (lambda: F.linear_backward(Z * 1j, Z, np.ones((3, 3))), "dy must be numbers, not complex64"),
    "dy of a loss": (lambda: F.cross_entropy_backward([1.0], Z, [0, 1]), "dy must be a finite number"),
    "pictures to linear": (lambda: F.linear(X, Z), r"w must have shape \(2, 6\), not \(2, 3\)"),
    "columns of w": (lambda: F.linear(Z, np.ones((5, 4))), r"w must have shape \(5, 3\), not \(5, 4\)"),
    "flat w": (lambda: F.linear(Z, np.ones(3)), r"w must have shape \(out, in\), not \(3,\)"),
    "matmul": (lambda: F.matmul(Z, Z), r"\(n, k\) and \(k, m\), not \(2, 3\) and \(2, 3\)"),
    "window over the input": (lambda: F.max_pool2d(X, 7), "a window of 7 pixels does not fit into 6"),
    "padding of a whole window": (lambda: F.avg_pool2d(X, 3, padding=3), "padding must be less than the window"),
    "negative padding of a pool": (lambda: F.max_pool2d(X, 3, padding=-1), "padding must be a whole number from 0"),
    "stride of a pool": (lambda: F.max_pool2d(X, 3, 0), "stride must be a whole number from 1 on, not 0"),
    "ceil_mode": (lambda: F.avg_pool2d(X, 3, ceil_mode=1), "ceil_mode must be True or False, not 1"),
    "flat pool": (lambda: F.global_avg_pool2d(Z), "GlobalAvgPool2d needs pictures"),
    "slope": (lambda: F.leaky_relu(X, -1), "negative_slope must be a number from 0 .* not -1"),
    "beta": (lambda: F.softplus(X, 0), "beta must be a number from 1e-06 .* not 0"),
    "dim": (lambda: F.softmax(Z, 2), "dim must be a whole number from -2 to 1, not 2"),
    "p": (lambda: F.dropout(Z, 1.0), r"p must be a number from 0 to 1 \(excluded\), not 1.0"),
    "p of evaluation": (lambda: F.dropout(Z, -1, training=False), "p must be a number"),
    "std": (lambda: F.gaussian_noise(Z, -0.5), "std must be a number from 0"),
    "seed": (lambda: F.gaussian_noise(Z, 1.0, seed=-1), "seed must be a whole number from 0"),
    "no seed": (lambda: F.dropout(Z, seed=None), "seed must be a whole number from 0 .* not None"),
    "rotation": (lambda: F.augment(X, rotation=181), "rotation must be a number from 0 to 180, not 181"),
    "running mean of evaluation": (lambda: F.batch_norm(X, None, VAR), "running_mean must be given outside"),
    "running mean of integers": (lambda: F.batch_norm(X, [0] * 4, VAR, training=True), "running_mean must be an array"),
    "running var of others": (lambda: F.batch_norm(X, MEAN, FROZEN, training=True), "running_var must be an array"),
    "shape of running": (lambda: F.batch_norm(X, MEAN[:3], VAR), r"running_mean must have shape \(4,\), not \(3,\)"),
    "weight": (lambda: F.batch_norm(X, MEAN, VAR, np.ones(5)), r"weight must have shape \(4,\), not \(5,\)"),
    "momentum": (lambda: F.batch_norm(X, MEAN, VAR, momentum=None), "momentum must be a number from 0 to 1, not None"),
    "eps": (lambda: F.batch_norm(X, MEAN, VAR, eps=0), "eps must be a number"),
    "label": (lambda: F.cross_entropy(Z, [0, 3]), "labels must be from 0 to 2, .* not 3"),
    "number of labels": (lambda: F.nll_loss(Z, [0]), r"labels must have shape \(2,\)"),
    "probabilities": (lambda: F.nll_loss(Z, Z), r"labels must have shape \(2,\)"),
    "class weights": (lambda: F.cross_entropy(Z, [0, 1], [1, 1]), "weight must hold 3 numbers, one a class, not 2"),
    "negative weight": (lambda: F.nll_loss(Z, [0, 1], [1, -1, 1]), "weight must be finite and not negative"),
    "sample weight": (lambda: F.mse_loss(Z, Z, [1, 1, 1]), r"sample_weight must be numbers of shape \(2,\)"),
    "smoothing": (lambda: F.cross_entropy(Z, [0, 1], None, 2), "label_smoothing must be a number from 0 to 1, not 2"),
    "logits of pictures": (lambda: F.cross_entropy(X, [0, 1]), r"labels must have shape \(72,\)"),
    "target": (lambda: F.mse_loss(Z, [0, 1]), r"target must have the shape of x, \(2, 3\), not \(2,\)"),
    "gradient": (lambda: F.update(pm.SGD(), Z, Z[0]), r"must have one shape, not \(2, 3\) and \(3,\)"),
    "no weights": (lambda: F.update(pm.SGD(), [], []), r"must have one shape, not \(0,\) and \(0,\)"),
    "optimizer": (lambda: F.update("adam", Z, Z), "optimizer must be an optimizer, such as pm.Adam"),
    "state of another optimizer": (lambda: F.update(pm.Adam(), Z, Z, state_of(pm.SGD(), Z)), "must be of Adam"),
    "state of another shape": (lambda: F.update(pm.Adam(), Z, Z, state_of(pm.Adam(), Z.T)), r"shape \(2, 3\), not"),
    "state of another dtype": (lambda: F.update(pm.Adam(), Z, Z, state_of(pm.Adam(), MEAN)), "for float32 weights"),
    "clip_norm": (lambda: F.update(pm.SGD(), Z, Z, clip_norm=-1), "clip_norm must be a number"),
    "isa": (lambda: F.relu(X, isa="mmx"), "isa must be one of portable"),
    "threads": (lambda: F.relu(X, threads=0), "threads must be a whole number from 1 to 1024, not 0"),
    "isa of an update": (lambda: F.update(pm.SGD(), Z, Z, isa="mmx"), "isa must be one of portable"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name):
    call, message = REFUSED[name]
    with pytest.raises(ValueError, match=message):
        call()


LONG = np.broadcast_to(np.float32(1), (8, 2**30))
OVERFLOWING = {
    "output": lambda: F.conv2d(X, W, padding=2**30),
    "output of large steps": lambda: F.conv2d(X, W, stride=2**28, padding=2**29),
    "padded input": lambda: F.conv2d(X, W, stride=50_000, padding=60_000),
    "dilated kernel": lambda: F.conv2d(X, W, padding=2**30, dilation=2**30),
    "backward": lambda: F.conv2d_backward(X[:, :2], X, W[:2], padding=2**30, dilation=2**30),
    "window": lambda: F.max_pool2d(X, 2**30, padding=2**29, stride=2**29),
    "mean": lambda: F.avg_pool2d(X, 2**30, padding=2**29, stride=1),
    "weights": lambda: F.linear(LONG[:1], LONG),
    "features": lambda: F.relu(LONG.reshape(1, -1)),
}


@pytest.mark.parametrize("name", OVERFLOWING)
def test_sizes_that_overflow(name):
    with pytest.raises(ValueError, match=r"too (large|big)|input_shape must be|does not fit"):
        OVERFLOWING[name]()
