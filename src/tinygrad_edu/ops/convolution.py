"""Rows: convolution over images (N, C, H, W). pooling.py looks through the same window.

x is seen through a window of `kernel` cells that moves by `stride` over the padded image;
`dilation` is the distance between its cells. `windows` shows every window at once, `taps` the
window cell by cell: for each cell, what stands under it at all places. A convolution is linear in
its images and in its weight: the two transposes are rows too, and the derivatives of the three are
the three. Sizes, strides and the like are an integer, or a pair for height and width.
"""

from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from .. import kernels
from ..domains import Reals, cases
from ..errors import ArgumentError, ShapeError
from ..kernels.reference import ACTIVATIONS
from ..row import row
from .linalg import before_activation
from .reduction import sum

ANY = Reals(-2, 2)

# ------------------------------------------------------------------------------------- the window


def pair(name, parameter, value, least):
    """`value` for height and width, refused below `least`."""
    pair = tuple(value) if isinstance(value, (tuple, list)) else (value, value)
    whole = all(isinstance(n, (int, np.integer)) and not isinstance(n, bool) for n in pair)
    if len(pair) != 2 or not whole or min(pair) < least:
        raise ArgumentError(f"{name}: {parameter}={value!r}: expected a whole number of at least "
                            f"{least}, or a pair of them for height and width.")
    return int(pair[0]), int(pair[1])


class Window:
    """How a window moves over images: its `kernel` cells, stride, padding and dilation, and the
    size `out` of the map of its places."""

    def __init__(self, name, shape, kernel, stride, padding, dilation=1):
        if len(shape) != 4:
            raise ShapeError(f"{name}: x has shape {tuple(shape)}: expected images (N, C, H, W). "
                             "Add an axis of length 1 for each that is missing: x.reshape(1, 1, "
                             "height, width).", code="unexpected-shape")
        self.kernel = pair(name, "kernel_size", kernel, 1)
        self.stride = pair(name, "stride", stride, 1)
        self.padding = pair(name, "padding", padding, 0)
        self.dilation = pair(name, "dilation", dilation, 1)
        self.padded = tuple(n + 2 * p for n, p in zip(shape[2:], self.padding))
        self.span = tuple((k - 1) * d + 1 for k, d in zip(self.kernel, self.dilation))
        if any(s > n for s, n in zip(self.span, self.padded)):
            raise ShapeError(f"{name}: x {tuple(shape)} with padding {self.padding} is "
                             f"{self.padded[0]} x {self.padded[1]} and the window spans "
                             f"{self.span[0]} x {self.span[1]} (kernel {self.kernel}, dilation "
                             f"{self.dilation}): it fits nowhere. Take larger images or more "
                             "padding, or a smaller kernel.")
        self.out = tuple((n - s) // step + 1
                         for n, s, step in zip(self.padded, self.span, self.stride))

    def pad(self, x, fill=0):
        """x with its border of `fill`."""
        h, w = self.padding
        if not (h or w):
            return x
        return np.pad(x, ((0, 0), (0, 0), (h, h), (w, w)), constant_values=fill)

    def crop(self, padded):
        """The transpose of `pad`: the image without its border."""
        (h, w), (height, width) = self.padding, self.padded
        return np.ascontiguousarray(padded[:, :, h:height - h, w:width - w])


def windows(padded, window):
    """A view (N, C, out, out, kernel, kernel): the window at each of its places."""
    (sh, sw), (dh, dw) = window.stride, window.dilation
    return sliding_window_view(padded, window.span, axis=(2, 3))[:, :, ::sh, ::sw, ::dh, ::dw]


def taps(padded, window):
    """For each cell of the window, in reading order, a view (N, C, out, out): what stands under
    it."""
    (height, width), (sh, sw), (dh, dw) = window.out, window.stride, window.dilation
    for i in range(0, window.span[0], dh):
        for j in range(0, window.span[1], dw):
            yield padded[:, :, i:i + sh * (height - 1) + 1:sh, j:j + sw * (width - 1) + 1:sw]


# ------------------------------------------------------------------------------------ convolution
#
# With the windows written as columns (im2col) a convolution is a product of matrices. In each of
# the groups, K = C / groups * kh * kw numbers stand in a window and P = out * out windows in an
# image:   out (O / groups, P) = weight (O / groups, K) @ columns (K, P).

HOW = {"stride": 1, "padding": 0, "dilation": 1, "groups": 1}


def _look(name, shape, weight_shape, stride, padding, dilation, groups):
    """The window of a convolution, once its shapes are found to fit."""
    if len(weight_shape) != 4:
        raise ShapeError(f"{name}: weight has shape {tuple(weight_shape)}: expected (out channels, "
                         "in channels / groups, kernel height, kernel width).",
                         code="unexpected-shape")
    window = Window(name, shape, weight_shape[2:], stride, padding, dilation)
    whole = isinstance(groups, (int, np.integer)) and groups >= 1
    if not whole or shape[1] % groups or weight_shape[0] % groups:
        raise ArgumentError(f"{name}: groups={groups!r}: expected a whole number that divides the "
                            f"channels of x, {shape[1]}, and of the result, {weight_shape[0]}.",
                            code="arguments-conflict")
    if shape[1] != weight_shape[1] * groups:
        raise ShapeError(f"{name}: x {tuple(shape)} has {shape[1]} channels and weight "
                         f"{tuple(weight_shape)} with groups={groups} takes "
                         f"{weight_shape[1] * groups}. The second axis of weight must be "
                         f"{shape[1] // groups}.")
    return window


def _by_group(matrices, columns):
    """(G, a, b) @ (N, G, b, c) -> (N, G, a, c); one group is one matrix for the whole stack."""
    if len(matrices) == 1:
        return kernels.matmul(matrices[0], columns[:, 0])[:, np.newaxis]
    return kernels.matmul(matrices, columns)


def _conv2d(x, weight, bias, *, stride, padding, dilation, groups, activation):
    x, weight = np.asarray(x), np.asarray(weight)
    window = _look("conv2d", x.shape, weight.shape, stride, padding, dilation, groups)
    n, (n_out, per_group, kh, kw) = len(x), weight.shape
    inner, places = per_group * kh * kw, window.out[0] * window.out[1]
    columns = windows(window.pad(x), window).transpose(0, 1, 4, 5, 2, 3)
    columns = columns.reshape(n, groups, inner, places)
    out = _by_group(weight.reshape(groups, n_out // groups, inner), columns)
    out = out.reshape(n, n_out, *window.out)
    if activation not in ACTIVATIONS:
        raise ArgumentError(f"conv2d: activation {activation!r} cannot be fused; expected one of "
                         f"{', '.join(map(repr, ACTIVATIONS))}. Apply the function to the result "
                         "instead.")
    if bias is None:
        return ACTIVATIONS[activation](out)
    bias = np.asarray(bias)
    if bias.shape != (n_out,):
        raise ShapeError(f"conv2d: bias {bias.shape} with weight {weight.shape}: expected one "
                         f"number for each of the {n_out} out channels, ({n_out},).")
    return ACTIVATIONS[activation](out + bias[:, np.newaxis, np.newaxis])


def _conv2d_input(y, weight, *, shape, stride, padding, dilation, groups):
    """weight^T @ y gives what each window contributes; overlapping windows are added up."""
    y, weight = np.asarray(y), np.asarray(weight)
    window = _look("conv2d_input", shape, weight.shape, stride, padding, dilation, groups)
    n, (n_out, per_group, kh, kw) = len(y), weight.shape
    inner, places = per_group * kh * kw, window.out[0] * window.out[1]
    matrices = weight.reshape(groups, n_out // groups, inner).swapaxes(1, 2)
    columns = _by_group(matrices, y.reshape(n, groups, n_out // groups, places))
    columns = columns.reshape(n, shape[1], kh * kw, *window.out)
    padded = np.zeros((*shape[:2], *window.padded), columns.dtype)
    for cell, under in enumerate(taps(padded, window)):
        under += columns[:, :, cell]
    return window.crop(padded)


def _conv2d_weight(y, x, *, shape, stride, padding, dilation, groups):
    """y @ columns^T, summed over all windows of all images in one product for each group."""
    y, x = np.asarray(y), np.asarray(x)
    window = _look("conv2d_weight", x.shape, shape, stride, padding, dilation, groups)
    n_out, per_group, kh, kw = shape
    places = len(x) * window.out[0] * window.out[1]
    columns = windows(window.pad(x), window).transpose(1, 4, 5, 0, 2, 3)
    columns = columns.reshape(groups, per_group * kh * kw, places)
    rows = y.swapaxes(0, 1).reshape(groups, n_out // groups, places)
    return kernels.matmul(rows, columns.swapaxes(1, 2)).reshape(shape)


IMAGES, KERNELS, MAPS = (2, 2, 5, 4), (4, 2, 3, 2), (2, 4, 3, 3)
LOOSE = {"stride": (2, 1), "padding": (1, 2), "dilation": (1, 2), "groups": 2}
LOOSE_KERNELS, LOOSE_MAPS = (4, 1, 3, 2), (2, 4, 3, 6)

conv2d: Any = row(
    "conv2d", kernels.conv2d(_conv2d, _look), inputs=("x", "weight", "bias?"),
    defaults={**HOW, "activation": None}, method=False,
    vjp=(lambda g, out, _x, weight, _bias, stride, padding, dilation, groups, activation:
             conv2d_input(before_activation(g, out, activation), weight, _x.shape, stride, padding,
                          dilation, groups),
         lambda g, out, x, _weight, _bias, stride, padding, dilation, groups, activation:
             conv2d_weight(before_activation(g, out, activation), x, _weight.shape, stride,
                           padding, dilation, groups),
         lambda g, out, _x, _weight, _bias, stride, padding, dilation, groups, activation:
             sum(before_activation(g, out, activation), axis=(0, 2, 3))),
    domain=ANY,
    cases=cases((IMAGES, KERNELS, (4,)), (IMAGES, LOOSE_KERNELS, (4,), LOOSE),
                (IMAGES, KERNELS, (4,), {"activation": "tanh"}),
                (IMAGES, KERNELS, (4,), {"activation": "sigmoid"})),
    kinks="relu: 0 where the output is 0",
    doc="Each out channel is a weight slid over the images, cross-correlated: x (N, C, H, W), "
        "weight (O, C / groups, kh, kw), bias (O,) or None; activation None, 'relu', 'sigmoid' or "
        "'tanh', fused into the same pass. Result (N, O, out, out), with out = (size + 2 padding - "
        "dilation (k - 1) - 1) // stride + 1.")
conv2d_input: Any = row(
    "conv2d_input", kernels.conv2d_input(_conv2d_input, _look), inputs=("y", "weight"),
    defaults={"shape": None, **HOW}, public=False,
    vjp=(lambda g, _out, _y, weight, shape, stride, padding, dilation, groups: conv2d(
             g, weight, None, stride, padding, dilation, groups),
         lambda g, _out, y, _weight, shape, stride, padding, dilation, groups: conv2d_weight(
             y, g, _weight.shape, stride, padding, dilation, groups)),
    domain=ANY,
    cases=cases((MAPS, KERNELS, {"shape": IMAGES}),
                (LOOSE_MAPS, LOOSE_KERNELS, {"shape": IMAGES, **LOOSE})),
    doc="The transpose of conv2d in its images: maps y back to images of `shape`.")
conv2d_weight: Any = row(
    "conv2d_weight", kernels.conv2d_weight(_conv2d_weight, _look), inputs=("y", "x"),
    defaults={"shape": None, **HOW}, public=False,
    vjp=(lambda g, _out, _y, x, shape, stride, padding, dilation, groups: conv2d(
             x, g, None, stride, padding, dilation, groups),
         lambda g, _out, y, _x, shape, stride, padding, dilation, groups: conv2d_input(
             y, g, _x.shape, stride, padding, dilation, groups)),
    domain=ANY,
    cases=cases((MAPS, IMAGES, {"shape": KERNELS}),
                (LOOSE_MAPS, IMAGES, {"shape": LOOSE_KERNELS, **LOOSE})),
    doc="The transpose of conv2d in its weight: of maps y and images x, a weight of `shape`.")
