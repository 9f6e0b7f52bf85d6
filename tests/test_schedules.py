"""Schedules: PyTorch's rates, in any slices."""

from dataclasses import fields

import numpy as np
import pytest

import pymnistcnn as pm
from pymnistcnn import schedules
from pymnistcnn.schedules import Constant, Cosine, Exponential, OneCycle, Step, WarmUp

ALL = [
    Constant(0.1),
    OneCycle(0.1),
    OneCycle(0.1, 0.01),
    Cosine(0.1),
    Cosine(0.1, 0.003),
    Exponential(0.1, 0.97),
    Exponential(1e-7, 1.05),
    Step(0.1, 30),
    Step(0.1, 1, 0.9),
    Step(0.1, 2**63 - 1),
    WarmUp(1, Constant(0.1)),
    WarmUp(59, Cosine(0.1, 0.003)),
    WarmUp(59, Exponential(0.1, 0.97)),
    WarmUp(7, WarmUp(52, OneCycle(0.1))),
    WarmUp(1000, Step(0.1, 3)),
]

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


def pytorch_scheduler(schedule, optimizer, total_steps):
    """What PyTorch calls this schedule; `optimizer` has the first rate."""
    import torch.optim.lr_scheduler as pytorch

    match schedule:
        case OneCycle():
            return pytorch.OneCycleLR(
                optimizer,
                schedule.max_rate,
                total_steps=total_steps,
                pct_start=schedule.warm_up,
                div_factor=schedule.start_divisor,
                final_div_factor=schedule.final_divisor,
            )
        case Cosine():
            return pytorch.CosineAnnealingLR(optimizer, total_steps - 1, schedule.min_rate)
        case Exponential():
            return pytorch.ExponentialLR(optimizer, schedule.factor)
        case Step():
            return pytorch.StepLR(optimizer, schedule.every, schedule.factor)
        case WarmUp():
            steps = schedule.steps
            rising = pytorch.LinearLR(optimizer, 1 / steps, 1.0, steps - 1)
            then = pytorch_scheduler(schedule.then, optimizer, max(total_steps - steps, 1))
            return pytorch.SequentialLR(optimizer, [rising, then], [steps])


def pytorch_rates(schedule, total_steps, first_rate=1.0):
    torch = pytest.importorskip("torch", reason="PyTorch is missing, nothing to compare with")
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=first_rate, momentum=0.9)
    scheduler = pytorch_scheduler(schedule, optimizer, total_steps)
    rates = [scheduler.get_last_lr()[0]]
    for _ in range(total_steps - 1):
        optimizer.step()
        scheduler.step()
        rates.append(scheduler.get_last_lr()[0])
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


@pytest.mark.parametrize("total_steps", [1, 2, 3, 7, 100, 938])
@pytest.mark.parametrize(
    "schedule",
    [
        Cosine(0.25),
        Cosine(0.25, 0.001),
        Cosine(0.25, 0.25),
        Exponential(0.25, 0.99),
        Exponential(0.25, 1.01),
        Step(0.25, 1, 0.98),
        Step(0.25, 3),
        Step(0.25, 300, 2.0),
        WarmUp(1, Step(0.25, 3)),
        WarmUp(2, Exponential(0.25, 0.9)),
        WarmUp(5, Cosine(0.25)),
        WarmUp(90, Cosine(0.25, 0.001)),
    ],
    ids=repr,
)
def test_pytorch_has_the_same_rates_from_a_first_one(schedule, total_steps):
    expected = pytorch_rates(schedule, total_steps, first_rate=0.25)
    # PyTorch computes each rate from the one before, so what it rounds adds up.
    rates = schedule.rates(0, total_steps, total_steps)
    np.testing.assert_allclose(rates, expected, rtol=1e-12, atol=1e-15)


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


@pytest.mark.parametrize("schedule", ALL, ids=repr)
def test_slices_are_the_whole(schedule):
    whole = schedule.rates(0, 200, 200)
    cuts = [0, 1, 1, 58, 59, 60, 150, 199, 200]
    slices = [schedule.rates(a, b - a, 200) for a, b in zip(cuts, cuts[1:], strict=False)]
    assert np.array_equal(np.concatenate(slices), whole)
    one_by_one = [schedule.rates(step, 1, 200) for step in range(200)]
    assert np.array_equal(np.concatenate(one_by_one), whole)
    assert whole.dtype == np.float64 and np.isfinite(whole).all() and (whole >= 0).all()


@pytest.mark.parametrize("schedule", ALL, ids=repr)
def test_steps_may_be_numpy_integers(schedule):
    expected = schedule.rates(150, 100, 250)
    for dtype in (np.uint8, np.int32, np.uint64):  # 150 + 100 and 150 - 1000 fit into no uint8
        assert np.array_equal(schedule.rates(dtype(150), dtype(100), dtype(250)), expected)


def test_public_names():
    assert schedules.__all__ == ["Constant", "Cosine", "Exponential", "OneCycle", "Step", "WarmUp"]
    assert all(getattr(pm, name) is getattr(schedules, name) for name in schedules.__all__)
    assert set(schedules.__all__) <= set(pm.__all__)


def test_constant():
    rates = Constant(1).rates(2, 3, 5)
    assert rates.dtype == np.float64 and rates.tolist() == [1.0, 1.0, 1.0]


def test_cosine():
    np.testing.assert_allclose(Cosine(0.5, 0.1).rates(0, 5, 5), [0.5, 0.3 + 0.1 * 2**0.5, 0.3, 0.3 - 0.1 * 2**0.5, 0.1])
    rates = Cosine(0.3).rates(0, 938, 938)
    assert rates[0] == 0.3 and rates[-1] == 0 and (np.diff(rates) < 0).all()
    assert Cosine(0.3, 0.1).rates(0, 1, 1) == pytest.approx([0.3])


def test_exponential():
    np.testing.assert_allclose(Exponential(3, 0.5).rates(2, 3, 9), [0.75, 0.375, 0.1875], rtol=1e-15)
    assert Exponential(3, 1).rates(0, 4, 4).tolist() == [3.0] * 4


def test_step():
    np.testing.assert_allclose(Step(1, 3).rates(1, 6, 9), [1, 1, 0.1, 0.1, 0.1, 0.01], rtol=1e-15)
    assert Step(1.0, 10).rates(0, 9, 9).tolist() == [1.0] * 9


@pytest.mark.parametrize("schedule", [Exponential(0.1, 0.5), Step(0.1, 1)], ids=repr)
def test_a_falling_rate_ends_at_0(schedule):
    with np.errstate(all="raise"):
        assert schedule.rates(0, 2000, 2000)[-1] == 0


@pytest.mark.parametrize("schedule", [Exponential(0.1, 10), Step(0.1, 2, 100.0), WarmUp(3, Exponential(0.1, 10))])
def test_a_rate_that_grows_too_large_is_refused_at_the_start(schedule):
    assert np.isfinite(schedule.rates(0, 300, 300)).all()
    with pytest.raises(ValueError, match=r"the rates of .*factor=10.* become too large for float64 in a run of"):
        schedule.rates(0, 1, 400)


def test_warm_up():
    rates = WarmUp(4, Cosine(0.8, 0.2)).rates(0, 7, 7)
    np.testing.assert_allclose(rates, [0.2, 0.4, 0.6, 0.8, 0.8, 0.5, 0.2], rtol=1e-15)
    assert rates[3] == rates[4]
    assert WarmUp(1, Constant(0.1)).rates(0, 3, 3).tolist() == [0.1] * 3


@pytest.mark.parametrize("total_steps", [1, 4, 9, 10])
def test_a_run_within_the_warm_up_only_warms_up(total_steps):
    rates = WarmUp(10, Cosine(2.0)).rates(0, total_steps, total_steps)
    np.testing.assert_allclose(rates, 0.2 * np.arange(1, total_steps + 1), rtol=1e-15)


def test_warm_up_asks_for_the_rest_of_the_run():
    class Recorder:
        asked = []

        def rates(self, first_step, count, total_steps):
            self.asked.append((first_step, count, total_steps))
            return np.full(count, 0.5)

    recorder = Recorder()
    assert WarmUp(4, recorder).rates(2, 5, 10).tolist() == [0.375, 0.5, 0.5, 0.5, 0.5]
    assert WarmUp(4, recorder).rates(6, 3, 10).tolist() == [0.5] * 3
    assert WarmUp(4, recorder).rates(1, 2, 10).tolist() == [0.25, 0.375]
    assert recorder.asked == [(0, 1, 6), (0, 3, 6), (0, 1, 6), (2, 3, 6), (0, 1, 6)]


@pytest.mark.parametrize(
    "schedule",
    [
        OneCycle(np.float32(0.5), 0, 2, 4),
        Constant(1),
        Cosine(1, 0),
        Exponential(1, 2),
        Step(1, np.int8(2), 1),
        WarmUp(np.uint8(3), Constant(1)),
    ],
    ids=repr,
)
def test_rebuilt_from_its_fields(schedule):
    values = {field.name: getattr(schedule, field.name) for field in fields(schedule)}
    expected = {"every": int, "steps": int, "then": Constant}
    assert all(type(value) is expected.get(name, float) for name, value in values.items())
    assert type(schedule)(**values) == schedule


@pytest.mark.parametrize("schedule", ALL, ids=repr)
@pytest.mark.parametrize(
    "steps, message",
    [
        ((-1, 2, 10), "first_step must be a whole number from 0 on, not -1"),
        ((0, -2, 10), "count must be a whole number from 0 on, not -2"),
        ((0, 1.0, 10), r"count must be a whole number from 0 on, not 1\.0"),
        ((0, 1, None), "total_steps must be a whole number from 0 on, not None"),
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
    with pytest.raises(ValueError, match=f"{name} of OneCycle must be a finite number above 0, not "):
        OneCycle(**{"max_rate": 0.1, name: value})


@pytest.mark.parametrize("value", [-0.1, 1.1, np.nan, "half", None])
def test_bad_warm_up(value):
    with pytest.raises(ValueError, match="warm_up of OneCycle must be a number from 0 to 1, not "):
        OneCycle(0.1, value)


def test_bad_constant():
    with pytest.raises(ValueError, match="rate of Constant must be a finite number from 0 on, not -1"):
        Constant(-1)


@pytest.mark.parametrize("value", [0, -1.0, np.nan, np.inf, 10**400, "fast", None])
@pytest.mark.parametrize(
    "kind, arguments, name",
    [
        (Cosine, {}, "max_rate"),
        (Exponential, {"factor": 0.5}, "rate"),
        (Exponential, {"rate": 0.1}, "factor"),
        (Step, {"every": 3}, "rate"),
        (Step, {"rate": 0.1, "every": 3}, "factor"),
    ],
)
def test_bad_rates_and_factors(kind, arguments, name, value):
    with pytest.raises(ValueError, match=f"^{name} of {kind.__name__} must be a finite number above 0, not "):
        kind(**arguments, **{name: value})


@pytest.mark.parametrize("value", [-0.1, 0.2000001, np.nan, np.inf, "low", None])
def test_bad_min_rate(value):
    with pytest.raises(ValueError, match=r"min_rate of Cosine must be a number from 0 to 0\.2, not "):
        Cosine(0.2, value)


@pytest.mark.parametrize("value", [0, -1, 2.0, np.nan, True, 2**63, "3", None])
@pytest.mark.parametrize(
    "make, name", [(lambda n: Step(0.1, n), "every of Step"), (lambda n: WarmUp(n, Constant(0.1)), "steps of WarmUp")]
)
def test_bad_numbers_of_steps(make, name, value):
    with pytest.raises(ValueError, match=rf"{name} must be a whole number from 1 (on|to 2\*\*63 - 1), not "):
        make(value)


@pytest.mark.parametrize("then", [0.1, "cosine", None, Cosine, [0.1, 0.2]])
def test_bad_schedule_after_warm_up(then):
    with pytest.raises(ValueError, match=r"then of WarmUp must be a schedule, such as pm\.Constant\(0\.1\), not "):
        WarmUp(3, then)
