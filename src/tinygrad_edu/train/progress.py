"""Progress on stderr: a bar with the `rich` library, lines without it, nothing if nobody looks.

A reporter is a context with three methods: `batch(number)`, how many of an epoch are done,
`epoch(number, figures, improved)`, and `say(sentence)`.
"""

from __future__ import annotations

import contextlib
import sys
import time
from typing import Any


def reporter(progress: bool | None, epochs: int, batches: int, *, asked: bool = False) -> Any:
    """progress: True shows, False is quiet, None shows when stderr is a terminal; `asked`: None has
    `say` speak elsewhere too, since it answers what was asked for."""
    terminal = sys.stderr is not None and sys.stderr.isatty()
    if not (terminal if progress is None else progress) or sys.stderr is None:
        return Sentences() if asked and progress is None and sys.stderr is not None else Quiet()
    if terminal:
        with contextlib.suppress(ImportError):
            return Bar(epochs, batches)
    return Lines(epochs)


class Quiet:
    def __enter__(self) -> Any:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def batch(self, number: int) -> None:
        pass

    def epoch(self, number: int, figures: dict[str, float], improved: bool) -> None:
        pass

    def say(self, sentence: str) -> None:
        pass


class Sentences(Quiet):
    """Nothing but what is said."""

    def say(self, sentence: str) -> None:
        print(sentence, file=sys.stderr, flush=True)


class Lines(Sentences):
    """A line an epoch, though not more than two a second; the last epoch always has one."""

    def __init__(self, epochs: int):
        self.epochs = epochs
        self.printed = -1.0

    def epoch(self, number: int, figures: dict[str, float], improved: bool) -> None:
        now = time.monotonic()
        if now - self.printed >= 0.5 or number == self.epochs:
            self.printed = now
            mark = "  best so far" if improved else ""
            print(
                f"epoch {number}/{self.epochs}  {summary(figures)}{mark}",
                file=sys.stderr,
                flush=True,
            )


class Bar(Quiet):
    """One bar over all epochs, the latest figures beside it. Needs `rich` (the extra `cli`)."""

    def __init__(self, epochs: int, batches: int):
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        self.epochs, self.batches = epochs, batches
        self.before, self.done, self.shown = 0, 0, 0.0
        self.progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=20),
            TimeRemainingColumn(),
            TextColumn("{task.fields[figures]}"),
            console=Console(stderr=True),
        )

    def __enter__(self) -> Any:
        self.progress.start()
        self.task = self.progress.add_task(
            f"epoch 1/{self.epochs}", total=self.epochs * self.batches, figures=""
        )
        return self

    def __exit__(self, *error: object) -> None:
        self.progress.update(self.task, completed=self.done)
        self.progress.stop()

    def say(self, sentence: str) -> None:
        self.progress.console.print(sentence, markup=False, highlight=False, soft_wrap=True)

    def batch(self, number: int) -> None:
        self.done = self.before + number
        now = time.monotonic()
        if (
            now - self.shown > 0.1
        ):  # the library's own bookkeeping would cost more than a small step
            self.shown = now
            self.progress.update(self.task, completed=self.done)

    def epoch(self, number: int, figures: dict[str, float], improved: bool) -> None:
        self.before = self.done
        upcoming = min(number + 1, self.epochs)
        self.progress.update(
            self.task,
            completed=self.done,
            description=f"epoch {upcoming}/{self.epochs}",
            figures=summary(figures),
        )


def summary(figures: dict[str, float]) -> str:
    """The figures of an epoch in one line: train_loss 0.1234  val_accuracy 0.9876 ..."""
    return "  ".join(
        f"{name} {value:.4f}" for name, value in figures.items() if name not in ("seconds", "lr")
    )
