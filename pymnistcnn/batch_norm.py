"""Batch norm's running statistics, computed anew for weights that they were not gathered with, such as averages."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import numpy as np

from ._types import Array, ArrayLike
from .checks import whole
from .datasets import Dataset
from .layers import BatchNorm1d, BatchNorm2d
from .network import EVALUATION_BATCH, Network
from .stepping import runner_of
from .target import Target, target_of

if TYPE_CHECKING:
    from .model import Sequential

__all__ = ["update_batch_norm"]


def update_batch_norm(
    model: Sequential,
    x: Dataset | ArrayLike,
    *,
    batch_size: int = EVALUATION_BATCH,
    threads: int | None = None,
    isa: str | None = None,
    device: str | None = None,
    precision: str | None = None,
) -> None:
    """Set running means and variances of all batch norm to those over inputs, as PyTorch's
    `torch.optim.swa_utils.update_bn` does: for weights that were put together by hand, such as a mean of several
    models'. `fit(average=...)` does it by itself.

    Each batch goes through the network as in training, with its dropout and its augmentation; the statistics are the
    means of the batches' own, each with the same weight.

    Parameters
    ----------
    model : Sequential; one without batch norm stays as it is
    x : inputs (n, *input_shape), or a Dataset, in an order that mixes the classes
    batch_size : samples that go through the network together
    threads, isa, device, precision : as in `Sequential.fit`

    ValueError for inputs that do not fit the model, or that make a statistic NaN or infinite: the model then stays as
    it was.

    Examples
    --------
    >>> import numpy as np, pymnistcnn as pm
    >>> model = pm.Sequential([pm.BatchNorm1d(), pm.Linear(2)], input_shape=(1,))
    >>> pm.update_batch_norm(model, np.array([[1.0], [2.0], [3.0]], np.float32))
    >>> model.layers[0].buffers["running_mean"], model.layers[0].buffers["running_var"]
    (array([2.], dtype=float32), array([1.], dtype=float32))
    """
    x = model.network.inputs(x.images if isinstance(x, Dataset) else x)
    how = whole("batch_size", batch_size), target_of(isa, device, precision), threads
    if not gather(model.network, model.network.param, x, *how):
        raise ValueError("inputs make a mean or a variance NaN or infinite: they, or the weights, are not finite")


def has_batch_norm(network: Network) -> bool:
    return any(isinstance(leaf, (BatchNorm1d, BatchNorm2d)) for leaf in network.leaves)


def gather(
    network: Network, param: Array, x: Array, batch_size: int, target: Target, threads: int | None = None
) -> bool:
    """Let the statistics in a flat vector of a network's weights be those of batches of x, as in training; False, and
    nothing is changed, if they are not finite."""
    if not has_batch_norm(network):
        return True
    own = copy.copy(network)
    own.restart(network.seed)
    np.copyto(own.param, param)
    for leaf in own.leaves:
        if isinstance(leaf, (BatchNorm1d, BatchNorm2d)):
            leaf.momentum = None  # the mean of all batches
    buffers = [p for p in own.parameters if not p.trained]
    for buffer in buffers:
        buffer.padded(own.param)[...] = 0
    for start in range(0, len(x), batch_size):
        runner_of(own).forward(x[start : start + batch_size], True, target, threads)
    if not all(np.isfinite(buffer.padded(own.param)).all() for buffer in buffers):
        return False
    for buffer in buffers:
        buffer.padded(param)[...] = buffer.padded(own.param)
    return True
