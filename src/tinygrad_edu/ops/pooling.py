"""Rows: pooling over images (N, C, H, W), through the window of convolution.py.

Beside each row stands its transpose, and the two are each other's derivative. For max_pool2d the
places of the largest entries are fixed by x: to them the gradient goes, and from them it is read
when it is differentiated in its turn.
"""

from typing import Any

import numpy as np

from .. import kernels
from ..domains import Case, Reals, cases
from ..errors import ArgumentError
from ..kernels import reference
from ..row import row
from .convolution import Window, taps, windows

ANY = Reals(-2, 2)
IMAGES = (2, 2, 5, 4)


def _pool(name, shape, kernel_size, stride, padding):
    """The window of a pooling, which moves by its own size if no stride is given."""
    window = Window(name, shape, kernel_size, kernel_size if stride is None else stride, padding)
    if any(2 * p > k for p, k in zip(window.padding, window.kernel)):
        raise ArgumentError(f"{name}: padding={padding!r} with kernel_size={kernel_size!r}: a "
                            "window could lie wholly in the padding. Pad by at most half the "
                            "kernel.",
                            code="arguments-conflict")
    return window


def _lowest(dtype):
    """What loses against every number of `dtype`."""
    return -np.inf if dtype.kind == "f" else False if dtype.kind == "b" else np.iinfo(dtype).min


def _max_pool2d(x, *, kernel_size, stride, padding):
    x = np.asarray(x)
    window = _pool("max_pool2d", x.shape, kernel_size, stride, padding)
    first, *others = taps(window.pad(x, _lowest(x.dtype)), window)
    out = first.copy()
    for under in others:
        np.maximum(out, under, out=out)
    return out


def _winners(x, window):
    """For each place of the window, the number of the first cell that holds the largest entry: a
    NaN where there is one, and never the padding, not even where all is -inf."""
    cells = (*x.shape[:2], *window.out, window.kernel[0] * window.kernel[1])
    seen = windows(window.pad(x, _lowest(x.dtype)), window).reshape(cells)
    largest = (seen == seen.max(-1, keepdims=True)) | (seen != seen)
    if any(window.padding):
        inside = window.pad(np.ones((1, 1, *x.shape[2:]), bool), False)
        largest &= windows(inside, window).reshape(1, 1, *cells[2:])
    return largest.argmax(-1)


def _to_winners(y, x, *, kernel_size, stride, padding):
    y, x = np.asarray(y), np.asarray(x)
    window = _pool("to_winners", x.shape, kernel_size, stride, padding)
    winners = _winners(x, window)
    padded = np.zeros((*x.shape[:2], *window.padded), y.dtype)
    for cell, under in enumerate(taps(padded, window)):
        under += np.where(winners == cell, y, 0)
    return window.crop(padded)


def _of_winners(y, x, *, kernel_size, stride, padding):
    y, x = np.asarray(y), np.asarray(x)
    window = _pool("of_winners", x.shape, kernel_size, stride, padding)
    winners = _winners(x, window)
    out = np.zeros((*x.shape[:2], *window.out), y.dtype)
    for cell, under in enumerate(taps(window.pad(y), window)):
        np.copyto(out, under, where=winners == cell)
    return out


def _cells(shape, window, count_include_pad, dtype):
    """How many cells of the window each place averages over: all, or those inside the image."""
    if count_include_pad or not any(window.padding):
        return dtype.type(window.kernel[0] * window.kernel[1])
    inside = window.pad(np.ones((1, 1, *shape[2:]), dtype))
    return windows(inside, window).sum((4, 5))


def _avg_pool2d(x, *, kernel_size, stride, padding, count_include_pad):
    x = reference.floating(x)
    window = _pool("avg_pool2d", x.shape, kernel_size, stride, padding)
    total = np.zeros((*x.shape[:2], *window.out), x.dtype.newbyteorder("="))
    for under in taps(window.pad(x), window):
        total += under
    total /= _cells(x.shape, window, count_include_pad, total.dtype)
    return total


def _avg_pool2d_back(y, *, shape, kernel_size, stride, padding, count_include_pad):
    y = np.asarray(y)
    window = _pool("avg_pool2d_back", shape, kernel_size, stride, padding)
    share = y / _cells(shape, window, count_include_pad, y.dtype.newbyteorder("="))
    padded = np.zeros((*shape[:2], *window.padded), share.dtype)
    for under in taps(padded, window):
        under += share
    return window.crop(padded)


POOL = {"kernel_size": None, "stride": None, "padding": 0}
OVERLAPPING = {"kernel_size": (3, 2), "stride": (2, 1), "padding": 1}
ASIDE = {"kernel_size": 2, "stride": 1, "padding": (0, 1)}
INSIDE = {**OVERLAPPING, "count_include_pad": False}
WON = (Case(((2, 2, 2, 2), IMAGES), {"kernel_size": 2}, distinct=True),
       Case(((2, 2, 3, 5), IMAGES), OVERLAPPING, distinct=True),
       Case(((2, 2, 4, 5), IMAGES), ASIDE, distinct=True))
SOUGHT = tuple(Case((IMAGES, IMAGES), case.params, distinct=True) for case in WON)

max_pool2d = row(
    "max_pool2d", kernels.max_pool2d(_max_pool2d, _pool), defaults=POOL, method=False,
    vjp=lambda g, _out, x, kernel_size, stride, padding: to_winners(
        g, x, kernel_size, stride, padding),
    domain=ANY, cases=tuple(Case((IMAGES,), case.params, distinct=True) for case in WON),
    kinks="the first of equal largest entries, in reading order, gets the whole gradient",
    doc="The largest entry in each window, NaN where there is one: (N, C, H, W) to (N, C, out, "
        "out). `stride` is the kernel_size if not given; padding never wins.")
to_winners: Any = row(
    "to_winners", kernels.to_winners(_to_winners, _pool), inputs=("y", "x"),
    defaults=POOL, public=False,
    vjp=(lambda g, _out, _y, x, kernel_size, stride, padding: of_winners(
             g, x, kernel_size, stride, padding), None),
    domain=ANY, cases=WON,
    doc="Zeros like x to which y is added where max_pool2d found its largest entries in x.")
of_winners: Any = row(
    "of_winners", _of_winners, inputs=("y", "x"), defaults=POOL, public=False,
    vjp=(lambda g, _out, _y, x, kernel_size, stride, padding: to_winners(
             g, x, kernel_size, stride, padding), None),
    domain=ANY, cases=SOUGHT,
    doc="What stands in y where max_pool2d finds its largest entries in x: the transpose of "
        "to_winners.")
avg_pool2d: Any = row(
    "avg_pool2d", kernels.avg_pool2d(_avg_pool2d, _pool),
    defaults={**POOL, "count_include_pad": True}, method=False,
    vjp=lambda g, _out, _x, kernel_size, stride, padding, count_include_pad: avg_pool2d_back(
        g, _x.shape, kernel_size, stride, padding, count_include_pad),
    domain=ANY, cases=cases((IMAGES, {"kernel_size": 2}), (IMAGES, OVERLAPPING), (IMAGES, INSIDE),
                            (IMAGES, ASIDE)),
    doc="The mean of each window: (N, C, H, W) to (N, C, out, out). `stride` is the kernel_size "
        "if not given; the zeros of the padding count unless count_include_pad=False.")
avg_pool2d_back: Any = row(
    "avg_pool2d_back", kernels.avg_pool2d_back(_avg_pool2d_back, _pool), inputs=("y",),
    public=False, defaults={"shape": None, **POOL, "count_include_pad": True},
    vjp=lambda g, _out, _y, shape, kernel_size, stride, padding, count_include_pad: avg_pool2d(
        g, kernel_size, stride, padding, count_include_pad),
    domain=ANY,
    cases=cases(((2, 2, 2, 2), {"shape": IMAGES, "kernel_size": 2}),
                ((2, 2, 3, 5), {"shape": IMAGES, **INSIDE})),
    doc="Each entry of y shared evenly among the cells of its window: the transpose of avg_pool2d.")
