"""What each layer of a network computes of a picture."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._types import Array, Shape
from ..layers import Flatten, Layer, Rescaling
from ..layers.randomness import RANDOM
from ..model import Sequential
from ..network import shapes_through
from ..predictor import Predictor

ALIKE = (*RANDOM, Flatten, Rescaling)  # what they give looks as what they get


class Stages:
    """The layers of a network as predictors of their own, which any number of threads may call."""

    stages: list[tuple[Layer, Predictor]]

    def __init__(self, network: Any) -> None:
        shapes = shapes_through(network.layers, network.input_shape)
        self.stages = [
            (layer, predictor_of(layer, shape, network.dtype.name))
            for layer, shape in zip(network.layers, shapes, strict=False)
        ]

    def __call__(self, x: Array) -> list[tuple[str, np.ndarray]]:
        """Each layer by its name, and its output, for inputs (1, ...); without those that are nothing to look at."""
        seen = []
        for layer, predictor in self.stages:
            x = predictor(x)
            if not isinstance(layer, ALIKE):
                seen.append((str(layer), x[0]))
        return seen


def predictor_of(layer: Layer, shape: Shape, dtype: str) -> Predictor:
    """A predictor of one layer."""
    alone = Sequential([layer.unbuilt()], shape, dtype=dtype)
    alone.load_state_dict({f"0.{name}": weights for name, weights in (layer.parameters | layer.buffers).items()})
    return alone.predictor(batch=1, threads=1)
