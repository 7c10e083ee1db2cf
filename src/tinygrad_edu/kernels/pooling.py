"""The gate of max_pool2d, of avg_pool2d and of what carries their gradients back.

As in convolution.py, the formulas come from the rows, and so does the check of shapes: `look(name,
shape, kernel_size, stride, padding)` gives the window, or raises where it does not fit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy import ndarray

from .convolution import alike, remembered, window_pointer
from .library import POINTER, c_functions, check, from_buffer, ready

_max = c_functions("max_pool2d")
_max_grad = c_functions("max_pool2d_grad")
_avg = c_functions("avg_pool2d")
_avg_grad = c_functions("avg_pool2d_grad")


def _geometry(look: Callable) -> Callable:
    """(name, shape, kernel_size, stride, padding) -> (shape of the map, window for C)."""

    def find(name: str, shape: tuple, *how: Any) -> tuple[tuple, Any]:
        window = look(name, shape, *how)
        return (*shape[:2], *window.out), window_pointer(window, shape[2:])

    return remembered(find)


def _run(kernels: dict, shape: tuple, read: Sequence, window: Any, *how: int) -> ndarray:
    """What the kernel makes, of `shape`, of the arrays that it reads."""
    read = [ready(a) for a in read]
    dtype = read[0].dtype
    out = np.empty(shape, dtype)
    array = POINTER[dtype]
    pointers = [from_buffer(array, a) for a in (out, *read)]
    check(kernels[dtype](*pointers, window, shape[0] * shape[1], *how), "pooling")
    return out


def max_pool2d(formula: Callable, look: Callable) -> Callable:
    """The forward of max_pool2d."""
    find = _geometry(look)

    def forward(x: Any, **how: Any) -> ndarray:
        if not alike(_max, x):
            return formula(x, **how)
        shape, window = find("max_pool2d", x.shape, *how.values())
        return _run(_max, shape, (x,), window)

    def vjp(g: Any, out: Any, values: Sequence, params: dict, needs: Sequence, stash: Any) -> Any:
        (x,) = values
        if not alike(_max_grad, x, g) or g.shape != out.shape:
            return NotImplemented
        _, window = find("max_pool2d", x.shape, *params.values())
        return (_run(_max_grad, x.shape, (g, x), window),)

    forward.__name__ = "max_pool2d"
    forward.vjp = vjp if _max_grad else None  # type: ignore[attr-defined]
    return forward


def to_winners(formula: Callable, look: Callable) -> Callable:
    """The forward of to_winners."""
    find = _geometry(look)

    def forward(y: Any, x: Any, **how: Any) -> ndarray:
        if alike(_max_grad, x, y):
            shape, window = find("to_winners", x.shape, *how.values())
            if y.shape == shape:
                return _run(_max_grad, x.shape, (y, x), window)
        return formula(y, x, **how)

    forward.__name__ = "to_winners"
    return forward


def avg_pool2d(formula: Callable, look: Callable) -> Callable:
    """The forward of avg_pool2d."""
    find = _geometry(look)

    def forward(x: Any, *, count_include_pad: bool, **how: Any) -> ndarray:
        if not alike(_avg, x):
            return formula(x, count_include_pad=count_include_pad, **how)
        shape, window = find("avg_pool2d", x.shape, *how.values())
        return _run(_avg, shape, (x,), window, bool(count_include_pad))

    def vjp(g: Any, out: Any, values: Sequence, params: dict, needs: Sequence, stash: Any) -> Any:
        shape = values[0].shape
        if not alike(_avg_grad, g) or g.dtype != values[0].dtype or g.shape != out.shape:
            return NotImplemented
        *how, count_include_pad = params.values()
        _, window = find("avg_pool2d", shape, *how)
        return (_run(_avg_grad, shape, (g,), window, bool(count_include_pad)),)

    forward.__name__ = "avg_pool2d"
    forward.vjp = vjp if _avg_grad else None  # type: ignore[attr-defined]
    return forward


def avg_pool2d_back(formula: Callable, look: Callable) -> Callable:
    """The forward of avg_pool2d_back."""
    find = _geometry(look)

    def forward(y: Any, *, shape: Any, count_include_pad: bool, **how: Any) -> ndarray:
        if alike(_avg_grad, y):
            small, window = find("avg_pool2d_back", tuple(shape), *how.values())
            if y.shape == small:
                return _run(_avg_grad, tuple(shape), (y,), window, bool(count_include_pad))
        return formula(y, shape=shape, count_include_pad=count_include_pad, **how)

    forward.__name__ = "avg_pool2d_back"
    return forward
