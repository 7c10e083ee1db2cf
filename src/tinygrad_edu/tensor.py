"""Tensor: an array in the graph.

A Tensor is a node whose payload is an ndarray (or, while a step is traced, a traced array). What
this file knows is how an array takes part: how an operation on it is recorded, how a gradient is
made to fit it. What it is to Python and NumPy is in array_node.py, when it may be written into in
in_place.py; the operations are rows in `ops/`, and the methods are attached from them below.
"""

from __future__ import annotations

from _thread import get_ident
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy import ndarray

from . import ops  # noqa: F401  (fills the table of rows)
from .anomaly import check_forward, watching
from .dtypes import SUPPORTED, as_array, require_floating, unsupported
from .errors import CallError, DtypeError, GraphError, ShapeError
from .graph import Node, Recorder, open_trace, propagate, silenced, traces
from .in_place import WritableNode, in_place
from .op import NO_PARAMS, OPS, Op, apply, refuse
from .ops.reduction import sum as _sum
from .ops.shape import astype, flatten, getitem, reshape, transpose
from .writes import mark_written, tick

if TYPE_CHECKING:  # written by ops/surface.py: what the loop at the end of this file attaches
    from ._surface import TensorMethods
else:
    TensorMethods = object

_new = object.__new__
_FLOAT32 = np.dtype(np.float32)
_ONE = {dtype: np.ones((), dtype) for dtype in map(np.dtype, "fd")}  # d loss / d loss
for _one in _ONE.values():
    _one.flags.writeable = False
_PLAIN = (float, int, bool, type(None))

# What a tensor outside the graph keeps in `stash`: why it is there, if that is known (a string);
# or, as a `.grad`, whether a step of an optimizer has used it, and a backward then added to it.
_UNDER_NO_GRAD = "it was computed under no_grad(), or from what was"
_DETACHED = "it was cut off by detach(), or computed from what was"
_PLAIN_NUMBERS = (
    "as far as can be known, it was computed from plain numbers only (parameters without "
    "requires_grad=True, or a way through .data, .numpy(), .item() or tg.tensor(t), which all "
    "leave the graph)"
)
USED, STALE = 1, 2


class Tensor(WritableNode, TensorMethods):
    """An n-dimensional array that remembers how it was computed.

    `data`: anything that NumPy makes an array of. An ndarray of a supported dtype (float32,
    float64, integers, booleans) is used as it is, without a copy; `tg.tensor` copies. Python
    numbers become float32, int64 or bool. `requires_grad`: ask for d loss / d self in `.grad` after
    `loss.backward()`; floating dtypes only. Raises DtypeError for other dtypes.
    """

    __slots__ = ("params", "stash", "hooks", "requires_grad")
    __hash__ = object.__hash__

    grad: Tensor | None
    if TYPE_CHECKING:  # attached by interop/
        __array_ufunc__: Callable[..., Any]
        __array_function__: Callable[..., Any]
        __dlpack__: Callable[..., Any]
        __dlpack_device__: Callable[..., tuple[int, int]]

    def __init__(self, data: Any, dtype: Any = None, requires_grad: bool = False) -> None:
        payload = as_array(data, dtype)
        _leaf(self, payload)
        if requires_grad:
            require_floating(payload.dtype)
            self.requires_grad = True

    # ------------------------------------------------------------------------------------ recording

    @classmethod
    def record(cls, op: Op, inputs: tuple[Any, ...], params: dict[str, Any]) -> Any:
        """Run `op` on the payloads of `inputs`; remember it where a gradient may be asked for."""
        payloads: list[Any] = []
        wanted = False
        plain = True  # nothing among the payloads records: the door would only let them pass
        for x in inputs:
            kind = type(x)
            if kind is Tensor or isinstance(x, Tensor):
                payload = x.payload
                payloads.append(payload)
                if x.requires_grad:
                    wanted = True
                if type(payload) is not ndarray:
                    plain = False
            elif kind is ndarray or kind in _PLAIN:
                payloads.append(x)
            else:
                return cls.record(op, tuple([_operand(op, value) for value in inputs]), params)
        if traces and (trace := open_trace()) is not None:
            payloads, plain = trace.lift_tensors(inputs, payloads), False
        if plain:
            try:  # on_arrays, written out: every operation pays for that call
                out = op.forward(*payloads, **params) if params else op.forward(*payloads)
            except (ValueError, IndexError) as error:
                refuse(op, tuple(payloads), error)
        else:
            out = apply(op, tuple(payloads), params)
        stash = None
        if op.stash:
            out, stash = out
        if type(out) is not ndarray and not isinstance(out, Recorder):
            out = np.asarray(out)
        dtype = out.dtype
        if dtype is not _FLOAT32 and dtype not in SUPPORTED:
            raise DtypeError(f"{op.name}: its result would be {dtype}. {unsupported(dtype)}")
        made = _new(Tensor)
        made.payload = out
        made.grad = made.hooks = None
        made.written = 0
        if wanted and op.differentiable and (not silenced or get_ident() not in silenced):
            made.op, made.inputs, made.params, made.stash = op, inputs, params, stash
            made.requires_grad = True
            made.seq = tick()
        else:
            made.op = made.inputs = None
            made.stash = _UNDER_NO_GRAD if wanted and op.differentiable else _outside(op, inputs)
            made.params = NO_PARAMS
            made.requires_grad = False
            made.seq = 0
        if watching:
            check_forward(made, op, inputs)
        return made

    def _lifted(self) -> Any:
        """The payload; in its traced form while a step is compiled."""
        if traces and (trace := open_trace()) is not None:
            return trace.lift_tensors((self,), (self.payload,))[0]
        return self.payload

    def conform(self, contribution: Any, node: Node) -> Any:
        """The vjp's result as a gradient of this tensor: summed over what was broadcast, in this
        tensor's dtype."""
        payload = self.payload
        shape, dtype = payload.shape, payload.dtype
        if (
            type(contribution) is ndarray
            and contribution.dtype is dtype
            and contribution.shape == shape
        ):
            return contribution
        if not isinstance(contribution, (ndarray, Recorder)):
            contribution = np.asarray(contribution)
        if contribution.shape != shape:
            contribution = _unbroadcast(contribution, self, node)
        if contribution.dtype != dtype:
            contribution = astype(contribution, dtype=dtype)
        return contribution

    def total(self, g: Any, contribution: Any) -> Any:
        """The sum of two gradients: an array also for shape (), of which NumPy makes a scalar, and
        no kernel takes a scalar."""
        found = g + contribution
        return found if isinstance(found, (ndarray, Recorder)) else np.asarray(found)

    # ------------------------------------------------------------------------------------- autograd

    def backward(
        self, gradient: Any = None, retain_graph: bool = False, create_graph: bool = False
    ) -> None:
        """Add d self / d leaf, times `gradient`, to `.grad` of every leaf that requires it.

        Add: gradients of several backwards sum up, which is how a large batch is split. Where that
        is not meant, clear them before each backward, by optimizer.zero_grad(), model.zero_grad()
        or t.grad = None; that a zero_grad is missing can't be told from a sum that is meant.

        gradient: array or Tensor of this shape; may be left out for a tensor of one element (then
        1). With `create_graph` the gradients can be differentiated again. Unless `retain_graph` (or
        `create_graph`) is set, the graph is freed and a second backward is refused. Raises
        GraphError where nothing was recorded, ShapeError for a gradient of another shape.
        """
        g = self._upstream(gradient, create_graph)
        with np.errstate(all="ignore"):
            found = propagate(self, g, create_graph=create_graph, retain_graph=retain_graph)
        taken = {id(g)}
        for leaf, grad in found.items():
            leaf._accumulate(grad, taken)

    def _upstream(self, gradient: Any, create_graph: bool) -> Any:
        if traces and type(self.payload) is ndarray and (trace := open_trace()) is not None:
            trace.refuse_outside(self)
        if not self.requires_grad:
            reason = self.stash if type(self.stash) is str else _PLAIN_NUMBERS
            raise GraphError(
                "backward: this tensor does not require grad, and no graph leads back from it: "
                f"{reason}. Create the parameters with requires_grad=True, and compute the loss "
                "from them with operations of tinygrad_edu, outside no_grad() and without detach()."
            )
        payload = self.payload
        if gradient is None:
            if payload.shape == () and payload.dtype in _ONE and not create_graph:
                return _ONE[payload.dtype]
            if self.size != 1:
                raise ShapeError(
                    f"backward: a tensor of shape {self.shape} has no single derivative. Reduce "
                    "it to one "
                    "number first (.sum(), .mean()), or pass gradient= of this shape.",
                    code="non-scalar-loss",
                )
            gradient = (
                np.ones_like(payload) if isinstance(payload, ndarray) else payload.ones_like()
            )
        given = gradient._lifted() if isinstance(gradient, Tensor) else gradient
        if not isinstance(given, Recorder):
            given = np.asarray(given)
            if given.dtype.kind not in "fiub":
                raise DtypeError(
                    f"backward: gradient of dtype {given.dtype}: expected {self.dtype}."
                )
            given = given.astype(self.dtype, copy=False)
        if given.shape != self.shape:
            raise ShapeError(
                f"backward: gradient of shape {given.shape} for a tensor of shape {self.shape}: "
                "they must be "
                "equal."
            )
        if not create_graph:
            return given
        return (
            gradient
            if isinstance(gradient, Tensor) and gradient.dtype == self.dtype
            else Tensor._of(given)
        )

    def _accumulate(self, g: Any, taken: set[int]) -> None:
        """Add a finished gradient to `.grad`. A vjp may pass on the very array it was given, or a
        view; what is kept must be nobody else's, since optimizers and the next backward write into
        it. `taken`: the ids of arrays that somebody has."""
        held = self.grad
        if isinstance(g, Recorder):
            if not isinstance(g, Tensor):
                g = Tensor._of(g)
            elif g.op is None:  # a leaf may be the caller's own, or another leaf's gradient too
                g = g * 1.0
            self.grad = g if held is None else held + g
        elif held is None:
            if type(g) is not ndarray or g.base is not None or id(g) in taken:
                g = _own(g)  # (the sum of arrays without axes is a NumPy scalar)
            taken.add(id(g))
            self.grad = _leaf(_new(Tensor), g)
        elif held.op is None and type(held.payload) is ndarray and held.payload.flags.writeable:
            if held.stash is USED:  # zeros count as cleared
                held.stash = STALE if held.payload.any() else None
            held.payload += g
            mark_written(held)
        else:
            found = held.payload + g
            self.grad = Tensor._of(found if isinstance(found, Recorder) else np.asarray(found))

    def register_hook(self, hook: Callable[..., Any]) -> Callable[[], None]:
        """Call `hook(gradient)` with this tensor's whole gradient, a Tensor, in each backward; what
        it returns, if not None, replaces the gradient. Returns a function that removes the hook."""
        if not self.requires_grad:
            raise GraphError(
                "register_hook: this tensor does not require grad, so no gradient will ever "
                "arrive.",
                code="no-gradient-arrives",
            )

        def call(g: Any) -> Any:  # the hook may keep what it gets, and what it returns
            if isinstance(g, Tensor):
                return hook(g)
            changed = hook(Tensor._of(_own(g)))
            return None if changed is None else _own(self._upstream(changed, False))

        self.hooks = [*(self.hooks or ()), call]

        def remove() -> None:
            self.hooks = [kept for kept in self.hooks or () if kept is not call] or None

        return remove

    def detach(self) -> Tensor:
        """The same memory outside the graph: what is computed from it leads no gradient back
        here."""
        made = Tensor._of(self._lifted())
        made.stash = _DETACHED if self.requires_grad else self.stash
        return made

    # ---------------------------------------------------------------------------------- as an array

    @property
    def T(self) -> Tensor:
        """The axes reversed."""
        return transpose(self)

    def reshape(self, *shape: Any) -> Tensor:
        """The same elements in another shape: t.reshape(2, 3) or t.reshape((2, 3))."""
        return reshape(self, shape=_unpack(shape))

    def transpose(self, *axes: Any) -> Tensor:
        """The axes in another order: t.transpose(1, 0), t.transpose((1, 0)), or reversed without
        arguments."""
        return transpose(self, axes=_unpack(axes) if axes and axes != (None,) else None)

    flatten = flatten
    __getitem__ = getitem

    def __iter__(self) -> Iterator[Tensor]:
        return (self[i] for i in range(len(self)))

    def __deepcopy__(self, memo: dict[Any, Any]) -> Tensor:
        if self.op is not None:
            raise GraphError(
                "deepcopy: only leaves can be copied; this tensor was computed. Use t.detach().",
                code="leaves-the-graph",
            )
        if traces:
            self._stay_traced("deepcopy", "Copy outside the step; in it, use t.detach().")
        copy = Tensor._of(self.payload.copy())
        copy.requires_grad = self.requires_grad
        memo[id(self)] = copy
        return copy

    @classmethod
    def _of(cls, payload: Any) -> Tensor:
        """A leaf around `payload`, which is trusted."""
        return _leaf(_new(cls), payload)


def _leaf(made: Tensor, payload: Any) -> Tensor:
    made.payload = payload
    made.op = made.inputs = made.stash = made.grad = made.hooks = None
    made.params = NO_PARAMS
    made.seq = made.written = 0
    made.requires_grad = False
    return made


def _own(g: Any) -> Any:
    """A gradient's numbers in memory that nobody else has, unless it is traced."""
    return g if isinstance(g, Recorder) else np.array(g, order="C")


def _unpack(given: tuple[Any, ...]) -> tuple[Any, ...]:
    """(2, 3) from f(2, 3) and from f((2, 3))."""
    only = given[0] if len(given) == 1 else None
    return tuple(only) if isinstance(only, (tuple, list)) else given


def _operand(op: Op, x: Any) -> Any:
    """An input of a recorded operation that is neither a Tensor nor a number: an array of a
    supported dtype."""
    if type(x) in _PLAIN or isinstance(x, Tensor) or (type(x) is ndarray and x.dtype in SUPPORTED):
        return x
    if isinstance(x, Recorder) and not isinstance(x, Node):
        return Tensor._of(x)  # a payload of another kind, such as numbers that a program draws
    if isinstance(x, Recorder):
        raise CallError(
            f"{op.name}: a Tensor and a {type(x).__name__} cannot meet in one operation.",
            code="value-or-tensor",
        )
    return as_array(x)


def _unbroadcast(g: Any, source: Tensor, node: Node) -> Any:
    """Sum `g` over the axes along which `source` was repeated in `node`: what flowed out of copies
    flows back added."""
    shape = source.shape
    extra = len(g.shape) - len(shape)
    axes = tuple(range(extra)) + tuple(
        extra + i
        for i, n in enumerate(shape)
        if extra + i >= 0 and n == 1 and g.shape[extra + i] != 1
    )
    kept = tuple(1 if i in axes else n for i, n in enumerate(g.shape))[max(extra, 0) :]
    if extra < 0 or kept != shape:
        position = next((i for i, x in enumerate(node.inputs or ()) if x is source), None)
        raise ShapeError(
            f"{node.op and node.op.name}: its vjp for input {position} has shape {g.shape}, which "
            f"is no broadcast of the input's {shape}. The row's formula is wrong.",
            code="wrong-row",
        )
    return reshape(_sum(g, axis=axes, keepdims=True), shape=shape)


def _outside(op: Op, inputs: tuple) -> str | None:
    """Why the output of an operation that was not recorded has no graph, as far as can be known:
    the operation has no derivative, or an input has lost its graph before."""
    for x in inputs:
        if isinstance(x, Tensor):
            if x.requires_grad:
                return f"{op.name} has no derivative"
            if type(x.stash) is str:
                return x.stash
    return None


for _op in OPS.values():
    if _op.method:
        setattr(Tensor, _op.name, _op.function)
    if _op.dunder in ("add", "sub", "mul", "truediv", "pow", "matmul"):
        setattr(Tensor, f"__i{_op.dunder}__", in_place(getattr(Tensor, f"__{_op.dunder}__")))
