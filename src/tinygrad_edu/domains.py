"""Where an operation is tested: the part of a row that says which inputs its gradient is checked
on.

A domain describes values; a `Case` describes shapes and parameters. Nothing here draws anything:
the tests and `tg.testing` turn these descriptions into arrays. A row without a domain cannot be
registered.
"""

from __future__ import annotations

from typing import Any


class Reals:
    """Real numbers in [low, high], keeping a distance from the points in `avoid` (kinks, poles)."""

    def __init__(self, low: float, high: float, avoid: tuple[float, ...] = ()) -> None:
        self.low, self.high, self.avoid = low, high, avoid


class Integers:
    """Integers in [low, high]: indices and labels, which carry no gradient."""

    def __init__(self, low: int, high: int) -> None:
        self.low, self.high = low, high


class Booleans:
    """True and False: conditions, which carry no gradient."""


class Case:
    """One shape per input and the parameters of the call. `distinct` asks for values without
    ties."""

    def __init__(
        self,
        shapes: tuple[tuple[int, ...], ...],
        params: dict[str, Any] | None = None,
        distinct: bool = False,
    ) -> None:
        self.shapes, self.params, self.distinct = shapes, params or {}, distinct


def cases(*rows: tuple[Any, ...]) -> tuple[Case, ...]:
    """Write `cases(((3, 4),), ((2,), {"axis": 0}))`: shapes first, parameters last where there are
    any."""
    made = []
    for row in rows:
        params = row[-1] if isinstance(row[-1], dict) else {}
        shapes = tuple(shape for shape in row if not isinstance(shape, dict))
        made.append(Case(shapes, params))
    return tuple(made)
