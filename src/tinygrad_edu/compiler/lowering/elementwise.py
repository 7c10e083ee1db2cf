"""Rows: element by element. What is spread to a shape by broadcasting is made here too."""

from __future__ import annotations

import math
from typing import Any

from ..calls import Builder, Out, has_kernel
from ..instruction import Instruction, Place
from .table import dense_of, forward, number


def _param(step: Instruction) -> list[float] | None:
    """The one number that an elementwise kernel takes; None where it is none."""
    values = list(step.params.values())
    if len(values) > 1 or not all(isinstance(v, (int, float)) for v in values):
        return None
    return [float(v) for v in values]


def unary(b: Builder, step: Instruction) -> bool:
    name, (x, *others) = step.op.forward.__name__, step.inputs
    param = _param(step)
    if others or param is None or step.op.cases is not None or not has_kernel(name):
        return False
    (out,) = step.outputs
    if not isinstance(x, Place) or x.dtype != out.dtype or (x := b.dense(x)) is None:
        return False
    b.call(name, out.dtype, Out(out), x, *param, out.size, elements=out.size)
    return True


def unary_vjp(b: Builder, step: Instruction) -> bool:
    name, param = f"{step.op.forward.__name__}_grad", _param(step)
    if param is None or step.op.cases is not None or not has_kernel(name):
        return False
    (dx,) = step.outputs
    dense = dense_of(b, dx.dtype, *step.inputs)
    if dense is None or any(x.shape != dx.shape for x in dense):
        return False
    g, out, x = dense
    b.call(name, dx.dtype, Out(dx), g, x, out, *param, dx.size, elements=dx.size)
    return True


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


@forward("negative")
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
