"""The table of the rows, and what all of them use.

A row is a function of (builder, instruction) that enters the calls and returns True, or returns
False where it does not apply: another dtype, a layout that C cannot read.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..calls import Builder
from ..instruction import Instruction, Place

Row = Callable[[Builder, Instruction], bool]
FORWARD: dict[str, Row] = {}
BACKWARD: dict[str, Row] = {}


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


def dense_of(b: Builder, dtype: np.dtype, *places: Any) -> list[Any] | None:
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


def number(x: Any) -> Any:
    """A Python number, or a known constant of shape (), as a float; a place as it is."""
    if not isinstance(x, Place):
        return float(x)
    return x.array.item() if _is_constant(x) and x.shape == () else x


def _is_constant(place: Place) -> bool:
    array = place.array
    return array is not None and array.base is None and not array.flags.writeable
