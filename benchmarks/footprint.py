"""What a package costs before it computes anything: megabytes on disk, and seconds to import."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

WEIGH = Path(__file__).parent / "peers" / "footprint.py"
# Peer: module, distribution, requirements that a checkout does not declare.
PACKAGES = {
    "ours": ("tinygrad_edu", "tinygrad-edu", "numpy", "cffi"),
    "numpy": ("numpy", "numpy"),
    "torch": ("torch", "torch"),
    "jax": ("jax", "jax"),
    "sklearn": ("sklearn", "scikit-learn"),
    "micrograd": ("micrograd", "micrograd"),
}


def measure(names: list[str], pythons: Mapping[str, str], rounds: int) -> list[dict[str, Any]]:
    """One row a package: its size with all that it requires, and the wall time of `python -c
    "import ..."` by round, interleaved; the first row is Python alone."""
    present = [name for name in PACKAGES if name in names]
    imports = {"python": (sys.executable, "pass")}
    for name in present:
        imports[name] = (pythons.get(name, sys.executable), f"import {PACKAGES[name][0]}")
    seconds: dict[str, list[float]] = {name: [] for name in imports}
    for i in range(-1, rounds):  # the first time reads the files from disk: not counted
        for name, (python, statement) in imports.items():
            start = time.perf_counter()
            subprocess.run([python, "-c", statement], check=True, capture_output=True)
            if i >= 0:
                seconds[name].append(time.perf_counter() - start)
    rows = []
    for name in imports:
        own, total = (None, None) if name == "python" else weight(name, imports[name][0])
        shown = PACKAGES[name][0] if name in PACKAGES else "Python alone"
        row = {"name": shown, "own": own, "all": total, "seconds": seconds[name]}
        rows.append({**row, "median": statistics.median(seconds[name])})
    return rows


def weight(name: str, python: str) -> tuple[float, float]:
    """Megabytes on disk: of the package, and with all that it requires."""
    command = [python, str(WEIGH), *PACKAGES[name]]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    own, total = map(float, said.split())
    return own, total
