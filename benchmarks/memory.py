"""What a training step needs at its peak: bytes beyond parameters, optimizer state and inputs, of
our eager step and of the compiled one."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from works import NETS, Work, network

SCRIPT = Path(__file__).parent / "peers" / "memory.py"
BAR = 0.6  # the compiled step's bytes, as a part of the eager step's


def works(quick: bool) -> list[Work]:
    """The networks of the section `step` at its largest batch."""
    return [
        network("step", sizes, 1024, (), optimizer)
        for sizes in (NETS[1:3] if quick else NETS)
        for optimizer in ("sgd", "adam")
    ]


def measure(python: str, quick: bool) -> list[dict[str, Any]]:
    """A row for each work, in a process of its own."""
    rows = []
    for work in works(quick):
        done = subprocess.run(
            [python, str(SCRIPT)],
            input=json.dumps(work.spec),
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        )
        rows.append({"work": work.name, **json.loads(done.stdout)})
    return rows
