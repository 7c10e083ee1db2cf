"""Rows: products of matrices, and the dense layer with its gradient."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...kernels.matrix import ACTIVATION_CODES
from ..calls import Builder, Call, Out
from ..instruction import Instruction, Place
from .table import backward, dense_of, forward

TRANS_A, TRANS_B = 1, 2


def _matrix(b: Builder, x: Any, dtype: np.dtype) -> tuple[Place, int, bool] | None:
    """(place, distance between rows in elements, transposed?) of a matrix that gemm can read."""
    if not isinstance(x, Place) or x.dtype != dtype or len(x.shape) != 2:
        return None
    size, (down, across), (rows, columns) = dtype.itemsize, x.strides, x.shape
    if across == size and down % size == 0 and down >= columns * size:
        return x, down // size, False
    if down == size and across % size == 0 and across >= rows * size:
        return x, across // size, True
    dense = b.dense(x)
    return None if dense is None else (dense, columns, False)


@forward("matmul")
def _matmul(b: Builder, step: Instruction) -> bool:
    (out,) = step.outputs
    if len(out.shape) != 2:
        return False
    found = [_matrix(b, x, out.dtype) for x in step.inputs]
    if None in found:
        return False
    (x, lda, x_turned), (y, ldb, y_turned) = found  # type: ignore[misc]
    (m, n), k = out.shape, step.inputs[0].shape[1]
    flags = (TRANS_A if x_turned else 0) | (TRANS_B if y_turned else 0)
    b.call("gemm", out.dtype, Out(out), x, y, m, n, k, n, lda, ldb, flags)
    return True


@forward("linear")
def _linear(b: Builder, step: Instruction) -> bool:
    (out,) = step.outputs
    dense = dense_of(b, out.dtype, *step.inputs)
    if dense is None:
        return False
    n_out, n_in = step.inputs[1].shape
    code = ACTIVATION_CODES[step.params["activation"]]
    b.call("linear", out.dtype, Out(out), *dense, out.size // n_out, n_out, n_in, code)
    return True


@backward("linear")
def _linear_vjp(b: Builder, step: Instruction) -> bool:
    """dz = g act'(z); dx = dz w; dw = dz^T x; db = the column sums of dz."""
    g, out, x, w, _ = step.inputs
    dx, dw, db = step.outputs
    dense = dense_of(b, out.dtype, g, out, x, w)
    if dense is None:
        return False
    g, out, x, w = dense
    dtype, (n_out, n_in) = out.dtype, w.shape
    batch, code = out.size // n_out, ACTIVATION_CODES[step.params["activation"]]
    sizes = (batch, n_out, n_in)
    dz = g
    if code:
        dz = b.temporary(out.shape, dtype)
        if _by_rows(b, dz, g, out, f"{step.params['activation']}_grad"):
            code = 0
        else:
            b.over.append((dz, g))
    if code or db is not None:
        made = (Out(db) if db is not None else None, Out(dz) if code else None)
        read = (dz, None) if not code else (g, out)
        b.call("linear_grad", dtype, None, None, *made, *read, None, None, *sizes, code)
    if dw is not None:
        b.call("gemm", dtype, Out(dw), dz, x, n_out, n_in, batch, n_in, n_out, n_in, TRANS_A)
    if dx is not None:
        b.call("gemm", dtype, Out(dx), dz, w, batch, n_in, n_out, n_in, n_out, n_in, 0)
    return True


# Rows of a batch that go through a layer's activation at once. Each time w is packed anew, which
# counts where it is too large for the caches: then twice as many.
ROWS = 256
LARGE = 1 << 16


def _by_rows(b: Builder, dz: Place, g: Place, out: Place, slope: str) -> bool:
    """dz = g act'(out) for a large batch, where g = A w was just made by the layer above and has no
    other reader: made and used up by some rows at a time, so that g is never there as a whole, and
    dz can take the memory of `out`, the activations, row by row."""
    producer = b.calls[-1] if b.calls else None
    is_product = isinstance(producer, Call) and producer.name == "gemm" and producer.words[-1] == 0
    if not is_product or producer.words[0] != Out(g) or b.uses.get(g.root, 0) != 1:  # type: ignore[union-attr]
        return False
    _, a, w, batch, n, k, *_ = producer.words  # type: ignore[union-attr]
    most = ROWS if n * k < LARGE else 2 * ROWS
    if batch <= most or out.size != batch * n:
        return False
    b.calls.pop()
    made = b.temporary((most, n), dz.dtype)
    for first in range(0, batch, most):
        rows = min(most, batch - first)
        read, y, written = (_rows_of(place, first, rows, batch) for place in (a, out, dz))
        b.call("gemm", dz.dtype, Out(made), read, w, rows, n, k, n, k, n, 0)
        b.call(slope, dz.dtype, Out(written), made, y, y, rows * n)
    b.over.append((dz, out))
    return True


def _rows_of(place: Place, first: int, rows: int, batch: int) -> Place:
    """A part of a dense place that holds one row for each example of the batch."""
    width = place.size // batch
    size = place.dtype.itemsize
    offset = place.offset + first * width * size
    part = Place(place.number, (rows, width), place.dtype, place.kind, (width * size, size))
    part.array, part.of, part.offset = place.array, place.root, offset
    return part
