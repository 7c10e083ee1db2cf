"""Stochastic gradient descent."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from .. import kernels
from ..errors import ArgumentError
from ..tensor import Tensor
from .optimizer import Optimizer


class SGD(Optimizer):
    """Gradient descent with momentum (Polyak) or Nesterov momentum, as PyTorch writes it.

        d = grad + weight_decay * w;   buffer = momentum * buffer + (1 - dampening) * d   (first
        step: buffer = d) w -= lr * (d + momentum * buffer if nesterov else buffer)

    Source: I. Sutskever et al., ICML 2013. Raises ValueError for numbers out of range and for
    Nesterov without momentum.
    """

    numbers = ("lr", "momentum", "dampening", "weight_decay", "nesterov")
    memories = ("buffers",)

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float = 1e-3,
        momentum: float = 0.0,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
    ) -> None:
        super().__init__(params, lr)
        self.momentum = self._number("momentum", momentum)
        self.dampening = self._number("dampening", dampening)
        self.weight_decay = self._number("weight_decay", weight_decay)
        self.nesterov = bool(nesterov)
        if self.nesterov and (not self.momentum or self.dampening):
            raise ArgumentError(
                "SGD: nesterov=True needs a momentum above 0 and a dampening of 0.",
                code="arguments-conflict",
            )
        self._buffers: dict[int, np.ndarray] = {}

    def _update(
        self, chosen: list[int], weights: list[np.ndarray], grads: list[np.ndarray], age: int
    ) -> None:
        buffers = self._state(self._buffers, chosen, weights) if self.momentum else None
        kernels.sgd_step(
            weights,
            buffers,
            grads,
            lr=self.lr,
            momentum=self.momentum,
            dampening=self.dampening,
            nesterov=self.nesterov,
            weight_decay=self.weight_decay,
            first=age == 0,
            held=self._held,
        )
