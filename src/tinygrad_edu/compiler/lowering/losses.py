"""Rows: losses."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..calls import Builder, Out
from ..instruction import Instruction, Place
from .elementwise import binary, broadcast
from .table import backward, dense_of, forward, number


@forward("cross_entropy_classes")
def _cross_entropy(b: Builder, step: Instruction) -> bool:
    (out, p), (logits, target) = step.outputs, step.inputs
    dense = dense_of(b, out.dtype, logits)
    if dense is None or not _classes(target):
        return False
    rows, columns = logits.shape
    losses = out if step.params["reduction"] == "none" else b.temporary((rows,), out.dtype)
    smoothing = float(step.params["label_smoothing"])
    b.call(
        "cross_entropy", out.dtype, Out(losses), Out(p), *dense, target, smoothing, rows, columns
    )
    return losses is out or _total(b, out, losses, step.params["reduction"])


def _classes(target: Any) -> bool:
    return isinstance(target, Place) and target.dtype == np.int64 and target.contiguous


def _total(b: Builder, out: Place, losses: Place, reduction: str) -> bool:
    """out = the sum or the mean of losses."""
    n = losses.size
    if reduction == "sum":
        b.call("sum", out.dtype, Out(out), losses, 1, n, 1)
        return True
    total = b.temporary((), out.dtype)
    b.call("sum", out.dtype, Out(total), losses, 1, n, 1)
    return binary(b, "over", out, total, float(n))


@backward("cross_entropy_classes")
def _cross_entropy_vjp(b: Builder, step: Instruction) -> bool:
    g, _, logits, target, p = step.inputs
    dx = step.outputs[0]
    if not _classes(target):
        return False
    rows, columns = logits.shape
    each = each_share(b, g, rows, dx.dtype, step.params["reduction"])
    if each is None:
        return False
    smoothing = float(step.params["label_smoothing"])
    b.call("cross_entropy_grad", dx.dtype, Out(dx), each, p, target, smoothing, rows, columns)
    return True


def each_share(b: Builder, g: Any, n: int, dtype: np.dtype, reduction: str) -> Place | None:
    """The gradient of each of n losses, (n,), from that of their mean or sum."""
    value = number(g)
    if not isinstance(value, Place):
        each = np.asarray(value, dtype) / n if reduction == "mean" else value
        return b.constant(np.full(n, each, dtype))
    if value.dtype != dtype:
        return None
    if reduction == "mean":
        share = b.temporary((), dtype)
        if not binary(b, "over", share, value, float(n)):
            return None
        value = share
    return broadcast(b, value, (n,))


@forward("mse_loss")
def _mse(b: Builder, step: Instruction) -> bool:
    (out,), (x, t) = step.outputs, step.inputs
    dense = dense_of(b, out.dtype, x, t)
    if dense is None:
        return False
    n = x.size
    distance = b.temporary(x.shape, out.dtype)
    squares = out if step.params["reduction"] == "none" else b.temporary(x.shape, out.dtype)
    b.call("minus", out.dtype, Out(distance), *dense, n, elements=n)
    b.call("square", out.dtype, Out(squares), distance, n, elements=n)
    return squares is out or _total(b, out, squares, step.params["reduction"])
