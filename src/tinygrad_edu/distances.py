"""Distances between points, differentiable in both: minkowski, cosine, jaccard, great_circle.

Each takes two Tensors, arrays or nested lists whose points lie along an axis, and gives one number
per pair of points: plain data in, an ndarray out; a Tensor in, a Tensor out. The other axes
broadcast, so that `minkowski(x[:, None], y[None])` is the table of all pairs. Shapes that do not
broadcast, or points with different numbers of coordinates, raise ShapeError.

Where points coincide a distance has a kink, like abs at 0, and its gradient is taken to be 0 there:
the middle of what the two sides say, and no NaN.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec

import numpy as np

from .errors import ArgumentError, ShapeError
from .graph import Recorder, no_grad
from .ops.arithmetic import abs, arctan2, isfinite, logical_and, maximum, minimum, round, where
from .ops.elementwise import cos, sin, sqrt
from .ops.reduction import max, sum
from .ops.shape import astype, getitem

if TYPE_CHECKING:
    from .payloads import Pairwise

EARTH_RADIUS_KM = 6371.0088
P = ParamSpec("P")


def _pairwise(distance: Callable[Concatenate[Any, Any, P], Any]) -> Pairwise[P]:
    """`distance` itself, which is told to type checkers as what it is."""
    return distance


@_pairwise
def minkowski(x: Any, y: Any, p: float = 2, axis: int = -1) -> Any:
    """(sum_i |x_i - y_i|**p)**(1/p): p = 1 is the city-block distance, 2 Euclid's, math.inf the
    largest difference.

    x, y: (..., n), with the n coordinates along `axis`; the result has their unit and their shape
    without that axis. Neither overflows nor underflows where the distance itself does not.
    Raises ValueError unless p > 0 (for p < 1 the triangle inequality fails), ShapeError.
    Gradient: 0 where the points coincide and, for p <= 1, in a coordinate in which they agree; for
    p = inf shared evenly among equal largest differences.
    """
    if not p > 0:
        raise ArgumentError(f"minkowski: p={p!r}: expected a number above 0, or math.inf.")
    x, y = _points("minkowski", x, y, axis)
    return _length(x - y, p, axis)


@_pairwise
def cosine(x: Any, y: Any, axis: int = -1) -> Any:
    """1 - cos(angle between x and y): 0 for the same direction, 1 at right angles, 2 for opposite
    ones. No unit.

    x, y: (..., n), with the n coordinates along `axis`; the result loses that axis. Computed as
    |x/|x| - y/|y||**2 / 2, which keeps its digits at small angles, where 1 - cos cancels.
    Raises ShapeError. A vector of zeros has no direction: its distance to any vector is 1, with
    gradient 0. Gradient: 0 where the directions coincide (smoothly: it is a minimum, no kink).
    """
    x, y = _points("cosine", x, y, axis)
    size_x, size_y = (_length(v, 2, axis, keepdims=True) for v in (x, y))
    apart = _over(x, size_x) - _over(y, size_y)
    directed = logical_and(size_x > 0, size_y > 0)
    half_square = sum(0.5 * apart * apart, axis=axis, keepdims=True)
    return sum(where(directed, half_square, 1), axis=axis)


@_pairwise
def jaccard(x: Any, y: Any, axis: int = -1) -> Any:
    """1 - |x and y| / |x or y|, for sets with degrees of membership: 1 - sum min(x, y) / sum
    max(x, y). No unit, between 0 and 1.

    x, y: (..., n), not negative, with one membership per element along `axis`; the result loses
    that axis. For memberships of 0 and 1 it is the distance of the sets; where only y is 0 or 1 and
    x a probability, it is the usual soft Jaccard (IoU) loss, 1 - sum xy / sum (x + y - xy). Two
    empty sets are at distance 0, with gradient 0.
    Raises ValueError for negative numbers, ShapeError. Gradient where x_i = y_i: one half of min's
    and of max's to each, as in `minimum` and `maximum`. Source: P. Jaccard (1901); with minimum and
    maximum it is a metric: J. C. Gower, Biometrics 27 (1971), M. Levandowsky and D. Winter, Nature
    234 (1971).
    """
    x, y = _points("jaccard", x, y, axis)
    for name, v in (("x", x), ("y", y)):
        numbers = _numbers(v)
        if numbers is not None and (numbers < 0).any():
            raise ArgumentError(
                f"jaccard: {name} holds {numbers.min()}: degrees of membership are 0 or more.",
                code="outside-the-domain",
            )
    larger = maximum(x, y)
    total = sum(larger, axis=axis)
    apart = sum(larger - minimum(x, y), axis=axis)  # total - shared, without its cancellation
    return apart / where(total == 0, 1, total)


@_pairwise
def great_circle(a: Any, b: Any, degrees: bool = True, radius: float = EARTH_RADIUS_KM) -> Any:
    """The distance along the surface of a sphere, in the unit of `radius`.

    a, b: (..., 2), latitude (north) and longitude (east), in degrees or, with degrees=False,
    radians; longitudes may be of any turn. The result loses the last axis. radius: by default the
    mean radius of the Earth in km, R1 = (2a + b)/3 of GRS 80 (H. Moritz, Journal of Geodesy 74
    (2000)); on the Earth, which is no sphere, the error is up to 0.56 %.

    Haversines of the distance to b, h, and to the antipode of b, 1 - h, each a sum of terms that
    are not negative; then 2 radius arctan2(sqrt(h), sqrt(1 - h)) keeps its digits for near and for
    antipodal points alike. Source: R. W. Sinnott, Sky and Telescope 68 (1984), p. 159.
    Raises ValueError for a latitude beyond a pole (often a sign of exchanged coordinates) or a
    radius that is not above 0, ShapeError. Gradient: 0 where the points coincide or are antipodes.
    """
    if not 0 < radius < math.inf:
        raise ArgumentError(f"great_circle: radius={radius!r}: expected a finite number above 0.")
    a, b = _points("great_circle", a, b, -1)
    if a.shape[-1] != 2:
        raise ShapeError(
            f"great_circle: points of shape {a.shape}: expected (..., 2), latitude and longitude.",
            code="unexpected-shape",
        )
    unit, right = (math.pi / 180, 90.0) if degrees else (1.0, math.pi / 2)
    for name, v in (("a", a), ("b", b)):
        numbers = _numbers(v)
        if numbers is not None and (np.abs(numbers[..., 0]) > right * (1 + 1e-6)).any():
            worst = np.abs(numbers[..., 0]).max()
            raise ArgumentError(
                f"great_circle: {name} has a latitude of {worst:g}, beyond the pole at {right:g}. "
                "Points are (latitude, longitude); for radians pass degrees=False.",
                code="outside-the-domain",
            )
    lat_a, lon_a, lat_b, lon_b = (getitem(v, (..., i)) for v in (a, b) for i in (0, 1))
    east = lon_a - lon_b
    east = east - 4 * right * round(east / (4 * right))  # at most half a turn, either way
    beyond = 2 * right - where(east < 0, -east, east)  # exact where sin^2 of it, a cosine, is small
    both = maximum(cos(unit * lat_a) * cos(unit * lat_b), 0)
    near = _square(sin(0.5 * unit * (lat_a - lat_b))) + both * _square(sin(0.5 * unit * east))
    far = _square(sin(0.5 * unit * (lat_a + lat_b))) + both * _square(sin(0.5 * unit * beyond))
    return (2 * radius) * arctan2(_root(near), _root(far))


# ------------------------------------------------------------------------------------------ pieces


def _points(name: str, x: Any, y: Any, axis: int) -> tuple[Any, Any]:
    """Both as floating arrays or Tensors whose shapes fit."""
    x, y = _floating(x), _floating(y)
    try:
        np.broadcast_shapes(x.shape, y.shape)
        fit = x.shape[axis] == y.shape[axis]
    except (ValueError, IndexError):
        fit = False
    if not fit:
        raise ShapeError(
            f"{name}: points of shapes {x.shape} and {y.shape}: along axis {axis} both need the "
            "same number of coordinates, and the other axes must broadcast."
        )
    return x, y


def _floating(x: Any) -> Any:
    if not isinstance(x, Recorder):
        x = np.asarray(x)
    return astype(x, dtype=np.float64) if x.dtype.kind in "biu" else x


def _numbers(x: Any) -> Any:
    """The numbers, to be looked at; None while they are only traced."""
    x = getattr(x, "payload", x)
    return x if isinstance(x, np.ndarray) else None


def _length(v: Any, p: float, axis: int, keepdims: bool = False) -> Any:
    """The p-norm along `axis`, with gradient 0 at v = 0.

    For 1 < p < inf it is m (sum |v/m|**p)**(1/p), m the largest |v|: the same for every m, so m is
    a constant to the derivatives. An even power needs no abs, and keeps its second derivative at 0.
    """
    if p == math.inf:
        return max(abs(v), axis=axis, keepdims=keepdims)
    if p == 1:
        return sum(abs(v), axis=axis, keepdims=keepdims)
    with no_grad():
        m = max(abs(v), axis=axis, keepdims=True)
        m = where(logical_and(m > 0, isfinite(m)), m, 1)
    ratios = v / m
    if p == 2:
        powers = ratios * ratios
    elif p % 2 == 0:
        powers = ratios**p
    else:
        size = abs(ratios)
        powers = where(size == 0, 0, where(size == 0, 1, size) ** p)
    total = sum(powers, axis=axis, keepdims=True)
    nothing = total == 0
    filled = where(nothing, 1, total)
    length = where(nothing, 0, m * (sqrt(filled) if p == 2 else filled ** (1 / p)))
    return length if keepdims else sum(length, axis=axis)


def _over(v: Any, size: Any) -> Any:
    return v / where(size > 0, size, 1)


def _square(x: Any) -> Any:
    return x * x


def _root(x: Any) -> Any:
    """sqrt, with gradient 0 at 0."""
    nothing = x == 0
    return where(nothing, 0, sqrt(where(nothing, 1, x)))
