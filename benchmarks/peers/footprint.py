"""What an installation weighs: `python footprint.py sklearn scikit-learn` (module, distribution)
prints its megabytes, then those with all that it requires.

Byte code, which Python writes itself, is not counted. A module that runs from a checkout has no
distribution: its folder is counted, and its requirements are given as further arguments.
"""

from __future__ import annotations

import importlib.util
import re
import sys
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path


def closure(names: list[str]) -> dict[str, metadata.Distribution]:
    """These distributions and what they require, as far as it is installed; extras apart."""
    found: dict[str, metadata.Distribution] = {}
    wanted = list(names)
    while wanted:
        name = wanted.pop()
        try:
            distribution = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            continue  # a requirement of another platform, or a checkout
        if distribution.name not in found:
            found[distribution.name] = distribution
            needed = [r for r in distribution.requires or () if "extra ==" not in r]
            wanted += [re.split(r"[^\w.-]", requirement)[0] for requirement in needed]
    return found


def files(distributions: Iterable[metadata.Distribution]) -> set[Path]:
    listed = [(each, file) for each in distributions for file in each.files or ()]
    return {Path(str(each.locate_file(file))).resolve() for each, file in listed}


def megabytes(paths: set[Path]) -> float:
    kept = [path for path in paths if path.is_file() and path.suffix != ".pyc"]
    return sum(path.stat().st_size for path in kept) / 1e6


def main(module: str, distribution: str, *requirements: str) -> None:
    spec = importlib.util.find_spec(module)
    folders = (spec and spec.submodule_search_locations) or ()
    here = {path.resolve() for folder in folders for path in Path(folder).rglob("*")}
    required = closure([distribution, *requirements])
    own = here | files(each for name, each in required.items() if name == distribution)
    print(megabytes(own), megabytes(own | files(required.values())))


if __name__ == "__main__":
    main(*sys.argv[1:])
