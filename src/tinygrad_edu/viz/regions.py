"""Decision regions: what a classifier says at every point of the plane."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..dtypes import as_array
from ..errors import ArgumentError, ShapeError
from ..graph import no_grad
from .figure import COLORS, MARKERS, new_figure

_STEPS = 400  # points along each side


def boundary(predict: Callable, x: Any, y: Any, ax: Any = None, *, margin: float = 0.1) -> Any:
    """Fill the regions in which `predict` names each class, and draw the points on them.

    predict: from points (n, 2), an array of the dtype of `x` (float32 where that is an integer), to
    labels (n,), numbers as in `y`, or to scores (n, classes), of which the largest wins; array or
    Tensor. x: (N, 2). y: (N,), labels; a class is told by its colour and by its marker, and named
    by `ax.legend()`. margin: how far the picture reaches beyond the points, as a share of their
    extent. ax: the matplotlib Axes to draw on; without one a new figure is made.
    Returns the Axes. Raises ShapeError; ArgumentError for more classes than there are colours;
    ImportError without matplotlib.
    """
    x, y = as_array(x), as_array(y)
    x = x if x.dtype.kind == "f" else x.astype(np.float32)
    if x.ndim != 2 or x.shape[1] != 2 or y.shape != x.shape[:1] or not len(x):
        raise ShapeError(
            f"boundary: x {x.shape} and y {y.shape}: expected points (N, 2) and labels (N,), at "
            "least one.",
            code="unexpected-shape",
        )
    low, high = x.min(axis=0), x.max(axis=0)
    reach = np.where(high > low, high - low, 1) * margin
    (left, bottom), (right, top) = low - reach, high + reach
    across, up = np.meshgrid(np.linspace(left, right, _STEPS), np.linspace(bottom, top, _STEPS))
    grid = np.column_stack([across.ravel(), up.ravel()]).astype(x.dtype)
    labels = _labels(predict, grid)
    classes = np.union1d(y, labels)
    if len(classes) > len(COLORS):
        raise ArgumentError(f"boundary: {len(classes)} classes: colours tell {len(COLORS)} apart.")

    ax = new_figure((7, 6)).add_subplot() if ax is None else ax
    from matplotlib.colors import to_rgba_array

    colors = list(COLORS[: len(classes)])
    # Pixels, not contours: between classes 0 and 2 a contour would draw a strip of class 1.
    pixels = to_rgba_array(colors, 0.22)[np.searchsorted(classes, labels)]
    ax.imshow(
        pixels.reshape(*across.shape, 4),
        origin="lower",
        extent=(left, right, bottom, top),
        aspect="auto",
        interpolation="nearest",
    )
    for label, color, marker in zip(classes, colors, MARKERS):
        chosen = y == label
        look = {"color": color, "marker": marker, "edgecolor": "white", "linewidth": 0.6, "s": 42}
        ax.scatter(*x[chosen].T, label=f"{label:g}", **look)
    ax.set(xlim=(left, right), ylim=(bottom, top))
    return ax


def _labels(predict: Callable, grid: np.ndarray) -> np.ndarray:
    with no_grad():
        said = as_array(predict(grid))
    if said.ndim == 2 and len(said) == len(grid) and said.shape[1] > 1:
        return said.argmax(axis=1)
    if said.shape != grid.shape[:1]:
        raise ShapeError(
            f"boundary: predict gave {said.shape} for {len(grid)} points: expected labels "
            f"({len(grid)},) or scores ({len(grid)}, classes), 2 classes or more.",
            code="unexpected-shape",
        )
    return said
