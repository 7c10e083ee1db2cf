"""ArrayNode: what an array in the graph is to Python and to NumPy.

Its attributes, and the ways out: a number, a sequence, an ndarray, a text. Nothing here records;
`tensor.py`, which builds on it, does.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
from numpy import ndarray

from .errors import ArgumentError, CallError, CompileError, GradientWarning, GraphError
from .graph import Node, open_trace, traces


class ArrayNode(Node):
    """A node whose payload is an ndarray, or a traced array while a step is traced."""

    __slots__ = ()

    @property
    def shape(self) -> tuple[int, ...]:
        """The lengths of the axes."""
        return self.payload.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """The NumPy dtype."""
        return self.payload.dtype

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return self.payload.ndim

    @property
    def size(self) -> int:
        """The number of elements."""
        return self.payload.size

    @property
    def is_leaf(self) -> bool:
        """Whether no recorded operation made this tensor."""
        return self.op is None

    def item(self) -> Any:
        """The one element as a Python number. Raises ValueError where there are more."""
        if self.size != 1:
            raise ArgumentError(
                f"item: a tensor of shape {self.shape} holds {self.size} elements, not one.",
                code="not-one-element",
            )
        if traces:
            self._stay_traced("item(), float(), a branch, an index or a print")
        return self.payload.item()

    def _stay_traced(self, what: str, instead: str = "") -> None:
        """Refuse to hand out numbers while this thread's step is compiled: a replay would go on
        with those of the first call."""
        trace = open_trace()
        if trace is not None:
            trace.refuse_numbers(what, instead)

    def _refuse_without_numbers(self) -> NoReturn:
        """Refuse to hand out what is no array: the payload of a tensor that was traced."""
        raise CompileError(
            f"this tensor, of shape {self.shape}, was kept from inside a compiled step, where it "
            "stood for other numbers at each call: it has none of its own. Return it from the step."
        )

    def numpy(self) -> ndarray:
        """The ndarray, sharing memory. Raises GraphError for a tensor that requires grad: detach it
        first."""
        if self.requires_grad:
            raise GraphError(
                "numpy, np.asarray: this tensor requires grad, and an ndarray would lose the "
                "graph. Use t.detach().numpy(), or t.data to write into the numbers themselves; "
                "to compute on with a gradient, use operations of tinygrad_edu (tg.stack for a "
                "list of tensors).",
                code="leaves-the-graph",
            )
        if traces:
            self._stay_traced("numpy(), np.asarray")
        if type(self.payload) is not ndarray:
            self._refuse_without_numbers()
        return self.payload

    def tolist(self) -> Any:
        """The elements as nested lists of Python numbers."""
        if traces:
            self._stay_traced("tolist()")
        return self.payload.tolist()

    def __len__(self) -> int:
        if not self.ndim:
            raise CallError("len() of a tensor without axes.", code="unexpected-shape")
        return self.shape[0]

    def __bool__(self) -> bool:
        if self.size != 1:
            raise ArgumentError(
                f"the truth of a tensor of shape {self.shape} is ambiguous: use .any() or .all() "
                "of its .data.",
                code="not-one-element",
            )
        return bool(self.item())

    def __float__(self) -> float:
        return float(self._as_number())

    def __int__(self) -> int:
        return int(self._as_number())

    def _as_number(self) -> Any:
        """The one element, with a warning where it leaves a graph behind: `w * float(w)` has half
        of the derivative of `w * w`."""
        if self.requires_grad:
            warnings.warn(
                GradientWarning(
                    "float(), int() and math's functions: this tensor requires grad, and the plain "
                    "number has no graph: no gradient will come back through it. To read it, say "
                    "t.item(); to compute on, use the operation itself: tg.sin(t), not "
                    "math.sin(t).",
                    code="leaves-the-graph",
                ),
                stacklevel=3,
            )
        return self.item()

    def __format__(self, spec: str) -> str:
        return format(self.item(), spec) if spec else str(self)

    def __index__(self) -> int:
        if self.dtype.kind not in "iu" or self.size != 1:
            raise CallError(f"a tensor of shape {self.shape} and dtype {self.dtype} is no index.")
        return int(self.item())

    if not TYPE_CHECKING:  # seen by NumPy's stubs, it would make array * t an ndarray

        def __array__(self, dtype: Any = None, copy: bool | None = None) -> ndarray:
            return np.array(self.numpy(), dtype=dtype, copy=copy)

    def __repr__(self) -> str:
        if traces:
            self._stay_traced("print() or repr()")
        numbers = (
            np.array2string(self.payload, separator=", ", prefix="tensor(")
            if isinstance(self.payload, ndarray)
            else repr(self.payload)
        )
        dtype = "" if self.dtype == np.float32 else f", dtype={self.dtype}"
        return f"tensor({numbers}{dtype}{self._origin()})"

    def _origin(self) -> str:
        """Where it came from, in the words of the repr."""
        if self.op:
            return f", op={self.op.name}"
        return ", requires_grad=True" if self.requires_grad else ""

    def _repr_html_(self) -> str | None:
        """A table of the numbers, for notebooks; None, so that they show the repr, while it is
        traced."""
        if not isinstance(self.payload, ndarray):
            return None
        from .notebook import array_table  # what a notebook alone asks for

        return array_table(self.payload, f"Tensor {self.shape}, {self.dtype}{self._origin()}")
