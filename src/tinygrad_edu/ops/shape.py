"""Rows: reshaping, joining and choosing parts. What moves without being copied is marked `view`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..domains import Integers, Reals, cases
from ..errors import CallError, ShapeError
from ..graph import Recorder
from ..row import row, variadic

if TYPE_CHECKING:
    from ..payloads import WithAxes

ANY = Reals(-4, 4)


def _reshape(x, *, shape):
    if shape is None:
        raise CallError("reshape() needs shape: call it as reshape(x, (2, 3)).",
                        code="wrong-arguments")
    x = np.asarray(x)
    try:
        return x.reshape(shape)
    except ValueError:
        raise ShapeError(f"reshape: {x.shape} holds {x.size} elements and cannot become "
                         f"{shape}.") from None


def _broadcast_to(x, *, shape):
    try:
        return np.broadcast_to(x, shape)
    except ValueError:
        raise ShapeError(f"broadcast_to: {np.shape(x)} does not broadcast to {shape}: axes are "
                         "matched from the right, and only an axis of 1 can grow.") from None


identity: Any = row(
    "identity", lambda x: np.asarray(x), view=True, public=False,
    vjp=lambda g, _out, _x: g,
    domain=ANY, cases=cases(((3, 4),), ((),)),
    doc="x itself, as a node of its own: where a transform stops its differentiation.")
reshape: Any = row(
    "reshape", _reshape, view=True, method=False, defaults={"shape": None},
    vjp=lambda g, _out, _x, shape: reshape(g, shape=_x.shape),
    domain=ANY,
    cases=cases(((3, 4), {"shape": (2, 6)}), ((6,), {"shape": (3, -1)}), ((), {"shape": (1, 1)}),
                ((2, 3), {"shape": 6})),
    doc="The same elements in another shape; one axis of `shape` may be -1.")
transpose: Any = row(
    "transpose", lambda x, *, axes: np.transpose(x, axes), view=True, method=False,
    defaults={"axes": None},
    vjp=lambda g, _out, _x, axes: transpose(
        g, axes=None if axes is None else tuple(np.argsort(axes).tolist())),
    domain=ANY, cases=cases(((3, 4),), ((2, 3, 4), {"axes": (2, 0, 1)}), ((5,),)),
    doc="The axes in another order; without `axes`, reversed.")
swapaxes: Any = row(
    "swapaxes", lambda x, *, axis1, axis2: np.swapaxes(x, axis1, axis2), view=True,
    defaults={"axis1": -1, "axis2": -2},
    vjp=lambda g, _out, _x, axis1, axis2: swapaxes(g, axis1=axis1, axis2=axis2),
    domain=ANY, cases=cases(((3, 4),), ((2, 3, 4), {"axis1": 0, "axis2": 2})),
    doc="Two axes exchanged.")
moveaxis: Any = row(
    "moveaxis", lambda x, *, source, destination: np.moveaxis(x, source, destination), view=True,
    defaults={"source": 0, "destination": -1},
    vjp=lambda g, _out, _x, source, destination: moveaxis(
        g, source=destination, destination=source),
    domain=ANY,
    cases=cases(((2, 3, 4), {"source": 0, "destination": -1}),
                ((2, 3), {"source": 1, "destination": 0}),
                ((2, 3, 4), {"source": (0, 1), "destination": (-1, 0)})),
    doc="An axis moved to another place.")
expand_dims = row(
    "expand_dims", lambda x, *, axis: np.expand_dims(x, axis), view=True, defaults={"axis": 0},
    vjp=lambda g, _out, _x, axis: reshape(g, shape=_x.shape),
    domain=ANY, cases=cases(((3, 4), {"axis": 1}), ((3,), {"axis": -1}), ((3,), {"axis": (0, 2)})),
    doc="New axes of length 1 at `axis`.")
squeeze = row(
    "squeeze", lambda x, *, axis: np.squeeze(x, axis), view=True, defaults={"axis": None},
    vjp=lambda g, _out, _x, axis: reshape(g, shape=_x.shape),
    domain=ANY, cases=cases(((1, 3, 1),), ((1, 3, 1), {"axis": 0}), ((1, 3, 1), {"axis": (0, 2)})),
    doc="Axes of length 1 removed: all of them, or those named.")
broadcast_to: Any = row(
    "broadcast_to", _broadcast_to, view=True, defaults={"shape": None},
    vjp=lambda g, _out, _x, shape: g,  # the engine sums what was spread
    domain=ANY, cases=cases(((3, 1), {"shape": (2, 3, 4)}), ((), {"shape": (2, 2)}),
                            ((1,), {"shape": 3})),
    doc="Repeated without a copy along axes of length 1 and new leading axes; read-only, as in "
        "NumPy.")
astype: Any = row(
    "astype", lambda x, *, dtype: np.asarray(x).astype(dtype), defaults={"dtype": None},
    vjp=lambda g, _out, _x, dtype: astype(g, dtype=_x.dtype),
    domain=ANY, cases=cases(((3, 4), {"dtype": np.float64})),
    doc="The same numbers in another dtype; the gradient returns in the dtype that came.")


def flatten(x: WithAxes, start_axis: int = 0, end_axis: int = -1) -> WithAxes:
    """The axes from `start_axis` to `end_axis`, both included, run together into one."""
    shape = shape_of(x)
    if not shape:
        return reshape(x, shape=(1,))
    first, last = (range(len(shape))[a] for a in (start_axis, end_axis))
    if last < first:
        raise ShapeError(f"flatten: start_axis {start_axis} comes after end_axis {end_axis} for "
                         f"shape {shape}.")
    together = int(np.prod(shape[first:last + 1]))
    return reshape(x, shape=shape[:first] + (together,) + shape[last + 1:])


def shape_of(x: Any) -> tuple[int, ...]:
    """The shape of a payload, of a number or of nested lists."""
    return x.shape if hasattr(x, "shape") else np.shape(x)


# ------------------------------------------------------------------------------------------ joining

def _concatenate(*tensors, axis):
    shapes = [np.shape(t) for t in tensors]
    try:
        return np.concatenate(tensors, axis)
    except ValueError as error:
        raise ShapeError(f"concatenate: shapes {shapes} along axis {axis}: {error}") from None


def _stack(*tensors, axis):
    try:
        return np.stack(tensors, axis)
    except ValueError:
        raise ShapeError(f"stack: shapes {[np.shape(t) for t in tensors]}: all must be equal, and "
                         "at least one.") from None


def _split_back(g, _out, *_inputs, axis):
    """Each input of a concatenate gets its own stretch of the gradient."""
    pieces, start = [], 0
    for x in _inputs:
        stop = start + x.shape[axis]
        pieces.append(getitem(g, _along(g.ndim, axis, slice(start, stop))))
        start = stop
    return tuple(pieces)


def _along(ndim, axis, chosen):
    """The index that takes `chosen` on one axis and everything on the others."""
    index = [slice(None)] * ndim
    index[axis] = chosen
    return tuple(index)


concatenate = variadic(
    "concatenate", _concatenate, defaults={"axis": 0}, method=False, vjp=_split_back,
    domain=ANY, cases=cases(((2, 3), (4, 3)), ((2, 3), (2, 1), (2, 2), {"axis": -1})),
    doc="Tensors joined along an axis that exists.")
stack = variadic(
    "stack", _stack, defaults={"axis": 0}, method=False,
    vjp=lambda g, _out, *_inputs, axis: tuple(
        getitem(g, _along(g.ndim, axis, i)) for i in range(len(_inputs))),
    domain=ANY, cases=cases(((2, 3), (2, 3)), ((2,), (2,), (2,), {"axis": 1})),
    doc="Tensors of one shape joined along a new axis.")


# ------------------------------------------------------------------------------------- taking parts
#
# A basic index (integers, slices, None, ...) gives a view, an advanced one (arrays of integers or
# booleans) a copy. They are two rows: in the second the index arrays are inputs, so that a recorded
# or compiled graph sees them change. `key` is the index with a `Here` in the place of each array.

class Here:
    """The place of the next index array in a key."""


def _with_arrays(key, arrays):
    arrays = iter(arrays)
    return tuple(next(arrays) if part is Here else part for part in key)


def _spread(g, *, shape, key):
    g = np.asarray(g)
    out = np.zeros(shape, g.dtype)
    out[key] = g
    return out


def _add_at(g, *arrays, shape, key):
    g = np.asarray(g)
    out = np.zeros(shape, g.dtype)
    np.add.at(out, _with_arrays(key, arrays), g)
    return out


getitem_basic: Any = row(
    "getitem_basic", lambda x, *, key: np.asarray(np.asarray(x)[key]), view=True, public=False,
    defaults={"key": ()},
    vjp=lambda g, _out, _x, key: spread(g, shape=_x.shape, key=key),
    domain=ANY,
    cases=cases(((3, 4), {"key": (1,)}), ((3, 4), {"key": (slice(None, None, -1), slice(1, 3))}),
                            ((3,), {"key": (None, Ellipsis)})))
spread: Any = row(
    "spread", _spread, public=False, defaults={"shape": (), "key": ()},
    vjp=lambda g, _out, _x, shape, key: getitem_basic(g, key=key),
    domain=ANY, cases=cases(((4,), {"shape": (3, 4), "key": (1,)})),
    doc="Zeros of `shape` with x at `key`: the transpose of a basic getitem.")
getitem_advanced: Any = variadic(
    "getitem_advanced", lambda x, *arrays, key: np.asarray(x)[_with_arrays(key, arrays)],
    public=False,
    defaults={"key": (Here,)},
    vjp=lambda g, _out, _x, *arrays, key: (
        add_at((g, *arrays), shape=_x.shape, key=key), *(None for _ in arrays)),
    domain=(ANY, Integers(-3, 2)),
    cases=cases(((3, 4), (5,)), ((3, 4), (2, 2), {"key": (slice(1, 3), Here)})))
add_at: Any = variadic(
    "add_at", _add_at, public=False, defaults={"shape": (), "key": (Here,)},
    vjp=lambda g, _out, _x, *arrays, shape, key: (
        getitem_advanced((g, *arrays), key=key), *(None for _ in arrays)),
    domain=(ANY, Integers(-3, 2)), cases=cases(((5, 4), (5,), {"shape": (3, 4)})),
    doc="Zeros of `shape` to which x is added at an advanced index: the transpose of an advanced "
        "getitem.")


def getitem(x: WithAxes, key: Any) -> WithAxes:
    """x[key] as NumPy has it: a view for a basic index, a copy for an advanced one.

    `key` may hold integers, slices, None, Ellipsis, and arrays, lists or Tensors of integers or
    booleans.
    """
    parts = key if isinstance(key, tuple) else (key,)
    template: list[Any] = []
    arrays: list[Any] = []
    for part in parts:
        if part is None or part is Ellipsis or isinstance(part, slice) or type(part) is int:
            template.append(part)
        elif isinstance(part, np.integer):
            template.append(int(part))
        else:
            template.append(Here)
            arrays.append(part if isinstance(part, Recorder) else _index_array(part))
    if not arrays:
        return getitem_basic(x, key=tuple(template))
    return getitem_advanced((x, *arrays), key=tuple(template))


def _index_array(part):
    array = np.asarray(part)
    return array.astype(np.intp) if array.size == 0 and not isinstance(part, np.ndarray) else array
