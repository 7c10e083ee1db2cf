"""The operations, one row each, by family. Importing this package fills the table `op.OPS`."""

from . import (
    arithmetic,
    arrange,
    contraction,
    elementwise,
    likelihood,
    linalg,
    loss,
    reduction,
    shape,
    statistics,
)

__all__ = [
    "arithmetic",
    "arrange",
    "contraction",
    "elementwise",
    "likelihood",
    "linalg",
    "loss",
    "reduction",
    "shape",
    "statistics",
]
