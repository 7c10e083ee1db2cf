"""The fourth payload: an array with a place in a program.

A `Traced` carries the numbers of the call that is being watched, so shapes and dtypes come from the
operations themselves and no shape rule is written twice. Every operation on one is computed at once
and also noted as an instruction. Put inside a Tensor, it lets the whole engine run unchanged:
forward and backward both end up in the program.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..errors import CallError
from ..graph import Node, Recorder
from ..op import NO_PARAMS, Op, apply
from ..ops.shape import getitem


@dataclass(frozen=True)
class Place:
    """Where a value lives: its number in the program, its shape and dtype."""

    number: int
    shape: tuple[int, ...]
    dtype: np.dtype

    def __str__(self) -> str:
        return f"%{self.number}"


@dataclass(frozen=True)
class Instruction:
    """One operation: `output = op(*inputs, **params)`; an input is a Place or a Python number."""

    op: Op
    inputs: tuple
    params: dict[str, Any]
    output: Place

    def __str__(self) -> str:
        params = "".join(f", {name}={value!r}" for name, value in self.params.items())
        given = ", ".join(str(x) for x in self.inputs)
        kind = f"{self.output.dtype}{list(self.output.shape)}"
        return f"{self.output}: {kind} = {self.op.name}({given}{params})"


@dataclass
class Program:
    """What a traced function did: its inputs, the constants that it met, and its instructions in
    order."""

    inputs: list[Place] = field(default_factory=list)
    constants: dict[int, np.ndarray] = field(default_factory=dict)
    instructions: list[Instruction] = field(default_factory=list)
    outputs: list[Place] = field(default_factory=list)
    _known: dict[int, Place] = field(default_factory=dict)
    _count: int = 0

    def place(self, value: np.ndarray) -> Place:
        """A new place for `value`."""
        made = Place(self._count, value.shape, value.dtype)
        self._count += 1
        return made

    def constant(self, value: np.ndarray) -> Place:
        """The place of an array from outside; the same array always has the same one."""
        known = self._known.get(id(value))
        if known is None:
            known = self._known[id(value)] = self.place(value)
            self.constants[known.number] = value  # held, so that its id stays its own
        return known

    def run(self, *arrays: np.ndarray) -> list[np.ndarray]:
        """Interpret the program on new inputs. (The specification of a replay; `compile` will do it
        in C.)"""
        values: dict[int, Any] = dict(self.constants)
        values.update(
            (place.number, np.asarray(array)) for place, array in zip(self.inputs, arrays)
        )
        for step in self.instructions:
            given = tuple(values[x.number] if isinstance(x, Place) else x for x in step.inputs)
            out = apply(step.op, given, step.params)
            values[step.output.number] = out[0] if step.op.stash else out
        return [values[place.number] for place in self.outputs]

    def __str__(self) -> str:
        header = ", ".join(f"{p}: {p.dtype}{list(p.shape)}" for p in self.inputs)
        body = "\n".join(f"  {step}" for step in self.instructions)
        return f"program({header})\n{body}\n  return {', '.join(map(str, self.outputs))}"


class Traced(Recorder):
    """An array while it is watched: the numbers of this call, and their place in the program."""

    __slots__ = ("program", "place", "value", "__weakref__")
    __hash__ = object.__hash__
    __array_ufunc__ = None

    def __init__(self, program: Program, value: np.ndarray, place: Place | None = None) -> None:
        self.program = program
        self.value = value
        self.place = place or program.place(value)

    @classmethod
    def record(cls, op: Op, inputs: tuple, params: dict[str, Any] = NO_PARAMS) -> Any:
        """Compute `op` and note it; a Tensor among the inputs records first and comes back with its
        payload."""
        for x in inputs:
            if isinstance(x, Node):
                return x.record(op, inputs, params)
        program = next(x.program for x in inputs if isinstance(x, Traced))
        out = apply(op, tuple(x.value if isinstance(x, Traced) else x for x in inputs), params)
        value = np.asarray(out[0] if op.stash else out)
        made = cls(program, value)
        program.instructions.append(
            Instruction(op, tuple(_placed(program, x) for x in inputs), params, made.place)
        )
        return (made, None) if op.stash else made

    __getitem__ = getitem

    shape = property(lambda self: self.value.shape)
    dtype = property(lambda self: self.value.dtype)
    ndim = property(lambda self: self.value.ndim)
    size = property(lambda self: self.value.size)

    def ones_like(self) -> Traced:
        """A constant of ones of this shape and dtype: where a backward starts."""
        ones = np.ones_like(self.value)
        return Traced(self.program, ones, self.program.constant(ones))

    def __bool__(self) -> bool:
        raise CallError(
            "a traced value has no truth: the program would freeze one branch. Choose with "
            "tg.where.",
            code="traced-value",
        )

    def __float__(self) -> float:
        raise CallError(
            "a traced value has no number to give: it changes from call to call. Return it "
            "instead.",
            code="traced-value",
        )

    __int__ = __index__ = __float__

    def __repr__(self) -> str:
        return f"Traced({self.place}, {self.dtype}{list(self.shape)})"


def _placed(program: Program, x: Any) -> Any:
    """An input as the program knows it: a Place, or the Python number itself."""
    if isinstance(x, Traced):
        return x.place
    if x is None or type(x) in (float, int, bool):
        return x
    return program.constant(np.asarray(x))


def trace(function: Callable, arrays: Sequence[np.ndarray]) -> Program:
    """Run `function` once on `arrays`, watched, and return the program of what it did.

    `function` gets one Traced for each array and returns a Traced or a sequence of them. What it
    computes from other arrays alone is computed now and becomes a constant.
    """
    program = Program()
    watched = [Traced(program, np.asarray(array)) for array in arrays]
    program.inputs = [x.place for x in watched]
    results = function(*watched)
    results = results if isinstance(results, (tuple, list)) else (results,)
    program.outputs = [_placed(program, x) for x in results]
    return program
