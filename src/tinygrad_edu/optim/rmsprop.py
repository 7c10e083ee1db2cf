"""RMSprop."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ..kernels import reference
from ..tensor import Tensor
from .optimizer import Optimizer


class RMSprop(Optimizer):
    """Steps scaled by a running mean of the squared gradient, as PyTorch writes it.

        v = alpha v + (1 - alpha) d**2;   m = alpha m + (1 - alpha) d   (only if `centered`)
        r = d / (sqrt(v - m**2 if centered else v) + eps)
        w -= lr * r;   with momentum: b = momentum b + r and w -= lr * b

    with d = grad + weight_decay * w; everything starts at 0. Sources: T. Tieleman and G. Hinton,
    Coursera lecture 6.5 (2012); centered: A. Graves, arXiv:1308.0850 (2013), eq. 38. Raises
    ValueError for numbers out of range.
    """

    numbers = ("lr", "alpha", "eps", "weight_decay", "momentum", "centered")
    memories = ("squares", "means", "buffers")

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum: float = 0.0,
        centered: bool = False,
    ) -> None:
        super().__init__(params, lr)
        self.alpha = self._number("alpha", alpha)
        self.eps = self._number("eps", eps)
        self.weight_decay = self._number("weight_decay", weight_decay)
        self.momentum = self._number("momentum", momentum)
        self.centered = bool(centered)
        self._squares: dict[int, np.ndarray] = {}
        self._means: dict[int, np.ndarray] = {}
        self._buffers: dict[int, np.ndarray] = {}

    def _update(
        self, chosen: list[int], weights: list[np.ndarray], grads: list[np.ndarray], age: int
    ) -> None:
        reference.rmsprop_step(
            weights,
            self._state(self._squares, chosen, weights),
            self._state(self._means, chosen, weights) if self.centered else None,
            self._state(self._buffers, chosen, weights) if self.momentum else None,
            grads,
            lr=self.lr,
            alpha=self.alpha,
            eps=self.eps,
            weight_decay=self.weight_decay,
            momentum=self.momentum,
        )
