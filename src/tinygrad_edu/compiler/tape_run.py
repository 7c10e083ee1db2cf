"""The call of a compiled function, as it stands in the graph of Values.

A call is one node, a `Run`, on the Values that gradients are for; each of its results is a Value on
top of it. So one backward of the tape serves all results, and what a caller computes with them is
graph as ever.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from numpy import ndarray

from ..errors import GraphError
from ..graph import Node, propagate
from ..op import NO_PARAMS, Op
from ..scalar import Value
from ..writes import last_written, tick
from .tape_graph import build, flatten

if TYPE_CHECKING:
    from .tape import Tape


class Seeds(dict[int, Any]):
    """{number of a result: its gradient}: what the results of a call pass on to its `Run`, one
    each; together they are the gradient of the Run."""

    def __add__(self, other: Seeds) -> Seeds:
        return Seeds({**self, **other})


class Run(Node):
    """One call: its inputs are the Values that gradients are for, its payload the places after the
    forward."""

    __slots__ = ("tape", "items")
    requires_grad = True
    params = NO_PARAMS

    def __init__(self, tape: Tape, items: list[Any], places: ndarray) -> None:
        self.tape, self.items, self.payload = tape, items, places
        self.op = _RUN
        self.inputs = (*(items[k] for k in tape.arguments), *tape.parameters)
        self.seq, self.written = tick(), 0

    def contributions(
        self, g: Seeds, create_graph: bool, wanted: set[Node] | None = None
    ) -> Sequence[Any]:
        """As `Node.contributions`: by the tape, or, where the gradients are to be differentiated,
        by running the function on Values."""
        inputs: Any = self.inputs
        if create_graph:
            found = self._again(g)
            passed = [found.pop(x, None) for x in inputs]  # once, if it stands there twice
        else:
            passed = self.tape.pull(self.payload, g, inputs)
        if wanted is None:
            return passed
        return [gradient if x in wanted else None for x, gradient in zip(inputs, passed)]

    def _again(self, g: Seeds) -> dict[Node, Any]:
        """{input: its gradient, a Value}, of the function run eagerly on what this call had."""
        for x in self.inputs or ():
            if last_written(x) > self.seq:
                raise GraphError(
                    "backward: with create_graph=True a compiled function is run again, and one of "
                    "its Values was changed since. Call backward() before the change, or the "
                    "function again after it.",
                    code="overwritten-before-backward",
                )
        numbers = self.payload[: len(self.items)].tolist()
        items = [x if isinstance(x, Value) else number for x, number in zip(self.items, numbers)]
        args, kwargs = build(self.tape.structure, iter(items))
        results: list[Any] = []
        flatten(self.tape.function(*args, **kwargs), results)
        total = sum(results[k] * seed for k, seed in g.items())
        ends = [*(self.inputs or ()), *g.values()]
        return propagate(total, Value(1.0), create_graph=True, stop=ends)


def result(run: Run | None, number: Any, params: dict[str, int]) -> Value:
    made = Value(float(number))
    if run is None:
        made.inputs = ()  # as any Value that is computed under no_grad()
    else:
        made.op, made.inputs, made.params, made.seq = _RESULT, (run,), params, tick()
    return made


# Rows of no table, for errors and pictures to have a name for the two kinds of node: their forward
# has been done by the tape. A Run reads none of its inputs later, since it keeps their numbers.
_RUN = Op(
    "compiled",
    lambda *values: values,
    vjps=None,
    joint=lambda g, _out, *_values: g,
    domain=(),
    cases=(),
    inputs=("values",),
)
_RESULT = Op(
    "result",
    lambda run, which: run[which],
    vjps=None,
    joint=lambda g, _out, _run, which: (Seeds({which: g}),),
    domain=(),
    cases=(),
    inputs=("run",),
    defaults={"which": 0},
)
