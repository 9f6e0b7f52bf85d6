"""Schedules: PyTorch's one cycle, in any slices."""

from dataclasses import asdict

import numpy as np
import pytest

from pymnistcnn.schedules import Constant, OneCycle

# PyTorch 2.13: OneCycleLR(optimizer, 0.01, total_steps=10), and what get_last_lr says before each step.
TEN_STEPS = [
    0.0003999999999999993,
    0.0052,
    0.01,
    0.009504846320134737,
    0.008117456539497631,
    0.0061126202193628925,
    0.003887419780637108,
    0.00188258346050237,
    0.0004951936798652628,
    4e-08,
]


def pytorch_rates(schedule, total_steps):
    torch = pytest.importorskip("torch", reason="PyTorch is missing, nothing to compare with")
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0, momentum=0.9)
    cycle = torch.optim.lr_scheduler.OneCycleLR(
        optimizer,
        schedule.max_rate,
        total_steps=total_steps,
        pct_start=schedule.warm_up,
        div_factor=schedule.start_divisor,
        final_div_factor=schedule.final_divisor,
    )
    rates = [cycle.get_last_lr()[0]]
    for _ in range(total_steps - 1):
        optimizer.step()
        cycle.step()
        rates.append(cycle.get_last_lr()[0])
    return rates


def test_known_values():
    rates = OneCycle(0.01).rates(0, 10, 10)
    assert rates.dtype == np.float64
    np.testing.assert_allclose(rates, TEN_STEPS, rtol=1e-12)


@pytest.mark.parametrize("total_steps", [1, 2, 3, 7, 100, 938])
@pytest.mark.parametrize(
    "schedule", [OneCycle(0.01), OneCycle(1.0, 0.15, 10, 100), OneCycle(2e-4, 0.0), OneCycle(0.3, 0.9, 1, 1)]
)
def test_pytorch_has_the_same_rates(schedule, total_steps):
    expected = pytorch_rates(schedule, total_steps)
    np.testing.assert_allclose(schedule.rates(0, total_steps, total_steps), expected, rtol=1e-12)


@pytest.mark.parametrize("warm_up, total_steps", [(1.0, 1), (0.5, 2), (0.25, 4), (0.1, 10)])
def test_a_peak_at_step_0_starts_at_the_top(warm_up, total_steps):
    # Here PyTorch raises ZeroDivisionError.
    rates = OneCycle(0.01, warm_up).rates(0, total_steps, total_steps)
    assert rates[0] == 0.01
    assert (np.diff(rates) < 0).all()


@pytest.mark.parametrize("warm_up", [0, 0.3, 0.5, 1 - 2**-53, 1])
@pytest.mark.parametrize("total_steps", [1, 2, 3, 10])
def test_short_runs_stay_within_the_cycle(warm_up, total_steps):
    schedule = OneCycle(0.01, warm_up)
    rates = schedule.rates(0, total_steps, total_steps)
    assert (rates > 0).all() and (rates <= 0.01 * (1 + 1e-15)).all()
    if warm_up <= 0.5 and total_steps > 2:
        assert rates[-1] == pytest.approx(4e-8)


@pytest.mark.parametrize("schedule", [OneCycle(0.1), OneCycle(0.1, 0.01), Constant(0.1)], ids=repr)
def test_slices_are_the_whole(schedule):
    whole = schedule.rates(0, 200, 200)
    cuts = [0, 1, 1, 58, 59, 60, 150, 199, 200]
    slices = [schedule.rates(a, b - a, 200) for a, b in zip(cuts, cuts[1:], strict=False)]
    assert np.array_equal(np.concatenate(slices), whole)
    assert schedule.rates(np.int64(3), np.int32(2), np.int64(200)).shape == (2,)


def test_constant():
    rates = Constant(1).rates(2, 3, 5)
    assert rates.dtype == np.float64 and rates.tolist() == [1.0, 1.0, 1.0]


@pytest.mark.parametrize("schedule", [OneCycle(np.float32(0.5), 0, 2, 4), Constant(1)], ids=repr)
def test_rebuilt_from_its_fields(schedule):
    assert all(type(value) is float for value in asdict(schedule).values())
    assert type(schedule)(**asdict(schedule)) == schedule


@pytest.mark.parametrize("schedule", [OneCycle(0.1), Constant(0.1)], ids=repr)
@pytest.mark.parametrize(
    "steps, message",
    [
        ((-1, 2, 10), "first_step must be an integer of at least 0, not -1"),
        ((0, -2, 10), "count must be an integer of at least 0, not -2"),
        ((0, 1.0, 10), r"count must be an integer of at least 0, not 1\.0"),
        ((0, 1, None), "total_steps must be an integer of at least 0, not None"),
        ((0, 0, 0), "a run of 0 steps"),
        ((0, 11, 10), "11 steps from step 0 on do not fit into a run of 10 steps"),
        ((9, 2, 10), "2 steps from step 9 on do not fit into a run of 10 steps"),
    ],
)
def test_bad_steps(schedule, steps, message):
    with pytest.raises(ValueError, match=message):
        schedule.rates(*steps)


@pytest.mark.parametrize("value", [0, -1.0, np.nan, np.inf, "fast", None])
@pytest.mark.parametrize("name", ["max_rate", "start_divisor", "final_divisor"])
def test_bad_parameters(name, value):
    with pytest.raises(ValueError, match=f"{name} of OneCycle must be a positive finite number, not "):
        OneCycle(**{"max_rate": 0.1, name: value})


@pytest.mark.parametrize("value", [-0.1, 1.1, np.nan, "half", None])
def test_bad_warm_up(value):
    with pytest.raises(ValueError, match="warm_up of OneCycle must be a number from 0 to 1, not "):
        OneCycle(0.1, value)


def test_bad_constant():
    with pytest.raises(ValueError, match="rate of Constant must be a finite number from 0 on, not -1"):
        Constant(-1)
