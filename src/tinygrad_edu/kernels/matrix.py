"""Kernels for matrices: matmul in all its forms, and linear with bias and activation fused into it.

gemm takes its operands as they lie: row-major, or transposed, or with rows further apart than they
are long. So `w.T`, a slice of rows, a block of columns are multiplied without a copy.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from math import prod
from typing import Any

import numpy as np
from numpy import empty, ndarray

from ..errors import ArgumentError, DtypeError, ShapeError
from . import reference
from .library import READY, at, at_or_null, c_functions, check, like, ready

TRANS_A, TRANS_B = 1, 2
ACTIVATION_CODES = {None: 0, "relu": 1, "sigmoid": 2, "tanh": 3}

_gemm = c_functions("gemm")
_gemm_batched = c_functions("gemm_batched")
_linear = c_functions("linear")
_linear_grad = c_functions("linear_grad")


def matmul(a: Any, b: Any) -> ndarray:
    """a @ b with NumPy's meaning: (..., m, k) @ (..., k, n), vectors allowed on either side,
    leading axes broadcast."""
    if type(a) is not ndarray or type(b) is not ndarray:
        a, b = np.asarray(a), np.asarray(b)
    kernel = _gemm.get(a.dtype) if a.dtype == b.dtype else None
    if kernel is None or a.ndim != 2 or b.ndim != 2:
        return _matmul_of_any(kernel, a, b)
    (m, k), (inner, n) = a.shape, b.shape
    if k != inner:
        _check_matmul(a, b)
    out = empty((m, n), a.dtype)
    lda, ldb, flags = k, n, 0
    if a.flags.num & READY != READY:
        a, lda, turned = _operand(a)
        flags |= TRANS_A * turned
    if b.flags.num & READY != READY:
        b, ldb, turned = _operand(b)
        flags |= TRANS_B * turned
    status = kernel(at(out), at(a), at(b), m, n, k, n, lda, ldb, flags)
    if status:
        check(status, "matmul")
    return out


def _matmul_of_any(kernel: Any, a: ndarray, b: ndarray) -> ndarray:
    """Vectors and stacks of matrices as matrices; what no kernel is for by NumPy."""
    _check_matmul(a, b)
    if kernel is None or not (a.size and b.size):
        return np.asarray(np.matmul(a, b))
    if b.ndim == 1:
        return matmul(a, b[:, np.newaxis])[..., 0]
    if a.ndim == 1:
        return matmul(a[np.newaxis, :], b)[..., 0, :]
    if b.ndim == 2 and a.flags.c_contiguous:
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


def _operand(x: ndarray) -> tuple[ndarray, int, bool]:
    """What gemm reads of a matrix that is not ready: the array, the distance between its rows in
    elements, or between its columns where it lies transposed, and whether it does."""
    rows, columns = x.shape
    flags = x.flags
    if flags.aligned:
        if flags.f_contiguous:
            return x, rows, True
        (down, across), size = x.strides, x.itemsize
        if across == size and down % size == 0 and down >= columns * size:
            return x, down // size, False
        if down == size and across % size == 0 and across >= rows * size:
            return x, across // size, True
    return np.array(x, order="C"), columns, False


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
    if type(x) is not ndarray or type(weight) is not ndarray:
        x, weight = np.asarray(x), np.asarray(weight)
    code = ACTIVATION_CODES.get(activation)
    if bias is None:
        layer = _layer(code, x.dtype, x.shape, weight.dtype, weight.shape)
    else:
        bias = np.asarray(bias)
        layer = _layer(code, x.dtype, x.shape, weight.dtype, weight.shape, bias.dtype, bias.shape)
    if layer is None:
        _check_linear(x, weight, bias, activation)
        return reference.linear(x, weight, bias, activation=activation)
    flags = x.flags.num & weight.flags.num
    if bias is not None:
        flags &= bias.flags.num
    if flags & READY != READY:
        x, weight, bias = ready(x), ready(weight), ready(bias)
    shape, sizes = layer
    out = empty(shape, x.dtype)
    kernel = _linear[x.dtype]
    status = kernel(at(out), at(x), at(weight), 0 if bias is None else at(bias), *sizes)
    if status:
        check(status, "linear")
    return out


@lru_cache(maxsize=1024)
def _layer(
    code: int | None,
    dtype: np.dtype,
    shape: tuple[int, ...],
    weight_dtype: np.dtype,
    weight_shape: tuple[int, ...],
    bias_dtype: np.dtype | None = None,
    bias_shape: tuple[int, ...] | None = None,
) -> tuple | None:
    """(shape of the result, what the kernels take besides arrays); None where no kernel is for such
    arrays."""
    if code is None or dtype not in _linear or weight_dtype != dtype:
        return None
    if bias_dtype is not None and bias_dtype != dtype:
        return None
    if not _fit(shape, weight_shape, bias_shape) or 0 in shape + weight_shape:
        return None
    return shape[:-1] + weight_shape[:1], (prod(shape[:-1]), *weight_shape, code)


def _fit(shape: tuple, weight_shape: tuple, bias_shape: tuple | None) -> bool:
    """Whether an input fits a weight, and that the bias."""
    return (
        len(weight_shape) == 2
        and shape[-1:] == weight_shape[1:]
        and bias_shape in (None, weight_shape[:1])
    )


def _check_linear(
    x: ndarray, weight: ndarray, bias: ndarray | None, activation: str | None
) -> None:
    if activation not in ACTIVATION_CODES:
        raise ArgumentError(
            f"linear: activation {activation!r} cannot be fused; expected one of "
            f"{', '.join(map(repr, ACTIVATION_CODES))}. Apply the function to the result instead.",
            code="unknown-name",
        )
    if not _fit(x.shape, weight.shape, None):
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
    dtype = x.dtype
    if bias is not None and bias.dtype != dtype:
        return NotImplemented
    code = ACTIVATION_CODES[params["activation"]]
    layer = _layer(code, dtype, x.shape, weight.dtype, weight.shape)
    if layer is None or layer[0] != g.shape or g.dtype != dtype:
        return NotImplemented
    if g.flags.num & out.flags.num & x.flags.num & weight.flags.num & READY != READY:
        g, out, x, weight = ready(g), ready(out), ready(x), ready(weight)
    sizes = layer[1]
    dx = empty(x.shape, dtype) if needs[0] else None
    dweight = empty(weight.shape, dtype) if needs[1] else None
    dbias = empty(bias.shape, dtype) if needs[2] else None
    workspace = empty(g.shape, dtype) if code else None
    written = map(at_or_null, (dx, dweight, dbias, workspace))
    status = _linear_grad[dtype](*written, at(g), at(out), at(x), at(weight), *sizes)
    check(status, "linear")
    return dx, dweight, dbias


linear.vjp = _linear_vjp if _linear_grad else None  # type: ignore[attr-defined]
