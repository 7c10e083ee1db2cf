"""What an instruction means: run on arrays by eager mode's own forward, vjp kernel or optimizer.

It is the specification of a program, and how a program runs what has no C kernel.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy import ndarray

from ..op import apply
from .capture import Trace
from .instruction import Instruction, Place


def execute(instruction: Instruction, inputs: Sequence[Any]) -> list[Any]:
    """The outputs of `instruction` for the arrays and numbers `inputs`; what it writes is
    written."""
    return _MEANING[instruction.kind](instruction, inputs)


def _forward(instruction: Instruction, inputs: Sequence[Any]) -> list[Any]:
    op = instruction.op
    out = apply(op, tuple(inputs), instruction.params)
    return [out[0], *_listed(out[1])] if op.stash else [out]


def _vjp(instruction: Instruction, inputs: Sequence[Any]) -> list[Any]:
    wanted = [place is not None for place in instruction.outputs]
    g, out, *rest = inputs
    values, left = rest[: len(wanted)], rest[len(wanted) :]
    stash = None if not left else left[0] if len(left) == 1 else tuple(left)
    with np.errstate(all="ignore"):
        found = instruction.op.kernel_vjp(g, out, values, instruction.params, wanted, stash)
    return [x if need else None for x, need in zip(found, wanted)]


def _write(instruction: Instruction, inputs: Sequence[Any]) -> list[Any]:
    target, value = inputs
    target[...] = value
    return []


def _update(instruction: Instruction, inputs: Sequence[Any]) -> list[Any]:
    optimizer, chosen = instruction.params["optimizer"], instruction.params["chosen"]
    weights, grads = list(inputs[: len(chosen)]), list(inputs[len(chosen) :])
    for age, places in by_age(optimizer, chosen).items():
        optimizer._update(
            [chosen[k] for k in places],
            [weights[k] for k in places],
            [grads[k] for k in places],
            age + instruction.params["earlier"],
        )
    return []


def by_age(optimizer: Any, chosen: Sequence[int]) -> dict[int, list[int]]:
    """The places in `chosen` by the steps that their parameters have made."""
    groups: dict[int, list[int]] = {}
    for k, i in enumerate(chosen):
        groups.setdefault(optimizer._age[i], []).append(k)
    return groups


def _draw(instruction: Instruction, inputs: Sequence[Any]) -> list[Any]:
    return [instruction.params["draw"]()]


def _check(instruction: Instruction, inputs: Sequence[Any]) -> list[Any]:
    (numbers,) = inputs
    if not np.isfinite(numbers).all():
        instruction.params["refuse"](numbers)
    return []


_MEANING = {
    "forward": _forward,
    "vjp": _vjp,
    "write": _write,
    "update": _update,
    "draw": _draw,
    "check": _check,
}


def _listed(stash: Any) -> tuple:
    return () if stash is None else stash if isinstance(stash, tuple) else (stash,)


def interpret(trace: Trace, arrays: Sequence[ndarray]) -> list[ndarray]:
    """The outputs of a trace for other arrays of the same shapes, instruction by instruction."""
    values: dict[int, Any] = {}
    for place, array in zip(trace.inputs, arrays):
        values[place.number] = np.asarray(array)

    def value(x: Any) -> Any:
        if not isinstance(x, Place):
            return x
        return values.get(x.number, x.array)

    for instruction in trace.instructions:
        outputs = execute(instruction, [value(x) for x in instruction.inputs])
        for place, out in zip(instruction.outputs, outputs):
            if place is not None:
                values[place.number] = out
    return [value(place) for place in trace.outputs]
