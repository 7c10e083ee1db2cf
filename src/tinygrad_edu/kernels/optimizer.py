"""Kernels that write in place: the steps of SGD and Adam, all arrays of one dtype in one C call.

Each element is read and written once. An array that C cannot write (strided, misaligned, of another
dtype) is updated by the formula; the two paths never meet in one array.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from numpy import ndarray

from . import reference
from .library import c_functions, ffi, from_buffer, ready

_sgd = c_functions("sgd")
_adam = c_functions("adam")


def _by_path(
    kernels: dict, written: Sequence[Sequence[ndarray]], grads: Sequence[ndarray]
) -> dict[Any, list[int]]:
    """The indices of the parameters by dtype, where a kernel can write them all; under None the
    others."""
    groups: dict[Any, list[int]] = {}
    for i, g in enumerate(grads):
        arrays = [column[i] for column in written]
        writable = g.dtype in kernels and all(
            a.dtype == g.dtype and a.shape == g.shape and a.flags.carray for a in arrays
        )
        groups.setdefault(g.dtype if writable else None, []).append(i)
    return groups


def _pointers(arrays: Sequence[ndarray]) -> tuple[Any, list]:
    """A C array of pointers to `arrays`, and what must be kept alive while it is used."""
    kind = "float" if arrays[0].itemsize == 4 else "double"
    held = [from_buffer(f"{kind}[]", a) for a in arrays]
    return ffi.new(f"{kind} *[]", held), held


def _call(
    kernel: Callable,
    columns: Sequence[Sequence[ndarray] | None],
    grads: Sequence[ndarray],
    *numbers: Any,
) -> None:
    grads = [ready(g) for g in grads]
    pointers = [ffi.NULL if column is None else _pointers(column) for column in (*columns, grads)]
    sizes = ffi.new("size_t[]", [g.size for g in grads])
    kernel(*(p if p is ffi.NULL else p[0] for p in pointers), sizes, len(grads), *numbers)


def sgd_step(
    weights: Sequence,
    momenta: Sequence | None,
    grads: Sequence,
    *,
    lr: float,
    momentum: float,
    dampening: float,
    nesterov: bool,
    weight_decay: float,
    first: bool,
) -> None:
    """One step of SGD on all `weights`, in place; `momenta` (or None) are written too, `grads` only
    read."""
    written = [weights] if momenta is None else [weights, momenta]
    for dtype, chosen in _by_path(_sgd, written, grads).items():
        w = [weights[i] for i in chosen]
        b = None if momenta is None else [momenta[i] for i in chosen]
        g = [grads[i] for i in chosen]
        if dtype is None:
            reference.sgd_step(
                w,
                b,
                g,
                lr=lr,
                momentum=momentum,
                dampening=dampening,
                nesterov=nesterov,
                weight_decay=weight_decay,
                first=first,
            )
        else:
            _call(_sgd[dtype], (w, b), g, lr, momentum, dampening, nesterov, weight_decay, first)


def adam_step(
    weights: Sequence,
    means: Sequence,
    squares: Sequence,
    grads: Sequence,
    *,
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
    decoupled: bool,
    step: int,
) -> None:
    """Step number `step` (from 1) of Adam or AdamW on all `weights`; `means` and `squares` are
    written too."""
    for dtype, chosen in _by_path(_adam, [weights, means, squares], grads).items():
        w, m, v, g = ([column[i] for i in chosen] for column in (weights, means, squares, grads))
        if dtype is None:
            reference.adam_step(
                w,
                m,
                v,
                g,
                lr=lr,
                beta1=beta1,
                beta2=beta2,
                eps=eps,
                weight_decay=weight_decay,
                decoupled=decoupled,
                step=step,
            )
        else:
            _call(
                _adam[dtype],
                (w, m, v),
                g,
                lr,
                beta1,
                beta2,
                eps,
                weight_decay,
                decoupled,
                1 - beta1**step,
                1 - beta2**step,
            )
