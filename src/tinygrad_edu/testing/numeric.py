"""Derivatives by finite differences, and the tolerance that follows from the arithmetic.

Central differences at the steps h and h/2, combined so that the h**2 terms cancel (Richardson), are
wrong by about h**4 from the truncated series and by about eps / h from rounding. The two meet at h
= eps**(1/5), where both are eps**(4/5): 3e-13 in float64, 3e-6 in float32, times the size of the
numbers involved. The points x +- h v are themselves rounded, so the analytic side is asked about
the steps that were really made. Where a function takes complex numbers, Im f(x + i h v) / h has
neither error (Squire and Trapp, SIAM Review 40, 1998)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy import ndarray

from ..errors import ArgumentError

Arrays = list[ndarray]

# The high derivatives of a function and the cancellations inside it are not known. What is known,
# eps**(4/5) times the size of the numbers, gets this much room; a relative error of 1e-2 stands out
# by seven orders of magnitude. (It also covers the rounding of a step 64 times shorter, which is
# tried where the fifth derivative is so large that the first step was too long.)
ROOM = 1000
COMPLEX_STEP = 1e-30


def step_of(dtype: Any) -> float:
    """The step at which truncation and rounding are equal, eps**(1/5)."""
    return float(np.finfo(dtype).eps) ** 0.2


def relative_tolerance(dtype: Any, gradient_dtype: Any) -> float:
    """How far a right gradient of `gradient_dtype` may be from differences taken in `dtype`, for
    numbers of size 1."""
    return ROOM * float(np.finfo(dtype).eps) ** 0.8 + ROOM / 10 * float(
        np.finfo(gradient_dtype).eps
    )


def dot(us: Sequence[Any], arrays: Sequence[Any]) -> float:
    """The sum over all entries of all arrays of u times the entry; a None counts as zeros."""
    return float(
        sum(
            np.sum(np.asarray(u, np.float64) * np.asarray(a, np.float64))
            for u, a in zip(us, arrays)
            if u is not None and a is not None
        )
    )


def size_of(us: Sequence[Any], arrays: Sequence[Any]) -> float:
    """As `dot`, without signs: the size of the numbers that were added."""
    return dot(
        [None if u is None else np.abs(u) for u in us],
        [None if a is None else np.abs(a) for a in arrays],
    )


def directional_error(
    f: Callable[..., Any],
    inputs: Arrays,
    direction: list[Any],
    us: Arrays,
    grads: list[Any],
    h: float,
) -> float:
    """<u, f(x + h v) - f(x - h v)> / 2h minus what `grads` predict for that step, extrapolated to h
    = 0.

    direction: an array for each input, None for those that are not moved. `f` takes and gives lists
    of arrays."""

    def error_at(h: float) -> float:
        above = [x if v is None else x + h * v for x, v in zip(inputs, direction)]
        below = [x if v is None else x - h * v for x, v in zip(inputs, direction)]
        moved = [None if v is None else a - b for a, b, v in zip(above, below, direction)]
        change = [_float64(a) - _float64(b) for a, b in zip(f(above), f(below))]
        return (dot(us, change) - dot(moved, grads)) / (2 * h)

    return (4 * error_at(h / 2) - error_at(h)) / 3


def complex_derivative(
    f: Callable[..., Any], inputs: Arrays, direction: list[Any], us: Arrays
) -> float:
    """<u, J v> by the complex step, exact to rounding where f is analytic and keeps complex
    numbers."""
    outs = f([x if v is None else x + COMPLEX_STEP * 1j * v for x, v in zip(inputs, direction)])
    return dot(us, [np.imag(out) / COMPLEX_STEP for out in outs])


def entrywise(
    f: Callable[..., Any], inputs: Arrays, position: int, us: Arrays, h: float
) -> ndarray:
    """d <u, f> / d inputs[position], entry by entry."""
    x = inputs[position]
    grad = np.zeros(x.shape, np.float64)
    zeros = [np.zeros_like(x) if i == position else None for i, x in enumerate(inputs)]
    for index in np.ndindex(x.shape):
        unit = np.zeros_like(x)
        unit[index] = 1
        direction = [unit if i == position else None for i in range(len(inputs))]
        grad[index] = directional_error(f, inputs, direction, us, zeros, h)
    return grad


def numerical_gradient(f: Callable[..., Any], inputs: Any, *, eps: float | None = None) -> Any:
    """The gradient of `f` by central differences, extrapolated once (two evaluations times two an
    entry).

    f takes Tensors (or Values where Values are given) and returns one number: a Tensor of one
    element, a Value, a float. inputs: a list or tuple of Tensors, floating arrays or floats, or one
    of them. `eps`: the step, eps**(1/5) by default. Returns a float64 array for each input (None
    for one that is not floating), or one array for one input. Raises ValueError where f returns
    more than one number."""
    from .payloads import Subject

    several = isinstance(inputs, (list, tuple))
    subject = Subject(f, inputs if several else [inputs])
    outs = subject.evaluate(subject.inputs)
    if len(outs) != 1 or outs[0].size != 1:
        raise ArgumentError(
            f"numerical_gradient: f returned shapes {[out.shape for out in outs]}: expected one "
            f"number.",
            code="non-scalar-loss",
        )
    ones, h = [np.ones(outs[0].shape)], eps or step_of(outs[0].dtype)
    grads: list[Any] = [None] * len(subject.given)
    for place, position in enumerate(subject.positions):
        grads[position] = entrywise(subject.evaluate, subject.inputs, place, ones, h)
    return tuple(grads) if several else grads[0]


def _float64(x: Any) -> ndarray:
    return np.asarray(x, dtype=np.float64)
