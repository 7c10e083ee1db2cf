"""Rows: exponentials, trigonometry and activations, element by element.

To add an operation, write its row here: name, formula, d out / d x times g, and where it is tested.
A row of the same name in csrc/ops.def makes it fast; nothing else has to know.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ..domains import Reals
from ..errors import ArgumentError
from ..kernels import reference
from ..row import binary, unary
from .arithmetic import logical_and, nothing, where

if TYPE_CHECKING:
    from ..payloads import Payload

LN2, LN10 = math.log(2), math.log(10)
TWO_OVER_SQRT_PI = 2 / math.sqrt(math.pi)

# -------------------------------------------------------------------------- exponentials and roots

exp: Any = unary(
    "exp", np.exp, scalar=math.exp,
    vjp=lambda g, out, _x: g * out, domain=Reals(-4, 4))
expm1 = unary(
    "expm1", np.expm1, scalar=math.expm1,
    vjp=lambda g, _out, x: g * exp(x), domain=Reals(-4, 4))
log = unary(
    "log", np.log, scalar=math.log,
    vjp=lambda g, _out, x: g / x, domain=Reals(0.25, 4))
log1p = unary(
    "log1p", np.log1p, scalar=math.log1p,
    vjp=lambda g, _out, x: g / (1 + x), domain=Reals(-0.7, 4))
log2 = unary(
    "log2", np.log2, scalar=math.log2,
    vjp=lambda g, _out, x: g / (x * LN2), domain=Reals(0.25, 4))
log10 = unary(
    "log10", np.log10, scalar=math.log10,
    vjp=lambda g, _out, x: g / (x * LN10), domain=Reals(0.25, 4))
sqrt = unary(
    "sqrt", np.sqrt, scalar=math.sqrt,
    vjp=lambda g, out, _x: g / (2 * out), domain=Reals(0.25, 4), kinks="inf at 0")
rsqrt = unary(
    "rsqrt", reference.rsqrt, scalar=lambda x: 1 / math.sqrt(x),
    doc="1 / sqrt(x).",
    vjp=lambda g, out, x: g * (-0.5) * out / x, domain=Reals(0.25, 4), kinks="-inf at 0")



def _xlogy(x, y):
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(np.logical_and(x == 0, y == y), 0, x * np.log(y))


def unless_void(x, y):
    """y, but 1 where x = 0 >= y: there x log(y) is 0 by decree, and both of its slopes are."""
    return where(logical_and(x == 0, y <= 0), 1, y)


xlogy = binary(
    "xlogy", _xlogy, scalar=lambda x, y: 0.0 if x == 0 and y == y else x * math.log(y),
    vjp=(lambda g, _out, x, y: g * log(unless_void(x, y)),
         lambda g, _out, x, y: g * x / unless_void(x, y)),
    domain=(Reals(-4, 4), Reals(0.25, 4)), kinks="0 in x and y where x = 0 and y <= 0",
    doc="x log(y), and 0 where x = 0, whatever number y is.")

# ------------------------------------------------------------------------------------ trigonometry

sin: Any = unary(
    "sin", np.sin, scalar=math.sin, vjp=lambda g, _out, x: g * cos(x), domain=Reals(-4, 4))
cos: Any = unary(
    "cos", np.cos, scalar=math.cos, vjp=lambda g, _out, x: -g * sin(x), domain=Reals(-4, 4))
tan = unary(
    "tan", np.tan, scalar=math.tan,
    vjp=lambda g, out, _x: g * (1 + out * out), domain=Reals(-1.2, 1.2))
arcsin = unary(
    "arcsin", np.arcsin, scalar=math.asin,
    vjp=lambda g, _out, x: g / sqrt(1 - x * x), domain=Reals(-0.8, 0.8))
arccos = unary(
    "arccos", np.arccos, scalar=math.acos,
    vjp=lambda g, _out, x: -g / sqrt(1 - x * x), domain=Reals(-0.8, 0.8))
arctan = unary(
    "arctan", np.arctan, scalar=math.atan,
    vjp=lambda g, _out, x: g / (1 + x * x), domain=Reals(-4, 4))
sinh: Any = unary(
    "sinh", np.sinh, scalar=math.sinh, vjp=lambda g, _out, x: g * cosh(x), domain=Reals(-4, 4))
cosh: Any = unary(
    "cosh", np.cosh, scalar=math.cosh, vjp=lambda g, _out, x: g * sinh(x), domain=Reals(-4, 4))
tanh: Any = unary(
    "tanh", np.tanh, scalar=math.tanh,
    vjp=lambda g, out, _x: g * (1 - out * out), domain=Reals(-4, 4))
arcsinh = unary(
    "arcsinh", np.arcsinh, scalar=math.asinh,
    vjp=lambda g, _out, x: g / sqrt(x * x + 1), domain=Reals(-4, 4))
arccosh = unary(
    "arccosh", np.arccosh, scalar=math.acosh,
    vjp=lambda g, _out, x: g / (sqrt(x - 1) * sqrt(x + 1)), domain=Reals(1.25, 4))
arctanh = unary(
    "arctanh", np.arctanh, scalar=math.atanh,
    vjp=lambda g, _out, x: g / (1 - x * x), domain=Reals(-0.8, 0.8))
erf = unary(
    "erf", reference.erf, scalar=math.erf,
    doc="The error function, 2 / sqrt(pi) times the integral of exp(-t**2) from 0 to x.",
    vjp=lambda g, _out, x: g * TWO_OVER_SQRT_PI * exp(-x * x), domain=Reals(-3, 3))

# ------------------------------------------------------------------------------------- activations

sigmoid = unary(
    "sigmoid", reference.sigmoid,
    doc="1 / (1 + exp(-x)), the logistic function.",
    scalar=lambda x: 1 / (1 + math.exp(-x)) if x > -700 else math.exp(x),
    vjp=lambda g, out, _x: g * out * (1 - out), domain=Reals(-6, 6))
log_sigmoid = unary(
    "log_sigmoid", reference.log_sigmoid,
    doc="log(sigmoid(x)), without overflow.",
    vjp=lambda g, _out, x: g * sigmoid(-x), domain=Reals(-6, 6))
softplus = unary(
    "softplus", reference.softplus,
    doc="log(1 + exp(x)), without overflow: a smooth relu.",
    vjp=lambda g, _out, x: g * sigmoid(x), domain=Reals(-6, 6))
relu = unary(
    "relu", reference.relu, scalar=lambda x: 0.0 if x <= 0 else x, symbol="ReLU",
    doc="max(x, 0).",
    vjp=lambda g, _out, x: where(x > 0, g, 0), domain=Reals(-4, 4, avoid=(0,)), kinks="0 at x = 0")
leaky_relu = unary(
    "leaky_relu", reference.leaky_relu, defaults={"negative_slope": 0.01},
    doc="x above 0, negative_slope * x below.",
    vjp=lambda g, _out, x, negative_slope: where(x > 0, g, g * negative_slope),
    domain=Reals(-4, 4, avoid=(0,)), kinks="negative_slope at x = 0")
elu = unary(
    "elu", reference.elu, defaults={"alpha": 1.0},
    doc="x above 0, alpha (exp(x) - 1) below. Clevert et al. 2016.",
    vjp=lambda g, _out, x, alpha: where(x > 0, g, g * alpha * exp(where(x > 0, 0, x))),
    domain=Reals(-4, 4, avoid=(0,)), kinks="alpha at x = 0")
selu = unary(
    "selu", reference.selu,
    doc="elu with the constants that keep mean and variance. Klambauer et al. 2017.",
    vjp=lambda g, _out, x: g * where(
        x > 0, reference.SELU_SCALE,
        reference.SELU_SCALE * reference.SELU_ALPHA * exp(where(x > 0, 0, x))),
    domain=Reals(-4, 4, avoid=(0,)), kinks="scale * alpha at x = 0")
silu = unary(
    "silu", reference.silu,
    doc="x sigmoid(x), also called swish.",
    vjp=lambda g, out, x: g * (sigmoid(x) + out * sigmoid(-x)), domain=Reals(-6, 6))
mish = unary(
    "mish", reference.mish,
    doc="x tanh(softplus(x)). Misra 2019.",
    vjp=lambda g, _out, x: g * mish_slope(x, tanh(softplus(x))), domain=Reals(-6, 6))
gelu_exact = unary(
    "gelu_exact", reference.gelu, kernel="gelu", public=False,
    vjp=lambda g, _out, x: g * (normal_cdf(x) + x * normal_density(x)), domain=Reals(-4, 4),
    doc="x times the normal distribution function of x. `gelu(x, approximate=...)` is the public "
        "name.")
gelu_tanh = unary(
    "gelu_tanh", reference.gelu_tanh, public=False,
    vjp=lambda g, out, x: g * gelu_tanh_slope(x, out), domain=Reals(-4, 4),
    doc="The tanh approximation of gelu. `gelu(x, approximate=\"tanh\")` is the public name.")
hardtanh = unary(
    "hardtanh", reference.hardtanh,
    doc="x limited to [-1, 1].",
    vjp=lambda g, _out, x: where(x * x < 1, g, 0), domain=Reals(-3, 3, avoid=(-1, 1)),
    kinks="0 at x = -1 and x = 1")
step = unary(
    "step", reference.step, scalar=lambda x: 1.0 if x >= 0 else 0.0 if x < 0 else x,
    doc="1 where x >= 0, else 0: the unit of 1943.",
    vjp=lambda g, _out, _x: nothing(g), domain=Reals(-4, 4, avoid=(0,)),
    kinks="0 everywhere; step(0) = 1")


def mish_slope(x, t):
    """d/dx x tanh(s) with s = softplus(x) and t = tanh(s): t + x (1 - t**2) sigmoid(x)."""
    return t + x * (1 - t * t) * sigmoid(x)


def normal_cdf(x):
    """The standard normal distribution function."""
    return 0.5 * (1 + erf(x * reference.SQRT_HALF))


def normal_density(x):
    """The standard normal density."""
    return exp(-0.5 * x * x) / math.sqrt(2 * math.pi)


def gelu_tanh_slope(x, y):
    """d/dx of y = x sigmoid(v), v = 2 sqrt(2 / pi) (x + 0.044715 x**3), which is the tanh form of
    gelu: sigmoid(v) + y sigmoid(-v) dv/dx."""
    v = 2 * reference.SQRT_2_OVER_PI * (x + reference.GELU_CUBIC * x * x * x)
    slope = 2 * reference.SQRT_2_OVER_PI * (1 + 3 * reference.GELU_CUBIC * x * x)
    return sigmoid(v) + y * sigmoid(-v) * slope


def gelu(x: Payload, *, approximate: Literal["none", "tanh"] = "none") -> Payload:
    """The Gaussian error linear unit, x Phi(x); `approximate="tanh"` gives its tanh form.

    Any shape, any float dtype. Source: D. Hendrycks and K. Gimpel, arXiv:1606.08415 (2016), section
    2. Raises ValueError for any other `approximate`.
    """
    if approximate not in ("none", "tanh"):
        raise ArgumentError(f"gelu: approximate={approximate!r}: expected 'none' or 'tanh'.",
                            code="unknown-name")
    return gelu_tanh(x) if approximate == "tanh" else gelu_exact(x)
