"""ONNX's layers and losses in terms of ours, in the form that onnx_operators.py describes."""

from __future__ import annotations

import numpy as np

import tinygrad_edu as tg
from tinygrad_edu.nn import functional as F
from tinygrad_edu.op import OPS


def gemm(a, x, y, c=None):
    x, y = x.T if a("transA", 0) else x, y.T if a("transB", 0) else y
    product, beta = a("alpha", 1.0) * (x @ y), a("beta", 1.0)
    return product if c is None else product + beta * c


def dropout(a, x, ratio=None, training=None):
    """Where nothing is dropped; what a training case drops comes from ONNX's own generator."""
    p = a("ratio", 0.5) if ratio is None else ratio.item()
    a("seed", None)
    kept = F.dropout(x, p, training=training is not None and bool(training.item()))
    return kept, np.ones(x.shape, bool)


def layer_norm(a, x, weight, bias=None):
    """And the mean and the inverse deviation, which ours does not return."""
    axis, eps = a("axis", -1) % x.ndim, a("epsilon", 1e-5)
    axes = tuple(range(axis, x.ndim))
    deviation = tg.rsqrt(tg.var(x, axis=axes, keepdims=True) + eps)
    out = tg.layer_norm(x, x.shape[axis:], weight, bias, eps)
    return out, tg.mean(x, axis=axes, keepdims=True), deviation


def batch_norm(a, x, weight, bias, running_mean, running_var):
    """In training ONNX keeps the share `momentum` of the old estimates, we 1 - momentum; and it
    moves the variance towards the biased one, we, like PyTorch, towards the unbiased."""
    keep, training = a("momentum", 0.9), bool(a("training_mode", 0))
    mean, var = tg.tensor(running_mean.data), tg.tensor(running_var.data)
    out = tg.batch_norm(x, mean, var, weight, bias, training, 1 - keep, a("epsilon", 1e-5))
    n = x.size // x.shape[1]
    biased = (var - keep * running_var) * ((n - 1) / n) + keep * running_var
    return (out, mean, biased) if training else out


def window(a, x, kernel):
    """The stride, padding and dilation of a window over images; padding evenly on both sides."""
    stride, dilation = a("strides", [1, 1]), a("dilations", [1, 1])
    pads = a("pads", [0, 0, 0, 0])
    if a("auto_pad", b"NOTSET") != b"NOTSET":  # as much as gives ceil(size / stride) places
        spans = [(k - 1) * d + 1 for k, d in zip(kernel, dilation)]
        total = [
            max((-(-n // s) - 1) * s + span - n, 0)
            for n, s, span in zip(x.shape[2:], stride, spans)
        ]
        pads = [t // 2 for t in total] + [t - t // 2 for t in total]
    if pads[:2] != pads[2:]:
        raise NotImplementedError("padding that differs before and after the image")
    return {"stride": tuple(stride), "padding": tuple(pads[:2]), "dilation": tuple(dilation)}


def conv(a, x, weight, bias=None):
    how = window(a, x, a("kernel_shape", weight.shape[2:]))
    return tg.conv2d(x, weight, bias, groups=a("group", 1), **how)


def conv_transpose(a, x, weight):
    """The transpose of a convolution in its images, which is the row `conv2d_input`."""
    kernel, groups = weight.shape[2:], a("group", 1)
    how = window(a, x, kernel)
    size = [
        s * (n - 1) + more + (k - 1) * d + 1 - 2 * p
        for n, k, s, p, d, more in zip(
            x.shape[2:], kernel, *how.values(), a("output_padding", [0, 0])
        )
    ]
    shape = (x.shape[0], weight.shape[1] * groups, *size)
    return OPS["conv2d_input"].function(x, weight, shape=shape, groups=groups, **how)


def pooling(function, **more):
    """`more`: our parameters that are attributes, with ONNX's defaults."""

    def run(a, x):
        kernel = tuple(a("kernel_shape", None))
        how = window(a, x, kernel)
        if how.pop("dilation") != (1, 1):
            raise NotImplementedError("a pooling with dilation")
        given = {name: bool(a(name, default)) for name, default in more.items()}
        return function(x, kernel, **how, **given)

    return run


def whole_image(function):
    return lambda a, x: function(x, axis=tuple(range(2, x.ndim)), keepdims=True)


def loss(function):
    """A loss over classes on axis 1, with any axes behind it; ours has the examples in one axis."""

    def run(a, x, target):
        reduction = a("reduction", b"mean").decode()
        rows = tg.reshape(tg.moveaxis(x, 1, -1), (-1, x.shape[1]))
        out = function(rows, tg.reshape(target, (-1,)), reduction=reduction)
        out = tg.reshape(out, target.shape) if reduction == "none" else out
        return out, tg.log_softmax(x, axis=1)

    return run
