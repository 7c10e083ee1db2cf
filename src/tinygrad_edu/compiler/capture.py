"""The fourth payload: an array with a place in a program.

A `Traced` carries the numbers of the call that is being watched, so shapes and dtypes come from the
operations themselves and no shape rule is written twice. Every operation on one is computed at once
and also noted as an instruction. Put inside a Tensor, it lets the whole engine run unchanged:
forward, backward and optimizer all end up in the program.

A `Trace` is what is noted. While one is open on a thread (`graph.traces`), Tensors of that thread
hand their operations the traced form of their arrays, so that what is computed from parameters
alone is noted too.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy import ndarray

from ..errors import CompileError
from ..graph import Node, Recorder
from ..op import NO_PARAMS, Op, apply
from ..ops.shape import getitem
from ..writes import mark_written
from .instruction import Instruction, Place, address

PACKAGE = str(Path(__file__).parent.parent)
LIBRARIES = sys.stdlib_module_names | {"numpy", "tinygrad_edu"}  # whose code is nobody's own


def source_line() -> str:
    """file:line of the user's code that is running: the innermost frame outside this package, NumPy
    and Python's own library."""
    frame: Any = sys._getframe(1)
    while frame is not None and (
        frame.f_code.co_filename.startswith(PACKAGE)
        or frame.f_globals.get("__name__", "").partition(".")[0] in LIBRARIES
    ):
        frame = frame.f_back
    return f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}" if frame is not None else "?"


def refuse(what: str, instead: str, code: str | None = None) -> NoReturn:
    """Stop the trace: what cannot be compiled, at which line, what to write instead."""
    raise CompileError(f"compile: {what} (at {source_line()}). {instead}", code=code)


@dataclass(eq=False)
class Trace:
    """What a watched function does: instructions in order, the places that they speak of, and
    whatever a replay has to look at first: the tensors and modules that took part."""

    instructions: list[Instruction] = field(default_factory=list)
    inputs: list[Place] = field(default_factory=list)
    outputs: list[Place] = field(default_factory=list)
    tensors: dict[int, Any] = field(default_factory=dict)
    modules: dict[int, Any] = field(default_factory=dict)
    optimizers: dict[int, Any] = field(default_factory=dict)
    gradients: dict[int, tuple] = field(default_factory=dict)  # tensor, its .grad before
    without_gradient: list[Any] = field(default_factory=list)  # had none, which the step relies on
    arrived: list[tuple[Any, Place]] = field(default_factory=list)  # the "gradient" places
    born: set[int] = field(default_factory=set)  # ids of tensors made in the step
    building: dict[int, Any] = field(default_factory=dict)  # modules made in the step
    open: bool = True
    _lifted: dict[int, Traced] = field(default_factory=dict)
    _count: int = 0

    # ----------------------------------------------------------------------------------- places

    def place(self, value: ndarray, kind: str = "made") -> Place:
        """A new place for a value like `value`."""
        made = Place(self._count, value.shape, value.dtype, kind, value.strides)
        self._count += 1
        if kind in ("outside", "gradient"):
            made.array = value
        return made

    def lift(self, array: ndarray) -> Traced:
        """The traced form of an array from outside; the same array always has the same one, until
        it is written into."""
        known = self._lifted.get(id(array))
        if known is None:
            known = self._lifted[id(array)] = Traced(self, array, self.place(array, "outside"))
        return known

    def lift_tensors(self, inputs: tuple, payloads: Sequence) -> list:
        """`payloads` of the operands `inputs` with arrays in their traced form."""
        lifted = list(payloads)
        for i, (x, payload) in enumerate(zip(inputs, payloads)):
            if type(payload) is ndarray and isinstance(x, Node):
                if x.op is not None and x.requires_grad:
                    self.refuse_outside(x)
                self.tensors.setdefault(id(x), x)
                lifted[i] = self.lift(payload)
        return lifted

    def refuse_outside(self, tensor: Any) -> None:
        """Stop where a graph that was recorded before the step would have to be followed into it:
        a replay has no such graph."""
        if tensor.op is not None:
            refuse(
                f"a tensor is used that {tensor.op.name} computed before the step, and that has a "
                "graph",
                "The graph would be lost at the border of the step: compute it in the step, or use "
                "t.detach().",
            )

    def run(self, *arrays: ndarray) -> list[ndarray]:
        """The outputs for other arrays of the same shapes, instruction by instruction: the
        specification of a replay."""
        from .interpret import interpret  # which is built on this file

        return interpret(self, arrays)

    # ------------------------------------------------------------------------------------ notes

    def note(self, kind: str, op: Any, inputs: Sequence, params: dict, outputs: Sequence) -> None:
        """Enter an instruction; arrays among the inputs are from outside."""
        placed = tuple([self.placed(x) for x in inputs])
        self.instructions.append(
            Instruction(kind, op, placed, params, tuple(outputs), source_line())
        )

    def placed(self, x: Any) -> Any:
        """An input as the program knows it: a Place, or the Python number itself."""
        if isinstance(x, Traced):
            if x.trace is not self:
                refuse(
                    "a value that belongs to another call is used",
                    "It was kept while another compiled step was traced. Return it from that step.",
                )
            return x.place
        if x is None or type(x) in (float, int, bool):
            return x
        return self.lift(np.asarray(x)).place

    def touch(self, tensor: Any, slot: Any, *, cleared: bool) -> None:
        """Remember the `.grad` that a tensor came with, which is in `slot`: a trace leaves it as it
        was. `cleared`: it is about to be thrown away, and does not matter."""
        if id(tensor) in self.gradients or id(tensor) in self.born:
            return
        try:
            held = slot.__get__(tensor)
        except AttributeError:  # just now being made
            self.born.add(id(tensor))
            return
        if held is not None and not isinstance(held, Node):
            refuse(
                f"the .grad of a tensor of shape {tensor.shape} is a {type(held).__name__}",
                "Put a Tensor there: t.grad = tg.Tensor(array).",
            )
        if held is None and not cleared:
            self.without_gradient.append(tensor)
        self.gradients[id(tensor)] = (tensor, held)
        if isinstance(held, Node) and type(held.payload) is ndarray:
            # From here on it is the `.grad` that any later call comes with.
            arrived = Traced(self, held.payload, self.place(held.payload, "gradient"))
            self.arrived.append((tensor, arrived.place))
            made: Any = type(tensor)._of(arrived)
            made.stash = held.stash
            slot.__set__(tensor, made)

    def write(self, target: Any, value: Traced) -> None:
        """Note that `value` is written into the memory of the leaf, or array, `target`."""
        array = target.payload if isinstance(target, Node) else target
        if type(array) is not ndarray:
            refuse(
                "a tensor that the step itself computed, or was given, is written into",
                "Build a new one: x = x + 1, tg.where, tg.concatenate.",
            )
        if isinstance(target, Node):
            self.tensors.setdefault(id(target), target)
        self.note("write", None, (self.lift(array), value), NO_PARAMS, ())
        self.written(array)

    def written(self, array: ndarray) -> None:
        """From now on `array` holds other numbers, at another place of the same memory."""
        before = self.lift(array).place
        after = self.place(array, "outside")
        after.of, after.array = before.root, array
        self._lifted[id(array)] = Traced(self, array, after)

    def step(self, optimizer: Any) -> None:
        """Note a step of `optimizer` on every parameter that has a gradient."""
        self.optimizers.setdefault(id(optimizer), optimizer)
        chosen = [i for i, p in enumerate(optimizer.params) if p.grad is not None]
        due = [optimizer.params[i] for i in chosen]
        if not due:
            return
        for p in due:
            self.tensors.setdefault(id(p), p)
        grads = [p.grad.payload for p in due]
        arrays = [p.payload for p in due]
        for p in due:
            if p.grad.payload.shape != p.payload.shape:
                optimizer._refuse(p)
        earlier = sum(
            x.kind == "update" and x.params["optimizer"] is optimizer for x in self.instructions
        )
        params = {"optimizer": optimizer, "chosen": chosen, "earlier": earlier}
        self.note("update", None, (*map(self.lift, arrays), *grads), params, ())
        for array in arrays:
            self.written(array)
        mark_written(*due)

    def sets(self, module: Any, name: str, value: Any) -> bool:
        """Whether an attribute of a module has this value already, as by train() in each step. Stop
        where the step sets another; in a module that it has just made, it may."""
        if not vars(module) and id(module) not in self.modules:
            self.building[id(module)] = module
        if id(module) in self.building:
            return False
        if value is None or getattr(module, name, None) is not value:
            refuse(
                f"the step sets {type(module).__name__}.{name}, which a program would do once, and "
                "never again",
                "Set it outside the step, or return what is to be kept.",
            )
        return True

    def check(self, value: Traced, refuse: Callable[[ndarray], Any]) -> None:
        """Note that the numbers of `value` must be finite at this point of the step: where they are
        not, `refuse(numbers)` raises, and nothing that comes after has been done."""
        self.note("check", None, (value,), {"refuse": refuse}, ())

    def refuse_numbers(self, what: str, instead: str) -> NoReturn:
        """Stop: `what` would take numbers out of the step, where they change from call to call."""
        refuse(
            f"{what} reads the numbers of a tensor, and the program would go on with those of "
            "the first call",
            instead
            or "Return the tensor from the step and read it there; choose between values "
            "with tg.where; decide what does not depend on them before the step.",
            code="traced-value",
        )

    def refuse_random(self, what: str, instead: str) -> NoReturn:
        """Stop: `what` would happen to a generator once, and not at each call."""
        refuse(f"{what} would move the stream of random numbers only once", instead)

    def draw(self, draw: Callable[[], ndarray], example: ndarray) -> Traced:
        """An array that `draw` makes anew before each run; `example` is what it looks like."""
        made = Traced(self, example, self.place(example, "drawn"))
        self.note("draw", None, (), {"draw": draw}, (made.place,))
        return made


class Traced(Recorder):
    """An array while it is watched: the numbers of this call, and their place in the program."""

    __slots__ = ("trace", "place", "value", "__weakref__")
    __hash__ = object.__hash__
    __array_ufunc__ = None

    def __init__(self, trace: Trace, value: ndarray, place: Place | None = None) -> None:
        self.trace = trace
        self.value = value
        self.place = place or trace.place(value)

    def lie_dense(self) -> None:
        """What the program computes lies side by side in C order; NumPy keeps the order of its
        operands, as in x.T + 1."""
        if self.place.of is None and not self.value.flags.c_contiguous:
            self.value = self.value.copy(order="C")
            self.place.strides = self.value.strides

    @classmethod
    def record(cls, op: Op, inputs: tuple, params: dict[str, Any] = NO_PARAMS) -> Any:
        """Compute `op` and note it; a Tensor among the inputs records first and comes back with its
        payload."""
        for x in inputs:
            if isinstance(x, Node):
                return x.record(op, inputs, params)
        trace = _open_trace(inputs, op)
        out = apply(op, tuple([_number(x) for x in inputs]), params)
        stash = None
        if op.stash:
            out, stash = out
        made = cls(trace, np.asarray(out))
        if op.view:
            _look_into(made, inputs[0])
        made.lie_dense()
        left = [cls(trace, a) for a in _arrays(stash)]
        for x in left:
            x.lie_dense()
        trace.note("forward", op, inputs, params, [made.place, *(x.place for x in left)])
        if not op.stash:
            return made
        return made, (tuple(left) if isinstance(stash, tuple) else left[0] if left else None)

    @classmethod
    def record_vjp(
        cls, op: Op, g: Any, out: Any, values: Sequence, params: dict, needs: Sequence, stash: Any
    ) -> Any:
        """The vjp kernel of `op`, noted as one instruction; NotImplemented where it does not
        apply and the formulas have to be traced."""
        left = stash if isinstance(stash, tuple) else () if stash is None else (stash,)
        numbers = tuple(map(_number, left)) if isinstance(stash, tuple) else _number(stash)
        arrays = [_number(x) for x in values]
        assert op.kernel_vjp is not None
        results = op.kernel_vjp(_number(g), _number(out), arrays, params, needs, numbers)
        if results is NotImplemented:
            return NotImplemented
        trace = out.trace
        made = [
            cls(trace, np.asarray(x)) if x is not None and need else None
            for x, need in zip(results, needs)
        ]
        for x in made:
            if x is not None:
                x.lie_dense()
        places = [None if x is None else x.place for x in made]
        trace.note("vjp", op, (g, out, *values, *left), params, places)
        return made

    def beside(self, numbers: ndarray) -> Traced:
        """An array from outside, read anew at each run."""
        return self.trace.lift(numbers)

    def write_into(self, target: Any) -> None:
        """Note that these numbers are written into the leaf, or array, `target`."""
        self.trace.write(target, self)

    __getitem__ = getitem

    shape = property(lambda self: self.value.shape)
    dtype = property(lambda self: self.value.dtype)
    ndim = property(lambda self: self.value.ndim)
    size = property(lambda self: self.value.size)

    def ones_like(self) -> ndarray:
        """Ones of this shape and dtype: where a backward starts."""
        return np.ones_like(self.value)

    def __bool__(self) -> bool:
        refuse(
            "a branch on a traced value",
            "The program would freeze one branch: choose with tg.where, or decide outside the "
            "step.",
            code="traced-value",
        )

    def __float__(self) -> float:
        refuse(
            "a traced value is read as a number",
            "It changes from call to call: return it, and read it after the step.",
            code="traced-value",
        )

    __int__ = __index__ = item = tolist = __float__

    def __repr__(self) -> str:
        return f"Traced({self.place}, {self.dtype}{list(self.shape)})"


def _open_trace(inputs: tuple, op: Op) -> Trace:
    trace = next(x.trace for x in inputs if isinstance(x, Traced))
    if not trace.open:
        refuse(
            f"{op.name} is given a value that was kept from inside a compiled step",
            "Such a value has no numbers after the step: return it from the step.",
        )
    return trace


def _number(x: Any) -> Any:
    return x.value if isinstance(x, Traced) else x


def _arrays(stash: Any) -> tuple:
    if stash is None:
        return ()
    return stash if isinstance(stash, tuple) else (stash,)


def _look_into(made: Traced, source: Any) -> None:
    """Give the place of a view the place that it looks into, if it shares its memory."""
    if not isinstance(source, Traced) or not np.may_share_memory(made.value, source.value):
        return
    place, base = made.place, source.place
    place.of = base.root
    place.offset = base.offset + address(made.value) - address(source.value)
    place.kind = base.kind


def trace(function: Callable, arrays: Sequence[ndarray]) -> Trace:
    """Run `function` once on `arrays`, watched, and return what it did.

    `function` gets one Traced for each array and returns a Traced or a sequence of them. What it
    computes from other plain arrays alone is computed now.
    """
    made = Trace()
    watched = []
    for array in map(np.asarray, arrays):
        watched.append(Traced(made, array, made.place(array, "input")))
    made.inputs = [x.place for x in watched]
    results = function(*watched)
    results = results if isinstance(results, (tuple, list)) else (results,)
    made.outputs = [made.placed(x) for x in results]
    made.open = False
    return made
