"""Which inputs a decision rests on: saliency, integrated gradients, occlusion.

Three answers to three questions. Saliency: where would the smallest change matter? Integrated
gradients: how is the difference from a baseline shared out among the inputs? Occlusion: what is
lost if this part is not seen? None of them says what the model would do with other data.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..data.dataset import whole_number
from ..errors import ArgumentError, ShapeError
from ..ops.convolution import pair
from ..transforms import grad
from .reading import BATCH, as_batch, as_floats, as_targets, evaluating, score_arrays, scores


def saliency(model: Any, x: Any, target: Any = None) -> np.ndarray:
    """|d score / d input|: how strongly the score of `target` answers to each input number.

    x, target: see the top of `tg.explain`. Result: an array of x's shape and dtype, >= 0. For an
    image of several channels the source takes the largest of them, `.max(axis=-3)`.
    Raises DtypeError for an x that is not floating, ShapeError, ValueError for a target that is no
    class of the model. Source: K. Simonyan, A. Vedaldi, A. Zisserman, arXiv:1312.6034 (2013),
    section 3.
    """
    batch, targets, missing = _start("saliency", model, x, target)
    with evaluating("saliency", model):
        gradient = score_gradient("saliency", model, batch, targets)
    return np.abs(gradient).reshape(batch.shape[missing:])


def integrated_gradients(
    model: Any, x: Any, target: Any = None, baseline: Any = None, steps: int = 64
) -> np.ndarray:
    """(x - baseline) times the mean gradient on the straight line between them: each input's share
    of score(x) - score(baseline).

    baseline: what counts as no input, a number or an array that broadcasts against x; zeros if left
    out. steps: gradients along the line, taken in the middle of equal parts of it. Result: an array
    of x's shape and dtype. Its sum is score(x) - score(baseline) up to the error of that midpoint
    rule, of order 1 / steps**2 for a smooth model and 1 / steps for one with kinks (relu): ask
    `completeness_gap`.
    Raises as `saliency`; ValueError for steps < 1. Source: M. Sundararajan, A. Taly, Q. Yan, ICML
    2017, equations 1 and 3.
    """
    steps = whole_number("integrated_gradients", "steps", steps)
    batch, targets, missing = _start("integrated_gradients", model, x, target)
    start = _baseline("integrated_gradients", batch, baseline)
    way = batch - start
    total = np.zeros_like(batch)
    with evaluating("integrated_gradients", model):
        for part in _portions(steps, len(batch)):
            at = ((part + 0.5) / steps).astype(batch.dtype)
            points = start + at.reshape(-1, *(1,) * batch.ndim) * way  # (points, N, ...)
            repeated = None if targets is None else np.tile(targets, len(part))
            flat = points.reshape(-1, *batch.shape[1:])
            gradient = score_gradient("integrated_gradients", model, flat, repeated)
            total += gradient.reshape(points.shape).sum(axis=0)
    return (way * total / steps).reshape(batch.shape[missing:])


def completeness_gap(
    model: Any, x: Any, target: Any, attributions: Any, baseline: Any = None
) -> Any:
    """sum of the attributions - (score(x) - score(baseline)): 0 if they account for all of it.

    x, target, baseline as they were given to `integrated_gradients`; attributions of x's shape.
    Result: float64 (N,), or a float for one example. Raises as `saliency`, and ShapeError where
    attributions have another shape than x. Source: Sundararajan 2017, proposition 1.
    """
    batch, targets, missing = _start("completeness_gap", model, x, target)
    shares = as_floats("completeness_gap", "attributions", attributions)
    if shares.shape != batch.shape[missing:]:
        raise ShapeError(
            f"completeness_gap: attributions {shares.shape} for x {batch.shape[missing:]}: "
            "expected one for each input number."
        )
    start = np.broadcast_to(_baseline("completeness_gap", batch, baseline), batch.shape)
    with evaluating("completeness_gap", model):
        ends = [score_arrays("completeness_gap", model, end, targets) for end in (batch, start)]
    explained = shares.reshape(len(batch), -1).sum(axis=1, dtype=np.float64)
    gap = explained - (ends[0].astype(np.float64) - ends[1])
    return float(gap[0]) if missing else gap


def occlusion(
    model: Any, x: Any, target: Any = None, window: Any = 3, stride: Any = 1, fill: Any = 0.0
) -> np.ndarray:
    """score(x) - score(x with a window of it covered), for each place of the window: what the score
    loses by not seeing it.

    window, stride: whole numbers, for images also pairs for height and width. The window covers all
    channels and stays within x. fill: what it is covered with, a number or an array that broadcasts
    against x (such as the mean image). Result, of x's dtype: for images (N, out, out), for features
    (N, out), without N for one example, with out = (size - window) // stride + 1.
    Raises as `saliency`; ValueError for a window that is larger than x or a stride < 1. Source: M.
    D. Zeiler and R. Fergus, ECCV 2014, section 4.2.
    """
    batch, targets, missing = _start("occlusion", model, x, target)
    cover = _baseline("occlusion", batch, fill, "fill")
    covered, out = _windows(batch.shape, window, stride)
    with evaluating("occlusion", model):
        whole = score_arrays("occlusion", model, batch, targets)
        drops = []
        for part in _portions(len(covered), len(batch)):
            copies = np.repeat(batch[np.newaxis], len(part), axis=0)
            for copy, place in zip(copies, part):
                copy[covered[place]] = np.broadcast_to(cover, batch.shape)[covered[place]]
            repeated = None if targets is None else np.tile(targets, len(part))
            flat = copies.reshape(-1, *batch.shape[1:])
            seen = score_arrays("occlusion", model, flat, repeated)
            drops.append(whole - seen.reshape(len(part), len(batch)))
    result = np.concatenate(drops).T.reshape(len(batch), *out)
    return result[0] if missing else result


# -------------------------------------------------------------------------------------- their parts


def score_gradient(
    where: str, model: Any, batch: np.ndarray, targets: np.ndarray | None
) -> np.ndarray:
    """d score / d input for each example of the batch, each its own: in evaluation mode no example
    takes part in another's score, so that the gradient of the sum holds them all."""
    return grad(lambda x: scores(where, model, x, targets).sum())(batch)


def _start(where: str, model: Any, x: Any, target: Any) -> tuple[np.ndarray, Any, int]:
    batch, missing = as_batch(where, model, x)
    return batch, as_targets(where, target, len(batch)), missing


def _baseline(where: str, batch: np.ndarray, given: Any, name: str = "baseline") -> np.ndarray:
    """What an input is compared with, in a shape that broadcasts against the batch."""
    if given is None:
        return np.zeros((), batch.dtype)
    if isinstance(given, (int, float)) and not isinstance(given, bool):
        return np.asarray(given, batch.dtype)
    array = as_floats(where, name, given).astype(batch.dtype, copy=False)
    try:
        fits = np.broadcast_shapes(array.shape, batch.shape) == batch.shape
    except ValueError:
        fits = False
    if not fits:
        raise ShapeError(
            f"{where}: {name} has shape {array.shape}: expected a number, or an array that "
            f"broadcasts against examples of shape {batch.shape[1:]}."
        )
    return array


def _portions(places: int, n: int) -> Iterator[np.ndarray]:
    """0 to places - 1 in portions, so that a portion times n examples is about a batch."""
    step = max(1, BATCH // n)
    for first in range(0, places, step):
        yield np.arange(first, min(first + step, places))


def _windows(shape: tuple[int, ...], window: Any, stride: Any) -> tuple[list, tuple[int, ...]]:
    """(an index of the batch for each place of the window, in reading order; how many places there
    are along each axis)."""
    sizes = shape[2:] if len(shape) == 4 else shape[1:]
    pairs = pair("occlusion", "window", window, 1), pair("occlusion", "stride", stride, 1)
    (high, wide), (down, right) = pairs
    if len(sizes) == 1 and (high != wide or down != right):
        raise ArgumentError(
            f"occlusion: window={window!r}, stride={stride!r} for features {shape}: expected "
            "whole numbers; a pair is for images."
        )
    along = list(zip(sizes, (high, wide), (down, right)))
    if any(span > size for size, span, _ in along):
        raise ArgumentError(
            f"occlusion: a window of {window!r} is larger than an example of shape {shape[1:]}."
        )
    out = tuple((size - span) // step + 1 for size, span, step in along)
    cuts = [
        [slice(i * step, i * step + span) for i in range(count)]
        for count, (_, span, step) in zip(out, along)
    ]
    if len(cuts) == 1:
        return [(slice(None), cut) for cut in cuts[0]], out
    return [(..., rows, columns) for rows in cuts[0] for columns in cuts[1]], out
