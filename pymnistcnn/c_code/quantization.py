"""A network in whole numbers: a value is uint8, (q - zero) * scale; weights are int8 with a scale an output channel,
sums int32. The scales are measured on pictures (Jacob et al., 2018, arXiv:1712.05877). NumPy computes here what the C
code computes, bit by bit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .._types import Array, ArrayLike
from .reference import activated, average_pool, computed, max_pool, sums
from .rewriting import rewritten
from .steps import PLAIN, Add, AveragePool, Elementwise, Flatten, MaxPool, Product, Step, Steps

BATCH, INT32 = 256, 2**31 - 1


@dataclass(frozen=True)
class Scale:
    scale: float
    zero: int

    def whole(self, numbers: Array) -> Any:
        """uint8 of real numbers, as float64."""
        return np.clip(np.rint(np.asarray(numbers, np.float64) / self.scale) + self.zero, 0, 255)


@dataclass(frozen=True)
class Factor:
    """A real number as multiplier / 2**shift."""

    multiplier: np.ndarray
    shift: np.ndarray

    @staticmethod
    def of(numbers: Array, step: Any) -> Factor:
        fraction, exponent = np.frexp(np.asarray(numbers, np.float64))
        multiplier, shift = np.minimum(np.rint(fraction * 2**31), INT32), 31 - exponent
        if (shift < 1).any():
            raise ValueError(f"{step.label} cannot be computed in int8: its outputs are too small for its weights")
        tiny = shift > 62
        return Factor(np.where(tiny, 0, multiplier).astype(np.int32), np.where(tiny, 31, shift).astype(np.uint8))

    def times(self, numbers: Array) -> Any:
        """Rounded, of int64 numbers (n, k, ...)."""
        multiplier, shift = (a.astype(np.int64).reshape(-1, 1, 1) for a in (self.multiplier, self.shift))
        return (numbers * multiplier + (1 << (shift - 1))) >> shift


@dataclass(frozen=True)
class WholeProduct:
    """weight int8 (k, c / groups, kh, kw), bias int32, and what a sum is multiplied with, unless it gives floats."""

    weight: np.ndarray
    bias: np.ndarray
    scale: np.ndarray  # of a sum, of each output channel
    factor: Factor | None


@dataclass
class Whole:
    """A network in whole numbers; bytes_in: the caller's numbers are uint8. `tail`: steps in float at the end."""

    network: Steps
    tail: list[Any]
    bytes_in: bool
    scales: dict[str, Any]
    products: dict[str, Any] = field(default_factory=dict)

    @property
    def logits(self) -> Any:
        """The last step, if it is a product that gives floats; or else they are made of its uint8 values."""
        last = self.network.steps[-1] if self.network.steps else None
        alone = isinstance(last, Product) and last.y.is_flat and last.pool == (1, 1) and last.activation == PLAIN
        return last if alone else None

    def outputs(self, inputs: ArrayLike) -> np.ndarray:
        """(n, c, h, w) of inputs (n, *input_shape), as the network takes them."""
        parts = [self.batch(inputs[start : start + BATCH]) for start in range(0, len(inputs), BATCH)]
        return np.concatenate(parts)

    def batch(self, inputs: ArrayLike) -> Any:
        first = self.network.first
        inputs = inputs.reshape(len(inputs), first.c, first.h, first.w)
        values = {first: inputs.astype(np.float64) if self.bytes_in else self.quantized(inputs)}
        for step in self.network.steps:
            values[step.y] = WHOLE[type(step)](self, step, *(values[x] for x in step.inputs))
        last = values[self.network.last]
        if self.logits is None:
            s = self.scales[self.network.last]
            last = (last - s.zero).astype(np.float32) * np.float32(s.scale)
        for step in self.tail:
            last = computed(step, last)
        return last

    @property
    def input_line(self) -> Any:
        """times and plus of the caller's floats: q = x * times + plus, rounded down."""
        s, network = self.scales[self.network.first], self.network
        return np.float32(network.scale / s.scale), np.float32(network.offset / s.scale + s.zero + 0.5)

    def quantized(self, inputs: ArrayLike) -> Any:
        times, plus = self.input_line
        return np.floor(np.clip(inputs.astype(np.float32) * times + plus, 0, 255)).astype(np.float64)

    # ---- steps: uint8 values as float64, in which all sums are exact ----

    def product(self, step: Any, x: Array) -> Any:
        whole = self.products[step]
        y = sums(step, x - self.scales[step.x].zero, whole.weight.astype(np.float64), whole.bias.astype(np.float64))
        if whole.factor is None:
            return y.astype(np.float32) * whole.scale[:, None, None]
        return np.clip(whole.factor.times(y.astype(np.int64)) + self.scales[step.y].zero, 0, 255).astype(np.float64)

    def average(self, step: Any, x: Array) -> Any:
        zero = self.scales[step.x].zero
        return np.floor(average_pool(step, x - zero) + (zero + 0.5))

    def elementwise(self, step: Any, x: Array) -> Any:
        return self.table(step).astype(np.float64)[x.astype(np.int64)]

    def table(self, step: Any) -> Any:
        x, y = self.scales[step.x], self.scales[step.y]
        real = ((np.arange(256) - x.zero) * x.scale).astype(np.float64)
        return y.whole(activated(real, step.activation)).astype(np.uint8)

    def add_factors(self, step: Any) -> Any:
        """Both factors, with one shift."""
        real = np.array([self.scales[x].scale for x in step.inputs]) / self.scales[step.y].scale
        shift = max(1, min(62, 30 - int(np.frexp(real.max())[1])))
        return [int(m) for m in np.rint(real * 2.0**shift)], shift

    def add(self, step: Any, x: Array, other: Any) -> Any:
        (times_a, times_b), shift = self.add_factors(step)
        a, b = (self.scales[v].zero for v in step.inputs)
        sum_ = (x - a).astype(np.int64) * times_a + (other - b).astype(np.int64) * times_b
        return np.clip(((sum_ + (1 << (shift - 1))) >> shift) + self.scales[step.y].zero, 0, 255).astype(np.float64)


WHOLE: dict[type[Step], Callable[..., Array]] = {
    Product: Whole.product,
    MaxPool: lambda whole, step, x: np.maximum(max_pool(step, x), 0),
    AveragePool: Whole.average,
    Elementwise: Whole.elementwise,
    Add: Whole.add,
    Flatten: lambda whole, step, x: computed(step, x),
}


# ---- calibration ----


def quantized(network: Steps, calibration: Any) -> Whole:
    """The network in whole numbers, for inputs like `calibration` (n, *input_shape)."""
    bytes_in = calibration.dtype == np.uint8
    if bytes_in and network.scale <= 0:
        raise ValueError(f"int8 needs Rescaling by a number above 0, not {network.scale}")
    network, tail = rewritten(network)
    whole = Whole(network, tail, bytes_in, {})
    ends = measured(network, calibration)
    whole.scales = scales_of(network, ends, bytes_in)
    for step in network.steps:
        if isinstance(step, Product):
            whole.products[step] = whole_product(whole, step)
    return whole


def measured(network: Any, calibration: Any) -> Any:
    """The lowest and the largest number of each value; zero is always among them."""
    ends = {}
    for start in range(0, len(calibration), BATCH):
        x = calibration[start : start + BATCH].astype(np.float32)
        x = x.reshape(len(x), network.first.c, network.first.h, network.first.w)
        values = {network.first: x * np.float32(network.scale) + np.float32(network.offset)}
        for step in network.steps:
            values[step.y] = computed(step, *(values[v] for v in step.inputs))
        for value, numbers in values.items():
            low, high = ends.get(value, (0.0, 0.0))
            ends[value] = (min(low, float(numbers.min())), max(high, float(numbers.max())))
    return ends


def scales_of(network: Any, ends: Any, bytes_in: Any) -> Any:
    first = Scale(network.scale, round(-network.offset / network.scale)) if bytes_in else None
    scales = {network.first: first or scale_of(*ends[network.first])}
    for step in network.steps:
        picked = isinstance(step, (MaxPool, AveragePool, Flatten))  # from x
        scales[step.y] = scales[step.x] if picked else scale_of(*ends[step.y])
        if isinstance(step, AveragePool) and any(step.window[4:6]) and not 0 <= scales[step.x].zero <= 255:
            raise ValueError(f"{step.label} cannot be computed in int8: uint8 inputs have no number for its padding")
    return scales


def scale_of(low: Any, high: Any) -> Scale:
    if not np.isfinite([low, high]).all():
        raise ValueError("the network's values are not finite on the calibration inputs: its weights may be damaged")
    scale = (high - low) / 255 or 1.0
    return Scale(scale, round(-low / scale))


def whole_product(whole: Any, step: Any) -> WholeProduct:
    of_x = whole.scales[step.x].scale
    largest = np.abs(step.weight).max(axis=(1, 2, 3)).astype(np.float64) / 127
    scale = np.maximum(largest, np.abs(step.bias) / (of_x * 2**30))  # the bias must fit, too
    scale = np.where(scale == 0, 1, scale)
    weight = np.rint(step.weight / scale[:, None, None, None]).astype(np.int8)
    bias = np.rint(step.bias / (of_x * scale)).astype(np.int64)
    most = np.abs(weight.astype(np.int64)).sum(axis=(1, 2, 3)) * (255 + abs(whole.scales[step.x].zero)) + np.abs(bias)
    if most.max() > INT32:
        raise ValueError(f"{step.label} cannot be computed in int8: its sums may not fit 32 bits")
    factor = None if step is whole.logits else Factor.of(of_x * scale / whole.scales[step.y].scale, step)
    return WholeProduct(weight, bias.astype(np.int32), (of_x * scale).astype(np.float32), factor)
