"""Compiled functions of Values as part of a program: their arguments and results, and their place
in the graph."""

from __future__ import annotations

import math

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.compiler.tape import compile_scalars
from tinygrad_edu.errors import AnomalyError, GraphError
from tinygrad_edu.kernels.tape import OPERATIONS
from tinygrad_edu.scalar import Value

needs_c = pytest.mark.skipif(not OPERATIONS, reason="tapes run in C")


# ---------------------------------------------------------------------------- arguments and results


def test_arguments_may_be_nested_and_results_come_in_the_functions_structure():
    w = Value(3.0)

    def function(pair, *, table, flag, rows):
        a, (b, c) = pair
        scale = w if flag else w * w
        return {"sum": a * w + b * c + table["d"], "rows": [rows[0, 1] * scale, rows.sum() + w]}

    fast = compile_scalars(function)
    for flag, seed in ((True, 1), (True, 2), (False, 3)):
        rng = np.random.default_rng(seed)
        a, b, c = rng.normal(size=3).tolist()
        d = Value(rng.normal())
        rows = rng.normal(size=(2, 3))
        rows = np.array([[Value(v) for v in row] for row in rows]) if seed == 2 else rows
        got = fast((a, [b, c]), table={"d": d}, flag=flag, rows=rows)
        wanted = function((a, [b, c]), table={"d": d}, flag=flag, rows=rows)
        assert list(got) == ["sum", "rows"] and type(got["rows"]) is list
        pairs = [(got["sum"], wanted["sum"]), *zip(got["rows"], wanted["rows"])]
        for x, y in pairs:
            results = []
            for result in (x, y):
                w.grad = d.grad = 0
                result.backward()
                results.append((result.data, w.grad, d.grad))
            assert results[0] == results[1]


@needs_c
def test_another_structure_is_traced_anew_and_the_same_is_not():
    calls = []
    fast = compile_scalars(lambda xs, scale=1.0: (calls.append(len(xs)), sum(xs) * Value(scale))[1])
    assert [fast([1.0, 2.0]), fast([3.0, 4.0]), fast([1, 2, 3]), fast((1.0, 2.0))] == [3, 7, 6, 3]
    assert calls == [2, 2, 3, 3, 2, 2]  # twice each: see test_what_changes_from_run_to_run...


@pytest.mark.parametrize("kind", [float, np.float64, np.float32, np.int64, int, np.array], ids=str)
def test_numbers_of_every_kind_are_arguments(kind):
    fast = compile_scalars(lambda x: x * Value(2.0) + 1)
    assert fast(kind(3)) == 7 and fast(kind(4)) == 9


def test_what_depends_on_no_value_is_a_number():
    w = Value(2.0)
    fast = compile_scalars(lambda x: (w * x, x * x, x > 1, 5, None, w > 1))
    for x in (3.0, 0.5):
        product, *rest = fast(x)
        assert type(product) is Value and product.data == 2 * x
        assert rest == [x * x, x > 1, 5, None, True]
        assert [type(r) for r in rest[:2]] == [float, bool] and type(rest[4]) is bool


def test_a_result_may_be_a_parameter_an_argument_or_twice_the_same():
    w, v = Value(2.0), Value(5.0)

    def function(v):
        y = w * v
        return w, v, y, y

    results = []
    for f in (function, compile_scalars(function)):
        w.grad = v.grad = 0
        a, b, y, again = f(v)
        (a * 3 + b * 7 + y * 11 + again * 13).backward()
        results.append((w.grad, v.grad))
    assert results[0] == results[1] == (3 + 24 * 5, 7 + 24 * 2)


def test_a_function_of_no_operation():
    w = Value(2.0)
    out = compile_scalars(lambda: w)()
    out.backward()
    assert (out.data, w.grad) == (2, 1)


def test_a_long_chain():
    w = Value(1.0)

    def chain():
        x = w
        for _ in range(20_000):
            x = x + w
        return x

    out = compile_scalars(chain)()
    out.backward()
    assert (out.data, w.grad) == (20_001, 20_001)


def test_values_from_before_the_call_stay_in_the_graph():
    w = Value(2.0)
    before = w**2
    fast = compile_scalars(lambda x: before * x)
    fast(3.0).backward()
    assert w.grad == 12
    w.data = 100.0
    assert fast(3.0).data == 12


def test_an_argument_given_twice_gets_both_gradients():
    v = Value(3.0)
    compile_scalars(lambda a, b: a * a * b)(v, v).backward()
    assert v.grad == 27


# ---------------------------------------------------------------------------------------- the graph


def test_gradients_add_up_and_a_second_backward_is_one_more():
    w = Value(3.0)
    fast = compile_scalars(lambda x: w * w * x)
    loss = fast(2.0)
    loss.backward()
    loss.backward()
    fast(1.0).backward()
    assert w.grad == 12 + 12 + 6


def test_one_backward_serves_all_results_and_skips_those_not_asked_for():
    """A slope of inf on a way that no gradient takes must not meet one of 0."""
    w = Value(0.0)
    before = w.sqrt()
    fast = compile_scalars(lambda x: (w.sqrt() * before, w * x, w + x))
    _root, product, total = fast(4.0)
    (product * total.exp()).backward()
    assert w.grad == pytest.approx(4 * math.exp(4))


@needs_c
def test_a_call_keeps_its_numbers_when_a_parameter_changes_before_the_backward():
    w = Value(3.0)
    loss = compile_scalars(lambda: w * w)()
    w.data = 100.0
    loss.backward()
    assert w.grad == 6


def test_no_grad_gives_numbers_without_a_graph():
    w = Value(3.0)
    fast = compile_scalars(lambda x: w * x)
    with tg.no_grad():
        out = fast(2.0)
    assert out.data == 6
    with pytest.raises(GraphError, match="no_grad"):
        out.backward()
    fast(2.0).backward()
    assert w.grad == 2


def test_derivatives_of_derivatives_run_the_function_eagerly():
    w = Value(2.0)
    cube = compile_scalars(lambda a: w**3 * a)
    loss = cube(1.0)
    loss.backward(create_graph=True)
    first = w.grad
    w.grad = 0
    first.backward()
    assert (first.data, w.grad) == (12, 12)


def test_create_graph_through_a_parameter_that_changed_is_refused():
    w = Value(2.0)
    loss = compile_scalars(lambda a: w**3 * a)(1.0)
    w.data = 5.0
    with pytest.raises(GraphError) as raised:
        loss.backward(create_graph=True)
    assert raised.value.code == "overwritten-before-backward"


def test_detect_anomaly_runs_the_function_eagerly():
    w = Value(0.0)
    fast = compile_scalars(lambda x: w.log() * x)
    assert fast(2.0).data == -math.inf
    with pytest.raises(AnomalyError, match="log"), tg.detect_anomaly():
        fast(2.0)


def test_a_compiled_function_in_another_is_part_of_it():
    w = Value(2.0)
    inner = compile_scalars(lambda x: w * x)
    outer = compile_scalars(lambda x: inner(x).relu() + inner(-x).relu())
    for x in (3.0, -4.0):
        w.grad = 0
        out = outer(x)
        out.backward()
        assert (out.data, w.grad) == (abs(2 * x), abs(x))


@needs_c
def test_the_graph_of_a_result_can_be_drawn():
    w = Value(2.0, label="w")
    picture = tg.viz.graph(compile_scalars(lambda x: w * x)(3.0)).svg
    assert all(text in picture for text in ("compiled", "result", "data 6", ">w<"))


def test_more_arguments_than_python_shares_small_numbers_for():
    """Arguments are told apart by number; Python makes integers above 256 anew each time."""
    w, x = Value(0.5), np.linspace(-1, 1, 300)
    fast = compile_scalars(lambda x: sum((w * number for number in x), Value(0.0)))
    assert fast(x).data == sum((w * float(number) for number in x), Value(0.0)).data
