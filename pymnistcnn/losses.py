"""Losses: what training makes small."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .layers import Softmax
from .network import Network, checked_dtype


class Loss:
    """A loss by hand: `forward` gives the mean over the batch, `backward` the gradient of the outputs."""

    def check(self, layers, output_shape):
        """ValueError if a network that ends so cannot be trained with this loss."""

    def lower(self, builder):
        raise NotImplementedError

    def forward(self, outputs, labels, isa=None, threads=None) -> float:
        """The mean loss of outputs (n, classes) for labels (n,)."""
        outputs = np.asarray(outputs)
        if outputs.ndim != 2:
            raise ValueError(f"outputs must have shape (n, classes), not {outputs.shape}")
        dtype = outputs.dtype if outputs.dtype == np.float64 else np.dtype(np.float32)
        network = Network([], outputs.shape[1:], checked_dtype(dtype))
        network.use_loss(self)
        value, self._gradient = network.loss_by_hand(outputs, labels, isa, threads)
        return value

    def backward(self) -> np.ndarray:
        """The gradient of the last `forward`'s mean, in the shape of its outputs."""
        gradient = getattr(self, "_gradient", None)
        if gradient is None:
            raise RuntimeError("backward needs the state of a forward pass: forward was not called")
        return gradient


@dataclass(eq=True)
class CrossEntropyLoss(Loss):
    """Cross-entropy between softmax of logits (n, classes) and class labels (n,); mean over the batch.

    The network ends in logits: softmax is part of the loss, where it cannot overflow.

    Examples
    --------
    >>> import pymnistcnn as pm
    >>> loss = pm.CrossEntropyLoss()
    >>> round(loss.forward([[0.0, 0.0]], [1]), 4)
    0.6931
    >>> loss.backward()
    array([[ 0.5, -0.5]])
    """

    def check(self, layers, output_shape):
        if len(output_shape) != 1:
            raise ValueError(f"CrossEntropyLoss needs logits (n, classes), but the network gives (n, {output_shape})")
        if layers and isinstance(layers[-1], Softmax):
            raise ValueError(
                "CrossEntropyLoss takes logits and applies softmax itself: a network that ends in Softmax "
                "would have it twice. Leave the Softmax layer out; predict_proba gives probabilities"
            )

    def lower(self, builder):
        builder.cross_entropy()
