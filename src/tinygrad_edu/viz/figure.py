"""The figure that every picture of this package is drawn on: one look, no global state.

A Figure is made without pyplot, so nothing is opened, nothing has to be closed, and a program that
has its own matplotlib settings keeps them.
"""

from __future__ import annotations

from typing import Any

from ..errors import UnavailableError


def matplotlib() -> Any:
    """The library, or one sentence that says how to get it (ImportError)."""
    try:
        import matplotlib as library
        import matplotlib.figure as _  # noqa: F401
    except ImportError:
        raise UnavailableError(
            "pictures are drawn with matplotlib, which is not installed: pip install "
            '"tinygrad-edu[viz]" (or: pip install matplotlib).'
        ) from None
    return library


def new_figure(size: tuple[float, float] = (10, 5)) -> Any:
    """An empty matplotlib Figure of `size` inches (width, height), 150 dots an inch."""
    return matplotlib().figure.Figure(figsize=size, dpi=150, layout="constrained")
