"""Layers that have no better home: Linear, Sequential, Flatten, Dropout."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import ArgumentError, CallError
from ..op import OPS, apply
from ..ops.shape import flatten
from ..random import generator
from ..tensor import Tensor
from . import functional, init
from .module import Module, Weightless

if TYPE_CHECKING:
    from ..payloads import Operand

LINEAR = OPS["linear"]


class Linear(Module):
    """y = act(x @ weight.T + bias), in one kernel.

    weight: (out_features, in_features), bias: (out_features,) or absent. `activation`: None,
    "relu", "sigmoid" or "tanh". Input (..., in_features), output (..., out_features). Weight and
    bias start uniform in +-1/sqrt(in_features), as in PyTorch. `rng`: seed, Generator or None.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        *,
        activation: str | None = None,
        dtype: Any = np.float32,
        rng: Any = None,
    ) -> None:
        _check_sizes("Linear", in_features=in_features, out_features=out_features)
        rng = generator(rng)
        bound = 1 / math.sqrt(in_features)
        shape = (out_features, in_features)
        self.weight = Tensor(init.uniform(shape, bound, dtype=dtype, rng=rng), requires_grad=True)
        self.bias = (
            Tensor(init.uniform(shape[:1], bound, dtype=dtype, rng=rng), requires_grad=True)
            if bias
            else None
        )
        self.activation = activation

    def forward(self, x: Operand) -> Tensor:
        # the door itself: all parameters of the row are given, so there is nothing to bind
        return apply(LINEAR, (x, self.weight, self.bias), {"activation": self.activation})

    def hyperparameters(self) -> dict[str, Any]:
        chosen: dict[str, Any] = {"units": self.weight.shape[0]}
        if self.bias is None:
            chosen["bias"] = False
        if self.activation:
            chosen["activation"] = self.activation
        return chosen

    def extra_repr(self) -> str:
        n_out, n_in = self.weight.shape
        bias = "" if self.bias is not None else ", bias=False"
        activation = f", activation={self.activation!r}" if self.activation else ""
        return f"{n_in}, {n_out}{bias}{activation}"


def _check_sizes(layer: str, **sizes: Any) -> None:
    for name, size in sizes.items():
        if isinstance(size, bool) or not isinstance(size, (int, np.integer)) or size < 1:
            raise ArgumentError(f"{layer}: {name}={size!r}: expected a whole number of at least 1.")


class Sequential(Module):
    """Modules (or plain functions) one after the other: Sequential(Linear(2, 8), tg.tanh, Linear(8,
    1))."""

    def __init__(self, *layers: Any) -> None:
        for i, layer in enumerate(layers):
            if not callable(layer):
                raise CallError(
                    f"Sequential: layer {i} is a {type(layer).__name__}, which cannot be called."
                )
        self.layers = list(layers)

    def forward(self, x: Any) -> Any:
        for layer in self.layers:
            x = layer(x)
        return x

    def hyperparameters(self) -> dict[str, Any]:
        """The plain functions among the layers; the Modules speak for themselves."""
        return {
            f"layers.{i}.activation": getattr(layer, "__name__", type(layer).__name__)
            for i, layer in enumerate(self.layers)
            if not isinstance(layer, Module)
        }

    def __len__(self) -> int:
        return len(self.layers)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.layers)

    def __getitem__(self, i: Any) -> Any:
        return Sequential(*self.layers[i]) if isinstance(i, slice) else self.layers[i]


class Flatten(Weightless):
    """(N, ...) to (N, everything else)."""

    def forward(self, x: Any) -> Any:
        return flatten(x, 1)


class Dropout(Weightless):
    """Zero a share `p` of the elements while training; see `functional.dropout`. `rng`: seed,
    Generator or None."""

    def __init__(self, p: float = 0.5, *, rng: Any = None) -> None:
        if not 0 <= p < 1:
            raise ArgumentError(f"Dropout: p={p!r}: expected a probability from 0 to less than 1.")
        self.p = p
        self.rng = None if rng is None else generator(rng)

    def forward(self, x: Any) -> Any:
        return functional.dropout(x, self.p, training=self.training, rng=self.rng)

    def extra_repr(self) -> str:
        return f"p={self.p}"
