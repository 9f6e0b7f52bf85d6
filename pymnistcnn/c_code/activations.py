"""Activations as C functions of one float, named by what they compute (csrc/kernels/activation.h)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .._native import ActivationKind
from .writing import hexadecimal

if TYPE_CHECKING:
    from .writing import Source


def activation_function(source: Source, activation: Any, number: int) -> str:
    """Puts an activation into a source; returns its name. Those with settings have the layer's number in theirs."""
    kind = activation.kind
    alpha, threshold = (hexadecimal(np.float32(value)) for value in (activation.alpha, activation.threshold))
    name, needs, body = ACTIVATIONS[kind]
    if "{" in body:
        name, body = f"{name}_{number}", body.format(alpha=alpha, threshold=threshold)
    for file in needs:
        source.need(f"float32/{file}")
    return source.define(name, f"static float {name}(float x) {{\n    {body}\n}}\n")


SOFTPLUS = """const float scaled = x * {alpha}, small = exp_of(scaled > 0 ? -scaled : scaled);
    const float y = ((scaled > 0 ? scaled : 0) + log1p_of(small)) / {alpha};
    return scaled > {threshold} ? x : y;"""
GELU_TANH = """const float scale = (float)1.59576912160573071176;
    return x * logistic(x * scale * (x * x * 0.044715f + 1));"""
# name, files that it needs, body
ACTIVATIONS: dict[ActivationKind, tuple[str, tuple[str, ...], str]] = {
    ActivationKind.IDENTITY: ("identity", (), "return x;"),
    ActivationKind.RELU: ("relu", (), "return x <= 0 ? 0 : x;"),
    ActivationKind.TANH: ("tanh_activation", ("tanh",), "return tanh_of(x);"),
    ActivationKind.LEAKY_RELU: ("leaky_relu", (), "return x > 0 ? x : x * {alpha};"),
    ActivationKind.ELU: ("elu", ("expm1",), "return x > 0 ? x : expm1_of(x) * {alpha};"),
    ActivationKind.SIGMOID: ("sigmoid", ("exp",), "return 1 / (1 + exp_of(-x));"),
    ActivationKind.SOFTPLUS: ("softplus", ("exp", "log1p"), SOFTPLUS),
    ActivationKind.GELU: ("gelu", ("normal_share",), "return x * normal_share(x);"),
    ActivationKind.GELU_TANH: ("gelu_tanh", ("logistic",), GELU_TANH),
    ActivationKind.SILU: ("silu", ("logistic",), "return x * logistic(x);"),
    ActivationKind.HARDSWISH: ("hardswish", (), "return x <= -3 ? 0 : x >= 3 ? x : x * (x + 3) / 6;"),
}
