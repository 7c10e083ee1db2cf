"""How Tensors and Modules look in a notebook: tables in HTML, without styles or scripts.

This file makes text of what it is given and knows neither of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

import numpy as np

_SHOWN = 8  # rows and columns of a larger array, half of them from either end


def table(
    rows: Iterable[Sequence[Any]], caption: str, header: Sequence[str] = (), footer: str = ""
) -> str:
    """Rows of cells, the caption above and the footer, if any, below."""
    head = f"<thead>{_row(header, 'th')}</thead>" if header else ""
    body = "".join(_row(cells, "td") for cells in rows)
    below = f"<div>{escape(footer)}</div>" if footer else ""
    return (
        f"<div><div>{escape(caption)}</div><table>{head}<tbody>{body}</tbody></table>{below}</div>"
    )


def array_table(array: np.ndarray, caption: str) -> str:
    """The numbers of an array under a caption: up to two axes as a table, whose middle is left out
    where it is large; more of them as text."""
    if array.ndim > 2:
        return f"<div><div>{escape(caption)}</div><pre>{escape(np.array2string(array))}</pre></div>"
    grid = np.atleast_2d(array)
    lines, columns = (_ends(n) for n in grid.shape)
    rows = [
        ["⋮" if i is None else "⋯" if j is None else _number(grid[i, j]) for j in columns]
        for i in lines
    ]
    return table(rows, caption)


def _ends(n: int) -> list[int | None]:
    """The positions that are shown of n; None stands for those that are not."""
    if n <= _SHOWN:
        return list(range(n))
    return [*range(_SHOWN // 2), None, *range(n - _SHOWN // 2, n)]


def _number(x: np.generic) -> str:
    return f"{x:.4g}" if isinstance(x, np.floating) else str(x)


def _row(cells: Sequence[Any], tag: str) -> str:
    return f"<tr>{''.join(f'<{tag}>{escape(str(cell))}</{tag}>' for cell in cells)}</tr>"
