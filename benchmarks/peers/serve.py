"""A peer at work: `python serve.py torch_peer` imports that peer and answers on standard output.

One JSON object a line, each way:
    {"do": "build", "id": "...", "spec": {...}}  ->  {"result": [...]} or {"error": "..."}
    {"do": "run", "id": "..."}                   ->  {"seconds": of one repetition, mean of a block}
    {"do": "forget"}                             ->  {}
The first line is the peer's own: {"about": "..."}, or {"missing": why it cannot be imported}.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import sys
import time
import traceback
from typing import Any, TextIO

BLOCK = float(os.environ.get("BENCHMARK_BLOCK", "0.02"))  # seconds that a block should take


def own_cores() -> None:
    """Keep to as many cores as there are threads, whatever a library thinks of its settings."""
    if hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, cores[: int(os.environ["OMP_NUM_THREADS"])])


def own_output() -> TextIO:
    """Standard output for the answers alone; what a library prints goes to standard error."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    return answers


def timed(run: Any, n: int) -> float:
    start = time.perf_counter()
    run(n)
    return time.perf_counter() - start


def repetitions(run: Any) -> int:
    """How many times the work fits a block, found by doubling (which warms it up as well)."""
    n = 1
    while (seconds := timed(run, n)) < BLOCK / 4:
        n *= 2
    return max(1, round(n * BLOCK / seconds))


def block(run: Any, n: int) -> float:
    """Seconds of one repetition. A tenth runs untimed before: the process has slept, its caches are
    another's."""
    if n > 1:
        run(-(-n // 10))
    return timed(run, n) / n


def serve(peer: Any, answers: TextIO) -> None:
    def say(answer: dict) -> None:
        print(json.dumps(answer), file=answers, flush=True)

    say({"about": peer.about()})
    contenders: dict[str, tuple[Any, int]] = {}
    for line in sys.stdin:
        order = json.loads(line)
        if order["do"] == "build":
            try:
                made = peer.BUILD[order["spec"]["kind"]](order["spec"])
            except Exception:  # a compiler that is not there, an operation that a version lacks
                say({"error": traceback.format_exc()})
                continue
            contenders[order["id"]] = made.run, repetitions(made.run)
            say({"result": made.result})
        elif order["do"] == "run":
            say({"seconds": block(*contenders[order["id"]])})
        else:
            contenders.clear()
            gc.collect()
            say({})


if __name__ == "__main__":
    own_cores()
    channel = own_output()
    try:
        module = importlib.import_module(sys.argv[1])
    except ImportError as error:
        print(json.dumps({"missing": str(error)}), file=channel, flush=True)
    else:
        serve(module, channel)
