"""What is demanded of a gradient, and the checks that demand it.

The gradient is projected first: for drawn u and v, <v, vjp(u)> must equal the numeric <u, J v>,
whatever the shapes are. The entries of u and v keep away from zero, so that no entry of the
gradient can hide, and each of several draws gives u in another memory layout. The full Jacobian is
computed only to explain a failure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy import ndarray

from ..graph import propagate
from .explain import GradientError, explain, shape_hint
from .layouts import lay_out
from .numeric import (
    complex_derivative,
    directional_error,
    dot,
    relative_tolerance,
    size_of,
    step_of,
)
from .payloads import Subject, VjpSubject, as_tuple, name_of

DRAWS = ("contiguous", "strided", "reversed", "repeated")  # the layouts of u, one a draw


def gradcheck(
    f: Callable[..., Any],
    inputs: Sequence[Any],
    *,
    eps: float | None = None,
    rtol: float | None = None,
    atol: float | None = None,
    complex_step: bool = False,
    seed: int = 0,
) -> bool:
    """Check the gradients of `f` against finite differences. Returns True or raises GradientError.

    f takes the inputs as Tensors and returns a Tensor or a tuple of them; where a Value is among
    the inputs, it takes and returns Values. inputs: Tensors, arrays, floats. Floating ones are
    differentiated (of Tensors, those that require grad, where some do), others passed on. Use
    float64: for float32 inputs the differences are still taken in float64 and only the gradient is
    held to the accuracy of float32.

    Also demanded: each gradient has the shape and dtype of its input, the inputs are not written to
    (they are held read-only), two calls give the same bits, and any layout of the upstream gradient
    gives the right numbers.

    `eps`: the step of the differences; by default the one that suits the dtype, and where it fails
    two shorter ones, for functions that bend fast. `rtol`: the tolerance as a share of the size of
    the numbers that are added up, by default from the arithmetic (see numeric.py); `atol` is added
    to it, 0 by default. `complex_step`: also compare with Im f(x + ih) / h, nearly exact; f must be
    analytic and work on plain complex arrays. Raises ValueError where no input is floating."""
    _check(Subject(f, inputs), eps, rtol, atol or 0.0, complex_step, seed)
    return True


def gradgradcheck(
    f: Callable[..., Any],
    inputs: Sequence[Any],
    *,
    eps: float | None = None,
    rtol: float | None = None,
    atol: float | None = None,
    seed: int = 0,
) -> bool:
    """Check the second derivatives of `f`: its gradient, computed with create_graph, is put through
    `gradcheck`, as a function of the inputs and of the upstream gradients. Arguments, result and
    errors as there; Tensors only."""
    first = Subject(f, inputs)
    shapes = [out.shape for out in first.evaluate(first.inputs)]
    rng = np.random.default_rng(seed)
    us = [away_from_zero(rng, shape) for shape in shapes]
    n = len(first.positions)

    def gradient(*args: Any) -> tuple[Any, ...]:
        leaves, upstream = args[:n], args[n:]
        total: list[Any] = [None] * n
        for out, u in zip(as_tuple(f(*first._completed(leaves))), upstream):
            if not out.requires_grad:
                continue
            found = propagate(out, u, create_graph=True)
            for i, leaf in enumerate(leaves):
                g = found.get(leaf)
                if g is not None:
                    total[i] = g if total[i] is None else total[i] + g
        return tuple(np.zeros(x.shape) if g is None else g for x, g in zip(leaves, total))

    gradient.__name__ = f"gradient of {name_of(f)}"
    return gradcheck(gradient, [*first.inputs, *us], eps=eps, rtol=rtol, atol=atol, seed=seed + 1)


def check_vjp(
    forward: Callable[..., Any],
    vjp: Callable[..., Any],
    inputs: Sequence[Any],
    *,
    eps: float | None = None,
    rtol: float | None = None,
    atol: float | None = None,
    complex_step: bool = False,
    seed: int = 0,
) -> bool:
    """Check a vjp that anybody wrote, for a function of arrays; nothing of it needs to be ours.

    forward(*inputs) returns one array. vjp(g, out, *inputs) returns the gradient of each input,
    None for one that has none (a single array where there is one input). Everything else as in
    `gradcheck`."""
    _check(VjpSubject(forward, vjp, inputs), eps, rtol, atol or 0.0, complex_step, seed)
    return True


def away_from_zero(rng: np.random.Generator, shape: tuple[int, ...]) -> ndarray:
    """Drawn numbers of size 0.5 to 1.5 and either sign, so that no entry weighs nothing."""
    return rng.uniform(0.5, 1.5, shape) * rng.choice([-1.0, 1.0], shape)


# ------------------------------------------------------------------------------------ the demands


def _check(
    subject: Subject,
    eps: float | None,
    rtol: float | None,
    atol: float,
    complex_step: bool,
    seed: int,
) -> None:
    rng = np.random.default_rng(seed)
    before = [x.tobytes() for x in subject.held]
    for layout in DRAWS:
        outs, us, grads = _gradients(subject, rng, layout)
        _same_bits(subject, outs, us, grads)
        for place, grad in enumerate(grads):
            _shape_and_dtype(subject, place, grad)
            _projection(subject, place, us, grad, rng, layout, eps, rtol, atol)
            if complex_step:
                _complex_projection(subject, place, us, grad, rng, layout, eps)
        if before != [x.tobytes() for x in subject.held]:
            raise GradientError(f"{subject.name}: it wrote into its inputs.")


def _gradients(subject: Subject, rng: np.random.Generator, layout: str) -> tuple[Any, ...]:
    def upstream(outs: list[ndarray]) -> list[ndarray]:
        return [
            lay_out(away_from_zero(rng, out.shape).astype(_floating(out.dtype)), layout)
            for out in outs
        ]

    try:
        return subject.gradients(upstream)
    except ValueError as error:
        if "read-only" not in str(error):
            raise
        raise GradientError(
            f"{subject.name}: it tries to write into an input or into the upstream gradient, "
            f"which are "
            f"not its own: {error}."
        ) from error


def _floating(dtype: Any) -> Any:
    return dtype if dtype.kind == "f" else np.dtype(np.float64)


def _same_bits(subject: Subject, outs: list[Any], us: list[Any], grads: list[Any]) -> None:
    outs_again, _, grads_again = subject.gradients(lambda _outs: us)
    for what, first, second in (("output", outs, outs_again), ("gradient", grads, grads_again)):
        for i, (a, b) in enumerate(zip(first, second)):
            if (a is None) != (b is None) or (a is not None and a.tobytes() != b.tobytes()):
                raise GradientError(
                    f"{subject.name}: two calls on the same inputs gave different bits for {what} "
                    f"{i}. "
                    "Fix the random numbers that it draws, or pass them in."
                )


def _shape_and_dtype(subject: Subject, place: int, grad: Any) -> None:
    if grad is None:
        return
    x, position = subject.held[place], subject.positions[place]
    if grad.shape != x.shape:
        raise GradientError(
            f"{subject.name}: the gradient of input {position} has shape {grad.shape}, the input "
            f"{x.shape}.{shape_hint(grad.shape, x.shape)}"
        )
    if grad.dtype != x.dtype and not subject.scalar:
        raise GradientError(
            f"{subject.name}: the gradient of input {position} has dtype {grad.dtype}, the input "
            f"{x.dtype}."
        )


def _projection(
    subject: Subject,
    place: int,
    us: list[Any],
    grad: Any,
    rng: np.random.Generator,
    layout: str,
    eps: float | None,
    rtol: float | None,
    atol: float,
) -> None:
    x = subject.inputs[place]
    v = away_from_zero(rng, x.shape)
    direction = [v if i == place else None for i in range(len(subject.inputs))]
    outs = subject.evaluate(subject.inputs)
    taken_in = min(
        (out.dtype for out in outs if out.dtype.kind == "f"),
        key=lambda d: -np.finfo(d).eps,
        default=np.dtype(np.float64),
    )
    steps = [eps] if eps else [step_of(taken_in) / shorter for shorter in (1, 8, 64)]
    grads = [grad if i == place else None for i in range(len(subject.inputs))]
    size = (
        size_of([v], [grad])
        + size_of(us, outs)
        + np.sqrt(size_of(us, us) * size_of([v], [v]) / max(x.size, 1))
    )
    tolerance = atol + size * (
        relative_tolerance(taken_in, subject.held[place].dtype) if rtol is None else rtol
    )
    for h in steps:
        error = directional_error(subject.evaluate, subject.inputs, direction, us, grads, h)
        if abs(error) <= tolerance:
            return
    context = f"upstream gradient {layout}; projected error {error:.3g}, tolerance {tolerance:.3g}"
    raise explain(subject, place, us, grad, h, context)


def _complex_projection(
    subject: Subject,
    place: int,
    us: list[Any],
    grad: Any,
    rng: np.random.Generator,
    layout: str,
    eps: float | None,
) -> None:
    x = subject.inputs[place]
    v = away_from_zero(rng, x.shape)
    direction = [v if i == place else None for i in range(len(subject.inputs))]
    exact = complex_derivative(subject.call_complex, subject.inputs, direction, us)
    size = size_of([v], [grad]) + size_of(us, us)
    tolerance = 100 * float(np.finfo(subject.held[place].dtype).eps) * size
    error = dot([v], [grad]) - exact
    if not abs(error) <= tolerance:
        context = (
            f"upstream gradient {layout}; error {error:.3g} against the complex step, "
            f"tolerance {tolerance:.3g}"
        )
        raise explain(subject, place, us, grad, eps or step_of(np.float64), context)
