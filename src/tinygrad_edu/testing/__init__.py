"""The testing kit: check that a gradient is the derivative of its function, ours or anybody's.

tg.testing.gradcheck(lambda x, w: tg.tanh(x @ w), [x, w])

check.py        gradcheck, gradgradcheck, check_vjp: what is demanded of a gradient
numeric.py      derivatives by finite differences, and the tolerance that follows from them
payloads.py     how a function of Tensors, of Values or of arrays is called
explain.py      what went wrong, found entry by entry once a check has failed
layouts.py      the same numbers lying differently in memory
strategies.py   all of this drawn by hypothesis (an extra, imported when asked for)
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from ..errors import UnavailableError
from .check import check_vjp, gradcheck, gradgradcheck
from .explain import GradientError
from .layouts import LAYOUTS, lay_out
from .numeric import numerical_gradient

if TYPE_CHECKING:
    from . import strategies

__all__ = [
    "LAYOUTS",
    "GradientError",
    "check_vjp",
    "gradcheck",
    "gradgradcheck",
    "lay_out",
    "numerical_gradient",
    "strategies",
]


def _on_demand(name: str) -> Any:
    if name != "strategies":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return importlib.import_module(".strategies", __name__)
    except ModuleNotFoundError as error:
        if error.name != "hypothesis":
            raise
        raise UnavailableError(
            "tg.testing.strategies draws its arrays with hypothesis, which is not installed: "
            "pip install hypothesis, or pip install 'tinygrad-edu[test]'."
        ) from None


if not TYPE_CHECKING:  # a type checker would take the kit to have every name
    __getattr__ = _on_demand
