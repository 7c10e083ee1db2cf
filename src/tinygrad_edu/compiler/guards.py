"""What a program takes for granted, and how a call finds out that it no longer holds.

A program was made for certain parameters, in certain arrays, of modules in a certain state. None
of it is watched; each call looks whether it is still so, and if not, the step is traced again. What
the function itself names (its closure and its globals) is compared, and so are the attributes of
every module that took part; what is reached in other ways is frozen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from operator import is_
from types import FunctionType, MethodType, ModuleType
from typing import Any

from numpy import ndarray

from ..nn.module import Module
from .capture import Trace

_FIXED = (FunctionType, ModuleType, type)


class Guard:
    """What was so when `function` was traced."""

    def __init__(self, function: Callable, trace: Trace) -> None:
        self.tensors = [
            (tensor, tensor.payload, tensor.requires_grad)
            for tensor in trace.tensors.values()
            if type(tensor.payload) is ndarray
        ]
        self.cells, self.names = _named(function)
        self.modules = [(module, dict(vars(module))) for module in trace.modules.values()]
        self.lists = [
            (held, list(held))
            for _, attributes in self.modules
            for held in attributes.values()
            if isinstance(held, list)
        ]
        self.optimizers = [(o, list(o.params)) for o in trace.optimizers.values()]
        self.without_gradient = trace.without_gradient
        self.changes = Module.changes

    def holds(self) -> bool:
        """Whether everything still is so."""
        for tensor, array, wanted in self.tensors:
            if tensor.payload is not array or tensor.requires_grad is not wanted:
                return False
        for tensor in self.without_gradient:
            if tensor.grad is not None:
                return False
        for optimizer, params in self.optimizers:
            if len(optimizer.params) != len(params) or not all(map(is_, optimizer.params, params)):
                return False
        for cell, value in self.cells:
            if not _same(cell.cell_contents, value):
                return False
        for space, name, value in self.names:
            if not _same(space.get(name), value):
                return False
        for held, members in self.lists:
            if len(held) != len(members) or not all(map(_same, held, members)):
                return False
        if self.changes != Module.changes:
            return self._modules_hold()
        return True

    def _modules_hold(self) -> bool:
        """The attributes of the modules, which are compared only after one of some module was
        set."""
        changes = Module.changes
        for module, attributes in self.modules:
            now = vars(module)
            if now.keys() != attributes.keys():
                return False
            if not all(_same(now[name], value) for name, value in attributes.items()):
                return False
        self.changes = changes
        return True


def _same(now: Any, then: Any) -> bool:
    """The same object, or an equal number, string or tuple of them."""
    if now is then:
        return True
    if type(now) is not type(then):
        return False
    if type(now) is tuple:
        return len(now) == len(then) and all(map(_same, now, then))
    return isinstance(now, (int, float, str, bytes)) and now == then


def _named(function: Any) -> tuple[list, list]:
    """What `function` reads by name: [(cell, value)] of its closure, [(namespace, name, value)] of
    its globals and, for a method, of the attributes of its object. Functions, modules and classes
    are taken to stay what they are."""
    names: list = []
    if isinstance(function, MethodType):
        owner = function.__self__
        if hasattr(owner, "__dict__") and not isinstance(owner, Module):
            names.extend((vars(owner), name, value) for name, value in vars(owner).items())
        function = function.__func__
    if not isinstance(function, FunctionType):
        return [], names
    cells = [(cell, value) for cell, value in _filled(function) if not isinstance(value, _FIXED)]
    space = function.__globals__
    for name in function.__code__.co_names:
        if name in space and not isinstance(space[name], _FIXED):
            names.append((space, name, space[name]))
    return cells, names


def _filled(function: FunctionType) -> Iterator[tuple[Any, Any]]:
    for cell in function.__closure__ or ():
        try:
            yield cell, cell.cell_contents
        except ValueError:  # not yet assigned
            continue
