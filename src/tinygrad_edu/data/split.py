"""Splitting a data set into what is learned from, what decides, and what is reported.

The invariant: the three parts are a partition of the examples. An example that were in two parts
would make the test accuracy a memory test.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import ArgumentError, ShapeError
from ..random import generator
from .dataset import ArrayDataset, plain_array


def train_val_test_split(
    dataset: ArrayDataset,
    fractions: Sequence[float] = (0.7, 0.15, 0.15),
    *,
    rng: Any = None,
    stratify: Any = None,
) -> tuple[ArrayDataset, ArrayDataset, ArrayDataset]:
    """Split `dataset` at random into (train, validation, test), disjoint and exhaustive.

    fractions: three numbers >= 0 that sum to 1; 0 gives an empty part. Sizes are rounded so that
    they sum to len(dataset). rng: an int seed, a numpy Generator, or None for the package's
    generator.
    stratify: None, or class labels (n,): then every class is cut in the same proportion, as nearly
    as whole examples allow.
    Raises ValueError for other fractions, or when a part with a positive fraction would be empty;
    ShapeError when there is not one label per example.
    """
    n = len(dataset)
    bounds = _bounds(n, fractions)
    rng = generator(rng)
    order = rng.permutation(n) if stratify is None else _spread_classes(_labels(stratify, n), rng)
    train, validation, test = (dataset.subset(part) for part in np.split(order, bounds))
    return train, validation, test


def _bounds(n: int, fractions: Sequence[float]) -> list[int]:
    """Where to cut n examples: each part gets its share rounded down, the largest remainders one
    more."""
    shares = [float(fraction) for fraction in fractions]
    valid = len(shares) == 3 and all(math.isfinite(share) and share >= 0 for share in shares)
    if not valid or not math.isclose(sum(shares), 1, abs_tol=1e-6):
        raise ArgumentError(
            f"train_val_test_split: fractions are {tuple(fractions)}; expected three numbers >= 0 "
            "that sum to 1, for train, validation and test, e.g. (0.7, 0.15, 0.15)."
        )
    exact = [share * n for share in shares]
    sizes = [math.floor(value + 1e-9) for value in exact]
    by_remainder = sorted(range(3), key=lambda part: sizes[part] - exact[part])
    for part in by_remainder[: n - sum(sizes)]:
        sizes[part] += 1
    for name, share, size in zip(("train", "validation", "test"), shares, sizes, strict=True):
        if share > 0 and size == 0:
            raise ArgumentError(
                f"train_val_test_split: {n} examples are too few: a fraction of {share:g} leaves "
                f"the {name} part empty. Use more examples or a larger fraction.",
                code="empty-data",
            )
    return [sizes[0], sizes[0] + sizes[1]]


def _labels(stratify: Any, n: int) -> np.ndarray:
    labels = plain_array(stratify)
    if labels.shape != (n,):
        raise ShapeError(
            f"train_val_test_split: stratify has shape {labels.shape}; expected ({n},), one class "
            "label an example."
        )
    return labels


def _spread_classes(labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A random order in which every stretch holds the classes in nearly their overall proportion.

    Each class, shuffled, is spread evenly over the interval [0, 1): its j-th of m examples lands at
    a random point of [j/m, (j+1)/m). Sorting all examples by their points and cutting anywhere then
    cuts each class in that proportion. (Rounding class by class, which looks simpler, gives parts
    whose sizes miss the asked ones.)
    """
    order = rng.permutation(len(labels))
    classes, number = np.unique(labels[order], return_inverse=True)
    point = np.empty(len(labels))
    for which in range(len(classes)):
        members = np.flatnonzero(number == which)
        point[members] = (np.arange(len(members)) + rng.random(len(members))) / len(members)
    return order[np.argsort(point, kind="stable")]
