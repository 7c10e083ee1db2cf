"""Rows: convolution and pooling."""

from __future__ import annotations

from typing import Any

from ...kernels.convolution import window_pointer
from ...kernels.matrix import ACTIVATION_CODES
from ...ops.convolution import _look
from ...ops.pooling import _pool
from ..calls import Builder, Out
from ..instruction import Instruction, Place
from .table import backward, dense_of, forward

HOW = ("stride", "padding", "dilation", "groups")


def _convolution(x: Place, weight: Place, params: dict[str, Any]) -> tuple:
    """The words of a convolution's geometry."""
    how = [params[name] for name in HOW]
    window = window_pointer(_look("conv2d", x.shape, weight.shape, *how), x.shape[2:])
    return window, *x.shape[:2], weight.shape[0], how[-1]


@forward("conv2d")
def _conv2d(b: Builder, step: Instruction) -> bool:
    (out,), (x, weight, bias) = step.outputs, step.inputs
    dense = dense_of(b, out.dtype, x, weight, bias)
    if dense is None or step.params["activation"] not in ACTIVATION_CODES:
        return False
    code = ACTIVATION_CODES[step.params["activation"]]
    b.call("conv2d", out.dtype, Out(out), *dense, *_convolution(x, weight, step.params), code)
    return True


@backward("conv2d")
def _conv2d_vjp(b: Builder, step: Instruction) -> bool:
    g, out, x, weight, _ = step.inputs
    dx, dw, db = step.outputs
    dense = dense_of(b, out.dtype, g, out, x, weight)
    if dense is None:
        return False
    code = ACTIVATION_CODES[step.params["activation"]]
    if db is not None and dw is None:  # the bias is a part of the weight: they come together
        dw = b.temporary(weight.shape, out.dtype)
    read = list(dense)
    if not code:
        read[1] = None
    if dw is None:
        read[2] = None
    if dx is None:
        read[3] = None
    made = [None if p is None else Out(p) for p in (dx, dw, db)]
    geometry = _convolution(x, weight, step.params)
    b.call("conv2d_grad", out.dtype, *made, *read, *geometry, code)
    return True


def _window(name: str, shape: tuple[int, ...], params: dict[str, Any]) -> Any:
    window = _pool(name, shape, params["kernel_size"], params["stride"], params["padding"])
    return window_pointer(window, shape[2:])


@forward("max_pool2d", "avg_pool2d")
def _pooled(b: Builder, step: Instruction) -> bool:
    (out,), (x,) = step.outputs, step.inputs
    dense = dense_of(b, out.dtype, x)
    if dense is None:
        return False
    border = [int(v) for name, v in step.params.items() if name == "count_include_pad"]
    words = (_window(step.op.name, x.shape, step.params), x.shape[0] * x.shape[1], *border)
    b.call(step.op.name, out.dtype, Out(out), *dense, *words)
    return True


@backward("max_pool2d", "avg_pool2d")
def _pooled_vjp(b: Builder, step: Instruction) -> bool:
    (dx,), (g, _, x) = step.outputs, step.inputs
    dense = dense_of(b, dx.dtype, g, x)
    if dense is None:
        return False
    border = [int(v) for name, v in step.params.items() if name == "count_include_pad"]
    read = dense[:1] if border else dense
    words = (_window(step.op.name, dx.shape, step.params), dx.shape[0] * dx.shape[1], *border)
    b.call(f"{step.op.name}_grad", dx.dtype, Out(dx), *read, *words)
    return True
