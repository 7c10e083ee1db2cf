"""The C module: loading it, choosing its instruction set and threads, and handing it memory that it
can read.

A kernel is fast and trusting: contiguous, aligned, native arrays of one dtype, no overlap. What
stands here and in the files beside it is the gate where that trust is earned.
"""

from __future__ import annotations

import functools
import importlib
import math
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy import empty, ndarray

from ..errors import ArgumentError, UnavailableError

F32, F64 = np.dtype(np.float32), np.dtype(np.float64)
_SUFFIX: dict[np.dtype, str] = {F32: "f32", F64: "f64"}
_NO_MEMORY = 1
UNFIT = -1  # what the gates of csrc/gate.h say to arrays that they are not for
_KEPT_BYTES = 64 << 20
_LINE = 64  # bytes


def _load() -> tuple[Any, Any]:
    """The C module's (lib, ffi), or (None, None) where NumPy is asked for or the package was built
    without C."""
    choice = os.environ.get("TINYGRAD_EDU_KERNELS") or "c"
    if choice not in ("c", "numpy"):
        raise UnavailableError(
            f"TINYGRAD_EDU_KERNELS={choice!r}: choose 'c' or 'numpy'.", code="unavailable-kernels"
        )
    if choice == "numpy":
        return None, None
    try:
        _kernels: Any = importlib.import_module("tinygrad_edu._kernels")
    except ModuleNotFoundError as error:
        if error.name != "tinygrad_edu._kernels":
            raise
        return None, None
    isa = os.environ.get("TINYGRAD_EDU_ISA")
    if isa and _kernels.lib.tg_use_isa(isa.encode()):
        raise UnavailableError(
            f"TINYGRAD_EDU_ISA={isa!r}: this machine has {', '.join(_available(_kernels.lib))}.",
            code="unavailable-kernels",
        )
    if not any(name.startswith("MALLOC_") for name in os.environ):
        # A step frees what the next one asks for. glibc would give it back in between, and faulting
        # its pages in again cost up to a third of a LeNet-5 step.
        _kernels.lib.tg_keep_memory(_KEPT_BYTES)
    return _kernels.lib, _kernels.ffi


def _available(library: Any) -> list[str]:
    return [
        isa
        for isa in ("baseline", "avx2", "avx512", "neon")
        if library.tg_isa_available(isa.encode())
    ]


def _reads_arrays(lib: Any, ffi: Any) -> bool:
    """Whether C finds in an array, given its id, what csrc/arrays.h and gate.h look for there:
    tried on arrays of which it is known. All but the lengths and steps, which are read last, lies
    within the objects."""
    if sys.implementation.name != "cpython":
        return False
    head = object.__basicsize__
    if head + ffi.sizeof("struct tg_array") > ndarray.__basicsize__:
        return False
    memory = bytearray(4096)
    start = int(ffi.cast("uintptr_t", ffi.from_buffer(memory)))
    whole = np.frombuffer(memory, np.uint8)
    arrays: dict[int, ndarray] = {0: whole, 7: whole[7:].reshape(-1, 3).T, 4095: whole[::-2]}
    arrays |= {8: whole[8:].view(F64)[:9].reshape(3, 3)[:, :2], 4: whole[4:].view(F32)[:1]}
    found = ffi.new("intptr_t[]", 10)
    lib.tg_take_ids(head)
    for place, x in arrays.items():
        known = [id(ndarray), start + place, x.ndim, *x.shape, *x.strides, id(x.dtype), x.flags.num]
        lib.tg_describe(id(x), found)
        if list(found)[: len(known)] != known:
            lib.tg_take_ids(0)
            return False
    lib.tg_take_kinds(id(ndarray), id(F32), id(F64))
    return True


def _address(x: ndarray) -> int:
    return x.ctypes.data


lib, ffi = _load()
# What a kernel is given for an array. It keeps nothing alive: what C is to read or write is held by
# a local name until C is done.
at: Callable[[ndarray], int] = id if ffi is None or _reads_arrays(lib, ffi) else _address
HEAD = object.__basicsize__ if at is id else 0  # bytes from there to the pointer; 0: it is `at`


def addresses(arrays: Sequence[ndarray]) -> Any:
    """Where the numbers of each array lie, as a C array of uintptr_t."""
    found = ffi.new("uintptr_t[]", [at(array) for array in arrays])
    lib.tg_find_numbers(found, len(arrays))
    return found


def at_or_null(x: ndarray | None) -> int:
    """`at(x)`, or NULL for an array that the kernel may do without."""
    return 0 if x is None else at(x)


# -------------------------------------------------------------------------- what the machine offers


def info() -> dict[str, Any]:
    """Which kernels run: {"kernels": "c" or "numpy", "isa": name or None, "isa_available": [...],
    "threads": n}."""
    if lib is None:
        return {"kernels": "numpy", "isa": None, "isa_available": [], "threads": 1}
    return {
        "kernels": "c",
        "isa": ffi.string(lib.tg_isa()).decode(),
        "isa_available": _available(lib),
        "threads": lib.tg_get_num_threads(),
    }


def set_num_threads(n: int) -> None:
    """Let the kernels use `n` >= 1 threads from now on. The bits of a result do not depend on
    it."""
    if isinstance(n, bool) or not isinstance(n, (int, np.integer)) or not 1 <= n <= 1024:
        raise ArgumentError(
            f"set_num_threads: expected a whole number of threads from 1 to 1024, got {n!r}."
        )
    if lib is not None:
        lib.tg_set_num_threads(int(n))


def use_isa(name: str) -> None:
    """Switch to the kernels of one instruction set (for tests; at start, TINYGRAD_EDU_ISA does the
    same)."""
    if lib is None or lib.tg_use_isa(name.encode()):
        raise ArgumentError(
            f"use_isa: {name!r} is not available here: {info()['isa_available']}.",
            code="unavailable-kernels",
        )


# ------------------------------------------------------------------------------------- gate helpers


def gate(name: str) -> Callable[..., int]:
    """The gate tg_<name> of csrc/gate.h; without C, one that nothing fits through."""
    return getattr(lib, f"tg_{name}", lambda *_: UNFIT)


def c_functions(name: str) -> dict[np.dtype, Callable]:
    """The kernels <name> by dtype, as functions of arrays; empty where there are none."""
    found = {
        dtype: getattr(lib, f"array_{name}_{suffix}", None) for dtype, suffix in _SUFFIX.items()
    }
    return {dtype: function for dtype, function in found.items() if function is not None}


def kernel_of(kernels: dict[np.dtype, Callable], *arrays: Any) -> Any:
    """The one that can read all of `arrays`, or None: they are arrays of one dtype that it is for,
    with numbers in them."""
    first = arrays[0]
    if type(first) is not ndarray:
        return None
    dtype = first.dtype
    for x in arrays:
        if type(x) is not ndarray or x.dtype != dtype or not x.size:
            return None
    return kernels.get(dtype)


# The two flags of an array that a kernel can read as it lies: C order, aligned. As a number, they
# are asked of several arrays by one `&`: `x.flags.num & y.flags.num & READY == READY`.
READY = 0x0001 | 0x0100


def ready(x: Any) -> Any:
    """`x`, or a copy of it where its memory is not what a kernel can read. No array (None) is
    ready."""
    return x if x is None or x.flags.num & READY == READY else np.array(x, order="C")


def on_lines(shape: tuple[int, ...], dtype: Any) -> ndarray:
    """An empty array whose numbers begin on a cache line, for what is read again and again. NumPy's
    own begin on any 16 bytes, and vectors that straddle two lines cost a product with a weight in
    the L2 cache 15 % of its speed."""
    dtype = np.dtype(dtype)
    size = math.prod(shape) * dtype.itemsize
    memory = empty(size + _LINE, np.uint8)
    start = -memory.ctypes.data % _LINE
    return memory[start : start + size].view(dtype).reshape(shape)


def like(g: Any, out: ndarray) -> bool:
    return type(g) is ndarray and g.dtype == out.dtype and g.shape == out.shape


def remembered(function: Callable) -> Callable:
    """`function` with a memory of what it found; a list among its arguments passes it by."""
    known = functools.lru_cache(maxsize=1024, typed=True)(function)

    def find(*arguments: Any) -> Any:
        try:
            return known(*arguments)
        except TypeError:
            return function(*arguments)

    return find


def check(status: int, what: str) -> None:
    if status == _NO_MEMORY:
        raise MemoryError(f"{what}: no memory for the packing buffer of the kernel.")
    assert status == 0, f"{what}: status {status}"
