"""Rows: along axes. `axis` is None (all), an integer or a tuple; `keepdims` as in NumPy."""

import math
from typing import Any

import numpy as np

from .. import kernels
from ..domains import Case, Reals, cases
from ..kernels import reference
from ..row import row
from .arithmetic import where
from .elementwise import exp
from .shape import astype, broadcast_to, reshape

ALONG = {"axis": None, "keepdims": False}
ANY = Reals(-4, 4)
CASES = cases(((3, 4),), ((3, 4), {"axis": 0}), ((2, 3, 4), {"axis": (0, 2)}),
              ((2, 3), {"axis": -1, "keepdims": True}),
              ((),))
DISTINCT = tuple(Case(c.shapes, c.params, distinct=True) for c in CASES)
ROWS = cases(((3, 4), {"axis": -1}), ((3, 4), {"axis": 0}), ((5,), {"axis": -1}))


def spread_back(g, shape, axis, keepdims):
    """What was reduced to `g`, repeated over the axes of `shape` that it was reduced along."""
    return broadcast_to(kept(g, shape, axis, keepdims), shape=shape)


def kept(reduced, shape, axis, keepdims):
    """`reduced` with the axes that it lost from `shape` back as axes of length 1."""
    if keepdims or not shape:
        return reduced
    ndim = len(shape)
    axes = range(ndim) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    gone = {a % ndim for a in axes}
    return reshape(reduced, shape=tuple(1 if i in gone else n for i, n in enumerate(shape)))


def count(shape, axis):
    """How many elements of `shape` become one when reduced along `axis`."""
    axes = range(len(shape)) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    return math.prod(shape[a] for a in axes) if shape else 1


def _mean(x, *, axis, keepdims):
    x = reference.floating(x)
    total = kernels.sum(x, axis=axis, keepdims=keepdims)
    return np.true_divide(total, count(x.shape, axis), dtype=x.dtype.newbyteorder("="))


def of_extreme(g, out, x, *, axis, keepdims):
    """The gradient goes to the extreme entries, shared evenly among equal ones."""
    winners = x == kept(out, x.shape, axis, keepdims)
    how_many = sum(astype(winners, dtype=g.dtype), axis=axis, keepdims=True)
    shares = kept(g, x.shape, axis, keepdims) / how_many
    return where(winners, shares, 0)


sum: Any = row(
    "sum", kernels.sum, defaults=ALONG,
    vjp=lambda g, _out, _x, axis, keepdims: spread_back(g, _x.shape, axis, keepdims),
    domain=ANY, cases=CASES, doc="The sum along `axis`.")
mean = row(
    "mean", _mean, defaults=ALONG,
    vjp=lambda g, _out, _x, axis, keepdims: spread_back(
        g / count(_x.shape, axis), _x.shape, axis, keepdims),
    domain=ANY, cases=CASES,
    doc="The arithmetic mean along `axis`; NaN where there is nothing to average.")
max = row(
    "max", kernels.max, defaults=ALONG, vjp=of_extreme,
    domain=ANY, cases=DISTINCT, kinks="shared evenly among equal largest entries",
    doc="The largest entry along `axis`; NaN where there is one.")
min = row(
    "min", lambda x, *, axis, keepdims: np.asarray(np.min(x, axis=axis, keepdims=keepdims)),
    defaults=ALONG, vjp=of_extreme,
    domain=ANY, cases=DISTINCT, kinks="shared evenly among equal smallest entries",
    doc="The smallest entry along `axis`; NaN where there is one.")
argmax = row(
    "argmax", lambda x, *, axis, keepdims: np.asarray(np.argmax(x, axis=axis, keepdims=keepdims)),
    defaults=ALONG,
    vjp=None, domain=ANY, cases=CASES[:2],
    doc="The index of the largest entry, the first of equal ones. No gradient.")
argmin = row(
    "argmin", lambda x, *, axis, keepdims: np.asarray(np.argmin(x, axis=axis, keepdims=keepdims)),
    defaults=ALONG,
    vjp=None, domain=ANY, cases=CASES[:2],
    doc="The index of the smallest entry, the first of equal ones. No gradient.")
logsumexp = row(
    "logsumexp", reference.logsumexp, defaults=ALONG,
    vjp=lambda g, out, x, axis, keepdims: (
        kept(g, x.shape, axis, keepdims) * _weights(x, kept(out, x.shape, axis, keepdims))),
    domain=ANY, cases=CASES,
    doc="log(sum(exp(x))) along `axis`, without overflow for any x; -inf for a row of -inf.")
softmax = row(
    "softmax", kernels.softmax, defaults={"axis": -1},
    vjp=lambda g, out, _x, axis: out * (g - sum(g * out, axis=axis, keepdims=True)),
    domain=ANY, cases=ROWS, doc="exp(x) / sum(exp(x)) along `axis`, without overflow for any x.")
log_softmax = row(
    "log_softmax", kernels.log_softmax, defaults={"axis": -1},
    vjp=lambda g, out, _x, axis: g - exp(out) * sum(g, axis=axis, keepdims=True),
    domain=ANY, cases=ROWS,
    doc="x - logsumexp(x) along `axis`, accurate where softmax would underflow.")


def _weights(x, total):
    """exp(x - total), the softmax; 0 where x = -inf, also in a row that is -inf throughout."""
    return exp(where(x == -math.inf, -math.inf, x - where(total == -math.inf, 0, total)))
