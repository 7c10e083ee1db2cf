"""Limiting the gradient before a step."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from ..errors import AnomalyError, ArgumentError
from ..graph import open_trace, traces
from ..op import Op, apply
from ..ops.arithmetic import minimum
from ..ops.shape import ANY, astype
from ..tensor import Tensor
from ..writes import mark_written


def clip_grad_norm_(
    params: Iterable[Tensor] | Tensor, max_norm: float, norm_type: float = 2.0
) -> Any:
    """Scale all gradients by one factor so that together they are no longer than `max_norm`; return
    the length that they had.

    params: Tensors (or one), of which those without `.grad` are passed over. The length is the norm
    of all entries of all gradients as one vector: `norm_type` 2 is Euclid's, math.inf the largest
    entry. The factor is max_norm / (length + 1e-6) where that is below 1, as in PyTorch. Raises
    ValueError for a negative or NaN max_norm or norm_type <= 0, FloatingPointError where the length
    is not finite; nothing is changed then. In a step that is compiled, the length is a Tensor of
    shape () and dtype float64, to be returned and read outside. Source: R. Pascanu, T. Mikolov and
    Y. Bengio, ICML 2013, algorithm 1.
    """
    if not max_norm >= 0:
        raise ArgumentError(
            f"clip_grad_norm_: max_norm={max_norm!r}: expected a number of 0 or more."
        )
    if not norm_type > 0:
        raise ArgumentError(f"clip_grad_norm_: norm_type={norm_type!r}: expected a number above 0.")
    given = [params] if isinstance(params, Tensor) else list(params)
    with_grad = [(p, p.grad) for p in given if p.grad is not None]
    if traces and open_trace() is not None:
        return _clip_traced(with_grad, max_norm, norm_type)
    total = _finite_length([g.payload for _, g in with_grad], norm_type)
    factor = max_norm / (total + 1e-6)
    if factor < 1:
        for p, g in with_grad:
            if g.op is None and g.payload.flags.writeable:
                g.payload *= factor
                mark_written(g)
            else:
                p.grad = Tensor._of(g.payload * g.dtype.type(factor))
    return total


def _clip_traced(with_grad: list[tuple[Tensor, Tensor]], max_norm: float, norm_type: float) -> Any:
    """The same by operations, which a program repeats: g = min(1, max_norm / (length + 1e-6)) g."""
    grads = tuple(g.detach() for _, g in with_grad)
    total = apply(_grad_norm, grads, {"norm_type": norm_type}) if grads else 0.0
    factor = minimum(max_norm / (total + 1e-6), 1.0)
    for (p, _), g in zip(with_grad, grads):
        p.grad = g * astype(factor, dtype=g.dtype)
    return total


def _finite_length(grads: Sequence[np.ndarray], norm_type: float) -> float:
    total = _length(grads, norm_type)
    if not math.isfinite(total):
        raise AnomalyError(
            f"clip_grad_norm_: the gradients have the norm {total}, and no factor makes that "
            "finite. The loss has overflowed or is NaN: use a smaller learning rate, or find the "
            "operation with tg.detect_anomaly().",
            code="non-finite-gradient",
        )
    return total


# What a program runs between its calls of C; not in the table, since nobody differentiates it.
_grad_norm = Op(
    "grad_norm",
    lambda *grads, norm_type: np.asarray(_finite_length(grads, norm_type)),
    vjps=None,
    domain=(ANY,),
    cases=None,
    inputs=("grads",),
    variadic=True,
    public=False,
)


def _length(grads: Sequence[np.ndarray], norm_type: float) -> float:
    """The norm of all entries, in float64 and in units of the largest, so that no power
    overflows."""
    if any(np.isnan(g).any() for g in grads):
        return math.nan
    largest = max((float(np.max(np.abs(g), initial=0)) for g in grads), default=0.0)
    if norm_type == math.inf or not 0 < largest < math.inf:
        return largest
    powers = [np.sum(np.abs(g.astype(np.float64) / largest) ** norm_type) for g in grads]
    return largest * float(sum(powers)) ** (1 / norm_type)
