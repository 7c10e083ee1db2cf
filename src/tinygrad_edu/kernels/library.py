"""The C module: loading it, choosing its instruction set and threads, and handing it memory that it
can read.

A kernel is fast and trusting: contiguous, aligned, native arrays of one dtype, no overlap. What
stands here and in the files beside it is the gate where that trust is earned.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy import ndarray

from ..errors import ArgumentError, UnavailableError

F32, F64 = np.dtype(np.float32), np.dtype(np.float64)
_SUFFIX: dict[np.dtype, str] = {F32: "f32", F64: "f64"}
_NO_MEMORY = 1
_KEPT_BYTES = 64 << 20


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


lib, ffi = _load()
from_buffer: Any = ffi and ffi.from_buffer
POINTER: dict[np.dtype, Any] = ffi and {F32: ffi.typeof("float[]"), F64: ffi.typeof("double[]")}
INT64S: Any = ffi and ffi.typeof("int64_t[]")


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


def c_functions(name: str) -> dict[np.dtype, Callable]:
    """The C functions tg_<name>_<f32|f64> by dtype; empty where there are none."""
    found = {dtype: getattr(lib, f"tg_{name}_{suffix}", None) for dtype, suffix in _SUFFIX.items()}
    return {dtype: function for dtype, function in found.items() if function is not None}


# The two flags of an array that a kernel can read as it lies: C order, aligned. As a number, they
# are asked of several arrays by one `&`: `x.flags.num & y.flags.num & READY == READY`.
READY = 0x0001 | 0x0100


def ready(x: ndarray) -> ndarray:
    """`x`, or a copy of it where its memory is not what a kernel can read."""
    return x if x.flags.num & READY == READY else np.array(x, order="C")


def like(g: Any, out: ndarray) -> bool:
    return type(g) is ndarray and g.dtype == out.dtype and g.shape == out.shape


def check(status: int, what: str) -> None:
    if status == _NO_MEMORY:
        raise MemoryError(f"{what}: no memory for the packing buffer of the kernel.")
    assert status == 0, f"{what}: status {status}"
