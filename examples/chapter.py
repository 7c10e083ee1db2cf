"""What the chapters of the course share: their options, their claims, their pictures.

    chapter = Chapter(__doc__)
    if chapter.quick: ...
    chapter.claim("what was shown", it_holds)
    chapter.picture("name", draw)          # draw(figure) is called only where a picture is wanted
    sys.exit(chapter.finish())

A chapter with an option of its own adds it to `Chapter.parser(__doc__)` and passes that parser.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any


class Chapter:
    """One chapter's run. The exit status is 0 where every claim holds, 1 where one does not, and 2
    for an option that cannot be used."""

    def __init__(
        self, about: str | argparse.ArgumentParser, arguments: list[str] | None = None
    ) -> None:
        parser = self.parser(about) if isinstance(about, str) else about
        self.options = parser.parse_args(arguments)
        self.quick: bool = self.options.quick
        self.claims: list[bool] = []
        self._began = time.perf_counter()
        if self.options.out is not None:
            try:
                self.options.out.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                parser.error(
                    f"--out {self.options.out}: {error.strerror}: name a folder that can be made."
                )

    @staticmethod
    def parser(about: str) -> argparse.ArgumentParser:
        """The options of every chapter, with `about` (the module's docstring) as its help."""
        parser = argparse.ArgumentParser(
            description=about, formatter_class=argparse.RawDescriptionHelpFormatter
        )
        parser.add_argument(
            "--out", type=Path, metavar="DIR", help="save the pictures, as PNG, into this folder"
        )
        parser.add_argument(
            "--quick", action="store_true", help="smaller numbers: under 20 seconds"
        )
        return parser

    def claim(self, text: str, holds: Any) -> None:
        """Print a claim and whether it holds; one that does not makes the exit status 1."""
        self.claims.append(bool(holds))
        print(f"Claim: {text}: {bool(holds)}")

    def picture(
        self, name: str, draw: Callable[[Any], None], size: tuple[float, float] = (10, 5)
    ) -> None:
        """Save `draw(figure)` as NAME.png where --out was given. size: inches, (width, height)."""
        if self.options.out is None:
            return
        from tinygrad_edu.viz import new_figure

        try:
            figure = new_figure(size)
        except ImportError as error:
            raise SystemExit(f"--out: {error}") from None
        draw(figure)
        path = self.options.out / f"{name}.png"
        figure.savefig(path)
        print(f"picture: {path}")

    def finish(self) -> int:
        """The exit status."""
        print(f"({time.perf_counter() - self._began:.1f} s)")
        print(f"All {len(self.claims)} claims hold: {all(self.claims)}")
        return 0 if self.claims and all(self.claims) else 1
