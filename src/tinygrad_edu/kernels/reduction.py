"""Kernels along one axis: sum, max, softmax, log_softmax. Axes that C does not reduce go to the
formula."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy import ndarray

from . import reference
from .library import POINTER, c_functions, from_buffer, like, ready


def _middle(x: Any, axis: Any) -> tuple[int, int, int] | None:
    """(outer, length, inner) around the axes that are reduced, if they stand together; None if
    not."""
    if axis is None:
        return 1, x.size, 1
    axes = (
        sorted(a % x.ndim for a in (axis if isinstance(axis, tuple) else (axis,))) if x.ndim else []
    )
    if not axes or axes != list(range(axes[0], axes[-1] + 1)):
        return None
    shape = x.shape
    inner = int(np.prod(shape[axes[-1] + 1 :], dtype=np.int64))
    length = int(np.prod(shape[axes[0] : axes[-1] + 1], dtype=np.int64))
    return int(np.prod(shape[: axes[0]], dtype=np.int64)), length, inner


def _reduction(name: str, formula: Callable) -> Callable:
    kernels = c_functions(name)

    def forward(x: Any, *, axis: Any, keepdims: bool) -> ndarray:
        kernel = kernels.get(x.dtype) if type(x) is ndarray else None
        split = (
            _middle(x, axis)
            if kernel is not None and x.size and _axes_exist(axis, x.ndim)
            else None
        )
        if kernel is None or split is None:
            return np.asarray(formula(x, axis=axis, keepdims=keepdims))
        x = ready(x)
        out = np.empty(_reduced_shape(x.shape, axis, keepdims), x.dtype)
        array = POINTER[x.dtype]
        kernel(from_buffer(array, out), from_buffer(array, x), *split)
        return out

    forward.__name__ = name
    return forward


def _axes_exist(axis: Any, ndim: int) -> bool:
    axes = axis if isinstance(axis, tuple) else () if axis is None else (axis,)
    return all(isinstance(a, int) and -ndim <= a < ndim for a in axes) and len(
        {a % ndim for a in axes}
    ) == len(axes)


def _reduced_shape(shape: tuple[int, ...], axis: Any, keepdims: bool) -> tuple[int, ...]:
    axes = range(len(shape)) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    gone = {a % len(shape) for a in axes} if shape else set()
    if keepdims:
        return tuple(1 if i in gone else n for i, n in enumerate(shape))
    return tuple(n for i, n in enumerate(shape) if i not in gone)


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
        out = np.empty(x.shape, x.dtype)
        array, columns = POINTER[x.dtype], x.shape[-1]
        kernel(from_buffer(array, out), from_buffer(array, x), x.size // columns, columns)
        return out

    def vjp(g: Any, out: Any, values: Sequence, params: dict, needs: Sequence, stash: Any) -> Any:
        x = values[0]
        if type(x) is not ndarray or not like(g, x) or x.dtype not in gradients or not x.size:
            return NotImplemented
        if params["axis"] not in (-1, x.ndim - 1):
            return NotImplemented
        g, out = ready(g), ready(out)
        dx = np.empty(x.shape, x.dtype)
        array, columns = POINTER[x.dtype], x.shape[-1]
        gradients[x.dtype](
            from_buffer(array, dx),
            from_buffer(array, g),
            from_buffer(array, out),
            x.size // columns,
            columns,
        )
        return (dx,)

    forward.__name__ = name
    forward.vjp = vjp if gradients else None  # type: ignore[attr-defined]
    return forward


softmax = _rows("softmax", reference.softmax)
log_softmax = _rows("log_softmax", reference.log_softmax)
