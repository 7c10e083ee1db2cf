"""The engine: order, reuse, depth, freeing, refusal, threads. Nothing here is about a particular
operation."""

from __future__ import annotations

import gc
import subprocess
import sys
import textwrap
import threading
import weakref

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import graph
from tinygrad_edu.errors import GraphError, ShapeError
from tinygrad_edu.op import OPS
from tinygrad_edu.scalar import Value


def leaf(*numbers):
    return tg.Tensor(np.array(numbers, dtype=np.float64), requires_grad=True)


# ---------------------------------------------------------------------------------------- sharing


def test_an_input_used_twice_gets_both_gradients():
    x = leaf(3.0)
    (x * x + x).sum().backward()
    np.testing.assert_array_equal(x.grad.data, [7])


def test_a_product_and_a_sum_share_a_leaf():
    a, b = leaf(2.0), leaf(5.0)
    (a * b + a).sum().backward()
    assert (a.grad.item(), b.grad.item()) == (6, 2)


def test_a_diamond_is_visited_once_a_node():
    """2**64 paths lead from the root to the leaf; the answer takes 64 visits."""
    x = leaf(1.0)
    y = x
    for _ in range(64):
        y = y + y
    y.sum().backward()
    assert x.grad.item() == 2.0**64


def test_a_node_waits_for_all_its_gradients():
    """b = a + a; c = b * b + b: recursion over inputs would pass on b's gradient twice."""
    a = leaf(3.0)
    b = a + a
    (b * b + b).sum().backward()
    assert a.grad.item() == 2 * (2 * 6 + 1)


def test_gradients_accumulate_over_backwards():
    x = leaf(1.0, 2.0)
    for _ in range(3):
        (x * 2).sum().backward()
    np.testing.assert_array_equal(x.grad.data, [6, 6])


# ------------------------------------------------------------------------------ depth and freeing

DEEP = """
    import threading, gc
    import numpy as np, tinygrad_edu as tg
    gc.disable()
    threading.stack_size(2 * 1024 * 1024)
    def chain():
        x = tg.Tensor(np.ones(()), requires_grad=True)
        y = x
        for _ in range(1_000_000):
            y = y + 1.0
        y.backward({how})
        assert x.grad.item() == 1.0
        del y
        print("freed")
    thread = threading.Thread(target=chain)
    thread.start(); thread.join()
"""


@pytest.mark.parametrize("how", ["", "retain_graph=True"])
def test_a_chain_of_a_million_nodes(how):
    """Forward, backward and freeing on a C stack of 2 MiB, two bytes a node; with retain_graph the
    nodes die as one chain. (CPython frees nested objects in batches; 3.13's take up to 1 MiB.)"""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(DEEP.format(how=how))],
        capture_output=True,
        text=True,
    )
    assert done.stdout == "freed\n" and done.returncode == 0, done.stderr


def test_a_graph_dies_by_reference_count():
    gc.disable()
    try:
        x = leaf(1.0, 2.0)
        inner = tg.exp(x)
        loss = (inner * inner).sum()
        died = [weakref.ref(node) for node in (inner, loss)]
        loss.backward()
        del inner, loss
        assert all(ref() is None for ref in died)
        grad = weakref.ref(x.grad)
        x.grad = None
        assert grad() is None
    finally:
        gc.enable()


def test_a_graph_that_was_never_walked_dies_too():
    gc.disable()
    try:
        x = leaf(1.0)
        y = tg.tanh(x) * x
        died = weakref.ref(y)
        del y
        assert died() is None
    finally:
        gc.enable()


def test_a_gradient_that_can_be_differentiated_dies_too():
    """create_graph puts nodes into .grad; when they go, nothing is left for the cyclic
    collector."""
    gc.collect()
    gc.disable()
    try:
        x = leaf(2.0)
        y = (x * x * x).sum()
        y.backward(create_graph=True)
        died = [weakref.ref(x.grad), weakref.ref(y)]
        del y
        x.grad = None
        assert all(ref() is None for ref in died)
    finally:
        gc.enable()


# ----------------------------------------------------------------------------------- second times


def test_a_second_backward_is_refused():
    x = leaf(1.0)
    y = (x * x).sum()
    y.backward()
    with pytest.raises(GraphError, match="already used.*forward.*again.*retain_graph=True"):
        y.backward()
    assert x.grad.item() == 2, "the refused backward must not have added anything"


def test_a_second_root_over_a_freed_part_is_refused_before_anything_is_done():
    x, z = leaf(1.0), leaf(1.0)
    shared = x * x
    first, second = shared.sum(), (shared * z).sum()
    first.backward()
    with pytest.raises(GraphError, match="freed"):
        second.backward()
    assert z.grad is None


def test_retain_graph_allows_another_backward():
    x = leaf(3.0)
    y = (x * x).sum()
    y.backward(retain_graph=True)
    y.backward()
    assert x.grad.item() == 12
    with pytest.raises(GraphError):
        y.backward()


def test_third_derivative_by_create_graph():
    x = leaf(2.0)
    y = (x * x * x * x).sum()
    for expected in (32.0, 48.0, 48.0):
        x.grad = None
        y.backward(create_graph=True)
        y = x.grad.sum()
        assert y.item() == expected


def test_create_graph_then_a_plain_backward_over_it():
    x = leaf(2.0)
    (x * x * x).sum().backward(create_graph=True)
    g, x.grad = x.grad, None
    (g * g).sum().backward()
    assert x.grad.item() == 2 * 12 * 12
    assert not x.grad.requires_grad


# ------------------------------------------------------------------------------------------ hooks


def test_a_hook_sees_the_whole_gradient_once_and_may_replace_it():
    x = leaf(2.0)
    y = x * 3
    seen = []
    y.register_hook(lambda g: seen.append(g.data.copy()))
    y.register_hook(lambda g: g * 10)
    (y * y + y).sum().backward()
    np.testing.assert_array_equal(seen, [[13]])
    assert x.grad.item() == 390


def test_a_hook_on_a_leaf_and_its_removal():
    x = leaf(2.0)
    remove = x.register_hook(lambda g: -g)
    (x * 3).sum().backward()
    remove()
    (x * 3).sum().backward()
    assert x.grad.item() == 0
    remove()


def test_a_hook_that_returns_another_shape_is_refused():
    x = leaf(1.0, 2.0)
    x.register_hook(lambda g: np.ones(3))
    with pytest.raises(ShapeError):
        (x * 3).sum().backward()


def test_a_transform_calls_no_hook_of_what_it_holds_constant():
    """Neither of a leaf, nor of a computed tensor, nor of what is made of them on the way."""
    w, x, calls = leaf(3.0), leaf(2.0), []
    y = w * 2
    for held in (w, y):
        held.register_hook(lambda g: calls.append(g))

    def f(z):
        inner = w * y
        inner.register_hook(lambda g: calls.append(g))
        z.register_hook(lambda g: calls.append("own"))
        return (z * inner * w).sum()

    assert tg.grad(f)(x).item() == 54 and calls == ["own"]
    assert tg.hessian(lambda z: f(z) * z.sum())(x).item() == 108
    assert set(calls) == {"own"}


def test_a_hook_works_with_create_graph():
    x = leaf(3.0)
    y = x * x
    y.register_hook(lambda g: g * 2)
    y.sum().backward(create_graph=True)
    assert x.grad.item() == 12
    g, x.grad = x.grad, None
    g.sum().backward()
    assert x.grad.item() == 4


# ----------------------------------------------------------------------------- what is not wanted


def counted(name, calls):
    """A copy of a row that notes which of its formulas are used."""
    vjps = [
        lambda *args, i=i, vjp=vjp, **params: (calls.append(i), vjp(*args, **params))[1]
        for i, vjp in enumerate(OPS[name].vjps)
    ]
    return wrong(name, vjps=vjps, kernel_vjp=None)


@pytest.mark.parametrize("create_graph", [False, True])
def test_nothing_is_computed_for_leaves_that_are_not_wanted(create_graph):
    x, y, z = leaf(2.0), leaf(3.0), leaf(5.0)
    calls, aside = [], []
    inner = tg.Tensor.record(counted("multiply", calls), (x, y), {})
    other = tg.Tensor.record(counted("multiply", aside), (y, z), {})
    root = (inner * inner + other).sum()
    upstream = tg.Tensor(np.ones(())) if create_graph else np.ones(())
    how = {"create_graph": create_graph, "retain_graph": True}
    found = graph.propagate(root, upstream, wanted=[x], **how)
    assert list(found) == [x] and found[x].item() == 36
    assert calls == [0] and aside == []
    found = graph.propagate(root, upstream, **how)
    assert set(found) == {x, y, z} and (found[y].item(), found[z].item()) == (29, 3)
    assert calls == [0, 0, 1] and aside == [0, 1]
    assert not graph.propagate(root, upstream, wanted=[leaf(1.0)], **how)


def test_values_obey_wanted_too():
    a, b = Value(2.0), Value(3.0)
    assert graph.propagate(a * b, 1.0, wanted=[b], retain_graph=True) == {b: 2.0}


# ---------------------------------------------------------------------------------------- no_grad


def test_no_grad_nests_decorates_and_survives_errors():
    x = leaf(1.0)
    with tg.no_grad():
        with tg.no_grad():
            pass
        assert not (x * 2).requires_grad
    with pytest.raises(ZeroDivisionError), tg.no_grad():
        raise ZeroDivisionError
    assert (x * 2).requires_grad
    assert not tg.no_grad()(lambda: x * 2)().requires_grad
    assert not graph.silenced


def test_no_grad_is_of_one_thread():
    x = leaf(1.0)
    inside, leave = threading.Event(), threading.Event()

    def silent():
        with tg.no_grad():
            inside.set()
            leave.wait(10)

    thread = threading.Thread(target=silent)
    thread.start()
    assert inside.wait(10)
    recorded = (x * 2).requires_grad
    leave.set()
    thread.join()
    assert recorded


def test_a_loss_outside_the_graph_is_refused_with_the_remedy():
    with tg.no_grad():
        silent, number = leaf(1.0).sum(), Value(1.0) * 2
    for loss in (tg.Tensor(np.ones(())), leaf(1.0).detach().sum(), silent):
        with pytest.raises(
            GraphError, match=r"requires_grad=True.*outside no_grad\(\).*without detach\(\)"
        ):
            loss.backward()
    with pytest.raises(GraphError, match=r"under no_grad\(\).*outside"):
        number.backward()


# --------------------------------------------------------------------------------- wrong formulas


def wrong(name, **changes):
    """A copy of a row with other formulas, outside the table."""
    row = OPS[name]
    made = object.__new__(type(row))
    for slot in row.__slots__:
        setattr(made, slot, changes.get(slot, getattr(row, slot)))
    return made


def test_a_vjp_of_the_wrong_shape_is_named():
    op = wrong("multiply", vjps=(lambda g, _out, _x, y: np.ones(7), None))
    out = tg.Tensor.record(op, (leaf(1.0, 2.0), leaf(1.0, 2.0)), {})
    with pytest.raises(ShapeError, match=r"multiply: its vjp for input 0 has shape \(7,\).*\(2,\)"):
        out.sum().backward()


def test_a_vjp_with_the_wrong_number_of_gradients_is_named():
    op = wrong("concatenate", joint=lambda g, _out, *_inputs, axis: (g,))
    out = tg.Tensor.record(op, (leaf(1.0), leaf(2.0)), {"axis": 0})
    with pytest.raises(GraphError, match="concatenate: its vjp returned 1 gradients for 2 inputs"):
        out.sum().backward()


def test_a_vjp_that_takes_other_arguments_is_a_type_error():
    op = wrong("tanh", vjps=(lambda g: g,), kernel_vjp=None)
    with pytest.raises(TypeError):
        tg.Tensor.record(op, (leaf(1.0),), {}).sum().backward()


def test_a_failed_backward_adds_to_no_gradient():
    x, y = leaf(1.0, 2.0), leaf(1.0, 2.0)
    op = wrong("multiply", vjps=(lambda g, _out, _x, y: np.ones(7), None))
    out = tg.Tensor.record(op, (x, x), {}).sum() + y.sum()
    with pytest.raises(ShapeError):
        out.backward()
    assert x.grad is None and y.grad is None


# ---------------------------------------------------------------------------------------- threads


def train(seed, steps=30):
    """The weights after a few steps of a small network on its own data."""
    rng = np.random.default_rng(seed)
    model = tg.nn.MLP(6, [16, 3], activation="tanh", rng=seed)
    optimizer = tg.optim.Adam(model.parameters(), lr=0.01)
    x, labels = rng.normal(size=(32, 6)).astype(np.float32), rng.integers(0, 3, 32)
    for _ in range(steps):
        optimizer.zero_grad()
        tg.nn.functional.cross_entropy(model(tg.Tensor(x)), labels).backward()
        optimizer.step()
    return [p.data.copy() for p in model.parameters()]


def test_threads_that_train_different_models_do_not_meet():
    alone = [train(seed) for seed in range(4)]
    together = [None] * 4

    def work(seed):
        together[seed] = train(seed)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for got, expected in zip(together, alone):
        for a, b in zip(got, expected):
            np.testing.assert_array_equal(a, b)
