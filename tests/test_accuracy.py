"""docs/accuracy.md holds for what is built here: its table has every kernel and keeps its promises,
and a small sample of what it was measured on stays within it."""

from __future__ import annotations

import re

import pytest
from accuracy import (
    COLUMNS,
    DOCUMENT,
    DTYPES,
    HERE,
    Sample,
    exceeding,
    kernels,
    measure,
    missing_tool,
    read_table,
    write_table,
)

PROMISED = ("exp", "log", "tanh", "sigmoid", "erf", "sqrt", "sin", "cos")
TEXT = DOCUMENT.read_text(encoding="utf-8")
FIGURES = read_table(TEXT)
VALUES = {key: error for key, error in FIGURES.items() if key[2] != "gradient"}


def test_the_table_has_every_kernel_dtype_and_column():
    expected = {(k, d, column) for k in kernels() for d in DTYPES for column in COLUMNS}
    assert set(FIGURES) == expected


def test_the_table_is_as_it_is_written():
    assert write_table(TEXT, FIGURES) == TEXT


@pytest.mark.parametrize("kernel", PROMISED)
def test_the_promised_are_within_two_ulp(kernel):
    assert max(error for key, error in VALUES.items() if key[0] == kernel) <= 2


def test_each_kernel_above_two_ulp_says_why_and_no_other():
    section = TEXT[TEXT.index("## Above 2 ulp") :]
    explained = re.findall(r"^- ((?:`\w+`,? ?)+)", section, flags=re.MULTILINE)
    names = {name for line in explained for name in re.findall(r"`(\w+)`", line)}
    assert names == {kernel for (kernel, _, _), error in VALUES.items() if error > 2}


def test_an_error_above_its_figure_or_without_one_is_told():
    key = ("exp", "float32", "baseline")
    assert exceeding({key: (0.5, "0x1p+0")}, {key: 0.5}) == []
    assert len(exceeding({key: (0.51, "0x1p+0")}, {key: 0.5})) == 1
    assert len(exceeding({key: (float("nan"), "0x1p+0")}, {key: 0.5})) == 1
    assert len(exceeding({key: (0.5, "0x1p+0")}, {})) == 1


def test_a_smaller_sample_stays_within_the_table():
    """A part of the sample of the table, so there is no tolerance: nothing in it can be worse."""
    if tool := missing_tool("plain"):
        pytest.skip(f"to build tests/c/accuracy.c takes {tool}, which is not installed")
    errors = measure("plain", Sample(HERE.every * 64, HERE.points // 64))
    assert {kernel for kernel, _, _ in errors} == set(kernels())
    assert not (lines := exceeding(errors, FIGURES)), "\n".join(lines)
