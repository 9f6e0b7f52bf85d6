"""A network that only answers: frozen, its weights packed once, for servers and many threads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ._native import Plan
from ._types import Array, ArrayLike, Shape
from .checks import names_in, whole
from .datasets import Dataset
from .layers import Layer, LogSoftmax, Sigmoid, Softmax
from .network import Network, aligned_zeros, checked_threads, lowered
from .plan import prediction_plan
from .target import target_of

__all__ = ["Predictor"]

BATCH = 512  # in shards of as many pictures as may share weights that are in L1


def classes_of(outputs: Array) -> np.ndarray:
    """The class (n,) with the largest of outputs (n, classes), or, of a single one, its value. ValueError where one is
    NaN."""
    classes = outputs.argmax(axis=1)  # NaN counts as the largest
    undecided = np.isnan(outputs[np.arange(len(outputs)), classes])
    if undecided.any():
        raise ValueError(f"inputs {names_in(np.flatnonzero(undecided))} have NaN among their outputs: they, or the "
                         "network's weights, hold NaN or infinity")  # fmt: skip
    return outputs[:, 0] if outputs.shape[1] == 1 else classes


def probabilities_of(outputs: Array, last: Layer) -> np.ndarray:
    """Probabilities (n, classes) of outputs: softmax, unless the last layer gives them."""
    if isinstance(last, (Sigmoid, Softmax)):
        return outputs
    if isinstance(last, LogSoftmax):
        return np.exp(outputs)
    if outputs.shape[1] == 1:
        raise ValueError("this network has one output, which is a value, no probability: predict gives it")
    with np.errstate(invalid="ignore"):  # of infinity, NaN
        powers = np.exp(outputs - outputs.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def log_probabilities_of(outputs: Array, last: Layer) -> np.ndarray:
    """Their logarithms, which stay apart where probabilities round to 0 or 1."""
    if isinstance(last, (Sigmoid, Softmax)):
        with np.errstate(divide="ignore"):
            return np.log(outputs)
    with np.errstate(invalid="ignore"):  # of infinity, NaN
        shifted = outputs - outputs.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


class Predictor:
    """What `Sequential.predictor` gives: the network as it was then, to be called from any number of threads.

    `predictor(inputs)` gives the last layer's outputs (n, classes) for inputs (n, *input_shape), with the bits of
    `Sequential.predict_outputs`. It pickles as its weights.

    Examples
    --------
    >>> import numpy as np, pymnistcnn as pm
    >>> model = pm.Sequential([pm.Linear(2, initializer=pm.initializers.Zeros())], input_shape=(3,))
    >>> predictor = model.predictor(batch=1)
    >>> predictor(np.ones((1, 3), np.float32))
    array([[0., 0.]], dtype=float32)
    >>> predictor.probabilities(np.ones((1, 3), np.float32))
    array([[0.5, 0.5]], dtype=float32)
    """

    def __init__(
        self,
        layers: Sequence[Layer],
        input_shape: Shape,
        param: Array,
        batch: int | None = None,
        threads: int | None = None,
        isa: str | None = None,
        device: str | None = None,
        precision: str | None = None,
    ) -> None:
        self._how = batch, threads, isa, device, precision
        target = target_of(isa, device, precision)
        self._threads = checked_threads(threads)
        frozen = aligned_zeros(len(param), param.dtype)
        frozen[:] = param
        self._network = Network(layers, input_shape, param.dtype, memory=(frozen, None))
        inference = lowered(layers, self._network.input_shape, inference=True)
        batch = BATCH if batch is None else whole("batch", batch)
        self._first = prediction_plan(inference, param.dtype, batch, target)
        self._idle: list[Plan] = [self._first]  # a call takes one, so that no two use the same workspaces

    @property
    def input_shape(self) -> tuple[Any, ...]:
        return self._network.input_shape

    @property
    def output_shape(self) -> tuple[Any, ...]:
        return self._network.output_shape

    @property
    def dtype(self) -> np.dtype:
        return self._network.dtype

    def __call__(self, inputs: ArrayLike | Dataset) -> np.ndarray:
        """The last layer's outputs (n, *output_shape) for inputs (n, *input_shape), or for a Dataset."""
        network = self._network
        x = network.inputs(inputs.images if isinstance(inputs, Dataset) else inputs)
        y = np.empty((len(x), *network.shapes[-1]), network.dtype)
        try:
            plan = self._idle.pop()
        except IndexError:
            plan = self._first.copy()
        try:
            plan.predict(x, y, network.param, self._threads)
        finally:
            self._idle.append(plan)
        return y

    def classes(self, inputs: ArrayLike) -> np.ndarray:
        """The class (n,) with the largest output for each of inputs (n, *input_shape). ValueError where an output is
        NaN."""
        return classes_of(self(inputs))

    def probabilities(self, inputs: ArrayLike) -> np.ndarray:
        """Probabilities (n, classes): softmax of the outputs, unless the network ends in Softmax or LogSoftmax."""
        return probabilities_of(self(inputs), self._network.layers[-1])

    def __repr__(self) -> str:
        return f"Predictor({self._network.layers}, input_shape={self.input_shape})"

    def __reduce__(self) -> tuple[Any, ...]:
        network = self._network
        return Predictor, (network.layers, network.input_shape, np.array(network.param), *self._how)
