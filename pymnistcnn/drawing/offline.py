"""The page as one file with the network in it, which works without a server and without a network connection."""

from __future__ import annotations

import base64
import gzip
from collections.abc import Callable
from typing import Any

import numpy as np

from .._types import Array, Shape, StrPath
from ..datasets import atomic_write
from ..layers import (
    AvgPool2d,
    BatchNorm1d,
    BatchNorm2d,
    Conv2d,
    Flatten,
    GlobalAvgPool2d,
    Layer,
    Linear,
    LogSoftmax,
    MaxPool2d,
    Rescaling,
    Residual,
    Sigmoid,
    Softmax,
    activations,
)
from ..layers.randomness import RANDOM
from ..network import shapes_through
from .page import SHARED, page_of
from .saving import folder_names
from .stages import ALIKE

EXAMPLES = 100  # of each class, that are in the page
NAMES = (
    *("planes", "resampling", "ink", "parts", "sheet", "digits", "opening"),
    *("activations", "network", "nearest", "zip", "offline"),
)
SCRIPTS = (*SHARED, *(f"offline/{name}" for name in NAMES))


def write(
    path: StrPath, network: Any, name: str, classes: list[str], white: float = 255,
    examples: Array | None = None, labels: list[str] | None = None,
) -> None:  # fmt: skip
    """Write the page.

    network : with inputs (1, h, w); ValueError, with the layer's name, for what the page cannot compute
    name : what the page calls it
    classes : their names; none, if the one output is a value
    white : the value of a pixel that is full, in the network's inputs
    examples, labels : training pictures, uint8 (n, h, w), and the name of the class of each; or None
    """
    writer = Writer()
    shapes = shapes_through(network.layers, network.input_shape)
    layers = [writer.described(layer, shape) for layer, shape in zip(network.layers, shapes, strict=False)]
    weights = np.concatenate([*writer.weights, np.zeros(0, np.float32)])
    about = {
        "name": name,
        "classes": classes,
        "folders": folder_names(classes),
        "inputShape": network.input_shape,
        "white": white,
        "outputs": kind_of_outputs(network.layers[-1]),
        "layers": layers,
        "weights": {"shape": weights.shape, "data": in_base64(weights.astype("<f4").tobytes())},
        "examples": False if examples is None else examples_in(examples, labels),
    }
    page = page_of(about, SCRIPTS, connect="'none'").encode()
    with atomic_write(path) as file:
        file.write(page)


def kind_of_outputs(last: Layer) -> str:
    if isinstance(last, (Sigmoid, Softmax)):
        return "probabilities"
    return "logarithms" if isinstance(last, LogSoftmax) else "scores"


def examples_in(examples: Array, labels: list[str]) -> dict[str, Any]:
    """The first of each class."""
    names = np.array(labels)
    chosen = np.sort(np.concatenate([np.flatnonzero(names == name)[:EXAMPLES] for name in dict.fromkeys(labels)]))
    height, width = examples.shape[-2:]
    pixels = gzip.compress(np.ascontiguousarray(examples[chosen]).tobytes(), mtime=0)
    return {"height": height, "width": width, "pixels": in_base64(pixels), "names": names[chosen].tolist()}


def in_base64(content: bytes) -> str:
    return base64.b64encode(content).decode()


class Writer:
    """Describes layers as network.js takes them; the weights are collected."""

    size: int

    def __init__(self) -> None:
        self.weights: list[np.ndarray] = []
        self.size = 0

    def described(self, layer: Layer, shape: Shape) -> dict[str, Any]:
        if type(layer) not in DESCRIBED:
            raise ValueError(f"{layer} cannot be computed by a page")
        arrays = layer.parameters | layer.buffers
        if not isinstance(layer, Residual) and any(not np.isfinite(array).all() for array in arrays.values()):
            raise ValueError(f"{layer} cannot be computed by a page: it has weights of NaN or infinity")
        about = DESCRIBED[type(layer)](self, layer, shape)
        common = {"kind": type(layer).__name__, "label": str(layer), "shape": layer.output_shape(shape)}
        return common | {"isShown": not isinstance(layer, ALIKE)} | about

    def put(self, **arrays: Array) -> dict[str, Any]:
        """Where in the weights arrays are, by name."""
        places = {}
        for name, array in arrays.items():
            places[name] = {"at": self.size, "shape": array.shape}
            self.weights.append(np.asarray(array, np.float32).ravel())
            self.size += array.size
        return places

    def conv(self, layer: Conv2d, shape: Shape) -> dict[str, Any]:
        settings = {name: getattr(layer, name) for name in ("kernel_size", "stride", "dilation", "groups")}
        return settings | {"sides": layer._sides} | self.put(**layer.parameters)

    def linear(self, layer: Linear, shape: Shape) -> dict[str, Any]:
        return self.put(**layer.parameters)

    def norm(self, layer: BatchNorm1d | BatchNorm2d, shape: Shape) -> dict[str, Any]:
        mean, variance = (layer.buffers[name].astype(float) for name in ("running_mean", "running_var"))
        scale = layer.parameters.get("weight", 1) / np.sqrt(variance + layer.eps)
        return {"kind": "Affine"} | self.put(scale=scale, shift=layer.parameters.get("bias", 0) - mean * scale)

    def pool(self, layer: MaxPool2d | AvgPool2d, shape: Shape) -> dict[str, Any]:
        window = {"window": layer.kernel_size, "stride": layer._steps, "sides": layer._sides}
        return layer.settings() | window | {"dilation": layer._taps}

    def global_pool(self, layer: GlobalAvgPool2d, shape: Shape) -> dict[str, Any]:
        window = {"window": shape[1:], "stride": shape[1:], "sides": (0, 0, 0, 0), "dilation": (1, 1)}
        return {"kind": "AvgPool2d"} | window

    def residual(self, layer: Residual, shape: Shape) -> dict[str, Any]:
        shapes = shapes_through(layer.layers, shape)
        inside = [self.described(each, before) for each, before in zip(layer.layers, shapes, strict=False)]
        # a projection that was not given is not among its fields, but the last of the layers inside
        held = [each for each, _ in layer.inside(shape)][len(layer.layers) :]
        return {"layers": inside, "projection": self.described(held[0], shape) if held else None}

    def same(self, layer: Layer, shape: Shape) -> dict[str, Any]:
        return {"kind": "Same"}

    def settings(self, layer: Layer, shape: Shape) -> dict[str, Any]:
        return layer.settings()


DESCRIBED: dict[type[Layer], Callable[..., dict[str, Any]]] = {
    **{getattr(activations, name): Writer.settings for name in activations.__all__},
    **dict.fromkeys((*RANDOM, Flatten), Writer.same),
    Rescaling: Writer.settings,
    Conv2d: Writer.conv,
    Linear: Writer.linear,
    BatchNorm1d: Writer.norm,
    BatchNorm2d: Writer.norm,
    MaxPool2d: Writer.pool,
    AvgPool2d: Writer.pool,
    GlobalAvgPool2d: Writer.global_pool,
    Residual: Writer.residual,
}
