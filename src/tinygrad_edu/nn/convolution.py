"""Layers over images (N, C, H, W): Conv2d, MaxPool2d, AvgPool2d. Sizes are an integer, or a pair
for height and width."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import ArgumentError
from ..ops.convolution import conv2d, pair
from ..ops.pooling import avg_pool2d, max_pool2d
from ..random import generator
from ..tensor import Tensor
from . import init
from .layers import _check_sizes
from .module import Module, Weightless

if TYPE_CHECKING:
    from ..payloads import Operand


class Conv2d(Module):
    """A bank of `out_channels` filters slid over the images: (N, in_channels, H, W) to (N,
    out_channels, out, out).

    weight: (out_channels, in_channels / groups, kernel height, kernel width), bias: (out_channels,)
    or absent. With `groups` the channels are split and each part has its own filters. `activation`:
    None, "relu", "sigmoid" or "tanh", in the same kernel. Weight and bias start uniform in
    +-1/sqrt(numbers in a filter), as in PyTorch. `rng`: seed, Generator or None. See
    `functional.conv2d`.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] = 1,
        padding: int | tuple[int, int] = 0,
        dilation: int | tuple[int, int] = 1,
        groups: int = 1,
        bias: bool = True,
        *,
        activation: str | None = None,
        dtype: Any = np.float32,
        rng: Any = None,
    ) -> None:
        _check_sizes("Conv2d", in_channels=in_channels, out_channels=out_channels, groups=groups)
        if in_channels % groups or out_channels % groups:
            raise ArgumentError(
                f"Conv2d: groups={groups}: expected a divisor of in_channels={in_channels} and of "
                f"out_channels={out_channels}.",
                code="arguments-conflict",
            )
        kernel = pair("Conv2d", "kernel_size", kernel_size, 1)
        self.kernel_size = kernel
        self.stride = pair("Conv2d", "stride", stride, 1)
        self.padding = pair("Conv2d", "padding", padding, 0)
        self.dilation = pair("Conv2d", "dilation", dilation, 1)
        self.groups, self.activation = groups, activation
        rng = generator(rng)
        shape = (out_channels, in_channels // groups, *kernel)
        bound = 1 / math.sqrt(init.fan_in(shape))
        self.weight = Tensor(init.uniform(shape, bound, dtype=dtype, rng=rng), requires_grad=True)
        self.bias = (
            Tensor(init.uniform(shape[:1], bound, dtype=dtype, rng=rng), requires_grad=True)
            if bias
            else None
        )

    def forward(self, x: Operand, *, padding: int | tuple[int, int] | None = None) -> Tensor:
        """`padding`: for this call, in the place of the layer's."""
        return conv2d(
            x,
            self.weight,
            self.bias,
            self.stride,
            self.padding if padding is None else padding,
            self.dilation,
            self.groups,
            self.activation,
        )

    def hyperparameters(self) -> dict[str, Any]:
        chosen: dict[str, Any] = {"filters": self.weight.shape[0]}
        chosen |= {"kernel_size": self.kernel_size, "stride": self.stride}
        usual = {"padding": (0, 0), "dilation": (1, 1), "groups": 1, "activation": None}
        chosen |= {k: getattr(self, k) for k, value in usual.items() if getattr(self, k) != value}
        return chosen if self.bias is not None else chosen | {"bias": False}

    def extra_repr(self) -> str:
        n_out, per_group = self.weight.shape[:2]
        text = f"{per_group * self.groups}, {n_out}, kernel_size={self.kernel_size}"
        for name, usual in {"stride": (1, 1), "padding": (0, 0), "dilation": (1, 1)}.items():
            if getattr(self, name) != usual:
                text += f", {name}={getattr(self, name)}"
        text += f", groups={self.groups}" if self.groups != 1 else ""
        text += "" if self.bias is not None else ", bias=False"
        return text + (f", activation={self.activation!r}" if self.activation else "")


class _Pool2d(Weightless):
    kernel_size: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]

    def hyperparameters(self) -> dict[str, Any]:
        chosen = {"kernel_size": self.kernel_size, "stride": self.stride}
        return chosen if self.padding == (0, 0) else chosen | {"padding": self.padding}


class MaxPool2d(_Pool2d):
    """The largest entry in each window, which moves by its own size unless `stride` says otherwise;
    see `functional.max_pool2d`."""

    def __init__(
        self,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] | None = None,
        padding: int | tuple[int, int] = 0,
    ) -> None:
        self.kernel_size = pair("MaxPool2d", "kernel_size", kernel_size, 1)
        self.stride = self.kernel_size if stride is None else pair("MaxPool2d", "stride", stride, 1)
        self.padding = pair("MaxPool2d", "padding", padding, 0)

    def forward(self, x: Any) -> Any:
        return max_pool2d(x, self.kernel_size, self.stride, self.padding)

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class AvgPool2d(_Pool2d):
    """The mean of each window, which moves by its own size unless `stride` says otherwise; see
    `functional.avg_pool2d`."""

    def __init__(
        self,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] | None = None,
        padding: int | tuple[int, int] = 0,
        *,
        count_include_pad: bool = True,
    ) -> None:
        self.kernel_size = pair("AvgPool2d", "kernel_size", kernel_size, 1)
        self.stride = self.kernel_size if stride is None else pair("AvgPool2d", "stride", stride, 1)
        self.padding = pair("AvgPool2d", "padding", padding, 0)
        self.count_include_pad = count_include_pad

    def forward(self, x: Any) -> Any:
        return avg_pool2d(x, self.kernel_size, self.stride, self.padding, self.count_include_pad)

    def extra_repr(self) -> str:
        text = f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"
        return text + ("" if self.count_include_pad else ", count_include_pad=False")
