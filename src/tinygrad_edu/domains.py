"""Where an operation is tested: the part of a row that says which inputs its gradient is checked
on.

A domain describes values; a `Case` describes shapes and parameters. Nothing here draws anything:
the tests and `tg.testing` turn these descriptions into arrays. A row without a domain cannot be
registered.
"""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Reals:
    """Real numbers in [low, high], keeping a distance from the points in `avoid` (kinks, poles)."""

    low: float
    high: float
    avoid: tuple[float, ...] = ()


@dataclass(frozen=True)
class Integers:
    """Integers in [low, high]: indices and labels, which carry no gradient."""

    low: int
    high: int


@dataclass(frozen=True)
class Booleans:
    """True and False: conditions, which carry no gradient."""


@dataclass(frozen=True)
class Case:
    """One shape per input and the parameters of the call. `distinct` asks for values without
    ties."""

    shapes: tuple[tuple[int, ...], ...]
    params: dict[str, Any] = field(default_factory=dict)
    distinct: bool = False


def cases(*rows: tuple) -> tuple[Case, ...]:
    """Write `cases(((3, 4),), ((2,), {"axis": 0}))`: shapes first, parameters last where there are
    any."""
    made = []
    for row in rows:
        params = row[-1] if isinstance(row[-1], dict) else {}
        shapes = tuple(shape for shape in row if not isinstance(shape, dict))
        made.append(Case(shapes, params))
    return tuple(made)
