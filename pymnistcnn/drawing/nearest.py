"""The training pictures that are nearest to another, by their pixels at half the size, where a shift counts less."""

from __future__ import annotations

import numpy as np

from .._types import Array

COUNT = 8


class Nearest:
    """images: uint8 (n, h, w) or (n, c, h, w), of which the nearest are looked for."""

    halves: np.ndarray
    squares: np.ndarray

    def __init__(self, images: Array) -> None:
        self.halves = np.concatenate([halves_of(images[i : i + 1000]) for i in range(0, len(images), 1000)])
        self.squares = np.einsum("ij,ij->i", self.halves, self.halves)

    def __call__(self, image: Array) -> np.ndarray:
        """Places of the nearest of them, the nearest first, of an image (h, w) or (c, h, w)."""
        distances = self.squares - 2 * (self.halves @ halves_of(image[None])[0])
        return np.argsort(distances, kind="stable")[:COUNT]


def halves_of(images: Array) -> np.ndarray:
    """float32 (n, pixels): the means of squares of 2x2; of an odd row or column nothing."""
    *_, height, width = images.shape
    images = images[..., : height // 2 * 2, : width // 2 * 2].astype(np.float32)
    rows = images[..., ::2, :] + images[..., 1::2, :]
    return ((rows[..., ::2] + rows[..., 1::2]) / 4).reshape(len(images), -1)
