"""The rows in terms of autograd.numpy: what each computes, as its definition has it.

A row whose name and parameters are NumPy's needs no line here, unless autograd lacks a derivative
for it or its parameters go by other names. Everything else is written out from the definition, in
another way than ours where there is one, and autograd differentiates that. All rows are covered, to
the second derivative.

Written out for autograd's own sake, since its 1.9 on NumPy 2 has no rule for flip, take_along_axis
and a diagonal other than the main one of the last two axes; none that takes all parameters for
roll, trace, broadcast_to and clip; one that fails for some shapes for where, tile, diag, tril, triu
and outer; and a wrong one for repeat along axis -1.
"""

from __future__ import annotations

import math

import autograd.numpy as anp
import numpy as np
from autograd.scipy import special

from tinygrad_edu.ops.arrange import widths
from tinygrad_edu.ops.shape import Here


def reduced(formula):
    """A loss element by element, then averaged or added."""

    def loss(x, t, reduction="mean", **params):
        each = formula(x, t, **params)
        if reduction == "batchmean":
            return anp.sum(each) / x.shape[0]
        return {"mean": anp.mean, "sum": anp.sum, "none": lambda losses: losses}[reduction](each)

    return loss


def pad(x, pad_width, mode, constant_values):
    """autograd knows no {axis: pair}."""
    pairs = widths(pad_width, x.ndim)
    return anp.pad(x, pairs, mode, constant_values=constant_values) if pairs else x * 1.0


def sigmoid(x):
    return special.expit(x)


def softplus(x):
    return anp.logaddexp(x, 0.0)


def normal_cdf(x):
    return 0.5 * (1 + special.erf(x / math.sqrt(2)))


def gelu_tanh(x):
    return 0.5 * x * (1 + anp.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def norm(x, ord=None, axis=None, keepdims=False):
    if ord == math.inf:
        return anp.max(anp.abs(x), axis=axis, keepdims=keepdims)
    p = ord or 2
    return anp.sum(anp.abs(x) ** p, axis=axis, keepdims=keepdims) ** (1 / p)


def softmax(x, axis=-1):
    e = anp.exp(x - anp.max(x, axis=axis, keepdims=True))
    return e / anp.sum(e, axis=axis, keepdims=True)


def log_softmax(x, axis=-1):
    return x - special.logsumexp(x, axis=axis, keepdims=True)


# ---------------------------------------------------------------------------------- parts of arrays


def places(shape):
    """The numbers of the places of an array of `shape`, in reading order."""
    return np.arange(math.prod(shape)).reshape(shape)


def rearranged(function):
    """An operation that moves entries: it is asked where from, by being given the places."""

    def moved(x, **params):
        return anp.reshape(x, (-1,))[function(places(x.shape), **params)]

    return moved


def scattered(g, shape, index):
    """Zeros of `shape` with g added at an index: a product with the 0/1 matrix that places it."""
    at = np.eye(math.prod(shape))[places(shape)[index].reshape(-1)]
    return anp.reshape(anp.reshape(g, (-1,)) @ at, shape)


def diag(x, k=0):
    """A vector becomes a matrix by a product with one 0/1 matrix for each of its entries."""
    if x.ndim == 2:
        return rearranged(np.diag)(x, k=k)
    return anp.tensordot(x, np.array([np.diag(row, k) for row in np.eye(len(x))]), 1)


def where(c, x, y):
    zeros = np.zeros(np.broadcast_shapes(np.shape(c), x.shape, y.shape))
    return anp.where(c | (zeros > 0), x + zeros, y + zeros)


def with_arrays(key, arrays):
    arrays = iter(arrays)
    return tuple(next(arrays) if part is Here else part for part in key)


def take_along_axis(x, indices, axis=-1):
    if axis is None:
        return anp.reshape(x, (-1,))[indices]
    grid = list(np.ogrid[tuple(slice(n) for n in x.shape)])
    grid[axis] = indices
    return x[tuple(grid)]


# ------------------------------------------------------------------------------------------- images


def two(value):
    return value if isinstance(value, tuple) else (value, value)


def windows(x, kernel, stride, padding, dilation=1, fill=0.0):
    """(N, C, out, out, kh, kw): every window of an image, by its indices."""
    (h, w), border = two(padding), two(padding)
    border = ((0, 0), (0, 0), (h, h), (w, w))
    x = anp.pad(x, border, "constant", constant_values=fill)
    rows, columns = (
        s * np.arange((n - (k - 1) * d - 1) // s + 1)[:, None] + d * np.arange(k)
        for n, k, s, d in zip(x.shape[2:], two(kernel), two(stride), two(dilation))
    )
    return x[:, :, rows[:, None, :, None], columns[None, :, None, :]]


def activated(out, activation):
    functions = {None: lambda z: z, "tanh": anp.tanh, "sigmoid": sigmoid, "relu": relu}
    return functions[activation](out)


def conv2d(x, weight, bias=None, stride=1, padding=0, dilation=1, groups=1, activation=None):
    seen = windows(x, weight.shape[2:], stride, padding, dilation)
    n_in, n_out = weight.shape[1], weight.shape[0] // groups
    parts = [
        anp.einsum(
            "nchwij,ocij->nohw",
            seen[:, group * n_in : (group + 1) * n_in],
            weight[group * n_out : (group + 1) * n_out],
        )
        for group in range(groups)
    ]
    out = anp.concatenate(parts, axis=1)
    return activated(out if bias is None else out + anp.reshape(bias, (-1, 1, 1)), activation)


def transposed(linear, shape):
    """The transpose of a linear map from arrays of `shape`, applied to y: y times its matrix."""
    size = math.prod(shape)
    basis = [anp.reshape(row, shape) for row in np.eye(size)]

    def apply(y):
        return anp.reshape(anp.array([anp.sum(y * linear(e)) for e in basis]), shape)

    return apply


def conv2d_input(y, weight, shape=None, **how):
    return transposed(lambda x: conv2d(x, weight, **how), shape)(y)


def conv2d_weight(y, x, shape=None, **how):
    return transposed(lambda weight: conv2d(x, weight, **how), shape)(y)


def max_pool2d(x, kernel_size=None, stride=None, padding=0):
    seen = windows(x, kernel_size, stride or kernel_size, padding, fill=-1e6)
    return anp.max(anp.max(seen, axis=-1), axis=-1)


def chosen(x, kernel_size=None, stride=None, padding=0):
    """The 0/1 weights of the cells that hold the largest entry of each window of x, for arrays."""
    while hasattr(x, "_value"):
        x = x._value
    seen = windows(x, kernel_size, stride or kernel_size, padding, fill=-1e6)
    return seen == anp.max(anp.max(seen, axis=-1, keepdims=True), axis=-2, keepdims=True)


def of_winners(y, x, kernel_size=None, stride=None, padding=0):
    seen = windows(y, kernel_size, stride or kernel_size, padding)
    return anp.sum(seen * chosen(x, kernel_size, stride, padding), axis=(-2, -1))


def to_winners(y, x, **how):
    return transposed(lambda e: of_winners(e, x, **how), x.shape)(y)


def avg_pool2d(x, kernel_size=None, stride=None, padding=0, count_include_pad=True):
    how = (kernel_size, stride or kernel_size, padding)
    total = anp.sum(windows(x, *how), axis=(-2, -1))
    inside = np.ones(x.shape)
    return total / anp.sum(windows(inside, *how, fill=float(count_include_pad)), axis=(-2, -1))


def avg_pool2d_back(y, shape=None, **how):
    return transposed(lambda x: avg_pool2d(x, **how), shape)(y)


# --------------------------------------------------------------------------------- products, losses


def linear(x, weight, bias=None, activation=None):
    return activated(x @ weight.T + bias, activation)


def normalize(x, weight, bias, axes, eps):
    spread = anp.mean((x - anp.mean(x, axis=axes, keepdims=True)) ** 2, axis=axes, keepdims=True)
    standard = (x - anp.mean(x, axis=axes, keepdims=True)) / anp.sqrt(spread + eps)
    return standard * weight + bias


def relu(x):
    return anp.maximum(x, 0.0)


def weighted_sum(*inputs):
    n = len(inputs) // 2
    return sum(w * x for w, x in zip(inputs[:n], inputs[n : 2 * n])) + inputs[-1]


def cross_entropy(x, target, label_smoothing=0.0, reduction="mean"):
    n_classes = x.shape[1]
    t = np.eye(n_classes)[target] if target.ndim == 1 else target
    t = (1 - label_smoothing) * t + label_smoothing / n_classes
    each = -anp.sum(t * log_softmax(x, axis=1), axis=1)
    return {"mean": anp.mean, "sum": anp.sum, "none": lambda losses: losses}[reduction](each)


def nll(x, target):
    return -x[np.arange(len(target)), target]


def huber(x, t, delta=1.0):
    d = anp.abs(x - t)
    return anp.where(d <= delta, 0.5 * d**2, delta * (d - 0.5 * delta))


def kl(x, t, log_target=False):
    return anp.exp(t) * (t - x) if log_target else t * (anp.log(t) - x)


DEFINITIONS = {
    # element by element
    "rsqrt": lambda x: x**-0.5,
    "xlogy": lambda x, y: x * anp.log(y),
    "hypot": lambda x, y: anp.sqrt(x**2 + y**2),
    "erf": special.erf,
    "sigmoid": sigmoid,
    "log_sigmoid": lambda x: -softplus(-x),
    "softplus": softplus,
    "relu": relu,
    "leaky_relu": lambda x, negative_slope=0.01: anp.where(x > 0, x, negative_slope * x),
    "elu": lambda x, alpha=1.0: anp.where(x > 0, x, alpha * (anp.exp(x) - 1)),
    "selu": lambda x: (
        1.0507009873554804934193349852946
        * anp.where(x > 0, x, 1.6732632423543772848170429916717 * (anp.exp(x) - 1))
    ),
    "silu": lambda x: x * sigmoid(x),
    "mish": lambda x: x * anp.tanh(softplus(x)),
    "gelu_exact": lambda x: x * normal_cdf(x),
    "gelu_tanh": gelu_tanh,
    "step": lambda x: anp.greater_equal(x, 0) * 1.0,
    "hardtanh": lambda x: anp.minimum(anp.maximum(x, -1.0), 1.0),
    "clip": lambda x, low, high: anp.clip(
        x, -anp.inf if low is None else low, anp.inf if high is None else high
    ),
    "weighted_sum": weighted_sum,
    # along axes
    "logsumexp": special.logsumexp,
    "softmax": softmax,
    "log_softmax": log_softmax,
    "norm": norm,
    # shapes and parts
    "identity": lambda x: x,
    "astype": lambda x, dtype: x * 1.0,
    "concatenate": lambda *tensors, axis=0: anp.concatenate(tensors, axis),
    "stack": lambda *tensors, axis=0: anp.stack(tensors, axis),
    "getitem_basic": lambda x, key: x[key],
    "spread": lambda g, shape, key: scattered(g, shape, key),
    "getitem_advanced": lambda x, *arrays, key=(Here,): x[with_arrays(key, arrays)],
    "add_at": lambda g, *arrays, shape, key=(Here,): scattered(g, shape, with_arrays(key, arrays)),
    "take_along_axis": take_along_axis,
    "where": where,
    "broadcast_to": lambda x, shape: x + np.zeros(shape),
    "pad": pad,
    "flip": rearranged(np.flip),
    "roll": rearranged(np.roll),
    "tile": rearranged(np.tile),
    "repeat": rearranged(np.repeat),
    "diagonal": rearranged(np.diagonal),
    "diag": diag,
    "tril": lambda x, k=0: x * np.tril(np.ones((x.shape[0], *x.shape)[-2:]), k),
    "triu": lambda x, k=0: x * np.triu(np.ones((x.shape[0], *x.shape)[-2:]), k),
    "trace": lambda x, **how: anp.sum(rearranged(np.diagonal)(x, **how), axis=-1),
    # products
    "outer": lambda x, y: anp.reshape(x, (-1, 1)) * anp.reshape(y, (1, -1)),
    "contract": lambda x, y, subscripts=",->": anp.einsum(subscripts, x, y),
    "linear": linear,
    "normalize": normalize,
    "embedding": lambda indices, weight: weight[indices],
    # images
    "conv2d": conv2d,
    "conv2d_input": conv2d_input,
    "conv2d_weight": conv2d_weight,
    "max_pool2d": max_pool2d,
    "of_winners": of_winners,
    "to_winners": to_winners,
    "avg_pool2d": avg_pool2d,
    "avg_pool2d_back": avg_pool2d_back,
    # losses
    "mse_loss": reduced(lambda x, t: (x - t) ** 2),
    "l1_loss": reduced(lambda x, t: anp.abs(x - t)),
    "huber_loss": reduced(huber),
    "hinge_loss": reduced(lambda x, t: anp.maximum(1 - x * t, 0.0)),
    "binary_cross_entropy": reduced(lambda p, t: -(t * anp.log(p) + (1 - t) * anp.log(1 - p))),
    "binary_cross_entropy_with_logits": reduced(
        lambda x, t: t * softplus(-x) + (1 - t) * softplus(x)
    ),
    "kl_div": reduced(kl),
    "nll_loss": reduced(nll),
    "cross_entropy_classes": cross_entropy,
    "cross_entropy_probabilities": cross_entropy,
}
