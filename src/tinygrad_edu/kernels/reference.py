"""The NumPy path: every kernel as its formula, executable.

This is the oracle that the C kernels are compared with and the path that runs without them. It is
written for the eye and for accuracy, not for speed: the simplest correct version of each formula
lives here. Functions take and give plain arrays; floating dtypes are kept, integers become float64
as NumPy has it, complex numbers pass where the formula is analytic.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..errors import DtypeError

SELU_ALPHA = 1.6732632423543772848170429916717
SELU_SCALE = 1.0507009873554804934193349852946
SQRT_HALF = math.sqrt(0.5)
SQRT_2_OVER_PI = math.sqrt(2 / math.pi)
GELU_CUBIC = 0.044715

_erf = np.frompyfunc(math.erf, 1, 1)


def floating(x: Any) -> np.ndarray:
    """`x` as an array of a floating or complex dtype; integers and booleans become float64."""
    x = np.asarray(x)
    return x.astype(np.float64) if x.dtype.kind in "biu" else x


# ----------------------------------------------------------------------------- element by element


def erf(x: Any) -> np.ndarray:
    """The error function, from the C library of Python, which is accurate to an ulp in float64."""
    x = floating(x)
    if x.dtype.kind == "c":
        raise DtypeError("erf: complex numbers are not supported.")
    return np.asarray(_erf(x.astype(np.float64)), dtype=np.float64).astype(x.dtype)


def rsqrt(x: Any) -> np.ndarray:
    return 1 / np.sqrt(x)


def sigmoid(x: Any) -> np.ndarray:
    """1 / (1 + exp(-x)), in the form that never raises e to a positive power: exp(min(x, 0)) / (1 +
    exp(-|x|))."""
    x = floating(x)
    if x.dtype.kind == "c":
        return 1 / (1 + np.exp(-x))
    return np.exp(np.minimum(x, 0)) / (1 + np.exp(-np.abs(x)))


def softplus(x: Any) -> np.ndarray:
    """log(1 + exp(x)) = max(x, 0) + log(1 + exp(-|x|))."""
    x = floating(x)
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


def log_sigmoid(x: Any) -> np.ndarray:
    """log(sigmoid(x)) = -softplus(-x)."""
    return -softplus(-floating(x))


def relu(x: Any) -> np.ndarray:
    return np.maximum(x, 0)


def leaky_relu(x: Any, *, negative_slope: float) -> np.ndarray:
    x = floating(x)
    return np.where(x > 0, x, x * negative_slope)


def elu(x: Any, *, alpha: float) -> np.ndarray:
    x = floating(x)
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


def selu(x: Any) -> np.ndarray:
    return SELU_SCALE * elu(x, alpha=SELU_ALPHA)


def silu(x: Any) -> np.ndarray:
    """x * sigmoid(x)."""
    x = floating(x)
    return x * sigmoid(x)


def mish(x: Any) -> np.ndarray:
    """x * tanh(softplus(x))."""
    x = floating(x)
    return x * np.tanh(softplus(x))


def gelu(x: Any) -> np.ndarray:
    """x * Phi(x), Phi the normal distribution function."""
    x = floating(x)
    return x * (1 + erf(x * SQRT_HALF)) / 2


def gelu_tanh(x: Any) -> np.ndarray:
    """The tanh approximation of gelu (Hendrycks and Gimpel 2016)."""
    x = floating(x)
    inner = SQRT_2_OVER_PI * (x + GELU_CUBIC * x**3)
    return x * (1 + np.tanh(inner)) / 2


def hardtanh(x: Any) -> np.ndarray:
    return np.clip(x, -1, 1)


def step(x: Any) -> np.ndarray:
    """1 where x >= 0, else 0: the threshold of McCulloch, Pitts and Rosenblatt. NaN stays NaN."""
    return np.heaviside(floating(x), 1)


# --------------------------------------------------------------------------------- along one axis


def logsumexp(x: Any, *, axis: Any, keepdims: bool) -> np.ndarray:
    """log(sum(exp(x))), shifted by the largest entry; a row of -inf gives -inf, an entry of +inf
    gives +inf."""
    x = floating(x)
    top = np.max(x, axis=axis, keepdims=True, initial=-np.inf)
    shift = np.where(np.isfinite(top), top, 0)
    with np.errstate(divide="ignore"):
        out = np.log(np.sum(np.exp(x - shift), axis=axis, keepdims=True)) + shift
    return out if keepdims else out.reshape(np.sum(out, axis=axis).shape)


def log_softmax(x: Any, *, axis: int) -> np.ndarray:
    """x - logsumexp(x) along `axis`; NaN where the largest entry is infinite."""
    x = floating(x)
    with np.errstate(invalid="ignore", divide="ignore"):
        shifted = x - np.max(x, axis=axis, keepdims=True, initial=-np.inf)
        return shifted - np.log(np.sum(np.exp(shifted), axis=axis, keepdims=True))


def softmax(x: Any, *, axis: int) -> np.ndarray:
    """exp(x) / sum(exp(x)) along `axis`; NaN where the largest entry is infinite."""
    x = floating(x)
    with np.errstate(invalid="ignore"):
        e = np.exp(x - np.max(x, axis=axis, keepdims=True, initial=-np.inf))
        return e / np.sum(e, axis=axis, keepdims=True)


# ----------------------------------------------------------------------------------------- layers

ACTIVATIONS: dict[str | None, Callable] = {
    None: lambda z: z,
    "relu": relu,
    "sigmoid": sigmoid,
    "tanh": np.tanh,
}


def linear(
    x: np.ndarray, weight: np.ndarray, bias: np.ndarray | None, *, activation: str | None
) -> np.ndarray:
    """act(x @ weight.T + bias): x (..., in), weight (out, in), bias (out,) or None."""
    z = np.matmul(x, weight.T)
    return ACTIVATIONS[activation](z if bias is None else z + bias)


def target_distribution(
    target: np.ndarray, n_classes: int, smoothing: float, dtype: Any
) -> np.ndarray:
    """(N, C): one-hot rows for class indices, the rows themselves for probabilities, mixed with the
    uniform one."""
    if target.dtype.kind in "iu":
        rows = np.zeros((len(target), n_classes), dtype)
        rows[np.arange(len(target)), target] = 1
    else:
        rows = target.astype(dtype)
    return rows * (1 - smoothing) + smoothing / n_classes if smoothing else rows


def cross_entropy_rows(logits: np.ndarray, target: np.ndarray, smoothing: float) -> np.ndarray:
    """(N,): -sum of target * log_softmax(logits). A class of probability 0 adds 0 even where its
    logit is -inf."""
    t = target_distribution(target, logits.shape[1], smoothing, logits.dtype)
    with np.errstate(invalid="ignore"):
        terms = np.where(t == 0, 0, t * log_softmax(logits, axis=1))
    return -np.sum(terms, axis=1)


# ------------------------------------------------------------------------------------- optimizers


def sgd_step(
    weights: Sequence,
    momenta: Sequence | None,
    grads: Sequence,
    *,
    lr: float,
    momentum: float,
    dampening: float,
    nesterov: bool,
    weight_decay: float,
    first: bool,
) -> None:
    """One step of gradient descent, in place; on the first step the momentum buffer becomes the
    gradient."""
    for i, (w, g) in enumerate(zip(weights, grads)):
        d = g + weight_decay * w if weight_decay else g
        if momenta is not None:
            buffer = momenta[i]
            buffer[...] = d if first else momentum * buffer + (1 - dampening) * d
            d = d + momentum * buffer if nesterov else buffer
        w -= lr * d


def adam_step(
    weights: Sequence,
    means: Sequence,
    squares: Sequence,
    grads: Sequence,
    *,
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
    decoupled: bool,
    step: int,
) -> None:
    """One step of Adam (Kingma and Ba 2015, algorithm 1), or of AdamW (Loshchilov and Hutter 2019)
    if `decoupled`."""
    bias1 = 1 - beta1**step
    bias2 = 1 - beta2**step
    for w, m, v, g in zip(weights, means, squares, grads):
        if weight_decay and decoupled:
            w *= 1 - lr * weight_decay
        d = g + weight_decay * w if weight_decay and not decoupled else g
        m += (1 - beta1) * (d - m)
        v *= beta2
        v += (1 - beta2) * d * d
        w -= lr / bias1 * m / (np.sqrt(v) / math.sqrt(bias2) + eps)


def rmsprop_step(
    weights: Sequence,
    squares: Sequence,
    means: Sequence | None,
    buffers: Sequence | None,
    grads: Sequence,
    *,
    lr: float,
    alpha: float,
    eps: float,
    weight_decay: float,
    momentum: float,
) -> None:
    """One step of RMSprop (Tieleman and Hinton 2012), in place; centered (Graves 2013) where there
    are `means`."""
    for i, (w, v, g) in enumerate(zip(weights, squares, grads)):
        d = g + weight_decay * w if weight_decay else g
        v *= alpha
        v += (1 - alpha) * d * d
        spread = v
        if means is not None:
            m = means[i]
            m += (1 - alpha) * (d - m)
            spread = np.maximum(v - m * m, 0)
        d = d / (np.sqrt(spread) + eps)
        if buffers is not None:
            buffer = buffers[i]
            buffer *= momentum
            buffer += d
            d = buffer
        w -= lr * d


def adagrad_step(
    weights: Sequence,
    sums: Sequence,
    grads: Sequence,
    *,
    lr: float,
    eps: float,
    weight_decay: float,
) -> None:
    """One step of Adagrad (Duchi, Hazan and Singer 2011), in place."""
    for w, s, g in zip(weights, sums, grads):
        d = g + weight_decay * w if weight_decay else g
        s += d * d
        w -= lr * d / (np.sqrt(s) + eps)
