"""Rows: products, spreads, lengths and running sums along axes.

`axis` and `keepdims` are NumPy's, as in reduction.py, whose helpers carry a gradient back.
"""

import math
from typing import Any

import numpy as np

from .. import kernels
from ..domains import Case, Reals, cases
from ..errors import ArgumentError
from ..kernels import reference
from ..row import row
from .arithmetic import abs, sign, where
from .arrange import flip, pad
from .reduction import ALONG, ANY, CASES, count, kept, mean, of_extreme
from .shape import expand_dims, getitem, moveaxis, reshape

SPREAD = {"axis": None, "ddof": 0, "keepdims": False}
SPREAD_CASES = cases(((3, 4),), ((3, 4), {"axis": 0}), ((2, 3, 4), {"axis": (0, 2), "ddof": 1}),
                     ((2, 3), {"axis": -1, "keepdims": True}))
LENGTH = {"ord": None, **ALONG}
LENGTH_CASES = (
    *CASES, *(Case(shapes, {"ord": ord, "axis": axis, "keepdims": axis == 1}, distinct=True)
              for ord in (1, 2, 3.5, 0.5, math.inf)
              for shapes, axis in ((((3, 4),), 1), (((5,),), None))))


# ----------------------------------------------------------------------------------------- product

def _prod_vjp(g, _out, x, axis, keepdims):
    """d prod / d x_i is the product of the other entries: the reduced axes are run together and put
    last for it, and come back."""
    ndim = len(x.shape)
    axes = range(ndim) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    source = tuple(a % ndim for a in axes)
    last = tuple(range(ndim - len(source), ndim))
    moved = moveaxis(x, source=source, destination=last)
    together = (*moved.shape[:ndim - len(source)], count(x.shape, axis))
    others = reshape(products_of_others(reshape(moved, shape=together)), shape=moved.shape)
    return kept(g, x.shape, axis, keepdims) * moveaxis(others, source=last, destination=source)


def products_of_others(x):
    """For each entry the product of all others along the last axis.

    Nothing is divided, so zeros are exact, in this and in every further derivative. Entries stand
    in pairs: what is missing for one is its partner times the other pairs, which is the same
    question for half as many numbers.
    """
    n = x.shape[-1]
    if n <= 1:
        return where(False, x, 1)
    if n % 2:
        before = ((0, 0),) * (len(x.shape) - 1)
        even = products_of_others(pad(x, pad_width=(*before, (0, 1)), constant_values=1))
        return getitem(even, (Ellipsis, slice(n)))
    pairs = reshape(x, shape=(*x.shape[:-1], n // 2, 2))
    whole = getitem(pairs, (Ellipsis, 0)) * getitem(pairs, (Ellipsis, 1))
    missing = expand_dims(products_of_others(whole), axis=-1) * flip(pairs, axis=-1)
    return reshape(missing, shape=x.shape)


prod = row(
    "prod", lambda x, *, axis, keepdims: np.asarray(np.prod(x, axis=axis, keepdims=keepdims)),
    defaults=ALONG, vjp=_prod_vjp, domain=Reals(-2, 2), cases=CASES,
    doc="The product along `axis`. Its derivatives are exact where entries are 0, too.")


# ------------------------------------------------------------------------------------------ spread

def _var(x, *, axis, ddof, keepdims):
    """The mean square distance from the mean, which is found first: no cancellation."""
    x = reference.floating(x)
    dtype = x.dtype.newbyteorder("=")
    total = kernels.sum(x, axis=axis, keepdims=True)
    n = count(x.shape, axis)
    squares = np.square(x - np.true_divide(total, n, dtype=dtype))
    total = kernels.sum(squares, axis=axis, keepdims=keepdims)
    return np.asarray(np.true_divide(total, freedom(n, ddof), dtype=dtype))


def freedom(n, ddof):
    """What the sum of n squares is divided by; never negative, as in NumPy."""
    return n - ddof if n > ddof else 0


def _from_mean(x, axis, ddof):
    """(x - mean) / (n - ddof): half the derivative of the variance."""
    return (x - mean(x, axis=axis, keepdims=True)) / freedom(count(x.shape, axis), ddof)


def unless_zero(x, length):
    """x / length, and 0 where length is 0."""
    is_zero = length == 0
    return where(is_zero, 0, x / where(is_zero, 1, length))


var = row(
    "var", _var, defaults=SPREAD,
    vjp=lambda g, _out, x, axis, ddof, keepdims: (
        2 * kept(g, x.shape, axis, keepdims) * _from_mean(x, axis, ddof)),
    domain=ANY, cases=(*SPREAD_CASES, Case(((),))),
    doc="The variance along `axis`: the squared distances from the mean, summed and divided by "
        "n - ddof.")
std = row(
    "std", lambda x, **along: np.asarray(np.sqrt(_var(x, **along))), defaults=SPREAD,
    vjp=lambda g, out, x, axis, ddof, keepdims: kept(g, x.shape, axis, keepdims) * unless_zero(
        _from_mean(x, axis, ddof), kept(out, x.shape, axis, keepdims)),
    domain=ANY, cases=SPREAD_CASES, kinks="0 where all entries are equal",
    doc="The standard deviation along `axis`, the root of `var`.")


# ------------------------------------------------------------------------------------------ length

def _norm(x, *, ord, axis, keepdims):
    x = reference.floating(x)
    several = x.ndim if axis is None else len(axis) if isinstance(axis, tuple) else 1
    if ord == "fro" and several == 2:
        ord = None  # another name for the same number
    if ord is not None and (isinstance(ord, str) or not ord > 0):
        raise ArgumentError(
            f"norm: ord={ord!r}: expected None, a number above 0, inf, or 'fro' for two axes.")
    if ord is not None and several > 1:
        raise ArgumentError(
            f"norm: ord={ord} over {several} axes of {x.shape} would be NumPy's norm of a matrix, "
            "which is not here. Name one axis, or flatten x first; ord=None takes all entries.",
            code="arguments-conflict")
    along = {"axis": axis, "keepdims": keepdims}
    if ord == 1:
        return kernels.sum(np.abs(x), **along)
    if ord == math.inf:
        return kernels.max(np.abs(x), **along)
    if _euclidean(ord):
        return np.asarray(np.sqrt(kernels.sum(np.square(x), **along)))
    return np.asarray(kernels.sum(np.abs(x) ** ord, **along) ** (1 / ord))


def _euclidean(ord):
    return ord is None or ord == 2 or ord == "fro"


def _norm_vjp(g, out, x, ord, axis, keepdims):
    """d (sum |x|**p)**(1/p) = sign(x) (|x| / norm)**(p - 1): x / norm for the Euclidean norm, the
    signs for p = 1; for p = inf the sign of the largest."""
    if ord == math.inf:
        return sign(x) * of_extreme(g, out, abs(x), axis=axis, keepdims=keepdims)
    g = kept(g, x.shape, axis, keepdims)
    if ord == 1:
        return g * sign(x)
    length = kept(out, x.shape, axis, keepdims)
    if _euclidean(ord):
        return g * unless_zero(x, length)
    return g * sign(x) * where(x == 0, 1, unless_zero(abs(x), length)) ** (ord - 1)


norm = row(
    "norm", _norm, defaults=LENGTH, vjp=_norm_vjp,
    domain=Reals(-4, -0.25), cases=LENGTH_CASES,
    kinks="0 at x = 0; ord inf: shared evenly among equal largest entries",
    doc="The norm along `axis`: (sum |x|**ord)**(1/ord), Euclidean for None, the largest for inf. "
        "ord None takes any axes together ('fro' says so of two), the others one.")


# ------------------------------------------------------------------------------------ running sums

def _cumsum_vjp(g, _out, _x, axis):
    """An entry is in every sum from its own on: the sums of the gradient from the end."""
    along = 0 if axis is None else axis
    return reshape(flip(cumsum(flip(g, axis=along), axis=along), axis=along), shape=_x.shape)


cumsum: Any = row(
    "cumsum", lambda x, *, axis: np.cumsum(x, axis), defaults={"axis": None}, vjp=_cumsum_vjp,
    domain=ANY, cases=cases(((3, 4),), ((3, 4), {"axis": 0}), ((2, 3, 4), {"axis": -1}), ((),)),
    doc="The sums of all entries up to each one along `axis`; without an axis, in reading order.")
