"""When the numbers of a node were last written over.

Time is one counter. A node remembers when it was made (`seq`), and here it is noted when memory was
last written; a write that is younger than a node which reads that memory is the in-place surprise
that a backward refuses.

Our own writes are noted as they happen. What a user writes into the array that `t.data` handed out
cannot be: there, what the array held when it was handed out is remembered, and compared. So a write
is noticed if the array was asked for between the forward and the write (`t.data[...] = 0`), and not
if it was held since before the forward.
"""

from __future__ import annotations

import itertools
import weakref
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .graph import Node

tick = itertools.count(1).__next__


class Writes:
    """`latest`, the time of the youngest write, known or possible, lets a backward without
    surprises pay one comparison a node; `memory` is {id: [weak reference, time]} of what was
    written into, `handed_out` {id: [weak reference, time, hash]} of the nodes whose array a user
    may write into."""

    __slots__ = ("latest", "memory", "handed_out")

    def __init__(self) -> None:
        self.latest = 0
        self.memory: dict[int, list] = {}
        self.handed_out: dict[int, list] = {}


writes = Writes()


def mark_replaced(node: Node) -> None:
    """Note that `node` was given another payload; the old one lives on unchanged."""
    node.written = writes.latest = tick()


def mark_written(*nodes: Node) -> None:
    """Note that the payloads of `nodes` were changed in place (by an optimizer, an assignment, a
    load). The note is on the memory, which views and detached nodes share."""
    now = writes.latest = tick()
    for node in nodes:
        _note(writes.memory, node.memory())[1] = now


def marker(nodes: Iterable[Node]) -> Callable[[], None]:
    """mark_written(*nodes), made ready: for nodes that are written again and again, as long as
    their memory lives."""
    notes = [_note(writes.memory, node.memory()) for node in nodes]

    def mark() -> None:
        now = writes.latest = tick()
        for note in notes:
            note[1] = now

    return mark


def mark_handed_out(node: Node) -> None:
    """Note that a user has the array of `node` from now on, and what it holds."""
    node.written = last_written(node)
    _note(writes.handed_out, node)[1:] = tick(), hash(node.payload.tobytes())
    writes.latest = tick()


def last_written(node: Node) -> int:
    """When the numbers that `node` now shows were last changed, or a time before that and after
    which they were."""
    latest = node.written
    owner = node.memory()
    note = writes.memory.get(id(owner))
    if note is not None and note[0]() is owner:
        latest = max(latest, note[1])
    note = writes.handed_out.get(id(node))
    if note is not None and note[0]() is node and hash(node.payload.tobytes()) != note[2]:
        latest = max(latest, note[1])
    return latest


def _note(table: dict[int, list], subject: Any) -> list:
    """The entry of `subject` in `table`, which goes when `subject` does."""
    key = id(subject)
    note = table.get(key)
    if note is None or note[0]() is not subject:
        note = table[key] = [weakref.ref(subject, _forget(table, key)), 0]
    return note


def _forget(table: dict[int, list], key: int) -> Callable:
    """What to do when the subject of `key` is freed, unless the key was taken anew."""

    def forget(reference: Any) -> None:
        note = table.get(key)
        if note is not None and note[0] is reference:
            del table[key]

    return forget
