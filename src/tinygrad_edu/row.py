"""Making a row: `unary`, `binary`, `row`, `variadic` enter an operation in the table and return its
public function, which passes its inputs through the door (`op.apply`) and binds its parameters by
position or keyword, as the row's `defaults` name them.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from numpy import ndarray

from .domains import Case
from .errors import ArgumentError, CallError
from .graph import Recorder
from .kernels import elementwise
from .op import OPS, REFLECTED, Op, apply, refuse


def register(op: Op, function: Callable) -> Any:
    """Enter `op` in the table and give its public function a name, a docstring and a way back to
    the row."""
    if not op.domain or None in op.domain:
        raise ArgumentError(
            f"{op.name}: a row needs a test domain. Add domain=Reals(low, high) (see domains.py) "
            "to its row.",
            code="wrong-row",
        )
    if op.cases is not None and not op.cases:
        raise ArgumentError(
            f"{op.name}: a row needs test cases. Add cases=cases((shape, ...), ...) (see "
            "domains.py) to its row.",
            code="wrong-row",
        )
    if op.name in OPS:
        raise ArgumentError(f"{op.name}: there is a row of this name already.", code="wrong-row")
    function.__name__ = function.__qualname__ = op.name
    function.__doc__ = op.doc or f"{op.name}, element by element. Any shape, any float dtype."
    function.__module__ = "tinygrad_edu"
    function.op = op  # type: ignore[attr-defined]
    op.function = function
    OPS[op.name] = op
    if op.dunder:
        _attach_operator(op.dunder, function)
    return function


def _attach_operator(dunder: str, function: Callable) -> None:
    """Give every recording payload the operator, and its reflection where Python has one."""

    def operator(self: Any, *other: Any) -> Any:
        return function(self, *other)

    def reflected(self: Any, other: Any) -> Any:
        return function(other, self)

    setattr(Recorder, f"__{dunder}__", operator)
    if dunder in REFLECTED:
        setattr(Recorder, f"__r{dunder}__", reflected)


def unary(
    name: str,
    forward: Callable,
    *,
    vjp: Callable | None,
    domain: Any = None,
    kernel: str | None = None,
    **rest: Any,
) -> Any:
    """A row of one input, element by element: `vjp(g, out, x)`.

    `forward` is the formula in NumPy. Where csrc/ops.def has a row of this name (or of the name
    `kernel`), its kernels are used on plain arrays.
    """
    forward = elementwise(kernel or name, forward, param=next(iter(rest.get("defaults", ())), None))
    op = Op(name, forward, vjps=vjp and (vjp,), domain=(domain,), cases=None, inputs=("x",), **rest)
    if op.defaults:
        return register(op, _with_params(op))

    def function(x: Any) -> Any:  # past the door with an array: no shapes are there to disagree
        return op.forward(x) if type(x) is ndarray else apply(op, (x,))

    return register(op, function)


def binary(
    name: str, forward: Callable, *, vjp: tuple | None, domain: Any = None, **rest: Any
) -> Any:
    """A row of two inputs that broadcast against each other: `vjp=(for x, for y)`, each `(g, out,
    x, y)`."""
    domains = domain if isinstance(domain, tuple) else (domain, domain)
    op = Op(name, forward, vjps=vjp, domain=domains, cases=None, inputs=("x", "y"), **rest)
    return register(op, _of_two(op))


def _of_two(op: Op) -> Callable:
    """The function of a row with two inputs and no parameters. It spares two arrays the door, which
    would find that nothing records, in the time of a small product."""

    def function(x: Any, y: Any) -> Any:
        if type(x) is ndarray and type(y) is ndarray:
            try:
                return op.forward(x, y)
            except (ValueError, IndexError) as error:
                refuse(op, (x, y), error)
        return apply(op, (x, y))

    return function


def row(
    name: str,
    forward: Callable,
    *,
    vjp: Any,
    domain: Any = None,
    cases: tuple[Case, ...] = (),
    inputs: tuple[str, ...] = ("x",),
    **rest: Any,
) -> Any:
    """A row of any other form: `cases` say on which shapes and parameters it is tested.

    `vjp` is one formula per input, or a single function for one input.
    """
    vjps = vjp if vjp is None or isinstance(vjp, tuple) else (vjp,)
    domains = domain if isinstance(domain, tuple) else (domain,) * len(inputs)
    op = Op(name, forward, vjps=vjps, domain=domains, cases=cases, inputs=inputs, **rest)
    return register(
        op, _of_two(op) if inputs == ("x", "y") and not op.defaults else _with_params(op)
    )


def variadic(
    name: str,
    forward: Callable,
    *,
    vjp: Callable,
    domain: Any = None,
    cases: tuple[Case, ...] = (),
    **rest: Any,
) -> Any:
    """A row over a sequence of tensors; `vjp(g, out, *inputs, **params)` gives the gradients of all
    of them."""
    domains = domain if isinstance(domain, tuple) else (domain,)
    op = Op(
        name,
        forward,
        vjps=None,
        joint=vjp,
        domain=domains,
        cases=cases,
        inputs=("tensors",),
        variadic=True,
        **rest,
    )

    def function(tensors: Any, *args: Any, **kwargs: Any) -> Any:
        return apply(op, tuple(tensors), bind(op, args, kwargs, first=1))

    function.__signature__ = _signature(op)  # type: ignore[attr-defined]
    return register(op, function)


def _with_params(op: Op) -> Callable:
    arity = len(op.inputs)
    defaults = op.defaults

    def function(*args: Any, **kwargs: Any) -> Any:
        if len(args) == arity:
            params = {**defaults, **kwargs} if kwargs else defaults
            if len(params) == len(defaults):
                return apply(op, args, params)
        inputs = args[:arity]
        if len(inputs) < arity:
            inputs = _named_inputs(op, inputs, kwargs)
        return apply(op, inputs, bind(op, args[arity:], kwargs, first=arity))

    function.__signature__ = _signature(op)  # type: ignore[attr-defined]
    return function


def _signature(op: Op) -> inspect.Signature:
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    names = [
        inspect.Parameter(
            name.rstrip("?"), kind, default=None if name.endswith("?") else inspect.Parameter.empty
        )
        for name in op.inputs
    ]
    return inspect.Signature(
        [*names, *(inspect.Parameter(p, kind, default=d) for p, d in op.defaults.items())]
    )


def _named_inputs(op: Op, inputs: tuple, kwargs: dict[str, Any]) -> tuple:
    """Complete the inputs from keywords; an input written `bias?` in its row may be left out."""
    found = list(inputs)
    for name in op.inputs[len(inputs) :]:
        plain = name.rstrip("?")
        if plain in kwargs:
            found.append(kwargs.pop(plain))
        elif name.endswith("?"):
            found.append(None)
        else:
            raise CallError(
                f"{op.name}() needs {plain}: call it as {op.name}{_signature(op)}.",
                code="wrong-arguments",
            )
    return tuple(found)


def bind(op: Op, args: tuple, kwargs: dict[str, Any], *, first: int) -> dict[str, Any]:
    """The parameters of a call, complete and in the row's order; unknown and doubled ones are
    refused by name."""
    defaults = op.defaults
    if not args:
        params = {**defaults, **kwargs} if kwargs else defaults
        if len(params) == len(defaults):
            return params
    if len(args) > len(defaults):
        raise CallError(
            f"{op.name}() takes {first + len(defaults)} arguments and got {first + len(args)}: "
            f"{op.name}{_signature(op)}.",
            code="wrong-arguments",
        )
    given = dict(zip(defaults, args))
    for key in kwargs:
        if key not in defaults:
            raise CallError(
                f"{op.name}() has no parameter {key!r}: call it as {op.name}{_signature(op)}.",
                code="unknown-parameter",
            )
        if key in given:
            raise CallError(
                f"{op.name}() got {key!r} twice, by position and by name.", code="wrong-arguments"
            )
    return {**defaults, **given, **kwargs}
