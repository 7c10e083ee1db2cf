"""The training loop.

    for each epoch
        train mode   for each batch: predict, loss, backward, step
        eval mode    the validation loss and metrics, nothing recorded
        then         note the figures; keep the weights if they are the best; callbacks; stop early?

Two invariants. Ctrl-C is answered between batches, never inside one, so that no optimizer step is
ever half done (a second Ctrl-C does not wait). And whichever way the loop ends, what it promised to
keep is kept: the best weights are in the checkpoint and, when asked, back in the model.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .. import metrics as metric_functions
from ..data import ArrayDataset, DataLoader
from ..data.dataset import whole_number
from ..errors import AnomalyError, ArgumentError, CallError, DataError, ShapeError
from ..graph import no_grad
from ..tensor import Tensor
from .best import Best, EarlyStopping
from .history import History
from .interrupt import Interrupt
from .progress import reporter

# To add a metric that fit knows by name, write it here: (predictions, targets), arrays of all
# examples, to a number.
METRICS: dict[str, Callable[[Any, Any], Any]] = {
    "accuracy": metric_functions.accuracy,
    "precision": metric_functions.precision,
    "recall": metric_functions.recall,
    "f1": metric_functions.f1,
}


@dataclass
class Run:
    """What a callback sees after each epoch. Setting `stop` to True ends training there."""

    model: Any
    optimizer: Any
    history: History
    epoch: int
    epochs: int
    stop: bool = False


def fit(
    model: Any,
    loss: Callable[..., Any],
    optimizer: Any,
    train: Any,
    val: Any = None,
    *,
    epochs: int = 10,
    batch_size: int = 32,
    metrics: Iterable[str | Callable[..., Any]] = ("accuracy",),
    shuffle: bool = True,
    early_stopping: int | EarlyStopping | None = None,
    checkpoint: str | Path | None = None,
    restore_best: bool | None = None,
    callbacks: Iterable[Callable[[Run], Any]] = (),
    progress: bool | None = None,
    rng: Any = None,
) -> History:
    """Train `model` so that `loss(model(*inputs), targets)` falls, and return the History.

    train, val: an ArrayDataset or a tuple of arrays `(inputs, ..., targets)`, batched by
    `batch_size` and, for training, shuffled with `rng` (int seed, Generator or None); or a
    DataLoader, which brings its own batches and order. loss: predictions and targets to a single
    number, the mean over the batch.
    metrics: names ("accuracy", "precision", "recall", "f1") or functions of (predictions, targets)
    with a name.
    early_stopping: the patience in epochs, or an EarlyStopping.
    checkpoint: a `.npz` or `.safetensors` file for the best weights so far, replaced in one step,
    as often as takes a twentieth of the time, and when training ends in whatever way.
    restore_best: whether the model ends with the best weights and not the last; by default when
    `val` is given. callbacks: called with a Run after each epoch. progress: True shows progress on
    stderr, False does not, None does when stderr is a terminal.

    Ctrl-C ends training after the current batch: fit returns as usual, with `history.interrupted`
    True, the best weights (the current ones, if no epoch was completed) in the checkpoint. The
    model is left in eval mode.
    Raises DataError for empty data, ValueError or TypeError for other arguments out of their range,
    FloatingPointError when the loss is no longer finite.
    """
    epochs = whole_number("fit", "epochs", epochs)
    train = _batches("train", train, batch_size, shuffle, rng)
    val = None if val is None else _batches("val", val, batch_size, False, None)
    measures = _measures(metrics)
    best = Best(model, early_stopping, checkpoint, has_val=val is not None)
    run = Run(model, optimizer, History(), 0, epochs)
    restore = val is not None if restore_best is None else restore_best
    try:
        with Interrupt() as interrupt, reporter(progress, epochs, len(train)) as report:
            while run.epoch < epochs and not run.stop:
                run.epoch += 1
                run.history.append(**_epoch(run, loss, train, val, measures, interrupt, report))
                improved = best.update(run.history)
                report.epoch(run.epoch, run.history.last(), improved)
                for callback in callbacks:
                    callback(run)
                interrupt.check()
                run.stop = run.stop or best.patience_is_over()
    except KeyboardInterrupt:
        run.history.interrupted = True
    finally:
        best.write()
    run.history.stopped_early = run.stop and run.epoch < epochs
    best.finish(restore)
    model.eval()
    return run.history


def evaluate(
    model: Any,
    loss: Callable[..., Any],
    data: Any,
    *,
    metrics: Iterable[str | Callable[..., Any]] = ("accuracy",),
    batch_size: int = 256,
) -> dict[str, float]:
    """The mean loss and the metrics of `model` on `data`: {"loss": ..., "accuracy": ...}.

    Arguments as in `fit`. The model is put in eval mode, and left there. Raises DataError for empty
    data.
    """
    batches = _batches("data", data, batch_size, False, None)
    return _evaluate(model, loss, batches, _measures(metrics), lambda: None, "batch")


def _epoch(
    run: Run,
    loss: Callable[..., Any],
    train: Any,
    val: Any,
    measures: dict[Any, Any],
    interrupt: Interrupt,
    report: Any,
) -> dict[Any, Any]:
    """Train for one epoch, then validate: the figures for the history."""
    began, lr = time.perf_counter(), float(run.optimizer.lr)
    run.model.train()
    seen = Totals(measures)
    for number, (inputs, target) in enumerate(_pairs(train), start=1):
        run.optimizer.zero_grad()
        output = run.model(*inputs)
        value = loss(output, target)
        seen.add(
            _finite(value, f"epoch {run.epoch}, batch {number} (learning rate {lr:g})"),
            output,
            target,
        )
        value.backward()
        run.optimizer.step()
        report.batch(number)
        interrupt.check()
    figures = {f"train_{name}": figure for name, figure in seen.figures().items()}
    if val is not None:
        validated = _evaluate(
            run.model, loss, val, measures, interrupt.check, f"epoch {run.epoch}, validation batch"
        )
        figures |= {f"val_{name}": figure for name, figure in validated.items()}
    return figures | {"seconds": time.perf_counter() - began, "lr": lr}


def _evaluate(
    model: Any,
    loss: Callable[..., Any],
    batches: Any,
    measures: dict[Any, Any],
    check: Callable[[], None],
    where: str,
) -> dict[str, float]:
    model.eval()
    seen = Totals(measures)
    with no_grad():
        for number, (inputs, target) in enumerate(_pairs(batches), start=1):
            output = model(*inputs)
            seen.add(_finite(loss(output, target), f"{where} {number}"), output, target)
            check()
    return seen.figures()


class Totals:
    """The mean loss over examples, and the predictions and targets that the metrics need.

    A metric is computed once, on all of them: the mean of the F1 of batches would not be the F1 of
    the set.
    """

    def __init__(self, measures: dict[str, Callable[..., Any]]):
        self.measures = measures
        self.loss_sum = 0.0
        self.count = 0
        self.outputs: list[np.ndarray] = []
        self.targets: list[np.ndarray] = []

    def add(self, loss: float, output: Any, target: Any) -> None:
        n = len(target.data)
        self.loss_sum += loss * n
        self.count += n
        if self.measures:
            self.outputs.append(output.payload)
            self.targets.append(target.data)

    def figures(self) -> dict[str, float]:
        result = {"loss": self.loss_sum / self.count}
        if self.measures:
            outputs, targets = np.concatenate(self.outputs), np.concatenate(self.targets)
            result |= {
                name: float(measure(outputs, targets)) for name, measure in self.measures.items()
            }
        return result


def _batches(role: str, data: Any, batch_size: int, shuffle: bool, rng: Any) -> Any:
    """`data` as batches; TypeError for what is no data, DataError for no batches."""
    if isinstance(data, tuple):
        data = ArrayDataset(*data)
    if isinstance(data, ArrayDataset):
        if len(data.arrays) < 2:
            raise CallError(
                f"{role}: the data set has {len(data.arrays)} array; expected inputs and targets.",
                code="wrong-arguments",
            )
        data = DataLoader(data, batch_size, shuffle, rng=rng)
    if not isinstance(data, DataLoader):
        raise CallError(
            f"{role}: got {type(data).__name__}; expected a DataLoader, an ArrayDataset or a tuple "
            "(x, y)."
        )
    if len(data) == 0:
        raise DataError(
            f"{role}: no batches: {len(data.dataset)} examples at batch size {data.batch_size}"
            f"{', the incomplete batch dropped' if data.drop_last else ''}.",
            code="empty-data",
        )
    return data


def _pairs(batches: Any) -> Iterator[tuple[tuple[Any, ...], Any]]:
    for *inputs, target in batches:
        yield tuple(inputs), target


def _measures(metrics: Iterable[str | Callable[..., Any]]) -> dict[str, Callable[..., Any]]:
    measures: dict[str, Callable[..., Any]] = {}
    for metric in [metrics] if isinstance(metrics, str) else metrics:
        if isinstance(metric, str) and metric not in METRICS:
            raise ArgumentError(
                f"unknown metric {metric!r}; known are {', '.join(METRICS)}. A function works too.",
                code="unknown-name",
            )
        name = (
            metric
            if isinstance(metric, str)
            else getattr(metric, "__name__", type(metric).__name__)
        )
        measures[name] = METRICS[metric] if isinstance(metric, str) else metric
    return measures


def _finite(loss: Any, where: str) -> float:
    """The loss as a float; CallError unless it is a Tensor, ShapeError unless it is one number,
    AnomalyError unless finite."""
    if not isinstance(loss, Tensor):
        raise CallError(
            f"the loss is {loss!r} ({type(loss).__name__}); expected a Tensor, whose graph "
            "backward follows: return the loss itself, without .item(), float() or .numpy()."
        )
    if loss.size != 1:
        raise ShapeError(
            f'the loss has shape {loss.shape}; expected a single number: use reduction="mean".',
            code="non-scalar-loss",
        )
    value = float(loss.item())
    if not math.isfinite(value):
        raise AnomalyError(
            f"the loss is {value} at {where}. Try a learning rate ten times smaller, inputs scaled "
            "to about one, and the losses of tg.nn.functional on logits (not on probabilities); "
            "then look for NaN in the data.",
            code="non-finite-loss",
        )
    return value
