"""The kernel of cross_entropy: softmax, logarithm and choice of the class in one pass over the
logits, one pass back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy import ndarray

from ..errors import ArgumentError, DtypeError, RangeError, ShapeError
from . import reference
from .library import at, c_functions, check, ready

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
        _check_classes(target, logits.shape[1])
        losses, saved = reference.cross_entropy_rows(logits, target, label_smoothing), None
    else:
        logits = ready(logits)
        classes = ready(target.astype(np.int64, copy=False))
        losses, saved = np.empty(len(logits), logits.dtype), np.empty(logits.shape, logits.dtype)
        if kernel(
            at(losses), at(saved), at(logits), at(classes), label_smoothing, *logits.shape
        ):  # a class out of range, which is the one thing that this kernel refuses
            _check_classes(target, logits.shape[1])
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
    if reduction not in REDUCTIONS:
        raise ArgumentError(
            f"cross_entropy: reduction {reduction!r}: expected 'mean', 'sum' or 'none'.",
            code="unknown-name",
        )
    if not 0 <= label_smoothing <= 1:
        raise ArgumentError(
            f"cross_entropy: label_smoothing {label_smoothing!r}: expected a number from 0 to 1."
        )


def _check_classes(target: ndarray, n_classes: int) -> None:
    if target.ndim != 1 or not target.size:
        return
    least, most = target.min(), target.max()
    if least < 0 or most >= n_classes:
        raise RangeError(
            f"cross_entropy: target holds class {int(least if least < 0 else most)}, but the "
            f"logits have classes 0 to {n_classes - 1}."
        )


def _vjp(g: Any, out: Any, values: Sequence, params: dict, needs: Sequence, saved: Any) -> Any:
    logits, target = values
    if saved is None or type(g) is not ndarray or g.dtype != saved.dtype:
        return NotImplemented
    n = len(saved)
    rows = np.empty(n, saved.dtype)
    rows[...] = g / n if params["reduction"] == "mean" else g
    target = ready(np.asarray(target).astype(np.int64, copy=False))
    dx = np.empty(saved.shape, saved.dtype)
    kernel = _backward[saved.dtype]
    status = kernel(
        at(dx), at(rows), at(saved), at(target), params["label_smoothing"], *saved.shape
    )
    check(status, "cross_entropy")
    return dx, None


cross_entropy.vjp = _vjp if _backward else None  # type: ignore[attr-defined]
