"""Random numbers, dropout, noise, and what augments pictures."""

import math

import cases
import numpy as np
import pytest
import reference
from comparing import TOLERANCE, agree, dropout_mask, grid, normal, reference_fit

import pymnistcnn as pm
from pymnistcnn import _native
from pymnistcnn.checks import range_of
from pymnistcnn.target import ISAS, default_target

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


@pytest.mark.parametrize("shape", [*cases.ELEMENTS, (2, 1000), (2, 3, 2, 201)])
@pytest.mark.parametrize("p, seed", [(0.5, 0), (0.1, 2**64 - 2), (0.999, 2**32)])
def test_dropout(shape, p, seed, isa, dtype, ran):
    rng = np.random.default_rng(0)
    layer = pm.Dropout(p).build(shape[1:], dtype, seed)
    scale = np.dtype(dtype).type(1 / (1 - p))
    for call in (1, 2):
        x, dy = normal(rng, shape, dtype), normal(rng, shape, dtype)
        mask = dropout_mask(shape, p, seed, layer=0, epoch=call)
        np.testing.assert_array_equal(layer.forward(x, isa=isa), np.where(mask, x * scale, 0))
        np.testing.assert_array_equal(layer.backward(dy, isa=isa), np.where(mask, dy * scale, 0))
    np.testing.assert_array_equal(layer.forward(x, training=False, isa=isa), x)
    ran("dropout", (shape, p))


def test_dropout_in_a_model_draws_by_layer(isa, dtype):
    layers = [pm.Dropout(0.5), pm.ReLU(), pm.Dropout(0.25)]
    model = pm.Sequential(layers, (3, 4, 5), seed=7, dtype=dtype)
    x = np.ones((7, 3, 4, 5), dtype)
    kept = dropout_mask(x.shape, 0.5, 7, layer=0, epoch=1) & dropout_mask(x.shape, 0.25, 7, layer=2, epoch=1)
    expected = kept * (2 * np.dtype(dtype).type(1 / 0.75))
    np.testing.assert_array_equal(model.forward(x, isa=isa), expected)
    np.testing.assert_array_equal(model.backward(x, isa=isa), expected)


def test_dropout_in_training_draws_by_epoch_and_position(isa, dtype):
    rng = np.random.default_rng(0)
    x, labels = normal(rng, (22, 50), dtype), rng.integers(0, 10, 22)
    model = pm.Sequential([pm.Dropout(0.5), pm.Linear(10)], (50,), seed=3, dtype=dtype)
    optimizer = pm.SGD(0.1)

    def gradients(weights, samples, epoch):
        kept = dropout_mask(x[samples].shape, 0.5, 3, 0, epoch, samples.start)
        z = reference.linear(2 * x[samples] * kept, *weights)
        _, dz = reference.mean_loss(*reference.cross_entropy(z, labels[samples]))
        return reference.linear_backward(dz, 2 * x[samples] * kept, weights[0])[1:]

    *_, expected = reference_fit(model.state_dict().values(), gradients, 22, 3, 8, optimizer)
    model.fit(
        (x, labels), epochs=3, batch_size=8, optimizer=optimizer, shuffle=False, progress=False, isa=isa, threads=1
    )
    for actual, wanted in zip(model.state_dict().values(), expected, strict=True):
        agree(actual, wanted, TOLERANCE[dtype])


@pytest.mark.parametrize("convolution", [False, True])
@pytest.mark.parametrize("behind", [[], [pm.Tanh], [pm.Tanh, pm.Flatten]])
def test_dropout_of_zeros_has_a_gradient(convolution, behind, isa, dtype):
    """But behind a ReLU, whose zeros have none."""
    layers = [pm.Conv2d(3, 1, bias=False)] * convolution + [kind() for kind in behind]
    model = pm.Sequential([*layers, pm.Dropout(0.5)], (3, 4, 5), seed=7, dtype=dtype)
    if convolution:
        model.load_state_dict({"0.weight": np.eye(3).reshape(3, 3, 1, 1)})
    x = np.zeros((7, 3, 4, 5), dtype)
    y = model.forward(x, isa=isa)
    kept = dropout_mask(y.shape, 0.5, 7, layer=len(layers), epoch=1).reshape(x.shape)
    np.testing.assert_array_equal(model.backward(np.ones_like(y), isa=isa), 2 * kept)


@pytest.mark.parametrize("target", [*ISAS, "emulated"])
@pytest.mark.parametrize("border", [False, True])
def test_dropout_behind_a_relu_sees_its_mask(target, border, dtype):
    """Behind a convolution block's ReLU, a flattened one, another dropout, and a ReLU alone; behind another activation,
    which changes nothing here, the mask is drawn again. Noise, which works in place, must not overwrite it."""
    rng = np.random.default_rng(4)
    x, labels = normal(rng, (21, 2, 9, 10), dtype), rng.integers(0, 10, 21)

    def trained(*order):
        """A network whose ReLUs are two layers in this order: dropout draws by a layer's number."""
        first, second, third = ([layer() for layer in order] for _ in range(3))
        layers = [
            *(pm.Conv2d(5, 3), *first, pm.Dropout(0.5), pm.Conv2d(6, 3, padding=int(border)), pm.MaxPool2d(2)),
            *(*second, pm.Flatten(), pm.Dropout(0.4), pm.Dropout(0.1), pm.GaussianNoise(0.1)),
            *(pm.Linear(24), *third, pm.Dropout(0.5), pm.Linear(10)),
        ]
        model = pm.Sequential(layers, x.shape[1:], seed=2, dtype=dtype)
        how = dict(shuffle=False, progress=False, isa=target, threads=1)
        model.fit((x, labels), epochs=2, batch_size=8, optimizer=pm.SGD(0.1, momentum=0.9), **how)
        return [w.tobytes() for w in model.state_dict().values()]

    seen = trained(pm.ReLU, pm.ReLU)
    assert trained(lambda: pm.Dropout(0.0), pm.ReLU) == seen
    assert trained(pm.ReLU, lambda: pm.LeakyReLU(0.0)) == seen


# ---- noise ----------------------------------------------------------------------------------------------


def noise(shape, isa, dtype="float32", std=1.0, seed=5):
    """What a new layer adds, at its first forward."""
    layer = pm.GaussianNoise(std).build(shape[1:], dtype, seed)
    return layer.forward(np.zeros(shape, dtype), isa=isa, threads=1)


@pytest.mark.parametrize("std", [1.0, 0.1])
def test_noise_is_normal(std, isa, dtype, ran):
    z = np.sort(noise((500, 401), isa, dtype, std).ravel().astype(np.float64) / std)
    assert abs(z.mean()) < 4 / np.sqrt(z.size) and abs(z.std() - 1) < 4 / np.sqrt(2 * z.size)
    assert abs((z**3).mean()) < 4 * np.sqrt(15 / z.size) and abs((z**4).mean() - 3) < 4 * np.sqrt(96 / z.size)
    assert -6 < z[0] < -4 and 4 < z[-1] < 6
    # Kolmogorov and Smirnov: the largest distance from the distribution, at every 20th of the sorted numbers
    below = np.array([math.erfc(-a / math.sqrt(2)) / 2 for a in z[::20]])
    assert np.abs(below - np.arange(0, z.size, 20) / z.size).max() < 1.95 / np.sqrt(z.size)
    ran("noise", std)


def test_elements_of_noise_have_nothing_to_do_with_each_other(isa):
    z = noise((500, 401), isa).astype(np.float64)
    limit = 5 / np.sqrt(z.size)
    for lag in (1, 2, 3, 4, 8, 16):
        assert abs((z[:, lag:] * z[:, :-lag]).mean()) < limit
        assert abs((z[:, lag:] ** 2 * z[:, :-lag] ** 2).mean() - 1) < 4 * limit
        assert abs((z[lag:] * z[:-lag]).mean()) < limit


@pytest.mark.parametrize("shape", [*cases.ELEMENTS, (2, 1000), (2, 3, 2, 201)])
def test_noise_is_added_and_gradients_pass(shape, isa, dtype, ran):
    rng = np.random.default_rng(0)
    x, dy = normal(rng, shape, dtype), normal(rng, shape, dtype)
    layer = pm.GaussianNoise(0.5).build(shape[1:], dtype, 5)
    y = layer.forward(x, isa=isa)
    agree(y, x.astype(np.float64) + noise(shape, isa, dtype, 0.5), 4 * np.finfo(dtype).eps)
    np.testing.assert_array_equal(layer.backward(dy, isa=isa), dy)
    widest = pm.GaussianNoise(0.5).build(shape[1:], dtype, 5).forward(x, isa=ISAS[-1])
    if isa not in ("avx2", "avx512"):  # no fused multiply-add, or another logarithm: it may differ by a rounding
        agree(y, widest, 4 * np.finfo(dtype).eps)
    else:
        np.testing.assert_array_equal(y, widest)
    np.testing.assert_array_equal(layer.forward(x, training=False, isa=isa), x)
    x[0] = np.nan
    np.testing.assert_array_equal(np.isnan(layer.forward(x, isa=isa)), np.isnan(x))
    ran("noise", shape)


@pytest.mark.parametrize("shape", [(50,), (3, 4, 5)])
def test_noise_depends_on_seed_call_layer_and_position_only(shape, isa, dtype):
    few, many = noise((3, *shape), isa, dtype), noise((7, *shape), isa, dtype)
    np.testing.assert_array_equal(few, many[:3])
    seen = [*many, noise((1, *shape), isa, dtype, seed=6)[0]]
    layer = pm.GaussianNoise(1.0).build(shape, dtype, 5)
    zeros = np.zeros((3, *shape), dtype)
    first, second = layer.forward(zeros, isa=isa), layer.forward(zeros[:2], isa=isa)
    np.testing.assert_array_equal(first, few)
    seen += [*second]
    model = pm.Sequential([pm.GaussianNoise(1.0), pm.GaussianNoise(1.0)], shape, seed=5, dtype=dtype)
    seen += [model.forward(zeros, isa=isa)[0] - few[0]]  # what the second layer adds
    pairs = [(a, b) for i, a in enumerate(seen) for b in seen[:i]]
    assert all(np.abs(a - b).mean() > 0.5 for a, b in pairs)  # of independent numbers it is 1.13


@pytest.mark.parametrize("shape", [(3, 5), (2, 100), (2, 3, 5, 7)])
def test_noise_is_that_of_the_reference(shape, isa, dtype):
    n, *inside = shape
    channels_last = (*inside[1:], inside[0]) if len(inside) == 3 else inside
    expected = [reference.noise(np.prod(inside), i, 0, 5, 1).reshape(channels_last) for i in range(n)]
    if len(inside) == 3:
        expected = np.moveaxis(expected, -1, 1)
    agree(noise(shape, isa, dtype), np.array(expected), TOLERANCE[dtype])


# ---- augmentation ---------------------------------------------------------------------------------------

MAPS = {
    "nothing": {},
    "shift": {"shift": 3},
    "rotation": {"rotation": 180},
    "scale": {"scale": 0.5},
    "shear": {"shear": 30},
    "cutout": {"cutout": 5},
    "elastic": {"elastic": 8, "elastic_sigma": 2},
    "wide elastic": {"elastic": 30, "elastic_sigma": 6.5},
    "far away": {"shift": 500},
    "stretch": {"stretch": 0.4},
    "crop": {"crop": 25 / 28},
    "any crop": {"crop": (0.3, 1), "stretch": 0.2, "fill": 2},
    "grid": {"elastic": 5, "elastic_grid": 4},
    "fine grid": {"elastic": 3, "elastic_grid": 31},
    "one cell": {"elastic": 9, "elastic_grid": 1, "scale": 0.2},
    "all": {"shift": 2, "rotation": 15, "scale": 0.1, "shear": 10, "elastic": 5, "cutout": 3, "fill": -0.5},
}


def map_of(layer):
    """What reference.warp takes for a layer."""
    return dict(shift=layer.shift, rotation=np.radians(layer.rotation), scale=layer.scale,
                shear=np.radians(layer.shear), elastic=layer.elastic, sigma=layer.elastic_sigma,
                cutout=layer.cutout, fill=layer.fill or 0, stretch=layer.stretch, crop=range_of("crop", layer.crop),
                grid=layer.elastic_grid)  # fmt: skip


@pytest.mark.parametrize("shape", [(3, 1, 28, 28), (2, 3, 7, 19), (1, 17, 1, 1)], ids=str)
@pytest.mark.parametrize("name", MAPS)
def test_augmentation(name, shape, isa, dtype, ran):
    rng = np.random.default_rng(0)
    x = grid(rng, shape, dtype)
    layer = pm.Augmentation(**MAPS[name]).build(shape[1:], dtype, seed=2**40 + 5)
    y = layer.forward(x, isa=isa)
    expected = np.array([reference.warp(p, i, 0, 2**40 + 5, 1, **map_of(layer)) for i, p in enumerate(x)])
    # places are float32 there: a pixel's value moves with the slope of the picture
    assert np.abs(y - expected).max() <= (2e-4 if dtype == "float32" else 1e-11)
    dy = normal(rng, shape, dtype)
    dx = layer.backward(dy, isa=isa)
    if not layer.fill:  # the map is linear then, and the backward pass its transpose
        assert np.isclose((dx * x).sum(dtype=float), (dy * y).sum(dtype=float), rtol=1e-4, atol=1e-3)
    assert (dx.shape, dx.dtype) == (x.shape, x.dtype)
    np.testing.assert_array_equal(layer.forward(x, training=False, isa=isa), x)
    ran("warp_forward", (name, shape))
    ran("warp_backward", (name, shape))


def test_augmentation_changes_every_picture_another_way():
    x = np.zeros((20, 1, 28, 28), np.float32)
    x[:, :, 8:20, 8:12] = 1
    layer = pm.Augmentation(rotation=20, shift=3)
    first, second = layer.forward(x), layer.forward(x)
    seen = {p.tobytes() for p in (*first, *second)}
    assert len(seen) == 40 and np.abs(first.sum(axis=(1, 2, 3)) - 48).max() < 6  # the stroke stays as long as it was


def test_augmentation_fills_with_what_rescaling_makes_of_black():
    x = np.zeros((5, 1, 9, 9), np.uint8)
    model = pm.Sequential([pm.Rescaling(1 / 255, -0.5), pm.Augmentation(shift=20, cutout=3)], (1, 9, 9))
    np.testing.assert_allclose(model.forward(x), -0.5, rtol=1e-6)


def test_a_crop_is_what_resizing_it_gives(isa):
    """A ramp tells from where in the picture each pixel is: half-pixel centres, as in PyTorch; all is from inside."""
    places = np.mgrid[:28, :28].astype(np.float32)[None].repeat(200, axis=0)
    y = pm.Augmentation(crop=14 / 28).forward(places, isa=isa)
    inside = y[:, :, 1:-1, 1:-1]  # at the ends, half a pixel is outside of the centres
    np.testing.assert_allclose(np.diff(inside[:, 0], axis=1), 0.5, atol=1e-4)
    np.testing.assert_allclose(np.diff(inside[:, 1], axis=2), 0.5, atol=1e-4)
    first = inside[:, :, 0, 0] - 0.25  # where the crop begins: its second pixel is 1.5 / 2 pixels from there
    assert 0 <= first.min() < 0.2 and 13.8 < first.max() <= 14 and abs(first.mean() - 7) < 1


def test_settings_that_do_nothing_are_not_saved():
    """Files of what was there before stay as they were."""
    assert list(pm.Augmentation(1, crop=1, stretch=0).settings()) == [
        "shift", "rotation", "scale", "shear", "elastic", "elastic_sigma", "cutout", "fill",
    ]  # fmt: skip
    settings = pm.Augmentation(crop=(0.5, 1), stretch=0.1, elastic_grid=4).settings()
    assert (settings["crop"], settings["stretch"], settings["elastic_grid"]) == ((0.5, 1.0), 0.1, 4)


# ---- morphology and erasing -----------------------------------------------------------------------------

STROKES = [{"dilation": 1.0}, {"erosion": 1.0}, {"dilation": 3.7, "erosion": 2.5}, {}]


@pytest.mark.parametrize("shape", [(5, 1, 28, 28), (4, 3, 7, 19), (1, 17, 1, 1)], ids=str)
@pytest.mark.parametrize("most", STROKES, ids=str)
def test_morphology(most, shape, isa, dtype, ran):
    rng = np.random.default_rng(0)
    x, dy = normal(rng, shape, dtype), normal(rng, shape, dtype)
    layer = pm.Morphology(**most).build(shape[1:], dtype, seed=2**40 + 5)
    y = layer.forward(x, isa=isa)
    numbers = layer.dilation, layer.erosion
    agree(y, np.array([reference.morphology(p, i, 0, 2**40 + 5, 1, *numbers) for i, p in enumerate(x)]),
          TOLERANCE[dtype])  # fmt: skip
    dx = layer.backward(dy, isa=isa)  # the map is linear where no two pixels are as large, and this is its transpose
    assert np.isclose((dx * x).sum(dtype=float), (dy * y).sum(dtype=float), rtol=1e-4, atol=1e-3)
    agree(dx.sum(dtype=float), dy.sum(dtype=float), 1e-4)  # nothing is lost
    np.testing.assert_array_equal(layer.forward(x, training=False, isa=isa), x)
    ran("morphology_forward", (str(most), shape))
    ran("morphology_backward", (str(most), shape))


@pytest.mark.parametrize("most", STROKES[:3], ids=str)
def test_morphology_swallows_no_nan(most, isa, dtype):
    x = normal(np.random.default_rng(0), (6, 2, 9, 9), dtype)
    x[:, 0, 4, 4] = np.nan
    layer = pm.Morphology(**most).build(x.shape[1:], dtype, seed=3)
    lost = np.isnan(layer.forward(x, isa=isa))
    assert lost[:, 0, 4, 4].all() and not lost[:, 1].any()
    expected = [np.isnan(reference.morphology(p, i, 0, 3, 1, layer.dilation, layer.erosion)) for i, p in enumerate(x)]
    np.testing.assert_array_equal(lost, expected)


def test_strokes_become_thicker_and_thinner(isa):
    """A stroke of 6x14 pixels: each side moves by the amount, but for corners."""
    x = np.zeros((400, 1, 28, 28), np.float32)
    x[:, :, 7:21, 11:17] = 1
    amount = (pm.Morphology(dilation=1.5, erosion=1).forward(x, isa=isa)[:, 0, 14].sum(axis=1) - 6) / 2
    assert -1 <= amount.min() < -0.98 and 1.48 < amount.max() <= 1.5 and abs(amount.mean() - 0.25) < 0.1
    dark = 1 - x
    np.testing.assert_allclose(
        pm.functional.morphology(dark, 2, seed=4, isa=isa)[:, 0, 14, :].sum(axis=1).min(), 28 - 6, atol=0.1
    )


ERASED = {
    "defaults": {},
    "always": {"p": 1, "area": (0.05, 0.3), "fill": -0.5},
    "noise": {"p": 1, "fill": (-1, 2)},
    "half of them do not fit": {"p": 1, "area": (0.5, 1), "ratio": (0.2, 8)},
    "all": {"p": 1, "area": (1, 1), "ratio": (1, 1), "fill": 3},
    "never": {"p": 0},
}


@pytest.mark.parametrize("shape", [(20, 1, 28, 28), (9, 3, 7, 19), (1, 17, 1, 1)], ids=str)
@pytest.mark.parametrize("name", ERASED)
def test_random_erasing(name, shape, isa, dtype, ran):
    rng = np.random.default_rng(0)
    x, dy = normal(rng, shape, dtype), normal(rng, shape, dtype)
    layer = pm.RandomErasing(**ERASED[name]).build(shape[1:], dtype, seed=2**40 + 5)
    y, dx = layer.forward(x, isa=isa), layer.backward(dy, isa=isa)
    sizes, fill = (layer.p, layer.area, layer.ratio), range_of("fill", layer.fill or 0.0)
    for i in range(len(x)):
        expected = reference.random_erasing(x[i], i, 0, 2**40 + 5, 1, *sizes, fill)
        agree(y[i], expected, np.finfo(dtype).eps)
        where = (slice(None), *reference.erased(x[i].shape, i, 0, 2**40 + 5, 1, *sizes))
        dy[i][where] = 0
    np.testing.assert_array_equal(dx, dy)
    np.testing.assert_array_equal(layer.forward(x, training=False, isa=isa), x)
    ran("erase", (name, shape))


def test_erased_are_as_many_and_as_large_as_asked_for():
    y = pm.functional.random_erasing(np.ones((4000, 1, 32, 32), np.float32), 0.25, seed=1) == 0
    share = y.mean(axis=(1, 2, 3))
    some = share > 0
    assert abs(some.mean() - 0.25) < 0.03 and 0.01 < share[some].min() < 0.03 and 0.32 < share[some].max() < 0.36
    tall = y.any(axis=(1, 3)).sum(axis=1)[some] / y.any(axis=(1, 2)).sum(axis=1)[some]
    assert abs(np.log(tall).mean()) < 0.1 and tall.max() < 4 and tall.min() > 1 / 4
    places = y[some].mean(axis=(0, 1))
    np.testing.assert_allclose(places, places[::-1, ::-1], atol=0.06)  # as often on either side


def test_erased_are_filled_with_what_rescaling_makes_of_black():
    model = pm.Sequential([pm.Rescaling(1 / 255, -0.5), pm.RandomErasing(1)], (1, 9, 9))
    x = np.full((50, 1, 9, 9), 255, np.uint8)
    assert set(np.unique(model.forward(x).round(6)).tolist()) == {-0.5, 0.5}


@pytest.mark.parametrize(
    "layer",
    [
        pm.GaussianNoise(1.0),
        pm.Augmentation(shift=4, elastic=3),
        pm.Augmentation(stretch=0.3, crop=(0.5, 1), elastic=3, elastic_grid=3),
        pm.Morphology(2, 2),
        pm.RandomErasing(0.7, fill=(0, 1)),
    ],
    ids=str,
)
def test_what_happens_to_a_picture_depends_on_its_index_only(layer):
    x = np.random.default_rng(0).random((9, 1, 8, 8), np.float32)
    net = layer.build((1, 8, 8))._network

    def run(index):
        y = np.empty((len(index), 1, 8, 8), np.float32)
        plan = net.plan(True, len(index), default_target())
        net._run(plan, _native.Program.FORWARD, len(index), None, x=x, y=y, index=np.array(index), epoch=3)
        return y

    whole, order = run(range(9)), [7, 0, 8, 8, 3]
    np.testing.assert_array_equal(run(order), whole[order])
    np.testing.assert_array_equal(run([5]), whole[[5]])
