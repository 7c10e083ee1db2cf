"""The operations, one row each, by family. Importing this package fills the table `op.OPS`."""

from . import arithmetic, elementwise, linalg, loss, reduction, shape

__all__ = ["arithmetic", "elementwise", "linalg", "loss", "reduction", "shape"]
