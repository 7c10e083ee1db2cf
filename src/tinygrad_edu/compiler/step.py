"""Watching one call of a step: from a function and its arguments to a trace, the form of what it
returns, and what it does to the gradients of tensors outside it.

A trace leaves the world as it found it: parameters are not written, `.grad` is put back, random
generators do not move. So the step is watched twice, and what differs between the two is something
that a program would freeze: it is refused.
"""

from __future__ import annotations

from _thread import get_ident
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy import ndarray

from ..dtypes import as_array
from ..errors import CompileError
from ..graph import Node, traces
from ..kernels.library import ready
from ..nn.module import Module
from ..ops.shape import astype
from ..switch import Switch
from ..tensor import Tensor
from .capture import Place, Trace, Traced

LEAF = "leaf"


@dataclass(eq=False)
class Step:
    """One watched call. `result` is what it returned, with Places for what is computed and
    Arguments for what was passed on; `gradients` says what `.grad` each tensor ends with: a Place,
    or None where it is cleared."""

    trace: Trace
    result: Any
    gradients: list[tuple[Any, Place | None]]


class _Watched(Switch):
    """While it is on, operations on Values take no short cut past `Value.record`, which refuses
    them: a step of Values is another matter (tape.py)."""

    depths: ClassVar[dict[int, int]] = {}


@dataclass(frozen=True)
class Argument:
    """Array number `index` among the arguments of the call."""

    index: int


def taken_apart(value: Any, leaves: list[Any]) -> Any:
    """The form of `value`, which can be a key: arrays and Tensors are entered in `leaves`; lists,
    tuples and dicts are walked; whatever else is part of the form."""
    if isinstance(value, (ndarray, Tensor)):
        leaves.append(value)
        return LEAF
    if type(value) in (tuple, list):
        return type(value), *[taken_apart(part, leaves) for part in value]
    if type(value) is dict:
        return dict, tuple(value), *[taken_apart(part, leaves) for part in value.values()]
    if isinstance(value, (int, float, complex, str, bytes, np.generic, type(None))):
        return "number", type(value), value
    return "object", id(value)


def filled(value: Any, leaves: Any) -> Any:
    """`value` with its arrays and Tensors, in order, exchanged for the next ones of `leaves`."""
    if isinstance(value, (ndarray, Tensor)):
        return next(leaves)
    if type(value) in (tuple, list):
        return type(value)([filled(part, leaves) for part in value])
    if type(value) is dict:
        return {name: filled(part, leaves) for name, part in value.items()}
    return value


def watch(function: Callable, args: tuple, kwargs: dict, leaves: Sequence[Any]) -> Step:
    """Run `function` once, watched; nothing but the trace remains of it."""
    trace = Trace()
    arguments = [_argument(trace, i, leaf) for i, leaf in enumerate(leaves)]
    given = iter(arguments)
    args, kwargs = filled(args, given), filled(kwargs, given)
    me = get_ident()
    changes = Module.changes
    traces[me] = trace
    try:
        with _Watched():
            returned = function(*args, **kwargs)
        claimed: set[int] = set()
        result = _result(trace, returned, arguments, claimed)
        gradients = _final_gradients(trace, arguments, claimed)
    finally:
        del traces[me]
        trace.open = False
        for tensor, before in trace.gradients.values():
            tensor.grad = before
    if changes != Module.changes:
        raise CompileError(
            "compile: the step sets an attribute of a module, which a program would do once and "
            "never again. Set it outside the step, or return what is to be kept."
        )
    return Step(trace, result, gradients)


def _argument(trace: Trace, index: int, leaf: Any) -> Tensor:
    """The Tensor that stands for an argument while the step is watched."""
    if isinstance(leaf, Tensor) and leaf.op is not None:
        raise CompileError(
            f"compile: argument {index} was computed by {leaf.op.name} and has a graph, which "
            "would be lost at the border of the step. Compute it in the step, or pass t.detach()."
        )
    array = ready(leaf.payload if isinstance(leaf, Tensor) else as_array(leaf))
    place = trace.place(array, "input")
    trace.inputs.append(place)
    made = Tensor._of(Traced(trace, array, place))
    if isinstance(leaf, Tensor):
        made.requires_grad, made.grad = leaf.requires_grad, leaf.grad
    return made


def _result(trace: Trace, value: Any, arguments: list[Tensor], claimed: set[int]) -> Any:
    """What is returned, as a replay has to make it."""
    if isinstance(value, Tensor):
        for i, argument in enumerate(arguments):
            if value is argument:
                return Argument(i)
        if type(value.payload) is ndarray:
            return value  # from outside, as it is
        return _settled(trace, value.payload, claimed)
    if isinstance(value, Traced):
        return _settled(trace, value, claimed)
    if type(value) in (tuple, list):
        return type(value)([_result(trace, part, arguments, claimed) for part in value])
    if type(value) is dict:
        return {name: _result(trace, part, arguments, claimed) for name, part in value.items()}
    if isinstance(value, Node):
        raise CompileError(
            f"compile: the step returns a {type(value).__name__}: expected Tensors, numbers, or "
            "tuples, lists and dicts of them."
        )
    return value


def _final_gradients(trace: Trace, arguments: list[Tensor], claimed: set[int]) -> list:
    """The `.grad` that each touched tensor ends with, where it is another than it came with."""
    own = {id(argument): Argument(i) for i, argument in enumerate(arguments)}
    trace.without_gradient = [t for t in trace.without_gradient if id(t) not in own]
    trace.arrived = [(own.get(id(tensor), tensor), place) for tensor, place in trace.arrived]
    found: list[tuple[Any, Place | None]] = []
    for tensor, _ in list(trace.gradients.values()):
        owner = own.get(id(tensor), tensor)
        grad = tensor.grad
        if grad is None:
            found.append((owner, None))
            continue
        payload = grad.payload
        if isinstance(payload, Traced) and payload.place.kind == "gradient":
            continue  # as it came
        if not isinstance(payload, Traced):
            payload = trace.lift(payload)
        found.append((owner, _settled(trace, payload, claimed)))
    return found


def _settled(trace: Trace, value: Traced, claimed: set[int]) -> Place:
    """A place that nobody else has, for what leaves the program: the value's own, or a copy."""
    place = value.place
    if place.kind == "made" and place.of is None and place.number not in claimed:
        claimed.add(place.number)
        return place
    made = Traced(trace, np.array(value.value, order="C"))
    trace.note("forward", astype.op, (value,), {"dtype": value.dtype}, (made.place,))
    claimed.add(made.place.number)
    return made.place


def check_repeats(first: Trace, second: Trace) -> None:
    """Raise where two traces of one step differ: in what they do, or in the numbers that they do it
    with."""
    for a, b in zip(first.instructions, second.instructions):
        same = a.kind == b.kind and a.op is b.op and len(a.inputs) == len(b.inputs)
        if not same or not all(map(_agree, a.inputs, b.inputs)) or not _same_params(a, b):
            raise CompileError(
                f"compile: at {b.where} the step does not repeat itself: run twice on the same "
                f"arguments, {_named(a)} met other numbers the second time, or was another "
                "operation. What changes from call to call (a counter, the time, NumPy's random "
                "numbers) must be an argument of the step, as an array; dropout, tg.rand and "
                "tg.randn are drawn anew by themselves."
            )
    if len(first.instructions) != len(second.instructions):
        raise CompileError(
            "compile: the step does not repeat itself: run twice on the same arguments, it made "
            f"{len(first.instructions)} and then {len(second.instructions)} operations."
        )


def _named(instruction: Any) -> str:
    return instruction.op.name if instruction.op is not None else instruction.kind


def _same_params(a: Any, b: Any) -> bool:
    if a.kind in ("update", "draw") or a.params is b.params:
        return True
    return repr(a.params) == repr(b.params)


def _agree(a: Any, b: Any) -> bool:
    if isinstance(a, Place) != isinstance(b, Place):
        return False
    if not isinstance(a, Place):
        return a is b or a == b or (a != a and b != b)
    if a.shape != b.shape or a.dtype != b.dtype or a.kind != b.kind:
        return False
    if a.kind != "outside" or a.array is b.array:
        return True
    return np.array_equal(a.array, b.array, equal_nan=a.dtype.kind == "f")
