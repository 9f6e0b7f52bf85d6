"""What is wrong is refused with a ValueError that says what was given and what was expected; what is right is
taken in any layout."""

import numpy as np
import pytest

import pymnistcnn as pm

X = np.random.default_rng(0).integers(0, 256, (12, 1, 8, 8), np.uint8)
LABELS = np.arange(12) % 3


def model(dtype="float32", seed=1):
    layers = [pm.Rescaling(1 / 255), pm.Conv2d(4, 3), pm.ReLU(), pm.MaxPool2d(2), pm.Flatten(), pm.Linear(3)]
    return pm.Sequential(layers, input_shape=(1, 8, 8), seed=seed, dtype=dtype)


# ---- inputs ----

BAD_INPUTS = {
    "rank 0": (np.float32(1), r"\(n, 1, 8, 8\) or \(n, 8, 8\), not \(\)"),
    "rank 1": (X.ravel(), r"\(n, 1, 8, 8\) or \(n, 8, 8\), not \(768,\)"),
    "one picture": (X[0, 0], r"must have shape \(n, 1, 8, 8\).*not \(8, 8\)"),
    "rank 5": (X[None], r"must have shape \(n, 1, 8, 8\).*not \(1, 12, 1, 8, 8\)"),
    "channels last": (X.transpose(0, 2, 3, 1), r"must have shape .*not \(12, 8, 8, 1\)"),
    "channels": (np.zeros((2, 3, 8, 8)), r"must have shape .*not \(2, 3, 8, 8\)"),
    "height": (X[:, :, :7], r"must have shape .*not \(12, 1, 7, 8\)"),
    "empty": (X[:0], r"at least one sample, not an empty batch of shape \(0, 1, 8, 8\)"),
    "no width": (X[..., :0], r"must have shape .*not \(12, 1, 8, 0\)"),
    "list": ([], r"must have shape .*not \(0,\)"),
    "None": (None, r"must have shape .*not \(\)"),
    "strings": (np.full(X.shape, "1"), r"must be numbers, not <U1"),
    "objects": (X.astype(object), r"must be numbers, not object"),
    "complex": (X.astype(np.complex64), r"must be numbers, not complex64"),
    "dates": (X.astype("datetime64[s]"), r"must be numbers, not datetime64"),
    "too large": (np.where(X > 0, 1e300, X), r"float64 hold values that float32 cannot"),
    "too precise": (X.astype(np.int64) + 2**24 + 1, r"int64 hold values that float32 cannot"),
}
ASK = {
    "predict": lambda m, x: m.predict(x),
    "predict_proba": lambda m, x: m.predict_proba(x),
    "forward": lambda m, x: m.forward(x),
    "evaluate": lambda m, x: m.evaluate((x, LABELS)),
    "score": lambda m, x: m.score(x, LABELS),
    "fit": lambda m, x: m.fit((x, LABELS), progress=False),
    "validation": lambda m, x: m.fit((X, LABELS), validation=(x, LABELS), progress=False),
}


@pytest.mark.parametrize("ask", ASK)
@pytest.mark.parametrize("bad", BAD_INPUTS)
def test_bad_inputs(bad, ask):
    x, message = BAD_INPUTS[bad]
    m = model()
    before = m.network.param.tobytes()
    with pytest.raises(ValueError, match=message):
        ASK[ask](m, x)
    assert m.network.param.tobytes() == before


# ---- labels ----

BAD_LABELS = {
    "too high": (np.where(LABELS == 2, 3, LABELS), r"must be from 0 to 2, the network's classes, not 3"),
    "negative": (LABELS - 1, r"must be from 0 to 2, .* not -1"),
    "huge": (np.full(12, 2**40), r"must be from 0 to 2, .* not 1099511627776"),
    "huge, unsigned": (np.full(12, 2**64 - 1, np.uint64), r"labels.*(18446744073709551615|cannot)"),
    "too few": (LABELS[:-1], r"shape \(12,\), one for each input, not \(11,\)"),
    "too many": (np.tile(LABELS, 2), r"shape \(12,\), .* not \(24,\)"),
    "one-hot": (np.eye(4)[LABELS], r"shape \(12,\), .* not \(12, 4\)"),
    "column": (LABELS[:, None], r"shape \(12,\), .* not \(12, 1\)"),
    "scalar": (1, r"shape \(12,\), .* not \(\)"),
    "NaN": (np.where(LABELS == 2, np.nan, LABELS), r"float64 hold values that int64 cannot"),
    "infinite": (np.full(12, np.inf), r"float64 hold values that int64 cannot"),
    "fractions": (LABELS + 0.5, r"float64 hold values that int64 cannot"),
    "strings": (np.full(12, "1"), r"must be numbers, not <U1"),
    "objects": (np.full(12, None), r"must be numbers, not object"),
    "complex": (LABELS * 1j, r"must be numbers, not complex128"),
}
ASK_LABELS = {
    "evaluate": lambda m, labels: m.evaluate((X, labels)),
    "score": lambda m, labels: m.score(X, labels),
    "fit": lambda m, labels: m.fit((X, labels), progress=False),
    "validation": lambda m, labels: m.fit((X, LABELS), validation=(X, labels), progress=False),
    "loss": lambda m, labels: pm.CrossEntropyLoss().forward(m.predict_outputs(X), labels),
}


@pytest.mark.parametrize("ask", ASK_LABELS)
@pytest.mark.parametrize("bad", BAD_LABELS)
def test_bad_labels(bad, ask):
    labels, message = BAD_LABELS[bad]
    m = model()
    before = m.network.param.tobytes()
    with pytest.raises(ValueError, match=message):
        ASK_LABELS[ask](m, labels)
    assert m.network.param.tobytes() == before


# ---- arguments ----

BAD_CONSTRUCTION = [
    *[(lambda v=v: pm.Conv2d(v, 3), "out_channels") for v in (0, -1, 1.5, 2**31, "8", None, True)],
    *[(lambda v=v: pm.Conv2d(8, v), "kernel_size") for v in (0, -3, 2.0, (3, 3, 3), (0, 3), "3", None)],
    *[(lambda v=v: pm.Conv2d(8, 3, stride=v), "stride") for v in (0, -1, 0.5, (1, 0), "1")],
    *[(lambda v=v: pm.Conv2d(8, 3, dilation=v), "dilation") for v in (0, (1, -1), 1.0)],
    *[(lambda v=v: pm.Conv2d(8, 3, padding=v), "padding") for v in (-1, (1, 2, 3), (0, 0, 0, -1), "full", 0.5)],
    (lambda: pm.Conv2d(8, 3, padding="same", stride=2), r'padding "same" needs stride 1, not \(2, 2\)'),
    *[(lambda v=v: pm.Conv2d(8, 3, groups=v), "groups") for v in (0, 3, -2, 2.0)],
    *[(lambda v=v: pm.Conv2d(8, 3, bias=v), "bias") for v in ("yes", 3, None)],
    *[(lambda v=v: pm.Conv2d(8, 3, initializer=v), "initializer") for v in ("he", 0.1, None)],
    *[(lambda v=v: pm.Linear(v), "out_features") for v in (0, -1, 1.5, 2**31, "8", None)],
    (lambda: pm.Linear(3, bias="no"), "bias"),
    (lambda: pm.Linear(3, initializer="glorot"), "initializer"),
    *[(lambda v=v: pm.MaxPool2d(v), "kernel_size") for v in (0, -1, 1.5, (2, 2, 2), None)],
    *[(lambda v=v: pm.MaxPool2d(2, stride=v), "stride") for v in (0, -1, 1.5)],
    *[(lambda v=v: pm.MaxPool2d(2, padding=v), "padding") for v in (2, -1, (0, 2), (0, 0, 2, 0), (1, 1, 1), 0.5)],
    *[(lambda v=v: pm.Softmax(v), "dim") for v in (0, 4, -4, 1.5, None)],
    *[
        (lambda v=v: pm.Dropout(v), r"p must be a number from 0 to 1")
        for v in (1, -0.1, 1.5, float("nan"), "0.5", None, True)
    ],
    *[
        (lambda v=v: pm.Rescaling(v), "scale must be a finite number")
        for v in (float("nan"), float("inf"), "1", None, True, 10**400)
    ],
    (lambda: pm.Rescaling(1, None), "offset must be a finite number"),
    (lambda: pm.Augmentation(stretch=1), "stretch must be a number from 0 to 0.99, not 1"),
    (lambda: pm.Augmentation(crop=0), "crop must be a number from 0.01 to 1, not 0"),
    (lambda: pm.Augmentation(crop=(1, 0.5)), r"crop must be \(least, most\), in this order, not \(1, 0.5\)"),
    (lambda: pm.Augmentation(crop=(1, 1, 1)), r"crop must be a number or \(least, most\), not \(1, 1, 1\)"),
    (lambda: pm.Augmentation(elastic_grid=2.5), "elastic_grid must be a whole number from 0 to 256, not 2.5"),
    (lambda: pm.Morphology(-1), "dilation must be a number from 0 to 100, not -1"),
    (lambda: pm.Morphology(0, None), "erosion must be a number from 0 to 100, not None"),
    (lambda: pm.RandomErasing(1.5), "p must be a number from 0 to 1, not 1.5"),
    (lambda: pm.RandomErasing(area=(0, 2)), "area must be a number from 0 to 1, not 2"),
    (lambda: pm.RandomErasing(ratio=(0, 1)), "ratio must be a number from 0.01 to 100, not 0"),
    (lambda: pm.RandomErasing(fill="random"), "fill must be a finite number, not 'random'"),
    *[(lambda v=v: pm.SGD(v), "lr") for v in (-1, float("nan"), float("inf"), "x", None, 10**400)],
    *[(lambda v=v: pm.SGD(0.1, momentum=v), "momentum") for v in (1, -0.5, float("nan"), "x")],
    (lambda: pm.SGD(0.1, nesterov=True), "nesterov needs momentum"),
    *[(lambda v=v: pm.SGD(0.1, weight_decay=v), "weight_decay") for v in (-1, float("nan"))],
    *[(lambda v=v: pm.Adam(v), "lr") for v in (-1, float("nan"), "x", None)],
    *[(lambda v=v: pm.Adam(betas=v), "beta") for v in (0.9, (0.9,), (0.9, 1.0), (-0.1, 0.9), (0.9, None))],
    *[(lambda v=v: pm.Adam(eps=v), "eps") for v in (0, -1e-8, float("nan"))],
    (lambda: pm.Adam(weight_decay=-1), "weight_decay"),
]


@pytest.mark.parametrize("make, message", BAD_CONSTRUCTION)
def test_bad_settings(make, message):
    with pytest.raises(ValueError, match=message):
        make()


BAD_MODELS = [
    ([], (4,), {}, "at least one layer"),
    (["Linear"], (4,), {}, "layers must be layers.*not 'Linear'"),
    ([pm.Linear], (4,), {}, "layers must be layers"),
    ([pm.Linear(3)], (1, 4, 4), {}, r"Linear needs features \(n,\), not \(1, 4, 4\): put Flatten"),
    ([pm.Conv2d(3, 3)], (16,), {}, r"Conv2d needs pictures .* not \(16,\)"),
    ([pm.MaxPool2d(2)], (16,), {}, r"MaxPool2d needs pictures .* not \(16,\)"),
    ([pm.Softmax(2)], (16,), {}, r"Softmax\(dim=2\) on \(16,\): samples have no axis 2"),
    ([pm.Conv2d(3, 5)], (1, 4, 4), {}, "a kernel that spans 5 pixels does not fit into 4"),
    ([pm.Conv2d(3, 3, dilation=2)], (1, 4, 4), {}, "spans 5 pixels does not fit into 4"),
    ([pm.Conv2d(4, 3, groups=2)], (3, 4, 4), {}, "2 does not divide 3"),
    ([pm.MaxPool2d(3)], (1, 2, 2), {}, "a window of 3 pixels does not fit into 2"),
    ([pm.Conv2d(3, 3), pm.MaxPool2d(2), pm.MaxPool2d(2)], (1, 4, 4), {}, "2 pixels does not fit into 1"),
    ([pm.ReLU(), pm.Rescaling(2.0)], (1, 2, 2), {}, "Rescaling must be the first layer"),
    *[
        ([pm.Linear(3)], shape, {}, "input_shape must be")
        for shape in (
            (),
            (4, 4),
            (0,),
            (1, 0, 4),
            (-1,),
            (1, 2, 3, 4),
            (1.5,),
            ("4",),
            "4",
            4,
            None,
            (2**31,),
            (float("nan"),),
        )
    ],
    *[
        ([pm.Linear(3)], (4,), {"dtype": dtype}, "dtype must be float32 or float64, not")
        for dtype in ("float16", "int32", "uint8", "complex64", "nonsense", object)
    ],
    *[
        ([pm.Linear(3)], (4,), {"seed": seed}, "seed must be a whole number")
        for seed in (-1, 2**64, 1.5, "0", None, True)
    ],
]


@pytest.mark.parametrize("layers, shape, settings, message", BAD_MODELS)
def test_bad_models(layers, shape, settings, message):
    with pytest.raises(ValueError, match=message):
        pm.Sequential(layers, input_shape=shape, **settings)


def test_a_layer_has_one_place():
    layer = pm.Linear(3)
    with pytest.raises(ValueError, match="is in a model already"):
        pm.Sequential([layer, layer], input_shape=(3,))
    pm.Sequential([layer], input_shape=(3,))
    with pytest.raises(ValueError, match="is in a model already"):
        pm.Sequential([layer], input_shape=(3,))
    with pytest.raises(ValueError, match="belongs to a model"):
        layer.build((4,))


BAD_FIT = [
    *[({"epochs": v}, "epochs must be a whole number from 1 on, not") for v in (0, -1, 1.5, "2", None, True)],
    *[({"batch_size": v}, "batch_size must be a whole number from 1 on, not") for v in (0, -1, 2.0, None)],
    *[({"optimizer": v}, "optimizer must be an optimizer") for v in ("adam", pm.Adam, 0.1)],
    *[({"loss": v}, "loss must be a loss") for v in ("cross-entropy", pm.CrossEntropyLoss, 1)],
    *[({"threads": v}, "threads must be a whole number from 1 to 1024, not") for v in (0, -1, 1.5, "2", 1025, True)],
    *[({"isa": v}, "isa must be one of portable.* not") for v in ("mmx", 3, "AVX2")],
    *[({"schedule": v}, "schedule") for v in (0.1, "one-cycle", pm.OneCycle)],
    *[({"callbacks": v}, "callback") for v in ([print], ["bar"], 3, pm.ProgressBar())],
    *[
        ({"validation": v}, "validation must be inputs and labels, a Dataset or")
        for v in (X, (X,), 3, "test", (X, LABELS, LABELS))
    ],
    *[({"x": v}, "train must be inputs and labels, a Dataset or a pair of both, not") for v in (X, (X,), None, {})],
]


@pytest.mark.parametrize("arguments, message", BAD_FIT)
def test_bad_arguments_of_fit(arguments, message):
    m = model()
    before = m.network.param.tobytes()
    with pytest.raises(ValueError, match=message):
        m.fit(**{"x": (X, LABELS), "progress": False, **arguments})
    assert m.network.param.tobytes() == before


def test_softmax_before_cross_entropy_is_refused_with_the_reason():
    m = pm.Sequential([pm.Flatten(), pm.Linear(3), pm.Softmax()], input_shape=(1, 8, 8))
    for ask in (lambda: m.fit((X, LABELS), progress=False), lambda: m.evaluate((X, LABELS))):
        with pytest.raises(ValueError, match="takes logits and applies softmax itself.*twice"):
            ask()
    assert m.predict_proba(X).shape == (12, 3)


def test_pictures_are_no_logits():
    m = pm.Sequential([pm.Conv2d(3, 3)], input_shape=(1, 8, 8))
    with pytest.raises(ValueError, match=r"CrossEntropyLoss needs outputs \(n, classes\), but the network gives"):
        m.fit((X, LABELS), progress=False)


def test_a_network_without_parameters_cannot_be_trained():
    with pytest.raises(ValueError, match="no parameters to train"):
        pm.Sequential([pm.Flatten()], input_shape=(1, 8, 8)).fit((X, LABELS), progress=False)


# ---- by hand ----

BY_HAND = {
    "Conv2d": lambda: pm.Conv2d(4, 3),
    "MaxPool2d": lambda: pm.MaxPool2d(2),
    "ReLU": pm.ReLU,
    "Tanh": pm.Tanh,
    "Flatten": pm.Flatten,
    "Dropout": pm.Dropout,
    "Rescaling": lambda: pm.Rescaling(0.5),
    "model": model,
}
FLOATS = (X / 255).astype(np.float32)
STATE = "backward needs the state of a forward pass: "


@pytest.mark.parametrize("kind", BY_HAND)
def test_backward_without_its_forward(kind):
    layer = BY_HAND[kind]()
    y = np.zeros_like(BY_HAND[kind]().forward(FLOATS))

    def refuses(reason):
        with pytest.raises(RuntimeError, match=STATE + reason):
            layer.backward(y)

    refuses("forward was not called")
    layer.forward(FLOATS)
    assert layer.backward(y).shape == FLOATS.shape
    refuses("a backward pass has already used it")
    layer.forward(FLOATS)
    layer.forward(FLOATS, training=False)
    refuses(r"its saved state was overwritten by forward\(training=False\)")
    layer.forward(FLOATS)
    layer.forward(FLOATS[:5])
    with pytest.raises(ValueError, match=rf"the last forward's output, \(5, .*not \({len(y)}, "):
        layer.backward(y)
    assert layer.backward(y[:5]).shape == FLOATS[:5].shape  # a wrong dy costs nothing
    layer.forward(FLOATS)
    for bad, message in [
        (y.astype(object), "numbers"),
        (y * 1j, "numbers"),
        (y[..., :-1], "shape"),
        (None, "shape"),
    ]:
        with pytest.raises(ValueError, match=message):
            layer.backward(bad)
    assert layer.backward(y).shape == FLOATS.shape


def test_a_model_and_its_layers_keep_their_own_state():
    m = model()
    y = m.forward(X)
    m.layers[1].forward(FLOATS)
    assert np.array_equal(m.backward(np.ones_like(y)), model_backward(np.ones_like(y)))


def model_backward(dy):
    m = model()
    m.forward(X)
    return m.backward(dy)


def test_a_loss_by_hand_needs_its_forward():
    loss = pm.CrossEntropyLoss()
    with pytest.raises(RuntimeError, match=STATE + "forward was not called"):
        loss.backward()
    for outputs in (
        np.zeros(3),
        np.zeros((2, 3, 1)),
        np.zeros((0, 3)),
        np.zeros((2, 0)),
        np.zeros((2, 3), object),
    ):
        with pytest.raises(ValueError):
            loss.forward(outputs, [0, 1])


@pytest.mark.parametrize("layer", [lambda: pm.Conv2d(2, 3), lambda: pm.Linear(3), pm.ReLU, pm.Flatten, pm.Softmax])
@pytest.mark.parametrize(
    "x",
    [
        np.float32(1),
        np.zeros(3),
        np.zeros((2, 3, 4), np.float32),
        np.zeros((0, 1, 8, 8), np.float32),
        [],
        None,
        np.zeros((2, 1, 8, 0)),
        np.full((2, 1, 8, 8), "x"),
        np.zeros((2, 5), complex),
        np.zeros((2, 5), object),
    ],
)
def test_layers_by_hand_refuse_what_is_no_batch(layer, x):
    with pytest.raises(ValueError, match="must|needs"):
        layer().forward(x)


def test_a_refused_input_leaves_a_layer_as_it_was():
    layer = pm.Linear(3)
    with pytest.raises(ValueError, match="must be numbers"):
        layer.forward(np.full((2, 4), "x"))
    assert layer.forward(np.zeros((2, 5), np.float32)).shape == (2, 3)


def test_a_built_layer_refuses_another_width():
    layer = pm.Linear(3)
    layer.forward(np.zeros((2, 5), np.float32))
    with pytest.raises(ValueError, match=r"built for inputs \(n, .*5.*not \(n, \(6,\)\)"):
        layer.forward(np.zeros((2, 6), np.float32))


# ---- what is accepted ----


def read_only(x):
    x = x.copy()
    x.flags.writeable = False
    return x


def strided(x):
    wide = np.zeros((*x.shape[:-1], 2 * x.shape[-1]), x.dtype)
    wide[..., ::2] = x
    return wide[..., ::2]


def unaligned(x):
    moved = np.ndarray(x.shape, x.dtype, bytearray(x.nbytes + 1), offset=1)
    moved[...] = x
    return moved


LAYOUTS = {
    "Fortran order": np.asfortranarray,
    "read-only": read_only,
    "every other": strided,
    "negative strides": lambda x: np.flip(np.flip(x).copy()),
    "transposed": lambda x: np.ascontiguousarray(x.T).T,
    "unaligned": unaligned,
    "big-endian": lambda x: x.astype(x.dtype.newbyteorder(">")),
    "lists": lambda x: x.tolist(),
}
TYPES = [
    np.int8,
    np.int16,
    np.uint16,
    np.int32,
    np.uint32,
    np.int64,
    np.uint64,
    np.float16,
    np.float32,
    np.float64,
    np.longdouble,
    ">i2",
    ">u4",
    ">i8",
    ">f4",
    ">f8",
]


def answers(x, labels, dtype="float32"):
    m = model(dtype)
    outputs = m.predict_outputs(x).tobytes()
    dx = m.backward(np.cos(m.forward(x))).tobytes()
    evaluation = m.evaluate((x, labels))
    m.fit((x, labels), epochs=2, batch_size=5, progress=False)
    return outputs, dx, evaluation, m.network.param.tobytes()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_any_layout_is_accepted(layout, dtype):
    change = LAYOUTS[layout]
    for x in (X, 99 * FLOATS.astype(dtype)):
        assert answers(change(x), change(LABELS), dtype) == answers(x, LABELS, dtype)


@pytest.mark.parametrize("kind", TYPES, ids=str)
def test_any_type_is_accepted_where_the_values_survive(kind):
    x = X // 2  # fits int8
    assert answers(x.astype(kind), LABELS.astype(kind)) == answers(x, LABELS)


@pytest.mark.filterwarnings("ignore::pymnistcnn.DataWarning")  # that 1 is not 255
def test_booleans_are_numbers():
    assert answers(X > 127, LABELS) == answers((X > 127).astype(np.uint8), LABELS)


def test_a_single_channel_may_be_left_out():
    assert answers(X[:, 0], LABELS) == answers(X, LABELS)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_any_layout_of_a_gradient_is_accepted(layout):
    layer, dy = pm.Conv2d(4, 3), np.cos(np.arange(12 * 4 * 6 * 6)).reshape(12, 4, 6, 6).astype(np.float32)
    layer.forward(FLOATS)
    expected = layer.backward(dy), layer.gradients["weight"].copy()
    layer.forward(FLOATS)
    assert np.array_equal(layer.backward(LAYOUTS[layout](dy)), expected[0])
    assert np.array_equal(layer.gradients["weight"], expected[1])


@pytest.mark.parametrize("layout", LAYOUTS)
def test_any_layout_of_weights_is_accepted(layout):
    m, other = model(), model(seed=9)
    other.load_state_dict({name: LAYOUTS[layout](w) for name, w in m.state_dict().items()})
    assert other.network.param.tobytes() == m.network.param.tobytes()


def test_not_a_number_is_passed_on_not_swallowed():
    x = FLOATS.copy()
    x[3, 0, 2, 2] = np.nan
    outputs = model().predict_outputs(x)
    assert np.isnan(outputs[3]).all() and np.isfinite(np.delete(outputs, 3, axis=0)).all()


def test_images_and_labels_are_no_images():
    model = pm.Sequential([pm.Linear(2)], (3,))
    with pytest.raises(ValueError, match="inputs must be an array, or what makes one, not "):
        model.predict((np.zeros((5, 3)), np.zeros(5)))
