"""The kernel of cross_entropy: softmax, logarithm and choice of the class in one pass over the
logits, one pass back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy import ndarray

from ..errors import ArgumentError, DtypeError, RangeError, ShapeError
from . import reference
from .library import INT64S, POINTER, c_functions, from_buffer, ready

REDUCTIONS = ("mean", "sum", "none")
_forward = c_functions("cross_entropy")
_backward = c_functions("cross_entropy_grad")


def cross_entropy(
    logits: Any, target: Any, *, label_smoothing: float, reduction: str
) -> tuple[ndarray, Any]:
    """(loss, softmax of the logits for the backward kernel or None): logits (N, C), target (N,)
    classes or (N, C)."""
    logits, target = np.asarray(logits), np.asarray(target)
    _check(logits, target, label_smoothing, reduction)
    kernel = _forward.get(logits.dtype)
    if kernel is None or target.ndim != 1 or not logits.size:
        losses, saved = reference.cross_entropy_rows(logits, target, label_smoothing), None
    else:
        logits = ready(logits)
        target = ready(target.astype(np.int64, copy=False))
        losses, saved = np.empty(len(logits), logits.dtype), np.empty(logits.shape, logits.dtype)
        array = POINTER[logits.dtype]
        kernel(
            from_buffer(array, losses),
            from_buffer(array, saved),
            from_buffer(array, logits),
            from_buffer(INT64S, target),
            label_smoothing,
            *logits.shape,
        )
    return reduced(losses, reduction), saved


def reduced(losses: ndarray, reduction: str) -> ndarray:
    """The losses themselves, their sum or their mean, as an array of their dtype."""
    if reduction == "none":
        return losses
    total = np.add.reduce(losses, axis=None)
    return np.asarray(total / losses.size if reduction == "mean" else total, dtype=losses.dtype)


def _check(logits: ndarray, target: ndarray, label_smoothing: float, reduction: str) -> None:
    if logits.dtype.kind != "f":
        raise DtypeError(
            f"cross_entropy: logits of dtype {logits.dtype}: expected float32 or float64.",
            code="not-a-float-dtype",
        )
    if logits.ndim != 2 or target.shape not in (logits.shape, logits.shape[:1]):
        raise ShapeError(
            f"cross_entropy: logits {logits.shape} and target {target.shape}: expected logits (N, "
            "C) and "
            "target (N,) of class indices, or (N, C) of probabilities."
        )
    if logits.shape[1] == 0 or (reduction == "mean" and not len(logits)):
        raise ShapeError(
            f"cross_entropy: logits {logits.shape}: there is nothing to average over.",
            code="empty-data",
        )
    if target.dtype.kind not in ("iu" if target.ndim == 1 else "f"):
        raise DtypeError(
            f"cross_entropy: target {target.shape} of dtype {target.dtype}: class indices are "
            "integers of "
            "shape (N,), probabilities are floating point of shape (N, C).",
            code="not-an-integer-dtype",
        )
    if (
        target.ndim == 1
        and target.size
        and not (target.min() >= 0 and target.max() < logits.shape[1])
    ):
        wrong = int(target.min() if target.min() < 0 else target.max())
        raise RangeError(
            f"cross_entropy: target holds class {wrong}, but the logits have classes 0 to "
            f"{logits.shape[1] - 1}."
        )
    if reduction not in REDUCTIONS:
        raise ArgumentError(
            f"cross_entropy: reduction {reduction!r}: expected 'mean', 'sum' or 'none'.",
            code="unknown-name",
        )
    if not 0 <= label_smoothing <= 1:
        raise ArgumentError(
            f"cross_entropy: label_smoothing {label_smoothing!r}: expected a number from 0 to 1."
        )


def _vjp(g: Any, out: Any, values: Sequence, params: dict, needs: Sequence, saved: Any) -> Any:
    logits, target = values
    if saved is None or type(g) is not ndarray or g.dtype != saved.dtype or not saved.size:
        return NotImplemented
    n = len(saved)
    scale = g / n if params["reduction"] == "mean" else g
    rows = np.empty(n, saved.dtype)
    rows[...] = scale
    target = ready(np.asarray(target).astype(np.int64, copy=False))
    dx = np.empty(saved.shape, saved.dtype)
    array = POINTER[saved.dtype]
    _backward[saved.dtype](
        from_buffer(array, dx),
        from_buffer(array, rows),
        from_buffer(array, saved),
        from_buffer(INT64S, target),
        params["label_smoothing"],
        *saved.shape,
    )
    return dx, None


cross_entropy.vjp = _vjp if _backward else None  # type: ignore[attr-defined]
