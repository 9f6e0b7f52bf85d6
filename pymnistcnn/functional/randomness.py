"""What is random in training. The same seed draws the same, whatever else there was; a layer by hand of this seed
draws it at its first forward."""

from __future__ import annotations

from .._types import Array, ArrayLike
from ..layers import Augmentation, Dropout, GaussianNoise, Morphology, RandomErasing
from .single import backward, forward

__all__ = [
    "augment",
    "augment_backward",
    "dropout",
    "dropout_backward",
    "gaussian_noise",
    "gaussian_noise_backward",
    "morphology",
    "morphology_backward",
    "random_erasing",
    "random_erasing_backward",
]


def dropout(
    x: ArrayLike,
    p: float = 0.5,
    training: bool = True,
    *,
    seed: int = 0,
    threads: int | None = None,
    isa: str | None = None,
) -> Array:
    """x (n, features) or (n, c, h, w) with each element 0 with probability p and the others divided by 1 - p;
    x itself outside of training. ValueError for other shapes, and if p is not from 0 to 1 (excluded).

    Examples
    --------
    >>> import numpy as np, pymnistcnn as pm
    >>> y = pm.functional.dropout(np.ones((1, 1000), np.float32), seed=1)
    >>> sorted(set(y.ravel().tolist()))
    [0.0, 2.0]
    """
    return forward(_dropout(p, training), x, seed=seed, training=True, threads=threads, isa=isa)


def dropout_backward(
    dy: ArrayLike,
    x: ArrayLike,
    p: float = 0.5,
    training: bool = True,
    *,
    seed: int = 0,
    threads: int | None = None,
    isa: str | None = None,
) -> Array:
    """dx of `dropout`, for dy like x: what the same seed drops has no gradient. ValueError as from `dropout`, and
    if dy does not have the shape of x.

    Examples
    --------
    >>> import numpy as np, pymnistcnn as pm
    >>> x = np.ones((1, 1000), np.float32)
    >>> bool((pm.functional.dropout_backward(x, x, seed=1) == pm.functional.dropout(x, seed=1)).all())
    True
    """
    return backward(_dropout(p, training), dy, x, seed=seed, threads=threads, isa=isa)


def _dropout(p: float, training: bool) -> Dropout:
    layer = Dropout(p)
    return layer if training else Dropout(0.0)


def gaussian_noise(
    x: ArrayLike, std: float, *, seed: int = 0, threads: int | None = None, isa: str | None = None
) -> Array:
    """x (n, features) or (n, c, h, w) plus normal numbers with standard deviation `std`. ValueError for other
    shapes, and if std is negative.

    Examples
    --------
    >>> import numpy as np, pymnistcnn as pm
    >>> round(float(pm.functional.gaussian_noise(np.ones((1, 1000), np.float32), 0.1, seed=1).std()), 2)
    0.1
    """
    return forward(GaussianNoise(std), x, seed=seed, training=True, threads=threads, isa=isa)


def gaussian_noise_backward(
    dy: ArrayLike, x: ArrayLike, std: float, *, seed: int = 0, threads: int | None = None, isa: str | None = None
) -> Array:
    """dx of `gaussian_noise`, for dy like x: dy itself. ValueError as from `gaussian_noise`, and if dy does not
    have the shape of x.

    Examples
    --------
    >>> import numpy as np, pymnistcnn as pm
    >>> pm.functional.gaussian_noise_backward([[1, 2]], np.zeros((1, 2), np.float32), 0.1)
    array([[1., 2.]], dtype=float32)
    """
    return backward(GaussianNoise(std), dy, x, seed=seed, threads=threads, isa=isa)


def augment(
    x: ArrayLike, *, seed: int = 0, threads: int | None = None, isa: str | None = None, **numbers: float
) -> Array:
    """Each picture of x (n, c, h, w) through a random map; y has its shape. numbers: as `pm.Augmentation` takes
    them, such as shift, rotation and scale, by name. ValueError for other shapes, and for numbers outside their
    ranges.

    Examples
    --------
    >>> import numpy as np, pymnistcnn as pm
    >>> x = np.ones((1, 1, 28, 28), np.float32)
    >>> int((pm.functional.augment(x, seed=1, cutout=4) == 0).sum())
    16
    """
    return forward(Augmentation(**numbers), x, seed=seed, training=True, threads=threads, isa=isa)


def augment_backward(
    dy: ArrayLike, x: ArrayLike, *, seed: int = 0, threads: int | None = None, isa: str | None = None, **numbers: float
) -> Array:
    """dx of `augment`, for dy like x, back along the map of the same seed. ValueError as from `augment`, and if dy
    does not have the shape of x.

    Examples
    --------
    >>> import numpy as np, pymnistcnn as pm
    >>> x = np.ones((1, 1, 28, 28), np.float32)
    >>> int((pm.functional.augment_backward(x, x, seed=1, cutout=4) == 0).sum())
    16
    """
    return backward(Augmentation(**numbers), dy, x, seed=seed, threads=threads, isa=isa)


def morphology(
    x: ArrayLike,
    dilation: float = 0.0,
    erosion: float = 0.0,
    *,
    seed: int = 0,
    threads: int | None = None,
    isa: str | None = None,
) -> Array:
    """Each picture of x (n, c, h, w) with strokes that are thicker by up to `dilation` pixels on each side, or thinner
    by up to `erosion`; y has its shape. ValueError for other shapes, and for numbers that are not from 0 to 100.

    Examples
    --------
    >>> import numpy as np, pymnistcnn as pm
    >>> x = np.zeros((1, 1, 28, 28), np.float32)
    >>> x[..., 10:18, 10:18] = 1
    >>> bool(pm.functional.morphology(x, dilation=1, seed=1).sum() > x.sum())
    True
    """
    return forward(Morphology(dilation, erosion), x, seed=seed, training=True, threads=threads, isa=isa)


def morphology_backward(
    dy: ArrayLike,
    x: ArrayLike,
    dilation: float = 0.0,
    erosion: float = 0.0,
    *,
    seed: int = 0,
    threads: int | None = None,
    isa: str | None = None,
) -> Array:
    """dx of `morphology`, for dy like x: a gradient goes to the pixels that its value came from, in the same shares.
    ValueError as from `morphology`, and if dy does not have the shape of x.

    Examples
    --------
    >>> import numpy as np, pymnistcnn as pm
    >>> x = np.ones((1, 1, 28, 28), np.float32)
    >>> bool((pm.functional.morphology_backward(x, x, dilation=1, seed=1) == x).all())  # all are equal: each its own
    True
    """
    return backward(Morphology(dilation, erosion), dy, x, seed=seed, threads=threads, isa=isa)


def random_erasing(
    x: ArrayLike,
    p: float = 0.5,
    area: tuple[float, float] = (0.02, 0.33),
    ratio: tuple[float, float] = (0.3, 3.3),
    fill: float | tuple[float, float] | None = None,
    *,
    seed: int = 0,
    threads: int | None = None,
    isa: str | None = None,
) -> Array:
    """Each picture of x (n, c, h, w), with probability p without a rectangle, as `pm.RandomErasing` has them; y has
    its shape. ValueError for other shapes, and for numbers outside their ranges.

    Examples
    --------
    >>> import numpy as np, pymnistcnn as pm
    >>> x = np.ones((1000, 1, 28, 28), np.float32)
    >>> round(float((pm.functional.random_erasing(x, 0.5, seed=1) == 0).any((1, 2, 3)).mean()), 1)
    0.5
    """
    return forward(RandomErasing(p, area, ratio, fill), x, seed=seed, training=True, threads=threads, isa=isa)


def random_erasing_backward(
    dy: ArrayLike,
    x: ArrayLike,
    p: float = 0.5,
    area: tuple[float, float] = (0.02, 0.33),
    ratio: tuple[float, float] = (0.3, 3.3),
    fill: float | tuple[float, float] | None = None,
    *,
    seed: int = 0,
    threads: int | None = None,
    isa: str | None = None,
) -> Array:
    """dx of `random_erasing`, for dy like x: what the same seed erases has no gradient. ValueError as from
    `random_erasing`, and if dy does not have the shape of x.

    Examples
    --------
    >>> import numpy as np, pymnistcnn as pm
    >>> x = np.ones((1, 1, 28, 28), np.float32)
    >>> y, dx = pm.functional.random_erasing(x, 1, seed=1), pm.functional.random_erasing_backward(x, x, 1, seed=1)
    >>> bool((y == dx).all())
    True
    """
    return backward(RandomErasing(p, area, ratio, fill), dy, x, seed=seed, threads=threads, isa=isa)
