"""Factors of bfloat16 on the processor: every kernel of products, on every instruction set that there is, against
float64 products of rounded factors. Names and errors are in test_precision.py, too."""

import pickle
from concurrent.futures import ThreadPoolExecutor

import cases
import numpy as np
import pytest
import reference
from comparing import TOLERANCE, agree, normal, padding_is_zero
from test_kernels import block, run_linear, with_margins
from test_precision import rounded
from test_promises import NETWORKS, made, samples, trained

import pymnistcnn as pm
from pymnistcnn._native import TARGETS, target_problem
from pymnistcnn.plan import small_linear
from pymnistcnn.target import ISAS_OF_BF16, arithmetic_of, default_target, target_of

ALL = [str(t) for t in TARGETS if t.device == "cpu" and t.precision == "bf16"]
CHOICES = [case for case in cases.BLOCKS if case[1] in (None, "relu")]


@pytest.fixture(params=ALL)
def isa(request):
    problem = target_problem(TARGETS[[str(t) for t in TARGETS].index(request.param)])
    if problem is not None:
        pytest.skip(f"{request.param}: {problem}")
    return request.param


def bf16(x):
    return rounded(x, "bf16")


def compare_block(conv, activation, pool, isa, change=lambda x: x):
    rng = np.random.default_rng(0)
    x = change(normal(rng, (conv.n, conv.c, conv.h, conv.w), "float32"))
    w = normal(rng, (conv.k, conv.c // conv.groups, *conv.kernel), "float32")
    b = normal(rng, conv.k, "float32")
    y = reference.conv_block(bf16(x), bf16(w), b, *conv.geometry, activation, pool)
    dy = normal(rng, y.shape, "float32")
    dx, dw, db = reference.conv_block_backward(bf16(dy), bf16(x), bf16(w), b, *conv.geometry, activation, pool)
    model = block(conv, activation, pool, "float32", w, b)
    agree(model.forward(x, isa=isa, threads=1), y, TOLERANCE["float32"])
    agree(model.backward(dy, isa=isa, threads=1), dx, TOLERANCE["float32"])
    agree(model.layers[0].gradients["weight"], dw, TOLERANCE["float32"])
    agree(model.layers[0].gradients["bias"], db, TOLERANCE["float32"])
    agree(model.forward(x, training=False, isa=isa, threads=2), y, TOLERANCE["float32"])
    assert padding_is_zero(model.network)


@pytest.mark.parametrize("conv, activation, pool", CHOICES, ids=str)
def test_conv_block(conv, activation, pool, isa):
    compare_block(conv, activation, pool, isa)


@pytest.mark.parametrize("conv, activation, pool", [case for case in CHOICES if case[0].c == 1], ids=str)
def test_margins_of_zeros(conv, activation, pool, isa):
    compare_block(conv, activation, pool, isa, with_margins)


@pytest.mark.parametrize("name", ["plain", "7x7", "one channel 5x5", "2 groups", "all at once", "depthwise 17"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_finite_stays_where_it_is(name, value, isa):
    """Half a word may be the next pixel's."""
    conv = next(c for c in cases.CONVS + cases.DEPTHWISE_CONVS if c.name == name)
    rng = np.random.default_rng(0)
    x = normal(rng, (conv.n, conv.c, conv.h, conv.w), "float32")
    w, b = normal(rng, (conv.k, conv.c // conv.groups, *conv.kernel), "float32"), normal(rng, conv.k, "float32")
    x[0, 0, 3, 4] = value
    y = block(conv, None, (1, 1), "float32", w, b).forward(x, isa=isa)
    expected = reference.conv_block(x, w, b, *conv.geometry, None, (1, 1))
    assert 0 < np.isfinite(expected).sum() < expected.size
    np.testing.assert_array_equal(np.isfinite(y), np.isfinite(expected))


LONG_SUMS = [(1, 4099, 17), (33, 5001, 20), (4097, 65, 100)]


@pytest.mark.parametrize("n, features, out", [c for c in cases.LINEARS if not small_linear(*c[1:])] + LONG_SUMS)
def test_large_linear(n, features, out, isa):
    rng = np.random.default_rng(0)
    x, w, b, dy = (normal(rng, shape, "float32") for shape in ((n, features), (out, features), out, (n, out)))
    expected = reference.linear(bf16(x), bf16(w), b), *reference.linear_backward(bf16(dy), bf16(x), bf16(w))
    for first in (True, False):
        for actual, wanted in zip(run_linear((x, w, b, dy), isa, "float32", first), expected, strict=True):
            agree(actual, wanted, TOLERANCE["float32"])


@pytest.mark.parametrize(
    "conv",
    [
        cases.Conv("of 5x5x500", 2, 500, 5, 6, 7, (5, 5)),
        cases.Conv("dilation", 2, 301, 9, 9, 7, (4, 4), dilation=(2, 2)),
    ],
    ids=str,
)
def test_long_sums_of_a_convolution(conv, isa):
    compare_block(conv, None, (1, 1), isa)


@pytest.mark.parametrize("share", [0, 0.02, 0.2, 0.8])
@pytest.mark.parametrize("n, features, out", cases.SPARSE_LINEARS)
def test_linear_on_mostly_zeros_gives_the_same_bits(n, features, out, share, isa):
    rng = np.random.default_rng(0)
    x, w, b, dy = (normal(rng, shape, "float32") for shape in ((n, features), (out, features), out, (n, out)))
    x[np.random.default_rng(1).random(x.shape) >= share] = 0
    x[::3], x[:, ::3] = 0, 0
    dense = run_linear((x, w, b, dy), isa, "float32", first=False)
    for actual, plain in zip(run_linear((x, w, b, dy), isa, "float32"), dense, strict=True):
        np.testing.assert_array_equal(actual, plain)


def test_small_linear_layers_are_computed_in_full(isa):
    rng = np.random.default_rng(0)
    data = [normal(rng, shape, "float32") for shape in ((7, 20), (10, 20), 10, (7, 10))]
    full = isa.removesuffix("-bf16").removesuffix("_bf16").replace("amx", "avx512")
    for actual, wanted in zip(run_linear(data, isa, "float32"), run_linear(data, full, "float32"), strict=True):
        np.testing.assert_array_equal(actual, wanted)


# ---- promises ----


def test_the_same_bits_on_any_number_of_threads(isa):
    one, other = trained(isa=isa, threads=1), trained(isa=isa, threads=3)
    for name, values in one.state_dict().items():
        assert values.tobytes() == other.state_dict()[name].tobytes()


def large_layers():
    return [pm.Rescaling(1 / 255), pm.Flatten(), pm.Linear(131), pm.ReLU(), pm.Linear(70), pm.Linear(10)]


@pytest.mark.parametrize("clip_norm", [None, 0.01], ids=["by the updates", "after them"])
@pytest.mark.parametrize("shape", [(1, 13, 13), (2, 40, 30)], ids=str)
def test_each_step_sees_the_words_of_new_weights(shape, clip_norm, isa, monkeypatch):
    """A run begins with all words made anew: so does every step where it is a run of its own."""
    monkeypatch.setitem(NETWORKS, "large", (large_layers, shape))
    expected = trained("large", isa=isa, clip_norm=clip_norm, every=1).state_dict()
    for name, values in trained("large", isa=isa, clip_norm=clip_norm).state_dict().items():
        assert values.tobytes() == expected[name].tobytes()


def test_one_picture_and_many_give_the_same_bits(isa):
    model, (x, _) = made(), samples((1, 14, 14))
    predictor = model.predictor(isa=isa)
    whole = model.predict_outputs(x, isa=isa)
    np.testing.assert_array_equal(predictor(x), whole)
    np.testing.assert_array_equal(np.concatenate([predictor(x[i : i + 1]) for i in range(len(x))]), whole)


def test_a_predictor_with_batch_norm_folds_it_before_rounding(isa):
    rng = np.random.default_rng(0)
    model = pm.Sequential([pm.Conv2d(20, 3, bias=False), pm.BatchNorm2d(), pm.ReLU(), pm.MaxPool2d(2)], (17, 8, 8))
    state = model.state_dict()
    state |= {"0.weight": normal(rng, (20, 17, 3, 3), "float32"), "1.running_var": np.full(20, 0.3, np.float32)}
    model.load_state_dict(state)
    x = normal(rng, (3, 17, 8, 8), "float32")
    scale = 1 / np.sqrt(np.float32(0.3) + 1e-5)
    w = bf16((state["0.weight"] * np.float32(scale)).astype(np.float32))
    expected = reference.conv_block(bf16(x), w, np.zeros(20), (1, 1), (0,) * 4, (1, 1), 1, "relu", (2, 2))
    agree(model.predict_outputs(x, isa=isa), expected, TOLERANCE["float32"] + 2**-9 * 2**-4)


# ---- names ----


def test_the_fastest_is_chosen():
    assert str(target_of(precision="bf16")) == f"{ISAS_OF_BF16[-1]}-bf16" == str(default_target("bf16"))
    assert (
        target_of("portable", "cpu", "bf16") == target_of("portable-bf16") == target_of("portable-bf16", None, "bf16")
    )
    with pytest.raises(ValueError, match=f"isa must be one of {', '.join(ISAS_OF_BF16)} on this machine, not 'mmx'"):
        target_of("mmx", precision="bf16")
    with pytest.raises(ValueError, match="isa must be one of portable"):
        target_of("avx512_bf16")
    with pytest.raises(ValueError, match="isa 'portable-bf16' computes in bf16, not in precision 'full'"):
        target_of("portable-bf16", precision="full")


def test_a_training_goes_on_in_the_same_precision_only(tmp_path):
    kinds = [arithmetic_of(target_of(name)) for name in ("portable", "portable-bf16")]
    assert len(set(kinds)) == 2
    (x, labels), path = samples((1, 14, 14)), tmp_path / "checkpoint"
    how = dict(epochs=2, batch_size=8, progress=False)
    made().fit(x, labels, checkpoint=pm.Checkpoint(path), precision="bf16", **how)
    with pytest.raises(ValueError, match="arithmetic"):
        made().fit(x, labels, resume=path, **how)
    made().fit(x, labels, resume=path, precision="bf16", **how)


@pytest.mark.parametrize("name", ["complete", "normed", "residual", "winograd"])
def test_a_predictor(name, isa):
    """It has the bits of its model, whatever was in memory, from several threads, and as a copy."""
    model = made(name)
    x, y = samples(model.input_shape)
    model.fit(x, y, epochs=1, batch_size=25, progress=False, isa=isa)
    expected = model.predict_outputs(x, isa=isa)
    for batch, threads in ((None, 1), (7, 2)):
        predictor = model.predictor(batch=batch, threads=threads, isa=isa)
        predictor._first.poison(0xFF)
        copied = pickle.loads(pickle.dumps(predictor))
        with ThreadPoolExecutor(3) as clients:
            for answer in clients.map(lambda one: one(x), [predictor, predictor, copied, predictor, copied]):
                assert answer.tobytes() == expected.tobytes()
        assert predictor(x[2:3]).tobytes() == expected[2:3].tobytes()


@pytest.mark.parametrize("byte", [0x00, 0xFF])
def test_poison_between_the_steps_of_a_training(byte, isa):
    class Poison(pm.Callback):
        every = 1

        def on_batches(self, training):
            training.network._plans[False, target_of(isa)].plan.poison(byte)

    def weights(callbacks):
        model = made("complete")
        model.fit(samples(model.input_shape), epochs=1, batch_size=25, callbacks=callbacks, progress=False, isa=isa)
        return model.network.param.tobytes()

    class Every(pm.Callback):
        every = 1

    assert weights([Poison()]) == weights([Every()])
