"""The graph and the one engine that walks it backward.

A `Node` is a payload together with the operation and the inputs that made it. The engine knows neither arrays
nor Tensors: a payload is anything that can be added, and what must fit a node's payload is asked of the node
(`conform`). Everything is a loop, so a chain of a million nodes is no deeper than a chain of two; a node holds its
inputs and nothing holds its outputs, so that a graph nobody needs any more dies by reference count.

Time is one counter. A node remembers when it was made (`seq`) and when its payload was last written over
(`written`); a write that is younger than a node which reads the payload is the in-place surprise we refuse.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterable
from heapq import heappop, heappush
from typing import TYPE_CHECKING, Any

from .errors import GraphError

if TYPE_CHECKING:
    from .op import Op

tick = itertools.count(1).__next__


class Recorder:
    """What an operation can hand itself to: `record(op, inputs, params)` runs it and remembers it.

    The operators (`+`, `@`, `[...]`) are attached to this class by the rows, so each kind of payload has them all.
    """

    __slots__ = ()

    @classmethod
    def record(cls, op: Op, inputs: tuple, params: dict[str, Any]) -> Any:
        raise NotImplementedError


class Node(Recorder):
    """A payload in the graph. A leaf has no `op`; `inputs` becomes None when a backward has freed the node."""

    __slots__ = ("payload", "op", "inputs", "params", "stash", "seq", "written", "grad", "requires_grad", "hooks",
                 "__weakref__")

    payload: Any
    op: Op | None
    inputs: tuple | None
    params: dict[str, Any]
    stash: Any
    seq: int
    written: int
    grad: Any
    requires_grad: bool
    hooks: list[Callable] | None

    def conform(self, contribution: Any, op: Op, position: int) -> Any:
        """`contribution`, made to fit this node's payload, or an error that names the row that is wrong."""
        raise NotImplementedError

    def retry(self, formula: Callable, g: Any, out: Any, values: Any, params: dict[str, Any]) -> Any:
        """Called while a formula's ZeroDivisionError or OverflowError is handled: another way to compute it, or raise."""
        raise

    def arrived(self, gradient: Any) -> None:
        """Called on each inner node with its whole gradient. Scalars keep it for the reader; arrays do not."""


class _WriteClock:
    """When any payload was last written over, so that a backward without surprises pays one comparison a node."""

    latest = 0


def mark_written(node: Node) -> None:
    """Note that the payload of `node` was changed in place (by an optimizer, an assignment, a load)."""
    node.written = _WriteClock.latest = tick()


# ---------------------------------------------------------------------------------------------- recording on and off

_silent: dict[int, int] = {}


def recording() -> bool:
    """Whether operations of this thread are recorded. The table is empty almost always, and then costs nothing."""
    return not _silent or threading.get_ident() not in _silent


class no_grad:
    """Within `with no_grad():`, or in a function decorated by it, this thread records nothing. Nests freely."""

    def __enter__(self) -> None:
        me = threading.get_ident()
        _silent[me] = _silent.get(me, 0) + 1

    def __exit__(self, *exc: object) -> None:
        me = threading.get_ident()
        depth = _silent[me] - 1
        if depth:
            _silent[me] = depth
        else:
            del _silent[me]

    def __call__(self, function: Callable) -> Callable:
        import functools

        @functools.wraps(function)
        def silent(*args: Any, **kwargs: Any) -> Any:
            with self:
                return function(*args, **kwargs)

        return silent


# ------------------------------------------------------------------------------------------------------- the engine

def propagate(root: Node, gradient: Any, *, create_graph: bool = False, retain_graph: bool = False,
              stop: Iterable[Node] = ()) -> dict[Node, Any]:
    """Carry `gradient` from `root` to every leaf it depends on; return {leaf: gradient}, writing to none of them.

    Nodes are visited in the reverse of the order in which they were made: a node made later can only depend on nodes
    made earlier, so by the time a node is reached, every gradient that flows into it has arrived. (This is why
    recursion over the inputs, which looks simpler, is wrong: in `b = a + a; c = b + b` it would visit b before both of
    its gradients are in.) Gradients wait in `pending` and leave it as soon as they are used.

    `stop`: nodes that count as leaves here. With `create_graph` the gradients are nodes themselves, so that they can
    be differentiated again.
    """
    leaves: dict[Node, Any] = {}
    ends = set(stop)
    if root.op is None or root in ends:
        return {root: _hooked(root, gradient)}
    pending = {root.seq: (root, gradient)}
    latest = [-root.seq]
    while latest:
        node, g = pending.pop(-heappop(latest))
        if node.hooks:
            g = _hooked(node, g)
        node.arrived(g)
        for source, contribution in contributions(node, g, create_graph):
            if source.op is None or source in ends:
                held = leaves.get(source)
                leaves[source] = contribution if held is None else held + contribution
                continue
            seq = source.seq
            waiting = pending.get(seq)
            if waiting is None:
                pending[seq] = (source, contribution)
                heappush(latest, -seq)
            else:
                pending[seq] = (source, waiting[1] + contribution)
        if not (retain_graph or create_graph):
            node.inputs = node.stash = None
    return {leaf: _hooked(leaf, g) if leaf.hooks else g for leaf, g in leaves.items()}


def contributions(node: Node, g: Any, create_graph: bool) -> list[tuple[Node, Any]]:
    """What `node` passes on of its gradient `g`: one (input, gradient) pair for each input that wants one.

    The formulas see payloads, or the nodes themselves when the derivative is to be differentiated in its turn. A
    kernel is a faster copy of the formulas for plain arrays; it may decline.
    """
    op, inputs, params = node.op, node.inputs, node.params
    assert op is not None
    if inputs is None:
        raise GraphError(
            f"backward: the graph behind this {op.name} was already used by a backward and freed. Run the forward "
            "computation again, or pass retain_graph=True to the earlier backward.")
    if _WriteClock.latest > node.seq:
        _refuse_overwritten(node)
    if create_graph:
        values: Any = inputs
        out: Any = node
    else:
        values = [x.payload if isinstance(x, Node) else x for x in inputs]
        out = node.payload
        if op.kernel_vjp is not None:
            needs = [isinstance(x, Node) and x.requires_grad for x in inputs]
            results = op.kernel_vjp(g, out, values, params, needs, node.stash)
            if results is not NotImplemented:
                return _fit(node, results)
    if op.joint is not None:
        return _fit(node, op.joint(g, out, *values, **params))
    pairs = []
    for position, source in enumerate(inputs):
        if isinstance(source, Node) and source.requires_grad:
            vjp = op.vjps[position]
            if vjp is not None:
                try:
                    contribution = vjp(g, out, *values, **params) if params else vjp(g, out, *values)
                except (ZeroDivisionError, OverflowError):
                    contribution = node.retry(vjp, g, out, values, params)
                pairs.append((source, source.conform(contribution, op, position)))
    return pairs


def _fit(node: Node, results: Any) -> list[tuple[Node, Any]]:
    """Pair the gradients of a vjp that gives all of them at once with the inputs, checking that none is missing."""
    inputs, op = node.inputs, node.op
    assert inputs is not None and op is not None
    if len(results) != len(inputs):
        raise GraphError(f"{op.name}: its vjp returned {len(results)} gradients for {len(inputs)} inputs.")
    return [(source, source.conform(result, op, position))
            for position, (source, result) in enumerate(zip(inputs, results))
            if result is not None and isinstance(source, Node) and source.requires_grad]


def _hooked(node: Node, g: Any) -> Any:
    for hook in node.hooks or ():
        changed = hook(g)
        g = g if changed is None else changed
    return g


def _refuse_overwritten(node: Node) -> None:
    """Raise if a payload that the formulas of `node` read was written over after `node` was made."""
    op = node.op
    assert op is not None and node.inputs is not None
    for position, source in enumerate(node.inputs):
        if op.reads_input(position) and isinstance(source, Node) and _last_written(source) > node.seq:
            _overwritten(op.name, f"input {position}", source)
    if op.reads_output and _last_written(node) > node.seq:
        _overwritten(op.name, "output", node)


def _last_written(node: Node) -> int:
    """The time of the last write to the memory of `node`: a view shares it with the node that it looks into."""
    written = node.written
    while node.op is not None and node.op.view and node.inputs:
        source = node.inputs[0]
        if not isinstance(source, Node):
            break
        node = source
        written = max(written, node.written)
    return written


def _overwritten(name: str, which: str, node: Node) -> None:
    shape = getattr(node.payload, "shape", None)
    described = f" (shape {shape})" if shape is not None else ""
    raise GraphError(
        f"backward: the {which} of {name}{described} was changed in place after {name} read it, so its gradient would "
        "be that of other numbers. Call backward() before the change (optimizer.step(), load_state_dict, .data = ...), "
        "run the forward computation again after it, or work on a copy.")
