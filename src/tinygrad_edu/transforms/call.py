"""One call of f on aliases of its inputs, and what can be asked of it."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from numpy import ndarray

from ..dtypes import as_array
from ..errors import CallError, DtypeError, ShapeError
from ..graph import Node, Recorder, recording, silenced
from ..ops.shape import identity
from ..tensor import Tensor
from ..writes import tick
from .reverse import carry, frontier, leaf
from .structure import dtype_of, leaves, matched, rebuilt, shape_of, shaped, zeros_like


class Call:
    """One call of f on aliases, and what can be asked of it."""

    def __init__(
        self, name: str, f: Callable, args: tuple, argnums: Any, kwargs: dict, has_aux: bool
    ) -> None:
        self.name = name
        self.single = isinstance(argnums, int)
        positions = _positions(name, argnums, len(args))
        self.trees = [args[i] for i in positions]
        self.inputs = [leaf for tree in self.trees for leaf in leaves(tree)]
        self.aliases = [_alias(name, x) for x in self.inputs]
        self.kind = _kind_of([*args, *kwargs.values()])
        given = list(args)
        aliases = iter(self.aliases)
        for position, tree in zip(positions, self.trees):
            given[position] = rebuilt(tree, aliases)
        self.start = tick()
        with Inside():
            result = f(*given, **kwargs)
        self.extra = None
        if has_aux:
            if not isinstance(result, tuple) or len(result) != 2:
                raise CallError(f"{name}: has_aux=True, so f must return a pair (result, aux).")
            result, self.extra = result
        self.out_tree = result
        self.outs = list(leaves(result))
        for out in self.outs:
            _require_floating(name, out)
        self.beyond = frontier(self.outs, self.aliases, self.start)

    def one(self) -> Any:
        """The cotangent of a result that is one number."""
        found = [shape_of(out) for out in self.outs]
        if len(found) != 1 or math.prod(found[0]) != 1:
            shapes = f"shape {found[0]}" if len(found) == 1 else f"{len(found)} results"
            raise ShapeError(
                f"{self.name}: f returned {shapes}, and only one number has a gradient. "
                "Reduce it first (.sum(), .mean()), or use jacobian (all derivatives) or vjp (a "
                "weighted sum of them).",
                code="non-scalar-loss",
            )
        return _ones(self.outs[0])

    def links(self, vectors: Iterable = ()) -> bool:
        """Whether an outer differentiation may follow the results: something that they depend on is
        recorded, and what is returned can show it."""
        return (
            recording()
            and (self.kind == "tensor" or _depth() > 0)
            and (
                bool(self.beyond)
                or any(a.op is not None for a in self.aliases)
                or any(isinstance(v, Tensor) and v.requires_grad for v in vectors)
            )
        )

    def pull(self, us: list, create_graph: bool | None = None) -> list:
        """u^T J for each alias: a payload, a Tensor where it can be differentiated again, or
        None."""
        links = self.links(us) if create_graph is None else create_graph
        return carry(self.outs, us, self.aliases, self.beyond, links)

    def gradients(self, found: Sequence) -> Any:
        """What was found for each alias, as the caller's inputs are."""
        own: set[int] = set()
        return self.in_arguments(
            [
                self.plain(zeros_like(a) if g is None else g, _kind_of([x]), own)
                for g, a, x in zip(found, self.aliases, self.inputs)
            ]
        )

    def in_arguments(self, leaves: list) -> Any:
        """One thing for each alias, in the structure of the arguments."""
        rest = iter(leaves)
        made = tuple(rebuilt(tree, rest) for tree in self.trees)
        return made[0] if self.single else made

    def outputs(self) -> Any:
        return rebuilt(self.out_tree, (self.plain(self.cut(out), self.kind) for out in self.outs))

    def aux(self) -> Any:
        found = leaves(self.extra)
        return rebuilt(
            self.extra,
            (self.plain(self.cut(x), self.kind) if isinstance(x, Tensor) else x for x in found),
        )

    def cut(self, out: Any) -> Any:
        """A result of f without the graph of this run, where nothing outside is to follow it."""
        return out if not isinstance(out, Tensor) or self.links() else out.payload

    def plain(self, x: Any, kind: str, own: set[int] | None = None) -> Any:
        """A result as the caller's data is: Tensor, ndarray or float."""
        if isinstance(x, Tensor):
            if kind == "tensor" or (x.requires_grad and _depth() > 0):
                return x
            x = x.payload
        if not isinstance(x, Recorder):
            x = np.asarray(x)
            if own is not None:  # a vjp may pass on the array that it was given, or a view of it
                if x.base is not None or not x.flags.writeable or id(x) in own:
                    x = x.copy()
                own.add(id(x))
            if kind == "number" and not x.ndim:
                return float(x)
        return Tensor._of(x) if kind == "tensor" else x

    def cotangents(self, given: Any) -> list:
        """A cotangent for each output."""
        found = matched(f"{self.name}: cotangent", given, self.out_tree)
        return [shaped(f"{self.name}: cotangent", u, out) for u, out in zip(found, self.outs)]

    def tangents(self, given: tuple) -> list:
        """A tangent for each alias."""
        found = matched(f"{self.name}: tangents", tuple(given), tuple(self.trees))
        return [shaped(f"{self.name}: tangent", v, a) for v, a in zip(found, self.aliases)]


def _alias(name: str, x: Any) -> Tensor:
    """A node of its own over the memory of `x`, leading on to x where x is recorded."""
    if isinstance(x, Tensor):
        _require_floating(name, x)
        return identity(x) if x.requires_grad and recording() else leaf(x._lifted())
    if isinstance(x, Recorder) and not isinstance(x, Node):
        return leaf(x)
    if type(x) in (float, int):
        return leaf(np.asarray(float(x)))
    if isinstance(x, (ndarray, np.generic)):
        _require_floating(name, x)
        return leaf(as_array(np.asarray(x)))
    raise CallError(
        f"{name}: cannot differentiate with respect to {x!r} ({type(x).__name__}): expected "
        "floats, floating arrays or Tensors, or tuples, lists and dicts of them. Leave other "
        "arguments out of argnums."
    )


_place = threading.local()


def _depth() -> int:
    """How many functions this thread is just now calling to differentiate them."""
    return getattr(_place, "depth", 0)


class Inside:
    """Around the call of a function that is differentiated: recorded, also within no_grad()."""

    def __enter__(self) -> None:
        self.silence = silenced.pop(threading.get_ident(), 0)
        _place.depth = _depth() + 1

    def __exit__(self, *exc: object) -> None:
        _place.depth -= 1
        if self.silence:
            silenced[threading.get_ident()] = self.silence


def _require_floating(name: str, x: Any) -> None:
    if not isinstance(x, (Tensor, ndarray, np.generic, Recorder, float, int)) or (
        isinstance(x, Node) and not isinstance(x, Tensor)
    ):
        raise CallError(
            f"{name}: f returned {x!r} ({type(x).__name__}): expected a Tensor, an array, a "
            "float, or tuples, lists and dicts of them."
        )
    if isinstance(x, (Tensor, ndarray, np.generic)) and x.dtype.kind != "f":
        raise DtypeError(
            f"{name}: found a {type(x).__name__} of dtype {x.dtype}: only float32 and float64 "
            "numbers have derivatives. Convert it (.astype(float)), or leave it out of argnums.",
            code="not-a-float-dtype",
        )


def _ones(out: Any) -> Any:
    payload = out.payload if isinstance(out, Tensor) else out
    if isinstance(payload, Recorder):
        return payload.ones_like()  # type: ignore[attr-defined]  # the traced payload has it
    return np.ones(shape_of(payload), dtype_of(payload))


def _kind_of(tree: Any) -> str:
    """What the results for these arguments are: "tensor", "array" or "number"."""
    found = list(leaves(tree))
    if any(isinstance(x, Tensor) for x in found):
        return "tensor"
    arrays = any(isinstance(x, (ndarray, np.generic, Recorder)) for x in found)
    return "array" if arrays else "number"


def _positions(name: str, argnums: Any, n_args: int) -> list[int]:
    chosen = [argnums] if isinstance(argnums, int) else list(argnums)
    for i in chosen:
        if not isinstance(i, (int, np.integer)) or not -n_args <= i < n_args:
            raise CallError(
                f"{name}: argnums={argnums!r}, but f was called with {n_args} positional "
                "arguments: those to be differentiated must be among them.",
                code="wrong-arguments",
            )
    return chosen
