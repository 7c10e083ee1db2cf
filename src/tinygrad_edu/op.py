"""An operation is a row: its forward, one vector-Jacobian product (vjp) per input, and where it is
tested.

From the row follow the Python function, the Tensor method, the operator, the NumPy name, the
gradient test and the line in the documentation. `apply` is the one door through which every
operation passes, whatever it is given: it asks the first input that can record (a Tensor, a Value,
a traced array) to record it; what that input holds goes through the same door again; plain arrays
and floats are computed. No row knows what its payload is.

A vjp has the form `vjp(g, out, x, ..., **params)`: the upstream gradient, the output, the inputs.
It never un-broadcasts, checks or casts: the engine does. An argument whose numbers the formula does
not read is written with a leading underscore (`lambda g, _out, x, _y: ...`) and may be overwritten
before the backward; its shape and dtype may be asked for (`_x.shape`).
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np
from numpy import ndarray

from .domains import Case
from .errors import RangeError, ShapeError, TinygradEduError
from .graph import Recorder

NO_PARAMS: dict[str, Any] = {}
OPS: dict[str, Op] = {}
REFLECTED = ("add", "sub", "mul", "truediv", "pow", "matmul")  # what Python has __radd__ for


class Op:
    """One row. `arity` is None for operations on a sequence of tensors (concatenate); `joint` is a
    vjp that gives the gradients of all inputs at once; `view` says that the output may share memory
    with the first input; `stash` that the forward returns (output, what only its vjp kernel
    needs)."""

    __slots__ = (
        "name",
        "forward",
        "scalar",
        "vjps",
        "joint",
        "differentiable",
        "kernel_vjp",
        "inputs",
        "arity",
        "defaults",
        "domain",
        "cases",
        "kinks",
        "view",
        "stash",
        "dunder",
        "method",
        "public",
        "numpy",
        "doc",
        "function",
        "_read",
        "symbol",
    )

    def __init__(
        self,
        name: str,
        forward: Callable,
        *,
        vjps: tuple | None,
        domain: tuple,
        cases: tuple[Case, ...] | None,
        inputs: tuple[str, ...],
        joint: Callable | None = None,
        scalar: Callable | None = None,
        defaults: dict[str, Any] = NO_PARAMS,
        kinks: str = "",
        view: bool = False,
        stash: bool = False,
        dunder: str | None = None,
        method: bool = True,
        public: bool = True,
        numpy: str | None = None,
        doc: str = "",
        variadic: bool = False,
        symbol: str | None = None,
    ) -> None:
        self.name, self.forward, self.scalar = name, forward, scalar
        self.vjps, self.joint = vjps, joint
        self.differentiable = vjps is not None or joint is not None
        self.kernel_vjp = getattr(forward, "vjp", None)
        self.inputs, self.arity = inputs, None if variadic else len(inputs)
        self.defaults, self.domain, self.cases, self.kinks = defaults, domain, cases, kinks
        self.view, self.stash = view, stash
        self.dunder, self.method, self.public = dunder, method and public, public
        self.numpy, self.doc = numpy or name, doc
        self.symbol = symbol or name
        self.function: Any = None
        self._read = _arguments_read((*(vjps or ()), joint))

    @property
    def reads_output(self) -> bool:
        """Whether some formula reads the output."""
        return 1 in self._read or (None in self._read)

    def reads_input(self, position: int) -> bool:
        """Whether some formula reads the input at `position`."""
        return position + 2 in self._read or None in self._read

    def __repr__(self) -> str:
        return f"<operation {self.name}({', '.join((*self.inputs, *self.defaults))})>"


def _arguments_read(formulas: tuple) -> frozenset:
    """The positions of the arguments that the formulas read; None stands for "any" (a formula with
    *args)."""
    read: set[int | None] = set()
    for formula in formulas:
        if formula is None:
            continue
        code = getattr(formula, "__code__", None)
        if code is None or (
            code.co_flags & inspect.CO_VARARGS and not _star_name(code).startswith("_")
        ):
            read.add(None)
        if code is not None:
            names = code.co_varnames[: code.co_argcount]
            read.update(position for position, name in enumerate(names) if not name.startswith("_"))
    return frozenset(read)


def _star_name(code: Any) -> str:
    return code.co_varnames[code.co_argcount + code.co_kwonlyargcount]


# ----------------------------------------------------------------------------------------- the door


def apply(op: Op, inputs: tuple, params: dict[str, Any] = NO_PARAMS) -> Any:
    """Run `op`: recorded by the first input that records, computed at once on plain arrays and
    floats."""
    numbers = True
    for x in inputs:
        kind = type(x)
        if kind is ndarray:
            numbers = False
        elif isinstance(x, Recorder):
            return x.record(op, inputs, params)
        elif kind is not float and kind is not int and kind is not bool:
            numbers = False
    return on_scalars(op, inputs, params) if numbers else on_arrays(op, inputs, params)


def on_arrays(op: Op, inputs: Any, params: dict[str, Any]) -> Any:
    """`op` on arrays and numbers. What NumPy refuses is said again with the operation's name."""
    try:
        return op.forward(*inputs, **params) if params else op.forward(*inputs)
    except (ValueError, IndexError) as error:
        refuse(op, inputs, error)


def refuse(op: Op, inputs: tuple, error: Exception) -> NoReturn:
    """Called while `error` is handled: raise it again, with the operation that it happened in."""
    named = _named(op, inputs, error)
    if named is None:
        raise
    raise named from None


def _named(op: Op, inputs: tuple, error: Exception) -> Exception | None:
    """What NumPy says of shapes, axes and indices, with the operation that it happened in; None for
    what is not NumPy's, or says it already."""
    if isinstance(error, TinygradEduError):
        return None
    name = op.name.partition("_basic")[0].partition("_advanced")[0]
    said = str(error)
    if "inhomogeneous" in said:
        return ShapeError(f"{name}: lists with rows of different lengths.", code="ragged-rows")
    if isinstance(error, IndexError):
        return RangeError(f"{name}: x of shape {np.shape(inputs[0])}: {said}.")
    if "broadcast" in said:
        return ShapeError(
            f"{name}: shapes {' and '.join(str(np.shape(x)) for x in inputs)} do not broadcast: "
            "axes are matched from the right, and two lengths must be equal, or one of them 1."
        )
    if op.view:
        return ShapeError(f"{name}: x of shape {np.shape(inputs[0])}: {said}.")
    return None


def on_scalars(op: Op, inputs: tuple, params: dict[str, Any]) -> Any:
    """`op` on Python numbers, giving a Python number. Where `math` raises, the IEEE answer (inf,
    nan) is given instead."""
    if op.scalar is not None:
        try:
            return op.scalar(*inputs, **params)
        except (ValueError, OverflowError, ZeroDivisionError):
            pass
    with np.errstate(all="ignore"):
        out = op.forward(*(np.float64(x) if type(x) is not bool else x for x in inputs), **params)
    return out[0].item() if op.stash else (out.item() if np.ndim(out) == 0 else out)
