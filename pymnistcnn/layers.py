"""Layers: fields, the shape they give, and how they lower themselves into a plan.

Shapes are PyTorch's, without the batch: (channels, height, width) or (features,). Every layer also works by
hand, on NumPy arrays with the batch first:

>>> import numpy as np, pymnistcnn as pm
>>> layer = pm.Linear(3)
>>> y = layer.forward(np.ones((2, 4), np.float32))
>>> dx = layer.backward(np.ones_like(y))
>>> dx.shape, layer.gradients["weight"].shape
((2, 4), (3, 4))
"""

from __future__ import annotations

import math
from dataclasses import MISSING, dataclass, field, fields

import numpy as np

from ._native import Constant
from .initializers import Initializer, PyTorchDefault
from .network import Network


def whole(name, value, low=1):
    """A whole number of at least `low`."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < low or value >= 2**31:
        raise ValueError(f"{name} must be a whole number from {low} on, not {value!r}")
    return int(value)


def pair(name, value, low=1):
    """A number, or two: (vertical, horizontal)."""
    if isinstance(value, (tuple, list)):
        if len(value) != 2:
            raise ValueError(f"{name} must be a number or (vertical, horizontal), not {value!r}")
        return tuple(whole(name, v, low) for v in value)
    return (whole(name, value, low),) * 2


def yes_or_no(name, value):
    if not isinstance(value, (bool, np.bool_)):
        raise ValueError(f"{name} must be True or False, not {value!r}")
    return bool(value)


def checked_initializer(value):
    if not isinstance(value, Initializer):
        raise ValueError(f"initializer must be an initializer, such as GlorotNormal(), not {value!r}")
    return value


class Layer:
    """A layer is fields and two short methods, `output_shape` and `lower`; the rest is here.

    By hand, `forward` makes the layer's weights from the first input's shape (or call `build`), `backward`
    gives the gradient of the inputs and fills `gradients`.
    """

    _network: Network | None = None  # of this layer alone; in a model it shares the model's weights
    _in_model = False

    def output_shape(self, shape: tuple) -> tuple:
        """The shape of one sample after this layer; ValueError if `shape` does not fit."""
        return shape

    def __repr__(self):
        """As one would write it: what has no default by position, what differs from its default by name."""
        shown = []
        for f in fields(self):
            value = getattr(self, f.name)
            default = f.default_factory() if f.default_factory is not MISSING else f.default
            if isinstance(value, tuple) and len(set(value)) == 1:
                value = value[0]
            if default is MISSING:
                shown.append(f"{value!r}")
            elif value != default:
                shown.append(f"{f.name}={value!r}")
        return f"{type(self).__name__}({', '.join(shown)})"

    def lower(self, builder) -> None:
        """Tell a plan.PlanBuilder what this layer does."""
        raise NotImplementedError

    def initialize(self, name, rng, weight_shape):
        """The first values of a parameter."""
        if name == "bias":
            return self.initializer.bias(weight_shape, rng)
        return self.initializer(weight_shape, rng)

    def multiply_adds(self, shape: tuple) -> int:
        """Multiplications for one sample of input shape `shape`, forward."""
        return 0

    def settings(self) -> dict:
        """The fields, by name, that say what the layer computes: all but the initializer."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name != "initializer"}

    # ---- by hand ----

    def build(self, input_shape, dtype="float32", seed=0):
        """Make this layer's weights for inputs (n, *input_shape); returns the layer."""
        if self._in_model:
            raise ValueError(f"{self} belongs to a model, which has built it")
        self._network = Network([self], input_shape, dtype, seed)
        return self

    def forward(self, x, training=True, isa=None, threads=None) -> np.ndarray:
        """y for x (n, ...). With `training`, what `backward` needs is kept and dropout is on."""
        x = np.asarray(x)
        dtype = np.dtype(np.float64 if x.dtype == np.float64 else np.float32)
        network = self._network
        if network is None:
            network = Network([self], x.shape[1:], dtype)
            network.inputs(x)  # what is refused must leave no trace
            self._network = network
        elif not self._in_model and (network.input_shape != x.shape[1:] or network.dtype != dtype):
            network = self._rebuilt(x.shape[1:], dtype)
        return network.forward(x, training, isa, threads)

    def backward(self, dy, isa=None, threads=None) -> np.ndarray:
        """dx for dy, the gradient of the last forward's y. RuntimeError without that forward's state."""
        if self._network is None:
            raise RuntimeError("backward needs the state of a forward pass: forward was not called")
        return self._network.backward(dy, isa, threads)

    def _rebuilt(self, shape, dtype):
        """For another picture size or dtype; the weights stay."""
        old = self._network
        new = Network([self], shape, dtype, old.seed)
        if [p.shape for p in new.parameters] != [p.shape for p in old.parameters]:
            raise ValueError(f"{self} was built for inputs (n, {old.input_shape}), not (n, {tuple(shape)})")
        for to, weights in zip(new.views(new.param), old.views(old.param), strict=True):
            to[...] = weights
        self._network = new
        return new

    def _named(self, flat):
        network = self._network
        if network is None:
            return {}
        flat = getattr(network, flat)
        return {p.name: p.view(flat) for p in network.parameters}

    @property
    def parameters(self) -> dict[str, np.ndarray]:
        """Weights by name, in PyTorch's shapes: views, so that writing to them sets the weights."""
        return self._named("param")

    @property
    def gradients(self) -> dict[str, np.ndarray]:
        """Gradients of the last backward, by name, like `parameters`."""
        return self._named("gradient")


@dataclass(eq=False, repr=False)
class Rescaling(Layer):
    """y = x * scale + offset, saved with the model; must come first. Pixels 0-255 go through a table.

    Examples
    --------
    >>> import numpy as np, pymnistcnn as pm
    >>> pm.Rescaling(1 / 255).forward(np.array([[0, 255]], np.uint8))
    array([[0., 1.]], dtype=float32)
    """

    scale: float
    offset: float = 0.0

    def __post_init__(self):
        for name in ("scale", "offset"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) < 1e300:
                raise ValueError(f"{name} must be a finite number, not {value!r}")
            setattr(self, name, float(value))

    def lower(self, builder):
        builder.rescale(self.scale, self.offset)


@dataclass(eq=False, repr=False)
class Conv2d(Layer):
    """2-D convolution (cross-correlation, as in PyTorch) of (c, h, w) to (out_channels, oh, ow).

    Parameters
    ----------
    out_channels : int
    kernel_size, stride, dilation : a number or (vertical, horizontal)
    padding : zeros around the input: a number, (vertical, horizontal), (top, bottom, left, right), or "same"
        (stride 1: the output is as large as the input)
    groups : input and output channels are cut into so many groups that do not see each other
    bias : whether to add one number per output channel
    initializer : of the weights; PyTorch's default start if not given

    Parameters by name: weight (out_channels, c / groups, kh, kw), bias (out_channels,).

    Examples
    --------
    >>> import numpy as np, pymnistcnn as pm
    >>> pm.Conv2d(16, 3, padding=1).forward(np.zeros((2, 1, 28, 28), np.float32)).shape
    (2, 16, 28, 28)
    """

    out_channels: int
    kernel_size: int | tuple
    stride: int | tuple = 1
    padding: int | tuple | str = 0
    dilation: int | tuple = 1
    groups: int = 1
    bias: bool = True
    initializer: Initializer = field(default_factory=PyTorchDefault)

    def __post_init__(self):
        self.out_channels, self.groups = (
            whole("out_channels", self.out_channels),
            whole("groups", self.groups),
        )
        self.kernel_size, self.stride = pair("kernel_size", self.kernel_size), pair("stride", self.stride)
        self.dilation, self.bias = pair("dilation", self.dilation), yes_or_no("bias", self.bias)
        self.initializer = checked_initializer(self.initializer)
        if self.out_channels % self.groups:
            raise ValueError(f"groups must divide out_channels: {self.groups} does not divide {self.out_channels}")
        if self.padding == "same":
            if self.stride != (1, 1):
                raise ValueError(f'padding "same" needs stride 1, not {self.stride}')
        elif isinstance(self.padding, (tuple, list)) and len(self.padding) == 4:
            self.padding = tuple(whole("padding", p, 0) for p in self.padding)
        elif isinstance(self.padding, str):
            raise ValueError(f'padding must be numbers or "same", not {self.padding!r}')
        else:
            self.padding = pair("padding", self.padding, 0)

    @property
    def _span(self):
        """Pixels that the dilated kernel covers."""
        return tuple(d * (k - 1) + 1 for k, d in zip(self.kernel_size, self.dilation, strict=True))

    @property
    def _sides(self):
        """(top, bottom, left, right)"""
        if self.padding == "same":
            return tuple(side for n in self._span for side in ((n - 1) // 2, n // 2))
        return self.padding if len(self.padding) == 4 else tuple(np.repeat(self.padding, 2).tolist())

    def output_shape(self, shape):
        if len(shape) != 3:
            raise ValueError(f"Conv2d needs pictures (channels, height, width), not {shape}")
        if shape[0] % self.groups:
            raise ValueError(f"groups must divide the input channels: {self.groups} does not divide {shape[0]}")
        top, bottom, left, right = self._sides
        sizes = []
        for n, span, step in zip((shape[1] + top + bottom, shape[2] + left + right), self._span, self.stride,
                                 strict=True):  # fmt: skip
            if span > n:
                raise ValueError(f"{self} on {shape}: a kernel that spans {span} pixels does not fit into {n}")
            sizes.append((n - span) // step + 1)
        return (self.out_channels, *sizes)

    def lower(self, builder):
        builder.conv(self.output_shape(builder.shape), self.kernel_size, self.stride, self._sides, self.dilation,
                     self.groups, self.bias)  # fmt: skip

    def multiply_adds(self, shape):
        return math.prod(self.output_shape(shape)) * shape[0] // self.groups * math.prod(self.kernel_size)


@dataclass(eq=False, repr=False)
class Linear(Layer):
    """y = x W' + b of (in,) to (out_features,); `in` is inferred.

    Parameters by name: weight (out_features, in), bias (out_features,).

    Examples
    --------
    >>> import numpy as np, pymnistcnn as pm
    >>> pm.Linear(10).forward(np.zeros((2, 1152), np.float32)).shape
    (2, 10)
    """

    out_features: int
    bias: bool = True
    initializer: Initializer = field(default_factory=PyTorchDefault)

    def __post_init__(self):
        self.out_features = whole("out_features", self.out_features)
        self.bias, self.initializer = yes_or_no("bias", self.bias), checked_initializer(self.initializer)

    def output_shape(self, shape):
        if len(shape) != 1:
            raise ValueError(f"Linear needs features (n,), not {shape}: put Flatten() before it")
        return (self.out_features,)

    def lower(self, builder):
        builder.linear(self.out_features, self.bias)

    def multiply_adds(self, shape):
        return shape[0] * self.out_features


@dataclass(eq=False, repr=False)
class MaxPool2d(Layer):
    """The largest value of every window, of (c, h, w) to (c, oh, ow). NaN is passed on.

    Parameters
    ----------
    kernel_size, stride : a number or (vertical, horizontal); stride is kernel_size if not given
    padding : at most half of kernel_size; padded positions never win

    Examples
    --------
    >>> import numpy as np, pymnistcnn as pm
    >>> pm.MaxPool2d(2).forward(np.arange(4, dtype=np.float32).reshape(1, 1, 2, 2))
    array([[[[3.]]]], dtype=float32)
    """

    kernel_size: int | tuple
    stride: int | tuple | None = None
    padding: int | tuple = 0

    def __post_init__(self):
        self.kernel_size = pair("kernel_size", self.kernel_size)
        self.stride = None if self.stride is None else pair("stride", self.stride)
        self.padding = pair("padding", self.padding, 0)
        if any(p > k // 2 for p, k in zip(self.padding, self.kernel_size, strict=True)):
            raise ValueError(f"padding must be at most half of kernel_size {self.kernel_size}, not {self.padding}")

    @property
    def _step(self):
        return self.stride or self.kernel_size

    def output_shape(self, shape):
        if len(shape) != 3:
            raise ValueError(f"MaxPool2d needs pictures (channels, height, width), not {shape}")
        sizes = []
        for n, kernel, step, p in zip(shape[1:], self.kernel_size, self._step, self.padding, strict=True):
            if kernel > n + 2 * p:
                raise ValueError(f"{self} on {shape}: a window of {kernel} pixels does not fit into {n + 2 * p}")
            sizes.append((n + 2 * p - kernel) // step + 1)
        return (shape[0], *sizes)

    def lower(self, builder):
        builder.max_pool(self.output_shape(builder.shape), self.kernel_size, self._step, self.padding)


@dataclass(eq=False, repr=False)
class ReLU(Layer):
    """max(x, 0), element by element; NaN is passed on.

    Examples
    --------
    >>> import numpy as np, pymnistcnn as pm
    >>> pm.ReLU().forward(np.array([[-1.0, 2.0]], np.float32))
    array([[0., 2.]], dtype=float32)
    """

    def lower(self, builder):
        builder.activation(Constant.RELU)


@dataclass(eq=False, repr=False)
class Tanh(Layer):
    """tanh(x), element by element.

    Examples
    --------
    >>> import numpy as np, pymnistcnn as pm
    >>> pm.Tanh().forward(np.zeros((1, 2), np.float32))
    array([[0., 0.]], dtype=float32)
    """

    def lower(self, builder):
        builder.activation(Constant.TANH)


@dataclass(eq=False, repr=False)
class Softmax(Layer):
    """Probabilities of (classes,) scores. Not before CrossEntropyLoss, which takes logits.

    Examples
    --------
    >>> import numpy as np, pymnistcnn as pm
    >>> pm.Softmax().forward(np.zeros((1, 2), np.float32))
    array([[0.5, 0.5]], dtype=float32)
    """

    def output_shape(self, shape):
        if len(shape) != 1:
            raise ValueError(f"Softmax needs scores (classes,), not {shape}: put Flatten() before it")
        return shape

    def lower(self, builder):
        builder.softmax()


@dataclass(eq=False, repr=False)
class Flatten(Layer):
    """(c, h, w) to (c * h * w,), in that order.

    Examples
    --------
    >>> import numpy as np, pymnistcnn as pm
    >>> pm.Flatten().forward(np.zeros((2, 32, 3, 3), np.float32)).shape
    (2, 288)
    """

    def output_shape(self, shape):
        return (math.prod(shape),)

    def lower(self, builder):
        builder.flatten()


@dataclass(eq=False, repr=False)
class Dropout(Layer):
    """In training, each element becomes 0 with probability p and the others are divided by 1 - p (Hinton et
    al., 2012); in evaluation nothing happens. Masks depend on seed, epoch, position and layer only.

    Examples
    --------
    >>> import numpy as np, pymnistcnn as pm
    >>> y = pm.Dropout(0.5).forward(np.ones((1, 1000), np.float32))
    >>> sorted(set(y.ravel().tolist()))
    [0.0, 2.0]
    """

    p: float = 0.5

    def __post_init__(self):
        if isinstance(self.p, bool) or not isinstance(self.p, (int, float)) or not 0 <= self.p < 1:
            raise ValueError(f"p must be a number from 0 to 1 (excluded), not {self.p!r}")

    def lower(self, builder):
        builder.dropout(self.p)
