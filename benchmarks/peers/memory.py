"""What a training step of ours needs at its peak, eager and compiled, beyond its parameters, the
optimizer's state and its inputs: one JSON object on standard input, {"kind": "step", ...} as in
inputs.py, and {"eager": bytes, "compiled": bytes, "arena": bytes} on standard output.

NumPy tells tracemalloc of every array. The compiled step keeps its memory from call to call, so
what its program holds counts as well as what a call allocates. Scratch of the kernels, of which a
thread has the same in both, is in neither.
"""

from __future__ import annotations

import gc
import json
import sys
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
from inputs import batch
from ours import training_step

import tinygrad_edu as tg


def at_peak(call: Callable[[], Any]) -> int:
    """Bytes that a call allocates, at most, at one time."""
    gc.collect()
    tracemalloc.reset_peak()
    before, _ = tracemalloc.get_traced_memory()
    call()
    return tracemalloc.get_traced_memory()[1] - before


def held() -> int:
    """Bytes of the arrays that were made since the start and still exist."""
    gc.collect()
    arrays = tracemalloc.DomainFilter(True, np.lib.tracemalloc_domain)
    found = tracemalloc.take_snapshot().filter_traces([arrays]).statistics("filename")
    return sum(each.size for each in found)


def measure(spec: dict) -> dict[str, int]:
    """A first eager step, not measured, makes the optimizer's state."""
    data, target = batch(spec)
    x = tg.tensor(data)
    step = training_step(spec, 1e-12)
    step(x, target)
    tracemalloc.start()
    eager = at_peak(lambda: step(x, target))
    before = held()
    fast = tg.compile(step)
    fast(x, target)
    kept = held() - before
    compiled = kept + at_peak(lambda: fast(x, target))
    tracemalloc.stop()
    return {"eager": eager, "compiled": compiled, "arena": fast.program.arena_bytes}


if __name__ == "__main__":
    print(json.dumps(measure(json.load(sys.stdin))))
