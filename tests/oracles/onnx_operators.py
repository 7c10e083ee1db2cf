"""ONNX's operators in terms of ours: one function each, from attributes and inputs to the outputs.

A function gets `a`, which gives an attribute by name (or its default), and the inputs as Tensors,
None where an optional one is absent. Lengths, axes and bounds, which ONNX passes as tensors and we
as Python numbers, are read with `.tolist()` or `.item()`. An attribute that a function does not
ask for is one that we do not have: where a case sets it, test_onnx.py demands a word on it.

Layers and losses stand in
onnx_layers.py. To add an operator, write its line into OPERATORS.
"""

from __future__ import annotations

import functools
import math

import numpy as np
from onnx import helper, numpy_helper
from onnx_layers import (
    batch_norm,
    conv,
    conv_transpose,
    dropout,
    gemm,
    layer_norm,
    loss,
    pooling,
    whole_image,
)

import tinygrad_edu as tg
from tinygrad_edu.nn import functional as F
from tinygrad_edu.op import OPS


def plain(function):
    """An operator without attributes that is our function of the same inputs."""
    return lambda a, *inputs: function(*inputs)


def folded(function):
    """An operator of any number of inputs: our function of two, from the left."""
    return lambda a, *inputs: functools.reduce(function, inputs)


# --------------------------------------------------------------------------------------- along axes


def reduction(function):
    """Axes from an input, or (before opset 13 or 18) from an attribute. None, and an empty list
    unless the case wants it to mean none, are all axes."""

    def run(a, x, axes=None):
        given = a("axes", None) if axes is None else axes.tolist()
        every = None if not a("noop_with_empty_axes", 0) else ()
        return function(x, axis=tuple(given) if given else every, keepdims=bool(a("keepdims", 1)))

    return run


def extreme_index(function):
    return lambda a, x: function(x, axis=a("axis", 0), keepdims=bool(a("keepdims", 1)))


def along_axis(function):
    return lambda a, x: function(x, axis=a("axis", -1))


def cumsum(a, x, axis):
    axis = axis.item()
    if a("reverse", 0):
        return tg.flip(tg.cumsum(tg.flip(x, axis=axis), axis=axis), axis=axis)
    return tg.cumsum(x, axis=axis)


# ---------------------------------------------------------------------------- shapes, parts, making


def reshape(a, x, shape):
    """0 keeps the length of an axis, unless `allowzero` makes it mean what it says."""
    keeps = not a("allowzero", 0)
    wanted = shape.tolist()
    return tg.reshape(x, [x.shape[i] if keeps and n == 0 else n for i, n in enumerate(wanted)])


def flatten(a, x):
    """Always a matrix, with nothing before axis 0."""
    axis = a("axis", 1)
    return tg.reshape(x, (math.prod(x.shape[:axis]), math.prod(x.shape[axis:])))


def axes_or_all(function):
    return lambda a, x, axes=None: function(x, axis=None if axes is None else tuple(axes.tolist()))


def shape(a, x):
    return np.array(x.shape[a("start", 0) : a("end", None)], np.int64)


def cut(a, x, starts, ends, axes=None, steps=None):
    axes = range(len(starts)) if axes is None else axes.tolist()
    steps = [1] * len(starts) if steps is None else steps.tolist()
    key = [slice(None)] * x.ndim
    for axis, start, end, step in zip(axes, starts.tolist(), ends.tolist(), steps):
        key[axis] = slice(start, end, step)
    return x[tuple(key)]


def split(a, x, lengths=None):
    """Into parts of the given lengths; into equal parts, of which the last may be shorter."""
    axis = a("axis", 0)
    if lengths is not None:
        return tg.split(x, np.cumsum(lengths.data)[:-1].tolist(), axis)
    n = -(-x.shape[axis] // a("num_outputs", a.n_outputs))
    return tg.split(x, list(range(n, x.shape[axis], n)), axis)


def pad(a, x, pads, value=None, axes=None):
    pads = pads.tolist()
    axes = range(x.ndim) if axes is None else axes.tolist()
    widths = {axis: (pads[i], pads[i + len(axes)]) for i, axis in enumerate(axes)}
    return tg.pad(x, widths, a("mode", b"constant").decode(), 0 if value is None else value.item())


def gather(a, x, indices):
    return x[(*(slice(None),) * a("axis", 0), indices)]


def gather_nd(a, x, indices):
    """The last axis of `indices` is an index into x, behind `batch_dims` axes that run along."""
    along = [
        np.arange(n).reshape([-1 if i == j else 1 for j in range(indices.ndim - 1)])
        for i, n in enumerate(x.shape[: a("batch_dims", 0)])
    ]
    return x[(*along, *(indices[..., i] for i in range(indices.shape[-1])))]


def one_hot(a, indices, depth, values):
    off, on = values.tolist()
    rows = tg.one_hot(tg.astype(indices, np.int64), int(depth.item()), values.dtype)
    return tg.moveaxis(rows * (on - off) + off, -1, a("axis", -1))


def constant(a, shape):
    value = numpy_helper.to_array(a("value", None))
    return tg.full(tuple(shape.tolist()), value.item(), dtype=value.dtype)


def eye_like(a, x):
    dtype = a("dtype", None)
    return tg.eye(*x.shape, dtype=dtype and helper.tensor_dtype_to_np_dtype(dtype) or x.dtype)


def expand(a, x, shape):
    return tg.broadcast_to(x, np.broadcast_shapes(x.shape, tuple(shape.tolist())))


def trilu(a, x, k=None):
    return (tg.triu if a("upper", 1) else tg.tril)(x, 0 if k is None else k.item())


# ------------------------------------------------------------------------------- element by element


def cast(a, x):
    return tg.astype(x, helper.tensor_dtype_to_np_dtype(a("to", None)))


def clip(a, x, low=None, high=None):
    return tg.clip(x, *(None if bound is None else bound.item() for bound in (low, high)))


def power(a, x, y):
    """ONNX answers in the dtype of the base, ours in the one that both promote to."""
    return tg.astype(tg.power(x, y), x.dtype)


OPERATORS = {
    # element by element
    "Abs": plain(tg.abs),
    "Acos": plain(tg.arccos),
    "Acosh": plain(tg.arccosh),
    "Add": plain(tg.add),
    "And": plain(tg.logical_and),
    "Asin": plain(tg.arcsin),
    "Asinh": plain(tg.arcsinh),
    "Atan": plain(tg.arctan),
    "Atanh": plain(tg.arctanh),
    "Cast": cast,
    "Ceil": plain(tg.ceil),
    "Clip": clip,
    "Cos": plain(tg.cos),
    "Cosh": plain(tg.cosh),
    "Div": plain(tg.divide),
    "Elu": lambda a, x: tg.elu(x, a("alpha", 1.0)),
    "Equal": plain(tg.equal),
    "Erf": plain(tg.erf),
    "Exp": plain(tg.exp),
    "Floor": plain(tg.floor),
    "Gelu": lambda a, x: tg.gelu(x, approximate=a("approximate", b"none").decode()),
    "Greater": plain(tg.greater),
    "GreaterOrEqual": plain(tg.greater_equal),
    "LeakyRelu": lambda a, x: tg.leaky_relu(x, a("alpha", 0.01)),
    "Less": plain(tg.less),
    "LessOrEqual": plain(tg.less_equal),
    "Log": plain(tg.log),
    "Max": folded(tg.maximum),
    "Min": folded(tg.minimum),
    "Mish": plain(tg.mish),
    "Mul": plain(tg.multiply),
    "Neg": plain(tg.negative),
    "Not": plain(tg.logical_not),
    "Pow": power,
    "Reciprocal": plain(tg.reciprocal),
    "Relu": plain(tg.relu),
    "Round": plain(tg.round),
    "Selu": plain(tg.selu),
    "Sigmoid": plain(tg.sigmoid),
    "Sign": plain(tg.sign),
    "Sin": plain(tg.sin),
    "Sinh": plain(tg.sinh),
    "Softplus": plain(tg.softplus),
    "Sqrt": plain(tg.sqrt),
    "Sub": plain(tg.subtract),
    "Sum": folded(tg.add),
    "Swish": lambda a, x: tg.silu(x * a("alpha", 1.0)) / a("alpha", 1.0),
    "Tan": plain(tg.tan),
    "Tanh": plain(tg.tanh),
    "Where": plain(tg.where),
    # along axes
    "ArgMax": extreme_index(tg.argmax),
    "ArgMin": extreme_index(tg.argmin),
    "CumSum": cumsum,
    "LogSoftmax": along_axis(tg.log_softmax),
    "Mean": lambda a, *inputs: tg.mean(tg.stack(inputs), axis=0),
    "ReduceL1": reduction(lambda x, **along: tg.sum(tg.abs(x), **along)),
    "ReduceL2": reduction(tg.norm),
    "ReduceLogSum": reduction(lambda x, **along: tg.log(tg.sum(x, **along))),
    "ReduceLogSumExp": reduction(tg.logsumexp),
    "ReduceMax": reduction(tg.max),
    "ReduceMean": reduction(tg.mean),
    "ReduceMin": reduction(tg.min),
    "ReduceProd": reduction(tg.prod),
    "ReduceSum": reduction(tg.sum),
    "ReduceSumSquare": reduction(lambda x, **along: tg.sum(tg.square(x), **along)),
    "Softmax": along_axis(tg.softmax),
    # shapes, parts, making
    "Concat": lambda a, *inputs: tg.concatenate(inputs, a("axis", None)),
    "ConstantOfShape": constant,
    "Expand": expand,
    "EyeLike": eye_like,
    "Flatten": flatten,
    "Gather": gather,
    "GatherElements": lambda a, x, indices: tg.take_along_axis(x, indices, a("axis", 0)),
    "GatherND": gather_nd,
    "Identity": plain(OPS["identity"].function),
    "OneHot": one_hot,
    "Pad": pad,
    "Range": lambda a, *bounds: tg.arange(*(b.item() for b in bounds), dtype=bounds[0].dtype),
    "Reshape": reshape,
    "Shape": shape,
    "Size": lambda a, x: np.array(x.size, np.int64),
    "Slice": cut,
    "Split": split,
    "Squeeze": axes_or_all(tg.squeeze),
    "Tile": lambda a, x, repeats: tg.tile(x, tuple(repeats.tolist())),
    "Transpose": lambda a, x: tg.transpose(x, a("perm", None)),
    "Trilu": trilu,
    "Unsqueeze": axes_or_all(tg.expand_dims),
    # products, layers, losses
    "AveragePool": pooling(tg.avg_pool2d, count_include_pad=False),
    "BatchNormalization": batch_norm,
    "Conv": conv,
    "ConvTranspose": conv_transpose,
    "Dropout": dropout,
    "Einsum": lambda a, *inputs: tg.einsum(a("equation", None).decode(), *inputs),
    "Gemm": gemm,
    "GlobalAveragePool": whole_image(tg.mean),
    "GlobalMaxPool": whole_image(tg.max),
    "LayerNormalization": layer_norm,
    "MatMul": plain(tg.matmul),
    "MaxPool": pooling(tg.max_pool2d),
    "NegativeLogLikelihoodLoss": loss(F.nll_loss),
    "SoftmaxCrossEntropyLoss": loss(F.cross_entropy),
}
