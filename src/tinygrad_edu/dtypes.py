"""Which dtypes a Tensor may have, and how data becomes an array of one of them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy import ndarray

from .errors import DtypeError, ShapeError
from .graph import Node, open_trace, traces

SUPPORTED = frozenset(np.dtype(code) for code in "?bBhHiIlLqQfd")


def as_array(data: Any, dtype: Any = None) -> ndarray:
    """`data` as an ndarray of a supported dtype in native byte order; floating Python numbers
    become float32."""
    if isinstance(data, Node):
        if traces and (trace := open_trace()) is not None:
            trace.refuse_numbers("tensor(t), Tensor(t)", "Use the tensor itself, or t.detach().")
        data = data.payload
    if isinstance(data, np.ma.MaskedArray):
        raise DtypeError("tensor: a masked array has no numbers where it is masked. Use .filled().")
    try:
        array = np.asarray(data)
    except ValueError:
        raise ShapeError(
            "tensor: the nested lists are ragged: rows of one axis must have equal lengths.",
            code="ragged-rows",
        ) from None
    if dtype is None and array.dtype == np.float64 and not _has_numpy_numbers(data):
        dtype = np.float32
    if dtype is not None:
        dtype = np.dtype(dtype)
        if dtype.newbyteorder("=") not in SUPPORTED:
            raise DtypeError(unsupported(dtype))
        if array.dtype.kind not in "fiub":
            raise DtypeError(unsupported(array.dtype))
        return array.astype(dtype.newbyteorder("="), copy=False)
    native = array.dtype.newbyteorder("=")
    if native not in SUPPORTED:
        raise DtypeError(unsupported(array.dtype))
    return np.asarray(array.astype(native, copy=False))


def _has_numpy_numbers(data: Any) -> bool:
    """Whether the numbers come with a dtype of their own: an array, a NumPy scalar, or a sequence
    of them."""
    while isinstance(data, (list, tuple)) and data:
        data = data[0]
    return isinstance(data, np.generic) or not isinstance(data, (float, int, list, tuple))


def unsupported(dtype: Any) -> str:
    """The sentence that refuses a dtype."""
    return (
        f"tensor: dtype {dtype} is not supported: expected float32, float64, an integer type or "
        "bool. Convert the data first, e.g. data.astype(np.float32)."
    )


def require_floating(dtype: Any) -> None:
    """Refuse to differentiate with respect to numbers that are not real."""
    if dtype.kind != "f":
        raise DtypeError(
            f"tensor: a tensor of dtype {dtype} can't require grad: derivatives need float32 or "
            "float64.",
            code="not-a-float-dtype",
        )
