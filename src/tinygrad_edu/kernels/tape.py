"""The gate of the interpreter of scalar programs (csrc/tape.c), which trusts its code: only what
compiler/tape.py wrote is run."""

from __future__ import annotations

from numpy import ndarray

from .library import at, ffi, lib


def _operations() -> dict[str, tuple[int, int]]:
    """{name of a row: (its number, how many operands it has)}; empty where there is no C module."""
    found: dict[str, tuple[int, int]] = {}
    if lib is not None:
        table = lib.tg_tape_operations()
        while table[len(found)].name:
            row = table[len(found)]
            found[ffi.string(row.name).decode()] = len(found), row.operands
    return found


OPERATIONS = _operations()


def run(places: ndarray, code: ndarray) -> None:
    """Run `code` (int32) over `places` (float64), in place, without the GIL."""
    lib.tg_tape_run_on(at(places), at(code), code.size)
