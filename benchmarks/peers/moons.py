"""One number a node: a step on 100 points of two moons with a network [2, 16, 16, 1] of scalars.

Value and MLP have micrograd's interface; the loss is a hinge plus weight decay, as in its demo.
"""

from __future__ import annotations

import gc
import random
from collections.abc import Callable
from typing import Any

import numpy as np
from inputs import STEPS, Contender, repeat

DECAY, RATE = 1e-4, 0.1


def points() -> tuple[np.ndarray, list[int]]:
    """(100, 2) points on two interleaved half circles, and their labels, -1 and 1."""
    rng = np.random.default_rng(0)
    angle = rng.uniform(0, np.pi, 50)
    arcs = [(np.cos(angle), np.sin(angle)), (1 - np.cos(angle), 0.5 - np.sin(angle))]
    x = np.concatenate([np.stack(arc, 1) for arc in arcs])
    return x + 0.1 * rng.standard_normal(x.shape), [-1] * 50 + [1] * 50


def contender(
    Value: Any,
    MLP: Any,
    collect: bool = True,
    compiled: Callable[[Callable[..., Any]], Callable[..., Any]] | None = None,
) -> Contender:
    """collect: leave Python's cyclic garbage collector on, as it is in a script. compiled: what
    makes a function of arrays, and fast, of one of Values."""
    random.seed(0)
    model = MLP(2, [16, 16, 1])
    x, labels = points()
    rows = x.tolist()

    def loss_of(rows: Any, labels: Any) -> Any:
        scores = [model(row) for row in rows]
        hinges = [(1 + -label * score).relu() for label, score in zip(labels, scores)]
        decay = DECAY * sum(p * p for p in model.parameters())
        return sum(hinges) * (1.0 / len(hinges)) + decay

    fast = compiled(loss_of) if compiled else None

    def step() -> Any:
        if fast is not None:
            loss = fast(x, np.array(labels))
        else:
            loss = loss_of([[Value(number) for number in row] for row in rows], labels)
        model.zero_grad()
        loss.backward()
        for p in model.parameters():
            p.data -= RATE * p.grad
        return loss

    def run_without_collector(n: int) -> None:
        gc.disable()
        try:
            for _ in range(n):
                step()
        finally:
            gc.enable()

    losses = [step().data for _ in range(STEPS)]
    return Contender(repeat(step) if collect else run_without_collector, losses)
