"""Kernels along one axis: sum, max, softmax, log_softmax. Axes that C does not reduce go to the
formula."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy import empty, ndarray

from . import reference
from .library import at, c_functions, like, ready, remembered


@remembered
def split(shape: tuple[int, ...], axis: Any, keepdims: bool) -> tuple | None:
    """(shape of the result, (outer, length, inner)) around the axes that are reduced; None where
    they are not there or do not stand together."""
    ndim = len(shape)
    given = range(ndim) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    if not all(isinstance(a, int) and -ndim <= a < ndim for a in given):
        return None
    axes = sorted({a % ndim for a in given})
    if len(axes) != len(given) or (axes and axes[-1] - axes[0] + 1 != len(axes)):
        return None
    first, last = (axes[0], axes[-1] + 1) if axes else (ndim, ndim)
    out = (*shape[:first], *(1,) * (len(axes) if keepdims else 0), *shape[last:])
    return out, tuple(map(math.prod, (shape[:first], shape[first:last], shape[last:])))


def _reduction(name: str, formula: Callable) -> Callable:
    kernels = c_functions(name)

    def forward(x: Any, *, axis: Any, keepdims: bool) -> ndarray:
        kernel = kernels.get(x.dtype) if type(x) is ndarray and x.size else None
        found = None if kernel is None else split(x.shape, axis, keepdims)
        if kernel is None or not found:
            return np.asarray(formula(x, axis=axis, keepdims=keepdims))
        shape, sizes = found
        x = ready(x)
        out = empty(shape, x.dtype)
        kernel(at(out), at(x), *sizes)
        return out

    forward.__name__ = name
    return forward


sum = _reduction("sum", np.sum)
max = _reduction("max", np.max)


def _rows(name: str, formula: Callable) -> Callable:
    """softmax and log_softmax: rows of the last axis in C, other axes by the formula."""
    kernels, gradients = c_functions(name), c_functions(f"{name}_grad")

    def forward(x: Any, *, axis: int) -> ndarray:
        kernel = kernels.get(x.dtype) if type(x) is ndarray else None
        if kernel is None or not x.size or axis not in (-1, x.ndim - 1):
            return formula(x, axis=axis)
        x = ready(x)
        out = empty(x.shape, x.dtype)
        columns = x.shape[-1]
        kernel(at(out), at(x), x.size // columns, columns)
        return out

    def vjp(g: Any, out: Any, values: Sequence, params: dict, needs: Sequence, stash: Any) -> Any:
        x = values[0]
        kernel = gradients.get(x.dtype) if type(x) is ndarray and x.size else None
        if kernel is None or not like(g, x) or params["axis"] not in (-1, x.ndim - 1):
            return NotImplemented
        g, out = ready(g), ready(out)
        dx = empty(x.shape, x.dtype)
        columns = x.shape[-1]
        kernel(at(dx), at(g), at(out), x.size // columns, columns)
        return (dx,)

    forward.__name__ = name
    forward.vjp = vjp if gradients else None  # type: ignore[attr-defined]
    return forward


softmax = _rows("softmax", reference.softmax)
log_softmax = _rows("log_softmax", reference.log_softmax)
