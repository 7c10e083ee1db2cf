"""Reverse mode between two sets of nodes: from many outputs at once, to chosen ends, and not
beyond."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from ..graph import Node, propagate
from ..op import Op
from ..ops.shape import ANY
from ..tensor import Tensor
from ..writes import tick

# One node over many: its vjp hands each input the gradient that is meant for it, so that one walk
# serves all outputs. Not in the table of operations, since it computes nothing.
_gather = Op(
    "cotangents",
    lambda *outs, us: np.zeros(()),
    vjps=None,
    joint=lambda _g, _out, *_outs, us: us,
    domain=(ANY,),
    cases=None,
    inputs=("outs",),
    variadic=True,
    public=False,
)


def carry(
    outs: Sequence, us: Sequence, ends: Sequence, beyond: set[Node], create_graph: bool
) -> list:
    """sum of u^T d out / d end over all outputs, for each of `ends`; None where it depends on
    none."""
    pairs = [(out, u) for out, u in zip(outs, us) if isinstance(out, Tensor) and out.requires_grad]
    if not pairs:
        return [None] * len(ends)
    if create_graph:
        given = tuple(u if isinstance(u, Tensor) or u is None else Tensor._of(u) for _, u in pairs)
    else:
        given = tuple(u.payload if isinstance(u, Tensor) else u for _, u in pairs)
    root = leaf(np.zeros(()))
    root.op, root.inputs, root.params = _gather, tuple(out for out, _ in pairs), {"us": given}
    root.seq = tick()
    with np.errstate(all="ignore"):
        found = propagate(
            root,
            root.payload,
            create_graph=create_graph,
            retain_graph=True,
            stop=(*ends, *beyond),
            wanted=ends,
        )
    results = [found.get(end) for end in ends]
    if create_graph:
        return results
    # The cotangents of an inner run come back as they were given, which may be as Tensors.
    return [g.payload if isinstance(g, Tensor) else g for g in results]


def frontier(outs: Iterable, ends: Iterable[Node], start: int) -> set[Node]:
    """Where the graph of `outs` reaches what was there before `start`, other than `ends`: no
    derivative with respect to them passes there, since a node depends only on older ones."""
    found: set[Node] = set()
    seen = set(ends)
    todo = [out for out in outs if isinstance(out, Node) and out.requires_grad]
    while todo:
        node = todo.pop()
        if node in seen:
            continue
        seen.add(node)
        if node.seq < start:
            found.add(node)
        else:
            todo += [x for x in node.inputs or () if isinstance(x, Node) and x.requires_grad]
    return found


def leaf(payload: Any) -> Tensor:
    """A variable of a run, which has a time like what is computed, so that a run around this one
    knows it for its own and not for something that was there before."""
    made = Tensor._of(payload)
    made.requires_grad = True
    made.seq = tick()
    return made
