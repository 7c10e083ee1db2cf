"""The kernel of cross_entropy: softmax, logarithm and choice of the class in one pass over the
logits, one pass back."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy import empty, ndarray

from ..errors import ArgumentError, DtypeError, RangeError, ShapeError
from . import reduction as along
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
    dtype, shape = logits.dtype, logits.shape
    _check(dtype, shape, target.dtype, target.shape)
    if reduction not in REDUCTIONS or not 0 <= label_smoothing <= 1 or not logits.size:
        _check_parameters(shape, label_smoothing, reduction)
    kernel = _forward.get(dtype) if target.ndim == 1 and logits.size else None
    if kernel is None:
        _check_classes(target, shape[1])
        losses, saved = reference.cross_entropy_rows(logits, target, label_smoothing), None
    else:
        logits, classes = ready(logits), ready(target.astype(np.int64, copy=False))
        losses, saved = empty(shape[0], dtype), empty(shape, dtype)
        arrays = at(losses), at(saved), at(logits), at(classes)
        status = kernel(*arrays, label_smoothing, *shape)
        if status:
            _check_classes(target, shape[1])
            check(status, "cross_entropy")
    return reduced(losses, reduction), saved


def reduced(losses: ndarray, how: str) -> ndarray:
    """The losses themselves, their sum or their mean (NaN where there are none), as an array of
    their dtype."""
    if how == "none":
        return losses
    total = along.sum(losses, axis=None, keepdims=False)[()]  # a NumPy number divides faster
    if how == "mean":
        total = total / losses.size if losses.size else np.nan
    return np.asarray(total, dtype=losses.dtype)


@lru_cache(maxsize=1024)
def _check(
    dtype: np.dtype,
    shape: tuple[int, ...],
    target_dtype: np.dtype,
    target_shape: tuple[int, ...],
) -> None:
    """Refuse arrays that cross_entropy has no meaning for."""
    if dtype.kind != "f":
        raise DtypeError(
            f"cross_entropy: logits of dtype {dtype}: expected float32 or float64.",
            code="not-a-float-dtype",
        )
    if len(shape) != 2 or target_shape not in (shape, shape[:1]):
        raise ShapeError(
            f"cross_entropy: logits {shape} and target {target_shape}: expected logits (N, C) and "
            "target (N,) of class indices, or (N, C) of probabilities."
        )
    if target_dtype.kind not in ("iu" if len(target_shape) == 1 else "f"):
        raise DtypeError(
            f"cross_entropy: target {target_shape} of dtype {target_dtype}: class indices are "
            "integers of shape (N,), probabilities are floating point of shape (N, C).",
            code="not-an-integer-dtype",
        )


def _check_parameters(shape: tuple[int, ...], label_smoothing: float, reduction: str) -> None:
    """Refuse parameters that have no meaning, and a mean of nothing."""
    if shape[1] == 0 or (reduction == "mean" and not shape[0]):
        raise ShapeError(
            f"cross_entropy: logits {shape}: there is nothing to average over.", code="empty-data"
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
    n, dtype = len(saved), saved.dtype
    rows, dx = empty(n, dtype), empty(saved.shape, dtype)
    rows[...] = g[()] / n if params["reduction"] == "mean" else g
    classes = ready(np.asarray(target).astype(np.int64, copy=False))
    arrays = at(dx), at(rows), at(saved), at(classes)
    check(_backward[dtype](*arrays, params["label_smoothing"], *saved.shape), "cross_entropy")
    return dx, None


cross_entropy.vjp = _vjp if _backward else None  # type: ignore[attr-defined]
