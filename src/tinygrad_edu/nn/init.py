"""First values of weights: functions from a shape to an ndarray. `rng` is a seed, a Generator or
None.

A weight is (out, in, ...): fan_in counts what flows into one output.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..kernels.library import on_lines
from ..random import generator


def fan_in(shape: tuple[int, ...]) -> int:
    """How many inputs one output of a weight (out, in, ...) sums over."""
    return math.prod(shape[1:])


def uniform(
    shape: tuple[int, ...], bound: float, *, dtype: Any = np.float32, rng: Any = None
) -> np.ndarray:
    """Uniform in [-bound, bound)."""
    weight = on_lines(shape, dtype)
    weight[...] = generator(rng).uniform(-bound, bound, shape)
    return weight


def kaiming_uniform(
    shape: tuple[int, ...], *, gain: float = math.sqrt(2), dtype: Any = np.float32, rng: Any = None
) -> np.ndarray:
    """Uniform with variance gain**2 / fan_in, which keeps the size of activations through relu
    layers.

    Source: K. He et al., ICCV 2015, eq. 10.
    """
    return uniform(shape, gain * math.sqrt(3 / max(1, fan_in(shape))), dtype=dtype, rng=rng)


def xavier_uniform(
    shape: tuple[int, ...], *, gain: float = 1.0, dtype: Any = np.float32, rng: Any = None
) -> np.ndarray:
    """Uniform with variance 2 gain**2 / (fan_in + fan_out). Source: X. Glorot and Y. Bengio,
    AISTATS 2010, eq. 16."""
    fan_out = shape[0] * math.prod(shape[2:])
    return uniform(
        shape, gain * math.sqrt(6 / max(1, fan_in(shape) + fan_out)), dtype=dtype, rng=rng
    )
