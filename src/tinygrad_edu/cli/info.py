"""`tinygrad-edu info`: what this installation computes with."""

from __future__ import annotations

import argparse
import json
import platform
from typing import Any

import numpy as np


def version() -> str:
    """The version of the package."""
    from .. import __version__

    return __version__


def facts() -> dict[str, Any]:
    """Version, kernels ("c" or "numpy"), instruction set chosen and available, threads, dtype,
    Python and NumPy."""
    from .. import kernels

    return {
        "version": version(),
        **kernels.info(),
        "dtype": "float32",  # of Python numbers; arrays keep theirs
        "python": platform.python_version(),
        "numpy": np.__version__,
        "platform": f"{platform.system()} {platform.machine()}",
    }


def config_lines() -> list[str]:
    """The facts for a person, one a line, the names in a column."""
    entries = facts()
    width = max(map(len, entries))
    return [f"{name.replace('_', ' '):{width}}  {_words(value)}" for name, value in entries.items()]


def info(arguments: argparse.Namespace) -> int:
    """Print the facts, as lines or as one JSON object."""
    print(json.dumps(facts()) if arguments.json else "\n".join(config_lines()))
    return 0


def _words(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return ", ".join(map(str, value)) or "none"
    return "none" if value is None else str(value)
