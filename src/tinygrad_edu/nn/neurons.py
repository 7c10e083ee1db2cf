"""The first neurons: McCulloch and Pitts 1943, whose weights are fixed, and Rosenblatt's perceptron
1958, which learns.

Neither uses the graph: the first does not learn, the second learns by a rule that is older than the
gradient.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Any

import numpy as np

from ..errors import ArgumentError, DataError, DtypeError, ShapeError
from ..tensor import Tensor
from ..writes import mark_written
from .layers import _check_sizes
from .module import Module


class McCullochPitts(Module):
    """A threshold unit on Boolean inputs with absolute inhibition.

    It fires (1) if no inhibitory input is active and at least `threshold` of the other inputs are;
    else 0. inhibitory: the positions of the inhibitory inputs. Input (..., n_inputs) of booleans or
    0 and 1, output (...) of 0 and 1 (int64). Raises DataError for anything but Booleans, ShapeError
    for another number of inputs. Source: W. McCulloch and W. Pitts, Bulletin of Mathematical
    Biophysics 5 (1943), assumptions 1 to 5.
    """

    def __init__(self, n_inputs: int, threshold: float, inhibitory: Iterable[int] = ()) -> None:
        _check_sizes("McCullochPitts", n_inputs=n_inputs)
        if not np.isfinite(threshold):
            raise ArgumentError(
                f"McCullochPitts: threshold={threshold!r}: expected a finite number."
            )
        self.n_inputs = n_inputs
        self.threshold = threshold
        self.inhibitory = tuple(sorted(set(inhibitory)))
        if any(not 0 <= i < n_inputs for i in self.inhibitory):
            raise ArgumentError(
                f"McCullochPitts: inhibitory={self.inhibitory}: positions go from 0 to "
                f"{n_inputs - 1}."
            )

    def forward(self, x: Any) -> Any:
        array = x.data if isinstance(x, Tensor) else np.asarray(x)
        if array.ndim == 0 or array.shape[-1] != self.n_inputs:
            raise ShapeError(
                f"McCullochPitts: input {array.shape}: expected (..., {self.n_inputs}).",
                code="unexpected-shape",
            )
        if array.dtype.kind not in "biuf" or not np.all((array == 0) | (array == 1)):
            raise DataError(
                "McCullochPitts: the inputs of this neuron are Boolean, 0 or 1; got "
                f"{_first_non_boolean(array)!r}.",
                code="outside-the-domain",
            )
        active = array.astype(bool)
        excitatory = [i for i in range(self.n_inputs) if i not in self.inhibitory]
        fires = (active[..., excitatory].sum(axis=-1) >= self.threshold) & ~active[
            ..., self.inhibitory
        ].any(axis=-1)
        out = np.asarray(fires, dtype=np.int64)
        return Tensor(out) if isinstance(x, Tensor) else out

    def truth_table(self) -> np.ndarray:
        """(2**n_inputs, n_inputs + 1): every combination of inputs, in counting order, and the
        output beside it."""
        inputs = np.array(list(itertools.product((0, 1), repeat=self.n_inputs)))
        return np.column_stack([inputs, self(inputs)])

    def extra_repr(self) -> str:
        inhibitory = f", inhibitory={self.inhibitory}" if self.inhibitory else ""
        return f"{self.n_inputs}, threshold={self.threshold}{inhibitory}"


def _first_non_boolean(array: np.ndarray) -> Any:
    if array.dtype.kind not in "biuf":
        return array.dtype
    return array[(array != 0) & (array != 1)].flat[0].item()


class PerceptronHistory:
    """What `Perceptron.fit` did: mistakes in each pass, all corrections, and whether a pass went
    without a mistake."""

    def __init__(self) -> None:
        self.mistakes: list[int] = []
        self.updates = 0
        self.converged = False


class Perceptron(Module):
    """A linear predictor with step activation: 1 where x . weight + bias >= 0, else 0.

    weight (n_features,) and bias () are float64 and start at 0. Input (..., n_features), output
    (...) of 0.0 and 1.0. Source: F. Rosenblatt, Psychological Review 65 (1958).
    """

    def __init__(self, n_features: int) -> None:
        _check_sizes("Perceptron", n_features=n_features)
        self.weight = Tensor(np.zeros(n_features))
        self.bias = Tensor(np.zeros(()))
        self._labels = (0, 1)

    def decision(self, x: Any) -> Any:
        """x . weight + bias, shape (...): the signed score that the step is applied to."""
        array = np.asarray(x.data if isinstance(x, Tensor) else x, dtype=np.float64)
        if array.ndim == 0 or array.shape[-1] != self.weight.size:
            raise ShapeError(
                f"Perceptron: input {array.shape}: expected (..., {self.weight.size}).",
                code="unexpected-shape",
            )
        score = array @ self.weight.data + self.bias.data
        return Tensor(score) if isinstance(x, Tensor) else score

    def forward(self, x: Any) -> Any:
        score = self.decision(x)
        fires = np.asarray(score.data if isinstance(x, Tensor) else score) >= 0
        return (
            Tensor(fires.astype(np.float64)) if isinstance(x, Tensor) else fires.astype(np.float64)
        )

    def predict(self, x: Any) -> np.ndarray:
        """The labels (...) as `fit` was given them: 0 and 1, or -1 and 1."""
        fires = (
            np.asarray(self.decision(x).data if isinstance(x, Tensor) else self.decision(x)) >= 0
        )
        return np.where(fires, self._labels[1], self._labels[0])

    def fit(self, x: Any, y: Any, *, max_epochs: int = 1000, lr: float = 1.0) -> PerceptronHistory:
        """Rosenblatt's rule: for each example on the wrong side of the line (or on it), add lr *
        label * example.

        x (N, n_features) finite numbers, y (N,) of 0 and 1 or of -1 and 1. Passes over the examples
        in order until one pass makes no mistake, or `max_epochs`. Continues from the present
        weights. On separable data the corrections never exceed `novikoff_bound` for any separating
        line, when started from zero. Raises ShapeError, DtypeError, DataError (labels, non-finite
        numbers), ValueError (lr, max_epochs).
        """
        points, signs = self._examples(x, y)
        if not (np.isfinite(lr) and lr > 0) or max_epochs < 1:
            raise ArgumentError(
                f"Perceptron.fit: lr={lr!r}, max_epochs={max_epochs!r}: expected lr > 0, "
                "max_epochs >= 1."
            )
        history = PerceptronHistory()
        weight, bias = self.weight.data, float(self.bias.data)
        for _ in range(max_epochs):
            mistakes = 0
            for point, sign in zip(points, signs):
                if sign * (point @ weight + bias) <= 0:
                    weight += lr * sign * point
                    bias += lr * sign
                    mistakes += 1
            history.mistakes.append(mistakes)
            if not mistakes:
                history.converged = True
                break
        self.bias.data[...] = bias
        mark_written(self.weight)
        mark_written(self.bias)
        history.updates = sum(history.mistakes)
        return history

    def _examples(self, x: Any, y: Any) -> tuple[np.ndarray, np.ndarray]:
        points = np.asarray(x.data if isinstance(x, Tensor) else x)
        labels = np.asarray(y.data if isinstance(y, Tensor) else y)
        if points.dtype.kind not in "fiub" or labels.dtype.kind not in "fiub":
            raise DtypeError(
                f"Perceptron.fit: x of dtype {points.dtype}, y of dtype {labels.dtype}: expected "
                "numbers."
            )
        if (
            points.ndim != 2
            or points.shape[1] != self.weight.size
            or labels.shape != points.shape[:1]
        ):
            raise ShapeError(
                f"Perceptron.fit: x {points.shape} and y {labels.shape}: expected (N, "
                f"{self.weight.size}) "
                "and (N,)."
            )
        if not len(points):
            raise DataError("Perceptron.fit: there are no examples.", code="empty-data")
        found = set(np.unique(labels).tolist())
        if not (found <= {0, 1} or found <= {-1, 1}):
            raise DataError(
                f"Perceptron.fit: labels {sorted(found)}: expected 0 and 1, or -1 and 1.",
                code="unexpected-labels",
            )
        if not np.isfinite(points).all():
            raise DataError("Perceptron.fit: x holds NaN or infinity.", code="outside-the-domain")
        self._labels = (-1, 1) if -1 in found else (0, 1)
        return points.astype(np.float64), np.where(labels > 0, 1.0, -1.0)

    def extra_repr(self) -> str:
        return f"{self.weight.size}"


def novikoff_bound(x: Any, y: Any, weight: Any, bias: float) -> float:
    """The most corrections that Rosenblatt's rule can make from zero: (R / gamma)**2.

    R is the length of the longest example, gamma the margin of the separating line (weight, bias),
    both with the constant input 1 of the bias included; lr cancels. x (N, F), y (N,) of 0 and 1 or
    -1 and 1. Raises DataError where the line does not separate. Source: A. Novikoff, Symposium on
    the Mathematical Theory of Automata (1962), theorem 1.
    """
    points = np.column_stack([np.asarray(x, dtype=np.float64), np.ones(len(x))])
    line = np.append(np.asarray(weight, dtype=np.float64), bias)
    signs = np.where(np.asarray(y) > 0, 1.0, -1.0)
    margin = float((signs * (points @ line)).min() / np.linalg.norm(line))
    if not margin > 0:
        raise DataError(
            f"novikoff_bound: the line does not separate the examples (margin {margin:.3g}).",
            code="outside-the-domain",
        )
    return float((np.linalg.norm(points, axis=1).max() / margin) ** 2)
