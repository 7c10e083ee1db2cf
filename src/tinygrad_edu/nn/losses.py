"""Losses as modules: the functions of `functional.py` with their parameters fixed at
construction."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from ..errors import CallError
from . import functional
from .module import Module


class _Loss(Module):
    function: Callable

    def __init__(self, *, reduction: str = "mean", **params: Any) -> None:
        known = inspect.signature(type(self).function).parameters
        for name in params:
            if name not in list(known)[2:]:
                raise CallError(
                    f"{type(self).__name__}() has no parameter {name!r}.", code="unknown-parameter"
                )
        self.params = {"reduction": reduction, **params}

    def forward(self, input: Any, target: Any) -> Any:
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


class NLLLoss(_Loss):
    """Minus the log-probability of the target class; see `functional.nll_loss`."""

    function = functional.nll_loss


class KLDivLoss(_Loss):
    """The Kullback-Leibler divergence of log-probabilities from a target distribution; see
    `functional.kl_div`."""

    function = functional.kl_div
