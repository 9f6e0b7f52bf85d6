"""A batch norm in the convolution or linear layer before it: one layer that predicts what both do."""

from __future__ import annotations

from typing import Any

import numpy as np


def folded(parameters: Any, statistics: Any, eps: Any) -> dict[str, np.ndarray]:
    """Weight and bias. statistics: weight, bias, running_mean and running_var of the batch norm."""
    arrays = {name: np.asarray(array, np.float64) for name, array in statistics.items()}
    scale = arrays["weight"] / np.sqrt(arrays["running_var"] + eps)
    weight, bias = parameters["weight"], parameters.get("bias", 0.0)
    columns = scale.reshape(-1, *[1] * (weight.ndim - 1))
    return dict(weight=weight * columns, bias=(bias - arrays["running_mean"]) * scale + arrays["bias"])
