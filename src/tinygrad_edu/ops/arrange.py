"""Rows: turning, shifting, padding, repeating and cutting arrays, and the parts of a matrix.

Names and arguments are NumPy's. What shape.py gives is moved or joined; here elements also leave
their place, appear more than once, or are put among zeros.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from ..domains import Integers, Reals, cases
from ..errors import ArgumentError, CallError, ShapeError
from ..row import row
from .reduction import sum
from .shape import Here, add_at, getitem, getitem_basic, moveaxis, reshape, shape_of

if TYPE_CHECKING:
    from ..payloads import WithAxes

ANY = Reals(-4, 4)

# ---------------------------------------------------------------------------- turning and shifting

def _roll(x, *, shift, axis):
    if np.asarray(shift).dtype.kind not in "iu":
        raise CallError(f"roll: shift={shift!r}: expected an integer, or one for each axis.")
    return np.roll(x, shift, axis)


flip: Any = row(
    "flip", lambda x, *, axis: np.flip(x, axis), view=True, defaults={"axis": None},
    vjp=lambda g, _out, _x, axis: flip(g, axis=axis),
    domain=ANY,
    cases=cases(((3, 4),), ((3, 4), {"axis": 1}), ((2, 3, 2), {"axis": (0, -1)}), ((),)),
    doc="The order of the elements reversed along `axis`: all axes, one or several.")
roll: Any = row(
    "roll", _roll, defaults={"shift": 1, "axis": None},
    vjp=lambda g, _out, _x, shift, axis: roll(
        g, shift=tuple(-s for s in shift) if np.ndim(shift) else -shift, axis=axis),
    domain=ANY,
    cases=cases(((3, 4),), ((3, 4), {"shift": -5, "axis": 1}),
                ((2, 3, 2), {"shift": (1, 2), "axis": (0, -2)})),
    doc="The elements shifted along `axis`; what leaves at the end enters at the beginning. "
        "Without an axis, shifted in reading order.")


# ----------------------------------------------------------------------------------------- padding

def widths(pad_width, ndim):
    """NumPy's forms of `pad_width` (one number, (before, after), one pair an axis, {axis: pair}) as
    one pair an axis."""
    if isinstance(pad_width, dict):
        pairs = [(0, 0)] * ndim
        for axis, width in pad_width.items():
            pairs[axis] = width if np.ndim(width) else (width, width)
        pad_width = pairs
    try:
        pairs = np.broadcast_to(np.asarray(pad_width), (ndim, 2))
    except ValueError:
        raise ShapeError(f"pad: pad_width {pad_width!r} for {ndim} axes: expected one number, "
                         "(before, after), or one such pair for each axis.") from None
    if pairs.size and (pairs.dtype.kind not in "iu" or pairs.min() < 0):
        raise ArgumentError(f"pad: pad_width {pad_width!r}: expected integers from 0. To cut, "
                            "index.")
    return [(int(before), int(after)) for before, after in pairs]


def _pad(x, *, pad_width, mode, constant_values):
    x = np.asarray(x)
    if mode != "constant":
        raise ArgumentError(f"pad: mode {mode!r}: only 'constant' is here. Other modes are an "
                            "index: x[[0, 0, 1, 2]] repeats the edge.", code="unknown-name")
    pairs = widths(pad_width, x.ndim)
    return np.pad(x, pairs, constant_values=constant_values) if pairs else x.copy()


def _inside(g, _out, _x, pad_width, mode, constant_values):
    """The part of the gradient that lies where x was put."""
    places = zip(widths(pad_width, len(_x.shape)), _x.shape)
    return getitem_basic(g, key=tuple(slice(before, before + n) for (before, _), n in places))


pad: Any = row(
    "pad", _pad, vjp=_inside,
    defaults={"pad_width": 0, "mode": "constant", "constant_values": 0},
    domain=ANY,
    cases=cases(((3, 4), {"pad_width": 1}), ((3, 4), {"pad_width": ((0, 2), (1, 0))}),
                ((5,), {"pad_width": (2, 1), "constant_values": 0.5}), ((),),
                ((3, 4), {"pad_width": {-1: (2, 1)}})),
    doc="x with `constant_values` (numbers) around it; `pad_width` in each of NumPy's forms.")


# --------------------------------------------------------------------------------------- repeating

def _tile_back(g, _out, _x, reps):
    """The gradients of all copies added: with every repetition an axis of its own, a sum."""
    reps = tuple(reps) if np.ndim(reps) else (reps,)
    ndim = max(len(reps), len(_x.shape))
    reps = (1,) * (ndim - len(reps)) + reps
    shape = (1,) * (ndim - len(_x.shape)) + _x.shape
    apart = reshape(g, shape=tuple(n for pair in zip(reps, shape) for n in pair))
    return reshape(sum(apart, axis=tuple(range(0, 2 * ndim, 2))), shape=_x.shape)


def _repeat_back(g, _out, _x, repeats, axis):
    """The gradients of all copies added: a sum where all elements have equally many."""
    shape = _x.shape if axis is not None else (math.prod(_x.shape),)
    axis = axis % len(shape) if axis is not None else 0
    if np.ndim(repeats) == 0:
        apart = reshape(g, shape=(*shape[:axis + 1], int(repeats), *shape[axis + 1:]))
        return reshape(sum(apart, axis=axis + 1), shape=_x.shape)
    origins = np.repeat(np.arange(shape[axis]), repeats)
    key = (*(slice(None),) * axis, Here)
    return reshape(add_at((g, origins), shape=shape, key=key), shape=_x.shape)


def _repeat(x, *, repeats, axis):
    try:
        return np.repeat(x, repeats, axis)
    except ValueError as error:
        raise ShapeError(f"repeat: repeats={repeats!r} along axis {axis} of {np.shape(x)}: "
                         f"expected one number from 0, or one an element ({error}).") from None


tile = row(
    "tile", lambda x, *, reps: np.tile(x, reps), vjp=_tile_back, defaults={"reps": 1},
    domain=ANY, cases=cases(((3, 2), {"reps": 2}), ((3,), {"reps": (2, 3)}),
                            ((2, 1, 2), {"reps": (3, 1)}), ((), {"reps": (2,)})),
    doc="x laid out `reps` times along each axis (one number: along the last).")
repeat = row(
    "repeat", _repeat, vjp=_repeat_back, defaults={"repeats": 1, "axis": None},
    domain=ANY, cases=cases(((3, 2), {"repeats": 2}), ((3, 2), {"repeats": 3, "axis": -1}),
                            ((2, 3), {"repeats": (2, 0, 1), "axis": 1}), ((), {"repeats": 2})),
    doc="Each element repeated, in place, along `axis` (without one, in reading order); `repeats` "
        "is one number or one for each element.")


# ------------------------------------------------------------------------------ cutting and taking

def split(x: WithAxes, indices_or_sections: Any, axis: int = 0) -> list[WithAxes]:
    """Cut x along `axis`: into so many equal parts, or before each of the indices that are given.

    Returns a list of parts, views where x is an array. Raises ShapeError where the parts would not
    be equal.
    """
    shape = shape_of(x)
    axis = normalize_axis_index(axis, len(shape))
    length = shape[axis]
    if np.ndim(indices_or_sections):
        cuts = [0, *(int(i) for i in indices_or_sections), None]
    else:
        parts = int(indices_or_sections)
        if parts <= 0 or length % parts:
            raise ShapeError(f"split: axis {axis} of {shape} has length {length}, which is not "
                             f"{parts} equal parts. Give the places to cut at instead.")
        cuts = [i * (length // parts) for i in range(parts + 1)]
    before = (slice(None),) * axis
    return [getitem(x, before + (slice(start, stop),)) for start, stop in zip(cuts, cuts[1:])]


def _take_along_axis(x, indices, *, axis):
    x, indices = np.asarray(x), np.asarray(indices)
    if axis is not None and x.ndim != indices.ndim:
        raise ShapeError(f"take_along_axis: x {x.shape} and indices {indices.shape}: expected "
                         "equally many axes. Index with x[indices] to take whole rows.")
    return np.take_along_axis(x, indices, axis)


def _put_along_axis(g, _out, _x, indices, axis):
    """Each gradient added where its element was taken, beside the indices of the other axes."""
    if axis is None:
        size = math.prod(_x.shape)
        return reshape(add_at((g, indices), shape=(size,), key=(Here,)), shape=_x.shape)
    ndim = len(_x.shape)
    places = [np.arange(n).reshape((-1,) + (1,) * (ndim - 1 - i)) for i, n in enumerate(_x.shape)]
    places[axis] = indices
    return add_at((g, *places), shape=_x.shape, key=(Here,) * ndim)


take_along_axis = row(
    "take_along_axis", _take_along_axis, inputs=("x", "indices"), defaults={"axis": -1},
    vjp=(_put_along_axis, None), domain=(ANY, Integers(-3, 2)),
    cases=cases(((4, 3), (4, 2)), ((3, 4), (5, 4), {"axis": 0}), ((3, 1), (3, 2), {"axis": 0}),
                ((3, 2), (4,), {"axis": None})),
    doc="The elements at integer `indices` along `axis`, the other axes side by side: "
        "out[i, j] = x[i, indices[i, j]].")


# ------------------------------------------------------------------------------- parts of a matrix

def on_diagonal(g, shape, offset, axis1, axis2):
    """Zeros of `shape` with `g` on a diagonal: the transpose of taking it."""
    rows, columns = shape[axis1], shape[axis2]
    down, right = max(-offset, 0), max(offset, 0)
    along = np.arange(max(min(rows - down, columns - right), 0))
    pair = {axis1 % len(shape), axis2 % len(shape)}
    moved = (*(n for axis, n in enumerate(shape) if axis not in pair), rows, columns)
    placed = add_at((g, along + down, along + right), shape=moved, key=(Ellipsis, Here, Here))
    return moveaxis(placed, source=(-2, -1), destination=(axis1, axis2))


def _diag(x, *, k):
    x = np.asarray(x)
    if x.ndim not in (1, 2):
        raise ShapeError(f"diag: {x.shape}: expected a vector, to be put on a diagonal, or a "
                         "matrix, to take one from. diagonal() takes them from a stack.",
                         code="unexpected-shape")
    return np.diag(x, k)


diagonal: Any = row(
    "diagonal", lambda x, *, offset, axis1, axis2: np.diagonal(x, offset, axis1, axis2), view=True,
    defaults={"offset": 0, "axis1": 0, "axis2": 1},
    vjp=lambda g, _out, _x, offset, axis1, axis2: on_diagonal(g, _x.shape, offset, axis1, axis2),
    domain=ANY, cases=cases(((3, 4),), ((3, 4), {"offset": 2}), ((3, 3), {"offset": -4}),
                            ((2, 3, 4), {"offset": -1, "axis1": -1, "axis2": 0})),
    doc="The diagonal of the matrices in `axis1` and `axis2`, as a new last axis; read-only, as in "
        "NumPy.")
diag: Any = row(
    "diag", _diag, view=True, defaults={"k": 0},
    vjp=lambda g, _out, _x, k: (
        diag(g, k=k) if len(_x.shape) == 1 else on_diagonal(g, _x.shape, k, 0, 1)),
    domain=ANY, cases=cases(((3,),), ((3,), {"k": -2}), ((3, 4),), ((3, 4), {"k": 1})),
    doc="A matrix with the vector x on its k-th diagonal, or the k-th diagonal of the matrix x.")
tril: Any = row(
    "tril", lambda x, *, k: np.tril(x, k), defaults={"k": 0},
    vjp=lambda g, _out, _x, k: tril(g, k=k),
    domain=ANY, cases=cases(((3, 4),), ((2, 3, 3), {"k": 1}), ((4, 2), {"k": -1}), ((3,),)),
    doc="x with zeros above the k-th diagonal of its last two axes.")
triu: Any = row(
    "triu", lambda x, *, k: np.triu(x, k), defaults={"k": 0},
    vjp=lambda g, _out, _x, k: triu(g, k=k),
    domain=ANY, cases=cases(((3, 4),), ((2, 3, 3), {"k": 1}), ((4, 2), {"k": -1}), ((3,),)),
    doc="x with zeros below the k-th diagonal of its last two axes.")
