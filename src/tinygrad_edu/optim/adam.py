"""Adam and AdamW."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from .. import kernels
from ..tensor import Tensor
from .optimizer import Optimizer


class Adam(Optimizer):
    """Steps scaled by running means of the gradient and of its square, both corrected for their
    start at zero.

        m = beta1 m + (1 - beta1) d;   v = beta2 v + (1 - beta2) d**2 w -= lr / (1 - beta1**t) * m /
        (sqrt(v) / sqrt(1 - beta2**t) + eps)          with d = grad + weight_decay * w

    Source: D. Kingma and J. Ba, ICLR 2015, algorithm 1. Raises ValueError for numbers out of range.
    """

    numbers = ("lr", "betas", "eps", "weight_decay")
    memories = ("means", "squares")
    decoupled = False

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(params, lr)
        self.betas = (
            self._number("betas[0]", betas[0], below=1.0),
            self._number("betas[1]", betas[1], below=1.0),
        )
        self.eps = self._number("eps", eps)
        self.weight_decay = self._number("weight_decay", weight_decay)
        self._means: dict[int, np.ndarray] = {}
        self._squares: dict[int, np.ndarray] = {}

    def _update(
        self, chosen: list[int], weights: list[np.ndarray], grads: list[np.ndarray], age: int
    ) -> None:
        means = self._state(self._means, chosen, weights)
        squares = self._state(self._squares, chosen, weights)
        kernels.adam_step(
            weights,
            means,
            squares,
            grads,
            lr=self.lr,
            beta1=self.betas[0],
            beta2=self.betas[1],
            eps=self.eps,
            weight_decay=self.weight_decay,
            decoupled=self.decoupled,
            step=age + 1,
            held=self._held,
        )


class AdamW(Adam):
    """Adam whose weight decay shrinks the weights directly, w *= 1 - lr * weight_decay, instead of
    joining the gradient.

    Source: I. Loshchilov and F. Hutter, ICLR 2019, algorithm 2. Raises ValueError for numbers out
    of range.
    """

    decoupled = True

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
    ) -> None:
        super().__init__(params, lr, betas, eps, weight_decay)
