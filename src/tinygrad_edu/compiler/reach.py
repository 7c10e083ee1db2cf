"""What the Python of a step can reach by name, and so may read: a program would freeze it.

The code of a step is asked for the names that it uses. They lead to the values of its globals and
its closure, to the attributes of objects, to the members of containers, and to further functions of
the user, whose names count in their turn. All that is found is remembered as it is: if the step
itself changes it while it is watched, it cannot be compiled; if it has changed before a later call,
the step is traced again. Code of this package, of NumPy and of Python's own library is not looked
into, and neither are the arrays of Tensors, whose numbers a step cannot read.

Plain arrays are compared by content at each call, since NumPy may have computed with them: large
ones are better given to the step as arguments, or as Tensors.
"""

from __future__ import annotations

import dis
import functools
import pickle
import random
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from operator import is_
from pathlib import Path
from types import BuiltinMethodType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np
from numpy import ndarray

from ..errors import CompileError
from ..nn.module import Module
from ..optim.optimizer import Optimizer
from ..tensor import Tensor
from .capture import LIBRARIES

NOTHING = object()  # what a name that does not exist holds
_PLAIN = (int, float, complex, str, bytes, type(None), np.generic, np.dtype)


class Reach:
    """What can be reached from `roots`, functions and objects, as it is now."""

    def __init__(self, roots: Iterable[Any]) -> None:
        self.words: set[str] = set()  # all names in the code, and what is written like one
        self.stored: dict[str, str] = {}  # name -> file:line where the code assigns to it
        self.assigned: set[str] = set()  # the attributes among them
        roots, known = list(roots), -1
        while known != len(self.words):  # a function found late may name attributes found before
            known = len(self.words)
            self._walk(roots)

    def _walk(self, roots: list[Any]) -> None:
        self.changes = Module.changes
        self.cells: list[tuple[Any, Any, str]] = []
        self.names: list[tuple[Any, str, Any, str]] = []
        self.slots: list[tuple[Any, str, Any, str]] = []
        self.members: list[tuple[Any, Any, str]] = []
        self.arrays: list[tuple[ndarray, int, str]] = []
        self.tensors: list[tuple[Tensor, tuple, str]] = []
        self.modules: list[tuple[Module, dict, str]] = []
        self.generators: list[tuple[Any, bytes, str]] = []
        self._seen: dict[int, Any] = {}
        self._todo = [(root, getattr(root, "__name__", type(root).__name__)) for root in roots]
        while self._todo:
            value, path = self._todo.pop()
            if id(value) not in self._seen and not isinstance(value, _PLAIN):
                self._seen[id(value)] = value
                self._visit(value, path)
        if "random" in self.words:
            _shared_generators(self)

    def __contains__(self, value: Any) -> bool:
        return id(value) in self._seen

    def _visit(self, value: Any, path: str) -> None:
        for kinds, visit in _VISITS.items():
            if isinstance(value, kinds):
                visit(self, value, path)
                return
        _object(self, value, path)

    def follow(self, value: Any, path: str) -> None:
        """Look at `value` too."""
        self._todo.append((value, path))

    def name(self, space: Any, key: str, path: str) -> None:
        """Remember what `space`, a dict or the like, holds under `key`, and look at it."""
        value = space.get(key, NOTHING)
        if not isinstance(value, (ModuleType, type)):
            self.names.append((space, key, value, path))
        self.follow(value, path)

    def read(self, code: CodeType) -> dict[str, bool]:
        """Learn the names of a piece of code, and of what is defined in it. Returns its globals:
        name -> whether it assigns to it."""
        self.words.update(code.co_names)
        found: dict[str, bool] = {}
        for step in dis.get_instructions(code):
            if step.opname in ("LOAD_GLOBAL", "STORE_GLOBAL", "LOAD_NAME"):
                found[step.argval] = found.get(step.argval, False) | (step.opname[0] == "S")
            if step.opname in ("STORE_ATTR", "STORE_GLOBAL", "STORE_DEREF"):
                line = step.positions.lineno if step.positions else code.co_firstlineno
                self.stored[step.argval] = f"{Path(code.co_filename).name}:{line}"
                if step.opname == "STORE_ATTR":
                    self.assigned.add(step.argval)
        for constant in code.co_consts:
            if isinstance(constant, CodeType):
                for name, assigned in self.read(constant).items():
                    found[name] = found.get(name, False) | assigned
            elif isinstance(constant, str) and constant.isidentifier():
                self.words.add(constant)
        return found

    # --------------------------------------------------------------------------- what has changed

    def changed(self) -> str | None:
        """The name of something that is no longer as it was; None where all is."""
        return next(self._changed(), None)

    def _changed(self) -> Iterator[str]:
        for cell, then, path in self.cells:
            if not same(contents(cell), then):
                yield path
        for space, key, then, path in self.names:
            if not same(space.get(key, NOTHING), then):
                yield path
        yield from self._rest_changed()
        for tensor, form, path in self.tensors:
            if not all(map(is_, _form(tensor), form)):
                yield path
        for generator, state, path in self.generators:
            if _state(generator) != state:
                yield path
        for module, attributes, path in self.modules:
            if not same_items(vars(module), attributes):
                yield path

    def _rest_changed(self) -> Iterator[str]:
        for owner, key, then, path in self.slots:
            if not same(getattr(owner, key, NOTHING), then):
                yield path
        for held, then, path in self.members:
            if not (same_items if isinstance(held, dict) else _same_members)(held, then):
                yield path
        for array, then, path in self.arrays:
            if _hash(array) != then:
                yield path

    @property
    def simple(self) -> bool:
        """Whether `rest_holds` has nothing to look at."""
        lists = all(isinstance(held, list) for held, _, _ in self.members)
        return lists and not (self.slots or self.arrays)

    def rest_holds(self) -> bool:
        """Whether containers, arrays and slots are what they were."""
        return next(self._rest_changed(), None) is None

    def check_left_alone(self, function: Callable) -> None:
        """Raise CompileError if something has changed while the step was watched."""
        path = self.changed()
        if path is None:
            return
        where = self.stored.get(path.rpartition(".")[2]) or _defined_at(function)
        raise CompileError(
            f"compile: the step changes {path} (at {where}), which a program would do once, and "
            "never again. Do it outside the step, on what the step returns; numbers that change "
            "from call to call must be arguments, as arrays; at random, draw with tg.rand, "
            "tg.randn or dropout."
        )


def contents(cell: Any) -> Any:
    """What a variable of a closure holds."""
    try:
        return cell.cell_contents
    except ValueError:  # not yet assigned
        return NOTHING


def same(now: Any, then: Any) -> bool:
    """The same object, or an equal number, string or tuple of them."""
    if now is then:
        return True
    if type(now) is not type(then):
        return False
    if type(now) is tuple:
        return len(now) == len(then) and all(map(same, now, then))
    if not isinstance(now, (int, float, str, bytes, np.generic)):
        return False
    return bool(now == then) and (bool(now) or str(now) == str(then))  # 0.0 is not -0.0


def same_items(now: dict, then: dict) -> bool:
    """Whether two dicts hold the same under the same keys."""
    return now.keys() == then.keys() and all(same(now[key], value) for key, value in then.items())


def _same_members(now: Any, then: list) -> bool:
    return len(now) == len(then) and all(map(same, now, then))


def _hash(array: ndarray) -> int:
    return hash((array.tobytes(), array.shape, array.dtype.str))


def _form(tensor: Tensor) -> tuple:
    return tensor.payload, tensor.requires_grad, tensor.hooks


def _state(generator: Any) -> bytes:
    if isinstance(generator, random.Random):
        return pickle.dumps(generator.getstate())
    return pickle.dumps(getattr(generator, "bit_generator", None) or generator.get_state())


def _defined_at(function: Any) -> str:
    while isinstance(function, functools.partial):
        function = function.func
    code = getattr(getattr(function, "__func__", function), "__code__", None)
    return f"{Path(code.co_filename).name}:{code.co_firstlineno}" if code else repr(function)


# ---------------------------------------------------------------------------- how each kind is seen


@functools.cache
def _of_the_user(module: str | None) -> bool:
    """Whether a module is the user's own: neither of a library nor installed like one."""
    root = (module or "").partition(".")[0]
    file = getattr(sys.modules.get(root), "__file__", None) or ""
    return root not in LIBRARIES and not {"site-packages", "dist-packages"} & {*Path(file).parts}


def _function(reach: Reach, f: FunctionType, path: str) -> None:
    if not _of_the_user(f.__module__):
        return
    for name, assigned in reach.read(f.__code__).items():
        if assigned or name in f.__globals__:
            reach.name(f.__globals__, name, name)
    for name, cell in zip(f.__code__.co_freevars, f.__closure__ or ()):
        reach.cells.append((cell, contents(cell), name))
        reach.follow(contents(cell), name)
    for default in (*(f.__defaults__ or ()), *(f.__kwdefaults__ or {}).values()):
        reach.follow(default, f"a default of {path}")
    for name in [*vars(f)]:
        reach.name(vars(f), name, f"{path}.{name}")
    for name in reach.assigned - vars(f).keys():
        reach.names.append((vars(f), name, NOTHING, f"{path}.{name}"))


def _method(reach: Reach, method: Any, path: str) -> None:
    if isinstance(method, MethodType):
        reach.follow(method.__func__, path)
    owner = getattr(method, "__self__", None)
    if not isinstance(owner, ModuleType):
        reach.follow(owner, path.rpartition(".")[0] or path)


def _partial(reach: Reach, f: functools.partial, path: str) -> None:
    for part in (f.func, *f.args, *f.keywords.values()):
        reach.follow(part, path)


def _tensor(reach: Reach, tensor: Tensor, path: str) -> None:
    reach.tensors.append((tensor, _form(tensor), path))
    for hook in tensor.hooks or ():  # a function of this package around one of the user
        for cell in hook.__closure__ or ():
            reach.follow(contents(cell), f"a hook of {path}")


def _array(reach: Reach, array: ndarray, path: str) -> None:
    reach.arrays.append((array, _hash(array), path))


def _module(reach: Reach, module: Module, path: str) -> None:
    reach.modules.append((module, dict(vars(module)), path))
    reach.words.add("forward")  # which only Module.__call__ names
    _kind(reach, module)
    for name, value in vars(module).items():
        reach.follow(value, f"{path}.{name}")


def _optimizer(reach: Reach, optimizer: Optimizer, path: str) -> None:
    for name in vars(optimizer):
        public = name.removeprefix("_")
        if public in reach.words and public in optimizer.numbers:
            reach.name(vars(optimizer), name, f"{path}.{public}")
    _kind(reach, optimizer)


def _container(reach: Reach, held: Any, path: str) -> None:
    if isinstance(held, (list, set, deque)):
        reach.members.append((held, list(held), path))
    for i, member in enumerate(held):
        reach.follow(member, f"{path}[{i}]")


def _dict(reach: Reach, held: dict, path: str) -> None:
    reach.members.append((held, dict(held), path))
    for key, value in held.items():
        reach.follow(value, f"{path}[{key!r}]")


def _python_module(reach: Reach, module: ModuleType, path: str) -> None:
    if module is random:
        reach.words.add("random")
    if _of_the_user(module.__name__):
        for name in reach.words & vars(module).keys():
            reach.name(vars(module), name, f"{path}.{name}")


def _shared_generators(reach: Reach) -> None:
    """Those that functions draw from without naming them."""
    own: Any = getattr(random.random, "__self__")  # noqa: B009  (no type checker knows it)
    reach.generators.append((own, _state(own), "Python's random"))
    drawn = sys.modules.get("numpy.random")
    if drawn:
        own = drawn.mtrand._rand
        reach.generators.append((own, _state(own), "np.random"))


def _class(reach: Reach, kind: type, path: str) -> None:
    """A class that the step names, and so may call."""
    _of_class(reach, kind, path, built=True)


def _kind(reach: Reach, value: Any) -> None:
    """The class of an object that is there already: its constructor is not run."""
    _of_class(reach, type(value), type(value).__name__, built=False)


def _of_class(reach: Reach, kind: type, path: str, *, built: bool) -> None:
    for owner in kind.__mro__:
        if not _of_the_user(owner.__module__):
            continue
        for name, value in vars(owner).items():
            called = name.startswith("__") and (built or name not in ("__init__", "__new__"))
            if not (name in reach.words or called):
                continue
            plain = getattr(value, "__func__", None) or getattr(value, "fget", None) or value
            if isinstance(plain, FunctionType):
                reach.follow(plain, f"{path}.{name}")
            elif name in reach.words and not hasattr(plain, "__get__"):
                reach.name(vars(owner), name, f"{path}.{name}")


def _object(reach: Reach, value: Any, path: str) -> None:
    kind = type(value)
    if kind.__module__ == "tinygrad_edu.scalar" and hasattr(value, "payload"):
        reach.slots.append((value, "payload", value.payload, path))  # a Value
        return
    drawn = sys.modules.get("numpy.random")  # which nobody loads who does not need it
    if isinstance(value, random.Random) or (
        drawn and isinstance(value, (drawn.Generator, drawn.RandomState))
    ):
        reach.generators.append((value, _state(value), path))
        return
    held = getattr(value, "__dict__", None)
    if isinstance(held, dict):
        for name in (reach.words & held.keys()) | ({"__wrapped__"} & held.keys()):
            reach.name(held, name, f"{path}.{name}")
        for name in reach.assigned - held.keys():
            reach.names.append((held, name, NOTHING, f"{path}.{name}"))
    for owner in kind.__mro__:
        slots = vars(owner).get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            if name in reach.words and _of_the_user(kind.__module__):
                reach.slots.append((value, name, getattr(value, name, NOTHING), f"{path}.{name}"))
                reach.follow(getattr(value, name, None), f"{path}.{name}")
    _kind(reach, value)


_VISITS: dict[Any, Callable[[Reach, Any, str], None]] = {
    Tensor: _tensor,
    ndarray: _array,
    Module: _module,
    Optimizer: _optimizer,
    FunctionType: _function,
    (MethodType, BuiltinMethodType): _method,
    functools.partial: _partial,
    dict: _dict,
    (list, tuple, set, frozenset, deque): _container,
    ModuleType: _python_module,
    type: _class,
}
