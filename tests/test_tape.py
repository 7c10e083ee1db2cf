"""Compiled functions of Values: the eager numbers and gradients, row by row, in random graphs, in a
training and in threads."""

from __future__ import annotations

import functools
import itertools
import math
import operator
import random
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_edu as tg
from tinygrad_edu.compiler.tape import compile_scalars
from tinygrad_edu.compiler.tape_code import Backward, Slot, Writer
from tinygrad_edu.kernels.tape import OPERATIONS, run
from tinygrad_edu.op import OPS
from tinygrad_edu.ops.arithmetic import weighted_sum
from tinygrad_edu.scalar import MLP, Value

needs_c = pytest.mark.skipif(not OPERATIONS, reason="tapes run in C")

# Rows that a Value computes by a formula in NumPy (they have no `scalar`), or by another algorithm
# than the C library's (math.hypot, on which arctan2's gradient depends): equal up to rounding.
ROUNDED = {name for name in OPERATIONS if name in OPS and OPS[name].scalar is None} - {"clip"}
ROUNDED |= {"hypot", "arctan2"}
SPECIAL = (0.0, -0.0, 1.0, -1.0, 0.5, 2.0, -2.5, 709.0, -800.0, 5e-324, 1e308, math.inf, -math.inf)
SPECIAL += (math.nan,)


@pytest.fixture(autouse=True)
def plain_sums(monkeypatch):
    """From Python 3.12 on sum() makes good for the rounding of floats, and with it the eager
    weighted sum. The tape adds plainly, as sum() did before: so does the other side here."""

    def plain(*inputs):
        n = len(inputs) // 2
        return functools.reduce(operator.add, map(operator.mul, inputs[:n], inputs[n:]), inputs[-1])

    monkeypatch.setattr(OPS["weighted_sum"], "scalar", plain)


def same(x, y):
    """Bit for bit, but for the sign of a zero and the payload of a NaN."""
    return x == y or (x != x and y != y)


def number_and_gradients(function, leaves):
    """What `function()` gives, and its gradient in each of `leaves`."""
    for leaf in leaves:
        leaf.grad = 0
    out = function()
    out.backward()
    return [out.data, *(leaf.grad for leaf in leaves)]


def call(op, inputs, params=None):
    if op.name == "weighted_sum":
        return op.function(inputs)
    return op.function(*inputs, **(params or {}))


# ----------------------------------------------------------------------------------------- each row


def differentiable(name):
    return name in OPS and OPS[name].differentiable


@needs_c
def test_the_operations_of_tapes_are_rows_with_as_many_operands():
    loops = {"weighted_sum", "accumulate"}
    assert {"add", "power", "tanh", "relu", "where", *loops} < set(OPERATIONS)
    for name in set(OPERATIONS) - loops:
        assert OPERATIONS[name][1] == len(OPS[name].inputs) + len(OPS[name].defaults)


def points(op, rng):
    """Inputs within the domain of the row's tests and at special points, on both sides of each
    kink: all pairs of these for two inputs, drawn ones for more."""
    count = op.arity or 5
    if count > 2:
        return [*rng.normal(size=(40, count)).tolist(), *rng.choice(SPECIAL, (200, count)).tolist()]
    domains = op.domain if len(op.domain) == count else op.domain * count
    inside = np.stack([rng.uniform(d.low, d.high, 40) for d in domains], 1)
    return [*inside.tolist(), *itertools.product(SPECIAL, repeat=count)]


ROWS = [(n, {}) for n in OPERATIONS if differentiable(n) and n != "clip"]
ROWS += [("clip", {"low": -1.0, "high": None}), ("clip", {"low": None, "high": 2.0})]


@needs_c
@pytest.mark.parametrize(("name", "params"), ROWS)
def test_each_row_gives_the_eager_value_and_gradients(name, params, rng):
    """Where the formulas are not the same, each is at most a few functions, each within an ulp on
    either side, and terms that do not cancel below the size of an input."""
    op = OPS[name]
    rounding = 16 * np.finfo(float).eps if name in ROUNDED else 0.0
    leaves = [Value(0.0) for _ in range(op.arity or 5)]
    fast = compile_scalars(lambda *xs: call(op, xs, params))
    for numbers in points(op, rng):
        for leaf, number in zip(leaves, numbers):
            leaf.data = number
        eager = number_and_gradients(lambda: call(op, leaves, params), leaves)
        tape = number_and_gradients(lambda: fast(*leaves), leaves)
        for x, y in zip(eager, tape):
            assert same(x, y) or math.isclose(x, y, rel_tol=rounding, abs_tol=rounding), numbers


@needs_c
@pytest.mark.parametrize("name", [n for n in OPERATIONS if n in OPS and not differentiable(n)])
def test_each_comparison_gives_the_eager_truth(name):
    op = OPS[name]
    fast = compile_scalars(lambda *xs: (op.function(*xs), xs[0] * 1))
    for x in SPECIAL:
        for y in SPECIAL:
            xs = [bool(x), bool(y)] if name.startswith("logical") else [x, y]
            numbers = [float(v) for v in xs[: op.arity]]
            assert fast(*numbers)[0] is bool(op.function(*xs[: op.arity]))


@needs_c
def test_zero_and_minus_zero_are_two_constants():
    w = Value(1.0)
    assert [x.data for x in compile_scalars(lambda: (w / 0.0, w / -0.0))()] == [math.inf, -math.inf]


# -------------------------------------------------------------------------------------- its code


def pullback_of(function):
    fast = compile_scalars(function)
    fast().backward()
    (tape,) = fast.tapes.values()
    (pullback,) = tape.pullbacks.values()
    return tape, pullback


@needs_c
def test_a_neuron_goes_back_in_one_accumulate_and_one_addition():
    ws, xs = [Value(float(k)) for k in range(6)], [Value(0.5 * k) for k in range(6)]

    def two_neurons():
        return weighted_sum((*ws[:3], *xs[:3], 1.0)) + weighted_sum((*ws[3:], *xs[3:], ws[0]))

    tape, pullback = pullback_of(two_neurons)
    # operation, out, bias, n and three pairs; the sum
    assert tape.code.size == 2 * (4 + 2 * 3) + 4
    # operation, g, n and six pairs; to the bias of the second; to both neurons, and from the seed
    assert pullback.code.size == 2 * (3 + 2 * 6) + 4 + 2 * 4 + 4


@needs_c
def test_what_a_backward_computes_on_its_way_shares_its_places():
    """A step of the chain costs two places: its number and its gradient."""
    sizes = []
    for length in (10, 30):
        w = Value(0.5)
        tape, pullback = pullback_of(
            lambda w=w, length=length: functools.reduce(lambda x, _: x.tanh(), range(length), w)
        )
        sizes.append((tape.places.size, pullback.places.size))
    assert np.diff(sizes, axis=0).tolist() == [[20, 40]]


@needs_c
def test_a_product_that_two_gradients_share_is_kept():
    """No row of today does that."""
    forward = Writer([3.0, 5.0])
    writer = Backward(forward)
    totals = [writer.total(), writer.total()]
    writer.begin_node()
    product = Slot(writer, 0) * Slot(writer, 1)
    writer.add([(totals[0], product, True), (totals[1], product, True)])
    code, places = writer.assembled(), np.array(writer.places)
    run(places, code)
    assert places[totals].tolist() == [15, 15]


# ----------------------------------------------------------------------------------- random graphs

EXACT = [op.name for op in OPS.values() if op.cases is None and op.differentiable]
EXACT = [n for n in EXACT if n not in ROUNDED and (n in OPERATIONS or not OPERATIONS)]
EXACT += ["where", "clip", "weighted_sum"]
NUMBERS = st.floats(-3, 3) | st.sampled_from([0.0, 1.0, -1.0, 2.0])


@st.composite
def programs(draw):
    """A function of three parameters and two arguments: operations on what came before (so on
    themselves, twice, on constants), some of them chosen by comparisons, and several results."""
    steps = []
    for k in range(5, 5 + draw(st.integers(1, 25))):
        name = draw(st.sampled_from(EXACT))
        count = {"weighted_sum": 5, "where": 4, "clip": 1}.get(name, len(OPS[name].inputs))
        operand = st.integers(0, k - 1) | st.integers(max(0, k - 3), k - 1) | NUMBERS
        operands = [draw(st.integers(0, k - 1)), *(draw(operand) for _ in range(count - 1))]
        steps.append((name, draw(st.permutations(operands))))
    results = draw(st.lists(st.integers(5, 4 + len(steps)), min_size=1, max_size=4))

    def function(parameters, x, y):
        values = [*parameters, x, y]
        for name, operands in steps:
            given = [values[o] if isinstance(o, int) else o for o in operands]
            if name == "where":
                values.append(tg.where(given[0] > given[1], *given[2:]))
            else:
                values.append(
                    call(OPS[name], given, {"low": -1.0, "high": 2.0} if name == "clip" else {})
                )
        return [parameters[0] * 1, *(values[k] for k in results)]

    return function


def test_a_result_that_is_returned_thrice_adds_its_gradients_as_eager_mode_does():
    """1.99 - 1 + 1 and 1 - 1 + 1.99 are not the same number."""
    w = Value(0.0)
    fast = compile_scalars(lambda: [-w] * 3)

    def loss(results):
        return sum(weight * r for weight, r in zip((1.0, 1.99, -1.0), results))

    eager = number_and_gradients(lambda: loss([-w] * 3), [w])
    assert number_and_gradients(lambda: loss(fast()), [w]) == eager


@given(function=programs(), data=st.data())
def test_a_random_graph_gives_the_eager_values_and_gradients_to_the_bit(function, data):
    """On the numbers that it was compiled with, and on others; the results weighted and summed."""
    parameters = [Value(0.0) for _ in range(3)]
    fast = compile_scalars(lambda x, y: function(parameters, x, y))
    weights = data.draw(st.lists(NUMBERS, min_size=5, max_size=5))

    def loss(results):
        """Values are weighted, floats too; `sum` begins with a node of the tape in both cases."""
        return results[0] + sum(w * r for w, r in zip(weights, results))

    for _ in range(2):
        for p in parameters:
            p.data = data.draw(NUMBERS)
        x, y = data.draw(NUMBERS), Value(data.draw(NUMBERS))
        leaves = [*parameters, y]
        eager = number_and_gradients(lambda x=x, y=y: loss(function(parameters, x, y)), leaves)
        tape = number_and_gradients(lambda x=x, y=y: loss(fast(x, y)), leaves)
        assert all(map(same, eager, tape)), (eager, tape)


# --------------------------------------------------------------------------------------- a training


def moons(n):
    rng = np.random.default_rng(1)
    t = rng.uniform(0, math.pi, n // 2)
    upper, lower = (
        np.stack([np.cos(t), np.sin(t)], 1),
        np.stack([1 - np.cos(t), 0.5 - np.sin(t)], 1),
    )
    x = np.concatenate([upper, lower]) + rng.normal(size=(n, 2)) * 0.1
    return x, np.repeat([-1, 1], n // 2)


def moons_loss(model, x, y):
    """The loss of micrograd's demo, and its accuracy."""
    scores = [model(row) for row in x]
    losses = [(1 + -label * score).relu() for label, score in zip(y, scores)]
    right = [(label > 0) == (score > 0) for label, score in zip(y, scores)]
    loss = sum(losses) * (1.0 / len(losses)) + 1e-4 * sum(p * p for p in model.parameters())
    return loss, sum(right) / len(right)


def train(model, loss, batches):
    history = []
    for x, y in batches:
        total, accuracy = loss(x, y)
        model.zero_grad()
        total.backward()
        for p in model.parameters():
            p.data -= 0.1 * p.grad
        history.append((total.data, accuracy))
    return history


def test_a_network_trains_with_the_eager_numbers():
    """On batches that change from step to step, the loop unchanged."""
    x, y = moons(40)
    batches = [(x[k::5], y[k::5]) for k in range(5)]
    histories, weights = [], []
    for compiled in (False, True):
        random.seed(3)
        model = MLP(2, [5, 4, 1])

        def loss(x, y, model=model):
            return moons_loss(model, x, y)

        histories.append(train(model, compile_scalars(loss) if compiled else loss, batches))
        weights.append([p.data for p in model.parameters()])
    assert histories[0] == histories[1] and weights[0] == weights[1]


@needs_c
def test_numbers_that_the_function_wraps_are_constants_and_the_graph_is_not_kept():
    random.seed(3)
    model, (x, _) = MLP(2, [3, 1]), moons(10)

    def loss():
        return sum(model(list(map(Value, row))) ** 2 for row in x)

    fast = compile_scalars(loss)
    fast().backward()
    (tape,) = fast.tapes.values()
    assert {id(p) for p in tape.parameters} == {id(p) for p in model.parameters()}
    assert len(tape.parameters) == len(model.parameters())


def test_a_network_may_be_compiled_itself():
    random.seed(1)
    model = MLP(2, [6, 3])
    x = [Value(0.5), Value(-1.0)]
    results = []
    for f in (model, compile_scalars(model)):
        model.zero_grad()
        x[0].grad = 0
        outs = f(x)
        sum(out * out for out in outs).backward()
        results.append(
            ([out.data for out in outs], x[0].grad, [p.grad for p in model.parameters()])
        )
    assert results[0] == results[1] and any(results[0][2])


def test_threads_call_and_go_back_at_once():
    """Each has its own numbers in the one tape, also while another thread compiles."""
    random.seed(3)
    model = MLP(2, [6, 1])
    points = np.random.default_rng(0).normal(size=(8, 40, 2))

    def loss(x):
        return sum(model(row) ** 2 for row in x)

    fast, failures = compile_scalars(loss), []
    wanted = [loss([[Value(v) for v in row] for row in x.tolist()]).data for x in points]
    leaves = [[[Value(v) for v in row] for row in x.tolist()] for x in points]
    slopes = []
    for x in leaves:
        loss(x).backward()
        slopes.append([[v.grad for v in row] for row in x])

    def work(k):
        try:
            for turn in range(10):
                mine = [[Value(v) for v in row] for row in points[k].tolist()]
                out = fast(mine if turn % 2 else points[k])
                other = compile_scalars(lambda a, k=k: a * Value(float(k)))(2.0)
                assert out.data == wanted[k] and other == 2 * k
                if turn % 2:
                    out.backward()
                    assert [[v.grad for v in row] for row in mine] == slopes[k]
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures, failures[0]
