"""Schedules of the learning rate: StepLR, CosineAnnealingLR, OneCycleLR, ReduceLROnPlateau.

A scheduler writes `optimizer.lr` (OneCycleLR the momentum too). Call `scheduler.step()` after
`optimizer.step()`, once per epoch, or once per batch for OneCycleLR. Names, arguments and numbers
are PyTorch's; `last_epoch` counts the steps. One optimizer takes one scheduler.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..errors import ArgumentError, CallError, UnknownNameError
from ..graph import stay_outside
from ..tensor import Tensor
from .optimizer import Optimizer

_AFTER = "Call it after the step: a new rate takes effect at once."


class Scheduler:
    """The base of schedules that are a formula of `last_epoch`: a subclass gives `_lr()`.

    `state` names the attributes that make up the state.
    """

    state: tuple[str, ...] = ("last_epoch", "base_lr")

    def __init__(self, optimizer: Optimizer) -> None:
        if not isinstance(optimizer, Optimizer):
            raise CallError(
                f"{type(self).__name__}: expected an optimizer, got {type(optimizer).__name__}."
            )
        self.optimizer = optimizer
        self.base_lr = optimizer.lr
        self.last_epoch = 0

    def step(self) -> None:
        """Go on by one epoch (or batch) and set the learning rate for it."""
        stay_outside(f"{type(self).__name__}.step()", _AFTER)
        self.last_epoch += 1
        self._apply()

    def get_last_lr(self) -> list[float]:
        """The learning rate now, in a list, as PyTorch has it."""
        return [self.optimizer.lr]

    def _lr(self) -> float:
        raise NotImplementedError

    def _apply(self) -> None:
        self.optimizer.lr = self._lr()

    def state_dict(self) -> dict[str, float]:
        """{name: number} of what changes; the arguments of the constructor are not among it."""
        return {name: getattr(self, name) for name in self.state}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue where `state` was taken, and set the learning rate accordingly. It loads whole
        or, raising KeyError or ValueError, not at all."""
        missing, unknown = (
            sorted(set(self.state) - set(state)),
            sorted(set(state) - set(self.state)),
        )
        if missing or unknown:
            raise UnknownNameError(
                f"{type(self).__name__}: missing {missing or 'nothing'}, not expected "
                f"{unknown or 'nothing'}. Load it into a scheduler of the kind that was saved.",
                code="state-mismatch",
            )
        for name, number in [(name, self._loaded(name, state[name])) for name in self.state]:
            setattr(self, name, number)
        self._apply()

    def _loaded(self, name: str, value: Any) -> float:
        """A saved number, of the type that the attribute has."""
        own = getattr(self, name)
        array = np.asarray(value)
        if array.size != 1 or array.dtype.kind not in "fiu" or math.isnan(array.item()):
            raise ArgumentError(
                f"{type(self).__name__}: {name}={value!r}: expected one number.",
                code="state-mismatch",
            )
        number = array.item()
        if name != "best" and not 0 <= number < math.inf:
            raise ArgumentError(
                f"{type(self).__name__}: {name}={number!r}: expected 0 or more.",
                code="state-mismatch",
            )
        return type(own)(number)

    def _check(self, name: str, value: Any, good: bool, expected: str) -> None:
        if not good:
            raise ArgumentError(
                f"{type(self).__name__}: {name}={value!r}: expected {expected}.",
                code="bad-hyperparameter",
            )


class StepLR(Scheduler):
    """lr = base_lr * gamma**(last_epoch // step_size): times `gamma` every `step_size` epochs."""

    def __init__(self, optimizer: Optimizer, step_size: int, gamma: float = 0.1) -> None:
        super().__init__(optimizer)
        self._check("step_size", step_size, step_size >= 1, "at least 1")
        self._check("gamma", gamma, 0 <= gamma < math.inf, "a finite number of 0 or more")
        self.step_size, self.gamma = step_size, gamma

    def _lr(self) -> float:
        return self.base_lr * self.gamma ** (self.last_epoch // self.step_size)


class CosineAnnealingLR(Scheduler):
    """lr = eta_min + (base_lr - eta_min) (1 + cos(pi last_epoch / T_max)) / 2: down along half a
    cosine in `T_max` epochs, and up again after them.

    Source: I. Loshchilov and F. Hutter, ICLR 2017, eq. 5 (without restarts).
    """

    def __init__(self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0) -> None:
        super().__init__(optimizer)
        self._check("T_max", T_max, T_max >= 1, "at least 1")
        self._check("eta_min", eta_min, 0 <= eta_min < math.inf, "a finite number of 0 or more")
        self.T_max, self.eta_min = T_max, eta_min

    def _lr(self) -> float:
        return _cosine(self.base_lr, self.eta_min, self.last_epoch / self.T_max)


class OneCycleLR(Scheduler):
    """Up to `max_lr` and down again to far below the start, in one cycle over the whole training;
    step it after every batch.

    The cycle starts at max_lr / div_factor, is at max_lr after the part `pct_start`, and ends at
    max_lr / div_factor / final_div_factor; with `three_phase` it goes down to the start as fast as
    it went up, and then to the end. Each part is a half cosine (`anneal_strategy="cos"`) or a line
    ("linear"). With `cycle_momentum` the momentum (of Adam: the first beta) moves the other way,
    from max_momentum to base_momentum and back.

    The length is `total_steps`, or `epochs` times `steps_per_epoch`. Raises ValueError for
    arguments out of range, for an optimizer without momentum where it is to be cycled, and for more
    steps than the cycle has. Source: L. Smith and N. Topin, arXiv:1708.07120 (2017).
    """

    state = ("last_epoch",)

    def __init__(
        self,
        optimizer: Optimizer,
        max_lr: float,
        total_steps: int | None = None,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        pct_start: float = 0.3,
        anneal_strategy: str = "cos",
        cycle_momentum: bool = True,
        base_momentum: float = 0.85,
        max_momentum: float = 0.95,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        three_phase: bool = False,
    ) -> None:
        super().__init__(optimizer)
        if total_steps is None:
            if epochs is None or steps_per_epoch is None:
                raise ArgumentError(
                    "OneCycleLR: the length is missing: pass total_steps, or epochs and "
                    "steps_per_epoch.",
                    code="arguments-conflict",
                )
            total_steps = epochs * steps_per_epoch
        self._check("total_steps", total_steps, total_steps >= 1, "at least 1")
        self._check("max_lr", max_lr, 0 <= max_lr < math.inf, "a finite number of 0 or more")
        self._check("pct_start", pct_start, 0 <= pct_start <= 1, "a number from 0 to 1")
        self._check("div_factor", div_factor, div_factor > 0, "a number above 0")
        self._check("final_div_factor", final_div_factor, final_div_factor > 0, "above 0")
        known = anneal_strategy in _ANNEAL
        self._check("anneal_strategy", anneal_strategy, known, "'cos' or 'linear'")
        low, high = base_momentum, max_momentum
        self._check("base_momentum", low, 0 <= low < 1, "a number from 0 to below 1")
        self._check("max_momentum", high, 0 <= high < 1, "a number from 0 to below 1")
        has_momentum = hasattr(optimizer, "betas") or hasattr(optimizer, "momentum")
        if cycle_momentum and not has_momentum:
            raise ArgumentError(
                f"OneCycleLR: {type(optimizer).__name__} has no momentum to cycle: pass "
                "cycle_momentum=False.",
                code="arguments-conflict",
            )
        self.total_steps, self.cycle_momentum = total_steps, cycle_momentum
        self._anneal = _ANNEAL[anneal_strategy]
        first, peak = max_lr / div_factor, max_lr
        last = first / final_div_factor
        top = pct_start * total_steps - 1
        end = total_steps - 1
        self._phases: list[tuple[Any, ...]] = [(top, first, peak, high, low)]
        if three_phase:
            self._phases += [(2 * top, peak, first, low, high), (end, first, last, high, high)]
        else:
            self._phases += [(end, peak, last, low, high)]
        self._apply()

    def step(self) -> None:
        """Go on by one batch and set the learning rate (and momentum) for it."""
        if self.last_epoch >= self.total_steps:
            raise ArgumentError(
                f"OneCycleLR: the cycle of {self.total_steps} steps is over. Pass the number of "
                "all batches of all epochs as total_steps.",
                code="schedule-over",
            )
        super().step()

    def _apply(self) -> None:
        phases = list(self._phases)
        begin, phase = 0.0, phases.pop(0)
        while phases and self.last_epoch > phase[0]:
            begin, phase = phase[0], phases.pop(0)
        end, lr, next_lr, momentum, next_momentum = phase
        part = (self.last_epoch - begin) / (end - begin) if end != begin else 1.0
        self.optimizer.lr = self._anneal(lr, next_lr, part)
        if self.cycle_momentum:
            _set_momentum(self.optimizer, self._anneal(momentum, next_momentum, part))


class ReduceLROnPlateau(Scheduler):
    """lr *= factor when a metric has not improved for more than `patience` epochs: step(metric).

    mode: "min" where small metrics are good, "max" where large ones are. A metric improves if it is
    better than the best so far by the share `threshold` (`threshold_mode="rel"`) or by `threshold`
    itself ("abs"); NaN never is. After a reduction, `cooldown` epochs are not counted. The rate
    never goes below `min_lr`, nor changes by `eps` or less. Raises ValueError for arguments out of
    range.
    """

    state = ("last_epoch", "best", "num_bad_epochs", "cooldown_counter", "lr")

    def __init__(
        self,
        optimizer: Optimizer,
        mode: str = "min",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: str = "rel",
        cooldown: int = 0,
        min_lr: float = 0.0,
        eps: float = 1e-8,
    ) -> None:
        super().__init__(optimizer)
        self._check("mode", mode, mode in ("min", "max"), "'min' or 'max'")
        self._check("factor", factor, 0 <= factor < 1, "a number from 0 to below 1")
        self._check("patience", patience, patience >= 0, "0 or more")
        self._check("threshold", threshold, 0 <= threshold < math.inf, "0 or more")
        relative = threshold_mode == "rel"
        self._check(
            "threshold_mode", threshold_mode, relative or threshold_mode == "abs", "'rel' or 'abs'"
        )
        self._check("cooldown", cooldown, cooldown >= 0, "0 or more")
        self._check("min_lr", min_lr, 0 <= min_lr < math.inf, "a finite number of 0 or more")
        self._check("eps", eps, 0 <= eps < math.inf, "a finite number of 0 or more")
        self.mode, self.factor, self.patience, self.relative = mode, factor, patience, relative
        self.threshold, self.cooldown, self.min_lr, self.eps = threshold, cooldown, min_lr, eps
        self.best = math.inf if mode == "min" else -math.inf
        self.num_bad_epochs = self.cooldown_counter = 0

    @property
    def lr(self) -> float:
        """The optimizer's learning rate, which is where this scheduler keeps its own."""
        return self.optimizer.lr

    @lr.setter
    def lr(self, value: float) -> None:
        self.optimizer.lr = value

    def step(self, metric: Any) -> None:  # type: ignore[override]
        """Go on by one epoch, which ended with `metric` (a number, or a Tensor of one element)."""
        stay_outside(f"{type(self).__name__}.step()", _AFTER)
        current = float(metric.item() if isinstance(metric, Tensor) else metric)
        self.last_epoch += 1
        if self._improves(current):
            self.best = current
            self.num_bad_epochs = 0
        else:
            self.num_bad_epochs += 1
        if self.cooldown_counter > 0:
            self.cooldown_counter -= 1
            self.num_bad_epochs = 0
        if self.num_bad_epochs > self.patience:
            reduced = max(self.optimizer.lr * self.factor, self.min_lr)
            if self.optimizer.lr - reduced > self.eps:
                self.optimizer.lr = reduced
            self.cooldown_counter = self.cooldown
            self.num_bad_epochs = 0

    def _improves(self, current: float) -> bool:
        sign = 1 if self.mode == "min" else -1
        if self.relative:
            return sign * current < sign * self.best * (1 - sign * self.threshold)
        return sign * current < sign * self.best - self.threshold

    def _apply(self) -> None:
        """Nothing to compute: the learning rate is part of the state."""


def _cosine(start: float, end: float, part: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * part)) / 2


def _line(start: float, end: float, part: float) -> float:
    return start + (end - start) * part


_ANNEAL = {"cos": _cosine, "linear": _line}


def _set_momentum(optimizer: Any, value: float) -> None:
    if hasattr(optimizer, "betas"):
        optimizer.betas = (value, optimizer.betas[1])
    else:
        optimizer.momentum = value
