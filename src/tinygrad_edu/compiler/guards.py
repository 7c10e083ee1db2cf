"""What a program takes for granted.

A program was made for certain parameters, in certain arrays, of modules in a certain state, by
Python that read certain names. None of it is watched; each call looks whether it is still so
(host.py writes out how), and if not, the step is traced again.
"""

from __future__ import annotations

from numpy import ndarray

from ..nn.module import Module
from .capture import Trace
from .reach import Reach, same_items


class Guard:
    """What was so when a step was traced. `reach`: what its Python can reach; the trace knows what
    else took part."""

    def __init__(self, reach: Reach, trace: Trace) -> None:
        further = Reach(m for m in trace.modules.values() if m not in reach)
        parts = (reach, further)
        self.tensors = [
            (tensor, tensor.payload, tensor.requires_grad, tensor.hooks)
            for tensor in {
                **trace.tensors,
                **{id(tensor): tensor for part in parts for tensor, _, _ in part.tensors},
            }.values()
            if type(tensor.payload) is ndarray
        ]
        self.cells = [(cell, then) for part in parts for cell, then, _ in part.cells]
        self.names = [(*entry[:3],) for part in parts for entry in part.names]
        self.lists = [
            (held, then)
            for part in parts
            for held, then, _ in part.members
            if isinstance(held, list)
        ]
        self.others = [part for part in parts if not part.simple]
        self.modules = [(module, then) for part in parts for module, then, _ in part.modules]
        self.optimizers = [(o, list(o.params)) for o in trace.optimizers.values()]
        self.without_gradient = trace.without_gradient
        self.own = {*trace.tensors, *trace.gradients}
        self.changes = reach.changes

    def modules_hold(self) -> bool:
        """The attributes of the modules, which are compared only after one of some module was
        set."""
        changes = Module.changes
        if not all(same_items(vars(module), then) for module, then in self.modules):
            return False
        self.changes = changes
        return True
