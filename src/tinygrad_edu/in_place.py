"""How the numbers of an array in the graph are written over, and when that is refused.

A tensor that requires grad is written into under no_grad() only, or through its `data`. Each write
is noted (see writes.py), so that a backward that needs the old numbers can refuse.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy import ndarray

from .array_node import ArrayNode
from .errors import GraphError, ShapeError
from .graph import Recorder, recording, traces
from .writes import mark_handed_out, mark_replaced, mark_written


class WritableNode(ArrayNode):
    """An array in the graph that can be written into."""

    __slots__ = ()

    def memory(self) -> Any:
        """The array that owns the memory; a view has it as its base."""
        owner = self.payload
        while type(owner) is ndarray and owner.base is not None and isinstance(owner.base, ndarray):
            owner = owner.base
        return owner

    @property
    def data(self) -> ndarray:
        """The ndarray itself. Assigning replaces the numbers (same shape and dtype); a backward
        that still needs the old ones will refuse, as it will when they were written over by
        `t.data[...] = ...` or the like between the forward and it (see writes.py)."""
        if traces:
            self._stay_traced("data", "Use operations of tinygrad_edu on the tensor itself.")
        if type(self.payload) is not ndarray:
            self._refuse_without_numbers()
        if self.requires_grad:
            mark_handed_out(self)
        return self.payload

    @data.setter
    def data(self, value: Any) -> None:
        if traces:
            self._stay_traced("data", "Write into it: with tg.no_grad(): t -= ...")
        value = value.payload if isinstance(value, ArrayNode) else np.asarray(value)
        if value.shape != self.shape:
            raise ShapeError(
                f"data: cannot put an array of shape {value.shape} into a tensor of shape "
                f"{self.shape}."
            )
        if value is self.payload:  # t.data -= ...
            mark_written(self)
        else:
            self.payload = np.asarray(value, dtype=self.dtype)
            mark_replaced(self)

    def __setitem__(self, key: Any, value: Any) -> None:
        self._writable("assignment into")
        if isinstance(value, ArrayNode):
            if value.requires_grad and recording():
                raise GraphError(
                    "assignment of a tensor that requires grad cannot be recorded: its graph would "
                    "be lost. Build the new tensor with tg.stack, tg.concatenate or tg.where, or "
                    "assign value.detach().",
                    code="in-place-on-recorded",
                )
            value = value.payload
        if traces:
            self._stay_traced("t[...] = ", "Build a new one: tg.where, tg.concatenate, tg.stack.")
        self.payload[key] = value
        mark_written(self)

    def _writable(self, what: str) -> None:
        """Refuse to write into a tensor that requires grad while operations are recorded. Under
        no_grad() it is how parameters are set; a backward that needs the old numbers refuses."""
        if self.requires_grad and recording():
            raise GraphError(
                f"{what} a tensor that requires grad cannot be recorded. Build a new one instead "
                "(x = x + 1, tg.where, tg.concatenate), or, to set a parameter, write into it "
                "under no_grad() before the forward.",
                code="in-place-on-recorded",
            )

    def _assign(self, result: ArrayNode) -> None:
        """Write the numbers of `result`, of this shape, into the memory of this leaf."""
        if isinstance(result.payload, Recorder):
            result.payload.write_into(self)
        else:
            self.payload[...] = result.payload
        mark_written(self)


def in_place(operator: Callable) -> Callable:
    """`t += x` and its like: a new tensor under the old name, as for numbers. Only a parameter is
    written into, and only under no_grad(): under another identity its optimizer would not know
    it."""

    def assign(self: Any, other: Any) -> Any:
        if not self.requires_grad or self.op is not None:
            return operator(self, other)
        self._writable("t += ..., t -= ... and their like on")
        result = operator(self, other)
        if result.shape != self.shape:
            raise ShapeError(
                f"in place: the result has shape {result.shape}, and the parameter {self.shape}."
            )
        self._assign(result)
        return self

    return assign
