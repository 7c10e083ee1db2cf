"""The gate of every kernel that works element by element.

Which operations have one is read from the C module: a row in csrc/ops.def gives tg_<name> and
tg_<name>_grad, and the row of that name in ops/ finds them here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from numpy import empty, ndarray

from .library import READY, at, c_functions, like, ready


def elementwise(name: str, formula: Callable, *, param: str | None = None) -> Callable:
    """The forward of an elementwise row: the kernel tg_<name> where there is one and it applies,
    else `formula`.

    `param`: the name of the row's one numeric parameter, which the kernel takes between input and
    size.
    """
    kernels, gradients = c_functions(name), c_functions(f"{name}_grad")
    if not kernels:
        return formula

    def forward(x: Any, **params: Any) -> ndarray:
        kernel = kernels.get(x.dtype) if type(x) is ndarray else None
        if kernel is None:
            return formula(x, **params)
        if x.flags.num & READY != READY:
            x = ready(x)
        out = empty(x.shape, x.dtype)
        if param:
            kernel(at(out), at(x), params[param], x.size)
        else:
            kernel(at(out), at(x), x.size)
        return out

    def vjp(g: Any, out: Any, values: Sequence, params: dict, needs: Sequence, stash: Any) -> Any:
        x = values[0]
        kernel = gradients.get(x.dtype) if type(x) is ndarray else None
        if kernel is None or not like(g, x):
            return NotImplemented
        g, x, out = ready(g), ready(x), ready(out)
        dx = empty(x.shape, x.dtype)
        if param:
            kernel(at(dx), at(g), at(x), at(out), params[param], x.size)
        else:
            kernel(at(dx), at(g), at(x), at(out), x.size)
        return (dx,)

    forward.__name__ = name
    forward.vjp = vjp if gradients else None  # type: ignore[attr-defined]
    return forward
