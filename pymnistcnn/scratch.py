"""The three layers of Victor Zhou's "CNNs from scratch" (victorzhou.com), one image at a time, as his text writes
them in NumPy: the same classes, attributes and steps, on this package's kernels.

His cnn.py runs with other imports and, from the same np.random.seed, learns the same:

    from pymnistcnn.scratch import Conv3x3, MaxPool2, Softmax, mnist

Images, and what becomes of them, are float64 in his layout, (h, w) or (h, w, filters).

>>> import numpy as np
>>> conv, pool, softmax = Conv3x3(8), MaxPool2(), Softmax(13 * 13 * 8, 10)
>>> image, label = mnist.train_images()[0] / 255 - 0.5, mnist.train_labels()[0]
>>> out = softmax.forward(pool.forward(conv.forward(image)))
>>> gradient = np.zeros(10)
>>> gradient[label] = -1 / out[label]  # of the loss, -log(out[label])
>>> conv.backprop(pool.backprop(softmax.backprop(gradient, 0.005)), 0.005).shape
(28, 28)
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from . import datasets, layers
from ._types import Array, ArrayLike
from .checks import whole

__all__ = [
    "Conv3x3",
    "MaxPool2",
    "Softmax",
    "mnist",
]


class OneImage:
    """A layer that sees one image at a time; `isa` and `threads` as in `fit`.

    What the last forward got is in `last_input`; backprop needs nothing else of it.
    """

    isa: str | None = None
    threads: int | None = 1  # one image is too little to share
    last_input: np.ndarray | None = None

    def _forward(self, layer: Any, x: ArrayLike) -> Array:
        return layer.forward(x[None], threads=self.threads, isa=self.isa)[0]

    def _backward(self, layer: Any, x: ArrayLike, dy: ArrayLike) -> Array:
        self._forward(layer, x)
        return layer.backward(dy[None], threads=self.threads, isa=self.isa)[0]

    def _array(self, name: str, array: ArrayLike, *shapes: Any) -> Array:
        """float64 of one of these shapes, -1 standing for any size but 0; else a ValueError."""
        array = np.asarray(array, np.float64)
        for shape in shapes:
            if (
                array.size
                and array.ndim == len(shape)
                and all(n in (m, -1) for n, m in zip(shape, array.shape, strict=True))
            ):
                return array
        expected = " or ".join(str(shape).replace("-1", "any") for shape in shapes)
        raise ValueError(f"{name} of {type(self).__name__} must have shape {expected}, not {array.shape}")

    def _last_input(self) -> Array:
        if self.last_input is None:
            raise RuntimeError(f"backprop of {type(self).__name__} needs an input: forward was not called")
        return self.last_input


class Conv3x3(OneImage):
    """Convolution with 3x3 filters, without padding, bias and activation.

    It may be any layer of a network: unlike the text's it takes inputs (h, w, channels) too, and backprop returns
    the gradient of the input.

    Parameters
    ----------
    num_filters : int

    Attributes
    ----------
    filters : (num_filters, 3, 3), normal / 9 from np.random. If the first input has several channels, they are
        drawn anew, (num_filters, 3, 3, channels), normal / (9 * channels)
    last_input : what the last forward got

    Examples
    --------
    >>> conv = Conv3x3(1)
    >>> conv.filters[0] = [[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]]  # vertical Sobel
    >>> conv.forward([[0, 50, 0, 29], [0, 80, 31, 2], [33, 90, 0, 75], [0, 9, 0, 95]])[:, :, 0]
    array([[  29., -192.],
           [ -35.,  -22.]])
    """

    filters: Array
    last_input: Array
    num_filters: int

    def __init__(self, num_filters: int) -> None:
        self.num_filters = whole("num_filters", num_filters)
        self.filters = self._drawn = np.random.randn(self.num_filters, 3, 3) / 9
        self._layer = None

    def iterate_regions(self, image: ArrayLike) -> Iterator[Any]:
        """Every 3x3 region of an image (h, w) or (h, w, channels), with its row and column."""
        h, w = image.shape[:2]
        for i in range(h - 2):
            for j in range(w - 2):
                yield image[i : i + 3, j : j + 3], i, j

    def forward(self, input: ArrayLike) -> Array:
        """(h - 2, w - 2, num_filters) of an input (h, w) or (h, w, channels)."""
        input = self._array("the input", input, (-1, -1), (-1, -1, -1))
        channels = input[0, 0].size
        if self.filters is self._drawn and channels > 1:
            self.filters = np.random.randn(self.num_filters, 3, 3, channels) / (9 * channels)
        self._drawn = None
        self.last_input = input
        return self._forward(*self._kernel(input)).transpose(1, 2, 0)

    def backprop(self, d_L_d_out: ArrayLike, learn_rate: float) -> Array:
        """The gradient of the input, for that of the output. The filters make a step."""
        input = self._last_input()
        h, w = input.shape[:2]
        d_L_d_out = self._array("the gradient", d_L_d_out, (h - 2, w - 2, self.num_filters))
        layer, x = self._kernel(input)
        d_L_d_input = self._backward(layer, x, d_L_d_out.transpose(2, 0, 1))
        d_L_d_filters = layer.gradients["weight"].transpose(0, 2, 3, 1)
        self.filters -= learn_rate * d_L_d_filters.reshape(self.filters.shape)
        return d_L_d_input.transpose(1, 2, 0).reshape(input.shape)

    def _kernel(self, input: ArrayLike) -> Any:
        """Our layer, with the filters in it, and the input in its layout."""
        x = np.atleast_3d(input).transpose(2, 0, 1)
        channels, shape = len(x), (self.num_filters, 3, 3)
        shapes = [(*shape, channels)] if channels > 1 else [shape, (*shape, 1)]
        self.filters = self._array("filters", self.filters, *shapes)
        if self._layer is None or self._layer.parameters["weight"].shape[1] != channels:
            self._layer = layers.Conv2d(self.num_filters, 3, bias=False).build(x.shape, "float64")
        weight = self._layer.parameters["weight"]
        weight[...] = self.filters.reshape(*shape, channels).transpose(0, 3, 1, 2)
        return self._layer, x


class MaxPool2(OneImage):
    """The largest value of every 2x2 region. What is left over at the end of an odd side is not seen.

    Where several values of a region are the largest, backprop gives the gradient to each of them, as the text's
    loop does. `pm.MaxPool2d` gives it to the first alone.

    Attributes
    ----------
    last_input : what the last forward got

    Examples
    --------
    >>> pool = MaxPool2()
    >>> pool.forward(np.reshape([1, 4, 4, 2], (2, 2, 1)))
    array([[[4.]]])
    >>> pool.backprop(np.reshape([0.5], (1, 1, 1)))[:, :, 0]
    array([[0. , 0.5],
           [0.5, 0. ]])
    """

    last_input: Array

    def __init__(self) -> None:
        self._layer = layers.MaxPool2d(2)

    def iterate_regions(self, image: ArrayLike) -> Iterator[Any]:
        """Every 2x2 region of an image (h, w, filters), with the row and column of its result."""
        h, w = image.shape[:2]
        for i in range(h // 2):
            for j in range(w // 2):
                yield image[2 * i : 2 * i + 2, 2 * j : 2 * j + 2], i, j

    def forward(self, input: ArrayLike) -> Array:
        """(h // 2, w // 2, filters) of an input (h, w, filters)."""
        self.last_input = self._array("the input", input, (-1, -1, -1))
        return self._largest(self.last_input)

    def backprop(self, d_L_d_out: ArrayLike) -> Array:
        """The gradient of the input, for that of the output."""
        input = self._last_input()
        h, w, filters = input.shape[0] // 2, input.shape[1] // 2, input.shape[2]
        d_L_d_out = self._array("the gradient", d_L_d_out, (h, w, filters))
        regions = input[: 2 * h, : 2 * w].reshape(h, 2, w, 2, filters)
        is_largest = regions == self._largest(input)[:, None, :, None]
        d_L_d_input = np.zeros(input.shape)
        d_L_d_input[: 2 * h, : 2 * w] = (is_largest * d_L_d_out[:, None, :, None]).reshape(2 * h, 2 * w, filters)
        return d_L_d_input

    def _largest(self, input: ArrayLike) -> Array:
        return self._forward(self._layer, input.transpose(2, 0, 1)).transpose(1, 2, 0)


class Softmax(OneImage):
    """A fully connected layer and softmax.

    Parameters
    ----------
    input_len : how many numbers an input has, in whatever shape
    nodes : classes

    Attributes
    ----------
    weights : (input_len, nodes), normal / input_len from np.random
    biases : (nodes,), zeros
    last_input, last_input_shape : what the last forward got, flattened, and its shape
    last_totals : (nodes,), what softmax was taken of

    Examples
    --------
    >>> softmax = Softmax(4, 4)
    >>> softmax.weights = np.eye(4)
    >>> softmax.forward([-1, 0, 3, 5]).round(3)
    array([0.002, 0.006, 0.118, 0.874])
    """

    biases: Array
    last_input: Array
    last_input_shape: tuple[int, ...]
    last_totals: Array
    weights: Array

    def __init__(self, input_len: int, nodes: int) -> None:
        input_len, nodes = whole("input_len", input_len), whole("nodes", nodes)
        self.weights = np.random.randn(input_len, nodes) / input_len
        self.biases = np.zeros(nodes)
        self._linear = layers.Linear(nodes).build((input_len,), "float64")
        self._softmax = layers.Softmax()

    def forward(self, input: ArrayLike) -> Array:
        """Probabilities (nodes,) of an input with input_len numbers."""
        input = np.asarray(input, np.float64)
        self.last_input = self._array("the flattened input", input.flatten(), (len(self.weights),))
        self.last_input_shape = input.shape
        self.last_totals = self._forward(self._kernel(), self.last_input)
        return self._forward(self._softmax, self.last_totals)

    def backprop(self, d_L_d_out: ArrayLike, learn_rate: float) -> Array:
        """The gradient of the input, for that of the output. Weights and biases make a step.

        The text's takes the first element of the gradient that is not 0 for the only one; this one takes all.
        """
        input = self._last_input()
        d_L_d_out = self._array("the gradient", d_L_d_out, self.biases.shape)
        d_L_d_t = self._backward(self._softmax, self.last_totals, d_L_d_out)
        linear = self._kernel()
        d_L_d_input = self._backward(linear, input, d_L_d_t)
        self.weights -= learn_rate * linear.gradients["weight"].T
        self.biases -= learn_rate * linear.gradients["bias"]
        return d_L_d_input.reshape(self.last_input_shape)

    def _kernel(self) -> Any:
        """Our layer, with the weights in it."""
        inside = self._linear.parameters
        self.weights = self._array("weights", self.weights, inside["weight"].shape[::-1])
        self.biases = self._array("biases", self.biases, inside["bias"].shape)
        inside["weight"][...], inside["bias"][...] = self.weights.T, self.biases
        return self._linear


class mnist:
    """The digits as the text's package `mnist` gives them: uint8, images (n, 28, 28) and labels (n,).

    Examples
    --------
    >>> mnist.train_images().shape, mnist.test_labels()[:5].tolist()
    ((60000, 28, 28), [7, 2, 1, 0, 4])
    """

    @staticmethod
    def train_images() -> Array:
        return datasets.mnist()[0].images

    @staticmethod
    def train_labels() -> Array:
        return datasets.mnist()[0].labels

    @staticmethod
    def test_images() -> Any:
        return datasets.mnist()[1].images

    @staticmethod
    def test_labels() -> Array:
        return datasets.mnist()[1].labels
