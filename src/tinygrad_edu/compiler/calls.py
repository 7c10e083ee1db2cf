"""The words that a program is written in: a call of a C kernel, or of Python where there is none.

A call names a kernel of csrc/kernels.def and its arguments in that row's order: places, numbers,
None for NULL. What it writes is marked by `Out`; everything else is read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy import ndarray

from ..kernels.library import F32, F64, ffi, lib
from .instruction import Instruction, Place

I64 = np.dtype(np.int64)
SUFFIX = {F32: "f32", F64: "f64"}


class Out(NamedTuple):
    """A place that the call writes; `InOut` ones it reads too."""

    place: Place


class InOut(NamedTuple):
    """A place that the call updates."""

    place: Place


class Table(NamedTuple):
    """A C array of the addresses of several places."""

    members: tuple[Any, ...]


@dataclass(eq=False)
class Call:
    """One call of the kernel `name` for `dtype`. `elements`: it works element by element on so
    many, and may be made tile by tile; its first word is then what it writes. `rule`, that of an
    optimizer (lowering/update.py), sets the words from number `first` on, anew for each run."""

    name: str
    dtype: np.dtype
    words: tuple[Any, ...]
    instruction: Instruction
    elements: int = 0
    rule: Any = None
    first: int = 0

    @property
    def kernel(self) -> str:
        """The name of the C function; what is no arithmetic on floats has no suffix."""
        return f"{self.name}_{SUFFIX[self.dtype]}" if self.dtype in SUFFIX else self.name

    @property
    def reads(self) -> list[Place]:
        """The places that it reads."""
        return [_place(w) for w in _flat(self.words) if not isinstance(w, Out)]

    @property
    def writes(self) -> list[Place]:
        """The places that it writes."""
        return [w.place for w in _flat(self.words) if isinstance(w, (Out, InOut))]


@dataclass(eq=False)
class PythonCall:
    """An instruction that eager mode's own code runs, on arrays over the program's memory."""

    instruction: Instruction

    @property
    def reads(self) -> list[Place]:
        """The places that it reads."""
        return [x for x in self.instruction.inputs if isinstance(x, Place)]

    @property
    def writes(self) -> list[Place]:
        """The places that it writes."""
        return [x for x in self.instruction.outputs if x is not None]


def _place(word: Any) -> Place:
    return word if isinstance(word, Place) else word.place


def _flat(words: Iterable[Any]) -> list[Any]:
    found: list[Any] = []
    for word in words:
        if isinstance(word, Table):
            found.extend(_flat(word.members))
        elif isinstance(word, (Place, Out, InOut)):
            found.append(word)
    return found


@dataclass
class Builder:
    """Collects the calls of a program. `uses`: how often instructions, or whoever gets what the
    program makes, read a place; `conditions`: what the calls take for granted besides the guards of
    the trace; `over`: (place, operand) where a place may be written over an operand, element by
    element, by the calls that write it first."""

    count: int
    uses: dict[Place, int] = field(default_factory=dict)
    calls: list[Call | PythonCall] = field(default_factory=list)
    conditions: list[Callable[[], bool]] = field(default_factory=list)
    over: list[tuple[Place, Place]] = field(default_factory=list)
    instruction: Instruction | None = None

    def temporary(self, shape: tuple[int, ...], dtype: np.dtype) -> Place:
        """Memory of the program for a value that no instruction names."""
        self.count += 1
        return Place(self.count, shape, dtype, "made", dense_strides(shape, dtype))

    def constant(self, array: ndarray) -> Place:
        """A place for numbers that are known now."""
        self.count += 1
        return Place(self.count, array.shape, array.dtype, "outside", array.strides, array)

    def call(
        self,
        name: str,
        dtype: np.dtype,
        *words: Any,
        elements: int = 0,
        rule: Any = None,
        first: int = 0,
    ) -> None:
        """Enter a call."""
        assert self.instruction is not None
        self.calls.append(Call(name, dtype, words, self.instruction, elements, rule, first))

    def dense(self, place: Place) -> Place | None:
        """`place`, or a copy of it with its elements side by side; None where C cannot copy it."""
        if place.contiguous:
            return place
        copy = self.temporary(place.shape, place.dtype)
        return copy if self.copy(copy, place) else None

    def copy(self, target: Place, source: Place) -> bool:
        """Enter a copy into `target`, which is dense and of the shape of `source`; False where C
        cannot make it."""
        size = source.dtype.itemsize
        fits = source.dtype == target.dtype and source.dtype in SUFFIX
        axes = [(n, s) for n, s in zip(source.shape, source.strides) if n != 1]
        if not fits or not source.size or len(axes) > 8 or any(s % size for _, s in axes):
            return False
        axes = axes or [(1, size)]
        layout = ffi.new("struct tg_strided *")
        layout.ndim = len(axes)
        for i, (n, stride) in enumerate(axes):
            layout.shape[i], layout.strides[i] = n, stride // size
        self.call("copy", source.dtype, Out(target), source, layout)
        return True


def dense_strides(shape: tuple[int, ...], dtype: np.dtype) -> tuple[int, ...]:
    """The strides, in bytes, of an array whose elements lie side by side in C order."""
    strides, step = [], dtype.itemsize
    for n in reversed(shape):
        strides.append(step)
        step *= n
    return tuple(reversed(strides))


def has_kernel(name: str) -> bool:
    """Whether there is a C kernel of this name."""
    return lib is not None and hasattr(lib, f"words_{name}_f32")
