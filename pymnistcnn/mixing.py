"""Mixing, in training: each picture is trained on as a mixture with another of its batch. C mixes; here it is drawn,
with what, and how much."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from ._native import words_of
from ._types import Array, Shape
from .checks import check_fields, instance, number
from .elementary import powers
from .network import Network, Targets

__all__ = [
    "CutMix",
    "MixUp",
]

STREAM, WORD, KNOTS = 2**32 - 1, 2**32, 4096  # no layer has this number; words are below this; of a quantile function


@dataclass(frozen=True)
class Mixture:
    """What samples are mixed with.

    partner : (n,) int64, where the other sample of each is, in the arrays
    share : (n,) float64, what is left of each; of its target, too
    box : (n, 4) int32, top, bottom, left, right of what is covered by the partner; None: they are blended
    picture : height and width of a sample
    """

    partner: Array
    share: Array
    box: Array | None
    picture: tuple[int, int]

    def __getitem__(self, part: slice) -> Mixture:
        box = None if self.box is None else self.box[part]
        return Mixture(self.partner[part], self.share[part], box, self.picture)

    @property
    def arguments(self) -> dict[str, Any]:
        return vars(self)

    def of(self, network: Network, x: Array, targets: Targets, which: Array) -> tuple[Array, Targets]:
        """Samples `which`, mixed in NumPy: for a network that Python has a part in."""
        kept = self._kept(x.shape[1:])
        pictures = x[which] * kept + x[self.partner] * (1 - kept)
        rows, weights, share = targets.values, targets.sample_weight, self.share
        if rows is None:
            rows = np.eye(network.output_shape[0])[targets.labels]
        if weights is not None:
            own, weights = share * weights[which], share * weights[which] + (1 - share) * weights[self.partner]
            share = np.divide(own, weights, out=share.copy(), where=weights > 0)
        share = share.reshape(-1, *[1] * (rows.ndim - 1))
        rows = rows[which] * share + rows[self.partner] * (1 - share)
        return pictures.astype(network.dtype), Targets(None, rows.astype(network.dtype), weights)

    def _kept(self, shape: Shape) -> Array:
        """What of each element is its own, in a shape that goes with (n, *shape)."""
        if self.box is None:
            return self.share.reshape(-1, *[1] * len(shape))
        top, bottom, left, right = (side[:, None, None, None] for side in self.box.T)
        row, column = np.arange(shape[1])[:, None], np.arange(shape[2])
        return 1.0 - ((row >= top) & (row < bottom) & (column >= left) & (column < right))


@dataclass(frozen=True)
class Mixing:
    """What `MixUp` and `CutMix` have in common."""

    alpha: float
    probability: float = 1.0

    def __post_init__(self) -> None:
        check_fields(self, number, "alpha", low=0.01, high=1000)
        check_fields(self, number, "probability", low=0, high=1)

    def check(self, input_shape: Shape) -> None:
        """ValueError for samples that cannot be mixed so."""

    def draw(
        self, numbers: Array, index: Array | None, batch: int, seed: int, epoch: int, input_shape: Shape
    ) -> Mixture:
        """What samples of these numbers in the data set, in batches of `batch`, are mixed with: a function of seed,
        epoch and number, and of who else is in the batch. index: where they are in the arrays."""
        words = words_of(numbers.astype(np.uint32), STREAM, epoch, seed).astype(np.int64)
        partner = partners(words[:, 0], batch)
        share, box = self._drawn(shares(words[:, 1], self.alpha, self.probability), words[:, 2:], input_shape)
        height, width = (1, *input_shape)[-2:]
        return Mixture(partner if index is None else index[partner], share, box, (height, width))

    def _drawn(self, share: Array, words: Array, input_shape: Shape) -> tuple[Array, Array | None]:
        return share, None


@dataclass(frozen=True)
class MixUp(Mixing):
    """In training, each picture is blended with another of its batch, and so are their targets (Zhang et al., 2018):
    `fit(..., mixing=pm.MixUp())`.

    What is left of a picture is drawn from Beta(alpha, alpha), its partner from all others of the batch: both for each
    picture anew in every epoch, from seed, epoch and the picture's number in the data set. They are mixed before the
    first layer. The loss is that of soft targets, which label smoothing and class weights see as such; sample weights
    count as shares of theirs. Training's accuracy counts the label with the larger share. Nothing is mixed in
    validation. In Keras it is the layer MixUp, in torchvision v2.MixUp, which draw one number for a batch.

    Parameters
    ----------
    alpha : from 0.01, where nearly nothing is mixed, over 1, where all shares are as likely, to 1000
    probability : share of the pictures that are mixed; the others stay as they are

    Examples
    --------
    >>> import pymnistcnn as pm
    >>> train, test = pm.datasets.mnist()
    >>> model = pm.Sequential([pm.Rescaling(1 / 255), pm.Flatten(), pm.Linear(10)], input_shape=(1, 28, 28))
    >>> history = model.fit(train[:500], mixing=pm.MixUp(alpha=0.2), progress=False)
    """

    alpha: float = 0.2


@dataclass(frozen=True)
class CutMix(Mixing):
    """In training, a box of another picture of its batch covers a part of each, and the targets are mixed as the areas
    are (Yun et al., 2019): `fit(..., mixing=pm.CutMix())`.

    The box has a share of the picture's sides whose square is drawn from Beta(alpha, alpha), its centre lies anywhere,
    and what is outside the picture is cut off. All else is as with `MixUp`. In Keras it is the layer CutMix, in
    torchvision v2.CutMix.

    Parameters
    ----------
    alpha : from 0.01 to 1000; with 1 all areas are as likely
    probability : share of the pictures that are mixed; the others stay as they are

    Examples
    --------
    >>> import pymnistcnn as pm
    >>> train, test = pm.datasets.mnist()
    >>> model = pm.Sequential([pm.Rescaling(1 / 255), pm.Flatten(), pm.Linear(10)], input_shape=(1, 28, 28))
    >>> history = model.fit(train[:500], mixing=pm.CutMix(probability=0.5), progress=False)
    """

    alpha: float = 1.0

    def check(self, input_shape: Shape) -> None:
        if len(input_shape) != 3:
            raise ValueError(
                f"CutMix is for pictures (channels, height, width), not for samples of shape {input_shape}"
            )

    def _drawn(self, share: Array, words: Array, input_shape: Shape) -> tuple[Array, Array | None]:
        sides = np.array(input_shape[1:])
        centre, half = words * sides // WORD, (0.5 * np.sqrt(1 - share)[:, None] * sides).astype(np.int64)
        begin, end = np.maximum(centre - half, 0), np.minimum(centre + half, sides)
        box = np.stack([begin[:, 0], end[:, 0], begin[:, 1], end[:, 1]], axis=1).astype(np.int32)
        return 1 - (end - begin).prod(axis=1) / sides.prod(), box


def checked_mixing(mixing: Any, network: Network, loss: Any, targets: Targets, batch_size: int) -> Mixing:
    """What `fit` was given, if it can be done."""
    instance("mixing", mixing, (MixUp, CutMix), "pm.MixUp() or pm.CutMix()")
    mixing.check(network.input_shape)
    if batch_size < 2:
        raise ValueError("mixing needs batches of at least 2, as a picture is mixed with another of its batch")
    if loss.in_python and targets.labels is not None:
        raise ValueError(f"mixing gives targets of two classes, and {loss}, which Python computes, was given labels: "
                         "give it targets (n, classes)")  # fmt: skip
    return mixing


def partners(words: Array, batch: int) -> Array:
    """For each of samples in batches, the place of another of its batch; its own where it is alone."""
    place = np.arange(len(words))
    first = place - place % batch
    count = np.minimum(batch, len(words) - first)
    return first + (place - first + 1 + words * (count - 1) // WORD) % count


def shares(words: Array, alpha: float, probability: float) -> Array:
    """What is left of each: drawn from Beta(alpha, alpha) with this probability, else all."""
    uniform = (words + 0.5) / WORD
    share = np.ones(len(words))
    mixed = uniform < probability
    share[mixed] = beta_quantiles(uniform[mixed] / probability, alpha)
    return share


def beta_quantiles(uniform: Array, alpha: float) -> Array:
    """The quantile function of Beta(alpha, alpha), at numbers from 0 to 1 (excluded), between knots by lines. Plain
    arithmetic, a step at a time: the bits are the same on all processors."""
    places, distribution = knots(alpha)
    lower = np.minimum(uniform, 1 - uniform)
    after = np.minimum(np.searchsorted(distribution, lower, side="right"), KNOTS)
    before = after - 1
    within = (lower - distribution[before]) / (distribution[after] - distribution[before])
    share = places[before] + within * (places[after] - places[before])
    return np.where(uniform < 0.5, share, 1 - share)


@cache
def knots(alpha: float) -> tuple[Array, Array]:
    """Places from 0 to 1/2, and the distribution function of Beta(alpha, alpha) there.

    That is (x (1 - x))**alpha times the sum of (2 alpha)_n / (alpha + 1)_n x**n, but for a factor (Abramowitz and
    Stegun, 26.5.4 and 15.3.3), and 1/2 at 1/2.
    """
    x = 0.5 * powers(np.arange(KNOTS + 1) / KNOTS, max(1.0, 1 / alpha))
    term, n = np.ones_like(x), 0
    total = term.copy()
    while term[-1] > total[-1] * 2**-54:
        term = term * x * ((2 * alpha + n) / (alpha + 1 + n))
        total, n = total + term, n + 1
    return x, powers(4 * x * (1 - x), alpha) * total / (2 * total[-1])
