"""Running a function of Values so that nothing it does escapes the compiler.

What a tape can't follow must stop the compilation, or a branch taken once would be taken for ever.
The numbers of Values are read through a few attributes only; while a function is compiled these
refuse, for its thread. They are replaced in the class and put back, rather than asked each time, so
that Values which nobody compiles cost nothing more. Comparisons, which eagerly give a bool, become
nodes like all others: `tg.where` can use them.
"""

from __future__ import annotations

import threading
from _thread import get_ident
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar, NoReturn

import numpy as np

from ..errors import CallError, CompileError
from ..graph import Node, recording, silenced
from ..kernels.tape import OPERATIONS
from ..op import NO_PARAMS, OPS, Op, on_scalars
from ..scalar import Value
from ..switch import Switch
from ..writes import tick

_one_at_a_time = threading.RLock()
_GRAD = vars(Node)["grad"]  # the slot

INSTEAD = (
    "Choose with tg.where(v > 0, a, b), v.relu(), abs(v), tg.maximum, tg.minimum or tg.clip, or "
    "leave this function uncompiled."
)


class _Compiling(Switch):
    """While it is on, every operation on Values passes through `Value.record`."""

    depths: ClassVar[dict[int, int]] = {}


def compiling() -> bool:
    """Whether this thread is inside a function that is being compiled."""
    return get_ident() in _Compiling.depths


@contextmanager
def watched(name: str) -> Iterator[None]:
    """Within it, Values refuse this thread what cannot be compiled in the function `name`, and
    record whether or not no_grad() is on around it."""
    me = get_ident()
    with _one_at_a_time, _Compiling():
        replacements = _replacements(me, name)
        originals = {attribute: vars(Value).get(attribute) for attribute in replacements}
        depth = silenced.pop(me, 0)
        try:
            for attribute, replacement in replacements.items():
                setattr(Value, attribute, replacement)
            yield
        finally:
            for attribute, original in originals.items():
                if original is None:
                    delattr(Value, attribute)
                else:
                    setattr(Value, attribute, original)
            if depth:
                silenced[me] = depth


def _replacements(me: int, name: str) -> dict[str, Any]:
    """What stands in the class Value while thread `me` compiles `name`."""

    def refusing(original: Callable, refuse: Callable[[str], NoReturn]) -> Callable:
        def method(self: Value, *args: Any, **kwargs: Any) -> Any:
            return refuse(name) if get_ident() == me else original(self, *args, **kwargs)

        return method

    def comparing(original: Callable, row: Op) -> Callable:
        def method(self: Value, other: Any) -> Any:
            if get_ident() != me:
                return original(self, other)
            if not isinstance(other, (Value, int, float, np.number)):
                return NotImplemented
            return row.function(self, other)

        return method

    def making(self: Value, data: Any, label: str = "") -> None:
        if get_ident() == me and isinstance(data, Value):
            _refuse_value_of_value(name)
        make(self, data, label)

    def recording_all(cls: type, op: Op, inputs: tuple, params: dict = NO_PARAMS) -> Any:
        if get_ident() != me:
            return record(cls, op, inputs, params)
        return _record(name, record, op, inputs, params)

    def counting(self: Value) -> int:
        if get_ident() == me:
            _refuse_count(name)
        raise CallError("Value: expected a whole number, got a Value.")

    def shown(self: Value) -> str:
        return "<Value, being compiled>" if get_ident() == me else own["__repr__"](self)

    own = dict(vars(Value))
    make, record, data, grad = own["__init__"], own["record"].__func__, own["data"], _GRAD
    return {
        "__init__": making,
        "record": classmethod(recording_all),
        "data": property(refusing(data.fget, _refuse_number), refusing(data.fset, _refuse_write)),
        "grad": property(refusing(grad.__get__, _refuse_gradient), grad.__set__),
        "backward": refusing(own["backward"], _refuse_gradient),
        "__repr__": shown,
        "__float__": refusing(own["__float__"], _refuse_number),
        "__index__": counting,
        "__bool__": refusing(own["__bool__"], _refuse_branch),
        "__eq__": comparing(own["__eq__"], OPS["equal"]),
        "__ne__": comparing(own["__ne__"], OPS["not_equal"]),
    }


def _record(name: str, record: Callable, op: Op, inputs: tuple, params: dict[str, Any]) -> Any:
    """Value.record for the thread that compiles: what gives a bool is recorded too."""
    if not recording():
        raise CompileError(
            f"compile: {name} uses no_grad(), and what is computed there leaves no trace: the tape "
            "would keep the numbers of this call. Compute it before the call and pass it as an "
            "argument."
        )
    if OPERATIONS and op.name not in OPERATIONS:
        raise CompileError(
            f"compile: {name} uses {op.name}, which a tape does not know. It knows the operations "
            "of csrc/tape.def: add a line there, write it with those, or leave this function "
            "uncompiled."
        )
    if op.differentiable:
        return record(Value, op, inputs, params)
    inputs = tuple(x if isinstance(x, Value) else float(x) for x in inputs)
    numbers = tuple(x.payload if isinstance(x, Value) else x for x in inputs)
    made = Value(float(on_scalars(op, numbers, params)))
    made.op, made.inputs, made.params, made.seq = op, inputs, params, tick()
    return made


def _refuse_number(name: str) -> NoReturn:
    raise CompileError(
        f"compile: {name} reads the number of a Value (.data, float(), math.exp(v)), which changes "
        "from call to call, while the tape would keep the one of this call. Compute with Values "
        "throughout, v.exp() for math.exp(v.data), and return what you want to read, as in "
        f"`return loss, score`. {INSTEAD}",
        code="traced-value",
    )


def _refuse_count(name: str) -> NoReturn:
    raise CompileError(
        f"compile: {name} uses one of its numbers as a count or an index (range(n), x[n], int(n)), "
        "which shapes the tape and so cannot change from call to call. Let the function take it "
        "from where it is defined, and compile one for each: compile_scalars(partial(f, n)).",
        code="traced-value",
    )


def _refuse_branch(name: str) -> NoReturn:
    raise CompileError(
        f"compile: {name} branches on a Value (if, while, and, not, max(), sorted(), ==), and the "
        f"tape would take the branch of this call for ever. {INSTEAD}",
        code="traced-value",
    )


def _refuse_gradient(name: str) -> NoReturn:
    raise CompileError(
        f"compile: {name} calls backward() or reads a .grad. Only a forward is compiled, and its "
        "backward with it: return the loss, and call backward() on what the compiled function "
        "returns."
    )


def _refuse_write(name: str) -> NoReturn:
    raise CompileError(
        f"compile: {name} assigns to the data of a Value, which would happen in this call only. Do "
        "it outside the compiled function."
    )


def _refuse_value_of_value(name: str) -> NoReturn:
    raise CompileError(
        f"compile: {name} makes a Value of one of its arguments. While it is compiled they are "
        "Values already, and operations take plain numbers as well: leave Value(...) out, as in "
        "`model(x)` for `model(list(map(Value, x)))`."
    )
