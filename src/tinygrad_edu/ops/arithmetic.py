"""Rows: arithmetic, comparison and choice, element by element.

To add an operation, write its row here (or in elementwise.py). Its function, method, operator,
NumPy name, gradient test and documentation line follow. Conventions at ties and kinks stand in the
row, under `kinks`.
"""

import builtins
import math
import operator
from itertools import repeat
from typing import Any

import numpy as np

from ..domains import Booleans, Reals, cases
from ..row import binary, row, unary, variadic

# A NumPy ufunc is its own best kernel for these: one instruction an element, bound by memory.

negative = unary(
    "negative", np.negative, scalar=operator.neg, dunder="neg", symbol="-",
    vjp=lambda g, _out, _x: -g, domain=Reals(-4, 4))
abs: Any = unary(
    "abs", np.abs, scalar=abs, dunder="abs",
    vjp=lambda g, _out, x: g * sign(x), domain=Reals(-4, 4, avoid=(0,)), kinks="0 at x = 0")
sign: Any = unary(
    "sign", np.sign, scalar=lambda x: (x > 0) - (x < 0) if x == x else x,
    doc="-1, 0 or 1.",
    vjp=lambda g, _out, _x: nothing(g), domain=Reals(-4, 4, avoid=(0,)), kinks="0 everywhere")
square = unary(
    "square", np.square, scalar=lambda x: x * x,
    doc="x ** 2.",
    vjp=lambda g, _out, x: g * (2 * x), domain=Reals(-4, 4))
reciprocal = unary(
    "reciprocal", lambda x: np.reciprocal(np.asarray(x) * 1.0), scalar=lambda x: 1 / x,
    doc="1 / x.",
    vjp=lambda g, out, _x: -g * out * out, domain=Reals(0.5, 4))
floor = unary(
    "floor", np.floor, scalar=lambda x: float(math.floor(x)),
    vjp=lambda g, _out, _x: nothing(g), domain=Reals(0.1, 0.9), kinks="0 everywhere")
ceil = unary(
    "ceil", np.ceil, scalar=lambda x: float(math.ceil(x)),
    vjp=lambda g, _out, _x: nothing(g), domain=Reals(0.1, 0.9), kinks="0 everywhere")
round = unary(
    "round", np.rint, scalar=lambda x: float(builtins.round(x)),
    doc="The nearest integer.",
    vjp=lambda g, _out, _x: nothing(g), domain=Reals(0.6, 1.4),
    kinks="0 everywhere; halves to even")

add = binary(
    "add", np.add, scalar=operator.add, dunder="add", symbol="+",
    vjp=(lambda g, _out, _x, _y: g,
         lambda g, _out, _x, _y: g), domain=Reals(-4, 4))
subtract = binary(
    "subtract", np.subtract, scalar=operator.sub, dunder="sub", symbol="-",
    vjp=(lambda g, _out, _x, _y: g,
         lambda g, _out, _x, _y: -g), domain=Reals(-4, 4))
multiply = binary(
    "multiply", np.multiply, scalar=operator.mul, dunder="mul", symbol="*",
    vjp=(lambda g, _out, _x, y: g * y,
         lambda g, _out, x, _y: g * x), domain=Reals(-4, 4))
divide = binary(
    "divide", np.divide, scalar=operator.truediv, dunder="truediv", symbol="/",
    vjp=(lambda g, _out, _x, y: g / y,
         lambda g, out, _x, y: -g * out / y), domain=(Reals(-4, 4), Reals(0.5, 4)))
power = binary(
    "power", np.power, scalar=math.pow, dunder="pow", symbol="**",
    doc="x ** y.",
    vjp=(lambda g, _out, x, y: g * power_slope(x, y),
         lambda g, out, x, y: g * out * log_base(x, y)),
    domain=(Reals(0.5, 3), Reals(-2, 3)),
    kinks="x ** 0 has slope 0 in x everywhere, 0 ** 0 included; 0 ** y has slope 0 in y for y >= 0")


def power_slope(x, y):
    """d x**y / dx = y x**(y - 1), and 0 where y = 0, since x**0 = 1 for all x, even 0 and NaN."""
    return where(y == 0, 0, y * power(x, where(y == 0, 1, y - 1)))


def log_base(x, y):
    """log(x) in d x**y / dy = x**y log(x); where x = 0 and y >= 0 the product is taken to be 0."""
    from .elementwise import log  # elementwise.py is written in terms of this file

    vanishes = logical_and(x == 0, y >= 0)
    return where(vanishes, 0, log(where(vanishes, 1, x)))


maximum = binary(
    "maximum", np.maximum, scalar=lambda x, y: y if y > x or y != y else x,
    vjp=(lambda g, _out, x, y: share(g, x, y),
         lambda g, _out, x, y: share(g, y, x)),
    domain=Reals(-4, 4), kinks="one half to each at a tie")
minimum = binary(
    "minimum", np.minimum, scalar=lambda x, y: y if y < x or y != y else x,
    vjp=(lambda g, _out, x, y: share(g, y, x),
         lambda g, _out, x, y: share(g, x, y)),
    domain=Reals(-4, 4), kinks="one half to each at a tie")


def share(g, x, y):
    """What x gets of the gradient against y: all above, nothing below, half of it at a tie (and
    beside a NaN), so that the two parts always sum to g."""
    return where(x > y, g, where(x < y, 0, 0.5 * g))


def nothing(g):
    """A gradient of exactly 0, whatever g is (0 * inf would be NaN)."""
    return where(False, g, 0)


def over_square(v, x, y):
    """v / (x**2 + y**2) without the overflow of a square, and 0 at the origin."""
    r = hypot(x, y)
    nonzero = where(r == 0, 1, r)
    return where(r == 0, 0, v / nonzero / nonzero)


arctan2 = binary(
    "arctan2", np.arctan2, scalar=math.atan2,
    doc="The angle of the point (y, x), in [-pi, pi]: the first argument is the ordinate.",
    vjp=(lambda g, _out, x, y: g * over_square(y, x, y),
         lambda g, _out, x, y: -g * over_square(x, x, y)),
    domain=Reals(0.5, 4), kinks="0 at the origin")
hypot = binary(
    "hypot", np.hypot, scalar=math.hypot,
    doc="sqrt(x**2 + y**2).",
    vjp=(lambda g, out, x, _y: g * where(out == 0, 0, x / where(out == 0, 1, out)),
         lambda g, out, _x, y: g * where(out == 0, 0, y / where(out == 0, 1, out))),
    domain=Reals(0.5, 4), kinks="0 at the origin")



def _weighted_sum(*inputs):
    n = len(inputs) // 2
    return sum(map(operator.mul, inputs[:n], inputs[n:2 * n]), inputs[-1])


def _weighted_sum_vjp(g, _out, *inputs):
    """d(b + w_1 x_1 + ... + w_n x_n): x for the weights, w for the inputs, 1 for the bias."""
    n = len(inputs) // 2
    return *map(operator.mul, repeat(g), inputs[n:2 * n] + inputs[:n]), g


weighted_sum = variadic(
    "weighted_sum", _weighted_sum, scalar=_weighted_sum, vjp=_weighted_sum_vjp, public=False,
    symbol="w.x+b",
    domain=Reals(-2, 2), cases=cases(((3,), (3,), (3,), (3,), (3,)), ((), (), ())),
    doc="b + w_1 x_1 + ... + w_n x_n of (w_1, ..., w_n, x_1, ..., x_n, b), element by element: a "
        "neuron in one node.")

equal = binary("equal", np.equal, scalar=operator.eq, dunder="eq", vjp=None, domain=Reals(-1, 1))
not_equal = binary(
    "not_equal", np.not_equal, scalar=operator.ne, dunder="ne", vjp=None, domain=Reals(-1, 1))
less = binary("less", np.less, scalar=operator.lt, dunder="lt", vjp=None, domain=Reals(-1, 1))
less_equal = binary(
    "less_equal", np.less_equal, scalar=operator.le, dunder="le", vjp=None, domain=Reals(-1, 1))
greater = binary(
    "greater", np.greater, scalar=operator.gt, dunder="gt", vjp=None, domain=Reals(-1, 1))
greater_equal = binary("greater_equal", np.greater_equal, scalar=operator.ge, dunder="ge", vjp=None,
                       domain=Reals(-1, 1))
logical_and = binary(
    "logical_and", np.logical_and, scalar=lambda x, y: bool(x and y), vjp=None, domain=Booleans())
logical_not = unary(
    "logical_not", np.logical_not, scalar=operator.not_, vjp=None, domain=Booleans())
isfinite = unary("isfinite", np.isfinite, scalar=math.isfinite, vjp=None, domain=Reals(-1, 1))

where: Any = row(
    "where", np.where, inputs=("condition", "x", "y"), scalar=lambda c, x, y: x if c else y,
    method=False,
    vjp=(None,
         lambda g, _out, c, _x, _y: where(c, g, 0),
         lambda g, _out, c, _x, _y: where(c, 0, g)),
    domain=(Booleans(), Reals(-4, 4), Reals(-4, 4)),
    cases=cases(((3, 4), (3, 4), (3, 4)), ((4,), (3, 1), (3, 4)), ((), (2,), (2,))),
    doc="Choose x where the condition holds, else y; the branch not taken gets a gradient of "
        "exactly 0.")
clip = row(
    "clip", lambda x, *, low, high: np.clip(x, low, high), inputs=("x",),
    defaults={"low": None, "high": None},
    vjp=lambda g, _out, x, low, high: where(within(x, low, high), g, 0),
    domain=Reals(-4, 4, avoid=(-1, 2)), kinks="1 at the bounds themselves",
    cases=cases(((3, 4), {"low": -1.0, "high": 2.0}), ((5,), {"low": -1, "high": None}),
                ((5,), {"low": None, "high": 2})),
    doc="x limited to [low, high]; either bound may be None. Bounds are numbers, not tensors.")


def within(x, low, high):
    """Where low <= x <= high, a bound of None being no bound."""
    if low is None:
        return x <= high if high is not None else x == x
    return x >= low if high is None else logical_and(x >= low, x <= high)
