"""From instructions to calls of C kernels: one row for each operation that has some.

A row is a function of (builder, instruction) that enters the calls and returns True, or returns
False where it does not apply: another dtype, a layout that C cannot read. Then the instruction is
run by Python. To give an operation its place in C programs, add its row; without one it works, and
a program that uses it is several C calls with Python between them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..kernels.convolution import window_pointer
from ..kernels.matrix import ACTIVATION_CODES
from ..kernels.normalization import layout_of
from ..kernels.reduction import split
from ..ops.convolution import _look
from ..ops.pooling import _pool
from .calls import I64, SUFFIX, Builder, Call, InOut, Out, PythonCall, has_kernel
from .capture import Instruction, Place
from .update import lower_update

Row = Callable[[Builder, Instruction], bool]
FORWARD: dict[str, Row] = {}
BACKWARD: dict[str, Row] = {}
NEGATED = "negative"


def forward(*names: str) -> Callable[[Row], Row]:
    """Enter a row for the forward of these operations."""

    def enter(row: Row) -> Row:
        FORWARD.update(dict.fromkeys(names, row))
        return row

    return enter


def backward(*names: str) -> Callable[[Row], Row]:
    """Enter a row for the vjp of these operations."""

    def enter(row: Row) -> Row:
        BACKWARD.update(dict.fromkeys(names, row))
        return row

    return enter


def lower(builder: Builder, instructions: list[Instruction], in_c: bool) -> None:
    """Enter every instruction as calls of C kernels where there are some (and `in_c`), as Python
    elsewhere."""
    for step in instructions:
        if step.kind == "draw" or (step.kind == "forward" and _is_view(step)):
            continue
        builder.instruction = step
        before = len(builder.calls)
        done = in_c and (_floating(step) and _row(step)(builder, step) or _counted(builder, step))
        if not done:
            del builder.calls[before:]
            builder.calls.append(PythonCall(step))


def _is_view(step: Instruction) -> bool:
    return step.op.view and step.outputs[0].of is not None


def _floating(step: Instruction) -> bool:
    """Whether all that is computed has one dtype that C knows, and there is something of it."""
    made = [p for p in step.outputs if p is not None] or [
        x for x in step.inputs if isinstance(x, Place)
    ]
    return all(p.dtype == made[0].dtype and p.dtype in SUFFIX and p.size for p in made)


def _row(step: Instruction) -> Row:
    if step.kind == "forward":
        return FORWARD.get(step.op.name) or (_moved if step.op.view else _unary)
    if step.kind == "vjp":
        return BACKWARD.get(step.op.name) or _unary_vjp
    return {"write": _write, "check": _check, "update": lower_update}[step.kind]


# --------------------------------------------------------------------------- element by element


def _param(step: Instruction) -> list[float] | None:
    """The one number that an elementwise kernel takes; None where it is none."""
    values = list(step.params.values())
    if len(values) > 1 or not all(isinstance(v, (int, float)) for v in values):
        return None
    return [float(v) for v in values]


def _unary(b: Builder, step: Instruction) -> bool:
    name, (x, *others) = step.op.forward.__name__, step.inputs
    param = _param(step)
    if others or param is None or step.op.cases is not None or not has_kernel(name):
        return False
    (out,) = step.outputs
    if not isinstance(x, Place) or x.dtype != out.dtype or (x := b.dense(x)) is None:
        return False
    b.call(name, out.dtype, Out(out), x, *param, out.size, elements=out.size)
    return True


def _unary_vjp(b: Builder, step: Instruction) -> bool:
    name, param = f"{step.op.forward.__name__}_grad", _param(step)
    if param is None or step.op.cases is not None or not has_kernel(name):
        return False
    (dx,) = step.outputs
    dense = _dense(b, dx.dtype, *step.inputs)
    if dense is None or any(x.shape != dx.shape for x in dense):
        return False
    g, out, x = dense
    b.call(name, dx.dtype, Out(dx), g, x, out, *param, dx.size, elements=dx.size)
    return True


def _dense(b: Builder, dtype: np.dtype, *places: Any) -> list[Any] | None:
    """The places with their elements side by side, None standing for None; None where one is not
    an array of this dtype."""
    found = []
    for place in places:
        if place is not None:
            if not isinstance(place, Place) or place.dtype != dtype:
                return None
            place = b.dense(place)
            if place is None:
                return None
        found.append(place)
    return found


BINARY = {
    "add": "plus",
    "subtract": "minus",
    "multiply": "times",
    "divide": "over",
    "maximum": "larger_of",
    "minimum": "smaller_of",
}


@forward(*BINARY)
def _binary(b: Builder, step: Instruction) -> bool:
    (out,) = step.outputs
    return binary(b, BINARY[step.op.name], out, *step.inputs)


@forward(NEGATED)
def _negative(b: Builder, step: Instruction) -> bool:
    (out,) = step.outputs
    return binary(b, "times", out, step.inputs[0], -1.0)


def binary(b: Builder, kernel: str, out: Place, x: Any, y: Any) -> bool:
    """Enter out = kernel(x, y), of places that broadcast or numbers."""
    x, y = number(x), number(y)
    if not isinstance(x, Place) and not isinstance(y, Place):
        return False
    n, dtype = out.size, out.dtype
    if any(isinstance(v, Place) and v.dtype != dtype for v in (x, y)):
        return False
    if not isinstance(y, Place):
        x = broadcast(b, x, out.shape)
        if x is not None:
            b.call(f"{kernel}_right", dtype, Out(out), x, y, n, elements=n)
        return x is not None
    if not isinstance(x, Place):
        y = broadcast(b, y, out.shape)
        if y is not None:
            b.call(f"{kernel}_left", dtype, Out(out), y, x, n, elements=n)
        return y is not None
    x, y = broadcast(b, x, out.shape), broadcast(b, y, out.shape)
    if x is None or y is None:
        return False
    b.call(kernel, dtype, Out(out), x, y, n, elements=n)
    return True


def number(x: Any) -> Any:
    """A Python number, or a known constant of shape (), as a float; a place as it is."""
    if not isinstance(x, Place):
        return float(x)
    return x.array.item() if _is_constant(x) and x.shape == () else x


def _is_constant(place: Place) -> bool:
    array = place.array
    return array is not None and array.base is None and not array.flags.writeable


def broadcast(b: Builder, x: Place, shape: tuple[int, ...]) -> Place | None:
    """A place with the numbers of x in `shape`: itself, or filled by the `spread` kernel where x
    is a number, a vector along rows or a column, by a strided copy elsewhere."""
    if x.shape == shape:
        return b.dense(x)
    made = b.temporary(shape, x.dtype)
    n = made.size
    kept = (1,) * (len(shape) - len(x.shape)) + x.shape
    span = [i for i, length in enumerate(kept) if length != 1]
    first, last = (span[0], span[-1] + 1) if span else (0, 0)
    source = b.dense(x)
    if source is not None and kept[first:last] == shape[first:last]:
        repeat, length = math.prod(shape[last:]) if span else 1, max(x.size, 1)
        b.call("spread", x.dtype, Out(made), source, 0, n, repeat, length, elements=n)
        return made
    strides = (0,) * (len(shape) - len(x.shape)) + x.strides
    strides = tuple(0 if length == 1 else s for length, s in zip(kept, strides))
    view = Place(x.number, shape, x.dtype, x.kind, strides, x.array, x.root, x.offset)
    return made if b.copy(made, view) else None


# ------------------------------------------------------------------------ moving and reducing


def _moved(b: Builder, step: Instruction) -> bool:
    """A row that may be a view and is not: a reshape of what does not lie side by side."""
    (out,), x = step.outputs, step.inputs[0]
    if not isinstance(x, Place) or x.size != out.size or step.op.name != "reshape":
        return False
    return b.copy(out, x)


@forward("astype")
def _astype(b: Builder, step: Instruction) -> bool:
    (out,), (x,) = step.outputs, step.inputs
    return isinstance(x, Place) and b.copy(out, x)


def _write(b: Builder, step: Instruction) -> bool:
    target, value = step.inputs
    if not target.contiguous or target.array is None or not target.array.flags.writeable:
        return False
    value = number(value)
    if not isinstance(value, Place):
        return False
    value = broadcast(b, value, target.shape)
    return value is not None and b.copy(target, value)


def _counted(b: Builder, step: Instruction) -> bool:
    """A number of batches, raised by one: a write of `count + 1` into `count`."""
    if step.kind != "write" or not b.calls or not isinstance(b.calls[-1], PythonCall):
        return False
    (target, value), added = step.inputs, b.calls[-1].instruction
    is_sum = added.kind == "forward" and added.op.name == "add" and added.outputs == (value,)
    if not is_sum or b.uses.get(value, 0) != 1 or target.dtype != I64 or target.size != 1:
        return False
    if added.inputs[0] is not target or type(added.inputs[1]) is not int:
        return False
    b.calls.pop()
    b.call("count", I64, InOut(target), added.inputs[1])
    return True


def _check(b: Builder, step: Instruction) -> bool:
    """A status other than TG_OK ends the run, and Memory.explain asks Python what to say."""
    (x,) = step.inputs
    dense = _dense(b, x.dtype, x)
    if dense is None:
        return False
    b.call("finite", x.dtype, *dense, x.size)
    return True


@forward("sum", "max", "mean")
def _reduced(b: Builder, step: Instruction) -> bool:
    (out,), (x,) = step.outputs, step.inputs
    axis = step.params["axis"]
    axes = axis if isinstance(axis, tuple) else (axis,)
    found = split(x.shape, False, *axes) if isinstance(x, Place) else None
    dense = _dense(b, out.dtype, x)
    if dense is None or not found:
        return False
    sizes = found[1]
    if step.op.name != "mean":
        b.call(step.op.name, out.dtype, Out(out), *dense, *sizes)
        return True
    total = b.temporary(out.shape, out.dtype)
    b.call("sum", out.dtype, Out(total), *dense, *sizes)
    return binary(b, "over", out, total, float(sizes[1]))


@forward("softmax", "log_softmax")
def _softmax(b: Builder, step: Instruction) -> bool:
    (out,), (x,) = step.outputs, step.inputs
    dense = _dense(b, out.dtype, x)
    if dense is None or step.params["axis"] not in (-1, len(x.shape) - 1):
        return False
    columns = x.shape[-1]
    b.call(step.op.name, out.dtype, Out(out), *dense, x.size // columns, columns)
    return True


@backward("softmax", "log_softmax")
def _softmax_vjp(b: Builder, step: Instruction) -> bool:
    (dx,), (g, out, _) = step.outputs, step.inputs
    dense = _dense(b, dx.dtype, g, out)
    if dense is None or step.params["axis"] not in (-1, len(dx.shape) - 1):
        return False
    columns = dx.shape[-1]
    b.call(f"{step.op.name}_grad", dx.dtype, Out(dx), *dense, dx.size // columns, columns)
    return True


# -------------------------------------------------------------------------------------- products

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
    dense = _dense(b, out.dtype, *step.inputs)
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
    dense = _dense(b, out.dtype, g, out, x, w)
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


# ---------------------------------------------------------------------------------------- losses


@forward("cross_entropy_classes")
def _cross_entropy(b: Builder, step: Instruction) -> bool:
    (out, p), (logits, target) = step.outputs, step.inputs
    dense = _dense(b, out.dtype, logits)
    if dense is None or not _classes(target):
        return False
    rows, columns = logits.shape
    losses = out if step.params["reduction"] == "none" else b.temporary((rows,), out.dtype)
    smoothing = float(step.params["label_smoothing"])
    b.call(
        "cross_entropy", out.dtype, Out(losses), Out(p), *dense, target, smoothing, rows, columns
    )
    return losses is out or _total(b, out, losses, step.params["reduction"])


def _classes(target: Any) -> bool:
    return isinstance(target, Place) and target.dtype == np.int64 and target.contiguous


def _total(b: Builder, out: Place, losses: Place, reduction: str) -> bool:
    """out = the sum or the mean of losses."""
    n = losses.size
    if reduction == "sum":
        b.call("sum", out.dtype, Out(out), losses, 1, n, 1)
        return True
    total = b.temporary((), out.dtype)
    b.call("sum", out.dtype, Out(total), losses, 1, n, 1)
    return binary(b, "over", out, total, float(n))


@backward("cross_entropy_classes")
def _cross_entropy_vjp(b: Builder, step: Instruction) -> bool:
    g, _, logits, target, p = step.inputs
    dx = step.outputs[0]
    if not _classes(target):
        return False
    rows, columns = logits.shape
    each = each_share(b, g, rows, dx.dtype, step.params["reduction"])
    if each is None:
        return False
    smoothing = float(step.params["label_smoothing"])
    b.call("cross_entropy_grad", dx.dtype, Out(dx), each, p, target, smoothing, rows, columns)
    return True


def each_share(b: Builder, g: Any, n: int, dtype: np.dtype, reduction: str) -> Place | None:
    """The gradient of each of n losses, (n,), from that of their mean or sum."""
    value = number(g)
    if not isinstance(value, Place):
        each = np.asarray(value, dtype) / n if reduction == "mean" else value
        return b.constant(np.full(n, each, dtype))
    if value.dtype != dtype:
        return None
    if reduction == "mean":
        share = b.temporary((), dtype)
        if not binary(b, "over", share, value, float(n)):
            return None
        value = share
    return broadcast(b, value, (n,))


@forward("mse_loss")
def _mse(b: Builder, step: Instruction) -> bool:
    (out,), (x, t) = step.outputs, step.inputs
    dense = _dense(b, out.dtype, x, t)
    if dense is None:
        return False
    n = x.size
    distance = b.temporary(x.shape, out.dtype)
    squares = out if step.params["reduction"] == "none" else b.temporary(x.shape, out.dtype)
    b.call("minus", out.dtype, Out(distance), *dense, n, elements=n)
    b.call("square", out.dtype, Out(squares), distance, n, elements=n)
    return squares is out or _total(b, out, squares, step.params["reduction"])


# -------------------------------------------------------------------------------------- images

HOW = ("stride", "padding", "dilation", "groups")


def _convolution(x: Place, weight: Place, params: dict[str, Any]) -> tuple:
    """The words of a convolution's geometry."""
    how = [params[name] for name in HOW]
    window = window_pointer(_look("conv2d", x.shape, weight.shape, *how), x.shape[2:])
    return window, *x.shape[:2], weight.shape[0], how[-1]


@forward("conv2d")
def _conv2d(b: Builder, step: Instruction) -> bool:
    (out,), (x, weight, bias) = step.outputs, step.inputs
    dense = _dense(b, out.dtype, x, weight, bias)
    if dense is None or step.params["activation"] not in ACTIVATION_CODES:
        return False
    code = ACTIVATION_CODES[step.params["activation"]]
    b.call("conv2d", out.dtype, Out(out), *dense, *_convolution(x, weight, step.params), code)
    return True


@backward("conv2d")
def _conv2d_vjp(b: Builder, step: Instruction) -> bool:
    g, out, x, weight, _ = step.inputs
    dx, dw, db = step.outputs
    dense = _dense(b, out.dtype, g, out, x, weight)
    if dense is None:
        return False
    code = ACTIVATION_CODES[step.params["activation"]]
    if db is not None and dw is None:  # the bias is a part of the weight: they come together
        dw = b.temporary(weight.shape, out.dtype)
    read = list(dense)
    if not code:
        read[1] = None
    if dw is None:
        read[2] = None
    if dx is None:
        read[3] = None
    made = [None if p is None else Out(p) for p in (dx, dw, db)]
    geometry = _convolution(x, weight, step.params)
    b.call("conv2d_grad", out.dtype, *made, *read, *geometry, code)
    return True


def _window(name: str, shape: tuple[int, ...], params: dict[str, Any]) -> Any:
    window = _pool(name, shape, params["kernel_size"], params["stride"], params["padding"])
    return window_pointer(window, shape[2:])


@forward("max_pool2d", "avg_pool2d")
def _pooled(b: Builder, step: Instruction) -> bool:
    (out,), (x,) = step.outputs, step.inputs
    dense = _dense(b, out.dtype, x)
    if dense is None:
        return False
    border = [int(v) for name, v in step.params.items() if name == "count_include_pad"]
    words = (_window(step.op.name, x.shape, step.params), x.shape[0] * x.shape[1], *border)
    b.call(step.op.name, out.dtype, Out(out), *dense, *words)
    return True


@backward("max_pool2d", "avg_pool2d")
def _pooled_vjp(b: Builder, step: Instruction) -> bool:
    (dx,), (g, _, x) = step.outputs, step.inputs
    dense = _dense(b, dx.dtype, g, x)
    if dense is None:
        return False
    border = [int(v) for name, v in step.params.items() if name == "count_include_pad"]
    read = dense[:1] if border else dense
    words = (_window(step.op.name, dx.shape, step.params), dx.shape[0] * dx.shape[1], *border)
    b.call(f"{step.op.name}_grad", dx.dtype, Out(dx), *read, *words)
    return True


# ---------------------------------------------------------------------------------- normalisation


@forward("normalize")
def _normalize(b: Builder, step: Instruction) -> bool:
    out, *moments = step.outputs
    x, weight, bias = step.inputs
    sizes = _normalized_sizes(step)
    dense = _dense(b, out.dtype, x, weight, bias)
    if sizes is None or dense is None or len(moments) != 2:
        return False
    written = [Out(place) for place in (out, *moments)]
    b.call("normalize", out.dtype, *written, *dense, *sizes, float(step.params["eps"]))
    return True


@backward("normalize")
def _normalize_vjp(b: Builder, step: Instruction) -> bool:
    g, out, x, weight, _, mean, var = step.inputs
    sizes = _normalized_sizes(step, start=2)
    dense = _dense(b, out.dtype, g, x, mean, var, weight)
    if sizes is None or dense is None:
        return False
    made = [None if place is None else Out(place) for place in step.outputs]
    b.call("normalize_grad", out.dtype, *made, *dense, *sizes, float(step.params["eps"]))
    return True


def _normalized_sizes(step: Instruction, start: int = 0) -> tuple[int, ...] | None:
    x, weight, bias = step.inputs[start : start + 3]
    given = [place for place in (weight, bias) if place is not None]
    if not all(isinstance(place, Place) for place in (x, *given)):
        return None
    return layout_of(x, given, step.params["axes"])
