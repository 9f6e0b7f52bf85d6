"""Rounded factors where no instruction multiplies bfloat16: products are float32's, of what was rounded before, and
nothing else sees that."""

import numpy as np
import pytest
from comparing import normal
from test_precision import rounded
from test_promises import NETWORKS, made, samples, trained

import pymnistcnn as pm
from pymnistcnn import factors, placing
from pymnistcnn._native import target_pairs
from pymnistcnn.target import ISAS, ISAS_OF_BF16, target_of

SHAPE = (3, 18, 20)
STAGES = [  # what is computed at once, or by itself; and has it factors?
    (lambda: [pm.Conv2d(20, 5), pm.MaxPool2d(2)], True),
    (lambda: [pm.Tanh()], False),
    (lambda: [pm.Conv2d(24, 3, padding=1, groups=2), pm.ReLU()], True),
    (lambda: [pm.Conv2d(24, 3, groups=24)], True),
    (lambda: [pm.Conv2d(33, 3, padding=1), pm.ReLU(), pm.MaxPool2d(2)], True),
    (lambda: [pm.Flatten()], False),
    (lambda: [pm.Linear(70)], True),
    (lambda: [pm.Sigmoid()], False),
    (lambda: [pm.Linear(10)], False),  # a small layer is computed in full
]


@pytest.fixture(params=[isa for isa in ISAS_OF_BF16 if isa in ISAS])
def isa(request):
    return request.param


def bf16(x):
    return rounded(x, "bf16").astype(np.float32)


def in_stages(shape):
    """A model, and its stages as models of their own with the same weights, rounded where they are factors."""
    model = pm.Sequential([layer for layers, _ in STAGES for layer in layers()], shape, seed=5)
    stages, first = [], 0
    for layers, has_factors in STAGES:
        layers = layers()
        stage = pm.Sequential(layers, shape)
        for name, value in stage.state_dict().items():
            index, kind = name.split(".")
            of_model = model.layers[first + int(index)].parameters[kind]
            stage.layers[int(index)].parameters[kind][...] = (
                bf16(of_model) if has_factors and kind == "weight" else of_model
            )
            assert value.shape == of_model.shape
        stages.append((stage, bf16 if has_factors else np.asarray, first))
        first, shape = first + len(layers), stage.output_shape
    return model, stages


@pytest.fixture(autouse=True)
def one_sample_at_a_time(monkeypatch):
    """A plan that takes more memory takes fewer samples at a time, whose weights' gradients are added up otherwise."""
    monkeypatch.setattr(placing, "MICROBATCH_BYTES", 0)


def test_they_are_rounded_once_and_multiplied_in_full(isa):
    rng = np.random.default_rng(0)
    model, stages = in_stages(SHAPE)
    x, dy = normal(rng, (7, *SHAPE), "float32"), normal(rng, (7, 10), "float32")
    y, dx = model.forward(x, isa=f"{isa}-bf16"), model.backward(dy, isa=f"{isa}-bf16")
    for stage, rounding, _ in stages:
        x = stage.forward(rounding(x), isa=isa)
    np.testing.assert_array_equal(y, x)
    for stage, rounding, first in reversed(stages):
        dy = stage.backward(rounding(dy), isa=isa)
        for index, layer in enumerate(stage.layers, first):
            for name, gradient in layer.gradients.items():
                np.testing.assert_array_equal(model.layers[index].gradients[name], gradient, f"{index} {name}")
    np.testing.assert_array_equal(dx, dy)


def test_each_program_rounds_what_it_reads(isa):
    """Outputs and losses are of one plan, whose programs share memory."""
    (x, labels), model = samples((1, 14, 14)), made()
    outputs = model.predict_outputs(x, isa=f"{isa}-bf16")
    assert (outputs != model.predict_outputs(x, isa=isa)).any()
    evaluation = model.evaluate(x, labels, isa=f"{isa}-bf16")
    assert evaluation.loss == pytest.approx(float(pm.functional.cross_entropy(outputs, labels)), rel=1e-5)


class Apart(factors.Rounding):
    """Nothing is rounded where it is."""

    def of_program(self, ops):
        self.in_place = False
        return super().of_program(ops)


@pytest.mark.parametrize("name", [name for name in NETWORKS if name != "activations"])  # its layers are small
def test_nothing_else_reads_what_is_rounded_where_it_is(name, monkeypatch, isa):
    def trained_by(kind):
        made = []

        def rounding(programs):
            made.append(kind(programs))
            return made[-1]

        monkeypatch.setattr(factors, "Rounding", rounding)
        return trained(name, isa=f"{isa}-bf16", epochs=1).state_dict(), sum(len(one.twins) for one in made)

    (expected, twins), (apart, more) = trained_by(factors.Rounding), trained_by(Apart)
    for parameter, values in expected.items():
        assert values.tobytes() == apart[parameter].tobytes(), parameter
    assert twins < more


def test_what_is_chosen_multiplies_pairs_or_is_the_widest():
    chosen = target_of(precision="bf16")
    assert target_pairs(chosen) or chosen.isa == ISAS[-1]
    assert {isa: target_pairs(target_of(isa, precision="bf16")) for isa in ISAS_OF_BF16} == {
        isa: isa not in ISAS for isa in ISAS_OF_BF16
    }
