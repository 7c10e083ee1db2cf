"""Writing the code of a tape: what `csrc/tape.c` runs.

A `Slot` is a payload like a float or an array: rows applied to slots give slots, and the writer
that a slot belongs to notes the instruction. Numbers that are known now are computed now, and
become a place that holds them from the start.
"""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np

from ..errors import CompileError
from ..graph import Recorder
from ..kernels.tape import OPERATIONS
from ..op import NO_PARAMS, Op

ADD, MULTIPLY, ACCUMULATE, WEIGHTED_SUM = (
    OPERATIONS.get(name, (0, 0))[0] for name in ("add", "multiply", "accumulate", "weighted_sum")
)
NO_BOUND = {"low": -math.inf, "high": math.inf}  # what clip's None means, as a number


class Slot(Recorder):
    """The number at place `number` of a tape that is being written."""

    __slots__ = ("writer", "number")
    __hash__ = object.__hash__

    def __init__(self, writer: Writer, number: int) -> None:
        self.writer, self.number = writer, number

    @classmethod
    def record(cls, op: Op, inputs: tuple, params: dict[str, Any] = NO_PARAMS) -> Any:
        """Note `op` as an instruction."""
        writer = next(x.writer for x in inputs if isinstance(x, Slot))
        return writer.emit(op, inputs, params)

    def __bool__(self) -> bool:
        raise CompileError("compile: the vjp of a row branches on a number: write it with where.")


class Writer:
    """Instructions in the making, and what their places hold at the start."""

    def __init__(self, places: list[float]) -> None:
        self.places = places
        self.constants: dict[str, int] = {}  # repr of a number -> its place
        self.code: list[list[int]] = []

    def place(self, number: float = 0.0) -> int:
        """A new place that starts as `number`."""
        self.places.append(number)
        return len(self.places) - 1

    def operand(self, x: Any) -> int:
        """The place of `x`, a slot or a number; equal numbers share theirs, but not 0 and -0."""
        if isinstance(x, Slot):
            return x.number
        key = repr(float(x))
        if key not in self.constants:
            self.constants[key] = self.place(float(x))
        return self.constants[key]

    def output(self) -> int:
        """A place for the next instruction to write to."""
        return self.place()

    def emit(self, op: Op, inputs: tuple, params: dict[str, Any]) -> Any:
        """Write `op`; the slot of its output. A choice that is made already is nothing to write."""
        if op.name == "where" and not isinstance(inputs[0], Slot):
            return inputs[1] if inputs[0] else inputs[2]
        given = [NO_BOUND[name] if x is None else x for name, x in params.items()]
        operands = [self.operand(x) for x in (*inputs, *given)]
        out = self.output()
        number = OPERATIONS[op.name][0]
        if number == WEIGHTED_SUM:  # (w_1, ..., w_n, x_1, ..., x_n, b), in pairs for the loop in C
            n = len(operands) // 2
            pairs = itertools.chain.from_iterable(zip(operands[:n], operands[n:]))
            self.code.append([number, out, operands[-1], n, *pairs])
        else:
            self.code.append([number, out, *operands])
        return Slot(self, out)

    def assembled(self) -> np.ndarray:
        """The code as C reads it; the writer begins anew."""
        code = np.fromiter(itertools.chain.from_iterable(self.code), np.int32)
        self.code = []
        return code


class Backward(Writer):
    """A writer that adds up gradients in places of their own.

    Such a place starts as -0, the one number that changes none that is added to it. What a node's
    formulas compute on the way is needed no longer once the node has been passed, so all nodes
    share the places for it. A product that is only added to a gradient is one step of an
    `accumulate`, which does as many as follow each other with the same factor.
    """

    def __init__(self, forward: Writer) -> None:
        super().__init__(forward.places.copy())
        self.constants = forward.constants.copy()
        self.shared: list[int] = []
        self.made: dict[int, int] = {}  # place -> where in the code it is written, of one node
        self.reads: dict[int, int] = {}  # place -> how often one node reads it

    def output(self) -> int:
        if len(self.made) == len(self.shared):
            self.shared.append(self.place())
        out = self.shared[len(self.made)]
        self.made[out] = len(self.code)
        return out

    def operand(self, x: Any) -> int:
        place = super().operand(x)
        self.reads[place] = self.reads.get(place, 0) + 1
        return place

    def begin_node(self) -> None:
        """What follows is computed for another node."""
        self.made.clear()
        self.reads.clear()

    def total(self) -> int:
        """A place to add gradients up in."""
        return self.place(-0.0)

    def add(self, totals: list[tuple[int, Any, bool]]) -> None:
        """Add to each total the contribution beside it; the flag says that it is the first."""
        operands = [self.operand(x) for _, x, _ in totals]
        for (total, _, first), place in zip(totals, operands):
            at = self.made.get(place, -1) if self.reads[place] == 1 else -1
            if at >= 0 and self.code[at][0] == MULTIPLY:
                _, _, one, other = self.code[at]
                self.code[at] = []
                self._accumulate(total, one, other)
            elif at >= 0 and first:
                self.code[at][1] = total
            else:
                self.code.append([ADD, total, total, place])

    def _accumulate(self, total: int, one: int, other: int) -> None:
        """total += one * other."""
        last = self.code[-1]
        if last and last[:2] == [ACCUMULATE, one]:
            last[2] += 1
            last += [total, other]
        else:
            self.code.append([ACCUMULATE, one, 1, total, other])
