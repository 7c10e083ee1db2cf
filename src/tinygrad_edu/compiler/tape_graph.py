"""What a function of Values computes, as plain data: run it once, watched, and read its graph.

Numbers and Values may lie in tuples, lists, dicts and arrays. `flatten` takes such a structure
apart into its items and a hashable description, `build` puts other items in their places.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy import ndarray

from ..errors import CompileError
from ..op import Op
from ..scalar import Value
from ..writes import tick
from .tape_watch import watched

NUMBER, VALUE = "number", "value"


def flatten(tree: Any, items: list[Any]) -> Any:
    """Append the numbers (as floats) and Values of `tree` to `items`; return what the tree is
    without them. None, bools and strings are part of that, so that another one is another
    structure."""
    kind = type(tree)
    if kind is float:  # the many first: this is done at every call
        items.append(tree)
        return NUMBER
    if kind is list or kind is tuple:
        return kind, tuple([flatten(x, items) for x in tree])
    if isinstance(tree, Value):
        items.append(tree)
        return VALUE
    if kind is int or isinstance(tree, (np.floating, np.integer)):
        items.append(float(tree))
        return NUMBER
    if kind is dict:
        return kind, tuple(tree), tuple([flatten(x, items) for x in tree.values()])
    if kind is ndarray and tree.dtype.kind in "fiu":
        if tree.ndim == 0:
            return flatten(tree[()], items)
        items.extend(tree.ravel().astype(np.float64).tolist())
        return ndarray, tree.shape, NUMBER
    if kind is ndarray and tree.dtype.kind == "O":
        return ndarray, tree.shape, tuple([flatten(x, items) for x in tree.ravel().tolist()])
    if tree is None or kind is bool or kind is str:
        return "constant", kind, tree
    raise CompileError(
        f"compile: a {kind.__name__} among the arguments or results. Numbers and Values, also in "
        "lists, tuples, dicts and arrays, may change from call to call; None, bools and strings "
        "choose between tapes. What else the function needs (a model, a data set), let it take "
        "from where it is defined instead of as an argument."
    )


def build(structure: Any, items: Iterator[Any]) -> Any:
    """The tree of `structure` with `items` in it; what was an array of numbers becomes one of
    objects where the items are Values."""
    if structure in (NUMBER, VALUE):
        return next(items)
    kind, *parts = structure
    if kind is list or kind is tuple:
        return kind([build(part, items) for part in parts[0]])
    if kind is dict:
        return {key: build(part, items) for key, part in zip(*parts)}
    if kind is ndarray:
        shape, inner = parts
        size = int(np.prod(shape))
        held = [build(part, items) for part in ((inner,) * size if inner == NUMBER else inner)]
        numbers = all(isinstance(x, float) for x in held)
        made = np.empty(size, np.float64 if numbers else object)
        made[:] = held
        return made.reshape(shape)
    return parts[1]


@dataclass
class Graph:
    """What one run computed. An operand is k >= 0, the k-th step, or -1 - k, the k-th leaf.

    leaves: k for the k-th item of the call, then what else there is: the Value itself where anybody
    still has it (a parameter), or a number: a constant, or a Value that nobody has any more, so
    that it can never change.
    """

    leaves: list[Any]
    steps: list[tuple[Op, tuple[int, ...], dict[str, Any]]]
    structure: Any
    results: list[int]


def run_watched(function: Callable, structure: Any, items: Sequence[Any]) -> Graph:
    """The graph of one run of `function` on arguments of `structure`, whose numbers, and the
    numbers of whose Values, are `items`. Raises CompileError for what a tape cannot follow."""
    stand_ins = [Value(x.payload if isinstance(x, Value) else x) for x in items]
    since = tick()
    name = getattr(function, "__name__", repr(function))
    with watched(name):
        args, kwargs = build(structure, iter(stand_ins))
        returned = function(*args, **kwargs)
    outputs: list[Any] = []
    shape = flatten(returned, outputs)
    if not any(isinstance(x, Value) for x in outputs):
        raise CompileError(
            f"compile: {name} returned {type(returned).__name__} without a Value in it, nothing "
            "that its arguments or parameters could change. Return the Value that it computes."
        )
    graph = _read(outputs, stand_ins, since)
    graph.structure = shape
    # With the run over, a leaf that only its graph held (a number that the function wrapped) is
    # gone, and the others are somebody's.
    del args, kwargs, returned, outputs
    graph.leaves = [_settled(leaf) for leaf in graph.leaves]
    return graph


def _read(outputs: list[Any], stand_ins: list[Value], since: int) -> Graph:
    """The graph behind `outputs`, back to the arguments' stand-ins, to leaves, and to what was
    computed before time `since`. Leaves are noted as (weak reference, number)."""
    walk = list({id(x): x for x in outputs if isinstance(x, Value)}.values())
    seen = {id(x) for x in walk}
    steps: list[Any] = []
    for node in walk:  # grows while it is walked
        if node.op is None or node.seq < since:
            continue
        steps.append(node)
        for x in node.inputs or ():
            if isinstance(x, Value) and id(x) not in seen:
                seen.add(id(x))
                walk.append(x)
    steps.sort(key=lambda node: node.seq)
    numbers = {id(node): k for k, node in enumerate(steps)}
    leaves: list[Any] = list(range(len(stand_ins)))
    numbers.update((id(x), -1 - k) for k, x in enumerate(stand_ins))

    def operand(x: Any) -> int:
        if id(x) in numbers and isinstance(x, Value):
            return numbers[id(x)]
        if isinstance(x, Value):
            leaves.append((weakref.ref(x) if x.op is None else lambda: x, x.payload))
            numbers[id(x)] = -len(leaves)
        else:
            leaves.append(float(x))
        return -len(leaves)

    recorded: list[Any] = [
        (node.op, tuple(map(operand, node.inputs or ())), node.params) for node in steps
    ]
    return Graph(leaves, recorded, None, [operand(x) for x in outputs])


def _settled(leaf: Any) -> Any:
    if not isinstance(leaf, tuple):
        return leaf
    reference, number = leaf
    value = reference()
    return number if value is None else value


def difference(one: Graph, other: Graph) -> str:
    """In words, where two runs of a function computed different things; "" where they did not.

    repr, because NaN is not equal to itself.
    """
    for x, y in zip(one.leaves, other.leaves):
        if isinstance(x, Value) or isinstance(y, Value):
            if x is not y:
                return "other Values were used"
        elif repr(x) != repr(y):
            return f"a number was {x} and then {y}"
    for k, (x, y) in enumerate(zip(one.steps, other.steps)):
        if x != y and repr(x) != repr(y):
            return f"operation {k} was {x[0].name}{x[1]} and then {y[0].name}{y[1]}"
    sizes = [(len(graph.leaves), len(graph.steps)) for graph in (one, other)]
    if sizes[0] != sizes[1]:
        return "{} leaves and {} operations, then {} and {}".format(*sizes[0], *sizes[1])
    ends = [repr((graph.structure, graph.results)) for graph in (one, other)]
    return "" if ends[0] == ends[1] else "other results were returned"
