"""Normalisation: numbers shifted to mean 0 and scaled to variance 1, made of the rows.

Being made of rows, every derivative, every payload and the compiler come for free. The variance is
the mean of squared distances from the mean, never a difference of large squares: numbers around 1e6
keep their digits.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import ArgumentError, GraphError, ShapeError
from ..graph import Node, Recorder
from ..writes import mark_written
from .arithmetic import square
from .elementwise import rsqrt
from .reduction import mean
from .shape import reshape

if TYPE_CHECKING:
    from ..payloads import Array, WithAxes
    from ..tensor import Tensor


def batch_norm(
    x: WithAxes, running_mean: Tensor | Array | None = None,
    running_var: Tensor | Array | None = None, weight: WithAxes | None = None,
    bias: WithAxes | None = None, training: bool = False, momentum: float = 0.1,
    eps: float = 1e-5,
) -> WithAxes:
    """Each channel of x (N, C), (N, C, L) or (N, C, H, W) normalised, times `weight`, plus `bias`.

    training: by the mean and the (biased) variance of this batch, and the running estimates move
    towards them in place by the share `momentum`, the variance in its unbiased form. Else by the
    running estimates. All four are (C,) or absent; an absent pair of estimates means the batch's.
    Raises ShapeError where shapes do not fit, ValueError where training has one value a channel.
    Source: S. Ioffe and C. Szegedy, ICML 2015, algorithm 1.
    """
    x = x if isinstance(x, Recorder) else np.asarray(x)
    if not 2 <= x.ndim <= 4:
        raise ShapeError(f"batch_norm: x has shape {x.shape}: expected (N, C), (N, C, L) or "
                         "(N, C, H, W).", code="unexpected-shape")
    channels = {"running_mean": running_mean, "running_var": running_var, "weight": weight,
                "bias": bias}
    for name, value in channels.items():
        if value is not None and value.shape != (x.shape[1],):
            raise ShapeError(f"batch_norm: {name} {value.shape} with x {x.shape}: expected one "
                             f"number for each of the {x.shape[1]} channels, ({x.shape[1]},).")
    if (running_mean is None) != (running_var is None):
        raise ArgumentError("batch_norm: running_mean and running_var come together: give both, or "
                            "neither.", code="arguments-conflict")
    if not training and running_mean is not None:
        scaled = _centred(x, running_mean) * rsqrt(_on_channels(running_var, x.ndim) + eps)
        return _affine(scaled, weight, bias)
    axes = (0, *range(2, x.ndim))
    n = math.prod(x.shape[a] for a in axes)
    if n <= 1:
        raise ArgumentError(f"batch_norm: x {x.shape}: the number of values for a channel is {n}, "
                            "and the variance of a batch needs at least 2. Take a larger batch, or "
                            "call eval() first.", code="batch-too-small")
    centre = mean(x, axis=axes)
    distance = _centred(x, centre)
    spread = mean(square(distance), axis=axes)
    if training and running_mean is not None:
        _move(running_mean, centre, momentum, 1)
        _move(running_var, spread, momentum, n / (n - 1))
    return _affine(distance * rsqrt(_on_channels(spread, x.ndim) + eps), weight, bias)


def _on_channels(v, ndim):
    """v (C,) as (C, 1, ...), so that it meets the second axis."""
    return reshape(v, shape=(-1, *(1,) * (ndim - 2)))


def _centred(x, centre):
    return x - _on_channels(centre, x.ndim)


def _affine(x, weight, bias):
    """x times the weight of each channel, plus its bias."""
    x = x if weight is None else x * _on_channels(weight, x.ndim)
    return x if bias is None else x + _on_channels(bias, x.ndim)


def _move(running, seen, momentum, scale):
    """running = (1 - momentum) running + momentum scale seen, in its own memory and unrecorded."""
    numbers = running.payload if isinstance(running, Node) else running
    latest = seen.payload if isinstance(seen, Node) else seen
    if isinstance(latest, Recorder):
        raise GraphError("batch_norm: a program that is being traced cannot write into the running "
                         "estimates. Trace it after eval(), or without them.", code="traced-value")
    numbers[...] = (1 - momentum) * numbers + momentum * scale * latest
    if isinstance(running, Node):
        mark_written(running)


def layer_norm(
    x: WithAxes, normalized_shape: Any, weight: WithAxes | None = None,
    bias: WithAxes | None = None, eps: float = 1e-5,
) -> WithAxes:
    """The last axes of x, which must be `normalized_shape` (an integer or a tuple), normalised
    together, times `weight`, plus `bias`, both of that shape or absent.

    Raises ShapeError where shapes do not fit. Source: J. L. Ba et al., arXiv:1607.06450, eq. 4.
    """
    x = x if isinstance(x, Recorder) else np.asarray(x)
    shape = tuple(normalized_shape) if np.ndim(normalized_shape) else (int(normalized_shape),)
    if not shape or tuple(x.shape[-len(shape):]) != shape:
        raise ShapeError(f"layer_norm: x {x.shape} does not end in normalized_shape {shape}: give "
                         "the lengths of its last axes.")
    for name, value in {"weight": weight, "bias": bias}.items():
        if value is not None and value.shape != shape:
            raise ShapeError(f"layer_norm: {name} {value.shape} with normalized_shape {shape}: "
                             "expected equal shapes.")
    axes = tuple(range(-len(shape), 0))
    distance = x - mean(x, axis=axes, keepdims=True)
    out = distance * rsqrt(mean(square(distance), axis=axes, keepdims=True) + eps)
    out = out if weight is None else out * weight
    return out if bias is None else out + bias
