"""Row: embedding, the rows of a table that indices choose."""

import numpy as np

from ..domains import Integers, Reals, cases
from ..errors import DtypeError, RangeError, ShapeError
from ..row import row
from .shape import Here, add_at


def _embedding(indices, weight):
    indices, weight = np.asarray(indices), np.asarray(weight)
    if indices.dtype.kind not in "iu":
        raise DtypeError(f"embedding: indices of dtype {indices.dtype} into a weight of dtype "
                         f"{weight.dtype}: expected integers. The call is embedding(indices, "
                         "weight).", code="not-an-integer-dtype")
    if weight.ndim != 2:
        raise ShapeError(f"embedding: weight {weight.shape}: expected (how many, their length).",
                         code="unexpected-shape")
    if indices.size and (indices.min() < 0 or indices.max() >= len(weight)):
        wrong = int(indices.min() if indices.min() < 0 else indices.max())
        raise RangeError(f"embedding: index {wrong}, but the weight {weight.shape} has rows 0 to "
                         f"{len(weight) - 1}. Negative indices do not count from the end here.")
    return weight[indices]


embedding = row(
    "embedding", _embedding, inputs=("indices", "weight"), method=False,
    vjp=(None,
         lambda g, _out, indices, _weight: add_at((g, indices), shape=_weight.shape, key=(Here,))),
    domain=(Integers(0, 2), Reals(-4, 4)),
    cases=cases(((5,), (3, 4)), ((2, 2), (3, 2)), ((), (3, 2))),
    doc="The rows of weight (V, D) at `indices`, integers from 0 to V - 1 in any shape: (..., D). "
        "A row that is chosen several times adds up its gradients.")
