"""Rows: sums of products over shared axes: contract, and what is differentiated by it: dot,
tensordot, outer. einsum.py is made of it.

`contract` joins two arrays as the subscripts say, "ij,jk->ik": no letter twice in one array, every
letter either in the result or in both arrays, and of one length wherever it stands. Its gradients
have the same form: for "x,y->out" that of x is "out,y->x". Nothing else in this file knows how to
differentiate a sum of products.
"""

import functools
import math
from typing import Any

import numpy as np

from .. import kernels
from ..domains import Reals, cases
from ..errors import ShapeError
from ..row import row
from .arrange import on_diagonal
from .shape import expand_dims, reshape, shape_of

ANY = Reals(-2, 2)
LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


def for_left(g, y, subscripts):
    """The gradient of the left array of a contraction."""
    left, right, out = _three(subscripts)
    return contract(g, y, subscripts=f"{out},{right}->{left}")


def for_right(g, x, subscripts):
    """The gradient of the right array of a contraction."""
    left, right, out = _three(subscripts)
    return contract(x, g, subscripts=f"{left},{out}->{right}")


def _three(subscripts):
    terms, out = subscripts.split("->")
    return (*terms.split(","), out)


def _contract(x, y, *, subscripts):
    """A stack of matrix products, where there is something to sum and something on both sides;
    elsewhere a loop in NumPy."""
    x, y = _arrays(x, y)
    left, right, out = _three(subscripts)
    if (x.ndim, y.ndim) != (len(left), len(right)):
        raise ShapeError(f"contract: {subscripts!r} does not name the axes of {x.shape} and "
                         f"{y.shape}.")
    stack, rows, inner, columns = _groups(subscripts)
    if not inner or (stack and not (rows and columns)):
        return np.asarray(np.einsum(subscripts, x, y))
    length = {**dict(zip(left, x.shape)), **dict(zip(right, y.shape))}
    first = _matrices(x, left, stack, rows, inner, length)
    product = kernels.matmul(first, _matrices(y, right, stack, inner, columns, length))
    made = stack + rows + columns
    return product.reshape([length[c] for c in made]).transpose([made.index(c) for c in out])


def _arrays(x, y):
    """Both as arrays; a Python number takes the dtype of the other, as everywhere."""
    numbers = [type(a) in (float, int, bool) for a in (x, y)]
    if any(numbers) and not all(numbers):
        x, y = (a if is_number else np.asarray(a) for a, is_number in zip((x, y), numbers))
        dtype = np.result_type(x, y)
        return (np.asarray(x, dtype), y) if numbers[0] else (x, np.asarray(y, dtype))
    return np.asarray(x), np.asarray(y)


@functools.lru_cache
def _groups(subscripts):
    """The letters of a contraction by their part in a stack of matrix products: in all three
    arrays, rows of the left, summed over, columns of the right."""
    left, right, out = _three(subscripts)
    stack = "".join(c for c in out if c in left and c in right)
    inner = "".join(c for c in left if c not in out)
    rows = "".join(c for c in left if c not in right)
    return stack, rows, inner, "".join(c for c in right if c not in left)


def _matrices(x, term, stack, rows, columns, length):
    """x as a stack of matrices, several axes run together into its rows and into its columns."""
    order = [term.index(c) for c in stack + rows + columns]
    size = [math.prod(length[c] for c in group) for group in (*stack, rows, columns)]
    return x.transpose(order).reshape(size)


contract: Any = row(
    "contract", _contract, inputs=("x", "y"), public=False, defaults={"subscripts": ",->"},
    vjp=(lambda g, _out, _x, y, subscripts: for_left(g, y, subscripts),
         lambda g, _out, x, _y, subscripts: for_right(g, x, subscripts)),
    domain=ANY,
    cases=cases(((3, 4), (4, 2), {"subscripts": "ij,jk->ki"}),
                ((2, 3, 4), (4, 2, 3), {"subscripts": "bij,jbk->ibk"}),
                ((2, 3), (2, 3), {"subscripts": "ij,ij->i"}),
                ((2,), (3,), {"subscripts": "i,j->ji"}), ((), ())),
    doc="Two arrays multiplied, and summed over shared axes as the subscripts say.")

# ------------------------------------------------------------------------------- dot, outer, trace


def paired(x_shape, y_shape, axes):
    """The subscripts of a product summed over pairs of axes: x's other axes remain, then y's."""
    left = list(LETTERS[:len(x_shape)])
    right = list(LETTERS[len(left):len(left) + len(y_shape)])
    for i, j in zip(*axes):
        right[j] = left[i]
    out = [c for c in left if c not in right] + [c for c in right if c not in left]
    return "".join((*left, ",", *right, "->", *out))


def pairs(axes, ndim):
    """The two lists of axes that tensordot's `axes` names, for a first array of so many axes."""
    if not isinstance(axes, (tuple, list)):
        return range(ndim - axes, ndim), range(axes)
    return tuple(tuple(a) if np.ndim(a) else (a,) for a in axes)


def _tensordot(x, y, *, axes):
    x, y = _arrays(x, y)
    try:
        return np.asarray(np.tensordot(x, y, axes))
    except (ValueError, IndexError):
        raise ShapeError(f"tensordot: {x.shape} and {y.shape} with axes={axes}: the axes that are "
                         "summed over must exist and be equally long.") from None


def dot_step(x_shape, y_shape):
    """dot as a contraction: over the last axis of x and the last but one of y."""
    return paired(x_shape, y_shape, ((len(x_shape) - 1,), (max(len(y_shape) - 2, 0),)))


def _dot_left(g, _out, _x, y):
    if not (_x.shape and shape_of(y)):
        return g * y
    return for_left(g, y, dot_step(_x.shape, y.shape))


def _dot_right(g, _out, x, _y):
    if not (shape_of(x) and _y.shape):
        return g * x
    return for_right(g, x, dot_step(x.shape, _y.shape))


def _dot(x, y):
    if np.ndim(x) == 0 or np.ndim(y) == 0:
        return np.asarray(np.multiply(x, y))
    x, y = np.asarray(x), np.asarray(y)
    try:
        return np.asarray(np.dot(x, y))
    except ValueError:
        raise ShapeError(f"dot: {x.shape} and {y.shape}: the last axis of the first and the last "
                         "but one of the second must be equally long.") from None


def _flat(x):
    return reshape(x, shape=(-1,))


dot = row(
    "dot", _dot, inputs=("x", "y"),
    vjp=(_dot_left, _dot_right),
    domain=ANY, cases=cases(((4,), (4,)), ((3, 4), (4, 2)), ((2, 3, 4), (4,)), ((4,), (2, 4, 3)),
                            ((2, 4), (3, 4, 2)), ((), (2, 3)), ((3,), ())),
    doc="The product summed over the last axis of x and the last but one of y, as NumPy has it.")
tensordot = row(
    "tensordot", _tensordot, inputs=("x", "y"), defaults={"axes": 2},
    vjp=(lambda g, _out, _x, y, axes: for_left(
             g, y, paired(_x.shape, shape_of(y), pairs(axes, len(_x.shape)))),
         lambda g, _out, x, _y, axes: for_right(
             g, x, paired(shape_of(x), _y.shape, pairs(axes, len(shape_of(x)))))),
    domain=ANY,
    cases=cases(((2, 3, 4), (3, 4, 2)), ((3,), (2,), {"axes": 0}), ((3, 4), (4, 2), {"axes": 1}),
                ((2, 3, 4), (4, 5, 2), {"axes": ((0, -1), (2, 0))}),
                ((2, 3), (4, 3), {"axes": (1, 1)})),
    doc="The product summed over pairs of axes: the last `axes` of x with the first of y, or two "
        "lists of axes.")
outer = row(
    "outer", lambda x, y: np.outer(*_arrays(x, y)), inputs=("x", "y"),
    vjp=(lambda g, _out, _x, y: reshape(
             contract(g, _flat(y), subscripts="ij,j->i"), shape=_x.shape),
         lambda g, _out, x, _y: reshape(
             contract(_flat(x), g, subscripts="i,ij->j"), shape=_y.shape)),
    domain=ANY, cases=cases(((3,), (4,)), ((2, 2), (3,)), ((), (3,))),
    doc="Every element of x times every element of y: (x.size, y.size).")
trace = row(
    "trace", lambda x, *, offset, axis1, axis2: np.asarray(np.trace(x, offset, axis1, axis2)),
    defaults={"offset": 0, "axis1": 0, "axis2": 1},
    vjp=lambda g, _out, _x, offset, axis1, axis2: on_diagonal(
        expand_dims(g, axis=-1), _x.shape, offset, axis1, axis2),
    domain=ANY, cases=cases(((3, 4),), ((3, 3), {"offset": 1}),
                            ((2, 3, 4), {"offset": -1, "axis1": 1, "axis2": 2})),
    doc="The sum of a diagonal of the matrices in `axis1` and `axis2`.")
