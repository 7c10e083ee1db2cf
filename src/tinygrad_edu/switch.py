"""Blocks that turn something on for the thread that runs them: `no_grad`, `detect_anomaly`."""

from __future__ import annotations

import functools
from _thread import get_ident
from collections.abc import Callable
from typing import ClassVar, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

unusual: dict[int, int] = {}  # thread -> depth of its blocks of all kinds; empty almost always


class Switch:
    """On within `with ...():`, or in a function decorated by it; nests freely.

    `depths` is {thread: how many of its blocks are open}, empty almost always, so that asking
    whether a switch is on anywhere costs nothing; and `unusual` asks it for all switches at once.
    """

    depths: ClassVar[dict[int, int]]

    def __enter__(self) -> None:
        me = get_ident()
        for depths in (self.depths, unusual):
            depths[me] = depths.get(me, 0) + 1

    def __exit__(self, *exc: object) -> None:
        me = get_ident()
        for depths in (self.depths, unusual):
            depth = depths.pop(me) - 1
            if depth:
                depths[me] = depth

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(function)
        def within(*args: P.args, **kwargs: P.kwargs) -> R:
            with self:
                return function(*args, **kwargs)

        return within
