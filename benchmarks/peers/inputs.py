"""The numbers that every peer starts from: the same arrays, drawn by NumPy from one seed.

A work is described by a dict: `kind` ("gemm", "step", "epoch", "forward", "lenet", "elementwise",
"moons") and its sizes; an epoch is `steps` steps, each on a batch of its own, in one call. A peer
turns it into a `Contender`. Nothing here knows a peer.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

THREADS = int(os.environ.get("OMP_NUM_THREADS", "1"))
STEPS = 4  # the training steps whose losses all peers must agree on
RATE = {"sgd": 0.01, "adam": 0.001}
MOMENTUM = 0.9
BETA1, BETA2, EPS = 0.9, 0.999, 1e-8  # of Adam: the default of every peer

LENET_SHAPES = ((6, 1, 5, 5), (16, 6, 5, 5), (120, 400), (84, 120), (10, 84))


@dataclass
class Contender:
    """`run(n)` does the work n times and returns when it is done; `result` is what must agree."""

    run: Callable[[int], Any]
    result: list[float]


def repeat(call: Callable[[], Any]) -> Callable[[int], None]:
    """`call` as a `run`."""

    def run(n: int) -> None:
        for _ in range(n):
            call()

    return run


def training(
    session: Callable[[float], Callable[[], Any]],
    optimizer: str,
    looped: Callable[[Callable[[], Any]], Callable[[int], Any]] = repeat,
) -> Contender:
    """A Contender of training steps: `session(rate)` starts from the first weights and returns the
    step, which returns its loss as an array of no axes.

    What is timed is a session whose rate is so small that no weight moves. A real rate would fit
    the one batch perfectly, gradients would vanish, and the blocks would time the momentum buffers
    fading into subnormal numbers, which cost some processors a hundred times more.
    """
    step = session(RATE[optimizer])
    losses = [step().item() for _ in range(STEPS)]
    return Contender(looped(session(1e-12)), losses)


def epochs(
    session: Callable[[float], Callable[[], Any]],
    optimizer: str,
    looped: Callable[[Callable[[], Any]], Callable[[int], Any]] = repeat,
) -> Contender:
    """The same of whole epochs: a session's function returns the losses of all its steps, of which
    the first ones must agree."""
    losses = np.asarray(session(RATE[optimizer])())[:STEPS]
    return Contender(looped(session(1e-12)), losses.tolist())


def sample(array: Any) -> list[float]:
    """64 entries, evenly spread, of an array."""
    flat = np.asarray(array).ravel()
    return flat[np.linspace(0, flat.size - 1, 64).astype(int)].astype(float).tolist()


def operands(spec: dict) -> tuple[np.ndarray, np.ndarray]:
    """The two factors of a gemm as they are stored: T in the form means stored transposed."""
    rng, (m, n, k) = np.random.default_rng(0), spec["mnk"]
    first, second = spec["form"]
    a = rng.standard_normal((m, k) if first == "N" else (k, m))
    b = rng.standard_normal((k, n) if second == "N" else (n, k))
    return a.astype(spec["dtype"]), b.astype(spec["dtype"])


def points(spec: dict) -> np.ndarray:
    """Where an elementwise function is evaluated: normal numbers, positive ones for log."""
    x = np.random.default_rng(0).standard_normal(spec["size"]).astype(spec["dtype"])
    return np.abs(x) if spec["function"] == "log" else x


def shapes(spec: dict) -> list[tuple[int, ...]]:
    """The shape of each weight, (out, in, ...), from the input on."""
    if spec["kind"] == "lenet":
        return list(LENET_SHAPES)
    return list(zip(spec["sizes"][1:], spec["sizes"][:-1]))


def parameters(spec: dict) -> list[np.ndarray]:
    """weight, bias, weight, bias ... in float32, uniform in +-1/sqrt(fan in)."""
    rng, arrays = np.random.default_rng(0), []
    for shape in shapes(spec):
        bound = np.prod(shape[1:]) ** -0.5
        arrays += [rng.uniform(-bound, bound, s).astype(np.float32) for s in (shape, shape[:1])]
    return arrays


def batch(spec: dict) -> tuple[np.ndarray, np.ndarray]:
    """(input, target): classes as int64, or (N, 1) numbers where the network has one output. The
    batches of an epoch follow one another."""
    rng, n = np.random.default_rng(1), spec["batch"] * spec.get("steps", 1)
    shape = (n, 1, 28, 28) if spec["kind"] == "lenet" else (n, spec["sizes"][0])
    x = rng.random(shape, np.float32)
    if is_regression(spec):
        return x, rng.standard_normal((n, 1)).astype(np.float32)
    return x, rng.integers(0, shapes(spec)[-1][0], n)


def is_regression(spec: dict) -> bool:
    """One output means mean squared error, more mean cross-entropy."""
    return bool(shapes(spec)[-1][0] == 1)


def multiply_adds(spec: dict) -> int:
    """Those of the matrix products in a step of a multilayer perceptron: each layer forward, the
    gradient of its weight, and but for the first that of its input."""
    layers = [out * fan_in for out, fan_in in shapes(spec)]
    return int(spec["batch"] * (3 * sum(layers) - layers[0]))
