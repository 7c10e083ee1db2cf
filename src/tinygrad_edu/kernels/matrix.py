"""Kernels for matrices: matmul in all its forms, and linear with bias and activation fused into it.

gemm takes its operands as they lie: row-major, or transposed, or with rows further apart than they
are long. So `w.T`, a slice of rows, a block of columns are multiplied without a copy.

Each gate is asked in C first (csrc/gate.h), which takes what almost all calls are. What is UNFIT
there is looked at again here: refused with words, copied, or left to NumPy.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np
from numpy import empty, ndarray

from ..errors import ArgumentError, DtypeError, ShapeError
from . import reference
from .library import UNFIT, at, at_or_null, c_functions, check, gate, kernel_of, like, ready

TRANS_A, TRANS_B = 1, 2
# What making room for a result raises where there is no shape or dtype, or not those of matrices
# that fit: two that do not may ask for more than there is.
_NOT_SO_SIMPLE = AttributeError, MemoryError, TypeError, ValueError
ACTIVATION_CODES = {None: 0, "relu": 1, "sigmoid": 2, "tanh": 3}

_matmul, _dense, _dense_grad = gate("matmul"), gate("dense"), gate("dense_grad")
_gemm = c_functions("gemm")
_gemm_batched = c_functions("gemm_batched")
_linear = c_functions("linear")
_linear_grad = c_functions("linear_grad")


def matmul(a: Any, b: Any) -> ndarray:
    """a @ b with NumPy's meaning: (..., m, k) @ (..., k, n), vectors allowed on either side,
    leading axes broadcast."""
    try:
        (m, _), (_, n) = a.shape, b.shape
        out = empty((m, n), a.dtype)
    except _NOT_SO_SIMPLE:
        return _matmul_of_any(np.asarray(a), np.asarray(b))
    status = _matmul(at(out), at(a), at(b))
    if not status:
        return out
    if status != UNFIT:
        check(status, "matmul")
    return _matmul_of_any(np.asarray(a), np.asarray(b))


def _matmul_of_any(a: ndarray, b: ndarray) -> ndarray:
    """Vectors and stacks of matrices as matrices, copies of what cannot be read as it lies; what no
    kernel is for by NumPy."""
    _check_matmul(a, b)
    if kernel_of(_gemm, a, b) is None:
        return np.asarray(np.matmul(a, b))
    if b.ndim == 1:
        return matmul(a, b[:, np.newaxis])[..., 0]
    if a.ndim == 1:
        return matmul(a[np.newaxis, :], b)[..., 0, :]
    if b.ndim == 2 and a.ndim > 2 and a.flags.c_contiguous:
        return matmul(a.reshape(-1, a.shape[-1]), b).reshape(*a.shape[:-1], b.shape[-1])
    return _matmul_batched(a, b)


def _check_matmul(a: ndarray, b: ndarray) -> None:
    if a.ndim == 0 or b.ndim == 0:
        raise ShapeError(
            f"matmul: {a.shape} @ {b.shape}: a scalar has no axis to sum over. Multiply with * "
            "instead.",
            code="unexpected-shape",
        )
    inner = b.shape[0] if b.ndim == 1 else b.shape[-2]
    if a.shape[-1] != inner:
        raise ShapeError(
            f"matmul: {a.shape} @ {b.shape}: inner dimensions differ ({a.shape[-1]} and {inner})."
        )
    if a.ndim > 2 and b.ndim > 2:
        try:
            np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
        except ValueError:
            raise ShapeError(
                f"matmul: {a.shape} @ {b.shape}: the leading axes {a.shape[:-2]} and "
                f"{b.shape[:-2]} do not broadcast against each other."
            ) from None


def _matmul_batched(a: ndarray, b: ndarray) -> ndarray:
    """Stacks of equal or single matrices in one call; stacks that broadcast in another way are left
    to NumPy."""
    batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    for x in (a, b):
        if x.shape[:-2] != batch and x.ndim != 2:
            return np.asarray(np.matmul(a, b))
    a, a_turned = _stack(a)
    b, b_turned = _stack(b)
    m, k = a.shape[-2:][::-1] if a_turned else a.shape[-2:]
    n = b.shape[-2] if b_turned else b.shape[-1]
    out = empty((*batch, m, n), a.dtype)
    flags = TRANS_A * a_turned | TRANS_B * b_turned
    steps = [0 if x.ndim == 2 else x.shape[-1] * x.shape[-2] for x in (a, b)]
    kernel = _gemm_batched[a.dtype]
    status = kernel(at(out), at(a), at(b), prod(batch), m, n, k, *steps, flags)
    check(status, "matmul")
    return out


def _stack(x: ndarray) -> tuple[ndarray, bool]:
    """A stack of matrices as it lies in memory, and whether each of them lies transposed."""
    turned = np.swapaxes(x, -1, -2)
    if turned.flags.c_contiguous and turned.flags.aligned and not x.flags.c_contiguous:
        return turned, True
    return ready(x), False


# ------------------------------------------------------------------------------------------- linear


def linear(x: Any, weight: Any, bias: Any, *, activation: str | None) -> ndarray:
    """act(x @ weight.T + bias): x (..., in), weight (out, in), bias (out,) or None, result (...,
    out)."""
    code = ACTIVATION_CODES.get(activation, UNFIT)
    try:
        flat = x.ndim == 2 == weight.ndim
        shape = (len(x), len(weight)) if flat else x.shape[:-1] + weight.shape[:1]
        out = empty(shape, x.dtype)
    except _NOT_SO_SIMPLE:
        return _linear_of_any(x, weight, bias, activation)
    status = _dense(at(out), at(x), at(weight), 0 if bias is None else at(bias), code)
    if not status:
        return out
    if status != UNFIT:
        check(status, "linear")
    return _linear_of_any(x, weight, bias, activation)


def _linear_of_any(x: Any, weight: Any, bias: Any, activation: str | None) -> ndarray:
    """What is refused with words, copied, or left to NumPy."""
    x, weight = np.asarray(x), np.asarray(weight)
    bias = None if bias is None else np.asarray(bias)
    _check_linear(x, weight, bias, activation)
    kernel = kernel_of(_linear, x, weight, *(() if bias is None else (bias,)))
    if kernel is None:
        return reference.linear(x, weight, bias, activation=activation)
    x, weight, bias = ready(x), ready(weight), ready(bias)
    out = empty(x.shape[:-1] + weight.shape[:1], x.dtype)
    sizes = prod(x.shape[:-1]), *weight.shape, ACTIVATION_CODES[activation]
    check(kernel(at(out), at(x), at(weight), at_or_null(bias), *sizes), "linear")
    return out


def _check_linear(
    x: ndarray, weight: ndarray, bias: ndarray | None, activation: str | None
) -> None:
    if activation not in ACTIVATION_CODES:
        raise ArgumentError(
            f"linear: activation {activation!r} cannot be fused; expected one of "
            f"{', '.join(map(repr, ACTIVATION_CODES))}. Apply the function to the result instead.",
            code="unknown-name",
        )
    if weight.ndim != 2 or x.shape[-1:] != weight.shape[1:]:
        raise ShapeError(
            f"linear: input {x.shape} and weight {weight.shape}: the input's last axis must be "
            "the weight's "
            "second, (..., in) with (out, in)."
        )
    if bias is not None and bias.shape != weight.shape[:1]:
        raise ShapeError(
            f"linear: bias {bias.shape} with weight {weight.shape}: expected bias "
            f"({weight.shape[0]},)."
        )
    if x.dtype.kind not in "fc" and weight.dtype.kind not in "fc":
        raise DtypeError(
            f"linear: input {x.dtype} and weight {weight.dtype}: expected floating point numbers.",
            code="not-a-float-dtype",
        )


def _linear_vjp(
    g: Any, out: Any, values: Sequence, params: dict, needs: Sequence, stash: Any
) -> Any:
    """The gradients of input, weight and bias in one call, each only where it is wanted."""
    x, weight, bias = values
    if type(x) is not ndarray or type(weight) is not ndarray or not like(g, out):
        return NotImplemented
    code = ACTIVATION_CODES[params["activation"]]
    dx = empty(x.shape, x.dtype) if needs[0] else None
    dweight = empty(weight.shape, weight.dtype) if needs[1] else None
    dbias = empty(bias.shape, bias.dtype) if needs[2] else None
    workspace = empty(g.shape, g.dtype) if code else None
    written = [at_or_null(made) for made in (dx, dweight, dbias, workspace)]
    status = _dense_grad(*written, at(g), at(out), at(x), at(weight), code)
    if status == UNFIT:
        kernel = kernel_of(_linear_grad, x, weight, g, *(() if bias is None else (bias,)))
        features, inner = weight.shape[:1], weight.shape[1:]
        fits = x.shape[-1:] == inner and x.shape[:-1] + features == g.shape
        if kernel is None or not fits or (bias is not None and bias.shape != features):
            return NotImplemented
        g, out, x, weight = ready(g), ready(out), ready(x), ready(weight)
        sizes = prod(x.shape[:-1]), *weight.shape, code
        status = kernel(*written, at(g), at(out), at(x), at(weight), *sizes)
    check(status, "linear")
    return dx, dweight, dbias


linear.vjp = _linear_vjp if _linear_grad else None  # type: ignore[attr-defined]
