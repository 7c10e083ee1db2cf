"""The gate of normalize, which batch_norm and layer_norm are made of: moments, shift, scale, weight
and bias in one call, and one call back."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from numpy import empty, ndarray

from .library import at_or_null, c_functions, check, kernel_of, like, ready

_forward = c_functions("normalize")
_grad = c_functions("normalize_grad")


def layout_of(x: Any, given: Sequence, axes: tuple[int, ...]) -> tuple[int, ...] | None:
    """(outer, groups, inner, by column?) where C can see x so, None elsewhere: the last axes of x
    with a weight for each of their numbers, or all but the second with one for each of its
    entries."""
    shape, ndim = x.shape, x.ndim
    by_column = axes == tuple(range(ndim - len(axes), ndim))
    if by_column:
        weights = shape[ndim - len(axes) :]
        inner = math.prod(weights)
        sizes = 1, x.size // inner, inner, 1
    elif axes == (0, *range(2, ndim)):
        weights = (shape[1], *(1,) * (ndim - 2))
        sizes = shape[0], shape[1], math.prod(shape[2:]), 0
    else:
        return None
    return sizes if all(w is None or w.shape == weights for w in given) else None


def normalize(formula: Callable) -> Callable:
    """The forward of normalize: (out, (mean, var) of each group for the backward kernel, or
    None)."""

    def forward(
        x: Any, weight: Any, bias: Any, *, axes: tuple[int, ...], eps: float
    ) -> tuple[ndarray, Any]:
        given = [a for a in (weight, bias) if a is not None]
        kernel = kernel_of(_forward, x, *given)
        layout = layout_of(x, given, axes) if kernel is not None else None
        if layout is None:
            return formula(x, weight, bias, axes=axes, eps=eps), None
        x, weight, bias = ready(x), ready(weight), ready(bias)
        out = empty(x.shape, x.dtype)
        mean, var = empty((2, layout[1]), x.dtype)
        arrays = map(at_or_null, (out, mean, var, x, weight, bias))
        check(kernel(*arrays, *layout, eps), "normalize")
        return out, (mean, var)

    def vjp(g: Any, out: Any, values: Sequence, params: dict, needs: Sequence, stash: Any) -> Any:
        x, weight, bias = values
        if stash is None or not like(g, out):
            return NotImplemented
        given = [a for a in (weight, bias) if a is not None]
        layout = layout_of(x, given, params["axes"])
        assert layout is not None
        g, x, weight = ready(g), ready(x), ready(weight)
        grads = [empty(v.shape, x.dtype) if need else None for v, need in zip(values, needs)]
        arrays = map(at_or_null, (*grads, g, x, *stash, weight))
        check(_grad[x.dtype](*arrays, *layout, params["eps"]), "normalize")
        return grads

    forward.__name__ = "normalize"
    forward.vjp = vjp if _grad else None  # type: ignore[attr-defined]
    return forward
