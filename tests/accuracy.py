"""The table of docs/accuracy.md: measure it again and compare, or write it.

    python tests/accuracy.py            fail where an error exceeds the table (what CI does)
    python tests/accuracy.py --write    put what was measured into the table
    python tests/accuracy.py exp tanh   the same for these kernels alone

tests/c/accuracy.c measures; it is built and run for this machine, as plain C, and for NEON under
qemu-user where the tools are there. A smaller sample is part of a larger one: every k-th of the
bit patterns of the sweep, the first of the drawn arguments. So it may not exceed the table by
anything at all. A column that cannot be measured here keeps its figures."""

from __future__ import annotations

import argparse
import math
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
DOCUMENT = ROOT / "docs" / "accuracy.md"
BEGIN, END = "<!-- table: begin -->\n", "<!-- table: end -->\n"
COLUMNS = {
    "baseline": "SSE2",
    "avx2": "AVX2",
    "avx512": "AVX-512",
    "neon": "NEON",
    "scalar": "plain C",
    "gradient": "gradient",
}
DTYPES = ("float32", "float64")
NOT_MEASURED = "-"


class Sample(NamedTuple):
    """How much is measured: every so many bit patterns of float32, so many arguments of float64."""

    every: int
    points: int


DENSE = Sample(127, 2_000_000)
EMULATED = Sample(127 * 512, 20_000)  # NEON's, on a real processor too: a figure has one sample
HERE = EMULATED if platform.machine() in ("aarch64", "arm64") else DENSE
SAMPLES = {"plain": HERE, "scalar": Sample(127 * 8, 250_000), "neon": EMULATED}  # modes of run.sh

Errors = dict[tuple[str, str, str], tuple[float, str]]  # (kernel, dtype, column): error, argument


def kernels() -> list[str]:
    """The rows of csrc/ops.def, in their order."""
    text = (ROOT / "csrc" / "ops.def").read_text(encoding="utf-8")
    return re.findall(r"^UNARY1?\((\w+),", text, flags=re.MULTILINE)


def missing_tool(mode: str) -> str | None:
    """What this machine lacks to measure in this way of building, or None."""
    compiler = "aarch64-linux-gnu-gcc" if mode == "neon" else os.environ.get("CC", "cc").split()[0]
    tools = ["sh", compiler] + (["qemu-aarch64"] if mode == "neon" else [])
    return next((tool for tool in tools if shutil.which(tool) is None), None)


def measure(mode: str, sample: Sample, only: Sequence[str] = ()) -> Errors:
    """Build and run tests/c/accuracy.c, for all kernels or those named; an error and where it was
    met for each figure of the table."""
    command = ["sh", str(ROOT / "tests/c/run.sh"), mode, "accuracy"]
    command += ["--every", str(sample.every), "--points", str(sample.points), *only]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    errors: Errors = {}
    for line in done.stdout.splitlines():
        if line.startswith("#"):
            print(f"{mode}: {line[2:]}", flush=True)
            continue
        kernel, dtype, column, value, at, gradient, gradient_at = line.split()
        merge(errors, {(kernel, dtype, column): (float(value), at)})
        merge(errors, {(kernel, dtype, "gradient"): (float(gradient), gradient_at)})
    return errors


def merge(errors: Errors, others: Errors) -> None:
    """Keep the larger of two measurements of one thing."""
    for key, found in others.items():
        errors[key] = max(errors.get(key, found), found)


def read_table(text: str) -> dict[tuple[str, str, str], float]:
    """The figures of the table in a document, by (kernel, dtype, column)."""
    table = text[text.index(BEGIN) + len(BEGIN) : text.index(END)]
    figures = {}
    for line in table.splitlines()[2:]:
        kernel, dtype, *cells = (cell.strip(" `") for cell in line.strip("|").split("|"))
        for column, cell in zip(COLUMNS, cells, strict=True):
            if cell != NOT_MEASURED:
                figures[kernel, dtype, column] = float(cell)
    return figures


def write_table(text: str, figures: dict[tuple[str, str, str], float]) -> str:
    """The document with its table replaced."""
    lines = [
        "| kernel | dtype | " + " | ".join(COLUMNS.values()) + " |",
        "| --- | --- |" + " ---: |" * len(COLUMNS),
    ]
    for kernel in kernels():
        for dtype in DTYPES:
            found = [figures.get((kernel, dtype, column)) for column in COLUMNS]
            cells = [NOT_MEASURED if f is None else f"{f:.2f}" for f in found]
            lines.append(f"| `{kernel}` | {dtype} | " + " | ".join(cells) + " |")
    before, after = text[: text.index(BEGIN) + len(BEGIN)], text[text.index(END) :]
    return before + "\n".join(lines) + "\n" + after


def rounded_up(error: float) -> float:
    """To the two decimals of the table, upwards: what was measured never exceeds its own figure."""
    return error if math.isinf(error) else math.ceil(error * 100) / 100


def exceeding(errors: Errors, figures: dict[tuple[str, str, str], float]) -> list[str]:
    """A line for each error that is larger than its figure or has none."""
    return [
        f"{kernel} {dtype} {column}: {error} at {at}, the table says "
        f"{figures.get((kernel, dtype, column), 'nothing')}"
        for (kernel, dtype, column), (error, at) in errors.items()
        if not error <= figures.get((kernel, dtype, column), -1)
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("kernels", nargs="*", metavar="KERNEL", help="only these (default: all)")
    parser.add_argument("--write", action="store_true", help="write the table")
    parser.add_argument("--modes", nargs="+", choices=SAMPLES, default=list(SAMPLES))
    options = parser.parse_args()
    errors: Errors = {}
    for mode in options.modes:
        if tool := missing_tool(mode):
            print(f"{mode}: skipped, {tool} is not installed")
        else:
            merge(errors, measure(mode, SAMPLES[mode], options.kernels))
    text = DOCUMENT.read_text(encoding="utf-8")
    figures = read_table(text)
    if options.write:
        figures |= {key: rounded_up(error) for key, (error, _) in errors.items()}
        DOCUMENT.write_text(write_table(text, figures), encoding="utf-8")
        return 0
    too_large = exceeding(errors, figures)
    print("\n".join(too_large) or f"{len(errors)} errors measured, none above docs/accuracy.md")
    return 1 if too_large or not errors else 0


if __name__ == "__main__":
    sys.exit(main())
