"""Residual blocks: beside the layers one by one, by finite differences, as a file, and what is refused."""

import numpy as np
import pytest
from comparing import TOLERANCE, agree, normal

import pymnistcnn as pm

BLOCKS = {
    "identity": (lambda: [pm.Conv2d(3, 3, padding=1), pm.ReLU(), pm.Conv2d(3, 5, padding=2)], (3, 7, 6), None),
    "nothing but an activation": (lambda: [pm.Tanh()], (3, 7, 6), None),
    "in place": (lambda: [pm.BatchNorm2d(), pm.ReLU(), pm.Conv2d(3, 3, padding=1), pm.SiLU()], (3, 7, 6), None),
    "projected": (lambda: [pm.Conv2d(17, 3, stride=2, padding=1), pm.GELU()], (3, 9, 8), None),
    "its own projection": (
        lambda: [pm.Conv2d(5, 3), pm.Tanh(), pm.MaxPool2d(2)],
        (5, 10, 10),
        lambda: pm.AvgPool2d(4, 2),
    ),
    "features": (lambda: [pm.Linear(17), pm.ReLU(), pm.Linear(5)], (5,), None),
    "projected features": (lambda: [pm.Linear(33)], (300,), None),
    "a block in a block": (
        lambda: [pm.Conv2d(4, 3, padding=1), pm.Residual([pm.Conv2d(4, 5, padding=2)]), pm.ReLU()],
        (2, 6, 6),
        None,
    ),
}


def block(name):
    layers, shape, projection = BLOCKS[name]
    return pm.Residual(layers(), projection and projection()), shape


def one_by_one(layer, x, dy):
    """y, dx of a block whose layers are called by hand, and the gradients of their weights by name."""
    y = x
    for part in layer.layers:
        y = part.forward(y)
    projection = layer.projection
    if projection is None and y.shape != x.shape:
        (projection,) = (part for part, _ in layer.inside(x.shape[1:])[len(layer.layers) :])
    skip = x if projection is None else projection.forward(x)
    dx = dy
    for part in reversed(layer.layers):
        dx = part.backward(dx)
    return y + skip, dx + (dy if projection is None else projection.backward(dy))


@pytest.mark.parametrize("n", [1, 7, 33])
@pytest.mark.parametrize("name", BLOCKS)
def test_a_block_is_its_layers_and_what_skips_them(name, n, isa, dtype, ran):
    layer, shape = block(name)
    model = pm.Sequential([layer], shape, seed=1, dtype=dtype)
    alone, _ = block(name)
    rng = np.random.default_rng(0)
    x = normal(rng, (n, *shape), dtype)
    dy = normal(rng, (n, *layer.output_shape(shape)), dtype)
    alone.output_shape(shape)
    leaves = zip(alone.inside(shape), layer.inside(shape), strict=True)
    for (part, part_shape), (trained, _) in leaves:  # the same weights
        part.build(part_shape, dtype)
        network = part._network
        network.param[:] = trained._network.param[: network.elements]
    y, dx = one_by_one(alone, x, dy)
    agree(model.forward(x, isa=isa), y, 5 * TOLERANCE[dtype])
    agree(model.backward(dy), dx, 5 * TOLERANCE[dtype])
    for (part, _), (trained, _) in zip(alone.inside(shape), layer.inside(shape), strict=True):
        for key, gradient in part.gradients.items():
            agree(trained.gradients[key], gradient, 5 * TOLERANCE[dtype])
    ran("add", (name, n))


@pytest.mark.parametrize("name", BLOCKS)
def test_gradients_are_slopes(name):
    layer, shape = block(name)
    model, rng = pm.Sequential([layer], shape, seed=2, dtype="float64"), np.random.default_rng(1)
    x = rng.standard_normal((5, *shape))
    dy = rng.standard_normal(model.forward(x).shape)
    model.forward(x)
    places = [(x, model.backward(dy))]
    places += [(weights, layer.gradients[key].copy()) for key, weights in layer.parameters.items()]

    def slope(array, at, step=1e-6):
        kept = array[at]
        values = []
        for array[at] in (kept + step, kept - step):
            values.append((model.forward(x) * dy).sum())
        array[at] = kept
        return (values[0] - values[1]) / (2 * step)

    for array, gradient in places:
        for at in {tuple(rng.integers(0, size) for size in array.shape) for _ in range(5)}:
            assert slope(array, at) == pytest.approx(gradient[at], rel=1e-5, abs=1e-6)


def small_resnet(seed=0):
    return pm.Sequential(
        [
            pm.Rescaling(1 / 255),
            pm.Conv2d(8, 3, padding=1, bias=False),
            pm.Residual([pm.BatchNorm2d(), pm.ReLU(), pm.Conv2d(8, 3, padding=1), pm.Dropout(0.2)]),
            pm.Residual([pm.Conv2d(16, 3, stride=2, padding=1), pm.BatchNorm2d(), pm.ReLU()]),
            pm.Flatten(),
            pm.Linear(10),
        ],
        input_shape=(1, 14, 14),
        seed=seed,
    )


def test_names_summary_and_file(tmp_path):
    model = small_resnet()
    names = [name for name in model.state_dict() if "running" not in name and "num_" not in name]
    assert names == [
        "0.weight",
        "1.layers.0.weight",
        "1.layers.0.bias",
        "1.layers.2.weight",
        "1.layers.2.bias",
        "2.layers.0.weight",
        "2.layers.0.bias",
        "2.layers.1.weight",
        "2.layers.1.bias",
        "2.projection.weight",
        "4.weight",
        "4.bias",
    ]
    assert list(model.layers[2].parameters)[-1] == "layers.2.bias"
    assert "Residual([BatchNorm2d(), ReLU()," in model.summary()
    model.save(tmp_path / "model.safetensors")
    again, x = pm.load(tmp_path / "model.safetensors"), np.random.default_rng(0).integers(0, 256, (9, 14, 14), np.uint8)
    assert repr(again) == repr(model) and (again.predict_outputs(x) == model.predict_outputs(x)).all()


def test_it_learns_resumes_and_is_told_when_it_diverges(tmp_path):
    train = pm.datasets.mnist()[0][:1500]
    data = train.images[:, ::2, ::2], train.labels
    whole, parts = small_resnet(), small_resnet()
    settings = dict(epochs=3, batch_size=50, optimizer=pm.Adam(1e-2), progress=False)
    history = whole.fit(data, **settings)
    assert history.accuracy[-1] > 0.8

    class Stop(pm.Callback):
        def on_epoch_end(self, training):
            if training.epoch == 0:
                raise KeyboardInterrupt

    checkpoint = pm.Checkpoint(tmp_path / "training")
    settings["optimizer"] = pm.Adam(1e-2)
    with pytest.raises(KeyboardInterrupt):
        parts.fit(data, **settings, checkpoint=checkpoint, callbacks=[Stop()])
    resumed = small_resnet()
    settings["optimizer"] = pm.Adam(1e-2)
    resumed.fit(data, **settings, resume=tmp_path / "training")
    for name, weights in whole.state_dict().items():
        assert weights.tobytes() == resumed.state_dict()[name].tobytes(), name
    with pytest.raises(pm.Diverged) as error:
        whole.fit(data, epochs=5, optimizer=pm.SGD(1e6), progress=False)
    assert error.value.layer in (1, 2, 3, 5)


def test_what_does_not_go_together_is_refused():
    with pytest.raises(ValueError, match="needs at least one layer"):
        pm.Residual([])
    with pytest.raises(ValueError, match="layers must be layers, such as"):
        pm.Residual([3])
    with pytest.raises(ValueError, match=r"no projection leads from \(1, 9, 9\) to \(4, 7, 7\)"):
        pm.Sequential([pm.Residual([pm.Conv2d(4, 3)])], (1, 9, 9))
    with pytest.raises(ValueError, match=r"projection of \(1, 9, 9\) gives \(3, 9, 9\), its layers \(4, 9, 9\)"):
        pm.Sequential([pm.Residual([pm.Conv2d(4, 1)], pm.Conv2d(3, 1))], (1, 9, 9))
    layer = pm.ReLU()
    with pytest.raises(ValueError, match="is in a model already"):
        pm.Sequential([pm.Residual([layer]), layer], (3,))
