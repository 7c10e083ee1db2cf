"""Rows: products of matrices."""

import math
from typing import Any

from .. import kernels
from ..domains import Reals, cases
from ..row import row
from .arithmetic import where
from .shape import expand_dims, reshape, squeeze, swapaxes

ANY = Reals(-2, 2)


def matmul_left(g, _out, _x, y):
    """d(x @ y)/dx: g y^T; a vector on either side is a matrix of one row (x) or one column (y)."""
    if y.ndim == 1:
        return (g if _x.ndim == 1 else expand_dims(g, axis=-1)) * y
    if _x.ndim == 1:
        return squeeze(matmul(y, expand_dims(g, axis=-1)), axis=-1)
    return matmul(g, swapaxes(y))


def matmul_right(g, _out, x, _y):
    """d(x @ y)/dy: x^T g, with vectors as in `matmul_left`."""
    if x.ndim == 1:
        return (g * x) if _y.ndim == 1 else expand_dims(x, axis=-1) * expand_dims(g, axis=-2)
    if _y.ndim == 1:
        return squeeze(matmul(swapaxes(x), expand_dims(g, axis=-1)), axis=-1)
    return matmul(swapaxes(x), g)


matmul: Any = row(
    "matmul", kernels.matmul, inputs=("x", "y"), dunder="matmul", symbol="@",
    vjp=(matmul_left, matmul_right),
    domain=ANY,
    cases=cases(((3, 4), (4, 2)), ((4,), (4, 2)), ((3, 4), (4,)), ((4,), (4,)), ((2, 3, 4), (4, 2)),
                ((2, 3, 4), (2, 4, 2)), ((2, 1, 3, 4), (3, 4, 2)), ((4,), (2, 4, 3)),
                ((2, 3, 4), (4,))),
    doc="x @ y with NumPy's meaning: (..., m, k) @ (..., k, n); vectors on either side; leading "
        "axes broadcast.")


def before_activation(g, out, activation):
    """The gradient before the activation, whose slope follows from its output alone."""
    if activation == "relu":
        return where(out > 0, g, 0)
    if activation == "sigmoid":
        return g * out * (1 - out)
    if activation == "tanh":
        return g * (1 - out * out)
    return g


def _rows(x):
    return reshape(x, shape=(math.prod(x.shape[:-1]), x.shape[-1]))


linear = row(
    "linear", kernels.linear, inputs=("x", "weight", "bias?"), defaults={"activation": None},
    method=False,
    vjp=(lambda g, out, _x, weight, _bias, activation: matmul(
             before_activation(g, out, activation), weight),
         lambda g, out, x, _weight, _bias, activation: matmul(
             swapaxes(_rows(before_activation(g, out, activation))), _rows(x)),
         lambda g, out, _x, _weight, _bias, activation: before_activation(g, out, activation)),
    domain=ANY,
    cases=cases(((3, 4), (2, 4), (2,)), ((3, 4), (2, 4), (2,), {"activation": "tanh"}),
                ((4,), (3, 4), (3,), {"activation": "sigmoid"}),
                ((2, 3, 4), (2, 4), (2,), {"activation": "relu"})),
    kinks="relu: 0 where the output is 0",
    doc="act(x @ weight.T + bias): x (..., in), weight (out, in), bias (out,) or None; activation "
        "None, 'relu', 'sigmoid' or 'tanh', fused into the same pass. Result (..., out).")
