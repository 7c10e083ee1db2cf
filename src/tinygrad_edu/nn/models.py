"""Whole networks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import ArgumentError, ShapeError
from ..kernels.matrix import ACTIVATION_CODES
from ..ops.shape import flatten
from ..random import generator
from ..tensor import Tensor
from .activations import BY_NAME
from .convolution import AvgPool2d, Conv2d
from .layers import Linear, _check_sizes
from .module import Module


class MLP(Module):
    """A multilayer perceptron: fully connected layers with an activation between them, none after
    the last.

    n_in: number of inputs. sizes: outputs of each layer, so MLP(784, [128, 10]) has one hidden
    layer of 128. activation: a name in `nn.activations.BY_NAME`; relu, sigmoid and tanh run inside
    the layer's kernel. Input (..., n_in), output (..., sizes[-1]). `rng`: seed, Generator or None.
    """

    def __init__(
        self,
        n_in: int,
        sizes: Sequence[int],
        activation: str = "relu",
        *,
        dtype: Any = np.float32,
        rng: Any = None,
    ) -> None:
        if isinstance(sizes, (int, np.integer)) or not len(sizes):
            raise ArgumentError(
                f"MLP: sizes={sizes!r}: expected a list of layer sizes, e.g. MLP(2, [16, 1])."
            )
        _check_sizes("MLP", n_in=n_in, **{f"sizes[{i}]": size for i, size in enumerate(sizes)})
        _check_activation("MLP", activation)
        rng = generator(rng)
        fused = activation if activation in ACTIVATION_CODES else None
        widths = [n_in, *sizes]
        last = len(sizes) - 1
        self.layers = [
            Linear(
                widths[i],
                widths[i + 1],
                activation=fused if i < last else None,
                dtype=dtype,
                rng=rng,
            )
            for i in range(len(sizes))
        ]
        self.activation = activation
        self._between = None if fused else BY_NAME[activation]

    def forward(self, x: Any) -> Tensor:
        for layer in self.layers[:-1]:
            x = layer(x)
            if self._between is not None:
                x = self._between(x)
        return self.layers[-1](x)

    def hyperparameters(self) -> dict[str, Any]:
        """One activation for all hidden layers, where there are any."""
        return {"activation": self.activation} if len(self.layers) > 1 else {}


class LeNet5(Module):
    """The network that read handwritten digits in 1998: two convolutions, each averaged down by
    half, and three fully connected layers; 61,706 parameters for ten classes.

    Input (N, 1, 32, 32), or (N, 1, 28, 28), which is put in the middle of 32 x 32 zeros. Output
    logits (N, n_classes). activation: a name in `nn.activations.BY_NAME`. Simpler than the original
    where later practice is: averages without a coefficient of their own, every map of the second
    convolution reads all of the first, a linear last layer. `rng`: seed, Generator or None.
    Source: Y. LeCun et al., Proceedings of the IEEE 86 (1998), section II.B.
    """

    def __init__(
        self,
        n_classes: int = 10,
        activation: str = "tanh",
        *,
        dtype: Any = np.float32,
        rng: Any = None,
    ) -> None:
        _check_sizes("LeNet5", n_classes=n_classes)
        _check_activation("LeNet5", activation)
        rng = generator(rng)
        fused = activation if activation in ACTIVATION_CODES else None
        self.conv1 = Conv2d(1, 6, 5, activation=fused, dtype=dtype, rng=rng)
        self.pool1 = AvgPool2d(2)
        self.conv2 = Conv2d(6, 16, 5, activation=fused, dtype=dtype, rng=rng)
        self.pool2 = AvgPool2d(2)
        self.head = MLP(16 * 5 * 5, [120, 84, n_classes], activation, dtype=dtype, rng=rng)
        self.activation = activation
        self._between = None if fused else BY_NAME[activation]

    def forward(self, x: Any) -> Tensor:
        if x.ndim != 4 or x.shape[1:] not in ((1, 32, 32), (1, 28, 28)):
            raise ShapeError(
                f"LeNet5: x has shape {x.shape}: expected (N, 1, 32, 32) or (N, 1, 28, 28). "
                "Flat rows of 784 are x.reshape(-1, 1, 28, 28).",
                code="unexpected-shape",
            )
        between = self._between or (lambda z: z)
        x = self.pool1(between(self.conv1(x, padding=(32 - x.shape[-1]) // 2)))
        x = self.pool2(between(self.conv2(x)))
        return self.head(flatten(x, 1))


def _check_activation(model: str, activation: str) -> None:
    if activation not in BY_NAME:
        raise ArgumentError(
            f"{model}: activation={activation!r}: expected one of {', '.join(BY_NAME)}.",
            code="unknown-name",
        )
