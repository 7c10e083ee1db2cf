"""Which epoch was the best, where its weights are kept, and when to stop waiting for a better."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..data.dataset import whole_number
from ..errors import ArgumentError
from ..serialization import save
from .history import History


@dataclass(frozen=True)
class EarlyStopping:
    """Stop after `patience` epochs in which `monitor` gained no more than `min_delta` on its best.

    monitor: a series of the history; None is val_loss, or train_loss without validation data.
    Losses improve downwards, everything else upwards. The best weights that `fit` keeps are those
    of the best monitored epoch.
    """

    patience: int = 10
    min_delta: float = 0.0
    monitor: str | None = None

    def __post_init__(self) -> None:
        whole_number("EarlyStopping", "patience", self.patience)
        if not (math.isfinite(self.min_delta) and self.min_delta >= 0):
            raise ArgumentError(
                f"EarlyStopping: min_delta is {self.min_delta!r}; expected a finite number of at "
                "least 0."
            )


class Best:
    """The best epoch so far by the monitored figure: its weights, in memory and on disk."""

    def __init__(
        self,
        model: Any,
        early_stopping: int | EarlyStopping | None,
        checkpoint: str | Path | None,
        *,
        has_val: bool,
    ):
        if early_stopping is not None and not isinstance(early_stopping, EarlyStopping):
            early_stopping = EarlyStopping(early_stopping)
        self.model = model
        self.checkpoint = checkpoint
        self.patience = math.inf if early_stopping is None else early_stopping.patience
        self.min_delta = early_stopping.min_delta if early_stopping else 0.0
        self.monitor = (early_stopping and early_stopping.monitor) or (
            "val_loss" if has_val else "train_loss"
        )
        self.figure: float | None = None
        self.weights: dict[str, Any] | None = None
        self.waited = 0
        self.unwritten = False
        self.next_write = 0.0

    def update(self, history: History) -> bool:
        """Take note of the latest epoch; True when it is the best so far."""
        if self.monitor not in history:
            raise ArgumentError(
                f"fit: early stopping monitors {self.monitor!r}; this run has "
                f"{', '.join(history.series)}."
                + (" Pass validation data as val." if self.monitor.startswith("val_") else ""),
                code="unknown-name",
            )
        figure = history[self.monitor][-1]
        gain = 0.0 if self.figure is None else figure - self.figure
        gain = -gain if self.monitor.endswith("loss") else gain
        improved = self.figure is None or gain > self.min_delta
        if improved:
            self.figure, self.waited, history.best_epoch = figure, 0, history.epochs
            self.weights, self.unwritten = self.model.state_dict(), True
        else:
            self.waited += 1
        if time.perf_counter() >= self.next_write:
            self.write()
        return improved

    def patience_is_over(self) -> bool:
        return self.waited >= self.patience

    def write(self) -> None:
        """Put the best weights on disk, unless they are there already.

        A write waits for the disk, which can take longer than an epoch of a small network: the next
        one comes only after nineteen times as long. The end of training always writes.
        """
        if self.checkpoint is None or self.weights is None or not self.unwritten:
            return
        began = time.perf_counter()
        save(self.checkpoint, self.weights)
        self.unwritten = False
        ended = time.perf_counter()
        self.next_write = ended + 19 * (ended - began)

    def finish(self, restore: bool) -> None:
        if self.weights is None:
            self.weights, self.unwritten = self.model.state_dict(), True
            self.write()
        elif restore:
            self.model.load_state_dict(self.weights)
