"""The step that training repeats, run as a compiled program where it can be one.

    zero_grad, forward, loss, is it finite?, backward, the optimizer's step

The function is written once. `tg.compile` makes a program of it, and on an ArrayDataset whole
stretches of an epoch are one call of C (`Compiled.many`). The invariant: numbers and order are
those of the function itself, which takes over as soon as something cannot be compiled, and
`because` then says what.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

import numpy as np

from ..compiler import compile as compiled
from ..data import ArrayDataset, DataLoader
from ..errors import AnomalyError, CallError, CompileError, ShapeError
from ..graph import open_trace
from ..kernels import info
from ..tensor import Tensor

NOT_FINITE = "non-finite-loss"
NOT_ASKED = "compile=False"
NO_KERNELS = "the kernels are NumPy's, with which a program gains nothing"
MOST_FORMS = 8  # to compile once more takes as long as some hundred steps of a small network


class Steps:
    """Batch after batch. `say` is told, in one sentence, if compiling ends; `because` keeps why."""

    def __init__(
        self,
        model: Any,
        loss: Callable[..., Any],
        optimizer: Any,
        *,
        compile: bool | None,
        with_outputs: bool,
        say: Callable[[str], Any],
    ) -> None:
        # A partial, whose parts the compiler can see: what they name is watched for changes.
        self.step = functools.partial(_step, model, loss, optimizer, with_outputs)
        self.say = say
        self.because: str | None = None
        self.fast = None
        if compile is False:
            self.because = NOT_ASKED
        elif info()["kernels"] == "c":
            self.fast = compiled(self.step)
        elif compile:
            self._give_up(NO_KERNELS)
        else:
            self.because = NO_KERNELS

    def epoch(self, loader: DataLoader, seen: Any, tick: Callable[[int], Any]) -> None:
        """Learn from every batch of `loader`; losses, outputs and targets are entered in `seen`.

        `tick(number)` is called after batch `number`, or about every twentieth of a second where C
        runs many. Raises AnomalyError for a loss that is not finite, whose `step` is the batch,
        counted from 0, that has changed nothing.
        """
        number = 1
        try:
            batches, done, step = self._stretch(loader, seen, tick)
            for number, batch in enumerate(batches, start=done + 1):
                seen.add(*_parts(step(*batch)), batch[-1].payload)
                tick(number)
        except AnomalyError as error:
            if error.step is None:
                error.step = number - 1
            raise

    def _stretch(self, loader: DataLoader, seen: Any, tick: Callable[[int], Any]) -> tuple:
        """Run the full batches of arrays in C: (the batches that are left, how many are done, the
        function to run them by). The incomplete one at the end is left to Python: a program of its
        own would pay only after some forty epochs."""
        if self.fast is None or type(loader) is not DataLoader:
            return loader, 0, self._one
        data, size = loader.dataset, loader.batch_size
        if type(data) is not ArrayDataset or len(data) < size:
            return loader, 0, self._one
        order = loader.order()
        rows = np.arange(len(data)) if order is None else order
        rows = rows[: len(loader) * size]
        done = len(rows) // size
        try:
            results = self.fast.many(
                *data.arrays,
                batch_size=size,
                order=rows[: done * size],
                callback=lambda number, _: tick(number),
            )
        except CompileError as error:
            if error.step:
                raise  # with steps done whose figures are lost
            self._give_up(_sentence(error))
            done = 0
        else:
            seen.add_many(*_parts(results), data.arrays[-1][rows[: done * size]])
            self._count_forms()
        return _left(data, rows, done * size, size), done, self.step

    def _one(self, *batch: Tensor) -> Any:
        """The step on one batch, compiled if that goes."""
        if self.fast is None:
            return self.step(*batch)
        try:
            made = self.fast(*batch)
        except CompileError as error:  # from the trace, which leaves nothing behind
            self._give_up(_sentence(error))
            return self.step(*batch)
        self._count_forms()
        return made

    def _count_forms(self) -> None:
        assert self.fast is not None
        count = sum(map(len, self.fast.programs.values()))
        if count > MOST_FORMS:
            self._give_up(
                f"the step was compiled {count} times, since the shapes of the batches, or "
                "attributes of the model, change again and again"
            )

    def _give_up(self, because: str) -> None:
        self.fast, self.because = None, because
        self.say(f"fit: training goes on without a compiled step: {because}")


def _step(
    model: Any, loss: Callable[..., Any], optimizer: Any, with_outputs: bool, *batch: Tensor
) -> Any:
    """The training step on one batch: the loss, with the outputs if wanted."""
    *inputs, target = batch
    optimizer.zero_grad()
    output = model(*inputs)
    value = single(loss(output, target))
    require_finite(value)
    value.backward()
    optimizer.step()
    return (value, output) if with_outputs else value


def single(loss: Any) -> Tensor:
    """The loss, if it is a Tensor of one number; CallError or ShapeError for another."""
    if not isinstance(loss, Tensor):
        raise CallError(
            f"the loss is {loss!r} ({type(loss).__name__}); expected a Tensor, whose graph "
            "backward follows: return the loss itself, without .item(), float() or .numpy()."
        )
    if loss.size != 1:
        raise ShapeError(
            f'the loss has shape {loss.shape}; expected a single number: use reduction="mean".',
            code="non-scalar-loss",
        )
    return loss


def require_finite(loss: Tensor) -> None:
    """Raise AnomalyError for NaN and inf: at once, or whenever a program comes to this point."""
    trace = open_trace()
    if trace is not None:
        trace.check(loss.payload, _refuse)
    elif not math.isfinite(loss.item()):
        _refuse(loss.payload)


def _refuse(numbers: np.ndarray) -> NoReturn:
    raise AnomalyError(f"the loss is {float(numbers.item())}", code="non-finite-loss")


def _parts(made: Any) -> tuple[np.ndarray, np.ndarray | None]:
    """(losses, outputs) of what the step returns, or many steps do."""
    loss, output = made if isinstance(made, tuple) else (made, None)
    return loss.payload, None if output is None else output.payload


def _left(data: Any, rows: np.ndarray, start: int, size: int) -> Iterator[tuple[Tensor, ...]]:
    """The batches from row `start` on."""
    for begin in range(start, len(rows), size):
        yield tuple(Tensor(array) for array in data[rows[begin : begin + size]])


def _sentence(error: CompileError) -> str:
    return " ".join(str(error.args[0]).removeprefix("compile: ").split())
