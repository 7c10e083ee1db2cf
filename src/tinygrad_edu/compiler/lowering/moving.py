"""Rows: what moves numbers, or adds them up along axes; and what happens to a program as a whole:
writes, counts, checks."""

from __future__ import annotations

from ...kernels.reduction import split
from ..calls import I64, Builder, InOut, Out, PythonCall
from ..instruction import Instruction, Place
from .elementwise import binary, broadcast
from .table import backward, dense_of, forward, number


def moved(b: Builder, step: Instruction) -> bool:
    """A row that may be a view and is not: a reshape of what does not lie side by side."""
    (out,), x = step.outputs, step.inputs[0]
    if not isinstance(x, Place) or x.size != out.size or step.op.name != "reshape":
        return False
    return b.copy(out, x)


@forward("astype")
def _astype(b: Builder, step: Instruction) -> bool:
    (out,), (x,) = step.outputs, step.inputs
    return isinstance(x, Place) and b.copy(out, x)


def write(b: Builder, step: Instruction) -> bool:
    target, value = step.inputs
    if not target.contiguous or target.array is None or not target.array.flags.writeable:
        return False
    value = number(value)
    if not isinstance(value, Place):
        return False
    value = broadcast(b, value, target.shape)
    return value is not None and b.copy(target, value)


def counted(b: Builder, step: Instruction) -> bool:
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


def check(b: Builder, step: Instruction) -> bool:
    """A status other than TG_OK ends the run, and Memory.explain asks Python what to say."""
    (x,) = step.inputs
    dense = dense_of(b, x.dtype, x)
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
    dense = dense_of(b, out.dtype, x)
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
    dense = dense_of(b, out.dtype, x)
    if dense is None or step.params["axis"] not in (-1, len(x.shape) - 1):
        return False
    columns = x.shape[-1]
    b.call(step.op.name, out.dtype, Out(out), *dense, x.size // columns, columns)
    return True


@backward("softmax", "log_softmax")
def _softmax_vjp(b: Builder, step: Instruction) -> bool:
    (dx,), (g, out, _) = step.outputs, step.inputs
    dense = dense_of(b, dx.dtype, g, out)
    if dense is None or step.params["axis"] not in (-1, len(dx.shape) - 1):
        return False
    columns = dx.shape[-1]
    b.call(f"{step.op.name}_grad", dx.dtype, Out(dx), *dense, dx.size // columns, columns)
    return True
