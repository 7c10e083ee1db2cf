"""Functions that make derivatives of functions: grad, value_and_grad, vjp, jvp, jacobian, hessian,
hvp. Names, arguments and shapes are JAX's.

A transform calls f with an alias of each input: a node of its own, which nobody else can hold, over
the same memory. The differentiation stops at the aliases, so whatever else f reads (the variables
of an enclosing transform, the weights of a model) is a constant to it and cannot be confused with
its own variable; and because an alias of a recorded Tensor leads on to that Tensor, a derivative
can be differentiated again, to any order, by an outer transform or by `backward()`.

What holds for all of them:

    inputs    floats, ndarrays, Tensors, and tuples, lists and dicts of these. f sees Tensors.
    results   as the inputs: the gradient of a float is a float (float64), of an ndarray an ndarray,
              of a Tensor a Tensor. What is no gradient (values, tangents, Jacobians) is a Tensor if
              any argument holds one; else a float if all arguments are numbers and it has no axes;
              else an ndarray. One exception: in a function that is being differentiated, what
              depends on recorded Tensors stays a Tensor, whatever the inputs were.
    no_grad   f is recorded for the transform alone; the result is not recorded.
    `.grad`   is never written, and the graphs that f reads from are never freed.
    errors    DtypeError for an input to be differentiated, or an output, that is not floating;
              ShapeError for a cotangent or tangent of another shape; TypeError for other types,
              structures and argnums. An input that f does not depend on has a derivative of zeros.

    call.py       one call of f on aliases, and what can be asked of it
    reverse.py    reverse mode from many outputs at once to chosen ends, and not beyond
    structure.py  tuples, lists and dicts, taken apart and put together
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from ..graph import Recorder
from ..ops.shape import reshape, stack
from ..tensor import Tensor
from ..writes import tick
from .call import Call, Inside
from .reverse import carry, frontier, leaf
from .structure import rebuilt, shape_of, zeros_like

__all__ = ["grad", "hessian", "hvp", "jacobian", "jvp", "value_and_grad", "vjp"]


def grad(
    f: Callable[..., Any], argnums: int | Sequence[int] = 0, has_aux: bool = False
) -> Callable[..., Any]:
    """The function that gives the gradient of `f`, a function with one number as its result.

    argnums: which positional arguments are differentiated; a tuple gives a tuple of gradients, each
    of the structure, shapes and dtypes of its argument. has_aux: f returns (number, anything else),
    and the new function (gradient, anything else). Raises ShapeError where f returns more than one
    number; the other errors stand at the top of this file.
    """
    both = value_and_grad(f, argnums, has_aux)

    def gradient(*args: Any, **kwargs: Any) -> Any:
        value, grads = both(*args, **kwargs)
        return (grads, value[1]) if has_aux else grads

    return _named(gradient, "grad", f)


def value_and_grad(
    f: Callable[..., Any], argnums: int | Sequence[int] = 0, has_aux: bool = False
) -> Callable[..., Any]:
    """As `grad`, but the new function gives (value, gradient): for the price of one call of f. With
    has_aux it gives ((value, anything else), gradient)."""

    def value_and_gradient(*args: Any, **kwargs: Any) -> Any:
        run = Call("grad", f, args, argnums, kwargs, has_aux)
        grads = run.gradients(run.pull([run.one()]))
        value = run.outputs()
        return ((value, run.aux()) if has_aux else value), grads

    return _named(value_and_gradient, "value_and_grad", f)


def vjp(f: Callable[..., Any], *primals: Any, has_aux: bool = False) -> tuple[Any, ...]:
    """(f(*primals), pull): `pull(cotangent)` is a tuple with the vector-Jacobian product u^T J for
    each primal.

    The cotangent has the structure and shapes of f's result. `pull` can be called any number of
    times. With has_aux f returns (result, anything else) and so a third element is returned.
    """
    run = Call("vjp", f, primals, range(len(primals)), {}, has_aux)

    def pull(cotangent: Any) -> tuple[Any, ...]:
        return run.gradients(run.pull(run.cotangents(cotangent)))

    made = (run.outputs(), pull)
    return (*made, run.aux()) if has_aux else made


def jvp(
    f: Callable[..., Any], primals: Any, tangents: Any, has_aux: bool = False
) -> tuple[Any, ...]:
    """(f(*primals), J v): the value and how it changes when the primals move along `tangents`.

    primals: a tuple or list of the arguments of f, or a single argument that is neither; tangents:
    of the same structure and shapes. With has_aux f returns (result, anything else) and so a third
    element is returned.

    It costs one f and two backwards: u -> u^T J is linear, so its own derivative along v is J v,
    whatever u is. Source: J. Townsend, "A new trick for calculating Jacobian vector products"
    (2017).
    """
    primals, tangents = _as_arguments(primals), _as_arguments(tangents)
    run = Call("jvp", f, primals, range(len(primals)), {}, has_aux)
    vs = run.tangents(tangents)
    links = run.links(vs)
    with Inside():
        us = [leaf(zeros_like(out)) for out in run.outs]
        start = tick()
        rows = run.pull(us, create_graph=True)
    moved = carry(rows, vs, us, frontier(rows, us, start), links)
    pushed = [
        run.plain(zeros_like(out) if m is None else m, run.kind) for m, out in zip(moved, run.outs)
    ]
    made = (run.outputs(), rebuilt(run.out_tree, iter(pushed)))
    return (*made, run.aux()) if has_aux else made


def jacobian(
    f: Callable[..., Any], argnums: int | Sequence[int] = 0, has_aux: bool = False
) -> Callable[..., Any]:
    """The function that gives all derivatives of `f`, of shape out.shape + in.shape.

    Where f returns a tuple, list or dict, or an argument is one, the result has f's structure and,
    in the place of each output, the argument's structure (a tuple of them where argnums is a
    tuple). With has_aux f returns (result, anything else) and so does the new function. One
    backward per element of the result.
    """

    def jacobian_of(*args: Any, **kwargs: Any) -> Any:
        run = Call("jacobian", f, args, argnums, kwargs, has_aux)
        blocks = []
        for place, out in enumerate(run.outs):
            rows = [run.pull(units) for units in _units(place, out, len(run.outs))]
            columns = [
                run.plain(_stacked([row[i] for row in rows], shape_of(out), x), run.kind)
                for i, x in enumerate(run.aliases)
            ]
            blocks.append(run.in_arguments(columns))
        made = rebuilt(run.out_tree, iter(blocks))
        return (made, run.aux()) if has_aux else made

    return _named(jacobian_of, "jacobian", f)


def hessian(f: Callable[..., Any], argnums: int | Sequence[int] = 0) -> Callable[..., Any]:
    """The function that gives all second derivatives of `f`, of shape out.shape + in.shape +
    in.shape: the Jacobian of the Jacobian. Structures as there. For H v alone, use `hvp`."""
    return _named(jacobian(jacobian(f, argnums), argnums), "hessian", f)


def hvp(f: Callable[..., Any], primals: Any, tangents: Any) -> Any:
    """The Hessian of `f`, a function with one number as its result, times `tangents`, for the price
    of about two gradients; the Hessian itself is never formed.

    primals, tangents: as in `jvp`. Returns the product in the structure of `primals`: a tuple (or
    list) for a tuple, a single one for a single argument. Source: B. Pearlmutter, Neural
    Computation 6 (1994), in its reverse-over-reverse form: the gradient of <grad f, v>.
    """
    arguments = _as_arguments(primals)
    run = Call("hvp", f, arguments, range(len(arguments)), {}, False)
    vs = run.tangents(_as_arguments(tangents))
    links = run.links(vs)
    with Inside():
        slopes = run.pull([run.one()], create_graph=True)
    beyond = frontier(slopes, run.aliases, run.start)
    products = run.gradients(carry(slopes, vs, run.aliases, beyond, links))
    if not isinstance(primals, (tuple, list)):
        return products[0]
    return list(products) if type(primals) is list else products


def _units(place: int, out: Any, how_many: int) -> Iterator[list[Any]]:
    """For each element of the output at `place`, the cotangents that choose it alone."""
    for index in np.ndindex(shape_of(out)):
        unit = zeros_like(out)
        unit[index] = 1
        yield [unit if i == place else None for i in range(how_many)]


def _stacked(rows: list[Any], shape: tuple[Any, ...], x: Tensor) -> Any:
    """Gradients of the shape of x, one for each element of `shape`, as shape + x.shape."""
    full = (*shape, *x.shape)
    if any(isinstance(row, Recorder) for row in rows):
        return reshape(stack([zeros_like(x) if row is None else row for row in rows]), shape=full)
    made = np.zeros((len(rows), *x.shape), x.dtype)
    for i, row in enumerate(rows):
        if row is not None:
            made[i] = row
    return made.reshape(full)


def _as_arguments(given: Any) -> tuple[Any, ...]:
    return tuple(given) if isinstance(given, (tuple, list)) else (given,)


def _named(made: Callable[..., Any], kind: str, f: Callable[..., Any]) -> Callable[..., Any]:
    made.__name__ = made.__qualname__ = f"{kind}({getattr(f, '__name__', repr(f))})"
    return made
