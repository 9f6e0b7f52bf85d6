"""Pooling: a window goes over pictures."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from .._types import Shape
from ..checks import border, pair, sides_of, yes_or_no
from .base import PICTURES, Layer

__all__ = [
    "AvgPool2d",
    "GlobalAvgPool2d",
    "MaxPool2d",
]


class Window(Layer):
    """What pooling layers share: a window that goes over pictures."""

    kernel_size: int | tuple[Any, ...]
    stride: int | tuple[Any, ...] | None
    padding: int | tuple[Any, ...]
    ceil_mode: bool

    needs = PICTURES

    def __post_init__(self) -> None:
        self.kernel_size = pair("kernel_size", self.kernel_size)
        self.stride = None if self.stride is None else pair("stride", self.stride)
        self.padding, self.ceil_mode = border("padding", self.padding), yes_or_no("ceil_mode", self.ceil_mode)
        if any(max(sides) >= span for sides, span in zip(self._margins, self._spans, strict=True)):
            raise ValueError(f"padding must be less than the window of {self._spans} pixels, not {self.padding}")

    @property
    def _steps(self) -> tuple[int, ...]:
        return self.stride or self.kernel_size

    @property
    def _taps(self) -> tuple[int, ...]:
        """Pixels from one tap of the window to the next."""
        return (1, 1)

    @property
    def _spans(self) -> tuple[int, ...]:
        return tuple(d * (k - 1) + 1 for k, d in zip(self.kernel_size, self._taps, strict=True))

    @property
    def _sides(self) -> tuple[int, ...]:
        """(top, bottom, left, right)"""
        return sides_of(self.padding)

    @property
    def _margins(self) -> tuple[tuple[int, ...], ...]:
        """(top, bottom), (left, right)"""
        return self._sides[:2], self._sides[2:]

    def output_shape(self, shape: Shape) -> tuple[int, ...]:
        super().output_shape(shape)
        axes = zip(shape[1:], self._spans, self._steps, self._margins, strict=True)
        return (shape[0], *(self._cells(shape, *axis) for axis in axes))

    def work(self, shape: Shape) -> int:
        return math.prod(self.output_shape(shape)) * math.prod(map(min, self.kernel_size, shape[1:]))

    def _cells(self, shape: Shape, n: int, span: int, step: int, sides: tuple[int, ...]) -> int:
        """How many windows there are along an axis of n pixels."""
        padded = n + sum(sides)
        cells = (padded - span + (step - 1) * self.ceil_mode) // step + 1
        if self.ceil_mode and (cells - 1) * step >= n + sides[0]:
            cells -= 1  # the last must begin in the picture, or before it
        if cells < 1:
            raise ValueError(f"{self} on {shape}: a window of {span} pixels does not fit into {padded}")
        return cells


@dataclass(eq=False, repr=False)
class MaxPool2d(Window):
    """The largest value of every window, of (c, h, w) to (c, oh, ow). NaN is passed on.

    Parameters
    ----------
    kernel_size, stride, dilation : a number or (vertical, horizontal); stride is kernel_size if not given
    padding : a number, (vertical, horizontal) or (top, bottom, left, right), less than the window; padded positions
        never win, and a window of them alone gives -inf
    ceil_mode : windows may reach over the end, if they begin inside

    Examples
    --------
    >>> import numpy as np, pymnistcnn as pm
    >>> pm.MaxPool2d(2).forward(np.arange(4, dtype=np.float32).reshape(1, 1, 2, 2))
    array([[[[3.]]]], dtype=float32)
    """

    kernel_size: int | tuple[Any, ...]
    stride: int | tuple[Any, ...] | None = None
    padding: int | tuple[Any, ...] = 0
    dilation: int | tuple[Any, ...] = 1
    ceil_mode: bool = field(default=False, kw_only=True)  # where PyTorch has return_indices

    def __post_init__(self) -> None:
        self.dilation = pair("dilation", self.dilation)
        super().__post_init__()

    @property
    def _taps(self) -> tuple[int, ...]:
        return self.dilation

    def lower(self, builder: Any) -> None:
        shape = self.output_shape(builder.shape)
        builder.max_pool(shape, self.kernel_size, self._steps, self._sides, self.dilation)


@dataclass(eq=False, repr=False)
class AvgPool2d(Window):
    """The mean of every window, of (c, h, w) to (c, oh, ow).

    Parameters
    ----------
    kernel_size, stride : a number or (vertical, horizontal); stride is kernel_size if not given
    padding : zeros around the input: a number, (vertical, horizontal) or (top, bottom, left, right), less than the
        window
    ceil_mode : windows may reach over the end, if they begin inside
    count_include_pad : whether the zeros of the padding count in the mean

    Examples
    --------
    >>> import numpy as np, pymnistcnn as pm
    >>> pm.AvgPool2d(2).forward(np.arange(4, dtype=np.float32).reshape(1, 1, 2, 2))
    array([[[[1.5]]]], dtype=float32)
    """

    kernel_size: int | tuple[Any, ...]
    stride: int | tuple[Any, ...] | None = None
    padding: int | tuple[Any, ...] = 0
    ceil_mode: bool = False
    count_include_pad: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        self.count_include_pad = yes_or_no("count_include_pad", self.count_include_pad)

    def lower(self, builder: Any) -> None:
        shape = self.output_shape(builder.shape)
        builder.average_pool(shape, self.kernel_size, self._steps, self._sides, self.count_include_pad)


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

    needs = PICTURES

    def output_shape(self, shape: Shape) -> tuple[int, ...]:
        return (super().output_shape(shape)[0], 1, 1)

    def lower(self, builder: Any) -> None:
        window = builder.shape[1:]
        builder.average_pool(self.output_shape(builder.shape), window, window, (0, 0, 0, 0), False)
