"""MixUp and CutMix: what is drawn, and training on mixtures against the reference."""

import numpy as np
import pytest
import reference
from comparing import FMA_ISAS, TOLERANCE, agree, reference_fit

import pymnistcnn as pm
from pymnistcnn._native import Program
from pymnistcnn.mixing import beta_quantiles
from pymnistcnn.target import default_target

RNG = np.random.default_rng(0)
X = RNG.integers(0, 256, (43, 2, 6, 7), np.uint8)
LABELS = RNG.integers(0, 5, 43)
ROWS = RNG.dirichlet(np.ones(5), 43)
WEIGHTS = np.where(np.arange(43) % 7 == 0, 0, RNG.uniform(0.5, 2, 43))
BATCH, SEED = 9, 2**33 + 5  # a last batch of 7
MIXINGS = [pm.MixUp(), pm.MixUp(1.0, probability=0.6), pm.CutMix(), pm.CutMix(0.5, probability=0.7)]
EACH = pytest.mark.parametrize("mixing", MIXINGS, ids=str)


def model_of(dtype="float32", layers=()):
    layers = [pm.Rescaling(1 / 255, -0.25), *layers, pm.Flatten(), pm.Linear(5)]
    return pm.Sequential(layers, (2, 6, 7), seed=SEED, dtype=dtype)


def fit(model, data=(X, LABELS), **how):
    how = dict(epochs=2, batch_size=BATCH, optimizer=pm.SGD(0.1), progress=False) | how
    return model.fit(data, **how)


# ---- what is drawn ----


def test_quantiles_of_beta_distributions():
    u = (np.arange(20_000) + 0.5) / 20_000
    np.testing.assert_allclose(beta_quantiles(u, 1.0), u, atol=1e-12)
    np.testing.assert_allclose(beta_quantiles(u, 0.5), np.sin(np.pi * u / 2) ** 2, atol=1e-6)
    x = beta_quantiles(u, 2.0)
    np.testing.assert_allclose(3 * x**2 - 2 * x**3, u, atol=1e-6)
    for alpha in (0.01, 0.2, 0.7, 5, 100, 1000):
        x = beta_quantiles(u, alpha)
        assert (np.diff(x) >= 0).all() and x.min() >= 0 and x.max() <= 1
        assert x.mean() == pytest.approx(0.5) and x.var() == pytest.approx(1 / (4 * (2 * alpha + 1)), rel=2e-3)


def words_of(numbers, seed, epoch):
    counter = [(0, number, 2**32 - 1, epoch) for number in numbers]
    return reference.philox4x32(counter, [seed & 0xFFFFFFFF, seed >> 32]).astype(np.float64)


def drawn(mixing, numbers, epoch):
    """(partner's place among the numbers, share, part of the pictures that is their own), by the reference."""
    words = words_of(numbers, SEED, epoch)
    partner, share, own = [], [], []
    for i, (who, how_much, *centre) in enumerate(words):
        first, count = i - i % BATCH, min(BATCH, len(numbers) - (i - i % BATCH))
        partner.append(first + (i - first + 1 + int(who * (count - 1) / 2**32)) % count)
        u = (how_much + 0.5) / 2**32 / (mixing.probability or 1)
        kept = float(beta_quantiles(np.array([u]), mixing.alpha)[0]) if u < 1 else 1.0
        mask = np.full((6, 7), kept)
        if isinstance(mixing, pm.CutMix):
            mask[:] = 1
            sides = [
                slice(max(int(c * n / 2**32) - int(r * n), 0), int(c * n / 2**32) + int(r * n))
                for c, n, r in zip(centre, (6, 7), [0.5 * np.sqrt(1 - kept)] * 2, strict=True)
            ]
            mask[sides[0], sides[1]] = 0
            kept = mask.mean()
        share.append(kept)
        own.append(mask)
    return np.array(partner), np.array(share), np.array(own)[:, None]


@EACH
def test_partner_share_and_box(mixing):
    numbers = np.random.default_rng(1).permutation(43)
    mixture = mixing.draw(numbers, numbers, BATCH, SEED, 3, (2, 6, 7))
    partner, share, own = drawn(mixing, numbers, 3)
    np.testing.assert_array_equal(mixture.partner, numbers[partner])
    np.testing.assert_allclose(mixture.share, share, rtol=1e-12)
    assert (partner // BATCH == np.arange(43) // BATCH).all() and (partner != np.arange(43)).all()
    assert 0 < (share < 1).mean() <= 1
    if mixture.box is not None:
        top, bottom, left, right = mixture.box.T
        np.testing.assert_array_equal((bottom - top) * (right - left), (1 - own[:, 0]).sum(axis=(1, 2)))


def test_share_is_that_of_the_number_wherever_it_stands():
    one = pm.MixUp().draw(np.arange(43), None, BATCH, SEED, 0, (2, 6, 7))
    order = np.random.default_rng(1).permutation(43)
    other = pm.MixUp().draw(order, order, BATCH, SEED, 0, (2, 6, 7))
    np.testing.assert_array_equal(one.share[order], other.share)
    assert (pm.MixUp().draw(order, order, BATCH, SEED, 1, (2, 6, 7)).share != other.share).any()


def test_a_picture_alone_in_its_batch_is_its_own_partner():
    mixture = pm.MixUp().draw(np.arange(10), None, BATCH, SEED, 0, (4,))
    assert mixture.partner[9] == 9


# ---- training ----

CASES = {
    "labels": (LABELS, None, 0.0, None),
    "rows": (ROWS, None, 0.0, None),
    "labels, all weights": (LABELS, (1.0, 0, 2, 0.5, 1), 0.1, WEIGHTS),
    "rows, all weights": (ROWS, (1.0, 3, 2, 0.5, 1), 0.2, WEIGHTS),
}


def mixed(mixing, x, rows, weights, samples, epoch):
    """Pictures, targets and weights of some samples, in the order of the file."""
    partner, share, own = (part[samples] for part in drawn(mixing, np.arange(43), epoch))
    pictures = x[samples] * own + x[partner] * (1 - own)
    ours, theirs = share * weights[samples], (1 - share) * weights[partner]
    total = np.where(ours + theirs > 0, ours + theirs, 1)[:, None]
    return pictures, (ours[:, None] * rows[samples] + theirs[:, None] * rows[partner]) / total, ours + theirs


@EACH
@pytest.mark.parametrize("case", CASES)
def test_training_is_that_of_the_reference(mixing, case, isa, dtype, ran):
    targets, class_weight, smoothing, sample_weight = CASES[case]
    rows = np.eye(5)[LABELS] if targets is LABELS else targets
    weights, x = np.ones(43) if sample_weight is None else sample_weight, X / 255 - 0.25
    model, losses, correct = model_of(dtype), [], []

    def gradients(parameters, samples, epoch):
        pictures, wanted, counts = mixed(mixing, x, rows, weights, samples, epoch)
        flat = pictures.reshape(len(pictures), -1)
        z = reference.linear(flat, *parameters)
        terms = reference.cross_entropy(z, wanted, class_weight, smoothing)
        value, dz = reference.mean_loss(*terms, counts)
        losses.append(value * counts.sum())
        correct.append((z.argmax(axis=1) == wanted.argmax(axis=1))[counts > 0].sum())
        return reference.linear_backward(dz, flat, parameters[0])[1:]

    *_, expected = reference_fit(model.state_dict().values(), gradients, 43, 2, BATCH, pm.SGD(0.1))
    loss = pm.CrossEntropyLoss(class_weight, smoothing)
    how = dict(loss=loss, sample_weight=sample_weight, shuffle=False, isa=isa, threads=2)
    history = fit(model, (X, targets), mixing=mixing, **how)
    for actual, wanted in zip(model.state_dict().values(), expected, strict=True):
        agree(actual, wanted, TOLERANCE[dtype])
    if sample_weight is None:
        batches = len(losses) // 2
        assert history.loss == pytest.approx([sum(losses[:batches]) / 43, sum(losses[batches:]) / 43], rel=1e-5)
        assert history.accuracy == [sum(correct[:batches]) / 43, sum(correct[batches:]) / 43]
    ran("mix", (str(mixing), case))


@pytest.mark.parametrize("loss, last", [(pm.NLLLoss(), pm.LogSoftmax()), (pm.ExpectedProbabilityLoss(), pm.Softmax())])
def test_other_losses_of_labels(loss, last):
    """With a share of a label each, as with the rows that these are."""
    model = pm.Sequential([pm.Rescaling(1 / 255), pm.Flatten(), pm.Linear(5), last], (2, 6, 7), seed=SEED)
    start = model.network.param.copy()
    history = fit(model, loss=loss, mixing=pm.MixUp(1.0), shuffle=False, epochs=1, batch_size=43)
    partner = np.arange(43), np.array(pm.MixUp(1.0).draw(np.arange(43), None, 43, SEED, 0, (2, 6, 7)).partner)
    share = pm.MixUp(1.0).draw(np.arange(43), None, 43, SEED, 0, (2, 6, 7)).share
    model.network.param[...] = start
    y = model.predict_outputs((X * share[:, None, None, None] + X[partner[1]] * (1 - share[:, None, None, None]))
                              .astype(np.float32))  # fmt: skip
    own, other = (-y[np.arange(43), LABELS[which]] for which in partner)
    mean = np.mean(share * own + (1 - share) * other) / (1 if isinstance(last, pm.LogSoftmax) else 5)
    assert history.loss[0] == pytest.approx(mean, rel=1e-5)


def bits(mixing, data=(X, LABELS), layers=None, **how):
    layers = [pm.Augmentation(shift=1), pm.Conv2d(5, 3), pm.BatchNorm2d(), pm.ReLU(), pm.Dropout(0.2)]
    model = model_of(layers=layers)
    history = fit(model, data, mixing=mixing, **how)
    return model.network.param.tobytes(), history.loss, history.accuracy


class EveryBatch(pm.Callback):
    every = 1


@EACH
def test_same_seed_same_bits(mixing):
    first = bits(mixing, threads=1)
    for isa in FMA_ISAS:
        assert bits(mixing, isa=isa, threads=3) == first
    assert bits(mixing, callbacks=[EveryBatch()]) == first
    assert bits(pm.MixUp(0.3)) != first


@EACH
def test_streams_and_files_are_mixed_as_arrays_are(mixing, tmp_path):
    chunks = [(X[:10], LABELS[:10]), (X[10:], LABELS[10:])]
    assert bits(mixing, chunks) == bits(mixing, shuffle=False)
    np.save(tmp_path / "x.npy", X)
    assert bits(mixing, (np.load(tmp_path / "x.npy", mmap_mode="r"), LABELS)) == bits(mixing)


def test_without_a_share_nothing_changes():
    for mixing in (pm.MixUp(probability=0), pm.CutMix(probability=0)):
        assert bits(mixing) == bits(None)


@EACH
@pytest.mark.parametrize("targets, weights", [(LABELS, None), (ROWS, None), (LABELS, WEIGHTS)])
def test_networks_with_python_in_them(mixing, targets, weights):
    """Are mixed in NumPy: as C does, but for rounding."""

    class Same(pm.PythonLayer):
        def output_shape(self, input_shape):
            return input_shape

        def forward(self, x, training):
            return x

        def backward(self, dy):
            return dy

    models = model_of("float64"), model_of("float64", [Same()])
    models[1].network.param[...] = models[0].network.param
    how = dict(mixing=mixing, sample_weight=weights)
    expected = fit(models[0], (X, targets), **how)
    with pytest.warns(pm.SlowWarning):
        history = fit(models[1], (X, targets), **how)
    for one, other in zip(models[0].state_dict().values(), models[1].state_dict().values(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-12)
    assert history.loss == pytest.approx(expected.loss) and history.accuracy == expected.accuracy


def test_validation_is_not_mixed():
    model = model_of()
    history = fit(model, validation=(X, LABELS), mixing=pm.MixUp(1.0))
    evaluation = model.evaluate(X, LABELS)
    assert (history.validation_loss[-1], history.validation_accuracy[-1]) == (evaluation.loss, evaluation.accuracy)


@pytest.mark.parametrize("wrong, words", [
    (dict(partner=np.full(43, 43)), "partner must name 43 of 43 samples"),
    (dict(partner=np.full(43, -1)), "partner must name 43 of 43 samples"),
    (dict(partner=np.arange(9)), "partner must name 43 of 43 samples"),
    (dict(partner=np.arange(43), share=np.ones(9)), "share must be a contiguous array of 43 of float64"),
    (dict(partner=np.arange(43), share=None), "the run does not fit its plan"),
    (dict(partner=None), "the run does not fit its plan"),
    (dict(picture=(6, 8)), "the run does not fit its plan"),
    (dict(picture=(2**62, 4)), "the run does not fit its plan"),
    (dict(box=np.zeros((9, 4), np.int32)), "box must be a contiguous array of 172 of int32"),
])  # fmt: skip
def test_a_run_is_checked(wrong, words):
    model = model_of()
    given = dict(partner=np.arange(43), share=np.ones(43), box=np.zeros((43, 4), np.int32), picture=(6, 7)) | wrong
    network, loss = model.network, pm.CrossEntropyLoss()
    plan = network.plan(False, 43, default_target(), loss)
    with pytest.raises(ValueError, match=words):
        network._run(plan, Program.EVALUATE, 43, 1, x=X, labels=LABELS.astype(np.int32), loss=loss, **given)


# ---- what cannot be ----


@pytest.mark.parametrize("how, words", [
    (dict(mixing=0.2), "mixing must be pm.MixUp() or pm.CutMix(), not 0.2"),
    (dict(mixing=pm.MixUp), "mixing must be pm.MixUp() or pm.CutMix(), not <class"),
    (dict(mixing=pm.MixUp(), batch_size=1), "mixing needs batches of at least 2"),
    (dict(mixing=pm.MixUp(), loss=lambda y, t: (0.0, y)), "was given labels: give it targets (n, classes)"),
])  # fmt: skip
def test_refused_before_training(how, words):
    model = model_of()
    before = model.network.param.copy()
    with pytest.raises(ValueError) as error:
        fit(model, **how)
    assert words in str(error.value)
    np.testing.assert_array_equal(model.network.param, before)


def test_cutmix_is_for_pictures():
    model = pm.Sequential([pm.Linear(5)], (84,))
    with pytest.raises(ValueError, match=r"CutMix is for pictures .* not for samples of shape \(84,\)"):
        fit(model, (X.reshape(43, -1), LABELS), mixing=pm.CutMix())
    fit(model, (X.reshape(43, -1) / 255, LABELS), mixing=pm.MixUp())
    assert np.isfinite(model.network.param).all()


@pytest.mark.parametrize("kind", [pm.MixUp, pm.CutMix])
@pytest.mark.parametrize("arguments", [dict(alpha=0), dict(alpha=1e4), dict(alpha=None), dict(probability=1.5)])
def test_bad_settings(kind, arguments):
    with pytest.raises(ValueError, match=f"{next(iter(arguments))} of {kind.__name__} must be a number from"):
        kind(**arguments)


def test_an_old_checkpoint_goes_on_only_as_it_was(tmp_path):
    path = tmp_path / "run.checkpoint"
    fit(model_of(), mixing=pm.MixUp(), checkpoint=pm.Checkpoint(path))
    with pytest.raises(ValueError, match=r"mixing \(MixUp\(alpha=0.2, probability=1.0\) in the file"):
        fit(model_of(), mixing=pm.CutMix(), resume=path)
