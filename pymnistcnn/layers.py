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
from .network import Network, dtype_for


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


def number(name, value, low=0.0, high=1e300):
    """A finite number from `low` to `high`, as a float."""
    if isinstance(value, bool) or not isinstance(value, (int, float, np.number)) or not low <= value <= high:
        raise ValueError(f"{name} must be a number from {low:g} to {high:g}, not {value!r}")
    return float(value)


def checked_initializer(value):
    if not isinstance(value, Initializer):
        raise ValueError(f"initializer must be an initializer, such as GlorotNormal(), not {value!r}")
    return value


class Layer:
    """A layer is fields and two short methods, `output_shape` and `lower`; the rest is here.

    By hand, `forward` makes the layer's weights from the first input's shape (or call `build`), `backward`
    gives the gradient of the inputs and fills `gradients`.
    """

    in_pytorch = True  # does it count in the names of state_dict?
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
        dtype = dtype_for(x)
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

    def _named(self, flat, trained):
        network = self._network
        if network is None:
            return {}
        flat = getattr(network, flat)
        return {p.name: p.view(flat) for p in network.parameters if p.trained == trained}

    @property
    def parameters(self) -> dict[str, np.ndarray]:
        """Weights by name, in PyTorch's shapes: views, so that writing to them sets the weights."""
        return self._named("param", trained=True)

    @property
    def buffers(self) -> dict[str, np.ndarray]:
        """What is learnt without a gradient, by name, such as running means: views."""
        return self._named("param", trained=False)

    @property
    def gradients(self) -> dict[str, np.ndarray]:
        """Gradients of the last backward, by name, like `parameters`."""
        return self._named("gradient", trained=True)


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
    in_pytorch = False

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


class Window(Layer):
    """What pooling layers share: a window that goes over pictures."""

    def __post_init__(self):
        self.kernel_size = pair("kernel_size", self.kernel_size)
        self.stride = None if self.stride is None else pair("stride", self.stride)
        self.padding, self.ceil_mode = pair("padding", self.padding, 0), yes_or_no("ceil_mode", self.ceil_mode)
        if any(p > k // 2 for p, k in zip(self.padding, self.kernel_size, strict=True)):
            raise ValueError(f"padding must be at most half of kernel_size {self.kernel_size}, not {self.padding}")

    @property
    def _steps(self):
        return self.stride or self.kernel_size

    @property
    def _taps(self):
        """Pixels from one tap of the window to the next."""
        return (1, 1)

    @property
    def _spans(self):
        return tuple(d * (k - 1) + 1 for k, d in zip(self.kernel_size, self._taps, strict=True))

    def output_shape(self, shape):
        if len(shape) != 3:
            raise ValueError(f"{type(self).__name__} needs pictures (channels, height, width), not {shape}")
        axes = zip(shape[1:], self._spans, self._steps, self.padding, strict=True)
        return (shape[0], *(self._cells(shape, *axis) for axis in axes))

    def _cells(self, shape, n, span, step, padding):
        """How many windows there are along an axis of n pixels."""
        cells = (n + 2 * padding - span + (step - 1) * self.ceil_mode) // step + 1
        if self.ceil_mode and (cells - 1) * step >= n + padding:
            cells -= 1  # the last must begin in the picture, or before it
        if cells < 1:
            raise ValueError(f"{self} on {shape}: a window of {span} pixels does not fit into {n + 2 * padding}")
        return cells


@dataclass(eq=False, repr=False)
class MaxPool2d(Window):
    """The largest value of every window, of (c, h, w) to (c, oh, ow). NaN is passed on.

    Parameters
    ----------
    kernel_size, stride, dilation : a number or (vertical, horizontal); stride is kernel_size if not given
    padding : at most half of kernel_size; padded positions never win, and a window of them alone gives -inf
    ceil_mode : windows may reach over the end, if they begin inside

    Examples
    --------
    >>> import numpy as np, pymnistcnn as pm
    >>> pm.MaxPool2d(2).forward(np.arange(4, dtype=np.float32).reshape(1, 1, 2, 2))
    array([[[[3.]]]], dtype=float32)
    """

    kernel_size: int | tuple
    stride: int | tuple | None = None
    padding: int | tuple = 0
    dilation: int | tuple = 1
    ceil_mode: bool = False

    def __post_init__(self):
        self.dilation = pair("dilation", self.dilation)
        super().__post_init__()

    @property
    def _taps(self):
        return self.dilation

    def lower(self, builder):
        shape = self.output_shape(builder.shape)
        builder.max_pool(shape, self.kernel_size, self._steps, self.padding, self.dilation)


@dataclass(eq=False, repr=False)
class AvgPool2d(Window):
    """The mean of every window, of (c, h, w) to (c, oh, ow).

    Parameters
    ----------
    kernel_size, stride : a number or (vertical, horizontal); stride is kernel_size if not given
    padding : zeros around the input, at most half of kernel_size
    ceil_mode : windows may reach over the end, if they begin inside
    count_include_pad : whether the zeros of the padding count in the mean

    Examples
    --------
    >>> import numpy as np, pymnistcnn as pm
    >>> pm.AvgPool2d(2).forward(np.arange(4, dtype=np.float32).reshape(1, 1, 2, 2))
    array([[[[1.5]]]], dtype=float32)
    """

    kernel_size: int | tuple
    stride: int | tuple | None = None
    padding: int | tuple = 0
    ceil_mode: bool = False
    count_include_pad: bool = True

    def __post_init__(self):
        super().__post_init__()
        self.count_include_pad = yes_or_no("count_include_pad", self.count_include_pad)

    def lower(self, builder):
        shape = self.output_shape(builder.shape)
        builder.average_pool(shape, self.kernel_size, self._steps, self.padding, self.count_include_pad)


@dataclass(eq=False, repr=False)
class GlobalAvgPool2d(Layer):
    """The mean of every channel, of (c, h, w) to (c, 1, 1): PyTorch's AdaptiveAvgPool2d(1) (Lin, Chen and Yan,
    2014).

    Examples
    --------
    >>> import numpy as np, pymnistcnn as pm
    >>> pm.GlobalAvgPool2d().forward(np.arange(4, dtype=np.float32).reshape(1, 1, 2, 2))
    array([[[[1.5]]]], dtype=float32)
    """

    def output_shape(self, shape):
        if len(shape) != 3:
            raise ValueError(f"GlobalAvgPool2d needs pictures (channels, height, width), not {shape}")
        return (shape[0], 1, 1)

    def lower(self, builder):
        window = builder.shape[1:]
        builder.average_pool(self.output_shape(builder.shape), window, window, (0, 0), False)


class BatchNorm(Layer):
    """What BatchNorm1d and BatchNorm2d share."""

    def __post_init__(self):
        self.eps, self.affine = number("eps", self.eps, 1e-30, 1), yes_or_no("affine", self.affine)
        if self.momentum is not None:
            self.momentum = number("momentum", self.momentum, 0, 1)

    def initialize(self, name, rng, weight_shape):
        return 1 if name in ("weight", "running_var") else 0

    def lower(self, builder):
        self.output_shape(builder.shape)
        builder.batch_norm(self.eps, self.momentum, self.affine)


@dataclass(eq=False, repr=False)
class BatchNorm2d(BatchNorm):
    """Batch norm of every channel of (c, h, w) (Ioffe and Szegedy, 2015), as PyTorch has it: in training with
    the batch's mean and variance, else with running ones, which a convolution before it then takes in.

    Parameters
    ----------
    eps : added to the variance
    momentum : how far the running statistics move to the batch's at each step; None for the mean of all steps
    affine : whether there are a weight and a bias

    Parameters by name: weight (c,), bias (c,); buffers: running_mean (c,), running_var (c,),
    num_batches_tracked (). A channel with a single value in the batch gets its bias.

    Examples
    --------
    >>> import numpy as np, pymnistcnn as pm
    >>> x = np.array([1, 3], np.float32).reshape(2, 1, 1, 1)
    >>> pm.BatchNorm2d().forward(x).ravel().round(3)
    array([-1.,  1.], dtype=float32)
    """

    eps: float = 1e-5
    momentum: float | None = 0.1
    affine: bool = True

    def output_shape(self, shape):
        if len(shape) != 3:
            raise ValueError(f"BatchNorm2d needs pictures (channels, height, width), not {shape}")
        return shape


@dataclass(eq=False, repr=False)
class BatchNorm1d(BatchNorm):
    """Batch norm of every feature of (n,): see BatchNorm2d.

    Examples
    --------
    >>> import numpy as np, pymnistcnn as pm
    >>> pm.BatchNorm1d().forward(np.array([[1], [3]], np.float32)).ravel().round(3)
    array([-1.,  1.], dtype=float32)
    """

    eps: float = 1e-5
    momentum: float | None = 0.1
    affine: bool = True

    def output_shape(self, shape):
        if len(shape) != 1:
            raise ValueError(f"BatchNorm1d needs features (n,), not {shape}: pictures want BatchNorm2d")
        return shape


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
class LeakyReLU(Layer):
    """x, or negative_slope * x below 0, element by element (Maas, Hannun and Ng, 2013).

    Examples
    --------
    >>> import numpy as np, pymnistcnn as pm
    >>> pm.LeakyReLU(0.5).forward(np.array([[-1.0, 2.0]], np.float32))
    array([[-0.5,  2. ]], dtype=float32)
    """

    negative_slope: float = 0.01

    def __post_init__(self):
        self.negative_slope = number("negative_slope", self.negative_slope, 0, 1e6)

    def lower(self, builder):
        builder.activation(Constant.LEAKY_RELU, self.negative_slope)


@dataclass(eq=False, repr=False)
class ELU(Layer):
    """x, or alpha * (exp(x) - 1) below 0, element by element (Clevert, Unterthiner and Hochreiter, 2016).

    Examples
    --------
    >>> import numpy as np, pymnistcnn as pm
    >>> pm.ELU().forward(np.array([[-100.0, 2.0]], np.float32))
    array([[-1.,  2.]], dtype=float32)
    """

    alpha: float = 1.0

    def __post_init__(self):
        self.alpha = number("alpha", self.alpha, 0, 1e6)

    def lower(self, builder):
        builder.activation(Constant.ELU, self.alpha)


@dataclass(eq=False, repr=False)
class Sigmoid(Layer):
    """1 / (1 + exp(-x)), element by element.

    Examples
    --------
    >>> import numpy as np, pymnistcnn as pm
    >>> pm.Sigmoid().forward(np.zeros((1, 2), np.float32))
    array([[0.5, 0.5]], dtype=float32)
    """

    def lower(self, builder):
        builder.activation(Constant.SIGMOID)


@dataclass(eq=False, repr=False)
class Softplus(Layer):
    """log(1 + exp(beta * x)) / beta, element by element; x itself where beta * x is above the threshold, which
    must be 15 or more: below, the gradient could not be told from the output.

    Examples
    --------
    >>> import numpy as np, pymnistcnn as pm
    >>> pm.Softplus().forward(np.array([[0.0, 30.0]], np.float32)).round(4)
    array([[ 0.6931, 30.    ]], dtype=float32)
    """

    beta: float = 1.0
    threshold: float = 20.0

    def __post_init__(self):
        self.beta = number("beta", self.beta, 1e-6, 1e6)
        self.threshold = number("threshold", self.threshold, 15, 1e6)

    def lower(self, builder):
        builder.activation(Constant.SOFTPLUS, self.beta, self.threshold)


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
class LogSoftmax(Layer):
    """Logarithms of the probabilities of (classes,) scores, for NLLLoss.

    Examples
    --------
    >>> import numpy as np, pymnistcnn as pm
    >>> pm.LogSoftmax().forward(np.zeros((1, 2), np.float32)).round(4)
    array([[-0.6931, -0.6931]], dtype=float32)
    """

    def output_shape(self, shape):
        if len(shape) != 1:
            raise ValueError(f"LogSoftmax needs scores (classes,), not {shape}: put Flatten() before it")
        return shape

    def lower(self, builder):
        builder.log_softmax()


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


@dataclass(eq=False, repr=False)
class GaussianNoise(Layer):
    """In training, normal numbers with standard deviation `std` are added; in evaluation nothing happens. The
    noise of a picture depends on seed, epoch, layer and the picture's index in the data set only.

    Examples
    --------
    >>> import numpy as np, pymnistcnn as pm
    >>> y = pm.GaussianNoise(0.1).forward(np.ones((1, 1000), np.float32))
    >>> round(float(y.std()), 2), round(float(y.mean()), 1)
    (0.1, 1.0)
    """

    std: float
    in_pytorch = False

    def __post_init__(self):
        self.std = number("std", self.std, 0, 1e6)

    def lower(self, builder):
        builder.noise(self.std)


@dataclass(eq=False, repr=False)
class Augmentation(Layer):
    """In training, each picture is seen through a random map; in evaluation nothing happens. The map depends
    on seed, epoch, layer and the picture's index in the data set only. Put it behind Rescaling.

    Each number is the most that may happen, in either direction; all are drawn uniformly.

    Parameters
    ----------
    shift : pixels, along each axis
    rotation, shear : degrees, up to 180 and 80
    scale : share of the size, below 1
    elastic : pixels times a field of random displacements in [-1, 1], blurred by a Gaussian of
        `elastic_sigma` pixels (Simard, Steinkraus and Platt, 2003)
    cutout : side, in pixels, of a square that is covered, its centre anywhere (DeVries and Taylor, 2017)
    fill : what is outside and under the square; what Rescaling makes of a black pixel if not given

    Examples
    --------
    >>> import numpy as np, pymnistcnn as pm
    >>> x = np.zeros((1, 1, 28, 28), np.float32)
    >>> x[..., 10:18, 10:18] = 1
    >>> y = pm.Augmentation(shift=2, rotation=10, scale=0.1).forward(x)
    >>> y.shape, bool((y != x).any())
    ((1, 1, 28, 28), True)
    """

    shift: float = 0.0
    rotation: float = 0.0
    scale: float = 0.0
    shear: float = 0.0
    elastic: float = 0.0
    elastic_sigma: float = 4.0
    cutout: int = 0
    fill: float | None = None
    in_pytorch = False

    def __post_init__(self):
        most = {"shift": 1e5, "rotation": 180, "scale": 0.99, "shear": 80, "elastic": 1e5, "elastic_sigma": 100}
        for name, high in most.items():
            setattr(self, name, number(name, getattr(self, name), 0.1 if name == "elastic_sigma" else 0, high))
        self.cutout = whole("cutout", self.cutout, 0)
        if self.fill is not None:
            self.fill = number("fill", self.fill, -1e300)

    def output_shape(self, shape):
        if len(shape) != 3:
            raise ValueError(f"Augmentation needs pictures (channels, height, width), not {shape}")
        return shape

    def lower(self, builder):
        builder.warp(self.cutout, math.radians(self.rotation), self.shift, self.scale, math.radians(self.shear),
                     self.elastic, self.elastic_sigma, self.fill)  # fmt: skip
