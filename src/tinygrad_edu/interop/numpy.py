"""NumPy's protocol: `np.exp(tensor)` and `array + tensor` record like `tg.exp(tensor)` and `tensor
+ tensor`.

Importing this file attaches the two protocol methods to Tensor. What NumPy can do and we cannot is
refused by name, rather than computed on the side without a gradient.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import CallError
from ..op import OPS
from ..ops.arrange import split
from ..ops.einsum import einsum
from ..ops.shape import flatten  # noqa: F401  (a composite that NumPy has no function for)
from ..tensor import Tensor

TABLE = {getattr(np, op.numpy): op.function for op in OPS.values() if hasattr(np, op.numpy)}
TABLE |= {np.linalg.norm: OPS["norm"].function, np.split: split, np.einsum: einsum}


def _array_ufunc(self: Tensor, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
    ours = TABLE.get(ufunc)
    if ours is None or method != "__call__":
        name = f"np.{ufunc.__name__}" + ("" if method == "__call__" else f".{method}")
        raise CallError(
            f"{name} has no counterpart for Tensors. Use another operation of tinygrad_edu, or "
            "call it on "
            "t.detach().numpy() if no gradient is needed.",
            code="no-numpy-counterpart",
        )
    if kwargs:
        raise CallError(
            f"np.{ufunc.__name__} on a Tensor takes no {', '.join(kwargs)}: call "
            f"tg.{ours.__name__}.",
            code="unknown-parameter",
        )
    return ours(*inputs)


def _array_function(
    self: Tensor, function: Any, types: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    ours = TABLE.get(function)
    if ours is None:
        raise CallError(
            f"np.{function.__name__} has no counterpart for Tensors. Use another operation of "
            "tinygrad_edu, or "
            "call it on t.detach().numpy() if no gradient is needed.",
            code="no-numpy-counterpart",
        )
    return ours(*args, **kwargs)


Tensor.__array_ufunc__ = _array_ufunc
Tensor.__array_function__ = _array_function
