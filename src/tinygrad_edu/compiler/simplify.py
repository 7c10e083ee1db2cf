"""Instructions that need not be run: what is computed twice, and what nobody reads.

Both passes go over the flat list once. A write changes what an array from outside holds, so
nothing is shared across one.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from .instruction import Instruction, Place


def shared(
    instructions: Iterable[Instruction], leaving: set[Place]
) -> tuple[list[Instruction], dict[Place, Place]]:
    """Common subexpressions once: (the instructions that are left, place -> the equal place that
    was there before). Of those that are `leaving`, which belong to the caller, no two become one.
    """
    taken = set(leaving)
    kept: list[Instruction] = []
    same: dict[Place, Place] = {}
    known: dict[Any, Instruction] = {}
    for step in instructions:
        step.inputs = tuple([same.get(x, x) if isinstance(x, Place) else x for x in step.inputs])
        if step.kind in ("write", "update"):
            known.clear()
        key = _key(step)
        before = known.get(key) if key is not None else None
        if before is not None and any(
            here in leaving and there in taken for here, there in zip(step.outputs, before.outputs)
        ):
            before = None
        if before is None or len(before.outputs) != len(step.outputs):
            kept.append(step)
            if key is not None:
                known[key] = step
            continue
        for here, there in zip(step.outputs, before.outputs):
            if here is not None:
                same[here] = there
                if here in leaving:
                    taken.add(there)
    for step in kept:
        for place in step.outputs:
            if place is not None and place.of in same:
                place.of = same[place.of].root
    return kept, same


def _key(step: Instruction) -> Any:
    """What makes two instructions the same; None for what must be run each time."""
    if step.kind not in ("forward", "vjp"):
        return None
    inputs = tuple([x if isinstance(x, Place) else (type(x), str(x)) for x in step.inputs])
    wanted = tuple([place is not None for place in step.outputs])
    key = (step.kind, step.op.name, inputs, _frozen(step.params), wanted)
    try:
        hash(key)
    except TypeError:
        return None
    return key


def _frozen(value: Any) -> Any:
    if isinstance(value, dict):
        return tuple([(name, _frozen(part)) for name, part in value.items()])
    if isinstance(value, (tuple, list)):
        return tuple([_frozen(part) for part in value])
    if isinstance(value, slice):
        return "slice", value.start, value.stop, value.step
    return (type(value), str(value)) if isinstance(value, (float, np.generic)) else value


def needed(instructions: list[Instruction], results: Iterable[Place]) -> list[Instruction]:
    """Without dead code: only what leads to `results`, to a write or to an update; and of a vjp
    only the gradients that somebody reads."""
    wanted = {place.root for place in results}
    kept: list[Instruction] = []
    for step in reversed(instructions):
        alive = [place is not None and place.root in wanted for place in step.outputs]
        if step.kind not in ("write", "update", "draw", "check") and not any(alive):
            continue
        if step.kind == "vjp":
            step.outputs = tuple([p if ok else None for p, ok in zip(step.outputs, alive)])
        wanted.update(x.root for x in step.inputs if isinstance(x, Place))
        kept.append(step)
    kept.reverse()
    return kept


def uses(instructions: Iterable[Instruction], results: Iterable[Place]) -> dict[Place, int]:
    """How often each place is read, by instructions or by whoever gets the results."""
    found: dict[Place, int] = {}
    read = [x for step in instructions for x in step.inputs if isinstance(x, Place)]
    for place in (*read, *results):
        found[place.root] = found.get(place.root, 0) + 1
    return found
