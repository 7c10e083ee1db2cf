"""Nested structures: tuples, lists and dicts of arrays, taken apart into leaves and put together
again; and vectors made to fit a leaf."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy import ndarray

from ..errors import CallError, DtypeError, ShapeError
from ..graph import Recorder
from ..ops.shape import astype


def leaves(tree: Any) -> Iterator[Any]:
    """What hangs in tuples, lists and dicts, in order; None holds nothing."""
    if isinstance(tree, (tuple, list)):
        for inner in tree:
            yield from leaves(inner)
    elif isinstance(tree, dict):
        for inner in tree.values():
            yield from leaves(inner)
    elif tree is not None:
        yield tree


def rebuilt(tree: Any, leaves: Iterator[Any]) -> Any:
    """The same structure with other leaves."""
    if isinstance(tree, dict):
        return {key: rebuilt(inner, leaves) for key, inner in tree.items()}
    if isinstance(tree, (tuple, list)):
        made = [rebuilt(inner, leaves) for inner in tree]
        if isinstance(tree, list):
            return made
        return type(tree)(*made) if hasattr(tree, "_fields") else tuple(made)
    return None if tree is None else next(leaves)


def matched(what: str, given: Any, like: Any) -> list:
    """The leaves of `given`, which must have the structure of `like`; keys in like's order."""
    if isinstance(like, dict) and isinstance(given, dict) and given.keys() == like.keys():
        return [leaf for key in like for leaf in matched(what, given[key], like[key])]
    if isinstance(like, (tuple, list)):
        if isinstance(given, (tuple, list)) and len(given) == len(like):
            return [leaf for g, x in zip(given, like) for leaf in matched(what, g, x)]
    elif not isinstance(like, dict) and not (
        isinstance(given, (tuple, dict)) or (given is None) != (like is None)
    ):
        return [] if like is None else [given]
    raise CallError(f"{what}: expected the structure {_described(like)}, got {_described(given)}.")


def _described(tree: Any) -> str:
    if isinstance(tree, dict):
        return "{" + ", ".join(f"{key!r}: {_described(x)}" for key, x in tree.items()) + "}"
    if isinstance(tree, (tuple, list)):
        inner = ", ".join(_described(x) for x in tree)
        return f"[{inner}]" if isinstance(tree, list) else f"({inner}{',' * (len(tree) == 1)})"
    return "None" if tree is None else "*"


def shape_of(x: Any) -> tuple[int, ...]:
    return getattr(x, "shape", ())


def dtype_of(x: Any) -> Any:
    return getattr(x, "dtype", np.dtype(np.float64))


def zeros_like(x: Any) -> ndarray:
    return np.zeros(shape_of(x), dtype_of(x))


def shaped(what: str, vector: Any, like: Any) -> Any:
    """A cotangent or tangent with the shape and dtype of what it belongs to."""
    shape, dtype = shape_of(like), dtype_of(like)
    if not isinstance(vector, Recorder):
        vector = np.asarray(vector)
        if vector.dtype.kind not in "fiub":
            raise DtypeError(f"{what} of dtype {vector.dtype}: expected {dtype}.")
        vector = vector.astype(dtype, copy=False)
    if vector.shape != shape:
        raise ShapeError(f"{what} of shape {vector.shape}: expected {shape}.")
    return vector if vector.dtype == dtype else astype(vector, dtype=dtype)
