"""A whole epoch in one call: batches drawn by index, step after step, without Python between.

The rows of a batch are copied by C to where the program reads them, and each step's results are
written to their own place in an array of all steps' results. C is left now and then, after about a
twentieth of a second: for Ctrl-C, for the callback, and to look whether the program still holds.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy import ndarray

from ..anomaly import watching
from ..dtypes import as_array
from ..errors import (
    ArgumentError,
    CallError,
    CompileError,
    DataError,
    DtypeError,
    RangeError,
    ShapeError,
    TinygradEduError,
)
from ..graph import recording, traces
from ..kernels.library import addresses, ffi, lib
from ..tensor import Tensor
from .program import Program, from_a_program, with_a_lost_graph
from .step import Argument, Result, like

if TYPE_CHECKING:
    from . import Compiled

SECONDS = 0.05


class Batches:
    """Which rows make up which step: all arrays have `n` rows, `order` names those that are
    used."""

    def __init__(self, arrays: Sequence[Any], batch_size: Any, order: Any) -> None:
        if not arrays:
            raise CallError("many: it needs the arrays that the batches are drawn from.")
        self.arrays = [_rows(i, array) for i, array in enumerate(arrays)]
        lengths = {len(array) for array in self.arrays}
        if len(lengths) != 1:
            raise ShapeError(
                f"many: the arrays have {', '.join(map(str, map(len, self.arrays)))} rows: all "
                "must have equally many, one for each example."
            )
        (self.n,) = lengths
        if isinstance(batch_size, bool) or not isinstance(batch_size, (int, np.integer)):
            raise ArgumentError(f"many: batch_size={batch_size!r}: expected a whole number.")
        if batch_size < 1:
            raise ArgumentError(f"many: batch_size={batch_size!r}: expected at least 1.")
        self.batch_size = int(batch_size)
        self.order = np.arange(self.n) if order is None else _order(order, self.n)
        if not len(self.order):
            raise DataError("many: there are no rows to make batches of.", code="empty-data")

    def __len__(self) -> int:
        """The number of steps; the last may be of fewer rows."""
        return -(-len(self.order) // self.batch_size)

    def at(self, step: int) -> list[ndarray]:
        """The batch of one step."""
        rows = self.order[step * self.batch_size : (step + 1) * self.batch_size]
        return [np.take(array, rows, axis=0) for array in self.arrays]


def _rows(index: int, value: Any) -> ndarray:
    array = np.ascontiguousarray(value.payload if isinstance(value, Tensor) else as_array(value))
    if not array.ndim:
        raise ShapeError(f"many: array {index} has no axis: expected one row for each example.")
    return array


def _order(order: Any, n: int) -> ndarray:
    rows = np.asarray(order.payload if isinstance(order, Tensor) else order)
    rows = rows if rows.size else rows.astype(np.int64)  # an empty list has no dtype of its own
    if rows.dtype.kind not in "iu" or rows.ndim != 1:
        raise DtypeError(
            f"many: order has shape {rows.shape} and dtype {rows.dtype}: expected row numbers, "
            "integers of shape (m,).",
            code="not-an-integer-dtype",
        )
    if rows.size and not (rows.min() >= 0 and rows.max() < n):
        wrong = int(rows.min() if rows.min() < 0 else rows.max())
        raise RangeError(f"many: order holds row {wrong}, but the arrays have rows 0 to {n - 1}.")
    return np.ascontiguousarray(rows, np.int64)


def run_many(step: Compiled, batches: Batches, callback: Callable[[int, int], Any] | None) -> Any:
    """Run `step`, a Compiled, on every batch: what it returns, stacked along a new first axis."""
    stacks: list[list[ndarray]] = []
    form: Any = None
    count, done = len(batches), 0
    full = len(batches.order) // batches.batch_size
    while done < count:
        run = _in_c(step, batches) if done < full else None
        if run is not None:
            form, done = run.program.result, run.through(done, full, stacks, callback)
        else:
            try:
                form = step(*batches.at(done))
            except TinygradEduError as error:
                _locate(error, done, count)
                raise
            stacks.append([x[np.newaxis] for x in _numbers(form)])
            done += 1
        if callback is not None and (run is None or done == full):
            callback(done, count)
    joined = [
        (with_a_lost_graph if _has_graph(part) else from_a_program)(_whole(parts))
        for part, parts in zip(_listed(form), zip(*_alike(stacks)))
    ]
    return like(form, joined) if isinstance(form, (tuple, list)) else joined[0] if joined else None


def _has_graph(part: Any) -> bool:
    return part.recorded if isinstance(part, Result) else part.requires_grad


def _whole(parts: Sequence[ndarray]) -> ndarray:
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def _in_c(step: Compiled, batches: Batches) -> _Run | None:
    """The step's latest program on these batches, if it runs without Python, and still holds."""
    program = step._shown
    if program is None or watching or traces or program.recording is not recording():
        return None
    run = _Run(program, batches) if _runs_alone(program) else None
    return run if run is not None and program.admits(run.leaves) else None


def _locate(error: TinygradEduError, done: int, count: int) -> None:
    """Have `error` say in which step it arose; a step that cannot be compiled cannot in any."""
    error.step = done
    if not isinstance(error, CompileError):
        error.add_note(f"In step {done + 1} of {count} of Compiled.many.")


def _numbers(result: Any) -> list[ndarray]:
    """The arrays in what a step returns: nothing, a Tensor, or a tuple or list of them."""
    if result is None:
        return []
    parts = list(result) if isinstance(result, (tuple, list)) else [result]
    if not all(isinstance(part, Tensor) for part in parts):
        raise CallError(
            f"many: the step returns {result!r}: expected a Tensor, or a tuple or list of them, "
            "which can be stacked."
        )
    return [part.payload for part in parts]


def _alike(stacks: list[list[ndarray]]) -> list[list[ndarray]]:
    """The stacks, if each of them has results of the shapes of the first."""
    shapes = {tuple(x.shape[1:] for x in stack) for stack in stacks}
    if len(shapes) > 1:
        raise ShapeError(
            f"many: the results of the steps have different shapes, {sorted(shapes)}: the last "
            "batch is shorter. Return what does not depend on the batch, such as the loss, or pass "
            "an order whose length is a multiple of batch_size."
        )
    return stacks


def _runs_alone(program: Program) -> bool:
    """Whether nothing of Python takes part in a run: one piece of C, nothing drawn, no gradient
    that is added to or belongs to an argument, no result but what the program makes."""
    segments = program.memory.segments
    return (
        lib is not None
        and len(segments) == 1
        and isinstance(segments[0], tuple)
        and not (program.draws or program.arriving)
        and not any(isinstance(owner, Argument) for owner, _ in program.gradients)
        and not any(isinstance(owner, Argument) for owner in program.cleared)
        and all(isinstance(result, Result) for result in _listed(program.result))
    )


class _Run:
    """A program's memory for many runs."""

    def __init__(self, program: Program, batches: Batches) -> None:
        self.program, self.batches = program, batches
        size = batches.batch_size
        self.leaves = [np.empty((size, *a.shape[1:]), a.dtype) for a in batches.arrays]
        found = addresses([*self.leaves, *batches.arrays])
        self.sources = ffi.new("struct tg_source[]", len(self.leaves))
        for i, batch in enumerate(self.leaves):
            self.sources[i].batch = ffi.cast("char *", found[i])
            self.sources[i].rows = ffi.cast("char *", found[len(self.leaves) + i])
            self.sources[i].row_bytes = batch.nbytes // size

    def through(
        self,
        done: int,
        full: int,
        stacks: list[list[ndarray]],
        callback: Callable[[int, int], Any] | None,
    ) -> int:
        """As many of the full batches as the program holds for, about a twentieth of a second at a
        time: returns how many are done in all."""
        program = self.program
        while True:
            seconds = program.seconds or SECONDS
            count = max(1, min(full - done, int(SECONDS / max(seconds, 1e-7))))
            began = time.perf_counter()
            stacks.append(self.steps(done, count))
            program.seconds = (time.perf_counter() - began) / count
            done += count
            if done < full and callback is not None:
                callback(done, len(self.batches))
            if done == full or not program.admits(self.leaves):
                return done

    def steps(self, first: int, count: int) -> list[ndarray]:
        """The results of `count` steps from number `first` on, stacked."""
        program, size = self.program, self.batches.batch_size
        results = [result.place for result in _listed(program.result)]
        made = [
            np.empty((count if place in results else 1, *place.shape), place.dtype)
            for place in program.outputs
        ]
        found = addresses([*self.leaves, *made])
        moves = [place.nbytes if place in results else 0 for place in program.outputs]
        order = self.batches.order[first * size :]
        moved = ffi.new("size_t[]", [0] * len(self.leaves) + moves)
        held: list[Any] = []
        code, calls = program.memory.segments[0]
        done, failed = ffi.new("size_t *"), program.memory.failed
        with program.lock:
            for rule in program.memory.rules:
                rule.prepare()
            varying = self._varying(count, held)
            rows = self.sources, len(self.leaves), ffi.from_buffer("int64_t[]", order), size
            how = (found, moved, len(moved), *rows, varying, len(varying))
            status = lib.tg_run_many(code, ffi.new("struct tg_many *", how), count, done, failed)
            steps = int(done[0])
            program.leave((), steps, *[array[max(min(steps, len(array)) - 1, 0)] for array in made])
            if status:
                try:
                    batch = (*self.leaves, *[array[min(steps, len(array) - 1)] for array in made])
                    program.memory.explain(calls[failed[0]], batch)
                except TinygradEduError as error:
                    _locate(error, first + steps, len(self.batches))
                    raise
        return [made[program.numbers[place]] for place in results]

    def _varying(self, count: int, held: list[Any]) -> Any:
        """The words that hold another value at each step; their columns of values are `held`."""
        entries: list[Any] = []
        for rule in self.program.memory.rules:
            for k, values in rule.varying(count):
                column = ffi.new("double[]", values)
                held.append(column)
                values = ffi.cast("union tg_word *", column)  # a word is as large as a double
                entries.extend((words + k, values) for words in rule.words)
        return ffi.new("struct tg_varying[]", entries)


def _listed(result: Any) -> list[Any]:
    if result is None:
        return []
    return list(result) if isinstance(result, (tuple, list)) else [result]
