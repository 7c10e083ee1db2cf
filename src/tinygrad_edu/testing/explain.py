"""What went wrong with a gradient: found entry by entry, once a check has failed, and said in one
message."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy import ndarray

from ..errors import TinygradEduError
from .numeric import entrywise


class GradientError(TinygradEduError, AssertionError):
    """A gradient is not the derivative of its function, or breaks one of the promises made about
    gradients."""

    code = "wrong-gradient"


def explain(
    subject: Any, place: int, us: list[ndarray], analytic: Any, h: float, context: str
) -> GradientError:
    """The error that shows the worst entry of one gradient beside its numeric value, with a hint
    where the error has a known shape."""
    numeric = entrywise(subject.evaluate, subject.inputs, place, us, h)
    got = np.zeros_like(numeric) if analytic is None else np.asarray(analytic, np.float64)
    difference = np.abs(got - numeric)
    worst = (
        np.unravel_index(
            int(np.nanargmax(np.where(np.isnan(difference), np.inf, difference))), difference.shape
        )
        if difference.size
        else ()
    )
    a, n = (float(got[worst]), float(numeric[worst])) if difference.size else (0.0, 0.0)
    relative = abs(a - n) / max(abs(a), abs(n), np.finfo(float).tiny)
    hint = hint_for(got, numeric)
    return GradientError(
        f"{subject.name}: the gradient of input {subject.positions[place]} is wrong at index "
        f"{tuple(map(int, worst))}: analytic {a:.10g}, numeric {n:.10g}, relative error "
        f"{relative:.3g} ({context})."
        f"{f' Hint: {hint}' if hint else ''}"
    )


def hint_for(analytic: ndarray, numeric: ndarray) -> str:
    """A guess at the mistake, from how the two differ; "" where they differ in no known way."""
    if not numeric.any() and analytic.any():
        return "it should be zero: the output does not depend on this input."
    if not analytic.any():
        return "it is zero throughout: was the graph lost on the way (detach, no_grad, .data)?"
    if (
        analytic.ndim == 2
        and analytic.shape[0] == analytic.shape[1]
        and _close(analytic.T, numeric)
    ):
        return "it is transposed."
    large = np.abs(numeric) > 1e-6 * np.abs(numeric).max()
    ratios = analytic[large] / numeric[large]
    ratio = float(np.median(ratios))
    if not np.allclose(ratios, ratio, rtol=1e-4) or not np.isfinite(ratio):
        return _sign_by_entry(ratios)
    if abs(ratio + 1) < 1e-4:
        return "the sign is wrong."
    for factor, name in ((2, "twice what it should be"), (0.5, "half of what it should be")):
        if abs(ratio - factor) < 1e-4:
            return f"it is {name} throughout: a factor of 2."
    return f"it is {ratio:.6g} times what it should be throughout."


def _sign_by_entry(ratios: ndarray) -> str:
    if np.allclose(np.abs(ratios), 1, rtol=1e-4):
        return "some entries have the wrong sign."
    right = np.isclose(ratios, 1, rtol=1e-4)
    return f"{int(right.sum())} of {right.size} entries are right." if right.any() else ""


def _close(a: ndarray, b: ndarray) -> bool:
    return a.shape == b.shape and bool(
        np.allclose(a, b, rtol=1e-4, atol=1e-8 * float(np.abs(b).max(initial=0)))
    )


def shape_hint(got: tuple[int, ...], expected: tuple[int, ...]) -> str:
    """A guess at why a gradient has another shape than its input."""
    try:
        if np.broadcast_shapes(got, expected) == got:
            return (
                " Hint: the sum over the broadcast axes is missing: the gradients of copies add up."
            )
    except ValueError:
        pass
    return " Hint: it is transposed." if got == expected[::-1] else ""
