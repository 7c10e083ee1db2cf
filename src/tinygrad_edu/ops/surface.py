"""The surface of the operations in types, made from the rows: what mypy and pyright read.

A type checker runs nothing, so it cannot see functions and methods that a loop attaches. The build
therefore writes them down in a stub, `_surface.pyi`, beside the package: every row as a function,
and the methods and operators of Tensor and Value as two classes, of which the real ones inherit in
the eyes of a type checker. The stub is never committed; `python -m tinygrad_edu.ops.surface` writes
it anew beside the sources, after a row was added to an editable installation.

No row says a type. Whether it takes single numbers follows from its kind, and the type of a
parameter from its default and from the values that the row is tested on: a parameter tested with 1
and (2, 1) is `int | tuple[int, ...]`, one tested with "sum" and "none" a Literal of these, and one
that is None by default and given in every test has to be given. So a form that is not tested is
not promised.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from ..op import OPS, REFLECTED, Op

STUB = Path(__file__).resolve().parent.parent / "_surface.pyi"

HEAD = """\
# Made from the rows by tinygrad_edu.ops.surface when the package is built: change the rows instead.
#
# A Tensor among the inputs makes a Tensor, a Value a Value; numbers make a number, and what NumPy
# makes an array of makes an array (or, where it has no axes, perhaps a NumPy number, which is
# called an array here as well).
from collections.abc import Iterable
from typing import Any, Literal, overload

from numpy.typing import DTypeLike

from .payloads import Array, Data, Number, Operand
from .scalar import Value
from .tensor import Tensor
"""


def surface() -> str:
    """The text of the stub."""
    public = sorted(op.name for op in OPS.values() if op.public)
    parts = [HEAD, f"__all__ = {public!r}\n"]
    parts += [_function(op) for op in OPS.values()]
    parts.append(_methods("TensorMethods", "Tensor", "Operand", lambda op: True))
    parts.append(_methods("ValueMethods", "Value", "Value | Number", lambda op: op.cases is None))
    return "\n".join(parts)


def write(path: Path = STUB) -> None:
    """Write the stub to `path`."""
    path.write_text(surface(), encoding="utf-8")


# --------------------------------------------------------------------------------------- functions


def _function(op: Op) -> str:
    """A row as a function, with one overload for each kind of payload that decides the result."""
    forms = list(_forms(op))
    lines = []
    for i, (inputs, result) in enumerate(forms):
        body = _docstring(op, "    ") if i == 0 else " ..."
        overload = "@overload\n" if len(forms) > 1 else ""
        lines.append(f"{overload}def {op.name}({_join(inputs, _params(op))}) -> {result}:{body}")
    return "\n".join(lines) + "\n"


def _forms(op: Op) -> Iterator[tuple[list[str], str]]:
    """(inputs, result) of each overload. The first that fits counts, as in `apply`: a Tensor
    anywhere decides before all else."""
    if op.arity is None:
        for kind, result in (("Data | float", "Array"), ("Operand", "Tensor")):
            yield [f"tensors: Iterable[{kind}]"], result
        return
    places = range(len(op.inputs))
    for place in places:
        yield _inputs(op, "Operand", place, "Tensor"), "Tensor"
    if _takes_numbers(op):
        number = _number(op)
        for place in places:
            others = _inputs(op, "Value | Number", place, "Value")
            yield others, "Value" if op.differentiable else number
        yield _inputs(op, "float"), number
    elif len(places) == 1:
        yield _inputs(op, "Value | float"), "Any"
    yield _inputs(op, "Data" if len(places) == 1 else "Data | float"), "Array"


def _inputs(op: Op, kind: str, place: int | None = None, special: str = "") -> list[str]:
    """The inputs of a row, all of one kind but the one at `place`. `bias?` may be left out, unless
    it, or one after it, is what the overload is about."""
    asked = -1 if place is None else place
    optional = [name.endswith("?") and i > asked for i, name in enumerate(op.inputs)]
    nullable = [name.endswith("?") and i != asked for i, name in enumerate(op.inputs)]
    made = []
    for i, name in enumerate(op.inputs):
        declared = f"{name.rstrip('?')}: {special if i == place else kind}"
        declared += " | None" if nullable[i] else ""
        made.append(f"{declared} = None" if optional[i] else declared)
    return made


def _takes_numbers(op: Op) -> bool:
    """Whether numbers in give a number out: element by element, or with a formula for it."""
    return op.cases is None or op.scalar is not None


def _number(op: Op) -> str:
    """The type of an operation on numbers: bool for a test, and float. (1.0 is in every domain, or
    at the worst gives NaN.)"""
    return "bool" if isinstance(op.function(*(1.0 for _ in op.inputs)), bool) else "float"


# ----------------------------------------------------------------------------------------- methods


def _methods(name: str, own: str, other: str, has: Any) -> str:
    """The methods and operators that the rows give to a class."""
    lines = [f"class {name}:", "    __slots__ = ()"]
    for op in OPS.values():
        if op.arity is None or not has(op):
            continue
        result = own if op.differentiable or own == "Tensor" else _number(op)
        others = [text.replace(": Operand", f": {other}") for text in _inputs(op, "Operand")[1:]]
        if op.method:
            given = _join(["self", *others], _params(op))
            doc = _docstring(op, "        ")
            lines.append(f"    def {op.name}({given}) -> {result}:{doc}")
        if op.dunder:
            lines += _operators(op, other if len(op.inputs) == 2 else None, result)
    return "\n".join(lines) + "\n"


def _operators(op: Op, other: str | None, result: str) -> list[str]:
    if other is None:
        return [f"    def __{op.dunder}__(self) -> {result}: ..."]
    if op.dunder in ("eq", "ne"):  # object says bool, for any object
        ignore = "" if result == "bool" else "  # type: ignore[override]"
        return [f"    def __{op.dunder}__(self, other: object) -> {result}: ...{ignore}"]
    names = [op.dunder, f"r{op.dunder}"] if op.dunder in REFLECTED else [op.dunder]
    return [f"    def __{name}__(self, other: {other}) -> {result}: ..." for name in names]


# -------------------------------------------------------------------------------------- parameters


def _params(op: Op) -> list[str]:
    """The parameters of a row, as its default and its test cases show them."""
    made = []
    for name, default in op.defaults.items():
        tested = [case.params.get(name, default) for case in op.cases or ()]
        required = default is None and bool(tested) and None not in tested
        seen = tested if required else [default, *tested]
        ending = "" if required else f" = {default!r}" if _is_literal(default) else " = ..."
        made.append(f"{name}: {type_of(seen)}{ending}")
    return made


def _is_literal(value: Any) -> bool:
    return value is None or isinstance(value, (bool, int, float, str))


def type_of(values: Iterable[Any]) -> str:
    """The type of which all `values` are examples."""
    values = list(values)
    strings = sorted({value for value in values if isinstance(value, str)})
    kinds = {_kind(value) for value in values if not isinstance(value, str)}
    if "Any" in kinds:
        return "Any"
    if "float" in kinds:
        kinds.discard("int")
    ordered = sorted(kinds - {"None"}) + (["None"] if "None" in kinds else [])
    literal = [f"Literal[{', '.join(map(repr, strings))}]"] if strings else []
    return " | ".join([*literal, *ordered])


def _kind(value: Any) -> str:
    if value is None:
        return "None"
    if isinstance(value, (bool, int, float)):
        return type(value).__name__
    if isinstance(value, type):
        return "DTypeLike"
    if isinstance(value, tuple) and value:
        return f"tuple[{type_of(value)}, ...]"
    if isinstance(value, dict):
        return f"dict[{type_of(value)}, {type_of(value.values())}]"
    return "Any"


# --------------------------------------------------------------------------------------------- text


def _join(*groups: list[str]) -> str:
    return ", ".join(text for group in groups for text in group)


def _docstring(op: Op, indent: str) -> str:
    return f"\n{indent}{op.function.__doc__!r}"


if __name__ == "__main__":
    write()
