"""Watching one call of a step: from a function and its arguments to a trace, the form of what it
returns, and what it does to the gradients of tensors outside it.

A trace leaves the world as it found it: parameters are not written, `.grad` is put back, random
generators do not move. So the step is watched twice, and what differs between the two is something
that a program would freeze: it is refused.
"""

from __future__ import annotations

import contextlib
import threading
from _thread import get_ident
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy import ndarray

from ..dtypes import as_array
from ..errors import CompileError
from ..graph import Node, open_trace, traces
from ..kernels.library import ready
from ..ops.shape import astype
from ..switch import Switch
from ..tensor import Tensor
from .capture import Trace, Traced, refuse
from .instruction import Place
from .reach import same

LEAF = "leaf"


@dataclass(eq=False)
class Step:
    """One watched call. `result` is what it returned, with Results for what is computed and
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


@dataclass(frozen=True)
class Result:
    """A Tensor that the step returns. `recorded`: it has a graph in the step."""

    place: Place
    recorded: bool


class Itself:
    """Stands in a key for an object that is equal to itself alone, and lives as long as the key."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Itself) and other.value is self.value

    def __hash__(self) -> int:
        return id(self.value)


def is_named_tuple(value: Any) -> bool:
    """Whether `value` is a tuple of named parts."""
    return isinstance(value, tuple) and hasattr(value, "_fields")


def like(value: Any, parts: list) -> Any:
    """A list or tuple of the kind of `value`."""
    return type(value)(*parts) if is_named_tuple(value) else type(value)(parts)


def taken_apart(value: Any, leaves: list[Any]) -> Any:
    """The form of `value`, which can be a key: arrays and Tensors are entered in `leaves`; lists,
    tuples and dicts are walked; whatever else is part of the form."""
    if isinstance(value, (ndarray, Tensor)):
        leaves.append(value)
        return LEAF
    if type(value) in (tuple, list) or is_named_tuple(value):
        return type(value), *[taken_apart(part, leaves) for part in value]
    if type(value) is dict:
        return dict, tuple(value), *[taken_apart(part, leaves) for part in value.values()]
    if isinstance(value, (int, str, bytes, type(None))):
        return type(value), value
    if isinstance(value, (float, complex, np.generic)):
        return type(value), str(value), value.dtype if isinstance(value, np.generic) else None
    return Itself(value)


def objects(value: Any) -> list[Any]:
    """What is part of the form of `value` by identity: neither arrays nor numbers."""
    if type(value) in (tuple, list) or is_named_tuple(value):
        return [found for part in value for found in objects(part)]
    if type(value) is dict:
        return [found for part in value.values() for found in objects(part)]
    known = (ndarray, Tensor, int, float, complex, str, bytes, np.generic, type(None))
    return [] if isinstance(value, known) else [value]


def filled(value: Any, leaves: Any) -> Any:
    """`value` with its arrays and Tensors, in order, exchanged for the next ones of `leaves`."""
    if isinstance(value, (ndarray, Tensor)):
        return next(leaves)
    if type(value) in (tuple, list) or is_named_tuple(value):
        return like(value, [filled(part, leaves) for part in value])
    if type(value) is dict:
        return {name: filled(part, leaves) for name, part in value.items()}
    return value


def watch(function: Callable, args: tuple, kwargs: dict, leaves: Sequence[Any]) -> Step:
    """Run `function` once, watched; nothing but the trace remains of it."""
    trace = Trace()
    arguments: list[Tensor] = []
    for i, leaf in enumerate(leaves):
        wanting = isinstance(leaf, Tensor) and leaf.requires_grad
        twin = next((k for k in range(i) if wanting and leaves[k] is leaf), None)
        arguments.append(_argument(trace, i, leaf) if twin is None else arguments[twin])
        if twin is not None:
            trace.inputs.append(trace.place(arguments[twin].payload.value, "input"))
    given = iter(arguments)
    args, kwargs = filled(args, given), filled(kwargs, given)
    me = get_ident()
    with _gradients_watched():
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
    for i, leaf in enumerate(leaves):
        if (
            isinstance(leaf, Tensor)
            and leaf.requires_grad
            and (id(leaf) in trace.tensors or id(leaf) in trace.gradients)
        ):
            raise CompileError(
                f"compile: argument {i} requires grad, and the step also uses it by another name "
                "(as a parameter of a model or optimizer, or from outside). Use one of the two."
            )
    return Step(trace, result, gradients)


_watchers = 0
_watchers_lock = threading.Lock()


@contextlib.contextmanager
def _gradients_watched() -> Iterator[None]:
    """While a step is watched, every look at a `.grad` passes through the trace, which gives it a
    place in the program, and every assignment to one. For that the attribute becomes a property;
    without a watched step it is the bare slot again, which costs nothing."""
    global _watchers
    with _watchers_lock:
        _watchers += 1
        type.__setattr__(Tensor, "grad", _watched_gradient)
    try:
        yield
    finally:
        with _watchers_lock:
            _watchers -= 1
            if not _watchers:
                type.__delattr__(Tensor, "grad")


_slot: Any = vars(Node)["grad"]


def _read(tensor: Tensor) -> Any:
    trace = open_trace()
    if trace is not None:
        trace.touch(tensor, _slot, cleared=False)
    return _slot.__get__(tensor)


def _assign(tensor: Tensor, value: Any) -> None:
    trace = open_trace()
    if trace is not None:
        trace.touch(tensor, _slot, cleared=True)
    _slot.__set__(tensor, value)


_watched_gradient = property(_read, _assign)


def _argument(trace: Trace, index: int, leaf: Any) -> Tensor:
    """The Tensor that stands for an argument while the step is watched."""
    if isinstance(leaf, Tensor) and leaf.hooks:
        raise CompileError(
            f"compile: argument {index} has a hook, which would be called once and never again. "
            "Do in the step what the hook does."
        )
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
        if type(value.payload) is ndarray and id(value) not in trace.born:
            return value  # from outside, as it is
        return Result(_settled(trace, _traced(trace, value.payload), claimed), value.op is not None)
    if isinstance(value, Traced):
        return Result(_settled(trace, value, claimed), False)
    if type(value) in (tuple, list) or is_named_tuple(value):
        return like(value, [_result(trace, part, arguments, claimed) for part in value])
    if type(value) is dict:
        return {name: _result(trace, part, arguments, claimed) for name, part in value.items()}
    if isinstance(value, (int, float, complex, str, bytes, np.generic, np.dtype, type(None))):
        return value
    return refuse(
        f"the step returns a {type(value).__name__}",
        "A program returns Tensors, numbers of Python, and tuples, lists and dicts of them.",
    )


def _traced(trace: Trace, payload: Any) -> Traced:
    return payload if isinstance(payload, Traced) else trace.lift(payload)


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
        found.append((owner, _settled(trace, _traced(trace, payload), claimed)))
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


def check_repeats(first: Step, second: Step) -> None:
    """Raise where two traces of one step differ: in what they do, in the numbers that they do it
    with, or in what they return."""
    for a, b in zip(first.trace.instructions, second.trace.instructions):
        alike = a.kind == b.kind and a.op is b.op and len(a.inputs) == len(b.inputs)
        if not alike or not all(map(_agree, a.inputs, b.inputs)) or not _same_params(a, b):
            raise CompileError(
                f"compile: at {b.where} the step does not repeat itself: run twice on the same "
                f"arguments, {_named(a)} met other numbers the second time, or was another "
                f"operation. {_CHANGES}"
            )
    counts = len(first.trace.instructions), len(second.trace.instructions)
    if counts[0] != counts[1]:
        raise CompileError(
            "compile: the step does not repeat itself: run twice on the same arguments, it made "
            f"{counts[0]} and then {counts[1]} operations. {_CHANGES}"
        )
    if not _same_result(first.result, second.result):
        raise CompileError(
            "compile: the step does not repeat itself: run twice on the same arguments, it "
            f"returned something else the second time. {_CHANGES}"
        )


_CHANGES = (
    "What changes from call to call (a counter, the time, NumPy's random numbers) must be an "
    "argument of the step, as an array; dropout, tg.rand and tg.randn are drawn anew by themselves."
)


def _same_result(a: Any, b: Any) -> bool:
    if type(a) is not type(b):
        return False
    if isinstance(a, Result):
        return a.recorded is b.recorded and _agree(a.place, b.place)
    if isinstance(a, (tuple, list)):
        return len(a) == len(b) and all(map(_same_result, a, b))
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(_same_result(a[key], b[key]) for key in a)
    return a == b if isinstance(a, Argument) else same(a, b)


def _named(instruction: Any) -> str:
    return instruction.op.name if instruction.op is not None else instruction.kind


def _same_params(a: Any, b: Any) -> bool:
    if a.kind in ("update", "draw", "check") or a.params is b.params:
        return True
    return repr(a.params) == repr(b.params)


def _agree(a: Any, b: Any) -> bool:
    if isinstance(a, Place) != isinstance(b, Place):
        return False
    if not isinstance(a, Place):
        return same(a, b) or (a != a and b != b)
    if a.shape != b.shape or a.dtype != b.dtype or a.kind != b.kind:
        return False
    if a.kind != "outside" or a.array is b.array:
        return True
    return np.array_equal(a.array, b.array, equal_nan=a.dtype.kind == "f")
