"""The command line: `tinygrad-edu train ...` and `tinygrad-edu info`.

The invariants: stdout carries the result and nothing else (with --json exactly one JSON object),
stderr carries progress and at most one line of complaint. Exit codes: 0 done; 1 the data, the files
or the training said no; 2 the command was not understood; 130 Ctrl-C, after what was learned has
been saved.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Sequence

from ..errors import TinygradEduError
from .info import config_lines
from .options import parser

__all__ = ["config_lines", "main"]

# What a user's input can cause. Anything else is a fault of ours, and its traceback is what a
# report needs.
_REFUSALS = (TinygradEduError, OSError, ValueError, ArithmeticError, ImportError, MemoryError)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line (by default the process's own) and return its exit code.

    Raises SystemExit for --help and --version (0) and for a command that was not understood (2).
    """
    arguments = parser().parse_args(argv)
    try:
        status = arguments.command(arguments)
        if sys.stdout is not None:
            sys.stdout.flush()
    except BrokenPipeError:
        _discard_stdout()
        return 1
    except KeyboardInterrupt:
        return complain("interrupted before there was anything to save.", 130)
    except _REFUSALS as error:
        return complain(_sentence(error), 1)
    return status


def complain(sentence: str, status: int) -> int:
    """One line on stderr, and the exit code that goes with it."""
    if sys.stderr is not None:
        with contextlib.suppress(OSError):
            print(f"tinygrad-edu: {sentence}", file=sys.stderr)
    return status


def _sentence(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{'the output' if error.filename is None else error.filename}: {error.strerror}."
    if isinstance(error, MemoryError) and not str(error):
        return "there is not enough memory for this."
    return " ".join(str(error).split()) or type(error).__name__


def _discard_stdout() -> None:
    """Let what is still buffered for a reader who has gone vanish, or Python complains at exit."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
