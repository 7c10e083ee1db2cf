"""Examples held in arrays (`ArrayDataset`), handed out in batches (`DataLoader`).

The invariant: all arrays of a data set have one length, and row i of each belongs to example i,
however the rows are indexed, split or shuffled. A batch is drawn with one `np.take` per array, so
that it is contiguous and a pass over MNIST costs a small part of training on it. Nothing here
prefetches or forks: the data are in memory.
"""

from __future__ import annotations

import operator
from collections.abc import Iterator
from typing import Any

import numpy as np

from ..dtypes import SUPPORTED
from ..errors import ArgumentError, CallError, DtypeError, RangeError, ShapeError
from ..random import generator
from ..tensor import Tensor


class ArrayDataset:
    """Arrays of equal length, one example a row: typically `ArrayDataset(inputs, labels)`.

    arrays: ndarrays, Tensors or lists, each (n, ...). An ndarray is held, not copied, and keeps its
    dtype; Python floats become float32. Raises ShapeError for unequal lengths or an array of no
    dimension, DtypeError for a dtype that no Tensor has, such as text, objects or float16.

    `dataset[i]` is a tuple with row i of each array; `dataset[a:b]`, `dataset[index_array]` and
    `dataset[mask]` are tuples of arrays (a slice gives views). `len(dataset)` is n.
    `dataset.arrays` are the arrays themselves.
    """

    def __init__(self, *arrays: Any):
        if not arrays:
            raise CallError(
                "ArrayDataset: no arrays were given; pass at least one, e.g. ArrayDataset(inputs, "
                "labels).",
                code="wrong-arguments",
            )
        self.arrays = tuple(_as_rows(array, position) for position, array in enumerate(arrays))
        lengths = [len(array) for array in self.arrays]
        if len(set(lengths)) > 1:
            shapes = ", ".join(str(array.shape) for array in self.arrays)
            raise ShapeError(
                f"ArrayDataset: the arrays have shapes {shapes}: their first lengths {lengths} "
                "differ, so that some examples would lack a part. Row i of every array must belong "
                "to example i."
            )

    def __len__(self) -> int:
        return len(self.arrays[0])

    def __getitem__(self, index: Any) -> tuple[Any, ...]:
        if isinstance(index, slice):
            return tuple(array[index] for array in self.arrays)
        rows = _row_numbers(index, len(self))
        if isinstance(rows, int):
            return tuple(array[rows] for array in self.arrays)
        return tuple(np.take(array, rows, axis=0) for array in self.arrays)

    def subset(self, index: Any) -> ArrayDataset:
        """A data set of the rows that `index` (slice, index array, mask) selects, in its order."""
        if not isinstance(index, slice):
            index = np.atleast_1d(_row_numbers(index, len(self)))
        return ArrayDataset(*self[index])

    def __repr__(self) -> str:
        parts = ", ".join(f"{array.dtype}{list(array.shape)}" for array in self.arrays)
        return f"ArrayDataset({parts})"


class DataLoader:
    """Batches of a data set, as tuples of Tensors: `for inputs, labels in DataLoader(dataset): ...`

    dataset: an ArrayDataset, or anything with `len()` whose `[index array]` is a tuple of arrays.
    Each iteration is one pass over it. Dtypes are kept, so labels stay integers; a batch is
    (batch_size, ...), the last one shorter, or left out with `drop_last=True`. `len(loader)` is the
    number of batches.

    shuffle=True draws a new order for each pass from `rng` (an int seed, a numpy Generator, or None
    for the package's generator): two loaders made with the same seed give the same sequence of
    passes. In order, batches of an ArrayDataset are read-only views of its rows: no copy is made,
    and none can be written through.
    Raises ValueError for a batch size below 1.
    """

    def __init__(
        self,
        dataset: Any,
        batch_size: int = 32,
        shuffle: bool = False,
        drop_last: bool = False,
        rng: Any = None,
    ):
        self.dataset = dataset
        self.batch_size = whole_number("DataLoader", "batch_size", batch_size)
        self.shuffle = bool(shuffle)
        self.drop_last = bool(drop_last)
        # Resolved once, so that a seed gives new orders from pass to pass. None stays open until a
        # pass starts: tg.manual_seed then counts from when it was called, not from when the loader
        # was made.
        self.rng = None if rng is None else generator(rng)

    def __len__(self) -> int:
        full, rest = divmod(len(self.dataset), self.batch_size)
        return full + (rest > 0 and not self.drop_last)

    def order(self) -> np.ndarray | None:
        """The row numbers of one pass, (n,), drawn anew for each if shuffled; None for all rows as
        they stand."""
        return generator(self.rng).permutation(len(self.dataset)) if self.shuffle else None

    def __iter__(self) -> Iterator[tuple[Tensor, ...]]:
        n, order = len(self.dataset), self.order()
        for start in range(0, len(self) * self.batch_size, self.batch_size):
            stop = min(start + self.batch_size, n)
            yield tuple(Tensor(array) for array in self._rows(order, start, stop))

    def _rows(self, order: np.ndarray | None, start: int, stop: int) -> tuple[Any, ...]:
        if order is not None:
            return self.dataset[order[start:stop]]
        if not isinstance(self.dataset, ArrayDataset):
            return self.dataset[np.arange(start, stop)]
        views = tuple(np.ascontiguousarray(array) for array in self.dataset[start:stop])
        for view in views:
            view.flags.writeable = False
        return views


def whole_number(where: str, name: str, value: Any, least: int = 1) -> int:
    """`value` as an int of at least `least`; TypeError or ValueError, naming it, for any other."""
    try:
        number = operator.index(value)
    except TypeError:
        raise CallError(
            f"{where}: {name} is {value!r}; expected a whole number of at least {least}."
        ) from None
    if isinstance(value, (bool, np.bool_)) or number < least:
        raise ArgumentError(
            f"{where}: {name} is {value!r}; expected a whole number of at least {least}."
        )
    return number


def plain_array(value: Any) -> np.ndarray:
    """The ndarray in a Tensor, an array itself, or Python numbers as one, floats as float32."""
    if isinstance(value, Tensor):
        return np.asarray(value.data)
    array = np.asarray(value)
    if array.dtype == np.float64 and not hasattr(value, "dtype"):
        return array.astype(np.float32)
    return array


def _as_rows(value: Any, position: int) -> np.ndarray:
    try:
        array = plain_array(value)
    except ValueError as error:
        raise ShapeError(
            f"ArrayDataset: array {position} has rows of different shapes ({error}).",
            code="ragged-rows",
        ) from None
    if array.ndim == 0:
        raise ShapeError(
            f"ArrayDataset: array {position} is a single number; expected (n, ...), one row an "
            "example.",
            code="unexpected-shape",
        )
    native = array.dtype.newbyteorder("=")
    if native not in SUPPORTED:
        raise DtypeError(
            f"ArrayDataset: array {position} has dtype {array.dtype}; expected float32, float64, "
            "integers or booleans."
        )
    return array.astype(native, copy=False)


def _row_numbers(index: Any, n: int) -> int | np.ndarray:
    """An index as an int or an array of row numbers; a mask of n booleans is the rows it marks."""
    index = plain_array(index) if not isinstance(index, int) else np.asarray(index)
    if index.dtype == bool:
        if index.shape != (n,):
            raise RangeError(
                f"ArrayDataset: a mask of shape {index.shape} for {n} examples; expected ({n},).",
                code="shape-mismatch",
            )
        return np.flatnonzero(index)
    if index.size == 0 and index.ndim == 1:
        return np.empty(0, np.intp)
    if index.dtype.kind not in "iu" or index.ndim > 1:
        raise RangeError(
            f"ArrayDataset: index of dtype {index.dtype} and shape {index.shape}; expected a whole "
            "number, a slice, a one-dimensional array of whole numbers, or a mask.",
            code="wrong-type",
        )
    if index.min() < -n or index.max() >= n:
        worst = index.min() if index.min() < -n else index.max()
        raise RangeError(f"ArrayDataset: index {worst} is out of range for {n} examples.")
    return int(index) if index.ndim == 0 else index
