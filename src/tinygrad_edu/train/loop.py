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

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from .. import metrics as metric_functions
from ..data import ArrayDataset, DataLoader
from ..data.dataset import whole_number
from ..errors import AnomalyError, ArgumentError, CallError, DataError
from ..graph import no_grad
from .best import Best, EarlyStopping
from .history import History
from .interrupt import Interrupt
from .progress import reporter
from .steps import NOT_FINITE, Steps, require_finite, single

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
    compile: bool | None = None,
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

    compile: None runs the step (zero_grad, forward, loss, backward, optimizer) as a program of
    `tg.compile`, whose figures are those of Python, only sooner; what cannot be compiled is run by
    Python, and progress says why in one line, as does `history.eager_because`. A program is made
    while Python runs the step twice, for each form of batch: what the model, the loss or a hook do
    besides computing, such as printing or counting, happens then and not in every step. False
    leaves every step to Python; True is None that says why not on stderr even where progress is not
    shown, unless it is False.

    Ctrl-C ends training after the current batch, or after a twentieth of a second of them: fit
    returns as usual, with `history.interrupted` True, the best weights (the current ones, if no
    epoch was completed) in the checkpoint. The model is left in eval mode.
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
        shown = reporter(progress, epochs, len(train), asked=bool(compile))
        with Interrupt() as interrupt, shown as report:
            steps = Steps(
                model, loss, optimizer, compile=compile, with_outputs=bool(measures), say=report.say
            )
            while run.epoch < epochs and not run.stop:
                run.epoch += 1
                figures = _epoch(run, steps, loss, train, val, measures, interrupt, report)
                run.history.append(**figures)
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
    steps: Steps,
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

    def tick(number: int) -> None:
        report.batch(number)
        interrupt.check()

    try:
        steps.epoch(train, seen, tick)
    except AnomalyError as error:
        batch = 1 + (error.step or 0)
        _advise(error, f"epoch {run.epoch}, batch {batch} (learning rate {lr:g})")
    finally:
        run.history.eager_because = steps.because
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
        for number, (*inputs, target) in enumerate(batches, start=1):
            output = model(*inputs)
            value = single(loss(output, target))
            try:
                require_finite(value)
            except AnomalyError as error:
                _advise(error, f"{where} {number}")
            seen.add(value.payload, output.payload, target.payload)
            check()
    return seen.figures()


def _advise(error: AnomalyError, where: str) -> NoReturn:
    """Raise `error` again; one of a loss that is not finite says where, and what to do."""
    if error.code != NOT_FINITE:
        raise error
    raise AnomalyError(
        f"{error.args[0]} at {where}. Try a learning rate ten times smaller, inputs scaled to "
        "about one, and the losses of tg.nn.functional on logits (not on probabilities); then look "
        "for NaN in the data.",
        code="non-finite-loss",
    ) from None


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

    def add(self, loss: np.ndarray, output: Any, target: np.ndarray) -> None:
        """One batch: the mean loss over it, a single number; outputs (n, ...), targets (n, ...)."""
        n = len(target)
        self.loss_sum += loss.item() * n
        self.count += n
        if self.measures:
            self.outputs.append(output)
            self.targets.append(target)

    def add_many(self, losses: np.ndarray, outputs: Any, targets: np.ndarray) -> None:
        """Batches of equal size: losses (steps, ...), outputs (steps, n, ...), targets (steps * n,
        ...)."""
        n = len(targets) // len(losses)
        for loss in losses.reshape(-1).tolist():
            self.loss_sum += loss * n
        self.count += len(targets)
        if self.measures:
            self.outputs.extend(outputs)
            self.targets.append(targets)

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
