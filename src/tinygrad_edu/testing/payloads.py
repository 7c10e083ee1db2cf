"""How the function under test is called: with Tensors, with Values, or with plain arrays and a vjp
of its own.

A subject has `inputs`, the float64 copies of what is differentiated, and two abilities:
`evaluate(arrays)` gives the outputs as arrays, `gradients(us)` what the implementation under test
says the gradients are, at the inputs exactly as they were given: same dtype, same memory layout,
read-only."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy import ndarray

from ..errors import ArgumentError
from ..graph import Node, propagate
from ..scalar import Value
from ..tensor import Tensor


class Subject:
    """A function of Tensors or Values. Python floats, floating arrays, Values and Tensors that
    require grad (all floating Tensors, where none does) are differentiated; everything else is
    passed on as it is."""

    def __init__(self, f: Callable, inputs: Sequence[Any]) -> None:
        self.f = f
        self.name = name_of(f)
        self.given = list(inputs)
        some_require = any(isinstance(x, Tensor) and x.requires_grad for x in self.given)
        self.positions = [
            i for i, x in enumerate(self.given) if _is_differentiated(x, some_require)
        ]
        if not self.positions:
            raise ArgumentError(
                f"{self.name}: none of the {len(self.given)} inputs is floating, so there is no "
                f"gradient to "
                "check. Pass float64 arrays, Tensors or floats.",
                code="not-a-float-dtype",
            )
        self.scalar = any(isinstance(x, Value) for x in self.given)
        self.held = [_read_only(self.given[i]) for i in self.positions]
        self.inputs = [x.astype(np.float64) for x in self.held]

    def evaluate(self, arrays: Sequence[ndarray]) -> list[ndarray]:
        """The outputs at other numbers."""
        return [_as_array(out) for out in self._outputs(self._leaves(arrays))]

    def gradients(self, make_us: Callable) -> tuple[list[ndarray], list[ndarray], list]:
        """(outputs, upstream gradients, gradients), from one forward; `make_us(outputs)` gives the
        upstream ones."""
        leaves = self._leaves(self.held)
        nodes = self._outputs(leaves)
        outs = [_as_array(node) for node in nodes]
        us = make_us(outs)
        total: list[Any] = [None] * len(leaves)
        for node, u in zip(nodes, us):
            if not isinstance(node, Node) or not node.requires_grad:
                continue
            with np.errstate(all="ignore"):
                found = propagate(
                    node, float(u) if isinstance(node, Value) else u, retain_graph=True
                )
            for i, leaf in enumerate(leaves):
                g = found.get(leaf)
                if g is not None:
                    total[i] = np.asarray(g) if total[i] is None else total[i] + g
        return outs, us, total

    def call_complex(self, arrays: Sequence[ndarray]) -> list[ndarray]:
        """The outputs on plain arrays, which may be complex."""
        return [np.asarray(out) for out in as_tuple(self.f(*self._completed(arrays)))]

    def _leaves(self, arrays: Sequence[ndarray]) -> list:
        if self.scalar:
            return [Value(float(x)) for x in arrays]
        return [Tensor(x, requires_grad=True) for x in arrays]

    def _outputs(self, leaves: list) -> tuple:
        return as_tuple(self.f(*self._completed(leaves)))

    def _completed(self, leaves: Sequence[Any]) -> list:
        inputs = list(self.given)
        for position, leaf in zip(self.positions, leaves):
            inputs[position] = leaf
        return inputs


class VjpSubject(Subject):
    """A function of arrays with a vjp of its own, `vjp(g, out, *inputs)`."""

    def __init__(self, forward: Callable, vjp: Callable, inputs: Sequence[Any]) -> None:
        super().__init__(forward, inputs)
        self.vjp = vjp

    def gradients(self, make_us: Callable) -> tuple[list[ndarray], list[ndarray], list]:
        made = self.f(*self._completed(self.held))
        outs = [np.asarray(made)]
        us = make_us(outs)
        results = self.vjp(us[0], made, *self._completed(self.held))
        results = results if isinstance(results, (tuple, list)) else (results,)
        if len(results) != len(self.given):
            raise ArgumentError(
                f"{self.name}: its vjp returned {len(results)} gradients for {len(self.given)} "
                f"inputs; "
                "expected one for each, None where there is none.",
                code="wrong-row",
            )
        return (
            outs,
            us,
            [None if results[i] is None else np.asarray(results[i]) for i in self.positions],
        )

    def _leaves(self, arrays: Sequence[ndarray]) -> list:
        return list(arrays)


def as_tuple(outputs: Any) -> tuple:
    return tuple(outputs) if isinstance(outputs, (tuple, list)) else (outputs,)


def name_of(f: Any) -> str:
    """What a failure calls the function."""
    return getattr(f, "__name__", None) or repr(f)


def _is_differentiated(x: Any, some_require: bool) -> bool:
    if isinstance(x, Tensor):
        return x.dtype.kind == "f" and (x.requires_grad or not some_require)
    return isinstance(x, (float, Value)) or (isinstance(x, ndarray) and x.dtype.kind == "f")


def _read_only(x: Any) -> ndarray:
    """The memory of `x`, in the layout that it has, as a view that cannot be written through."""
    view = np.asarray(
        x.data if isinstance(x, (Tensor, Value)) else x, None if _has_dtype(x) else np.float64
    )[...]
    view.flags.writeable = False
    return view


def _has_dtype(x: Any) -> bool:
    return isinstance(x, (ndarray, Tensor))


def _as_array(out: Any) -> ndarray:
    return np.asarray(out.payload if isinstance(out, Node) else out)
