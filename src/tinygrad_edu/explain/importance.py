"""Which inputs a model as a whole rests on: permutation importance."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import numpy as np

from ..data.dataset import plain_array, whole_number
from ..errors import ShapeError
from ..graph import no_grad
from ..metrics import accuracy
from ..nn import Module
from ..random import generator
from ..tensor import Tensor
from .reading import evaluating


def permutation_importance(
    predict: Callable,
    x: Any,
    y: Any,
    metric: Callable[[Any, Any], float] = accuracy,
    repeats: int = 5,
    rng: Any = None,
) -> np.ndarray:
    """How much the metric falls when one input is shuffled among the examples, so that it keeps its
    values and loses its meaning.

    predict: a Module, which is run in evaluation mode and is given a Tensor, or any function from
    an array like x to predictions. x: (N, ...), y: (N, ...), examples that the model was not
    trained on. metric(predictions, y): a number that is larger for better predictions. rng: int
    seed, Generator or None.
    Result: float64 (..., repeats), metric(as it is) - metric(shuffled), for each input and each
    shuffle; the mean over the last axis is the importance. It is exactly 0 for an input that is not
    read. Of inputs that say the same, each can seem unimportant, since the other is still there.
    Raises ShapeError where x and y differ in length, ValueError for repeats < 1. Source: L.
    Breiman, Machine Learning 45 (2001), section 10; with the drop of the metric for his rise of the
    error.
    """
    repeats = whole_number("permutation_importance", "repeats", repeats)
    x, y = plain_array(x), plain_array(y)
    if x.ndim < 2 or not len(x) or y.shape[:1] != x.shape[:1]:
        raise ShapeError(
            f"permutation_importance: x {x.shape} and y {y.shape}: expected (N, ...) and (N, ...), "
            "with N at least 1."
        )
    rng = generator(rng)
    shuffled = x.reshape(len(x), -1).copy()
    drops = np.empty((shuffled.shape[1], repeats))
    is_module = isinstance(predict, Module)
    still = evaluating("permutation_importance", predict) if is_module else nullcontext()
    with no_grad(), still:

        def measure(inputs: np.ndarray) -> float:
            inputs = inputs.reshape(x.shape)
            return float(metric(plain_array(predict(Tensor(inputs) if is_module else inputs)), y))

        whole = measure(shuffled)
        for feature, own in enumerate(shuffled.T.copy()):
            for repeat in range(repeats):
                shuffled[:, feature] = rng.permutation(own)
                drops[feature, repeat] = whole - measure(shuffled)
            shuffled[:, feature] = own
    return drops.reshape(*x.shape[1:], repeats)
