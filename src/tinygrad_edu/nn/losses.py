"""Losses as modules: the functions of `functional.py` with their parameters fixed at
construction."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

from . import functional
from .module import Module

if TYPE_CHECKING:
    from ..payloads import Operand
    from ..tensor import Tensor
    from .functional import Reduction


class _Loss(Module):
    function: Callable[..., Any]

    def __init__(self, *, reduction: Reduction = "mean") -> None:
        self.params: dict[str, Any] = {"reduction": reduction}

    def forward(self, input: Tensor, target: Operand) -> Tensor:
        return type(self).function(input, target, **self.params)

    def extra_repr(self) -> str:
        return ", ".join(f"{key}={value!r}" for key, value in self.params.items())


class MSELoss(_Loss):
    """The mean of (input - target)**2; see `functional.mse_loss`."""

    function = functional.mse_loss


class L1Loss(_Loss):
    """The mean of |input - target|; see `functional.l1_loss`."""

    function = functional.l1_loss


class HingeLoss(_Loss):
    """The mean of max(0, 1 - input * target) for targets of +-1; see `functional.hinge_loss`."""

    function = functional.hinge_loss


class HuberLoss(_Loss):
    """Quadratic within `delta` of the target, linear beyond; see `functional.huber_loss`."""

    function = functional.huber_loss

    def __init__(self, *, delta: float = 1.0, reduction: Reduction = "mean") -> None:
        super().__init__(reduction=reduction)
        self.params["delta"] = delta


class BCELoss(_Loss):
    """Binary cross-entropy of probabilities; see `functional.binary_cross_entropy`. Of logits it is
    more accurate: `BCEWithLogitsLoss`."""

    function = functional.binary_cross_entropy


class BCEWithLogitsLoss(_Loss):
    """Binary cross-entropy of logits; see `functional.binary_cross_entropy_with_logits`."""

    function = functional.binary_cross_entropy_with_logits


class CrossEntropyLoss(_Loss):
    """Cross-entropy of logits (N, C) and classes (N,) or probabilities (N, C); see
    `functional.cross_entropy`."""

    function = functional.cross_entropy

    def __init__(self, *, label_smoothing: float = 0.0, reduction: Reduction = "mean") -> None:
        super().__init__(reduction=reduction)
        self.params["label_smoothing"] = label_smoothing


class NLLLoss(_Loss):
    """Minus the log-probability of the target class; see `functional.nll_loss`."""

    function = functional.nll_loss


class KLDivLoss(_Loss):
    """The Kullback-Leibler divergence of log-probabilities from a target distribution; see
    `functional.kl_div`."""

    function = functional.kl_div

    def __init__(
        self, *, log_target: bool = False, reduction: Reduction | Literal["batchmean"] = "mean"
    ) -> None:
        self.params = {"reduction": reduction, "log_target": log_target}
