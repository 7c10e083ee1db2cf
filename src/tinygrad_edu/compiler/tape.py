"""Functions of Values, compiled: forward and backward are one loop in C each, over a tape.

The first call with arguments of some structure runs the function, watched, and reads its graph.
From then on Python copies the numbers in, C runs the tape (csrc/tape.c), and what comes out is a
Value whose backward is another tape. So a compiled function is one operation of the graph, and
everything that holds of Values holds around it.

No derivative is written here or in C. A number of the tape is a payload (`Slot`): the forward is
the rows of the graph applied to slots, and the backward is the rows' vjp formulas, applied to slots
by the nodes' own `contributions`. So the numbers are the eager ones, operation by operation, in the
same order.
"""

from __future__ import annotations

import functools
from _thread import get_ident
from collections.abc import Callable
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

import numpy as np
from numpy import ndarray

from ..anomaly import watching
from ..errors import CompileError
from ..graph import Node, recording
from ..kernels import tape as kernels
from ..op import apply
from ..scalar import Value
from .tape_code import Backward, Slot, Writer
from .tape_graph import Graph, build, difference, flatten, run_watched
from .tape_run import Run, result
from .tape_watch import compiling

_payload = attrgetter("payload")


def compile_scalars(function: Callable[..., Any]) -> CompiledScalars:
    """`function`, which computes with Values (tg.scalar), as one call into C.

        fast = compile_scalars(loss)
        total = fast(X, y)
        model.zero_grad()
        total.backward()

    Arguments: numbers and Values, also nested in lists, tuples, dicts and arrays. The function gets
    a Value for each (an array becomes one of objects) and returns a Value, or several in such a
    structure; what depends on no Value but those made of numbers comes back as a float. The first
    call with a structure (lengths, shapes, which None, bool or string stands where) runs the
    function twice, to see that it does the same each time, and compiles; later calls do not run
    it. Values and gradients are the eager ones, to the bit where Python and C share their libm
    (docs/compile-tape.md); backward(create_graph=True) runs the function again, eagerly.

    Fixed at the first call: the path that the function takes, the numbers that it takes from
    outside, and which Values (by identity) its parameters are; what these hold is read at each
    call. Pass what changes as an argument, and compile again after replacing a parameter by another
    Value. What could be frozen unseen is refused with CompileError: reading a number, branching on
    one, assigning to one, no_grad, random draws, an operation that tapes do not know.

    Within detect_anomaly() and inside a function that is being compiled it is the function itself,
    as it is at every call but the first where there are no C kernels. Several threads may call it
    at once.
    """
    return CompiledScalars(function)


class CompiledScalars:
    """What `compile_scalars` returns: call it as the function that it was made from."""

    def __init__(self, function: Callable[..., Any]) -> None:
        functools.update_wrapper(self, function)
        self.function = function
        self.tapes: dict[Any, Tape | None] = {}

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if compiling() or get_ident() in watching:
            return self.function(*args, **kwargs)
        items: list[Any] = []
        structure = flatten((args, kwargs), items)
        try:
            tape = self.tapes[structure]
        except KeyError:
            tape = self.tapes[structure] = _compiled(self.function, structure, items)
        return tape(items) if tape is not None else self.function(*args, **kwargs)

    def __repr__(self) -> str:
        sizes = [f"{len(t.graph.steps)} operations" for t in self.tapes.values() if t is not None]
        return f"<compiled {self.function!r}: {', '.join(sizes) or 'not called yet'}>"


def _compiled(function: Callable, structure: Any, items: list[Any]) -> Tape | None:
    """The tape of `function`, which is run twice for it. Where there is no C to run a tape, None;
    what cannot be compiled is refused there too."""
    graph = run_watched(function, structure, items)
    differs = difference(graph, run_watched(function, structure, items))
    if differs:
        raise CompileError(
            f"compile: {getattr(function, '__name__', function)} does not do the same each time: "
            f"{differs}. A tape would repeat its first run for ever. Draw random numbers outside "
            "and pass them as arguments, and keep no state in the function."
        )
    return Tape(function, structure, items, graph) if kernels.OPERATIONS else None


class Tape:
    """A function for one structure of arguments: its graph, the forward as code, and the backwards
    that were asked for.

    The places of the forward are the items of the call, the parameters, and then everything else.
    Each call has a copy of them, so that calls share nothing that they write.
    """

    def __init__(self, function: Callable, structure: Any, items: list[Any], graph: Graph) -> None:
        self.function, self.structure, self.graph = function, structure, graph
        self.arguments = [k for k, item in enumerate(items) if isinstance(item, Value)]
        self.parameters = [leaf for leaf in graph.leaves if isinstance(leaf, Value)]
        self.known: dict[int, int | float] = {}  # operand -> its place, or the number that it is
        self.sources = [-1 - k for k in self.arguments]  # the leaves that gradients are for
        self.writer = Writer([0.0] * (len(items) + len(self.parameters)))
        self.code, self.places = self._forward(len(items))
        nodes = self._nodes(self.writer)
        # For each result: the parameters of its node (None: it has no gradient and is a number),
        # its place or number, and the type of the number.
        self.results = [
            ({"which": k} if o in nodes else None, self.known[o], self._number(o))
            for k, o in enumerate(graph.results)
        ]
        self.pullbacks: dict[tuple[int, ...], Pullback] = {}

    def __call__(self, items: list[Any]) -> Any:
        """The results for these items."""
        places = self.places.copy()
        numbers = [x.payload if isinstance(x, Value) else x for x in items]
        numbers += map(_payload, self.parameters)
        places[: len(numbers)] = numbers
        kernels.run(places, self.code)
        run = Run(self, items, places) if recording() else None
        results: list[Any] = []
        for params, known, number in self.results:
            found = known if isinstance(known, float) else places[known]
            results.append(number(found) if params is None else result(run, found, params))
        return build(self.graph.structure, iter(results))

    def _forward(self, place: int) -> tuple[ndarray, ndarray]:
        """The code of the forward, and what its places hold at the start; `place` is the first
        parameter's."""
        for k, leaf in enumerate(self.graph.leaves):
            self.known[-1 - k] = leaf
            if isinstance(leaf, Value):
                self.known[-1 - k] = place
                self.sources.append(-1 - k)
                place += 1
        for k, (op, operands, params) in enumerate(self.graph.steps):
            out = apply(op, tuple(self._payload(self.writer, o) for o in operands), params)
            self.known[k] = out.number if isinstance(out, Slot) else float(out)
        return self.writer.assembled(), np.array(self.writer.places)

    def _payload(self, writer: Writer, operand: int) -> Any:
        """What formulas see of `operand`: a slot, or the number that it is."""
        known = self.known[operand]
        return Slot(writer, known) if isinstance(known, int) else known

    def _number(self, operand: int) -> type:
        """What a result without gradient is: what it would have been without the compiler."""
        truth = operand >= 0 and not self.graph.steps[operand][0].differentiable
        return bool if truth else float

    def _nodes(self, writer: Writer) -> dict[int, Value]:
        """A node for each operand that leads back to a source, with slots for payloads: the graph
        that the function recorded, as far as a backward goes."""
        nodes = {o: _node(self._payload(writer, o)) for o in self.sources}
        for k, (op, operands, params) in enumerate(self.graph.steps):
            if op.differentiable and any(o in nodes for o in operands):
                node = nodes[k] = _node(self._payload(writer, k))
                inputs = (nodes[o] if o in nodes else self._payload(writer, o) for o in operands)
                node.op, node.inputs, node.params = op, tuple(inputs), params
        return nodes

    def pull(
        self, places: ndarray, seeds: dict[int, float], inputs: tuple[Node, ...]
    ) -> list[float | None]:
        """The gradient of each of `inputs`, the arguments and parameters of a call, or None where
        `seeds`, {result: its gradient}, do not reach it. `places` is what the forward of the call
        left."""
        which = tuple(sorted(seeds, reverse=True))  # as eager mode adds them: latest first
        pullback = self.pullbacks.get(which)
        if pullback is None:
            pullback = self.pullbacks[which] = self._pullback(which)
        work = pullback.places.copy()
        first, last = len(places), len(places) + len(which)
        work[:first] = places
        work[first:last] = [seeds[k] for k in which]
        kernels.run(work, pullback.code)
        found: list[float | None] = work[last : last + len(inputs)].tolist()
        if len(pullback.reached) < len(inputs):
            reached = set(pullback.reached)
            found = [g if k in reached else None for k, g in enumerate(found)]
        return found

    def _pullback(self, which: tuple[int, ...]) -> Pullback:
        """The backward from the results `which`: as `propagate`, latest node first, but into places
        instead of a table."""
        writer = Backward(self.writer)
        nodes = self._nodes(writer)
        operand = {id(node): o for o, node in nodes.items()}
        seeds = [(self.graph.results[k], Slot(writer, writer.place())) for k in which]
        totals = {o: writer.total() for o in self.sources}
        totals.update((o, writer.total()) for o, _ in seeds if o not in totals)
        writer.add([(totals[o], seed, False) for o, seed in seeds])
        reached = {o for o, _ in seeds}
        for k in reversed(range(len(self.graph.steps))):
            if k not in reached:
                continue
            writer.begin_node()
            passed = []
            node: Any = nodes[k]
            contributions = node.contributions(Slot(writer, totals[k]), False)
            for source, contribution in zip(node.inputs, contributions):
                if contribution is None:
                    continue
                o = operand[id(source)]
                if o not in totals:
                    totals[o] = writer.total()
                passed.append((totals[o], contribution, o not in reached))
                reached.add(o)
            writer.add(passed)
        return Pullback(
            writer.assembled(),
            np.array(writer.places),
            [i for i, o in enumerate(self.sources) if o in reached],
        )


@dataclass(frozen=True)
class Pullback:
    """A backward: its code, what its places hold at the start (those of the forward, the seeds, the
    gradients of the sources, the rest), and which sources it reaches."""

    code: ndarray
    places: ndarray
    reached: list[int]


def _node(slot: Slot) -> Value:
    """A Value with a slot for its payload."""
    node = Value(0.0)
    node.payload = slot
    return node
