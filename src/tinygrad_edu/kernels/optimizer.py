"""Kernels that write in place: the steps of SGD and Adam, all arrays of one dtype in one C call.

Each element is read and written once. An array that C cannot write (strided, misaligned, of another
dtype) is updated by the formula; the two paths never meet in one array.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import is_
from typing import Any

import numpy as np
from numpy import ndarray

from . import reference
from .library import READY, at, c_functions, ffi, lib

_sgd = c_functions("sgd")
_adam = c_functions("adam")


class Held:
    """Arrays that are stepped together, as C sees them: grouped by dtype, with their pointers.

    Weights and an optimizer's state stay the same arrays for a whole training, and to ask six
    arrays for pointer, dtype and layout takes longer than to step a small layer. So it is asked
    once, and again when an array is another than last time. (So an array that is made read-only in
    mid-training is still written to.)
    """

    __slots__ = ("columns", "groups")

    def __init__(self) -> None:
        self.columns: list[list[ndarray]] = []
        self.groups: list[Group] = []

    def __reduce__(self) -> tuple:
        return Held, ()  # a copied optimizer asks its own arrays

    def of(self, kernels: dict, columns: list[Sequence[ndarray]]) -> list[Group]:
        """The groups of `columns`: lists of equal length, the weights first, then each kind of
        state."""
        if len(columns) != len(self.columns) or not all(map(_same, columns, self.columns)):
            self.groups = _grouped(kernels, columns)
            self.columns = [list(column) for column in columns]
        return self.groups


def _same(arrays: Sequence[ndarray], others: Sequence[ndarray]) -> bool:
    return len(arrays) == len(others) and all(map(is_, arrays, others))


class Group:
    """Some of the parameters: `chosen`, their places; `kernel`, what steps them, or None where only
    the formula can; `columns`, C lists of pointers to what is written, and such a list for the
    gradients."""

    __slots__ = ("chosen", "kernel", "dtype", "columns", "sizes", "gradients")

    def __init__(self, kernel: Any, dtype: Any, chosen: list[int], columns: list) -> None:
        self.chosen, self.kernel, self.dtype = chosen, kernel, dtype
        if kernel is None:
            return
        *self.columns, self.gradients = (
            ffi.new("uintptr_t[]", len(chosen)) for _ in range(len(columns) + 1)
        )
        for pointers, column in zip(self.columns, columns):
            _point(pointers, [column[i] for i in chosen])
        self.sizes = ffi.new("size_t[]", [columns[0][i].size for i in chosen])

    def step(self, grads: Sequence[ndarray], absent: tuple, *numbers: Any) -> None:
        """Run the kernel on the gradients of all parameters. `absent`: NULL for each column that
        the kernel may do without; then what it takes besides arrays."""
        dtype = self.dtype
        held = [
            g
            if type(g) is ndarray and g.dtype == dtype and g.flags.num & READY == READY
            else np.array(g, dtype, order="C")
            for g in [grads[i] for i in self.chosen]
        ]
        _point(self.gradients, held)
        self.kernel(*self.columns, *absent, self.gradients, self.sizes, len(held), *numbers)


def _point(pointers: Any, arrays: list[ndarray]) -> None:
    """Fill a C list with pointers to the numbers of `arrays`, which the caller holds."""
    n = len(arrays)
    pointers[0:n] = list(map(at, arrays))
    lib.tg_find_numbers(pointers, n)


def _grouped(kernels: dict, columns: list[Sequence[ndarray]]) -> list[Group]:
    """The parameters by dtype, where a kernel can write all their arrays; the others together."""
    found: dict[Any, list[int]] = {}
    for i, arrays in enumerate(zip(*columns)):
        weight = arrays[0]
        writable = weight.dtype in kernels and all(
            a.dtype == weight.dtype and a.shape == weight.shape and a.flags.carray for a in arrays
        )
        found.setdefault(weight.dtype if writable else None, []).append(i)
    return [Group(kernels.get(dtype), dtype, chosen, columns) for dtype, chosen in found.items()]


def sgd_step(
    weights: Sequence[ndarray],
    momenta: Sequence[ndarray] | None,
    grads: Sequence[ndarray],
    *,
    lr: float,
    momentum: float,
    dampening: float,
    nesterov: bool,
    weight_decay: float,
    first: bool,
    held: Held | None = None,
) -> None:
    """One step of SGD on all `weights`, in place; `momenta` (or None) are written too, `grads` only
    read."""
    columns = [weights] if momenta is None else [weights, momenta]
    for group in (held or Held()).of(_sgd, columns):
        if group.kernel is not None:
            at = () if momenta is not None else (ffi.NULL,)
            group.step(grads, at, lr, momentum, dampening, nesterov, weight_decay, first)
            continue
        w, g = _picked(group, weights, grads)
        reference.sgd_step(
            w,
            None if momenta is None else [momenta[i] for i in group.chosen],
            g,
            lr=lr,
            momentum=momentum,
            dampening=dampening,
            nesterov=nesterov,
            weight_decay=weight_decay,
            first=first,
        )


def adam_step(
    weights: Sequence[ndarray],
    means: Sequence[ndarray],
    squares: Sequence[ndarray],
    grads: Sequence[ndarray],
    *,
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
    decoupled: bool,
    step: int,
    held: Held | None = None,
) -> None:
    """Step number `step` (from 1) of Adam or AdamW on all `weights`; `means` and `squares` are
    written too."""
    for group in (held or Held()).of(_adam, [weights, means, squares]):
        if group.kernel is not None:
            bias = 1 - beta1**step, 1 - beta2**step
            group.step(grads, (), lr, beta1, beta2, eps, weight_decay, decoupled, *bias)
            continue
        w, m, v, g = _picked(group, weights, means, squares, grads)
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


def _picked(group: Group, *columns: Sequence[ndarray]) -> list[list[ndarray]]:
    return [[column[i] for i in group.chosen] for column in columns]
