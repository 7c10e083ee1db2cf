"""The Python around a program's calls, written out as source.

On a small network the calls take a microsecond or two, and to look up what a run has to check and
to hand over would take five. All of that is known when the program is made. So two functions are
written for it, with nothing in them but what this program needs:

    admits(*args)  whether the arguments have the forms that it was made for, and all that it takes
                   for granted still is so (guards.py)
    run(leaves)    hand the arrays over, make the calls, and leave behind what the step leaves

`print(fast.program.host)` shows them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from numpy import empty, ndarray

from ..kernels.library import READY, at, lib, ready
from ..nn.module import Module
from ..tensor import Tensor
from .calls import PythonCall
from .guards import Guard
from .instruction import Place
from .interpret import execute
from .reach import NOTHING, same
from .step import Argument, Result, is_named_tuple

WRITTEN_OUT = 16  # members of a list that are compared one by one in the source


class Source:
    """Lines of Python, and the objects that they name."""

    def __init__(self) -> None:
        self.names: dict[str, Any] = {}
        self.lines: list[str] = []
        self._known: dict[int, str] = {}

    def name(self, value: Any, prefix: str) -> str:
        """A name for an object in the source, one for each object."""
        known = self._known.get(id(value))
        if known is None:
            known = self._known[id(value)] = f"{prefix}{len(self.names)}"
            self.names[known] = value
        return known

    def line(self, text: str) -> None:
        """One more line."""
        self.lines.append(text)

    def function(self, name: str) -> Any:
        """The function of this name that the lines define."""
        exec(compile(str(self), f"<{name} of a compiled step>", "exec"), self.names)
        return self.names[name]

    def __str__(self) -> str:
        return "\n".join(self.lines)


# ------------------------------------------------------------------------------------------ admits


def admission(program: Any, leaves: Sequence[Any]) -> Source:
    """The source of `admits`."""
    source = Source()
    source.names.update(ndarray=ndarray, Tensor=Tensor, same=same)
    given = "".join(f"x{i}, " for i in range(len(leaves)))
    source.line("def admits(args):")
    source.line(f"    if len(args) != {len(leaves)}:")
    source.line("        return False")
    if leaves:
        source.line(f"    {given}= args")
    for i, leaf in enumerate(leaves):
        _refuse_unless(source, _form(source, f"x{i}", leaf))
    _identities(source, leaves, program.guard)
    _guard(source, program.guard)
    for condition in program.conditions:
        _refuse_unless(source, [f"{source.name(condition, 'c')}()"])
    for owner, place in program.arriving:
        _arrives(source, f"{_owner(source, owner)}.grad", place)
    source.line("    return True")
    return source


def _refuse_unless(source: Source, conditions: Iterable[str]) -> None:
    wanted = " and ".join(conditions)
    if wanted:
        source.line(f"    if not ({wanted}):")
        source.line("        return False")


def _form(source: Source, x: str, leaf: Any) -> list[str]:
    kind = "Tensor" if isinstance(leaf, Tensor) else "ndarray"
    dtype = source.name(leaf.dtype, "d")
    wanted = [f"type({x}) is {kind}", f"{x}.shape == {leaf.shape!r}"]
    wanted.append(f"({x}.dtype is {dtype} or {x}.dtype == {dtype})")
    if kind == "Tensor":
        wanted.append(f"{x}.requires_grad is {leaf.requires_grad}")
        wanted.append(f"{x}.grad is {'not ' if leaf.grad is not None else ''}None")
    return wanted


def _arrives(source: Source, grad: str, place: Place) -> None:
    """Whether a gradient that is added to has the form that it had."""
    dtype = source.name(place.dtype, "d")
    _refuse_unless(
        source,
        [
            f"type({grad}) is Tensor",
            f"type({grad}.payload) is ndarray",
            f"{grad}.payload.shape == {place.shape!r}",
            f"{grad}.payload.dtype == {dtype}",
        ],
    )


def _identities(source: Source, leaves: Sequence[Any], guard: Guard) -> None:
    """Arguments that want a gradient: leaves without hooks, none of them known to the step by
    another name, and two of them the same tensor only where they were so before."""
    wanting = [i for i, x in enumerate(leaves) if isinstance(x, Tensor) and x.requires_grad]
    for i in wanting:
        own = source.name(guard.own, "own")
        _refuse_unless(
            source, [f"x{i}.op is None", f"x{i}.hooks is None", f"id(x{i}) not in {own}"]
        )
        for j in wanting[: wanting.index(i)]:
            not_ = "" if leaves[i] is leaves[j] else "not "
            _refuse_unless(source, [f"x{i} is {not_}x{j}"])


def _guard(source: Source, guard: Guard) -> None:
    """What guards.py compares, in its order."""
    for tensor, array, wanted, hooks in guard.tensors:
        t, a, h = source.name(tensor, "t"), source.name(array, "a"), source.name(hooks, "h")
        _refuse_unless(
            source, [f"{t}.payload is {a}", f"{t}.requires_grad is {wanted}", f"{t}.hooks is {h}"]
        )
    for tensor in guard.without_gradient:
        _refuse_unless(source, [f"{source.name(tensor, 't')}.grad is None"])
    for optimizer, params in guard.optimizers:
        _members(source, f"{source.name(optimizer, 'o')}.params", params)
    for cell, value in guard.cells:
        _identity(source, f"{source.name(cell, 'cell')}.cell_contents", value)
    for space, key, value in guard.names:
        space_name, nothing = source.name(space, "names"), source.name(NOTHING, "nothing")
        _identity(source, f"{space_name}.get({key!r}, {nothing})", value)
    for held, members in guard.lists:
        _members(source, source.name(held, "l"), members)
    for reach in guard.others:
        _refuse_unless(source, [f"{source.name(reach, 'reach')}.rest_holds()"])
    g = source.name(guard, "guard")
    module = source.name(Module, "m")
    _refuse_unless(source, [f"({module}.changes is {g}.changes or {g}.modules_hold())"])


def _identity(source: Source, now: str, value: Any) -> None:
    _refuse_unless(source, [_is(source, now, value)])


def _is(source: Source, now: str, value: Any) -> str:
    then = source.name(value, "v")
    return f"({now} is {then} or same({now}, {then}))"


def _members(source: Source, held: str, members: Sequence[Any]) -> None:
    """Whether a list still has the same members."""
    wanted = [f"len({held}) == {len(members)}"]
    if len(members) <= WRITTEN_OUT:
        wanted += [_is(source, f"{held}[{i}]", m) for i, m in enumerate(members)]
    else:
        wanted.append(f"all(map(same, {held}, {source.name(members, 'members')}))")
    _refuse_unless(source, wanted)


# --------------------------------------------------------------------------------------------- run


def replay(program: Any, memory: Any, leaves: Sequence[Any]) -> Source:
    """The source of `run`."""
    source = Source()
    source.names.update(READY=READY, at=at, empty=empty, execute=execute, ready=ready)
    given = "".join(f"x{i}, " for i in range(len(leaves)))
    source.line("def run(leaves):")
    if leaves:
        source.line(f"    {given}= leaves")
    arrays = _arriving(source, program, leaves)
    source.line(f"    with {source.name(program.lock, 'lock')}:")
    for k, instruction in enumerate(program.draws):
        source.line(f"        r{k}, = execute({source.name(instruction, 'draw')}, ())")
        arrays.append(f"r{k}")
    for k, place in enumerate(program.outputs):
        dtype = source.name(place.dtype, "d")
        source.line(f"        y{k} = empty({place.shape!r}, {dtype})")
        arrays.append(f"y{k}")
    _calls(source, memory, arrays)
    source.line("        pass")
    _left_behind(source, program, "1")
    source.line(f"    return {_expression(source, program, program.result)}")
    results = "".join(f", y{k}" for k in range(len(program.outputs)))
    source.line(f"def leave(leaves, steps{results}):")
    if leaves:
        source.line(f"    {given}= leaves or {[None] * len(leaves)}")
    source.line("    if steps:")
    _left_behind(source, program, "steps")
    source.line("        pass")
    return source


def _arriving(source: Source, program: Any, leaves: Sequence[Any]) -> list[str]:
    """The names of the arrays that come in: arguments, then gradients that are added to."""
    names = []
    for i, leaf in enumerate(leaves):
        numbers = f"x{i}.payload" if isinstance(leaf, Tensor) else f"x{i}"
        if not leaf.dtype.isnative:
            numbers = f"{numbers}.astype({source.name(leaf.dtype.newbyteorder('='), 'd')})"
        source.line(f"    a{i} = {numbers}")
        names.append(f"a{i}")
    for k, (owner, _) in enumerate(program.arriving):
        source.line(f"    g{k} = {_owner(source, owner)}.grad.payload")
        names.append(f"g{k}")
    for name in names:
        source.line(f"    if {name}.flags.num & READY != READY:")
        source.line(f"        {name} = ready({name})")
    return names


def _owner(source: Source, owner: Any) -> str:
    return f"x{owner.index}" if isinstance(owner, Argument) else source.name(owner, "t")


def _calls(source: Source, memory: Any, arrays: list[str]) -> None:
    """Hand the arrays over and make the calls: of C in one piece, or piece by piece with Python
    between."""
    everything = "(" + "".join(f"{name}, " for name in arrays) + ")"
    if lib is not None:
        slots = source.name(memory.slots, "slots")
        for i, name in enumerate(arrays):
            source.line(f"        {slots}[{i}] = at({name})")
    for rule in memory.rules:
        source.line(f"        {source.name(rule.prepare, 'prepare')}()")
    for segment in memory.segments:
        if isinstance(segment, PythonCall):
            run, call = source.name(memory.python, "python"), source.name(segment, "call")
            source.line(f"        {run}({call}.instruction, {everything})")
            continue
        code, calls = segment
        run, failed = source.name(lib.tg_run, "tg_run"), source.name(memory.failed, "failed")
        explain = source.name(memory.explain, "explain")
        source.line(f"        if {run}({source.name(code, 'program')}, {slots}, {failed}):")
        chosen = f"{source.name(calls, 'calls')}[{failed}[0]]"
        source.line(f"            {explain}({chosen}, {everything})")


def _left_behind(source: Source, program: Any, steps: str) -> None:
    """Gradients, the age of parameters, the note that they were written."""
    source.names["leaf"] = Tensor._of
    for owner in program.cleared:
        source.line(f"        {_owner(source, owner)}.grad = None")
    for owner, k in program.gradients:
        source.line(f"        {_owner(source, owner)}.grad = leaf(y{k})")
    for optimizer, chosen in program.aged:
        source.line(f"        ages = {source.name(optimizer, 'o')}._age")
        source.line(f"        for i in {chosen!r}:")
        source.line(f"            ages[i] += {steps}")
    if program.mark is not None:
        source.line(f"        {source.name(program.mark, 'mark')}()")


def _expression(source: Source, program: Any, result: Any) -> str:
    """What the step returns, as an expression."""
    if isinstance(result, Result):
        made = program.recorded if result.recorded else program.made
        return f"{source.name(made, 'made')}(y{program.numbers[result.place]})"
    if isinstance(result, Argument):
        return f"{source.name(_as_tensor, 'tensor')}(x{result.index})"
    if type(result) in (tuple, list):
        inner = "".join(f"{_expression(source, program, part)}, " for part in result)
        return f"({inner})" if type(result) is tuple else f"[{inner}]"
    if is_named_tuple(result):
        inner = "".join(f"{_expression(source, program, part)}, " for part in result)
        return f"{source.name(type(result), 'kind')}({inner})"
    if type(result) is dict:
        inner = ", ".join(
            f"{source.name(key, 'key')}: {_expression(source, program, part)}"
            for key, part in result.items()
        )
        return f"{{{inner}}}"
    return source.name(result, "constant")


def _as_tensor(given: Any) -> Tensor:
    return given if isinstance(given, Tensor) else Tensor(given)
