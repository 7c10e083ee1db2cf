"""In-place surprises are errors: a backward never reads numbers that were written over since the
forward read them; and gradients are nobody else's memory."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.errors import GraphError
from tinygrad_edu.scalar import Value


def leaf(*numbers):
    return tg.Tensor(np.array(numbers, dtype=np.float64), requires_grad=True)


# ------------------------------------------------------------------------------------ overwriting


def test_an_optimizer_step_between_forward_and_backward_is_refused():
    w, x = leaf(1.0, 2.0), tg.Tensor(np.array([3.0, 4.0]))
    optimizer = tg.optim.SGD([w], lr=0.1)
    (w * x).sum().backward()
    loss = (w * w * x).sum()
    optimizer.step()
    with pytest.raises(
        GraphError, match=r"multiply \(shape \(2,\)\) was changed in place.*optimizer\.step"
    ):
        loss.backward()


@pytest.mark.parametrize(
    "write",
    [
        lambda t: setattr(t, "data", np.ones(2)),
        lambda t: t.__setitem__(0, 5.0),
        lambda t: t.detach().__setitem__(0, 5.0),
    ],
    ids=["data =", "[...] =", "detached [...] ="],
)
def test_assignment_to_what_the_backward_reads_is_refused(write):
    w, x = leaf(1.0, 2.0), tg.Tensor(np.array([3.0, 4.0]))
    loss = (w * x).sum()
    write(x)
    with pytest.raises(GraphError, match="changed in place"):
        loss.backward()


def test_loading_a_state_between_forward_and_backward_is_refused():
    layer = tg.nn.Linear(2, 2, rng=0)
    loss = layer(layer(tg.ones((1, 2)))).sum()
    layer.load_state_dict({name: np.zeros_like(a) for name, a in layer.state_dict().items()})
    with pytest.raises(GraphError, match="linear"):
        loss.backward()


def test_a_view_of_an_overwritten_base_is_refused():
    x, w = tg.Tensor(np.arange(6.0).reshape(2, 3)), leaf(1.0, 2.0)
    loss = (w * x.T[0]).sum()
    x[0, 0] = 5.0
    with pytest.raises(GraphError, match="changed in place"):
        loss.backward()


def test_a_recorded_view_of_an_overwritten_base_is_refused():
    w = leaf(1.0, 2.0, 3.0, 4.0)
    loss = tg.square(w.reshape(2, 2)[1]).sum()
    w.grad = tg.Tensor(np.ones(4))
    tg.optim.SGD([w], lr=0.1).step()
    with pytest.raises(GraphError, match="changed in place"):
        loss.backward()


def test_an_output_written_into_is_refused_where_it_is_read():
    x = leaf(1.0, 2.0)
    y = tg.exp(x)
    y.data = np.zeros(2)
    with pytest.raises(GraphError, match="output of exp"):
        y.sum().backward()


def test_an_overwritten_payload_that_nobody_reads_is_fine():
    """add reads neither of its inputs, exp only its output: the weights may change."""
    x, y = leaf(1.0, 2.0), leaf(3.0, 4.0)
    loss = (tg.exp(x) + y).sum()
    x.data = np.zeros(2)
    y.data = np.zeros(2)
    loss.backward()
    np.testing.assert_allclose(x.grad.data, np.exp([1, 2]), rtol=1e-14)
    np.testing.assert_array_equal(y.grad.data, [1, 1])


def test_a_write_before_the_forward_is_fine():
    x = leaf(1.0)
    x.data = np.array([4.0])
    (x * x).sum().backward()
    assert x.grad.item() == 8


def test_a_step_between_two_whole_iterations_is_fine():
    w = leaf(1.0)
    optimizer = tg.optim.SGD([w], lr=0.25)
    for _ in range(3):
        optimizer.zero_grad()
        (w * w).sum().backward()
        optimizer.step()
    assert w.item() == 0.125


def test_assignment_into_a_tensor_that_requires_grad_is_refused():
    with pytest.raises(GraphError, match="tg.where"):
        leaf(1.0)[0] = 2.0


def test_a_value_changed_between_forward_and_backward_is_refused():
    a, b = Value(2.0), Value(3.0)
    c = a * b
    b.data = 5.0
    with pytest.raises(GraphError, match="multiply"):
        c.backward()


# ----------------------------------------------------------------------------------- whose memory


def shares(*arrays):
    return any(np.shares_memory(a, b) for a, b in itertools.combinations(arrays, 2))


@pytest.mark.parametrize(
    "build",
    [
        lambda x, y: x + x,
        lambda x, y: x + y,
        lambda x, y: (x + y) + x,
        lambda x, y: tg.reshape(x, (2, 2)) + tg.reshape(y, (2, 2)),
        lambda x, y: tg.transpose(x) + y,
        lambda x, y: tg.concatenate([x, y]),
        lambda x, y: tg.stack([x, y, x]),
        lambda x, y: tg.where(True, x, y),
        lambda x, y: x[1:] + y[:-1],
        lambda x, y: tg.broadcast_to(x, (3, 4)) + y,
        lambda x, y: tg.flatten(x) - tg.squeeze(y),
    ],
    ids=lambda f: "",
)
@pytest.mark.parametrize("writeable", [True, False])
def test_gradients_of_leaves_share_no_memory(build, writeable):
    """Not with each other, not with the upstream gradient, not with the data; and they can be
    written into."""
    x, y = leaf(1.0, 2.0, 3.0, 4.0), leaf(5.0, 6.0, 7.0, 8.0)
    out = build(x, y)
    upstream = np.ones(out.shape)
    upstream.flags.writeable = writeable
    out.backward(upstream)
    grads = [t.grad.data for t in (x, y) if t.grad is not None]
    assert not shares(*grads, upstream, x.data, y.data)
    for grad in grads:
        grad += 1.0
    np.testing.assert_array_equal(upstream, 1)


def test_a_root_that_is_a_leaf_copies_the_upstream_gradient():
    x, g = leaf(1.0, 2.0), np.array([3.0, 4.0])
    x.backward(g)
    x.grad.data[...] = 0
    np.testing.assert_array_equal(g, [3, 4])


def test_a_gradient_given_as_a_tensor_stays_its_own():
    x, g = leaf(1.0, 2.0), tg.Tensor(np.array([3.0, 4.0]))
    for how in ({}, {"create_graph": True}):
        x.grad = None
        (x + 0.0).backward(g, **how)
        assert not np.shares_memory(x.grad.data, g.data) or how, "a plain gradient must be a copy"
        (x + 0.0).backward(g)
        np.testing.assert_array_equal(g.data, [3, 4])
        np.testing.assert_array_equal(x.grad.data, [6, 8])


def test_an_accumulated_gradient_does_not_change_one_that_was_taken_before():
    """`held = w.grad` then another backward: the sum appears in w.grad, as everywhere it is added
    in place."""
    x = leaf(1.0)
    (x * 2).sum().backward()
    before = x.grad.data.copy()
    (x * 3).sum().backward()
    assert before.item() == 2 and x.grad.item() == 5


def test_tensor_shares_and_tg_tensor_copies():
    a = np.array([1.0, 2.0])
    assert np.shares_memory(tg.Tensor(a).data, a)
    assert not np.shares_memory(tg.tensor(a).data, a)


def test_what_a_hook_keeps_or_returns_is_not_written_into():
    w, kept, mask = leaf(1.0, 2.0), [], np.ones(2)
    w.register_hook(lambda g: kept.append(g))
    y = w + 1.0
    y.register_hook(lambda g: mask)
    for n in (1, 2, 3):
        y.sum().backward(retain_graph=True)
        np.testing.assert_array_equal(w.grad.data, [n, n])
    for array in (mask, *(g.data for g in kept)):
        np.testing.assert_array_equal(array, [1, 1])


def test_a_gradient_without_axes_is_an_array_as_all_are():
    w = tg.Tensor(np.array(3.0), requires_grad=True)
    for n in (1, 2):
        (w * w).backward()
        assert type(w.grad.data) is np.ndarray and w.grad.item() == 6 * n
