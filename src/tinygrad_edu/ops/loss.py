"""Rows: losses, each one node from prediction to number. `nn/functional.py` has the public names.

`reduction`: "mean" and "sum" over all elements give shape (), "none" the elements themselves.
"""

import math
from typing import Any

import numpy as np

from .. import kernels
from ..domains import Integers, Reals, cases
from ..errors import ArgumentError, DtypeError, RangeError, ShapeError
from ..row import row
from .arithmetic import clip, sign, where
from .elementwise import sigmoid, softplus
from .reduction import log_softmax, softmax, sum
from .shape import expand_dims

REDUCED = {"reduction": "mean"}
BOTH = ((3, 4), (3, 4))
CASES = cases(BOTH, (*BOTH, {"reduction": "sum"}), (*BOTH, {"reduction": "none"}), ((), ()))


def pointwise(name, formula):
    """The forward of a loss that compares element with element: equal shapes, floating dtypes."""

    def forward(input, target, *, reduction, **params):
        x, t = np.asarray(input), np.asarray(target)
        if x.shape != t.shape:
            raise ShapeError(_unequal(name, x.shape, t.shape))
        if x.dtype.kind != "f":
            raise DtypeError(f"{name}: prediction of dtype {x.dtype}: expected float32 or float64.",
                             code="not-a-float-dtype")
        if t.dtype.kind not in "fiub":
            raise DtypeError(f"{name}: target of dtype {t.dtype}: expected numbers.")
        if reduction not in kernels.REDUCTIONS:
            raise ArgumentError(f"{name}: reduction {reduction!r}: expected 'mean', 'sum' or "
                                "'none'.", code="unknown-name")
        losses = formula(x, t if t.dtype.kind == "f" else t.astype(x.dtype), **params)
        if reduction == "none":
            return losses
        return kernels.reduced(losses, reduction)

    return forward


def _unequal(name, x, t):
    """The message for unequal shapes, with the remedy where one is at hand."""
    try:
        spread = np.broadcast_shapes(x, t)
        why = (f"Broadcasting them would compare every prediction with every target, {spread}, "
               "which is seldom meant.")
    except ValueError:
        why = "Each prediction needs its own target."
    same = np.prod(x, dtype=int) == np.prod(t, dtype=int)
    remedy = f" Reshape one: target.reshape{x if len(x) != 1 else f'({x[0]},)'}." if same else ""
    return f"{name}: prediction has shape {x} and target {t}. {why}{remedy}"


def each(g, shape, reduction):
    """The gradient of each element's loss: g itself, or its share of the mean."""
    if reduction == "batchmean":
        return g / length(shape)
    return g / math.prod(shape) if reduction == "mean" else g


def square_slope(g, d, reduction):
    """The gradient of each d**2, g 2 d, or its share of the mean: the numbers first made one, since
    a number costs NumPy more than a small array does."""
    return d * g * (2 / max(math.prod(d.shape), 1) if reduction == "mean" else 2)


def length(shape):
    """How many examples there are: the length of the first axis."""
    return shape[0] if shape else 1


mse_loss = row(
    "mse_loss", pointwise("mse_loss", lambda x, t: np.square(x - t)), inputs=("input", "target"),
    defaults=REDUCED,
    vjp=(lambda g, _out, x, t, reduction: square_slope(g, x - t, reduction),
         lambda g, _out, x, t, reduction: square_slope(g, t - x, reduction)),
    domain=Reals(-4, 4), cases=CASES, public=False)
l1_loss = row(
    "l1_loss", pointwise("l1_loss", lambda x, t: np.abs(x - t)), inputs=("input", "target"),
    defaults=REDUCED,
    vjp=(lambda g, _out, x, t, reduction: each(g, x.shape, reduction) * sign(x - t),
         lambda g, _out, x, t, reduction: each(g, x.shape, reduction) * sign(t - x)),
    domain=(Reals(1, 4), Reals(-4, -1)), cases=CASES, public=False,
    kinks="0 where prediction and target agree")
binary_cross_entropy_with_logits = row(
    "binary_cross_entropy_with_logits",
    pointwise("binary_cross_entropy_with_logits", lambda x, t: _logits_cost(x, t)),
    inputs=("input", "target"), defaults=REDUCED,
    vjp=(lambda g, _out, x, t, reduction: each(g, x.shape, reduction) * (sigmoid(x) - t),
         lambda g, _out, x, _t, reduction: each(g, x.shape, reduction) * -x),
    domain=(Reals(-4, 4), Reals(0, 1)), cases=CASES, public=False)
hinge_loss = row(
    "hinge_loss", pointwise("hinge_loss", lambda x, t: np.maximum(1 - x * t, 0)),
    inputs=("input", "target"),
    defaults=REDUCED,
    vjp=(lambda g, _out, x, t, reduction: where(x * t < 1, each(g, x.shape, reduction) * -t, 0),
         lambda g, _out, x, t, reduction: where(x * t < 1, each(g, x.shape, reduction) * -x, 0)),
    domain=(Reals(-3, 3), Reals(1.1, 2)), cases=CASES, public=False,
    kinks="0 at a margin of exactly 1")


huber_loss = row(
    "huber_loss", pointwise("huber_loss", lambda x, t, *, delta: _huber(x, t, delta)),
    inputs=("input", "target"), defaults={"delta": 1.0, **REDUCED},
    vjp=(lambda g, _out, x, t, delta, reduction: (
             each(g, x.shape, reduction) * clip(x - t, low=-delta, high=delta)),
         lambda g, _out, x, t, delta, reduction: (
             each(g, x.shape, reduction) * clip(t - x, low=-delta, high=delta))),
    domain=(Reals(1, 4), Reals(-4, -1)), public=False,
    cases=(*CASES, *cases((*BOTH, {"delta": 1.5}), (*BOTH, {"delta": 10.0, "reduction": "none"}))),
    kinks="the two pieces agree at |input - target| = delta",
    doc="Huber's loss: (input - target)**2 / 2 within `delta`, which has the unit of the data, and "
        "linear beyond. Source: P. J. Huber, Annals of Mathematical Statistics 35 (1964).")


def times(x, t):
    """x * t, and 0 where t is 0, whatever x is: an infinite cost that nobody has to pay."""
    product = np.zeros(np.shape(x), np.result_type(x, t))
    return np.multiply(x, t, out=product, where=np.not_equal(t, 0))


def _logits_cost(x, t):
    """softplus(x) - x t as the sum of two terms that are not negative for t from 0 to 1, so that a
    confident right answer keeps its digits: what it costs on the best side, and |x| times the part
    of the target that lies on the other."""
    missed = np.where(x > 0, 1 - t, t)
    return softplus(-np.abs(x)) + times(np.abs(x), missed)


def _huber(x, t, delta):
    """m (d - m / 2) with d = |x - t| and m = min(d, delta): d^2 / 2 inside, which cannot overflow
    outside."""
    if not delta > 0:
        raise ArgumentError(f"huber_loss: delta={delta!r}: expected a positive number.")
    d = np.abs(x - t)
    m = np.minimum(d, float(delta))
    return m * (d - 0.5 * m)


# ------------------------------------------------------------------------------------ cross-entropy

def distribution(logits, target, smoothing):
    """(N, C): class indices as one-hot rows, or the probabilities, mixed with the uniform ones."""
    n_classes = logits.shape[1]
    rows = target
    if len(target.shape) == 1:
        rows = one_hot(target, n_classes=n_classes, dtype=logits.dtype)
    return rows * (1 - smoothing) + smoothing / n_classes if smoothing else rows


def each_row(g, shape, reduction):
    """(N, 1) or (): the gradient of each row's loss."""
    if reduction == "none":
        return expand_dims(g, axis=-1)
    return g / shape[0] if reduction == "mean" else g


def _cross_entropy_logits(g, _out, x, target, label_smoothing, reduction):
    """softmax(x) sum(t) - t for the target distribution t (whose rows need not sum to 1)."""
    t = distribution(x, target, label_smoothing)
    return each_row(g, x.shape, reduction) * (softmax(x) * sum(t, axis=1, keepdims=True) - t)


def _one_hot(x, *, n_classes, dtype):
    x = np.asarray(x)
    if isinstance(n_classes, bool) or not isinstance(n_classes, (int, np.integer)) or n_classes < 1:
        raise ArgumentError(f"one_hot: n_classes={n_classes!r}: expected a whole number above 0.")
    if x.dtype.kind not in "iu":
        raise DtypeError(f"one_hot: classes of dtype {x.dtype}: expected integers.",
                         code="not-an-integer-dtype")
    if x.size and not (x.min() >= 0 and x.max() < n_classes):
        wrong = int(x.min() if x.min() < 0 else x.max())
        raise RangeError(f"one_hot: class {wrong}: expected 0 to {n_classes - 1}.")
    return np.eye(n_classes, dtype=dtype)[x]


one_hot: Any = row(
    "one_hot", _one_hot, vjp=None,
    defaults={"n_classes": None, "dtype": np.float32}, method=False,
    domain=Integers(0, 2), cases=cases(((4,), {"n_classes": 3}), ((2, 2), {"n_classes": 4})),
    doc="Class indices (...) as rows (..., n_classes) with a single 1. No gradient.")
cross_entropy_classes = row(
    "cross_entropy_classes", kernels.cross_entropy, stash=True, public=False,
    inputs=("input", "target"),
    defaults={"label_smoothing": 0.0, "reduction": "mean"},
    vjp=(_cross_entropy_logits, None),
    domain=(Reals(-4, 4), Integers(0, 2)),
    cases=cases(((5, 3), (5,)), ((5, 3), (5,), {"reduction": "none", "label_smoothing": 0.1}),
                ((5, 3), (5,), {"reduction": "sum"})),
    doc="The cross-entropy of logits (N, C) against class indices (N,).")
cross_entropy_probabilities = row(
    "cross_entropy_probabilities", kernels.cross_entropy, stash=True, public=False,
    inputs=("input", "target"),
    defaults={"label_smoothing": 0.0, "reduction": "mean"},
    vjp=(_cross_entropy_logits,
         lambda g, _out, x, _t, label_smoothing, reduction: each_row(g, x.shape, reduction) * (
             (label_smoothing - 1) * log_softmax(x))),
    domain=(Reals(-4, 4), Reals(0, 1)),
    cases=cases(((5, 3), (5, 3)), ((5, 3), (5, 3), {"reduction": "none", "label_smoothing": 0.1})),
    doc="The cross-entropy of logits (N, C) against distributions (N, C).")
