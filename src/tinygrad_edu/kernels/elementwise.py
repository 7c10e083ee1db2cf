"""Kernels that work element by element, one line each: the C kernel of that name where it applies, else the formula."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy import ndarray

from . import reference
from .library import POINTER, c_functions, from_buffer, like, ready


def elementwise(name: str, formula: Callable, *, param: str | None = None) -> Callable:
    """The forward of an elementwise row: the kernel tg_<name> where it applies, else the NumPy formula.

    `param`: the name of the row's one numeric parameter, which the kernel takes between input and size.
    """
    kernels, gradients = c_functions(name), c_functions(f"{name}_grad")
    if not kernels:
        return formula

    def forward(x: Any, **params: Any) -> ndarray:
        kernel = kernels.get(x.dtype) if type(x) is ndarray else None
        if kernel is None:
            return formula(x, **params)
        x = ready(x)
        out = np.empty(x.shape, x.dtype)
        if x.size:
            array = POINTER[x.dtype]
            extra = (params[param],) if param else ()
            kernel(from_buffer(array, out), from_buffer(array, x), *extra, x.size)
        return out

    def vjp(g: Any, out: Any, values: Sequence, params: dict, needs: Sequence, stash: Any) -> Any:
        x = values[0]
        if type(x) is not ndarray or not like(g, x) or x.dtype not in gradients:
            return NotImplemented
        g, x, out = ready(g), ready(x), ready(out)
        dx = np.empty(x.shape, x.dtype)
        if x.size:
            array = POINTER[x.dtype]
            extra = (params[param],) if param else ()
            gradients[x.dtype](from_buffer(array, dx), from_buffer(array, g), from_buffer(array, x),
                               from_buffer(array, out), *extra, x.size)
        return (dx,)

    forward.__name__ = name
    forward.vjp = vjp if gradients else None  # type: ignore[attr-defined]
    return forward


exp = elementwise("exp", np.exp)
expm1 = elementwise("expm1", np.expm1)
log = elementwise("log", np.log)
log1p = elementwise("log1p", np.log1p)
log2 = elementwise("log2", np.log2)
log10 = elementwise("log10", np.log10)
sin = elementwise("sin", np.sin)
cos = elementwise("cos", np.cos)
tan = elementwise("tan", np.tan)
sinh = elementwise("sinh", np.sinh)
cosh = elementwise("cosh", np.cosh)
tanh = elementwise("tanh", np.tanh)
erf = elementwise("erf", reference.erf)
sqrt = elementwise("sqrt", np.sqrt)
rsqrt = elementwise("rsqrt", reference.rsqrt)
sigmoid = elementwise("sigmoid", reference.sigmoid)
log_sigmoid = elementwise("log_sigmoid", reference.log_sigmoid)
softplus = elementwise("softplus", reference.softplus)
relu = elementwise("relu", reference.relu)
leaky_relu = elementwise("leaky_relu", reference.leaky_relu, param="negative_slope")
elu = elementwise("elu", reference.elu, param="alpha")
selu = elementwise("selu", reference.selu)
silu = elementwise("silu", reference.silu)
mish = elementwise("mish", reference.mish)
gelu = elementwise("gelu", reference.gelu)
gelu_tanh = elementwise("gelu_tanh", reference.gelu_tanh)
hardtanh = elementwise("hardtanh", reference.hardtanh)
