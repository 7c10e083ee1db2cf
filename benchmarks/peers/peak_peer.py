"""The machine itself: the multiply-adds of a float32 gemm, or of those in a training step, at the
rate that its registers allow."""

from __future__ import annotations

import ctypes
import math
import shutil
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from inputs import THREADS, Contender, multiply_adds

COMPILER = shutil.which("cc")
if COMPILER is None:
    raise ImportError("there is no C compiler `cc`")

with tempfile.TemporaryDirectory() as folder:
    source, library = Path(__file__).with_name("peak.c"), Path(folder) / "peak.so"
    flags = ["-O3", "-march=native", "-ffp-contract=fast", "-shared", "-fPIC"]
    subprocess.run([COMPILER, *flags, str(source), "-o", str(library)], check=True)
    peak = ctypes.CDLL(str(library)).peak
peak.argtypes, peak.restype = [ctypes.c_size_t], ctypes.c_float
workers = ThreadPoolExecutor(THREADS)


def about() -> str:
    return "measured peak of float32 multiply-adds"


def gemm(spec: dict) -> Contender:
    return at_peak(math.prod(spec["mnk"]))


def step(spec: dict) -> Contender:
    return at_peak(multiply_adds(spec))


def at_peak(count: int) -> Contender:
    share = count // THREADS

    def run(n: int) -> None:
        list(workers.map(peak, [n * share] * THREADS))

    return Contender(run, [])


BUILD = {"gemm": gemm, "step": step}
