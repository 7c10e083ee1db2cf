"""The figure that every picture of this package is drawn on: one look, no global state.

A Figure is made without pyplot, so nothing is opened, nothing has to be closed, and a program that
has its own matplotlib settings keeps them. The look is given to each Axes when it is made.
"""

from __future__ import annotations

import functools
from typing import Any

from ..errors import UnavailableError

# Told apart by colour-blind readers and on a projector: M. Okabe and K. Ito, "Color Universal
# Design" (2008), without the yellow, which a projector loses. Where colours mean classes, a class
# has a marker of its own too.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#555555")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")

_LOOK = {
    "axes.labelsize": 12,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": "#E4E4E4",
    "xtick.labelsize": 11,
    "ytick.labelsize": 11,
}


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
    """An empty matplotlib Figure of `size` inches (width, height), 150 dots an inch.

    Its title (suptitle) and the labels of its Axes are to be read from the last row; lines have
    `COLORS`, in this order, and 2 points. Raises ImportError where matplotlib is not installed.
    """
    return _figure_class()(figsize=size, dpi=150, layout="constrained")


@functools.cache
def _figure_class() -> Any:
    """matplotlib's Figure, its Axes made while our look is in force."""
    library = matplotlib()
    base: Any = library.figure.Figure
    from cycler import cycler  # a dependency of matplotlib

    look = {
        **_LOOK,
        "axes.prop_cycle": cycler(color=COLORS) + cycler(linewidth=[2.0] * len(COLORS)),
    }

    class Figure(base):
        def add_subplot(self, *args: Any, **kwargs: Any) -> Any:
            with library.rc_context(look):
                return super().add_subplot(*args, **kwargs)

        def suptitle(self, t: str, **kwargs: Any) -> Any:
            with library.rc_context({"figure.titlesize": 15}):
                return super().suptitle(t, **kwargs)

    return Figure
