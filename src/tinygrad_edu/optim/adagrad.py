"""Adagrad."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ..kernels import reference
from ..tensor import Tensor
from .optimizer import Optimizer


class Adagrad(Optimizer):
    """Steps scaled by the root of the sum of all squared gradients so far, as PyTorch writes it.

        s = s + d**2   (at first: initial_accumulator_value)
        w -= lr / (1 + (t - 1) lr_decay) * d / (sqrt(s) + eps)

    with d = grad + weight_decay * w in step t = 1, 2, ... Source: J. Duchi, E. Hazan and Y. Singer,
    JMLR 12 (2011). Raises ValueError for numbers out of range.
    """

    numbers = ("lr", "lr_decay", "weight_decay", "initial_accumulator_value", "eps")
    memories = ("sums",)

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float = 1e-2,
        lr_decay: float = 0.0,
        weight_decay: float = 0.0,
        initial_accumulator_value: float = 0.0,
        eps: float = 1e-10,
    ) -> None:
        super().__init__(params, lr)
        self.lr_decay = self._number("lr_decay", lr_decay)
        self.weight_decay = self._number("weight_decay", weight_decay)
        self.initial_accumulator_value = self._number(
            "initial_accumulator_value", initial_accumulator_value
        )
        self.eps = self._number("eps", eps)
        self._sums: dict[int, np.ndarray] = {}

    def _update(
        self, chosen: list[int], weights: list[np.ndarray], grads: list[np.ndarray], age: int
    ) -> None:
        reference.adagrad_step(
            weights,
            self._state(self._sums, chosen, weights, start=self.initial_accumulator_value),
            grads,
            lr=self.lr / (1 + age * self.lr_decay),
            eps=self.eps,
            weight_decay=self.weight_decay,
        )
