"""Rows: losses of probabilities and of their logarithms, one node each.

loss.py compares numbers and takes logits, which is the stable way; these take what a softmax, a
log_softmax or a sigmoid has already made. `reduction` as there.
"""

import numpy as np

from .. import kernels
from ..domains import Integers, Reals, cases
from ..errors import ArgumentError, DtypeError, RangeError, ShapeError
from ..row import row
from .arithmetic import maximum, where
from .elementwise import exp, log, log1p
from .loss import CASES, REDUCED, each, each_row, length, one_hot, pointwise, times

LEAST_LOG = -100  # PyTorch's bound: a probability of 0 costs 100, not infinity
LEAST_VARIANCE = 1e-12  # PyTorch's bound on p (1 - p), by which its gradient is divided


# ---------------------------------------------------------------------------- classes, given log p

def _nll(input, target, *, reduction):
    x, t = np.asarray(input), np.asarray(target)
    if x.ndim != 2 or t.shape != x.shape[:1]:
        raise ShapeError(f"nll_loss: input {x.shape} and target {t.shape}: expected "
                         "log-probabilities (N, C) and class indices (N,).")
    if x.dtype.kind != "f" or t.dtype.kind not in "iu":
        raise DtypeError(f"nll_loss: input of dtype {x.dtype} and target of dtype {t.dtype}: "
                         "expected floating log-probabilities and integer classes.",
                         code="not-an-integer-dtype")
    if not x.shape[1] or (reduction == "mean" and not len(x)):
        raise ShapeError(f"nll_loss: input {x.shape}: there is nothing to average over.",
                         code="empty-data")
    if reduction not in kernels.REDUCTIONS:
        raise ArgumentError(f"nll_loss: reduction {reduction!r}: expected 'mean', 'sum' or 'none'.",
                            code="unknown-name")
    if t.size and not (t.min() >= 0 and t.max() < x.shape[1]):
        wrong = int(t.min() if t.min() < 0 else t.max())
        raise RangeError(f"nll_loss: target holds class {wrong}, but the input has classes 0 to "
                         f"{x.shape[1] - 1}.")
    return kernels.reduced(-x[np.arange(len(t)), t], reduction)


nll_loss = row(
    "nll_loss", _nll, inputs=("input", "target"), defaults=REDUCED, public=False,
    vjp=(lambda g, _out, _x, t, reduction: where(
             one_hot(t, n_classes=_x.shape[1], dtype=np.bool_),
             -each_row(g, _x.shape, reduction), 0),
         None),
    domain=(Reals(-4, 0), Integers(0, 2)),
    cases=cases(((5, 3), (5,)), ((5, 3), (5,), {"reduction": "none"}),
                ((5, 3), (5,), {"reduction": "sum"})),
    doc="Minus the log-probability, from input (N, C), of the target class (N,).")


# ------------------------------------------------------------------------------ yes or no, given p

def _bce(x, t):
    """-(t log x + (1 - t) log(1 - x)), each logarithm at least -100."""
    if x.size and (x.min() < 0 or x.max() > 1):
        raise ArgumentError(
            f"binary_cross_entropy: predictions from {x.min()} to {x.max()}: expected "
            "probabilities from 0 to 1. For logits there is binary_cross_entropy_with_logits.",
            code="outside-the-domain")
    with np.errstate(divide="ignore"):
        yes, no = np.maximum(np.log(x), LEAST_LOG), np.maximum(np.log1p(-x), LEAST_LOG)
    return (t - 1) * no - t * yes


def bounded(log_p):
    """A logarithm of a probability as this loss counts it."""
    return maximum(log_p, LEAST_LOG)


binary_cross_entropy = row(
    "binary_cross_entropy", pointwise("binary_cross_entropy", _bce), inputs=("input", "target"),
    defaults=REDUCED, public=False,
    vjp=(lambda g, _out, x, t, reduction: (
             each(g, x.shape, reduction) * (x - t) / maximum(x * (1 - x), LEAST_VARIANCE)),
         lambda g, _out, x, _t, reduction: (
             each(g, x.shape, reduction) * (bounded(log1p(-x)) - bounded(log(x))))),
    domain=(Reals(0.2, 0.8), Reals(0, 1)), cases=CASES,
    kinks="logarithms count as -100 at least, and x (1 - x) as 1e-12, as in PyTorch",
    doc="-(t log p + (1 - t) log(1 - p)) of probabilities p against targets t from 0 to 1.")


# ---------------------------------------------------------------------- distributions, given log p

def _kl_divergence(x, t, *, log_target):
    """t (log t - x); a target of 0 adds 0."""
    if log_target:
        return times(t - x, np.exp(t))
    with np.errstate(divide="ignore"):
        return times(np.log(t) - x, t)


_kl_reduced = pointwise("kl_div", _kl_divergence)


def _kl_div(input, target, *, log_target, reduction):
    if reduction not in (*kernels.REDUCTIONS, "batchmean"):
        raise ArgumentError(f"kl_div: reduction {reduction!r}: expected 'mean', 'batchmean', 'sum' "
                            "or 'none'.", code="unknown-name")
    if reduction != "batchmean":
        return _kl_reduced(input, target, log_target=log_target, reduction=reduction)
    total = _kl_reduced(input, target, log_target=log_target, reduction="sum")
    return np.asarray(total / length(np.shape(input)), dtype=total.dtype)


kl_div = row(
    "kl_div", _kl_div, inputs=("input", "target"), public=False,
    defaults={"log_target": False, "reduction": "mean"},
    vjp=(lambda g, _out, _x, t, log_target, reduction: (
             each(g, _x.shape, reduction) * -(exp(t) if log_target else t)),
         lambda g, _out, x, t, log_target, reduction: each(g, x.shape, reduction) * (
             exp(t) * (t - x + 1) if log_target else log(t) - x + 1)),
    domain=(Reals(-4, -0.1), Reals(0.1, 1)),
    cases=(*CASES, *cases(((3, 4), (3, 4), {"reduction": "batchmean"}),
                          ((3, 4), (3, 4), {"reduction": "none", "log_target": True}),
                          ((3, 4), (3, 4), {"reduction": "batchmean", "log_target": True}))),
    kinks="-inf in a target of 0",
    doc="The Kullback-Leibler divergence t (log t - x) of log-probabilities x from a target t, "
        "which is a probability, or its logarithm with log_target. \"batchmean\" divides the sum "
        "by the length of the first axis, which is the mathematical definition.")
