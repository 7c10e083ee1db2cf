"""What in docs/ is made from the code: tables, and what blocks of code print. `python
tests/tables.py` writes it anew; a test finds a page that has fallen behind.

A table stands between two comments of its page, `<!-- table: NAME -->` and `<!-- end -->`; what a
Python block prints, in a block of text right below it.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from tinygrad_edu.ops.table import conventions_table, operations_table

DOCS = Path(__file__).resolve().parent.parent / "docs"

# To add a table: its name, and the function that makes it.
TABLES = {"operations": operations_table, "conventions": conventions_table}
SLOT = re.compile(r"(<!-- table: (\w+) -->\n).*?(<!-- end -->)", flags=re.DOTALL)
PRINTED = re.compile(
    r"^(```python\n)((?:(?!```).*\n)*)(```\n\n```text\n)(?:(?!```).*\n)*", flags=re.MULTILINE
)


def filled(page: str) -> str:
    """`page` with each of its tables, and of its outputs, as the code makes it now."""
    page = SLOT.sub(lambda slot: f"{slot[1]}\n{TABLES[slot[2]]()}\n\n{slot[3]}", page)
    return PRINTED.sub(lambda block: "".join(block.groups()) + _output(block[2]), page)


def _output(code: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout


if __name__ == "__main__":
    for path in sorted(DOCS.glob("*.md")):
        path.write_text(filled(path.read_text(encoding="utf-8")), encoding="utf-8")
