"""What happened during training, one number an epoch.

The invariant: every series has one entry for each completed epoch, so that they can be plotted
against each other.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ..errors import ArgumentError, DataError, UnknownNameError
from ..serialization import replacing


class History:
    """Series of floats by name, one entry a completed epoch: `history["val_loss"]`, or
    `history.val_loss`.

    Always there: train_loss, seconds (wall clock, validation included), lr (the rate the epoch was
    trained with). With metrics, train_<metric>; with validation data, val_loss and val_<metric>.
    Training figures are means over the epoch while the weights were changing; validation figures
    are of the weights at its end.

    best_epoch: the epoch, counted from 1, with the best monitored figure; None before the first has
    ended. interrupted: whether Ctrl-C ended training. stopped_early: whether early stopping or a
    callback did. eager_because: why the step was not, or no longer, run as a compiled program; None
    where it was.
    """

    def __init__(self) -> None:
        self.series: dict[str, list[float]] = {}
        self.best_epoch: int | None = None
        self.interrupted = False
        self.stopped_early = False
        self.eager_because: str | None = None

    @property
    def epochs(self) -> int:
        """The number of completed epochs."""
        return len(next(iter(self.series.values()), []))

    def append(self, **figures: float) -> None:
        """Add the figures of one epoch; ValueError unless they are the series of those before."""
        if self.series and set(figures) != set(self.series):
            raise ArgumentError(
                f"History: got the figures {sorted(figures)}; the epochs before have "
                f"{sorted(self.series)}.",
                code="unknown-name",
            )
        for name, value in figures.items():
            self.series.setdefault(name, []).append(float(value))

    def last(self) -> dict[str, float]:
        """The figures of the latest epoch."""
        return {name: values[-1] for name, values in self.series.items()}

    def __getitem__(self, name: str) -> list[float]:
        try:
            return self.series[name]
        except KeyError:
            raise UnknownNameError(
                f"no series {name!r}; this history has {', '.join(self.series) or 'none yet'}"
            ) from None

    def __contains__(self, name: object) -> bool:
        return name in self.series

    def __getattr__(self, name: str) -> list[float]:
        # Asked only for what is not an attribute. "series" itself is missing while a copy is being
        # made.
        if name != "series" and name in self.series:
            return self.series[name]
        raise AttributeError(
            f"History has no series or attribute {name!r}; it has the series "
            f"{', '.join(self.__dict__.get('series', ())) or 'none yet'}."
        )

    def to_dict(self) -> dict[str, Any]:
        """The series, then epochs, best_epoch, interrupted, stopped_early and eager_because, ready
        for JSON."""
        copies = {name: list(values) for name, values in self.series.items()}
        return {
            **copies,
            "epochs": self.epochs,
            "best_epoch": self.best_epoch,
            "interrupted": self.interrupted,
            "stopped_early": self.stopped_early,
            "eager_because": self.eager_because,
        }

    def save(self, path: str | Path) -> None:
        """Write `to_dict()` as JSON; an existing file is replaced once the new one is whole."""
        text = json.dumps(self.to_dict(), indent=1, allow_nan=False) + "\n"
        with replacing(path) as file:
            file.write(text.encode())

    @classmethod
    def load(cls, path: str | Path) -> History:
        """Read what `save` wrote. Raises DataError, naming the file, when it is something else."""
        try:
            entries = json.loads(Path(path).read_bytes())
            history = cls()
            history.best_epoch = entries.pop("best_epoch")
            history.interrupted = entries.pop("interrupted")
            history.stopped_early = entries.pop("stopped_early")
            history.eager_because = entries.pop("eager_because", None)  # files of before have none
            epochs = entries.pop("epochs")
            history.series = {
                name: [float(value) for value in values] for name, values in entries.items()
            }
            if any(len(values) != epochs for values in history.series.values()):
                raise ValueError(f"series of other lengths than {epochs} epochs")
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise DataError(
                f"{path} is not a history that History.save wrote ({error}).", code="wrong-file"
            ) from None
        return history

    def __repr__(self) -> str:
        latest = ", ".join(f"{name}={value:.4g}" for name, value in self.last().items())
        return f"History({self.epochs} epochs{': ' if latest else ''}{latest})"
