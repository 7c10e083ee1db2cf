"""The tables in docs/ that are made from the code. `python tests/tables.py` writes them anew; a
test finds a page that has fallen behind.

A table stands between two comments of its page, `<!-- table: NAME -->` and `<!-- end -->`.
"""

from __future__ import annotations

import re
from pathlib import Path

from tinygrad_edu.ops.table import conventions_table, operations_table

DOCS = Path(__file__).resolve().parent.parent / "docs"

# To add a table: its name, and the function that makes it.
TABLES = {"operations": operations_table, "conventions": conventions_table}
SLOT = re.compile(r"(<!-- table: (\w+) -->\n).*?(<!-- end -->)", flags=re.DOTALL)


def filled(page: str) -> str:
    """`page` with each of its tables as the code makes it now."""
    return SLOT.sub(lambda slot: f"{slot[1]}\n{TABLES[slot[2]]()}\n\n{slot[3]}", page)


if __name__ == "__main__":
    for path in sorted(DOCS.glob("*.md")):
        path.write_text(filled(path.read_text(encoding="utf-8")), encoding="utf-8")
