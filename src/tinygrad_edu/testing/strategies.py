"""Arrays, shapes and Tensors in every layout, drawn by hypothesis. Needs the extra `test`.

Shapes and layouts are drawn (and shrunk) by hypothesis; the numbers come from a drawn seed, which
is fast and, for derivatives, searches better than numbers drawn one by one."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy import ndarray

from ..domains import Booleans, Integers, Reals
from ..tensor import Tensor
from .layouts import LAYOUTS, lay_out

MARGIN = 0.02  # kept from a kink: twenty times the step of the differences in float64

__all__ = ["arrays", "broadcastable_shapes", "layouts", "numbers", "seeds", "shapes", "tensors"]

seeds = st.integers(0, 2**32 - 1)
layouts = st.sampled_from([name for name in LAYOUTS if name not in ("repeated", "byte-swapped")])


def shapes(max_dims: int = 3, min_side: int = 0, max_side: int = 4) -> st.SearchStrategy:
    """Shapes of up to `max_dims` axes, () and axes of length 0 included."""
    return st.lists(st.integers(min_side, max_side), max_size=max_dims).map(tuple)


@st.composite
def broadcastable_shapes(
    draw: Any, n: int, max_dims: int = 3, max_side: int = 4
) -> tuple[Any, ...]:
    """`n` shapes that broadcast against each other: each may lack leading axes and have 1 in the
    place of any length."""
    full = draw(shapes(max_dims, 0, max_side))
    made = []
    for _ in range(n):
        start = draw(st.integers(0, len(full)))
        made.append(tuple(draw(st.sampled_from((length, 1))) for length in full[start:]))
    return tuple(made)


def numbers(rng: np.random.Generator, domain: Any, shape: tuple[int, ...]) -> ndarray:
    """An array of `shape` from a domain of domains.py: float64, int64 or bool."""
    if isinstance(domain, Booleans):
        return rng.random(shape) < 0.5
    if isinstance(domain, Integers):
        return rng.integers(domain.low, domain.high, shape, endpoint=True)
    x = rng.uniform(domain.low, domain.high, shape)
    for point in domain.avoid:
        near = np.abs(x - point) < MARGIN
        x = np.where(near, point + np.where(x < point, -MARGIN, MARGIN) * 1.5, x)
    return np.asarray(x)


@st.composite
def arrays(
    draw: Any,
    domain: Any = None,
    *,
    shape: Any = None,
    dtype: Any = np.float64,
    layout: Any = layouts,
) -> ndarray:
    """A read-only array. domain: one of domains.py, Reals(-4, 4) by default. shape and layout:
    values or strategies."""
    rng = np.random.default_rng(draw(seeds))
    shape = (
        draw(shapes())
        if shape is None
        else draw(shape)
        if isinstance(shape, st.SearchStrategy)
        else shape
    )
    layout = draw(layout) if isinstance(layout, st.SearchStrategy) else layout
    x = numbers(rng, domain or Reals(-4, 4), shape)
    return lay_out(x.astype(dtype) if x.dtype.kind == "f" else x, layout)


def tensors(domain: Any = None, *, requires_grad: bool = True, **how: Any) -> st.SearchStrategy:
    """A Tensor around what `arrays` draws, which takes the other arguments."""
    return arrays(domain, **how).map(
        lambda x: Tensor(x, requires_grad=requires_grad and x.dtype.kind == "f")
    )
