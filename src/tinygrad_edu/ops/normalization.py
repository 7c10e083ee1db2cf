"""Row: normalize, numbers shifted to mean 0 and scaled to variance 1; batch_norm and layer_norm are
made of it.

Its formulas are made of rows, so every derivative, every payload and the compiler come for free.
The variance is the mean of squared distances from the mean, never a difference of large squares:
numbers around 1e6 keep their digits.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import kernels
from ..domains import Reals, cases
from ..errors import ArgumentError, ShapeError
from ..graph import Node, Recorder
from ..row import row
from ..writes import mark_written
from .arithmetic import square
from .elementwise import rsqrt
from .reduction import mean
from .shape import reshape

if TYPE_CHECKING:
    from ..payloads import Array, WithAxes
    from ..tensor import Tensor

ANY = Reals(-2, 2)


def _standard(x, axes, eps):
    """x normalised over `axes`, and 1 / its standard deviation."""
    distance = x - mean(x, axis=axes, keepdims=True)
    scale = rsqrt(mean(square(distance), axis=axes, keepdims=True) + eps)
    return distance * scale, scale


def _normalize(x, weight, bias, *, axes, eps):
    out, _ = _standard(np.asarray(x), axes, eps)
    out = out if weight is None else out * weight
    return out if bias is None else out + bias


def _to_numbers(g, x, weight, axes, eps):
    """Of h = g weight, what is left when its mean and its part along the normalised x are taken
    out, since these two are what x cannot change."""
    normal, scale = _standard(x, axes, eps)
    h = g if weight is None else g * weight
    along = mean(h * normal, axis=axes, keepdims=True)
    return scale * (h - mean(h, axis=axes, keepdims=True) - normal * along)


normalize: Any = row(
    "normalize", kernels.normalize(_normalize), inputs=("x", "weight?", "bias?"), public=False,
    stash=True, defaults={"axes": (-1,), "eps": 1e-5},
    vjp=(lambda g, _out, x, weight, _bias, axes, eps: _to_numbers(g, x, weight, axes, eps),
         lambda g, _out, x, _weight, _bias, axes, eps: g * _standard(x, axes, eps)[0],
         lambda g, _out, _x, _weight, _bias, axes, eps: g),
    domain=ANY,
    cases=cases(((3, 4), (4,), (4,), {"axes": (1,)}), ((2, 3, 4), (3, 4), (3, 4), {"axes": (1, 2)}),
                ((3, 2, 4), (2, 1), (2, 1), {"axes": (0, 2)}), ((5, 2), (2,), (2,), {"axes": (0,)}),
                ((2, 3, 4), (4,), (4,), {"axes": (1,)})),
    doc="x normalised over `axes`, times weight, plus bias, which broadcast or are None.")


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
    per_channel = [v if v is None else _on_channels(v, x.ndim) for v in (weight, bias)]
    out, moments = _normalized(x, per_channel[0], per_channel[1], axes, eps)
    if training and running_mean is not None:
        centre, spread = moments or _moments(x, axes)
        _move(running_mean, centre, momentum, 1)
        _move(running_var, spread, momentum, n / (n - 1))
    return out


def _normalized(x, weight, bias, axes, eps):
    """normalize, and the moments of x if its kernel has left them."""
    out = normalize(x, weight, bias, axes=axes, eps=eps)
    if isinstance(out, tuple):
        return out
    return out, out.stash if isinstance(out.stash, tuple) else None


def _moments(x, axes):
    """Mean and variance of the numbers of x, unrecorded."""
    numbers = x._lifted() if isinstance(x, Node) else x
    distance = numbers - mean(numbers, axis=axes, keepdims=True)
    return mean(numbers, axis=axes), mean(square(distance), axis=axes)


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
        numbers = latest.beside(numbers)
    moved = (1 - momentum) * numbers + momentum * scale * latest
    if isinstance(moved, Recorder):
        moved.write_into(running)
        return
    numbers[...] = moved
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
    axes = tuple(range(x.ndim - len(shape), x.ndim))
    return _normalized(x, weight, bias, axes, eps)[0]
