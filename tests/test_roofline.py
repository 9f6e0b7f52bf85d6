"""`pymnistcnn bench roofline`: its products are products, of nothing but what they are given."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

from pymnistcnn import _native
from pymnistcnn._native import Constant, padded, target_pairs
from pymnistcnn.benchmarking import roofline
from pymnistcnn.cli import main
from pymnistcnn.target import ISAS, USABLE, target_of

SHAPES = [(1, 1, 1), (7, 17, 5), (64, 32, 28), (65, 100, 85), (300, 33, 2)]
PAIRS = [target for target in USABLE if target.device == "cpu" and target_pairs(target)]
HALVES = np.array([0x3F003F00], np.uint32).view(np.float32)[0]  # two of 0.5 in bfloat16, in a word


def stride(n):
    return padded(n + Constant.PAD)


def parts_of(room, inputs, outputs, samples):
    """y, x, what x is packed to, w."""
    sizes = np.cumsum([samples * stride(outputs), samples * stride(inputs), samples * stride(inputs)])
    y, x, packed, w = np.split(room, sizes)
    return y.reshape(samples, -1), x.reshape(samples, -1), packed, w


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("isa", ISAS)
def test_products_are_products(isa, shape):
    inputs, outputs, samples = shape
    room, rng = roofline.room_of(*shape), np.random.default_rng(0)
    room[:] = rng.standard_normal(len(room))
    y, x, _, w = parts_of(room, *shape)
    before = room.copy()
    assert _native.products(target_of(isa), *shape, False, room, 2) == 2 * 2 * inputs * outputs * samples
    of_w = w[: inputs * padded(outputs)].reshape(inputs, -1)[:, :outputs]
    np.testing.assert_allclose(y[:, :outputs], x[:, :inputs].astype(np.float64) @ of_w, rtol=1e-4, atol=1e-4)
    assert (room[y.size :] == before[y.size :]).all()


@pytest.mark.skipif(not PAIRS, reason="nothing here multiplies pairs of bfloat16")
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("target", PAIRS, ids=str)
def test_products_in_bfloat16(target, shape, packed):
    inputs, outputs, samples = shape
    room = roofline.room_of(*shape)
    y, x, _, w = parts_of(room, *shape)
    w[:] = HALVES
    assert _native.products(target, *shape, packed, room, 1) == 2 * inputs * outputs * samples
    assert (y[:, :outputs] == 0.25 * inputs).all()
    assert (x == 0.5).all() and (w == HALVES).all()


def test_bad_products_are_refused():
    target, room = target_of(ISAS[-1]), roofline.room_of(8, 8, 8)
    with pytest.raises(ValueError, match="room"):
        _native.products(target, 8, 8, 8, False, room[:-1], 1)
    with pytest.raises(ValueError, match="room"):
        _native.products(target, 8, 8, 8, False, room.astype(np.float64), 1)
    for sizes in (0, 8, 8), (8, -1, 8), (8, 8, 1 << 40):
        with pytest.raises(ValueError, match="must be from 1 to"):
            _native.products_elements(*sizes)


def test_the_command_line(monkeypatch):
    monkeypatch.setattr(roofline, "SHAPES", roofline.SHAPES[:2])
    quick = ["bench", "roofline", "--rounds", "2", "--seconds", "0.001", "--isa", "portable", "--threads", "1"]
    result = CliRunner().invoke(main, [*quick, "--json"])
    assert result.exit_code == 0, result.output
    rows = json.loads(result.stdout)["rows"]
    assert [(row["isa"], row["threads"], row["weight_bytes"]) for row in rows] == [
        ("portable", 1, 0), ("portable", 1, 4 * 64 * 32), ("portable", 1, 4 * 256 * 256)
    ]  # fmt: skip
    assert all(0 < row["gflops"]["low"] and 0 < row["share"]["low"] for row in rows)
    shown = CliRunner().invoke(main, quick).stdout
    assert "| portable | 1 | registers |" in shown and "| portable | 1 | 8 kB | 28 |" in shown


def test_the_fastest_are_measured():
    assert roofline.fastest()[0] == ISAS[-1]
