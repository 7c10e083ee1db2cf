"""What a program takes for granted.

A program was made for certain parameters, in certain arrays, of modules in a certain state. None
of it is watched; each call looks whether it is still so (host.py writes out how), and if not, the
step is traced again. What the function itself names (its closure and its globals) is compared, and
so are the attributes of every module that took part or is named; what is reached in other ways is
frozen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
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
        modules = {**trace.modules, **_below([value for *_, value in (*self.cells, *self.names)])}
        self.modules = [(module, dict(vars(module))) for module in modules.values()]
        self.lists = [
            (held, list(held))
            for _, attributes in self.modules
            for held in attributes.values()
            if isinstance(held, list)
        ]
        self.optimizers = [(o, list(o.params)) for o in trace.optimizers.values()]
        self.without_gradient = trace.without_gradient
        self.changes = Module.changes

    def modules_hold(self) -> bool:
        """The attributes of the modules, which are compared only after one of some module was
        set."""
        changes = Module.changes
        for module, attributes in self.modules:
            now = vars(module)
            if now.keys() != attributes.keys():
                return False
            if not all(same(now[name], value) for name, value in attributes.items()):
                return False
        self.changes = changes
        return True


def _below(values: list[Any]) -> dict[int, Module]:
    """The modules among `values`, and all that are parts of them: a step may use a layer's weight
    without calling the layer."""
    return {
        id(module): module
        for value in values
        if isinstance(value, Module)
        for _, module in value.named_modules()
    }


def same(now: Any, then: Any) -> bool:
    """The same object, or an equal number, string or tuple of them."""
    if now is then:
        return True
    if type(now) is not type(then):
        return False
    if type(now) is tuple:
        return len(now) == len(then) and all(map(same, now, then))
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
