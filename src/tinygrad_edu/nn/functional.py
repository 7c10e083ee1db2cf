"""Losses and layers as functions of Tensors (or plain arrays: then nothing is recorded).

Every loss takes `reduction`: "mean" and "sum" over all elements (rows, for cross_entropy) give
shape (), "none" keeps them. Unequal shapes are an error, never broadcast.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np

from ..errors import ArgumentError
from ..op import OPS
from ..ops.elementwise import gelu
from ..ops.loss import cross_entropy_classes, cross_entropy_probabilities
from ..ops.normalization import batch_norm, layer_norm
from ..random import draw

if TYPE_CHECKING:  # what the loop below does, in words that a type checker reads
    from .._surface import (
        avg_pool2d,
        binary_cross_entropy,
        binary_cross_entropy_with_logits,
        conv2d,
        elu,
        embedding,
        hardtanh,
        hinge_loss,
        huber_loss,
        kl_div,
        l1_loss,
        leaky_relu,
        linear,
        log_sigmoid,
        log_softmax,
        logsumexp,
        max_pool2d,
        mish,
        mse_loss,
        nll_loss,
        one_hot,
        relu,
        selu,
        sigmoid,
        silu,
        softmax,
        softplus,
        step,
        tanh,
    )
    from ..payloads import Array, Data, Operand, WithAxes
    from ..tensor import Tensor

    Reduction = Literal["mean", "sum", "none"]

__all__ = [
    "avg_pool2d",
    "batch_norm",
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "conv2d",
    "cross_entropy",
    "dropout",
    "elu",
    "embedding",
    "gelu",
    "hardtanh",
    "hinge_loss",
    "huber_loss",
    "kl_div",
    "l1_loss",
    "layer_norm",
    "leaky_relu",
    "linear",
    "log_sigmoid",
    "log_softmax",
    "logsumexp",
    "max_pool2d",
    "mish",
    "mse_loss",
    "nll_loss",
    "one_hot",
    "relu",
    "selu",
    "sigmoid",
    "silu",
    "softmax",
    "softplus",
    "step",
    "tanh",
]

globals().update({name: OPS[name].function for name in __all__ if name in OPS})


@overload
def cross_entropy(
    input: Tensor, target: Operand, *, label_smoothing: float = 0.0, reduction: Reduction = "mean"
) -> Tensor: ...
@overload
def cross_entropy(
    input: Operand, target: Tensor, *, label_smoothing: float = 0.0, reduction: Reduction = "mean"
) -> Tensor: ...
@overload
def cross_entropy(
    input: Data, target: Data, *, label_smoothing: float = 0.0, reduction: Reduction = "mean"
) -> Array: ...


def cross_entropy(
    input: Any, target: Any, *, label_smoothing: float = 0.0, reduction: str = "mean"
) -> Any:
    """-log of the probability that softmax(input) gives to the target class, averaged over the
    rows.

    input: logits (N, C), float. target: class indices (N,), integers from 0 to C - 1, or
    probabilities (N, C), float. `label_smoothing` in [0, 1] mixes the target with the uniform
    distribution. Returns shape () for "mean" and "sum", (N,) for "none". Stable for logits of any
    size. Raises ShapeError, DtypeError, IndexError (a class out of range), ValueError (reduction,
    smoothing).
    """
    is_classes = len(np.shape(target)) == 1 if not hasattr(target, "ndim") else target.ndim == 1
    op = cross_entropy_classes if is_classes else cross_entropy_probabilities
    return op(input, target, label_smoothing=label_smoothing, reduction=reduction)


def dropout(input: WithAxes, p: float = 0.5, *, training: bool = True, rng: Any = None) -> WithAxes:
    """In training, zero each element with probability `p` and scale the others by 1 / (1 - p); else
    pass `input` on.

    Source: N. Srivastava et al., Journal of Machine Learning Research 15 (2014). Raises ValueError
    unless 0 <= p < 1.
    """
    if not 0 <= p < 1:
        raise ArgumentError(f"dropout: p={p!r}: expected a probability from 0 to less than 1.")
    if not training or p == 0:
        return input
    shape, dtype = input.shape, input.dtype

    def mask(source: np.random.Generator) -> np.ndarray:
        return ((source.random(shape, np.float32) >= p) / (1 - p)).astype(dtype)

    return input * draw(rng, mask)
