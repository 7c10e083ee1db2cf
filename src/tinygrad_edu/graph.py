"""The graph and the one engine that walks it backward.

A `Node` is a payload together with the operation and the inputs that made it. The engine knows
neither arrays nor Tensors: a payload is anything that can be added, and what must fit a node's
payload is asked of the node (`conform`). Everything is a loop, so a chain of a million nodes is no
deeper than a chain of two; a node holds its inputs and nothing holds its outputs, so that a graph
nobody needs any more dies by reference count.

A node remembers when it was made (`seq`); memory that was written over since then, and that its
formulas read, is the in-place surprise that a backward refuses (see writes.py).
"""

from __future__ import annotations

from _thread import get_ident
from collections.abc import Callable, Iterable, Sequence
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from .anomaly import check_arrived, check_backward, watching
from .errors import GraphError
from .switch import Switch
from .writes import last_written, writes

if TYPE_CHECKING:
    from .op import Op

_made_at = attrgetter("seq")


class Recorder:
    """What an operation can hand itself to: `record(op, inputs, params)` runs it and remembers it.

    The operators (`+`, `@`, `[...]`) are attached to this class by the rows, so each kind of
    payload has them all.
    """

    __slots__ = ()

    @classmethod
    def record(cls, op: Op, inputs: tuple, params: dict[str, Any]) -> Any:
        raise NotImplementedError

    @classmethod
    def record_vjp(
        cls, op: Op, g: Any, out: Any, values: Sequence, params: dict, needs: Sequence, stash: Any
    ) -> Any:
        """Run the vjp kernel of `op` on payloads of this kind, and remember it; NotImplemented
        where it does not apply: then the formulas are used."""
        return NotImplemented

    def beside(self, numbers: Any) -> Any:
        """`numbers` as a payload of this kind, for what is computed without a Node."""
        return numbers

    def write_into(self, target: Any) -> None:
        """Write this payload into the memory of the leaf `target`, and remember it."""
        raise NotImplementedError


class Node(Recorder):
    """A payload in the graph. A leaf has no `op`; `inputs` becomes None when a backward has freed
    the node.

    What only some kinds of node store is a class attribute here, so that a node of the other kinds
    pays nothing for it.
    """

    __slots__ = ("payload", "op", "inputs", "seq", "written", "grad", "__weakref__")

    payload: Any
    op: Op | None
    inputs: tuple | None
    seq: int
    written: int
    grad: Any

    params: dict[str, Any]  # the parameters of the operation
    stash: Any = None  # what the forward kernel left for the vjp kernel
    hooks: list[Callable] | None = None
    requires_grad: bool
    keeps_grad = False  # whether inner nodes keep their gradient too

    def memory(self) -> Any:
        """The object that owns the memory of the payload, or None where it cannot be written to."""
        return None

    def conform(self, contribution: Any, node: Node) -> Any:
        """A contribution from `node`, made to fit this node's payload, or an error that names the
        row that is wrong. Whatever can be added fits, as it is for numbers."""
        return contribution

    def total(self, g: Any, contribution: Any) -> Any:
        """The sum of two gradients of this node."""
        return g + contribution

    def contributions(
        self, g: Any, create_graph: bool, wanted: set[Node] | None = None
    ) -> Sequence[Any]:
        """What this node passes on of its gradient `g`: one gradient for each input, None for one
        that wants none. Those want one that require a gradient, or that are in `wanted` if that is
        given.

        The formulas see payloads, or the nodes themselves when the derivative is to be
        differentiated in its turn. What a formula gives is made to fit the inputs; what a kernel
        gives has their shapes and dtypes by its contract.
        """
        op: Any = self.op
        inputs: Any = self.inputs
        values, needs = [], []
        for x in inputs:
            if isinstance(x, Node):
                values.append(x if create_graph else x.payload)
                needs.append(x.requires_grad if wanted is None else x in wanted)
            else:
                values.append(x)
                needs.append(False)
        if traces and not create_graph and (trace := open_trace()) is not None:
            values = trace.lift_tensors(inputs, values)
        if op.kernel_vjp is not None and not create_graph:
            out = self.payload
            if isinstance(out, Recorder):
                results = out.record_vjp(op, g, out, values, self.params, needs, self.stash)
            else:
                results = op.kernel_vjp(g, out, values, self.params, needs, self.stash)
            if results is not NotImplemented:
                return results
        out = self if create_graph else self.payload
        if op.joint is None:
            results = _one_by_one(self, g, out, values, needs)
        else:
            results = jointly(self, g, out, values)
        return [
            source.conform(result, self) if need and result is not None else None
            for source, need, result in zip(inputs, needs, results)
        ]

    def retry(self, formula: Callable, *arguments: Any) -> Any:
        """Called while a formula's ZeroDivisionError or OverflowError is handled: another way to
        compute it, or raise."""
        raise


# ----------------------------------------------------------------------------- recording on and off

traces: dict[int, Any] = {}  # thread -> the Trace that watches it (compiler/); empty almost always


def open_trace() -> Any:
    """The Trace that watches this thread while a step is compiled, or None."""
    return traces.get(get_ident()) if traces else None


def stay_outside(what: str, instead: str = "") -> None:
    """Refuse `what`, which reads or sets numbers, while this thread's step is compiled: a replay
    would go on with those of the first call."""
    if traces and (trace := open_trace()) is not None:
        trace.refuse_numbers(what, instead)


silenced: dict[int, int] = {}  # thread -> depth of its no_grad blocks; empty almost always


def recording() -> bool:
    """Whether operations of this thread are recorded."""
    return not silenced or get_ident() not in silenced


class no_grad(Switch):
    """Within `with no_grad():`, or in a function decorated by it, this thread records nothing.
    Nests freely."""

    depths = silenced


# --------------------------------------------------------------------------------------- the engine


def propagate(
    root: Node,
    gradient: Any,
    *,
    create_graph: bool = False,
    retain_graph: bool = False,
    stop: Iterable[Node] = (),
    wanted: Iterable[Node] | None = None,
) -> dict[Any, Any]:
    """Carry `gradient` from `root` to every leaf it depends on; return {leaf: gradient}, writing to
    none of them.

    Nodes are visited in the reverse of the order in which they were made: a node made later can
    only depend on nodes made earlier, so by the time a node is reached, every gradient that flows
    into it has arrived. (This is why recursion over the inputs, which looks simpler, is wrong: in
    `b = a + a; c = b + b` it would visit b before both of its gradients are in.) Gradients wait in
    `arrived` and leave it as soon as they are used; what is left is the leaves'.

    `stop`: nodes that count as leaves here. `wanted`: the leaves that a gradient is wanted for, if
    not all; nothing is computed for the others, and their hooks are not called. With `create_graph`
    the gradients are nodes themselves, so that they can be differentiated again. What can be
    refused is refused before anything is computed or freed.
    """
    order = _reachable(root, set(stop))
    needed = None if wanted is None else _leading_to(set(wanted), order)
    arrived = {root: gradient}
    watched = bool(watching) and get_ident() in watching
    while order:
        node = order.pop()
        g = arrived.pop(node, None)
        if g is None:
            continue
        if node.hooks:
            g = _hooked(node, g)
        passed = node.contributions(g, create_graph, needed)
        if watched:
            check_backward(node, g, passed)
        for source, contribution in zip(node.inputs, passed):  # type: ignore[arg-type]
            if contribution is not None:
                arrived[source] = (
                    source.total(arrived[source], contribution)
                    if source in arrived
                    else contribution
                )
        if not (retain_graph or create_graph):
            node.inputs = node.stash = None
    found = {leaf: _hooked(leaf, g) if leaf.hooks else g for leaf, g in arrived.items()}
    if watched:
        for leaf, g in found.items():
            check_arrived(leaf, g)
    return found


def _leading_to(wanted: set[Node], order: list[Node]) -> set[Node]:
    """`wanted`, and the nodes of `order` (oldest first) that depend on them."""
    for node in order:
        if any(isinstance(x, Node) and x in wanted for x in node.inputs or ()):
            wanted.add(node)
    return wanted


def _reachable(root: Node, ends: set[Node]) -> list[Node]:
    """The nodes between `root` and its leaves, oldest first, each found fit for a backward."""
    if root.op is None or root in ends:
        return []
    order = [root]
    seen = {root, *ends}
    latest = writes.latest
    for node in order:  # grows while it is walked
        inputs = node.inputs
        if inputs is None:
            _refuse_freed(node)
        if latest > node.seq:
            _refuse_overwritten(node)
        for source in inputs:  # type: ignore[union-attr]
            if isinstance(source, Node) and source.op is not None and source not in seen:
                seen.add(source)
                order.append(source)
    order.sort(key=_made_at)
    return order


def _one_by_one(node: Node, g: Any, out: Any, values: Sequence, needs: list[bool]) -> list:
    """The gradient of each input that needs one, by its formula; None for the others."""
    op: Any = node.op
    results: list = []
    for vjp, need in zip(op.vjps, needs):
        if not need or vjp is None:
            results.append(None)
            continue
        try:
            results.append(vjp(g, out, *values, **node.params))
        except (ZeroDivisionError, OverflowError):
            results.append(node.retry(vjp, g, out, values, node.params))
    return results


def jointly(node: Node, g: Any, out: Any, values: Sequence) -> Any:
    """One gradient (or None) per input, from a row's one formula for all of them."""
    op: Any = node.op
    results = op.joint(g, out, *values, **node.params)
    if len(results) != len(values):
        raise GraphError(
            f"{op.name}: its vjp returned {len(results)} gradients for {len(values)} inputs.",
            code="wrong-row",
        )
    return results


def _hooked(node: Node, g: Any) -> Any:
    for hook in node.hooks or ():
        changed = hook(g)
        g = g if changed is None else changed
    return g


def _refuse_freed(node: Node) -> None:
    if type(node.stash) is str:  # it never had a graph, and knows why
        raise GraphError(f"backward: no graph leads on from this tensor: {node.stash}.")
    raise GraphError(
        f"backward: the graph behind this {node.op.name if node.op else 'tensor'} was already "
        "used by a backward and "
        "freed. Run the forward computation again, or pass retain_graph=True to the earlier "
        "backward.",
        code="backward-twice",
    )


def _refuse_overwritten(node: Node) -> None:
    """Raise if a payload that the formulas of `node` read was written over after `node` was
    made."""
    op = node.op
    assert op is not None and node.inputs is not None
    for position, source in enumerate(node.inputs):
        if (
            op.reads_input(position)
            and isinstance(source, Node)
            and last_written(source) > node.seq
        ):
            _overwritten(op.name, f"input {position}", source)
    if op.reads_output and last_written(node) > node.seq:
        _overwritten(op.name, "output", node)


def _overwritten(name: str, which: str, node: Node) -> None:
    shape = getattr(node.payload, "shape", None)
    described = f" (shape {shape})" if shape is not None else ""
    raise GraphError(
        f"backward: the {which} of {name}{described} was changed in place after {name} read it, "
        "so its gradient would be that of other numbers. Call backward() before the change "
        "(optimizer.step(), load_state_dict, .data = ...), run the forward computation again after "
        "it, or work on a copy.",
        code="overwritten-before-backward",
    )
