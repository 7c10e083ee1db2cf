"""How a classifier errs: the confusion matrix and the ROC curve, drawn on matplotlib's Axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import metrics
from ..data.dataset import plain_array
from ..errors import ShapeError
from .figure import new_figure


def confusion_matrix(matrix: Any, ax: Any = None, labels: Sequence[Any] | None = None) -> Any:
    """The counts (C, C) of `metrics.confusion_matrix` as a table: rows are true, columns predicted.

    The shade of a cell is its share of the row, so that rare classes are seen as well as common
    ones; the number is the count, left out where it is 0. labels: C names, by default 0 to C - 1.
    ax: the matplotlib Axes to draw on; without one a new figure is made. Returns the Axes. Raises
    ShapeError unless the matrix is square and has a label for each row, ImportError without
    matplotlib.
    """
    counts = plain_array(matrix)
    if counts.ndim != 2 or counts.shape[0] != counts.shape[1] or not counts.size:
        raise ShapeError(
            f"confusion_matrix: matrix has shape {counts.shape}: expected (C, C).",
            code="unexpected-shape",
        )
    names = [str(label) for label in (range(len(counts)) if labels is None else labels)]
    if len(names) != len(counts):
        raise ShapeError(f"confusion_matrix: {len(names)} labels for {len(counts)} classes.")
    ax = new_figure((7, 6)).add_subplot() if ax is None else ax
    share = counts / np.maximum(1, counts.sum(axis=1, keepdims=True))
    ax.imshow(share, cmap="Blues", vmin=0, vmax=1)
    for row, column in np.argwhere(counts):
        color = "white" if share[row, column] > 0.5 else "black"
        text = f"{counts[row, column]:.6g}"
        ax.text(column, row, text, ha="center", va="center", color=color, fontsize=9)
    ax.set_xticks(range(len(names)), names)
    ax.set_yticks(range(len(names)), names)
    ax.set(xlabel="predicted", ylabel="true")
    return ax


def roc(scores: Any, true: Any, ax: Any = None, label: str = "", **line: Any) -> Any:
    """The ROC curve of `metrics.roc_curve`, the area under it in the legend, and the diagonal of a
    guess.

    scores: floats (n,), larger for class 1; true: (n,) of 0 and 1. label: what the curve is called
    in the legend. line: what else `Axes.plot` takes (color, linestyle, ...). Call it again on the
    same ax for a second curve. ax: the matplotlib Axes to draw on; without one a new figure is
    made. Returns the Axes. Raises as `metrics.roc_curve`, ImportError without matplotlib.
    """
    false_positives, true_positives, _ = metrics.roc_curve(scores, true)
    area = metrics.roc_auc(scores, true)
    ax = new_figure((6, 6)).add_subplot() if ax is None else ax
    if not ax.lines:
        ax.plot([0, 1], [0, 1], color="0.7", linestyle=":", zorder=1)
    name = f"{label}: area {area:.3f}" if label else f"area {area:.3f}"
    ax.plot(false_positives, true_positives, label=name, **line)
    ax.set(
        xlabel="false positive rate",
        ylabel="true positive rate",
        xlim=(-0.02, 1.02),
        aspect="equal",
    )
    ax.set_ylim(-0.02, 1.02)
    ax.legend(loc="lower right")
    return ax
