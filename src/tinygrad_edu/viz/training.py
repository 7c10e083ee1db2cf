"""Training curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..errors import UnknownNameError
from .figure import COLORS, new_figure


def curves(history: Any, ax: Any = None, *, metric: str = "loss") -> Any:
    """One metric of training and of validation, epoch by epoch; the best epoch is marked.

    history: a `History`, or {name: list of numbers} with names as there ("train_loss", "val_loss").
    metric: "loss", "accuracy", ... ax: the matplotlib Axes to draw on; without one a new figure is
    made. Returns the Axes.
    Raises UnknownNameError (a KeyError) where the history has no such metric, ImportError without
    matplotlib.
    """
    series: Mapping[str, Sequence[float]] = getattr(history, "series", history)
    names = [name for name in (f"train_{metric}", f"val_{metric}") if name in series]
    if not names:
        known = sorted({name.split("_", 1)[1] for name in series if "_" in name})
        raise UnknownNameError(f"curves: the history has no {metric!r}; it has {', '.join(known)}.")
    ax = new_figure((8, 5)).add_subplot() if ax is None else ax
    for name, color in zip(names, COLORS):
        values = series[name]
        ax.plot(range(1, len(values) + 1), values, color=color, label=name.split("_")[0])
    best = getattr(history, "best_epoch", None)
    if best is not None:
        ax.plot(
            [best], [series[names[-1]][best - 1]], "o", color="black", label=f"best epoch: {best}"
        )
    ax.set(xlabel="epoch", ylabel=metric.replace("_", " "))
    ax.locator_params(axis="x", integer=True)
    ax.legend(frameon=False)
    return ax
