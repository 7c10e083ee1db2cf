"""The errors of the package, each also of the built-in kind that a caller would catch without
knowing us.

A message is written for the person who made the mistake: the operation, what came, what was
expected, what to do.
"""


class TinygradEduError(Exception):
    """The common ancestor, for a caller who wants to catch whatever this package refuses."""


class ShapeError(TinygradEduError, ValueError):
    """Shapes that do not fit together."""


class DtypeError(TinygradEduError, TypeError):
    """A dtype that the operation has no meaning for."""


class GraphError(TinygradEduError, RuntimeError):
    """A derivative that the graph cannot give: freed, detached, overwritten or never recorded."""


class AnomalyError(TinygradEduError, FloatingPointError):
    """A NaN or inf that appeared within `detect_anomaly()`."""


class DataError(TinygradEduError, ValueError):
    """A file or a data set that is not what it claims to be."""
