"""What a type checker calls the things that operations take and give.

Names only: nothing at run time needs this file, and the sources import it under TYPE_CHECKING. The
types of the rows themselves are written by `ops/surface.py`, in these words.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ParamSpec, Protocol, TypeAlias, TypeVar, overload

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from .scalar import Value
    from .tensor import Tensor

Array: TypeAlias = NDArray[Any]

# One number, of Python or of NumPy.
Number: TypeAlias = "float | np.number[Any] | np.bool"

# What NumPy makes an array of. (`Sequence` would let a str in, and str is a sequence of itself.)
Data: TypeAlias = "Array | np.number[Any] | np.bool | list[Any] | tuple[Any, ...]"

# What may stand beside a Tensor in an operation.
Operand: TypeAlias = "Tensor | Data | float"

# A function made of rows gives what it was given: the formula is the same for every payload, or for
# every payload that has axes.
Payload = TypeVar("Payload", "Tensor", "Value", Array, float)
WithAxes = TypeVar("WithAxes", "Tensor", Array)

P = ParamSpec("P")
R = TypeVar("R", covariant=True)


class Forward(Protocol[P, R]):
    """What makes a module callable: a call takes and gives what `forward` takes and gives."""

    _forward_hooks: Mapping[int, Callable[..., Any]]

    def forward(self, *inputs: P.args, **kwargs: P.kwargs) -> R: ...


class Pairwise(Protocol[P]):
    """A function of two payloads and some parameters: a Tensor on either side gives a Tensor."""

    @overload
    def __call__(self, x: Tensor, y: Operand, /, *args: P.args, **kwargs: P.kwargs) -> Tensor: ...
    @overload
    def __call__(self, x: Operand, y: Tensor, /, *args: P.args, **kwargs: P.kwargs) -> Tensor: ...
    @overload
    def __call__(self, x: Data, y: Data, /, *args: P.args, **kwargs: P.kwargs) -> Array: ...
