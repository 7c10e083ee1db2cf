"""Programs that a test starts: they import what it imports, and end with it whatever happens."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def started(*arguments: object, **options: object) -> Iterator[subprocess.Popen]:
    """Python with these arguments, its output and errors on pipes unless asked otherwise."""
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, *map(str, arguments)]
    with subprocess.Popen(command, text=True, env=environment, **options) as process:
        try:
            yield process
        finally:
            process.kill()
