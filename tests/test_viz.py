"""Pictures: the graph as SVG and DOT says what the graph is, and nothing lies over anything."""

from __future__ import annotations

import itertools
import re
import subprocess
import sys
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_edu as tg
from tinygrad_edu.errors import ArgumentError, GraphError, ShapeError
from tinygrad_edu.scalar import Value
from tinygrad_edu.viz.layout import layered

SVG = "{http://www.w3.org/2000/svg}"


def small_network():
    """(loss, model): every parameter is used twice, by the model and by the penalty."""
    model = tg.nn.MLP(4, [5, 3], activation="gelu", rng=0)
    logits = model(tg.rand(2, 4, rng=1))
    penalty = sum((p * p).sum() for p in model.parameters())
    return tg.nn.functional.cross_entropy(logits, np.array([0, 2])) + 0.01 * penalty, model


def expression():
    """A Value whose graph has 2 leaves, 2 constants, 5 operations and 10 uses."""
    a, b = Value(2.0, label="a"), Value(-3.0, label="b")
    c = a * b + 10.0
    out = c * c + a**2
    out.backward()
    return out, a


def read_svg(drawing):
    """({number of the box: (kind, lines, left, top, right, bottom)}, [(from, to, path)])."""
    root = ET.fromstring(drawing.svg)
    boxes, edges = {}, []
    for group in root.iter(f"{SVG}g"):
        kinds = group.get("class", "").split()
        if kinds[:1] == ["node"]:
            x, y, w, h = (
                float(group.find(f"{SVG}rect").get(k)) for k in ("x", "y", "width", "height")
            )
            lines = [text.text for text in group.iter(f"{SVG}text")]
            boxes[int(group.get("id")[1:])] = (kinds[1], lines, x, y, x + w, y + h)
        elif kinds == ["edge"]:
            path = group.find(f"{SVG}path").get("d")
            edges.append((int(group.get("data-from")), int(group.get("data-to")), path))
    return boxes, edges


def read_dot(drawing):
    """({node: label}, [(from, to)]), or an AssertionError where a line is no statement."""
    first, *statements, last = drawing.dot.splitlines()
    assert (first, last) == ("digraph {", "}")
    quoted = r'"((?:[^"\\\n]|\\["\\n])*)"'
    value = rf"(?:[\w.]+|{quoted})"
    boxes, edges = {}, []
    for statement in statements:
        node = re.fullmatch(
            rf"  (\w+) \[label={quoted}((?:, \w+={value})*)\];", statement
        ) or re.fullmatch(r"  (node) \[.*\];", statement)
        edge = re.fullmatch(r"  n(\d+) -> n(\d+);", statement)
        assert node or edge, statement
        if edge:
            edges.append(tuple(map(int, edge.groups())))
        elif node[1] != "node":
            boxes[int(node[1][1:])] = node[2]
    return boxes, edges


# ----------------------------------------------------------------------------- what the graph holds


@pytest.mark.parametrize("make", [small_network, expression])
def test_every_node_and_every_use_is_in_both_texts(make):
    drawing = tg.viz.graph(make()[0])
    boxes, edges = read_svg(drawing)
    labels, arrows = read_dot(drawing)
    assert sorted(boxes) == sorted(labels) == list(range(len(drawing.boxes)))
    assert [edge[:2] for edge in edges] == arrows == drawing.edges
    assert all(source < target for source, target in arrows)
    assert boxes[len(boxes) - 1][0] == "result"


def test_a_value_shows_its_number_its_gradient_and_its_label():
    out, a = expression()
    boxes, edges = read_svg(tg.viz.graph(out, names={"weight": a}))
    lines = {tuple(box[1]): box[0] for box in boxes.values()}
    assert lines == {
        ("weight", "data 2", "grad -20"): "parameter",  # 2 c b + 2 a
        ("b", "data -3", "grad 16"): "leaf",
        ("10",): "constant",
        ("2",): "constant",
        ("*", "data -6", "grad 8"): "operation",
        ("+", "data 4", "grad 8"): "operation",
        ("*", "data 16", "grad 1"): "operation",
        ("**", "data 4", "grad 1"): "operation",
        ("+", "data 20", "grad 1"): "result",
    }
    assert len(edges) == 10


def test_a_tensor_shows_shape_and_dtype_parameters_their_names():
    loss, model = small_network()
    boxes, _ = read_svg(tg.viz.graph(loss, names=model))
    found = {box[1][0]: (box[0], box[1][1]) for box in boxes.values() if len(box[1]) > 1}
    for name, parameter in model.named_parameters():
        assert found[name] == ("parameter", f"{parameter.shape} float32")
    assert found["gelu_exact"] == ("operation", "(2, 5) float32")
    assert found["leaf"] == ("leaf", "(2, 4) float32")
    assert found["array"] == ("constant", "(2,) int64")


def test_parameters_of_an_operation_are_shown_where_they_are_not_the_usual_ones():
    x = tg.ones((2, 3), requires_grad=True)
    assert tg.viz.graph(x.sum()).boxes[-1].lines[0] == "sum"
    assert tg.viz.graph(x.sum(axis=1)).boxes[-1].lines[0] == "sum axis=1"


def test_a_node_used_twice_is_one_box_with_two_arrows_that_end_apart():
    x = tg.ones(3, requires_grad=True)
    drawing = tg.viz.graph(x * x)
    boxes, edges = read_svg(drawing)
    assert len(boxes) == 2 and [edge[:2] for edge in edges] == [(0, 1), (0, 1)]
    assert edges[0][2] != edges[1][2]


def test_the_order_of_the_inputs_is_the_order_of_their_arrows():
    a, b = Value(1.0, label="a"), Value(2.0, label="b")
    for out, first in ((a - b, "a"), (b - a, "b")):
        drawing = tg.viz.graph(out)
        _, edges = read_svg(drawing)
        left = min(edges, key=lambda edge: end(edge[2]))
        assert drawing.boxes[left[0]].lines[0] == first


def end(path):
    """(x, y) at which a path ends: the last pair before the last V, and that V."""
    *_, x, _ = re.findall(r"-?[\d.]+", path[: path.rindex("V")])
    return float(x), float(path[path.rindex("V") + 1 :])


def test_a_leaf_alone_is_a_graph():
    assert [box.kind for box in tg.viz.graph(tg.ones(2)).boxes] == ["result"]
    assert len(read_svg(tg.viz.graph(Value(1.0)))[0]) == 1


@given(label=st.text(max_size=40))
def test_any_label_is_escaped(label):
    """Both texts stay well formed, and a label of plain characters is there to be read."""
    out = Value(1.0, label=label) * 2
    drawing = tg.viz.graph(out)
    boxes, _ = read_svg(drawing)
    labels, _ = read_dot(drawing)
    assert len(boxes) == len(labels) == 3
    drawing.svg.encode(), drawing.dot.encode()


def test_markup_in_a_label_is_text():
    label = '<b> & "c" \\n ]]> </svg>'
    drawing = tg.viz.graph(Value(1.0, label=label).exp())
    assert label in [box[1][0] for box in read_svg(drawing)[0].values()]
    assert label.replace("\\", "\\\\").replace('"', '\\"') + "\\ndata 1\\ngrad 0" in (
        read_dot(drawing)[0].values()
    )


# --------------------------------------------------------------------------------- where things are


@st.composite
def graphs(draw):
    """Sizes and edges; every box but the last leads somewhere."""
    n = draw(st.integers(1, 25))
    sizes = draw(
        st.lists(st.tuples(st.integers(5, 200), st.integers(5, 60)), min_size=n, max_size=n)
    )
    edges = [(i, draw(st.integers(i + 1, n - 1))) for i in range(n - 1)]
    if n > 1:
        pairs = st.lists(st.integers(0, n - 1), min_size=2, max_size=2, unique=True)
        edges += [tuple(sorted(draw(pairs))) for _ in range(draw(st.integers(0, 25)))]
    return sizes, sorted(edges, key=lambda edge: edge[1])


def rectangles(sizes, centres):
    return [(x - w / 2, y - h / 2, x + w / 2, y + h / 2) for (w, h), (x, y) in zip(sizes, centres)]


@given(graphs())
def test_no_box_overlaps_another_and_all_are_within_the_drawing(case):
    layout = layered(*case)
    found = rectangles(case[0], layout.centres)
    for (a, b, c, d), (e, f, g, h) in itertools.combinations(found, 2):
        assert c < e or g < a or d < f or h < b
    assert all(min(a, b) > 0 and c < layout.width and d < layout.height for a, b, c, d in found)


@given(graphs())
def test_edges_lead_down_from_their_box_or_its_bends_into_their_box_and_through_none(case):
    sizes, edges = case
    layout = layered(sizes, edges)
    found = rectangles(sizes, layout.centres)
    trunks = {}
    for (source, target), corners in zip(edges, layout.routes):
        (x, y), (end_x, end_y) = corners[0], corners[-1]
        left, top, right, _ = found[target]
        assert end_y == pytest.approx(top) and left < end_x < right
        begun = trunks.setdefault(source, {(layout.centres[source][0], found[source][3])})
        assert any((x, y) == pytest.approx(start) for start in begun)
        begun.update(corners[:-2])
        assert all(a[1] <= b[1] + 1e-9 for a, b in itertools.pairwise(corners))
        for (ax, ay), (_, by) in zip(corners[::2], corners[1::2]):  # the vertical stretches
            for left, top, right, bottom in found:
                assert not (left < ax < right and max(ay, top) + 1e-6 < min(by, bottom))
        for (_, ay), (_, by) in zip(corners[1::2], corners[2::2]):  # the curves: where no box is
            assert all(bottom < ay + 1e-6 or by - 1e-6 < top for _, top, _, bottom in found)


def test_edges_that_need_not_cross_do_not():
    """Two chains side by side, named in an order that crosses them."""
    boxes = [(30, 20)] * 7
    edges = [(0, 3), (1, 2), (2, 5), (3, 4), (4, 6), (5, 6)]
    xs = [x for x, _ in layered(boxes, edges).centres]
    assert xs[0] == xs[3] == xs[4] and xs[1] == xs[2] == xs[5]
    assert xs[4] < xs[5]  # as they enter the last box


def test_a_chain_of_2000_nodes_is_drawn_when_asked_for_and_refused_otherwise():
    x = out = Value(1.0)
    for _ in range(2000):
        out = out * x
    with pytest.raises(ArgumentError, match=r"more than 500 nodes.*max_nodes="):
        tg.viz.graph(out)
    drawing = tg.viz.graph(out, max_nodes=2001)
    boxes, edges = read_svg(drawing)
    assert len(boxes) == 2001 and len(edges) == 4000
    tops = [boxes[i][3] for i in range(2001)]
    assert tops == sorted(tops) and len(set(tops)) == 2001
    assert len(drawing.svg) < 4_000_000  # x is used 2000 times; its edges share their bends


# ------------------------------------------------------------------------------ saving and refusing


def test_save_writes_either_text_and_leaves_nothing_else(tmp_path):
    drawing = tg.viz.graph(expression()[0])
    drawing.save(tmp_path / "g.svg")
    drawing.save(str(tmp_path / "g.DOT"))
    assert (tmp_path / "g.svg").read_text(encoding="utf-8") == drawing.svg == drawing._repr_svg_()
    assert (tmp_path / "g.DOT").read_text(encoding="utf-8") == drawing.dot
    with pytest.raises(ValueError, match=r"\.svg .*or \.dot"):
        drawing.save(tmp_path / "g.png")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["g.DOT", "g.svg"]


def test_what_has_no_graph_is_refused():
    with pytest.raises(TypeError, match="expected a Tensor or a Value, got ndarray"):
        tg.viz.graph(np.ones(2))
    with pytest.raises(TypeError, match=r"names has float for 'w': expected a dict"):
        tg.viz.graph(Value(1.0), names={"w": 1.0})
    with pytest.raises(TypeError, match=r"names is of type list: expected a dict"):
        tg.viz.graph(Value(1.0), names=[Value(1.0)])
    loss, _ = small_network()
    loss.backward()
    with pytest.raises(GraphError, match=r"retain_graph=True"):
        tg.viz.graph(loss)


def test_the_graph_is_drawn_without_any_library():
    code = (
        "import sys; sys.modules.update(matplotlib=None, graphviz=None)\n"
        "import tinygrad_edu as tg\n"
        "print(len(tg.viz.graph(tg.ones(2, requires_grad=True).sum()).svg) > 100)\n"
        "try: tg.viz.curves({'train_loss': [1.0]})\n"
        "except ImportError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    drawn, said = done.stdout.splitlines()
    assert drawn == "True" and 'pip install "tinygrad-edu[viz]"' in said


# --------------------------------------------------------------------------------------- matplotlib


@pytest.fixture
def figure():
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    made = tg.viz.new_figure((4, 3))
    yield made
    made.canvas.draw()  # whatever was put on it can be drawn


def test_a_figure_has_our_look_and_leaves_the_settings_alone(figure):
    import matplotlib

    before = dict(matplotlib.rcParams)
    ax, other = figure.subplots(1, 2)
    (line,) = ax.plot([0, 1])
    assert line.get_color() == tg.viz.COLORS[0] and line.get_linewidth() == 2
    assert not other.spines["top"].get_visible()
    assert dict(matplotlib.rcParams) == before


def test_curves_draw_both_series_and_mark_the_best_epoch(figure):
    history = tg.train.History()
    for train, val in ((1.0, 1.1), (0.5, 0.7), (0.3, 0.8)):
        history.append(train_loss=train, val_loss=val, train_accuracy=1 - train)
    history.best_epoch = 2
    ax = figure.add_subplot()
    assert tg.viz.curves(history, ax) is ax
    train, val, best = (line.get_xydata().tolist() for line in ax.get_lines())
    assert train == [[1, 1.0], [2, 0.5], [3, 0.3]]
    assert val == [[1, 1.1], [2, 0.7], [3, 0.8]]
    assert best == [[2, 0.7]]
    one = tg.viz.curves({"train_accuracy": [0.5]}, metric="accuracy")
    assert len(one.get_lines()) == 1
    with pytest.raises(KeyError, match="no 'f1'; it has accuracy, loss"):
        tg.viz.curves(history, ax, metric="f1")


@pytest.mark.parametrize("form", ["labels", "scores", "tensor"])
def test_boundary_fills_the_plane_as_the_classifier_says(figure, form):
    from matplotlib.colors import to_rgba

    x, y = np.array([[0.0, 0.0], [1.0, 1.0], [1.0, 0.0]]), np.array([1, 0, 1])

    def predict(points):
        assert points.dtype == x.dtype and points.ndim == 2
        above = points[:, 1] > 0.5
        scores = np.stack([above, ~above], axis=1).astype(float)
        return {"labels": scores[:, 1], "scores": scores, "tensor": tg.Tensor(scores)}[form]

    ax = figure.add_subplot()
    assert tg.viz.boundary(predict, x, y, ax) is ax
    (image,) = ax.images
    left, right, bottom, top = image.get_extent()
    assert (left, right, bottom, top) == pytest.approx((-0.1, 1.1, -0.1, 1.1))
    pixels = image.get_array()
    heights = np.linspace(bottom, top, len(pixels))
    for pixel, height in zip(pixels[:, 7], heights):
        color = to_rgba(tg.viz.COLORS[int(height <= 0.5)], 0.22)
        np.testing.assert_allclose(pixel, color)
    drawn = [c.get_offsets().tolist() for c in ax.collections]
    assert drawn == [[[1, 1]], [[0, 0], [1, 0]]]
    assert [text.get_text() for text in ax.legend().get_texts()] == ["0", "1"]


def test_boundary_refuses_what_is_not_in_the_plane():
    pytest.importorskip("matplotlib")
    with pytest.raises(ShapeError, match=r"x \(3, 3\)"):
        tg.viz.boundary(lambda p: p, np.ones((3, 3)), np.ones(3))
    with pytest.raises(ShapeError, match="predict gave"):
        tg.viz.boundary(lambda p: p[:5, 0], np.ones((3, 2)), np.ones(3))


# ---------------------------------------------------------------------------------------- notebooks


def read_table(html):
    """(caption, rows of cells) of what a notebook is given; well formed, or an error."""
    root = ET.fromstring(html)
    cells = [[cell.text or "" for cell in row] for row in root.iter("tr")]
    return root[0].text, cells, root


def test_a_tensor_is_a_table_in_a_notebook():
    caption, cells, _ = read_table(tg.tensor([[1.0, -0.25], [2e10, np.nan]])._repr_html_())
    assert caption == "Tensor (2, 2), float32"
    assert cells == [["1", "-0.25"], ["2e+10", "nan"]]
    x = tg.arange(100).reshape(10, 10)
    _, cells, _ = read_table(x._repr_html_())
    assert cells[0] == ["0", "1", "2", "3", "⋯", "6", "7", "8", "9"]
    assert cells[4] == ["⋮"] * 9 and cells[-1][-1] == "99" and len(cells) == 9
    product = tg.ones(3, requires_grad=True) * 2
    caption, cells, _ = read_table(product._repr_html_())
    assert caption == "Tensor (3,), float32, op=multiply" and cells == [["2", "2", "2"]]
    assert read_table(tg.tensor(True)._repr_html_())[1] == [["True"]]
    assert read_table(tg.zeros((0, 3))._repr_html_())[1] == []
    assert "<pre>[[[0. 0.]]]</pre>" in tg.zeros((1, 1, 2))._repr_html_()


def test_a_module_is_its_summary_in_a_notebook():
    model = tg.nn.Sequential(tg.nn.Linear(3, 2, rng=0), tg.nn.Tanh())
    caption, (header, *rows), root = read_table(model._repr_html_())
    assert caption == "Sequential" and header == ["path", "layer", "shapes", "parameters"]
    assert [row[-1] for row in rows] == ["8", "0"] and "weight (2, 3)" in rows[0][2]
    assert root[-1].text == "8 parameters"
    assert model.summary().parameters == 8
