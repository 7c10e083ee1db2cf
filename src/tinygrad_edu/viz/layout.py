"""Where the boxes of a directed graph without cycles go: a layered drawing, from the top down.

Four steps, after K. Sugiyama, S. Tagawa and M. Toda, IEEE Transactions on Systems, Man, and
Cybernetics 11 (1981):

    layers    a box stands as many layers above the last one as the longest path to it has edges, so
              that every edge leads down and an input stands just above the first that uses it
    bends     an edge that crosses a layer passes it at a bend, a point that is placed like a box;
              all edges that leave one box share their bends, so an input used a thousand times
              costs one bend a layer
    order     within a layer, by the mean place of the neighbours above or below (the barycentre);
              of several sweeps the one with the fewest crossings is kept, and then neighbours
              change places as long as that removes some
    places    as near to the mean of the neighbours as the order in the layer allows

No two boxes overlap, and an edge is curved only between layers, so no edge runs through a box. This
file knows numbers, not what the boxes mean. Everything is a loop: depth costs no recursion.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

GAP, LAYER_GAP, MARGIN = 18.0, 44.0, 12.0  # pixels
BEND_WIDTH = 6.0
ORDER_SWEEPS, EXCHANGE_ROUNDS, PLACE_SWEEPS = 4, 8, 8


@dataclass
class Layout:
    """Points in pixels, y downward. centres: of the boxes. routes: of each edge the corners, in
    pairs: each pair is a vertical stretch, and from one pair to the next leads a curve. An edge
    begins at its box, or at the bend where it leaves those from the same box that stand before it.
    width, height: of the whole drawing."""

    centres: list[tuple[float, float]]
    routes: list[list[tuple[float, float]]]
    width: float
    height: float


@dataclass
class _Slots:
    """The boxes and, after them, the bends: what has a place in a layer."""

    widths: list[float]
    layers: list[list[int]]  # the slots of each layer, from left to right
    above: list[list[tuple[int, float]]] = field(default_factory=list)
    below: list[list[tuple[int, float]]] = field(default_factory=list)
    """The neighbours of each slot, as (slot, by how much the edge's lower end is off the centre of
    the lower slot)."""

    def join(self, upper: int, lower: int, port: float = 0.0) -> None:
        self.above[lower].append((upper, port))
        self.below[upper].append((lower, port))


def layered(sizes: Sequence[tuple[float, float]], edges: Sequence[tuple[int, int]]) -> Layout:
    """Place boxes of `sizes` (width, height), at least one.

    edges: (from, to), in the order in which they enter `to` from left to right; boxes are numbered
    so that every edge leads to a higher number. A pair may come more than once: each edge enters at
    a place of its own.
    """
    layer = _layers(len(sizes), edges)
    slots, bends, ports = _with_bends(layer, [width for width, _ in sizes], edges)
    _order(slots)
    xs = _places(slots)
    left = min(x - width / 2 for x, width in zip(xs, slots.widths)) - MARGIN
    xs = [x - left for x in xs]
    right = max(x + width / 2 for x, width in zip(xs, slots.widths)) + MARGIN

    bands, y = [], MARGIN  # (top, bottom) of each layer
    for row in slots.layers:
        height = max(sizes[i][1] for i in row if i < len(sizes))
        bands.append((y, y + height))
        y += height + LAYER_GAP
    centres = [(xs[i], sum(bands[layer[i]]) / 2) for i in range(len(sizes))]

    def stretch(bend: int, passed: int) -> list[tuple[float, float]]:
        return [(xs[bend], y) for y in bands[passed]]

    routes = []
    drawn = [0] * len(sizes)  # how many of a box's bends the edges so far have reached
    for (source, target), port in zip(edges, ports):
        crossed = layer[target] - layer[source] - 1
        known = min(drawn[source], crossed)
        drawn[source] = max(drawn[source], crossed)
        corners = []
        if not known:
            corners = [
                (xs[source], centres[source][1] + sizes[source][1] / 2),
                (xs[source], bands[layer[source]][1]),
            ]
        for step in range(max(known - 1, 0), crossed):
            corners += stretch(bends[source][step], layer[source] + 1 + step)
        x = xs[target] + port
        corners += [(x, bands[layer[target]][0])]
        corners += [(x, centres[target][1] - sizes[target][1] / 2)]
        routes.append(corners)
    return Layout(centres, routes, right, y - LAYER_GAP + MARGIN)


def _layers(count: int, edges: Sequence[tuple[int, int]]) -> list[int]:
    """The layer of each box, 0 at the top."""
    height = [0] * count
    for source, target in sorted(edges, key=lambda edge: -edge[1]):
        height[source] = max(height[source], height[target] + 1)
    top = max(height)
    return [top - h for h in height]


def _with_bends(
    layer: list[int], widths: list[float], edges: Sequence[tuple[int, int]]
) -> tuple[_Slots, dict[int, list[int]], list[float]]:
    """The slots; the bends of each box that has some, downward; for each edge how far from the
    middle of its target it enters."""
    slots = _Slots(list(widths), [[] for _ in range(max(layer) + 1)])
    for box, its_layer in enumerate(layer):
        slots.layers[its_layer].append(box)
    slots.above, slots.below = [[] for _ in widths], [[] for _ in widths]
    entering = [0] * len(widths)
    for _, target in edges:
        entering[target] += 1
    entered = [0] * len(widths)
    bends: dict[int, list[int]] = {}
    ports = []
    for source, target in edges:
        crossed = layer[target] - layer[source] - 1
        chain = bends.setdefault(source, []) if crossed else []
        while len(chain) < crossed:
            bend = len(slots.widths)
            slots.widths.append(BEND_WIDTH)
            slots.above.append([])
            slots.below.append([])
            slots.layers[layer[source] + len(chain) + 1].append(bend)
            slots.join(chain[-1] if chain else source, bend)
            chain.append(bend)
        entered[target] += 1
        port = widths[target] * (entered[target] / (entering[target] + 1) - 0.5)
        slots.join(chain[crossed - 1] if crossed else source, target, port)
        ports.append(port)
    return slots, bends, ports


# -------------------------------------------------------------------------------------------- order


def _order(slots: _Slots) -> None:
    """Put each layer in the order, of those that the sweeps find, with the fewest crossings."""
    place = [0] * len(slots.widths)
    for row in slots.layers:
        _note(row, place)
    best, fewest = [list(row) for row in slots.layers], None
    for sweep in range(ORDER_SWEEPS):
        upward = sweep % 2 == 0  # the first one from the result, at the bottom, to its inputs
        for row in reversed(slots.layers) if upward else slots.layers:
            row.sort(key=_mean_place(slots, place, upward))
            _note(row, place)
        crossings = sum(_crossings(slots, row, place) for row in slots.layers)
        if fewest is None or crossings < fewest:
            best, fewest = [list(row) for row in slots.layers], crossings
    slots.layers[:] = best
    for row in best:
        _note(row, place)
    for _ in range(EXCHANGE_ROUNDS):
        changed = [_exchange(slots, row, place) for row in slots.layers]
        if not any(changed):
            break


def _note(row: list[int], place: list[int]) -> None:
    for position, slot in enumerate(row):
        place[slot] = position


def _mean_place(slots: _Slots, place: list[int], upward: bool) -> Callable[[int], float]:
    """The sort key of a sweep. A port counts for less than a place, and tells the inputs of one box
    apart. A slot without neighbours on that side stays."""

    def key(slot: int) -> float:
        if upward:
            found = [place[i] + port / (slots.widths[i] + 1) for i, port in slots.below[slot]]
        else:
            found = [place[i] - port / (slots.widths[slot] + 1) for i, port in slots.above[slot]]
        return sum(found) / len(found) if found else place[slot]

    return key


def _crossings(slots: _Slots, row: list[int], place: list[int]) -> int:
    """How many pairs of edges cross between `row` and the layer below: the inversions of their
    lower ends, read in the order of their upper ends."""
    count = 0
    seen: list[tuple[int, float]] = []
    for slot in row:
        ends = sorted((place[i], port) for i, port in slots.below[slot])
        count += sum(len(seen) - bisect_right(seen, end) for end in ends)
        for end in ends:
            insort(seen, end)
    return count


def _exchange(slots: _Slots, row: list[int], place: list[int]) -> bool:
    """Let neighbours in `row` change places where their edges then cross less often; whether any
    did."""
    changed = False
    for i in range(len(row) - 1):
        left, right = row[i], row[i + 1]
        as_it_is = _pair_crossings(slots, left, right, place)
        if as_it_is and _pair_crossings(slots, right, left, place) < as_it_is:
            row[i], row[i + 1] = right, left
            place[right], place[left] = i, i + 1
            changed = True
    return changed


def _pair_crossings(slots: _Slots, left: int, right: int, place: list[int]) -> int:
    """How often the edges of two slots cross if `left` stands to the left of `right`."""
    count = 0
    for side in (slots.below, slots.above):
        # Below, the port is where the edge ends; above, it says nothing about the other end.
        lefts, rights = (
            sorted((place[i], port if side is slots.below else 0.0) for i, port in side[slot])
            for slot in (left, right)
        )
        count += sum(len(lefts) - bisect_right(lefts, end) for end in rights)
    return count


# ------------------------------------------------------------------------------------------- places


def _places(slots: _Slots) -> list[float]:
    """The x of each slot's centre: sweeps that move every layer as near to the means of its
    neighbours above, or below, as its order and widths allow."""
    xs = [0.0] * len(slots.widths)
    for row in slots.layers:
        _move(slots, row, xs, [0.0] * len(row))
    for sweep in range(PLACE_SWEEPS):
        upward = sweep % 2 == 0
        for row in reversed(slots.layers) if upward else slots.layers:
            wanted = []
            for slot in row:
                if upward:
                    found = [xs[i] + port for i, port in slots.below[slot]]
                else:
                    found = [xs[i] - port for i, port in slots.above[slot]]
                wanted.append(sum(found) / len(found) if found else xs[slot])
            _move(slots, row, xs, wanted)
    return xs


def _move(slots: _Slots, row: list[int], xs: list[float], wanted: list[float]) -> None:
    """The places nearest to `wanted`, by the sum of squares, in this order without overlap.

    With the widths taken off, "x[i+1] - x[i] >= the distance" says that the numbers must not fall:
    an isotonic regression, solved by pooling adjacent violators (M. Ayer et al., Annals of
    Mathematical Statistics 26 (1955)).
    """
    starts, total = [], 0.0
    for position, slot in enumerate(row):
        if position:
            total += (slots.widths[row[position - 1]] + slots.widths[slot]) / 2 + GAP
        starts.append(total)
    pools: list[tuple[float, int]] = []  # (sum, number) of each run that shares one value
    for want, start in zip(wanted, starts):
        sum_, number = want - start, 1
        while pools and pools[-1][0] * number >= sum_ * pools[-1][1]:
            sum_, number = sum_ + pools[-1][0], number + pools[-1][1]
            pools.pop()
        pools.append((sum_, number))
    shared = [sum_ / number for sum_, number in pools for _ in range(number)]
    for slot, value, start in zip(row, shared, starts):
        xs[slot] = value + start
