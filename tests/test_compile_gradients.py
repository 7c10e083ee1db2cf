"""tg.compile: what a step finds in `.grad`, adds to it and leaves there."""

from __future__ import annotations

import numpy as np
import pytest
from compiled_steps import (
    ONES,
    leaf,
    refused,
)

import tinygrad_edu as tg
from tinygrad_edu.errors import CompileError

F, nn = tg.nn.functional, tg.nn


@pytest.mark.parametrize("clear", ["never", "first", "last", "by hand", "every other call"])
def test_gradients_are_cleared_or_add_up(clear):
    def make():
        w = leaf([1.0, -2.0, 0.5])
        optimizer = tg.optim.SGD([w], lr=0.1)

        def step(x):
            if clear == "first":
                optimizer.zero_grad()
            if clear == "by hand":
                w.grad = None
            loss = (w * w * x).sum()
            loss.backward()
            with tg.no_grad():
                w.__isub__(0.01 * w.grad)
            if clear == "last":
                optimizer.zero_grad()
            return loss

        return w, step

    (w, eager), (v, step) = make(), make()
    fast = tg.compile(step)
    for k in range(6):
        x = np.arange(3.0) + k
        if clear == "every other call" and k % 2:
            w.grad = v.grad = None
        np.testing.assert_array_equal(fast(x).data, eager(tg.Tensor(x)).data)
        np.testing.assert_array_equal(v.data, w.data)
        assert (v.grad is None) == (w.grad is None)
        if w.grad is not None:
            np.testing.assert_array_equal(v.grad.data, w.grad.data)


def test_a_gradient_that_came_from_outside_is_read_anew():
    w = leaf([1.0, 2.0])

    @tg.compile
    def apply():
        with tg.no_grad():
            w.__isub__(0.1 * w.grad)

    for k in range(4):
        before = w.data.copy()
        w.grad = None
        (w * k).sum().backward()
        apply()
        np.testing.assert_array_equal(w.data, before - 0.1 * np.full(2, float(k)))


def test_a_gradient_of_another_form_put_into_place_by_hand():
    w = leaf([1.0, 2.0])

    def step(x):
        (w * x).sum().backward()

    call = tg.compile(step)
    w.grad = leaf([0.0, 0.0], False)
    call(ONES)
    w.grad = tg.zeros(2)  # float32
    call(ONES)
    assert w.grad.data.tolist() == [1, 1]
    w.grad = np.zeros(2)
    with pytest.raises(CompileError, match="Put a Tensor there"):
        call(ONES)


def test_two_gradients_are_never_one_array():
    a, b = leaf([1.0, 2.0]), leaf([3.0, 4.0])

    def step(x):
        loss = ((a + b) * x).sum()
        loss.backward()
        return loss, tg.exp(x), tg.exp(x)

    _, p, q = tg.compile(step)(ONES)
    assert not np.shares_memory(a.grad.data, b.grad.data)
    assert not np.shares_memory(p.data, q.data)


def test_a_gradient_of_parameters_alone_is_not_frozen():
    def make():
        w = leaf([1.0, 2.0])
        optimizer = tg.optim.SGD([w], lr=0.1)

        def step():
            optimizer.zero_grad()
            (w * w).sum().backward()
            optimizer.step()

        return w, step

    (w, eager), (v, step) = make(), make()
    fast = tg.compile(step)
    for _ in range(4):
        eager()
        fast()
        np.testing.assert_array_equal(v.data, w.data)


def test_clip_grad_norm_in_the_step():
    def make():
        w, v = leaf([1.0, -2.0]), leaf([[0.5]])

        def step(x):
            w.grad = v.grad = None
            ((w * x).sum() * v).sum().backward()
            return tg.optim.clip_grad_norm_([w, v], 1.0)

        return (w, v), step

    (ours, eager), (theirs, step) = make(), make()
    fast = tg.compile(step)
    for k in (0.0, 0.1, 1.0, 30.0):
        assert fast(ONES * k).item() == eager(tg.Tensor(ONES * k))
        for p, q in zip(ours, theirs):
            np.testing.assert_array_equal(q.grad.data, p.grad.data)
    before = [p.grad.data.copy() for p in theirs]
    with pytest.raises(FloatingPointError, match="no factor makes that"):
        fast(np.array([np.inf, 1.0]))
    for p, grad in zip(theirs, before):
        np.testing.assert_array_equal(p.grad.data, grad)


def test_derivatives_by_transforms_in_the_step():
    def step(x, w):
        inner = tg.grad(lambda v: (tg.tanh(v * x) ** 2).sum())
        return inner(w), tg.hvp(lambda v: (v * v * v * x).sum(), w, x)

    call = tg.compile(step)
    for k in range(3):
        x, w = tg.Tensor(ONES * k), tg.Tensor(np.array([0.3, -0.2]) * k)
        got, wanted = call(x, w), step(x, w)
        for a, b in zip(got, wanted, strict=True):
            np.testing.assert_array_equal(a.data, b.data)


def test_a_result_whose_graph_is_lost_says_so():
    """And is no constant, of which a gradient would be missing without a word."""
    w = leaf([1.0, 2.0])
    out = tg.compile(lambda x: (w * x).sum())(ONES)
    assert out.requires_grad
    with pytest.raises(tg.GraphError, match="out of a compiled step"):
        (out + w.sum()).backward()
    assert w.grad is None
    with tg.no_grad():
        assert not tg.compile(lambda x: (w * x).sum())(ONES).requires_grad


def test_a_graph_from_before_the_step_is_refused():
    w = leaf([1.0, 2.0])
    hidden = w * 2
    assert "detach" in refused(
        lambda x: hidden * x, ONES, match="multiply computed before the step"
    )
    assert "detach" in refused(lambda h: h * 2, hidden, match="argument 0 was computed by multiply")
    call = tg.compile(lambda h: h * 2)
    call(leaf([1.0, 2.0]))
    with pytest.raises(CompileError, match="argument 0 was computed by multiply"):
        call(hidden)
    refused(hidden.sum().backward, match="before the step")


@pytest.mark.parametrize("batch", [1, 600])
@pytest.mark.parametrize(
    "kind",
    [
        lambda p: tg.optim.SGD(p, lr=0.1),
        lambda p: tg.optim.SGD(p, lr=0.1, momentum=0.9, dampening=0.5, weight_decay=0.01),
        lambda p: tg.optim.Adam(p, lr=0.01, weight_decay=0.01),
        lambda p: tg.optim.AdamW(p, lr=0.01),
    ],
)
def test_gradients_that_nobody_keeps(kind, batch):
    """A step that clears them last: a batch of one makes each an outer product, which the
    optimizer's kernel makes for itself; a large one goes back through the activations some rows at
    a time. The bits are the eager ones."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(batch, 5)).astype("f"), rng.integers(0, 3, batch)

    def trained(wrap):
        model = nn.MLP(5, [40, 33, 3], activation="tanh", rng=0)
        optimizer = kind(model.parameters())

        def step(x, y):
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            return loss

        step = wrap(step)
        losses = [step(x, y).item() for _ in range(4)]
        return [*losses, *(p.data for p in model.parameters())]

    for got, wanted in zip(trained(tg.compile), trained(lambda step: step), strict=True):
        np.testing.assert_array_equal(got, wanted)
