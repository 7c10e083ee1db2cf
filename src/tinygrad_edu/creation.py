"""Functions that make Tensors: from data, from constants, from random numbers. Names and semantics
are NumPy's."""

from __future__ import annotations

from typing import Any

import numpy as np

from .dtypes import as_array
from .random import draw
from .tensor import Tensor

FLOAT = np.float32


def tensor(data: Any, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """A new Tensor with its own copy of `data`; see `Tensor` for dtypes. Raises DtypeError,
    ShapeError (ragged lists)."""
    return Tensor(as_array(data, dtype).copy(), requires_grad=requires_grad)


def _made(array: np.ndarray, dtype: Any, requires_grad: bool) -> Tensor:
    return Tensor(array, dtype=dtype, requires_grad=requires_grad)


def _drawn(rng: Any, name: str, shape: tuple[Any, ...], dtype: Any, requires_grad: bool) -> Tensor:
    """Numbers from the method `name` of a Generator, which makes both dtypes itself."""
    size = tuple(shape[0]) if len(shape) == 1 and isinstance(shape[0], (tuple, list)) else shape
    made = np.float64 if np.dtype(dtype) == np.float64 else np.float32
    numbers = draw(rng, lambda source: as_array(getattr(source, name)(size, made), dtype))
    tensor = Tensor._of(numbers)
    tensor.requires_grad = requires_grad
    return tensor


def zeros(shape: Any, dtype: Any = FLOAT, requires_grad: bool = False) -> Tensor:
    """Zeros of `shape` (an int or a tuple)."""
    return _made(np.zeros(shape, dtype), None, requires_grad)


def ones(shape: Any, dtype: Any = FLOAT, requires_grad: bool = False) -> Tensor:
    """Ones of `shape` (an int or a tuple)."""
    return _made(np.ones(shape, dtype), None, requires_grad)


def full(shape: Any, value: float, dtype: Any = FLOAT, requires_grad: bool = False) -> Tensor:
    """`value` throughout `shape`."""
    return _made(np.full(shape, value, dtype), None, requires_grad)


def eye(n: int, m: int | None = None, dtype: Any = FLOAT, requires_grad: bool = False) -> Tensor:
    """Ones on the diagonal of an (n, m) matrix, zeros elsewhere."""
    return _made(np.eye(n, m, dtype=dtype), None, requires_grad)


def arange(*bounds: float, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """arange(stop), arange(start, stop) or arange(start, stop, step): integers give int64, others
    float32."""
    array = np.arange(*bounds)
    return _made(array, dtype or (FLOAT if array.dtype.kind == "f" else None), requires_grad)


def linspace(
    start: float, stop: float, num: int = 50, dtype: Any = FLOAT, requires_grad: bool = False
) -> Tensor:
    """`num` numbers evenly from `start` to `stop`, both included."""
    return _made(np.linspace(start, stop, num), dtype, requires_grad)


def rand(*shape: Any, dtype: Any = FLOAT, requires_grad: bool = False, rng: Any = None) -> Tensor:
    """Uniform in [0, 1): rand(2, 3) or rand((2, 3)). `rng`: seed, Generator or None for
    `tg.manual_seed`'s."""
    return _drawn(rng, "random", shape, dtype, requires_grad)


def randn(*shape: Any, dtype: Any = FLOAT, requires_grad: bool = False, rng: Any = None) -> Tensor:
    """Normal with mean 0 and deviation 1: randn(2, 3) or randn((2, 3)). `rng` as in `rand`."""
    return _drawn(rng, "standard_normal", shape, dtype, requires_grad)


def _form(x: Any) -> tuple[tuple[int, ...], Any]:
    """Shape and dtype of `x`. Of a Tensor the numbers are not asked for: it may be traced."""
    array = x if isinstance(x, Tensor) else as_array(x)
    return array.shape, array.dtype


def zeros_like(x: Any, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """Zeros of the shape and dtype of `x`."""
    shape, own = _form(x)
    return zeros(shape, dtype or own, requires_grad)


def ones_like(x: Any, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """Ones of the shape and dtype of `x`."""
    shape, own = _form(x)
    return ones(shape, dtype or own, requires_grad)


def full_like(x: Any, value: float, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """`value` in the shape and dtype of `x`."""
    shape, own = _form(x)
    return full(shape, value, dtype or own, requires_grad)


def rand_like(x: Any, requires_grad: bool = False, rng: Any = None) -> Tensor:
    """Uniform numbers in the shape and dtype of `x`."""
    shape, own = _form(x)
    return rand(shape, dtype=own, requires_grad=requires_grad, rng=rng)


def randn_like(x: Any, requires_grad: bool = False, rng: Any = None) -> Tensor:
    """Normal numbers in the shape and dtype of `x`."""
    shape, own = _form(x)
    return randn(shape, dtype=own, requires_grad=requires_grad, rng=rng)
