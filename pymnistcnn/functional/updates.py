"""One step of an optimizer."""

from __future__ import annotations

import numpy as np

from .._native import NotFinite, Program
from ..network import aligned_zeros, checked_isa, checked_threads, dtype_for, exact_cast
from ..optimizers import Optimizer, checked
from ..plan import PlanBuilder, update_plan


def update(optimizer, weights, gradient, state=None, clip_norm=None, *, isa=None, threads=None):
    """(weights, state) after one step of an optimizer; what was given stays as it is.

    Parameters
    ----------
    optimizer : such as pm.Adam(); its `lr` is the rate of this step
    weights, gradient : of any one shape
    state : what the step before gave; None for the first
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
    weights, gradient = np.asarray(weights), np.asarray(gradient)
    if not isinstance(optimizer, Optimizer):
        raise ValueError(f"optimizer must be an optimizer, such as pm.Adam(), not {optimizer!r}")
    if weights.size == 0 or gradient.shape != weights.shape:
        raise ValueError(f"weights and gradient must have one shape, not {weights.shape} and {gradient.shape}")
    clip_norm = None if clip_norm is None else checked("clip_norm", clip_norm, 1e-30, 1e30)
    builder, dtype = PlanBuilder((1,)), dtype_for(weights)
    builder.weights(weights.size)
    elements = builder.vector_elements
    param, slope = _flat("weights", weights, elements, dtype), _flat("gradient", gradient, elements, dtype)
    state = _continued(optimizer, state, elements, dtype)
    try:
        update_plan(builder, dtype, clip_norm is not None).run(
            Program.BACKWARD, isa=checked_isa(isa), threads=checked_threads(threads), param=param, gradient=slope,
            count=1, batch=1, moments=state.moments, optimizer=optimizer.kind,
            coefficients=optimizer.rows(state.steps, [optimizer.lr], clip_norm),
        )  # fmt: skip
    except NotFinite:
        raise FloatingPointError("the step made a weight NaN or infinite") from None
    state.steps += 1
    return param[: weights.size].reshape(weights.shape), state


def _flat(name, array, elements, dtype):
    """A copy at the beginning of a flat vector."""
    flat = aligned_zeros(elements, dtype)
    flat[: array.size] = exact_cast(array, dtype, name).ravel()
    return flat


def _continued(optimizer, state, elements, dtype):
    """A copy of the state, or a new one."""
    copy = optimizer.new_state(elements, dtype)
    if state is None:
        return copy

    def kinds(moments):
        return [None if moment is None else (moment.shape, moment.dtype.name) for moment in moments]

    if kinds(state.moments) != kinds(copy.moments):
        raise ValueError(f"state must be of {optimizer} and {elements} {dtype.name}, not {kinds(state.moments)}")
    for to, moment in zip(copy.moments, state.moments, strict=True):
        if to is not None:
            to[:] = moment
    copy.steps = state.steps
    return copy
