"""One step of an optimizer."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._native import NotFinite, Program
from .._types import Array, ArrayLike, DTypeLike, Shape
from ..checks import exact_cast, number
from ..network import aligned_zeros, checked_threads, dtype_for
from ..optimizers import State, checked_optimizer
from ..plan import PlanBuilder, update_plan
from ..target import target_of

__all__ = ["update"]


def update(
    optimizer: Any,
    weights: ArrayLike,
    gradient: ArrayLike,
    state: State | None = None,
    clip_norm: float | None = None,
    *,
    threads: int | None = None,
    isa: str | None = None,
) -> tuple[Array, State]:
    """(weights, state) after one step of an optimizer; what was given stays as it is.

    Parameters
    ----------
    optimizer : such as pm.Adam(); its `lr` is the rate of this step
    weights, gradient : of any one shape
    state : what the step before gave, moments in the shape of the weights; None for the first
    clip_norm : the gradient is scaled down to this norm where its own is larger

    ValueError for different shapes, and for a state that is not of this optimizer or of so many weights;
    FloatingPointError if a weight becomes NaN or infinite.

    Examples
    --------
    >>> import numpy as np, pymnistcnn as pm
    >>> optimizer, weights = pm.SGD(0.5, momentum=0.9), np.array([1.0, 2.0])
    >>> weights, state = pm.functional.update(optimizer, weights, np.array([1.0, 0.0]))
    >>> pm.functional.update(optimizer, weights, np.array([1.0, 0.0]), state)[0]
    array([-0.45,  2.  ])
    """
    optimizer, weights, gradient = checked_optimizer(optimizer), np.asarray(weights), np.asarray(gradient)
    if weights.size == 0 or gradient.shape != weights.shape:
        raise ValueError(f"weights and gradient must have one shape, not {weights.shape} and {gradient.shape}")
    clip_norm = None if clip_norm is None else number("clip_norm", clip_norm, 1e-30, 1e30)
    builder, dtype = PlanBuilder((1,)), dtype_for(weights)
    builder.weights(weights.size)
    param, slope = (aligned_zeros(builder.vector_elements, dtype) for _ in range(2))
    param[: weights.size] = exact_cast(weights, dtype, "weights").ravel()
    slope[: weights.size] = exact_cast(gradient, dtype, "gradient").ravel()
    moments = _moments(optimizer, state, weights.shape, dtype, len(param))
    steps = 0 if state is None else state.steps
    try:
        update_plan(builder, dtype, clip_norm is not None, target_of(isa)).run(
            Program.BACKWARD, threads=checked_threads(threads), param=param, gradient=slope,
            count=1, batch=1, moments=moments, optimizer=optimizer.kind,
            coefficients=optimizer.rows(steps, [optimizer.lr], clip_norm),
        )  # fmt: skip
    except NotFinite:
        raise FloatingPointError("the step made a weight NaN or infinite") from None
    shaped = [v if v is None else v[: weights.size].reshape(weights.shape) for v in (param, *moments)]
    return shaped[0], State(shaped[1:], steps + 1)


def _moments(optimizer: Any, state: State | None, shape: Shape, dtype: DTypeLike, elements: int) -> list[Any]:
    """Flat vectors of so many elements: the state's moments, which have the shape of the weights, or new ones."""
    moments = optimizer.new_state(elements, dtype).moments
    if state is not None:
        expected = [None if flat is None else (shape, dtype) for flat in moments]
        given = [None if moment is None else (moment.shape, moment.dtype) for moment in state.moments]
        if given != expected:
            raise ValueError(f"state must be of {optimizer} for {dtype} weights of shape {shape}, not {given}")
        for flat, moment in zip(moments, state.moments, strict=True):
            if flat is not None:
                flat[: moment.size] = moment.ravel()
    return moments
