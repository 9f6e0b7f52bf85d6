"""Layers that multiply with weights: convolution and linear."""

from __future__ import annotations

import math
from dataclasses import KW_ONLY, dataclass, field
from typing import Any

from .._types import Shape
from ..checks import border, instance, pair, shown, sides_of, whole, yes_or_no
from ..initializers import Initializer, PyTorchDefault
from .base import FEATURES, PICTURES, Layer

__all__ = [
    "Conv2d",
    "Linear",
]


@dataclass(eq=False, repr=False)
class Conv2d(Layer):
    """2-D convolution (cross-correlation, as in PyTorch) of (c, h, w) to (out_channels, oh, ow).

    Parameters
    ----------
    out_channels : int
    kernel_size, stride, dilation : a number or (vertical, horizontal)
    padding : zeros around the input: a number, (vertical, horizontal), (top, bottom, left, right), "valid" (none) or
        "same" (stride 1: the output is as large as the input)
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
    kernel_size: int | tuple[Any, ...]
    _: KW_ONLY
    stride: int | tuple[Any, ...] = 1
    padding: int | tuple[Any, ...] | str = 0
    dilation: int | tuple[Any, ...] = 1
    groups: int = 1
    bias: bool = True
    initializer: Initializer = field(default_factory=PyTorchDefault)
    needs = PICTURES

    def __post_init__(self) -> None:
        self.out_channels, self.groups = whole("out_channels", self.out_channels), whole("groups", self.groups)
        self.kernel_size, self.stride = pair("kernel_size", self.kernel_size), pair("stride", self.stride)
        self.dilation, self.bias = pair("dilation", self.dilation), yes_or_no("bias", self.bias)
        self.initializer = checked_initializer(self.initializer)
        if self.out_channels % self.groups:
            raise ValueError(f"groups must divide out_channels: {self.groups} does not divide {self.out_channels}")
        self.padding = 0 if isinstance(self.padding, str) and self.padding == "valid" else self.padding
        if isinstance(self.padding, str) and self.padding == "same":
            if self.stride != (1, 1):
                raise ValueError(f'padding "same" needs stride 1, not {self.stride}')
        elif isinstance(self.padding, str):
            raise ValueError(f'padding must be numbers, "same" or "valid", not {shown(self.padding)}')
        else:
            self.padding = border("padding", self.padding)

    @property
    def _span(self) -> tuple[int, ...]:
        """Pixels that the dilated kernel covers."""
        return tuple(d * (k - 1) + 1 for k, d in zip(self.kernel_size, self.dilation, strict=True))

    @property
    def _sides(self) -> tuple[int, ...]:
        """(top, bottom, left, right)"""
        if self.padding == "same":
            return tuple(side for n in self._span for side in ((n - 1) // 2, n // 2))
        return sides_of(self.padding)

    def output_shape(self, shape: Shape) -> tuple[int, ...]:
        super().output_shape(shape)
        if shape[0] % self.groups:
            raise ValueError(f"groups must divide the input channels: {self.groups} does not divide {shape[0]}")
        top, bottom, left, right = self._sides
        sizes = []
        for n, span, step in zip(
            (shape[1] + top + bottom, shape[2] + left + right), self._span, self.stride, strict=True
        ):
            if span > n:
                raise ValueError(f"{self} on {shape}: a kernel that spans {span} pixels does not fit into {n}")
            sizes.append((n - span) // step + 1)
        return (self.out_channels, *sizes)

    def lower(self, builder: Any) -> None:
        builder.conv(self.output_shape(builder.shape), self.kernel_size, self.stride, self._sides, self.dilation,
                     self.groups, self.bias)  # fmt: skip

    def multiply_adds(self, shape: Shape) -> int:
        return math.prod(self.output_shape(shape)) * shape[0] // self.groups * math.prod(self.kernel_size)


@dataclass(eq=False, repr=False)
class Linear(Layer):
    """y = x W' + b of (in,) to (out_features,); `in` is inferred. Zeros in x may be skipped: a weight that is NaN or
    infinite may then leave no trace.

    Parameters by name: weight (out_features, in), bias (out_features,).

    Examples
    --------
    >>> import numpy as np, pymnistcnn as pm
    >>> pm.Linear(10).forward(np.zeros((2, 1152), np.float32)).shape
    (2, 10)
    """

    out_features: int
    _: KW_ONLY
    bias: bool = True
    initializer: Initializer = field(default_factory=PyTorchDefault)
    needs = FEATURES

    def __post_init__(self) -> None:
        self.out_features = whole("out_features", self.out_features)
        self.bias, self.initializer = yes_or_no("bias", self.bias), checked_initializer(self.initializer)

    def output_shape(self, shape: Shape) -> tuple[int, ...]:
        super().output_shape(shape)
        return (self.out_features,)

    def lower(self, builder: Any) -> None:
        builder.linear(self.out_features, self.bias)

    def multiply_adds(self, shape: Shape) -> int:
        return shape[0] * self.out_features


def checked_initializer(initializer: Any) -> Any:
    return instance("initializer", initializer, Initializer, "an initializer, such as GlorotNormal()")
