"""Where randomness comes from: NumPy's Generators, seeded where the caller wants repeatable
numbers.

Every function that draws takes `rng`: an int seed, a numpy Generator, or None for the package's own
generator, which `manual_seed` sets.
"""

import copy
from collections.abc import Callable
from typing import Any

import numpy as np

from .errors import ArgumentError
from .graph import open_trace, traces

_package: Any = (
    None  # made when first asked for: importing numpy.random takes as long as all of this package
)


def manual_seed(n: int) -> None:
    """Restart the package's generator from the seed `n` >= 0, so that what is drawn after it
    repeats."""
    global _package
    _stay_outside("manual_seed", "Seed before the step: what it draws goes on from there.")
    _package = _from_seed(n)


def generator(rng: Any = None) -> "np.random.Generator":
    """The Generator that `rng` means: itself, one seeded with an int, or the package's own for
    None."""
    if rng is None or isinstance(rng, np.random.Generator):
        _stay_outside("a draw", "In the step draw with tg.rand, tg.randn or dropout.")
    return _meant(rng)


def _stay_outside(what: str, instead: str) -> None:
    """Refuse what would move a stream of numbers while a step is compiled, and never again."""
    if traces and (trace := open_trace()) is not None:
        trace.refuse_random(what, instead)


def _meant(rng: Any) -> "np.random.Generator":
    global _package
    if rng is None:
        if _package is None:
            _package = np.random.default_rng()
        return _package
    if isinstance(rng, np.random.Generator):
        return rng
    return _from_seed(rng)


def draw(rng: Any, make: "Callable[[np.random.Generator], np.ndarray]") -> Any:
    """make(the Generator that `rng` means): an array; or, while a step is compiled, its place in
    the program, which draws it anew before each run. (The trace itself draws from a copy, so that
    the stream of numbers is the one of an eager run.)"""
    if traces and (trace := open_trace()) is not None:
        return trace.draw(lambda: make(_meant(rng)), make(copy.deepcopy(_meant(rng))))
    return make(_meant(rng))


def _from_seed(n: Any) -> "np.random.Generator":
    if isinstance(n, bool) or not isinstance(n, (int, np.integer)) or n < 0:
        raise ArgumentError(
            f"rng: expected a seed (an integer >= 0), a numpy Generator or None, got {n!r}."
        )
    return np.random.default_rng(int(n))
