"""Small problems in the plane, drawn at random: they can be plotted, and each defeats something.

Every function returns an `ArrayDataset` of points (n, 2), float32 unless `dtype` says otherwise,
and int64 labels (n,), in random order, the classes as equal in number as n allows. `noise` is the
standard deviation of the normal noise added to each coordinate, in the unit of the points; `rng` is
an int seed, a numpy Generator, or None for the package's generator. Each raises ValueError for
fewer points than classes or for a noise that is negative or not finite.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from ..errors import ArgumentError, DtypeError
from ..random import generator
from .dataset import ArrayDataset, whole_number


def moons(
    n: int = 200, noise: float = 0.1, *, rng: Any = None, dtype: DTypeLike = np.float32
) -> ArrayDataset:
    """Two interleaving half circles of radius 1: one hidden layer separates them, no line does."""
    labels, rng = _begin("moons", n, noise, 2, rng)
    angle = np.pi * rng.random(n)
    x = np.where(labels == 0, np.cos(angle), 1 - np.cos(angle))
    y = np.where(labels == 0, np.sin(angle), 0.5 - np.sin(angle))
    return _finish(x, y, labels, noise, rng, dtype)


def circles(
    n: int = 200,
    noise: float = 0.05,
    *,
    factor: float = 0.5,
    rng: Any = None,
    dtype: DTypeLike = np.float32,
) -> ArrayDataset:
    """A circle of radius `factor` (class 1, 0 < factor < 1) inside one of radius 1 (class 0)."""
    if not 0 < factor < 1:
        raise ArgumentError(
            f"circles: factor is {factor!r}; expected the inner radius, between 0 and 1."
        )
    labels, rng = _begin("circles", n, noise, 2, rng)
    angle = 2 * np.pi * rng.random(n)
    radius = np.where(labels == 0, 1, factor)
    return _finish(radius * np.cos(angle), radius * np.sin(angle), labels, noise, rng, dtype)


def spirals(
    n: int = 300,
    noise: float = 0.03,
    *,
    classes: int = 2,
    turns: float = 1.0,
    rng: Any = None,
    dtype: DTypeLike = np.float32,
) -> ArrayDataset:
    """`classes` arms that wind `turns` times around the origin, from radius 0.1 to 1."""
    classes = whole_number("spirals", "classes", classes)
    labels, rng = _begin("spirals", n, noise, classes, rng)
    along = np.sqrt(rng.random(n))  # evenly dense along the arm, not crowded at the centre
    radius = 0.1 + 0.9 * along
    angle = 2 * np.pi * (turns * along + labels / classes)
    return _finish(radius * np.cos(angle), radius * np.sin(angle), labels, noise, rng, dtype)


def xor(
    n: int = 200, noise: float = 0.2, *, rng: Any = None, dtype: DTypeLike = np.float32
) -> ArrayDataset:
    """Clouds around the corners (+-1, +-1); the class says whether the signs differ.

    No single neuron computes it: M. Minsky and S. Papert, Perceptrons (1969).
    """
    labels, rng = _begin("xor", n, noise, 2, rng)
    x = rng.choice([-1.0, 1.0], n)
    y = np.where(labels == 0, x, -x)
    return _finish(x, y, labels, noise, rng, dtype)


def blobs(
    n: int = 200,
    noise: float = 0.3,
    *,
    centers: int = 3,
    rng: Any = None,
    dtype: DTypeLike = np.float32,
) -> ArrayDataset:
    """`centers` round clouds on a circle of radius 1: lines separate them while noise is small."""
    centers = whole_number("blobs", "centers", centers)
    labels, rng = _begin("blobs", n, noise, centers, rng)
    angle = 2 * np.pi * labels / centers
    return _finish(np.cos(angle), np.sin(angle), labels, noise, rng, dtype)


def _begin(
    name: str, n: int, noise: float, classes: int, rng: Any
) -> tuple[np.ndarray, np.random.Generator]:
    n = whole_number(name, "n", n, least=classes)
    if not (math.isfinite(noise) and noise >= 0):
        raise ArgumentError(
            f"{name}: noise is {noise!r}; expected a finite standard deviation of at least 0."
        )
    rng = generator(rng)
    return rng.permutation(np.arange(n, dtype=np.int64) % classes), rng


def _finish(
    x: np.ndarray,
    y: np.ndarray,
    labels: np.ndarray,
    noise: float,
    rng: np.random.Generator,
    dtype: DTypeLike,
) -> ArrayDataset:
    points = np.stack([x, y], axis=1)
    points += noise * rng.standard_normal(points.shape)
    return ArrayDataset(points.astype(float_dtype(dtype)), labels)


def float_dtype(dtype: DTypeLike) -> np.dtype:
    """`dtype` as float32 or float64; DtypeError for any other, which no gradient flows through."""
    result = np.dtype(dtype)
    if result not in (np.dtype(np.float32), np.dtype(np.float64)):
        raise DtypeError(
            f"inputs of dtype {result} were asked for; expected float32 or float64.",
            code="not-a-float-dtype",
        )
    return result
