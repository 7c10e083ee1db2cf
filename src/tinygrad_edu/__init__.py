"""tinygrad_edu: a reverse-mode autograd engine to read in an evening. `import tinygrad_edu as tg`."""

from __future__ import annotations

import importlib
from typing import Any

from . import nn, optim
from .creation import (arange, eye, full, full_like, linspace, ones, ones_like, rand, rand_like, randn, randn_like,
                       tensor, zeros, zeros_like)
from .errors import DataError, DtypeError, GraphError, ShapeError, TinygradEduError
from .graph import no_grad
from .interop import numpy as _numpy_protocol  # noqa: F401  (teaches np.exp(tensor) to record)
from .kernels import set_num_threads
from .ops.arithmetic import (abs, add, arctan2, ceil, clip, divide, equal, floor, greater, greater_equal, hypot,
                             isfinite, less, less_equal, logical_and, logical_not, maximum, minimum, multiply,
                             negative, not_equal, power, reciprocal, round, sign, square, subtract, where)
from .ops.elementwise import (arccos, arccosh, arcsin, arcsinh, arctan, arctanh, cos, cosh, elu, erf, exp, expm1, gelu,
                              hardtanh, leaky_relu, log, log1p, log2, log10, log_sigmoid, mish, relu, rsqrt, selu,
                              sigmoid, silu, sin, sinh, softplus, sqrt, step, tan, tanh)
from .ops.linalg import linear, matmul
from .ops.loss import one_hot
from .ops.reduction import argmax, argmin, log_softmax, logsumexp, max, mean, min, softmax, sum
from .ops.shape import (astype, broadcast_to, concatenate, expand_dims, flatten, getitem, moveaxis, reshape, squeeze,
                        stack, swapaxes, transpose)
from .random import manual_seed
from .serialization import load, save
from .tensor import Tensor

__version__ = "0.1.0"

_ROOMS = ("compiler", "data", "metrics", "scalar", "testing", "train")  # imported when first asked for


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return importlib.import_module(f".{name}", __name__)
    raise AttributeError(f"module 'tinygrad_edu' has no attribute {name!r}")


def show_config() -> None:
    """Print what runs here: version, kernels, instruction set, threads, NumPy."""
    from .cli import config_lines

    print("\n".join(config_lines()))
