"""Networks of some hundred or thousand parameters."""

import numpy as np
import pytest

import pymnistcnn as pm
from pymnistcnn.recipes import RECIPES

BOUNDS = {"tiny": 700, "tiny-4800": 4800, "tiny-8900": 8900}
TRAIN = pm.datasets.mnist()[0]


def trained(model):
    """How many numbers an optimizer changes."""
    return sum(np.prod(p.shape, dtype=int) for p in model.network.parameters if p.trained)


@pytest.mark.parametrize("name, most", BOUNDS.items())
def test_parameters(name, most):
    model = RECIPES[name]().model
    assert 0.95 * most < trained(model) <= most
    assert f"{trained(model):,} parameters" in RECIPES[name].__doc__


@pytest.mark.parametrize("name", BOUNDS)
@pytest.mark.parametrize(
    "shape", [(1, 8, 8), (1, 9, 64), (3, 12, 19), (1, 15, 15), (3, 16, 16), (1, 20, 21), (3, 32, 32), (3, 64, 64)]
)
def test_shapes(name, shape):
    model = RECIPES[name](shape, 7).model
    assert model.output_shape == (7,) and model.predict_proba(np.zeros((2, *shape), np.uint8)).shape == (2, 7)
    height, width = model.network.shapes[-4][1:]  # before the mean of each channel
    assert 2 <= min(height, width) <= 6


@pytest.mark.parametrize("name", BOUNDS)
def test_tables_and_what_is_too_small(name):
    assert RECIPES[name]((5,), 3).model.output_shape == (3,)
    with pytest.raises(ValueError, match="at least 8x8"):
        RECIPES[name]((1, 7, 28), 3)


@pytest.mark.parametrize("name", BOUNDS)
def test_it_learns(name):
    recipe = RECIPES[name](seed=1)
    recipe.model.fit(TRAIN[:500], **recipe.arguments | {"batch_size": 25, "epochs": 15}, progress=False)
    assert recipe.model.score(TRAIN[500:1000]) > 0.7


@pytest.mark.parametrize("name", BOUNDS)
@pytest.mark.parametrize("int8", [False, True])
def test_its_c_code_fits_a_microcontroller(name, int8, tmp_path):
    model = RECIPES[name]().model
    model.fit(TRAIN[:500], progress=False)
    code = model.to_c(tmp_path / "a.c", int8=int8, calibration=TRAIN[:100] if int8 else None)
    most = 16_384 if int8 else 49_152
    assert code.flash < most and code.ram < most
