"""Gradient ascent on the image: the weights stay, the picture learns.

`maximise` draws what a class wants to see; `dream` lets a layer overdo what it sees in a picture.
Both take steps of a fixed size along the gradient divided by its root mean square: gradients of
images differ by orders of magnitude from place to place and from layer to layer, and only their
direction is wanted.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ..data.dataset import whole_number
from ..errors import ArgumentError, ShapeError
from ..graph import no_grad
from ..ops.reduction import mean
from ..ops.shape import getitem
from ..random import generator
from ..tensor import Tensor
from ..transforms import grad
from .reading import (
    activation,
    as_batch,
    as_floats,
    as_targets,
    evaluating,
    find_layer,
    require_module,
    scores,
)


def maximise(
    model: Any,
    start: Any,
    target: Any = None,
    *,
    steps: int = 200,
    lr: float = 0.02,
    l2: float = 0.0,
    total_variation: float = 0.0,
    jitter: int = 0,
    bounds: tuple[float, float] | None = (0.0, 1.0),
    rng: Any = None,
) -> np.ndarray:
    """The image that the class `target` wants to see: gradient ascent on its score, from `start`.

    start: an example or a batch (see the top of `tg.explain`), or a shape of one, which is begun
    from faint noise around the middle of `bounds`. A batch with one target each makes the images of
    all classes at once. What is climbed, for each image x:

        score(x) - l2 * sum(x**2) - total_variation * sum((x - the pixel to the right, below)**2)

    lr: the root mean square of a step, in the unit of x; it shrinks linearly to 0 over the steps.
    jitter: before each step the image is moved by up to so many pixels, around the edge, so that
    nothing depends on where exactly a line lies. bounds: what values the pixels may have, or None.
    rng: int seed, Generator or None, for noise and jitter. Result: an array of start's shape, and
    its dtype, or that of the model's parameters.
    Raises as `saliency`; ValueError for steps < 1, lr <= 0, a negative regulariser or jitter, or
    jitter of features. Source: K. Simonyan, A. Vedaldi, A. Zisserman, arXiv:1312.6034 (2013),
    section 2; total variation: A. Mahendran and A. Vedaldi, CVPR 2015; jitter: A. Mordvintsev, C.
    Olah, M. Tyka, "Inceptionism", Google Research Blog (2015).
    """
    steps, jitter = _climb_options("maximise", steps, lr, jitter)
    if not (np.isfinite([l2, total_variation]).all() and l2 >= 0 and total_variation >= 0):
        raise ArgumentError(
            f"maximise: l2={l2!r}, total_variation={total_variation!r}: expected numbers >= 0."
        )
    require_module("maximise", model)
    _check_bounds("maximise", bounds)
    rng = generator(rng)
    if isinstance(start, tuple):
        start = _noise(model, start, bounds, rng)
    batch, missing = as_batch("maximise", model, start, "start")
    targets = as_targets("maximise", target, len(batch))
    if batch.ndim != 4 and (jitter or total_variation):
        raise ArgumentError(
            f"maximise: jitter={jitter}, total_variation={total_variation}: start "
            f"{batch.shape[missing:]} has no height and width. They are for images."
        )

    def objective(x: Any) -> Any:
        value = scores("maximise", model, x, targets).sum()
        if l2:
            value = value - l2 * (x * x).sum()
        if total_variation:
            right = getitem(x, (..., slice(1, None))) - getitem(x, (..., slice(-1)))
            below = getitem(x, (..., slice(1, None), slice(None))) - getitem(
                x, (..., slice(-1), slice(None))
            )
            value = value - total_variation * ((right * right).sum() + (below * below).sum())
        return value

    x = batch.copy()
    with evaluating("maximise", model):
        for step in range(steps):
            x = _step(grad(objective), x, lr * (1 - step / steps), jitter, bounds, rng)
    return x.reshape(batch.shape[missing:])


class Octave(NamedTuple):
    """One size at which was dreamt. before, after: the activation at the start of the octave and at
    its end; image: as it was then, (H, W) or with channels, in the layout that was given."""

    size: tuple[int, int]
    before: float
    after: float
    image: np.ndarray


class Dream(NamedTuple):
    """What `dream` made. before, after: the activation for the image that was given and for the one
    that came out, at full size and without jitter; history: the octaves, smallest first."""

    image: np.ndarray
    before: float
    after: float
    history: list[Octave]


def dream(
    model: Any,
    image: Any,
    layer: Any,
    channel: int | None = None,
    *,
    octaves: int = 4,
    octave_scale: float = 1.4,
    steps: int = 10,
    lr: float = 0.02,
    jitter: int = 4,
    bounds: tuple[float, float] | None = (0.0, 1.0),
    rng: Any = None,
) -> Dream:
    """Deep dream: change `image` so that `layer` sees more of what it sees in it already.

    image: float32 or float64, (H, W), (C, H, W) or (H, W, C), of any size that the layers up to
    `layer` accept; with a Flatten before it the image has the size that the model was made for, and
    octaves=1. layer: a module of the model or its dotted path. What is climbed is the activation:
    the mean square of all that the layer puts out, or, with `channel`, the mean of that channel
    (axis 1 of the output).

    The image is dreamt over at `octaves` sizes, each `octave_scale` times the one before, the last
    its own: what was changed at one size is enlarged and kept as the start at the next, so that
    there are large features and small ones. steps, lr, jitter, bounds, rng: as in `maximise`, for
    each octave, with steps of one size.
    Returns a Dream: the image, in shape and dtype as it came, and the activation before and after.
    Raises ValueError for an unknown layer (naming those there are), a channel that the layer does
    not have, steps or octaves < 1, octave_scale <= 1, lr <= 0, or pixels outside of bounds;
    DtypeError for an image that is not floating; ShapeError. Source: A. Mordvintsev, C. Olah, M.
    Tyka, "Inceptionism: Going Deeper into Neural Networks", Google Research Blog (2015).
    """
    steps, jitter = _climb_options("dream", steps, lr, jitter)
    octaves = whole_number("dream", "octaves", octaves)
    if not (np.isfinite(octave_scale) and octave_scale > 1):
        raise ArgumentError(f"dream: octave_scale={octave_scale!r}: expected a number above 1.")
    _, module = find_layer("dream", model, layer)
    original, back = _as_image(model, image, bounds)
    rng = generator(rng)

    def objective(x: Any) -> Any:
        return _excitement(activation("dream", model, module, x), channel)

    def measure(x: np.ndarray) -> float:
        with no_grad():
            return float(objective(Tensor(x)).item())

    climb = grad(objective)
    history = []
    change = None
    with evaluating("dream", model):
        before = measure(original)
        for size in _sizes(original.shape[2:], octaves, octave_scale):
            base = resize(original, size)
            x = base if change is None else _within(base + resize(change, size), bounds)
            start = measure(x)
            for _ in range(steps):
                x = _step(climb, x, lr, jitter, bounds, rng)
            change = x - base
            history.append(Octave(size, start, measure(x), back(x)))
        return Dream(history[-1].image, before, history[-1].after, history)


def _excitement(out: Any, channel: int | None) -> Any:
    """The activation as one number."""
    if channel is None:
        return mean(out * out)
    whole = isinstance(channel, (int, np.integer)) and not isinstance(channel, bool)
    if not whole or out.ndim < 2 or not 0 <= channel < out.shape[1]:
        raise ArgumentError(
            f"dream: channel={channel!r}: the layer puts out {out.shape}, with channels 0 to "
            f"{out.shape[1] - 1 if out.ndim > 1 else 'none'}."
        )
    return mean(getitem(out, (slice(None), channel)))


# ----------------------------------------------------------------------------------------- one step


def _step(
    climb: Callable,
    x: np.ndarray,
    lr: float,
    jitter: int,
    bounds: tuple[float, float] | None,
    rng: np.random.Generator,
) -> np.ndarray:
    """One step up the gradient; each image of the batch has its own length of gradient."""
    down, right = rng.integers(-jitter, jitter + 1, size=2) if jitter else (0, 0)
    g = climb(np.roll(x, (down, right), axis=(-2, -1)) if jitter else x)
    if jitter:
        g = np.roll(g, (-down, -right), axis=(-2, -1))
    size = np.sqrt(np.mean(g * g, axis=tuple(range(1, g.ndim)), keepdims=True))
    # where nothing answers (a dead relu) the gradient is 0 and so is the step
    direction = np.divide(g, size, out=np.zeros_like(g), where=size > 0)
    return _within(x + x.dtype.type(lr) * direction, bounds)


def _within(x: np.ndarray, bounds: tuple[float, float] | None) -> np.ndarray:
    return x if bounds is None else np.clip(x, *bounds)


def _climb_options(where: str, steps: Any, lr: float, jitter: Any) -> tuple[int, int]:
    if not (np.isfinite(lr) and lr > 0):
        raise ArgumentError(f"{where}: lr={lr!r}: expected a finite number above 0.")
    return whole_number(where, "steps", steps), whole_number(where, "jitter", jitter, least=0)


def _check_bounds(where: str, bounds: Any) -> None:
    pair = isinstance(bounds, (tuple, list)) and len(bounds) == 2
    if bounds is not None and not (pair and bounds[0] < bounds[1]):
        raise ArgumentError(f"{where}: bounds={bounds!r}: expected (lowest, highest), or None.")


def _noise(model: Any, shape: tuple, bounds: Any, rng: np.random.Generator) -> np.ndarray:
    """Faint noise, a twentieth of the bounds' width, around their middle."""
    if not all(isinstance(n, (int, np.integer)) and n > 0 for n in shape):
        raise ArgumentError(
            f"maximise: start={shape!r}: a tuple is a shape, of whole numbers of at least 1. Pass "
            "an example as an array."
        )
    low, high = bounds or (-1.0, 1.0)
    dtypes = [parameter.dtype for parameter in model.parameters() if parameter.dtype.kind == "f"]
    noise = (low + high) / 2 + (high - low) / 20 * rng.standard_normal(shape)
    return np.clip(noise, low, high).astype(dtypes[0] if dtypes else np.float32)


# --------------------------------------------------------------------------------- images and sizes


def _as_image(model: Any, image: Any, bounds: Any) -> tuple[np.ndarray, Callable]:
    """(image as (1, C, H, W), the way back to the layout that it came in)."""
    array = as_floats("dream", "image", image)
    _check_bounds("dream", bounds)
    if bounds is not None and not (array.min() >= bounds[0] and array.max() <= bounds[1]):
        raise ArgumentError(
            f"dream: image has pixels from {array.min():.4g} to {array.max():.4g}: expected "
            f"{bounds[0]:.4g} to {bounds[1]:.4g}. Scale it (/ 255 for bytes), or pass bounds=."
        )
    if array.ndim == 2:
        return array[np.newaxis, np.newaxis], lambda x: x[0, 0]
    # How many channels a picture may have: what the first convolution reads, else grey or colour.
    reads = [parameter.shape[1] for parameter in model.parameters() if parameter.ndim == 4]
    channels = reads[:1] or (1, 3)
    if array.ndim == 3 and array.shape[0] in channels:
        return array[np.newaxis], lambda x: x[0]
    if array.ndim == 3 and array.shape[2] in channels:
        return np.moveaxis(array, 2, 0)[np.newaxis], lambda x: np.moveaxis(x[0], 0, 2)
    raise ShapeError(
        f"dream: image has shape {array.shape}: expected (H, W), (C, H, W) or (H, W, C) with "
        f"{' or '.join(map(str, channels))} channels. A colour picture becomes grey by "
        "image.mean(axis=-1).",
        code="unexpected-shape",
    )


def _sizes(full: tuple[int, ...], octaves: int, scale: float) -> list[tuple[int, int]]:
    """The sizes to dream at, smallest first, the last the image's own."""
    sizes = [
        (round(full[0] / scale**i), round(full[1] / scale**i)) for i in range(octaves - 1, -1, -1)
    ]
    if min(sizes[0]) < 1:
        raise ArgumentError(
            f"dream: octaves={octaves} with octave_scale={scale} would begin at {sizes[0]} "
            f"pixels for an image of {full}: take fewer octaves."
        )
    return sizes


def resize(images: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """(..., H, W) at another size, each new pixel a weighted mean of the old ones near it."""
    if images.shape[-2:] == size:
        return images
    rows = _weights(images.shape[-2], size[0]).astype(images.dtype)
    columns = _weights(images.shape[-1], size[1]).astype(images.dtype)
    return rows @ images @ columns.T


def _weights(old: int, new: int) -> np.ndarray:
    """(new, old), rows that sum to 1: a triangle around each new pixel's centre, as wide as the
    coarser of the two grids. Linear interpolation where it is enlarged; where it is made smaller,
    a mean over what falls together, so that fine detail does not come back as false pattern."""
    scale = old / new
    centres = (np.arange(new) + 0.5) * scale - 0.5
    reach = np.abs(centres[:, np.newaxis] - np.arange(old)) / max(scale, 1)
    weights = np.maximum(0, 1 - reach)
    return weights / weights.sum(axis=1, keepdims=True)
