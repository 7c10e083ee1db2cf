"""The graph behind a Tensor or a Value, as a picture: SVG, drawn by ourselves, or DOT.

No library is needed. A box is a node of the graph and stands there once, however often it is used;
an edge is one use of it. What an operation was given besides nodes, numbers and arrays, is drawn as
well, so the picture is the whole formula; its parameters stand beside its name.

                fill     border
    result      orange   square, thick   the Tensor or Value that was asked for
    parameter   green    round           a Tensor leaf that requires grad; any leaf with a name
    leaf        blue     round           what else the computation began with
    constant    grey     round           a number or an array
    operation   white    square          all that was computed on the way
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ArgumentError, CallError, GraphError
from ..graph import Node
from ..serialization import replacing
from .layout import layered

FILLS = {
    "result": "#FFE3B3",
    "parameter": "#C9EBDD",
    "leaf": "#D3E7F5",
    "constant": "#EEEEEE",
    "operation": "#FFFFFF",
}
_FONT_SIZE, _LINE, _PADDING = 13, 17, 10
_CHARACTER = 0.61 * _FONT_SIZE  # the width of one, in the usual fonts of one width
_LONGEST = 32  # characters of a line, before it is cut


@dataclass
class Box:
    """One node: what it is (a key of FILLS), and its lines, the first of which names it."""

    kind: str
    lines: list[str]


class Drawing:
    """A graph ready to be looked at: a notebook shows it, `svg` and `dot` are the text, `save`
    writes either.

    boxes, and edges as (from, to): positions in `boxes`; an edge leads to a higher one, and the
    last box is the result.
    """

    def __init__(self, boxes: list[Box], edges: list[tuple[int, int]]) -> None:
        self.boxes = boxes
        self.edges = edges

    @property
    def svg(self) -> str:
        """The picture as a whole SVG document, without scripts, styles or outside references."""
        return _svg(self.boxes, self.edges)

    @property
    def dot(self) -> str:
        """The graph in Graphviz's language, without places: `dot -Tpdf` finds its own."""
        return _dot(self.boxes, self.edges)

    def _repr_svg_(self) -> str:
        return self.svg

    def save(self, path: str | Path) -> None:
        """Write `path`, .svg or .dot by its suffix; what was there is replaced once the new file is
        whole. Raises ArgumentError for another suffix, OSError where it cannot be written."""
        texts = {".svg": lambda: self.svg, ".dot": lambda: self.dot}
        suffix = Path(path).suffix.lower()
        if suffix not in texts:
            raise ArgumentError(
                f"save: {path}: a graph is written as .svg (a picture) or .dot (for Graphviz)."
            )
        with replacing(path) as file:
            file.write(texts[suffix]().encode())

    def __repr__(self) -> str:
        return f"Drawing({len(self.boxes)} nodes, {len(self.edges)} edges)"


def graph(root: Any, *, names: Any = None, max_nodes: int = 500) -> Drawing:
    """The graph that `root` (a Tensor or a Value) was computed by.

    names: {"w": tensor, ...}, or a Module, whose parameters have names. A Value shows its own label
    too. A Tensor shows its shape and dtype, or its number where it has only one; a Value shows its
    number and, after backward(), its gradient; so does a leaf of one number.
    max_nodes: what is larger is refused (ArgumentError), since nobody could read it.
    Raises GraphError too for a graph that a backward has freed, CallError (a TypeError) for what
    records nothing and for names that are not as above.
    """
    if not isinstance(root, Node):
        raise CallError(
            f"graph: expected a Tensor or a Value, got {type(root).__name__}: only what was "
            "computed from these has a graph."
        )
    called = _names(names)
    order, constants = _nodes(root, max_nodes)
    numbers = {id(node): len(constants) + i for i, node in enumerate(order)}
    boxes = [Box("constant", _constant(x)) for x in constants]
    boxes += [_box(node, called.get(id(node), ""), node is root) for node in order]
    edges, next_constant = [], iter(range(len(constants)))
    for node in order:
        for x in _operands(node):
            source = numbers[id(x)] if isinstance(x, Node) else next(next_constant)
            edges.append((source, numbers[id(node)]))
    return Drawing(boxes, edges)


# ---------------------------------------------------------------------------------------- the graph


def _names(names: Any) -> dict[int, str]:
    """{id of a node: its name}."""
    if names is None:
        return {}
    wanted = 'expected a dict of Tensors or Values, {"w": w}, or a Module of Tensors.'
    if hasattr(names, "named_parameters"):
        pairs = list(names.named_parameters())
    elif isinstance(names, Mapping):
        pairs = list(names.items())
    else:
        raise CallError(f"graph: names is of type {type(names).__name__}: {wanted}")
    for name, node in pairs:
        if not isinstance(node, Node):
            raise CallError(f"graph: names has {type(node).__name__} for {name!r}: {wanted}")
    return {id(node): str(name) for name, node in pairs}


def _nodes(root: Node, max_nodes: int) -> tuple[list[Node], list[Any]]:
    """All nodes, inputs before what is computed from them, `root` last; and the constants, in the
    order in which the operations use them."""
    found, seen = [root], {id(root)}
    count = 1
    for node in found:  # grows while it is walked
        if node.op is not None and node.inputs is None:
            raise GraphError(
                f"graph: a backward has freed what led to this {node.op.name}. Draw the graph "
                "before backward(), or call backward(retain_graph=True).",
                code="backward-twice",
            )
        for x in _operands(node):
            count += not (isinstance(x, Node) and id(x) in seen)
            if isinstance(x, Node) and id(x) not in seen:
                seen.add(id(x))
                found.append(x)
        if count > max_nodes:
            raise ArgumentError(
                f"graph: more than {max_nodes} nodes, which nobody could read. Draw a smaller "
                "computation (one example, one layer), or say max_nodes= to have it all the same."
            )
    leaves = [node for node in found if node.op is None]
    computed = sorted((node for node in found if node.op is not None), key=lambda node: node.seq)
    order = [*leaves, *computed]
    return order, [x for node in order for x in _operands(node) if not isinstance(x, Node)]


def _operands(node: Node) -> Iterator[Any]:
    """What `node` was computed from; an input that was left out is None."""
    return (x for x in node.inputs or () if x is not None)


def _box(node: Node, name: str, is_root: bool) -> Box:
    label = name or getattr(node, "label", "")
    number = _number(node.payload)
    if node.op is None:
        trained = bool(name) or (node.requires_grad and not node.keeps_grad)
        kind = "parameter" if trained else "leaf"
        lines = [label or kind]
    else:
        kind = "operation"
        operation = " ".join([node.op.symbol, *_params(node)])
        lines = [f"{label} = {operation}" if label else operation]
    if number is None:
        lines.append(_kind_of_array(node.payload))
    else:
        lines.append(f"data {number:.4g}")
        grad = node.grad if node.op is None or node.keeps_grad else None
        if grad is not None:
            lines.append(f"grad {float(grad):.4g}")
    return Box("result" if is_root else kind, lines)


def _constant(x: Any) -> list[str]:
    number = _number(x)
    return ["array", _kind_of_array(x)] if number is None else [f"{number:.4g}"]


def _number(payload: Any) -> float | None:
    """The payload's number, where it has one and no more."""
    if isinstance(payload, (bool, int, float, np.generic)):
        return float(payload)
    if isinstance(payload, np.ndarray) and payload.size == 1:
        return float(payload.item())
    return None


def _kind_of_array(payload: Any) -> str:
    return f"{payload.shape} {payload.dtype}"


def _params(node: Node) -> Iterator[str]:
    """The parameters that are not as the operation's row has them; an array is told by its
    shape."""
    defaults = node.op.defaults if node.op else {}
    for key, value in node.params.items():
        text = f"array{value.shape}" if isinstance(value, np.ndarray) else repr(value)
        if text != repr(defaults.get(key)):
            yield f"{key}={text}"


# -------------------------------------------------------------------------------------------- text

# What XML 1.0 has no place for (section 2.2), even escaped.
_UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


def _clean(line: str) -> str:
    return " ".join(_UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", line).split())


def _cut(line: str) -> str:
    line = _clean(line)
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…"


def _columns(line: str) -> int:
    """How many characters wide: those of East Asian scripts count for two."""
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in line)


def _svg(boxes: list[Box], edges: list[tuple[int, int]]) -> str:
    shown = [[_cut(line) for line in box.lines] for box in boxes]
    sizes = [
        (
            max(map(_columns, lines)) * _CHARACTER + 2 * _PADDING,
            len(lines) * _LINE + _PADDING,
        )
        for lines in shown
    ]
    layout = layered(sizes, edges)
    width, height = layout.width, layout.height
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {width:.1f} {height:.1f}" font-size="{_FONT_SIZE}" '
        'font-family="ui-monospace, Menlo, Consolas, monospace">',
        f'<rect width="{width:.1f}" height="{height:.1f}" fill="#FFFFFF"/>',
        '<g stroke="#555555" stroke-width="1.4">',
    ]
    for (source, target), corners in zip(edges, layout.routes):
        parts.append(
            f'<g class="edge" data-from="{source}" data-to="{target}">{_arrow(corners)}</g>'
        )
    parts.append('</g><g stroke="#333333">')
    for number, (box, lines) in enumerate(zip(boxes, shown)):
        parts.append(_box_svg(number, box, lines, sizes[number], layout.centres[number]))
    return "\n".join([*parts, "</g></svg>\n"])


def _arrow(corners: list[tuple[float, float]]) -> str:
    """A path through the corners: down, curve, down, ..., and a head at its end."""
    (x, y), *rest = corners
    path = [f"M{x:.1f} {y:.1f}"]
    for i, (to_x, to_y) in enumerate(rest):
        if i % 2 == 0:
            path.append(f"V{to_y:.1f}")
        else:
            middle = (y + to_y) / 2
            path.append(f"C{x:.1f} {middle:.1f} {to_x:.1f} {middle:.1f} {to_x:.1f} {to_y:.1f}")
        x, y = to_x, to_y
    head = f"M{x:.1f} {y:.1f}l-3.5 -7h7z"
    return f'<path d="{"".join(path)}" fill="none"/><path d="{head}" fill="#555555"/>'


def _box_svg(
    number: int,
    box: Box,
    lines: list[str],
    size: tuple[float, float],
    centre: tuple[float, float],
) -> str:
    (width, height), (x, y) = size, centre
    leaf = box.kind in ("parameter", "leaf", "constant")
    told = escape("\n".join([box.kind, *map(_clean, box.lines)]))
    first = y - (len(lines) - 1) * _LINE / 2 + 0.35 * _FONT_SIZE
    weights = ["bold", *["normal"] * (len(lines) - 1)]
    texts = [
        f'<text x="{x:.1f}" y="{first + i * _LINE:.1f}" text-anchor="middle" stroke="none" '
        f'font-weight="{weight}">{escape(line)}</text>'
        for i, (line, weight) in enumerate(zip(lines, weights))
    ]
    return (
        f'<g class="node {box.kind}" id="n{number}"><title>{told}</title>'
        f'<rect x="{x - width / 2:.1f}" y="{y - height / 2:.1f}" width="{width:.1f}" '
        f'height="{height:.1f}" rx="{12 if leaf else 2}" fill="{FILLS[box.kind]}" '
        f'stroke-width="{2.5 if box.kind == "result" else 1}"/>{"".join(texts)}</g>'
    )


def _dot(boxes: list[Box], edges: list[tuple[int, int]]) -> str:
    lines = ["digraph {", '  node [shape=box, style="filled", fontname="monospace"];']
    for number, box in enumerate(boxes):
        leaf = box.kind in ("parameter", "leaf", "constant")
        label = "\\n".join(_quoted(_cut(line)) for line in box.lines)
        style = ', style="filled,rounded"' if leaf else ""
        pen = ", penwidth=2.5" if box.kind == "result" else ""
        lines.append(f'  n{number} [label="{label}", fillcolor="{FILLS[box.kind]}"{style}{pen}];')
    lines += [f"  n{source} -> n{target};" for source, target in edges]
    return "\n".join([*lines, "}\n"])


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')
