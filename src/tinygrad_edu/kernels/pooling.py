"""The gate of max_pool2d, of avg_pool2d and of what carries their gradients back.

As in convolution.py, the formulas come from the rows, and so does the check of shapes: `look(name,
shape, kernel_size, stride, padding)` gives the window, or raises where it does not fit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from numpy import empty, ndarray

from .convolution import window_pointer
from .library import at, c_functions, check, kernel_of, ready, remembered

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


def _run(kernel: Callable, shape: tuple, read: Sequence, window: Any, *how: int) -> ndarray:
    """What the kernel makes, of `shape`, of the arrays that it reads."""
    arrays = [empty(shape, read[0].dtype), *map(ready, read)]
    check(kernel(*map(at, arrays), window, shape[0] * shape[1], *how), "pooling")
    return arrays[0]


def max_pool2d(formula: Callable, look: Callable) -> Callable:
    """The forward of max_pool2d."""
    find = _geometry(look)

    def forward(x: Any, **how: Any) -> ndarray:
        kernel = kernel_of(_max, x)
        if kernel is None:
            return formula(x, **how)
        shape, window = find("max_pool2d", x.shape, *how.values())
        return _run(kernel, shape, (x,), window)

    def vjp(g: Any, out: Any, values: Sequence, params: dict, needs: Sequence, stash: Any) -> Any:
        (x,) = values
        kernel = kernel_of(_max_grad, x, g)
        if kernel is None or g.shape != out.shape:
            return NotImplemented
        _, window = find("max_pool2d", x.shape, *params.values())
        return (_run(kernel, x.shape, (g, x), window),)

    forward.__name__ = "max_pool2d"
    forward.vjp = vjp if _max_grad else None  # type: ignore[attr-defined]
    return forward


def to_winners(formula: Callable, look: Callable) -> Callable:
    """The forward of to_winners."""
    find = _geometry(look)

    def forward(y: Any, x: Any, **how: Any) -> ndarray:
        kernel = kernel_of(_max_grad, x, y)
        if kernel is not None:
            shape, window = find("to_winners", x.shape, *how.values())
            if y.shape == shape:
                return _run(kernel, x.shape, (y, x), window)
        return formula(y, x, **how)

    forward.__name__ = "to_winners"
    return forward


def avg_pool2d(formula: Callable, look: Callable) -> Callable:
    """The forward of avg_pool2d."""
    find = _geometry(look)

    def forward(x: Any, *, count_include_pad: bool, **how: Any) -> ndarray:
        kernel = kernel_of(_avg, x)
        if kernel is None:
            return formula(x, count_include_pad=count_include_pad, **how)
        shape, window = find("avg_pool2d", x.shape, *how.values())
        return _run(kernel, shape, (x,), window, bool(count_include_pad))

    def vjp(g: Any, out: Any, values: Sequence, params: dict, needs: Sequence, stash: Any) -> Any:
        shape = values[0].shape
        kernel = kernel_of(_avg_grad, g)
        if kernel is None or g.dtype != values[0].dtype or g.shape != out.shape:
            return NotImplemented
        *how, count_include_pad = params.values()
        _, window = find("avg_pool2d", shape, *how)
        return (_run(kernel, shape, (g,), window, bool(count_include_pad)),)

    forward.__name__ = "avg_pool2d"
    forward.vjp = vjp if _avg_grad else None  # type: ignore[attr-defined]
    return forward


def avg_pool2d_back(formula: Callable, look: Callable) -> Callable:
    """The forward of avg_pool2d_back."""
    find = _geometry(look)

    def forward(y: Any, *, shape: Any, count_include_pad: bool, **how: Any) -> ndarray:
        kernel = kernel_of(_avg_grad, y)
        if kernel is not None:
            small, window = find("avg_pool2d_back", tuple(shape), *how.values())
            if y.shape == small:
                return _run(kernel, tuple(shape), (y,), window, bool(count_include_pad))
        return formula(y, shape=shape, count_include_pad=count_include_pad, **how)

    forward.__name__ = "avg_pool2d_back"
    return forward
