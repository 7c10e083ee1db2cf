"""The same numbers lying differently in memory.

Every layout is a function from an array to an array that compares equal to it (for "repeated": to a
spread copy of its first entry) but has other strides, flags or byte order. A computation that is
right on one must be right on all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy import ndarray


def _contiguous(x: ndarray) -> ndarray:
    return np.array(x, order="C")


def _transposed(x: ndarray) -> ndarray:
    """Fortran order: the first axis is the one that lies close."""
    return np.array(x, order="F")


def _every(step: int, x: ndarray) -> Any:
    """The index that takes each `step`-th element on every axis, and gives an array also for shape
    ()."""
    return (..., *(slice(None, None, step) for _ in x.shape))


def _strided(x: ndarray) -> ndarray:
    """Every second element of a larger array, on every axis."""
    large = np.zeros(tuple(2 * n for n in x.shape), x.dtype)
    view: ndarray = large[_every(2, x)]
    view[...] = x
    return view


def _reversed(x: ndarray) -> ndarray:
    """Negative strides on every axis."""
    back = _every(-1, x)
    return np.array(x[back], order="C")[back]


def _repeated(x: ndarray) -> ndarray:
    """Stride 0 on every axis: one number in memory, read again and again, as `.sum().backward()`
    makes it."""
    return np.broadcast_to(
        x.reshape(-1)[:1].reshape(()) if x.size else np.zeros((), x.dtype), x.shape
    )


def _misaligned(x: ndarray) -> ndarray:
    """One byte away from an address that the dtype may have."""
    memory = np.zeros(x.nbytes + 1, np.uint8)
    view = memory[1:].view(x.dtype).reshape(x.shape) if x.size else np.array(x)
    view[...] = x
    return view


def _swapped(x: ndarray) -> ndarray:
    """The other byte order, as a file from another machine would have it."""
    return x.astype(x.dtype.newbyteorder("S"))


LAYOUTS: dict[str, Callable[[ndarray], ndarray]] = {
    "contiguous": _contiguous,
    "transposed": _transposed,
    "strided": _strided,
    "reversed": _reversed,
    "repeated": _repeated,
    "misaligned": _misaligned,
    "byte-swapped": _swapped,
}


def lay_out(x: ndarray, layout: str, *, writeable: bool = False) -> ndarray:
    """The numbers of `x` in one of `LAYOUTS`, read-only unless asked otherwise.

    "repeated" keeps only the first number. Raises KeyError for an unknown layout.
    """
    made = LAYOUTS[layout](np.asarray(x))
    if not writeable:
        made.flags.writeable = False
    return made
