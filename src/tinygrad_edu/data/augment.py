"""New examples from old ones: an image moved by a point is still an image of the same digit."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..errors import ArgumentError, ShapeError
from ..random import generator
from .dataset import ArrayDataset, whole_number


class RandomShift:
    """`dataset` with its images moved at random by up to `pixels` each way, for a DataLoader.

    dataset: an ArrayDataset whose first array holds square images, (n, side * side), or images (n,
    C, H, W). What moves in at the edge is 0. rng: an int seed, a numpy Generator, or None for the
    package's generator. All images of one batch move together, so that the cost is one more copy of
    the batch; over the epochs an image meets every shift. Indexing gives a tuple of arrays, as the
    data set itself does.
    Raises ShapeError for other shapes, ValueError for pixels below 0 or not below the side.
    """

    def __init__(self, dataset: ArrayDataset, pixels: int = 1, *, rng: Any = None):
        shape = dataset.arrays[0].shape
        side = math.isqrt(shape[1]) if len(shape) == 2 else 0
        if len(shape) != 4 and (side == 0 or side * side != shape[1]):
            raise ShapeError(
                f"RandomShift: the first array has shape {shape}; expected square images (n, side "
                "* side) or (n, C, H, W).",
                code="unexpected-shape",
            )
        self.dataset = dataset
        self.pixels = whole_number("RandomShift", "pixels", pixels, least=0)
        self.image_shape = shape[1:] if len(shape) == 4 else (1, side, side)
        if self.pixels >= min(self.image_shape[1:]):
            raise ArgumentError(
                f"RandomShift: pixels is {pixels}, which moves images {self.image_shape} out of "
                "sight."
            )
        self.rng = None if rng is None else generator(rng)

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: Any) -> tuple[Any, ...]:
        images, *others = self.dataset[index]
        down, right = generator(self.rng).integers(-self.pixels, self.pixels + 1, size=2)
        return (
            shifted(images.reshape(-1, *self.image_shape), down, right).reshape(images.shape),
            *others,
        )


def shifted(images: np.ndarray, down: int, right: int) -> np.ndarray:
    """Images (n, C, H, W) moved by whole points, zeros moving in; negative is up and left."""
    if down == 0 and right == 0:
        return images
    height, width = images.shape[2:]
    result = np.zeros_like(images)
    result[:, :, max(down, 0) : height + min(down, 0), max(right, 0) : width + min(right, 0)] = (
        images[
            :, :, max(-down, 0) : height + min(-down, 0), max(-right, 0) : width + min(-right, 0)
        ]
    )
    return result
