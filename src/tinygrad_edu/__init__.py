"""tinygrad_edu: a reverse-mode autograd engine to read in an evening. `import tinygrad_edu as
tg`."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

# `nn as nn` says that a name is public: without it, or __all__, type checkers take it for an import
# that is nobody's business. The names that the rows make can't be listed, so there is no __all__.
from . import nn as nn, optim as optim
from .tensor import Tensor as Tensor  # before the function `tensor`, which takes the name
from .anomaly import detect_anomaly as detect_anomaly
from .creation import (
    arange as arange,
    eye as eye,
    full as full,
    full_like as full_like,
    linspace as linspace,
    ones as ones,
    ones_like as ones_like,
    rand as rand,
    rand_like as rand_like,
    randn as randn,
    randn_like as randn_like,
    tensor as tensor,
    zeros as zeros,
    zeros_like as zeros_like,
)
from .errors import (
    AnomalyError as AnomalyError,
    DataError as DataError,
    DtypeError as DtypeError,
    GradientWarning as GradientWarning,
    GraphError as GraphError,
    ShapeError as ShapeError,
    TinygradEduError as TinygradEduError,
)
from .graph import no_grad as no_grad
from .interop import numpy as _numpy_protocol  # noqa: F401  (teaches np.exp(tensor) to record)
from .interop.dlpack import from_dlpack as from_dlpack
from .kernels import set_num_threads as set_num_threads
from .op import OPS
from .ops.arrange import split as split
from .ops.einsum import einsum as einsum
from .ops.elementwise import gelu as gelu
from .ops.normalization import batch_norm as batch_norm, layer_norm as layer_norm
from .ops.shape import flatten as flatten, getitem as getitem
from .ops.table import operations_table as operations_table
from .random import manual_seed as manual_seed

if TYPE_CHECKING:  # what the loop and __getattr__ below do, in words that a type checker reads
    from . import (
        compiler as compiler,
        data as data,
        distances as distances,
        metrics as metrics,
        scalar as scalar,
        testing as testing,
        train as train,
        viz as viz,
    )
    from ._surface import *  # noqa: F403  (written by ops/surface.py)
    from .compiler import compile as compile
    from .serialization import load as load, save as save
    from .transforms import (
        grad as grad,
        hessian as hessian,
        hvp as hvp,
        jacobian as jacobian,
        jvp as jvp,
        value_and_grad as value_and_grad,
        vjp as vjp,
    )

__version__ = "0.1.0"

globals().update({name: op.function for name, op in OPS.items() if op.public})

# What costs an import is imported when it is first asked for: rooms, and names in them.
_ROOMS = (
    "compiler",
    "data",
    "distances",
    "explain",
    "metrics",
    "scalar",
    "testing",
    "train",
    "viz",
)
_WITHIN = {
    "compile": "compiler",
    **dict.fromkeys(("load", "save"), "serialization"),
    **dict.fromkeys(
        ("grad", "hessian", "hvp", "jacobian", "jvp", "value_and_grad", "vjp"), "transforms"
    ),
}


def _on_demand(name: str) -> Any:
    if name in _ROOMS:
        return importlib.import_module(f".{name}", __name__)
    if name in _WITHIN:
        return getattr(importlib.import_module(f".{_WITHIN[name]}", __name__), name)
    raise AttributeError(f"module 'tinygrad_edu' has no attribute {name!r}")


if not TYPE_CHECKING:  # a type checker would take the package to have every name
    __getattr__ = _on_demand


def show_config() -> None:
    """Print what runs here: version, kernels, instruction set, threads, NumPy."""
    from .cli import config_lines

    print("\n".join(config_lines()))
