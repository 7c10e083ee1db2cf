"""Rows: normalize, which batch_norm and layer_norm are made of."""

from __future__ import annotations

from ...kernels.normalization import layout_of
from ..calls import Builder, Out
from ..instruction import Instruction, Place
from .table import backward, dense_of, forward


@forward("normalize")
def _normalize(b: Builder, step: Instruction) -> bool:
    out, *moments = step.outputs
    x, weight, bias = step.inputs
    sizes = _normalized_sizes(step)
    dense = dense_of(b, out.dtype, x, weight, bias)
    if sizes is None or dense is None or len(moments) != 2:
        return False
    written = [Out(place) for place in (out, *moments)]
    b.call("normalize", out.dtype, *written, *dense, *sizes, float(step.params["eps"]))
    return True


@backward("normalize")
def _normalize_vjp(b: Builder, step: Instruction) -> bool:
    g, out, x, weight, _, mean, var = step.inputs
    sizes = _normalized_sizes(step, start=2)
    dense = dense_of(b, out.dtype, g, x, mean, var, weight)
    if sizes is None or dense is None:
        return False
    made = [None if place is None else Out(place) for place in step.outputs]
    b.call("normalize_grad", out.dtype, *made, *dense, *sizes, float(step.params["eps"]))
    return True


def _normalized_sizes(step: Instruction, start: int = 0) -> tuple[int, ...] | None:
    x, weight, bias = step.inputs[start : start + 3]
    given = [place for place in (weight, bias) if place is not None]
    if not all(isinstance(place, Place) for place in (x, *given)):
        return None
    return layout_of(x, given, step.params["axes"])
