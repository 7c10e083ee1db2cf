"""The gate of conv2d and of its two transposes: images, weight and bias in one call, forward and
back.

The formulas and the check of shapes are those of the rows in ops/convolution.py, which hand them to
the gate. What C must know of a window is worked out once for each combination of shapes and
parameters.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from numpy import empty, ndarray

from .library import at, at_or_null, c_functions, check, ffi, kernel_of, like, ready, remembered
from .matrix import ACTIVATION_CODES

_forward = c_functions("conv2d")
_grad = c_functions("conv2d_grad")


class Geometry(NamedTuple):
    """The shape of the result, the window and the sizes as C takes them."""

    out: tuple[int, ...]
    window: Any
    sizes: tuple[int, int, int, int]


def window_pointer(window: Any, size: Sequence[int]) -> Any:
    """`window`, a Window of ops/convolution.py over images of `size`, for C."""
    how = (window.out, window.kernel, window.stride, window.padding, window.dilation)
    return ffi.new("struct tg_window *", [size, *how])


def _geometry(look: Callable) -> Callable:
    def find(name: str, shape: tuple, weight_shape: tuple, *how: Any) -> Geometry:
        window = look(name, shape, weight_shape, *how)
        out = (shape[0], weight_shape[0], *window.out)
        sizes = (*shape[:2], weight_shape[0], how[-1])
        return Geometry(out, window_pointer(window, shape[2:]), sizes)

    return remembered(find)


def conv2d(formula: Callable, look: Callable) -> Callable:
    """The forward of conv2d. `look(name, shape, weight_shape, stride, padding, dilation, groups)`
    gives the window, or raises where the shapes do not fit."""
    if not _forward:
        return formula
    geometry = _geometry(look)

    def forward(
        x: Any,
        weight: Any,
        bias: Any,
        *,
        stride: Any,
        padding: Any,
        dilation: Any,
        groups: int,
        activation: str | None,
    ) -> ndarray:
        arrays = (x, weight) if bias is None else (x, weight, bias)
        code = ACTIVATION_CODES.get(activation)
        kernel = kernel_of(_forward, *arrays)
        fits = bias is None or getattr(bias, "shape", None) == weight.shape[:1]
        if kernel is None or code is None or not fits:
            how = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
            return formula(x, weight, bias, **how, activation=activation)
        found = geometry("conv2d", x.shape, weight.shape, stride, padding, dilation, groups)
        x, weight, bias = ready(x), ready(weight), ready(bias)
        out = empty(found.out, x.dtype)
        read = at(x), at(weight), at_or_null(bias)
        check(kernel(at(out), *read, found.window, *found.sizes, code), "conv2d")
        return out

    def vjp(g: Any, out: Any, values: Sequence, params: dict, needs: Sequence, stash: Any) -> Any:
        """The gradients of images, weight and bias in one call, each only where it is wanted."""
        x, weight, bias = values
        biased = () if bias is None else (bias,)
        if not kernel_of(_grad, x, weight, *biased, out) or not like(g, out):
            return NotImplemented
        how = (params["stride"], params["padding"], params["dilation"], params["groups"])
        found = geometry("conv2d", x.shape, weight.shape, *how)
        code = ACTIVATION_CODES[params["activation"]]
        return _gradients(found, g, out if code else None, x, weight, needs, code)

    forward.__name__ = "conv2d"
    forward.vjp = vjp  # type: ignore[attr-defined]
    return forward


def _gradients(
    found: Geometry, g: ndarray, out: Any, x: Any, weight: Any, needs: Sequence, code: int
) -> list:
    """[dx, dweight, dbias], None for what is not needed; what is not read may be None. The bias is
    a part of the weight: its gradient comes with that of the weight."""
    to_weight = needs[1] or needs[2]
    dx = empty(x.shape, g.dtype) if needs[0] else None
    dweight = empty(weight.shape, g.dtype) if to_weight else None
    dbias = empty(weight.shape[:1], g.dtype) if needs[2] else None
    written = dx, dweight, dbias
    read = [ready(a) for a in (g, out, x if to_weight else None, weight if needs[0] else None)]
    arrays = map(at_or_null, (*written, *read))
    check(_grad[g.dtype](*arrays, found.window, *found.sizes, code), "conv2d")
    return [dx, dweight if needs[1] else None, dbias]


class _Shape(NamedTuple):
    """What `_gradients` asks of an array that it does not read."""

    shape: tuple[int, ...]


def conv2d_input(formula: Callable, look: Callable) -> Callable:
    """The forward of conv2d_input: maps y (N, O, out, out) back to images of `shape`."""
    if not _grad:
        return formula
    geometry = _geometry(look)

    def forward(y: Any, weight: Any, *, shape: Any, **how: Any) -> ndarray:
        if kernel_of(_grad, y, weight):
            found = geometry("conv2d_input", tuple(shape), weight.shape, *how.values())
            if y.shape == found.out:
                needs = (True, False, False)
                return _gradients(found, y, None, _Shape(shape), weight, needs, 0)[0]
        return formula(y, weight, shape=shape, **how)

    forward.__name__ = "conv2d_input"
    return forward


def conv2d_weight(formula: Callable, look: Callable) -> Callable:
    """The forward of conv2d_weight: of maps y (N, O, out, out) and images x, a weight of
    `shape`."""
    if not _grad:
        return formula
    geometry = _geometry(look)

    def forward(y: Any, x: Any, *, shape: Any, **how: Any) -> ndarray:
        if kernel_of(_grad, y, x):
            found = geometry("conv2d_weight", x.shape, tuple(shape), *how.values())
            if y.shape == found.out:
                needs = (False, True, False)
                return _gradients(found, y, None, x, _Shape(shape), needs, 0)[1]
        return formula(y, x, shape=shape, **how)

    forward.__name__ = "conv2d_weight"
    return forward
