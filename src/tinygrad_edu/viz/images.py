"""Images side by side, the filters that a convolution learned, and what they find in an image.

Every function draws into the `figure` that it is given (a matplotlib Figure or SubFigure), or makes
one, and returns it. Pictures that are to be compared share one scale of grey or colour.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..data.dataset import plain_array
from ..errors import ArgumentError, ShapeError, UnknownNameError
from ..graph import no_grad
from ..nn.summary import layer_outputs
from ..tensor import Tensor
from .figure import new_figure


def image_grid(
    images: Any,
    titles: Sequence[Any] | None = None,
    *,
    columns: int | None = None,
    figure: Any = None,
    cmap: str = "gray_r",
    limits: tuple[float, float] | None = None,
) -> Any:
    """Images in rows of `columns`, each with its title; by default grey, the large values dark.

    images: (n, H, W) or (n, 1, H, W), an array, a Tensor or a list of images (H, W); (n, 3, H, W)
    is drawn in colour, from 0 to 1. titles: one an image. limits: the values of the two ends of
    `cmap`; by default the smallest and the largest of all the images.
    Raises ShapeError for other shapes, ValueError for another number of titles.
    """
    array = _as_images("image_grid", images)
    if titles is not None and len(titles) != len(array):
        raise ArgumentError(f"image_grid: {len(titles)} titles for {len(array)} images.")
    columns = min(len(array), columns or math.ceil(math.sqrt(2 * len(array))))
    rows = math.ceil(len(array) / columns)
    figure = figure or new_figure((1.2 * columns, (1.2 if titles is None else 1.5) * rows))
    low, high = limits or (float(array.min()), float(array.max()))
    axes = figure.subplots(rows, columns, squeeze=False)
    for ax in axes.flat:
        ax.axis("off")
    for i, (ax, image) in enumerate(zip(axes.flat, array)):
        ax.imshow(image, cmap=cmap, vmin=low, vmax=high, interpolation="nearest")
        if titles is not None:
            _caption(ax, str(titles[i]))
    return figure


def filters(layer: Any, *, figure: Any = None, title: str | None = None) -> Any:
    """The weights of a convolution as pictures: a column a filter, a row a channel that it reads.

    layer: a Conv2d, or its weight (filters, channels, height, width) as a Tensor or array. One
    scale for all, white at 0: red adds to what the filter answers, blue takes away.
    Raises ShapeError for a weight of other than 4 axes.
    """
    weight = plain_array(getattr(layer, "weight", layer))
    if weight.ndim != 4 or weight.size == 0:
        raise ShapeError(
            f"filters: the weight has shape {weight.shape}; expected a Conv2d or its weight "
            "(filters, channels, height, width).",
            code="unexpected-shape",
        )
    n_filters, n_channels = weight.shape[:2]
    figure = figure or new_figure((0.7 * n_filters + 1.5, 0.7 * n_channels + 1.0))
    axes = figure.subplots(n_channels, n_filters, squeeze=False)
    largest = float(np.abs(weight).max()) or 1.0
    for (channel, number), ax in np.ndenumerate(axes):
        shown = ax.imshow(weight[number, channel], cmap="RdBu_r", vmin=-largest, vmax=largest)
        ax.set(xticks=[], yticks=[])
        if channel == 0:
            _caption(ax, str(number + 1))
        if number == 0 and n_channels > 1:
            ax.set_ylabel(str(channel + 1), fontsize=10, rotation=0, ha="right", va="center")
    figure.colorbar(shown, ax=axes, fraction=0.05, pad=0.02, label="weight")
    if title is not None:
        figure.suptitle(title, size=13)
    return figure


def feature_maps(
    model: Any,
    image: Any,
    layer: str,
    *,
    columns: int | None = None,
    figure: Any = None,
    title: str | None = None,
) -> Any:
    """What the module at the path `layer` ("conv1") returns for one image: a picture a channel.

    image: (C, H, W), an array or a Tensor. Run without gradient, in the mode that the model is in.
    One scale for all maps, dark where the answer is large.
    Raises KeyError for a path that is not run, ShapeError for an output other than (1, C, H, W).
    """
    with no_grad():
        outputs = layer_outputs(model, Tensor(plain_array(image)[np.newaxis]))
    if layer not in outputs:
        ran = ", ".join(filter(None, outputs))
        raise UnknownNameError(f"feature_maps: the model ran no layer {layer!r}; it ran {ran}.")
    maps = plain_array(outputs[layer])
    if maps.ndim != 4:
        raise ShapeError(
            f"feature_maps: {layer} returns shape {maps.shape}; expected maps (1, C, H, W), as a "
            "convolution or a pooling returns them.",
            code="unexpected-shape",
        )
    numbers = [str(i + 1) for i in range(maps.shape[1])]
    figure = image_grid(maps[0], numbers, columns=columns, figure=figure)
    if title is not None:
        figure.suptitle(title, size=13)
    return figure


def _caption(ax: Any, text: str) -> None:
    ax.set_title(text, fontsize=11, fontweight="normal", loc="center")


def _as_images(function: str, images: Any) -> np.ndarray:
    """(n, H, W), or (n, H, W, 3) for colour."""
    if not isinstance(images, (np.ndarray, Tensor)):
        images = [plain_array(image) for image in images]
        if len({image.shape for image in images}) > 1:
            shapes = ", ".join(str(image.shape) for image in images)
            raise ShapeError(f"{function}: the images have shapes {shapes}; expected equal ones.")
        images = np.array(images)
    array = plain_array(images)
    if array.ndim == 4 and array.shape[1] in (1, 3):
        array = array[:, 0] if array.shape[1] == 1 else np.moveaxis(array, 1, -1)
    elif array.ndim != 3:
        raise ShapeError(
            f"{function}: images have shape {array.shape}; expected (n, H, W), (n, 1, H, W) or (n, "
            "3, H, W)."
        )
    if array.size == 0:
        raise ShapeError(
            f"{function}: there are no images (shape {array.shape}).", code="empty-data"
        )
    return array
