"""Kernels for matrices: matmul in all its forms, and linear with bias and activation fused into it.

gemm takes its operands as they lie: row-major, or transposed, or with rows further apart than they
are long. So `w.T`, a slice of rows, a block of columns are multiplied without a copy.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy import ndarray

from ..errors import ArgumentError, DtypeError, ShapeError
from . import reference
from .library import POINTER, READY, c_functions, check, ffi, from_buffer, like, ready

TRANS_A, TRANS_B = 1, 2
ACTIVATION_CODES = {None: 0, "relu": 1, "sigmoid": 2, "tanh": 3}

_gemm = c_functions("gemm")
_gemm_batched = c_functions("gemm_batched")
_linear = c_functions("linear")
_linear_grad = c_functions("linear_grad")


def matmul(a: Any, b: Any) -> ndarray:
    """a @ b with NumPy's meaning: (..., m, k) @ (..., k, n), vectors allowed on either side,
    leading axes broadcast."""
    a, b = np.asarray(a), np.asarray(b)
    kernel = _gemm.get(a.dtype) if a.dtype == b.dtype else None
    matrices = a.ndim == 2 and b.ndim == 2
    if not matrices or a.shape[1] != b.shape[0]:
        _check_matmul(a, b)
    if kernel is None or not (a.size and b.size):
        return np.asarray(np.matmul(a, b))
    if matrices:
        return _matmul_2d(kernel, a, b)
    if b.ndim == 1:
        return matmul(a, b[:, np.newaxis])[..., 0]
    if a.ndim == 1:
        return matmul(a[np.newaxis, :], b)[..., 0, :]
    if b.ndim == 2 and a.flags.c_contiguous:
        return _matmul_2d(kernel, a.reshape(-1, a.shape[-1]), b).reshape(*a.shape[:-1], b.shape[-1])
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


def _matmul_2d(kernel: Any, a: ndarray, b: ndarray) -> ndarray:
    (m, k), n = a.shape, b.shape[1]
    out = np.empty((m, n), a.dtype)
    array = POINTER[a.dtype]
    at = from_buffer(array, out)
    if a.flags.num & b.flags.num & READY == READY:
        status = kernel(at, from_buffer(array, a), from_buffer(array, b), m, n, k, n, k, n, 0)
    else:
        a_at, lda, a_turned, a = _operand(a)
        b_at, ldb, b_turned, b = _operand(b)
        flags = (TRANS_A if a_turned else 0) | (TRANS_B if b_turned else 0)
        status = kernel(at, a_at, b_at, m, n, k, n, lda, ldb, flags)
    if status:
        check(status, "matmul")
    return out


def _operand(x: ndarray) -> tuple[Any, int, bool, ndarray]:
    """(pointer, distance between rows in elements, transposed?, the array to hold) of a matrix that
    gemm can read."""
    rows, columns = x.shape
    flags = x.flags
    if flags.c_contiguous and flags.aligned:
        return from_buffer(POINTER[x.dtype], x), columns, False, x
    if flags.f_contiguous and flags.aligned:
        return from_buffer(POINTER[x.dtype], x.T), rows, True, x
    down, across = x.strides
    size = x.itemsize
    if flags.aligned and across == size and down % size == 0 and down >= columns * size:
        return ffi.cast(_pointer_type(x), x.ctypes.data), down // size, False, x
    if flags.aligned and down == size and across % size == 0 and across >= rows * size:
        return ffi.cast(_pointer_type(x), x.ctypes.data), across // size, True, x
    x = np.array(x, order="C")
    return from_buffer(POINTER[x.dtype], x), columns, False, x


def _pointer_type(x: ndarray) -> str:
    return "float *" if x.itemsize == 4 else "double *"


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
    out = np.empty((*batch, m, n), a.dtype)
    array = POINTER[a.dtype]
    flags = (TRANS_A if a_turned else 0) | (TRANS_B if b_turned else 0)
    steps = [0 if x.ndim == 2 else x.shape[-1] * x.shape[-2] for x in (a, b)]
    count = int(np.prod(batch, dtype=np.int64))
    check(
        _gemm_batched[a.dtype](
            from_buffer(array, out),
            from_buffer(array, a),
            from_buffer(array, b),
            count,
            m,
            n,
            k,
            *steps,
            flags,
        ),
        "matmul",
    )
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
    x, weight = np.asarray(x), np.asarray(weight)
    bias = None if bias is None else np.asarray(bias)
    _check_linear(x, weight, bias, activation)
    kernel = _linear.get(x.dtype)
    if kernel is None or weight.dtype != x.dtype or not (x.size and weight.size):
        return reference.linear(x, weight, bias, activation=activation)
    if bias is not None and bias.dtype != x.dtype:
        return reference.linear(x, weight, bias, activation=activation)
    x, weight = ready(x), ready(weight)
    n_out, n_in = weight.shape
    out = np.empty((*x.shape[:-1], n_out), x.dtype)
    array = POINTER[x.dtype]
    at_bias = ffi.NULL
    if bias is not None:
        bias = ready(bias)
        at_bias = from_buffer(array, bias)
    check(
        kernel(
            from_buffer(array, out),
            from_buffer(array, x),
            from_buffer(array, weight),
            at_bias,
            x.size // n_in,
            n_out,
            n_in,
            ACTIVATION_CODES[activation],
        ),
        "linear",
    )
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
    if weight.ndim != 2 or x.ndim == 0 or x.shape[-1] != weight.shape[1]:
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
    if (
        type(x) is not ndarray
        or type(weight) is not ndarray
        or not like(g, out)
        or not (x.size and weight.size)
    ):
        return NotImplemented
    if x.dtype not in _linear_grad or weight.dtype != x.dtype or out.dtype != x.dtype:
        return NotImplemented
    g, out, x, weight = ready(g), ready(out), ready(x), ready(weight)
    n_out, n_in = weight.shape
    array = POINTER[x.dtype]
    grads = [
        np.empty(v.shape, x.dtype) if need else None for v, need in zip((x, weight, bias), needs)
    ]
    pointers = [ffi.NULL if grad is None else from_buffer(array, grad) for grad in grads]
    code = ACTIVATION_CODES[params["activation"]]
    workspace = np.empty(g.shape, x.dtype) if code else None
    check(
        _linear_grad[x.dtype](
            *pointers,
            ffi.NULL if workspace is None else from_buffer(array, workspace),
            from_buffer(array, g),
            from_buffer(array, out),
            from_buffer(array, x),
            from_buffer(array, weight),
            x.size // n_in,
            n_out,
            n_in,
            code,
        ),
        "linear",
    )
    return grads


linear.vjp = _linear_vjp if _linear_grad else None  # type: ignore[attr-defined]
