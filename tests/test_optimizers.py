"""Training steps against those of the reference: all rules, clipping, averaging."""

import numpy as np
import pytest
import reference
from comparing import TOLERANCE, agree, linear_gradients, normal, reference_fit

import pymnistcnn as pm

OPTIMIZERS = [
    pm.SGD(0.1),
    pm.SGD(0.1, weight_decay=0.1),
    pm.SGD(0.1, momentum=0.9),
    pm.SGD(0.1, momentum=0.9, weight_decay=0.01),
    pm.SGD(0.1, momentum=0.8, nesterov=True),
    pm.SGD(0.05, momentum=0.9, nesterov=True, weight_decay=0.05),
    pm.Adam(0.01, eps=1e-4),
    pm.Adam(0.02, betas=(0.8, 0.95), eps=1e-4, weight_decay=0.05),
    pm.AdamW(0.01, eps=1e-4),
    pm.AdamW(0.02, betas=(0.8, 0.95), eps=1e-4, weight_decay=0.5),
    pm.RMSprop(0.01, eps=1e-3),
    pm.RMSprop(0.01, alpha=0.9, eps=1e-3, weight_decay=0.05),
    pm.RMSprop(0.01, alpha=0.9, eps=1e-3, momentum=0.8),
    pm.RMSprop(0.01, alpha=0.9, eps=1e-3, centered=True),
    pm.RMSprop(0.01, alpha=0.95, eps=1e-3, weight_decay=0.05, momentum=0.8, centered=True),
    pm.RMSprop(0.01, alpha=0.9, eps=1e-4, eps_inside_sqrt=True),
    pm.RMSprop(0.01, alpha=0.95, eps=1e-4, momentum=0.8, centered=True, eps_inside_sqrt=True),
    pm.Adagrad(0.05, eps=1e-3),
    pm.Adagrad(0.05, lr_decay=0.1, weight_decay=0.05, initial_accumulator_value=0.1, eps=1e-3),
]
# Of a gradient that cancels to about eps, Adam's step is as wrong as the gradient is, relatively: with so small
# an eps only few weights can be compared. So it is with all that divide by a root.
TRAININGS = [(optimizer, *sizes) for optimizer in OPTIMIZERS for sizes in ((5, 3), (129, 130))] + [
    (optimizer, 5, 3) for optimizer in (pm.Adam(0.01), pm.AdamW(0.01), pm.RMSprop(0.01), pm.Adagrad(0.05))
]


def case(features, classes, dtype):
    rng = np.random.default_rng(0)
    x, labels = normal(rng, (22, features), dtype), rng.integers(0, classes, 22)
    return pm.Sequential([pm.Linear(classes)], (features,), dtype=dtype), x, labels


def same_weights(model, expected, dtype):
    for actual, wanted in zip(model.state_dict().values(), expected, strict=True):
        agree(actual, wanted, TOLERANCE[dtype])


@pytest.mark.parametrize("optimizer, features, classes", TRAININGS, ids=str)
def test_optimizer(optimizer, features, classes, isa, dtype, ran):
    model, x, labels = case(features, classes, dtype)
    gradients = linear_gradients(x, labels)
    # 12 steps, every third a partial batch
    expected = list(reference_fit(model.state_dict().values(), gradients, 22, 4, 8, optimizer))
    for weights in expected:  # the optimizer's state lasts from one `fit` to the next
        model.fit(
            (x, labels), epochs=1, batch_size=8, optimizer=optimizer, shuffle=False, progress=False, isa=isa, threads=1
        )
        same_weights(model, weights, dtype)
    ran(type(optimizer).__name__.lower(), (str(optimizer), features, classes))
    ran("reduce", (features, classes))


@pytest.mark.parametrize("max_norm", [0.05, 1.0, 1e6])
@pytest.mark.parametrize("features, classes", [(5, 3), (129, 130)])
@pytest.mark.parametrize("optimizer", [OPTIMIZERS[5], OPTIMIZERS[7], OPTIMIZERS[11]], ids=str)
def test_clipping_by_the_norm_of_all_gradients(optimizer, features, classes, max_norm, isa, dtype, ran):
    model, x, labels = case(features, classes, dtype)
    start, gradients = list(model.state_dict().values()), linear_gradients(x, labels)
    norm = np.sqrt(sum((g**2).sum() for g in gradients(start, slice(0, 8), 0)))
    assert 0.05 < norm < 1e6
    *_, expected = reference_fit(start, gradients, 22, 3, 8, optimizer, clip_norm=max_norm)
    how = dict(shuffle=False, progress=False, isa=isa, threads=1)
    model.fit((x, labels), epochs=3, batch_size=8, optimizer=optimizer, clip_norm=max_norm, **how)
    same_weights(model, expected, dtype)
    ran("clip", (str(optimizer), features, classes, max_norm))


def test_a_norm_that_is_small_enough_changes_no_bit(dtype):
    model, x, labels = case(129, 130, dtype)
    clipped, *_ = case(129, 130, dtype)
    for m, clip_norm in ((model, None), (clipped, 1e6)):
        m.fit(
            (x, labels),
            epochs=3,
            batch_size=8,
            optimizer=pm.SGD(0.1, momentum=0.9),
            progress=False,
            clip_norm=clip_norm,
        )
    assert model.network.param.tobytes() == clipped.network.param.tobytes()


@pytest.mark.parametrize("average", [0.0, 0.5, 0.99])
@pytest.mark.parametrize("features, classes", [(5, 3), (129, 130)])
@pytest.mark.parametrize("optimizer", [OPTIMIZERS[3], OPTIMIZERS[6]], ids=str)
def test_average_of_the_weights(optimizer, features, classes, average, isa, dtype, ran):
    """It is what validation sees and what stays; the next `fit` starts from it."""
    model, x, labels = case(features, classes, dtype)
    start, gradients = model.state_dict().values(), linear_gradients(x, labels)
    expected = list(reference_fit(start, gradients, 22, 3, 8, optimizer, average=average))
    data = x, labels
    history = model.fit(
        data,
        epochs=3,
        batch_size=8,
        optimizer=optimizer,
        validation=data,
        shuffle=False,
        progress=False,
        average=average,
        isa=isa,
        threads=1,
    )
    same_weights(model, expected[-1], dtype)
    for loss, weights in zip(history.validation_loss, expected, strict=True):
        wanted, _ = reference.mean_loss(*reference.cross_entropy(reference.linear(x, *weights), labels))
        assert loss == pytest.approx(wanted, rel=10 * TOLERANCE[dtype])
    assert history.validation_loss[-1] == model.evaluate(data, isa=isa, threads=1).loss
    ran("average", (str(optimizer), features, classes, average))


def test_a_second_fit_starts_from_the_average(isa, dtype):
    model, x, labels = case(5, 3, dtype)
    how = dict(shuffle=False, progress=False, isa=isa, threads=1)
    weights = list(model.state_dict().values())
    for _ in range(2):
        optimizer = pm.SGD(0.1)  # without a state that would last
        *_, weights = reference_fit(weights, linear_gradients(x, labels), 22, 2, 8, optimizer, average=0.9)
        model.fit((x, labels), epochs=2, batch_size=8, optimizer=optimizer, average=0.9, **how)
        same_weights(model, weights, dtype)


def test_clipping_and_averaging_together(isa, dtype):
    model, x, labels = case(129, 17, dtype)
    start, gradients = model.state_dict().values(), linear_gradients(x, labels)
    optimizer = pm.AdamW(0.01, eps=1e-4)
    *_, expected = reference_fit(start, gradients, 22, 3, 8, optimizer, clip_norm=0.1, average=0.8)
    how = dict(shuffle=False, progress=False, isa=isa, threads=1)
    model.fit((x, labels), epochs=3, batch_size=8, optimizer=optimizer, clip_norm=0.1, average=0.8, **how)
    same_weights(model, expected, dtype)
