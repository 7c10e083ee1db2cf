"""How good predictions are: accuracy, the confusion matrix, precision, recall, F1, the ROC curve.

Predictions and truth may be Tensors, arrays or lists, and each in the form it happens to have:

    labels           integers or booleans, (n,) or (n, 1)
    scores           floats (n, C), one column a class: the largest wins, the first of equals
    a binary logit   floats (n, 1): class 1 where it is above 0; as truth, only 0 and 1, or -1 and 1

Everything returned is a plain Python float or an ndarray: a metric is looked at, not
differentiated. Every function raises ValueError for empty input, ShapeError when the numbers of
predictions and truths differ, DtypeError for floats (n,), which could be labels, logits or
probabilities, and ValueError for scores that are NaN.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .data.dataset import plain_array, whole_number
from .errors import ArgumentError, DtypeError, ShapeError


def accuracy(predicted: Any, true: Any) -> float:
    """The share of examples whose predicted class is the true one."""
    predicted, true = _paired("accuracy", predicted, true)
    return float(np.mean(predicted == true))


def confusion_matrix(predicted: Any, true: Any, n_classes: int | None = None) -> np.ndarray:
    """Counts (C, C), int64: row i, column j says how often true class i was predicted as j.

    n_classes: C; by default the number of score columns, or the largest label plus one.
    Raises ValueError for labels that are negative or not below C.
    """
    columns = [
        array.shape[1] for array in (plain_array(predicted), plain_array(true)) if _is_scores(array)
    ]
    predicted, true = _paired("confusion_matrix", predicted, true)
    lowest, highest = min(predicted.min(), true.min()), max(predicted.max(), true.max())
    if n_classes is None:
        n_classes = max([*columns, int(highest) + 1])
    n_classes = whole_number("confusion_matrix", "n_classes", n_classes)
    if lowest < 0 or highest >= n_classes:
        wrong = lowest if lowest < 0 else highest
        raise ArgumentError(
            f"confusion_matrix: found the label {wrong}; expected 0 to {n_classes - 1}.",
            code="unexpected-labels",
        )
    cells = true.astype(np.int64) * n_classes + predicted.astype(np.int64)
    return np.bincount(cells, minlength=n_classes**2).reshape(n_classes, n_classes)


def precision(predicted: Any, true: Any, *, average: str | None = "macro") -> float | np.ndarray:
    """Of the examples predicted as a class, the share that is of it; 0 if none was predicted so.

    average: "macro", the plain mean over the classes that occur in `predicted` or `true`; or None,
    one value a class, float64 (C,).
    """
    hits, said, were = _counts(predicted, true)
    return _averaged("precision", _ratio(hits, said), said + were > 0, average)


def recall(predicted: Any, true: Any, *, average: str | None = "macro") -> float | np.ndarray:
    """Of the examples of a class, the share that was predicted as it; 0 if there are none.

    average: as in `precision`.
    """
    hits, said, were = _counts(predicted, true)
    return _averaged("recall", _ratio(hits, were), said + were > 0, average)


def f1(predicted: Any, true: Any, *, average: str | None = "macro") -> float | np.ndarray:
    """The harmonic mean of precision and recall, class by class: 2 hits / (predicted + true).

    average: as in `precision`. Source: C. J. van Rijsbergen, Information Retrieval (1979), chapter
    7, at beta = 1.
    """
    hits, said, were = _counts(predicted, true)
    return _averaged("f1", _ratio(2 * hits, said + were), said + were > 0, average)


def roc_curve(scores: Any, true: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """False positive rate, true positive rate, threshold, float64 (k,) each: (0, 0) to (1, 1).

    scores: floats (n,) or (n, 1), larger for class 1; true: labels 0 and 1. The point at a
    threshold counts every score that is at least it; equal scores share one point, so that the
    curve does not depend on their order.
    Raises ValueError unless both classes occur. Source: T. Fawcett, Pattern Recognition Letters 27
    (2006).
    """
    scores, true = plain_array(scores), _labels("roc_curve", plain_array(true), "true")
    if scores.shape not in ((len(true),), (len(true), 1)):
        raise ShapeError(
            f"roc_curve: scores have shape {scores.shape} for {len(true)} labels; expected one a "
            "label."
        )
    scores = scores.reshape(-1).astype(np.float64)
    if np.isnan(scores).any():
        raise ArgumentError(
            "roc_curve: some scores are NaN, so that they have no order.", code="outside-the-domain"
        )
    if not np.array_equal(np.unique(true), [0, 1]):
        raise ArgumentError(
            f"roc_curve: labels are {np.unique(true)[:5]}; expected 0 and 1, each at least once.",
            code="unexpected-labels",
        )
    order = np.argsort(-scores, kind="stable")
    scores, positive = scores[order], true[order] == 1
    last_of_equals = np.append(np.flatnonzero(scores[1:] != scores[:-1]), len(scores) - 1)
    hits = np.cumsum(positive)[last_of_equals]
    alarms = last_of_equals + 1 - hits
    start = np.zeros(1)
    return (
        np.concatenate([start, alarms / alarms[-1]]),
        np.concatenate([start, hits / hits[-1]]),
        np.concatenate([start + np.inf, scores[last_of_equals]]),
    )


def roc_auc(scores: Any, true: Any) -> float:
    """The area under the ROC curve: how often a positive outscores a negative, ties one half."""
    alarms, hits, _ = roc_curve(scores, true)
    return float(np.sum(np.diff(alarms) * (hits[1:] + hits[:-1]) / 2))


def _is_scores(array: np.ndarray) -> bool:
    return array.ndim == 2 and array.shape[1] > 1


def _labels(metric: str, array: np.ndarray, role: str) -> np.ndarray:
    """Any of the forms as one label an example, integers (n,)."""
    if array.dtype.kind not in "biuf":
        raise DtypeError(f"{metric}: {role} has dtype {array.dtype}; expected labels or scores.")
    if array.ndim == 0 or array.ndim > 2:
        raise ShapeError(
            f"{metric}: {role} has shape {array.shape}; expected labels (n,) or scores (n, "
            "classes).",
            code="unexpected-shape",
        )
    if array.size == 0:
        raise ArgumentError(
            f"{metric}: {role} is empty (shape {array.shape}): there is nothing to measure.",
            code="empty-data",
        )
    if array.dtype.kind == "f" and np.isnan(array).any():
        raise ArgumentError(
            f"{metric}: {role} holds NaN, which is in no class. Did training diverge?",
            code="outside-the-domain",
        )
    if _is_scores(array):
        return array.argmax(axis=1)
    if array.dtype.kind != "f":
        return array.reshape(-1).astype(np.int64)
    if array.ndim == 2:
        if role == "true" and not np.isin(array, (-1, 0, 1)).all():
            raise ArgumentError(
                f"{metric}: true holds {array.dtype} other than 0 and 1 (or -1 and 1): these are "
                "values to predict, not classes. In fit, pass metrics=() for a regression.",
                code="unexpected-labels",
            )
        return (array[:, 0] > 0).astype(np.int64)
    raise DtypeError(
        f"{metric}: {role} is {array.dtype} of shape {array.shape}, which may be labels, logits or "
        "probabilities. Pass integers, booleans such as `probability > 0.5`, logits of shape (n, "
        "1), or scores (n, classes).",
        code="not-an-integer-dtype",
    )


def _paired(metric: str, predicted: Any, true: Any) -> tuple[np.ndarray, np.ndarray]:
    predicted = _labels(metric, plain_array(predicted), "predicted")
    true = _labels(metric, plain_array(true), "true")
    if len(predicted) != len(true):
        raise ShapeError(
            f"{metric}: {len(predicted)} predictions and {len(true)} true labels; expected one "
            "each."
        )
    return predicted, true


def _counts(predicted: Any, true: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For each class: predicted rightly, predicted at all, true at all."""
    matrix = confusion_matrix(predicted, true)
    return np.diagonal(matrix), matrix.sum(axis=0), matrix.sum(axis=1)


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.zeros(len(part)), where=whole > 0)


def _averaged(
    metric: str, values: np.ndarray, occurs: np.ndarray, average: str | None
) -> float | np.ndarray:
    if average is None:
        return values
    if average != "macro":
        raise ArgumentError(
            f'{metric}: average is {average!r}; expected "macro" or None.', code="unknown-name"
        )
    return float(values[occurs].mean())
