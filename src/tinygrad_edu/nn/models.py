"""Whole networks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..kernels.matrix import ACTIVATION_CODES
from ..random import generator
from .activations import BY_NAME
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
            raise ValueError(
                f"MLP: sizes={sizes!r}: expected a list of layer sizes, e.g. MLP(2, [16, 1])."
            )
        _check_sizes("MLP", n_in=n_in, **{f"sizes[{i}]": size for i, size in enumerate(sizes)})
        if activation not in BY_NAME:
            raise ValueError(
                f"MLP: activation={activation!r}: expected one of {', '.join(BY_NAME)}."
            )
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

    def forward(self, x: Any) -> Any:
        for layer in self.layers[:-1]:
            x = layer(x)
            if self._between is not None:
                x = self._between(x)
        return self.layers[-1](x)
