"""The checks of arguments: what they take, Python's and NumPy's, and the words with which they refuse the rest."""

import math
import re
from dataclasses import dataclass

import numpy as np
import pytest

import pymnistcnn as pm
from pymnistcnn.checks import check_fields, checked_seed, instance, number, pair, shown, whole, yes_or_no

INTEGERS = [int, np.int8, np.uint8, np.int64, np.uint64]
REALS = [*INTEGERS, float, np.float16, np.float32, np.float64, np.longdouble]


@pytest.mark.parametrize("kind", INTEGERS)
def test_whole_numbers_are_taken(kind):
    for taken in (whole("n", kind(3)), whole("n", kind(3), 3, 3), checked_seed(kind(3)), *pair("n", (kind(3), 3))):
        assert taken == 3 and type(taken) is int


@pytest.mark.parametrize("kind", REALS)
def test_numbers_are_taken(kind):
    for limits in ({}, {"low": 1}, {"low": 0, "open_low": True}, {"high": 1}, {"low": 0, "high": 2, "open_high": True}):
        taken = number("x", kind(1), **limits)
        assert taken == 1 and type(taken) is float


INF = np.float32("inf")
MESSAGES = [
    (lambda: whole("n", 0), "n must be a whole number from 1 on, not 0"),
    (lambda: whole("n", 1.0, 0), "n must be a whole number from 0 on, not 1.0"),
    (lambda: whole("n", 2**31), "n must be a whole number from 1 to 2**31 - 1, not 2147483648"),
    (lambda: whole("n", True, 0, 9), "n must be a whole number from 0 to 9, not True"),
    (lambda: whole("n", np.uint64(10), 0, 9), f"n must be a whole number from 0 to 9, not {np.uint64(10)!r}"),
    (lambda: checked_seed(2**64), f"seed must be a whole number from 0 to 2**64 - 1, not {2**64}"),
    (lambda: pair("n", (1, 2, 3)), "n must be a number or (vertical, horizontal), not (1, 2, 3)"),
    (lambda: pair("n", (1, 0)), "n must be a whole number from 1 on, not 0"),
    (lambda: number("x", math.nan), "x must be a finite number, not nan"),
    (lambda: number("x", -(10**400)), f"x must be a finite number, not {shown(-(10**400))}"),
    (lambda: number("x", INF, 0), f"x must be a finite number from 0 on, not {INF!r}"),
    (lambda: number("x", 0, 0, open_low=True), "x must be a finite number above 0, not 0"),
    (lambda: number("x", "1", 0, 1e6), "x must be a number from 0 to 1000000, not '1'"),
    (lambda: number("x", 1, 0, 1, open_high=True), "x must be a number from 0 to 1 (excluded), not 1"),
    (lambda: number("x", True, 0, 1, open_low=True), "x must be a number from 0 (excluded) to 1, not True"),
    (lambda: number("x", 1j, 0, 1), "x must be a number from 0 to 1, not 1j"),
    (lambda: number("x", np.complex64(0), 0, 0.1), f"x must be a number from 0 to 0.1, not {np.complex64(0)!r}"),
    (lambda: yes_or_no("b", 1), "b must be True or False, not 1"),
    (lambda: instance("o", int, pm.SGD, "an optimizer"), "o must be an optimizer, not <class 'int'>"),
]


@pytest.mark.parametrize("check, message", MESSAGES, ids=[message for _, message in MESSAGES])
def test_what_is_refused(check, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        check()


def test_fields_of_a_dataclass():
    @dataclass(frozen=True)
    class Point:
        x: float
        y: float

    point = Point(np.float32(0.5), 3)
    check_fields(point, number, "x", "y", low=0)
    assert (point.x, point.y) == (0.5, 3.0) and type(point.x) is type(point.y) is float
    with pytest.raises(ValueError, match="^y of Point must be a number from 0 to 2, not 3.0$"):
        check_fields(point, number, "x", "y", low=0, high=2)


HALF, THREE = np.float32(0.5), np.int64(3)
OF_NUMPY = [
    (pm.Dropout(HALF), pm.Dropout(0.5)),
    (pm.Rescaling(HALF, THREE), pm.Rescaling(0.5, 3)),
    (pm.LeakyReLU(HALF), pm.LeakyReLU(0.5)),
    (pm.GaussianNoise(HALF), pm.GaussianNoise(0.5)),
    (pm.Augmentation(HALF, THREE, cutout=THREE, fill=HALF), pm.Augmentation(0.5, 3, cutout=3, fill=0.5)),
    (
        pm.Augmentation(stretch=HALF, crop=(HALF, 1), elastic_grid=THREE),
        pm.Augmentation(stretch=0.5, crop=(0.5, 1.0), elastic_grid=3),
    ),
    (pm.Morphology(HALF, THREE), pm.Morphology(0.5, 3)),
    (pm.RandomErasing(HALF, (HALF, 1), [HALF, THREE], HALF), pm.RandomErasing(0.5, (0.5, 1), (0.5, 3), 0.5)),
    (pm.BatchNorm2d(eps=HALF, momentum=HALF, affine=np.True_), pm.BatchNorm2d(eps=0.5, momentum=0.5)),
    (pm.Conv2d(THREE, (THREE, 3), padding=THREE), pm.Conv2d(3, 3, padding=3)),
    (pm.CrossEntropyLoss(label_smoothing=HALF), pm.CrossEntropyLoss(label_smoothing=0.5)),
    (pm.SGD(HALF, HALF, weight_decay=THREE), pm.SGD(0.5, 0.5, weight_decay=3.0)),
    (pm.Adam(HALF, (HALF, HALF), HALF), pm.Adam(0.5, (0.5, 0.5), 0.5)),
    (pm.OneCycle(HALF, HALF, THREE), pm.OneCycle(0.5, 0.5, 3)),
    (pm.Step(HALF, THREE), pm.Step(0.5, 3)),
    (pm.initializers.Normal(HALF), pm.initializers.Normal(0.5)),
    (pm.TopK(THREE), pm.TopK(3)),
]


@pytest.mark.parametrize("given, expected", OF_NUMPY, ids=[repr(expected) for _, expected in OF_NUMPY])
def test_numbers_of_numpy_are_numbers(given, expected):
    assert repr(given) == repr(expected)


def test_numbers_of_numpy_in_training():
    x, labels = np.ones((6, 3), np.float32), np.arange(6) % 2
    weights = set()
    for epochs, size, clip, average, seed in ((2, 3, 0.5, 0.5, 3), (np.int64(2), np.uint8(3), HALF, HALF, THREE)):
        model = pm.Sequential([pm.Linear(2)], (3,), seed)
        checks = [pm.EarlyStopping(THREE, target=np.float64(2)), pm.ReduceOnPlateau(THREE, HALF, np.float32(0))]
        how = dict(clip_norm=clip, average=average, callbacks=checks, threads=np.int8(1), progress=False)
        model.fit((x, labels), epochs=epochs, batch_size=size, **how)
        weights.add(model.network.param.tobytes())
    assert len(weights) == 1
