"""`tg.compile`: a whole training step as one call of C.

    step.py      run the step once, watched: what it does, returns, leaves behind
    capture.py   the traced payload, and the trace that it is noted in
    simplify.py  common subexpressions, dead code
    lower.py     instructions to calls of C kernels; update.py: those of optimizers
    plan.py      chains of elementwise calls into tiles, values into one block of memory
    program.py   the finished program, and one run of it; text.py: the program to read
    guards.py    what a program takes for granted, looked at before each run
    interpret.py what an instruction means: the specification, and the way without a kernel

docs/compile.md tells it as a story.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from numpy import ndarray

from ..anomaly import watching
from ..errors import CompileError
from ..graph import open_trace, recording
from ..tensor import Tensor
from .capture import Trace, trace
from .program import Program
from .step import check_repeats, taken_apart, watch

__all__ = ["Compiled", "Trace", "compile", "trace"]

MOST_PROGRAMS = 64


class Compiled:
    """A step that is traced when it meets arguments of a new form, and replayed after that."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        self.programs: dict[Any, list[Program]] = {}
        self._latest: Program | None = None
        functools.update_wrapper(self, function, updated=())

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if open_trace() is not None or watching:
            return self.function(*args, **kwargs)  # part of another step; or every value is checked
        leaves: list[Any] = []
        key = (taken_apart((args, kwargs), leaves), recording(), *map(_signature, leaves))
        program = self._found(key)
        if program is None:
            program = self._traced(key, args, kwargs, leaves)
        self._latest = program
        return program.run(leaves)

    @property
    def program(self) -> Program:
        """The program that ran last; print it. Raises CompileError before the first call."""
        if self._latest is None:
            raise CompileError("compile: there is no program before the first call of the step.")
        return self._latest

    def _found(self, key: Any) -> Program | None:
        for program in self.programs.get(key, ()):
            if program.holds():
                return program
        return None

    def _traced(self, key: Any, args: tuple, kwargs: dict, leaves: list[Any]) -> Program:
        step = watch(self.function, args, kwargs, leaves)
        check_repeats(step.trace, watch(self.function, args, kwargs, leaves).trace)
        program = Program(self.function, step)
        known = self.programs.setdefault(key, [])
        known.insert(0, program)
        del known[MOST_PROGRAMS:]
        return program


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
    """
    return Compiled(step)
