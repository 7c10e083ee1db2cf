"""A program as text: one line for each call, in the order in which they are made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .calls import Call, InOut, Out, PythonCall, Table
from .instruction import Instruction, Place

if TYPE_CHECKING:
    from .program import Program

KIND = {"input": "x", "outside": "w", "gradient": "g", "drawn": "r", "made": "%"}
SHORT = {"float32": "f32", "float64": "f64", "int64": "i64", "int32": "i32", "bool": "bool"}


def written_out(program: Program) -> str:
    """The whole program."""
    names = _Names(program)
    lines = [_header(program, names)]
    ends = dict(program.plan.chains)
    inside = 0
    for i, call in enumerate(program.calls):
        if i in ends and isinstance(call, Call):
            lines.append(f"  tile by tile, {call.elements} elements at {call.instruction.where}:")
            inside = ends[i]
        lines.append(("    " if i < inside else "  ") + _line(call, names, i < inside))
    lines.append(_footer(program, names))
    return "\n".join(lines)


class _Names:
    """What the places are called: parameters by shape and number, everything else by its letter."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self._known: dict[Place, str] = {}
        self._count: dict[str, int] = {}

    def of(self, place: Place) -> str:
        """A short name: x0 an argument, w0 an array from outside, g0 a gradient that arrives, r0
        drawn numbers, %0 made by the program."""
        root = place.root
        if root not in self._known:
            letter = KIND[root.kind]
            self._known[root] = f"{letter}{self._count.get(letter, 0)}"
            self._count[letter] = self._count.get(letter, 0) + 1
        return self._known[root]

    def typed(self, place: Place) -> str:
        """Name, dtype and shape."""
        dtype = SHORT.get(str(place.dtype), str(place.dtype))
        return f"{self.of(place)} {dtype}{list(place.shape)}"

    def home(self, place: Place) -> str:
        """Where it lives, and in how many bytes."""
        root, plan = place.root, self.program.plan
        if root in plan.registers:
            return f"register {plan.registers[root]}"
        if root in plan.offsets:
            return f"arena +{plan.offsets[root]}, {root.nbytes} bytes"
        return "result" if root in self.program.outputs else "in place"


def _header(program: Program, names: _Names) -> str:
    given = ", ".join(names.typed(place) for place in program.trace.inputs)
    return f"program({given}):  arena of {program.plan.arena} bytes"


def _footer(program: Program, names: _Names) -> str:
    made = ", ".join(names.of(place) for place in program.outputs)
    return f"  leaves behind: {made or 'nothing but what was written'}"


def _line(call: Call | PythonCall, names: _Names, tiled: bool) -> str:
    written = ", ".join(f"{names.typed(p)} ({names.home(p)})" for p in call.writes)
    written = f"{written} = " if written else ""
    if isinstance(call, PythonCall):
        given = ", ".join(_word(x, names) for x in call.instruction.inputs)
        name, where = _called(call.instruction), call.instruction.where
        return f"{written}{name}({given})  [by Python]  # {where}"
    words = [w for w in call.words if not isinstance(w, Out)]
    if call.rule is not None:
        words = [w for w in words if not isinstance(w, (int, float))]
    given = ", ".join(_word(w, names) for w in words)
    if call.rule is not None:
        given += ", numbers read at each run"
    where = "" if tiled else f"  # {call.instruction.where}"
    return f"{written}{call.name}({given}){where}"


def _called(instruction: Instruction) -> str:
    name = instruction.op.name if instruction.op is not None else instruction.kind
    return f"{name}_vjp" if instruction.kind == "vjp" else name


def _word(word: Any, names: _Names) -> str:
    if isinstance(word, (Out, InOut)):
        return names.of(word.place)
    if isinstance(word, Place):
        return names.of(word)
    if isinstance(word, Table):
        return "[" + ", ".join(_word(member, names) for member in word.members) + "]"
    if word is None or isinstance(word, (int, float)):
        return "-" if word is None else f"{word:g}"
    return "sizes"
