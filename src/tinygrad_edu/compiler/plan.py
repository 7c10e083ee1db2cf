"""Where the values of a program live.

Values that the program computes for itself share one block of memory, the arena. A value takes its
part of it when it is first written and gives it back when it was last read; an elementwise call may
write over an operand that nobody reads after it. Chains of elementwise calls become tiles: what
lives within a chain alone is a register, a few kilobytes that stay in the first cache, and takes no
part of the arena at all.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from .calls import Call, Out, PythonCall
from .instruction import Place

ALIGNMENT = 64
TILE = 1024  # elements: a few tiles of them fit the first cache together
LEAST_TILED = 4 * TILE  # shorter chains gain nothing


@dataclass
class Plan:
    """`offsets`: bytes from the start of the arena for each place that lives there; `arena`: its
    bytes; `chains`: [first, last) of the calls that go tile by tile; `registers`: the number of
    each place that lives in one."""

    offsets: dict[Place, int] = field(default_factory=dict)
    arena: int = 0
    chains: list[tuple[int, int]] = field(default_factory=list)
    registers: dict[Place, int] = field(default_factory=dict)


def plan(
    calls: Sequence[Call | PythonCall],
    kept: Iterable[Place],
    over: Iterable[tuple[Place, Place]] = (),
) -> Plan:
    """Find a home for every place that the calls write, but for those that are `kept`: they leave
    the program in arrays of their own. `over`: (place, operand) where a place may be written over
    an operand as it is read, if nobody reads that later."""
    made = Plan(chains=_chains(calls))
    first, last = _lives(calls)
    outside = set(kept)
    temporary = [p for p in first if p.kind == "made" and p not in outside]
    for begin, end in made.chains:
        inner = [p for p in temporary if begin <= first[p] and last[p] < end]
        _assign_registers(made, inner, first, last)
    rest = [p for p in temporary if p not in made.registers]
    shares = _over_operands(calls, rest, first, last)
    _share_where_asked(shares, calls, over, set(rest), last)
    _take_chains_whole(made.chains, first, last)
    _assign_offsets(made, rest, shares, first, last)
    return made


def _lives(calls: Sequence[Call | PythonCall]) -> tuple[dict[Place, int], dict[Place, int]]:
    """When each place is first written, and when it is last written or read."""
    first: dict[Place, int] = {}
    last: dict[Place, int] = {}
    for i, call in enumerate(calls):
        for place in call.writes:
            first.setdefault(place.root, i)
            last[place.root] = i
        for place in call.reads:
            last[place.root] = i
    return first, last


# ----------------------------------------------------------------------------------------- chains


def _chains(calls: Sequence[Call | PythonCall]) -> list[tuple[int, int]]:
    """The runs of at least two elementwise calls on equally many elements of one dtype."""
    found, begin = [], 0
    for i in range(1, len(calls) + 1):
        if i == len(calls) or not _joins(calls[begin:i], calls[i]):
            if i - begin > 1:
                found.append((begin, i))
            begin = i
    return found


def _joins(chain: Sequence[Call | PythonCall], call: Call | PythonCall) -> bool:
    head = chain[0]
    if not (isinstance(head, Call) and isinstance(call, Call)) or call.elements < LEAST_TILED:
        return False
    if (head.elements, head.dtype) != (call.elements, call.dtype):
        return False
    if call.name != "spread":
        return True
    # What is spread is read out of step with the tiles: it must be complete before the chain.
    written = {place.root for earlier in chain for place in earlier.writes}
    return not any(place.root in written for place in call.reads)


def _assign_registers(
    made: Plan, places: list[Place], first: dict[Place, int], last: dict[Place, int]
) -> None:
    busy: list[int] = []  # register -> the last call that reads it
    for place in sorted(places, key=first.__getitem__):
        free = next((r for r, until in enumerate(busy) if until < first[place]), len(busy))
        busy[free : free + 1] = [last[place]]
        made.registers[place] = free


# ------------------------------------------------------------------------------------------ arena


def _take_chains_whole(
    chains: list[tuple[int, int]], first: dict[Place, int], last: dict[Place, int]
) -> None:
    """Let what is written or read in a chain live as long as all of it: the calls of a chain take
    turns, tile by tile, so that the first call reads its later tiles after the last call has
    written its earlier ones."""
    for begin, end in chains:
        for place in first:
            if begin <= first[place] < end:
                first[place] = begin
            if begin <= last[place] < end:
                last[place] = end - 1


def _over_operands(
    calls: Sequence[Call | PythonCall],
    places: list[Place],
    first: dict[Place, int],
    last: dict[Place, int],
) -> dict[Place, Place]:
    """place -> the operand that it is written over: of an elementwise call, as large, and read
    there for the last time."""
    homeless = set(places)
    shares: dict[Place, Place] = {}
    for i, call in enumerate(calls):
        if not isinstance(call, Call) or not call.elements or call.name == "spread":
            continue
        out = call.words[0].place
        if out not in homeless or first[out] != i:
            continue
        for operand in call.words[1:]:
            fits = isinstance(operand, Place) and not isinstance(operand, Out)
            if (
                fits
                and operand in homeless
                and last[operand] == i
                and operand.nbytes == out.nbytes
                and operand not in shares.values()
            ):
                shares[out] = operand
                break
    return shares


def _share_where_asked(
    shares: dict[Place, Place],
    calls: Sequence[Call | PythonCall],
    over: Iterable[tuple[Place, Place]],
    homeless: set[Place],
    last: dict[Place, int],
) -> None:
    """Enter the pairs of `over` whose operand is not read after the place is complete, nor shared
    already."""
    complete = {p.root: i for i, call in enumerate(calls) for p in call.writes}
    for place, operand in over:
        operand = operand.root
        if (
            place in homeless
            and operand in homeless
            and last[operand] <= complete[place]
            and place.nbytes == operand.nbytes
            and operand not in shares.values()
        ):
            shares[place] = operand


def _assign_offsets(
    made: Plan,
    places: list[Place],
    shares: dict[Place, Place],
    first: dict[Place, int],
    last: dict[Place, int],
) -> None:
    """First fit, the largest first, among those that live at the same time."""
    heads: dict[Place, list[Place]] = {}
    for place in places:
        head = place
        while head in shares:
            head = shares[head]
        heads.setdefault(head, []).append(place)
    placed: list[tuple[int, int, int, int]] = []  # offset, end, first, last
    for group in sorted(heads.values(), key=lambda group: -group[0].nbytes):
        begin = min(first[p] for p in group)
        end = max(last[p] for p in group)
        size = -(-max(group[0].nbytes, 1) // ALIGNMENT) * ALIGNMENT
        offset = 0
        for low, high, other_first, other_last in sorted(placed):
            if other_first <= end and begin <= other_last and low < offset + size and offset < high:
                offset = high
        placed.append((offset, offset + size, begin, end))
        made.offsets.update(dict.fromkeys(group, offset))
        made.arena = max(made.arena, offset + size)
