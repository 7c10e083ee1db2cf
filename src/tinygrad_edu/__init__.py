"""tinygrad_edu: a reverse-mode autograd engine to read in an evening. `import tinygrad_edu as
tg`."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from . import nn, optim
from .anomaly import detect_anomaly
from .creation import (
    arange,
    eye,
    full,
    full_like,
    linspace,
    ones,
    ones_like,
    rand,
    rand_like,
    randn,
    randn_like,
    tensor,
    zeros,
    zeros_like,
)
from .errors import (
    AnomalyError,
    DataError,
    DtypeError,
    GradientWarning,
    GraphError,
    ShapeError,
    TinygradEduError,
)
from .graph import no_grad
from .interop import numpy as _numpy_protocol  # noqa: F401  (teaches np.exp(tensor) to record)
from .interop.dlpack import from_dlpack
from .kernels import set_num_threads
from .op import OPS
from .ops.arrange import split
from .ops.einsum import einsum
from .ops.elementwise import gelu
from .ops.normalization import batch_norm, layer_norm
from .ops.shape import flatten, getitem
from .ops.table import operations_table
from .random import manual_seed
from .tensor import Tensor

if TYPE_CHECKING:  # what the loop below does, in words that a type checker reads
    from .ops.arithmetic import *  # noqa: F403
    from .ops.arrange import *  # noqa: F403
    from .ops.contraction import *  # noqa: F403
    from .ops.convolution import *  # noqa: F403
    from .ops.elementwise import *  # noqa: F403
    from .ops.embedding import *  # noqa: F403
    from .ops.linalg import *  # noqa: F403
    from .ops.pooling import *  # noqa: F403
    from .ops.reduction import *  # noqa: F403
    from .ops.shape import *  # noqa: F403
    from .ops.statistics import *  # noqa: F403
    from .serialization import load, save
    from .transforms import grad, hessian, hvp, jacobian, jvp, value_and_grad, vjp

__version__ = "0.1.0"

globals().update({name: op.function for name, op in OPS.items() if op.public})

# What costs an import is imported when it is first asked for: rooms, and names in them.
_ROOMS = ("compiler", "data", "distances", "metrics", "scalar", "testing", "train", "viz")
_WITHIN = {
    **dict.fromkeys(("load", "save"), "serialization"),
    **dict.fromkeys(
        ("grad", "hessian", "hvp", "jacobian", "jvp", "value_and_grad", "vjp"), "transforms"
    ),
}


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return importlib.import_module(f".{name}", __name__)
    if name in _WITHIN:
        return getattr(importlib.import_module(f".{_WITHIN[name]}", __name__), name)
    raise AttributeError(f"module 'tinygrad_edu' has no attribute {name!r}")


def show_config() -> None:
    """Print what runs here: version, kernels, instruction set, threads, NumPy."""
    from .cli import config_lines

    print("\n".join(config_lines()))
