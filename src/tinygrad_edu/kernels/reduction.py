"""Kernels along one axis: sum, max, softmax, log_softmax. Axes that C does not reduce go to the
formula."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np
from numpy import empty, ndarray

from . import reference
from .library import at, c_functions, like, ready, remembered


@remembered
def split(shape: tuple[int, ...], keepdims: bool, *given: Any) -> tuple | None:
    """(shape of the result, (outer, length, inner)) around the axes `given`, which are one None for
    all; None where they are not there or do not stand together."""
    ndim = len(shape)
    axes = range(ndim) if given == (None,) else given
    if not all(isinstance(a, int) and -ndim <= a < ndim for a in axes):
        return None
    places = sorted({a % ndim for a in axes})
    if len(places) != len(axes) or (places and places[-1] - places[0] >= len(places)):
        return None
    first, last = (places[0], places[-1] + 1) if places else (ndim, ndim)
    kept = (1,) * len(places) if keepdims else ()
    parts = shape[:first], shape[first:last], shape[last:]
    return (*parts[0], *kept, *parts[2]), tuple(map(prod, parts))


def _reduction(name: str, formula: Callable) -> Callable:
    kernels = c_functions(name)

    def forward(x: Any, *, axis: Any, keepdims: bool) -> ndarray:
        kernel = kernels.get(x.dtype) if type(x) is ndarray and x.size else None
        axes = axis if isinstance(axis, tuple) else (axis,)
        found = kernel and split(x.shape, keepdims, *axes)
        if kernel is None or found is None:
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
        kernel = kernels.get(x.dtype) if type(x) is ndarray and x.size else None
        if kernel is None or (axis != -1 and axis != x.ndim - 1):
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
