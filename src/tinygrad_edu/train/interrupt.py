"""Ctrl-C, answered at a time of our choosing."""

from __future__ import annotations

import signal
import threading
from typing import Any


class Interrupt:
    """Within the block, Ctrl-C is remembered, and `check()` raises it as KeyboardInterrupt.

    The second Ctrl-C is immediate: whoever presses twice means it. Only Python's own handler is
    replaced, and only in the main thread, where Python allows it; a program that handles the signal
    itself keeps doing so.
    """

    def __init__(self) -> None:
        self.pressed = False
        self.previous: Any = None

    def __enter__(self) -> Interrupt:
        ours = threading.current_thread() is threading.main_thread()
        if ours and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            self.previous = signal.signal(signal.SIGINT, self._press)
        return self

    def __exit__(self, *error: object) -> None:
        if self.previous is not None:
            signal.signal(signal.SIGINT, self.previous)
        if error[0] is None:
            self.check()  # pressed after the last check: not to be lost

    def _press(self, number: int, frame: Any) -> None:
        if self.pressed:
            raise KeyboardInterrupt
        self.pressed = True

    def check(self) -> None:
        if self.pressed:
            raise KeyboardInterrupt
