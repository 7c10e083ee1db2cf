"""The operations, one row each, by family. Importing this package fills the table `op.OPS`."""

from . import (
    arithmetic,
    arrange,
    contraction,
    convolution,
    elementwise,
    embedding,
    likelihood,
    linalg,
    loss,
    normalization,
    pooling,
    reduction,
    shape,
    statistics,
)

__all__ = [
    "arithmetic",
    "arrange",
    "contraction",
    "convolution",
    "elementwise",
    "embedding",
    "likelihood",
    "linalg",
    "loss",
    "normalization",
    "pooling",
    "reduction",
    "shape",
    "statistics",
]
