"""A compiled step: memory, the calls that work on it, and what a run has to do around them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy import ndarray

from ..graph import recording
from ..kernels.library import HEAD, ffi, lib
from ..op import Op
from ..ops.shape import ANY
from ..tensor import Tensor
from ..writes import marker
from .calls import Builder, Call, InOut, Out, PythonCall, Table
from .guards import Guard
from .host import admission, replay
from .instruction import Place, address
from .interpret import execute
from .lowering import lower
from .plan import ALIGNMENT, TILE, plan
from .simplify import needed, shared, uses
from .step import Result, Step, is_named_tuple

_FROM_A_PROGRAM = (
    "it came out of a compiled step, which leaves no graph: call backward() inside the step"
)


class Program:
    """One trace of a step, ready to be run on arguments of the same shapes and dtypes."""

    def __init__(self, guard: Guard, step: Step, leaves: Sequence[Any]) -> None:
        trace = step.trace
        self.trace = trace
        self.guard = guard
        left = [p for _, p in step.gradients if p is not None]
        instructions, same = shared(trace.instructions, {*_places(step.result), *left})
        self.result = _exchanged(step.result, same)
        gradients = [(owner, same.get(p, p) if p else None) for owner, p in step.gradients]
        leaving = [*_places(self.result), *(p for _, p in gradients if p is not None)]
        instructions = needed(instructions, leaving)
        builder = Builder(trace._count, uses(instructions, leaving))
        lower(builder, instructions, in_c=lib is not None)
        self.calls = builder.calls
        self.conditions = builder.conditions
        self.draws = [i for i in instructions if i.kind == "draw"]
        self.outputs = list(dict.fromkeys(leaving))
        self.arriving = _arriving(trace)
        self.plan = plan(self.calls, self.outputs, builder.over)
        self.numbers = {place: k for k, place in enumerate(self.outputs)}
        self.lock = threading.Lock()
        self.seconds: float | None = None  # what a run in `many` took last
        self.recording = recording()  # whether it was traced outside no_grad()
        self.made, self.recorded = from_a_program, with_a_lost_graph
        # What a run leaves behind.
        self.cleared = [owner for owner, place in gradients if place is None]
        self.gradients = [(owner, self.numbers[place]) for owner, place in gradients if place]
        self.aged = [
            (i.params["optimizer"], i.params["chosen"]) for i in instructions if i.kind == "update"
        ]
        written = _written(instructions, trace)
        self.mark = marker(written) if written else None
        self.memory = memory = Memory(self)
        self.host = replay(self, memory, leaves)
        self.run: Callable[[Sequence[Any]], Any] = self.host.function("run")
        self.leave: Callable[..., None] = self.host.names["leave"]
        self.admission = admission(self, leaves)
        self.admits: Callable[[Sequence[Any]], bool] = self.admission.function("admits")

    # ------------------------------------------------------------------------------------ reading

    @property
    def arena_bytes(self) -> int:
        """The bytes of the arena: what the step computes for itself, parts used over and over."""
        return self.plan.arena

    def __str__(self) -> str:
        from .text import written_out

        return written_out(self)


class Memory:
    """The program's memory and its calls in C's terms."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.arena = np.empty(program.plan.arena + ALIGNMENT, np.uint8)
        base = address(self.arena)
        self.start = -base % ALIGNMENT
        self.base = base + self.start
        self.external = _external(program)
        self.held: list[Any] = []
        self.rules: list[Any] = []  # of the optimizers, which set words before each run
        self.segments = self._segments()
        if lib is not None:
            self.slots = ffi.new("uintptr_t[]", max(len(self.external), 1))
            self.failed = ffi.new("size_t *")

    # One segment is a C program, or one instruction for Python.

    def _segments(self) -> list[Any]:
        segments: list[Any] = []
        run: list[tuple[Any, ...]] = []
        binds: list[tuple[Any, int, int]] = []
        calls = self.program.calls
        ends = dict(self.program.plan.chains)
        i = 0
        while i < len(calls):
            call = calls[i]
            if isinstance(call, PythonCall):
                if run:
                    segments.append(self._finished(run, binds))
                run, binds = [], []
                segments.append(call)
                i += 1
            elif i in ends:
                run.append(self._chain(calls[i : ends[i]], binds))  # type: ignore[arg-type]
                i = ends[i]
            else:
                run.append(self._one(call, binds))
                i += 1
        if run:
            segments.append(self._finished(run, binds))
        return segments

    def _finished(self, run: list, binds: list) -> tuple[Any, list]:
        calls = ffi.new("struct tg_call[]", [(kernel, words) for kernel, words, _ in run])
        bound = ffi.new("struct tg_bind[]", [tuple(bind) for bind in binds])
        program = ffi.new("struct tg_program *", (calls, len(run), bound, len(binds), HEAD))
        self.held.extend((calls, bound))
        return program, [call for _, _, call in run]

    def _one(self, call: Call, binds: list) -> tuple[Any, Any, Call]:
        words = ffi.new("union tg_word[]", len(call.words))
        self.held.append(words)
        for k, word in enumerate(call.words):
            self._put(words, k, word, binds)
        if call.rule is not None:
            call.rule.words.append(words + call.first)
            if call.rule not in self.rules:
                self.rules.append(call.rule)
        return _kernel(call.kernel), words, call

    def _put(self, words: Any, k: int, word: Any, binds: list) -> None:
        """Fill in one word; what can only be known at each run is entered in `binds`."""
        if isinstance(word, (Out, InOut)):
            word = word.place
        if isinstance(word, Place):
            root = word.root
            if root in self.program.plan.registers:
                words[k].n = self.program.plan.registers[root]
            elif root in self.external:
                binds.append((ffi.addressof(words, k), self.external[root], word.offset))
            else:
                words[k].n = self.address(root) + word.offset
        elif isinstance(word, Table):
            inner = ffi.new("union tg_word[]", len(word.members))
            self.held.append(inner)
            for j, member in enumerate(word.members):
                self._put(inner, j, member, binds)
            words[k].p = inner
        elif isinstance(word, float):
            words[k].d = word
        elif isinstance(word, int):
            words[k].i = word
        elif word is not None:
            self.held.append(word)
            words[k].p = word

    def _chain(self, chain: Sequence[Call], binds: list) -> tuple[Any, Any, Call]:
        """The calls of a chain as one call that makes them tile by tile."""
        inner, moves = [], []
        registers = self.program.plan.registers
        for call in chain:
            kernel, words, _ = self._one(
                Call(call.name, call.dtype, _padded(call.words), call.instruction), binds
            )
            inner.append((kernel, words))
            moves.extend(_moves(call, registers))
        used = 1 + max((registers.get(p.root, -1) for c in chain for p in c.writes), default=-1)
        calls = ffi.new("struct tg_call[]", inner)
        how = ffi.new("unsigned char[]", moves)
        size = chain[0].dtype.itemsize
        tiles = ffi.new("struct tg_tiles *", (calls, how, len(inner), TILE, size, used))
        words = ffi.new("union tg_word[]", 2)
        words[0].p, words[1].n = tiles, chain[0].elements
        self.held.extend((calls, how, tiles, words))
        return _kernel("tiles"), words, chain[0]

    # -------------------------------------------------------------------------------------- places

    def address(self, root: Place) -> int:
        """Where a root that stays at one address begins."""
        if root in self.program.plan.offsets:
            return self.base + self.program.plan.offsets[root]
        assert root.array is not None, root
        self.held.append(root.array)
        return address(root.array)

    def array(self, place: Any, arrays: Sequence[ndarray]) -> Any:
        """A place as an array over its memory; a number as it is."""
        if not isinstance(place, Place):
            return place
        root = place.root
        if root in self.external:
            base = arrays[self.external[root]]
        elif root in self.program.plan.offsets:
            begin = self.start + self.program.plan.offsets[root]
            flat = self.arena[begin : begin + root.nbytes].view(root.dtype)
            base = flat.reshape(root.shape)
        else:
            base = root.array
        if place is root or (place.of is not None and place.array is base):
            return base
        return np.asarray(_View(base, place))

    # ------------------------------------------------------------------------------------- running

    def python(self, instruction: Any, arrays: Sequence[ndarray]) -> None:
        """Run an instruction by eager mode's code, on the arrays of this run."""
        outputs = execute(instruction, [self.array(x, arrays) for x in instruction.inputs])
        for place, out in zip(instruction.outputs, outputs):
            if place is not None and not self._dead(place):
                np.copyto(self.array(place, arrays), out)

    def _dead(self, place: Place) -> bool:
        root = place.root
        return root not in self.external and root not in self.program.plan.offsets

    def explain(self, call: Call, arrays: Sequence[ndarray]) -> None:
        """A kernel has refused its arguments: eager mode's code says why."""
        execute(call.instruction, [self.array(x, arrays) for x in call.instruction.inputs])
        raise MemoryError(f"{call.name}: no memory for the work of the kernel.")


class _View:
    """What NumPy makes an array of: a place within an array that need not be dense itself."""

    def __init__(self, base: ndarray, place: Place) -> None:
        self.base = base  # whose memory it is
        start, read_only = base.__array_interface__["data"]
        self.__array_interface__ = {
            "data": (start + place.offset, read_only),
            "shape": place.shape,
            "strides": place.strides,
            "typestr": place.dtype.str,
            "version": 3,
        }


def _kernel(name: str) -> Any:
    return ffi.addressof(lib, f"words_{name}")


def _padded(words: tuple) -> tuple:
    return words + (0,) * (lib.TG_TILE_WORDS - len(words))


def _moves(call: Call, registers: dict[Place, int]) -> list[int]:
    """How each word of an elementwise call differs from tile to tile."""
    moves = [lib.TG_FIXED] * lib.TG_TILE_WORDS
    for k, word in enumerate(call.words):
        place = word.place if isinstance(word, (Out, InOut)) else word
        if isinstance(place, Place):
            in_register = place.root in registers
            moves[k] = lib.TG_REGISTER if in_register else lib.TG_ALONG
    if call.name == "spread":
        moves[1], moves[2], moves[3] = lib.TG_FIXED, lib.TG_BEGIN, lib.TG_LENGTH
    else:
        moves[len(call.words) - 1] = lib.TG_LENGTH
    return moves


# ----------------------------------------------------------------------------- what goes in and out


def from_a_program(array: ndarray) -> Tensor:
    """A result."""
    made = Tensor._of(array)
    made.stash = _FROM_A_PROGRAM
    return made


def with_a_lost_graph(array: ndarray) -> Tensor:
    """What has a graph in eager mode has one here that no backward can follow: it says so, where
    otherwise a part of a gradient would be missing without a word."""
    made = from_a_program(array)
    made.op, made.requires_grad = _COMPILED, True
    return made


_COMPILED = Op(
    "compiled step",
    lambda: None,
    vjps=(),
    domain=(ANY,),
    cases=None,
    inputs=(),
    public=False,
)


def _external(program: Program) -> dict[Place, int]:
    """The places whose arrays come and go with each run, in the order in which `run` is given
    them."""
    arriving = [place for _, place in program.arriving]
    drawn = [instruction.outputs[0] for instruction in program.draws]
    places = [*program.trace.inputs, *arriving, *drawn, *program.outputs]
    return {place: i for i, place in enumerate(places)}


def _arriving(trace: Any) -> list[tuple[Any, Place]]:
    """The `.grad` that a tensor comes with, where the step reads it."""
    read = {
        x.root
        for instruction in trace.instructions
        for x in instruction.inputs
        if isinstance(x, Place)
    }
    return [(owner, place) for owner, place in trace.arrived if place in read]


def _written(instructions: Sequence[Any], trace: Any) -> list[Any]:
    """The tensors that the program writes into."""
    arrays = set()
    for step in instructions:
        if step.kind == "write":
            arrays.add(id(step.inputs[0].array))
        elif step.kind == "update":
            count = len(step.params["chosen"])
            arrays.update(id(place.array) for place in step.inputs[:count])
    return [tensor for tensor in trace.tensors.values() if id(tensor.payload) in arrays]


def _places(result: Any) -> list[Place]:
    if isinstance(result, Result):
        return [result.place]
    parts = result.values() if isinstance(result, dict) else result
    return (
        [place for part in parts for place in _places(part)]
        if isinstance(result, (tuple, list, dict))
        else []
    )


def _exchanged(result: Any, same: dict[Place, Place]) -> Any:
    if isinstance(result, Result):
        return Result(same.get(result.place, result.place), result.recorded)
    if isinstance(result, (tuple, list)):
        parts = [_exchanged(part, same) for part in result]
        return type(result)(*parts) if is_named_tuple(result) else type(result)(parts)
    if isinstance(result, dict):
        return {name: _exchanged(part, same) for name, part in result.items()}
    return result
