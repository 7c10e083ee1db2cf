"""The words that a trace is written in: what a step does, instruction by instruction, and the
places that the values live in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy import ndarray


@dataclass(eq=False, slots=True)
class Place:
    """Where a value lives: its number in the program, its shape and dtype, and what kind of memory
    it is: "input", an argument of the step; "outside", an array that was there before, read (and
    perhaps written) where it lies; "gradient", the `.grad` that a parameter comes with; "made",
    what the program computes; "drawn", what is drawn at random before each run.

    A view has the place that it looks into (`of`), its distance from there and its strides, in
    bytes.
    """

    number: int
    shape: tuple[int, ...]
    dtype: np.dtype
    kind: str
    strides: tuple[int, ...]
    array: Any = None  # the ndarray, where it is known: kinds "outside" and "gradient"
    of: Place | None = None
    offset: int = 0

    @property
    def size(self) -> int:
        """How many elements there are."""
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def ndim(self) -> int:
        """How many axes there are."""
        return len(self.shape)

    @property
    def nbytes(self) -> int:
        """How many bytes its elements take."""
        return self.size * self.dtype.itemsize

    @property
    def root(self) -> Place:
        """The place whose memory it is."""
        return self if self.of is None else self.of

    @property
    def contiguous(self) -> bool:
        """Whether its elements lie side by side in C order."""
        expected = self.dtype.itemsize
        for n, stride in zip(reversed(self.shape), reversed(self.strides)):
            if n != 1 and stride != expected:
                return self.size == 0
            expected *= n
        return True

    def __str__(self) -> str:
        return f"%{self.number}"


@dataclass(eq=False, slots=True)
class Instruction:
    """One thing that the step does. `inputs` are Places, Python numbers or None, `outputs` Places,
    or None for what is not wanted. `kind`:

        "forward"  outputs = op(*inputs, **params); a second output is what the forward left for its
                   vjp
        "vjp"      inputs = (g, out, *inputs of the op, *stash): the gradients of the op's inputs
        "write"    the second input is written into the first
        "update"   a step of `params["optimizer"]`: inputs = weights, then gradients
        "draw"     outputs are drawn by `params["draw"]`
        "check"    `params["refuse"](input)` is called, and raises, where the input is not finite
    """

    kind: str
    op: Any
    inputs: tuple
    params: dict[str, Any]
    outputs: tuple
    where: str

    def __str__(self) -> str:
        params = "".join(f", {name}={value!r}" for name, value in self.params.items())
        given = ", ".join(str(x) for x in self.inputs)
        out = ", ".join(f"{p}: {p.dtype}{list(p.shape)}" for p in self.outputs if p is not None)
        name = self.op.name if self.op is not None else self.kind
        return f"{out} = {name}{'_vjp' if self.kind == 'vjp' else ''}({given}{params})"


def address(array: ndarray) -> int:
    """Where the numbers of an array lie."""
    return array.__array_interface__["data"][0]
