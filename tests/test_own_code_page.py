"""What docs/own-code.md shows runs, and does what it says."""

import contextlib
import re
import warnings
from pathlib import Path

import numpy as np
import pytest

PAGE = (Path(__file__).parents[1] / "docs" / "own-code.md").read_text()


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """What all blocks of the page leave behind."""
    names = {"__name__": "own_code"}
    with contextlib.chdir(tmp_path_factory.mktemp("page")), warnings.catch_warnings():
        for block in re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL):
            exec(block, names)
    return names


def test_the_page(ran):
    assert ran["model"].score(ran["test"]) > 0.85
    assert ran["by_values"].loss[-1] < ran["by_values"].loss[0]
    assert ran["scale"].shape == (8,) and (ran["scale"] != 0.5).all()
    assert (ran["again"].state_dict()["1.scale"] == ran["scale"]).all()
    assert ran["wrong_by"] < 1e-8
    assert 0.2 < ran["confidence"] < 1 and ran["early"].best < 1
    assert ran["best"].best == max(ran["watch"].values) and len(ran["watch"].values) == len(ran["history"]) == 3
    assert ran["notebook"].rows == list(zip((1, 2, 3), ran["tracked"].validation_accuracy, strict=True))
    assert 1e-3 < ran["found"].suggestion < 1 and ran["sgd_history"].loss[1] < ran["sgd_history"].loss[0]
    assert (
        ran["calibrate"].temperature < 0.9 and ran["temperature"] < 0.9 and ran["after"].error < ran["before"].error / 2
    )
    assert ran["triangle"].learning_rate[0] > ran["triangle"].learning_rate[1] > 0


def test_gradient_of_the_focal_loss(ran):
    outputs, labels, step = np.random.default_rng(0).standard_normal((5, 4)), np.array([0, 1, 2, 3, 0]), 1e-6
    _, gradient = ran["focal"](outputs, labels)
    for at in np.ndindex(outputs.shape):
        change = np.zeros_like(outputs)
        change[at] = step
        difference = ran["focal"](outputs + change, labels)[0] - ran["focal"](outputs - change, labels)[0]
        assert gradient[at] == pytest.approx(difference / (2 * step), abs=1e-8)
