"""`tg.compile`: a whole training step as one call of C.

    step.py      run the step once, watched: what it does, returns, leaves behind
    capture.py   the traced payload, and the trace that it is noted in, in the words of
                 instruction.py
    simplify.py  common subexpressions, dead code
    lowering/    instructions to calls of C kernels: rows, by family
    plan.py      chains of elementwise calls into tiles, values into one block of memory
    program.py   the finished program: its memory and its calls; text.py: the program to read
    reach.py     what the Python of a step can reach by name
    guards.py    what a program takes for granted; host.py: the Python around its calls
    many.py      an epoch of runs in one call
    tape.py      functions of Values: tape_code.py, tape_run.py, tape_graph.py, tape_watch.py
    interpret.py what an instruction means: the specification, and the way without a kernel

docs/compile.md tells it as a story.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from operator import is_
from types import MethodType
from typing import Any

from numpy import ndarray

from ..anomaly import watching
from ..errors import CallError, CompileError
from ..graph import open_trace, recording, silenced, traces
from ..tensor import Tensor
from .capture import Trace, trace
from .guards import Guard
from .many import Batches, run_many
from .program import Program
from .reach import Reach
from .step import check_repeats, filled, objects, taken_apart, watch
from .tape import CompiledScalars, compile_scalars

__all__ = ["Compiled", "Trace", "compile", "trace"]

MOST_PROGRAMS = 64


class Compiled:
    """A step that is traced when it meets arguments of a new form, and replayed after that."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        self.programs: dict[Any, list[Program]] = {}
        self._latest: Program | None = None  # what `args` are looked at for first
        self._shown: Program | None = None
        self.scalars: CompiledScalars | None = None  # of a function of Values
        functools.update_wrapper(self, function, updated=())

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        program = self._latest
        if (
            program is not None
            and not (kwargs or traces or watching)
            and (not silenced if program.recording else not recording())
            and program.admits(args)
        ):
            return program.run(args)
        if self.scalars is not None:
            return self.scalars(*args, **kwargs)
        leaves: list[Any] = []
        form = taken_apart((args, kwargs), leaves)
        if watching or open_trace() is not None:  # every value is checked; or part of another step
            tensors = iter([x if isinstance(x, Tensor) else Tensor(x) for x in leaves])
            return self.function(*filled(args, tensors), **filled(kwargs, tensors))
        key = (form, recording(), *map(_signature, leaves))
        try:
            program = self._found(key, leaves) or self._traced(key, args, kwargs, leaves)
        except CallError as error:
            if error.code != "value-or-tensor":
                raise
            self.scalars = compile_scalars(self.function)
            return self.scalars(*args, **kwargs)
        flat = not kwargs and len(leaves) == len(args) and all(map(is_, leaves, args))
        self._latest = program if flat else None
        self._shown = program
        return program.run(leaves)

    def many(
        self,
        *arrays: Any,
        batch_size: int,
        order: Any = None,
        callback: Callable[[int, int], Any] | None = None,
    ) -> Any:
        """Call the step on one batch after the other, an epoch in one call of C.

        arrays: the arguments of the step for all examples, (n, ...) each. `order`: the rows to use,
        integers (m,), m // batch_size steps and one more for what is left; all rows in their order
        by default, and `rng.permutation(n)` to shuffle. The step returns a Tensor, or a tuple or
        list of them: what comes back is the same with the results of all steps stacked along a new
        first axis, (steps, ...).

        `callback(done, steps)` is called about every twentieth of a second and at the end; Ctrl-C
        is answered as often, and what was done until then has been done. What it changes (a
        learning rate) takes effect at once. A step that draws random numbers, or uses operations
        without a C kernel, is called batch by batch. Raises ShapeError for arrays of unequal
        lengths or results of unequal shapes, DtypeError and IndexError for a wrong order. An error
        that arises in a step has its number, counted from 0, as `error.step`; the steps before have
        been done, and their results are lost.
        """
        if callback is not None and not callable(callback):
            raise CallError(f"many: callback={callback!r} cannot be called: expected a function.")
        return run_many(self, Batches(arrays, batch_size, order), callback)

    @property
    def program(self) -> Program:
        """The program that ran last; print it. Raises CompileError before the first call."""
        if self._shown is None:
            raise CompileError("compile: there is no program before the first call of the step.")
        return self._shown

    def _found(self, key: Any, leaves: list[Any]) -> Program | None:
        for program in self.programs.get(key, ()):
            if program.admits(leaves):
                return program
        return None

    def _traced(self, key: Any, args: tuple, kwargs: dict, leaves: list[Any]) -> Program:
        reach = Reach((self.function, *objects((args, kwargs))))
        step = watch(self.function, args, kwargs, leaves)
        reach.check_left_alone(self.function)
        check_repeats(step, watch(self.function, args, kwargs, leaves))
        reach.check_left_alone(self.function)
        program = Program(Guard(reach, step.trace), step, leaves)
        known = self.programs.pop(key, [])
        known.insert(0, program)
        del known[MOST_PROGRAMS:]
        self.programs[key] = known  # the youngest last
        if len(self.programs) > MOST_PROGRAMS:
            del self.programs[next(iter(self.programs))]
        return program

    def __get__(self, owner: Any, kind: Any = None) -> Any:
        """As a function does: called as a method, the object is the first argument."""
        return self if owner is None else MethodType(self, owner)


def _signature(leaf: Any) -> tuple:
    if isinstance(leaf, ndarray):
        return leaf.shape, leaf.dtype
    assert isinstance(leaf, Tensor)
    return leaf.shape, leaf.dtype, leaf.requires_grad, leaf.grad is None


def compile(step: Callable[..., Any]) -> Compiled:
    """`step`, a function of arrays and Tensors, as a function that does the same in one call of C.

    In it anything may happen that is made of operations of tinygrad_edu: forward only, or forward,
    `backward()` and `optimizer.step()` together. The first call with arguments of new shapes or
    dtypes runs the Python once (twice, to see that it repeats itself), watched, and makes a program
    of what it did; further calls run the program. Results, gradients and parameters are those of
    eager mode.

    A function of Values (tg.scalar) becomes a tape, another loop in C: it returns the loss, and
    `backward()` and the update stay outside it; see `compile_scalars` in tape.py.

    Raises CompileError, at the first call, for what cannot be compiled: the message says what, at
    which line, and what to write instead.
    """
    if not callable(step):
        raise CallError(f"compile: {step!r} cannot be called: expected a function, the step.")
    return Compiled(step)
